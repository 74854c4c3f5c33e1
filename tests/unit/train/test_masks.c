/* test_masks.c - dropout and drop path: their shares, their two values, and that they depend on seed, step, layer and
 * image alone. */
#include "compare.h"
#include "step/masks.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BATCH = 4000 };

typedef struct Masks {
    float *path, *dropout; /* (num_residuals, images), (images, features) */
} Masks;

static Network network;

static Masks draw(uint64_t seed, int64_t step, int first_image, int images) {
    Masks masks = {malloc((size_t)network.num_residuals * (size_t)images * sizeof(float)),
                   malloc((size_t)network.features * (size_t)images * sizeof(float))};
    assert_non_null(masks.path);
    assert_non_null(masks.dropout);
    masks_draw(&network, seed, step, first_image, images, NULL, masks.path, masks.dropout);
    return masks;
}

static void masks_release(Masks masks) {
    free(masks.path);
    free(masks.dropout);
}

/* Every value 0 or 1/keep; the share of kept ones within five standard deviations of keep. */
static void check_share(const char *name, const float *values, size_t count, double keep) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(values[i] == 0 || values[i] == (float)(1 / keep));
        kept += values[i] != 0;
    }
    double share = (double)kept / (double)count, allowed = 5 * sqrt(keep * (1 - keep) / (double)count);
    if (!(fabs(share - keep) <= allowed)) fail_msg("%s: kept %.5f, want %.5f within %.5f", name, share, keep, allowed);
}

static void test_shares(void **state) {
    (void)state;
    Masks masks = draw(42, 3, 0, BATCH);
    for (int r = 0; r < network.num_residuals; r++) {
        char name[32];
        snprintf(name, sizeof name, "drop path %d", r);
        check_share(name, masks.path + (size_t)r * BATCH, BATCH, network_keep_probability(&network, r));
    }
    check_share("dropout", masks.dropout, (size_t)network.features * BATCH, 1 - network.config.drop);
    masks_release(masks);
}

static void test_parts_make_the_whole(void **state) {
    (void)state;
    const int whole = 24, sizes[4] = {1, 7, 10, 6};
    Masks all = draw(42, 5, 0, whole);
    int first = 0;
    for (int p = 0; p < 4; first += sizes[p++]) {
        Masks part = draw(42, 5, first, sizes[p]);
        for (int r = 0; r < network.num_residuals; r++)
            assert_true(compare_bits("drop path of a part", part.path + r * sizes[p], all.path + r * whole + first,
                                     (size_t)sizes[p], NULL, 0));
        assert_true(compare_bits("dropout of a part", part.dropout, all.dropout + (size_t)first * network.features,
                                 (size_t)sizes[p] * (size_t)network.features, NULL, 0));
        masks_release(part);
    }
    masks_release(all);
}

static size_t differing(const float *a, const float *b, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += a[i] != b[i];
    return found;
}

static void test_seed_step_and_layer_matter(void **state) {
    (void)state;
    size_t count = 64 * (size_t)network.features;
    Masks base = draw(42, 5, 0, 64), again = draw(42, 5, 0, 64), seed = draw(43, 5, 0, 64), step = draw(42, 6, 0, 64),
          far = draw(42, 5 + (INT64_C(1) << 32), 0, 64);
    double expected = 2 * 0.2 * 0.8 * (double)count; /* of two independent draws */
    assert_int_equal(differing(base.dropout, again.dropout, count), 0);
    assert_true((double)differing(base.dropout, seed.dropout, count) > 0.9 * expected);
    assert_true((double)differing(base.dropout, step.dropout, count) > 0.9 * expected);
    assert_true((double)differing(base.dropout, far.dropout, count) > 0.9 * expected);
    masks_release(again);
    masks_release(seed);
    masks_release(step);
    masks_release(far);
    masks_release(base);
    base = draw(42, 5, 0, BATCH); /* the last two blocks with a skip drop different images */
    int last = network.num_residuals - 1, both = 0;
    for (int n = 0; n < BATCH; n++) both += base.path[last * BATCH + n] == 0 && base.path[(last - 1) * BATCH + n] == 0;
    double chance = (1 - network_keep_probability(&network, last)) * (1 - network_keep_probability(&network, last - 1));
    assert_true(fabs((double)both / BATCH - chance) < 5 * sqrt(chance / BATCH));
    masks_release(base);
}

/* 30,000 values of dropout are several tasks. */
static void test_team(void **state) {
    (void)state;
    enum { IMAGES = 24 };
    Masks alone = draw(42, 5, 3, IMAGES), shared = draw(42, 5, 0, IMAGES);
    ThreadTeam *team;
    assert_int_equal(thread_team_create(3, &team, NULL), EFFNET_OK);
    masks_draw(&network, 42, 5, 3, IMAGES, team, shared.path, shared.dropout);
    thread_team_free(team);
    assert_true(compare_bits("drop path", shared.path, alone.path, (size_t)network.num_residuals * IMAGES, NULL, 0));
    assert_true(compare_bits("dropout", shared.dropout, alone.dropout, (size_t)network.features * IMAGES, NULL, 0));
    masks_release(alone);
    masks_release(shared);
}

static void test_nothing_dropped(void **state) {
    (void)state;
    ModelConfig config = network.config;
    config.drop = config.drop_path = 0;
    Network plain;
    assert_int_equal(network_build(&config, &plain, NULL), EFFNET_OK);
    float *path = malloc((size_t)plain.num_residuals * 9 * sizeof *path);
    float *dropout = malloc((size_t)plain.features * 9 * sizeof *dropout);
    masks_draw(&plain, 1, 2, 3, 9, NULL, path, dropout);
    for (int i = 0; i < plain.num_residuals * 9; i++) assert_true(path[i] == 1);
    for (int i = 0; i < plain.features * 9; i++) assert_true(dropout[i] == 1);
    free(path);
    free(dropout);
    network_free(&plain);
}

int main(void) {
    ModelConfig config;
    if (model_config_by_name("efficientnet_b0", &config, NULL) != EFFNET_OK) return 1;
    config.input = (TensorShape){32, 32, 3};
    config.num_classes = 10;
    if (network_build(&config, &network, NULL) != EFFNET_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_parts_make_the_whole),
        cmocka_unit_test(test_seed_step_and_layer_matter),
        cmocka_unit_test(test_team),
        cmocka_unit_test(test_nothing_dropped),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    network_free(&network);
    return failed;
}
