/* Random numbers: the known answers of Random123 (tests/kat_vectors) and of JAX (golden/random_jax.h), and the
 * properties that users of random_below and random_permutation rely on. */
#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/random_jax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_threefry(void **state) {
    (void)state;
    /* Random123, tests/kat_vectors, "threefry2x32 20": counter, key, result */
    static const uint32_t known[3][6] = {
        {0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xc4923a9c, 0x483df7a0},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[2];
        threefry_2x32((RandomKey){known[i][2], known[i][3]}, known[i][0], known[i][1], out);
        assert_int_equal(out[0], known[i][4]);
        assert_int_equal(out[1], known[i][5]);
    }
}

static void test_jax_keys(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof jax_keys / sizeof jax_keys[0]; i++) {
        RandomKey key = random_key(jax_keys[i].seed);
        assert_int_equal(key.high, jax_keys[i].key[0]);
        assert_int_equal(key.low, jax_keys[i].key[1]);
    }
    for (size_t i = 0; i < sizeof jax_folds / sizeof jax_folds[0]; i++) {
        RandomKey key = random_fold_in(random_key(42), jax_folds[i].data);
        assert_int_equal(key.high, jax_folds[i].key[0]);
        assert_int_equal(key.low, jax_folds[i].key[1]);
    }
}

/* Bits and uniforms exactly. Normals to 3 units in the last place: XLA's log1p and fused multiply-adds differ from the
 * C library's (measured over 2^20 draws: 95.5 % the same bits, at most 3 units off). */
static void test_jax_draws(void **state) {
    (void)state;
    RandomKey key = random_key(42);
    for (size_t i = 0; i < sizeof jax_draws / sizeof jax_draws[0]; i++) {
        uint64_t index = jax_draws[i].index;
        assert_int_equal(random_bits(key, index), jax_draws[i].bits);
        if (!(random_uniform(key, index) == jax_draws[i].uniform))
            fail_msg("uniform %llu is %a, not %a", (unsigned long long)index, (double)random_uniform(key, index),
                     (double)jax_draws[i].uniform);
        float got = random_normal(key, index), want = jax_draws[i].normal;
        if (!(fabsf(got - want) <= 3 * 0x1p-23f * fabsf(want)))
            fail_msg("normal %llu is %a, not %a", (unsigned long long)index, (double)got, (double)want);
    }
    uint32_t bits_sum = 0;
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < 1 << 20; i++) {
        double value = random_normal(key, i);
        bits_sum += random_bits(key, i);
        sum += value;
        squares += value * value;
    }
    assert_int_equal(bits_sum, jax_bits_sum);
    assert_true(fabs(sum - jax_normal_sum) <= 0.02); /* 2^20 roundings of about 2^-24 each, were all one way: 0.06 */
    assert_true(fabs(squares - jax_normal_squares) <= 0.05);
}

static void test_jax_splits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof jax_splits / sizeof jax_splits[0]; i++) {
        RandomKey key = random_split(random_key(42), THREEFRY_PARTITIONABLE, 1000, jax_splits[i].index);
        assert_int_equal(key.high, jax_splits[i].key[0]);
        assert_int_equal(key.low, jax_splits[i].key[1]);
    }
}

/* The truncated normal near its bounds follows erfinv of a number near erf(sqrt 2): the same 3 units. */
static void test_jax_bounded_draws(void **state) {
    (void)state;
    RandomKey key = random_key(42);
    for (size_t i = 0; i < sizeof jax_bounded / sizeof jax_bounded[0]; i++) {
        uint64_t index = jax_bounded[i].index;
        float got = random_truncated_normal(key, index, -2.0f, 2.0f), want = jax_bounded[i].truncated;
        if (!(fabsf(got - want) <= 3 * 0x1p-23f * fabsf(want)))
            fail_msg("truncated normal %llu is %a, not %a", (unsigned long long)index, (double)got, (double)want);
        got = random_uniform_between(key, index, -3.0f, 0.5f), want = jax_bounded[i].between;
        if (!(got == want))
            fail_msg("uniform %llu is %a, not %a", (unsigned long long)index, (double)got, (double)want);
    }
    int kept = 0;
    for (uint64_t i = 0; i < 1 << 20; i++) {
        kept += random_bernoulli(key, i, 0.8f);
        float value = random_truncated_normal(key, i, -2.0f, 2.0f);
        assert_true(value > -2.0f && value < 2.0f);
    }
    assert_int_equal(kept, jax_kept);
    assert_false(random_bernoulli(key, 0, 0.0f));
    assert_true(random_bernoulli(key, 0, 1.0f));
}

