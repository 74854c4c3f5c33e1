/* tar_stream.c - see tar_stream.h.
 *
 * A few shards are open at a time, each at some member. To deliver a picture, a shard is unpacked up to it, and the
 * pictures on the way are held until they are asked for, up to HELD_BYTES; beyond that the oldest is let go. One that
 * was let go, or stands before where its shard is open, costs unpacking that shard from its beginning again: slow, and
 * right. With the order of tar_stream_order, at most a block and what the loader makes ahead is held. */
#include "data/sources/tar_stream.h"
#include "data/sources/tar_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_SHARDS = 4, HELD_BYTES = 512 << 20 };

typedef struct OpenShard {
    TarReader *reader; /* NULL: free */
    int file;
    int64_t member; /* number of the next member in the tar */
    int64_t next;   /* picture of the data set that comes next */
    uint64_t used;  /* when it was used last */
} OpenShard;

struct TarStream {
    const ShardSource *source;
    pthread_mutex_t mutex;
    OpenShard shards[OPEN_SHARDS];
    uint8_t **held;  /* (pictures) bytes or NULL */
    uint32_t *queue; /* ring of (pictures): held ones, the oldest first; some may have been taken already */
    int64_t first, waiting;
    size_t held_bytes;
    uint64_t clock;
};

effnet_status tar_stream_create(const ShardSource *source, TarStream **out, effnet_error *err) {
    size_t pictures = (size_t)source->dataset.size;
    TarStream *stream = calloc(1, sizeof *stream);
    *out = stream;
    if (!stream) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read tars");
    pthread_mutex_init(&stream->mutex, NULL);
    stream->source = source;
    stream->held = calloc(pictures, sizeof *stream->held);
    stream->queue = calloc(pictures, sizeof *stream->queue);
    if (stream->held && stream->queue) return EFFNET_OK;
    tar_stream_free(stream);
    *out = NULL;
    return fail(err, EFFNET_ERROR_MEMORY, "no memory for the state of %zu pictures", pictures);
}

