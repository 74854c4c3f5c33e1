/* tfrecord.c - see tfrecord.h. protobuf-c takes an Example apart; what it allocates comes from one block of the
 * decoder, of a size in proportion to the record's, so that a hostile record cannot ask for more and a good one costs
 * no allocation. */
#include "data/sources/tfrecord.h"
#include "base/crc32c.h"
#include "example.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_TIMES = 4, ARENA_BASE = 1 << 18 };

static uint32_t little_endian(const uint8_t *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool tfrecord_length(const uint8_t *head, uint64_t *length) {
    *length = little_endian(head) | (uint64_t)little_endian(head + 4) << 32;
    return little_endian(head + 8) == crc32c_masked(head, 8);
}

bool tfrecord_sum_is_right(const uint8_t *record, size_t length) {
    return little_endian(record + length) == crc32c_masked(record, length);
}

/* ---- Example ---- */

typedef struct Arena {
    uint8_t *bytes;
    size_t used, capacity;
} Arena;

static void *arena_allocate(void *context, size_t size) {
    Arena *arena = context;
    if (size > arena->capacity - arena->used) return NULL;
    void *block = arena->bytes + arena->used;
    size_t rounded = (size + 15) / 16 * 16;
    arena->used += rounded < arena->capacity - arena->used ? rounded : arena->capacity - arena->used;
    return block;
}

static void arena_free(void *context, void *block) {
    (void)context, (void)block;
}

static bool key_is(const EffnetProto__FeatureEntry *entry, const char *key) {
    return entry->has_key && entry->key.len == strlen(key) && memcmp(entry->key.data, key, entry->key.len) == 0;
}

/* One value of `entry`, or an error. */
static effnet_status take_bytes(const EffnetProto__FeatureEntry *entry, const char *name, ProtobufCBinaryData *out,
                                effnet_error *err) {
    const EffnetProto__BytesList *list = entry->value ? entry->value->bytes_list : NULL;
    if (!list || list->n_values != 1)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': the feature '%.*s' has %zu texts; wanted one", name,
                    (int)entry->key.len, (const char *)entry->key.data, list ? list->n_values : 0);
    *out = list->values[0];
    return EFFNET_OK;
}

static effnet_status take_label(const EffnetProto__FeatureEntry *entry, const char *name, Example *out,
                                effnet_error *err) {
    const EffnetProto__Int64List *list = entry->value ? entry->value->int64_list : NULL;
    if (!list || list->n_values != 1)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s': the feature '%.*s' has %zu whole numbers; wanted one label", name,
                    (int)entry->key.len, (const char *)entry->key.data, list ? list->n_values : 0);
    out->labelled = true;
    out->label = list->values[0];
    return EFFNET_OK;
}

static effnet_status read_features(const EffnetProto__Features *features, const char *name, Example *out,
                                   effnet_error *err) {
    ProtobufCBinaryData bytes = {0};
    for (size_t i = 0; features && i < features->n_entries; i++) {
        const EffnetProto__FeatureEntry *entry = features->entries[i];
        if (key_is(entry, "image/encoded") || key_is(entry, "image")) {
            TRY(take_bytes(entry, name, &bytes, err));
            out->image = bytes.data;
            out->image_size = bytes.len;
        } else if (key_is(entry, "image/class/label") || key_is(entry, "label")) {
            TRY(take_label(entry, name, out, err));
        } else if (key_is(entry, "image/class/synset")) {
            TRY(take_bytes(entry, name, &bytes, err));
            if (bytes.len >= sizeof out->synset || (bytes.len && memchr(bytes.data, 0, bytes.len)))
                return fail(err, EFFNET_ERROR_FORMAT, "'%s': image/class/synset is longer than %zu bytes or no text",
                            name, sizeof out->synset - 1);
            if (bytes.len) memcpy(out->synset, bytes.data, bytes.len);
            out->synset[bytes.len] = 0;
        }
    }
    if (!out->image || !out->image_size)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no picture: wanted a feature image/encoded or image", name);
    if (!out->labelled)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has no label: wanted a feature image/class/label or label", name);
    return EFFNET_OK;
}

effnet_status example_parse(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Example *out,
                            effnet_error *err) {
    *out = (Example){0};
    size_t needed = ARENA_TIMES * size + ARENA_BASE; /* size is at most TFRECORD_LIMIT */
    if (decoder->parts_capacity < needed) {
        free(decoder->parts);
        decoder->parts_capacity = 0;
        decoder->parts = malloc(needed);
        if (!decoder->parts) return fail(err, EFFNET_ERROR_MEMORY, "no memory to take '%s' apart", name);
        decoder->parts_capacity = needed;
    }
    Arena arena = {.bytes = decoder->parts, .capacity = needed};
    ProtobufCAllocator allocator = {.alloc = arena_allocate, .free = arena_free, .allocator_data = &arena};
    const EffnetProto__Example *example = effnet_proto__example__unpack(&allocator, size, bytes);
    if (!example)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not a tf.train.Example, or has far too many parts", name);
    return read_features(example->features, name, out, err);
}