/* As JAX counted before 0.5: a number depends on how many there are, and odd counts are padded. */
static void test_jax_original(void **state) {
    (void)state;
    RandomKey root = random_key(42);
    for (size_t i = 0; i < sizeof jax_original_splits / sizeof jax_original_splits[0]; i++) {
        RandomKey key =
            random_split(root, THREEFRY_ORIGINAL, jax_original_splits[i].count, jax_original_splits[i].index);
        assert_int_equal(key.high, jax_original_splits[i].key[0]);
        assert_int_equal(key.low, jax_original_splits[i].key[1]);
    }
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof jax_original_draws / sizeof jax_original_draws[0]; i++) {
        count = jax_original_draws[i].count;
        uint32_t bits = random_bits_of(root, THREEFRY_ORIGINAL, count, jax_original_draws[i].index);
        assert_int_equal(bits, jax_original_draws[i].bits);
        float got = normal_from_bits(bits), want = jax_original_draws[i].normal;
        if (!(fabsf(got - want) <= 3 * 0x1p-23f * fabsf(want)))
            fail_msg("normal %zu is %a, not %a", i, (double)got, (double)want);
    }
    uint32_t sum = 0;
    for (uint64_t i = 0; i < count; i++) sum += random_bits_of(root, THREEFRY_ORIGINAL, count, i);
    assert_int_equal(sum, jax_original_sum);
    assert_int_equal(random_bits_of(root, THREEFRY_PARTITIONABLE, 5, 3), random_bits(root, 3));
}

/* An index above 2^32 goes into the upper counter word and is not cut off. */
static void test_large_index(void **state) {
    (void)state;
    RandomKey key = random_key(42);
    uint32_t out[2];
    threefry_2x32(key, 3, 5, out);
    assert_int_equal(random_bits(key, ((uint64_t)3 << 32) + 5), out[0] ^ out[1]);
    assert_int_equal(random_split(key, THREEFRY_PARTITIONABLE, (uint64_t)4 << 32, ((uint64_t)3 << 32) + 5).low, out[1]);
}

/* Every count of 60,000 draws in 7 boxes within five deviations of its mean. */
static void test_below(void **state) {
    (void)state;
    RandomKey key = random_key(1);
    int counts[7] = {0};
    for (uint64_t i = 0; i < 60000; i++) {
        uint32_t value = random_below(key, i, 7);
        assert_true(value < 7);
        counts[value]++;
        assert_int_equal(random_below(key, i, 1), 0);
        assert_true(random_below(key, i, UINT32_MAX) < UINT32_MAX);
    }
    for (int i = 0; i < 7; i++)
        if (!(fabs(counts[i] - 60000 / 7.0) <= 5 * sqrt(60000 / 7.0 * 6 / 7))) fail_msg("%d times %d", counts[i], i);
}

static void test_permutation(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    uint32_t order[COUNT], again[COUNT], other[COUNT];
    bool seen[COUNT] = {false};
    random_permutation(random_key(3), order, COUNT);
    random_permutation(random_key(3), again, COUNT);
    random_permutation(random_key(4), other, COUNT);
    assert_memory_equal(order, again, sizeof order);
    assert_memory_not_equal(order, other, sizeof order);
    int fixed = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(order[i] < COUNT && !seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    assert_true(fixed < 8); /* one on average */
    random_permutation(random_key(3), order, 0);
    random_permutation(random_key(3), order, 1);
    assert_int_equal(order[0], 0);
    /* all six orders of three are about equally likely */
    int counts[27] = {0};
    for (uint64_t seed = 0; seed < 6000; seed++) {
        random_permutation(random_key(seed), order, 3);
        counts[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    int kinds = 0;
    for (int i = 0; i < 27; i++) {
        kinds += counts[i] > 0;
        assert_true(counts[i] == 0 || fabs(counts[i] - 1000.0) <= 5 * sqrt(1000.0 * 5 / 6));
    }
    assert_int_equal(kinds, 6);
}

/* Several at a time are the same numbers, over the place where the index outgrows 32 bits too, and write no further. */
static void test_uniforms(void **state) {
    (void)state;
    const uint64_t firsts[3] = {0, 5, 0xFFFFFFF0u};
    for (int f = 0; f < 3; f++)
        for (size_t count = 0; count < 50; count += 7) {
            float got[51], mark = -1;
            for (int i = 0; i < 51; i++) got[i] = mark;
            random_uniforms(random_key(9), firsts[f], count, got);
            for (size_t i = 0; i < count; i++) assert_true(got[i] == random_uniform(random_key(9), firsts[f] + i));
            assert_true(got[count] == mark);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threefry),          cmocka_unit_test(test_jax_keys),
        cmocka_unit_test(test_jax_draws),         cmocka_unit_test(test_jax_splits),
        cmocka_unit_test(test_jax_bounded_draws), cmocka_unit_test(test_large_index),
        cmocka_unit_test(test_uniforms),          cmocka_unit_test(test_below),
        cmocka_unit_test(test_permutation),       cmocka_unit_test(test_jax_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
