/* c_source_arena.c - see c_source.h. A tensor lives from the op that makes it to the last that reads it. Batch norm is part
 * of the convolution before it; squeeze-excite, residual and dropout change their input in place, which nobody reads
 * afterwards. The largest tensors are placed first, each as low as those allow that live at the same time. */
#include "format/c_source.h"

#include <stdlib.h>

typedef struct Life {
    int root;  /* the tensor whose place it has */
    int first; /* ops; of a root, for all tensors in its place */
    int last;
    size_t floats;
    bool placed;
} Life;

static bool is_in_place(OpKind kind) {
    return kind == OP_BATCH_NORM || kind == OP_SQUEEZE_EXCITE || kind == OP_RESIDUAL || kind == OP_DROPOUT;
}

static void read_at(Life *lives, int tensor, int op) {
    Life *root = &lives[lives[tensor].root];
    if (root->last < op) root->last = op;
}

/* Whether an op after `op` reads the tensor that `op` changes in place. */
static bool is_read_later(const Network *network, int op) {
    const int tensor = network->ops[op].input;
    for (int i = op + 1; i < network->num_ops; i++)
        if (network->ops[i].input == tensor ||
            (network->ops[i].kind == OP_RESIDUAL && network->ops[i].residual == tensor))
            return true;
    return false;
}

static effnet_status find_lives(const Network *network, Life *lives, effnet_error *err) {
    for (int t = 0; t < network->num_tensors; t++)
        lives[t] = (Life){.root = t, .first = -1, .last = -1, .floats = shape_floats(network->tensors[t])};
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        read_at(lives, op->input, i);
        if (op->kind == OP_RESIDUAL) read_at(lives, op->residual, i);
        if (is_in_place(op->kind)) {
            if (op->input == 0 || is_read_later(network, i))
                return fail(err, EFFNET_ERROR_UNSUPPORTED, "C export: '%s' cannot be computed in place", op->name);
            lives[op->output].root = lives[op->input].root;
        } else {
            lives[op->output].first = i;
        }
        read_at(lives, op->output, i);
    }
    return EFFNET_OK;
}

/* The lowest place where `tensor` overlaps no placed one that lives at the same time. */
static size_t lowest_place(const Network *network, const Life *lives, const size_t *offsets, int tensor) {
    const Life *life = &lives[tensor];
    size_t place = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int t = 0; t < network->num_tensors; t++) {
            const Life *other = &lives[t];
            if (!other->placed || other->last < life->first || other->first > life->last) continue;
            if (place < offsets[t] + other->floats && offsets[t] < place + life->floats) {
                place = offsets[t] + other->floats;
                moved = true;
            }
        }
    }
    return place;
}

effnet_status c_arena_plan(const Network *network, CArena *out, effnet_error *err) {
    Life *lives = calloc((size_t)network->num_tensors, sizeof *lives);
    *out = (CArena){.offsets = calloc((size_t)network->num_tensors, sizeof *out->offsets)};
    effnet_status status = EFFNET_OK;
    if (!lives || !out->offsets) status = fail(err, EFFNET_ERROR_MEMORY, "no memory to plan the arena");
    if (status == EFFNET_OK) status = find_lives(network, lives, err);
    for (int done = 0; done < network->num_tensors && status == EFFNET_OK; done++) {
        int largest = -1;
        for (int t = 0; t < network->num_tensors; t++)
            if (lives[t].root == t && !lives[t].placed && (largest < 0 || lives[t].floats > lives[largest].floats))
                largest = t;
        if (largest < 0) break;
        out->offsets[largest] = lowest_place(network, lives, out->offsets, largest);
        lives[largest].placed = true;
        const size_t end = out->offsets[largest] + lives[largest].floats;
        if (end > out->floats) out->floats = end;
    }
    for (int t = 0; t < network->num_tensors && status == EFFNET_OK; t++) out->offsets[t] = out->offsets[lives[t].root];
    free(lives);
    if (status != EFFNET_OK) c_arena_free(out);
    return status;
}

void c_arena_free(CArena *arena) {
    free(arena->offsets);
    *arena = (CArena){0};
}
