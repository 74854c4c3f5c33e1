/* hub_fetch.c - see hub.h. For each file: the hub is asked for its size and checksum; what the cache has is taken; what it
 * has not is fetched beside, from where an earlier try ended, held against both, and renamed. */
#include "hub/hub.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/sha1.h"
#include "hub/hub_session.h"
#include "hub/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The largest EfficientNet, L2, has 1.9 GB; a config.json with 100,000 names 4 MB. */
#define MOST_WEIGHTS ((int64_t)8 << 30)
enum { MOST_CONFIG = 16 << 20, MOST_TRIES = 20, CHUNK = 1 << 16, MOST_SHA1 = 64 << 20 };

typedef struct Fetch {
    const HubOptions *options;
    HubSession session;
    HubCache cache;
    char repository[2 * HUB_WORD + 4];
    char commit[HUB_WORD];
} Fetch;

static void note(const Fetch *fetch, const char *sentence) {
    if (fetch->options->note) fetch->options->note(fetch->options->context, sentence);
}

static void note_waiting(void *context) {
    const Fetch *fetch = context;
    char text[600];
    snprintf(text, sizeof text, "another process is fetching %s; waiting for it", fetch->repository);
    note(fetch, text);
}

/* ---- one transfer ---- */

typedef struct Arrival {
    const Fetch *fetch;
    const char *file;
    int descriptor;
    int64_t begin, have, total, here; /* where the request began; bytes in the file; all; there at first */
    double started;
    bool checked; /* that what comes is what was asked for */
    effnet_error *err;
    effnet_status status;
} Arrival;

static void show(const Arrival *arrival, bool ended) {
    const HubOptions *options = arrival->fetch->options;
    if (!options->progress) return;
    const HubProgress progress = {.repository = arrival->fetch->repository,
                                  .file = arrival->file,
                                  .done = arrival->have,
                                  .total = arrival->total,
                                  .here = arrival->here,
                                  .seconds = clock_seconds() - arrival->started,
                                  .ended = ended};
    options->progress(options->context, &progress);
}

/* A server may send the whole file where a part was asked for: then it begins anew. */
static bool check_begin(Arrival *arrival, const HttpAnswer *answer) {
    arrival->checked = true;
    if (answer->status == 206 && answer->begin == arrival->begin) return true;
    if (answer->status == 206) {
        arrival->status = fail(
            arrival->err, EFFNET_ERROR_IO, "%s: the server sends '%s' from byte %lld, asked for %lld; try again later",
            arrival->fetch->repository, arrival->file, (long long)answer->begin, (long long)arrival->begin);
        return false;
    }
    arrival->have = arrival->here = 0;
    if (ftruncate(arrival->descriptor, 0) == 0) return true;
    arrival->status = fail(arrival->err, EFFNET_ERROR_IO, "cannot write '%s': %s", arrival->file, strerror(errno));
    return false;
}

static bool arrive(void *context, const HttpAnswer *answer, const void *bytes, size_t size) {
    Arrival *arrival = context;
    const char *from = bytes;
    if (!arrival->checked && !check_begin(arrival, answer)) return false;
    if (size > (uint64_t)(arrival->total - arrival->have)) {
        arrival->status = fail(arrival->err, EFFNET_ERROR_IO,
                               "%s: more than the %lld bytes come that '%s' should have; nothing of it is kept",
                               arrival->fetch->repository, (long long)arrival->total, arrival->file);
        if (ftruncate(arrival->descriptor, 0) == 0) arrival->have = 0;
        return false;
    }
    while (size > 0) {
        ssize_t wrote = pwrite(arrival->descriptor, from, size, (off_t)arrival->have);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) {
            arrival->status = fail(arrival->err, EFFNET_ERROR_IO, "cannot write '%s' into the cache '%s': %s",
                                   arrival->file, arrival->fetch->cache.root, strerror(errno));
            return false;
        }
        from += wrote;
        size -= (size_t)wrote;
        arrival->have += wrote;
    }
    show(arrival, false);
    return true;
}

