#!/usr/bin/env python3
"""Logits of timm's, torchvision's, efficientnet_pytorch's, Keras's and jax_examples' own models with the formula's
weights: tests/golden/import_logits.json, read by test_import.c. A few minutes on one core.

    KERAS_BACKEND=jax python tests/golden/make_import.py [--jax-examples DIR]

DIR holds efficientnet.py, common_layer.py and stochastic_depth.py of NobuoTsukamoto/jax_examples (c05ece5). Each model is
made by its own program; its tensors are matched with timm's by their order in the model (all these programs list a
block's layers as they run), or by name for Flax, whose trees are sorted, and filled with golden_formula.py's values in
the program's layout. The file keeps, a case, the logits and the CRC-32 of lines "theirs timm's shape\\n", which says
that src/format/weight_names.c names every tensor as this script found it.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import os
import pathlib
import sys
import zlib

os.environ.setdefault("KERAS_BACKEND", "jax")
import numpy as np
import timm
import torch

import golden_formula as formula

SIDE, BATCH, CLASSES = 64, 2, 10
# Running variances are the formula's times this: with 1 the deeper models' signal explodes on its way (logits of 1e6 for
# B4, half of it rounding), with 1.5 it dies out before the head and the pictures no longer matter.
VARIANCE_GAIN = {"efficientnet_b1": 1.125, "efficientnet_b2": 1.125, "efficientnet_b3": 1.1875, "efficientnet_b4": 1.1875}
PICTURES = formula.images(0, BATCH, SIDE)


def weights_of(model):
    """Names and shapes of a PyTorch model, in order, without counts of batches."""
    return [(name, tuple(value.shape)) for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")]


def timm_weights(name):
    return weights_of(timm.create_model(f"tf_{name}", num_classes=CLASSES))


def initial(name, ours, shape):
    gain = VARIANCE_GAIN.get(name, 1.0) if ours.endswith("running_var") else 1.0
    return formula.initial(ours, shape) * np.float32(gain)


def checksum(rows):
    """rows: (theirs, timm's, shape); parameters first, then statistics, as our network lists them."""
    ordered = [r for r in rows if "running_" not in r[1]] + [r for r in rows if "running_" in r[1]]
    text = "".join(f"{theirs} {ours} {','.join(map(str, shape))}\n" for theirs, ours, shape in ordered)
    return zlib.crc32(text.encode())


def run_torch(model, name):
    rows, state = [], {}
    for (theirs, shape), (ours, wanted) in zip(weights_of(model), timm_weights(name), strict=True):
        assert shape == wanted, (theirs, shape, ours, wanted)
        rows.append((theirs, ours, shape))
        state[theirs] = torch.from_numpy(initial(name, ours, shape))
    model.load_state_dict(state, strict=False)
    model.double().eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(PICTURES).double().permute(0, 3, 1, 2)).numpy()
    return logits, checksum(rows)


def run_timm(name):
    return run_torch(timm.create_model(f"tf_{name}", num_classes=CLASSES), name)


def run_torchvision(name):
    import torchvision

    return run_torch(getattr(torchvision.models, name)(num_classes=CLASSES), name)


def run_lukemelas(name):
    if "lite" in name:
        from efficientnet_lite_pytorch import EfficientNet
    else:
        from efficientnet_pytorch import EfficientNet
    options = {"num_classes": CLASSES, "image_size": SIDE}
    return run_torch(EfficientNet.from_name(name.replace("_", "-"), **options), name)


def to_theirs(values, depthwise_multiplier_last):
    """OIHW -> HWIO, a depthwise C1HW -> HWC1 or HW1C, (O, I) -> (I, O)."""
    if values.ndim == 2:
        return values.T
    if values.ndim != 4:
        return values
    return values.transpose(2, 3, 0, 1) if depthwise_multiplier_last else values.transpose(2, 3, 1, 0)


