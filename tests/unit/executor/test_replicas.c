/* Several replicas, here and on several workers (threads as workers, unit/dist/thread_transport.h): replicas that share
 * batch norm's moments are one big batch, and so are parts whose batch norms see the whole batch (accumulate_bn: full);
 * groups are what the reference engine makes of them; 1, 2, 4 and 8 workers and
 * any number of threads leave the same bits; a failure of one replica is everybody's and changes nothing. */
#include "compare.h"
#include "executor/executor.h"
#include "executor/replica_group.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "train/trainer.h"
#include "unit/dist/thread_transport.h"

#include "base/clock.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CLASSES = 5, SIDE = 32, IMAGE = SIDE * SIDE * 3, MOST_BATCH = 32, STEPS = 2 };

static Network network;
static float *images; /* (MOST_BATCH, R, R, 3) */
static int32_t labels[MOST_BATCH];

typedef struct Case {
    const char *engine;
    int bn_sync, replicas, batch, fuse, amp;
    int accumulate, accumulate_bn;
} Case;

static Recipe recipe_of(const Case *c) {
    Recipe recipe;
    recipe_defaults(&recipe);
    snprintf(recipe.engine, sizeof recipe.engine, "%s", c->engine);
    recipe.batch_size = c->batch;
    recipe.replicas = c->replicas;
    recipe.bn_sync = c->bn_sync;
    recipe.fuse = c->fuse;
    recipe.amp = c->amp;
    recipe.accumulate = c->accumulate;
    recipe.accumulate_bn = c->accumulate_bn;
    recipe.warmup_epochs = 0;
    recipe.lr = 0.01;
    return recipe;
}

/* What a worker's steps leave. */
typedef struct Outcome {
    effnet_status status;
    effnet_error error;
    double losses[STEPS], norms[STEPS];
    float *parameters, *statistics, *averages, *gradients;
    size_t activation_bytes;
} Outcome;

static void outcome_free(Outcome *outcome) {
    free(outcome->parameters);
    free(outcome->statistics);
    free(outcome->averages);
    free(outcome->gradients);
}

static float *copy_of(const float *values, size_t count) {
    float *copy = malloc(count * sizeof *copy);
    if (copy) memcpy(copy, values, count * sizeof *copy);
    return copy;
}

/* `steps` steps of a worker's part, by a team of its own. */
static effnet_status steps_of(Workers *workers, const Case *c, int threads, int steps, const float *pictures,
                              const int32_t *taught, int pictures_used, Outcome *out, effnet_error *err) {
    const Recipe recipe = recipe_of(c);
    const int part = pictures_used / workers_count(workers), first = part * workers_rank(workers);
    ThreadTeam *team;
    Trainer trainer = {0};
    const ExecutorBatch batch = {.size = part, .images = pictures + (size_t)first * IMAGE, .labels = taught + first};
    TRY(thread_team_create(threads, &team, err));
    effnet_status status = trainer_create_among(workers, &recipe, &network, team, 100, 0, &trainer, err);
    if (status == EFFNET_OK) status = trainer_start(&trainer, err);
    const TrainState *state = NULL;
    effnet_status stepped = EFFNET_OK;
    for (int s = 0; s < steps && status == EFFNET_OK && stepped == EFFNET_OK; s++) {
        StepResult result = {0};
        stepped = trainer_step(&trainer, &batch, &result, NULL, err);
        out->losses[s] = result.loss;
        out->norms[s] = result.gradient_norm;
    }
    if (status == EFFNET_OK) status = executor_state(trainer.executor, &state, err);
    if (status == EFFNET_OK) {
        out->parameters = copy_of(state->parameters, network.parameter_floats);
        out->averages = copy_of(state->ema_parameters, network.parameter_floats);
        out->gradients = copy_of(state->gradients, network.parameter_floats);
        out->statistics = copy_of(state->statistics, network.statistic_floats);
        out->activation_bytes = executor_info(trainer.executor).activation_bytes;
    }
    trainer_free(&trainer);
    thread_team_free(team);
    return status != EFFNET_OK ? status : stepped;
}

