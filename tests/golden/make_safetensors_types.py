#!/usr/bin/env python3
"""Makes safetensors_types.safetensors with the official library: one small tensor of every element type that
src/format/safetensors_read.c converts, and two that it must leave alone. Run: python make_safetensors_types.py
(safetensors 0.8.0, torch 2.15). tests/unit/format/test_safetensors.c knows the values."""
import pathlib
import torch
from safetensors.torch import save_file

values = [0.0, -1.0, 1.5, 3.0]
tensors = {
    "f32": torch.tensor([values], dtype=torch.float32),
    "f16": torch.tensor(values + [6.103515625e-05, 5.9604644775390625e-08, 65504.0, float("inf")], dtype=torch.float16),
    "bf16": torch.tensor(values, dtype=torch.bfloat16).reshape(2, 2),
    "f64": torch.tensor(values + [1e300], dtype=torch.float64),
    "i64": torch.tensor([-3, 1 << 40], dtype=torch.int64),
    "i32": torch.tensor([-3, 2147483647], dtype=torch.int32),
    "u8": torch.tensor([0, 255], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "i16": torch.tensor([7], dtype=torch.int16),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
}
save_file(tensors, pathlib.Path(__file__).with_name("safetensors_types.safetensors"),
          metadata={"format": "pt", "note": "äöü \"quoted\""})
