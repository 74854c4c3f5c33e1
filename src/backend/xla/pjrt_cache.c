/* pjrt_cache.c - see pjrt_cache.h. The file: the bytes, then their CRC-32C (4 bytes, lowest first). */
#include "backend/xla/pjrt_cache.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/sha1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKSUM = 4, DIGEST = 20 };
static const size_t most_bytes = (size_t)1 << 31;

void pjrt_cache_folder(char *out, size_t size) {
    const char *own = getenv("EFFNET_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = 0;
    if (own && *own)
        length = snprintf(out, size, "%s", own);
    else if (xdg && *xdg)
        length = snprintf(out, size, "%s/effnet", xdg);
    else if (home && *home)
        length = snprintf(out, size, "%s/.cache/effnet", home);
    if (length <= 0 || (size_t)length >= size) out[0] = 0;
}

void pjrt_cache_name(const char *folder, const CachePart *parts, int count, const char *ending, char *out,
                     size_t size) {
    uint8_t digests[CACHE_PARTS][DIGEST], all[DIGEST];
    for (int i = 0; i < count; i++) sha1_digest(parts[i].data, parts[i].bytes, digests[i]);
    sha1_digest(digests, (size_t)count * DIGEST, all);
    char name[2 * DIGEST + 1];
    for (int i = 0; i < DIGEST; i++) snprintf(name + 2 * i, 3, "%02x", all[i]);
    if ((size_t)snprintf(out, size, "%s/%s.%s", folder, name, ending) >= size) out[0] = 0;
}

bool pjrt_cache_read(const char *file, char **out, size_t *bytes) {
    size_t size;
    char *data;
    if (!path_exists(file) || file_read(file, most_bytes, &data, &size, NULL) != EFFNET_OK) return false;
    uint8_t sum[CHECKSUM] = {0};
    bool whole = size > CHECKSUM;
    if (whole) {
        uint32_t crc = crc32c(0, data, size - CHECKSUM);
        for (int i = 0; i < CHECKSUM; i++) sum[i] = (uint8_t)(crc >> (8 * i));
        whole = memcmp(sum, data + size - CHECKSUM, CHECKSUM) == 0;
    }
    if (!whole) {
        free(data);
        return false;
    }
    *out = data;
    *bytes = size - CHECKSUM;
    return true;
}

void pjrt_cache_write(const char *file, const char *data, size_t bytes) {
    char folder[1024];
    const char *slash = strrchr(file, '/');
    if (!slash || (size_t)snprintf(folder, sizeof folder, "%.*s", (int)(slash - file), file) >= sizeof folder) return;
    AtomicFile out;
    if (folder_create(folder, NULL) != EFFNET_OK || atomic_file_open(&out, file, NULL) != EFFNET_OK) return;
    uint8_t sum[CHECKSUM];
    uint32_t crc = crc32c(0, data, bytes);
    for (int i = 0; i < CHECKSUM; i++) sum[i] = (uint8_t)(crc >> (8 * i));
    bool written = fwrite(data, 1, bytes, out.stream) == bytes && fwrite(sum, 1, CHECKSUM, out.stream) == CHECKSUM;
    if (written)
        atomic_file_commit(&out, NULL);
    else
        atomic_file_abort(&out);
}
