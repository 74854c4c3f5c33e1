/* test_kernels.c - every kernel of kernels.def, for every instruction set this machine has, over fp32 and bf16 values,
 * and for the others (these too) over the same instructions in C, so that none goes untested: against the scalar fp32
 * table on odd shapes (tails of every length, widths below a block), and matrix and depthwise kernels against plain
 * double-precision loops. Inputs are numbers that bf16 holds exactly, so that a bf16 kernel may differ by the rounding
 * of its stored results alone (LOOSE); its fp32 results are held as closely as anyone's. The whole engine is held
 * against the reference engine in test_engine_parity.c. */
#include "backend/cpu/isa.h"
#include "base/bfloat16.h"
#include "base/memory.h"
#include "base/random.h"
#include "reference/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 16 };

static const double STRICT = 2e-5, LOOSE = 8e-3; /* of the largest value; two roundings to 8 bits of fraction */
static const double ACTIVATED =
    4e-4; /* of activations in bf16, before they are rounded: see activations_are_accurate */
static const double LEAST_SCALE = 1e-2; /* of sums that are kept exactly: below it, what cancels of numbers of size 1 */

static const CpuKernels *tables[24]; /* the scalar fp32 table first */
static int num_tables;

/* The same sources over instructions in C (over_simde.h, over_simde_neon.h), of the sets that the processor of the build
 * lacks. */
extern const CpuKernels cpu_kernels_avx2_emulated, cpu_kernels_avx2_emulated_bf16, cpu_kernels_avx512_emulated,
    cpu_kernels_avx512_emulated_bf16, cpu_kernels_avx512bf16_emulated_bf16, cpu_kernels_neon_emulated,
    cpu_kernels_neon_emulated_bf16;
static const CpuKernels *const emulated[] = {
#ifdef EFFNET_EMULATED_AVX2
    &cpu_kernels_avx2_emulated,
    &cpu_kernels_avx2_emulated_bf16,
#endif
#ifdef EFFNET_EMULATED_AVX512
    &cpu_kernels_avx512_emulated,
    &cpu_kernels_avx512_emulated_bf16,
#endif
#ifdef EFFNET_EMULATED_AVX512BF16
    &cpu_kernels_avx512bf16_emulated_bf16,
#endif
#ifdef EFFNET_EMULATED_NEON
    &cpu_kernels_neon_emulated,
    &cpu_kernels_neon_emulated_bf16,
#endif
    NULL,
};

static void find_tables(void) {
    int sets = 0;
    while (cpu_isa_at(sets)) sets++;
    for (int i = sets - 1; i >= 0; i--) {
        effnet_error err;
        const CpuIsa *isa;
        setenv("EFFNET_ISA", cpu_isa_at(i)->name, 1);
        if (cpu_isa_choose(&isa, &err) == EFFNET_OK) {
            tables[num_tables++] = isa->fp32;
            tables[num_tables++] = isa->bf16;
        } else {
            printf("skipped on this processor: %s\n", cpu_isa_at(i)->name);
        }
    }
    unsetenv("EFFNET_ISA");
    for (size_t i = 0; emulated[i]; i++) tables[num_tables++] = emulated[i];
    for (int t = 0; t < num_tables; t++) printf("%s%s ", tables[t]->isa, tables[t]->value_bytes == 2 ? " bf16," : ",");
    printf("and no others: those over emulated instructions want libsimde-dev, and no sanitizer\n");
}

static bool is_bf16(const CpuKernels *k) {
    return k->value_bytes == 2;
}

static void *room(size_t count, size_t size) {
    void *block;
    effnet_error err;
    if (memory_allocate(count, size, "test", &block, &err) != EFFNET_OK) abort();
    return block;
}

/* Numbers that bf16 holds. */
static float *filled(uint32_t key, size_t count, float scale) {
    float *values = room(count, sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = bfloat16_round(random_normal(random_key(key), i) * scale);
    return values;
}

/* The same as the table's values. */
static void to_values(const CpuKernels *k, const float *from, size_t count, void *to) {
    for (size_t i = 0; i < count; i++)
        if (is_bf16(k))
            ((uint16_t *)to)[i] = bfloat16_from_float(from[i]);
        else
            ((float *)to)[i] = from[i];
}

static void *filled_values(const CpuKernels *k, uint32_t key, size_t count, float scale) {
    float *floats = filled(key, count, scale);
    void *values = room(count, (size_t)k->value_bytes);
    to_values(k, floats, count, values);
    memory_free(floats);
    return values;
}

static float value_of(const CpuKernels *k, const void *values, size_t i) {
    return is_bf16(k) ? float_from_bfloat16(((const uint16_t *)values)[i]) : ((const float *)values)[i];
}

static float *floats_of(const CpuKernels *k, const void *values, size_t count) {
    float *floats = room(count, sizeof *floats);
    for (size_t i = 0; i < count; i++) floats[i] = value_of(k, values, i);
    return floats;
}

static void close_at_scale(const char *what, const CpuKernels *k, const float *got, const float *want, size_t count,
                           double scale, double tolerance) {
    double worst = -1;
    size_t place = 0;
    for (size_t i = 0; i < count; i++) scale = fmax(scale, fabs((double)want[i]));
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)got[i] - want[i]);
        if (!(d <= worst)) worst = d, place = i;
    }
    if (!(worst <= tolerance * scale))
        fail_msg("%s %s%s: |diff| %g of scale %g at %zu, got %g, want %g", what, k->isa, is_bf16(k) ? " bf16" : "",
                 worst, scale, place, got[place], want[place]);
}

