/* pack_write.c - a source into an effpack. Pictures are made by a team of threads, a round of them at a time, and
 * written in the source's order: the same file, byte for byte, whatever the number of threads, and whether or not the
 * writing was stopped in between. Until its table is written it is called OUT.part; a stopped one is read again record
 * by record, checksums and all, cut off behind the last that is whole, and gone on with, if it was begun with the same
 * source and options. */
#include "data/inspect/pack_write.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "data/inspect/pack_picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUND_EACH = 8 }; /* pictures of a round for each thread */
enum { LEAST_SIDE = 8 }; /* pixels: nothing can be told apart in fewer */

typedef struct Bytes {
    uint8_t *data;
    size_t size, capacity;
} Bytes;

/* One picture of a round: a whole record, ready to be written. */
typedef struct Made {
    Bytes bytes;
    EffpackRecord record;
    bool kept;
    effnet_status status;
    effnet_error err;
} Made;

typedef struct Writer {
    const PackOptions *options;
    PackResult *result;
    Dataset *splits[2]; /* training, validation; NULL where there is none */
    bool same;          /* one split, which is both */
    int64_t pictures;   /* of all splits */
    char part[SOURCE_PATH_BYTES];
    int descriptor;
    int64_t at;           /* length written so far */
    int64_t next;         /* number of the next picture */
    Bytes entries, texts; /* the table to come */
    EffpackHead head;
    ThreadTeam *team;
    int threads, round;
    Packer *packers;
    Made *made;
    double told;
} Writer;

/* ---- bytes ---- */

static effnet_status append(Bytes *to, const void *bytes, size_t size, effnet_error *err) {
    if (size > to->capacity - to->size) {
        size_t capacity = 2 * to->capacity + size + 4096;
        uint8_t *larger = realloc(to->data, capacity);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu bytes) for what is to be written", capacity);
        to->data = larger;
        to->capacity = capacity;
    }
    if (size) memcpy(to->data + to->size, bytes, size);
    to->size += size;
    return EFFNET_OK;
}

static effnet_status align(Bytes *to, effnet_error *err) {
    static const uint8_t zeros[EFFPACK_ALIGNMENT];
    return append(to, zeros, round_up(to->size, EFFPACK_ALIGNMENT) - to->size, err);
}

static effnet_status write_at(const Writer *writer, int64_t offset, const void *bytes, size_t size, effnet_error *err) {
    for (size_t used = 0; used < size;) {
        ssize_t put = pwrite(writer->descriptor, (const char *)bytes + used, size - used, offset + (int64_t)used);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return fail(err, EFFNET_ERROR_IO,
                        "cannot write '%s': %s; what is there is kept, and the same command goes on", writer->part,
                        strerror(errno));
        used += (size_t)put;
    }
    return EFFNET_OK;
}

/* ---- the source ---- */

static const Dataset *split_of(const Writer *writer, int64_t number, int64_t *index, uint32_t *bits) {
    int64_t training = writer->splits[0] ? dataset_size(writer->splits[0]) : 0;
    int split = number < training ? 0 : 1;
    *index = split ? number - training : number;
    *bits = writer->same ? EFFPACK_TRAIN | EFFPACK_VALIDATION : split ? EFFPACK_VALIDATION : EFFPACK_TRAIN;
    return writer->splits[split];
}

