/* test_plan_buffers.c - the plan's buffers, for every way of planning the family: a buffer is written before it is read,
 * lives exactly from its first pass to its last, lies inside the arena, and shares no byte with another that lives at
 * the same time. Which passes touch which buffers is said here once more, from what plan.h says of each kind of pass. */
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST_TOUCHED = 5 };

/* The buffers that a pass reads and those that it writes, -1 where there is none. */
typedef struct Touched {
    int read[MOST_TOUCHED], written[MOST_TOUCHED];
} Touched;

static Touched touched_by(const Pass *pass) {
    Touched none = {{-1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1}}, of = none;
    switch (pass->kind) {
    case PASS_CONV_FORWARD:
    case PASS_DEPTHWISE_FORWARD:
    case PASS_PROJECT_FORWARD:
    case PASS_POOL_FORWARD:
        of.read[0] = pass->input.buffer;
        of.written[0] = pass->raw;
        break;
    case PASS_RESIDUAL_FORWARD:
        of.read[0] = pass->input.buffer;
        of.read[1] = pass->residual.buffer;
        of.written[0] = pass->raw;
        break;
    case PASS_DENSE_FORWARD:
    case PASS_GRAM_FORWARD:
        of.read[0] = pass->input.buffer;
        break;
    case PASS_DENSE_BACKWARD:
        of.read[0] = pass->input.buffer;
        of.written[0] = pass->gradient_out;
        break;
    case PASS_POOL_BACKWARD:
    case PASS_CONV_BACKWARD:
    case PASS_DEPTHWISE_BACKWARD:
    case PASS_PROJECT_BACKWARD:
        of.read[0] = pass->input.buffer;
        of.read[1] = pass->raw;
        of.read[2] = pass->gradient;
        of.read[3] = pass->add_residual ? pass->gradient_out : -1;
        of.written[0] = pass->gradient_out;
        break;
    case PASS_REDUCE_BACKWARD:
        of.read[0] = pass->raw;
        of.read[1] = pass->gradient;
        break;
    case PASS_EXPAND_BACKWARD:
        of.read[0] = pass->input.buffer;
        of.read[1] = pass->gradient_out;
        of.written[0] = pass->gradient_out;
        break;
    }
    return of;
}

static size_t bytes_of(const Plan *plan, const Buffer *buffer) {
    return shape_floats(buffer->shape) * (size_t)plan->options.batch * (size_t)buffer->value_bytes;
}

static void check_lives(const char *name, const Plan *plan) {
    int *first = malloc((size_t)plan->num_buffers * sizeof *first),
        *last = malloc((size_t)plan->num_buffers * sizeof *last);
    assert_true(first && last);
    for (int b = 0; b < plan->num_buffers; b++) first[b] = last[b] = -1;
    for (int i = 0; i < plan->num_passes; i++) {
        const Touched touched = touched_by(&plan->passes[i]);
        for (int t = 0; t < MOST_TOUCHED; t++) {
            const int b = touched.read[t];
            if (b < 0) continue;
            if (first[b] < 0)
                fail_msg("%s: pass %d reads '%s', which nothing has written", name, i, plan->buffers[b].name);
            last[b] = i;
        }
        for (int t = 0; t < MOST_TOUCHED; t++) {
            const int b = touched.written[t];
            if (b < 0) continue;
            if (first[b] < 0) first[b] = i;
            last[b] = i;
        }
    }
    if (plan->kept.buffer >= 0 && last[plan->kept.buffer] < plan->num_forward - 1)
        last[plan->kept.buffer] = plan->num_forward - 1; /* read when all is done */
    for (int b = 0; b < plan->num_buffers; b++) {
        const Buffer *buffer = &plan->buffers[b];
        if (first[b] < 0) fail_msg("%s: '%s' is never written", name, buffer->name);
        if (buffer->first != first[b] || buffer->last != last[b])
            fail_msg("%s: '%s' lives from pass %d to %d, is used from %d to %d", name, buffer->name, buffer->first,
                     buffer->last, first[b], last[b]);
    }
    free(first), free(last);
}

static void check_places(const char *name, const Plan *plan) {
    for (int a = 0; a < plan->num_buffers; a++) {
        const Buffer *one = &plan->buffers[a];
        if (one->offset + bytes_of(plan, one) > plan->arena_bytes)
            fail_msg("%s: '%s' ends behind the arena", name, one->name);
        for (int b = 0; b < a; b++) {
            const Buffer *other = &plan->buffers[b];
            bool together = one->first <= other->last && other->first <= one->last;
            if (together && one->offset < other->offset + bytes_of(plan, other) &&
                other->offset < one->offset + bytes_of(plan, one))
                fail_msg("%s: '%s' (passes %d to %d) and '%s' (%d to %d) share memory", name, one->name, one->first,
                         one->last, other->name, other->first, other->last);
        }
    }
}

/* Less memory than one buffer for each tensor, or sharing is worth nothing. */
static void check_saving(const char *name, const Plan *plan) {
    size_t sum = 0;
    for (int b = 0; b < plan->num_buffers; b++) sum += bytes_of(plan, &plan->buffers[b]);
    if (!(plan->arena_bytes < sum))
        fail_msg("%s: %zu bytes, and all buffers side by side %zu", name, plan->arena_bytes, sum);
}

static void every_way_of_planning(void **state) {
    (void)state;
    static const char *const models[] = {"efficientnet_b0", "efficientnet_b4", "efficientnet_lite1"};
    static const int sides[] = {33, 64, 224}, batches[] = {1, 5, 32};
    static const PlanFuse fuses[] = {PLAN_FUSE_AUTO, PLAN_FUSE_ALL, PLAN_FUSE_NONE};
    int plans = 0;
    for (int m = 0; m < 3; m++)
        for (int s = 0; s < 3; s++) {
            effnet_error err = {0};
            ModelConfig config;
            Network network;
            assert_int_equal(model_config_by_name(models[m], &config, &err), EFFNET_OK);
            config.input = (TensorShape){sides[s], sides[s], 3};
            if (network_build(&config, &network, &err) != EFFNET_OK) fail_msg("%s", err.message);
            for (int way = 0; way < 3 * 3 * 2 * 4; way++) {
                PlanOptions options = {.batch = batches[way % 3],
                                       .fuse = fuses[way / 3 % 3],
                                       .fuse_bytes = 1 << 20,
                                       .fuse_channels = 64,
                                       .value_bytes = way / 9 % 2 ? 2 : 4,
                                       .training = way / 18 > 0,
                                       .recompute = way / 18 == 3};
                if (way / 18 == 2) { /* inference that keeps a block's output */
                    options.training = false;
                    for (int i = 0; i < network.num_ops / 2; i++)
                        if (network.ops[i].kind == OP_RESIDUAL) options.keep = network.ops[i].output;
                }
                char name[160];
                snprintf(name, sizeof name, "%s at %d, batch %d, fuse %d, %d bytes%s%s%s", models[m], sides[s],
                         options.batch, options.fuse, options.value_bytes, options.training ? ", training" : "",
                         options.keep ? ", one kept" : "", options.recompute ? ", made again" : "");
                Plan plan;
                if (plan_build(&network, &options, &plan, &err) != EFFNET_OK) fail_msg("%s: %s", name, err.message);
                check_lives(name, &plan);
                check_places(name, &plan);
                check_saving(name, &plan);
                plan_free(&plan);
                plans++;
            }
            network_free(&network);
        }
    assert_int_equal(plans, 9 * 72);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_of_planning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
