#!/usr/bin/env bash
# effnet replay from the command line: batches from a file that this script writes byte by byte, a line a step, JSON, the
# dump, the same numbers from the dumped run's weights, and what is said of wrong use and wrong files.
source "$(dirname "$0")/harness.sh"

# safetensors FILE HEADER: the header, and the data from standard input.
safetensors() {
    local header=$2
    while ((${#header} % 8)); do header+=' '; done
    { printf "\\x$(printf %02x $((${#header} % 256)))\\x$(printf %02x $((${#header} / 256)))\\0\\0\\0\\0\\0\\0%s" "$header"
      cat -; } >"$1"
}
# Sixteen pictures of 32x32 bytes (U8 is converted) out of a small generator, and their labels 0 1 2 1 0 1 2 1 ...
bytes=$((16 * 32 * 32 * 3))
pixels() { awk 'BEGIN { for (i = x = 0; i < '$bytes'; i++) { x = (x * 3877 + 29573) % 139968; printf "%c", 33 + x % 90 } }'; }
labels() { for _ in 0 1 2 3; do printf '\0\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0'; done; }
header() { # header IMAGES_SHAPE LABELS_SHAPE
    printf '{"images":{"dtype":"U8","shape":%s,"data_offsets":[0,%d]},"labels":{"dtype":"I32","shape":%s,"data_offsets":[%d,%d]}}' \
        "$1" $bytes "$2" $bytes $((bytes + 64))
}
batches=$work/batches.safetensors
{ pixels; labels; } | safetensors "$batches" "$(header '[2,8,32,32,3]' '[2,8]')"
cat >"$work/tiny.yaml" <<RECIPE
model: efficientnet_b0
resolution: 32
num_classes: 3
batch_size: 8
warmup_epochs: 0
sched: constant
lr: 0.0001
RECIPE
replay=("$effnet" replay "$work/tiny.yaml" --batches "$batches")

echo "-- a line a step"
run 0 "${replay[@]}" --steps 3
[ "$(wc -l <"$work/out")" = 4 ] || die "three steps and a title are not four lines"
[ "$(awk 'NR > 1 { print $1 }' "$work/out" | tr '\n' ' ')" = "1 2 3 " ] || die "the steps are not numbered"
run 0 "${replay[@]}" --dump "$work/dump.safetensors" --json
[ "$(grep -cE '^\{"step":[12],"loss":[0-9.e-]+,"lr":0\.0001,"gradient_norm":[0-9.e-]+\}$' "$work/out")" = 2 ] || die "JSON lines"
cp "$work/out" "$work/steps"
head -c 400000 "$work/dump.safetensors" >"$work/head"
grep -qa '"effnet.step":"2"' "$work/head" || die "the dump does not say its step"
for name in steps/loss steps/lr steps/gradient_norm weights/conv_stem.weight weights/bn1.running_var ema/classifier.bias \
    mean_square/conv_stem.weight momentum/classifier.weight; do
    grep -qa "\"$name\":" "$work/head" || die "the dump has no $name"
done
cp "$work/dump.safetensors" "$work/first"
run 0 "${replay[@]}" --dump "$work/dump.safetensors" --threads 3 --json
same "$work/out" "$work/steps"
same "$work/dump.safetensors" "$work/first"
run 0 "${replay[@]}" --engine reference --steps 1 --json
holds "($(number loss) - $(number loss <(head -n 1 "$work/steps"))) ^ 2 < 1e-8"
run 0 "${replay[@]}" --set init=flax --set masks=flax --json
! cmp -s "$work/out" "$work/steps" || die "Flax's weights and masks give the numbers of ours"

echo "-- wrong use: 2"
complains 2 "no recipe given" "$effnet" replay --batches "$batches"
complains 2 "one recipe at a time.*more" "${replay[@]}" more
complains 2 "--batches FILE is missing" "$effnet" replay "$work/tiny.yaml"
complains 2 "--steps is '0'; allowed: 1 to" "${replay[@]}" --steps 0
complains 2 "--steps-per-epoch is 'x'" "${replay[@]}" --steps-per-epoch x
complains 2 "unknown key 'mask'; nearest: 'masks'" "${replay[@]}" --set mask=flax
complains 2 "masks is 'jax'; allowed: effnet, flax" "${replay[@]}" --set masks=jax
complains 2 "unknown option '--batch'; nearest: '--batches'|unknown option" "${replay[@]}" --bathces x

echo "-- wrong files: 1"
complains 1 "nowhere\.yaml" "$effnet" replay "$work/nowhere.yaml" --batches "$batches"
complains 1 "nowhere\.safetensors" "$effnet" replay "$work/tiny.yaml" --batches "$work/nowhere.safetensors"
complains 1 "set batch_size=8" "${replay[@]}" --set batch_size=4
complains 1 "the network takes 64x64" "${replay[@]}" --set resolution=64
complains 1 "label of image 2 of batch 0 is 2; 2 classes allow" "${replay[@]}" --set num_classes=2
complains 1 "conv_stem|no tensor" "${replay[@]}" --init "$batches"
complains 1 "no/such" "${replay[@]}" --dump "$work/no/such"
head -c 5000 "$batches" >"$work/cut.safetensors"
complains 1 "cut\.safetensors" "$effnet" replay "$work/tiny.yaml" --batches "$work/cut.safetensors"
{ pixels; labels; } | safetensors "$work/first_axis" "$(header '[2,8,3,32,32]' '[2,8]')"
complains 1 "channels first" "$effnet" replay "$work/tiny.yaml" --batches "$work/first_axis"
{ pixels; labels; } | safetensors "$work/label" "$(header '[16,32,32,3]' '[2,8]')"
complains 1 "one label an image" "$effnet" replay "$work/tiny.yaml" --batches "$work/label"
complains 1 "not finite at step [0-9]+|not finite" "${replay[@]}" --steps 60 --set lr=1000 --set opt=sgd
