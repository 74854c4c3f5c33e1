#!/usr/bin/env bash
# Resuming is exact: 2N steps in one go, N steps + kill -9 + --resume to 2N, and Ctrl-C + --resume give identical
# weights, averaged weights and optimizer slots.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion
train+=(--set checkpoint.every_steps=6)

run 0 "${train[@]}" --out "$work/whole" --steps 12

# Killed without warning somewhere after the checkpoint of step 6, then resumed.
"${train[@]}" --out "$work/killed" --steps 5000 >"$work/out" 2>"$work/err" </dev/null &
child=$!
at_end "kill -9 $child 2>/dev/null"
for ((i = 0; i < 600; i++)); do
    [ ! -e "$work/killed/checkpoints/00000006" ] || break
    kill -0 "$child" 2>/dev/null || die "training ended before step 6"
    sleep 0.1
done
[ -e "$work/killed/checkpoints/00000006" ] || die "no checkpoint of step 6 after a minute"
kill -9 "$child"
wait "$child" 2>/dev/null || true
# Whatever it had got to, go on from step 6, as if it had been killed at once; a half-written folder may lie about.
find "$work/killed/checkpoints" -mindepth 1 -maxdepth 1 ! -name 00000006 -exec rm -rf {} +
mkdir "$work/killed/checkpoints/00000012.tmp"
echo half >"$work/killed/checkpoints/00000012.tmp/raw.safetensors"
run 0 "${train[@]}" --out "$work/killed" --steps 12 --resume
same_checkpoint "$work/whole/checkpoints/00000012" "$work/killed/checkpoints/00000012"

# Ctrl-C: the step is finished, a checkpoint written, the exit status 130.
(
    trap - INT # a background job ignores SIGINT unless told otherwise
    exec "${train[@]}" --out "$work/stopped" --steps 12 --set checkpoint.every_steps=0
) >"$work/out" 2>"$work/err" </dev/null &
child=$!
at_end "kill -9 $child 2>/dev/null"
for ((i = 0; i < 600; i++)); do
    grep -q '"step"' "$work/stopped/log.jsonl" 2>/dev/null && break
    kill -0 "$child" 2>/dev/null || die "training ended before it could be interrupted"
    sleep 0.05
done
kill -INT "$child"
status=0
wait "$child" || status=$?
if [ "$status" = 0 ]; then
    echo "note: the run was over before Ctrl-C reached it"
else
    [ "$status" = 130 ] || die "exit status $status after Ctrl-C, wanted 130"
    step=$(basename "$(readlink -f "$work/stopped/checkpoints/last")")
    [ "$((10#$step))" -ge 5 ] && [ "$((10#$step))" -le 12 ] || die "the checkpoint after Ctrl-C is '$step'"
fi
run 0 "${train[@]}" --out "$work/stopped" --steps 12 --resume
same_checkpoint "$work/whole/checkpoints/00000012" "$work/stopped/checkpoints/00000012"

# --resume with nothing there is an error that says so, and another recipe's checkpoint is refused.
complains 1 'no checkpoint' "${train[@]}" --out "$work/fresh" --steps 6 --resume

# The mean of an epoch's loss is of all its steps, also of those before a stop; in the last step of an epoch or within it.
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/data" a b
small_recipe "$work/recipe.yaml"
short=("$effnet" train "$work/recipe.yaml" --data "$work/data" --set batch_size=4 --set num_classes=2 --no-report
       --set width_coefficient=0.1 --set depth_coefficient=0.1 --set epochs=1 --set checkpoint.every_steps=1 --set checkpoint.keep=9)
run 0 "${short[@]}" --out "$work/epoch"
mean=$(grep '"ends_epoch":true' "$work/epoch/log.jsonl" | sed -E 's/.*"loss":([0-9.]+),.*/\1/')
for lines in 2 5 6; do
    cp -r "$work/epoch" "$work/part"
    head -n "$lines" "$work/epoch/log.jsonl" >"$work/part/log.jsonl"
    find "$work/part/checkpoints" -mindepth 1 -maxdepth 1 ! -name "0000000$lines" -exec rm -rf {} +
    run 0 "${short[@]}" --out "$work/part" --resume
    ! grep -q 'loss nan' "$work/out" || die "an epoch's loss is not known"
    again=$(grep '"ends_epoch":true' "$work/part/log.jsonl" | sed -E 's/.*"loss":([0-9.]+),.*/\1/')
    holds "($again - $mean)^2 < ($mean * 1e-6)^2"
    rm -r "$work/part"
done
