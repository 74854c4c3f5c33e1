/* batch_order.c - see batch_order.h. */
#include "data/feed/batch_order.h"
#include "base/memory.h"
#include "data/sources/source.h"

enum { MOST_PROCESSES = 65536, STREAM_ORDER = 0x6F726472 /* "ordr": apart from the other uses of the seed */ };

static int64_t places_of(const BatchShape *shape) {
    return (int64_t)shape->batch * (shape->processes ? shape->processes : 1);
}

effnet_status batch_shape_check(const BatchShape *shape, int64_t pictures, effnet_error *err) {
    if (shape->batch < 1) return fail(err, EFFNET_ERROR_ARGUMENT, "batch is %d; at least 1 is allowed", shape->batch);
    if (shape->processes < 0 || shape->processes > MOST_PROCESSES)
        return fail(err, EFFNET_ERROR_ARGUMENT, "processes is %d; allowed are 1 to %d", shape->processes,
                    (int)MOST_PROCESSES);
    if (shape->process < 0 || shape->process >= (shape->processes ? shape->processes : 1))
        return fail(err, EFFNET_ERROR_ARGUMENT, "process is %d; %d processes count from 0 to %d", shape->process,
                    shape->processes, shape->processes - 1);
    if (pictures < 1 || pictures > UINT32_MAX)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the data set has %lld pictures; allowed are 1 to %u",
                    (long long)pictures, UINT32_MAX);
    if (shape->training && pictures < places_of(shape))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "the training data has %lld pictures, fewer than one batch of %lld: use a smaller batch_size",
                    (long long)pictures, (long long)places_of(shape));
    if (!shape->training && shape->drop_remainder && pictures < places_of(shape))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "the evaluation data has %lld pictures, and eval_remainder: drop leaves out what fills no batch of "
                    "%lld; use a smaller eval_batch_size",
                    (long long)pictures, (long long)places_of(shape));
    return EFFNET_OK;
}

/* First place of this process in a step of a pass. */
static int64_t first_of(const BatchOrder *order, int64_t step) {
    return step * places_of(&order->shape) + (int64_t)order->shape.process * order->shape.batch;
}

static int64_t steps_of(const BatchOrder *order) {
    const BatchShape *shape = &order->shape;
    int64_t places = places_of(shape), whole = order->pictures / places, left = order->pictures % places;
    if (shape->training) return whole + (shape->wrap && left);
    return whole + (!shape->drop_remainder && left > (int64_t)shape->process * shape->batch);
}

effnet_status batch_order_create(BatchOrder *order, const Dataset *dataset, const BatchShape *shape, uint64_t seed,
                                 effnet_error *err) {
    *order = (BatchOrder){.shape = *shape, .dataset = dataset, .order_pass = -1};
    TRY(batch_shape_check(shape, dataset_size(dataset), err));
    if (order->shape.repeats < 1 || !shape->training) order->shape.repeats = 1;
    if (order->shape.processes < 1) order->shape.processes = 1;
    order->pictures = (uint32_t)dataset_size(dataset);
    order->key = random_fold_in(random_key(seed), STREAM_ORDER);
    order->steps = steps_of(order);
    void *block;
    if (!shape->training) return EFFNET_OK;
    TRY(memory_allocate(order->pictures, sizeof *order->order, "the order of an epoch", &block, err));
    order->order = block;
    return shape->balanced ? balanced_order_create(dataset, &order->classes, err) : EFFNET_OK;
}

void batch_order_release(BatchOrder *order) {
    memory_free(order->order);
    balanced_order_release(&order->classes);
    *order = (BatchOrder){0};
}

int batch_order_size(const BatchOrder *order, int64_t step) {
    if (order->shape.training) return order->shape.batch;
    int64_t left = order->pictures - first_of(order, step % order->steps);
    return left < order->shape.batch ? (int)left : order->shape.batch;
}

/* The pass of a place, and where in the pass's row of places it is. */
static int64_t pass_of(const BatchOrder *order, int64_t step, int place, uint32_t *position) {
    if (order->shape.training && order->shape.wrap) {
        int64_t at = first_of(order, step) + place;
        *position = (uint32_t)(at % order->pictures);
        return at / order->pictures;
    }
    *position = (uint32_t)(first_of(order, step % order->steps) + place);
    return step / order->steps;
}

void batch_order_fill(BatchOrder *order, int64_t step, uint32_t *indices) {
    int size = batch_order_size(order, step);
    for (int i = 0; i < size; i++) {
        uint32_t position;
        int64_t pass = pass_of(order, step, i, &position);
        if (!order->shape.training) {
            indices[i] = position;
            continue;
        }
        if (pass != order->order_pass) {
            if (order->shape.balanced)
                balanced_order_draw(&order->classes, order->key, pass, order->order);
            else
                dataset_order(order->dataset, random_fold_in(order->key, (uint32_t)pass), order->order);
            order->order_pass = pass;
        }
        indices[i] = order->order[position / (uint32_t)order->shape.repeats];
    }
}

int64_t batch_order_pass(const BatchOrder *order, int64_t step, int place, uint32_t *repetition) {
    uint32_t position;
    int64_t pass = pass_of(order, step, place, &position);
    *repetition = order->shape.balanced ? position : position % (uint32_t)order->shape.repeats;
    return pass;
}
