/* test_batch_norm_exchange.c - several engines with parts of a batch that exchange their batch norms' moments and sums
 * compute what one engine computes from the whole batch: logits, running statistics and, added up, every gradient.
 *
 * Each replica is a thread with an engine and a team of its own; the exchange is a meeting of the threads, at which the
 * last to come adds up all parts in the replicas' order. Errors are relative, in root mean square over a tensor; a
 * gradient's at the size of its parts, since parts may cancel. What stands against a bound that is too wide: without
 * the exchange the same error is at least SEEN times the bound. */
#include "base/random.h"
#include "engine/engine.h"
#include "model/initialize.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h> /* has a macro fail: the function of base/error.h is (fail) */

enum { MOST_REPLICAS = 4, BATCH = 7, RESOLUTION = 64, CLASSES = 11, SEEN = 2 };

typedef struct Split {
    int replicas, parts[MOST_REPLICAS];
} Split;
static const Split splits[] = {{2, {3, 4}}, {4, {1, 3, 1, 2}}};

/* ---- the meeting ---- */

typedef struct Meeting {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int replicas, here, round;
    bool apart; /* some came to this round from another batch norm */
    double *parts[MOST_REPLICAS];
    size_t counts[MOST_REPLICAS];
} Meeting;

typedef struct Seat {
    Meeting *meeting;
    int replica;
} Seat;

static void add_up(Meeting *meeting) {
    for (int r = 1; r < meeting->replicas; r++)
        if (meeting->counts[r] != meeting->counts[0]) meeting->apart = true;
    if (meeting->apart) return;
    for (size_t i = 0; i < meeting->counts[0]; i++) {
        double sum = 0;
        for (int r = 0; r < meeting->replicas; r++) sum += meeting->parts[r][i];
        for (int r = 0; r < meeting->replicas; r++) meeting->parts[r][i] = sum;
    }
}

static effnet_status meet(void *context, double *values, size_t count, effnet_error *err) {
    const Seat *seat = context;
    Meeting *meeting = seat->meeting;
    pthread_mutex_lock(&meeting->mutex);
    meeting->parts[seat->replica] = values;
    meeting->counts[seat->replica] = count;
    int round = meeting->round;
    if (++meeting->here == meeting->replicas) {
        add_up(meeting);
        meeting->here = 0;
        meeting->round++;
        pthread_cond_broadcast(&meeting->changed);
    }
    while (round == meeting->round) pthread_cond_wait(&meeting->changed, &meeting->mutex);
    bool apart = meeting->apart;
    pthread_mutex_unlock(&meeting->mutex);
    return apart ? (fail)(err, EFFNET_ERROR_ARGUMENT, "replicas met at different batch norms") : EFFNET_OK;
}

/* ---- a replica's step ---- */

typedef struct Problem {
    Network network;
    float *parameters, *statistics, *images, *logits_gradient, *drop_path_scale, *dropout_scale;
} Problem;

typedef struct Replica {
    const Problem *problem;
    const EngineVtable *vtable;
    EngineOptions options;
    BatchNormExchange exchange;
    bool exchanging;
    int first, count; /* images of the problem */
    float *logits, *gradients, *statistics;
    effnet_status status;
    effnet_error err;
} Replica;

