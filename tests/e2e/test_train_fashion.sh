#!/usr/bin/env bash
# A short run on Fashion-MNIST by the demo's recipe: what is on the screen, in log.jsonl and in the run folder, and
# that the checkpoint can be evaluated: all 10,000 pictures are counted, the last, partial batch included.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion

run 0 "${train[@]}" --out "$work/run" --steps 30
grep -q . "$work/out" "$work/err" || die "training printed nothing"

log=$work/run/log.jsonl
[ -s "$log" ] || die "no log.jsonl"
for key in epoch step loss lr images_per_s; do
    lines=$(grep -c "\"$key\"[ ]*:" "$log" || true)
    [ "$lines" -ge 6 ] || die "log.jsonl: '$key' is in $lines lines, wanted 6 or more (30 steps, log_interval 5)"
done
if grep -qivE '^\{.*\}$' "$log"; then die "log.jsonl: a line is not one object"; fi
if grep -qiE '[^a-z](nan|inf)' "$log"; then die "log.jsonl holds NaN or infinity, which is not JSON"; fi
[ "$(number step "$log")" = 30 ] || die "log.jsonl ends at step $(number step "$log"), wanted 30"
holds "$(number loss "$log") > 0 && $(number loss "$log") < 10"
holds "$(number images_per_s "$log") > 0"

last=$work/run/checkpoints/last
for file in ema.safetensors raw.safetensors slots.safetensors recipe.yaml; do
    [ -s "$last/$file" ] || die "no '$file' in the last checkpoint"
done
[ "$(basename "$(readlink -f "$last")")" = 00000030 ] || die "'last' is $(readlink -f "$last"), wanted step 30"
if find "$work/run" -name '*.tmp*' | grep -q .; then die "temporary files were left"; fi

# The resolved recipe is a recipe: the same run can be asked for by it.
resolved=$(find "$work/run" -maxdepth 1 -name '*.yaml')
[ -s "$resolved" ] || die "no resolved recipe in the run folder"
grep -qE '^batch_size: *32$' "$resolved" || die "the resolved recipe does not say batch_size: 32"
run 0 "$effnet" train "$resolved" --data "$fashion" --out "$work/again" --steps 2

run 0 "$effnet" eval "$last" --data "$fashion" --json
[ "$(number images)" = 10000 ] || die "eval counted $(number images) pictures, wanted 10000"
holds "$(number top1) >= 0 && $(number top1) <= $(number top5) && $(number top5) <= 100"
ema=$(number loss)
run 0 "$effnet" eval "$last" --data "$fashion" --weights raw --json
[ "$(number loss)" != "$ema" ] || die "raw and averaged weights give the same loss"
