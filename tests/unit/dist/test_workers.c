/* What workers do together, with threads as workers (thread_transport.h): sums have the bits of the tree over replicas
 * for any number of workers, gathers and broadcasts arrive whole and in order, a failure of one is everybody's with its
 * name, and nobody waits for ever for a worker that is gone. */
#include "dist/workers.h"

#include "base/clock.h"
#include "base/memory.h"
#include "unit/dist/thread_transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* last: it has a macro fail() */

typedef struct Party Party;
typedef struct Guest {
    Party *party;
    int rank;
    effnet_status status;
    effnet_error error;
    int wrong; /* values that were not as they should be */
    double seconds;
} Guest;

struct Party {
    Board board;
    int count;
    double timeout;
    void (*act)(Guest *guest, Workers *workers);
    Guest guests[MOST_WORKERS];
    int replicas;
    float *values; /* (replicas, length) of sums */
    size_t length;
};

static void *guest_main(void *context) {
    Guest *guest = context;
    Party *party = guest->party;
    Workers *workers = NULL;
    double began = clock_seconds();
    guest->status =
        workers_create(thread_transport(&party->board, guest->rank), party->timeout, &workers, &guest->error);
    if (guest->status == EFFNET_OK) party->act(guest, workers);
    guest->seconds = clock_seconds() - began;
    workers_close(workers);
    return NULL;
}

/* Runs `act` on `count` workers and waits for all. */
static void meet(Party *party, int count, void (*act)(Guest *, Workers *)) {
    pthread_t threads[MOST_WORKERS];
    party->count = count;
    party->act = act;
    if (party->timeout == 0) party->timeout = 60;
    for (int w = 0; w < count; w++) {
        party->guests[w] = (Guest){.party = party, .rank = w};
        assert_int_equal(pthread_create(&threads[w], NULL, guest_main, &party->guests[w]), 0);
    }
    for (int w = 0; w < count; w++) pthread_join(threads[w], NULL);
    assert_int_equal(party->board.closed, count);
}

static void all_well(Party *party) {
    for (int w = 0; w < party->count; w++) {
        if (party->guests[w].status != EFFNET_OK) print_error("worker %d: %s\n", w, party->guests[w].error.message);
        assert_int_equal(party->guests[w].status, EFFNET_OK);
        assert_int_equal(party->guests[w].wrong, 0);
    }
    assert_int_equal(party->board.broken, 0);
    assert_null(party->board.first); /* every message found its reader */
}

/* ---- sums ---- */

/* The specification: the tree over all replicas, one after the other. */
static void tree(float *values, int rows, size_t length) {
    for (int stride = 1; stride < rows; stride *= 2)
        for (int i = 0; i + stride < rows; i += 2 * stride)
            for (size_t k = 0; k < length; k++)
                values[(size_t)i * length + k] += values[(size_t)(i + stride) * length + k];
}

enum { SUMS = 3 };

static void sum_act(Guest *guest, Workers *workers) {
    Party *party = guest->party;
    int each = party->replicas / party->count;
    size_t length = party->length;
    float *mine = malloc((size_t)each * length * sizeof *mine);
    memcpy(mine, party->values + (size_t)(guest->rank * each) * length, (size_t)each * length * sizeof *mine);
    tree(mine, each, length); /* its own subtree */
    /* In pieces of unequal length, all under way at once, and waited for in another order than they were begun. */
    size_t cuts[SUMS + 1] = {0, length / 3, length / 3 + 5 < length ? length / 3 + 5 : length, length};
    WorkersSum *sums[SUMS];
    for (int s = 0; s < SUMS && guest->status == EFFNET_OK; s++)
        guest->status =
            workers_sum_begin(workers, mine + cuts[s], cuts[s + 1] - cuts[s], "a sum", &sums[s], &guest->error);
    for (int s = SUMS - 1; s >= 0 && guest->status == EFFNET_OK; s--)
        guest->status = workers_sum_finish(workers, sums[s], &guest->error);
    float *want = malloc((size_t)party->replicas * length * sizeof *want);
    memcpy(want, party->values, (size_t)party->replicas * length * sizeof *want);
    tree(want, party->replicas, length);
    for (size_t k = 0; k < length; k++) guest->wrong += memcmp(&want[k], &mine[k], sizeof *mine) != 0;
    free(want);
    free(mine);
}

