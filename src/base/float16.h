/* float16.h - the nearest IEEE binary16 of a float, ties to even, as bits; too large a number becomes infinity. */
#ifndef EFFNET_BASE_FLOAT16_H
#define EFFNET_BASE_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline uint16_t float16_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00);  /* NaN */
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00); /* 65,520 and above round to infinity */
    if (magnitude < 0x33000000) return (uint16_t)sign;             /* below half of the least, 2^-24 */
    const int exponent = (int)(magnitude >> 23) - 127;
    /* 24 bits of which `drop` go: 13, or more of a subnormal, whose unit is 2^-24 */
    const int drop = exponent < -14 ? 13 + (-14 - exponent) : 13;
    const uint32_t whole = (magnitude & 0x7FFFFF) | 0x800000, half = 1u << (drop - 1),
                   rest = whole & ((1u << drop) - 1);
    uint32_t kept = whole >> drop;
    kept += rest > half || (rest == half && (kept & 1));
    /* a carry goes into the exponent, which is what rounding up means */
    return (uint16_t)(sign | (exponent < -14 ? kept : ((uint32_t)(exponent + 14) << 10) + kept));
}

#endif
