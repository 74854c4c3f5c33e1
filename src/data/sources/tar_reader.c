/* tar_reader.c - see tar_reader.h. libarchive reads through callbacks that know no more of the file than the stretch
 * they were given; skipping moves a number, so that an index of a plain tar reads its heads only. A compressed one is
 * unpacked beneath it (tar_unpack.h), to the last byte, where the checksum stands. */
#include "data/sources/tar_reader.h"
#include "data/sources/tar_unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 32 << 10 };

struct TarReader {
    struct archive *archive;
    TarUnpack *unpack; /* NULL: not compressed */
    const ShardFile *file;
    int descriptor;
    int64_t begin, length;
    int64_t at;     /* of the next block, from begin */
    int64_t offset; /* of the latest content, from begin */
    int64_t size;   /* of it */
    bool strange, at_end;
    uint8_t block[BLOCK];
};

static la_ssize_t read_block(struct archive *archive, void *context, const void **bytes) {
    TarReader *reader = context;
    effnet_error err;
    int64_t left = reader->length - reader->at;
    size_t size = left < BLOCK ? (size_t)left : BLOCK;
    *bytes = reader->block;
    if (!size) return 0;
    if (descriptor_read(reader->descriptor, reader->file->path, reader->begin + reader->at, reader->block, size,
                        &err) != EFFNET_OK) {
        archive_set_error(archive, EIO, "%s", err.message);
        return -1;
    }
    reader->at += (int64_t)size;
    return (la_ssize_t)size;
}

static la_ssize_t read_unpacked(struct archive *archive, void *context, const void **bytes) {
    TarReader *reader = context;
    effnet_error err;
    size_t size;
    if (tar_unpack_next(reader->unpack, bytes, &size, &err) == EFFNET_OK) return (la_ssize_t)size;
    archive_set_error(archive, EIO, "%s", err.message);
    return -1;
}

/* What is left behind the tar's end, so that its checksum is seen. */
static effnet_status unpack_rest(TarReader *reader, effnet_error *err) {
    const void *bytes;
    size_t size = 1;
    while (reader->unpack && size) TRY(tar_unpack_next(reader->unpack, &bytes, &size, err));
    return EFFNET_OK;
}

static la_int64_t skip_bytes(struct archive *archive, void *context, la_int64_t wanted) {
    (void)archive;
    TarReader *reader = context;
    int64_t left = reader->length - reader->at, skipped = wanted < left ? wanted : left;
    reader->at += skipped;
    return skipped;
}

/* What libarchive says, in one line. */
static effnet_status damaged(const TarReader *reader, effnet_error *err) {
    const char *text = archive_error_string(reader->archive);
    return fail(err, EFFNET_ERROR_FORMAT, "the tar '%s' is damaged or truncated: %s", reader->file->path,
                text ? text : "it ends early");
}

effnet_status tar_reader_open(const ShardFile *file, int64_t offset, int64_t length, TarReader **out,
                              effnet_error *err) {
    *out = NULL;
    TarReader *reader = calloc(1, sizeof *reader);
    if (!reader) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", file->path);
    *reader = (TarReader){.file = file, .begin = offset, .length = length, .descriptor = -1};
    effnet_status status = shard_file_open(file, &reader->descriptor, err);
    if (status == EFFNET_OK)
        status = tar_unpack_open(reader->descriptor, file->path, offset, length, &reader->unpack, err);
    if (status == EFFNET_OK) {
        reader->archive = archive_read_new();
        if (!reader->archive) status = fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", file->path);
    }
    if (status == EFFNET_OK) {
        struct archive *archive = reader->archive;
        archive_read_support_format_tar(archive);
        archive_read_set_read_callback(archive, reader->unpack ? read_unpacked : read_block);
        if (!reader->unpack) archive_read_set_skip_callback(archive, skip_bytes);
        archive_read_set_callback_data(archive, reader);
        if (archive_read_open1(archive) != ARCHIVE_OK) status = damaged(reader, err);
    }
    if (status != EFFNET_OK) {
        tar_reader_close(reader);
        return status;
    }
    *out = reader;
    return EFFNET_OK;
}

void tar_reader_close(TarReader *reader) {
    if (!reader) return;
    if (reader->archive) archive_read_free(reader->archive);
    tar_unpack_close(reader->unpack);
    if (reader->descriptor >= 0) close(reader->descriptor);
    free(reader);
}

bool tar_reader_compressed(const TarReader *reader) {
    return reader->unpack != NULL;
}

effnet_status tar_reader_next(TarReader *reader, const char **path, int64_t *size, effnet_error *err) {
    *path = NULL;
    *size = 0;
    for (;;) {
        struct archive_entry *entry;
        int code = archive_read_next_header(reader->archive, &entry);
        reader->at_end = code == ARCHIVE_EOF;
        if (reader->at_end) return unpack_rest(reader, err);
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return damaged(reader, err);
        const char *name = archive_entry_pathname(entry);
        if (archive_entry_filetype(entry) == AE_IFDIR || !name) continue;
        reader->strange = archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
                          archive_entry_sparse_count(entry) > 0;
        if (reader->strange) {
            *path = name;
            return EFFNET_OK;
        }
        reader->offset = archive_filter_bytes(reader->archive, 0);
        reader->size = archive_entry_size(entry);
        if (reader->size < 0 || (!reader->unpack && reader->size > reader->length - reader->offset))
            return fail(err, EFFNET_ERROR_FORMAT, "the tar '%s' is truncated: it ends in the middle of '%s'",
                        reader->file->path, name);
        *path = name;
        *size = reader->size;
        return EFFNET_OK;
    }
}

bool tar_reader_at_end(const TarReader *reader) {
    return reader->at_end;
}

effnet_status tar_reader_ends_right(const TarReader *reader, bool *right, effnet_error *err) {
    enum { END = 1024 };
    uint8_t last[END];
    *right = true;
    if (reader->unpack) return EFFNET_OK;
    *right = reader->length >= END;
    if (!*right) return EFFNET_OK;
    TRY(descriptor_read(reader->descriptor, reader->file->path, reader->begin + reader->length - END, last, END, err));
    for (int i = 0; i < END; i++) *right = *right && !last[i];
    return EFFNET_OK;
}

bool tar_reader_strange(const TarReader *reader) {
    return reader->strange;
}

int64_t tar_reader_offset(const TarReader *reader) {
    return reader->begin + reader->offset;
}

effnet_status tar_reader_content(TarReader *reader, void *bytes, size_t size, effnet_error *err) {
    for (size_t used = 0; used < size;) {
        la_ssize_t got = archive_read_data(reader->archive, (char *)bytes + used, size - used);
        if (got == ARCHIVE_RETRY || got == ARCHIVE_WARN) continue;
        if (got <= 0) return damaged(reader, err);
        used += (size_t)got;
    }
    return EFFNET_OK;
}
