#!/usr/bin/env python3
"""write_torch.py IN.safetensors OUT.pth [WRAPPER...]: the tensors of a safetensors file of fp32 as torch.save writes a
state_dict (a zip archive of a pickle and of the storages), under the keys WRAPPER, the outermost first. Without torch:
the names in the pickle are those of stand-ins of its functions.

SPDX-License-Identifier: Apache-2.0"""

import collections
import io
import json
import pickle
import struct
import sys
import types
import zipfile


def stand_in(module, name, value):
    value.__module__, value.__qualname__, value.__name__ = module, name, name
    for at in range(1, module.count(".") + 2):
        path = ".".join(module.split(".")[:at])
        sys.modules.setdefault(path, types.ModuleType(path))
    setattr(sys.modules[module], name, value)
    return value


FloatStorage = stand_in("torch", "FloatStorage", type("FloatStorage", (), {}))
rebuild = stand_in("torch._utils", "_rebuild_tensor_v2", lambda *arguments: None)


class Storage:
    def __init__(self, key, count):
        self.key, self.count = key, count


class Tensor:
    def __init__(self, storage, shape):
        strides = [1] * len(shape)
        for d in range(len(shape) - 2, -1, -1):
            strides[d] = strides[d + 1] * shape[d + 1]
        self.call = rebuild, (storage, 0, tuple(shape), tuple(strides), False, collections.OrderedDict())

    def __reduce__(self):
        return self.call


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", FloatStorage, value.key, "cpu", value.count) if isinstance(value, Storage) else None


with open(sys.argv[1], "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    data = file.read()
header.pop("__metadata__", None)
state, storages = collections.OrderedDict(), []
for number, (name, tensor) in enumerate(header.items()):
    begin, end = tensor["data_offsets"]
    state[name] = Tensor(Storage(str(number), (end - begin) // 4), tensor["shape"])
    storages.append(data[begin:end])
for wrapper in reversed(sys.argv[3:]):
    state = {"epoch": 3, wrapper: state}
buffer = io.BytesIO()
Pickler(buffer, protocol=2).dump(state)
with zipfile.ZipFile(sys.argv[2], "w") as archive:
    archive.writestr("archive/data.pkl", buffer.getvalue())
    archive.writestr("archive/byteorder", b"little")
    for number, values in enumerate(storages):
        archive.writestr(f"archive/data/{number}", values)
    archive.writestr("archive/version", b"3\n")
