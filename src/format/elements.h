/* elements.h - the types that a tensor's elements have in files of weights, little-endian, and their values as floats. */
#ifndef EFFNET_FORMAT_ELEMENTS_H
#define EFFNET_FORMAT_ELEMENTS_H

#include <stddef.h>
#include <stdint.h>

typedef enum ElementKind {
    ELEMENT_OTHER, /* known by its size alone, not converted */
    ELEMENT_F32,
    ELEMENT_F16,
    ELEMENT_BF16,
    ELEMENT_F64,
    ELEMENT_I64,
    ELEMENT_I32,
    ELEMENT_U8
} ElementKind;

typedef struct ElementType {
    const char *name; /* as safetensors has it */
    ElementKind kind;
    size_t bytes;
} ElementType;

/* By safetensors' name: "BF16"; NULL: there is none such. */
const ElementType *element_type_find(const char *name);
/* `count` elements, at any address. Of ELEMENT_OTHER nothing is written. */
void elements_to_float(ElementKind kind, const unsigned char *bytes, float *values, size_t count);
uint64_t elements_load_u64(const unsigned char *bytes);

#endif
