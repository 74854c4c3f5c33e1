"""Names and layouts of keras.applications' EfficientNetB0 and timm's.

SPDX-License-Identifier: Apache-2.0"""

import re

import numpy as np

import golden_formula as formula

BLOCKS = [(stage, i) for stage, repeats in enumerate([1, 2, 2, 3, 3, 4, 1]) for i in range(repeats)]
LAYERS = {"stem_conv": "conv_stem", "stem_bn": "bn1", "top_conv": "conv_head", "top_bn": "bn2",
          "predictions": "classifier"}
LEAVES = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias", "moving_mean": "running_mean",
          "moving_variance": "running_var"}


def timm_name(path):
    """block2b_project_bn/gamma -> blocks.1.1.bn3.weight"""
    layer, leaf = path.split("/")
    block = re.fullmatch(r"block(\d)(\w)_(\w+)", layer)
    if not block:
        return f"{LAYERS[layer]}.{LEAVES[leaf]}"
    stage, index, part = int(block[1]) - 1, ord(block[2]) - ord("a"), block[3]
    bare = stage == 0  # a block without expansion
    part = {"expand_conv": "conv_pw", "expand_bn": "bn1", "dwconv": "conv_dw", "bn": "bn1" if bare else "bn2",
            "se_reduce": "se.conv_reduce", "se_expand": "se.conv_expand",
            "project_conv": "conv_pw" if bare else "conv_pwl", "project_bn": "bn2" if bare else "bn3"}[part]
    return f"blocks.{stage}.{index}.{part}.{LEAVES[leaf]}"


def axes(name, ndim):
    """Of a transposition to timm's layout: HWIO and a depthwise HWC1 to OIHW, (in, out) to (out, in)."""
    if ndim == 4:
        return (2, 3, 0, 1) if formula.role(name) == "depthwise" else (3, 2, 0, 1)
    return (1, 0) if ndim == 2 else tuple(range(ndim))


def ours(name, value):
    value = np.asarray(value)
    return value.transpose(axes(name, value.ndim))


def theirs(name, value):
    return value.transpose(np.argsort(axes(name, value.ndim)))
