/* c_source.h - a network with its weights as C: one .c and one .h file that need a compiler and libm, for devices that
 * have nothing else. */
#ifndef EFFNET_FORMAT_C_SOURCE_H
#define EFFNET_FORMAT_C_SOURCE_H

#include "model/network.h"
#include "recipe/evaluation_transform.h"

#include <stdio.h>

typedef struct CSourceOptions {
    const EvaluationTransform *pictures; /* how they are prepared: as for onnx_add_picture */
    const char *const *labels;           /* (classes) */
    const char *notes;                   /* where the weights come from, lines; may be "" */
    bool several;                        /* probabilities: each class's own (sigmoid); else of all together (softmax) */
    const uint8_t *golden; /* a picture (golden_height, golden_width, 3) that the files' own test runs on, ... */
    int golden_height, golden_width;
    const float *golden_logits; /* ... and what it must give (classes) */
} CSourceOptions;

/* path: NAME.c; NAME.h is written beside it, each whole or not at all. Their functions begin with NAME, what is no letter or
 * digit of it being '_'. */
effnet_status c_source_write(const char *path, const Network *network, const float *parameters, const float *statistics,
                             const CSourceOptions *options, effnet_error *err);

/* ---- c_source_parts.c, private ---- */

/* Functions of the layers that the network has. */
void c_source_layers(FILE *stream, const Network *network);
/* PREFIX_prepare: a picture of any size becomes the network's input. */
void c_source_prepare(FILE *stream, const char *prefix, const EvaluationTransform *how);

/* ---- c_source_arena.c, private ---- */

/* Where each tensor lies in one block of floats, and how large that is. Some are their input, changed in place. */
typedef struct CArena {
    size_t *offsets; /* (tensors) */
    size_t floats;
} CArena;
effnet_status c_arena_plan(const Network *network, CArena *out, effnet_error *err);
void c_arena_free(CArena *arena);

#endif
