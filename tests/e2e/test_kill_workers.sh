#!/usr/bin/env bash
# Kill campaign: a random worker of a small run is killed (SIGKILL) at a random moment, from before the workers have met
# to after the last step; the run ends, and what goes on from what it left, with another number of workers, ends with the
# bits and the log of a run that was left alone. Two kills; EFFNET_FAULTS=N in the environment makes them 2 N.
# Moments are random anew each time; a fault is told with all that it takes to be tried again.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
source "$(dirname "$0")/workers.sh"
kills=$((2 * ${EFFNET_FAULTS:-1}))
small_pictures "$work/pictures" ant bee
small_recipe "$work/recipe.yaml"
train=("$effnet" train "$work/recipe.yaml" --data "$work/pictures" --set batch_size=8 --set replicas=4
       --set bn_sync=all --set epochs=4 --set checkpoint.every_steps=1 --set threads=1 --set workers=1 --no-report)
last=00000012

# steps FILE: of every line of a log the step, its loss and the weights' fingerprint; of an epoch's, whose loss is that of
# the steps since the run was gone on with, the evaluation instead.
steps() {
    sed -nE -e 's/.*("step":[0-9]+),.*"ends_epoch":true,(.*)/\1 \2/p; t' \
        -e 's/.*("step":[0-9]+),("loss":[^,]*),.*("fingerprint":[^,}]*).*/\1 \2 \3/p' "$1"
}

run 0 "${train[@]}" --out "$work/alone"
began=$(date +%s%N)
run 0 workers 2 "${train[@]}" --out "$work/two" --dist mpi
took=$((($(date +%s%N) - began) / 1000000)) # ms, of an undisturbed run
same_checkpoint "$work/alone/checkpoints/$last" "$work/two/checkpoints/$last"
[ "$(steps "$work/alone/log.jsonl" | wc -l)" = 16 ] || die "not a line for each step and epoch in the log"

# kill_one OUT WORKERS MS: such a run, one of whose workers is killed after so long; fails where it ended before.
kill_one() {
    local status=0 victim pids pid i
    workers "$2" "${train[@]}" --out "$1" --dist mpi >"$work/out" 2>"$work/err" </dev/null &
    child=$!
    sleep "$(awk "BEGIN { print $3 / 1000 }")"
    pids=($(worker_pids "$1"))
    victim=${pids[RANDOM % (${#pids[@]} ? ${#pids[@]} : 1)]:-}
    [ -n "$victim" ] && kill -KILL "$victim" 2>/dev/null || victim=
    wait "$child" || status=$?
    for pid in "${pids[@]}"; do # mpirun may end before the last worker that it ended
        for ((i = 0; i < 600; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
        ! kill -0 "$pid" 2>/dev/null || die "worker $pid is still there 30 s after another one was killed"
    done
    [ -n "$victim" ] || { [ "$status" = 0 ] || die "a run that nobody disturbed ended with $status"; return 1; }
    [ "$status" != 0 ] || [ -s "$1/checkpoints/$last/raw.safetensors" ] || die "a run without its end ended with 0"
}

killed=0 unborn=0 ended=0 tried=0
for ((tried = 0; killed < kills && tried < 20 * kills; tried++)); do
    out=$work/killed n=$((2 << RANDOM % 2)) again=$((1 << RANDOM % 3)) after=$((RANDOM * took / 32768))
    rm -rf "$out"
    kill_one "$out" "$n" "$after" || continue
    killed=$((killed + 1))
    what="kill $killed, of one of $n workers after $after ms of about $took, gone on with by $again"
    go_on=(--resume)
    if [ ! -e "$out/checkpoints/last" ]; then
        go_on=()
        unborn=$((unborn + 1))
    elif [ "$(basename "$(realpath "$out/checkpoints/last")")" = "$last" ]; then
        ended=$((ended + 1))
    fi
    workers "$again" "${train[@]}" --out "$out" --dist mpi "${go_on[@]}" >"$work/out" 2>"$work/err" </dev/null ||
        die "$what: it did not go on"
    (same_checkpoint "$work/alone/checkpoints/$last" "$out/checkpoints/$last") || die "$what: other bits"
    steps "$work/alone/log.jsonl" >"$work/wanted"
    steps "$out/log.jsonl" >"$work/found"
    cmp -s "$work/wanted" "$work/found" || die "$what: another log"
done
[ "$killed" = "$kills" ] || die "only $killed of $kills runs were still there to be killed"
echo "fault | a worker killed, $unborn before the first checkpoint, $ended after the last | tried $killed | lost 0 | silent 0"
