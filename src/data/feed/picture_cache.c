/* picture_cache.c - see picture_cache.h. */
#include "data/feed/picture_cache.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Entry {
    int height, width;
    uint8_t pixels[]; /* (height, width, 3) */
} Entry;

struct PictureCache {
    int64_t pictures;
    size_t budget;
    atomic_size_t used;
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
    *out = (Picture){.height = entry->height, .width = entry->width, .pixels = entry->pixels};
    return true;
}

void picture_cache_add(PictureCache *cache, int64_t index, const Picture *picture) {
    size_t pixel_bytes = 3 * (size_t)picture->height * (size_t)picture->width, bytes = sizeof(Entry) + pixel_bytes;
    size_t before = atomic_fetch_add_explicit(&cache->used, bytes, memory_order_relaxed);
    Entry *entry = before + bytes <= cache->budget ? malloc(bytes) : NULL;
    if (entry) {
        entry->height = picture->height;
        entry->width = picture->width;
        memcpy(entry->pixels, picture->pixels, pixel_bytes);
        Entry *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&cache->entries[index], &none, entry, memory_order_release,
                                                    memory_order_relaxed))
            return;
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

/* The first number after `key` in a small text file; 0 where there is none. */
static size_t read_number(const char *path, const char *key) {
    FILE *stream = fopen(path, "r");
    if (!stream) return 0;
    char line[256];
    unsigned long long number = 0;
    while (!number && fgets(line, sizeof line, stream))
        if (strncmp(line, key, strlen(key)) == 0) number = strtoull(line + strlen(key), NULL, 10);
    fclose(stream);
    return (size_t)number;
}

size_t picture_cache_default_budget(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t total = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
    const char *const groups[2] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (int i = 0; i < 2; i++) { /* "max" reads as 0: no limit */
        size_t limit = read_number(groups[i], "");
        if (limit && limit < total) total = limit;
    }
    size_t budget = total / 4, free_half = read_number("/proc/meminfo", "MemAvailable:") * 1024 / 2;
    return free_half && free_half < budget ? free_half : budget;
}
