/* test_augment_policy.c - the text of `aa`, what is drawn from it and how often, and that a picture's augmentation is a
 * function of its key. */
#include "compare.h"
#include "data/transform/preprocess.h"
#include "make_pictures.h"

#include <math.h>

static AugmentPolicy parsed(const char *aa, int reference) {
    Recipe recipe;
    AugmentPolicy policy;
    effnet_error error;
    recipe_defaults(&recipe);
    snprintf(recipe.aa, sizeof recipe.aa, "%s", aa);
    recipe.aa_ops = reference;
    if (augment_policy_from_recipe(&recipe, &policy, &error) != EFFNET_OK) fail_msg("%s", error.message);
    return policy;
}

static void texts_are_understood(void **state) {
    (void)state;
    assert_true(augment_policy_is_empty(&(AugmentPolicy){0}));
    AugmentPolicy policy = parsed("", AA_OPS_TENSORFLOW);
    assert_true(augment_policy_is_empty(&policy));
    assert_int_equal(parsed("v0", AA_OPS_TENSORFLOW).family, FAMILY_AUTO_V0);
    assert_int_equal(parsed("trivial", AA_OPS_PILLOW).family, FAMILY_TRIVIAL);
    policy = parsed("rand-m9-mstd0.5-inc1", AA_OPS_PILLOW);
    assert_int_equal(policy.family, FAMILY_RAND_TIMM);
    assert_true(policy.magnitude == 9 && policy.deviation == 0.5 && policy.increasing && policy.layers == 2);
    assert_true(policy.probability == 0.5 && policy.most == 10);
    policy = parsed("rand-n3-p0.7-mmax20-mstd101", AA_OPS_PILLOW);
    assert_true(policy.layers == 3 && policy.probability == 0.7 && policy.most == 20 && isinf(policy.deviation));
    assert_true(policy.magnitude == 10 && !policy.increasing);
    policy = parsed("randaug-n2-m15", AA_OPS_TENSORFLOW);
    assert_true(policy.family == FAMILY_RANDAUG && policy.layers == 2 && policy.magnitude == 15);
    assert_int_equal(policy.fill[2], 128);
    policy = parsed("rand", AA_OPS_PILLOW);
    assert_true(policy.fill[0] == 124 && policy.fill[1] == 116 && policy.fill[2] == 104);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"v1",        "v0-m9",        "rand9",      "rand-",       "rand-m",
                                        "rand-q3",   "rand-m-1",     "rand-p1.5",  "rand-n0",     "rand-n17",
                                        "rand-inc2", "rand-m9.5",    "randaug-p1", "randaug-m31", "rand-m9--n2",
                                        "rand-m1e3", "rand-mstdnan", "-",          "trivial-"};
    Recipe recipe;
    recipe_defaults(&recipe);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        AugmentPolicy policy;
        effnet_error error = {0};
        snprintf(recipe.aa, sizeof recipe.aa, "%s", wrong[i]);
        if (augment_policy_from_recipe(&recipe, &policy, &error) != EFFNET_ERROR_ARGUMENT)
            fail_msg("'%s' was taken", wrong[i]);
        assert_non_null(strstr(error.message, wrong[i]));
        assert_non_null(strstr(error.message, "allowed"));
    }
}

enum { DRAWS = 40000 };

static AugmentOperation nth(const AugmentPolicy *policy, int place, uint32_t n) {
    AugmentStyle style;
    return augment_policy_draw(policy, place, 224, 224, random_fold_in(random_key(11), n), &style);
}

/* Every operation of a set comes equally often; five deviations are allowed. */
static void expect_share(const char *what, int count, double share) {
    double allowed = 5 * sqrt(DRAWS * share * (1 - share));
    if (!(fabs(count - DRAWS * share) <= allowed))
        fail_msg("%s: %d of %d, want %.1f +- %.1f", what, count, DRAWS, DRAWS * share, allowed);
}

static void operations_come_equally_often(void **state) {
    (void)state;
    const struct {
        const char *aa;
        int size;
        double applied;
        AugmentKind never;
    } sets[] = {{"randaug-n2-m10", 16, 1, AUGMENT_IDENTITY},
                {"rand-m9-mstd0.5-inc1", 15, 0.5, AUGMENT_CUTOUT},
                {"trivial", 14, 1, AUGMENT_INVERT}};
    for (size_t s = 0; s < 3; s++) {
        AugmentPolicy policy = parsed(sets[s].aa, AA_OPS_PILLOW);
        int counts[AUGMENT_KINDS] = {0}, kinds = 0;
        for (uint32_t n = 0; n < DRAWS; n++) counts[nth(&policy, augment_policy_count(&policy) - 1, n).kind]++;
        for (int kind = AUGMENT_IDENTITY + 1; kind < AUGMENT_KINDS; kind++)
            if (counts[kind]) {
                expect_share(augment_name((AugmentKind)kind), counts[kind], sets[s].applied / sets[s].size);
                kinds++;
            }
        assert_int_equal(kinds + (s == 2), sets[s].size); /* trivial has Identity too */
        assert_int_equal(counts[sets[s].never], 0);
    }
}

