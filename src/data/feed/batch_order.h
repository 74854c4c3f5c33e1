/* batch_order.h - which picture stands in which place of which batch: a function of the seed, the step and the place,
 * so that no thread, no resume and no number of processes changes it. Internal to data/.
 *
 * `processes` of them share a run: step s is a batch of processes * batch places, and process p makes places
 * [p * batch, (p + 1) * batch) of it. Together they make what one process would with so much larger a batch; none makes
 * a picture that another makes in the same epoch.
 *
 * Training goes through an order of the pictures that is drawn anew for each pass; what fills no batch of all processes
 * is left out, or begins a batch that goes on with the next pass (`wrap`: place i of step s is then number
 * s * processes * batch + i of the stream of passes). Repeats: the first pictures of the order stand several times
 * each, and the last not at all. Evaluation goes through the pictures as they are numbered; the last batch is as large
 * as what is left, so that the last processes may have a smaller share of it, or none, or it is left out
 * (drop_remainder). */
#ifndef EFFNET_DATA_FEED_BATCH_ORDER_H
#define EFFNET_DATA_FEED_BATCH_ORDER_H

#include "base/random.h"
#include "data/feed/balanced_order.h"
#include "data/sources/dataset.h"

#include <stdbool.h>

typedef struct BatchShape {
    bool training, wrap, drop_remainder;
    bool balanced;          /* training: as many places for each class (balanced_order.h) */
    int batch;              /* of one process */
    int repeats;            /* 0: 1 */
    int process, processes; /* 0 of 0: the only one */
} BatchShape;

typedef struct BatchOrder {
    BatchShape shape; /* no zeros any more where 1 is meant */
    const Dataset *dataset;
    uint32_t pictures;
    int64_t steps; /* of a pass: an epoch, or this process's share of an evaluation, which may be 0 */
    RandomKey key;
    BalancedOrder classes; /* where balanced */
    uint32_t *order;       /* training: (pictures) of pass order_pass */
    int64_t order_pass;
} BatchOrder;

/* Contradictions in the shape; the messages name the recipe's keys. */
effnet_status batch_shape_check(const BatchShape *shape, int64_t pictures, effnet_error *err);

effnet_status batch_order_create(BatchOrder *order, const Dataset *dataset, const BatchShape *shape, uint64_t seed,
                                 effnet_error *err);
void batch_order_release(BatchOrder *order);

/* How many places this process has in a step. */
int batch_order_size(const BatchOrder *order, int64_t step);
/* The pictures of all of them; one thread at a time. */
void batch_order_fill(BatchOrder *order, int64_t step, uint32_t *indices);
/* Which pass a place belongs to, and which repetition of its picture it is, from 0; where balanced, a number that no
 * other place of the pass has. */
int64_t batch_order_pass(const BatchOrder *order, int64_t step, int place, uint32_t *repetition);

#endif