static void test_sums_are_the_trees(void **state) {
    (void)state;
    static const struct {
        int replicas, workers;
        size_t length;
    } cases[] = {{8, 1, 1000}, {8, 2, 1000}, {8, 4, 1001}, {8, 8, 999}, {6, 3, 257}, {12, 3, 40},
                 {7, 7, 33},   {8, 8, 3},    {2, 2, 1},    {5, 5, 100}, {9, 9, 77}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        Party party = {.replicas = cases[c].replicas, .length = cases[c].length};
        board_init(&party.board, cases[c].workers);
        size_t floats = (size_t)party.replicas * party.length;
        party.values = malloc(floats * sizeof(float));
        uint32_t bits = 12345 + (uint32_t)c;
        for (size_t i = 0; i < floats; i++) { /* of magnitudes that make the order of additions matter */
            bits = bits * 1664525u + 1013904223u;
            party.values[i] = (float)((int32_t)bits) * (i % 3 == 0 ? 1e-3f : 1e-9f);
        }
        meet(&party, cases[c].workers, sum_act);
        all_well(&party);
        free(party.values);
        board_clear(&party.board);
    }
}

/* ---- small exchanges ---- */

static void gather_act(Guest *guest, Workers *workers) {
    int count = workers_count(workers), mine[2] = {guest->rank * 10, guest->rank * 10 + 1}, all[2 * MOST_WORKERS] = {0};
    for (int round = 0; round < 20 && guest->status == EFFNET_OK; round++) {
        mine[1] = guest->rank * 10 + round;
        guest->status = workers_gather(workers, mine, sizeof mine, all, "numbers", &guest->error);
        for (int w = 0; w < count; w++) guest->wrong += all[2 * w] != w * 10 || all[2 * w + 1] != w * 10 + round;
        char block[100] = {0};
        if (guest->rank == 0) memset(block, 'a' + round, sizeof block);
        if (guest->status == EFFNET_OK)
            guest->status = workers_broadcast(workers, block, sizeof block, "letters", &guest->error);
        for (size_t i = 0; i < sizeof block; i++) guest->wrong += block[i] != 'a' + round;
    }
    guest->wrong += !strstr(workers_name(workers, 0), "worker 0 of ");
    if (guest->status == EFFNET_OK)
        guest->status = workers_check_same(workers, "the same", "the recipe", &guest->error);
}

/* Worker w has 3 w numbers, so that the first has none; then nobody has any. */
static void lists_act(Guest *guest, Workers *workers) {
    int mine[3 * MOST_WORKERS], expected = 0;
    void *all;
    size_t bytes;
    for (int i = 0; i < 3 * guest->rank; i++) mine[i] = 100 * guest->rank + i;
    guest->status = workers_gather_lists(workers, mine, 3 * (size_t)guest->rank * sizeof *mine, &all, &bytes, "lists",
                                         &guest->error);
    if (guest->status != EFFNET_OK) return;
    const int *found = all;
    for (int w = 0; w < guest->party->count; w++)
        for (int i = 0; i < 3 * w; i++)
            guest->wrong += bytes <= (size_t)expected * sizeof *mine || found[expected++] != 100 * w + i;
    guest->wrong += bytes != (size_t)expected * sizeof *mine;
    memory_free(all);
    guest->status = workers_gather_lists(workers, NULL, 0, &all, &bytes, "lists", &guest->error);
    if (guest->status != EFFNET_OK) return;
    guest->wrong += bytes != 0;
    memory_free(all);
}

static void test_lists(void **state) {
    (void)state;
    for (int count = 1; count <= MOST_WORKERS; count += 3) {
        Party party = {0};
        board_init(&party.board, count);
        meet(&party, count, lists_act);
        for (int w = 0; w < count; w++) {
            if (party.guests[w].status != EFFNET_OK) fail_msg("worker %d: %s", w, party.guests[w].error.message);
            assert_int_equal(party.guests[w].wrong, 0);
        }
        board_clear(&party.board);
    }
}

static void test_gather_and_broadcast(void **state) {
    (void)state;
    for (int count = 1; count <= MOST_WORKERS; count += count < 4 ? 1 : 5) {
        Party party = {0};
        board_init(&party.board, count);
        meet(&party, count, gather_act);
        all_well(&party);
        board_clear(&party.board);
    }
}

static void differ_act(Guest *guest, Workers *workers) {
    guest->status = workers_check_same(workers, guest->rank == 2 ? "lr: 0.1" : "lr: 0.2", "the recipe", &guest->error);
}

static void test_difference_is_named(void **state) {
    (void)state;
    Party party = {0};
    board_init(&party.board, 4);
    meet(&party, 4, differ_act);
    for (int w = 0; w < 4; w++) {
        assert_int_equal(party.guests[w].status, EFFNET_ERROR_ARGUMENT);
        assert_non_null(strstr(party.guests[w].error.message, "the recipe differs"));
        assert_non_null(strstr(party.guests[w].error.message, "worker 2 of 4"));
        assert_non_null(strstr(party.guests[w].error.message, "'lr: 0.1'"));
    }
    assert_int_equal(party.board.broken, 0); /* they part in peace */
    board_clear(&party.board);
}

