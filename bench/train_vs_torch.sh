#!/usr/bin/env bash
# train_vs_torch.sh - one training step of effnet and of PyTorch (timm's model, eager), in turn, on this machine.
#
#   bench/train_vs_torch.sh [-m MODEL] [-r RESOLUTION] [-b BATCH] [-n ROUNDS] [-s STEPS]     (b0, 224, 32, 3, 6)
#
# Each round times both, one after the other, so that a slow minute of the machine hits both; the figure is the median
# of the rounds' medians. Prints a table and appends the JSON lines to bench/results/<processor>-<date>.jsonl. PYTHON
# names an interpreter with torch and timm (python3), PEER the script to time (../shared/peers/torch_train.py), THREADS
# the threads of both (every processor). Let nothing else run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

model=efficientnet_b0 resolution=224 batch=32 rounds=3 steps=6
while getopts m:r:b:n:s: option; do
    case $option in
        m) model=$OPTARG ;; r) resolution=$OPTARG ;; b) batch=$OPTARG ;; n) rounds=$OPTARG ;; s) steps=$OPTARG ;;
        *) sed -n '2,4s/^# *//p' "$0" >&2; exit 2 ;;
    esac
done
python=${PYTHON:-python3} peer=${PEER:-../shared/peers/torch_train.py} threads=${THREADS:-$(nproc)}
[ -x build/effnet ] || { echo "train_vs_torch.sh: build the program first: cmake --preset release && cmake --build build" >&2; exit 1; }
[ -r "$peer" ] || { echo "train_vs_torch.sh: there is no '$peer'; name the script by PEER=" >&2; exit 1; }
"$python" -c 'import torch, timm' 2>/dev/null ||
    { echo "train_vs_torch.sh: '$python' has no torch and timm; name another interpreter by PYTHON=" >&2; exit 1; }

processor=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/^-//; s/-$//')
mkdir -p bench/results
results=bench/results/${processor:-unknown}-$(date +%F).jsonl
number() { sed -nE "s/.*\"$1\"[ ]*:[ ]*([0-9.eE+-]+).*/\1/p"; }
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

echo "$model, $resolution x $resolution, batch $batch, fp32, $threads threads; images/s, median of $steps steps (best)"
printf '%-7s %18s %18s\n' round effnet PyTorch
ours=() theirs=()
for ((round = 1; round <= rounds; round++)); do
    line=$(build/effnet bench train --model "$model" --res "$resolution" --batch "$batch" --threads "$threads" \
           --steps "$steps" --json | tr -d '\n')
    peer_line=$(OMP_NUM_THREADS=$threads THREADS=$threads "$python" "$peer" eager "$batch" fp32 "$model" "$resolution" "$steps" | tail -n 1)
    printf '%s\n%s\n' "$line" "$peer_line" >>"$results"
    ours+=("$(number images_per_s <<<"$line")") theirs+=("$(number img_s <<<"$peer_line")")
    printf '%-7s %9.2f (%6.2f) %9.2f (%6.2f)\n' "$round" "${ours[-1]}" "$(number images_per_s_best <<<"$line")" \
        "${theirs[-1]}" "$(number best <<<"$peer_line")"
done
a=$(printf '%s\n' "${ours[@]}" | median) b=$(printf '%s\n' "${theirs[@]}" | median)
awk -v a="$a" -v b="$b" 'BEGIN { printf "%-7s %9.2f          %9.2f          effnet / PyTorch = %.2f\n", "median", a, b, a / b }'
echo "$results"