/* Until all bytes are there: a transfer that ends before goes on where it ended, a few times in a row without any byte. */
static effnet_status transfer(Arrival *arrival, effnet_error *err) {
    const Fetch *fetch = arrival->fetch;
    for (int tries = 0, idle = 0; arrival->have < arrival->total; tries++) {
        HttpAnswer answer;
        effnet_error first;
        const int64_t before = arrival->have;
        arrival->begin = before;
        arrival->checked = before == 0;
        arrival->status = EFFNET_OK;
        effnet_status status =
            hub_session_get(&fetch->session, fetch->commit, arrival->file, before, arrive, arrival, &answer, &first);
        if (arrival->status != EFFNET_OK) return arrival->status;
        if (status == EFFNET_OK && arrival->have == arrival->total) break;
        if (answer.status == 416) { /* nothing from there on, it says: what is here is another file's */
            if (ftruncate(arrival->descriptor, 0) == 0) arrival->have = arrival->here = 0;
            answer.broken = true;
        }
        if (status ==
            EFFNET_OK) { /* ended too soon, and said so with Content-Length: a lie, or a server that gave up */
            answer.broken = true;
            fail(&first, EFFNET_ERROR_IO, "'%s' ends after %lld of its %lld bytes", arrival->file,
                 (long long)arrival->have, (long long)arrival->total);
        }
        idle = arrival->have > before ? 0 : idle + 1;
        if (tries + 1 < MOST_TRIES && hub_session_wait(&answer, idle > 0 ? idle - 1 : 0)) continue;
        return fail(err, EFFNET_ERROR_IO, "%s: %s; %lld bytes are kept, the next try goes on from there",
                    fetch->repository, first.message, (long long)arrival->have);
    }
    return EFFNET_OK;
}

/* ---- checksums ---- */

