#!/usr/bin/env python3
"""Weights of PyTorch, Keras and TensorFlow as safetensors, names and layouts untouched: `effnet import` knows them.

    tools/convert.py WEIGHTS OUT.safetensors

    .pth .pt .bin           a state_dict, alone or under "state_dict", "model", "state_dict_ema" (--key NAME chooses)
    .keras .h5 .weights.h5  whole models and weights of keras.applications.EfficientNet*; a .weights.h5 numbers its
                            layers and needs --model EfficientNetB0
    a TensorFlow checkpoint the path before ".index": .../model.ckpt-109400
    .msgpack, checkpoint_N  Flax variables or a trainer's state (flax.serialization), as jax_examples' model has them
    an Orbax folder         the state that jax_examples' trainer saves: WORKDIR/STEP, or WORKDIR/STEP/default

Of a Flax trainer's state the averages (ema_state, ema_batch_stats) are taken where it has them, as its evaluation does;
--raw takes the weights that were not averaged. TensorFlow's averages travel beside the weights, and `effnet import` takes
them.

Needs safetensors and numpy, and torch, h5py or keras, tensorflow, flax, orbax-checkpoint for what it reads. Nothing of a
.pth file is executed: torch.load runs with weights_only. tests/golden/check_convert.py makes a file of every kind but
.pth and compares; versions: tests/golden/requirements.txt.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import os
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file


def from_torch(path, key):
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if key:
        loaded = loaded[key]
    else:
        for wrapper in ("state_dict_ema", "model_ema", "state_dict", "model"):
            if isinstance(loaded.get(wrapper), dict):
                print(f"convert.py: taking '{wrapper}' of {sorted(map(str, loaded))[:8]}", file=sys.stderr)
                loaded = loaded[wrapper]
                break
    tensors = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in tensors.items()}


def from_keras(path, model_name):
    os.environ.setdefault("KERAS_BACKEND", "jax" if has_module("jax") else "tensorflow")
    if model_name:
        import keras

        model = getattr(keras.applications, model_name)(weights=None, classes=classes_of(path))
        model.load_weights(path)
    elif is_keras_model(path):
        import keras

        model = keras.saving.load_model(path, compile=False)
    else:
        return from_h5(path)
    return {weight.path: np.asarray(weight) for weight in model.weights}


def classes_of(path):
    """Columns of the only matrix in an .h5 file of weights, which is the classifier's."""
    import h5py

    matrices = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: matrices.append(item.shape)
                        if isinstance(item, h5py.Dataset) and item.ndim == 2 else None)
    if len(matrices) != 1:
        sys.exit(f"convert.py: '{path}' has {len(matrices)} matrices; EfficientNet has one, its classifier")
    return int(matrices[0][1])


def is_keras_model(path):
    """A whole model rather than weights: a .keras archive, or an .h5 file with the model's configuration."""
    if path.endswith(".keras"):
        return True
    import h5py

    with h5py.File(path, "r") as file:
        return "model_config" in file.attrs


def from_h5(path):
    """Weights alone, in either of Keras's forms: LAYER/LAYER/kernel:0 of the .h5 files that keras.applications
    downloads, or layers/LAYER/vars/0 of .weights.h5, whose numbers only the model can turn into names."""
    import h5py

    tensors = {}
    with h5py.File(path, "r") as file:
        if "layer_names" not in file.attrs:
            sys.exit(f"convert.py: '{path}' names no layers; say which model it is of: --model EfficientNetB0")
        for layer in file.attrs["layer_names"]:
            layer = layer.decode() if isinstance(layer, bytes) else layer
            for weight in file[layer].attrs["weight_names"]:
                weight = weight.decode() if isinstance(weight, bytes) else weight
                leaf = weight.split(":")[0].rsplit("/", 1)[-1]
                tensors[f"{layer}/{leaf.replace('depthwise_kernel', 'kernel')}"] = np.asarray(file[layer][weight])
    return tensors


def from_tensorflow(path):
    import tensorflow

    reader = tensorflow.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def from_msgpack(path, raw):
    from flax import serialization

    with open(path, "rb") as file:
        return flatten_flax(serialization.msgpack_restore(file.read()), raw)


def from_orbax(path, raw):
    import jax
    import orbax.checkpoint as ocp

    path = pathlib.Path(path).resolve()
    if (path / "default").is_dir():
        path = path / "default"  # a step of a CheckpointManager
    handler = ocp.PyTreeCheckpointHandler()
    reader = ocp.Checkpointer(handler)
    found = reader.metadata(path)
    # As arrays of numpy, whatever devices they were spread over
    described = getattr(getattr(found, "item_metadata", found), "tree", getattr(found, "item_metadata", found))
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), described,
                             is_leaf=lambda node: hasattr(node, "shape"))
    return flatten_flax(reader.restore(path, ocp.args.PyTreeRestore(restore_args=arguments)), raw)


def flatten_flax(tree, raw):
    """params/PATH and batch_stats/PATH; of a trainer's state the averages, where it has them."""
    from flax import serialization, traverse_util

    tree = serialization.to_state_dict(tree)
    if "params" in tree:
        chosen = {"params": tree["params"], "batch_stats": tree.get("batch_stats") or {}}
        for name, average in (("params", "ema_state"), ("batch_stats", "ema_batch_stats")):
            averaged = (tree.get(average) or {}).get("ema")
            if averaged and not raw:
                print(f"convert.py: taking '{average}' for '{name}'", file=sys.stderr)
                chosen[name] = averaged
        tree = chosen
    return {"/".join(map(str, keys)): np.asarray(value)
            for keys, value in traverse_util.flatten_dict(tree).items() if hasattr(value, "shape")}


def is_msgpack(path):
    """A map of 1 to 15 entries, as Flax's serialization begins. (A pickle begins with 0x80, a new .pth with PK.)"""
    with open(path, "rb") as file:
        first = file.read(1)
    return path.endswith(".msgpack") or first[:1] in [bytes([0x80 + entries]) for entries in range(1, 16)]


def has_module(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


def read(path, arguments):
    if path.endswith((".keras", ".h5", ".hdf5")):
        return from_keras(path, arguments.model)
    if path.endswith(".index") or pathlib.Path(path + ".index").exists():
        return from_tensorflow(path.removesuffix(".index"))
    if pathlib.Path(path).is_dir():
        return from_orbax(path, arguments.raw)
    if not pathlib.Path(path).exists():
        sys.exit(f"convert.py: there is no '{path}', and no '{path}.index' of a TensorFlow checkpoint")
    if is_msgpack(path):
        return from_msgpack(path, arguments.raw)
    return from_torch(path, arguments.key)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out")
    parser.add_argument("--model", help="of keras.applications, for a file of weights alone: EfficientNetB0")
    parser.add_argument("--key", help="which entry of a .pth file holds the state_dict")
    parser.add_argument("--raw", action="store_true", help="of a Flax trainer's state: not the averages")
    arguments = parser.parse_args()
    tensors = {}
    for name, value in read(arguments.weights, arguments).items():
        if value.dtype.kind not in "fiub":
            continue  # TensorFlow keeps strings beside its variables
        if value.dtype.itemsize < 4 and value.dtype.kind == "f":
            value = value.astype(np.float32)
        tensors[name] = np.ascontiguousarray(value)
    if not tensors:
        sys.exit(f"convert.py: there is no tensor in '{arguments.weights}'")
    save_file(tensors, arguments.out, metadata={"format": "pt"})
    print(f"{arguments.out}: {len(tensors)} tensors, {sum(t.size for t in tensors.values()):,} numbers")


if __name__ == "__main__":
    main()