static void close_enough(const char *what, const CpuKernels *k, const float *got, const float *want, size_t count,
                         double tolerance) {
    close_at_scale(what, k, got, want, count, 1, tolerance); /* inputs are of size 1 */
}

static void values_close_enough(const char *what, const CpuKernels *k, const void *got, const float *want,
                                size_t count) {
    float *floats = floats_of(k, got, count);
    close_enough(what, k, floats, want, count, is_bf16(k) ? LOOSE : STRICT);
    memory_free(floats);
}

/* What kernels made, one part for each result: fp32 numbers, or stored ones. */
enum { MOST_PARTS = 64 };
typedef struct Part {
    const char *kernel;
    size_t begin, count;
    double scale, bf16_tolerance; /* the least scale; what the bf16 tables may be off by */
} Part;

typedef struct Results {
    float values[2 * MOST];
    size_t count;
    Part parts[MOST_PARTS];
    int num_parts;
} Results;

static float *new_part(Results *results, const char *kernel, size_t count, double scale, double bf16_tolerance) {
    assert_true(results->count + count <= 2 * MOST && results->num_parts < MOST_PARTS);
    results->parts[results->num_parts++] = (Part){kernel, results->count, count, scale, bf16_tolerance};
    results->count += count;
    return results->values + results->count - count;
}

static void keep(Results *results, const char *kernel, const float *from, size_t count) {
    memcpy(new_part(results, kernel, count, LEAST_SCALE, STRICT), from, count * sizeof *from);
}

/* Sums of activations, which bf16's kernels approximate; of numbers that the kernel stored, as they were rounded. */
static void keep_activated_sums(Results *results, const char *kernel, const float *from, size_t count) {
    memcpy(new_part(results, kernel, count, 1, ACTIVATED), from, count * sizeof *from);
}

static void keep_stored_sums(Results *results, const char *kernel, const float *from, size_t count) {
    memcpy(new_part(results, kernel, count, 1, LOOSE), from, count * sizeof *from);
}

static void keep_values(Results *results, const char *kernel, const CpuKernels *k, const void *from, size_t count) {
    float *to = new_part(results, kernel, count, 1, LOOSE);
    for (size_t i = 0; i < count; i++) to[i] = value_of(k, from, i);
}

static void keep_tile(Results *results, const char *kernel, const CpuKernels *k, const void *tile, int tile_rows,
                      int rows, int channels) {
    float *to = new_part(results, kernel, (size_t)(rows * channels), 1, LOOSE);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < channels; i++)
            *to++ = value_of(k, tile, (size_t)(i / 64) * (size_t)tile_rows * 64 + (size_t)(r * 64 + i % 64));
}

/* Every result by its own scale: beside a large one a small one would be held to nothing. */
static void compare_parts(const char *where, const CpuKernels *k, const Results *got, const Results *want) {
    assert_int_equal(got->num_parts, want->num_parts);
    for (int i = 0; i < want->num_parts; i++) {
        const Part *part = &want->parts[i];
        char what[160];
        snprintf(what, sizeof what, "%s, result %d of %s,", part->kernel, i, where);
        assert_int_equal(got->parts[i].count, part->count);
        close_at_scale(what, k, got->values + part->begin, want->values + part->begin, part->count, part->scale,
                       is_bf16(k) ? part->bf16_tolerance : STRICT);
    }
}

