#!/usr/bin/env bash
# Inputs that are not square (resolution: 48x64) all the way: train, resume, eval, predict, explain, summarize, plan, bench,
# import with another shape, and every export; the same numbers from each of them. Then of other channels (in_chans): grey,
# and the four of PNGs with alpha.
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

echo "-- grey, from weights of three channels"
run 0 "$effnet" finetune "$data/train" --from "$weights" --out "$work/grey" --set in_chans=1 --set epochs=1 --json
grey=$work/grey/checkpoints/best/raw.safetensors
grep -q 'in_chans: 1' "$work/grey/recipe.yaml" || die "the resolved recipe does not say in_chans: 1"
grep -q 'mean: \[[0-9.]*\]$' "$work/grey/recipe.yaml" || die "the resolved recipe has not one mean"
run 0 "$effnet" summarize "$grey"
grep -q 'input   48x64.*, 1 channel, mean' "$work/out" || die "summarize does not say 1 channel"
run 0 "$effnet" eval "$work/grey" --data "$data" --json
holds "$(number images) == 8"
run 0 "$effnet" predict "$grey" "$picture" --explain "$work/explained.png" --json
for name in whole.onnx grey.safetensors grey.gguf grey.c grey.mlir; do
    preprocessing=()
    [ "$name" = whole.onnx ] && preprocessing=(--preprocessing)
    run 0 "$effnet" export "$grey" "$work/$name" "${preprocessing[@]}"
done
for name in whole.onnx grey.safetensors grey.gguf; do
    run 0 "$effnet" verify "$work/$name" --json
    grep -q '"golden":true' "$work/out" || [ "$name" = grey.safetensors ] || die "$name has no golden picture"
done
grep -q 'GREY_CHANNELS = 1' "$work/grey.h" || die "the header does not say 1 channel"
if command -v gcc >/dev/null; then
    printf '#include "grey.h"\nint main(void) { return grey_test(); }\n' >"$work/main.c"
    gcc -std=c99 -O1 -o "$work/mine" "$work/main.c" "$work/grey.c" -lm || die "grey.c does not compile"
    run 0 "$work/mine"
fi
run 0 "$effnet" import "$grey" "$work/colours.safetensors" --set in_chans=3
grep -q 'of 1 input channel, is converted to 3 as timm does' "$work/out" || die "import does not say what it converts"

echo "-- four channels"
command -v python3 >/dev/null || exit 0
python3 - "$work/alpha" <<'PYTHON'
import os, random, struct, sys, zlib
random.seed(1)
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def png(path, level, color):
    bytes_a_pixel = 4 if color == 6 else 3
    rows = b"".join(b"\0" + bytes(min(255, level + random.randrange(40)) for _ in range(40 * bytes_a_pixel)) for _ in range(32))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 32, 8, color, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for split, count in (("train", 10), ("val", 4)):
    for name, level in (("dark", 20), ("light", 150)):
        os.makedirs(f"{sys.argv[1]}/{split}/{name}")
        for n in range(count):
            png(f"{sys.argv[1]}/{split}/{name}/{n:02}.png", level, 6)
png(f"{sys.argv[1]}/val/dark/opaque.png", 30, 2)
PYTHON
alpha=("$work/recipe.yaml" --data "$work/alpha" --set in_chans=4 --set batch_size=10 --set resolution=32x40)
complains 1 "aa is for pictures of red, green and blue, or of grey, and in_chans is 4" \
    "$effnet" train "${alpha[@]}" --set aa=v0 --out "$work/wrong"
complains 1 "mean has 2 numbers and in_chans is 4" "$effnet" train "${alpha[@]}" --set mean=0.1,0.2 --out "$work/wrong"
run 0 "$effnet" train "${alpha[@]}" --out "$work/four" --set mean=0.4,0.4,0.4,0.5 --set std=0.2,0.2,0.2,0.3 --init "$weights"
grep -q "first convolution of --init, which takes pictures of 3 channels, was converted to 4" "$work/err" || die "not told that the stem was converted"
run 0 "$effnet" eval "$work/four" --data "$work/alpha" --json
holds "$(number images) == 8 && $(number skipped) == 1"
complains 1 "opaque.png' is read as 3 channels and in_chans is 4" "$effnet" predict "$work/four" "$work/alpha/val/dark/opaque.png"
run 0 "$effnet" predict "$work/four" "$work/alpha/val/dark/00.png" --json
run 0 "$effnet" export "$work/four" "$work/four.c"
run 0 "$effnet" export "$work/four" "$work/four.onnx" --preprocessing
run 0 "$effnet" verify "$work/four.onnx"
