/* cpu_depthwise.h - what the files of the depthwise passes share: shapes, and input rows, stored or made on the fly.
 *
 * A task walks down its images with rings of K rows, K the kernel's side: input rows normalised and activated as they
 * enter. Channels are taken in blocks, so that the rings of one block stay in the second-level cache.
 *
 *   cpu_depthwise_rows.c       geometry, scratch, an input row: loaded, or made of the expand convolution's input
 *   cpu_depthwise.c            forward
 *   cpu_depthwise_few.c        forward, inference on a few images
 *   cpu_depthwise_backward.c   backward */
#ifndef EFFNET_BACKEND_CPU_CPU_DEPTHWISE_H
#define EFFNET_BACKEND_CPU_CPU_DEPTHWISE_H

#include "backend/cpu/cpu_engine.h"

enum { MAX_KERNEL = 5 };

/* Everything about the shape that both directions need. */
typedef struct Geometry {
    const Op *op;
    TensorShape in, out;
    int kernel, stride;
    int row_width;      /* of an input row with its borders */
    int inserted_pad;   /* zeros before an output gradient row with stride - 1 zeros inserted between its pixels, ... */
    int gradient_pad;   /* and before the row as it is stored, without those */
    int gradient_width; /* of that stored row with its borders */
    int block;          /* channels at a time, a multiple of the lanes */
} Geometry;

/* Scratch for rows made on the fly: a tile of x, a raw row of y, a tile of dz. */
typedef struct ExpandScratch {
    float *x_tile, *row, *dz_tile; /* values, in room for floats */
} ExpandScratch;

/* What is applied to an input row, stored or made on the fly. */
static inline Operand depthwise_operand(const Pass *pass) {
    return pass->expand >= 0 ? pass->expanded : pass->input;
}

Geometry depthwise_geometry(const CpuEngine *engine, int op_index);
/* Rows that wait in a tile until there are enough of them for a matrix product. */
int depthwise_tile_rows(const Geometry *g);
/* Channels of x where rows are made on the fly; else 0. */
int depthwise_narrow_channels(const CpuEngine *engine, const Pass *pass);
ExpandScratch depthwise_expand_scratch(const CpuEngine *engine, const Pass *pass, const Geometry *g, float *from);
/* Input row y of an image, channels [c, c + count), with what is pending applied, into a ring. slope NULL: not wanted.
 */
void depthwise_load_row(const PassRun *run, const Geometry *g, const ExpandScratch *expand, int image, int y, int c,
                        int count, float *value, float *slope);
/* Output rows [y, end) of one image, channels [c, c + count). *loaded: the next input row, -1 for a new image. */
void depthwise_forward_rows(const PassRun *run, const Geometry *g, int image, int y, int end, int c, int count,
                            int *loaded, float *ring, const ExpandScratch *expand);
/* Of inference on few images in the engine's batch; false: on more. */
bool depthwise_forward_few(PassRun *run);

#endif