/* The same inputs for every table. */
static void run_tile_kernels(const CpuKernels *k, int rows, int channels, Activation activation, Results *out) {
    int tile_rows = rows + 3;
    size_t tile_size = round_up((size_t)channels, TILE_CHANNELS) * (size_t)tile_rows, c = (size_t)channels;
    size_t values = (size_t)rows * c;
    void *x = filled_values(k, 1, values, 2), *y = filled_values(k, 2, values, 1);
    void *tile = filled_values(k, 4, tile_size, 0), *slope = filled_values(k, 6, values, 0);
    float *v = filled(3, 12 * c, 1), *sums = filled(5, 10 * c, 1), *fill = filled(8, values, 1);
    BnVectors bn = {v, v + c, v + 2 * c};
    BnGradient gradient = {v + 3 * c, v + 4 * c, v + 5 * c, v + 6 * c};
    memset(out, 0, sizeof *out);
    k->tile_fill(fill, c, rows, channels, tile, tile_rows);
    keep_tile(out, "tile_fill", k, tile, tile_rows, rows, channels);
    k->tile_load(x, c, rows, channels, &bn, activation, tile, tile_rows);
    keep_tile(out, "tile_load", k, tile, tile_rows, rows, channels);
    k->tile_scale(tile, tile, tile_rows, rows, channels, v + 7 * c);
    keep_tile(out, "tile_scale", k, tile, tile_rows, rows, channels);
    k->tile_load(x, c, rows, channels, NULL, ACTIVATION_NONE, tile, tile_rows);
    keep_tile(out, "tile_load", k, tile, tile_rows, rows, channels);
    k->tile_load(x, c, rows, channels, NULL, activation, tile, tile_rows);
    keep_tile(out, "tile_load", k, tile, tile_rows, rows, channels);
    k->tile_pool(x, c, rows, channels, NULL, activation, tile, tile_rows, sums);
    keep_tile(out, "tile_pool", k, tile, tile_rows, rows, channels);
    keep_activated_sums(out, "tile_pool", sums, c);
    k->tile_load_gradient(x, y, c, rows, channels, &gradient, 1.25f, tile, tile_rows);
    keep_tile(out, "tile_load_gradient", k, tile, tile_rows, rows, channels);
    k->tile_pool(x, c, rows, channels, &bn, activation, tile, tile_rows, sums);
    keep_tile(out, "tile_pool", k, tile, tile_rows, rows, channels);
    keep_activated_sums(out, "tile_pool", sums, c);
    k->tile_pool(x, c, rows, channels, &bn, activation, NULL, 0, sums);
    keep_activated_sums(out, "tile_pool", sums, c);
    k->column_moments(x, c, rows, channels, sums, sums + c);
    keep(out, "column_moments", sums, 2 * c);
    k->gradient_sums(x, y, rows, channels, 0.5f, v, sums, sums + c);
    keep(out, "gradient_sums", sums, 2 * c);
    for (int gated = 0; gated < 2; gated++) {
        void *dv = filled_values(k, 7, values, 1);
        memset(sums, 0, 5 * c * sizeof *sums);
        ProjectSums project = {sums, sums + c, sums + 2 * c, sums + 3 * c, sums + 4 * c};
        k->project_gradient_tile(x, dv, c, rows, channels, &bn, activation, gated ? v + 8 * c : NULL, tile, tile_rows,
                                 slope, project);
        keep_tile(out, "project_gradient_tile", k, tile, tile_rows, rows, channels);
        keep_values(out, "project_gradient_tile", k, dv, values);
        keep_stored_sums(out, "project_gradient_tile", sums, 5 * c);
        if (gated) keep_values(out, "project_gradient_tile", k, slope, values);
        k->add_scaled(dv, y, v + 9 * c, rows, channels, c);
        keep_values(out, "add_scaled", k, dv, values);
        memory_free(dv);
    }
    BnVectors other = {v + 9 * c, v + 10 * c, v + 11 * c};
    k->residual_rows(x, &bn, 1.5f, y, NULL, rows, channels, slope);
    keep_values(out, "residual_rows", k, slope, values);
    k->residual_rows(x, NULL, 1.5f, y, NULL, rows, channels, slope);
    keep_values(out, "residual_rows", k, slope, values);
    k->residual_rows(x, &bn, 1.5f, y, &other, rows, channels, slope);
    keep_values(out, "residual_rows", k, slope, values);
    k->pool_gradient(x, rows, channels, &bn, activation, v + 4 * c, slope, sums, sums + c);
    keep_values(out, "pool_gradient", k, slope, values);
    keep_stored_sums(out, "pool_gradient", sums, 2 * c);
    k->add_row(x, rows, channels, false, slope, c);
    keep_values(out, "add_row", k, slope, values);
    k->add_row(y, rows, channels, true, slope, c);
    keep_values(out, "add_row", k, slope, values);
    memory_free(x), memory_free(y), memory_free(v), memory_free(tile), memory_free(sums), memory_free(slope);
    memory_free(fill);
}

static void tile_kernels_agree_with_scalar(void **state) {
    (void)state;
    static const int channels[] = {1, 3, 8, 15, 16, 17, 24, 40, 63, 64, 65, 96, 130};
    static Results want, got;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
        for (int rows = 1; rows <= 13; rows += 4)
            for (int activation = 0; activation < 3; activation++) {
                run_tile_kernels(tables[0], rows, channels[i], (Activation)activation, &want);
                for (int t = 1; t < num_tables; t++) {
                    run_tile_kernels(tables[t], rows, channels[i], (Activation)activation, &got);
                    char where[80];
                    snprintf(where, sizeof where, "tile kernels rows=%d channels=%d activation=%d", rows, channels[i],
                             activation);
                    compare_parts(where, tables[t], &got, &want);
                }
            }
}

/* Of a tile of NaN, the zeros after the channels that kernels.h promises, whoever filled it. */
static void check_zeros(const CpuKernels *k, const char *kernel, void *tile, int tile_rows, int rows, int channels) {
    for (int r = 0; r < rows; r++)
        for (int c = channels; c < (int)round_up((size_t)channels, TILE_STEP); c++) {
            float value = value_of(k, tile, (size_t)(c / 64) * (size_t)tile_rows * 64 + (size_t)(r * 64 + c % 64));
            if (!(value == 0)) fail_msg("%s %s: %g at row %d, channel %d of %d", kernel, k->isa, value, r, c, channels);
        }
    memset(tile, 0xff, round_up((size_t)channels, TILE_CHANNELS) * (size_t)tile_rows * (size_t)k->value_bytes);
}

