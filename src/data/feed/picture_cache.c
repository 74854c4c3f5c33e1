/* picture_cache.c - see picture_cache.h. */
#include "data/feed/picture_cache.h"

#include "base/machine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Entry {
    int height, width, channels;
    uint8_t pixels[]; /* (height, width, channels) */
} Entry;

struct PictureCache {
    int64_t pictures;
    size_t budget;
    atomic_size_t used;
    atomic_llong kept;          /* pictures */
    atomic_bool full;           /* something found no room */
    _Atomic(Entry *) entries[]; /* (pictures), NULL where not kept */
};

effnet_status picture_cache_create(int64_t pictures, size_t budget_bytes, PictureCache **out, effnet_error *err) {
    *out = NULL;
    PictureCache *cache = calloc(1, sizeof *cache + (size_t)pictures * sizeof cache->entries[0]);
    if (!cache) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a cache of %lld pictures", (long long)pictures);
    cache->pictures = pictures;
    cache->budget = budget_bytes;
    *out = cache;
    return EFFNET_OK;
}

void picture_cache_free(PictureCache *cache) {
    if (!cache) return;
    for (int64_t i = 0; i < cache->pictures; i++) free(atomic_load_explicit(&cache->entries[i], memory_order_relaxed));
    free(cache);
}

bool picture_cache_find(const PictureCache *cache, int64_t index, Picture *out) {
    Entry *entry = atomic_load_explicit(&cache->entries[index], memory_order_acquire);
    if (!entry) return false;
    *out =
        (Picture){.height = entry->height, .width = entry->width, .pixels = entry->pixels, .channels = entry->channels};
    return true;
}

void picture_cache_add(PictureCache *cache, int64_t index, const Picture *picture) {
    size_t pixel_bytes = picture_bytes(picture), bytes = sizeof(Entry) + pixel_bytes;
    size_t before = atomic_fetch_add_explicit(&cache->used, bytes, memory_order_relaxed);
    Entry *entry = before + bytes <= cache->budget ? malloc(bytes) : NULL;
    if (entry) {
        entry->height = picture->height;
        entry->width = picture->width;
        entry->channels = picture_channels(picture);
        memcpy(entry->pixels, picture->pixels, pixel_bytes);
        Entry *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&cache->entries[index], &none, entry, memory_order_release,
                                                    memory_order_relaxed)) {
            atomic_fetch_add_explicit(&cache->kept, 1, memory_order_relaxed);
            return;
        }
        free(entry); /* another worker was faster */
    } else {
        atomic_store_explicit(&cache->full, true, memory_order_relaxed);
    }
    atomic_fetch_sub_explicit(&cache->used, bytes, memory_order_relaxed);
}

bool picture_cache_is_full(const PictureCache *cache) {
    return atomic_load_explicit(&cache->full, memory_order_relaxed);
}

size_t picture_cache_bytes(const PictureCache *cache) {
    return atomic_load_explicit(&cache->used, memory_order_relaxed);
}

size_t picture_cache_expected_bytes(const PictureCache *cache) {
    double kept = (double)atomic_load_explicit(&cache->kept, memory_order_relaxed);
    if (kept == 0) return 0;
    double all = (double)picture_cache_bytes(cache) / kept * (double)cache->pictures;
    return all < (double)cache->budget ? (size_t)all : cache->budget;
}

size_t picture_cache_default_budget(int64_t reserved) {
    Machine machine;
    machine_here(&machine);
    int64_t budget = machine.memory / 4, left = machine.memory_free - reserved;
    if (machine.memory_free <= 0) return (size_t)budget; /* not known */
    if (left <= 0) return 0;
    return (size_t)(left / 2 < budget ? left / 2 : budget);
}
