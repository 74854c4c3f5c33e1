/* balanced_order.c - see balanced_order.h. Of n pictures in k classes a class has n / k places (the first n % k classes
 * one more), filled from a stream of permutations of its pictures, which goes on from one pass to the next; then all places
 * are shuffled. */
#include "data/feed/balanced_order.h"

#include "base/memory.h"
#include "data/sources/source.h"

#include <string.h>

static effnet_status numbers(size_t count, uint32_t **out, effnet_error *err) {
    void *block;
    TRY(memory_allocate(count, sizeof **out, "the balanced order of an epoch", &block, err));
    *out = block;
    return EFFNET_OK;
}

/* Counting sort by class; classes without a picture are passed over. */
static void sort_by_class(const Dataset *dataset, uint32_t *counts, BalancedOrder *out) {
    const int classes = dataset_num_classes(dataset);
    memset(counts, 0, ((size_t)classes + 1) * sizeof *counts);
    for (uint32_t i = 0; i < out->pictures; i++) counts[dataset_label(dataset, i)]++;
    uint32_t first = 0;
    for (int c = 0; c < classes; c++) {
        const uint32_t count = counts[c];
        counts[c] = first; /* where the class's next picture goes */
        if (count) out->starts[out->classes++] = first;
        first += count;
    }
    out->starts[out->classes] = first;
    for (uint32_t i = 0; i < out->pictures; i++) out->by_class[counts[dataset_label(dataset, i)]++] = i;
}

effnet_status balanced_order_create(const Dataset *dataset, BalancedOrder *out, effnet_error *err) {
    const size_t classes = (size_t)dataset_num_classes(dataset);
    *out = (BalancedOrder){.pictures = (uint32_t)dataset_size(dataset)};
    if (dataset->methods->order)
        return fail(
            err, EFFNET_ERROR_UNSUPPORTED,
            "sampler is balanced, and compressed tars are read from front to back, not by class; write sampler: "
            "shuffle, or decompress them");
    uint32_t *counts = NULL;
    TRY(numbers(out->pictures, &out->by_class, err));
    TRY(numbers(out->pictures, &out->drawn, err));
    TRY(numbers(out->pictures, &out->shuffled, err));
    TRY(numbers(classes + 1, &out->starts, err));
    TRY(numbers(classes + 1, &counts, err));
    sort_by_class(dataset, counts, out);
    memory_free(counts);
    return EFFNET_OK;
}

void balanced_order_release(BalancedOrder *balanced) {
    memory_free(balanced->by_class);
    memory_free(balanced->starts);
    memory_free(balanced->drawn);
    memory_free(balanced->shuffled);
    *balanced = (BalancedOrder){0};
}

void balanced_order_draw(const BalancedOrder *balanced, RandomKey key, int64_t pass, uint32_t *order) {
    const RandomKey of_pass = random_fold_in(random_fold_in(key, 0), (uint32_t)pass);
    uint32_t used = 0;
    for (uint32_t c = 0; c < balanced->classes; c++) {
        const uint32_t *own = balanced->by_class + balanced->starts[c];
        const uint32_t count = balanced->starts[c + 1] - balanced->starts[c];
        uint32_t places = balanced->pictures / balanced->classes + (c < balanced->pictures % balanced->classes);
        const RandomKey of_class = random_fold_in(key, 1 + c);
        const int64_t first = pass * places; /* of the class's stream of permutations */
        uint32_t at = (uint32_t)(first % count);
        for (int64_t round = first / count; places; round++, at = 0) {
            random_permutation(random_fold_in(of_class, (uint32_t)round), balanced->shuffled, count);
            for (; at < count && places; at++, places--) balanced->drawn[used++] = own[balanced->shuffled[at]];
        }
    }
    random_permutation(of_pass, balanced->shuffled, balanced->pictures);
    for (uint32_t i = 0; i < balanced->pictures; i++) order[i] = balanced->drawn[balanced->shuffled[i]];
}
