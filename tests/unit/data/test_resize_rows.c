/* test_resize_rows.c - every instance of resizing's inner loops makes the bits of plain loops over single floats,
 * whatever the width, the number of taps and the length, and reads no byte behind a row. */
#include "data/transform/resize_rows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t state_of_noise = 1;

static uint32_t noise(void) {
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return state_of_noise >> 8;
}

/* -1/2 to 3/2: weights below 0 and sums beyond 0 and 255 must occur, or clipping would not be tested. */
static float weight(void) {
    return (float)noise() / (1 << 23) - 0.5f;
}

static float clipped(float level) {
    level = level > 0 ? level : 0;
    return level < 255 ? level : 255;
}

static void same_bits(const char *what, const char *isa, const float *got, const float *want, int count) {
    for (int i = 0; i < count; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%s, %s: place %d is %.9g, wanted %.9g", what, isa, i, (double)got[i], (double)want[i]);
}

/* ---- across ---- */

static void fill_axis(ResizeAxis *axis, int width, int side, int taps) {
    axis->taps = taps;
    axis->first = malloc((size_t)side * sizeof *axis->first);
    axis->count = malloc((size_t)side * sizeof *axis->count);
    axis->weights = malloc((size_t)side * (size_t)taps * sizeof *axis->weights);
    for (int x = 0; x < side; x++) {
        axis->count[x] = 1 + (int)(noise() % (uint32_t)taps);
        axis->first[x] = (int)(noise() % (uint32_t)(width - axis->count[x] + 1));
        for (int k = 0; k < taps; k++) axis->weights[x * taps + k] = weight();
    }
}

static void free_axis(ResizeAxis *axis) {
    free(axis->first);
    free(axis->count);
    free(axis->weights);
}

static void across_by_hand(const uint8_t *row, const ResizeAxis *axis, int side, bool clip, float *out) {
    for (int x = 0; x < side; x++)
        for (int c = 0; c < 3; c++) {
            float sum = 0;
            for (int k = 0; k < axis->count[x]; k++)
                sum += axis->weights[x * axis->taps + k] * (float)row[3 * (axis->first[x] + k) + c];
            out[3 * x + c] = clip ? clipped(sum) : sum;
        }
}

static void check_across(const ResizeRows *loops, int width, int side, int taps, bool clip) {
    ResizeAxis axis;
    uint8_t *rows[ROWS_AT_ONCE];
    float *out[ROWS_AT_ONCE], *levels = malloc((size_t)width * PIXEL_FLOATS * sizeof *levels);
    float *want = calloc(3 * (size_t)side, sizeof *want);
    fill_axis(&axis, width, side, taps);
    for (int r = 0; r < ROWS_AT_ONCE; r++) {
        rows[r] = malloc(3 * (size_t)width); /* to the byte: the sanitizer sees one behind */
        out[r] = malloc((3 * (size_t)side + ROW_PADDING) * sizeof *out[r]);
        for (int i = 0; i < 3 * width; i++) rows[r][i] = (uint8_t)noise();
    }
    loops->across((const uint8_t *const *)rows, width, &axis, side, clip, levels, out);
    for (int r = 0; r < ROWS_AT_ONCE; r++) {
        across_by_hand(rows[r], &axis, side, clip, want);
        same_bits("across", loops->isa, out[r], want, 3 * side);
        free(rows[r]);
        free(out[r]);
    }
    free_axis(&axis);
    free(levels);
    free(want);
}

static void across(void **state) {
    (void)state;
    const int shapes[][3] = {{1, 1, 1}, {1, 7, 1}, {2, 3, 2}, {5, 9, 3}, {37, 11, 4}, {100, 32, 9}, {400, 224, 8}};
    for (int which = 0; resize_rows(which); which++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int clip = 0; clip < 2; clip++)
                check_across(resize_rows(which), shapes[i][0], shapes[i][1], shapes[i][2], clip);
}

/* ---- down ---- */

static void down_by_hand(float *const *rows, const float *weights, int count, int length, const float *scale,
                         const float *bias, bool keep_overshoot, float *out) {
    for (int i = 0; i < length; i++) {
        float sum = 0;
        int k = 0;
        for (; k + 4 <= count; k += 4)
            sum += weights[k] * rows[k][i] + weights[k + 1] * rows[k + 1][i] +
                   (weights[k + 2] * rows[k + 2][i] + weights[k + 3] * rows[k + 3][i]);
        for (; k < count; k++) sum += weights[k] * rows[k][i];
        out[i] = (keep_overshoot ? sum : clipped(sum)) * scale[i] + bias[i];
    }
}

enum { MOST_ROWS = 13, LONGEST = 700 };

static void check_down(const ResizeRows *loops, int count, int length, bool keep_overshoot) {
    float *rows[MOST_ROWS] = {0}, weights[MOST_ROWS] = {0};
    float scale[LONGEST + ROW_PADDING] = {0}, bias[LONGEST + ROW_PADDING] = {0};
    float *out = calloc((size_t)length, sizeof *out), *want = calloc((size_t)length, sizeof *want);
    for (int i = 0; i < length; i++) {
        scale[i] = weight();
        bias[i] = weight();
    }
    for (int k = 0; k < count; k++) {
        weights[k] = weight();
        rows[k] = calloc((size_t)length + ROW_PADDING, sizeof **rows);
        for (int i = 0; i < length; i++) rows[k][i] = (float)(noise() % 256);
    }
    loops->down(rows, weights, count, length, scale, bias, keep_overshoot, out);
    down_by_hand(rows, weights, count, length, scale, bias, keep_overshoot, want);
    same_bits("down", loops->isa, out, want, length);
    for (int k = 0; k < count; k++) free(rows[k]);
    free(out);
    free(want);
}

static void down(void **state) {
    (void)state;
    const int lengths[] = {1, 3, 4, 15, 16, 17, 31, 32, 33, 63, 96, 672, LONGEST};
    for (int which = 0; resize_rows(which); which++)
        for (int count = 1; count <= MOST_ROWS; count++)
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
                for (int keep = 0; keep < 2; keep++) check_down(resize_rows(which), count, lengths[i], keep);
}

static void the_last_is_plain(void **state) {
    (void)state;
    int count = 0;
    while (resize_rows(count)) print_message("%s\n", resize_rows(count++)->isa);
    assert_true(count >= 1);
    assert_string_equal(resize_rows(count - 1)->isa, "plain");
    assert_null(resize_rows(count));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_is_plain),
        cmocka_unit_test(across),
        cmocka_unit_test(down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
