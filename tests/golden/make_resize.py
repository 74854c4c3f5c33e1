"""What Pillow makes of boxes of a picture by formula: tests/golden/resize.txt, read by tests/unit/data/test_resize.c.

    pip install pillow==12.0.0 && python tests/golden/make_resize.py > tests/golden/resize.txt

Pillow up to 12 resamples across first, then down, clipping to 0..255 after each; so does src/data/transform/resize.c. Pillow 13
goes down first where the height shrinks more than the width, which moves bicubic's overshoot at hard edges by several
levels (python-pillow/Pillow#9549); hence the pin.
"""
import sys

import PIL
from PIL import Image

assert PIL.__version__.split(".")[0] == "12", PIL.__version__
HEIGHT, WIDTH = 97, 131


def level(y, x, channel):
    """pattern_level of tests/unit/data/make_pictures.h."""
    hashed = (x * 73856093 ^ y * 19349663 ^ channel * 83492791) & 0xFFFFFFFF
    wave = (x * 3 + y * 2 + channel * 40) % 256 - 128
    noise = hashed >> 7 & 63
    value = abs(wave) + noise
    if (x // 11 + y // 7) % 5 == 0:
        value = 255 if x // 11 % 2 else 0
    return min(value, 255)


picture = Image.new("RGB", (WIDTH, HEIGHT))
picture.putdata([tuple(level(y, x, c) for c in range(3)) for y in range(HEIGHT) for x in range(WIDTH)])

#        top left height width side
BOXES = [(0, 0, 97, 131, 13),   # everything, shrunk 7 to 10 times
         (3, 5, 40, 30, 14),    # shrunk, taller than wide
         (20, 60, 31, 70, 12),  # shrunk, wider than tall
         (10, 10, 12, 12, 12),  # the same size
         (50, 90, 7, 9, 15),    # enlarged
         (90, 0, 7, 131, 11),   # enlarged down, shrunk across, at the lower edge
         (0, 130, 97, 1, 10)]   # one pixel wide, at the right edge

print("# made by make_resize.py with Pillow", PIL.__version__)
for name, method in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
    for top, left, height, width, side in BOXES:
        made = picture.crop((left, top, left + width, top + height)).resize((side, side), method)
        print(name, top, left, height, width, side)
        for y in range(side):
            print(*(value for x in range(side) for value in made.getpixel((x, y))))
