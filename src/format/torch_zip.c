/* torch_zip.c - see torch_zip.h. PyTorch stores its files without compression; a file that was packed again, compressed,
 * is read too. */
#include "format/torch_zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Deflate makes at most 1,032 bytes of one (zlib's documentation), so that a whole that claims more is a lie. */
enum { BLOCK = 1 << 16, MOST_INFLATED = 1032, FIRST_ROOM = 1 << 20 };

static effnet_status damaged(const TorchContainer *container, struct archive *archive, const char *name,
                             effnet_error *err) {
    const char *why = archive_error_string(archive);
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is damaged at '%.100s' of its zip archive (%s); take another copy",
                container->path, name, why ? why : "it cannot be read");
}

static effnet_status open_archive(const TorchContainer *container, struct archive **out, effnet_error *err) {
    *out = archive_read_new();
    if (!*out) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", container->path);
    if (lseek(container->descriptor, 0, SEEK_SET) == 0 &&
        archive_read_support_format_zip_seekable(*out) == ARCHIVE_OK &&
        archive_read_open_fd(*out, container->descriptor, BLOCK) == ARCHIVE_OK)
        return EFFNET_OK;
    effnet_status status = fail(
        err, EFFNET_ERROR_FORMAT,
        "'%s' begins as a zip archive and cannot be read as one (%s): it is truncated or damaged; take another copy",
        container->path, archive_error_string(*out) ? archive_error_string(*out) : "no reason given");
    archive_read_free(*out);
    *out = NULL;
    return status;
}

/* The next entry's name; NULL at the end. */
static effnet_status next_name(const TorchContainer *container, struct archive *archive, const char **name,
                               effnet_error *err) {
    struct archive_entry *entry;
    int got = archive_read_next_header(archive, &entry);
    *name = NULL;
    if (got == ARCHIVE_EOF) return EFFNET_OK;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return damaged(container, archive, "its list of files", err);
    *name = archive_entry_pathname(entry);
    if (!*name) *name = "";
    return EFFNET_OK;
}

/* The entry's bytes, at most `limit`: the first `kept` of them stay. The block grows as they arrive. */
static effnet_status read_entry(const TorchContainer *container, struct archive *archive, const char *name,
                                uint64_t kept, uint64_t limit, unsigned char **out, uint64_t *size, effnet_error *err) {
    unsigned char *bytes = NULL, spare[1 << 12];
    uint64_t room = 0, have = 0;
    effnet_status status = EFFNET_OK;
    for (;;) {
        if (have == room && have < kept) {
            room = room ? 2 * room : FIRST_ROOM;
            if (room > kept) room = kept;
            unsigned char *grown = realloc(bytes, (size_t)room + 1);
            if (!grown) {
                status = fail(err, EFFNET_ERROR_MEMORY, "no memory for '%.100s' of '%s'", name, container->path);
                break;
            }
            bytes = grown;
        }
        const bool keeping = have < kept;
        la_ssize_t got =
            archive_read_data(archive, keeping ? bytes + have : spare, keeping ? (size_t)(room - have) : sizeof spare);
        if (got < 0) status = damaged(container, archive, name, err);
        if (got <= 0) break;
        have += (uint64_t)got;
        if (have <= limit) continue;
        status = fail(err, EFFNET_ERROR_FORMAT,
                      "'%s': '%.100s' in it has more than the %llu bytes it may have: it is damaged; take another copy",
                      container->path, name, (unsigned long long)limit);
        break;
    }
    if (status != EFFNET_OK) {
        free(bytes);
        bytes = NULL;
    }
    *out = bytes;
    *size = have;
    return status;
}

/* ROOT/data.pkl: the length of ROOT/, or -1. */
static int root_length(const char *name, const char *file) {
    size_t length = strlen(name), tail = strlen(file);
    if (length < tail || strcmp(name + length - tail, file) != 0) return -1;
    if (length > tail && name[length - tail - 1] != '/') return -1;
    return (int)(length - tail);
}

static effnet_status take_pickle(TorchContainer *container, struct archive *archive, const char *name, size_t *size,
                                 effnet_error *err) {
    unsigned char *bytes;
    uint64_t got;
    snprintf(container->root, sizeof container->root, "%.*s", root_length(name, "data.pkl"), name);
    TRY(read_entry(container, archive, name, TORCH_MAX_PICKLE, TORCH_MAX_PICKLE, &bytes, &got, err));
    container->bytes = (char *)bytes;
    *size = (size_t)got;
    return EFFNET_OK;
}

