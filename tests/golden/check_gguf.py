"""check_gguf.py MINE.gguf MINE.safetensors: what the gguf package of ggml reads of our file, beside the same weights as
safetensors. Prints tensors, the largest difference, and 'good'."""
import json
import sys

import gguf
import numpy


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    card = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return tensors, card


reader = gguf.GGUFReader(sys.argv[1])
wanted, card = read_safetensors(sys.argv[2])


def value(key):
    return reader.get_field(key).contents()


assert value("general.architecture") == "efficientnet"
assert value("general.name") == card["effnet.model"]
assert value("efficientnet.resolution") == int(card["effnet.resolution"])
assert value("efficientnet.class_names") == json.loads(card["effnet.class_names"])
assert numpy.allclose(value("efficientnet.mean"), json.loads(card["effnet.mean"]), atol=1e-7)
assert numpy.allclose(value("efficientnet.std"), json.loads(card["effnet.std"]), atol=1e-7)
assert len(json.loads(value("effnet.golden_logits"))) == int(card["effnet.num_classes"])
names = {tensor.name for tensor in reader.tensors}
assert names == set(wanted), names ^ set(wanted)
worst, half = 0.0, 0
for tensor in reader.tensors:
    expected = wanted[tensor.name]
    half += tensor.tensor_type == gguf.GGMLQuantizationType.F16
    found = numpy.asarray(tensor.data, dtype=numpy.float32)
    assert found.shape == expected.shape, (tensor.name, found.shape, expected.shape)
    rounded = expected.astype(numpy.float16).astype(numpy.float32) if tensor.tensor_type == 1 else expected
    worst = max(worst, float(numpy.abs(found - rounded).max()))
assert half == (sum(t.ndim > 1 for t in wanted.values()) if value("general.file_type") == 1 else 0), half
assert worst == 0, worst
print(len(names), "tensors,", half, "in float16, all the same: good")
