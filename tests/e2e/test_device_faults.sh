#!/usr/bin/env bash
# A device that has no memory left or is gone in the middle of a run: one sentence, exit status 1, and the newest
# checkpoint whole, from which the run goes on elsewhere. With a plugin that computes nothing (fake_plugin.c).
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
fake=$build/tests/libfake_pjrt.so
[ -r "$fake" ] || die "there is no plugin '$fake'"
export EFFNET_CACHE=

small_pictures "$work/data" dark light
small_recipe "$work/recipe.yaml"
train=("$effnet" train "$work/recipe.yaml" --data "$work/data" --threads 1 --set epochs=5 --set checkpoint.every_steps=3)
there=(--device "xla:$fake")

echo "-- the fake device itself: a whole run, its results told a step or two later and none of them lost"
run 0 "${train[@]}" "${there[@]}" --out "$work/whole"
grep -qE '^run: fake engine, .*; memory about .* GiB free, on the device about 0\.[0-9]+ GiB; seed' "$work/out" ||
    die "what a step takes of the device is not told"
! grep -q "a step takes about" "$work/out" "$work/err" || die "warned of a device that is large enough"
[ "$(grep -c '"loss":1.0' "$work/whole/log.jsonl")" -ge 10 ] || die "not every step of ten is in the log"
run 0 "${train[@]}" "${there[@]}" --out "$work/sparse" --set log_interval=4
# steps 4 and 8, and the epochs' ends
[ "$(grep -c '"loss":1.0' "$work/sparse/log.jsonl")" -ge 7 ] || die "lines that wait for queued steps have no loss"

