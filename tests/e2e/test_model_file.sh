#!/usr/bin/env bash
# A file of weights suffices: alone in a folder, without its run, recipe and data, predict, eval, bench and summarize take
# it, and say its classes, how pictures are prepared and where it comes from.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion
run 0 "${train[@]}" --out "$work/run" --steps 2
run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" 5 "$work/5.png"
run 0 "$effnet" predict "$work/run/checkpoints/last" "$work/5.png" --json --topk 10
cp "$work/out" "$work/wanted"
mkdir "$work/alone"
cp "$work/run/checkpoints/last/ema.safetensors" "$work/alone/mine.safetensors"
rm -r "$work/run"
cd "$work/alone"

says() { # PATTERN...: standard output has a line for each
    local pattern
    for pattern; do grep -qE -- "$pattern" "$work/out" || die "no line says '$pattern'"; done
}
card=('^model   efficientnet_b0, weights of step 2: .*mine\.safetensors$'
      '^classes 10: .*, \.\.\., ' '^input   32x32, val_crop none, crop_pct 1\.0, bicubic \(pillow\), padded to 32, mean 0\.286 '
      '^from    trained by effnet [0-9.]+ with the recipe [a-z]')
run 0 "$effnet" predict mine.safetensors "$work/5.png" --json --topk 10
same "$work/out" "$work/wanted"
run 0 "$effnet" predict mine.safetensors "$work/5.png"
says "${card[@]}"
run 0 "$effnet" eval mine.safetensors --data "$fashion"
says "${card[@]}" '^images  [1-9]'
run 0 "$effnet" summarize mine.safetensors
says "${card[@]}" '^stem '
run 0 "$effnet" summarize mine.safetensors --json
says '"origin":"trained by effnet' '"classes":\["' '"val_crop":"none"' '"resolution":32,"resolution_width":32,"num_classes":10'
run 0 "$effnet" bench infer --model mine.safetensors --batch 1 --threads 1 --steps 2
says "${card[@]}" '^infer, efficientnet_b0 at 32x32, batch 1'
complains 1 "nowhere" "$effnet" bench infer --model nowhere.safetensors --batch 1 --steps 1
printf 'no weights' >junk.safetensors
complains 1 "junk" "$effnet" summarize junk.safetensors

# An import keeps whose names they were and what was assumed, also after another copy.
run 0 "$effnet" import mine.safetensors second.safetensors
run 0 "$effnet" export second.safetensors third.safetensors
run 0 "$effnet" summarize third.safetensors
says '^from    trained by effnet' '^        imported from mine\.safetensors, names of timm' "effnet's own file"

# Averaged with another file of its kind; statistics estimated on pictures, in order.
complains 2 "no FILE given" "$effnet" average
complains 2 "--out OUT.safetensors is missing" "$effnet" average mine.safetensors
complains 1 "there is nothing to average: 'mine.safetensors' is all" "$effnet" average mine.safetensors mine.safetensors --out x.safetensors
run 0 "$effnet" import mine.safetensors half.safetensors --set resolution=16
complains 1 "resolution is '32' in 'mine.safetensors' and '16' in 'half.safetensors'" "$effnet" average mine.safetensors half.safetensors --out x.safetensors
[ ! -e x.safetensors ] || die "a refused average was written"
cp mine.safetensors other.safetensors
run 0 "$effnet" average mine.safetensors other.safetensors --out mean.safetensors
grep -q '^mean.safetensors: efficientnet_b0, mean of the weights of 2 files: mine.safetensors, other.safetensors; batch norm statistics averaged' "$work/out" || die "what was averaged"
run 0 "$effnet" predict mean.safetensors "$work/5.png" --json --topk 10
same "$work/out" "$work/wanted" # of the same twice
run 0 "$effnet" average mine.safetensors third.safetensors --data "$fashion" --pictures 100 --out estimated.safetensors --json
says 'batch norm statistics estimated on 128 pictures of'
run 0 "$effnet" predict estimated.safetensors "$work/5.png"
