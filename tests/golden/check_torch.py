#!/usr/bin/env python3
"""Checkpoints as PyTorch's programs write them, through tools/convert.py and `effnet import`.

    check_torch.py EFFNET        (the program; needs torch, safetensors, numpy)

Some of EfficientNet-B0's tensors with random values go in, and must come out bit for bit (half precision as floats):
those of timm's train.py (argparse.Namespace, state_dict_ema), torchvision's references (model_ema with n_averaged and "module."), Lightning's (hyper_parameters, "model." before names),
"net", "model_state_dict", NumPy's scalars, a whole module as an object, another key by --key; and a file that would run a
command. Exit status 77 where a package is missing, 1 where anything differs.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import safetensors  # noqa: F401, for tools/convert.py
    import torch
    from safetensors.numpy import load_file
except ImportError as error:
    print(f"skipped: {sys.executable}: {error}; pip install -r tests/golden/requirements.txt")
    sys.exit(77)

CONVERT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "convert.py"


class Command:
    """Unpickled by the usual way it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def convert(source, out, *options):
    return subprocess.run([sys.executable, str(CONVERT), str(source), str(out), *options], capture_output=True, text=True)


def header(path):
    with open(path, "rb") as file:
        return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


def module_of(state):
    """A module whose parameters have these names, to be saved as an object."""
    root = torch.nn.Module()
    for name, value in state.items():
        *path, leaf = name.split(".")
        place = root
        for part in path:
            if part not in place._modules:
                place.add_module(part, torch.nn.Module())
            place = place._modules[part]
        if value.is_floating_point() and "running" not in leaf:
            place.register_parameter(leaf, torch.nn.Parameter(value))
        else:
            place.register_buffer(leaf, value)
    return root


def main():
    effnet, folder = sys.argv[1], pathlib.Path(tempfile.mkdtemp())
    torch.manual_seed(0)
    state = {"conv_stem.weight": torch.randn(32, 3, 3, 3), "bn1.weight": torch.rand(32), "bn1.bias": torch.randn(32),
             "bn1.running_mean": torch.randn(32), "bn1.running_var": torch.rand(32),
             "bn1.num_batches_tracked": torch.tensor(7), "classifier.weight": torch.randn(3, 1280).half(),
             "classifier.bias": torch.randn(3)}
    average = {name: value * 0.5 if value.is_floating_point() else value for name, value in state.items()}
    module = {f"module.{name}": value for name, value in average.items()}
    arguments = argparse.Namespace(model="tf_efficientnet_b0", lr=0.1, mean=[0.5, 0.5, 0.5], std=None, img_size=160,
                                   out=pathlib.PosixPath("x"))
    cases = {
        "timm.pth.tar": ({"epoch": 3, "arch": "tf_efficientnet_b0.in1k", "state_dict": state, "optimizer": {"state": {}},
                          "metric": np.float64(71.2), "args": arguments, "state_dict_ema": average}, average, []),
        "timm_raw.pth.tar": ({"state_dict": state, "args": arguments, "state_dict_ema": average}, state, ["--raw"]),
        "torchvision.pth": ({"model": state, "args": arguments, "model_ema": {"n_averaged": torch.tensor(3), **module}},
                            module, []),
        "lightning.ckpt": ({"state_dict": {f"model.{name}": value for name, value in state.items()}, "epoch": 1,
                            "hyper_parameters": {"lr": np.float32(0.1), "name": arguments}},
                           {f"model.{name}": value for name, value in state.items()}, []),
        "net.pth": ({"net": state, "acc": np.float32(91.5), "epoch": np.int64(3)}, state, []),
        "model_state_dict.pth": ({"model_state_dict": state, "epoch": 5}, state, []),
        "nested.pth": ({"state": {"weights": state}}, state, ["--key", "state.weights"]),
        "bare.pth": (state, state, []),
        "module.pth": (module_of(state), state, []),
        "legacy.pth": ({"state_dict": state}, state, []),
        "hostile.pth": ({"state_dict": state, "extra": Command(folder / "ran")}, state, []),
    }
    failures = 0
    for name, (saved, wanted, options) in cases.items():
        torch.save(saved, folder / name, _use_new_zipfile_serialization=name != "legacy.pth")
        out = folder / (name + ".safetensors")
        done = convert(folder / name, out, *options)
        got = load_file(out) if done.returncode == 0 else {}
        good = done.returncode == 0 and set(got) == set(wanted) and all(
            np.array_equal(got[key], value.float().numpy() if value.is_floating_point() else value.numpy())
            for key, value in wanted.items())
        if good and name == "timm.pth.tar":
            config = json.loads(header(out)["__metadata__"]["config"])
            good = config == {"architecture": "tf_efficientnet_b0", "pretrained_cfg": {
                "mean": [0.5, 0.5, 0.5], "input_size": [3, 160, 160], "tag": "in1k"}}
            good = good and "averaged" in done.stderr and "state_dict" in done.stderr
        if name == "hostile.pth":
            good = good and not (folder / "ran").exists()
        print(f"{'ok' if good else 'FAIL'} {name}: {done.stderr.strip()}")
        failures += not good
    refused = {
        "strange.pth": ({"alpha": {"beta": state}, "epoch": 3}, ["alpha", "--key"]),
        "numbers.pth": ([1, 2], ["list"]),
    }
    for name, (saved, parts) in refused.items():
        torch.save(saved, folder / name)
        done = convert(folder / name, folder / "out.safetensors")
        good = done.returncode != 0 and all(part in done.stderr for part in parts) and "Traceback" not in done.stderr
        print(f"{'ok' if good else 'FAIL'} {name}: {done.stderr.strip()}")
        failures += not good
    for name, bytes_, part in (("page.pth", b"<!DOCTYPE html>\n<html>", "web page"), ("junk.pth", b"junk" * 99, "cannot be"),
                               ("pointer.pth", b"version https://git-lfs.github.com/spec/v1\n", "LFS pointer")):
        (folder / name).write_bytes(bytes_)
        done = convert(folder / name, folder / "out.safetensors")
        good = done.returncode != 0 and part in done.stderr and "Traceback" not in done.stderr
        print(f"{'ok' if good else 'FAIL'} {name}: {done.stderr.strip()}")
        failures += not good

    # What timm's checkpoint says of its model is obeyed: the refusal names the architecture, not that it is unknown.
    done = subprocess.run([effnet, "import", str(folder / "timm.pth.tar.safetensors"), str(folder / "x.safetensors")],
                          capture_output=True, text=True)
    if "efficientnet_b0" not in done.stderr or "nothing says" in done.stderr:
        print(f"FAIL import: {done.stderr}")
        failures += 1
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
