#!/usr/bin/env bash
# gpu.sh - effnet on an accelerator, beside PyTorch and JAX, in one run that is meant for a machine lent for minutes.
#
#   bench/gpu.sh carry FOLDER [PICTURES]    here: what the other machine lacks goes into FOLDER: effnet.tgz (the program,
#                                           its shared libraries but the C and C++ runtime, some photographs out of the
#                                           folder or tar PICTURES; ../shared/data/imagenet-sample-dev.tar)
#   CARRY=FOLDER bench/gpu.sh [PART ...]    there: every part, the most important first, or those that are named
#
#   devices   nvidia-smi, what `effnet devices` says, where CUDA's tools are
#   parity    fifty steps of the original Flax trainer replayed in fp32 (bench/gpu_parity.py; NumPy)
#   b0        bench train, B0 at 224, bf16, batch 256: images/s, seconds of compiling, memory of the device
#   shifts    the same for each of SHIFTS: which depthwise convolutions are sums of shifted maps (EFFNET_XLA_SHIFTS)
#   peers     the same under JAX with Flax, and timm in PyTorch eager and compiled (bench/gpu_jax.py, bench/gpu_torch.py)
#   fp32      B0 in fp32 with exact products: effnet, JAX, PyTorch eager
#   large     B0 bf16 with 512, 1024, 2048 pictures, until one does not fit
#   b4        B4 at 380, bf16, batch 64: effnet, JAX, PyTorch compiled
#   data      B0 bf16 fed from a packed file of JPEGs; before it, what the loader gives alone
#
# A part that has too little of LIMIT left is left out and named. All output goes to $OUT/log, the JSON lines of every
# contestant to $OUT/results.jsonl, a table to $OUT/table.md and, last, to the terminal. Exit status 1 where something
# that ran failed. Environment, with what stands in place of it:
#   OUT (bench/results/gpu)  LIMIT seconds in all (420)  DEVICE (xla:cuda)  EFFNET (the carried program, else
#   build/effnet)  PYTHON with torch, timm, jax, flax, optax (/opt/torch/.venv/bin/python3, else python3)
#   MODEL RES BATCH (efficientnet_b0 0 256)  LARGE ("512 1024 2048")  SHIFTS ("0 15")  MODEL4 RES4 BATCH4 (efficientnet_b4 380 64)
#   FEED_LEVELS ("fractional whole")  STEPS measured (20)  PARITY_STEPS (50)  FEED pictures in the packed file (8192)  FEED_STEPS (60)
#   SKIP contestants that are left out, a regular expression over the names that are printed: 'torch|jax .*b4'
#   FLAGS more options of `effnet bench`  SLOW a factor on every contestant's time (1)
# Without a GPU, to try the script: SLOW=4 DEVICE=xla:cpu RES=32 BATCH=4 LARGE=8 MODEL4=efficientnet_b0 RES4=32 BATCH4=2 STEPS=2
#   PARITY_STEPS=2 FEED=64 FEED_STEPS=3 LIMIT=1200 bench/gpu.sh
set -uo pipefail
started=$SECONDS
cd "$(dirname "$0")/.."

carry() {
    local to=$1 pictures=${2:-../shared/data/imagenet-sample-dev.tar}
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    set -e
    mkdir -p "$to" "$work/carried/lib" "$work/carried/pictures"
    for program in "${EFFNET:-build/effnet}" build/tools/bench_data; do
        name=effnet
        [ "${program##*/}" != bench_data ] || name=bench_data
        cp "$program" "$work/carried/$name"
        strip "$work/carried/$name"
        # The C library is the other machine's, and so is the C++ runtime: its plugins want theirs, which is newer.
        ldd "$program" | awk '$3 ~ /^\// { print $3 }' |
            grep -vE '/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s)\.so' | xargs -I{} cp -Lu {} "$work/carried/lib/"
    done
    if [ -d "$pictures" ]; then
        find "$pictures" -iname '*.jp*g' | sort | head -n 64 | xargs -I{} cp {} "$work/carried/pictures/"
    else
        mkdir "$work/all"
        tar -xf "$pictures" -C "$work/all"
        find "$work/all" -iname '*.jp*g' | sort | head -n 64 | xargs -I{} cp {} "$work/carried/pictures/"
    fi
    tar -czf "$to/effnet.tgz" -C "$work" carried
    ls -l "$to/effnet.tgz"
}