static Outcome alone(const Case *c, int threads, int steps, int pictures_used) {
    Outcome outcome = {0};
    effnet_error err = {0};
    if (steps_of(NULL, c, threads, steps, images, labels, pictures_used, &outcome, &err) != EFFNET_OK)
        fail_msg("%s", err.message);
    return outcome;
}

static void expect_close(const char *what, const Outcome *got, const Outcome *want, double tolerance) {
    if (!(fabs(got->losses[0] - want->losses[0]) < 1e-5 * (1 + fabs(want->losses[0]))))
        fail_msg("%s: losses %.9g and %.9g", what, got->losses[0], want->losses[0]);
    double norm = 0;
    for (size_t i = 0; i < network.parameter_floats; i++) norm = fmax(norm, fabs((double)want->gradients[i]));
    assert_true(norm > 0);
    for (size_t i = 0; i < network.parameter_floats; i++)
        if (!(fabs((double)got->gradients[i] - want->gradients[i]) <= tolerance * norm))
            fail_msg("%s: gradient %zu is %.9g, not %.9g (largest %.9g)", what, i, (double)got->gradients[i],
                     (double)want->gradients[i], norm);
    assert_true(compare_floats(what, got->statistics, want->statistics, network.statistic_floats, NULL, 0, 1e-4));
}

static void expect_same(const char *what, const Outcome *got, const Outcome *want) {
    size_t floats = network.parameter_floats;
    for (int s = 0; s < STEPS; s++)
        if (got->losses[s] != want->losses[s] || got->norms[s] != want->norms[s])
            fail_msg("%s, step %d: loss %.17g and %.17g, norm %.17g and %.17g", what, s, got->losses[s],
                     want->losses[s], got->norms[s], want->norms[s]);
    assert_true(compare_bits(what, got->parameters, want->parameters, floats, NULL, 0));
    assert_true(compare_bits(what, got->averages, want->averages, floats, NULL, 0));
    assert_true(compare_bits(what, got->statistics, want->statistics, network.statistic_floats, NULL, 0));
}

/* ---- moments of all replicas ---- */

/* Replicas that share all moments compute what one replica computes on the whole batch: dropout and drop path are keyed
 * by the image's place in it. Also where the last replica has fewer pictures, or none. */
