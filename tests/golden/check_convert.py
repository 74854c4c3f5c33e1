#!/usr/bin/env python3
"""Weights in every form that Keras, TensorFlow and Flax leave behind, through tools/convert.py and `effnet import`.

    check_convert.py EFFNET      (the program; needs tensorflow, keras, flax, orbax-checkpoint, safetensors)

EfficientNet-B0 of 10 classes with golden_formula.py's weights is written as each program writes it; converted and
imported, every tensor must be the formula's, bit for bit, and a picture's probabilities those that Keras' model gives
(to 1e-5). The forms:

  Keras        .keras, a whole .h5, a bare .h5 as keras.applications downloads, .weights.h5
  TensorFlow   a checkpoint of tf.compat.v1.train.Saver with the official code's names, where the raw weights are other
               numbers than their averages; and without averages
  Flax         .msgpack of variables; a trainer's state as flax.training.checkpoints and as Orbax write it, whose averages
               are the formula's; the same with --raw

Exit status 77 where a package is missing, 1 where anything differs.

SPDX-License-Identifier: Apache-2.0"""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
try:
    for package in ("flax", "h5py", "jax", "orbax.checkpoint", "safetensors", "tensorflow"):
        importlib.import_module(package)
    import keras
    import numpy as np
    import tensorflow as tf
except ImportError as error:
    print(f"skipped: {sys.executable}: {error}; the end of tests/golden/requirements.txt")
    sys.exit(77)

import golden_formula as formula
from keras_names import BLOCKS, ours, theirs, timm_name

CONVERT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "convert.py"
SIDE, CLASSES = 64, 10


def keras_model():
    model = keras.applications.EfficientNetB0(weights=None, classes=CLASSES, input_shape=(SIDE, SIDE, 3))
    for weight in model.weights[3:]:  # after the normalisation's mean, variance and count
        name = timm_name(weight.path)
        shape = np.shape(ours(name, np.empty(weight.shape)))
        weight.assign(theirs(name, formula.initial(name, shape)))
    return model


def tensorflow_name(name):
    """The official code's variable: blocks.1.0.bn3.weight -> efficientnet-b0/blocks_1/tpu_batch_normalization_2/gamma"""
    layer, leaf = name.rsplit(".", 1)
    parts = layer.split(".")
    leaf = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
            "running_var": "moving_variance"}[leaf] if parts[-1].startswith("bn") else {"weight": "kernel"}.get(leaf, leaf)
    if parts[0] != "blocks":
        where = {"conv_stem": "stem/conv2d", "bn1": "stem/tpu_batch_normalization", "conv_head": "head/conv2d",
                 "bn2": "head/tpu_batch_normalization", "classifier": "head/dense"}[layer]
        return f"efficientnet-b0/{where}/{leaf}"
    number, part = BLOCKS.index((int(parts[1]), int(parts[2]))), parts[-1]
    # Each block numbers its layers of a kind in the order in which they run.
    if part.startswith("bn"):
        part = "tpu_batch_normalization" + ("" if part == "bn1" else f"_{int(part[2]) - 1}")
    elif part == "conv_dw":
        part, leaf = "depthwise_conv2d", "depthwise_kernel"
    else:
        part = {"conv_pw": "conv2d", "conv_pwl": "conv2d_1", "conv_reduce": "se/conv2d", "conv_expand": "se/conv2d_1"}[part]
    return f"efficientnet-b0/blocks_{number}/{part}/{leaf}"


def flax_path(name):
    """The original's module path and collection: see src/model/flax_names.h."""
    layer, leaf = name.rsplit(".", 1)
    parts = layer.split(".")
    collection = "batch_stats" if leaf.startswith("running") else "params"
    batch_norm = parts[-1].startswith("bn")
    leaf = {"weight": "scale" if batch_norm else "kernel", "bias": "bias", "running_mean": "mean",
            "running_var": "var"}[leaf]
    if layer == "classifier":
        path = ["Head"]
    elif parts[0] != "blocks":
        path = ["EfficientNetBackbone_0", {"conv_stem": "Stem_Conv", "bn1": "BatchNorm_0", "conv_head": "Conv_0",
                                           "bn2": "BatchNorm_1"}[layer]]
    else:
        block = (int(parts[1]), int(parts[2]))
        path = ["EfficientNetBackbone_0", f"InvertedResBlockEfficientNet_{BLOCKS.index(block)}"]
        path += {"conv_dw": ["DepthWise_Conv"], "conv_pwl": ["Project_Conv"], "conv_reduce": ["SeBlock_0", "Conv_0"],
                 "conv_expand": ["SeBlock_0", "Conv_1"], "conv_pw": ["Expand_Conv" if block[0] else "Project_Conv"]
                 }.get(parts[-1]) or [f"BatchNorm_{int(parts[-1][-1]) - 1}"]
    return [collection, *path, leaf]


def flax_tree(tensors, change):
    tree = {}
    for name, value in tensors.items():
        *path, leaf = flax_path(name)
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, tuple(range(value.ndim)))
        node[leaf] = change(np.ascontiguousarray(value.transpose(axes)))
    return tree


def other(value):
    """Of a weight that is not averaged, so that taking it for the average shows."""
    return value * np.float32(0.5)


