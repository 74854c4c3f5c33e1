/* test_gemm_amx.c - the matrix kernels over AMX against double-precision products: over emulated tile registers
 * everywhere (the same sources, src/backend/cpu/amx/gemm_amx*.c), and natively where the processor has them; products of bytes against
 * the vectors' kernel, bit for bit. What no
 * result may depend on (tile rows and channels beyond the matrix and its zeros) is NaN,
 * and results beyond the matrix must stay as they were. */
#define EFFNET_VECTOR_HEADER "backend/cpu/vectors/vector_scalar.h"
#define EFFNET_VALUES_BF16
#define EFFNET_TILES_EMULATED
#include "backend/cpu/amx/gemm_amx.c" /* the kernels under test, over plain C */
#include "backend/cpu/amx/gemm_amx_int8.c"
#include "backend/cpu/isa.h"
#include "base/random.h"
#include "compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct Kernels {
    const char *name;
    void (*tile)(const Tile *, int, int, int, const Packed *, int, Stored *, size_t, const Stored *, const float *);
    void (*bytes)(const Tile *, int, int, int, const Packed *, int, Stored *, size_t, const Stored *, const float *);
    const CpuKernels *bytes_witness; /* the vectors' kernels, whose bits `bytes` gives */
    void (*transposed)(const Tile *, const Tile *, int, int, int, int, bool, float *, size_t);
} Kernels;

static const Kernels emulated = {"emulated", gemm_tile_amx_emulated, gemm_tile_int8_amx_emulated,
                                 &cpu_kernels_scalar_bf16, gemm_transposed_amx_emulated};

enum { NOT_A_NUMBER = 0x7fc0, SPARE = 5 };

static Value *values(size_t count, Value fill) {
    Value *all = malloc((count ? count : 1) * sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < count; i++) all[i] = fill;
    return all;
}

static Value number(uint32_t key, size_t i) {
    return bfloat16_from_float(random_normal(random_key(key), i));
}

/* A tile of exactly `rows` rows, zeros and then NaN beyond its channels: reading past the rows is reading past the
 * block. */
static Value *filled_tile(uint32_t key, int rows, int channels) {
    Value *tile = values(round_up((size_t)channels, TILE_CHANNELS) * (size_t)rows, NOT_A_NUMBER);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < (int)round_up((size_t)channels, TILE_STEP); c++)
            tile[tile_offset(c, rows) + (size_t)r * TILE_CHANNELS] =
                c < channels ? number(key, (size_t)(r * channels + c)) : 0;
    return tile;
}

static double tile_number(const Value *tile, int rows, int r, int c) {
    return (double)float_from_bfloat16(tile[tile_offset(c, rows) + (size_t)r * TILE_CHANNELS]);
}

static void check_tile(const Kernels *kernels, int rows, int depth, int columns, bool add) {
    const size_t stride = (size_t)columns + SPARE, count = (size_t)rows * stride;
    const size_t pairs = round_up((size_t)depth, STEP) / 2, panels = ((size_t)columns + BLOCK - 1) / BLOCK;
    Value *tile = filled_tile(1, rows, depth), *packed = values(panels * pairs * 2 * BLOCK, 0);
    Value *c = values(count, NOT_A_NUMBER), *plus = values(count, NOT_A_NUMBER);
    float *got = calloc(count, sizeof *got), *want = calloc(count, sizeof *want);
    float *bias = malloc((size_t)columns * sizeof *bias); /* exactly as many: no kernel may read behind */
    assert_non_null(bias);
    for (int n = 0; n < columns; n++) bias[n] = random_normal(random_key(7), (uint64_t)n);
    for (size_t d = 0; d < (size_t)depth; d++)
        for (size_t n = 0; n < (size_t)columns; n++)
            packed[(n / BLOCK * pairs + d / 2) * 2 * BLOCK + 2 * (n % BLOCK) + d % 2] =
                number(2, d * (size_t)columns + n);
    for (int r = 0; r < rows; r++)
        for (int n = 0; n < columns; n++) {
            size_t at = (size_t)r * stride + (size_t)n;
            plus[at] = number(3, at);
            double sum = add ? (double)float_from_bfloat16(plus[at]) + bias[n] : 0;
            for (int d = 0; d < depth; d++)
                sum +=
                    tile_number(tile, rows, r, d) * (double)float_from_bfloat16(number(2, (size_t)(d * columns + n)));
            want[at] = (float)sum;
        }
    kernels->tile(tile, rows, rows, depth, packed, columns, c, stride, add ? plus : NULL, add ? bias : NULL);
    for (size_t i = 0; i < count; i++) {
        got[i] = (int)(i % stride) < columns ? float_from_bfloat16(c[i]) : 0.0f;
        if ((int)(i % stride) >= columns) assert_int_equal(c[i], NOT_A_NUMBER);
    }
    char name[120];
    snprintf(name, sizeof name, "gemm_tile %s, rows %d depth %d columns %d%s", kernels->name, rows, depth, columns,
             add ? ", added" : "");
    assert_true(compare_floats(name, got, want, count, (int[]){rows, (int)stride}, 2, 4e-3)); /* stored in bf16 */
    free(tile), free(packed), free(c), free(plus), free(got), free(want), free(bias);
}

