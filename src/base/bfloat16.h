/* bfloat16.h - brain floats: the upper 16 bits of a float (8 bits of exponent, 7 of fraction). Rounding to the nearest,
 * ties to even, as the processors' own conversions do; a NaN stays a NaN. */
#ifndef EFFNET_BASE_BFLOAT16_H
#define EFFNET_BASE_BFLOAT16_H

#include <stdint.h>
#include <string.h>

static inline uint16_t bfloat16_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float float_from_bfloat16(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static inline float bfloat16_round(float value) {
    return float_from_bfloat16(bfloat16_from_float(value));
}

#endif
