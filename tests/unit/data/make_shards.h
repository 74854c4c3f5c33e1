/* make_shards.h - TFRecord, tar and CIFAR files made by the data tests as they run, from pictures of their own. What
 * they write is written by hand here, byte by byte, so that a reader is never tested against its own library. */
#ifndef EFFNET_TESTS_MAKE_SHARDS_H
#define EFFNET_TESTS_MAKE_SHARDS_H

#include "make_pictures.h"

/* Bytes that grow. */
typedef struct Growing {
    uint8_t *data;
    size_t size;
} Growing;

static inline void grow(Growing *to, const void *bytes, size_t size) {
    to->data = realloc(to->data, to->size + size + 1);
    assert_non_null(to->data);
    if (size) memcpy(to->data + to->size, bytes, size);
    to->size += size;
}

static inline void write_growing(const char *path, Growing *bytes) {
    scratch_write(path, bytes->data, bytes->size);
    free(bytes->data);
    *bytes = (Growing){0};
}

/* ---- TFRecord ---- */

/* Bit by bit: RFC 3720's polynomial. */
static inline uint32_t slow_crc32c(const uint8_t *bytes, size_t size) {
    uint32_t sum = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) sum = sum & 1 ? sum >> 1 ^ 0x82F63B78u : sum >> 1;
    }
    return ~sum;
}

static inline void grow_little_endian(Growing *to, uint64_t number, int bytes) {
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(number >> 8 * i);
        grow(to, &byte, 1);
    }
}

static inline void grow_masked_sum(Growing *to, const uint8_t *bytes, size_t size) {
    uint32_t sum = slow_crc32c(bytes, size);
    grow_little_endian(to, (uint32_t)((sum >> 15 | sum << 17) + 0xA282EAD8u), 4);
}

static inline void grow_record(Growing *to, Growing data) {
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)data.size >> 8 * i);
    grow(to, length, 8);
    grow_masked_sum(to, length, 8);
    grow(to, data.data, data.size);
    grow_masked_sum(to, data.data, data.size);
    free(data.data);
}

static inline void grow_varint(Growing *to, uint64_t value) {
    do {
        uint8_t byte = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        grow(to, &byte, 1);
        value >>= 7;
    } while (value);
}

/* Field `number` that holds `bytes`: a text, a message. */
static inline void grow_field(Growing *to, int number, const void *bytes, size_t size) {
    grow_varint(to, (uint64_t)number << 3 | 2);
    grow_varint(to, size);
    grow(to, bytes, size);
}

/* One entry of Features: kind 1 a text, 3 a whole number (`bytes` an int64_t), 2 a float. */
static inline void grow_feature(Growing *features, const char *key, int kind, const void *bytes, size_t size) {
    Growing list = {0}, feature = {0}, entry = {0};
    if (kind == 3) {
        Growing packed = {0};
        grow_varint(&packed, (uint64_t) * (const int64_t *)bytes);
        grow_field(&list, 1, packed.data, packed.size);
        free(packed.data);
    } else {
        grow_field(&list, 1, bytes, size);
    }
    grow_field(&feature, kind, list.data, list.size);
    grow_field(&entry, 1, key, strlen(key));
    grow_field(&entry, 2, feature.data, feature.size);
    grow_field(features, 1, entry.data, entry.size);
    free(list.data);
    free(feature.data);
    free(entry.data);
}

/* synset NULL: TFDS's form. */
static inline Growing make_example(Bytes picture, int64_t label, const char *synset) {
    Growing features = {0}, example = {0};
    float box = 0.5f;
    grow_feature(&features, "image/object/bbox/xmin", 2, &box, sizeof box);
    if (synset) {
        grow_feature(&features, "image/class/label", 3, &label, sizeof label);
        grow_feature(&features, "image/class/synset", 1, synset, strlen(synset));
        grow_feature(&features, "image/encoded", 1, picture.data, picture.size);
    } else {
        grow_feature(&features, "file_name", 1, "x.jpg", 5);
        grow_feature(&features, "image", 1, picture.data, picture.size);
        grow_feature(&features, "label", 3, &label, sizeof label);
    }
    grow_field(&example, 1, features.data, features.size);
    free(features.data);
    return example;
}

/* ---- tar: POSIX.1-1988, with GNU's long names ---- */

static inline void grow_tar_head(Growing *to, const char *path, size_t size, char type) {
    char head[512] = {0};
    unsigned sum = 0;
    snprintf(head, 100, "%s", path);
    snprintf(head + 100, 8, "%07o", 0644);
    snprintf(head + 108, 8, "%07o", 0);
    snprintf(head + 116, 8, "%07o", 0);
    snprintf(head + 124, 12, "%011o", (unsigned)size);
    snprintf(head + 136, 12, "%011o", 0);
    memset(head + 148, ' ', 8);
    head[156] = type;
    memcpy(head + 257, "ustar\00000", 8);
    for (int i = 0; i < 512; i++) sum += (uint8_t)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    grow(to, head, sizeof head);
}

static inline void grow_tar_file(Growing *to, const char *path, const void *bytes, size_t size) {
    static const char zeros[512];
    if (strlen(path) >= 100) {
        grow_tar_head(to, "././@LongLink", strlen(path) + 1, 'L');
        grow(to, path, strlen(path) + 1);
        grow(to, zeros, (512 - (strlen(path) + 1) % 512) % 512);
    }
    grow_tar_head(to, path, size, '0');
    grow(to, bytes, size);
    grow(to, zeros, (512 - size % 512) % 512);
}

static inline void grow_tar_end(Growing *to) {
    static const char zeros[1024];
    grow(to, zeros, sizeof zeros);
}

#endif