static float *floats(size_t count) {
    float *values = calloc(count ? count : 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static float *normal_floats(uint32_t key, size_t count) {
    float *values = floats(count);
    for (size_t i = 0; i < count; i++) values[i] = random_normal(random_key(key), i);
    return values;
}

static void problem_create(const char *model, Problem *problem) {
    effnet_error err;
    ModelConfig config;
    assert_int_equal(model_config_by_name(model, &config, &err), EFFNET_OK);
    config.width = 0.35, config.depth = 0.5;
    config.input = (TensorShape){RESOLUTION, RESOLUTION, 3};
    config.num_classes = CLASSES;
    config.bn_unbiased = true;
    assert_int_equal(network_build(&config, &problem->network, &err), EFFNET_OK);
    const Network *network = &problem->network;
    problem->parameters = floats(network->parameter_floats);
    problem->statistics = floats(network->statistic_floats);
    network_initialize(network, &(InitializeOptions){.seed = 42}, problem->parameters, problem->statistics);
    for (int p = 0; p < network->num_parameters; p++) {
        const Parameter *parameter = &network->parameters[p];
        for (size_t i = 0; parameter->rank == 1 && i < parameter->count; i++)
            problem->parameters[parameter->offset + i] += 0.2f * random_normal(random_key(100 + (uint64_t)p), i);
    }
    const size_t picture = (size_t)RESOLUTION * RESOLUTION * 3;
    problem->images = normal_floats(1, BATCH * picture);
    /* Parts that differ in mean: alone, each replica's batch norms would see something else. */
    for (size_t i = 0; i < BATCH * picture; i++) problem->images[i] += 0.5f * (float)(i / picture);
    problem->logits_gradient = normal_floats(2, (size_t)BATCH * CLASSES);
    problem->drop_path_scale = floats((size_t)network->num_residuals * BATCH);
    problem->dropout_scale = floats((size_t)network->features * BATCH);
    for (size_t i = 0; i < (size_t)network->num_residuals * BATCH; i++)
        problem->drop_path_scale[i] = random_uniform(random_key(3), i) < 0.8f ? 1.25f : 0;
    for (size_t i = 0; i < (size_t)network->features * BATCH; i++)
        problem->dropout_scale[i] = random_uniform(random_key(4), i) < 0.8f ? 1.25f : 0;
}

static void problem_free(Problem *problem) {
    float *blocks[] = {problem->parameters,      problem->statistics,      problem->images,
                       problem->logits_gradient, problem->drop_path_scale, problem->dropout_scale};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    network_free(&problem->network);
}

static effnet_status step(Replica *replica, Engine *engine, effnet_error *err) {
    const Problem *problem = replica->problem;
    const Network *network = &problem->network;
    float *drop_path = calloc((size_t)network->num_residuals * (size_t)replica->count + 1, sizeof *drop_path);
    if (!drop_path) return (fail)(err, EFFNET_ERROR_MEMORY, "no memory for masks");
    for (int r = 0; r < network->num_residuals; r++)
        for (int i = 0; i < replica->count; i++)
            drop_path[r * replica->count + i] = problem->drop_path_scale[r * BATCH + replica->first + i];
    size_t first = (size_t)replica->first;
    EngineForward call = {.batch = replica->count,
                          .images = problem->images + first * RESOLUTION * RESOLUTION * 3,
                          .parameters = problem->parameters,
                          .statistics = replica->statistics,
                          .training = true,
                          .drop_path_scale = drop_path,
                          .dropout_scale = problem->dropout_scale + first * (size_t)network->features,
                          .logits = replica->logits,
                          .exchange = replica->exchanging ? &replica->exchange : NULL};
    effnet_status status = engine_forward(engine, &call, err);
    if (status == EFFNET_OK)
        status =
            engine_backward(engine, &call, problem->logits_gradient + first * CLASSES, replica->gradients, false, err);
    free(drop_path);
    return status;
}

static void *run_replica(void *context) {
    Replica *replica = context;
    Engine *engine = NULL;
    ThreadTeam *team = NULL;
    replica->status = thread_team_create(2, &team, &replica->err);
    replica->options.team = team;
    if (replica->status == EFFNET_OK)
        replica->status =
            engine_create(replica->vtable, &replica->problem->network, &replica->options, &engine, &replica->err);
    if (replica->status == EFFNET_OK) replica->status = step(replica, engine, &replica->err);
    if (engine) engine_free(engine);
    thread_team_free(team);
    return NULL;
}

static void replica_create(Replica *replica, const Problem *problem, const EngineVtable *vtable, EngineOptions options,
                           int first, int count) {
    options.batch = count;
    options.training = true;
    *replica = (Replica){.problem = problem, .vtable = vtable, .options = options, .first = first, .count = count};
    replica->logits = floats((size_t)count * CLASSES);
    replica->gradients = floats(problem->network.parameter_floats);
    replica->statistics = floats(problem->network.statistic_floats);
    memcpy(replica->statistics, problem->statistics, problem->network.statistic_floats * sizeof(float));
}

static void replica_free(Replica *replica) {
    free(replica->logits), free(replica->gradients), free(replica->statistics);
}

/* ---- the comparison ---- */

static void run_group(Replica *replicas, int count, bool exchanging) {
    Meeting meeting = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .replicas = count};
    Seat seats[MOST_REPLICAS];
    pthread_t threads[MOST_REPLICAS];
    for (int r = 0; r < count; r++) {
        seats[r] = (Seat){&meeting, r};
        replicas[r].exchange = (BatchNormExchange){meet, &seats[r]};
        replicas[r].exchanging = exchanging;
        assert_int_equal(pthread_create(&threads[r], NULL, run_replica, &replicas[r]), 0);
    }
    for (int r = 0; r < count; r++) pthread_join(threads[r], NULL);
    for (int r = 0; r < count; r++)
        if (replicas[r].status != EFFNET_OK) fail_msg("replica %d: %s", r, replicas[r].err.message);
}

static void worse(double *worst, double difference, double size) {
    double error = sqrt(difference / (size > 0 ? size : 1e-30));
    if (!(error <= *worst)) *worst = error;
}

/* The worst error of the group's results, of all tensors. */
static double group_error(const Problem *problem, const Replica *whole, const Replica *replicas, int count) {
    const Network *network = &problem->network;
    double worst = 0, difference = 0, size = 0;
    for (int r = 0; r < count; r++)
        for (int i = 0; i < replicas[r].count * CLASSES; i++) {
            double expected = whole->logits[replicas[r].first * CLASSES + i];
            difference += pow(replicas[r].logits[i] - expected, 2);
            size += expected * expected;
        }
    worse(&worst, difference, size);
    for (int s = 0; s < network->num_statistics; s++) {
        const size_t from = network->statistics[s].offset, end = from + network->statistics[s].count;
        for (int r = 0; r < count; r++) {
            difference = size = 0;
            for (size_t i = from; i < end; i++) {
                difference += pow(replicas[r].statistics[i] - whole->statistics[i], 2);
                size += pow(whole->statistics[i], 2);
            }
            worse(&worst, difference, size);
        }
    }
    for (int p = 0; p < network->num_parameters; p++) {
        const size_t from = network->parameters[p].offset, end = from + network->parameters[p].count;
        difference = size = 0;
        for (size_t i = from; i < end; i++) {
            double sum = 0, parts = 0;
            for (int r = 0; r < count; r++) {
                sum += replicas[r].gradients[i];
                parts += fabs(replicas[r].gradients[i]);
            }
            difference += pow(sum - whole->gradients[i], 2);
            size += parts * parts;
        }
        worse(&worst, difference, size);
    }
    return worst;
}

/* Bounds: reference: its outputs' rounding to fp32, a part each. fp32: some tens of roundings. bf16: a value on the
 * other side of a rounding is off by 2^-8, and the network magnifies that: 0.2 in the worst tensor. It runs the code
 * that fp32 holds to the formulas; here is seen that it makes the exchanges. */
static void check(const char *name, const char *model, const EngineVtable *vtable, EngineOptions options,
                  double bound) {
    Problem problem;
    Replica whole, replicas[MOST_REPLICAS];
    problem_create(model, &problem);
    replica_create(&whole, &problem, vtable, options, 0, BATCH);
    run_group(&whole, 1, false);
    for (size_t s = 0; s < sizeof splits / sizeof *splits; s++) {
        double errors[2]; /* without and with the exchange */
        int count = splits[s].replicas;
        for (int exchanging = 0; exchanging < 2; exchanging++) {
            for (int r = 0, first = 0; r < count; first += splits[s].parts[r++])
                replica_create(&replicas[r], &problem, vtable, options, first, splits[s].parts[r]);
            run_group(replicas, count, exchanging);
            errors[exchanging] = group_error(&problem, &whole, replicas, count);
            for (int r = 1; r < count && exchanging; r++)
                assert_memory_equal(replicas[r].statistics, replicas[0].statistics,
                                    problem.network.statistic_floats * sizeof(float));
            for (int r = 0; r < count; r++) replica_free(&replicas[r]);
        }
        print_message("%s, %s, %d replicas: %.2g of %.2g, without the exchange %.2g\n", model, name, count, errors[1],
                      bound, errors[0]);
        if (!(errors[1] <= bound)) fail_msg("%s, %s, %d replicas: off by %g", model, name, count, errors[1]);
        if (!(errors[0] >= SEEN * bound)) fail_msg("%s, %s: the bound %g would see no fault", model, name, bound);
    }
    replica_free(&whole);
    problem_free(&problem);
}

static void test_reference(void **state) {
    (void)state;
    check("reference", "efficientnet_b0", &reference_engine, (EngineOptions){0}, 1e-6);
    check("reference", "efficientnet_lite0", &reference_engine, (EngineOptions){0}, 1e-6);
}

static void test_cpu(void **state) {
    (void)state;
    check("fp32, fused", "efficientnet_b0", &cpu_engine, (EngineOptions){.fuse = 1}, 2e-4);
    check("fp32, unfused", "efficientnet_b0", &cpu_engine, (EngineOptions){.fuse = 2}, 2e-4);
    check("bf16, fused", "efficientnet_b0", &cpu_engine, (EngineOptions){.fuse = 1, .bf16 = true}, 0.5);
    check("bf16, unfused", "efficientnet_b0", &cpu_engine, (EngineOptions){.fuse = 2, .bf16 = true}, 0.5);
}

/* ---- an exchange that fails ---- */

static effnet_status refuse(void *context, double *values, size_t count, effnet_error *err) {
    (void)values, (void)count;
    int *left = context;
    return --*left > 0 ? EFFNET_OK : (fail)(err, EFFNET_ERROR_IO, "worker 3 is gone");
}

static void test_failure(void **state) {
    (void)state;
    Problem problem;
    problem_create("efficientnet_b0", &problem);
    const EngineVtable *const vtables[] = {&reference_engine, &cpu_engine};
    for (int e = 0; e < 2; e++)
        for (int fuse = 1; fuse <= (vtables[e] == &cpu_engine ? 2 : 1); fuse++)
            for (int calls = 1; calls <= 300; calls += 23) { /* in forward and in backward, in every kind of pass */
                Replica replica;
                int left = calls;
                replica_create(&replica, &problem, vtables[e], (EngineOptions){.fuse = fuse}, 0, 2);
                replica.exchange = (BatchNormExchange){refuse, &left};
                replica.exchanging = true;
                run_replica(&replica);
                if (left <= 0) { /* the call was made: it is the last one, and what it says is what comes back */
                    assert_int_equal(left, 0);
                    assert_int_equal(replica.status, EFFNET_ERROR_IO);
                    assert_string_equal(replica.err.message, "worker 3 is gone");
                } else {
                    assert_true(calls > 24);
                    assert_int_equal(replica.status, EFFNET_OK);
                }
                replica_free(&replica);
            }
    problem_free(&problem);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference), cmocka_unit_test(test_cpu),
                                       cmocka_unit_test(test_failure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