/* Panels of `from` columns and quads of bytes up to `from_depth` -> panels of `to` columns, a multiple of `from`. */
static void repack_bytes(const char *panels, int from, size_t from_depth, int columns, int to, size_t to_depth,
                         char *out) {
    const size_t from_bytes = INT8_PANEL_HEAD(from) + from_depth * (size_t)from;
    const size_t to_bytes = INT8_PANEL_HEAD(to) + to_depth * (size_t)to;
    for (int n = 0; n < columns; n++) {
        const char *panel = panels + (size_t)(n / from) * from_bytes;
        char *target = out + (size_t)(n / to) * to_bytes;
        for (int head = 0; head < 2; head++)
            memcpy(target + (head * to + n % to) * 4, panel + (head * from + n % from) * 4, 4);
        for (size_t d = 0; d < from_depth; d += 4)
            memcpy(target + INT8_PANEL_HEAD(to) + (d / 4 * (size_t)to + (size_t)(n % to)) * 4,
                   panel + INT8_PANEL_HEAD(from) + (d / 4 * (size_t)from + (size_t)(n % from)) * 4, 4);
    }
}

static void check_bytes(const Kernels *kernels, int rows, int depth, int columns, bool add) {
    const CpuKernels *witness = kernels->bytes_witness;
    const int width = witness->gemm_columns;
    const size_t stride = (size_t)columns + SPARE, count = (size_t)rows * stride;
    const size_t quads = round_up((size_t)depth, 4), steps = round_up((size_t)depth, BYTE_STEP);
    const size_t panel_bytes = INT8_PANEL_HEAD(width) + quads * (size_t)width;
    const size_t block_bytes = INT8_PANEL_HEAD(BLOCK) + steps * BLOCK;
    const size_t blocks = ((size_t)columns + BLOCK - 1) / BLOCK;
    Value *tile = filled_tile(1, rows, depth);
    float *weights = malloc((size_t)(columns * depth) * sizeof *weights),
          *bias = malloc((size_t)columns * sizeof *bias);
    char *panels = calloc(((size_t)columns + (size_t)width - 1) / (size_t)width, panel_bytes);
    char *packed = calloc(blocks, block_bytes);
    Value *got = values(count, NOT_A_NUMBER), *want = values(count, NOT_A_NUMBER), *plus = values(count, NOT_A_NUMBER);
    assert_true(weights && bias && panels && packed);
    for (int i = 0; i < columns * depth; i++) weights[i] = random_normal(random_key(8), (uint64_t)i);
    for (int n = 0; n < columns; n++) bias[n] = random_normal(random_key(9), (uint64_t)n);
    for (size_t i = 0; i < count; i++) plus[i] = number(10, i);
    tile[0] = 0x7f80; /* row 0 ends as NaN, and column 1 */
    if (columns > 1) weights[depth] = INFINITY;
    for (int n = 0; n < columns; n += width)
        witness->pack_panel_int8(weights + (size_t)n * (size_t)depth, 1, (size_t)depth, depth,
                                 columns - n < width ? columns - n : width, NULL,
                                 panels + (size_t)(n / width) * panel_bytes);
    repack_bytes(panels, width, quads, columns, BLOCK, steps, packed);
    witness->gemm_tile_int8(tile, rows, rows, depth, panels, columns, want, stride, add ? plus : NULL,
                            add ? bias : NULL);
    kernels->bytes(tile, rows, rows, depth, packed, columns, got, stride, add ? plus : NULL, add ? bias : NULL);
    for (size_t i = 0; i < count; i++) {
        bool nan = isnan(float_from_bfloat16(want[i])), got_nan = isnan(float_from_bfloat16(got[i]));
        if (got[i] != want[i] && !(nan && got_nan))
            fail_msg("gemm_tile_int8 %s, rows %d depth %d columns %d: %g at row %zu column %zu, %s gives %g",
                     kernels->name, rows, depth, columns, (double)float_from_bfloat16(got[i]), i / stride, i % stride,
                     witness->isa, (double)float_from_bfloat16(want[i]));
    }
    free(tile), free(weights), free(bias), free(panels), free(packed), free(got), free(want), free(plus);
}

