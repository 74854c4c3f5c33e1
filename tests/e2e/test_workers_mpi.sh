#!/usr/bin/env bash
# A run on several workers over MPI: the same bits as alone, on any number of them; stopped by a signal to one and gone
# on with by others; a worker that is killed or stopped ends the run, which goes on from its checkpoint; workers that are
# not about the same are refused. Skipped where no MPI is installed.
source "$(dirname "$0")/harness.sh"
need_fashion
source "$(dirname "$0")/workers.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/pictures" ant bee
small_fashion
train+=(--set replicas=4 --set bn_sync=running_average --set checkpoint.every_steps=2 --set threads=1 --set workers=1
        --set resolution=32 --steps 6)
message() { grep -v -e '^warning' -e '^data: ' "$work/err" | grep 'effnet train: ' || true; }

# a report of all pictures at the end, whoever answered to which
reported=(--set epochs=1 --data "$work/pictures" --set batch_size=8 --set eval_batch_size=3 --set num_classes=2)
run 0 "${train[@]}" "${reported[@]}" --out "$work/page"
run 0 workers 2 "${train[@]}" "${reported[@]}" --out "$work/pages" --dist mpi
[ "$(wc -l <"$work/page/report/predictions.csv")" = 9 ] || die "not every picture was answered to"
same "$work/page/report/predictions.csv" "$work/pages/report/predictions.csv"
grep -q "^report: $work/pages/report/report.html" "$work/out" || die "the report was not told of"
[ -s "$work/pages/report/report.html" ] || die "no page"
echo "ok: one report"
# of several labels a picture the mean average precision is that of all pictures
mkdir "$work/tables"
cp -r "$work/pictures" "$work/tables/files"
for split in train val; do
    echo 'file,labels' >"$work/tables/$split.csv"
    for file in "$work/tables/files/$split"/*/*.bmp; do
        class=$(basename "$(dirname "$file")")
        [[ $file != *[13579].bmp ]] && also= || also='|odd'
        echo "files/$split/$class/$(basename "$file"),$class$also" >>"$work/tables/$split.csv"
    done
done
several=("${reported[@]}" --data "$work/tables" --set num_classes=3 --set loss=binary)
measures() { grep -o '"average_precision":.*' "$1/log.jsonl"; }
run 0 "${train[@]}" "${several[@]}" --out "$work/labels"
run 0 workers 2 "${train[@]}" "${several[@]}" --out "$work/labels-two" --dist mpi
[ -n "$(measures "$work/labels")" ] || die "no mean average precision"
[ "$(measures "$work/labels")" = "$(measures "$work/labels-two")" ] || die "two workers measure something else"
echo "ok: several labels"
train+=(--no-report)

run 0 "${train[@]}" --out "$work/alone"
run 0 workers 2 "${train[@]}" --out "$work/two" --dist mpi
[ "$(grep -c '^checkpoint: ' "$work/out")" = 1 ] || die "not one line that tells of the checkpoint"
same_checkpoint "$work/alone/checkpoints/00000006" "$work/two/checkpoints/00000006"
[ "$(wc -l <"$work/two/log.jsonl")" = "$(wc -l <"$work/alone/log.jsonl")" ] || die "the logs are not as long"
echo "ok: two workers are one"

# moments shared by all, four workers; stopped at step 2, gone on with by one and by two
all=(--set bn_sync=all)
run 0 "${train[@]}" "${all[@]}" --out "$work/all"
run 0 workers 4 "${train[@]}" "${all[@]}" --out "$work/four" --dist mpi --steps 2
run 0 "${train[@]}" "${all[@]}" --out "$work/four" --steps 4 --resume
run 0 workers 2 "${train[@]}" "${all[@]}" --out "$work/four" --dist mpi --resume
same_checkpoint "$work/all/checkpoints/00000006" "$work/four/checkpoints/00000006"
echo "ok: any number of workers goes on"

# a run through the library that ends with its best: every worker has it, though worker 0 alone has read it
grep -qE '^EFFNET_SANITIZE:[A-Z]+=.+' "$build/CMakeCache.txt" || ! command -v cc >/dev/null || [ ! -e "$build/libeffnet.so" ] || {
    cat >"$work/best.c" <<'END'
#include <effnet.h>
#include <stdio.h>
int main(int count, char **words) {
    effnet_recipe *recipe = NULL;
    effnet_error error = {0};
    effnet_train_options options = {.struct_size = sizeof options, .data = words[2], .out = words[3], .dist = words[4],
                                    .end_with_best = true};
    effnet_train_result result = {.struct_size = sizeof result};
    effnet_status status = effnet_recipe_open(words[1], &recipe, &error);
    for (int i = 5; i + 1 < count && status == EFFNET_OK; i += 2)
        status = effnet_recipe_set(recipe, words[i], words[i + 1], &error);
    if (status == EFFNET_OK) status = effnet_train(recipe, &options, &result, &error);
    if (status != EFFNET_OK)
        fprintf(stderr, "%s\n", error.message);
    else
        printf("best %lld of %lld %.4f %.4f\n", (long long)result.best_step, (long long)result.steps, result.top1,
               result.best_top1);
    return status != EFFNET_OK;
}
END
    run 0 cc "$work/best.c" -I"$source/include" "$build/libeffnet.so" "-Wl,-rpath,$build" -o "$work/best"
    best=("$work/best" "$source/recipes/fashion-mnist-b0.yaml" "$work/pictures")
    # it learns nothing: the best of equals is the first epoch's, which is not the last
    keys=(epochs 3 batch_size 8 eval_batch_size 3 num_classes 2 replicas 4 bn_sync running_average resolution 32 lr 1e-9
          model_ema false threads 1 workers 1)
    run 0 "${best[@]}" "$work/best-one" none "${keys[@]}"
    grep '^best' "$work/out" >"$work/best-one.txt"
    run 0 workers 2 "${best[@]}" "$work/best-two" mpi "${keys[@]}"
    [ "$(grep '^best' "$work/out" | sort -u)" = "$(cat "$work/best-one.txt")" ] || die "the workers end with something else"
    [ "$(cut -d' ' -f2 "$work/best-one.txt")" != "$(cut -d' ' -f4 "$work/best-one.txt")" ] || die "the best is the last"
    same "$work/best-one/report/predictions.csv" "$work/best-two/report/predictions.csv"
    echo "ok: the best, on every worker"
}

# what differs is told once, before anything is written
cat >"$work/differ.sh" <<'END'
[ "$OMPI_COMM_WORLD_RANK" = 1 ] && exec "$@" --set lr=0.123
exec "$@"
END
run '[1-9][0-9]*' workers 2 bash "$work/differ.sh" "${train[@]}" --out "$work/differ" --dist mpi
[ "$(message | wc -l)" = 1 ] || die "not one message of a recipe that differs"
message | grep "worker 1 of 2.*the recipe differs from worker 0's in: lr" >/dev/null || die "the key was not named"
[ ! -e "$work/differ" ] || die "something was written"
run '[1-9][0-9]*' workers 3 "${train[@]}" --out "$work/three" --dist mpi
message | grep '3 workers cannot share 4 replicas.*can: 1, 2, 4' >/dev/null || die "the counts that can were not named"
echo "ok: refusals"

# start OUT N COMMAND...: in the background, until the first checkpoint; $pids: the workers
start() {
    local out=$1 n=$2
    shift 2
    workers "$n" "$@" --out "$out" --dist mpi >"$work/out" 2>"$work/err" </dev/null &
    child=$!
    at_end "kill -9 $child 2>/dev/null"
    for ((i = 0; i < 1200; i++)); do
        [ -s "$out/checkpoints/last/raw.safetensors" ] && break
        kill -0 "$child" 2>/dev/null || die "training ended before it could be stopped"
        sleep 0.05
    done
    pids=($(worker_pids "$out"))
    [ "${#pids[@]}" = "$n" ] || die "${#pids[@]} workers found, wanted $n"
}
# ended PATTERN: the run ends with such a status
ended() {
    local status=0
    wait "$child" || status=$?
    [[ $status =~ ^($1)$ ]] || die "exit status $status, wanted $1"
}
long=("${train[@]}" --steps 5000)

start "$work/stop" 2 "${long[@]}"
kill -TERM "${pids[1]}"
ended 130
message | grep 'interrupted after step .* go on with --resume' >/dev/null || die "the end was not told"
[ "$(message | wc -l)" = 1 ] || die "the end was told more than once"
[ -s "$work/stop/checkpoints/last/raw.safetensors" ] || die "no checkpoint after a signal"

start "$work/hang" 2 "${long[@]}" --dist-timeout 3
kill -STOP "${pids[1]}"
at_end "kill -9 ${pids[1]} 2>/dev/null"
ended '[1-9][0-9]*'
message | grep -E "worker [01] of 2 \(process ${pids[1]} on .*\) did not answer for 3 s" >/dev/null || die "who hangs was not told"
echo "ok: signals, a worker that hangs"

start "$work/killed" 2 "${long[@]}"
kill -KILL "${pids[0]}"
ended '[1-9][0-9]*'
at=$(basename "$(realpath "$work/killed/checkpoints/last")")
run 0 workers 2 "${train[@]}" --out "$work/killed" --dist mpi --resume --steps "$((10#$at + 2))"
run 0 "${train[@]}" --out "$work/undisturbed" --steps "$((10#$at + 2))"
last=$(printf '%08d' "$((10#$at + 2))")
same_checkpoint "$work/undisturbed/checkpoints/$last" "$work/killed/checkpoints/$last"
echo "ok: killed at step $at, gone on with"

run 0 workers 2 "$effnet" bench train --res 32 --batch 4 --steps 2 --threads 1 --dist mpi --json
[ "$(wc -l <"$work/out")" = 1 ] || die "not one line of figures"
[ "$(number workers)" = 2 ] || die "not two workers"
holds "$(number images_per_s) > 0 && $(number exchange_share) > 0 && $(number exchange_share) < 1"
gradients=$((4 * $("$effnet" summarize efficientnet_b0 --json | sed -E 's/[^[]*"parameters":([0-9]+),.*/\1/')))
holds "$(number bytes_per_step) >= $gradients && $(number bytes_per_step) < 1.05 * $gradients" # half, there and back
run '[1-9][0-9]*' workers 2 "$effnet" bench train --res 32 --batch 5 --steps 2 --threads 1 --dist mpi
[ "$(grep -c 'effnet bench: ' "$work/err")" = 1 ] || die "not one message"
grep -q 'effnet bench: batch_size 5 is not a multiple of replicas 2' "$work/err" || die "the batch was not named"
complains 2 'inference is each one.s own' "$effnet" bench infer --dist mpi
echo "ok: bench"
