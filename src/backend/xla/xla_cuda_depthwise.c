/* xla_cuda_depthwise.c - depthwise convolutions as calls of depthwise.cu: the tile of each layer and what goes in and
 * out. */
#include "backend/xla/embedded.h"
#include "backend/xla/nvrtc.h"
#include "backend/xla/xla_taps.h"

#include <stdio.h>
#include <string.h>

enum { FORWARD = 1, INPUT_GRADIENT, KERNEL_GRADIENT };
enum { BLOCK = 256, MACROS = 18, MACRO_LENGTH = 64, PTX_POINTERS = 3 };
/* Threads of a kernel gradient: one wave of an H100 of 132 multiprocessors at 512 threads, which their registers allow. */
enum { GRADIENT_THREADS = 1 << 16 };

typedef struct Tile {
    int rows, columns;
} Tile;

static int64_t tiles_of(const int64_t map[2], Tile tile) {
    return (map[0] + tile.rows - 1) / tile.rows * ((map[1] + tile.columns - 1) / tile.columns);
}

/* The tile with the fewest loads and stores for a map, tiles that stick out of it counted whole; as large as registers
 * allow: two floats for each pixel and each tap. */
static Tile choose_tile(const Taps *taps, int part) {
    static const int sides[] = {1, 2, 4, 7, 8};
    const int64_t *map = part == INPUT_GRADIENT ? taps->in : taps->out;
    const int most = taps->kernel <= 3 ? 28 : 16, k = taps->kernel, stride = taps->stride;
    Tile best = {1, 1};
    double least = 1e300;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        for (size_t j = 0; j < sizeof sides / sizeof *sides; j++) {
            const Tile tile = {sides[i], sides[j]};
            int down = (tile.rows - 1) * stride + k, across = (tile.columns - 1) * stride + k;
            if (tile.rows * tile.columns > most) continue;
            if (part == INPUT_GRADIENT) {
                if (tile.rows % stride != 0 || tile.columns % stride != 0) continue; /* as depthwise.cu wants */
                down = (tile.rows + k - 2) / stride + 1;
                across = (tile.columns + k - 2) / stride + 1;
            }
            const double moved =
                (double)down * across + tile.rows * tile.columns + (part == KERNEL_GRADIENT ? 0 : k * k);
            const double cost = moved * (double)tiles_of(map, tile);
            if (cost < least) {
                least = cost;
                best = tile;
            }
        }
    return best;
}

/* How many partial sums a kernel gradient has: a thread for each and each pair of channels. */
static int64_t chunks_of(const Taps *taps, Tile tile) {
    const int64_t tiles = taps->images * tiles_of(taps->out, tile), wanted = GRADIENT_THREADS / (taps->channels / 2);
    return wanted < 1 ? 1 : wanted < tiles ? wanted : tiles;
}

static const char *const part_names[] = {NULL, "depthwise_forward", "depthwise_input_gradient",
                                         "depthwise_kernel_gradient"};

/* The kernel's PTX; NULL: the compiler failed, said so in net->kernel_error. */
static const char *compile(XlaNetwork *net, const Taps *taps, int part, Tile tile, int64_t chunks) {
    char texts[MACROS][MACRO_LENGTH];
    const char *macros[MACROS], *ptx = NULL;
    int count = 0;
#define MACRO(...) snprintf(texts[count++], MACRO_LENGTH, __VA_ARGS__)
    MACRO("NAME=%s", part_names[part]);
    MACRO("PART=%d", part);
    MACRO("BFLOAT16=%d", net->stored == XLA_BF16);
    MACRO("IMAGES=%lld", (long long)taps->images);
    MACRO("CHANNELS=%lld", (long long)taps->channels);
    MACRO("IN_H=%lld", (long long)taps->in[0]);
    MACRO("IN_W=%lld", (long long)taps->in[1]);
    MACRO("OUT_H=%lld", (long long)taps->out[0]);
    MACRO("OUT_W=%lld", (long long)taps->out[1]);
    MACRO("TAPS=%d", taps->kernel);
    MACRO("STRIDE=%d", taps->stride);
    MACRO("PAD_TOP=%d", taps->pad[0][0]);
    MACRO("PAD_LEFT=%d", taps->pad[1][0]);
    MACRO("ROWS=%d", tile.rows);
    MACRO("COLUMNS=%d", tile.columns);
    MACRO("CHUNKS=%lld", (long long)chunks);
#undef MACRO
    for (int i = 0; i < count; i++) macros[i] = texts[i];
    if (nvrtc_compile(net->options->kernels, text_of_depthwise_cu, macros, count, &ptx, net->options->kernel_error) !=
        EFFNET_OK)
        return NULL;
    return ptx;
}