static void bf16_tiles_end_in_zeros(void **state) {
    (void)state;
    static const int channels[] = {1, 7, 16, 24, 32, 40, 48, 80, 112, 144};
    enum { ROWS = 5, TILE = 7, WIDEST = 144 };
    for (int t = 0; t < num_tables; t++) {
        const CpuKernels *k = tables[t];
        if (!is_bf16(k)) continue;
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
            const int n = channels[i];
            const size_t c = (size_t)n, size = round_up(c, TILE_CHANNELS) * TILE;
            void *x = filled_values(k, 1, ROWS * c, 1), *y = filled_values(k, 2, ROWS * c, 1);
            void *tile = filled_values(k, 0, size, 0), *slope = filled_values(k, 3, ROWS * c, 1);
            void *other = filled_values(k, 0, size, 0);
            float *v = filled(4, 4 * WIDEST, 1), *fill = filled(5, ROWS * c, 1), *sums = filled(0, 5 * c, 0);
            float *row_slope = filled(6, round_up(c, 16) * ROWS, 1);
            BnVectors bn = {v, v + c, v + 2 * c};
            BnGradient gradient = {v, v + c, v + 2 * c, v + 3 * c};
            memset(tile, 0xff, size * (size_t)k->value_bytes);
            k->tile_fill(fill, c, ROWS, n, tile, TILE);
            check_zeros(k, "tile_fill", tile, TILE, ROWS, n);
            k->tile_load(x, c, ROWS, n, &bn, ACTIVATION_SWISH, tile, TILE);
            k->tile_scale(tile, tile, TILE, ROWS, n, v);
            memset(other, 0xff, size * (size_t)k->value_bytes);
            k->tile_scale(tile, other, TILE, ROWS, n, v);
            check_zeros(k, "tile_load and tile_scale", tile, TILE, ROWS, n);
            check_zeros(k, "tile_scale into another", other, TILE, ROWS, n);
            k->tile_pool(x, c, ROWS, n, &bn, ACTIVATION_SWISH, tile, TILE, sums);
            check_zeros(k, "tile_pool", tile, TILE, ROWS, n);
            k->tile_load_gradient(x, y, c, ROWS, n, &gradient, 1, tile, TILE);
            check_zeros(k, "tile_load_gradient", tile, TILE, ROWS, n);
            k->project_gradient_tile(x, y, c, ROWS, n, &bn, ACTIVATION_SWISH, v, tile, TILE, slope,
                                     (ProjectSums){sums, sums + c, sums + 2 * c, sums + 3 * c, sums + 4 * c});
            check_zeros(k, "project_gradient_tile", tile, TILE, ROWS, n);
            k->depthwise_finish_tile(x, row_slope, ROWS, n, ROWS, 0, tile, TILE, sums);
            check_zeros(k, "depthwise_finish_tile", tile, TILE, ROWS, n);
            memory_free(x), memory_free(y), memory_free(tile), memory_free(slope), memory_free(v), memory_free(fill);
            memory_free(sums), memory_free(row_slope), memory_free(other);
        }
    }
}

/* A single row, whose panels are multiplied several at a time, has the bits that it has among others. */
static void one_row_as_among_others(void **state) {
    (void)state;
    enum { DEPTH = 77, COLUMNS = 330, ROWS = 3 };
    for (int t = 0; t < num_tables; t++) {
        const CpuKernels *k = tables[t];
        const size_t bytes = (size_t)k->value_bytes, panel = (size_t)k->gemm_columns;
        const size_t deep = round_up(DEPTH, (size_t)k->depth_step), size = round_up(DEPTH, TILE_CHANNELS) * ROWS;
        float *a = filled(11, ROWS * DEPTH, 1), *b = filled(12, DEPTH * COLUMNS, 1), *bias = filled(15, COLUMNS, 1);
        void *tile = room(size, bytes), *several = room(ROWS * COLUMNS, bytes), *one = room(COLUMNS, bytes);
        char *packed = room(round_up(COLUMNS, panel) * deep, bytes);
        memset(packed, 0, round_up(COLUMNS, panel) * deep * bytes);
        for (size_t j = 0; j < COLUMNS; j += panel)
            k->pack_panel(b + j, COLUMNS, 1, DEPTH, COLUMNS - j < panel ? (int)(COLUMNS - j) : (int)panel, NULL,
                          packed + j * deep * bytes);
        k->tile_fill(a, DEPTH, ROWS, DEPTH, tile, ROWS);
        k->gemm_tile(tile, ROWS, ROWS, DEPTH, packed, COLUMNS, several, COLUMNS, NULL, bias);
        k->gemm_tile(tile, ROWS, 1, DEPTH, packed, COLUMNS, one, COLUMNS, NULL, bias);
        for (size_t j = 0; j < COLUMNS; j++)
            if (memcmp((char *)one + j * bytes, (char *)several + j * bytes, bytes) != 0)
                fail_msg("%s: column %zu is %.9g alone and %.9g among others", k->isa, j, (double)value_of(k, one, j),
                         (double)value_of(k, several, j));
        memory_free(a), memory_free(b), memory_free(bias), memory_free(tile), memory_free(several), memory_free(one);
        memory_free(packed);
    }
}

/* Matrix kernels against a double-precision product. The tile is larger than its rows and filled with NaN behind them
 * and behind its channels: nothing there may count. */