/* AutoAugment v0, from the published table: sub-policy 16 (Rotate always, TranslateY 0.8) at 1/25. */
static void auto_augment_draws_its_pairs(void **state) {
    (void)state;
    AugmentPolicy policy = parsed("v0", AA_OPS_TENSORFLOW);
    int both = 0, first = 0, negative = 0, applied = 0;
    for (uint32_t n = 0; n < DRAWS; n++) {
        AugmentOperation a = nth(&policy, 0, n), b = nth(&policy, 1, n);
        if (a.kind == AUGMENT_ROTATE) {
            first++;
            assert_true(fabs(fabs(a.argument) - 21) < 1e-12);
            negative += a.argument < 0;
            if (b.kind == AUGMENT_TRANSLATE_Y) {
                assert_true(fabs(b.argument) == 225);
                both++;
            } else {
                assert_int_equal(b.kind, AUGMENT_IDENTITY);
            }
        }
        applied += b.kind != AUGMENT_IDENTITY;
    }
    expect_share("Rotate first", first, 1.0 / 25);
    expect_share("Rotate, TranslateY", both, 0.8 / 25);
    expect_share("Rotate to the left", negative, 0.5 / 25);
    /* the sum of the table's second probabilities */
    expect_share("second operations", applied,
                 (.8 + .6 + .6 + .4 + .6 + .8 + .8 + .6 + 1 + .6 + .6 + .6 + .4 + .6 + .8 + .8 + .8 + .6 + .6 + 0 + .6 +
                  .6 + .6 + .6 + .4) /
                     25);
}

/* Arguments at the ends of each family's range, as the published code computes them. */
static void arguments_are_as_published(void **state) {
    (void)state;
    AugmentPolicy randaug = parsed("randaug-n1-m15", AA_OPS_TENSORFLOW),
                  timm = parsed("rand-m9-p1-inc1", AA_OPS_PILLOW), plain = parsed("rand-m9-p1", AA_OPS_PILLOW),
                  trivial = parsed("trivial", AA_OPS_PILLOW);
    double most[AUGMENT_KINDS] = {0};
    for (uint32_t n = 0; n < 5000; n++) {
        AugmentOperation a = nth(&randaug, 0, n), b = nth(&timm, 0, n), c = nth(&plain, 0, n), d = nth(&trivial, 0, n);
        if (a.kind == AUGMENT_ROTATE) assert_true(fabs(a.argument) == 45);
        if (a.kind == AUGMENT_SOLARIZE) assert_true(a.argument == 384);
        if (a.kind == AUGMENT_POSTERIZE) assert_true(a.argument == 6);
        if (a.kind == AUGMENT_CUTOUT) assert_true(a.argument == 60 && a.center_x >= 0 && a.center_x < 224);
        if (a.kind == AUGMENT_TRANSLATE_X) assert_true(fabs(a.argument) == 150);
        if (a.kind == AUGMENT_COLOR) assert_true(fabs(a.argument - 2.8) < 1e-12);
        if (b.kind == AUGMENT_POSTERIZE) assert_true(b.argument == 1);
        if (b.kind == AUGMENT_SOLARIZE) assert_true(b.argument == 26);
        if (b.kind == AUGMENT_SOLARIZE_ADD) assert_true(b.argument == 99);
        if (b.kind == AUGMENT_SHARPNESS) assert_true(fabs(fabs(b.argument - 1) - .81) < 1e-12);
        if (b.kind == AUGMENT_TRANSLATE_Y) assert_true(fabs(fabs(b.argument) - .9 * .45 * 224) < 1e-9);
        if (c.kind == AUGMENT_POSTERIZE) assert_true(c.argument == 3);
        if (c.kind == AUGMENT_SOLARIZE) assert_true(c.argument == 230);
        if (c.kind == AUGMENT_CONTRAST) assert_true(fabs(c.argument - 1.72) < 1e-12);
        if (d.argument > most[d.kind]) most[d.kind] = d.argument;
    }
    assert_true(fabs(most[AUGMENT_ROTATE] - 135) < 1e-9 && most[AUGMENT_TRANSLATE_X] == 32);
    assert_true(most[AUGMENT_POSTERIZE] == 8 && most[AUGMENT_SOLARIZE] == 255);
    assert_true(fabs(most[AUGMENT_SHEAR_Y] - .99) < 1e-12 && fabs(most[AUGMENT_BRIGHTNESS] - 1.99) < 1e-12);
}

