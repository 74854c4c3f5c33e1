#!/usr/bin/env python3
"""Makes random_jax.h: what JAX draws, for tests/unit/base/test_random.c. Run: python make_random_jax.py (jax 0.10.2,
CPU, jax_threefry_partitionable as by default true, x64 on so that seeds keep their upper 32 bits); at the end what it
draws with jax_threefry_partitionable off, as before JAX 0.5."""
import pathlib
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
assert jax.config.jax_threefry_partitionable


def words(key):
    return ", ".join(f"0x{int(w):08X}u" for w in np.asarray(jax.random.key_data(key)))


seeds = [0, 1, 42, 2**32 - 1, 2**40 + 5, 2**53 - 1]
key = jax.random.PRNGKey(42)
count = 1 << 20
bits = np.asarray(jax.random.bits(key, (count,), "uint32"))
uniform = np.asarray(jax.random.uniform(key, (count,), "float32"))
normal = np.asarray(jax.random.normal(key, (count,), "float32"))
places = sorted({0, 1, 2, 3, 1000, count - 1, int(normal.argmin()), int(normal.argmax()), int(np.abs(normal).argmin()),
                 int(uniform.argmin()), int(uniform.argmax()), *range(5000, 5016)})
out = ["/* Made by make_random_jax.py with jax " + jax.__version__ + "; do not edit. */",
       "static const struct { uint64_t seed; uint32_t key[2]; } jax_keys[] = {"]
out += [f"    {{{s}u, {{{words(jax.random.PRNGKey(s))}}}}}," for s in seeds]
out += ["};", "/* fold_in(PRNGKey(42), data) */", "static const struct { uint32_t data, key[2]; } jax_folds[] = {"]
out += [f"    {{{d}u, {{{words(jax.random.fold_in(key, d))}}}}}," for d in [0, 1, 7, 1000000, 2**31, 2**32 - 1]]
out += ["};", "/* split(PRNGKey(42), 1000)[index] */",
        "static const struct { uint64_t index; uint32_t key[2]; } jax_splits[] = {"]
split = jax.random.split(key, 1000)
out += [f"    {{{i}u, {{{words(split[i])}}}}}," for i in [0, 1, 2, 3, 999]]
truncated = np.asarray(jax.random.truncated_normal(key, -2, 2, (count,), "float32"))
between = np.asarray(jax.random.uniform(key, (count,), "float32", -3, 0.5))
tails = sorted({0, 1, 2, 3, 1000, int(truncated.argmin()), int(truncated.argmax()), int(np.abs(truncated).argmin())})
out += ["};", "/* from PRNGKey(42): truncated_normal(-2, 2) and uniform(-3, .5); the extremes among them */",
        "static const struct { uint64_t index; float truncated, between; } jax_bounded[] = {"]
out += [f"    {{{i}u, {float(truncated[i]).hex()}f, {float(between[i]).hex()}f}}," for i in tails]
kept = np.asarray(jax.random.bernoulli(key, np.float32(0.8), (count,)))
out += ["};", "/* bernoulli(PRNGKey(42), .8): how many of 2^20 */", f"static const int jax_kept = {int(kept.sum())};"]
out += ["/* draws from PRNGKey(42) in one dimension: the extremes of 2^20 of them among the rest */",
        "static const struct { uint64_t index; uint32_t bits; float uniform, normal; } jax_draws[] = {"]
out += [f"    {{{i}u, 0x{int(bits[i]):08X}u, {float(uniform[i]).hex()}f, {float(normal[i]).hex()}f}}," for i in places]
out += ["};", "/* sums over all 2^20 draws */",
        f"static const uint32_t jax_bits_sum = 0x{int(bits.astype(np.uint64).sum() % 2**32):08X}u; /* modulo 2^32 */",
        f"static const double jax_normal_sum = {float(normal.astype(np.float64).sum())!r};",
        f"static const double jax_normal_squares = {float((normal.astype(np.float64) ** 2).sum())!r};", ""]
jax.config.update("jax_threefry_partitionable", False)
out[-1:] = ["/* From here on with jax_threefry_partitionable off: split(PRNGKey(42), count)[index] */",
            "static const struct { uint64_t count, index; uint32_t key[2]; } jax_original_splits[] = {"]
for n in [1, 2, 3, 4, 8, 1000]:
    split = jax.random.split(key, n)
    out += [f"    {{{n}u, {i}u, {{{words(split[i])}}}}}," for i in sorted({0, n // 2, n - 1})]
out += ["};", "/* bits and normals of PRNGKey(42) in a shape of count numbers, odd and even */",
        "static const struct { uint64_t count, index; uint32_t bits; float normal; } jax_original_draws[] = {"]
for n in [1, 2, 3, 5, 6, 1001, count]:
    bits = np.asarray(jax.random.bits(key, (n,), "uint32"))
    normal = np.asarray(jax.random.normal(key, (n,), "float32"))
    out += [f"    {{{n}u, {i}u, 0x{int(bits[i]):08X}u, {float(normal[i]).hex()}f}},"
            for i in sorted({0, (n - 1) // 2, n // 2, n // 2 + 1 if n > 2 else 0, n - 1})]
out += ["};", f"static const uint32_t jax_original_sum = 0x{int(bits.astype(np.uint64).sum() % 2**32):08X}u; "
        "/* of the last count's bits, modulo 2^32 */", ""]
pathlib.Path(__file__).with_name("random_jax.h").write_text("\n".join(out))