void tar_stream_free(TarStream *stream) {
    if (!stream) return;
    for (int i = 0; i < OPEN_SHARDS; i++) tar_reader_close(stream->shards[i].reader);
    for (int64_t i = 0; stream->held && i < stream->source->dataset.size; i++) free(stream->held[i]);
    free(stream->held);
    free(stream->queue);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

/* ---- what is held ---- */

static uint8_t *take(TarStream *stream, int64_t index) {
    uint8_t *bytes = stream->held[index];
    if (bytes) stream->held_bytes -= stream->source->members[index].size;
    stream->held[index] = NULL;
    return bytes;
}

/* Frees the oldest; returns false where nothing is held. */
static bool let_go(TarStream *stream) {
    if (!stream->waiting) return false;
    free(take(stream, stream->queue[stream->first]));
    stream->first = stream->first + 1 < stream->source->dataset.size ? stream->first + 1 : 0;
    stream->waiting--;
    return true;
}

static void hold(TarStream *stream, int64_t index, uint8_t *bytes) {
    int64_t pictures = stream->source->dataset.size;
    free(take(stream, index));
    /* Those taken leave their places in the ring behind; it must have room. */
    while (stream->waiting && (stream->waiting == pictures || !stream->held[stream->queue[stream->first]]))
        let_go(stream);
    stream->queue[(stream->first + stream->waiting++) % pictures] = (uint32_t)index;
    stream->held[index] = bytes;
    stream->held_bytes += stream->source->members[index].size;
    while (stream->held_bytes > HELD_BYTES && let_go(stream)) {
    }
}

/* ---- shards ---- */

/* The first picture of a file, by halving. */
static int64_t first_of_file(const ShardSource *source, int file) {
    int64_t low = 0, high = source->dataset.size;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (source->members[middle].file < file)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A shard of the file that has not passed `index` yet. */
static effnet_status find_shard(TarStream *stream, int64_t index, OpenShard **out, effnet_error *err) {
    const Member *member = &stream->source->members[index];
    OpenShard *chosen = &stream->shards[0];
    for (int i = 0; i < OPEN_SHARDS; i++) {
        OpenShard *shard = &stream->shards[i];
        if (shard->reader && shard->file == member->file && shard->next <= index) {
            *out = shard;
            return EFFNET_OK;
        }
        if (shard->used < chosen->used) chosen = shard;
    }
    for (int i = 0; i < OPEN_SHARDS; i++) /* the same file twice would unpack it twice */
        if (stream->shards[i].reader && stream->shards[i].file == member->file) chosen = &stream->shards[i];
    const ShardFile *file = &stream->source->files.files[member->file];
    tar_reader_close(chosen->reader);
    *chosen = (OpenShard){.file = member->file, .next = first_of_file(stream->source, member->file)};
    *out = chosen;
    return tar_reader_open(file, 0, file->size, &chosen->reader, err);
}

/* Unpacks the shard up to picture `index`; *bytes is the caller's. */
static effnet_status unpack_to(TarStream *stream, OpenShard *shard, int64_t index, uint8_t **bytes, effnet_error *err) {
    const ShardSource *source = stream->source;
    for (;;) {
        const char *path;
        int64_t size, number = shard->member++;
        TRY(tar_reader_next(shard->reader, &path, &size, err));
        const Member *member = &source->members[shard->next];
        if (path && number < member->offset) continue;
        if (!path || number > member->offset || size != member->size)
            return fail(err, EFFNET_ERROR_IO, "'%s' was changed since it was opened",
                        source->files.files[shard->file].path);
        uint8_t *content = malloc((size_t)size + 1);
        if (!content)
            return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %lld bytes of '%s'", (long long)size, path);
        effnet_status status = tar_reader_content(shard->reader, content, (size_t)size, err);
        if (status != EFFNET_OK) {
            free(content);
            return status;
        }
        if (shard->next++ == index) {
            *bytes = content;
            return EFFNET_OK;
        }
        hold(stream, shard->next - 1, content);
    }
}

effnet_status tar_stream_fetch(TarStream *stream, int64_t index, Decoder *decoder, effnet_error *err) {
    const Member *member = &stream->source->members[index];
    TRY(decoder_reserve_file(decoder, member->size, "a picture", err));
    pthread_mutex_lock(&stream->mutex);
    uint8_t *bytes = take(stream, index);
    effnet_status status = EFFNET_OK;
    if (!bytes) {
        OpenShard *shard;
        status = find_shard(stream, index, &shard, err);
        if (status == EFFNET_OK) {
            shard->used = ++stream->clock;
            status = unpack_to(stream, shard, index, &bytes, err);
        }
        if (status != EFFNET_OK) { /* nothing can be read after damage */
            tar_reader_close(shard->reader);
            *shard = (OpenShard){0};
        }
    }
    pthread_mutex_unlock(&stream->mutex);
    if (status == EFFNET_OK) memcpy(decoder->file, bytes, member->size);
    free(bytes);
    return status;
}

/* ---- order ---- */

static void shuffle(RandomKey key, uint32_t *items, uint32_t count) {
    for (uint32_t i = count; i > 1; i--) { /* Fisher-Yates */
        uint32_t other = random_below(key, i, i), kept = items[i - 1];
        items[i - 1] = items[other];
        items[other] = kept;
    }
}

void tar_stream_order(const ShardSource *source, RandomKey key, uint32_t *order) {
    uint32_t pictures = (uint32_t)source->dataset.size, used = 0;
    RandomKey file_key = random_fold_in(key, 0), block_key = random_fold_in(key, 1);
    /* Where the files begin that have pictures, shuffled, at the end of `order` itself: each file has at least one
     * picture, so that what is written from the front never reaches a beginning not yet read. */
    uint32_t parts = 0, at = 0;
    while (at < pictures) {
        int32_t file = source->members[at].file;
        order[parts++] = at;
        while (at < pictures && source->members[at].file == file) at++;
    }
    uint32_t *starts = order + (pictures - parts);
    memmove(starts, order, parts * sizeof *starts);
    shuffle(file_key, starts, parts);
    for (uint32_t part = 0; part < parts; part++) {
        at = starts[part];
        int32_t file = source->members[at].file;
        while (at < pictures && source->members[at].file == file) order[used++] = at++;
    }
    for (uint32_t block = 0; block * (uint64_t)TAR_STREAM_BLOCK < pictures; block++) {
        uint32_t begin = block * TAR_STREAM_BLOCK, left = pictures - begin;
        shuffle(random_fold_in(block_key, block), order + begin, left < TAR_STREAM_BLOCK ? left : TAR_STREAM_BLOCK);
    }
}
