/* worker_lists.c - lists of different lengths from all workers, one behind the other. See workers.h. */
#include "dist/workers.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Each list padded to the longest, in the workers' order, is what workers_gather can carry; then the gaps are closed. */
static effnet_status gather_padded(Workers *workers, const void *mine, const uint64_t *bytes, size_t most, char **all,
                                   const char *what, effnet_error *err) {
    const size_t rank = (size_t)workers_rank(workers);
    size_t room;
    void *padded, *block;
    if (!size_multiply((size_t)workers_count(workers), most, &room))
        return fail(err, EFFNET_ERROR_MEMORY, "%s of all workers are too many", what);
    TRY(memory_allocate(most + 1, 1, what, &padded, err));
    effnet_status status = memory_allocate(room + 1, 1, what, &block, err);
    if (status == EFFNET_OK) {
        *all = block;
        memset(padded, 0, most + 1);
        if (bytes[rank]) memcpy(padded, mine, (size_t)bytes[rank]);
        if (most) status = workers_gather(workers, padded, most, *all, what, err);
    }
    memory_free(padded);
    return status;
}

effnet_status workers_gather_lists(Workers *workers, const void *mine, size_t bytes, void **all, size_t *total,
                                   const char *what, effnet_error *err) {
    const size_t count = (size_t)workers_count(workers);
    const uint64_t own = bytes;
    char *lists = NULL;
    size_t most = 0;
    *all = NULL;
    *total = 0;
    uint64_t *lengths = calloc(count, sizeof *lengths);
    if (!lengths) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the lists of %zu workers", count);
    effnet_status status = workers_gather(workers, &own, sizeof own, lengths, what, err);
    for (size_t w = 0; w < count; w++)
        if (lengths[w] > most) most = (size_t)lengths[w];
    if (status == EFFNET_OK) status = gather_padded(workers, mine, lengths, most, &lists, what, err);
    for (size_t w = 0; status == EFFNET_OK && w < count; w++) {
        memmove(lists + *total, lists + w * most, (size_t)lengths[w]);
        *total += (size_t)lengths[w];
    }
    free(lengths);
    if (status == EFFNET_OK)
        *all = lists;
    else
        memory_free(lists);
    return status;
}
