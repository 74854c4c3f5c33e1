#!/usr/bin/env bash
# docs/predict.py, which writes predict's preprocessing down in Pillow's terms, gives predict's scores to 1e-3 on real
# photographs, for every val_crop - and not where the crop is another.
source "$(dirname "$0")/harness.sh"
chosen=
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    "$python" -c 'import numpy, onnxruntime, PIL; exit(int(PIL.__version__.split(".")[0]) > 12)' 2>/dev/null || continue
    chosen=$python
    break
done
[ -n "$chosen" ] || skip "no Python with numpy, pillow<13 and onnxruntime; name one in EFFNET_PYTHON"
unpack hymenoptera.tar
data=$(dirname "$(find "$work" -type d -name train | head -n 1)")
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
