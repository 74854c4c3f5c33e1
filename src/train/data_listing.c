/* data_listing.c - see data_listing.h. The digest of a long list is that of the digests of its pieces, so that a list
 * of any length takes little memory. */
#include "train/data_listing.h"

#include "base/sha1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 16, NAME_BYTES = 8192, DIGEST_BYTES = 20 };

effnet_status data_listing(const Dataset *dataset, const char *root, char out[DATA_LISTING_BYTES], effnet_error *err) {
    /* the digest of all before, then lines */
    uint8_t *piece = calloc(1, PIECE_BYTES + NAME_BYTES + 32);
    char *name = malloc(NAME_BYTES);
    if (!piece || !name) {
        free(piece);
        free(name);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to list the pictures");
    }
    size_t used = DIGEST_BYTES, prefix = strlen(root);
    for (int64_t i = 0; i < dataset_size(dataset); i++) {
        dataset_describe(dataset, i, name, NAME_BYTES);
        const char *rest = strncmp(name, root, prefix) == 0 ? name + prefix : name;
        rest += strspn(rest, "/");
        used += (size_t)snprintf((char *)piece + used, NAME_BYTES + 32, "%s\t%d\n", rest, dataset_label(dataset, i));
        if (used < PIECE_BYTES) continue;
        uint8_t digest[DIGEST_BYTES];
        sha1_digest(piece, used, digest);
        memcpy(piece, digest, sizeof digest);
        used = DIGEST_BYTES;
    }
    uint8_t digest[DIGEST_BYTES];
    sha1_digest(piece, used, digest);
    for (int i = 0; i < DIGEST_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    free(piece);
    free(name);
    return EFFNET_OK;
}