def flax_state(tensors):
    """The fields of jax_examples' TrainStateWithBatchNorm that are saved."""
    raw, average = flax_tree(tensors, other), flax_tree(tensors, lambda value: value)
    count = np.int32(7)
    return {"step": np.int32(7), "params": raw["params"], "batch_stats": raw["batch_stats"],
            "opt_state": {"0": {}, "1": {"trace": raw["params"]}},
            "ema_state": {"count": count, "ema": average["params"]},
            "ema_batch_stats": {"count": count, "ema": average["batch_stats"]}}


def write_bare_h5(model, path):
    """What keras.applications downloads: layer_names, weight_names and the arrays, no configuration."""
    import h5py

    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
        assert "model_config" not in file.attrs


def write_tensorflow(tensors, path, averages):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {"global_step": tf.compat.v1.get_variable("global_step", initializer=np.int64(7))}
        for name, value in tensors.items():
            value, key = np.ascontiguousarray(theirs(name, value)), tensorflow_name(name)
            rows = {key: other(value), key + "/ExponentialMovingAverage": value,
                    key + "/RMSProp": value, key + "/Momentum": value} if averages else {key: value}
            for row, contents in rows.items():
                variables[row] = tf.compat.v1.get_variable(row, initializer=contents)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables).save(session, str(path), write_meta_graph=False)


def write_orbax(state, folder):
    import orbax.checkpoint as ocp

    manager = ocp.CheckpointManager(folder, ocp.Checkpointer(ocp.PyTreeCheckpointHandler()),
                                    ocp.CheckpointManagerOptions(create=True, max_to_keep=1))
    manager.save(7, state)
    manager.wait_until_finished()
    manager.close()


def forms(model, tensors, work):
    """(what, path, options of convert.py, options of import, what becomes of the tensors), each written when asked."""
    from flax import serialization

    same = lambda value: value  # noqa: E731
    # Keras' model divides by 255 and has mean 0, deviation 1; the original's sees levels of 0 to 255.
    plain = ["mean=0,0,0", "std=1,1,1", "normalize=true"]
    model.save(work / "model.keras")
    yield "Keras .keras", "model.keras", [], [], same
    model.save(work / "whole.h5")
    yield "Keras .h5, the whole model", "whole.h5", [], plain, same
    write_bare_h5(model, work / "bare.h5")
    yield "Keras .h5, weights alone", "bare.h5", [], plain, same
    yield "the same with --model", "bare.h5", ["--model", "EfficientNetB0"], [], same
    model.save_weights(work / "numbered.weights.h5")
    yield "Keras .weights.h5", "numbered.weights.h5", ["--model", "EfficientNetB0"], [], same
    write_tensorflow(tensors, work / "model.ckpt-7", True)
    yield "TensorFlow checkpoint with averages", "model.ckpt-7", [], plain, same
    write_tensorflow(tensors, work / "raw.ckpt", False)
    yield "TensorFlow checkpoint", "raw.ckpt.index", [], plain, same
    (work / "variables.msgpack").write_bytes(serialization.to_bytes(flax_tree(tensors, same)))
    yield "Flax variables", "variables.msgpack", [], plain, same
    state = flax_state(tensors)
    (work / "checkpoint_7").write_bytes(serialization.to_bytes(state))
    yield "Flax trainer's state", "checkpoint_7", [], plain, same
    yield "the same, --raw", "checkpoint_7", ["--raw"], plain, other
    write_orbax(state, work / "orbax")
    yield "Orbax folder", "orbax/7", [], plain, same
    yield "Orbax folder, --raw", "orbax/7/default", ["--raw"], plain, other


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"FAIL {' '.join(map(str, command))}: {done.stderr[-2000:]}")
    return done.stdout


def main():
    from safetensors.numpy import load_file

    effnet = sys.argv[1]
    model = keras_model()
    tensors = {timm_name(w.path): ours(timm_name(w.path), w) for w in model.weights[3:]}
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        levels = np.clip((formula.images(0, 1, SIDE) + 1.25) * 102, 0, 255).astype(np.uint8)
        (work / "picture.png").write_bytes(tf.io.encode_png(levels[0]).numpy())
        wanted = np.asarray(model(levels.astype(np.float32), training=False))[0]
        for what, path, convert, settings, change in forms(model, tensors, work):
            raw, out = work / "raw.safetensors", work / "out.safetensors"
            run(sys.executable, CONVERT, work / path, raw, *convert)
            settings = [f"resolution={SIDE}", "val_crop=none", *settings]
            run(effnet, "import", raw, out, *[word for setting in settings for word in ("--set", setting)])
            imported = load_file(out)
            if set(imported) != set(tensors):
                print(f"FAIL {what}: other tensors: {sorted(set(imported) ^ set(tensors))[:4]}")
                failures += 1
                continue
            differing = [name for name, value in tensors.items() if not np.array_equal(imported[name], change(value))]
            rows = json.loads(run(effnet, "predict", out, work / "picture.png", "--topk", CLASSES, "--json"))[0]["topk"]
            scores = np.zeros(CLASSES)
            for row in rows:
                scores[row["index"]] = row["score"]
            distance = np.abs(scores - wanted).max() if change(1.0) == 1 else 0.0
            print(f"{what}: {len(imported)} tensors, {len(differing)} differ; probabilities {distance:.1e} apart")
            if differing or not distance <= 1e-5:
                print(f"FAIL {what}: {differing[:4]}, {scores}, {wanted}")
                failures += 1
    assert wanted.max() < 0.9, "a picture that Keras is certain of tells little"
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
