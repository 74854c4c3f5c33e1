/* safetensors.h - the safetensors file format (huggingface/safetensors): eight bytes of header length, a JSON
 * header of names, types, shapes and offsets, then the bytes. Read with every count and offset checked
 * against the file; written atomically. fp32 only, here; F16, BF16, F64, I64 and I32 are converted to float
 * on reading. */
#ifndef EFFNET_FORMAT_SAFETENSORS_H
#define EFFNET_FORMAT_SAFETENSORS_H

#include "base/error.h"

enum { SAFETENSORS_MAX_HEADER = 64 << 20, SAFETENSORS_MAX_RANK = 8 };

typedef struct Safetensors Safetensors;

typedef struct SafetensorsTensor {
    const char *name;
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    size_t count;
} SafetensorsTensor;

effnet_status safetensors_open(const char *path, Safetensors **out, effnet_error *err);
void safetensors_close(Safetensors *file);
int safetensors_count(const Safetensors *file);
SafetensorsTensor safetensors_tensor(const Safetensors *file, int index);
int safetensors_find(const Safetensors *file, const char *name); /* -1: none */
effnet_status safetensors_read(const Safetensors *file, int index, float *values, size_t count,
                               effnet_error *err);
/* A value of __metadata__, or NULL. */
const char *safetensors_metadata(const Safetensors *file, const char *key);

typedef struct SafetensorsEntry {
    const char *name;
    int rank;
    const int *shape;
    const float *values;
    size_t count;
} SafetensorsEntry;

/* metadata: pairs of strings key, value, key, value, ..., NULL; may be NULL. */
effnet_status safetensors_write(const char *path, const SafetensorsEntry *entries, int count,
                                const char *const *metadata, effnet_error *err);

#endif
