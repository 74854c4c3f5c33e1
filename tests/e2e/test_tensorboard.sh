#!/usr/bin/env bash
# The event files of a run that was stopped and resumed, one of whose files tells steps that were lost, read back by
# TensorBoard itself. (test_event_file holds their bytes where there is no TensorBoard.)
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
python3 -c 'import tensorboard' 2>/dev/null || skip "no tensorboard for python3 (pip install tensorboard)"
small_pictures "$work/data" ants bees wasps
small_recipe "$work/small.yaml"
cd "$work"
train=("$effnet" train small.yaml --data data --out run)
run 0 "${train[@]}" --steps 5
rm -r run/checkpoints/00000005 run/checkpoints/last run/checkpoints/best # as a kill before that checkpoint leaves it
sleep 1
run 0 "${train[@]}" --resume
[ "$(ls run/events.out.tfevents.* | wc -l)" = 2 ] || die "not one event file a process"
run 0 env TF_CPP_MIN_LOG_LEVEL=3 python3 "$source/tests/e2e/read_events.py" run
cat out
