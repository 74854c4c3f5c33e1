"""Weights, pictures, labels and masks out of a formula, so that golden files hold results only; the C side is
golden_formula.h, which says why each step is exact. Also the form of the golden files: see describe().

SPDX-License-Identifier: Apache-2.0"""

import json
import math
import zlib

import numpy as np

GRADIENT_SAMPLES, OTHER_SAMPLES = 8, 4
U64 = np.uint64


def bits24(name, indices):
    """24 random bits for each index: splitmix64 (Steele et al., OOPSLA 2014) of crc32(name) * 2^32 + index."""
    with np.errstate(over="ignore"):
        z = (U64(zlib.crc32(name.encode())) << U64(32)) + np.asarray(indices, dtype=np.uint64)
        z = z + U64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
        z = z ^ (z >> U64(31))
    return z >> U64(40)


def signed(name, indices):
    """Uniform in [-1, 1), exact multiples of 2^-23."""
    return bits24(name, indices).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def role(name):
    """The role of a parameter or statistic by its timm name (ParameterRole in src/model/network.h)."""
    layer, kind = name.rsplit(".", 1)
    if kind in ("running_mean", "running_var"):
        return kind
    last = layer.rsplit(".", 1)[-1]
    if last.startswith("bn"):
        return "bn_scale" if kind == "weight" else "bn_bias"
    if kind == "bias":
        return "bias"
    return {"conv_dw": "depthwise", "classifier": "dense"}.get(last, "conv")


def initial(name, shape):
    """First value of a tensor in timm's layout: centre + width * signed, in float32."""
    count = math.prod(shape)
    kind = role(name)
    # With a running variance of 1 the signal dies out, with .5 it explodes on its way through sixteen blocks.
    centre = {"bn_scale": 1.0, "running_var": 0.65}.get(kind, 0.0)
    if kind in ("conv", "depthwise"):
        width = math.sqrt(6.0 / (shape[0] * shape[2] * shape[3] if kind == "conv" else shape[2] * shape[3]))
    elif kind == "dense":
        width = 1.0 / math.sqrt(shape[0])
    else:
        width = {"bias": 0.1, "bn_scale": 0.3, "bn_bias": 0.2, "running_mean": 0.1, "running_var": 0.325}[kind]
    values = np.float32(centre) + np.float32(width) * signed(name, np.arange(count))
    return values.reshape(shape)


def images(step, batch, side, channels=3):
    """(N, H, W, channels): patches of 8x8 pixels of one colour, with noise on top; side: of a square, or [H, W]."""
    height, width = [side, side] if isinstance(side, int) else side
    n, y, x, c = np.meshgrid(np.arange(batch), np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    pixel = ((n * height + y) * width + x) * channels + c
    patch = ((n * height + y // 8) * width + x // 8) * channels + c
    return np.float32(0.75) * signed(f"patches.{step}", patch) + np.float32(0.5) * signed(f"pixels.{step}", pixel)


def labels(step, batch, classes):
    return (bits24(f"labels.{step}", np.arange(batch)) * U64(classes) >> U64(24)).astype(np.int64)


def mask(name, count, first, keep):
    """0 or 1/keep for indices first .. first + count - 1."""
    kept = bits24(name, first + np.arange(count)).astype(np.float64) * 2.0**-24 < keep
    return np.where(kept, np.float32(1.0 / keep), np.float32(0))


def drop_path_mask(step, residual, batch, keep):
    return mask(f"drop_path.{step}", batch, residual * batch, keep)


def dropout_mask(step, batch, features, keep):
    return mask(f"dropout.{step}", batch * features, 0, keep).reshape(batch, features)


def sample_places(name, count, samples):
    if count <= samples:
        return np.arange(count)
    return (bits24("samples." + name, np.arange(samples)) * U64(count) >> U64(24)).astype(np.int64)


def describe(name, exact, rounded, samples):
    """A tensor as [norm, noise, noise_max, sample, ...]: L2 norm in float64; L2 norm and largest element of the
    difference to the same computation in float32 by the same framework; elements at sample_places()."""
    exact = np.asarray(exact, dtype=np.float64).ravel()
    difference = np.asarray(rounded, dtype=np.float64).ravel() - exact
    # Two digits of noise: it is a yardstick and not a result.
    row = [float(f"{np.linalg.norm(exact):.8g}"), float(f"{np.linalg.norm(difference):.1e}"),
           float(f"{np.abs(difference).max():.1e}")]
    return row + [float(f"{v:.8g}") for v in exact[sample_places(name, exact.size, samples)]]


def describe_all(names, exact, rounded, samples):
    return [describe(name, exact[name], rounded[name], samples) for name in names]


def scalar(exact, rounded):
    return [float(f"{exact:.10g}"), float(f"{abs(rounded - exact):.1e}")]


def checksum(arrays):
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array, dtype="<f4").tobytes(), crc)
    return crc


def write(path, document):
    """JSON with one line a tensor, so that a difference between two versions can be read."""

    def text(value, indent):
        pad = "  " * indent
        flat = isinstance(value, list) and not any(isinstance(v, (list, dict)) for v in value)
        if flat or not isinstance(value, (list, dict)) or not value:
            return json.dumps(value, separators=(",", ":"))
        if isinstance(value, list):
            return "[\n" + ",\n".join("  " * (indent + 1) + text(v, indent + 1) for v in value) + f"\n{pad}]"
        items = (f'{"  " * (indent + 1)}"{k}": {text(v, indent + 1)}' for k, v in value.items())
        return "{\n" + ",\n".join(items) + f"\n{pad}}}"

    with open(path, "w", encoding="ascii") as stream:
        stream.write(text(document, 0) + "\n")
