/* plan_memory.c - when each of a plan's buffers is alive, and where in the arena it lies. See plan.h. */
#include "plan/plan.h"

#include "base/memory.h"

#include <stdlib.h>

static void touch(Plan *plan, int buffer, int pass) {
    if (buffer < 0) return;
    if (plan->buffers[buffer].first < 0) plan->buffers[buffer].first = pass;
    plan->buffers[buffer].last = pass;
}

static void find_lives(Plan *plan) {
    for (int i = 0; i < plan->num_passes; i++) {
        const Pass *pass = &plan->passes[i];
        touch(plan, pass->input.buffer, i);
        touch(plan, pass->residual.buffer, i);
        touch(plan, pass->raw, i);
        touch(plan, pass->gradient, i);
        touch(plan, pass->gradient_out, i);
    }
    touch(plan, plan->kept.buffer, plan->num_forward - 1);
}

/* Of the whole batch; a multiple of a kilobyte: no two buffers share a line or a page offset. */
static size_t buffer_bytes(const Plan *plan, int index) {
    const Buffer *buffer = &plan->buffers[index];
    return round_up(shape_floats(buffer->shape) * (size_t)plan->options.batch * (size_t)buffer->value_bytes, 1024);
}

/* First fit, largest first: a buffer goes to the lowest place where no buffer alive at the same time lies. */
static effnet_status place_buffers(Plan *plan, effnet_error *err) {
    int count = plan->num_buffers;
    int *order = malloc((size_t)count * sizeof *order), *placed = malloc((size_t)count * sizeof *placed);
    if (!order || !placed) {
        free(order);
        free(placed);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory to plan %s", plan->network->config.name);
    }
    for (int i = 0; i < count; i++) {
        int j = i;
        for (; j > 0 && buffer_bytes(plan, order[j - 1]) < buffer_bytes(plan, i); j--) order[j] = order[j - 1];
        order[j] = i;
    }
    effnet_status status = EFFNET_OK;
    for (int i = 0; i < count && status == EFFNET_OK; i++) {
        Buffer *buffer = &plan->buffers[order[i]];
        size_t size, end;
        if (!size_multiply(shape_floats(buffer->shape), (size_t)plan->options.batch, &size) || size > SIZE_MAX / 64) {
            status = fail(err, EFFNET_ERROR_MEMORY, "activations of %s at batch %d overflow", buffer->name,
                          plan->options.batch);
            break;
        }
        size = buffer_bytes(plan, order[i]);
        size_t offset = 0;
        for (bool moved = true; moved;) { /* placed[] is sorted by offset */
            moved = false;
            for (int j = 0; j < i; j++) {
                const Buffer *other = &plan->buffers[placed[j]];
                size_t other_size = buffer_bytes(plan, placed[j]);
                bool alive_together = other->first <= buffer->last && buffer->first <= other->last;
                if (alive_together && offset < other->offset + other_size && other->offset < offset + size) {
                    offset = other->offset + other_size;
                    moved = true;
                }
            }
        }
        buffer->offset = offset;
        int j = i;
        for (; j > 0 && plan->buffers[placed[j - 1]].offset > offset; j--) placed[j] = placed[j - 1];
        placed[j] = order[i];
        end = offset + size;
        if (end > plan->arena_bytes) plan->arena_bytes = end;
    }
    free(order);
    free(placed);
    return status;
}

effnet_status plan_place_buffers(Plan *plan, effnet_error *err) {
    find_lives(plan);
    return place_buffers(plan, err);
}