static void matrix_kernels_multiply(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 1, 1},    {5, 27, 32},   {13, 16, 96},  {96, 130, 33}, {49, 65, 17},
                                   {12, 64, 48}, {25, 200, 1},  {31, 48, 100}, {96, 24, 144}, {113, 40, 70},
                                   {2, 63, 31},  {1, 130, 160}, {1, 65, 300}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int t = 0; t < num_tables; t++) {
            const CpuKernels *k = tables[t];
            int rows = sizes[s][0], depth = sizes[s][1], columns = sizes[s][2], tile_rows = rows;
            size_t m = (size_t)rows, d = (size_t)depth, n = (size_t)columns;
            float *a = filled(11, m * d, 1), *b = filled(12, d * n, 1), *turned = filled(14, d * n, 1);
            float *c = filled(13, m * n, 1), *want = filled(13, m * n, 1), *want_turned = filled(14, d * n, 1);
            float *bias = filled(15, n, 1);
            size_t a_size = round_up(d, 64) * m, c_size = round_up(n, 64) * m;
            void *a_tile = room(a_size, (size_t)k->value_bytes), *c_tile = room(c_size, (size_t)k->value_bytes);
            void *c_values = room(m * n, (size_t)k->value_bytes);
            memset(a_tile, 0xff, a_size * (size_t)k->value_bytes); /* NaN */
            memset(c_tile, 0xff, c_size * (size_t)k->value_bytes);
            to_values(k, c, m * n, c_values);
            size_t panel = (size_t)k->gemm_columns, deep = round_up(d, (size_t)k->depth_step);
            char *packed = room(round_up(n, panel) * deep, (size_t)k->value_bytes);
            float *b_turned = filled(0, d * n, 0);
            for (size_t i = 0; i < d; i++)
                for (size_t j = 0; j < n; j++) b_turned[j * d + i] = b[i * n + j];
            memset(packed, 0xff, round_up(n, panel) * deep * (size_t)k->value_bytes); /* NaN */
            for (size_t j = 0; j < n; j += panel) {                                   /* from either layout in turn */
                int width = n - j < panel ? (int)(n - j) : (int)panel;
                if (j / panel % 2 == 0)
                    k->pack_panel(b + j, n, 1, depth, width, NULL, packed + j * deep * (size_t)k->value_bytes);
                else
                    k->pack_panel(b_turned + j * d, 1, d, depth, width, NULL,
                                  packed + j * deep * (size_t)k->value_bytes);
                size_t filled_depth = round_up(d, (size_t)k->depth_unit); /* pack_weights puts zeros behind it */
                memset(packed + (j * deep + filled_depth * panel) * (size_t)k->value_bytes, 0,
                       (deep - filled_depth) * panel * (size_t)k->value_bytes);
            }
            k->tile_fill(a, d, rows, depth, a_tile, tile_rows);
            k->tile_fill(c, n, rows, columns, c_tile, tile_rows);
            for (size_t i = 0; i < d; i++) /* turned (depth, columns) += a^T c */
                for (size_t j = 0; j < n; j++) {
                    double sum = want_turned[i * n + j];
                    for (size_t r = 0; r < m; r++) sum += (double)a[r * d + i] * c[r * n + j];
                    want_turned[i * n + j] = (float)sum;
                }
            k->gemm_transposed(a_tile, c_tile, tile_rows, rows, depth, columns, true, turned, n);
            close_enough("gemm_transposed", k, turned, want_turned, d * n, STRICT);
            for (size_t i = 0; i < d * n; i++) turned[i] = NAN; /* not read */
            k->gemm_transposed(a_tile, c_tile, tile_rows, rows, depth, columns, false, turned, n);
            float *start = filled(14, d * n, 1);
            for (size_t i = 0; i < d * n; i++) want_turned[i] -= start[i];
            memory_free(start);
            close_enough("gemm_transposed without add", k, turned, want_turned, d * n, STRICT);
            for (size_t i = 0; i < m; i++) /* c = a b + c + bias */
                for (size_t j = 0; j < n; j++) {
                    double sum = (double)want[i * n + j] + bias[j];
                    for (size_t r = 0; r < d; r++) sum += (double)a[i * d + r] * b[r * n + j];
                    want[i * n + j] = (float)sum;
                }
            k->gemm_tile(a_tile, tile_rows, rows, depth, packed, columns, c_values, n, c_values, bias);
            values_close_enough("gemm_tile", k, c_values, want, m * n);
            memory_free(a), memory_free(b), memory_free(c), memory_free(want), memory_free(turned);
            memory_free(want_turned), memory_free(a_tile), memory_free(c_tile), memory_free(packed);
            memory_free(b_turned), memory_free(bias), memory_free(c_values);
        }
}

/* Products of bytes against the reference's. A value in the middle of two steps may be rounded to the other one, which
 * moves a whole row by up to a step of one value: few results, and by no more. */
