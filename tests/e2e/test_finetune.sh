#!/usr/bin/env bash
# effnet finetune: from a folder of class folders and a run's weights to a classifier, its report and its JSON; the split
# that it makes; Ctrl-C and --resume; and wrong input, each named.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/pictures" ant bee wasp
small_recipe "$work/recipe.yaml"
run 0 "$effnet" train "$work/recipe.yaml" --data "$work/pictures" --out "$work/source" --no-report --set epochs=1
small=(--set resolution=32 --set workers=1 --threads 2)

# Splits that are there.
run 0 "$effnet" finetune "$work/pictures" --from "$work/source" --out "$work/one" --epochs 2 "${small[@]}"
grep -q 'run: 36 training pictures of 3 classes, 12 to evaluate on: 2 epochs in batches of 16' "$work/out" || die "no plan told"
grep -q '^features ' "$work/out" || die "no accuracy of the features told"
grep -qE '^top-1 +[0-9.]+ % of 12 pictures \(95 %: ' "$work/out" || die "no accuracy with its interval told"
[ -s "$work/one/report/report.html" ] || die "no report"
[ -s "$work/one/checkpoints/best/raw.safetensors" ] || [ -s "$work/one/checkpoints/best" ] || die "no best checkpoint"
grep -q '^exif_orientation: true' "$work/one/recipe.yaml" || die "photographs are not turned"
run 0 "$effnet" predict "$work/one" "$work/pictures/val/bee/00.bmp"
grep -q bee "$work/out" || die "no class named"

# No splits: a fifth of each class by content, the same after pictures were added; JSON; from a checkpoint's file.
file=$(ls "$work"/source/checkpoints/*/raw.safetensors | sed -n 1p)
run 0 "$effnet" finetune "$work/pictures/train" --from "$file" --out "$work/two" --epochs 1 --json --no-report "${small[@]}"
holds "$(number training) + $(number images) == 36 && $(number images) >= 3"
holds "$(number top1) >= $(number top1_low) && $(number top1) <= $(number top1_high)"
holds "$(number top1) >= $(number head_top1)" # never less than it began with
[ ! -e "$work/two/report" ] || die "a report in spite of --no-report"

# Ctrl-C and on.
run 130 "$effnet" finetune "$work/pictures" --from "$work/source" --out "$work/three" --time-limit 1s --set epochs=4000 \
    "${small[@]}"
run 0 "$effnet" finetune "$work/pictures/train" --out "$work/two" --resume --no-report
grep -qE '^top-1 +[0-9.]+ % of [1-9][0-9]* pictures' "$work/out" || die "no accuracy after --resume"
complains 1 'no such file|cannot (open|read)' "$effnet" finetune "$work/pictures" --out "$work/nowhere" --resume

# Wrong input.
mkdir -p "$work/empty" "$work/single/ant" "$work/pair/ant" "$work/pair/bee"
cp "$work"/pictures/train/ant/0*.bmp "$work/single/ant"
cp "$work/pictures/train/ant/00.bmp" "$work/pair/ant"
cp "$work/pictures/train/bee/00.bmp" "$work/pair/bee"
from=(--from "$work/source" --out "$work/wrong")
complains 2 '--from WEIGHTS is missing' "$effnet" finetune "$work/pictures"
complains 2 'no pictures given' "$effnet" finetune --from "$work/source"
complains 2 'unexpected argument' "$effnet" finetune a b --from "$work/source"
complains 2 '--resume wants --out' "$effnet" finetune "$work/pictures" --resume
complains 2 '--epochs is .0.' "$effnet" finetune "$work/pictures" "${from[@]}" --epochs 0
complains 1 'all of one class, .ant.' "$effnet" finetune "$work/single" "${from[@]}"
complains 1 'empty' "$effnet" finetune "$work/empty" "${from[@]}"
complains 1 'none to evaluate on' "$effnet" finetune "$work/pair" "${from[@]}"
complains 1 'nowhere' "$effnet" finetune "$work/nowhere" "${from[@]}"
complains 1 'no-such-weights' "$effnet" finetune "$work/pictures" --from "$work/no-such-weights" --out "$work/wrong"
echo 'these are no weights' >"$work/text.safetensors"
complains 1 'text.safetensors' "$effnet" finetune "$work/pictures" --from "$work/text.safetensors" --out "$work/wrong"
complains 1 'model is efficientnet_b0 and the weights are of efficientnet_lite0' \
    "$effnet" finetune "$work/pictures" "${from[@]}" --set model=efficientnet_b0
complains 1 'already holds a run' "$effnet" finetune "$work/pictures" --from "$work/source" --out "$work/one"
train=("$effnet" train "$work/recipe.yaml" --data "$work/pictures" --out "$work/wrong")
complains 1 'freeze is .nothing., which is found in no parameter' "${train[@]}" --set freeze=nothing
complains 1 'class_weights has 2 numbers, and there are 3 classes' "${train[@]}" --set class_weights=1,2
complains 1 'no_such_key' "$effnet" finetune "$work/pictures" "${from[@]}" --set no_such_key=1
[ ! -e "$work/wrong" ] || die "wrong input left a folder"
