#!/usr/bin/env bash
# data.sh - images a second of training pictures: effnet's loader, PyTorch's DataLoader (torchvision, Pillow) and tf.data,
# in turn, on this machine.
#
#   bench/data.sh [-w WORKERS] [-n ROUNDS] [-r REPEAT] [-t ARCHIVE]     (every processor, 3, 2, the ImageNet sample)
#
# Random resized crop to 224, bicubic, flip, normalisation, batches of 64. Each round times all, one after the other, so
# that a slow minute of the machine hits all; the ratio is the median of the rounds' ratios. REPEAT: times that the peers
# read the pictures in a pass, so that their start does not count. PYTHON names an interpreter with torch and torchvision,
# TF_PYTHON one with tensorflow (each peer is left out where there is none), PEERS the folder of torch_data.py and
# tf_data.py (../shared/peers). Appends the JSON lines to bench/results/<processor>-<date>.jsonl.
set -euo pipefail
cd "$(dirname "$0")/.."

workers=$(nproc) rounds=3 repeat=2 archive=../shared/data/imagenet-sample-dev.tar
while getopts w:n:r:t: option; do
    case $option in
        w) workers=$OPTARG ;; n) rounds=$OPTARG ;; r) repeat=$OPTARG ;; t) archive=$OPTARG ;;
        *) sed -n '2,5s/^# *//p' "$0" >&2; exit 2 ;;
    esac
done
python=${PYTHON:-python3} tf_python=${TF_PYTHON:-$python} peers=${PEERS:-../shared/peers}
[ -x build/tools/bench_data ] || { echo "data.sh: build first: cmake --preset release && cmake --build build" >&2; exit 1; }
[ -r "$archive" ] || { echo "data.sh: there is no '$archive'; name an archive of class folders by -t" >&2; exit 1; }
"$python" -c 'import torch, torchvision' 2>/dev/null || { echo "data.sh: '$python' has no torchvision; PyTorch is left out" >&2; python=; }
"$tf_python" -c 'import tensorflow' 2>/dev/null || { echo "data.sh: '$tf_python' has no tensorflow; tf.data is left out" >&2; tf_python=; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/train"
tar -C "$folder/train" -xf "$archive"
processor=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/^-//; s/-$//')
mkdir -p bench/results
results=bench/results/${processor:-unknown}-$(date +%F).jsonl
number() { sed -nE 's/.*"img_s": *([0-9.]+).*/\1/p'; }
median() { sort -g | awk '{ v[NR] = $1 } END { print NR == 0 ? "nan" : NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f\n", a / b }'; }

echo "random resized crop 224, $workers workers; images/s"
printf '%-7s %10s %10s %10s %10s\n' round effnet scaled PyTorch tf.data
to_torch=() to_tf=()
for ((round = 1; round <= rounds; round++)); do
    exact=$(build/tools/bench_data "$folder" "$workers" | tee -a "$results" | number)
    torch='' tf=''
    [ -z "$python" ] || torch=$(OMP_NUM_THREADS=1 "$python" "$peers/torch_data.py" "$folder" "$workers" "$repeat" 2>/dev/null | tail -n 1 | tee -a "$results" | number)
    [ -z "$tf_python" ] || tf=$("$tf_python" "$peers/tf_data.py" "$folder" "$repeat" 2>/dev/null | tail -n 1 | tee -a "$results" | number)
    scaled=$(build/tools/bench_data "$folder" "$workers" decode=scaled | tee -a "$results" | number)
    again=$(build/tools/bench_data "$folder" "$workers" | tee -a "$results" | number) # before and after the peers
    exact=$(awk -v a="$exact" -v b="$again" 'BEGIN { print (a + b) / 2 }')
    [ -z "$torch" ] || to_torch+=("$(ratio "$exact" "$torch")")
    [ -z "$tf" ] || to_tf+=("$(ratio "$exact" "$tf")")
    printf '%-7s %10s %10s %10s %10s\n' "$round" "$exact" "$scaled" "${torch:--}" "${tf:--}"
done
printf 'effnet / PyTorch = %s, effnet / tf.data = %s (medians of the rounds)\n' \
    "$(printf '%s\n' ${to_torch[@]+"${to_torch[@]}"} | sed '/^$/d' | median)" "$(printf '%s\n' ${to_tf[@]+"${to_tf[@]}"} | sed '/^$/d' | median)"
echo "$results"
