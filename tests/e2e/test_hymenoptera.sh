#!/usr/bin/env bash
# Real photographs at 224: two steps of recipes/hymenoptera.yaml, its evaluation, and one picture classified by name.
source "$(dirname "$0")/harness.sh"
photographs

run 0 "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$work" --out "$work/run" --steps 2 --set log_interval=1
[ "$(number step "$work/run/log.jsonl")" = 2 ] || die "log.jsonl does not reach step 2"
holds "$(number loss "$work/run/log.jsonl") > 0 && $(number loss "$work/run/log.jsonl") < 5"

run 0 "$effnet" eval "$work/run/checkpoints/last" --data "$work" --json
wanted=$(find "$work/val" -type f | wc -l) # 153 of the real ones
[ "$(number images)" = "$wanted" ] || die "eval counted $(number images) pictures, wanted $wanted"

picture=$(find "$work/val/bees" -name '*.jpg' | sort | sed -n 1p)
run 0 "$effnet" predict "$work/run/checkpoints/last" "$picture" --topk 2 --json
grep -q '"label"[ ]*:[ ]*"ants"' "$work/out" || die "no class called ants"
grep -q '"label"[ ]*:[ ]*"bees"' "$work/out" || die "no class called bees"
