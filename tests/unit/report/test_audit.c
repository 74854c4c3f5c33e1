/* test_audit.c - an audit's two halves on made-up data: labels against a model's answers, with thresholds by class; the same
 * picture made brighter, noisy, enlarged and mirrored is found again, strangers and flat pictures are not. */
#include "base/random.h"
#include "report/label_audit.h"
#include "report/near_duplicates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static Prediction answer(int label, int top, float of_top, int next, float of_next) {
    Prediction p = {.label = label, .top = {top, next, -1, -1, -1}, .top_probability = {of_top, of_next}};
    p.label_probability = label == top ? of_top : label == next ? of_next : 0;
    return p;
}

/* Class 0 is known well (mean 0.9), class 1 badly (mean 0.4): 0.5 for class 1 makes a suspect, 0.8 for class 0 does not. */
static void test_thresholds(void **state) {
    (void)state;
    Prediction list[] = {
        answer(0, 0, 0.95f, 1, 0.05f), answer(0, 0, 0.95f, 1, 0.05f), /* mean of 0, with the suspect's 0.3: 0.733 */
        answer(0, 1, 0.5f, 0, 0.3f),                                  /* 0.5 >= 0.45 of class 1: suspect */
        answer(1, 1, 0.6f, 0, 0.4f),   answer(1, 1, 0.45f, 0, 0.3f),  answer(1, 0, 0.7f, 1, 0.3f), /* 0.7 < 0.733 */
        answer(1, 2, 0.9f, 1, 0.05f), /* class 2 has no pictures: nothing could be meant */
    };
    const Predictions predictions = {.list = list, .count = sizeof list / sizeof *list, .classes = 3};
    LabelSuspect *suspects;
    int64_t count;
    effnet_error err;
    assert_int_equal(label_audit(&predictions, &suspects, &count, &err), EFFNET_OK);
    assert_int_equal(count, 1);
    assert_int_equal(suspects[0].place, 2);
    assert_int_equal(suspects[0].meant, 1);
    assert_true(fabsf(suspects[0].certainty - 0.2f) < 1e-6f);
    free(suspects);
}

/* Blobs of light on a slope, by a seed; `scale` and `offset` of the levels, noise, seen in a mirror. */
static float *draw(int side, uint64_t seed, double scale, double offset, double noise, bool mirrored) {
    float *image = malloc(3 * (size_t)side * (size_t)side * sizeof *image);
    assert_non_null(image);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double u = (mirrored ? side - 1 - x + 0.5 : x + 0.5) / side, v = (y + 0.5) / side, level = 0.3 * u;
            for (uint32_t b = 0; b < 6; b++) {
                double cx = random_uniform(random_key(seed), 4 * b), cy = random_uniform(random_key(seed), 4 * b + 1);
                double size = 0.08 + 0.12 * random_uniform(random_key(seed), 4 * b + 2);
                level += 0.5 * exp(-((u - cx) * (u - cx) + (v - cy) * (v - cy)) / (size * size));
            }
            for (int k = 0; k < 3; k++) {
                size_t at = 3 * ((size_t)y * (size_t)side + (size_t)x) + (size_t)k;
                image[at] = (float)(scale * level + offset + noise * (random_uniform(random_key(seed + 77), at) - 0.5));
            }
        }
    return image;
}

static PictureHash hash_of(int side, uint64_t seed, double scale, double offset, double noise, bool mirrored) {
    const double mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
    PictureHash hash = {0};
    float *image = draw(side, seed, scale, offset, noise, mirrored);
    picture_hash(image, (TensorShape){side, side, 3}, mean, std, &hash);
    free(image);
    return hash;
}

static void test_hashes(void **state) {
    (void)state;
    enum { PICTURES = 40 };
    PictureHash training[PICTURES], evaluation[5];
    NearPair *pairs;
    int64_t count;
    effnet_error err;
    for (int i = 0; i < PICTURES; i++) training[i] = hash_of(64, 100 + (uint64_t)i, 0.6, 0.1, 0, false);
    evaluation[0] = hash_of(64, 103, 0.6, 0.1, 0.04, false); /* noisy, as saved again */
    evaluation[1] = hash_of(96, 105, 0.6, 0.13, 0, false);   /* larger and brighter */
    evaluation[2] = hash_of(64, 107, 0.6, 0.1, 0.02, true);  /* mirrored */
    evaluation[3] = hash_of(64, 500, 0.6, 0.1, 0, false);    /* a stranger */
    evaluation[4] = hash_of(64, 501, 0.0001, 0.5, 0, false); /* flat */
    assert_true(evaluation[4].flat && !evaluation[3].flat);
    assert_int_equal(near_pairs(training, PICTURES, evaluation, 5, &pairs, &count, &err), EFFNET_OK);
    if (count != 3) fail_msg("%d pairs, wanted 3", (int)count);
    bool found[3] = {false};
    for (int i = 0; i < 3; i++) {
        assert_in_range(pairs[i].second, 0, 2);
        found[pairs[i].second] = true;
        assert_int_equal(pairs[i].first, 3 + 2 * pairs[i].second);
        assert_int_equal(pairs[i].mirrored, pairs[i].second == 2);
        if (i) assert_true(pairs[i].distance >= pairs[i - 1].distance);
    }
    assert_true(found[0] && found[1] && found[2]);
    free(pairs);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_thresholds), cmocka_unit_test(test_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
