/* cpu_project.h - what the files of squeeze-excite and projection share.
 *
 *   cpu_project.c          an image or a group of small images a task, forward and backward
 *   cpu_project_few.c      inference on a few images: tiles of one image are shared out
 *   cpu_project_shares.c   training on a single image, which is cut into shares
 *   cpu_squeeze.c          from the means of an image to its gates, and back */
#ifndef EFFNET_BACKEND_CPU_CPU_PROJECT_H
#define EFFNET_BACKEND_CPU_CPU_PROJECT_H

#include "backend/cpu/cpu_engine.h"

enum { LEAST_GROUPS = 8 }; /* of a batch, so that there is work for several threads */

typedef struct Project {
    const Op *op;
    TensorShape in, out; /* u's shape, p's */
    int pixels;          /* an image */
    int group;           /* images */
    int tiles;           /* of a group */
    int shares;          /* training on a single image: tasks of it; else 1 */
    int share_rows;      /* pixels of each but the last */
    GateState *gate;     /* NULL without squeeze-excite */
    Activation inner;    /* the squeeze's */
} Project;
Project project_of(const CpuEngine *engine, const Pass *pass);

/* A task's group: images [first, first + count). */
typedef struct Group {
    int first, count, rows;
} Group;

static inline int tile_rows_at(const Group *group, int first) {
    return group->rows - first < TILE_ROWS ? group->rows - first : TILE_ROWS;
}

/* ---- cpu_squeeze.c ---- */
/* pooled -> reduce -> activation -> expand -> sigmoid = gate, of a group's images; `tile`: room for a row of channels
 * an image, twice. */
void squeeze_forward(const PassRun *run, const Project *project, const Group *group, float *tile);
/* From the gates' gradients (sums over each image of dv * a) to q = d(pooled) / pixels; keeps what the weights need. */
void squeeze_backward(const PassRun *run, const Project *project, const Group *group, const float *gate_sums,
                      float *tile, float *q);

/* ---- cpu_project.c ---- */
/* Scratch of a group's backward pass; vectors of `in` floats, those that an image has of its own `group` of them. */
typedef struct BackwardScratch {
    float *dp_tile, *a_tile, *slopes; /* values, in room for floats */
    float *gate, *d, *d_centred, *q;  /* an image's own */
    float *e, *e_centred, *tile;
} BackwardScratch;
/* Rows [first, first + TILE_ROWS) of the group: dv -> e in dz, slopes, sums, and their part of dW (out, in) in `slot`,
 * its first values or added to; NULL: tiles are kept. */
void project_backward_tile(const PassRun *run, const Project *project, const Group *group, int first, bool add,
                           float *slot, const BackwardScratch *scratch);

/* ---- cpu_project_few.c ---- */
bool project_is_few(const PassRun *run, const Project *project);
void project_few(PassRun *run, const Project *project);
/* As project_shared_tiles. */
size_t project_few_tiles(const CpuEngine *engine, const Project *project, size_t *sums);

/* ---- cpu_project_shares.c ---- */
void project_forward_shares(PassRun *run, const Project *project);
void project_backward_shares(PassRun *run, const Project *project);
/* As project_shared_tiles. */
size_t project_shares_tiles(const CpuEngine *engine, const Pass *pass, const Project *project, size_t *sums);

#endif