if [ "${1:-}" = carry ]; then
    [ $# -ge 2 ] || { echo "gpu.sh: carry FOLDER [PICTURES]" >&2; exit 2; }
    carry "${@:2}"
    exit
fi

out=${OUT:-bench/results/gpu} limit=${LIMIT:-420} device=${DEVICE:-xla:cuda} steps=${STEPS:-20}
model=${MODEL:-efficientnet_b0} res=${RES:-0} batch=${BATCH:-256} large=${LARGE:-512 1024 2048}
model4=${MODEL4:-efficientnet_b4} res4=${RES4:-380} batch4=${BATCH4:-64}
python=${PYTHON:-/opt/torch/.venv/bin/python3}
[ -x "$python" ] || python=$(command -v python3) || { echo "gpu.sh: there is no python3" >&2; exit 2; }
read -ra flags <<<"${FLAGS:-}"
known="devices parity b0 shifts peers fp32 large b4 data"
read -ra parts <<<"${*:-devices parity b0 peers shifts fp32 large b4 data}"
for part in "${parts[@]}"; do
    [[ " $known " == *" $part "* ]] || { echo "gpu.sh: unknown part '$part'; allowed: $known" >&2; exit 2; }
done

mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
work=$(mktemp -d) || exit 1
results=$out/results.jsonl log=$out/log
: >"$results"
: >"$log"
failures=0


effnet=${EFFNET:-build/effnet} bench_data=build/tools/bench_data pictures=${PICTURES:-}
if [ -n "${CARRY:-}" ]; then
    tar -xzf "$CARRY/effnet.tgz" -C "$work" || exit 1
    pictures=${PICTURES:-$work/carried/pictures}
    for name in effnet bench_data; do # the libraries are for these two alone, not for Python
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %s "$@"\n' \
            "$work/carried/lib" "$work/carried/$name" >"$work/$name"
        chmod +x "$work/$name"
    done
    effnet=$work/effnet bench_data=$work/bench_data
fi
[ -x "$effnet" ] || { echo "gpu.sh: there is no '$effnet': build it, or CARRY=FOLDER of 'gpu.sh carry FOLDER'" >&2; exit 2; }

# The plugin is looked for in the environment of the Python that has JAX.
[ -n "${VIRTUAL_ENV:-}" ] || VIRTUAL_ENV=$(cd "$(dirname "$python")/.." && pwd)
export VIRTUAL_ENV
export EFFNET_CACHE=$work/cache TORCHINDUCTOR_CACHE_DIR=$work/inductor TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}
export PYTHONUNBUFFERED=1

# XLA looks for ptxas and libdevice in /usr/local/cuda and in Python's packages; elsewhere it has to be told.
if [[ $device == *cuda* ]] && [ ! -d /usr/local/cuda/nvvm/libdevice ] && nvcc=$(command -v nvcc); then
    nvcc=$(readlink -f "$nvcc")
    export XLA_FLAGS="--xla_gpu_cuda_data_dir=${nvcc%/bin/nvcc} ${XLA_FLAGS:-}"
fi

finish() {
    trap - EXIT INT TERM
    "$python" - "$results" <<'PYTHON' | tee "$out/table.md" | tee -a "$log"
import json
import sys

rows = []
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    try:
        rows.append(json.loads(line))
    except ValueError:
        pass
print("| contestant | work | images/s | best | compile s | device MB |\n| --- | --- | --- | --- | --- | --- |")
for r in rows:
    if "images_per_s" in r:
        precision = " tf32" if r.get("dtype") == "fp32" and r.get("precision") == "default" else ""
        print(f"| {r.get('peer', 'effnet')} | {r.get('model', '')} {r.get('res', '')} {r.get('dtype', '')}{precision} "
              f"batch {r.get('batch', '')} {r.get('note', '')} | {r['images_per_s']} | {r.get('images_per_s_best', '')} | "
              f"{r.get('compile_seconds', r.get('compile_s', ''))} | {r.get('activation_mb', r.get('device_mb', ''))} |")
for r in rows:
    if "images_per_s" not in r:
        print("\n" + json.dumps(r))
PYTHON
    printf '%s of %s s; exit status %s\n' $((SECONDS - started)) "$limit" $((failures > 0)) | tee -a "$log"
    rm -rf "$work"
    exit $((failures > 0))
}
trap finish EXIT
trap 'failures=$((failures + 1)); exit' INT TERM

