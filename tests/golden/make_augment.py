"""What TensorFlow's official code and Pillow make of pictures, operation by operation.

    python3.11 -m venv V && V/bin/pip install -r tests/golden/requirements-augment.txt
    curl -O https://raw.githubusercontent.com/google/automl/6a54c8741e7c3265d4547c4f35f47a0391122dc5/efficientnetv2/autoaugment.py
    V/bin/python tests/golden/make_augment.py golden autoaugment.py > tests/golden/augment.gz
    V/bin/python tests/golden/make_augment.py compare autoaugment.py build/tools/augment_picture FOLDER [COUNT]

golden: every case of augment_cases.txt on a 32x24 picture by formula, read by tests/unit/data/test_augment.c: the raw
(24, 32, 3) bytes of one case after the other, gzipped.
compare: the same cases on the photographs below FOLDER (every so-manieth, COUNT in all, scaled to at most 256 a side),
ours by the tool; prints a table of the largest distance and the share of levels that differ.

TensorFlow 2.15 with NumPy 1 is the last that runs the published code as it ran when it was published: NumPy 2 refuses
the thresholds above 255 of solarize. Pillow's operations are called as timm calls them.
"""
import glob
import gzip
import os
import subprocess
import sys
import types
import warnings

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
FILL = (128, 128, 128)
SAMPLING = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def read_cases():
    with open(os.path.join(HERE, "augment_cases.txt")) as stream:
        lines = [line.split() for line in stream if line.strip() and not line.startswith("#")]
    return [(reference, name, float(argument), sampling, int(y), int(x)) for reference, name, argument, sampling, y, x in lines]


def load_official(path):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    sys.modules["hparams"] = types.ModuleType("hparams")  # imported for the policies alone
    module = types.ModuleType("autoaugment")
    with open(path) as stream:
        exec(stream.read(), module.__dict__)
    return module


class TensorFlow:
    """Each operation in a graph of its own, as in tf.data: a session is kept for each case."""

    def __init__(self, path):
        self.official = load_official(path)
        self.sessions = {}

    def build(self, image, name, argument, center):
        tf, o = self.official.tf, self.official
        level = tf.constant(argument, tf.float32)  # signs are tensors in the official code
        plain = {"AutoContrast": o.autocontrast, "Equalize": o.equalize, "Invert": o.invert}
        whole = {"Posterize": o.posterize, "Solarize": o.solarize, "SolarizeAdd": o.solarize_add}
        blends = {"Color": o.color, "Contrast": o.contrast, "Brightness": o.brightness, "Sharpness": o.sharpness}
        moves = {"Rotate": o.rotate, "ShearX": o.shear_x, "ShearY": o.shear_y, "TranslateX": o.translate_x,
                 "TranslateY": o.translate_y}
        if name in plain:
            return plain[name](image)
        if name in whole:
            return whole[name](image, int(argument))
        if name in blends:
            return blends[name](image, argument)
        if name in moves:
            return moves[name](image, level, list(FILL))
        places = iter([tf.constant(c) for c in center])
        kept, tf.random_uniform = tf.random_uniform, lambda **_: next(places)
        try:
            return o.cutout(image, int(argument), FILL[0])
        finally:
            tf.random_uniform = kept

    def __call__(self, picture, name, argument, sampling, center):
        key = (name, argument, center)
        if key not in self.sessions:
            tf = self.official.tf
            graph = tf.Graph()
            with graph.as_default():
                image = tf.placeholder(tf.uint8, [None, None, 3])
                made = self.build(image, name, argument, center)
            self.sessions[key] = (tf.Session(graph=graph), image, made)
        session, image, made = self.sessions[key]
        return session.run(made, {image: picture})


