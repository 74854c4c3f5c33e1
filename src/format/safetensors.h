/* safetensors.h - the safetensors file format (huggingface/safetensors): eight bytes of header length, a JSON
 * header of names, types, shapes and offsets, then the bytes, all little-endian. Read with every count and
 * offset checked against the file by the format's own rules (docs/formats.md lists them); written atomically
 * and deterministically. Written are fp32 tensors only; F16, BF16, F64, I64, I32 and U8 are converted to
 * float on reading. */
#ifndef EFFNET_FORMAT_SAFETENSORS_H
#define EFFNET_FORMAT_SAFETENSORS_H

#include "base/error.h"

/* A header of 8 MB describes about 80,000 tensors (B8 has 1,600); parsed JSON takes up to fifty times its
 * text, so the limit also bounds what a hostile file can make us allocate. */
enum { SAFETENSORS_MAX_HEADER = 8 << 20, SAFETENSORS_MAX_RANK = 8 };

typedef struct Safetensors Safetensors;

typedef struct SafetensorsTensor {
    const char *name; /* owned by the file */
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    size_t count;
} SafetensorsTensor;

/* A shape for a message: "[32,3,3,3]". */
enum { SHAPE_TEXT = 160 };
void shape_print(char out[SHAPE_TEXT], int rank, const int64_t *shape);

/* Reads and checks the header, by its checksum too where it carries one; the tensors' bytes are read by
 * safetensors_read. *out is freed by safetensors_close. */
effnet_status safetensors_open(const char *path, Safetensors **out, effnet_error *err);
void safetensors_close(Safetensors *file);
const char *safetensors_path(const Safetensors *file);
int safetensors_count(const Safetensors *file);
SafetensorsTensor safetensors_tensor(const Safetensors *file, int index); /* in bytewise order of the names */
int safetensors_find(const Safetensors *file, const char *name);          /* -1: none */
/* `count` must be the tensor's. Two threads may read from one file at once. */
effnet_status safetensors_read(const Safetensors *file, int index, float *values, size_t count, effnet_error *err);
/* Elements first .. first + count - 1 of a tensor, which must have them. */
effnet_status safetensors_read_part(const Safetensors *file, int index, size_t first, float *values, size_t count,
                                    effnet_error *err);
/* Does the file carry checksums (safetensors_sum.h)? Ours do; those of other programs and of older versions do not. */
bool safetensors_has_sum(const Safetensors *file);
/* Reads all the data and holds it against its checksum; EFFNET_OK where the file carries none. */
effnet_status safetensors_verify(const Safetensors *file, effnet_error *err);
/* A value of __metadata__, or NULL; owned by the file. */
const char *safetensors_metadata(const Safetensors *file, const char *key);

/* Tensors whose values are somewhere else than in a safetensors file (format/torch_file.h), behind the functions above. */
typedef struct TensorSource {
    /* Elements first .. first + count - 1 of a tensor, which has them; of several threads at once. */
    effnet_status (*read)(void *context, int index, size_t first, float *values, size_t count, effnet_error *err);
    void (*free)(void *context);
} TensorSource;

/* `tensors` in bytewise order of their names, which the context owns and whose elements read() knows; the context is
 * freed with *out, and stays the caller's after an error. metadata as in safetensors_write. */
effnet_status safetensors_of_source(const char *path, const SafetensorsTensor *tensors, int count,
                                    const char *const *metadata, const TensorSource *source, void *context,
                                    Safetensors **out, effnet_error *err);

typedef struct SafetensorsEntry {
    const char *name;
    int rank;
    const int *shape;
    const float *values;
    size_t count;
} SafetensorsEntry;

/* metadata: pairs of UTF-8 strings key, value, key, value, ..., NULL; may be NULL; where there are some, the
 * file's checksums are added. The same entries and
 * metadata give the same bytes whatever the order of `entries`. */
effnet_status safetensors_write(const char *path, const SafetensorsEntry *entries, int count,
                                const char *const *metadata, effnet_error *err);

#endif
