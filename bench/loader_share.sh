#!/usr/bin/env bash
# loader_share.sh - how much of a training run's processor time the loader's threads take.
#
#   bench/loader_share.sh RECIPE DATA [OPTION]...      (OPTION: of `effnet train`, such as --steps 40 --set batch_size=32)
#
# Runs `effnet train` into a folder that is removed afterwards and adds up, while it runs, what the kernel counts for its
# threads called effnet-loader and for all of them. Processor time, not seconds: other work on the machine changes it little.
# Evaluation at the end of an epoch counts as the rest does.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,5s/^# *//p' "$0" >&2; exit 2; }
recipe=$1 data=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
build/effnet train "$recipe" --data "$data" --out "$out/run" --quiet "$@" >"$out/log" 2>&1 &
run=$!
loader=0 all=0
# utime and stime, in ticks, are the 14th and 15th field; the name before them is in parentheses. A loader that ended (each
# evaluation may have one) is kept by its number.
declare -A ticks=()
while kill -0 $run 2>/dev/null; do
    for task in /proc/$run/task/*/stat; do
        line=$(cat "$task" 2>/dev/null) || continue
        name=${line#*(} name=${name%)*}
        set -- ${line##*) }
        number=${task#/proc/*/task/} number=${number%/stat}
        ticks[$name/$number]=$((${12} + ${13}))
    done
    sleep 0.1
done
wait $run || { cat "$out/log" >&2; exit 1; }
for key in "${!ticks[@]}"; do
    all=$((all + ticks[$key]))
    [ "${key%/*}" != effnet-loader ] || loader=$((loader + ticks[$key]))
done
tail -n 2 "$out/log"
awk -v l=$loader -v a=$all -v hz="$(getconf CLK_TCK)" 'BEGIN {
    printf "processor time: %.2f s of %.2f s in the loader: %.2f %%\n", l / hz, a / hz, a ? 100 * l / a : 0 }'