/* Both splits, the one numbered like the other; one alone will do. */
static effnet_status open_source(Writer *writer, effnet_error *err) {
    const char *source = writer->options->source;
    TRY(datasets_open(source, writer->splits, err));
    if (writer->splits[0] && writer->splits[1] && datasets_are_same(writer->splits[0], writer->splits[1])) {
        writer->same = true;
        dataset_free(writer->splits[1]);
        writer->splits[1] = NULL;
    }
    const Dataset *first = writer->splits[0] ? writer->splits[0] : writer->splits[1];
    int classes = dataset_num_classes(first);
    for (int i = 0; i < 2; i++)
        if (writer->splits[i]) TRY(dataset_need_single(writer->splits[i], "effnet pack", err));
    writer->result->classes = classes;
    for (int i = 0; i < 2; i++) writer->pictures += writer->splits[i] ? dataset_size(writer->splits[i]) : 0;
    if (!writer->splits[0] || !writer->splits[1]) return EFFNET_OK;
    const char **names = calloc((size_t)classes, sizeof *names);
    if (!names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d classes", classes);
    for (int i = 0; i < classes; i++) names[i] = dataset_class_name(first, i);
    effnet_status status = dataset_use_classes(writer->splits[1], names, classes, err);
    free(names);
    return status;
}

/* Options, classes, and every picture's name and label. */
static void describe_source(Writer *writer) {
    const PackOptions *options = writer->options;
    const Dataset *first = writer->splits[0] ? writer->splits[0] : writer->splits[1];
    int32_t numbers[3] = {options->side, options->quality, dataset_num_classes(first)};
    uint32_t low = crc32c(0, numbers, sizeof numbers), high = crc32c(0x5EED, numbers, sizeof numbers);
    for (int i = 0; i < numbers[2]; i++) {
        const char *name = dataset_class_name(first, i);
        low = crc32c(low, name, strlen(name) + 1);
    }
    for (int64_t i = 0; i < writer->pictures; i++) {
        char name[2 * SOURCE_PATH_BYTES];
        int64_t index;
        uint32_t bits;
        const Dataset *dataset = split_of(writer, i, &index, &bits);
        int32_t label = dataset_label(dataset, index);
        dataset_describe(dataset, index, name, sizeof name);
        low = crc32c(low, name, strlen(name) + 1);
        high = crc32c(crc32c(high, &label, sizeof label), &bits, sizeof bits);
    }
    memcpy(writer->head.magic, EFFPACK_MAGIC, 8);
    writer->head.version = 1;
    writer->head.fingerprint = (uint64_t)high << 32 | low;
    writer->head.side = options->side;
    writer->head.quality = options->quality;
    writer->head.classes = (uint32_t)numbers[2];
    writer->head.classes_named = first->classes_named;
}

/* ---- records ---- */

/* A record that stands at writer->at goes into the table, or is told as skipped. */
static effnet_status enter(Writer *writer, const EffpackRecord *record, const char *name, const uint8_t *payload,
                           effnet_error *err) {
    size_t before = round_up(sizeof *record + record->name_size, EFFPACK_ALIGNMENT);
    if (record->format == EFFPACK_SKIPPED) {
        char why[600];
        snprintf(why, sizeof why, "%.*s", (int)record->size, (const char *)payload);
        writer->result->skipped++;
        if (writer->options->skipped) writer->options->skipped(writer->options->context, why);
    } else {
        const EffpackEntry entry = {.payload = (uint64_t)writer->at + before,
                                    .name = writer->texts.size,
                                    .size = record->size,
                                    .payload_sum = record->payload_sum,
                                    .splits = record->splits,
                                    .format = record->format,
                                    .label = record->label,
                                    .height = record->height,
                                    .width = record->width,
                                    .orientation = record->orientation};
        TRY(append(&writer->entries, &entry, sizeof entry, err));
        TRY(append(&writer->texts, name, record->name_size, err));
        TRY(append(&writer->texts, "", 1, err));
        writer->result->pictures++;
    }
    writer->at += (int64_t)(before + round_up(record->size, EFFPACK_ALIGNMENT));
    writer->next++;
    return EFFNET_OK;
}

/* A picture's own fault, or the machine's? */
static bool may_skip(effnet_status status) {
    return status == EFFNET_ERROR_IO || status == EFFNET_ERROR_FORMAT || status == EFFNET_ERROR_UNSUPPORTED;
}

static effnet_status make_record(const Writer *writer, Packer *packer, int64_t number, Made *made) {
    EffpackRecord *record = &made->record;
    effnet_error *err = &made->err;
    char path[2 * SOURCE_PATH_BYTES];
    const uint8_t *payload;
    int64_t index;
    *record = (EffpackRecord){.magic = EFFPACK_RECORD_MAGIC, .number = (uint64_t)number};
    const Dataset *dataset = split_of(writer, number, &index, &record->splits);
    dataset_describe(dataset, index, path, sizeof path);
    record->label = dataset_label(dataset, index);
    effnet_status status = pack_picture(packer, dataset, index, writer->options->side, writer->options->quality, record,
                                        &payload, &made->kept, err);
    if (status != EFFNET_OK && !may_skip(status)) return status;
    if (status != EFFNET_OK) {
        record->format = EFFPACK_SKIPPED;
        record->height = record->width = record->orientation = 0;
        record->size = (uint32_t)strlen(err->message);
        payload = (const uint8_t *)err->message;
    }
    record->name_size = (uint32_t)strnlen(path, EFFPACK_NAME_LIMIT - 1);
    record->payload_sum = crc32c(0, payload, record->size);
    record->sum = effpack_record_sum(record, path);
    made->bytes.size = 0;
    TRY(append(&made->bytes, record, sizeof *record, err));
    TRY(append(&made->bytes, path, record->name_size, err));
    TRY(align(&made->bytes, err));
    TRY(append(&made->bytes, payload, record->size, err));
    return align(&made->bytes, err);
}

static void make_task(void *context, int task, int thread) {
    Writer *writer = context;
    Made *made = &writer->made[task];
    made->status = make_record(writer, &writer->packers[thread], writer->next + task, made);
}

/* ---- going on ---- */

/* Whether the bytes before `end` that fill up to the alignment are the zeros that they were written as: no checksum has
 * them. */
static bool padding_is_zero(const Writer *writer, int64_t begin, int64_t end) {
    uint8_t bytes[EFFPACK_ALIGNMENT];
    const size_t count = (size_t)(end - begin);
    if (pread(writer->descriptor, bytes, count, begin) != (ssize_t)count) return false;
    for (size_t i = 0; i < count; i++)
        if (bytes[i]) return false;
    return true;
}

/* The record at `at`; false where there is no whole one. */
static bool read_record(const Writer *writer, int64_t at, int64_t length, EffpackRecord *record, char *name,
                        Bytes *payload) {
    size_t head = sizeof *record;
    if (length - at < (int64_t)head || pread(writer->descriptor, record, head, at) != (ssize_t)head) return false;
    if (record->magic != EFFPACK_RECORD_MAGIC || record->number != (uint64_t)writer->next ||
        record->name_size >= EFFPACK_NAME_LIMIT)
        return false;
    if (pread(writer->descriptor, name, record->name_size, at + (int64_t)head) != (ssize_t)record->name_size)
        return false;
    if (record->sum != effpack_record_sum(record, name)) return false;
    int64_t begin = at + (int64_t)round_up(head + record->name_size, EFFPACK_ALIGNMENT);
    int64_t end = begin + (int64_t)round_up(record->size, EFFPACK_ALIGNMENT);
    if (end > length || !padding_is_zero(writer, at + (int64_t)(head + record->name_size), begin) ||
        !padding_is_zero(writer, begin + record->size, end))
        return false;
    payload->size = 0;
    if (record->size > payload->capacity) {
        uint8_t *larger = realloc(payload->data, record->size);
        if (!larger) return false;
        payload->data = larger;
        payload->capacity = record->size;
    }
    if (record->size && pread(writer->descriptor, payload->data, record->size, begin) != (ssize_t)record->size)
        return false;
    return crc32c(0, payload->data, record->size) == record->payload_sum;
}

/* Opens OUT.part and locks it while it is written. What another process finished between our opening and our lock is
 * not OUT.part any more: then there is a pack, and nothing to write. */
static effnet_status lock_part(Writer *writer, struct stat *status, effnet_error *err) {
    struct stat named;
    writer->descriptor = open(writer->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (writer->descriptor < 0 || fstat(writer->descriptor, status) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", writer->part, strerror(errno));
    bool locked = flock(writer->descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    bool ours = stat(writer->part, &named) == 0 && named.st_ino == status->st_ino && named.st_dev == status->st_dev;
    if (!locked || !ours)
        return fail(err, EFFNET_ERROR_IO, "another process is packing into '%s'; wait for it, or name another",
                    writer->options->path);
    if (path_exists(writer->options->path)) {
        if (status->st_size == 0) unlink(writer->part); /* made by ourselves a moment ago */
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' is already there; remove it, or name another",
                    writer->options->path);
    }
    if (fstat(writer->descriptor, status) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", writer->part, strerror(errno));
    return EFFNET_OK;
}

static effnet_status open_part(Writer *writer, effnet_error *err) {
    EffpackHead head = {0};
    struct stat status;
    TRY(lock_part(writer, &status, err));
    writer->at = sizeof head;
    bool whole = status.st_size >= (int64_t)sizeof head &&
                 pread(writer->descriptor, &head, sizeof head, 0) == (ssize_t)sizeof head &&
                 memcmp(head.magic, EFFPACK_MAGIC, 8) == 0 && head.sum == effpack_head_sum(&head);
    if (whole && head.fingerprint != writer->head.fingerprint)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "'%s' was begun from another source or with other options; finish that, or remove it",
                    writer->part);
    static const EffpackHead unwritten; /* stopped between making the file and writing its head */
    bool begun = status.st_size == (int64_t)sizeof head && memcmp(&head, &unwritten, sizeof head) == 0;
    if (!whole && !begun && status.st_size >= (int64_t)sizeof head)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is there and is no effpack that was stopped; remove it",
                    writer->part);
    if (whole) {
        EffpackRecord record;
        char name[EFFPACK_NAME_LIMIT];
        Bytes payload = {0};
        effnet_status entered = EFFNET_OK;
        while (entered == EFFNET_OK && writer->next < writer->pictures &&
               read_record(writer, writer->at, status.st_size, &record, name, &payload))
            entered = enter(writer, &record, name, payload.data, err);
        free(payload.data);
        TRY(entered);
        writer->result->resumed = writer->next;
    }
    if (ftruncate(writer->descriptor, writer->at) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", writer->part, strerror(errno));
    writer->head.sum = effpack_head_sum(&writer->head);
    return write_at(writer, 0, &writer->head, sizeof writer->head, err);
}

/* ---- writing ---- */

static effnet_status tell(Writer *writer, bool last, effnet_error *err) {
    double now = clock_seconds();
    const PackOptions *options = writer->options;
    if (!options->progress || (!last && writer->told > 0 && now - writer->told < 0.5)) return EFFNET_OK;
    writer->told = now;
    if (!options->progress(options->context, writer->next, writer->pictures, writer->at) || last) return EFFNET_OK;
    return fail(err, EFFNET_INTERRUPTED, "stopped after %lld of %lld pictures; the same command goes on from there",
                (long long)writer->next, (long long)writer->pictures);
}

static effnet_status write_records(Writer *writer, effnet_error *err) {
    while (writer->next < writer->pictures) {
        int64_t left = writer->pictures - writer->next;
        int count = left < writer->round ? (int)left : writer->round;
        thread_team_run(writer->team, make_task, writer, count);
        for (int i = 0; i < count; i++) {
            Made *made = &writer->made[i];
            if (made->status != EFFNET_OK) return fail(err, made->status, "%s", made->err.message);
            TRY(write_at(writer, writer->at, made->bytes.data, made->bytes.size, err));
            const EffpackRecord *record = &made->record;
            const char *name = (const char *)made->bytes.data + sizeof *record;
            const uint8_t *payload = made->bytes.data + round_up(sizeof *record + record->name_size, EFFPACK_ALIGNMENT);
            if (made->kept) writer->result->kept++;
            TRY(enter(writer, record, name, payload, err));
        }
        TRY(tell(writer, false, err));
    }
    return EFFNET_OK;
}

/* Table, names, head; then the file gets its name. */
static effnet_status finish(Writer *writer, effnet_error *err) {
    EffpackHead *head = &writer->head;
    const Dataset *first = writer->splits[0] ? writer->splits[0] : writer->splits[1];
    if (!writer->result->pictures)
        return fail(err, EFFNET_ERROR_FORMAT, "none of the %lld pictures of '%s' can be read",
                    (long long)writer->pictures, writer->options->source);
    head->class_texts = writer->texts.size;
    for (uint32_t i = 0; i < head->classes; i++) {
        const char *name = dataset_class_name(first, (int)i);
        TRY(append(&writer->texts, name, strlen(name) + 1, err));
    }
    head->complete = 1;
    head->pictures = (uint64_t)writer->result->pictures;
    head->skipped = (uint64_t)writer->result->skipped;
    head->table = (uint64_t)writer->at;
    head->texts = head->table + writer->entries.size;
    head->end = head->texts + writer->texts.size;
    head->table_sum =
        crc32c(crc32c(0, writer->entries.data, writer->entries.size), writer->texts.data, writer->texts.size);
    head->sum = effpack_head_sum(head);
    TRY(write_at(writer, (int64_t)head->table, writer->entries.data, writer->entries.size, err));
    TRY(write_at(writer, (int64_t)head->texts, writer->texts.data, writer->texts.size, err));
    TRY(write_at(writer, 0, head, sizeof *head, err));
    if (!descriptor_sync(writer->descriptor) || !file_rename(writer->part, writer->options->path))
        return fail(err, EFFNET_ERROR_IO, "cannot finish '%s': %s", writer->options->path, strerror(errno));
    writer->result->bytes = (int64_t)head->end;
    return tell(writer, true, err);
}

static effnet_status prepare(Writer *writer, effnet_error *err) {
    const PackOptions *options = writer->options;
    if (options->side != 0 && (options->side < LEAST_SIDE || options->side > PICTURE_MAX_SIDE))
        return fail(err, EFFNET_ERROR_ARGUMENT, "size is %d; allowed: 0, or %d to %d", options->side, (int)LEAST_SIDE,
                    (int)PICTURE_MAX_SIDE);
    if (options->quality < 0 || options->quality > 100)
        return fail(err, EFFNET_ERROR_ARGUMENT, "quality is %d; allowed: 0 (pixels) to 100", options->quality);
    if (path_exists(options->path))
        return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' is already there; remove it, or name another", options->path);
    if ((size_t)snprintf(writer->part, sizeof writer->part, "%s.part", options->path) >= sizeof writer->part)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", options->path);
    TRY(open_source(writer, err));
    describe_source(writer);
    for (int i = 0; i < 2 && options->remark; i++)
        for (int remark = 0; writer->splits[i] && dataset_remark(writer->splits[i], remark); remark++)
            options->remark(options->context, dataset_remark(writer->splits[i], remark));
    for (int i = 0; i < 2; i++)
        for (int loss = 0; writer->splits[i] && loss < dataset_lost(writer->splits[i]); loss++) {
            const char *why = dataset_loss(writer->splits[i], loss);
            writer->result->skipped++;
            if (why && options->skipped) options->skipped(options->context, why);
        }
    TRY(open_part(writer, err));
    TRY(thread_team_create(options->workers, &writer->team, err));
    writer->threads = thread_team_size(writer->team);
    writer->round = ROUND_EACH * writer->threads;
    writer->packers = calloc((size_t)writer->threads, sizeof *writer->packers);
    writer->made = calloc((size_t)writer->round, sizeof *writer->made);
    return writer->packers && writer->made ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory to pack pictures");
}

effnet_status pack_write(const PackOptions *options, PackResult *out, effnet_error *err) {
    *out = (PackResult){0};
    Writer *writer = calloc(1, sizeof *writer);
    if (!writer) return fail(err, EFFNET_ERROR_MEMORY, "no memory to pack pictures");
    writer->options = options;
    writer->result = out;
    writer->descriptor = -1;
    effnet_status status = prepare(writer, err);
    if (status == EFFNET_OK) status = write_records(writer, err);
    if (status == EFFNET_OK) status = finish(writer, err);
    if (writer->descriptor >= 0) close(writer->descriptor);
    for (int i = 0; writer->packers && i < writer->threads; i++) packer_release(&writer->packers[i]);
    for (int i = 0; writer->made && i < writer->round; i++) free(writer->made[i].bytes.data);
    free(writer->packers);
    free(writer->made);
    free(writer->entries.data);
    free(writer->texts.data);
    thread_team_free(writer->team);
    dataset_free(writer->splits[0]);
    dataset_free(writer->splits[1]);
    free(writer);
    return status;
}
