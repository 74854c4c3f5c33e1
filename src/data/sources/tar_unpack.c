/* tar_unpack.c - see tar_unpack.h. A gzip file may be several streams one after the other (pigz, bgzip, cat), and zeros
 * behind the last are padding, as gzip(1) has it. */
#include "data/sources/tar_unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PACKED = 32 << 10, UNPACKED = 64 << 10 };

struct TarUnpack {
    int descriptor;
    const char *path;
    int64_t at, end; /* of the file: what is still packed */
    bool gzip, ended;
    const char *wrong; /* what is wrong with the gzip data behind what was given; NULL: nothing */
    z_stream stream;
    struct archive *archive; /* of the other kinds */
    uint8_t packed[PACKED], unpacked[UNPACKED];
};

/* The next packed bytes; *size 0 at the end. */
static effnet_status read_packed(TarUnpack *unpack, size_t *size, effnet_error *err) {
    int64_t left = unpack->end - unpack->at;
    *size = left < PACKED ? (size_t)left : PACKED;
    if (!*size) return EFFNET_OK;
    TRY(descriptor_read(unpack->descriptor, unpack->path, unpack->at, unpack->packed, *size, err));
    unpack->at += (int64_t)*size;
    return EFFNET_OK;
}

/* ---- gzip ---- */

static effnet_status fill_stream(TarUnpack *unpack, effnet_error *err) {
    size_t size;
    TRY(read_packed(unpack, &size, err));
    unpack->stream.next_in = unpack->packed;
    unpack->stream.avail_in = (uInt)size;
    return EFFNET_OK;
}

/* Behind a stream: another one, zeros to the end, or nothing. */
static effnet_status next_stream(TarUnpack *unpack, effnet_error *err) {
    z_stream *stream = &unpack->stream;
    for (;;) {
        if (!stream->avail_in) TRY(fill_stream(unpack, err));
        unpack->ended = !stream->avail_in;
        if (unpack->ended) return EFFNET_OK;
        if (*stream->next_in) break;
        stream->next_in++;
        stream->avail_in--;
    }
    if (*stream->next_in == 0x1f && inflateReset(stream) == Z_OK) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' has something else behind its gzip data: it is damaged", unpack->path);
}

static effnet_status next_of_gzip(TarUnpack *unpack, size_t *size, effnet_error *err) {
    z_stream *stream = &unpack->stream;
    stream->next_out = unpack->unpacked;
    stream->avail_out = UNPACKED;
    while (stream->avail_out == UNPACKED && !unpack->ended) {
        if (unpack->wrong)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is damaged: its gzip data are wrong (%s)", unpack->path,
                        unpack->wrong);
        if (!stream->avail_in) TRY(fill_stream(unpack, err));
        if (!stream->avail_in)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is truncated: its gzip data have no end", unpack->path);
        int code = inflate(stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            TRY(next_stream(unpack, err));
        else if (code == Z_MEM_ERROR)
            return fail(err, EFFNET_ERROR_MEMORY, "no memory to unpack '%s'", unpack->path);
        else if (code != Z_OK)
            unpack->wrong = stream->msg ? stream->msg : "no such code"; /* told when what came before is given out */
    }
    *size = UNPACKED - stream->avail_out;
    return EFFNET_OK;
}

/* ---- zstd, xz, bzip2 ---- */

static la_ssize_t give_packed(struct archive *archive, void *context, const void **bytes) {
    TarUnpack *unpack = context;
    effnet_error err;
    size_t size;
    *bytes = unpack->packed;
    if (read_packed(unpack, &size, &err) == EFFNET_OK) return (la_ssize_t)size;
    archive_set_error(archive, EIO, "%s", err.message);
    return -1;
}

static effnet_status damaged(const TarUnpack *unpack, effnet_error *err) {
    const char *text = archive_error_string(unpack->archive);
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is damaged or truncated: %s", unpack->path,
                text ? text : "it ends early");
}

static effnet_status next_of_archive(TarUnpack *unpack, size_t *size, effnet_error *err) {
    la_ssize_t got;
    do got = archive_read_data(unpack->archive, unpack->unpacked, UNPACKED);
    while (got == ARCHIVE_RETRY || got == ARCHIVE_WARN);
    if (got < 0) return damaged(unpack, err);
    *size = (size_t)got;
    return EFFNET_OK;
}

static effnet_status open_archive(TarUnpack *unpack, effnet_error *err) {
    struct archive_entry *entry;
    struct archive *archive = unpack->archive = archive_read_new();
    if (!archive) return fail(err, EFFNET_ERROR_MEMORY, "no memory to unpack '%s'", unpack->path);
    archive_read_support_format_raw(archive);
    archive_read_support_filter_zstd(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_set_read_callback(archive, give_packed);
    archive_read_set_callback_data(archive, unpack);
    if (archive_read_open1(archive) != ARCHIVE_OK) return damaged(unpack, err);
    return archive_read_next_header(archive, &entry) == ARCHIVE_OK ? EFFNET_OK : damaged(unpack, err);
}

/* ---- all ---- */

typedef enum Packing { PLAIN, GZIP, OTHER } Packing;

static Packing packing_of(const uint8_t *bytes, size_t size) {
    if (size < 6) return PLAIN;
    if (bytes[0] == 0x1f && bytes[1] == 0x8b) return GZIP;
    bool skippable = (bytes[0] & 0xf0) == 0x50 && memcmp(bytes + 1, "\x2a\x4d\x18", 3) == 0; /* zstd's, before others */
    return skippable || memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0 || memcmp(bytes, "\xfd\x37zXZ", 6) == 0 ||
                   memcmp(bytes, "BZh", 3) == 0
               ? OTHER
               : PLAIN;
}

effnet_status tar_unpack_open(int descriptor, const char *path, int64_t begin, int64_t length, TarUnpack **out,
                              effnet_error *err) {
    uint8_t first[6];
    size_t size = length < 6 ? (size_t)(length < 0 ? 0 : length) : 6;
    *out = NULL;
    if (size) TRY(descriptor_read(descriptor, path, begin, first, size, err));
    Packing packing = packing_of(first, size);
    if (packing == PLAIN) return EFFNET_OK;
    TarUnpack *unpack = calloc(1, sizeof *unpack);
    if (!unpack) return fail(err, EFFNET_ERROR_MEMORY, "no memory to unpack '%s'", path);
    unpack->descriptor = descriptor;
    unpack->path = path;
    unpack->at = begin;
    unpack->end = begin + length;
    unpack->gzip = packing == GZIP && inflateInit2(&unpack->stream, 15 + 16) == Z_OK; /* gzip's frame alone */
    effnet_status status = EFFNET_OK;
    if (packing == GZIP && !unpack->gzip) status = fail(err, EFFNET_ERROR_MEMORY, "no memory to unpack '%s'", path);
    if (packing == OTHER) status = open_archive(unpack, err);
    if (status != EFFNET_OK) {
        tar_unpack_close(unpack);
        return status;
    }
    *out = unpack;
    return EFFNET_OK;
}

void tar_unpack_close(TarUnpack *unpack) {
    if (!unpack) return;
    if (unpack->gzip) inflateEnd(&unpack->stream);
    if (unpack->archive) archive_read_free(unpack->archive);
    free(unpack);
}

effnet_status tar_unpack_next(TarUnpack *unpack, const void **bytes, size_t *size, effnet_error *err) {
    *bytes = unpack->unpacked;
    *size = 0;
    return unpack->gzip ? next_of_gzip(unpack, size, err) : next_of_archive(unpack, size, err);
}