static PreprocessOptions options_with(const char *key, const char *value) {
    Recipe recipe;
    PreprocessOptions options;
    recipe_defaults(&recipe);
    assert_int_equal(recipe_set(&recipe, key, value, NULL), EFFNET_OK);
    preprocess_from_recipe(&recipe, (TensorShape){64, 64, 3}, &options);
    assert_int_equal(preprocess_augment_from_recipe(&recipe, &options, NULL), EFFNET_OK);
    return options;
}

static void must_be_fine(effnet_status status, const effnet_error *err) {
    if (status != EFFNET_OK) fail_msg("%s", err->message);
}

enum { FLOATS = 3 * 64 * 64 };

/* Each key changes pictures, the same key the same picture, another key another; evaluation none. */
static void preprocessing_augments_by_key(void **state) {
    (void)state;
    static const char *const keys[][2] = {{"aa", "v0"},      {"aa", "randaug-n2-m15"}, {"aa", "rand-m9-mstd0.5-inc1"},
                                          {"aa", "trivial"}, {"color_jitter", "0.4"},  {"grayscale_prob", "1"},
                                          {"reprob", "1"}};
    Picture picture = {.height = 90, .width = 130, .pixels = pattern_picture(90, 130)};
    float *plain = malloc(FLOATS * sizeof *plain), *got = malloc(FLOATS * sizeof *got),
          *again = malloc(FLOATS * sizeof *again);
    PreprocessOptions none = options_with("aa", "");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        PreprocessOptions options = options_with(keys[k][0], keys[k][1]);
        int changed = 0;
        for (uint32_t n = 0; n < 40; n++) {
            RandomKey key = random_fold_in(random_key(5), n);
            assert_int_equal(preprocess_train(&none, &picture, key, plain, NULL), EFFNET_OK);
            assert_int_equal(preprocess_train(&options, &picture, key, got, NULL), EFFNET_OK);
            assert_int_equal(preprocess_train(&options, &picture, key, again, NULL), EFFNET_OK);
            assert_memory_equal(got, again, FLOATS * sizeof *got);
            double sum = 0;
            for (int i = 0; i < FLOATS; i++) sum += fabs((double)got[i] - (double)plain[i]);
            assert_true(isfinite(sum));
            changed += sum / FLOATS > 0.02; /* a level is 0.017 */
        }
        if (changed < 15) fail_msg("%s: %s changed %d of 40 pictures", keys[k][0], keys[k][1], changed);
        assert_int_equal(preprocess_eval(&none.transform, &picture, plain, NULL), EFFNET_OK);
        assert_int_equal(preprocess_eval(&options.transform, &picture, got, NULL), EFFNET_OK);
        assert_memory_equal(got, plain, FLOATS * sizeof *got);
    }
    free(plain);
    free(got);
    free(again);
    free(picture.pixels);
}

/* With a policy that does nothing, or asked to be whole, the picture is the plain one but for its whole levels. */
static void whole_levels_are_near(void **state) {
    (void)state;
    Picture picture = {.height = 90, .width = 130, .pixels = pattern_picture(90, 130)};
    float *plain = malloc(FLOATS * sizeof *plain), *got = malloc(FLOATS * sizeof *got);
    const struct {
        const char *key, *value;
        int reference;
        bool rounds;
    } ways[] = {{"aa", "rand-p0", AA_OPS_TENSORFLOW, false},
                {"aa", "rand-p0", AA_OPS_PILLOW, true},
                {"levels", "whole", AA_OPS_TENSORFLOW, true}};
    for (int way = 0; way < 3; way++) {
        PreprocessOptions none = options_with("aa", ""), options = options_with(ways[way].key, ways[way].value);
        options.policy.reference = ways[way].reference;
        assert_int_equal(preprocess_train(&none, &picture, random_key(1), plain, NULL), EFFNET_OK);
        assert_int_equal(preprocess_train(&options, &picture, random_key(1), got, NULL), EFFNET_OK);
        for (int i = 0; i < FLOATS; i++) {
            double level = 255 * none.transform.std[i % 3], below = ((double)plain[i] - (double)got[i]) * level;
            double least = ways[way].rounds ? -.501 : -1e-3, most = ways[way].rounds ? .501 : 1.001;
            if (!(below >= least && below <= most)) fail_msg("level cut by %g at %d", below, i);
        }
    }
    free(plain);
    free(got);
    free(picture.pixels);
}

