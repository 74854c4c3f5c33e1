/* crc32c.c - see crc32c.h. Without SSE 4.2: one nibble at a time from a table of sixteen, which needs no initialisation
 * and so no global state. With it: eight bytes an instruction, in three lanes whose sums are joined afterwards, since
 * the instruction takes three cycles and another can begin in each. Joining needs "the sum of zeros after this sum",
 * a linear map: multiplication by a power of x modulo the polynomial. */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

enum { LANE = 4096 }; /* bytes of a lane */

uint32_t crc32c_plain(uint32_t before, const void *bytes, size_t size) {
    static const uint32_t table[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3,
                                       0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
                                       0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
    const uint8_t *next = bytes;
    uint32_t sum = ~before;
    for (; size > 0; size--) {
        sum ^= *next++;
        sum = sum >> 4 ^ table[sum & 15];
        sum = sum >> 4 ^ table[sum & 15];
    }
    return ~sum;
}

#if defined(__x86_64__)
/* a * b modulo the polynomial, both with the highest power in the lowest bit. */
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b & 1 ? b >> 1 ^ 0x82F63B78u : b >> 1;
    }
    return product;
}

/* x to the power 8 * LANE. */
static uint32_t lane_power(void) {
    uint32_t power = 0x40000000u; /* x */
    for (int doubled = 1; doubled < 8 * LANE; doubled *= 2) power = multiply(power, power);
    return power;
}

static inline uint64_t load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t before, const uint8_t *next, size_t size) {
    uint64_t sum = ~before;
    uint32_t power = size >= 3 * LANE ? lane_power() : 0;
    for (; size >= 3 * LANE; size -= 3 * LANE, next += 3 * LANE) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            sum = __builtin_ia32_crc32di(sum, load(next + i));
            second = __builtin_ia32_crc32di(second, load(next + LANE + i));
            third = __builtin_ia32_crc32di(third, load(next + 2 * LANE + i));
        }
        sum = multiply((uint32_t)sum, power) ^ second;
        sum = multiply((uint32_t)sum, power) ^ third;
    }
    for (; size >= 8; size -= 8, next += 8) sum = __builtin_ia32_crc32di(sum, load(next));
    for (; size > 0; size--) sum = __builtin_ia32_crc32qi((uint32_t)sum, *next++);
    return ~(uint32_t)sum;
}
#endif

uint32_t crc32c(uint32_t before, const void *bytes, size_t size) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(before, bytes, size);
#endif
    return crc32c_plain(before, bytes, size);
}

uint32_t crc32c_masked(const void *bytes, size_t size) {
    uint32_t sum = crc32c(0, bytes, size);
    return (sum >> 15 | sum << 17) + 0xA282EAD8u;
}
