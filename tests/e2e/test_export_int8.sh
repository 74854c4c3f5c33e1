#!/usr/bin/env bash
# effnet export --dtype int8, with and without --calibrate: what it costs is measured before a file is written, the file holds
# a golden picture's logits in that arithmetic, and ONNX Runtime (of calibrated bytes OpenVINO too) computes what the golden
# logits say and what the fp32 file says within int8's own error.
source "$(dirname "$0")/harness.sh"

photographs
data=$work
run 0 "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$data" --out "$work/run" --steps 4 \
    --set resolution=64 --set batch_size=8 --set lr=0.0005 --set warmup_epochs=0 --set amp=none
model=$work/run/checkpoints/last/raw.safetensors file=$work/bytes.onnx

echo "-- wrong usage"
complains 2 "int8 wants --data DIR.*or --allow-loss" "$effnet" export "$model" "$file" --dtype int8
complains 2 "int8 is for a model as ONNX" "$effnet" export "$model" "$work/x.gguf" --dtype int8 --allow-loss
complains 2 "excludes --keep-batch-norm" "$effnet" export "$model" "$file" --dtype int8 --allow-loss --keep-batch-norm
complains 2 "are for --dtype int8" "$effnet" export "$model" "$file" --data "$data"
complains 2 "are for --dtype int8" "$effnet" export "$model" "$file" --calibrate "$data"
complains 1 "efficientnet_b0 has .*calibrated bytes are for efficientnet_lite0" "$effnet" export "$model" "$file" --dtype int8 --calibrate "$data"
complains 1 "nowhere" "$effnet" export "$model" "$file" --dtype int8 --data "$work/nowhere"
[ ! -e "$file" ] || die "a file was written without being measured"

echo "-- measured"
run 0 "$effnet" export "$model" "$file" --dtype int8 --data "$data" --allow-loss --json
for key in int8_top1 fp32_top1 lost layers file; do grep -q "\"$key\":" "$work/out" || die "no $key in the JSON"; done
[ "$(grep -o '"layer":' "$work/out" | wc -l)" -ge 10 ] || die "no table of layers"
run 0 "$effnet" export "$model" "$file" --dtype int8 --data "$data" --allow-loss
grep -qE '^logits +0\.0' "$work/out" && grep -q "int8 .* points" "$work/out" || die "no table of layers"
run "0|1" "$effnet" export "$model" "$work/judged.onnx" --dtype int8 --data "$data"
if grep -q "loses .* points of top-1, more than 1" "$work/err"; then
    [ ! -e "$work/judged.onnx" ] || die "a file was written that loses too much"
else
    [ -s "$work/judged.onnx" ] || die "no file, and no reason"
fi

echo "-- the file"
run 0 "$effnet" export "$model" "$work/plain.onnx"
holds "$(stat -c %s "$file") < 0.6 * $(stat -c %s "$work/plain.onnx")"
run 0 "$effnet" verify "$file"
grep -q "checksum right" "$work/out" || die "verify says nothing"
run 0 "$effnet" export "$model" "$work/whole.onnx" --dtype int8 --allow-loss --preprocessing --opset 20
run 0 "$effnet" verify "$work/whole.onnx"
sed -E 's/(effnet.golden_logits.{1,4}\[-?)[0-9]/\17/' "$work/whole.onnx" >"$work/other.onnx"
complains 1 "other.onnx': logit 0 of its golden picture is .* and should be -?7" "$effnet" verify "$work/other.onnx"

echo "-- calibrated"
run 0 "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$data" --out "$work/lite" --steps 12 --set model=efficientnet_lite0 \
    --set resolution=64 --set batch_size=16 --set lr=0.0005 --set warmup_epochs=0 --set amp=none
lite=$work/lite/checkpoints/last/raw.safetensors
complains 1 "nowhere" "$effnet" export "$lite" "$work/x.onnx" --dtype int8 --calibrate "$work/nowhere" --allow-loss
run 0 "$effnet" export "$lite" "$work/calibrated.onnx" --preprocessing --dtype int8 --calibrate "$data" --allow-loss
! grep -q points "$work/out" || die "measured without being asked to"
run 0 "$effnet" export "$lite" "$work/calibrated.onnx" --preprocessing --dtype int8 --calibrate "$data" --data "$data" --allow-loss --json
for key in int8_top1 fp32_top1 lost layers file; do grep -q "\"$key\":" "$work/out" || die "no $key in the JSON"; done
run 0 "$effnet" verify "$work/calibrated.onnx"
run 0 "$effnet" export "$lite" "$work/lite.onnx" --preprocessing
holds "$(stat -c %s "$work/calibrated.onnx") < 0.35 * $(stat -c %s "$work/lite.onnx")"
sed -E 's/(effnet.golden_logits.{1,4}\[-?)[0-9]/\17/' "$work/calibrated.onnx" >"$work/other.onnx"
complains 1 "other.onnx': logit 0 of its golden picture is .* and should be -?7" "$effnet" verify "$work/other.onnx"

echo "-- in ONNX Runtime"
run 0 "$effnet" export "$model" "$work/exact.onnx" --preprocessing
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    "$python" -c 'import numpy, onnxruntime, PIL' 2>/dev/null || continue
    mapfile -t pictures < <(find "$data/val" -name '*.jpg' | sort | awk 'NR % 16 == 1')
    "$python" "$source/tests/golden/check_onnx_int8.py" "$work/whole.onnx" "$work/exact.onnx" "${pictures[@]}" || die "other numbers"
    "$python" "$source/tests/golden/check_onnx_int8.py" "$work/calibrated.onnx" "$work/lite.onnx" "${pictures[@]}" || die "other numbers, calibrated"
    exit 0
done
skip "no Python with numpy, pillow and onnxruntime, whose half is left out; name one in EFFNET_PYTHON"