static void byte_kernels_multiply(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 1, 1},      {5, 27, 32},  {13, 16, 96},  {96, 130, 33}, {49, 65, 17},
                                   {12, 4096, 48}, {25, 200, 1}, {31, 48, 100}, {2, 63, 31},   {17, 3, 9}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int t = 0; t < num_tables; t++) {
            const CpuKernels table = cpu_kernels_with_int8(tables[t]), *k = &table;
            int rows = sizes[s][0], depth = sizes[s][1], columns = sizes[s][2];
            size_t m = (size_t)rows, d = (size_t)depth, n = (size_t)columns, panel = (size_t)k->gemm_columns;
            float *a = filled(11, m * d, 1), *weights = filled(12, n * d, 1), *c = filled(13, m * n, 1);
            float *scale = filled(14, n, 1), *bias = filled(15, n, 1), *want = filled(13, m * n, 1);
            float *rounded = filled(0, n * d, 0);
            real *x = room(m * d, sizeof *x), *product = room(m * n, sizeof *product);
            void *tile = room(round_up(d, 64) * m, (size_t)k->value_bytes);
            void *values = room(m * n, (size_t)k->value_bytes);
            size_t filled_bytes = (size_t)k->panel_head + round_up(d, (size_t)k->depth_unit) * panel;
            size_t panel_bytes = (size_t)k->panel_head + round_up(d, (size_t)k->depth_step) * panel;
            char *packed = room(round_up(n, panel) / panel, panel_bytes);
            memset(tile, 0xff, round_up(d, 64) * m * (size_t)k->value_bytes); /* NaN */
            memset(packed, 0xff, round_up(n, panel) / panel * panel_bytes);
            if (s % 2) /* what an activation leaves */
                for (size_t i = 0; i < m * d; i++) a[i] = fmaxf(a[i], 0);
            for (size_t i = 0; i < m * d; i++) x[i] = a[i];
            for (size_t j = 0; j < n; j++) {
                for (size_t i = 0; i < d; i++) rounded[j * d + i] = weights[j * d + i] * scale[j];
                reference_round_bytes(rounded + j * d, depth);
                if (j % panel) continue;
                char *to = packed + j / panel * panel_bytes;
                k->pack_panel(weights + j * d, 1, d, depth, (int)(n - j < panel ? n - j : panel), scale + j, to);
                memset(to + filled_bytes, 0, panel_bytes - filled_bytes);
            }
            reference_conv_bytes_forward(m, depth, columns, x, rounded, product);
            for (size_t i = 0; i < m * n; i++) want[i] = (float)(product[i] + c[i] + bias[i % n]);
            k->tile_fill(a, d, rows, depth, tile, rows);
            to_values(k, c, m * n, values);
            k->gemm_tile(tile, rows, rows, depth, packed, columns, values, n, values, bias);
            double largest = 1, largest_weight = 0;
            size_t moved = 0;
            for (size_t i = 0; i < m * n; i++) largest = fmax(largest, fabs((double)want[i]));
            for (size_t i = 0; i < n * d; i++) largest_weight = fmax(largest_weight, fabs((double)rounded[i]));
            for (size_t i = 0; i < m * n; i++) {
                double off = fabs((double)value_of(k, values, i) - want[i]);
                double allowed = (is_bf16(k) ? LOOSE : STRICT) * largest;
                if (!(off <= allowed + 10.0 / 255 * largest_weight))
                    fail_msg("gemm_tile_int8 %s: got %g, want %g at %zu", k->isa, (double)value_of(k, values, i),
                             (double)want[i], i);
                moved += off > allowed;
            }
            if (moved > m * n / 4) fail_msg("gemm_tile_int8 %s: %zu of %zu results are off", k->isa, moved, m * n);
            /* What is not finite is not passed on as a number. */
            for (size_t i = 0; i < m * d; i++) a[i] = i == d - 1 ? INFINITY : a[i];
            k->tile_fill(a, d, rows, depth, tile, rows);
            k->gemm_tile(tile, rows, rows, depth, packed, columns, values, n, NULL, NULL);
            for (size_t i = 0; i < m * n; i++) assert_int_equal(isnan(value_of(k, values, i)) != 0, i < n);
            memory_free(a), memory_free(weights), memory_free(c), memory_free(scale), memory_free(bias);
            memory_free(want), memory_free(rounded), memory_free(x), memory_free(product), memory_free(tile);
            memory_free(values), memory_free(packed);
        }
}

static float ring_at(const CpuKernels *k, const float *row, int row_width, int x, int c) {
    return row[((size_t)(c / k->lanes) * (size_t)row_width + (size_t)x) * (size_t)k->lanes + (size_t)(c % k->lanes)];
}

/* depthwise_row_turned and its formula, over as many pixels as the rows have places for. */
static void turned_row(const CpuKernels *k, const float *const *rows, const float *weights, int kernel, int width,
                       int count, int row_width, void *out, float *want) {
    int taps = kernel * kernel, lanes = k->lanes;
    memset(out, 0, (size_t)(width * count * k->value_bytes));
    memset(want, 0, (size_t)(width * count) * sizeof *want);
    for (int pad = kernel / 2; pad < kernel; pad++) {
        k->depthwise_row_turned(rows, weights, kernel, pad, width, count, row_width, out, (size_t)count);
        for (int x = 0; x < width; x++)
            for (int c = 0; c < count; c++) {
                double sum = 0;
                for (int tap = 0; tap < taps; tap++) {
                    int place = x + tap % kernel - pad;
                    if (!rows[tap / kernel] || place % 2) continue;
                    sum += (double)ring_at(k, rows[tap / kernel], row_width, place / 2 + pad / 2, c) *
                           weights[(size_t)(c / lanes * lanes * taps + tap * lanes + c % lanes)];
                }
                want[x * count + c] = (float)sum;
            }
        values_close_enough("depthwise_row_turned", k, out, want, (size_t)(width * count));
    }
}

