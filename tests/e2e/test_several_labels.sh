#!/usr/bin/env bash
# Pictures of several labels: trained on by a binary loss, judged by mean average precision and F1, predicted each class by
# itself; what is for one label a picture refuses them by name.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
mkdir "$work/data"
echo 'file,labels' >"$work/data/train.csv"
echo 'file,labels' >"$work/data/val.csv"
for ((i = 0; i < 32; i++)); do # dark, bright: one of them; odd: those of the upper half
    level=$((i % 16 * 12))
    labels=$([ $level -lt 96 ] && echo dark || echo bright)
    [ $((i % 16)) -lt 4 ] && labels="$labels|black"
    [ $((i % 16)) = 8 ] && labels=
    picture "$work/data/$i.bmp" "$level" "$i"
    echo "$i.bmp,$labels" >>"$work/data/$([ $((i % 4)) -lt 3 ] && echo train || echo val).csv"
done
small_recipe "$work/recipe.yaml"
train=("$effnet" train "$work/recipe.yaml" --data "$work/data" --set mixup=0.2)

complains 1 "have several labels, and loss: cross_entropy is for one" "${train[@]}" --out "$work/none"
complains 1 "class_weights and sampler" "${train[@]}" --out "$work/none" --set loss=binary --set class_weights=auto
run 0 "${train[@]}" --out "$work/run" --set loss=binary --set loss_classes=sum
grep -q "pictures have several labels" "$work/err" || die "the run does not say what it takes them for"
grep -q "mAP .* F1 " "$work/out" || die "no mean average precision on the epoch's line"
grep -q '"average_precision":[0-9.]*,"f1":[0-9.]*' <(tr -d ' ' <"$work/run/log.jsonl") || die "none in the log"
[ ! -e "$work/run/report" ] || die "a report for one label a picture was written"

run 0 "$effnet" eval "$work/run" --data "$work/data/val.csv" --json
holds "$(number average_precision) > 0 && $(number average_precision) <= 100 && $(number f1) >= 0"
run 0 "$effnet" eval "$work/run" --data "$work/data/val.csv"
grep -q "^mAP " "$work/out" || die "eval tells no mAP"
run 0 "$effnet" predict "$work/run" "$work/data/1.bmp" --topk 3 --json
sum=$(grep -oE '"score": ?[0-9.e-]+' "$work/out" | sed 's/.*://' | awk '{ sum += $1 } END { print sum }')
holds "$sum > 0 && ($sum < 0.999 || $sum > 1.001)"
run 0 "$effnet" export "$work/run" "$work/run.onnx" --preprocessing
grep -q Sigmoid "$work/run.onnx" || die "the ONNX file's probabilities are not each class's own"

complains 1 "a report is for one label each" "$effnet" eval "$work/run" --data "$work/data/val.csv" --report "$work/page"
complains 1 "effnet compare is for one label each" "$effnet" compare "$work/run" "$work/run" --data "$work/data/val.csv"
complains 1 "effnet pack is for one label each" "$effnet" pack "$work/data" "$work/x.effpack"
complains 1 "effnet data audit is for one label each" "$effnet" data audit "$work/run" "$work/data"