def run_keras(name):
    import keras

    model = getattr(keras.applications, "EfficientNet" + name[-2:].upper())(
        weights=None, classes=CLASSES, input_shape=(SIDE, SIDE, 3), classifier_activation=None)
    rows, values = [], []
    theirs = model.weights[3:]  # normalization: mean 0, variance 1, count
    for weight, (ours, shape) in zip(theirs, timm_weights(name), strict=True):
        value = to_theirs(initial(name, ours, shape), formula.role(ours) == "depthwise")
        assert tuple(weight.shape) == value.shape, (weight.path, weight.shape, ours, value.shape)
        rows.append((weight.path, ours, value.shape))
        values.append(value)
    model.set_weights([np.asarray(w) for w in model.weights[:3]] + values)
    return np.asarray(model(PICTURES * np.float32(255), training=False)), checksum(rows)


def run_flax(name):
    import jax
    from efficientnet import EfficientNet

    depth = {"efficientnet_b0": 1.0, "efficientnet_b1": 1.1}[name]
    model = EfficientNet(num_classes=CLASSES, width_coefficient=1.0, depth_coefficient=depth)
    shapes = jax.eval_shape(lambda key: model.init(key, PICTURES), jax.random.PRNGKey(0))
    theirs = {"/".join(part.key for part in path): leaf.shape
              for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)}
    rows, tree = [], {}
    numbers = {}
    layers = {"conv_stem": "Stem_Conv", "bn1": "BatchNorm_0", "conv_head": "Conv_0", "bn2": "BatchNorm_1"}
    for ours, shape in timm_weights(name):
        layer, leaf = ours.rsplit(".", 1)
        parts = layer.split(".")
        path = ["EfficientNetBackbone_0"]
        if parts[0] == "classifier":
            path = ["Head"]
        elif parts[0] != "blocks":
            path += [layers[layer]]
        else:
            block = tuple(parts[1:3])
            number = numbers.setdefault(block, len(numbers))
            path += [f"InvertedResBlockEfficientNet_{number}"]
            rest = ".".join(parts[3:])
            path += {"conv_dw": ["DepthWise_Conv"], "conv_pwl": ["Project_Conv"], "se.conv_reduce": ["SeBlock_0", "Conv_0"],
                     "se.conv_expand": ["SeBlock_0", "Conv_1"],
                     "conv_pw": ["Project_Conv" if block[0] == "0" else "Expand_Conv"]}.get(
                         rest, [f"BatchNorm_{int(rest[-1]) - 1}" if rest.startswith("bn") else "?"])
        batch_norm = "BatchNorm" in path[-1]
        path += [{"weight": "scale" if batch_norm else "kernel", "bias": "bias", "running_mean": "mean",
                  "running_var": "var"}[leaf]]
        path = ["batch_stats" if "running" in leaf else "params"] + path
        value = to_theirs(initial(name, ours, shape), False)
        assert theirs.pop("/".join(path)) == value.shape, path
        rows.append(("/".join(path), ours, value.shape))
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    assert not theirs, theirs
    return np.asarray(model.apply(tree, PICTURES, train=False)), checksum(rows)


B0_TO_B4 = [f"efficientnet_b{i}" for i in range(5)]
CASES = [("timm", run_timm, B0_TO_B4 + ["efficientnet_lite0"]), ("torchvision", run_torchvision, B0_TO_B4),
         ("efficientnet_pytorch", run_lukemelas, B0_TO_B4 + ["efficientnet_lite0"]), ("Keras", run_keras, B0_TO_B4),
         ("Flax", run_flax, B0_TO_B4[:2])]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jax-examples", default="/tmp/jax_examples")
    sys.path.insert(0, parser.parse_args().jax_examples)
    torch.set_num_threads(1)
    rows = []
    for label, run, names in CASES:
        for name in names:
            logits, crc = run(name)
            assert logits.shape == (BATCH, CLASSES) and np.isfinite(logits).all()
            print(label, name, float(np.abs(logits).max()), flush=True)
            rows.append({"naming": label, "model": name, "names": crc, "variance_gain": VARIANCE_GAIN.get(name, 1.0),
                         "logits": [float(f"{v:.8g}") for v in np.asarray(logits, np.float64).ravel()]})
    formula.write(pathlib.Path(__file__).with_name("import_logits.json"),
                  {"made_by": "make_import.py", "side": SIDE, "batch": BATCH, "classes": CLASSES, "cases": rows})


if __name__ == "__main__":
    main()