static void agree_act(Guest *guest, Workers *workers) {
    effnet_error error = {0};
    effnet_status mine = EFFNET_OK;
    if (guest->rank == 1) {
        error.status = mine = EFFNET_ERROR_FORMAT;
        snprintf(error.message, sizeof error.message, "'x.jpg' is no picture");
    }
    guest->status = workers_agree(workers, mine, &error);
    guest->error = error;
}

static void test_one_failure_is_everybodys(void **state) {
    (void)state;
    Party party = {0};
    board_init(&party.board, 3);
    meet(&party, 3, agree_act);
    for (int w = 0; w < 3; w++) {
        assert_int_equal(party.guests[w].status, EFFNET_ERROR_FORMAT);
        assert_non_null(strstr(party.guests[w].error.message, "'x.jpg' is no picture"));
        if (w != 1) assert_non_null(strstr(party.guests[w].error.message, "worker 1 of 3"));
    }
    board_clear(&party.board);
}

/* ---- workers that are gone ---- */

static void absent_act(Guest *guest, Workers *workers) {
    float values[100] = {0};
    if (guest->rank == 1) return; /* leaves, and tells nobody */
    guest->status = workers_sum(workers, values, 100, "the gradients of step 17", &guest->error);
    effnet_error later;
    guest->wrong += workers_broadcast(workers, values, 4, "more", &later) == EFFNET_OK; /* nothing works after it */
}

static void test_nobody_waits_for_ever(void **state) {
    (void)state;
    Party party = {.timeout = 0.3};
    board_init(&party.board, 3);
    meet(&party, 3, absent_act);
    for (int w = 0; w < 3; w += 2) {
        assert_int_equal(party.guests[w].status, EFFNET_ERROR_IO);
        assert_non_null(strstr(party.guests[w].error.message, "worker 1 of 3 (process "));
        assert_non_null(strstr(party.guests[w].error.message, "the gradients of step 17"));
        assert_true(party.guests[w].seconds < 10);
        assert_int_equal(party.guests[w].wrong, 0);
    }
    assert_int_equal(party.board.broken, 2); /* the transport is told to end the run */
    board_clear(&party.board);
}

static void cut_act(Guest *guest, Workers *workers) {
    if (guest->rank == 0) {
        pthread_mutex_lock(&guest->party->board.lock);
        guest->party->board.sends_allowed[0] = 1;
        pthread_mutex_unlock(&guest->party->board.lock);
    }
    float values[64] = {0};
    guest->status = workers_sum(workers, values, 64, "the gradients", &guest->error);
}

static void test_a_cut_wire(void **state) {
    (void)state;
    Party party = {.timeout = 0.3};
    board_init(&party.board, 3);
    meet(&party, 3, cut_act);
    assert_int_equal(party.guests[0].status, EFFNET_ERROR_IO);
    assert_non_null(strstr(party.guests[0].error.message, "the wire is cut"));
    for (int w = 1; w < 3; w++) assert_int_equal(party.guests[w].status, EFFNET_ERROR_IO);
    board_clear(&party.board);
}

static void test_alone(void **state) {
    (void)state;
    Workers *workers;
    effnet_error error = {0};
    WorkersOptions options = {.kind = "none"};
    assert_int_equal(workers_open(&options, &workers, &error), EFFNET_OK);
    assert_int_equal(workers_count(workers), 1);
    assert_int_equal(workers_rank(workers), 0);
    float values[3] = {1, 2, 3};
    int mine = 5, all = 0;
    assert_int_equal(workers_sum(workers, values, 3, "x", &error), EFFNET_OK);
    assert_int_equal(workers_gather(workers, &mine, sizeof mine, &all, "x", &error), EFFNET_OK);
    assert_int_equal(all, 5);
    assert_int_equal(workers_agree(workers, EFFNET_INTERRUPTED, &error), EFFNET_INTERRUPTED);
    workers_close(workers);
    options.kind = "carrier pigeons";
    options.timeout_seconds = 1;
    assert_int_equal(workers_open(&options, &workers, &error), EFFNET_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "carrier pigeons"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_are_the_trees),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_gather_and_broadcast),
        cmocka_unit_test(test_difference_is_named),
        cmocka_unit_test(test_one_failure_is_everybodys),
        cmocka_unit_test(test_nobody_waits_for_ever),
        cmocka_unit_test(test_a_cut_wire),
        cmocka_unit_test(test_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
