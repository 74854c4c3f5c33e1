"""The sets of docs/finetune.md's figures: 5,000 pictures to train on and 2,000 to evaluate on, 500 and 200 of each class.

    python3 bench/finetune_sets.py cifar10|fashion FROM OUT

cifar10: FROM has train/CLASS and test/CLASS; every tenth picture by name, and every fifth. fashion: FROM has Fashion-MNIST's
IDX files; every twelfth of a class, and every fifth, as RGB PNGs of 28 x 28. OUT gets train/CLASS and val/CLASS. Needs numpy
and Pillow."""
import gzip
import os
import shutil
import sys

import numpy as np
from PIL import Image


def cifar10(source, out):
    for split, to, step in (("train", "train", 10), ("test", "val", 5)):
        for name in sorted(os.listdir(f"{source}/{split}")):
            os.makedirs(f"{out}/{to}/{name}", exist_ok=True)
            for file in sorted(os.listdir(f"{source}/{split}/{name}"))[::step]:
                shutil.copy(f"{source}/{split}/{name}/{file}", f"{out}/{to}/{name}/{file}")


def fashion(source, out):
    for split, to, step in (("train", "train", 12), ("t10k", "val", 5)):
        labels = np.frombuffer(gzip.open(f"{source}/{split}-labels-idx1-ubyte.gz").read()[8:], np.uint8)
        pixels = np.frombuffer(gzip.open(f"{source}/{split}-images-idx3-ubyte.gz").read()[16:], np.uint8).reshape(-1, 28, 28)
        for label in range(10):
            os.makedirs(f"{out}/{to}/{label}", exist_ok=True)
            for i in np.flatnonzero(labels == label)[::step]:
                Image.fromarray(pixels[i]).convert("RGB").save(f"{out}/{to}/{label}/{i:05d}.png")


{"cifar10": cifar10, "fashion": fashion}[sys.argv[1]](*sys.argv[2:])
