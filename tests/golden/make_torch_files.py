#!/usr/bin/env python3
"""Small files that torch.save wrote, for tests/unit/format/test_torch_file.c: tests/golden/torch/*.

    make_torch_files.py [FOLDER]        (needs torch and numpy; the files here are of PyTorch 2.15)

Values are small whole numbers and quarters, exact in every type, so that the test knows them by a formula.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import collections
import io
import os
import pathlib
import sys
import zipfile

import numpy as np
import torch

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "torch")
folder.mkdir(exist_ok=True)


class Command:
    """Unpickled by the usual way it makes a file."""

    def __reduce__(self):
        return os.system, ("touch ran-from-a-pickle",)


def numbers(*shape, begin=0):
    """begin, begin + .25, ... row by row"""
    return torch.arange(begin, begin + int(np.prod(shape)) / 4, 0.25).reshape(shape)


def types():
    whole = numbers(4, 6)
    return collections.OrderedDict(
        f32=numbers(2, 3), f16=numbers(2, 3).half(), bf16=numbers(2, 3).bfloat16(), f64=numbers(2, 3).double(),
        i64=torch.arange(-2, 4), i32=torch.arange(-2, 4, dtype=torch.int32), u8=torch.arange(250, 256, dtype=torch.uint8),
        flags=torch.tensor([True, False]), scalar=torch.tensor(7), empty=torch.zeros(0, 3),
        turned=numbers(3, 4).t(), channels_last=numbers(2, 3, 2, 2).to(memory_format=torch.channels_last),
        expanded=numbers(3, 1).expand(3, 4), row=whole[2], column=whole[:, 1], half_of=whole[1:3, 2:5],
        parameter=torch.nn.Parameter(numbers(2, 2, begin=5)))


def big_endian(path, out):
    """The same file as a machine of the other byte order would write it."""
    sizes = {}
    class Find(torch.serialization.pickle.Unpickler):
        def persistent_load(self, identity):
            sizes[identity[2]] = torch.empty(0, dtype=identity[1].dtype).element_size()
            return torch.UntypedStorage(0)
        def find_class(self, module, name):
            if module == "torch._utils":
                return lambda *arguments: None
            return super().find_class(module, name)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        root = source.namelist()[0].split("/")[0]
        Find(io.BytesIO(source.read(f"{root}/data.pkl"))).load()
        for name in source.namelist():
            data = source.read(name)
            key = name.split("/")[-1]
            if name.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in name:
                data = np.frombuffer(data, f"V{sizes[key]}").tobytes() if sizes[key] == 1 else \
                    np.frombuffer(data, f"u{sizes[key]}").byteswap().tobytes()
            copy.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def module():
    root = torch.nn.Sequential(collections.OrderedDict(
        conv_stem=torch.nn.Conv2d(1, 2, 1, bias=False), bn1=torch.nn.BatchNorm2d(2)))
    with torch.no_grad():
        root.conv_stem.weight.copy_(numbers(2, 1, 1, 1, begin=3))
    return root


state = {"conv_stem.weight": numbers(2, 3), "n_averaged": torch.tensor(3)}
average = {"module.conv_stem.weight": numbers(2, 3, begin=8)}
checkpoint = {"epoch": 3, "arch": "tf_efficientnet_b0.in1k", "state_dict": state, "state_dict_ema": average,
              "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
              "metric": np.float64(71.25), "when": {1, 2}, "big": 1 << 80,
              "args": argparse.Namespace(model="other", mean=[0.5, 0.5, 0.5], std=None, img_size=160,
                                         out=pathlib.PurePosixPath("x"))}
torch.save(types(), folder / "types.pth")
torch.save(types(), folder / "types_old.pth", _use_new_zipfile_serialization=False)
torch.save(types(), folder / "types_protocol4.pth", pickle_protocol=4)
big_endian(folder / "types.pth", folder / "types_big_endian.pth")
torch.save(checkpoint, folder / "timm.pth.tar")
torch.save(module(), folder / "module.pth")
torch.save({"state_dict": state, "extra": Command()}, folder / "command.pth")
torch.save({"alpha": {"beta": {"gamma": state}}, "epoch": 3}, folder / "strange.pth")
torch.jit.script(torch.nn.Linear(1, 1)).save(folder / "program.pt")
print(sum(path.stat().st_size for path in folder.iterdir()), "bytes")
