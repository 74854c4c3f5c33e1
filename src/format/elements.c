/* elements.c - see elements.h. */
#include "format/elements.h"

#include <string.h>

/* The element types of safetensors that fill whole bytes. Those that we do not convert are known by size, so that a file
 * which holds one beside the tensors we want can still be read. */
static const ElementType element_types[] = {
    {"F32", ELEMENT_F32, 4},
    {"F16", ELEMENT_F16, 2},
    {"BF16", ELEMENT_BF16, 2},
    {"F64", ELEMENT_F64, 8},
    {"I64", ELEMENT_I64, 8},
    {"I32", ELEMENT_I32, 4},
    {"U8", ELEMENT_U8, 1},
    {"BOOL", ELEMENT_OTHER, 1},
    {"I8", ELEMENT_OTHER, 1},
    {"F8_E5M2", ELEMENT_OTHER, 1},
    {"F8_E4M3", ELEMENT_OTHER, 1},
    {"F8_E8M0", ELEMENT_OTHER, 1},
    {"I16", ELEMENT_OTHER, 2},
    {"U16", ELEMENT_OTHER, 2},
    {"F8_E4M3FNUZ", ELEMENT_OTHER, 1},
    {"F8_E5M2FNUZ", ELEMENT_OTHER, 1},
    {"U32", ELEMENT_OTHER, 4},
    {"U64", ELEMENT_OTHER, 8},
    {"C64", ELEMENT_OTHER, 8},
};

const ElementType *element_type_find(const char *name) {
    for (size_t i = 0; i < sizeof element_types / sizeof element_types[0]; i++)
        if (strcmp(name, element_types[i].name) == 0) return &element_types[i];
    return NULL;
}

static uint16_t load_u16(const unsigned char *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t load_u32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t elements_load_u64(const unsigned char *p) {
    return (uint64_t)load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

static float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction. */
static float float_from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 0x1Fu, fraction = half & 0x3FFu;
    if (exponent == 0x1F) return float_from_bits(sign | 0x7F800000u | fraction << 13); /* infinity, NaN */
    if (exponent == 0) {                                                               /* zero, subnormal */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

void elements_to_float(ElementKind kind, const unsigned char *bytes, float *values, size_t count) {
    switch (kind) {
    case ELEMENT_F32:
        for (size_t i = 0; i < count; i++) values[i] = float_from_bits(load_u32(bytes + 4 * i));
        break;
    case ELEMENT_F16:
        for (size_t i = 0; i < count; i++) values[i] = float_from_half(load_u16(bytes + 2 * i));
        break;
    case ELEMENT_BF16:
        for (size_t i = 0; i < count; i++) values[i] = float_from_bits((uint32_t)load_u16(bytes + 2 * i) << 16);
        break;
    case ELEMENT_F64:
        for (size_t i = 0; i < count; i++) values[i] = (float)double_from_bits(elements_load_u64(bytes + 8 * i));
        break;
    case ELEMENT_I64:
        for (size_t i = 0; i < count; i++) values[i] = (float)(int64_t)elements_load_u64(bytes + 8 * i);
        break;
    case ELEMENT_I32:
        for (size_t i = 0; i < count; i++) values[i] = (float)(int32_t)load_u32(bytes + 4 * i);
        break;
    case ELEMENT_U8:
        for (size_t i = 0; i < count; i++) values[i] = bytes[i];
        break;
    case ELEMENT_OTHER:
        break;
    }
}
