#!/usr/bin/env bash
# docs/predict.py, which writes predict's preprocessing down in Pillow's terms, gives predict's scores to 1e-3 on real
# photographs, for every val_crop - and not where the crop is another -, and on pictures of odd shapes, kinds and turns.
source "$(dirname "$0")/harness.sh"
chosen=
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    "$python" -c 'import numpy, onnxruntime, PIL; exit(int(PIL.__version__.split(".")[0]) > 12)' 2>/dev/null || continue
    chosen=$python
    break
done
[ -n "$chosen" ] || skip "no Python with numpy, pillow<13 and onnxruntime; name one in EFFNET_PYTHON"
photographs
data=$work
run 0 "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$data" --out "$work/run" --steps 16 \
    --set resolution=96 --set batch_size=8 --set lr=0.0005 --set warmup_epochs=0 --set amp=none
mapfile -t pictures < <(find "$data/val" -name '*.jpg' | sort | awk 'NR % 8 == 1')
[ ${#pictures[@]} -ge 15 ] || die "only ${#pictures[@]} pictures"

compare() { # MODEL.onnx: the largest distance of a score to $work/scores, what predict --jsonl printed
    "$chosen" "$source/docs/predict.py" "$1" "${pictures[@]}" >"$work/python" || die "predict.py failed"
    "$chosen" - "$work/python" "$work/scores" <<'PYTHON'
import json, sys
mine, ours = ([json.loads(line) for line in open(path)] for path in sys.argv[1:])
assert len(mine) == len(ours) and len(ours) > 0
print(max(abs(a["scores"][k["index"]] - k["score"]) for a, b in zip(mine, ours) for k in b["topk"]))
PYTHON
}

for crop in center none resize_shorter; do
    run 0 "$effnet" import "$work/run/checkpoints/last/raw.safetensors" "$work/$crop.safetensors" --set val_crop=$crop
    run 0 "$effnet" export "$work/$crop.safetensors" "$work/$crop.onnx"
done
for crop in center none resize_shorter; do
    run 0 "$effnet" predict "$work/$crop.safetensors" "${pictures[@]}" --topk 2 --jsonl
    cp "$work/out" "$work/scores"
    distance=$(compare "$work/$crop.onnx")
    echo "$crop: scores of ${#pictures[@]} pictures within $distance"
    awk -v d="$distance" 'BEGIN { exit !(d + 0 <= 1e-3) }' || die "$crop: scores are $distance apart"
    other=$([ $crop = none ] && echo center || echo none)
    distance=$(compare "$work/$other.onnx")
    awk -v d="$distance" 'BEGIN { exit !(d + 0 > 2e-3) }' || die "$other instead of $crop changes nothing ($distance)"
done

mkdir "$work/odd"
"$chosen" - "$work/odd" <<'PYTHON' || die "the odd pictures"
import sys
import numpy as np
from PIL import Image
rng, folder = np.random.default_rng(7), sys.argv[1] + "/"
def picture(height, width):
    return Image.fromarray(rng.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), np.uint8)).resize((width, height), Image.BICUBIC)
for name, height, width in ("odd", 97, 131), ("one", 1, 1), ("tiny", 3, 5), ("line", 1, 300), ("tall", 301, 2):
    picture(height, width).save(folder + name + ".png")
for mode in "L", "LA", "RGBA", "P", "1":
    picture(90, 111).convert(mode).save(folder + mode + ".png")
picture(90, 111).convert("CMYK").save(folder + "cmyk.jpg", quality=95)
Image.fromarray(np.asarray(picture(90, 111).convert("L")).astype(np.uint16) * 257).save(folder + "sixteen.png")
for turn in range(1, 9):
    exif = Image.Exif()
    exif[0x112] = turn
    picture(61, 120).save(folder + f"turn{turn}.jpg", exif=exif, quality=95)
picture(61, 120).save(folder + "turn.png", exif=exif)
picture(61, 120).save(folder + "turn.webp", exif=exif, lossless=True)
PYTHON
mapfile -t pictures < <(find "$work/odd" -type f | sort)
for turned in true false; do
    run 0 "$effnet" import "$work/run/checkpoints/last/raw.safetensors" "$work/turned.safetensors" --set exif_orientation=$turned
    run 0 "$effnet" export "$work/turned.safetensors" "$work/turned.onnx"
    run 0 "$effnet" predict "$work/turned.safetensors" "${pictures[@]}" --topk 2 --jsonl
    cp "$work/out" "$work/scores"
    distance=$(compare "$work/turned.onnx")
    echo "exif_orientation $turned: scores of ${#pictures[@]} odd pictures within $distance"
    awk -v d="$distance" 'BEGIN { exit !(d + 0 <= 1e-3) }' || die "odd pictures: scores are $distance apart"
done
