#!/usr/bin/env bash
# Named pipes, devices, sockets and folders where a file is meant: refused by their kind, at once, wherever a path may
# stand; nothing waits for a writer, and /dev/zero takes no memory.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion
run 0 "${train[@]}" --out "$work/run" --steps 1
run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" 0 "$work/0.png"
mkfifo "$work/pipe.jpg" "$work/pipe.csv" "$work/pipe.yaml" "$work/pipe.txt"
mkdir "$work/folder.jpg"
limited() { (ulimit -v 8000000; timeout 20 "$@"); }

echo "-- pictures"
complains 1 "a named pipe" limited "$effnet" predict "$work/run" "$work/pipe.jpg"
complains 1 "a character device" limited "$effnet" predict "$work/run" /dev/zero
echo "-- a recipe, class names, weights"
complains 1 "a named pipe" limited "$effnet" train "$work/pipe.yaml" --data "$fashion" --out "$work/x"
complains 1 "a named pipe" limited "$effnet" import "$work/run/checkpoints/last/ema.safetensors" "$work/y.safetensors" \
    --class-names "$work/pipe.txt"
complains 1 "a named pipe" limited "$effnet" import "$work/pipe.txt" "$work/y.safetensors"
echo "-- data: a list, a table, its pictures, a class folder's"
complains 1 "a named pipe" limited "$effnet" data check "@$work/pipe.txt"
mkdir "$work/table" "$work/classes" "$work/classes/a" "$work/classes/b"
complains 1 "a named pipe" limited "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/pipe.csv" --out "$work/x"
for split in train val; do
    printf 'path,label\n%s,a\n/dev/zero,b\n%s,b\n%s,a\n' "$work/0.png" "$work/pipe.jpg" "$work/folder.jpg" >"$work/table/$split.csv"
done
run 1 limited "$effnet" data check "$work/table"
for kind in "a named pipe" "a character device" "a folder"; do grep -q "$kind" "$work/err" || die "data check does not say '$kind'"; done

echo "-- a file to write: nothing is renamed over them"
mkfifo "$work/pipe.npy" "$work/pipe.safetensors"
complains 1 "a named pipe" limited "$effnet" export "$work/run" "$work/pipe.safetensors"
complains 1 "a character device" limited "$effnet" export "$work/run" /dev/null --format safetensors
run 1 limited "$effnet" predict "$work/run" "$work/0.png" --features gap --out "$work/pipe.npy"
grep -q "no regular file" "$work/err" || die "predict --out over a pipe"
[ -p "$work/pipe.npy" ] && [ -p "$work/pipe.safetensors" ] && [ -c /dev/null ] || die "something was renamed over"
