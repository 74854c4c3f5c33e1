/* fuzz_effpack.c - any bytes as an effpack; and, since a wrong checksum ends it early, the same bytes with the sums of
 * head and table put right. */
#include "fuzz_shard.h"

#include "base/crc32c.h"
#include "data/sources/effpack.h"

#include <string.h>

static effnet_status open_training(const NameList *paths, Dataset **out, effnet_error *err) {
    return source_effpack_open(paths->names[0], SPLIT_TRAIN, &(bool){false}, &(bool){false}, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    EffpackHead head;
    fuzz_shard(data, size, open_training);
    if (size < sizeof head) return 0;
    uint8_t *mended = malloc(size);
    if (!mended) abort();
    memcpy(mended, data, size);
    memcpy(&head, data, sizeof head);
    memcpy(head.magic, EFFPACK_MAGIC, sizeof head.magic);
    head.version = head.complete = 1;
    head.end = size;
    if (head.table < size) head.table_sum = crc32c(0, data + head.table, size - head.table);
    head.sum = effpack_head_sum(&head);
    memcpy(mended, &head, sizeof head);
    fuzz_shard(mended, size, open_training);
    free(mended);
    return 0;
}
