/* picture_cache.h - decoded pictures kept in memory, shared by the workers of a loader without a lock: an entry is
 * written once, published by one atomic store, and never changes. Whatever comes first is kept until the budget is
 * spent; nothing is thrown out, since an epoch reads every picture once and any picture kept saves the same work.
 * Internal to data/. */
#ifndef EFFNET_DATA_FEED_PICTURE_CACHE_H
#define EFFNET_DATA_FEED_PICTURE_CACHE_H

#include "data/sources/dataset.h"

typedef struct PictureCache PictureCache;

effnet_status picture_cache_create(int64_t pictures, size_t budget_bytes, PictureCache **out, effnet_error *err);
void picture_cache_free(PictureCache *cache);
/* The pixels belong to the cache and stay. */
bool picture_cache_find(const PictureCache *cache, int64_t index, Picture *out);
/* Keeps a copy if there is room, memory permitting. */
void picture_cache_add(PictureCache *cache, int64_t index, const Picture *picture);
/* Whether a picture found no room: from then on whole pictures are not made for the cache alone. */
bool picture_cache_is_full(const PictureCache *cache);
size_t picture_cache_bytes(const PictureCache *cache);
/* What it will hold once every picture was read, by the mean size of those that were: 0 before the first. */
size_t picture_cache_expected_bytes(const PictureCache *cache);

/* A quarter of the memory this process may use (machine or control group), at most half of what is free now beside
 * `reserved` bytes that others will take. */
size_t picture_cache_default_budget(int64_t reserved);

#endif