static bool possible(const XlaNetwork *net, const Taps *taps) {
    return net->options->kernels && taps->channels % 2 == 0 && taps->stride <= 2 && taps->pad[0][0] < taps->kernel &&
           taps->pad[1][0] < taps->kernel;
}

static HloKernel kernel_of(const char *ptx, int part, int64_t threads) {
    return (HloKernel){.name = part_names[part], .ptx = ptx, .blocks = (threads + BLOCK - 1) / BLOCK, .threads = BLOCK};
}

/* (taps, C): a tap's weights of neighbouring channels side by side, as the kernels read them. */
static HloValue taps_first(XlaNetwork *net, const Taps *taps, HloValue kernel) {
    Hlo *hlo = net->hlo;
    const int64_t shape[2] = {taps->channels, (int64_t)taps->kernel * taps->kernel};
    HloValue rounded = F32(hlo_convert(hlo, net->stored, kernel));
    return hlo_transpose(hlo, hlo_reshape(hlo, rounded, 2, shape), (const int[]){1, 0});
}

bool xla_cuda_depthwise_forward(XlaNetwork *net, const Taps *taps, HloValue x, HloValue kernel, HloValue *y) {
    if (!possible(net, taps)) return false;
    const Tile tile = choose_tile(taps, FORWARD);
    const char *ptx = compile(net, taps, FORWARD, tile, 1);
    if (!ptx) return false;
    const HloKernel call = kernel_of(ptx, FORWARD, taps->images * tiles_of(taps->out, tile) * (taps->channels / 2));
    const HloValue operands[2] = {hlo_convert(net->hlo, net->stored, x), taps_first(net, taps, kernel)};
    const int64_t shape[4] = {taps->images, taps->out[0], taps->out[1], taps->channels};
    *y = hlo_kernel(net->hlo, &call, operands, 2, net->stored, 4, shape);
    return true;
}

bool xla_cuda_depthwise_backward(XlaNetwork *net, const Taps *taps, HloValue x, HloValue dy, HloValue kernel,
                                 HloValue *dx, HloValue *kernel_gradient) {
    Hlo *hlo = net->hlo;
    if (!possible(net, taps)) return false;
    const Tile tile = choose_tile(taps, INPUT_GRADIENT), gradient_tile = choose_tile(taps, KERNEL_GRADIENT);
    const int64_t chunks = chunks_of(taps, gradient_tile), pairs = taps->channels / 2;
    const char *ptx = compile(net, taps, INPUT_GRADIENT, tile, 1);
    const char *gradient_ptx = compile(net, taps, KERNEL_GRADIENT, gradient_tile, chunks);
    if (!ptx || !gradient_ptx) return false;

    const HloKernel call = kernel_of(ptx, INPUT_GRADIENT, taps->images * tiles_of(taps->in, tile) * pairs);
    const HloValue slopes = hlo_convert(hlo, net->stored, dy);
    const HloValue operands[2] = {slopes, taps_first(net, taps, kernel)};
    const int64_t shape[4] = {taps->images, taps->in[0], taps->in[1], taps->channels};
    *dx = hlo_kernel(hlo, &call, operands, 2, net->stored, 4, shape);

    const HloKernel gradient_call = kernel_of(gradient_ptx, KERNEL_GRADIENT, chunks * pairs);
    const HloValue both[2] = {hlo_convert(hlo, net->stored, x), slopes};
    const int64_t k = taps->kernel, partial_shape[3] = {chunks, k * k, taps->channels};
    const int64_t parameter_shape[4] = {taps->channels, 1, k, k};
    HloValue partial = hlo_kernel(hlo, &gradient_call, both, 2, XLA_F32, 3, partial_shape);
    HloValue sums = hlo_transpose(hlo, hlo_sum(hlo, partial, 1), (const int[]){1, 0}); /* over chunks; (C, taps) */
    *kernel_gradient = hlo_reshape(hlo, sums, 4, parameter_shape);
    return true;
}