static void digest_text(const uint8_t *digest, int bytes, char *out) {
    for (int i = 0; i < bytes; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static effnet_status sum_sha256(const char *path, char out[65], effnet_error *err) {
    uint8_t digest[32], *chunk = malloc(CHUNK);
    FILE *stream = fopen(path, "rb");
    Sha256 sum;
    sha256_begin(&sum);
    for (size_t got; stream && chunk && (got = fread(chunk, 1, CHUNK, stream)) > 0;) sha256_add(&sum, chunk, got);
    bool good = stream && chunk && !ferror(stream);
    if (stream) fclose(stream);
    free(chunk);
    sha256_end(&sum, digest);
    digest_text(digest, 32, out);
    return good ? EFFNET_OK : fail(err, EFFNET_ERROR_IO, "cannot read '%s': %s", path, strerror(errno));
}

/* Git's name of a file's contents: SHA-1 of "blob SIZE", a zero, and the bytes. */
static effnet_status sum_git(const char *path, char out[65], effnet_error *err) {
    uint8_t digest[20];
    char *bytes, *whole;
    size_t size;
    TRY(file_read(path, MOST_SHA1, &bytes, &size, err));
    whole = malloc(size + 32);
    if (whole) {
        int begin = snprintf(whole, 32, "blob %zu", size) + 1;
        memcpy(whole + begin, bytes, size);
        sha1_digest(whole, (size_t)begin + size, digest);
    }
    free(bytes);
    free(whole);
    if (!whole) return fail(err, EFFNET_ERROR_MEMORY, "no memory to check '%s'", path);
    digest_text(digest, 20, out);
    return EFFNET_OK;
}

static bool is_hexadecimal(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static effnet_status verify(const Fetch *fetch, const char *file, const char *path, const char *checksum,
                            effnet_error *err) {
    char found[65];
    const bool sha256 = is_hexadecimal(checksum, 64);
    TRY(sha256 ? sum_sha256(path, found, err) : sum_git(path, found, err));
    if (strcmp(found, checksum) == 0) return EFFNET_OK;
    unlink(path);
    return fail(err, EFFNET_ERROR_FORMAT,
                "%s: what came as '%s' has the %s %s, and the hub says %s: it was thrown away; try again",
                fetch->repository, file, sha256 ? "sha256" : "Git checksum", found, checksum);
}

/* ---- one file ---- */

/* The checksum without quotes and "W/". */
static bool take_checksum(const HttpAnswer *answer, char out[HUB_WORD]) {
    const char *text = *answer->linked_etag ? answer->linked_etag : answer->etag;
    if (strncmp(text, "W/", 2) == 0) text += 2;
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '"' && text[length - 1] == '"') text++, length -= 2;
    snprintf(out, HUB_WORD, "%.*s", (int)length, text);
    return is_hexadecimal(out, 64) || is_hexadecimal(out, 40);
}

static bool has_size(const char *path, int64_t size) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == size;
}

static effnet_status fetch_blob(const Fetch *fetch, const char *file, const char *checksum, int64_t size,
                                const char *blob, effnet_error *err) {
    char partial[HUB_PATH];
    struct stat status;
    TRY(hub_cache_blob(&fetch->cache, checksum, ".incomplete", partial, sizeof partial, err));
    int descriptor = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        if (descriptor >= 0) close(descriptor);
        return fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", partial, strerror(errno));
    }
    Arrival arrival = {.fetch = fetch,
                       .file = file,
                       .descriptor = descriptor,
                       .have = status.st_size,
                       .total = size,
                       .started = clock_seconds(),
                       .err = err};
    if (arrival.have > size) arrival.have = ftruncate(descriptor, 0) == 0 ? 0 : size;
    arrival.here = arrival.have;
    effnet_status done = transfer(&arrival, err);
    if (done == EFFNET_OK && !descriptor_sync(descriptor))
        done = fail(err, EFFNET_ERROR_IO, "cannot sync '%s': %s", partial, strerror(errno));
    show(&arrival, true);
    close(descriptor);
    if (done == EFFNET_OK) done = verify(fetch, file, partial, checksum, err);
    if (done == EFFNET_OK && !file_rename(partial, blob))
        done = fail(err, EFFNET_ERROR_IO, "cannot rename '%s': %s", partial, strerror(errno));
    return done;
}

/* The file into the cache; *absent (may be NULL) where the model has none such. The first file finds out the commit, of
 * which the others are. */
static effnet_status fetch_file(Fetch *fetch, const char *file, int64_t most, bool *absent, effnet_error *err) {
    HttpAnswer answer;
    char checksum[HUB_WORD], blob[HUB_PATH];
    int lock;
    TRY(hub_session_ask(&fetch->session, *fetch->commit ? fetch->commit : fetch->cache.revision, file, &answer, absent,
                        err));
    if (absent && *absent) return EFFNET_OK;
    const int64_t size = answer.linked_size >= 0 ? answer.linked_size : answer.length;
    if (!take_checksum(&answer, checksum))
        return fail(err, EFFNET_ERROR_FORMAT,
                    "%s: the server says no checksum of '%s' ('%.80s'); is HF_ENDPOINT a hub?", fetch->repository, file,
                    *answer.linked_etag ? answer.linked_etag : answer.etag);
    if (!hub_is_commit(answer.commit) || (*fetch->commit && strcmp(answer.commit, fetch->commit) != 0))
        return fail(err, EFFNET_ERROR_FORMAT,
                    "%s: the server does not say of which commit '%s' is; is HF_ENDPOINT a hub?", fetch->repository,
                    file);
    if (size < 1 || size > most)
        return fail(err, EFFNET_ERROR_FORMAT, "%s: '%s' would have %lld bytes; allowed: 1 to %lld", fetch->repository,
                    file, (long long)size, (long long)most);
    memcpy(fetch->commit, answer.commit, sizeof fetch->commit);
    TRY(hub_cache_blob(&fetch->cache, checksum, "", blob, sizeof blob, err));
    if (!has_size(blob, size)) {
        TRY(hub_cache_lock(&fetch->cache, checksum, note_waiting, fetch, &lock, err));
        effnet_status status = EFFNET_OK;
        if (!has_size(blob, size)) status = fetch_blob(fetch, file, checksum, size, blob, err);
        close(lock);
        TRY(status);
    }
    return hub_cache_link(&fetch->cache, fetch->commit, file, checksum, err);
}

