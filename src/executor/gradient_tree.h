/* gradient_tree.h - the replicas' gradients added up in a binary tree over replicas:
 *
 *   ((0 + 1) + (2 + 3)) + ((4 + 5) + ...)      stride 1, then 2, then 4: replica i takes in replica i + stride
 *
 * whatever worker computed which (dist/workers.h adds the workers' subtrees in the same order), with no more blocks
 * than the tree is high: replicas are added in order, and what is complete is added up at once. Internal to executor/.
 */
#ifndef EFFNET_EXECUTOR_GRADIENT_TREE_H
#define EFFNET_EXECUTOR_GRADIENT_TREE_H

#include "base/error.h"
#include "base/threads.h"

enum { GRADIENT_TREE_HEIGHT = 32 };

typedef struct GradientTree {
    size_t floats;
    float *blocks[GRADIENT_TREE_HEIGHT]; /* [0] is the caller's, where the sum ends up */
    int leaves[GRADIENT_TREE_HEIGHT];    /* replicas in the sum that a block holds */
    int used;
} GradientTree;

/* For up to `replicas` leaves. Freed by gradient_tree_free, after an error too. */
effnet_status gradient_tree_create(size_t floats, int replicas, GradientTree *out, effnet_error *err);
void gradient_tree_free(GradientTree *tree);
/* Empty; the sum will be in `sum`. */
void gradient_tree_begin(GradientTree *tree, float *sum);
/* Where the next replica's gradients go. */
float *gradient_tree_next(GradientTree *tree);
/* They are there. */
void gradient_tree_add(GradientTree *tree, ThreadTeam *team);
/* Instead of adding the last replica and finishing: floats [from, end) of `sum` become those of the sum, by the same
 * additions; the replica's are finished there and not needed any more. */
void gradient_tree_finish_part(GradientTree *tree, size_t from, size_t end, ThreadTeam *team);
/* After the last replica: `sum` holds the sum. */
void gradient_tree_finish(GradientTree *tree, ThreadTeam *team);

#endif