# contestant NAME LEAST MOST COMMAND...: runs it for MOST seconds at most, and not at all where less than LEAST are left.
# The JSON lines of its output are results; "peer" and what NOTE says are added to effnet's.
contestant() {
    local name=$1 least=$2 most=$3 left=$((limit - (SECONDS - started))) began=$SECONDS status
    shift 3
    [ -z "${SKIP:-}" ] || ! [[ $name =~ $SKIP ]] || return 0
    most=$((most * ${SLOW:-1}))
    if ((left < least)); then
        echo "-- $name: left out, $left s are left and $least wanted" | tee -a "$log"
        return 1
    fi
    ((most < left)) || most=$left
    echo "-- $name: $*" >>"$log"
    timeout -k 5 "$most" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null
    status=$?
    head -c 200000 "$work/stdout" >>"$log"
    { head -c 20000 "$work/stderr"; echo; tail -n 40 "$work/stderr" | cut -c1-2000; } >>"$log"
    grep '^{' "$work/stdout" | sed "s/^{/{\"note\": \"${note:-}\", /" >>"$results"
    if ((status == 0)); then
        echo "-- $name: $((SECONDS - began)) s: $(grep '^{' "$work/stdout" | tail -n 1 | cut -c1-400)"
    else
        failures=$((failures + 1))
        echo "-- $name: FAILED with $status after $((SECONDS - began)) s: $(tail -n 3 "$work/stderr" | cut -c1-600)"
    fi
    return $status
}

bench_effnet() { # MODEL RES BATCH DTYPE LEAST MOST
    local size=()
    [ "$2" = 0 ] || size=(--res "$2")
    contestant "effnet $1 $4 batch $3" "$5" "$6" "$effnet" bench train --device "$device" --model "$1" "${size[@]}" \
        --batch "$3" --dtype "$4" --steps "$steps" --json "${flags[@]}"
}
bench_jax() { contestant "jax $1 $4 batch $3" "$5" "$6" "$python" bench/gpu_jax.py "$3" "$4" "$1" "$2" "$steps"; }
bench_torch() { # MODE MODEL RES BATCH DTYPE LEAST MOST; the weights and the padding of the published models
    contestant "torch $1 $2 $5 batch $4" "$6" "$7" "$python" bench/gpu_torch.py "$1" "$4" "$5" "tf_$2" "$3" "$steps"
}

part_devices() {
    { nvidia-smi || echo "no nvidia-smi"; } >>"$log" 2>&1
    nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit --format=csv,noheader 2>/dev/null
    { uname -a; nproc; "$python" --version; ldd "$effnet" "$work/carried/effnet"
      command -v nvcc ptxas; ls -d /usr/local/cuda* "$VIRTUAL_ENV"/lib/python3*/site-packages/nvidia/*/
      ls "$VIRTUAL_ENV"/lib/python3*/site-packages/jax_plugins; } >>"$log" 2>&1
    [ -z "${CARRY:-}" ] || LD_LIBRARY_PATH=$work/carried/lib ldd "$work/carried/effnet" | grep 'not found'
    contestant "effnet version" 1 20 "$effnet" version
    contestant "effnet devices" 1 60 "$effnet" devices --json
}
part_parity() { contestant parity 40 150 "$python" bench/gpu_parity.py "$effnet" "$device" "${PARITY_STEPS:-50}"; }
part_b0() { bench_effnet "$model" "$res" "$batch" bf16 40 180; }
part_shifts() {
    local shifts note
    for shifts in ${SHIFTS:-0 15}; do
        note="shifts $shifts"
        EFFNET_XLA_SHIFTS=$shifts bench_effnet "$model" "$res" "$batch" bf16 40 120
    done
}
part_peers() {
    bench_torch eager "$model" "$res" "$batch" bf16 20 90
    bench_jax "$model" "$res" "$batch" bf16 40 180
    bench_torch compile "$model" "$res" "$batch" bf16 40 180
}
part_fp32() {
    bench_effnet "$model" "$res" "$batch" fp32 40 150
    bench_torch eager "$model" "$res" "$batch" fp32 20 60
    bench_jax "$model" "$res" "$batch" fp32 40 150
}
part_large() {
    local size
    for size in $large; do bench_effnet "$model" "$res" "$size" bf16 40 120 || break; done
}
part_b4() {
    bench_effnet "$model4" "$res4" "$batch4" bf16 60 200
    bench_torch compile "$model4" "$res4" "$batch4" bf16 60 200
    bench_jax "$model4" "$res4" "$batch4" bf16 60 200
}

