#!/usr/bin/env python3
"""Weights of PyTorch, Keras and TensorFlow as safetensors, names and layouts untouched: `effnet import` knows them.

    tools/convert.py WEIGHTS OUT.safetensors

    .pth .pt .bin           a state_dict, alone or under "state_dict", "model", "state_dict_ema" (--key NAME chooses)
    .keras .h5 .weights.h5  whole models and weights of keras.applications.EfficientNet*; --model for weights alone
    a TensorFlow checkpoint the path before ".index": .../model.ckpt-109400
    .msgpack                Flax variables (flax.serialization), as jax_examples' model has them

Needs safetensors and numpy, and torch, h5py or keras, tensorflow, flax for what it reads. Nothing of a .pth file is
executed: torch.load runs with weights_only. Versions it was tried with: tests/golden/requirements.txt.

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

        model = getattr(keras.applications, model_name)(weights=None)
        model.load_weights(path)
    elif is_keras_model(path):
        import keras

        model = keras.saving.load_model(path, compile=False)
    else:
        return from_h5(path)
    return {weight.path: np.asarray(weight) for weight in model.weights}


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


def from_flax(path):
    from flax import serialization, traverse_util

    with open(path, "rb") as file:
        tree = serialization.msgpack_restore(file.read())
    return {"/".join(map(str, keys)): np.asarray(value)
            for keys, value in traverse_util.flatten_dict(tree).items() if hasattr(value, "shape")}


def has_module(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


def read(path, arguments):
    if path.endswith((".keras", ".h5", ".hdf5")):
        return from_keras(path, arguments.model)
    if path.endswith(".msgpack"):
        return from_flax(path)
    if path.endswith(".index") or pathlib.Path(path + ".index").exists():
        return from_tensorflow(path.removesuffix(".index"))
    return from_torch(path, arguments.key)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out")
    parser.add_argument("--model", help="of keras.applications, for a file of weights alone: EfficientNetB0")
    parser.add_argument("--key", help="which entry of a .pth file holds the state_dict")
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
