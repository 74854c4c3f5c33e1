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
/* jax.random.split(key, n)[index], whatever n is (JAX's partitionable mode, its default since 0.5). */
RandomKey random_split(RandomKey key, uint64_t index);

/* The index-th 32 random bits of a key (JAX's partitionable random_bits: both output words xored). */
uint32_t random_bits(RandomKey key, uint64_t index);
/* Uniform in [0, 1), 23 bits, as jax.random.uniform makes it. */
float random_uniform(RandomKey key, uint64_t index);
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