/* Depthwise kernels against double-precision loops, some kernel rows missing. */
static void depthwise_kernels_convolve(void **state) {
    (void)state;
    static const int widths[] = {1, 2, 3, 4, 7, 8, 14, 19}, channels[] = {1, 7, 8, 16, 24, 33};
    for (int t = 0; t < num_tables; t++)
        for (int variant = 0; variant < 4; variant++)
            for (size_t wi = 0; wi < sizeof widths / sizeof widths[0]; wi++)
                for (size_t ci = 0; ci < sizeof channels / sizeof channels[0]; ci++) {
                    const CpuKernels *k = tables[t];
                    int kernel = variant & 1 ? 5 : 3, step = variant & 2 ? 2 : 1, width = widths[wi],
                        count = channels[ci];
                    int lanes = k->lanes, row_width = (width - 1) * step + kernel, taps = kernel * kernel;
                    size_t padded = round_up((size_t)count, (size_t)lanes), row_floats = padded * (size_t)row_width;
                    float *ring = filled(21, 5 * row_floats, 1), *weights = filled(22, padded * (size_t)taps, 1);
                    float *gradient = filled(23, padded * (size_t)(width + 3), 1);
                    void *out = filled_values(k, 0, (size_t)(width * count), 0);
                    float *want = filled(0, (size_t)(width * count), 0), *bias = filled(25, (size_t)count, 1);
                    for (int i = 0; i < width * count; i++) want[i] = bias[i % count];
                    float *dw = filled(24, padded * (size_t)taps, 1), *want_dw = filled(24, padded * (size_t)taps, 1);
                    const float *rows[5];
                    for (int ky = 0; ky < kernel; ky++)
                        rows[ky] = ky == variant ? NULL : ring + (size_t)ky * row_floats;
#define RING(ky, x, c)                                                                                                 \
    rows[ky][((size_t)((c) / lanes) * (size_t)row_width + (size_t)(x)) * (size_t)lanes + (size_t)((c) % lanes)]
#define TAP(p, tap, c) p[(size_t)((c) / lanes * lanes * taps + (tap)*lanes + (c) % lanes)]
                    int gradient_width = width + 3;
                    for (int c = 0; c < count; c++)
                        for (int tap = 0; tap < taps; tap++) {
                            if (!rows[tap / kernel]) continue;
                            double sum = TAP(want_dw, tap, c);
                            for (int x = 0; x < width; x++) {
                                float in = RING(tap / kernel, x * step + tap % kernel, c);
                                float g =
                                    gradient[((size_t)(c / lanes * gradient_width) + (size_t)(2 + x)) * (size_t)lanes +
                                             (size_t)(c % lanes)];
                                want[x * count + c] += in * TAP(weights, tap, c);
                                sum += (double)in * g;
                            }
                            TAP(want_dw, tap, c) = (float)sum;
                        }
                    k->depthwise_row(rows, weights, kernel, step, width, count, row_width, bias, out, (size_t)count);
                    values_close_enough("depthwise_row", k, out, want, (size_t)(width * count));
                    k->depthwise_weights_row(gradient, 2, gradient_width, rows, kernel, step, width, count, row_width,
                                             dw);
                    turned_row(k, rows, weights, kernel, width, count, row_width, out, want);
                    for (size_t i = 0; i < padded * (size_t)taps; i++) /* lanes past the channels are not read back */
                        if ((int)(i / (size_t)(lanes * taps)) * lanes + (int)(i % (size_t)lanes) >= count)
                            dw[i] = want_dw[i];
                    close_enough("depthwise_weights_row", k, dw, want_dw, padded * (size_t)taps, STRICT);
                    memory_free(ring), memory_free(weights), memory_free(gradient), memory_free(out), memory_free(want);
                    memory_free(dw), memory_free(want_dw), memory_free(bias);
                }
}

