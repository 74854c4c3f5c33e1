#!/usr/bin/env bash
# Inputs that are not square (resolution: 48x64) all the way: train, resume, eval, predict, explain, summarize, plan, bench,
# import with another shape, and every export; the same numbers from each of them.
source "$(dirname "$0")/harness.sh"
source "$source/tests/e2e/small_pictures.sh"

data=$work/data
small_pictures "$data" dark light
small_recipe "$work/recipe.yaml"
recipe=("$work/recipe.yaml" --data "$data" --set resolution=48x64 --set train_crop=center --set hflip=0 --set batch_size=8)
picture=$data/val/light/01.bmp

echo "-- wrong sizes"
complains 2 "resolution is '48x'; allowed: a whole number, 0 to 2048, or two of them, height x width" \
    "$effnet" train "${recipe[@]}" --set resolution=48x --out "$work/wrong"
complains 1 "resolution is 48x4; allowed: 0 .the model's own., or sides of 8 to 2048" \
    "$effnet" train "${recipe[@]}" --set resolution=48x4 --out "$work/wrong"
complains 2 "--res is '48x4'; allowed: 0, or 8 to 2048, or height x width: 224x320" \
    "$effnet" summarize efficientnet_b0 --res 48x4

echo "-- before the first step"
run 0 "$effnet" summarize efficientnet_b0 --res 224x320 --json
grep -q '"resolution":224,"resolution_width":320' "$work/out" || die "summarize --json"
grep -q '"output":\[7,10,320\]' "$work/out" || die "the last block is not 7 x 10"
run 0 "$effnet" plan "${recipe[@]}" --json
grep -q '"resolution":48,"resolution_width":64' "$work/out" || die "plan --json"
run 0 "$effnet" data show "$data" "$work/sheet.png" --recipe "$work/recipe.yaml" --set resolution=48x64 --rows 2 --columns 3

echo "-- a run and its resumption"
run 0 "$effnet" train "${recipe[@]}" --out "$work/run"
grep -q 'resolution: 48x64' "$work/run/recipe.yaml" || die "recipe.yaml does not say 48x64"
run 0 "$effnet" train "${recipe[@]}" --out "$work/halves" --steps 3
run 0 "$effnet" train "${recipe[@]}" --out "$work/halves" --resume
same "$work/halves/checkpoints/last/raw.safetensors" "$work/run/checkpoints/last/raw.safetensors"
complains 1 "resolution" "$effnet" train "${recipe[@]}" --set resolution=64x48 --out "$work/halves" --resume
run 0 "$effnet" eval "$work/run" --data "$data" --tta --json
holds "$(number images) == 8"
run 0 "$effnet" predict "$work/run" "$picture" --tta --json
run 0 "$effnet" predict "$work/run" "$picture" --explain "$work/explained.png"
run 0 "$effnet" summarize "$work/run"
grep -q 'input   48x64' "$work/out" || die "summarize does not say 48x64"
run 0 "$effnet" predict "$work/run" "$picture" --topk 2 --json
cp "$work/out" "$work/wanted"

echo "-- other engines and shapes"
run 0 "$effnet" predict "$work/run" "$picture" --topk 2 --json --engine reference
run 0 "$effnet" bench infer --model "$work/run" --batch 2 --steps 1 --threads 1 --json
grep -q '"res":48,"res_width":64' "$work/out" || die "bench --json"
run 0 "$effnet" bench train --model efficientnet_lite0 --res 32x48 --batch 2 --steps 1 --threads 1 --json
grep -q '"res":32,"res_width":48' "$work/out" || die "bench --res"
weights=$work/run/checkpoints/last/ema.safetensors
run 0 "$effnet" import "$weights" "$work/tall.safetensors" --set resolution=64x40
grep -q 'resolution 64x40' "$work/out" || die "import --set resolution"
run 0 "$effnet" predict "$work/tall.safetensors" "$picture" --json

echo "-- exports"
for name in bare.onnx whole.onnx mine.safetensors mine.gguf mine.c mine.mlir; do
    preprocessing=()
    [ "$name" = whole.onnx ] && preprocessing=(--preprocessing)
    run 0 "$effnet" export "$weights" "$work/$name" "${preprocessing[@]}" --json
    grep -q '"resolution":48,"resolution_width":64' "$work/out" || die "export --json of $name"
done
for name in bare.onnx whole.onnx mine.safetensors mine.gguf; do run 0 "$effnet" verify "$work/$name"; done
grep -q 'tensor<1x48x64x3xf32>' "$work/mine.mlir" || die "the program does not take 48 x 64"
grep -q 'MINE_HEIGHT = 48, MINE_WIDTH = 64, MINE_CHANNELS = 3' "$work/mine.h" || die "the header does not say 48 x 64"
run 0 "$effnet" predict "$work/mine.safetensors" "$picture" --topk 2 --json
sed -E 's/"(model|file|weights)":"[^"]*"//g' "$work/out" >"$work/got"
sed -E 's/"(model|file|weights)":"[^"]*"//g' "$work/wanted" >"$work/wanted_numbers"
same "$work/got" "$work/wanted_numbers"
if command -v gcc >/dev/null; then
    printf '#include "mine.h"\nint main(void) { return mine_test(); }\n' >"$work/main.c"
    gcc -std=c99 -O1 -o "$work/mine" "$work/main.c" "$work/mine.c" -lm || die "mine.c does not compile"
    run 0 "$work/mine"
fi

echo "-- fine-tuning"
run 0 "$effnet" finetune "$data/train" --from "$weights" --out "$work/tuned" --set resolution=40x56 --set epochs=1 --json
grep -q '"resolution":40,"resolution_width":56' "$work/out" || die "finetune --json"