static void test_all_is_one_batch(void **state) {
    (void)state;
    static const struct {
        Case c;
        int pictures;
    } cases[] = {{{"reference", BN_SYNC_ALL, 4, 8, 0, 0, 1, 0}, 8},
                 {{"cpu", BN_SYNC_ALL, 2, 8, 1, 0, 1, 0}, 8},
                 {{"cpu", BN_SYNC_ALL, 8, 8, 2, 0, 1, 0}, 8},
                 {{"cpu", BN_SYNC_ALL, 4, 8, 0, 0, 1, 0}, 7},
                 {{"cpu", BN_SYNC_ALL, 4, 16, 1, 0, 1, 0}, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Case one = cases[i].c;
        one.replicas = 1;
        one.bn_sync = BN_SYNC_NONE;
        Outcome want = alone(&one, 1, 1, cases[i].pictures), got = alone(&cases[i].c, 2, 1, cases[i].pictures);
        expect_close("replicas against one batch", &got, &want, 2e-4);
        outcome_free(&want);
        outcome_free(&got);
    }
}

/* Parts whose batch norms see the whole share leave the big batch's bits, by less memory; parts by themselves do not. */
static void test_parts_are_one_batch(void **state) {
    (void)state;
    static const struct {
        Case c;
        int pictures;
    } cases[] = {{{"cpu", BN_SYNC_NONE, 1, 16, FUSE_ALL, AMP_NONE, 4, ACCUMULATE_BN_FULL}, 16},
                 {{"cpu", BN_SYNC_NONE, 1, 16, FUSE_NONE, AMP_NONE, 2, ACCUMULATE_BN_FULL}, 16},
                 {{"cpu", BN_SYNC_NONE, 1, 16, FUSE_NONE, AMP_BF16, 16, ACCUMULATE_BN_FULL}, 11},
                 {{"cpu", BN_SYNC_NONE, 1, 16, FUSE_ALL, AMP_BF16, 2, ACCUMULATE_BN_FULL}, 16},
                 {{"cpu", BN_SYNC_ALL, 2, 16, FUSE_AUTO, AMP_NONE, 2, ACCUMULATE_BN_FULL}, 16},
                 {{"cpu", BN_SYNC_RUNNING_AVERAGE, 2, 16, FUSE_NONE, AMP_NONE, 2, ACCUMULATE_BN_FULL}, 16},
                 {{"reference", BN_SYNC_NONE, 1, 8, FUSE_AUTO, AMP_NONE, 4, ACCUMULATE_BN_FULL}, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char what[40];
        const bool reference = strcmp(cases[i].c.engine, "reference") == 0;
        const int steps = reference ? 1 : STEPS;
        Case big = cases[i].c, parts = cases[i].c;
        big.accumulate = 1;
        parts.accumulate_bn = ACCUMULATE_BN_PART;
        Outcome want = alone(&big, 1, steps, cases[i].pictures);
        Outcome got = alone(&cases[i].c, 2, steps, cases[i].pictures);
        snprintf(what, sizeof what, "parts of case %zu", i);
        expect_same(what, &got, &want);
        const double share = cases[i].c.fuse == FUSE_NONE ? 0.9 : 1; /* what is fused is not stored at all */
        if (!reference && !((double)got.activation_bytes < share * (double)want.activation_bytes))
            fail_msg("%s: %zu bytes of activations, and %zu of the big batch", what, got.activation_bytes,
                     want.activation_bytes);
        if (cases[i].c.replicas == 1) {
            Outcome other = alone(&parts, 1, 1, cases[i].pictures);
            assert_true(fabs(other.losses[0] - want.losses[0]) > 1e-4);
            outcome_free(&other);
        }
        outcome_free(&want);
        outcome_free(&got);
    }
    const Case reference = {"reference", BN_SYNC_NONE, 1, 8, 0, 0, 1, 0};
    const Case cpu = {"cpu", BN_SYNC_NONE, 1, 8, FUSE_NONE, 0, 4, ACCUMULATE_BN_FULL};
    Outcome want = alone(&reference, 2, 1, 8), got = alone(&cpu, 2, 1, 8);
    expect_close("parts against the reference engine", &got, &want, 2e-4);
    outcome_free(&want);
    outcome_free(&got);
}

/* Two groups of eight, by both engines; and not what one group of sixteen makes. */
static void test_groups(void **state) {
    (void)state;
    const Case reference = {"reference", BN_SYNC_TPU_GROUPS, 16, 32, 0, 0, 1, 0};
    Case cpu = reference, all = reference;
    cpu.engine = all.engine = "cpu";
    all.bn_sync = BN_SYNC_ALL;
    Outcome want = alone(&reference, 2, 1, 32), got = alone(&cpu, 2, 1, 32), other = alone(&all, 2, 1, 32);
    expect_close("groups by both engines", &got, &want, 5e-4);
    assert_true(fabs(other.losses[0] - got.losses[0]) > 1e-4);
    /* Both groups moved the statistics, in turn: further from their beginning than one move goes. */
    double twice = 0, once = 0;
    for (size_t i = 0; i < network.statistic_floats; i++) {
        twice += fabs((double)got.statistics[i]);
        once += fabs((double)other.statistics[i]);
    }
    assert_true(twice != once);
    outcome_free(&want);
    outcome_free(&got);
    outcome_free(&other);
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    const Case c = {"cpu", BN_SYNC_ALL, 4, 8, 0, 0, 1, 0};
    Outcome one = alone(&c, 1, STEPS, 8), three = alone(&c, 3, STEPS, 8);
    expect_same("1 thread and 3", &three, &one);
    outcome_free(&one);
    outcome_free(&three);
}

/* ---- workers ---- */

typedef struct Party Party;
typedef struct Guest {
    Party *party;
    int rank;
    Outcome outcome;
} Guest;

struct Party {
    Board board;
    const Case *c;
    int steps;
    const float *pictures;
    int unwell; /* the worker that has a label beyond the classes; -1: none */
    Guest guests[MOST_WORKERS];
};

static void *guest_main(void *context) {
    Guest *guest = context;
    Party *party = guest->party;
    Workers *workers = NULL;
    Outcome *outcome = &guest->outcome;
    int32_t taught[sizeof labels / sizeof *labels];
    memcpy(taught, labels, sizeof taught);
    if (guest->rank == party->unwell) taught[party->c->batch / party->board.count * guest->rank + 1] = 1000;
    outcome->status = workers_create(thread_transport(&party->board, guest->rank), 100, &workers, &outcome->error);
    if (outcome->status == EFFNET_OK)
        outcome->status = steps_of(workers, party->c, 1, party->steps, party->pictures, taught, party->c->batch,
                                   outcome, &outcome->error);
    workers_close(workers);
    return NULL;
}

static void meet(Party *party, const Case *c, int workers, int steps, const float *pictures, int unwell) {
    pthread_t threads[MOST_WORKERS];
    *party = (Party){.c = c, .steps = steps, .pictures = pictures, .unwell = unwell};
    board_init(&party->board, workers);
    for (int w = 0; w < workers; w++) {
        party->guests[w] = (Guest){.party = party, .rank = w};
        assert_int_equal(pthread_create(&threads[w], NULL, guest_main, &party->guests[w]), 0);
    }
    for (int w = 0; w < workers; w++) pthread_join(threads[w], NULL);
    assert_int_equal(party->board.broken, 0);
    board_clear(&party->board);
}

static void leave(Party *party, int workers) {
    for (int w = 0; w < workers; w++) outcome_free(&party->guests[w].outcome);
}

static void test_workers_do_not_matter(void **state) {
    (void)state;
    static const Case cases[] = {{"cpu", BN_SYNC_RUNNING_AVERAGE, 8, 16, 0, AMP_NONE, 1, 0},
                                 {"cpu", BN_SYNC_NONE, 8, 8, 2, AMP_BF16, 1, 0},
                                 {"cpu", BN_SYNC_ALL, 8, 16, 1, AMP_NONE, 1, 0},
                                 {"cpu", BN_SYNC_ALL, 8, 8, 2, AMP_BF16, 1, 0},
                                 {"cpu", BN_SYNC_TPU_GROUPS, 16, 32, 0, AMP_NONE, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Outcome want = alone(&cases[i], 2, STEPS, cases[i].batch);
        for (int workers = 2; workers <= 8; workers *= 2) {
            static Party party;
            char what[60];
            meet(&party, &cases[i], workers, STEPS, images, -1);
            for (int w = 0; w < workers; w++) {
                snprintf(what, sizeof what, "case %zu, worker %d of %d", i, w, workers);
                if (party.guests[w].outcome.status != EFFNET_OK)
                    fail_msg("%s: %s", what, party.guests[w].outcome.error.message);
                expect_same(what, &party.guests[w].outcome, &want);
            }
            leave(&party, workers);
        }
        outcome_free(&want);
    }
}

/* A picture of NaN in the third replica, of four workers or of two: every worker fails, tells who, and has the state it
 * began with. */
static void test_one_failure_is_everybodys(void **state) {
    (void)state;
    static const Case cases[] = {{"cpu", BN_SYNC_RUNNING_AVERAGE, 4, 8, 0, 0, 1, 0},
                                 {"cpu", BN_SYNC_ALL, 4, 8, 0, 0, 1, 0}};
    float *bad = copy_of(images, (size_t)8 * IMAGE);
    bad[(size_t)4 * IMAGE + 5] = NAN;
    for (size_t i = 0; i < 4; i++) {
        static Party party;
        const int workers = i < 2 ? 4 : 2, unwell = workers / 2;
        const Case *c = &cases[i % 2];
        char name[40];
        snprintf(name, sizeof name, "worker %d of %d", unwell, workers);
        Outcome want = alone(c, 1, 0, 8);
        meet(&party, c, workers, 1, bad, -1);
        for (int w = 0; w < workers; w++) {
            const Outcome *outcome = &party.guests[w].outcome;
            assert_int_equal(outcome->status, EFFNET_ERROR_NUMERIC);
            assert_non_null(strstr(outcome->error.message, "the loss is not finite at step 1"));
            if (c->bn_sync != BN_SYNC_ALL && w != unwell) assert_non_null(strstr(outcome->error.message, name));
            assert_true(compare_bits("weights after a failure", outcome->parameters, want.parameters,
                                     network.parameter_floats, NULL, 0));
            assert_true(compare_bits("statistics after a failure", outcome->statistics, want.statistics,
                                     network.statistic_floats, NULL, 0));
        }
        leave(&party, workers);
        outcome_free(&want);
    }
    free(bad);
}

/* A label that is none: the others are told at once, whatever they are at, and part in peace. */
static void test_a_failure_within_a_step(void **state) {
    (void)state;
    static const Case cases[] = {{"cpu", BN_SYNC_RUNNING_AVERAGE, 4, 8, 0, 0, 1, 0},
                                 {"cpu", BN_SYNC_ALL, 4, 8, 0, 0, 1, 0},
                                 {"reference", BN_SYNC_NONE, 4, 8, 0, 0, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int unwell = 0; unwell < 4; unwell += 3) {
            static Party party;
            char name[40];
            snprintf(name, sizeof name, "worker %d of 4", unwell);
            const double began = clock_seconds();
            meet(&party, &cases[i], 4, 1, images, unwell);
            assert_true(clock_seconds() - began < 20); /* the end of patience is at 100 */
            for (int w = 0; w < 4; w++) {
                const Outcome *outcome = &party.guests[w].outcome;
                assert_int_equal(outcome->status, EFFNET_ERROR_ARGUMENT);
                assert_non_null(strstr(outcome->error.message, "label 1000 of image 1"));
                if (w != unwell) assert_non_null(strstr(outcome->error.message, name));
            }
            leave(&party, 4);
        }
}

static void test_refused(void **state) {
    (void)state;
    static const Case cases[] = {{"cpu", BN_SYNC_NONE, 8, 16, 0, 0, 1, 0},
                                 {"cpu", BN_SYNC_NONE, 1, 16, 0, 0, 1, 0},
                                 {"cpu", BN_SYNC_NONE, 9, 18, 0, 0, 1, 0}};
    static const char *const wants[] = {"so many workers can: 1, 2, 4, 8; or set replicas: 3",
                                        "3 workers cannot share 1 replicas", "so many workers can: 1, 9;"};
    for (size_t i = 0; i < 3; i++) {
        static Party party;
        meet(&party, &cases[i], 3, 1, images, -1);
        for (int w = 0; w < 3; w++) {
            assert_int_equal(party.guests[w].outcome.status, EFFNET_ERROR_ARGUMENT);
            if (!strstr(party.guests[w].outcome.error.message, wants[i]))
                fail_msg("'%s' does not say '%s'", party.guests[w].outcome.error.message, wants[i]);
        }
        leave(&party, 3);
    }
}

/* ---- replicas side by side, alone ---- */

typedef struct Meeting {
    int fails;    /* lane that fails before meeting `at`; -1: none */
    int at;       /* */
    int running;  /* lanes that compute at this moment */
    int together; /* the most of them */
    double sums[4];
} Meeting;

static effnet_status meet_thrice(void *context, int lane, const BatchNormExchange *exchange, effnet_error *err) {
    Meeting *meeting = context;
    for (int m = 0; m < 3; m++) {
        if (++meeting->running > meeting->together) meeting->together = meeting->running;
        double values[2] = {lane + 1, m};
        meeting->running--;
        if (lane == meeting->fails && m == meeting->at)
            return (fail)(err, EFFNET_ERROR_MEMORY, "lane %d is tired", lane);
        TRY(exchange->sum(exchange->context, values, 2, err));
        meeting->sums[lane] += values[0] + 100 * values[1];
    }
    return EFFNET_OK;
}

static effnet_status ten_more(void *context, double *values, size_t count, effnet_error *err) {
    (void)context;
    (void)err;
    for (size_t i = 0; i < count; i++) values[i] += 10;
    return EFFNET_OK;
}

static effnet_status wire_is_cut(void *context, double *values, size_t count, effnet_error *err) {
    (void)context;
    (void)values;
    (void)count;
    return (fail)(err, EFFNET_ERROR_IO, "the wire is cut");
}

static void test_meetings(void **state) {
    (void)state;
    ReplicaGroup *group;
    effnet_error err = {0};
    const BatchNormExchange more = {.sum = ten_more}, cut = {.sum = wire_is_cut};
    assert_int_equal(replica_group_create(4, &group, &err), EFFNET_OK);
    for (int again = 0; again < 3; again++) { /* after failures too */
        Meeting well = {.fails = -1};
        assert_int_equal(replica_group_run(group, 4, meet_thrice, &well, &more, &err), EFFNET_OK);
        assert_int_equal(well.together, 1);
        for (int lane = 0; lane < 4; lane++) /* 3 * (1 + 2 + 3 + 4 + 10) + 100 * (0 + 4 + 8 + 3 * 10) */
            assert_true(well.sums[lane] == 60 + 4200);
        Meeting three = {.fails = -1};
        assert_int_equal(replica_group_run(group, 3, meet_thrice, &three, NULL, &err), EFFNET_OK);
        assert_true(three.sums[0] == 18 + 900 && three.sums[3] == 0);
        for (int lane = 0; lane < 4; lane++) {
            Meeting tired = {.fails = lane, .at = lane % 3};
            assert_int_equal(replica_group_run(group, 4, meet_thrice, &tired, &more, &err), EFFNET_ERROR_MEMORY);
            assert_non_null(strstr(err.message, "is tired"));
        }
        Meeting lonely = {.fails = -1};
        assert_int_equal(replica_group_run(group, 4, meet_thrice, &lonely, &cut, &err), EFFNET_ERROR_IO);
        assert_non_null(strstr(err.message, "the wire is cut"));
    }
    replica_group_free(group);
}

int main(void) {
    ModelConfig config;
    if (model_config_by_name("efficientnet_b0", &config, NULL) != EFFNET_OK) return 1;
    config.width = 0.35;
    config.depth = 0.1;
    config.input = (TensorShape){SIDE, SIDE, 3};
    config.num_classes = CLASSES;
    if (network_build(&config, &network, NULL) != EFFNET_OK) return 1;
    images = malloc((size_t)MOST_BATCH * IMAGE * sizeof *images);
    if (!images) return 1;
    for (int n = 0; n < MOST_BATCH; n++) {
        labels[n] = (n * 7 + 3) % CLASSES;
        for (size_t i = 0; i < IMAGE; i++) /* each picture of its own brightness, so that moments differ */
            images[(size_t)n * IMAGE + i] =
                random_normal(random_key(9), (size_t)n * IMAGE + i) * (1 + 0.1f * (float)n) + 0.05f * (float)n;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meetings),
        cmocka_unit_test(test_all_is_one_batch),
        cmocka_unit_test(test_parts_are_one_batch),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_workers_do_not_matter),
        cmocka_unit_test(test_a_failure_within_a_step),
        cmocka_unit_test(test_one_failure_is_everybodys),
        cmocka_unit_test(test_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(images);
    network_free(&network);
    return failed;
}
