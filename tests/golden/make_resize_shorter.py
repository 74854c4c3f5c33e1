"""What Pillow makes of pictures by formula in timm's and torchvision's order - the shorter side resized to
int(side / share), then the central square, or for inputs that are not square what timm does: tests/golden/resize_shorter.txt, read by
tests/unit/data/test_resize_shorter.c.

    pip install pillow==12.0.0 && python tests/golden/make_resize_shorter.py > tests/golden/resize_shorter.txt

Sizes and offsets are written here as timm 1.0 (data/transforms_factory.py, transforms_imagenet_eval) and torchvision 0.29
(transforms/functional.py, resize and center_crop) compute them; Pillow is pinned for the reason that make_resize.py has.
"""
import math

import PIL
from PIL import Image

assert PIL.__version__.split(".")[0] == "12", PIL.__version__


def level(y, x, channel):
    """pattern_level of tests/unit/data/make_pictures.h."""
    hashed = (x * 73856093 ^ y * 19349663 ^ channel * 83492791) & 0xFFFFFFFF
    wave = (x * 3 + y * 2 + channel * 40) % 256 - 128
    noise = hashed >> 7 & 63
    value = abs(wave) + noise
    if (x // 11 + y // 7) % 5 == 0:
        value = 255 if x // 11 % 2 else 0
    return min(value, 255)


def pattern(height, width):
    picture = Image.new("RGB", (width, height))
    picture.putdata([tuple(level(y, x, c) for c in range(3)) for y in range(height) for x in range(width)])
    return picture


#        height width side share; side: of a square, or height and width
CASES = [(97, 131, 16, 0.875),   # wide, shrunk
         (131, 97, 16, 0.875),   # high, shrunk
         (64, 64, 14, 0.904),    # square; 14 / .904 = 15.49
         (90, 133, 15, 1),       # all of the shorter side; an odd rest to the left and the right
         (41, 57, 17, 0.6),      # a small middle
         (9, 11, 16, 0.875),     # enlarged
         (33, 40, 32, 0.95),     # 33 already: not resized, an odd rest of 1 and an even one of 8
         (20, 200, 12, 0.8),     # ten times as wide as high
         (97, 131, (16, 24), 0.875),  # not square: the height decides
         (131, 97, (16, 24), 0.9),    # the width decides
         (64, 65, (24, 11), 0.8),     # 65 * 30 / 64 = 30.5 goes to 30
         (9, 11, (16, 17), 0.95),     # enlarged; int(16 / .95) is 16 and int(17 / .95) 17
         (50, 40, (20, 21), 0.87)]    # 22 and 24

print("# made by make_resize_shorter.py with Pillow", PIL.__version__)
for name, method in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
    for height, width, side, share in CASES:
        rows, columns = side if isinstance(side, tuple) else (side, side)
        down, across = math.floor(rows / share), math.floor(columns / share)
        if down != across:  # ResizeKeepRatio.get_params of timm's data/transforms.py
            ratio = min(height / down, width / across)
            made_height, made_width = round(height / ratio), round(width / ratio)
        elif width <= height:
            made_width, made_height = down, int(down * height / width)
        else:
            made_height, made_width = down, int(down * width / height)
        top, left = int(round((made_height - rows) / 2.0)), int(round((made_width - columns) / 2.0))
        made = pattern(height, width)
        if (made_width, made_height) != (width, height):
            made = made.resize((made_width, made_height), method)
        made = made.crop((left, top, left + columns, top + rows))
        print(name, height, width, rows, columns, share)
        for y in range(rows):
            print(*(value for x in range(columns) for value in made.getpixel((x, y))))
