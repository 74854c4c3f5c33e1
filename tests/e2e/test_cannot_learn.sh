#!/usr/bin/env bash
# Runs that could not learn, or whose result would say nothing, are refused before the first step, or it is told.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_recipe "$work/r.yaml"
small_pictures "$work/d" amber blue cyan
train=("$effnet" train "$work/r.yaml" --quiet)

complains 1 'batch norm .* single value a channel .1 picture at a time of 1x1.*batch_size / accumulate .12 / 12.' \
    "${train[@]}" --data "$work/d" --out "$work/a" --set accumulate=12
complains 1 'batch norm .* single value' "${train[@]}" --data "$work/d" --out "$work/a" --set batch_size=1
[ ! -e "$work/a" ] || die "a refused run left a folder"
run 0 "${train[@]}" --data "$work/d" --out "$work/two" --set accumulate=6 --steps 1
grep -qE "^run: efficientnet_[a-z0-9]+ at [0-9]+x[0-9]+, 3 classes, [0-9.]+ million parameters, into '$work/two'$" "$work/out" || die "the run's first line"
grep -qE "^run: 1 steps of [0-9]+ pictures; an epoch has [0-9]+, the recipe [0-9]+ epochs; 36 training pictures, 12 evaluation$" "$work/out" || die "its second"
grep -qE "^run: cpu engine, [a-z0-9]+, fp32, [0-9]+ threads; memory about [0-9.]+ GiB of [0-9.]+ GiB free; seed [0-9]+$" \
    "$work/out" || die "its third"
# hundreds of GiB of activations, which are mapped and would be missed at the first step
complains 1 'batch_size.*accumulate' "${train[@]}" --data "$work/d" --out "$work/a" --set batch_size=36 --set resolution=2048
[ ! -e "$work/a" ] || die "a run that has no room left a folder"
run 0 "${train[@]}" --data "$work/d" --out "$work/larger" --set batch_size=1 --set resolution=64 --steps 1

mkdir -p "$work/one/train" "$work/one/val"
cp -r "$work/d/train/blue" "$work/one/train"
cp -r "$work/d/val/blue" "$work/one/val"
complains 1 "all of one class, 'blue'" "${train[@]}" --data "$work/one" --out "$work/b"
run 0 "$effnet" data check "$work/one"
grep -q 'one class' "$work/err" || die "data check did not tell of the one class"

cp -r "$work/d" "$work/no_val"
rm -r "$work/no_val/val/cyan"
run 0 "${train[@]}" --data "$work/no_val" --out "$work/c" --steps 1
grep -q "no evaluation picture of 1 of the 3 classes.*'cyan'" "$work/err" || die "the class without pictures was not told"
run 0 "$effnet" data check "$work/no_val"
grep -q 'no readable picture of 1 of the 3 classes in val' "$work/err" || die "data check did not tell of the empty class"

run 0 "${train[@]}" --data "$work/d" --out "$work/e" --steps 1 --set lr_base=0
grep -q 'learning rate is 0' "$work/err" || die "the learning rate of 0 was not told"
run 0 "${train[@]}" --data "$work/d" --out "$work/still" --steps 1 --set bn_momentum=1 --set warmup_epochs=1000 --set model_ema=true \
    --set model_ema_decay=1 --set model_ema_warmup=false
for told in 'bn_momentum is 1' 'model_ema_decay is 1' 'lr is never reached'; do
    grep -q "$told" "$work/err" || die "not told: $told"
done

cp -r "$work/d" "$work/ruined"
for file in "$work"/ruined/val/*/*.bmp; do echo none >"$file"; done
run 1 "${train[@]}" --data "$work/ruined" --out "$work/f" --steps 3
grep -q 'not one of the 12 evaluation pictures .* could be read' "$work/err" || die "the unreadable evaluation was not told"
[ ! -e "$work/f/checkpoints/best" ] || die "there is a best checkpoint without an evaluation"