echo "-- what a step sends: twelve pictures of 32x32x3, twelve labels, five rates and a key a mask; bytes where levels are whole"
sends() { # BYTES KIND OPTION...: a picture's share of them, and what pictures are called
    run 0 "${train[@]}" "${there[@]}" --out "$work/sent" --steps 2 "${@:3}"
    local told
    told=$(grep -oE '^run: each step sends [0-9]+ bytes to the device, pictures as [a-z]+$' "$work/out") ||
        die "what a step sends is not told once"
    local sent=${told#*sends } rest
    rest=$((${sent%% *} - 12 * 32 * 32 * 3 * $1))
    [[ $told == *" pictures as $2" ]] || die "pictures are not $2 with ${*:3}"
    [ "$rest" -ge $((4 * (12 + 5))) ] && [ "$rest" -le 400 ] || die "$told: $rest bytes more than the pictures'"
    rm -rf "$work/sent"
}
sends 4 floats
sends 1 bytes --set levels=whole
sends 1 bytes --set aa=rand-m9-mstd0.5-inc1
sends 4 floats --set levels=whole --set reprob=0.25

# fails SPEC STEP MESSAGE: the run ends with MESSAGE and has a whole checkpoint of STEP ('none': no checkpoint).
fails() {
    rm -rf "$work/run"
    complains 1 "$3" env FAKE_PJRT="$1" "${train[@]}" "${there[@]}" --out "$work/run"
    [ "$(wc -l <"$work/err")" -le 12 ] || die "pages of a stack"
    ! grep -q 'stack of calls' "$work/err" || die "the plugin's stack is shown"
    if [ "$2" = none ]; then
        ! compgen -G "$work/run/checkpoints/0*" >/dev/null || die "a checkpoint of a run that never began"
        return
    fi
    [ "$(readlink "$work/run/checkpoints/last")" = "$2" ] || die "the newest checkpoint is not of step $2"
    run 0 "${train[@]}" --out "$work/run" --resume # on the processor
    grep -q '"step":10' "$work/run/log.jsonl" || die "the run that went on did not reach its end"
}
echo "-- no memory, when the program is compiled, when the state is brought, when it runs"
fails compile:1:8 none "the device has no memory left while compiling .* smaller batch_size"
fails upload:1:8 none "the device has no memory left while copying to the device"
fails execute:1:8 none "the device has no memory left while running the program"
echo "-- gone: at a step, while a result is fetched, at the moment that it is waited for"
fails execute:6:14 00000003 "the device failed while running the program: UNAVAILABLE.*the last good checkpoint .*--resume"
fails download:50:14 00000006 "the device failed .*--resume"
fails await:20:14 00000002 "the device failed .*--resume"

echo "-- a GPU whose plugin knows no kernels of ours, or a machine without their compiler: cuDNN's, and the run says so"
run 0 env FAKE_PJRT_PLATFORM=cuda "${train[@]}" "${there[@]}" --out "$work/older"
grep -qE "^run: depthwise convolutions are cuDNN's.*(UNIMPLEMENTED: no such custom call|nvidia-cuda-nvrtc)" "$work/out" ||
    die "a run without kernels of ours does not say why"
[ "$(grep -c "depthwise convolutions are cuDNN's" "$work/out")" = 1 ] || die "it says so more than once"
run 0 "$effnet" eval "$work/older" --data "$work/data" --device "xla:$fake"
run 0 env FAKE_PJRT_PLATFORM=cuda "$effnet" eval "$work/older" --data "$work/data" --device "xla:$fake"
run 0 env FAKE_PJRT_PLATFORM=cuda EFFNET_XLA_KERNELS=0 "${train[@]}" "${there[@]}" --out "$work/off"
! grep -q "depthwise convolutions are" "$work/out" || die "kernels that were turned off are missed"

echo "-- compiling is no training: the rate of the first line does not have it"
run 0 env FAKE_PJRT_COMPILE=8 "${train[@]}" "${there[@]}" --out "$work/slow" --set log_interval=1
python3 - "$work/slow/log.jsonl" <<'PYTHON' || die "the first line's rate counts the seconds of compiling"
import json
import sys
first = json.loads(open(sys.argv[1]).readline())
sys.exit(not first["images_per_s"] > 2)  # a batch of twelve in eight seconds would be 1.5 a second
PYTHON

echo "-- more replicas than devices"
complains 1 "8 replicas and 4 devices" env FAKE_PJRT_DEVICES=4 "${train[@]}" "${there[@]}" --out "$work/eight" \
    --set replicas=8 --set batch_size=16 --set accumulate=1
run 0 "${train[@]}" "${there[@]}" --out "$work/eight" --set replicas=8 --set batch_size=16 --set accumulate=1

echo "-- a step that is too large for the device is told of before it is compiled"
run 0 env FAKE_PJRT_MEMORY=50000000 "${train[@]}" "${there[@]}" --out "$work/large"
grep -q "a step takes about 0.[0-9]* GiB of a device that has 0.0466" "$work/out" "$work/err" || die "a device that is too small is not told of"

echo "-- a share of the device's memory: plugins for GPUs are told, others refuse it"
run 0 env FAKE_PJRT_PLATFORM=cuda FAKE_PJRT_MEMORY=500000000 "${train[@]}" --out "$work/share" \
    --device "xla:$fake,memory_fraction=0.1,preallocate=false,allocator=bfc"
grep -q "a step takes about 0.[0-9]* GiB of a device that has 0.0466" "$work/out" "$work/err" ||
    die "the device's memory is not a tenth of what it has"
run 0 env FAKE_PJRT_PLATFORM=cuda "$effnet" eval "$work/share" --data "$work/data" --device "xla:$fake,memory_fraction=1"
run 0 "${train[@]}" --out "$work/share" --resume # where it was computed is no matter of the run
refused="the plugin 'libfake_pjrt.so' does not know memory_fraction, which plugins for GPUs do"
complains 1 "$refused.*Unexpected option name" "${train[@]}" --out "$work/no" --device "xla:$fake,memory_fraction=0.5"
complains 1 "$refused" "$effnet" eval "$work/share" --data "$work/data" --device "xla:$fake,memory_fraction=0.5"
wrong() { # OPTIONS MESSAGE
    complains 1 "device: $2" "${train[@]}" --out "$work/no" --device "xla:$fake,$1"
}
wrong memory_fraction=0 "memory_fraction is '0'; wanted a share"
wrong memory_fraction=1.5 "memory_fraction is '1.5'; wanted a share"
wrong memory_fraction=0.5x "memory_fraction is '0.5x'; wanted a share"
wrong preallocate=1 "preallocate is '1'; allowed: true, false"
wrong allocator=malloc "allocator is 'malloc'; allowed: default, bfc"
wrong memory=0.5 "unknown option 'memory'; there is: memory_fraction"
wrong memory_fraction=0.5,half "'half' is no option"
complains 1 "device is 'cpu,memory_fraction=0.5'" "${train[@]}" --out "$work/no" --device cpu,memory_fraction=0.5
[ ! -e "$work/no/checkpoints" ] || die "a run began with options that are refused"
mkdir "$work/a,b"
cp "$fake" "$work/a,b/c,d.so" # commas of a path begin no option
run 0 "${train[@]}" --out "$work/commas" --device "xla:$work/a,b/c,d.so" --steps 2