/* ---- a model ---- */

static const char *const weight_files[] = {"model.safetensors", "pytorch_model.bin", NULL};

static bool find_cached(const Fetch *fetch, char *path, size_t size) {
    char commit[HUB_WORD];
    if (!hub_cache_commit(&fetch->cache, commit)) return false;
    for (int i = 0; weight_files[i]; i++)
        if (hub_cache_file(&fetch->cache, commit, weight_files[i], path, size)) return true;
    return false;
}

static effnet_status fetch_model(Fetch *fetch, char *path, size_t size, effnet_error *err) {
    bool absent = true;
    int i = 0;
    for (; absent; i++)
        TRY(fetch_file(fetch, weight_files[i], MOST_WEIGHTS, weight_files[i + 1] ? &absent : (absent = false, NULL),
                       err));
    TRY(fetch_file(fetch, "config.json", MOST_CONFIG, &absent, err));
    TRY(hub_cache_note_commit(&fetch->cache, fetch->commit, err));
    if (hub_cache_file(&fetch->cache, fetch->commit, weight_files[i - 1], path, size)) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "%s is not where it was put in the cache '%s'; is it being emptied?",
                fetch->repository, fetch->cache.root);
}

static bool is_offline(const HubOptions *options) {
    static const char *const yes[] = {"1", "true", "TRUE", "True", "yes", "YES", "on", "ON"};
    const char *text = getenv("HF_HUB_OFFLINE");
    bool offline = options->offline;
    for (size_t i = 0; text && i < sizeof yes / sizeof *yes; i++) offline |= strcmp(text, yes[i]) == 0;
    return offline;
}

bool hub_is_name(const char *text) {
    HubName name;
    return hub_name_parse(text, &name);
}

effnet_status hub_weights(const char *name, const HubOptions *options, char *path, size_t size, effnet_error *err) {
    Fetch fetch = {.options = options};
    HubName parsed;
    if (!hub_name_parse(name, &parsed))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "'%.100s' is no name of a model; wanted OWNER/NAME, as "
                    "timm/tf_efficientnet_b0.in1k",
                    name);
    snprintf(fetch.repository, sizeof fetch.repository, "%s/%s", parsed.owner, parsed.name);
    TRY(hub_cache_find(&parsed, &fetch.cache, err));
    const bool cached = find_cached(&fetch, path, size);
    /* A commit never changes */
    if (cached && (is_offline(options) || hub_is_commit(parsed.revision))) return EFFNET_OK;
    if (is_offline(options))
        return fail(err, EFFNET_ERROR_IO,
                    "%s is not in the cache '%s', and the network is not to be used (HF_HUB_OFFLINE or --offline)",
                    fetch.repository, fetch.cache.root);
    if (cached && !http_is_there()) return EFFNET_OK;
    TRY(hub_session_begin(&parsed, &fetch.session, err));
    effnet_error first;
    effnet_status status = fetch_model(&fetch, path, size, &first);
    if (status == EFFNET_OK) return EFFNET_OK;
    if (cached && !*fetch.commit && find_cached(&fetch, path, size)) { /* nobody answered */
        char text[sizeof first.message + 100];
        snprintf(text, sizeof text, "%s; the copy in the cache is taken", first.message);
        note(&fetch, text);
        return EFFNET_OK;
    }
    if (err) *err = first;
    return status;
}
