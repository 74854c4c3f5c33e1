/* depthwise.cu - depthwise convolutions for NVIDIA GPUs: forward, gradient of the input, gradient of the kernel.
 *
 * XLA gives depthwise convolutions to cuDNN, whose kernels for them took half of a training step on an H100; these move
 * each tensor little more than once. The text is part of the library. nvrtc.c has it compiled for each layer, with the
 * layer's numbers as macros, which xla_cuda_depthwise.c chooses; the step's program calls it.
 *
 *   NAME               of the function, as it stands in profiles
 *   PART               1 forward, 2 gradient of the input, 3 gradient of the kernel
 *   BFLOAT16           1: tensors are bfloat16, 0: float; sums are float
 *   IMAGES, CHANNELS   an even number of channels
 *   IN_H, IN_W, OUT_H, OUT_W, TAPS (the kernel's side), STRIDE, PAD_TOP, PAD_LEFT
 *   ROWS, COLUMNS      of a tile
 *   CHUNKS             of part 3: how many partial sums there are
 *
 * A thread has two neighbouring channels, which are one load, and a tile of ROWS x COLUMNS pixels; neighbouring threads
 * have neighbouring channels, so that loads are whole lines. It goes down the rows that its tile reads, each loaded
 * once, and adds every product that the row is part of: all indices of registers are known to the compiler. Tensors are
 * (N, H, W, C); kernels (taps, C) in float, rounded before to what tensors are rounded to. Nothing depends on timing:
 * the same sums in the same order at every run.
 *
 * The same text is C: tests/unit/xla/test_depthwise_cuda.c runs it on the processor. */

#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void __launch_bounds__(256)
#define INSIDE static __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#endif

#if BFLOAT16
typedef unsigned Pair; /* two channels, the first in the low half */

