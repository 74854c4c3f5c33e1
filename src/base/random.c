/* random.c - see random.h. */
#include "base/random.h"

#include <math.h>
#include <string.h>

static inline uint32_t rotate_left(uint32_t x, int by) {
    return (x << by) | (x >> (32 - by));
}

/* The cipher on `lanes` counters (x0[i], x1[i]) in place; a loop over lanes is the compiler's to vectorise. */
static inline void threefry_lanes(RandomKey key, int lanes, uint32_t *x0, uint32_t *x1) {
    static const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t keys[3] = {key.high, key.low, key.high ^ key.low ^ 0x1BD11BDAu};
    for (int lane = 0; lane < lanes; lane++) {
        x0[lane] += keys[0];
        x1[lane] += keys[1];
    }
    for (int group = 0; group < 5; group++) {
        for (int round = 0; round < 4; round++)
            for (int lane = 0; lane < lanes; lane++) {
                x0[lane] += x1[lane];
                x1[lane] = rotate_left(x1[lane], rotations[group & 1][round]) ^ x0[lane];
            }
        for (int lane = 0; lane < lanes; lane++) {
            x0[lane] += keys[(group + 1) % 3];
            x1[lane] += keys[(group + 2) % 3] + (uint32_t)group + 1;
        }
    }
}

void threefry_2x32(RandomKey key, uint32_t c0, uint32_t c1, uint32_t out[2]) {
    out[0] = c0;
    out[1] = c1;
    threefry_lanes(key, 1, &out[0], &out[1]);
}

RandomKey random_key(uint64_t seed) {
    return (RandomKey){(uint32_t)(seed >> 32), (uint32_t)seed};
}

RandomKey random_fold_in(RandomKey key, uint32_t data) {
    uint32_t out[2];
    threefry_2x32(key, 0, data, out); /* threefry_seed(data) = (0, data) is the counter */
    return (RandomKey){out[0], out[1]};
}

/* Number `index` of the `count` that jax.random makes of the counters 0 .. count - 1 (jax/_src/random/threefry2x32.py,
 * threefry_2x32). */
static uint32_t original_word(RandomKey key, uint64_t count, uint64_t index) {
    uint64_t half = (count + 1) / 2, first = index % half, second = first + half;
    uint32_t out[2];
    threefry_2x32(key, (uint32_t)first, second < count ? (uint32_t)second : 0, out);
    return out[index / half];
}

RandomKey random_split(RandomKey key, ThreefryMode mode, uint64_t count, uint64_t index) {
    if (mode == THREEFRY_ORIGINAL)
        return (RandomKey){original_word(key, 2 * count, 2 * index), original_word(key, 2 * count, 2 * index + 1)};
    uint32_t out[2];
    threefry_2x32(key, (uint32_t)(index >> 32), (uint32_t)index, out);
    return (RandomKey){out[0], out[1]};
}

uint32_t random_bits_of(RandomKey key, ThreefryMode mode, uint64_t count, uint64_t index) {
    return mode == THREEFRY_ORIGINAL ? original_word(key, count, index) : random_bits(key, index);
}

uint32_t random_bits(RandomKey key, uint64_t index) {
    uint32_t out[2];
    threefry_2x32(key, (uint32_t)(index >> 32), (uint32_t)index, out);
    return out[0] ^ out[1];
}

/* The top 23 bits become the mantissa of a float in [1, 2), less 1. */
float uniform_from_bits(uint32_t bits) {
    uint32_t word = (bits >> 9) | 0x3F800000u;
    float value;
    memcpy(&value, &word, sizeof value);
    return value - 1.0f;
}

/* Inverse error function, single precision: M. Giles, "Approximating the erfinv function" (2010), as XLA has
 * it. */
