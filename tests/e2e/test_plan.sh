#!/usr/bin/env bash
# effnet plan and train --dry-run: time, memory, schedule, classes and warnings of a run, nothing written; its memory held
# against what the run then takes; without data; wrong input.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/data" ants bees
small_recipe "$work/small.yaml"
printf '%s\n' 'mean: [0.22, 0.22, 0.22]' 'std: [0.13, 0.13, 0.13]' >>"$work/small.yaml"
plan=("$effnet" plan "$work/small.yaml" --data "$work/data")
cd "$work"

run 0 "${plan[@]}" --json
[ "$(number steps)" = 4 ] && [ "$(number steps_per_epoch)" = 2 ] || die "not 4 steps, 2 an epoch"
[ "$(number training_pictures)" = 24 ] && [ "$(number evaluation_pictures)" = 8 ] || die "not 24 and 8 pictures"
grep -q '"name": *"bees", *"training": *12, *"evaluation": *4' out || die "12 and 4 bees are not told"
holds "$(number seconds) > 0 && $(number step_seconds) > 0 && $(number images_per_s) > 1"
[ ! -e runs ] || die "a plan wrote a run folder"
run 0 "${plan[@]}" --set batch_size=24 --set resolution=96 --set epochs=8 --json
planned=$(number memory_bytes)

# the same, done: VmHWM while it runs, which is reached in the first epochs
"$effnet" train "$work/small.yaml" --data "$work/data" --set batch_size=24 --set resolution=96 --set epochs=8 --set checkpoint.every_steps=1000 --out "$work/run" >/dev/null 2>"$work/err" &
child=$!
at_end "kill -9 $child 2>/dev/null"
measured=0
while kill -0 "$child" 2>/dev/null; do
    now=$(sed -nE 's/^VmHWM:[[:space:]]*([0-9]+) kB/\1/p' "/proc/$child/status" 2>/dev/null || true)
    [ -z "$now" ] || measured=$((now * 1024))
    sleep 0.02
done
wait "$child" || die "the planned run failed"
echo "memory: planned $planned, measured $measured bytes"
if grep -qE '^EFFNET_SANITIZE:[A-Z]+=.+' "$build/CMakeCache.txt"; then
    echo "a sanitizer keeps freed memory: not compared"
else
    holds "$planned > 0.95 * $measured && $planned < 1.05 * $measured"
fi

# warnings: each of them has a way to come up
warns() { # PATTERN SETTING...
    local pattern=$1 settings=() setting
    shift
    for setting in "$@"; do settings+=(--set "$setting"); done
    run 0 "${plan[@]}" "${settings[@]}"
    grep -E '^warning: ' out | grep -E -- "$pattern" >/dev/null || die "no warning matches '$pattern'"
}
warns 'averages .*reach over 10000 steps and the run has 4' model_ema_decay=0.9999
warns 'opt_eps is 0.001, which suits rmsprop; adamw' opt=adamw
warns 'opt_eps is 1e-09; rmsprop has it inside' opt_eps=1e-9
warns 'hardly begins within 2 epochs' decay_epochs=2.4
warns 'warm-up .* lasts as long as the run' warmup_epochs=2
warns 'mean .*are expected: set mean and std' mean=0,0,0 std=1,1,1
warns '8 evaluation pictures' seed=1
run 0 "${plan[@]}" --set model_ema_decay=0.5 --set sched=cosine
if grep -q 'averages\|learning rate ends' out; then die "a warning without a reason"; fi

# the verb's other face, and without data
run 0 "$effnet" train "$work/small.yaml" --data "$work/data" --dry-run
grep -qE '^steps +4 of 12 pictures, 2 an epoch, 2 epochs' out || die "--dry-run does not tell the steps"
[ ! -e runs ] || die "--dry-run wrote a run folder"
run 0 "$effnet" plan "$work/small.yaml" --pictures 1200 --json
[ "$(number steps)" = 200 ] || die "1,200 pictures are not 200 steps"
holds "$(number seconds) > 0 && $(number memory_bytes) > 1e7"

complains 2 'data.*pictures' "${plan[@]}" --pictures 5
complains 1 'no data to plan for' "$effnet" plan "$work/small.yaml"
complains 1 'fewer than one batch_size' "$effnet" plan "$work/small.yaml" --pictures 5
complains 1 'nowhere' "$effnet" plan "$work/small.yaml" --data "$work/nowhere"
complains 2 'pictures' "$effnet" plan "$work/small.yaml" --pictures 0
complains 1 'cannot|no such' "$effnet" plan "$work/small.yaml" --data "$work/data" --init "$work/nowhere.safetensors"
echo "ok"

# batch_size: auto is found, told and kept: a run that is resumed has what is written down.
run 0 "${plan[@]}" --set batch_size=auto --json
[ "$(number batch_size)" = 16 ] || die "batch_size: auto is $(number batch_size), wanted 16 of 24 pictures"
auto=("$effnet" train "$work/small.yaml" --data "$work/data" --no-report --set batch_size=auto --out "$work/auto")
run 0 "${auto[@]}" --steps 1
grep -qE 'batch_size: auto is 16: it needs about .* more would leave an epoch fewer than ten steps' "$work/out" ||
    die "the batch that was found is not told"
grep -q '^batch_size: 16$' "$work/auto/recipe.yaml" || die "the batch that was found is not written down"
run 0 "${auto[@]}" --set batch_size=8 --out "$work/eight" --steps 1
run 0 "${auto[@]}" --out "$work/eight" --resume
grep -q '^batch_size: 8$' "$work/eight/recipe.yaml" || die "a resumed run chose its batch anew"
complains 1 'batch_size is auto, which a plan without data cannot find' "$effnet" plan "$work/small.yaml" --pictures 100 \
    --set batch_size=auto
complains 2 "batch_size is 'automatic'; allowed: a whole number, 1 to 65536, or auto" "${plan[@]}" --set batch_size=automatic
complains 2 'batch_size is 0; allowed: 1 to 65536, or auto' "${plan[@]}" --set batch_size=0

# Several runs of one recipe: the time of one, and of all.
run 0 "${plan[@]}" --set folds=4
grep -qE '^runs +4, one after the other: ' "$work/out" || die "the number of runs is not told"
grep -qE '^pictures +18 for training, 6 for evaluation' "$work/out" || die "not a fold of the training pictures is planned"
