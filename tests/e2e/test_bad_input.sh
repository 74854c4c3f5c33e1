#!/usr/bin/env bash
# What a run does with bad input: the right exit status, one line on standard error that says what and where, never a
# crash, never silence; and what was good before stays good.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion whole

# ---- a little folder of class folders, and a recipe for it ----
data=$work/data
mkdir -p "$data"/{train,val}/{boot,bag}
picture() { "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" "$1" "$2" || die "cannot make a picture"; }
for i in {0..7}; do
    picture "$i" "$data/train/boot/$i.png"
    picture "$((i + 8))" "$data/train/bag/$i.png"
done
cp "$data"/train/boot/[0-2].png "$data/val/boot"
cp "$data"/train/bag/[0-2].png "$data/val/bag"
cat >"$work/tiny.yaml" <<RECIPE
model: efficientnet_b0
resolution: 32
batch_size: 4
epochs: 1
warmup_epochs: 0
train_crop: none
val_crop: none
RECIPE
tiny=("$effnet" train "$work/tiny.yaml")
# recipe_with LINE: the recipe with one more line (number 8), as $work/bad.yaml.
recipe_with() { { cat "$work/tiny.yaml"; printf '%s\n' "$1"; } >"$work/bad.yaml"; }

echo "-- wrong usage: 2"
complains 2 . "$effnet"
complains 2 'trian' "$effnet" trian "$work/tiny.yaml"
complains 2 . "$effnet" train
complains 2 'bogus' "$effnet" train "$work/tiny.yaml" --bogus
complains 2 'steps' "$effnet" train "$work/tiny.yaml" --steps many
complains '1|2' 'smothing' "${tiny[@]}" --set smothing=0.1

echo "-- recipes"
complains 1 'none\.yaml' "$effnet" train "$work/none.yaml"
recipe_with 'label_smothing: 0.1'
complains 1 "bad\.yaml:8.*label_smothing.*smoothing" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'momentun: 0.9'
complains 1 "bad\.yaml:8.*momentun.*nearest.*momentum" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'smoothing: lots'
complains 1 "bad\.yaml:8.*smoothing" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'smoothing: 7'
complains 1 "bad\.yaml:8.*smoothing.*0\.999" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'opt: adam'
complains 1 "bad\.yaml:8.*opt.*rmsprop.*sgd.*adamw" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'epochs: 2'
complains 1 "bad\.yaml:8.*epochs" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'drop: [1, 2'
complains 1 "bad\.yaml" "$effnet" train "$work/bad.yaml" --data "$data"
head -c 4096 /dev/urandom >"$work/bad.yaml"
complains 1 "bad\.yaml" "$effnet" train "$work/bad.yaml" --data "$data"
recipe_with 'model: efficientnet_b99'
sed -i 1d "$work/bad.yaml"
complains 1 'efficientnet_b99' "$effnet" train "$work/bad.yaml" --data "$data" --out "$work/no"

echo "-- data"
complains 1 'nowhere' "${tiny[@]}" --data "$work/nowhere" --out "$work/no"
complains 1 . "${tiny[@]}" --out "$work/no"
mkdir "$data/train/empty"
complains 1 'train/empty' "${tiny[@]}" --data "$data" --out "$work/no"
rmdir "$data/train/empty"
mkdir -p "$work/bare"
complains 1 'bare' "${tiny[@]}" --data "$work/bare" --out "$work/no"
mkdir "$work/idx"
cp "$fashion"/t10k-* "$work/idx"
head -c 100000 "$fashion/train-images-idx3-ubyte.gz" >"$work/idx/train-images-idx3-ubyte.gz"
cp "$fashion/train-labels-idx1-ubyte.gz" "$work/idx"
complains 1 'train-images-idx3-ubyte' "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/idx" --out "$work/no"

echo "-- pictures"
run 0 "${tiny[@]}" --data "$data" --out "$work/good"
good=$work/good/checkpoints/last
printf '\377\330\377\340 this is no picture' >"$data/train/boot/broken.jpg"
head -c 200 "$data/train/boot/0.png" >"$data/train/bag/broken.png"
: >"$data/train/bag/nothing.jpg"
run 0 "${tiny[@]}" --data "$data" --out "$work/skips" # the default: say so and go on
for name in broken.jpg broken.png nothing.jpg; do
    grep -q "$name" "$work/out" "$work/err" || die "training never mentioned $name"
done
complains 1 'broken\.jpg|broken\.png|nothing\.jpg' "${tiny[@]}" --data "$data" --out "$work/stops" --set bad_images=stop
for name in boot/broken.jpg bag/broken.png bag/nothing.jpg; do
    complains 1 "$(basename $name)" "$effnet" predict "$good" "$data/train/$name"
