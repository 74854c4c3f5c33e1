/* random.h - counter-based random numbers: Threefry-2x32, 20 rounds (Salmon et al., "Parallel random numbers:
 * as easy as 1, 2, 3", SC 2011), with the key derivation of JAX (jax/_src/prng.py). A number is a function of
 * its key and index alone, never of a thread or of what was drawn before. */
#ifndef EFFNET_BASE_RANDOM_H
#define EFFNET_BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct RandomKey {
    uint32_t high, low;
} RandomKey;

/* The block function: encrypts counter (c0, c1) under key. */
void threefry_2x32(RandomKey key, uint32_t c0, uint32_t c1, uint32_t out[2]);

RandomKey random_key(uint64_t seed);                    /* jax.random.PRNGKey(seed) */
RandomKey random_fold_in(RandomKey key, uint32_t data); /* jax.random.fold_in(key, data) */

/* How a call of jax.random counts the numbers that it draws (jax_threefry_partitionable).
 *   partitionable  number i is made of counter i, whatever their count (true, the default since JAX 0.5)
 *   original       the counters 0..n-1 in two halves of m = (n + 1) / 2: (i, m + i) encrypted are the numbers i and m + i;
 *                  where n is odd, the last counter is 0 and its number left out. n is below 2^32 - 1 */
typedef enum ThreefryMode { THREEFRY_PARTITIONABLE, THREEFRY_ORIGINAL } ThreefryMode;

/* jax.random.split(key, count)[index]. */
RandomKey random_split(RandomKey key, ThreefryMode mode, uint64_t count, uint64_t index);
/* jax.random.bits(key, a shape of `count`)[index]. */
uint32_t random_bits_of(RandomKey key, ThreefryMode mode, uint64_t count, uint64_t index);

/* What bits become: the functions below are these of random_bits. */
float uniform_from_bits(uint32_t bits);
float uniform_between_from_bits(uint32_t bits, float low, float high);
float normal_from_bits(uint32_t bits);
float truncated_normal_from_bits(uint32_t bits, float low, float high);

/* The index-th 32 random bits of a key (JAX's partitionable random_bits: both output words xored). */
uint32_t random_bits(RandomKey key, uint64_t index);
/* Uniform in [0, 1), 23 bits, as jax.random.uniform makes it. */
float random_uniform(RandomKey key, uint64_t index);
/* random_uniform of `count` indices from `first` on: the same numbers, several at a time. */
void random_uniforms(RandomKey key, uint64_t first, size_t count, float *out);
/* Uniform in [low, high), as jax.random.uniform(key, shape, minval=low, maxval=high). */
float random_uniform_between(RandomKey key, uint64_t index, float low, float high);
/* True with `probability`: uniform < probability, as jax.random.bernoulli. */
bool random_bernoulli(RandomKey key, uint64_t index, float probability);
/* Standard normal: sqrt(2) * erfinv(uniform(-1, 1)), as jax.random.normal. */
float random_normal(RandomKey key, uint64_t index);
/* Standard normal given that it lies in (low, high): sqrt(2) * erfinv(uniform(erf(low / sqrt 2), erf(high / sqrt 2))),
 * as jax.random.truncated_normal. */
float random_truncated_normal(RandomKey key, uint64_t index, float low, float high);
/* Integer uniform in [0, n), n >= 1, by multiplication (bias below 2^-32 * n). */
uint32_t random_below(RandomKey key, uint64_t index, uint32_t n);
/* Beta(a, b), a and b above 0: all numbers of the key are used. */
double random_beta(RandomKey key, double a, double b);
/* order[0..n-1] = a permutation of 0..n-1 (Fisher-Yates). */
void random_permutation(RandomKey key, uint32_t *order, uint32_t n);

#endif
