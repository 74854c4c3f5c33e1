#!/usr/bin/env python3
"""Weights of PyTorch, Keras and TensorFlow as safetensors, names and layouts untouched: `effnet import` knows them.

    tools/convert.py WEIGHTS OUT.safetensors

    .pth .pt .bin .tar .ckpt  a state_dict, alone or as the checkpoints of timm, torchvision, Lightning and others hold it
                            ("state_dict", "model", "net", ...), averaged ("state_dict_ema", "model_ema") before others;
                            a whole module; --key NAME or NAME.NAME chooses
    .keras .h5 .weights.h5  whole models and weights of keras.applications.EfficientNet*; a .weights.h5 numbers its
                            layers and needs --model EfficientNetB0
    a TensorFlow checkpoint the path before ".index": .../model.ckpt-109400
    .msgpack, checkpoint_N  Flax variables or a trainer's state (flax.serialization), as jax_examples' model has them
    an Orbax folder         the state that jax_examples' trainer saves: WORKDIR/STEP, or WORKDIR/STEP/default

Of a Flax trainer's state the averages (ema_state, ema_batch_stats) are taken where it has them, as its evaluation does;
--raw takes the weights that were not averaged. TensorFlow's averages travel beside the weights, and `effnet import` takes
them.

Needs safetensors and numpy, and torch, h5py or keras, tensorflow, flax, orbax-checkpoint for what it reads. Nothing of a
.pth file is executed: of anything that is no tensor only what the file says is kept. tests/golden/check_convert.py makes a file of every kind but
.pth and compares; versions: tests/golden/requirements.txt.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import json
import os
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file


class Inert:
    """What stands for any object of a .pth file that is no tensor: it keeps what the file says of it and does nothing.
    argparse.Namespace, NumPy's scalars, Lightning's and OmegaConf's settings, whole modules are all read as this."""

    def __init__(self, *arguments, **settings):
        self.__dict__.update(settings)

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[0] or state[1], dict):
            state = {**(state[0] or {}), **(state[1] or {})}
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    def add(self, value):
        pass


def inert_pickle():
    """A pickle module for torch.load that builds tensors and plain containers, and of anything else an Inert: no name that
    a file gives is looked up or called."""
    import collections
    import pickle
    import types

    import torch

    known = {("collections", "OrderedDict"): collections.OrderedDict, ("torch", "Size"): torch.Size,
             ("torch", "device"): torch.device}
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"):
        if hasattr(torch._utils, name):
            known["torch._utils", name] = getattr(torch._utils, name)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) in known:
                return known[module, name]
            found = getattr(torch, name, None) if module == "torch" and name.isidentifier() else None
            if isinstance(found, torch.dtype) or (module == "torch" and name.endswith("Storage") and found):
                return found
            return type(name if name.isidentifier() else "Inert", (Inert,), {})

    def load(file, **arguments):
        return Unpickler(file, **arguments).load()

    stand_in = types.ModuleType("inert_pickle")
    stand_in.Unpickler, stand_in.load, stand_in.UnpicklingError = Unpickler, load, pickle.UnpicklingError
    stand_in.loads = None
    return stand_in


AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema")
WEIGHTS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "net_state_dict")


def module_state(module, prefix=""):
    """The state_dict of a whole module that was saved as an object."""
    tensors = {}
    for kind in ("_parameters", "_buffers"):
        for name, value in (getattr(module, kind, None) or {}).items():
            if value is not None:
                tensors[prefix + name] = value
    for name, child in (getattr(module, "_modules", None) or {}).items():
        if child is not None:
            tensors.update(module_state(child, f"{prefix}{name}."))
    return tensors


def as_dict(value):
    if isinstance(value, Inert) and hasattr(value, "_modules"):
        return module_state(value)
    return value if isinstance(value, dict) else None


def tensors_of(entry):
    import torch

    return {str(name): value for name, value in (as_dict(entry) or {}).items() if isinstance(value, torch.Tensor)}


def describe(value):
    entry = as_dict(value)
    if entry is not None:
        tensors = len(tensors_of(entry))
        return f"{tensors} tensors" if tensors else f"{len(entry)} entries"
    return type(value).__name__


def list_keys(path, loaded):
    entry = as_dict(loaded)
    if entry is None:
        return f"'{path}' holds a {type(loaded).__name__} and no dictionary"
    keys = ", ".join(f"{key} ({describe(value)})" for key, value in list(entry.items())[:20])
    return f"'{path}' has these keys: {keys}{', ...' if len(entry) > 20 else ''}; say which by --key KEY, or KEY.KEY"


def entry_at(path, loaded, key):
    """The entry called `key`, or that is at it, part by part."""
    entry = as_dict(loaded)
    if entry is not None and key in entry:
        return entry[key]
    for count, part in enumerate(key.split(".")):
        entry = as_dict(loaded)
        if entry is None or part not in entry:
            sys.exit(f"convert.py: there is no '{key}': {list_keys(path, loaded)}")
        loaded = entry[part]
    return loaded