INSIDE float2 unpack(Pair pair) {
    float2 two = {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
    return two;
}

/* To the nearest, ties to even; what is no number stays none. */
INSIDE unsigned round_up_half(float value) {
    unsigned bits = __float_as_uint(value);
    return value != value ? 0x7fc00000u : bits + 0x7fffu + (bits >> 16 & 1);
}

INSIDE Pair pack(float2 two) {
    return (round_up_half(two.y) & 0xffff0000u) | round_up_half(two.x) >> 16;
}
#else
typedef float2 Pair;

INSIDE float2 unpack(Pair pair) {
    return pair;
}
INSIDE Pair pack(float2 two) {
    return two;
}
#endif

enum { PAIRS = CHANNELS / 2 };

/* What one thread has: tile `index` of a map of `height` x `width` pixels, two channels. */
typedef struct Place {
    int image, row, column, pair;
} Place;

INSIDE Place place_of(long long tile, int pair, int height, int width) {
    const int across = (width + COLUMNS - 1) / COLUMNS, down = (height + ROWS - 1) / ROWS;
    Place place;
    place.column = (int)(tile % across) * COLUMNS;
    tile /= across;
    place.row = (int)(tile % down) * ROWS;
    place.image = (int)(tile / down);
    place.pair = pair;
    return place;
}

/* `count` pixels of a row from `column` on; zeros outside of the map. */
#define LOAD_ROW(to, map, image, height, width, row, column, pair, count)                                              \
    do {                                                                                                               \
        const Pair *line = (map) + ((long long)(image) * (height) + (row)) * (width)*PAIRS + (pair);                   \
        UNROLL for (int j = 0; j < (count); j++) {                                                                     \
            const int at = (column) + j;                                                                               \
            float2 zero = {0, 0};                                                                                      \
            (to)[j] = at >= 0 && at < (width) ? unpack(line[at * PAIRS]) : zero;                                       \
        }                                                                                                              \
    } while (0)

#define MULTIPLY_ADD(sum, a, b)                                                                                        \
    do {                                                                                                               \
        (sum).x += (a).x * (b).x;                                                                                      \
        (sum).y += (a).y * (b).y;                                                                                      \
    } while (0)

INSIDE void store_tile(Pair *map, Place place, int height, int width, float2 sums[ROWS][COLUMNS]) {
    UNROLL for (int r = 0; r < ROWS; r++) {
        if (place.row + r >= height) break;
        const long long row = (long long)place.image * height + place.row + r;
        Pair *line = map + (row * width + place.column) * PAIRS + place.pair;
        UNROLL for (int c = 0; c < COLUMNS; c++)
            if (place.column + c < width) line[c * PAIRS] = pack(sums[r][c]);
    }
}

#if PART == 1
KERNEL NAME(const Pair *__restrict__ x, const float2 *__restrict__ kernel, Pair *__restrict__ y) {
    enum { DOWN = (ROWS - 1) * STRIDE + TAPS, ACROSS = (COLUMNS - 1) * STRIDE + TAPS };
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const Place place = place_of(thread / PAIRS, (int)(thread % PAIRS), OUT_H, OUT_W);
    if (place.image >= IMAGES) return;
    float2 taps[TAPS * TAPS], sums[ROWS][COLUMNS] = {{{0, 0}}};
    UNROLL for (int t = 0; t < TAPS * TAPS; t++) taps[t] = kernel[t * PAIRS + place.pair];
    UNROLL for (int i = 0; i < DOWN; i++) {
        const int row = place.row * STRIDE - PAD_TOP + i;
        if (row < 0 || row >= IN_H) continue;
        float2 pixels[ACROSS];
        LOAD_ROW(pixels, x, place.image, IN_H, IN_W, row, place.column * STRIDE - PAD_LEFT, place.pair, ACROSS);
        UNROLL for (int r = 0; r < ROWS; r++) {
            const int down = i - r * STRIDE;
            if (down < 0 || down >= TAPS) continue;
            UNROLL for (int across = 0; across < TAPS; across++)
                UNROLL for (int c = 0; c < COLUMNS; c++)
                    MULTIPLY_ADD(sums[r][c], pixels[c * STRIDE + across], taps[down * TAPS + across]);
        }
    }
    store_tile(y, place, OUT_H, OUT_W, sums);
}
#endif

/* Which outputs a tile of inputs is part of: output o, tap t and input i meet where o * STRIDE + t = i + pad. Tiles
 * begin at multiples of the stride, so their first output, counted from begin / STRIDE, is the same for all. */
#define FIRST_OUTPUT(pad)       (-((TAPS - 1 - (pad)) / STRIDE))
#define LAST_OUTPUT(pad, count) (((count)-1 + (pad)) / STRIDE)

#if PART == 2
KERNEL NAME(const Pair *__restrict__ dy, const float2 *__restrict__ kernel, Pair *__restrict__ dx) {
    enum {
        TOP = FIRST_OUTPUT(PAD_TOP),
        DOWN = LAST_OUTPUT(PAD_TOP, ROWS) - TOP + 1,
        LEFT = FIRST_OUTPUT(PAD_LEFT),
        ACROSS = LAST_OUTPUT(PAD_LEFT, COLUMNS) - LEFT + 1
    };
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const Place place = place_of(thread / PAIRS, (int)(thread % PAIRS), IN_H, IN_W);
    if (place.image >= IMAGES) return;
    float2 taps[TAPS * TAPS], sums[ROWS][COLUMNS] = {{{0, 0}}};
    UNROLL for (int t = 0; t < TAPS * TAPS; t++) taps[t] = kernel[t * PAIRS + place.pair];
    UNROLL for (int i = 0; i < DOWN; i++) {
        const int row = place.row / STRIDE + TOP + i;
        if (row < 0 || row >= OUT_H) continue;
        float2 pixels[ACROSS];
        LOAD_ROW(pixels, dy, place.image, OUT_H, OUT_W, row, place.column / STRIDE + LEFT, place.pair, ACROSS);
        UNROLL for (int r = 0; r < ROWS; r++) {
            const int down = r + PAD_TOP - (TOP + i) * STRIDE;
            if (down < 0 || down >= TAPS) continue;
            UNROLL for (int j = 0; j < ACROSS; j++)
                UNROLL for (int c = 0; c < COLUMNS; c++) {
                    const int across = c + PAD_LEFT - (LEFT + j) * STRIDE;
                    if (across < 0 || across >= TAPS) continue;
                    MULTIPLY_ADD(sums[r][c], pixels[j], taps[down * TAPS + across]);
                }
        }
    }
    store_tile(dx, place, IN_H, IN_W, sums);
}
#endif

#if PART == 3
/* Thread (chunk, pair) adds tiles chunk, chunk + CHUNKS, ... of the outputs; sums (CHUNKS, taps, C) are added up by
 * the program. */
KERNEL NAME(const Pair *__restrict__ x, const Pair *__restrict__ dy, float2 *__restrict__ partial) {
    enum { DOWN = (ROWS - 1) * STRIDE + TAPS, ACROSS = (COLUMNS - 1) * STRIDE + TAPS };
    const long long tiles = (long long)IMAGES * ((OUT_H + ROWS - 1) / ROWS) * ((OUT_W + COLUMNS - 1) / COLUMNS);
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int pair = (int)(thread % PAIRS), chunk = (int)(thread / PAIRS);
    if (chunk >= CHUNKS) return;
    float2 sums[TAPS * TAPS] = {{0, 0}};
    for (long long tile = chunk; tile < tiles; tile += CHUNKS) {
        const Place place = place_of(tile, pair, OUT_H, OUT_W);
        float2 slopes[ROWS][COLUMNS];
        UNROLL for (int r = 0; r < ROWS; r++) {
            if (place.row + r < OUT_H) {
                LOAD_ROW(slopes[r], dy, place.image, OUT_H, OUT_W, place.row + r, place.column, pair, COLUMNS);
            } else {
                UNROLL for (int c = 0; c < COLUMNS; c++) slopes[r][c].x = slopes[r][c].y = 0;
            }
        }
        UNROLL for (int i = 0; i < DOWN; i++) {
            const int row = place.row * STRIDE - PAD_TOP + i;
            if (row < 0 || row >= IN_H) continue;
            float2 pixels[ACROSS];
            LOAD_ROW(pixels, x, place.image, IN_H, IN_W, row, place.column * STRIDE - PAD_LEFT, pair, ACROSS);
            UNROLL for (int r = 0; r < ROWS; r++) {
                const int down = i - r * STRIDE;
                if (down < 0 || down >= TAPS) continue;
                UNROLL for (int across = 0; across < TAPS; across++)
                    UNROLL for (int c = 0; c < COLUMNS; c++)
                        MULTIPLY_ADD(sums[down * TAPS + across], pixels[c * STRIDE + across], slopes[r][c]);
            }
        }
    }
    UNROLL for (int t = 0; t < TAPS * TAPS; t++)
        partial[((long long)chunk * TAPS * TAPS + t) * PAIRS + pair] = sums[t];
}
#endif
