#!/usr/bin/env bash
# data.sh - images a second of training pictures: effnet's loader from JPEG files and from packed files, PyTorch's DataLoader
# (torchvision, Pillow) and tf.data, in turn, on this machine.
#
#   bench/data.sh [-w WORKERS] [-n ROUNDS] [-r REPEAT] [-t ARCHIVE]     (every processor, 3, 2, the ImageNet sample)
#
# Random resized crop to 224, bicubic, flip, normalisation, batches of 64. Each round times all, one after the other, so
# that a slow minute of the machine hits all; the ratio is the median of the rounds' ratios. effnet: JPEG files (the mean of
# a run before and one after the peers); the same with decode=scaled; `effnet pack --size 256`; `--size 256 --raw`. REPEAT: times that the peers
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
build/effnet pack "$folder" "$folder/jpeg.effpack" --size 256 >/dev/null 2>&1
build/effnet pack "$folder" "$folder/raw.effpack" --size 256 --raw >/dev/null 2>&1
processor=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/^-//; s/-$//')
mkdir -p bench/results
results=bench/results/${processor:-unknown}-$(date +%F).jsonl
number() { sed -nE 's/.*"img_s": *([0-9.]+).*/\1/p'; }
median() { sort -g | awk '{ v[NR] = $1 } END { print NR == 0 ? "nan" : NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f\n", a / b }'; }

echo "random resized crop 224, $workers workers; images/s"
ours() { build/tools/bench_data "$1" "$workers" "${@:2}" | tee -a "$results" | number; }
printf '%-7s %10s %10s %10s %10s %10s %10s\n' round effnet scaled packed raw PyTorch tf.data
to_torch=() to_tf=() packed_to_torch=() raw_to_torch=()
for ((round = 1; round <= rounds; round++)); do
    exact=$(ours "$folder")
    torch='' tf=''
    [ -z "$python" ] || torch=$(OMP_NUM_THREADS=1 "$python" "$peers/torch_data.py" "$folder/train" "$workers" "$repeat" 2>/dev/null | tail -n 1 | tee -a "$results" | number)
    [ -z "$tf_python" ] || tf=$("$tf_python" "$peers/tf_data.py" "$folder/train" "$repeat" 2>/dev/null | tail -n 1 | tee -a "$results" | number)
    scaled=$(ours "$folder" decode=scaled)
    packed=$(ours "$folder/jpeg.effpack")
    raw=$(ours "$folder/raw.effpack")
    again=$(ours "$folder") # before and after the peers
    exact=$(awk -v a="$exact" -v b="$again" 'BEGIN { print (a + b) / 2 }')
    [ -z "$torch" ] || { to_torch+=("$(ratio "$exact" "$torch")"); packed_to_torch+=("$(ratio "$packed" "$torch")"); raw_to_torch+=("$(ratio "$raw" "$torch")"); }
    [ -z "$tf" ] || to_tf+=("$(ratio "$exact" "$tf")")
    printf '%-7s %10s %10s %10s %10s %10s %10s\n' "$round" "$exact" "$scaled" "$packed" "$raw" "${torch:--}" "${tf:--}"
done
middle() { printf '%s\n' "$@" | sed '/^$/d' | median; }
printf 'JPEG files: effnet / PyTorch = %s, effnet / tf.data = %s; packed / PyTorch = %s, raw / PyTorch = %s (medians of the rounds)\n' \
    "$(middle ${to_torch[@]+"${to_torch[@]}"})" "$(middle ${to_tf[@]+"${to_tf[@]}"})" \
    "$(middle ${packed_to_torch[@]+"${packed_to_torch[@]}"})" "$(middle ${raw_to_torch[@]+"${raw_to_torch[@]}"})"
echo "$results"
