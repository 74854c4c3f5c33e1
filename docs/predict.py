#!/usr/bin/env python3
"""What `effnet predict` computes, from the picture on: predict.py MODEL.onnx PICTURE... (pip install numpy pillow<13 onnxruntime).

MODEL.onnx is of `effnet export`; scores by class are printed for each picture. For resize: pillow without pad_to."""
import json, sys
import numpy as np, onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
card = {key[7:]: text for key, text in session.get_modelmeta().custom_metadata_map.items() if key.startswith("effnet.")}
side, share = int(card["resolution"]), float(card["crop_pct"])
assert card["resize"] == "pillow" and card["pad_to"] == "0", "only Pillow's way of resizing is written here"
kernel = Image.BICUBIC if card["interpolation"] == "bicubic" else Image.BILINEAR
clip = (0, 255) if card["overshoot"] == "clip" else (-np.inf, np.inf)

def resize(levels, width, height):  # (H, W) floats, so that nothing is rounded; across, then down, as Pillow 12
    across = np.clip(Image.fromarray(levels).resize((width, levels.shape[0]), kernel), *clip).astype(np.float32)
    return np.clip(Image.fromarray(across).resize((width, height), kernel), *clip).astype(np.float32)

for path in sys.argv[2:]:
    picture = Image.open(path)
    if card.get("exif_orientation") == "true":  # Pillow turns TIFFs by itself, whatever is asked for
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "I;16":  # 16 bits, whose higher ones are taken; Pillow's RGB would be white from 255 on
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    height, width = pixels.shape[:2]
    shorter, wide, high, top, left = min(height, width), side, side, 0, 0
    if card["val_crop"] == "center":  # crop first, then resize
        crop = max(int(share * shorter), 1)
        y, x = (height - crop + 1) // 2, (width - crop + 1) // 2
        pixels = pixels[y : y + crop, x : x + crop]
    elif card["val_crop"] == "resize_shorter":  # resize first, then crop
        wide, high = (int(side / share) * n // shorter for n in (width, height))
        top, left = round((high - side) / 2), round((wide - side) / 2)
    levels = np.stack([resize(pixels[:, :, c], wide, high) for c in range(3)])[:, top : top + side, left : left + side]
    mean, std = (np.array(json.loads(card[key]), np.float32)[:, None, None] for key in ("mean", "std"))
    logits = session.run(["logits"], {"input": ((levels / 255 - mean) / std)[None].astype(np.float32)})[0][0]
    scores = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    print(json.dumps({"image": path, "scores": [round(float(score), 6) for score in scores]}))
