/* gguf.h - a network with its weights as a GGUF file, version 3: ggml's format (docs/gguf.md of ggml-org/ggml), all
 * little-endian.
 *
 *   "GGUF", u32 3, u64 tensors, u64 pairs
 *   pairs: string key, u32 type, value              string: u64 length, bytes; array: u32 type, u64 count, values
 *   tensors: string name, u32 rank, u64 sides[rank] (the fastest first: PyTorch's shape backwards), u32 type, u64 offset
 *   zeros up to a multiple of 32; the tensors' bytes, each at its offset, a multiple of 32
 *
 * Names and layouts are timm's. Keys: `general.architecture` "efficientnet", `general.name`, `general.file_type` (0 float32,
 * 1 mostly float16); `efficientnet.resolution` (an array of rows and columns where they differ), `.mean`, `.std`, `.class_names`, `.bn_eps`; and every key of a safetensors
 * file of ours as a string. `effnet.crc32c` is that of the whole file with its own eight digits as zeros. */
#ifndef EFFNET_FORMAT_GGUF_H
#define EFFNET_FORMAT_GGUF_H

#include "model/network.h"
#include "recipe/evaluation_transform.h"

typedef struct GgufOptions {
    bool half; /* convolutions and classifier in float16 */
    const EvaluationTransform *transform;
    const char *const *labels;   /* (classes) */
    const char *const *metadata; /* pairs key, value, ..., NULL */
} GgufOptions;

effnet_status gguf_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                         const GgufOptions *options, effnet_error *err);
/* The weights as a file with options.half has them: rounded. An error names what float16 cannot hold. */
effnet_status gguf_round(const Network *network, float *parameters, effnet_error *err);

/* A file that gguf_write made, read back, whole, its checksum right. *out is freed by gguf_close. */
typedef struct GgufFile GgufFile;
effnet_status gguf_open(const char *path, GgufFile **out, effnet_error *err);
void gguf_close(GgufFile *file);
/* A string of the pairs, or NULL; owned by the file. */
const char *gguf_metadata(const GgufFile *file, const char *key);
effnet_status gguf_read_weights(const GgufFile *file, const Network *network, float *parameters, float *statistics,
                                effnet_error *err);

/* What both directions know. */
enum {
    GGUF_VERSION = 3,
    GGUF_ALIGNMENT = 32,
    GGUF_SUM_DIGITS = 8,
    GGUF_MOST_RANK = 4,
    GGUF_TENSOR_F32 = 0,
    GGUF_TENSOR_F16 = 1,
    GGUF_U32 = 4,
    GGUF_F32 = 6,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_TYPES = 13
};
#define GGUF_SUM_KEY "effnet.crc32c"

#endif
