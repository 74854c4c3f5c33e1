/* shared_pictures.c - see shared_pictures.h. */
#include "data/sources/shared_pictures.h"

#include "data/sources/source_share.h"

#include <stdlib.h>

typedef struct Seen {
    uint64_t hash; /* dataset_hash */
    bool shared;
} Seen;

static int by_hash(const void *a, const void *b) {
    const Seen *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* *bytes goes down by what was read. */
static bool hash_picture(const Dataset *dataset, int64_t index, Decoder *decoder, int64_t *bytes, uint64_t *hash) {
    size_t size;
    if (!dataset_hash(dataset, index, decoder, hash, &size)) return false;
    *bytes -= (int64_t)size;
    return true;
}

effnet_status datasets_shared(const Dataset *training, const Dataset *evaluation, int64_t *count, bool *all,
                              effnet_error *err) {
    *count = 0;
    *all = true;
    if (source_is_share(training)) return EFFNET_OK; /* parted so that copies stand on one side */
    const int64_t most = dataset_size(evaluation) < SHARED_PICTURES ? dataset_size(evaluation) : SHARED_PICTURES;
    Seen *seen = calloc((size_t)most + 1, sizeof *seen);
    if (!seen) return fail(err, EFFNET_ERROR_MEMORY, "no memory to compare %lld pictures", (long long)most);
    Decoder decoder = {0};
    int64_t known = 0, bytes = SHARED_BYTES, i = 0;
    for (; i < most && bytes > 0; i++) known += hash_picture(evaluation, i, &decoder, &bytes, &seen[known].hash);
    *all = i == dataset_size(evaluation);
    if (known) qsort(seen, (size_t)known, sizeof *seen, by_hash);
    bytes = SHARED_BYTES;
    for (i = 0; known && i < dataset_size(training) && i < SHARED_PICTURES && bytes > 0; i++) {
        Seen wanted;
        if (!hash_picture(training, i, &decoder, &bytes, &wanted.hash)) continue;
        Seen *found = bsearch(&wanted, seen, (size_t)known, sizeof *seen, by_hash);
        if (!found) continue;
        while (found > seen && found[-1].hash == wanted.hash) found--;
        for (; found < seen + known && found->hash == wanted.hash && !found->shared; found++, (*count)++)
            found->shared = true;
    }
    *all = *all && (!known || i == dataset_size(training));
    decoder_release(&decoder);
    free(seen);
    return EFFNET_OK;
}
