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

echo "-- a run's log, or what is written beside a file, is a pipe: nobody waits for its reader"
mkdir "$work/waits"
cp "$work/run/recipe.yaml" "$work/waits"
mkfifo "$work/waits/log.jsonl" "$work/model.safetensors.tmp"
complains 1 "log.jsonl': it is a named pipe" limited "${train[@]}" --out "$work/waits" --steps 1
complains 1 "a named pipe" limited "$effnet" export "$work/run" "$work/model.safetensors"
complains 1 "a named pipe" limited "$effnet" diff "$work/waits" "$work/run"
[ -p "$work/model.safetensors.tmp" ] || die "the pipe was taken away"

echo "-- a file of another kind, or the one that is read: left as it was"
weights=$work/run/checkpoints/last/raw.safetensors
printf 'path,label\na.png,1\n' >"$work/table.csv"
cp "$work/table.csv" "$work/table.safetensors"
cp "$weights" "$work/mine.safetensors"
cp "$work/0.png" "$work/photograph.png"
complains 1 "table.csv' is there and is not a safetensors file" "$effnet" import "$weights" "$work/table.csv"
complains 1 "table.safetensors' is there and is not" "$effnet" export "$work/run" "$work/table.safetensors"
same "$work/table.csv" "$work/table.safetensors"
complains 1 "is what is read" "$effnet" import "$work/mine.safetensors" "$work/run/../mine.safetensors"
complains 1 "is what is read" "$effnet" export "$work/mine.safetensors" "$work/mine.safetensors"
complains 1 "is what is read" "$effnet" average "$work/mine.safetensors" "$work/run" --out "$work/mine.safetensors"
same "$weights" "$work/mine.safetensors"
complains 1 "photograph.png' is what is read" "$effnet" predict "$work/run" "$work/photograph.png" --explain "$work/photograph.png"
same "$work/0.png" "$work/photograph.png"
run 0 "$effnet" export "$work/run" "$work/again.safetensors"
run 0 "$effnet" export "$work/run" "$work/again.safetensors"

echo "-- weights that are a program's other file are named as what they are"
run 0 "$effnet" export "$work/run" "$work/model.onnx"
run 0 "$effnet" export "$work/run" "$work/model.gguf"
complains 1 "is an ONNX model" "$effnet" predict "$work/model.onnx" "$work/0.png"
complains 1 "is a GGUF file" "$effnet" import "$work/model.gguf" "$work/out.safetensors"
