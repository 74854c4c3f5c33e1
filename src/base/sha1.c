/* sha1.c - see sha1.h. The message is cut into blocks of 64 bytes; the last one or two end in a byte 0x80, zeros and
 * the length in bits, big-endian. Source: NIST FIPS 180-4, sections 5.1.1 and 6.1.2. */
#include "base/sha1.h"

#include <string.h>

static uint32_t rotate_left(uint32_t x, int by) {
    return (x << by) | (x >> (32 - by));
}

static void add_block(uint32_t hash[5], const uint8_t block[64]) {
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
               block[4 * t + 3];
    for (int t = 16; t < 80; t++) w[t] = rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int t = 0; t < 80; t++) {
        uint32_t mixed, constant;
        if (t < 20) {
            mixed = (b & c) | (~b & d), constant = 0x5A827999;
        } else if (t < 40) {
            mixed = b ^ c ^ d, constant = 0x6ED9EBA1;
        } else if (t < 60) {
            mixed = (b & c) | (b & d) | (c & d), constant = 0x8F1BBCDC;
        } else {
            mixed = b ^ c ^ d, constant = 0xCA62C1D6;
        }
        uint32_t next = rotate_left(a, 5) + mixed + e + constant + w[t];
        e = d;
        d = c;
        c = rotate_left(b, 30);
        b = a;
        a = next;
    }
    const uint32_t words[5] = {a, b, c, d, e};
    for (int i = 0; i < 5; i++) hash[i] += words[i];
}

void sha1_digest(const void *bytes, size_t size, uint8_t digest[20]) {
    uint32_t hash[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const uint8_t *at = bytes;
    size_t left = size;
    for (; left >= 64; left -= 64, at += 64) add_block(hash, at);
    uint8_t tail[128] = {0};
    if (left) memcpy(tail, at, left);
    tail[left] = 0x80;
    size_t tail_size = left < 56 ? 64 : 128;
    uint64_t bits = (uint64_t)size * 8;
    for (size_t i = 0; i < 8; i++) tail[tail_size - 1 - i] = (uint8_t)(bits >> (8 * i));
    for (size_t block = 0; block < tail_size; block += 64) add_block(hash, tail + block);
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}