def with_pillow(picture, name, argument, sampling, center):
    image = Image.fromarray(picture)

    def move(*matrix):
        return image.transform(image.size, Image.AFFINE, matrix, resample=SAMPLING[sampling], fillcolor=FILL)

    def add():
        table = [min(255, level + int(argument)) if level < 128 else level for level in range(256)]
        return image.point(table * 3)

    def cut():
        made = picture.copy()
        half, (y, x) = int(argument), center
        made[max(0, y - half):y + half, max(0, x - half):x + half] = FILL
        return made

    return np.asarray({
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
        "Invert": lambda: ImageOps.invert(image),
        "Posterize": lambda: image if argument >= 8 else ImageOps.posterize(image, int(argument)),
        "Solarize": lambda: ImageOps.solarize(image, argument),
        "SolarizeAdd": add,
        "Color": lambda: ImageEnhance.Color(image).enhance(argument),
        "Contrast": lambda: ImageEnhance.Contrast(image).enhance(argument),
        "Brightness": lambda: ImageEnhance.Brightness(image).enhance(argument),
        "Sharpness": lambda: ImageEnhance.Sharpness(image).enhance(argument),
        "Rotate": lambda: image.rotate(argument, resample=SAMPLING[sampling], fillcolor=FILL),
        "ShearX": lambda: move(1, argument, 0, 0, 1, 0),
        "ShearY": lambda: move(1, 0, 0, argument, 1, 0),
        "TranslateX": lambda: move(1, 0, argument, 0, 1, 0),
        "TranslateY": lambda: move(1, 0, 0, 0, 1, argument),
        "Cutout": cut,
    }[name]())


def level(y, x, channel):
    """pattern_level of tests/unit/data/make_pictures.h, darker: contrast and autocontrast need room."""
    hashed = (x * 73856093 ^ y * 19349663 ^ channel * 83492791) & 0xFFFFFFFF
    wave = (x * 3 + y * 2 + channel * 40) % 256 - 128
    value = abs(wave) + (hashed >> 7 & 63)
    if (x // 11 + y // 7) % 5 == 0:
        value = 255 if x // 11 % 2 else 0
    return 20 + min(value, 255) * 3 // 4


def make(reference, tensorflow, picture, name, argument, sampling, center):
    return (tensorflow if reference == "tensorflow" else with_pillow)(picture, name, argument, sampling, center)


def golden(tensorflow):
    picture = np.array([[[level(y, x, c) for c in range(3)] for x in range(32)] for y in range(24)], np.uint8)
    made = b"".join(make(reference, tensorflow, picture, name, argument, sampling, (y, x)).tobytes()
                    for reference, name, argument, sampling, y, x in read_cases())
    sys.stdout.buffer.write(gzip.compress(made, 9, mtime=0))


def compare(tensorflow, tool, folder, count):
    paths = sorted(p for p in glob.glob(folder + "/**/*", recursive=True) if p.lower().endswith((".jpg", ".jpeg")))
    paths = paths[::max(1, len(paths) // count)][:count]
    cases = read_cases()
    worst, differ, far, total = [0] * len(cases), [0] * len(cases), [0] * len(cases), 0
    for path in paths:
        image = Image.open(path).convert("RGB")
        image.thumbnail((256, 256))
        picture = np.asarray(image)
        height, width, _ = picture.shape
        ours = subprocess.run([tool, os.path.join(HERE, "augment_cases.txt"), str(height), str(width)], check=True,
                              input=picture.tobytes(), stdout=subprocess.PIPE).stdout
        ours = np.frombuffer(ours, np.uint8).reshape(len(cases), height, width, 3)
        total += picture.size
        for i, (reference, name, argument, sampling, y, x) in enumerate(cases):
            want = make(reference, tensorflow, picture, name, argument, sampling, (y, x)).astype(int)
            distance = np.abs(want - ours[i].astype(int))
            worst[i] = max(worst[i], distance.max())
            differ[i] += np.count_nonzero(distance)
            far[i] += np.count_nonzero(distance > 1)
    print(len(paths), "photographs,", total, "levels a case")
    for i, (reference, name, argument, sampling, y, x) in enumerate(cases):
        print(f"{reference:10} {name:12} {argument:8g} {sampling:8}  largest distance {worst[i]:3}  levels that differ "
              f"{100 * differ[i] / total:.5f} %, by more than one {far[i]}")


if __name__ == "__main__":
    official = TensorFlow(sys.argv[2])
    if sys.argv[1] == "golden":
        golden(official)
    else:
        compare(official, sys.argv[3], sys.argv[4], int(sys.argv[5]) if len(sys.argv) > 5 else 40)
