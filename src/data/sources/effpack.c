/* effpack.c - the checksums of an effpack's parts. */
#include "data/sources/effpack.h"
#include "base/crc32c.h"

#include <string.h>

uint32_t effpack_head_sum(const EffpackHead *head) {
    return crc32c(0, head, offsetof(EffpackHead, sum));
}

uint32_t effpack_record_sum(const EffpackRecord *record, const char *name) {
    return crc32c(crc32c(0, record, offsetof(EffpackRecord, sum)), name, record->name_size);
}

bool bytes_are_effpack(const uint8_t *bytes, size_t size) {
    return size >= 8 && memcmp(bytes, EFFPACK_MAGIC, 8) == 0;
}