static void check_transposed(const Kernels *kernels, int pixels, int m, int n, bool add) {
    const size_t stride = (size_t)n + SPARE, count = (size_t)m * stride;
    Value *a = filled_tile(4, pixels, m), *b = filled_tile(5, pixels, n);
    float *got = malloc(count * sizeof *got), *want = malloc(count * sizeof *want);
    assert_non_null(got), assert_non_null(want);
    for (size_t i = 0; i < count; i++) got[i] = want[i] = random_normal(random_key(6), i);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            size_t at = (size_t)i * stride + (size_t)j;
            double sum = add ? (double)want[at] : 0;
            if (!add) got[at] = NAN; /* not read */
            for (int p = 0; p < pixels; p++) sum += tile_number(a, pixels, p, i) * tile_number(b, pixels, p, j);
            want[at] = (float)sum;
        }
    kernels->transposed(a, b, pixels, pixels, m, n, add, got, stride);
    char name[120];
    snprintf(name, sizeof name, "gemm_transposed %s, pixels %d m %d n %d", kernels->name, pixels, m, n);
    assert_true(compare_floats(name, got, want, count, (int[]){m, (int)stride}, 2, 2e-6));
    free(a), free(b), free(got), free(want);
}

/* Every combination of sizes; under a sanitizer, ten times slower, every third. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SHARE = 3 };
#else
enum { SHARE = 1 };
#endif

static void check(const Kernels *kernels) {
    static const int rows[] = {1, 15, 16, 17, 32, 33, 49, 96, 113}, depths[] = {1, 2, 16, 27, 32, 33, 40, 64, 65, 130},
                     columns[] = {1, 16, 17, 24, 32, 33, 80};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
                if ((r + d + c) % SHARE == 0) check_tile(kernels, rows[r], depths[d], columns[c], (r + d + c) % 2 == 0);
            if ((r + d) % SHARE != 0) continue;
            check_bytes(kernels, rows[r], depths[d], columns[(r + d) % 7], d % 2 == 0);
            check_transposed(kernels, rows[r], depths[d], columns[(r + d) % 7], d % 2 == 0);
        }
}

static void over_emulated_tiles(void **state) {
    (void)state;
    check(&emulated);
    float sink = 0;
    peak_multiply_adds_amx_emulated(3, &sink);
    assert_true(sink == 3 * STEP); /* ones times ones */
}

static void natively(void **state) {
    (void)state;
    if (!(cpu_features() & CPU_AMX)) {
        printf("skipped: this processor, or its system, has no AMX\n");
        skip();
    }
#ifdef EFFNET_X86
    const CpuKernels *amx = &cpu_kernels_amx_bf16;
    check(&(Kernels){"AMX", amx->gemm_tile, amx->gemm_tile_int8, &cpu_kernels_avx512bf16_bf16, amx->gemm_transposed});
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(over_emulated_tiles), cmocka_unit_test(natively)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
