/* fuzz_tfrecord.c - any bytes as a TFRecord shard; and, since a wrong checksum ends it early, the same bytes as the
 * tf.train.Example of a record whose checksums are right. */
#include "fuzz_shard.h"

#include "base/crc32c.h"
#include "data/sources/tfrecord.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_shard(data, size, source_tfrecord_open);
    uint8_t *record = calloc(1, TFRECORD_HEAD + size + TFRECORD_TAIL);
    if (!record) abort();
    for (int i = 0; i < 8; i++) record[i] = (uint8_t)((uint64_t)size >> 8 * i);
    uint32_t head = crc32c_masked(record, 8), tail = crc32c_masked(data, size);
    memcpy(record + TFRECORD_HEAD, data, size);
    for (int i = 0; i < 4; i++) {
        record[8 + i] = (uint8_t)(head >> 8 * i);
        record[TFRECORD_HEAD + size + (size_t)i] = (uint8_t)(tail >> 8 * i);
    }
    fuzz_shard(record, TFRECORD_HEAD + size + TFRECORD_TAIL, source_tfrecord_open);
    free(record);
    return 0;
}
