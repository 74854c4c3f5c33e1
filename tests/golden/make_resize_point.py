#!/usr/bin/env python3
"""What TensorFlow and PyTorch make of boxes of a picture by formula: make_resize_point.py tensorflow|torch writes
resize_tensorflow.txt or resize_torch.txt beside itself, read by tests/unit/data/test_resize_point.c. With

    make_resize_point.py tensorflow|torch FOLDER N EFFNET_RESIZE

it compares on the first N photographs of FOLDER instead: EFFNET_RESIZE is build/tests/resize_tool.

tensorflow-cpu 2.21.0: tf.image.resize (method tensorflow) and tf.compat.v1.image.resize_{bicubic,bilinear} with
align_corners=False (tensorflow1). torch 2.15.0: interpolate without antialias (torch), and torchvision's own resize of a
uint8 tensor with antialias, which is Pillow's (pillow). Values are levels in float32, not clipped.

SPDX-License-Identifier: Apache-2.0"""

import pathlib
import subprocess
import sys

import numpy as np

HEIGHT, WIDTH = 97, 131
BOXES = [(0, 0, 97, 131, 13), (3, 5, 40, 30, 14), (20, 60, 31, 70, 12), (50, 90, 7, 9, 15), (90, 0, 7, 131, 11),
         (0, 130, 97, 1, 10), (0, 0, 97, 131, 9)]


def pattern():
    """pattern_level of tests/unit/data/make_pictures.h."""
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    hashed = (x * 73856093 ^ y * 19349663 ^ c * 83492791) & 0xFFFFFFFF
    level = np.abs((x * 3 + y * 2 + c * 40) % 256 - 128) + (hashed >> 7 & 63)
    level = np.where((x // 11 + y // 7) % 5 == 0, np.where(x // 11 % 2, 255, 0), level)
    return np.minimum(level, 255).astype(np.uint8)


def tensorflow_methods():
    import tensorflow as tf

    v1 = {"bicubic": tf.compat.v1.image.resize_bicubic, "bilinear": tf.compat.v1.image.resize_bilinear}

    def modern(box, side, name):
        return tf.image.resize(box[None].astype(np.float32), [side, side], method=name).numpy()[0]

    def legacy(box, side, name):
        return v1[name](box[None].astype(np.float32), [side, side], align_corners=False).numpy()[0]

    return {"tensorflow": modern, "tensorflow1": legacy}


def torch_methods():
    import torch

    def plain(box, side, name):
        picture = torch.from_numpy(box.astype(np.float32)).permute(2, 0, 1)[None]
        return torch.nn.functional.interpolate(picture, (side, side), mode=name)[0].permute(1, 2, 0).numpy()

    return {"torch": plain}


def torchvision_method():
    import torch
    from torchvision.transforms.v2 import functional

    def antialiased(box, side, name):
        picture = torch.from_numpy(box.copy()).permute(2, 0, 1)
        mode = getattr(functional.InterpolationMode, name.upper())
        return functional.resize(picture, [side, side], mode, antialias=True).permute(1, 2, 0).numpy()

    return {"pillow": antialiased}


def write(which, methods):
    picture = pattern()
    with open(pathlib.Path(__file__).with_name(f"resize_{which}.txt"), "w", encoding="ascii") as stream:
        for method, run in methods.items():
            for name in ("bilinear", "bicubic"):
                for top, left, height, width, side in BOXES:
                    made = run(picture[top:top + height, left:left + width], side, name)
                    print(method, name, top, left, height, width, side, file=stream)
                    for row in made:
                        print(*(f"{value:.4f}" for value in row.ravel()), file=stream)


def compare(methods, folder, count, tool):
    from PIL import Image

    worst = {}
    for path in sorted(pathlib.Path(folder).rglob("*.JPEG"))[:count]:
        picture = np.asarray(Image.open(path).convert("RGB"))
        share = int(min(picture.shape[:2]) * 224 / 256)
        top, left = (picture.shape[0] - share + 1) // 2, (picture.shape[1] - share + 1) // 2
        box = np.ascontiguousarray(picture[top:top + share, left:left + share])
        for method, run in methods.items():
            for name in ("bilinear", "bicubic"):
                wanted = run(box, 224, name)
                raw = subprocess.run([tool, method, name, str(share), "224"], input=box.tobytes(), check=True,
                                     capture_output=True).stdout
                got = np.frombuffer(raw, np.float32).reshape(224, 224, 3)
                if wanted.dtype == np.uint8:
                    difference = np.abs(np.rint(np.clip(got, 0, 255)) - wanted.astype(np.float32)).max()
                else:
                    difference = np.abs(got - wanted).max()
                worst[method, name] = max(worst.get((method, name), 0), float(difference))
    for key, value in worst.items():
        print(*key, f"largest difference {value:.5f} levels on {count} photographs")
    return all(value <= (1 if key[0] == "pillow" else 0.01) for key, value in worst.items())


if __name__ == "__main__":
    chosen = tensorflow_methods() if sys.argv[1] == "tensorflow" else torch_methods()
    if len(sys.argv) == 2:
        write(sys.argv[1], chosen)
    else:
        if sys.argv[1] == "torch":
            chosen |= torchvision_method()
        sys.exit(0 if compare(chosen, sys.argv[2], int(sys.argv[3]), sys.argv[4]) else 1)
