/* gradient_tree.c - see gradient_tree.h. The blocks are a stack of complete subtrees, the largest below; two of the
 * same size become one. */
#include "executor/gradient_tree.h"

#include "base/memory.h"

effnet_status gradient_tree_create(size_t floats, int replicas, GradientTree *out, effnet_error *err) {
    *out = (GradientTree){.floats = floats};
    int most = 1; /* blocks in use at once: those of the bits of replicas - 1, and the next leaf */
    for (int left = replicas - 1; left > 0; left >>= 1) most++;
    for (int i = 1; i < most; i++) {
        void *block;
        TRY(memory_allocate(floats, sizeof(float), "the gradients of a replica", &block, err));
        out->blocks[i] = block;
    }
    return EFFNET_OK;
}

void gradient_tree_free(GradientTree *tree) {
    for (int i = 1; i < GRADIENT_TREE_HEIGHT; i++) memory_free(tree->blocks[i]);
    *tree = (GradientTree){0};
}

void gradient_tree_begin(GradientTree *tree, float *sum) {
    tree->blocks[0] = sum;
    tree->used = 0;
}

float *gradient_tree_next(GradientTree *tree) {
    return tree->blocks[tree->used];
}

typedef struct Addition {
    float *restrict sum;
    const float *restrict other;
    size_t floats;
} Addition;

enum { ADDITION_TASK = 65536 }; /* floats */

static void add_task(void *context, int task, int thread) {
    (void)thread;
    const Addition *addition = context;
    size_t first = (size_t)task * ADDITION_TASK, end = first + ADDITION_TASK;
    if (end > addition->floats) end = addition->floats;
    for (size_t i = first; i < end; i++) addition->sum[i] += addition->other[i];
}

static void add(float *sum, const float *other, size_t floats, ThreadTeam *team) {
    Addition addition = {sum, other, floats};
    thread_team_run(team, add_task, &addition, (int)((floats + ADDITION_TASK - 1) / ADDITION_TASK));
}

/* The upper two blocks become one. */
static void join(GradientTree *tree, ThreadTeam *team) {
    int top = --tree->used;
    add(tree->blocks[top - 1], tree->blocks[top], tree->floats, team);
    tree->leaves[top - 1] += tree->leaves[top];
}

void gradient_tree_add(GradientTree *tree, ThreadTeam *team) {
    tree->leaves[tree->used++] = 1;
    while (tree->used > 1 && tree->leaves[tree->used - 1] == tree->leaves[tree->used - 2]) join(tree, team);
}

void gradient_tree_finish_part(GradientTree *tree, size_t from, size_t end, ThreadTeam *team) {
    for (int top = tree->used; top > 0; top--) /* block [used] is the last replica's, whatever it joins with first */
        add(tree->blocks[top - 1] + from, tree->blocks[top] + from, end - from, team);
}

void gradient_tree_finish(GradientTree *tree, ThreadTeam *team) {
    while (tree->used > 1) join(tree, team);
}