/* Rectangles of the wanted number, area, shape and colours. */
static void erasing_is_as_told(void **state) {
    (void)state;
    enum { SIDE = 96, COUNT = 3 * SIDE * SIDE, TRIALS = 2000 };
    float *image = malloc(COUNT * sizeof *image);
    int touched = 0;
    double area = 0, square = 0, normals = 0;
    for (uint32_t n = 0; n < TRIALS; n++) {
        for (int i = 0; i < COUNT; i++) image[i] = 100;
        augment_erase(&(EraseOptions){.probability = .25, .mode = REMODE_PIXEL, .most = 3},
                      random_fold_in(random_key(8), n), (TensorShape){SIDE, SIDE, 3}, image);
        int erased = 0;
        for (int i = 0; i < COUNT; i++) {
            if (image[i] == 100) continue;
            erased++;
            square += (double)image[i] * (double)image[i];
        }
        touched += erased > 0;
        normals += erased;
        area += (double)erased / COUNT;
        assert_true(erased % 3 == 0 && (!erased || (double)erased / COUNT > .005) && (double)erased / COUNT < .35);
    }
    assert_true(touched > TRIALS * .25 - 100 && touched < TRIALS * .25 + 100);
    assert_true(area / touched > .1 && area / touched < .19); /* uniform in 2 to 33 %, less the overlap */
    assert_true(fabs(square / normals - 1) < .02);
    for (int i = 0; i < COUNT; i++) image[i] = 100;
    augment_erase(&(EraseOptions){.probability = 1, .mode = REMODE_CONST, .most = 1}, random_key(1),
                  (TensorShape){SIDE, SIDE, 3}, image);
    int zeros = 0, others = 0;
    for (int i = 0; i < COUNT; i++) {
        zeros += image[i] == 0;
        others += image[i] != 0 && image[i] != 100;
    }
    assert_true(zeros > .019 * COUNT && zeros < .34 * COUNT && others == 0);
    free(image);
}

/* The levels that go to a device are those that the floats are made of. */
static void levels_are_the_floats(void **state) {
    (void)state;
    static const char *const keys[][2] = {{"levels", "whole"}, {"aa", "v0"}, {"aa", "rand-m9-mstd0.5-inc1"}};
    enum { H = 90, W = 130, SIDE = 64 };
    uint8_t *rgb = pattern_picture(H, W);
    uint8_t *five = malloc(5 * H * W), *levels = malloc(5 * SIDE * SIDE);
    float *got = malloc(5 * SIDE * SIDE * sizeof *got);
    for (int i = 0; i < 5 * H * W; i++) five[i] = rgb[i % (3 * H * W)];
    PreprocessBuffers buffers = {0};
    effnet_error err = {0};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (int channels = 1; channels <= 5; channels += 2) {
            PreprocessOptions options = options_with(keys[k][0], keys[k][1]);
            options.transform.input.channels = channels;
            for (int c = 3; c < channels; c++) options.transform.std[c] = .2 + .01 * c;
            const Picture picture = {
                .height = H, .width = W, .channels = channels == 5 ? 5 : 0, .pixels = channels == 5 ? five : rgb};
            double scale[MOST_CHANNELS], bias[MOST_CHANNELS];
            evaluation_transform_levels(&options.transform, scale, bias);
            assert_true(preprocess_gives_levels(&options));
            for (uint32_t n = 0; n < 10; n++) {
                const RandomKey key = random_fold_in(random_key(6), n);
                const Region region = region_of_picture(&picture, preprocess_crop(&options, H, W, &key));
                must_be_fine(preprocess_region(&options, &region, &key, &buffers, got, &err), &err);
                must_be_fine(preprocess_region_levels(&options, &region, key, &buffers, levels, &err), &err);
                for (int i = 0; i < channels * SIDE * SIDE; i++) {
                    const float product = (float)levels[i] * (float)scale[i % channels];
                    assert_true(product + (float)bias[i % channels] == got[i]);
                }
            }
            options.erase = (EraseOptions){.probability = .1, .most = 1};
            assert_false(preprocess_gives_levels(&options)); /* what is put over has no level */
            const RandomKey key = random_key(6);
            const Region region = region_of_picture(&picture, preprocess_crop(&options, H, W, &key));
            assert_int_equal(preprocess_region_levels(&options, &region, key, &buffers, levels, &err),
                             EFFNET_ERROR_ARGUMENT);
        }
    const PreprocessOptions none = options_with("aa", "");
    assert_false(preprocess_gives_levels(&none));
    preprocess_release(&buffers);
    free(rgb);
    free(five);
    free(levels);
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_understood),          cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(operations_come_equally_often), cmocka_unit_test(auto_augment_draws_its_pairs),
        cmocka_unit_test(arguments_are_as_published),    cmocka_unit_test(preprocessing_augments_by_key),
        cmocka_unit_test(whole_levels_are_near),         cmocka_unit_test(erasing_is_as_told),
        cmocka_unit_test(levels_are_the_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