/* Swish, its slope and ReLU6 over all magnitudes, against double precision; bounds as stated in activation.h. */
static void activations_are_accurate(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    float zero[16] = {0}, one[16];
    for (int i = 0; i < 16; i++) one[i] = 1;
    float *z = filled(0, COUNT, 0), *value = filled(0, COUNT, 0), *slope = filled(0, COUNT, 0);
    for (int i = 0; i < COUNT; i++) {
        float magnitude = exp2f((float)i / COUNT * 40 - 30); /* 2^-30 to 2^10 */
        z[i] = i & 1 ? magnitude : -magnitude;
    }
    for (int t = 0; t < num_tables; t++) {
        const CpuKernels *k = tables[t];
        double worst = 0, worst_slope = 0;
        void *stored = room(COUNT, (size_t)k->value_bytes);
        to_values(k, z, COUNT, stored);
        for (int i = 0; i < COUNT; i += k->lanes) {
            BnVectors bn = {zero, one, zero};
            k->row_load((const char *)stored + i * k->value_bytes, (size_t)k->lanes, 1, k->lanes, &bn, ACTIVATION_SWISH,
                        value + i, slope + i, 1, 0);
        }
        for (int i = 0; i < COUNT; i++) {
            double x = value_of(k, stored, (size_t)i), s = 1 / (1 + exp(-x)), want = x * s;
            double want_slope = s + x * s * (1 - s);
            double error = fabs(value[i] - want) / fmax(fabs(want), 1e-30), error_slope = fabs(slope[i] - want_slope);
            if (z[i] > -80 && !(error <= worst)) worst = error;
            if (!(error_slope <= worst_slope)) worst_slope = error_slope;
            if (!(fabs(value[i] - want) <= (is_bf16(k) ? 5e-4 : 1e-6) * fmax(1, fabs(want))))
                fail_msg("%s: swish(%g) = %g, want %g", k->isa, z[i], value[i], want);
        }
        printf("%s%s: swish relative error %.2g, slope error %.2g\n", k->isa, is_bf16(k) ? " bf16" : "", worst,
               worst_slope);
        const bool fused = k->lanes > 1 && !strstr(k->isa, "emulated"); /* multiply-add */
        assert_true(worst <= (is_bf16(k) ? 3e-4 : fused ? 2e-6 : 5e-6));
        assert_true(worst_slope <= (is_bf16(k) ? 6e-4 : 1e-6));
        float special[6] = {NAN, INFINITY, -INFINITY, 7, -1, 3}, got[6] = {0}, ignored[16];
        to_values(k, special, 6, stored);
        for (int i = 0; i < 6; i++) {
            BnVectors bn = {zero, one, zero};
            k->row_load((const char *)stored + i * k->value_bytes, 1, 1, 1, &bn, ACTIVATION_SWISH, ignored, NULL, 1, 0);
            got[i] = ignored[0];
        }
        assert_true(isnan(got[0]));
        assert_true(got[1] > 1e30f);
        memory_free(stored);
    }
    memory_free(z), memory_free(value), memory_free(slope);
}

/* A mean of 1,000 with a deviation of 0.01: sums of squares in fp32 would lose all of it. */
static void moments_survive_a_large_mean(void **state) {
    (void)state;
    enum { ROWS = 96, CHANNELS = 19 };
    float x[ROWS * CHANNELS], mean[CHANNELS], m2[CHANNELS];
    for (int i = 0; i < ROWS * CHANNELS; i++) x[i] = 1000 + 0.01f * random_normal(random_key(9), (uint64_t)i);
    for (int t = 0; t < num_tables; t++) {
        if (is_bf16(tables[t])) continue; /* it does not hold such numbers */
        tables[t]->column_moments(x, CHANNELS, ROWS, CHANNELS, mean, m2);
        for (int c = 0; c < CHANNELS; c++) {
            double sum = 0, squares = 0;
            for (int r = 0; r < ROWS; r++) sum += x[r * CHANNELS + c];
            for (int r = 0; r < ROWS; r++) squares += pow(x[r * CHANNELS + c] - sum / ROWS, 2);
            if (!(fabs(m2[c] - squares) <= 0.02 * squares)) /* the mean itself is rounded to 6e-5 */
                fail_msg("%s channel %d: %g, want %g", tables[t]->isa, c, m2[c], squares);
        }
    }
}

/* Every bf16 table rounds as bfloat16.h does, to the bit; but a number below the normal ones may become zero, which is
 * what the processors' own conversion makes of it. */
static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    enum { COUNT = 1 << 16, BLOCK = 64 };
    float *x = room(COUNT, sizeof *x);
    for (uint32_t i = 0; i < COUNT; i++) { /* every exponent and sign; ties, their neighbours, and anything */
        static const uint32_t lower[] = {0x8000, 0x7fff, 0x8001, 0, 0xffff};
        uint32_t any = random_bits(random_key(31), i) & 0xffff, bits = i << 16 | (i % 7 < 5 ? lower[i % 7] : any);
        memcpy(&x[i], &bits, sizeof bits);
    }
    for (int t = 0; t < num_tables; t++) {
        const CpuKernels *k = tables[t];
        if (!is_bf16(k)) continue;
        uint16_t tile[BLOCK];
        for (int i = 0; i < COUNT; i += BLOCK) {
            k->tile_fill(x + i, BLOCK, 1, BLOCK, tile, 1);
            for (int j = 0; j < BLOCK; j++) {
                uint16_t want = bfloat16_from_float(x[i + j]);
                bool subnormal = fabsf(x[i + j]) < 1.17549435e-38f;
                bool nan = isnan(x[i + j]) && isnan(float_from_bfloat16(tile[j]));
                if (tile[j] != want && !nan && !(subnormal && (tile[j] & 0x7fff) == 0))
                    fail_msg("%s: %a becomes %04x, want %04x", k->isa, x[i + j], tile[j], want);
            }
        }
    }
    memory_free(x);
}

int main(void) {
    find_tables();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tile_kernels_agree_with_scalar), cmocka_unit_test(matrix_kernels_multiply),
        cmocka_unit_test(one_row_as_among_others),        cmocka_unit_test(byte_kernels_multiply),
        cmocka_unit_test(depthwise_kernels_convolve),     cmocka_unit_test(activations_are_accurate),
        cmocka_unit_test(moments_survive_a_large_mean),   cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_tiles_end_in_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