done
rm "$data"/train/*/{broken,nothing}.*

photographs # one of them cut off
picture=$(find "$work/train/ants" -name '*.jpg' | sort | sed -n 1p)
head -c "$(($(stat -c %s "$picture") / 2))" "$picture" >"$work/cut.jpg"
complains 1 'cut\.jpg' "$effnet" predict "$good" "$work/cut.jpg"

echo "-- checkpoints"
complains 1 'nowhere' "$effnet" eval "$work/nowhere" --data "$data"
run 0 "${tiny[@]}" --data "$data" --out "$work/lite" --set model=efficientnet_lite0
complains 1 'in: model' "${tiny[@]}" --data "$data" --out "$work/lite" --resume --set epochs=2
complains 1 'efficientnet_lite0' "${tiny[@]}" --data "$data" --out "$work/no" --init "$work/lite/checkpoints/last/raw.safetensors"
complains 1 'class' "$effnet" eval "$good" --data "$fashion"

weights=$good/raw.safetensors
lie() { # lie NAME: standard input becomes that file's first bytes, the rest is the good file's
    cat - "$weights" >"$work/$1"
    complains 1 "$1" "${tiny[@]}" --data "$data" --out "$work/no" --init "$work/$1"
}
head -c 100000 "$weights" >"$work/cut.safetensors"
complains 1 'cut\.safetensors' "${tiny[@]}" --data "$data" --out "$work/no" --init "$work/cut.safetensors"
printf '\377\377\377\377\377\377\377\177' | lie huge.safetensors # a header of 9 * 10^18 bytes
printf '\20\0\0\0\0\0\0\0{"a":[[[[[[[[[[[' | lie nested.safetensors
header='{"conv_stem.weight":{"dtype":"F32","shape":[32,3,3,3],"data_offsets":[0,99999999999999999]}}'
printf "\\x$(printf %x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header" | lie offsets.safetensors
header='{"conv_stem.weight":{"dtype":"F32","shape":[4294967296,4294967296,2,2],"data_offsets":[0,0]}}'
printf "\\x$(printf %x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header" | lie product.safetensors
: >"$work/empty.safetensors"
complains 1 'empty\.safetensors' "${tiny[@]}" --data "$data" --out "$work/no" --init "$work/empty.safetensors"

echo "-- files that cannot be read or written"
: >"$work/file"
complains 1 "$work/file" "${tiny[@]}" --data "$data" --out "$work/file/run"
complains 1 'train' "$effnet" train "$data/train" --data "$data"
if [ "$(id -u)" = 0 ]; then # root reads everything, unless it gives that up
    unprivileged=(setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search)
else
    unprivileged=(env)
fi
cp "$work/tiny.yaml" "$work/secret.yaml"
chmod 0 "$work/secret.yaml"
complains 1 'secret\.yaml.*permission' "${unprivileged[@]}" "$effnet" train "$work/secret.yaml" --data "$data"
mkdir -m 555 "$work/closed"
complains 1 'closed.*permission' "${unprivileged[@]}" "${tiny[@]}" --data "$data" --out "$work/closed/run"

echo "-- a full disk: the last good checkpoint stays, nothing half-written takes its place"
mkdir "$work/disk"
fill=("${tiny[@]}" --data "$data" --out "$work/disk/run" --set checkpoint.every_steps=1 --set epochs=8)
if unshare --mount true 2>/dev/null; then
    # Room for two checkpoints of B0 with two classes (62 MB each), in a namespace that takes the disk away with it.
    cat >"$work/full.sh" <<'FULL'
mount -t tmpfs -o size=150m tmpfs "$1" || exit 77
disk=$1 effnet=$2 data=$3
shift 3
status=0
"$@" || status=$?
ls "$disk/run/checkpoints" >&3
"$effnet" eval "$disk/run/checkpoints/last" --data "$data" --json >&4 || exit 3
exit $status
FULL
    complains 1 'no space' unshare --mount bash "$work/full.sh" "$work/disk" "$effnet" "$data" "${fill[@]}" \
        3>"$work/listing" 4>"$work/evaluation"
    [ "$(number images "$work/evaluation")" = 6 ] || die "the checkpoint left on the full disk cannot be evaluated"
else
    # No namespaces: a limit on the size of a file does nearly the same.
    complains 1 'too large' bash -c 'trap "" XFSZ; ulimit -f 4096; exec "$@"' limit "${fill[@]}"
    [ ! -e "$work/disk/run/checkpoints/last" ] || die "a checkpoint that could not be written is called 'last'"
fi

echo "-- numbers that stay finite and have come apart: nothing of it is kept"
complains 1 'after step 1 the weights. norm is .*no checkpoint had been written yet' "${train[@]}" --out "$work/apart" \
    --steps 400 --set checkpoint.every_steps=1 --set warmup_epochs=0 --set lr=1000 --set opt=sgd --set clip_grad=0

echo "-- a loss that is not finite: the step and the layer are named, the last good checkpoint stays"
complains 1 'step [0-9]+.*(loss|layer|gradient|block|stem|head|classifier)' "${train[@]}" --out "$work/nan" \
    --steps 400 --set checkpoint.every_steps=1 --set warmup_epochs=0 --set lr=1000 --set opt=sgd --set clip_grad=0 \
    --set stop_on_divergence=false
run 0 "$effnet" eval "$work/nan/checkpoints/last" --data "$fashion" --json
holds "$(number top1) >= 0"