def choose_state(path, loaded, raw):
    """The weights, averaged ones before others, wherever the usual programs put them."""
    for depth in range(4):
        entry = as_dict(loaded)
        if entry is None:
            break
        for wrapper in (() if raw else AVERAGES) + WEIGHTS:
            if tensors_of(entry.get(wrapper)) or (depth < 3 and any(map(tensors_of, (as_dict(entry.get(wrapper)) or
                                                                                    {}).values()))):
                left = [name for name in AVERAGES + WEIGHTS if name != wrapper and tensors_of(entry.get(name))]
                kind = "the averaged weights" if wrapper in AVERAGES else "weights that were not averaged"
                print(f"convert.py: taking '{wrapper}', {kind}" + (f"; left: {', '.join(left)}" if left else ""),
                      file=sys.stderr)
                loaded = entry[wrapper]
                break
        else:
            break
    if not tensors_of(loaded):
        sys.exit(f"convert.py: no weights found: {list_keys(path, loaded)}")
    return loaded


def settings_of(loaded):
    """What a trainer's checkpoint says of its model, as timm's config.json would: `effnet import` obeys it."""
    entry = as_dict(loaded) or {}
    arguments = entry.get("args") or entry.get("hyper_parameters")
    given = arguments if isinstance(arguments, dict) else getattr(arguments, "__dict__", {})
    architecture = entry.get("arch") or given.get("model") or given.get("arch")
    if not isinstance(architecture, str):
        return {}
    pictures = {}
    for name in ("mean", "std", "crop_pct", "interpolation", "input_size"):
        value = given.get(name)
        if value and (isinstance(value, (int, float)) or name in ("mean", "std", "input_size") or
                      value in ("bilinear", "bicubic")):
            pictures[name] = list(value) if isinstance(value, (tuple, list)) else value
    side = given.get("img_size")
    if isinstance(side, int) and "input_size" not in pictures:
        pictures["input_size"] = [3, side, side]
    name, _, tag = architecture.partition(".")
    return {"config": json.dumps({"architecture": name, "pretrained_cfg": {**pictures, **({"tag": tag} if tag else {})}})}


def from_torch(path, key, raw):
    import torch

    with open(path, "rb") as file:
        begin = file.read(512)
    if begin[8:9] == b"{" and begin[:8].rstrip(b"\0") and b'"dtype"' in begin:
        sys.exit(f"convert.py: '{path}' is a safetensors file already: give it to effnet import")
    if begin.startswith(b"version https://git-lfs"):
        sys.exit(f"convert.py: '{path}' is a Git LFS pointer, not the weights: git lfs pull, or download the file itself")
    if begin.lstrip()[:1] == b"<":
        sys.exit(f"convert.py: '{path}' is a web page, not the weights: download the file itself")
    try:
        loaded = torch.load(path, map_location="cpu", pickle_module=inert_pickle(), weights_only=False)
    except Exception as error:  # noqa: BLE001, whatever torch makes of a strange or damaged file
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        sys.exit(f"convert.py: '{path}' cannot be read as a .pth file: {first[:200]}")
    chosen = entry_at(path, loaded, key) if key else choose_state(path, loaded, raw)
    if not tensors_of(chosen):
        sys.exit(f"convert.py: no tensor at '{key}': {list_keys(path, chosen)}")
    tensors = {name: value.detach() for name, value in tensors_of(chosen).items() if name != "n_averaged"}
    return ({name: (value.float() if value.is_floating_point() else value).numpy() for name, value in tensors.items()},
            settings_of(loaded))


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
    return from_torch(path, arguments.key, arguments.raw)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out")
    parser.add_argument("--model", help="of keras.applications, for a file of weights alone: EfficientNetB0")
    parser.add_argument("--key", help="which entry of a .pth file holds the state_dict")
    parser.add_argument("--raw", action="store_true", help="not the averages, of a trainer's state that has both")
    arguments = parser.parse_args()
    tensors = {}
    found = read(arguments.weights, arguments)
    values, settings = found if isinstance(found, tuple) else (found, {})
    for name, value in values.items():
        if value.dtype.kind not in "fiub":
            continue  # TensorFlow keeps strings beside its variables
        if value.dtype.itemsize < 4 and value.dtype.kind == "f":
            value = value.astype(np.float32)
        tensors[name] = np.array(value, order="C")
    if not tensors:
        sys.exit(f"convert.py: there is no tensor in '{arguments.weights}'")
    save_file(tensors, arguments.out, metadata={"format": "pt", **settings})
    print(f"{arguments.out}: {len(tensors)} tensors, {sum(t.size for t in tensors.values()):,} numbers")


if __name__ == "__main__":
    main()
