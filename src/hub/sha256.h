/* sha256.h - the SHA-256 digest (FIPS 180-4): what the hub knows a file of weights by. */
#ifndef EFFNET_HUB_SHA256_H
#define EFFNET_HUB_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct Sha256 {
    uint32_t hash[8];
    uint64_t bytes;
    uint8_t block[64]; /* what does not fill one yet: bytes % 64 of them */
} Sha256;

void sha256_begin(Sha256 *sum);
void sha256_add(Sha256 *sum, const void *bytes, size_t size);
void sha256_end(Sha256 *sum, uint8_t digest[32]);

#endif