# A table that lists the photographs again and again is as many pictures to the packer as it has rows.
pack_pictures() {
    local files i feed=${FEED:-8192}
    mapfile -t files < <(find "$pictures" -type f -iname '*.jp*g' | sort)
    ((${#files[@]} > 0)) || return 1
    mkdir -p "$work/feed/pictures" || return 1
    cp "${files[@]}" "$work/feed/pictures/" || return 1
    for ((i = 0; i < feed; i++)); do
        echo "pictures/${files[i % ${#files[@]}]##*/},$((i % 1000))"
    done >"$work/feed/train.csv"
    head -n "$((batch < feed ? batch : feed))" "$work/feed/train.csv" >"$work/feed/val.csv"
    "$effnet" pack "$work/feed" "$work/feed.effpack" --size 256 >>"$log" 2>&1
}
part_data() {
    ((limit - (SECONDS - started) > 60)) || { echo "-- data: left out"; return 1; }
    [ -n "$pictures" ] || { echo "-- data: left out: PICTURES=FOLDER of JPEGs, or CARRY"; return 1; }
    pack_pictures || { echo "-- data: FAILED to pack" | tee -a "$log"; failures=$((failures + 1)); return 1; }
    contestant loader 20 60 "$bench_data" "$work/feed.effpack" 0
    local levels
    for levels in ${FEED_LEVELS:-fractional whole}; do train_fed "$levels" || return 1; done
}
# Floats are sent of fractional levels, bytes of whole ones.
train_fed() {
    local levels=$1 note="fed from a packed file, levels $1" size=()
    [ "$res" = 0 ] || size=(--set "resolution=$res")
    contestant "effnet train, fed, levels $levels" 40 200 "$effnet" train recipes/imagenet-b0.yaml --data "$work/feed.effpack" \
        --out "$work/run-$levels" --set levels="$levels" --device "$device" --set batch_size="$batch" --set accumulate=1 --set amp=bf16 \
        --set num_classes=1000 --set log_interval="${FEED_LOG:-10}" --set eval_every_epochs=1000 "${size[@]}" --steps "${FEED_STEPS:-60}" --quiet || return 1
    grep -h 'each step sends' "$work/stdout" "$work/stderr" | tee -a "$log"
    sed "s/^{/{\"note\": \"$note\", /" "$work/run-$levels/log.jsonl" >>"$log"
    # The first lines hold the compiling; the best of the others is what the device does when it is fed.
    "$python" - "$work/run-$levels/log.jsonl" "$model" "$batch" "$res" "$note" >>"$results" <<'PYTHON'
import json
import sys

rates = [r["images_per_s"] for r in map(json.loads, open(sys.argv[1])) if r.get("images_per_s")]
rates = sorted(rates[1:] or rates)
if rates:
    print(json.dumps({"note": sys.argv[5], "model": sys.argv[2], "res": int(sys.argv[4]) or "", "dtype": "bf16", "batch": int(sys.argv[3]),
                      "images_per_s": rates[len(rates) // 2], "images_per_s_best": rates[-1]}))
PYTHON
}

echo "effnet at $effnet, Python at $python, device $device, $limit s, output in $out" | tee -a "$log"
for part in "${parts[@]}"; do part_$part; done