static effnet_status take_order(TorchContainer *container, struct archive *archive, const char *name,
                                effnet_error *err) {
    unsigned char *bytes;
    uint64_t got;
    TRY(read_entry(container, archive, name, 16, 16, &bytes, &got, err));
    container->big_endian = got == 3 && memcmp(bytes, "big", 3) == 0;
    bool known = container->big_endian || (got == 6 && memcmp(bytes, "little", 6) == 0);
    free(bytes);
    return known ? EFFNET_OK
                 : fail(err, EFFNET_ERROR_FORMAT,
                        "'%s': '%.100s' in it is neither 'little' nor 'big': it is damaged; take another copy",
                        container->path, name);
}

static effnet_status look_through(TorchContainer *container, struct archive *archive, size_t *size, effnet_error *err) {
    for (;;) {
        const char *found;
        char name[TORCH_MAX_ROOT];
        TRY(next_name(container, archive, &found, err));
        if (!found) break;
        if ((size_t)snprintf(name, sizeof name, "%s", found) >= sizeof name) continue;
        if (root_length(name, "constants.pkl") >= 0)
            return fail(
                err, EFFNET_ERROR_UNSUPPORTED,
                "'%s' is a TorchScript program, not weights: torch.save(torch.jit.load(FILE).state_dict(), NEW) "
                "makes a file of its weights",
                container->path);
        if (!container->bytes && root_length(name, "data.pkl") >= 0)
            TRY(take_pickle(container, archive, name, size, err));
        else if (root_length(name, "byteorder") >= 0)
            TRY(take_order(container, archive, name, err));
    }
    if (container->bytes && *size) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' is a zip archive without a data.pkl, so not of torch.save; unzip it where the weights are in it",
                container->path);
}

effnet_status torch_zip_find(TorchContainer *container, size_t *size, effnet_error *err) {
    struct archive *archive;
    *size = 0;
    TRY(open_archive(container, &archive, err));
    effnet_status status = look_through(container, archive, size, err);
    archive_read_free(archive);
    return status;
}

static effnet_status load_storage(const TorchContainer *container, struct archive *archive, const char *name,
                                  TorchStorage *storage, effnet_error *err) {
    uint64_t got;
    if (storage->whole / MOST_INFLATED > (uint64_t)container->size)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s': a storage of %llu bytes cannot be in a file of %lld: it is damaged", container->path,
                    (unsigned long long)storage->whole, (long long)container->size);
    TRY(read_entry(container, archive, name, storage->needed, storage->whole, &storage->bytes, &got, err));
    if (got >= storage->needed) return EFFNET_OK;
    free(storage->bytes);
    storage->bytes = NULL;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s': '%.100s' in it has %llu bytes, and its tensors need %llu: it is damaged; take another copy",
                container->path, name, (unsigned long long)got, (unsigned long long)storage->needed);
}

static effnet_status load_all(const TorchContainer *container, struct archive *archive, TorchStorage *storages,
                              int count, effnet_error *err) {
    const size_t root = strlen(container->root);
    for (;;) {
        const char *found;
        char name[TORCH_MAX_ROOT + TORCH_KEY_BYTES + 8];
        TRY(next_name(container, archive, &found, err));
        if (!found) break;
        if ((size_t)snprintf(name, sizeof name, "%s", found) >= sizeof name ||
            strncmp(name, container->root, root) != 0 || strncmp(name + root, "data/", 5) != 0)
            continue;
        TorchStorage *storage = torch_storage_find(storages, count, name + root + 5);
        if (storage && !storage->bytes && storage->needed) TRY(load_storage(container, archive, name, storage, err));
    }
    for (int i = 0; i < count; i++)
        if (!storages[i].bytes && storages[i].needed)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' has no '%sdata/%s', which a tensor is in: it is damaged; take another copy",
                        container->path, container->root, storages[i].key);
    return EFFNET_OK;
}

effnet_status torch_zip_load(const TorchContainer *container, TorchStorage *storages, int count, effnet_error *err) {
    struct archive *archive;
    TRY(open_archive(container, &archive, err));
    effnet_status status = load_all(container, archive, storages, count, err);
    archive_read_free(archive);
    return status;
}