static float inverse_erf(float x) {
    static const float central[9] = {2.81022636e-08f,  3.43273939e-07f, -3.5233877e-06f,
                                     -4.39150654e-06f, 0.00021858087f,  -0.00125372503f,
                                     -0.00417768164f,  0.246640727f,    1.50140941f};
    static const float tail[9] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                                  -0.0076224613f,   0.00943887047f,  1.00167406f,    2.83297682f};
    float w = -log1pf(-x * x);
    const float *coefficients = w < 5.0f ? central : tail;
    w = w < 5.0f ? w - 2.5f : sqrtf(w) - 3.0f;
    float p = coefficients[0];
    for (int i = 1; i < 9; i++) p = coefficients[i] + p * w;
    return fabsf(x) == 1.0f ? x * INFINITY : p * x;
}

float uniform_between_from_bits(uint32_t bits, float low, float high) {
    float value = fmaf(uniform_from_bits(bits), high - low, low); /* one rounding, as XLA compiles it */
    return value > low ? value : low;
}

static const float root_2 = 1.41421356f;

float normal_from_bits(uint32_t bits) {
    const float low = -0.99999994f; /* nextafter(-1, 0): keeps erfinv finite */
    return root_2 * inverse_erf(uniform_between_from_bits(bits, low, 1.0f));
}

float truncated_normal_from_bits(uint32_t bits, float low, float high) {
    float u = uniform_between_from_bits(bits, erff(low / root_2), erff(high / root_2));
    float value = root_2 * inverse_erf(u), least = nextafterf(low, INFINITY), most = nextafterf(high, -INFINITY);
    if (value < least) return least;
    return value < most ? value : most;
}

float random_uniform(RandomKey key, uint64_t index) {
    return uniform_from_bits(random_bits(key, index));
}

/* random_uniform of LANES successive indices. */
enum { LANES = 16 };
static void uniform_lanes(RandomKey key, uint64_t first, float out[LANES]) {
    uint32_t x0[LANES], x1[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        x0[lane] = (uint32_t)((first + (uint64_t)lane) >> 32);
        x1[lane] = (uint32_t)(first + (uint64_t)lane);
    }
    threefry_lanes(key, LANES, x0, x1);
    for (int lane = 0; lane < LANES; lane++) out[lane] = uniform_from_bits(x0[lane] ^ x1[lane]);
}

void random_uniforms(RandomKey key, uint64_t first, size_t count, float *out) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) uniform_lanes(key, first + i, out + i);
    for (; i < count; i++) out[i] = random_uniform(key, first + i);
}

float random_uniform_between(RandomKey key, uint64_t index, float low, float high) {
    return uniform_between_from_bits(random_bits(key, index), low, high);
}

bool random_bernoulli(RandomKey key, uint64_t index, float probability) {
    return random_uniform(key, index) < probability;
}

float random_normal(RandomKey key, uint64_t index) {
    return normal_from_bits(random_bits(key, index));
}

float random_truncated_normal(RandomKey key, uint64_t index, float low, float high) {
    return truncated_normal_from_bits(random_bits(key, index), low, high);
}

uint32_t random_below(RandomKey key, uint64_t index, uint32_t n) {
    return (uint32_t)(((uint64_t)random_bits(key, index) * n) >> 32);
}

/* Gamma(shape, 1): G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables" (2000); a shape below
 * 1 from that of shape + 1 times U^(1 / shape). Its logarithm, since the power underflows for small shapes. */
static double log_gamma_variable(RandomKey key, double shape) {
    double boosted = shape < 1 ? shape + 1 : shape, d = boosted - 1.0 / 3, c = 1 / sqrt(9 * d);
    double power = shape < 1 ? log(((double)random_uniform(key, 0) + 0x1p-24)) / shape : 0;
    for (uint64_t i = 1;; i += 2) {
        double x = (double)random_normal(key, i), u = (double)random_uniform(key, i + 1) + 0x1p-24;
        double v = (1 + c * x) * (1 + c * x) * (1 + c * x);
        if (v > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v)) return log(d * v) + power;
    }
}

double random_beta(RandomKey key, double a, double b) {
    double x = log_gamma_variable(random_fold_in(key, 0), a), y = log_gamma_variable(random_fold_in(key, 1), b);
    return 1 / (1 + exp(y - x));
}

void random_permutation(RandomKey key, uint32_t *order, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = random_below(key, i, i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}
