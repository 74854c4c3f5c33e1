#!/usr/bin/env bash
# effnet import and export: a trained model leaves as safetensors and comes back with the same predictions; as ONNX; what
# wrong use and wrong files are told.
source "$(dirname "$0")/harness.sh"

echo "-- wrong usage"
complains 2 "no file given" "$effnet" import
complains 2 "no OUT.safetensors given" "$effnet" import a.safetensors
complains 2 "unexpected argument 'c'" "$effnet" import a b c
complains 2 "no checkpoint given" "$effnet" export
complains 2 "no OUT.safetensors, OUT.onnx, OUT.c, OUT.gguf or OUT.mlir given" "$effnet" export runs/x
complains 2 "of a recipe only the training step" "$effnet" export recipe.yaml out.onnx
complains 2 "ends neither with .safetensors nor with .onnx, .c, .gguf or .mlir" "$effnet" export runs/x out.pth
complains 1 "nowhere" "$effnet" import "$work/nowhere" "$work/out.safetensors"
complains 1 "nowhere" "$effnet" export "$work/nowhere" "$work/out.onnx"
printf 'not safetensors at all' >"$work/junk.safetensors"
complains 1 "junk.safetensors" "$effnet" import "$work/junk.safetensors" "$work/out.safetensors"
[ ! -e "$work/out.safetensors" ] || die "a failed import left a file"

need_fashion
small_fashion whole
echo "-- there and back"
run 0 "${train[@]}" --out "$work/run" --steps 2
run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" 5 "$work/5.png"
run 0 "$effnet" predict "$work/run" "$work/5.png" --topk 10 --json
cp "$work/out" "$work/wanted"
run 0 "$effnet" export "$work/run" "$work/run.safetensors" --json
grep -q '"num_classes":10,' "$work/out" || die "export --json"
run 0 "$effnet" predict "$work/run.safetensors" "$work/5.png" --topk 10 --json
same "$work/out" "$work/wanted"

# imported, it is timm's naming and keeps what its own card says: resolution, mean and the like, class names
run 0 "$effnet" import "$work/run.safetensors" "$work/kept.safetensors"
grep -q "effnet's own file" "$work/out" || die "import does not say that the card is kept"
run 0 "$effnet" predict "$work/kept.safetensors" "$work/5.png" --topk 10 --json
sed 's/kept.safetensors/run.safetensors/' "$work/out" >"$work/renamed"
same "$work/renamed" "$work/wanted"

# or is told otherwise
settings=(--set mean=0.286,0.286,0.286)
printf '%s\n' a b c d e f g h i j >"$work/names.txt"
run 0 "$effnet" import "$work/run.safetensors" "$work/back.safetensors" --class-names "$work/names.txt" "${settings[@]}" --json
grep -q '"naming":"timm","model":"efficientnet_b0","num_classes":10,"resolution":32' "$work/out" || die "import --json"
run 0 "$effnet" predict "$work/back.safetensors" "$work/5.png" --topk 10 --json
grep -q '"label":"j"' "$work/out" || die "the names of --class-names are not there"
complains 1 "its shapes are those of efficientnet_b0" "$effnet" import "$work/run.safetensors" "$work/x.safetensors" \
    --model efficientnet_b1
complains 1 "unknown key 'paddin'; nearest: 'padding'" "$effnet" import "$work/run.safetensors" "$work/x.safetensors" \
    --set paddin=same
run 0 "${train[@]}" --out "$work/again" --steps 1 --init "$work/back.safetensors"

echo "-- PyTorch's files"
if command -v python3 >/dev/null; then
    settings=(--set padding=same --set bn_eps=0.001 --set mean=0.5,0.5,0.5 --set std=0.5,0.5,0.5 --set resolution=32)
    python3 "$source/tests/e2e/write_torch.py" "$work/run.safetensors" "$work/run.pth.tar" state_dict
    python3 "$source/tests/e2e/write_torch.py" "$work/run.safetensors" "$work/bare.pth"
    complains 1 "nothing says which of timm's models" "$effnet" import "$work/run.pth.tar" "$work/pth.safetensors"
    run 0 "$effnet" import "$work/run.pth.tar" "$work/pth.safetensors" "${settings[@]}"
    grep -q "taken: 'state_dict', weights that were not averaged" "$work/out" || die "import does not say what it takes"
    same_tensors "$work/pth.safetensors" "$work/run.safetensors"
    run 0 "$effnet" import "$work/bare.pth" "$work/bare.safetensors" "${settings[@]}"
    same_tensors "$work/bare.safetensors" "$work/run.safetensors"
    # --init takes it as it is: the same run as from our own file
    run 0 "${train[@]}" --out "$work/from_pth" --steps 1 --init "$work/bare.pth"
    run 0 "${train[@]}" --out "$work/from_ours" --steps 1 --init "$work/bare.safetensors"
    same_checkpoint "$work/from_pth/checkpoints/last" "$work/from_ours/checkpoints/last"
    head -c 500000 "$work/bare.pth" >"$work/cut.pth"
    complains 1 "cut.pth.*truncated or damaged" "$effnet" import "$work/cut.pth" "$work/x.safetensors" "${settings[@]}"
    complains 1 "effnet import FILE" "$effnet" predict "$work/bare.pth" "$work/5.png"
fi

echo "-- a loss of each class by itself, here and as a program for accelerators"
run 0 "${train[@]}" --out "$work/binary" --steps 2 --set loss=binary --set loss_classes=sum --set loss_threshold=0.2
run 0 "${train[@]}" --out "$work/focal" --steps 2 --set loss=focal
printf 'num_classes: 10\nresolution: 32\nbatch_size: 8\nloss: focal\n' >"$work/focal.yaml"
run 0 "$effnet" export "$work/focal.yaml" "$work/focal.mlir"
run 0 "$effnet" export "$source/recipes/imagenet-b0.yaml" "$work/frozen.mlir" --set accumulate=1 --set batch_size=2 --set freeze=5
grep -q '0 where it is frozen' "$work/frozen.mlir" || die "an exported step that trains what the recipe freezes"

echo "-- ONNX"
complains 2 "opset" "$effnet" export "$work/run" "$work/x.onnx" --opset 12
complains 2 "--opset is for onnx, and .*x.gguf' is to be gguf" "$effnet" export "$work/run" "$work/x.gguf" --opset 13
complains 2 "--half is for gguf" "$effnet" export "$work/run" "$work/x.onnx" --half
complains 2 "--uint8 is for stablehlo" "$effnet" export "$work/run" "$work/x.c" --uint8
complains 2 "--dtype bf16 is for stablehlo" "$effnet" export "$work/run" "$work/x.onnx" --dtype bf16
complains 2 "--set changes a key of a recipe" "$effnet" export "$work/run" "$work/x.onnx" --set lr=1
complains 2 "no --batch; set batch_size" "$effnet" export "$source/recipes/cifar10-b0.yaml" "$work/x.mlir" --batch 4
run 0 "$effnet" export "$work/run" "$work/run.onnx" --opset 13
run 0 "$effnet" export "$work/run" "$work/kept.onnx" --keep-batch-norm --weights raw --res 64
for file in run kept; do
    grep -q effnet.class_names "$work/$file.onnx" || die "$file.onnx has no metadata"
done
! grep -q BatchNormalization "$work/run.onnx" || die "batch norm is not folded"
grep -q BatchNormalization "$work/kept.onnx" || die "--keep-batch-norm keeps none"
if [ -w /dev/full ]; then
    complains 1 "/dev/full/x.onnx" "$effnet" export "$work/run" /dev/full/x.onnx
fi
