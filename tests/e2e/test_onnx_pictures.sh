#!/usr/bin/env bash
# effnet export --preprocessing and effnet verify: pictures of any size go into ONNX Runtime and OpenVINO as bytes, and the
# probabilities are predict's to 1e-5, for every way of cropping and resizing; the golden picture inside gives its logits; a
# file that was damaged or changed is told.
source "$(dirname "$0")/harness.sh"

echo "-- wrong usage"
complains 2 "no FILE given" "$effnet" verify
complains 2 "unexpected argument 'b'" "$effnet" verify a b
complains 1 "nowhere" "$effnet" verify "$work/nowhere.onnx"
printf 'no model' >"$work/junk.onnx"
complains 1 "junk.onnx' is no ONNX model" "$effnet" verify "$work/junk.onnx"

photographs
data=$work
run 0 "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$data" --out "$work/run" --steps 8 \
    --set resolution=64 --set batch_size=8 --set lr=0.0005 --set warmup_epochs=0 --set amp=none
weights=$work/run/checkpoints/last/raw.safetensors
mapfile -t pictures < <(find "$data/val" -name '*.jpg' | sort | awk 'NR % 16 == 1')
[ ${#pictures[@]} -ge 8 ] || die "only ${#pictures[@]} pictures"

echo "-- verify"
run 0 "$effnet" export "$weights" "$work/bare.onnx" --keep-batch-norm
run 0 "$effnet" verify "$work/bare.onnx" --json
grep -q '"checksum":true,"golden":true' "$work/out" || die "verify --json"
holds "$(number worst) < 1e-5 && $(number largest) > 0"
run 0 "$effnet" export "$weights" "$work/whole.onnx" --preprocessing
run 0 "$effnet" verify "$work/whole.onnx"
grep -q "checksum right; the golden picture's logits within" "$work/out" || die "verify does not say what it found"
run 0 "$effnet" verify "$weights"
size=$(stat -c %s "$work/whole.onnx")
cp "$work/whole.onnx" "$work/damaged.onnx"
printf 'XYZ' | dd of="$work/damaged.onnx" bs=1 seek=$((size / 2)) conv=notrunc status=none
complains 1 "damaged.onnx' is damaged or was changed" "$effnet" verify "$work/damaged.onnx"
head -c $((size / 2)) "$work/whole.onnx" >"$work/short.onnx"
complains 1 "short.onnx' is no ONNX model" "$effnet" verify "$work/short.onnx"
# another golden logit: the sum is that of the graph, so only the weights' own answer can tell
sed -E 's/(effnet.golden_logits.{1,4}\[-?)[0-9]/\17/' "$work/whole.onnx" >"$work/other.onnx"
[ "$(stat -c %s "$work/other.onnx")" = "$size" ] || die "the golden logits were not changed in place"
complains 1 "other.onnx': logit 0 of its golden picture is .* and should be -?7" "$effnet" verify "$work/other.onnx"

echo "-- in ONNX Runtime"
chosen=
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    "$python" -c 'import numpy, onnxruntime, PIL' 2>/dev/null || continue
    chosen=$python
    break
done
[ -n "$chosen" ] || skip "no Python with numpy, pillow and onnxruntime; name one in EFFNET_PYTHON"
check() { # NAME OPSET KEY=VALUE...: pictures as these keys say
    local name=$1 opset=$2 settings=() key
    shift 2
    for key; do settings+=(--set "$key"); done
    run 0 "$effnet" import "$weights" "$work/model.safetensors" "${settings[@]}"
    run 0 "$effnet" export "$work/model.safetensors" "$work/$name.onnx" --preprocessing --opset "$opset"
    run 0 "$effnet" predict "$work/model.safetensors" "${pictures[@]}" --topk 2 --jsonl
    cp "$work/out" "$work/$name.jsonl"
    "$chosen" "$source/tests/golden/check_onnx_pictures.py" "$work/$name.onnx" "$work/$name.jsonl" "${pictures[@]}" \
        >"$work/python" || die "$name: check_onnx_pictures.py failed: $(cat "$work/python")"
    sed "s/^/$name: /; \$d" "$work/python"
    holds "$(tail -n 1 "$work/python") <= 1e-5"
}
# pictures smaller than the input, of one row, and long ones
"$chosen" - "$work" "${pictures[0]}" <<'PYTHON'
import sys
from PIL import Image
picture = Image.open(sys.argv[2]).convert("RGB")
for name, size in ("small", (33, 20)), ("row", (50, 1)), ("long", (1500, 90)), ("exact", (64, 64)):
    picture.resize(size).save(f"{sys.argv[1]}/{name}.png")
PYTHON
pictures+=("$work/small.png" "$work/row.png" "$work/long.png" "$work/exact.png")
check center 13 val_crop=center crop_pct=0.29
check bilinear 21 val_crop=center interpolation=bilinear
check shorter 17 val_crop=resize_shorter crop_pct=0.9
check padded 17 val_crop=none pad_to=80 overshoot=keep
check tensorflow 17 val_crop=center resize=tensorflow overshoot=keep
check tensorflow1 17 val_crop=none resize=tensorflow1
check torch 17 val_crop=resize_shorter resize=torch
check wide 17 resolution=48x80 val_crop=resize_shorter crop_pct=0.9
check grey 17 in_chans=1
check tall 17 resolution=80x48 val_crop=center crop_pct=0.8
check linear 17 val_crop=none resize=torch interpolation=bilinear
# it can fail: another crop
run 0 "$effnet" predict "$weights" "${pictures[@]}" --topk 2 --jsonl
cp "$work/out" "$work/other.jsonl"
"$chosen" "$source/tests/golden/check_onnx_pictures.py" "$work/center.onnx" "$work/other.jsonl" "${pictures[@]}" >"$work/python"
holds "$(tail -n 1 "$work/python") > 1e-4" # ten times what is allowed
