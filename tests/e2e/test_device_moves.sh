#!/usr/bin/env bash
# A run that moves from the processor to an accelerator and back: its checkpoints are the same files everywhere, and the
# numbers are those of the run that stayed at home, but for rounding. Then eval there and here. Through the
# plugin for the processor (EFFNET_PLUGINS; tools/setup.sh test).
source "$(dirname "$0")/harness.sh"
plugins=${EFFNET_PLUGINS:-}
compgen -G "$plugins/*/libpjrt_cpu.so" >/dev/null || skip "no plugin for the processor in EFFNET_PLUGINS"
source "$(dirname "$0")/small_pictures.sh"
export EFFNET_CACHE="$work/compiled" TF_CPP_MIN_LOG_LEVEL=2

small_pictures "$work/data" dark light
small_recipe "$work/recipe.yaml"
train=("$effnet" train "$work/recipe.yaml" --data "$work/data" --threads 1 --set drop=0.2 --set drop_path=0.2
       --set epochs=3 --set lr_base=0.001 --set eval_batch_size=8)
run 0 "${train[@]}" --out "$work/stayed" --steps 6
run 0 "${train[@]}" --out "$work/moved" --steps 2
run 0 "${train[@]}" --out "$work/moved" --steps 4 --resume --device xla:cpu
run 0 "${train[@]}" --out "$work/moved" --steps 6 --resume
# step, loss, gradient_norm, update_norm of every step; the last is null on a device. Batch norm of 1x1 maps over flat
# pictures magnifies rounding: the reference engine parts from the other by 5 % at the third step, so a tenth is allowed
# there and for what comes after the return, where the size of a step tells of the slots: RMSProp's from a forgotten mean
# square would be several times another. Exactness is test_xla_step.c's.
numbers() {
    grep -v ends_epoch "$1/log.jsonl" | sed -E \
        's/.*"step":([0-9]+),"loss":([^,]*),.*"gradient_norm":([^,]*),.*"update_norm":([^,]*),.*/\1 \2 \3 \4/' | sort -n
}
numbers "$work/stayed" >"$work/wanted"
numbers "$work/moved" >"$work/got"
[ "$(wc -l <"$work/wanted")" = 6 ] || die "the log of the run that stayed has not six steps"
paste -d' ' "$work/wanted" "$work/got" | awk '
    function off(got, wanted) { return got > wanted ? got - wanted : wanted - got }
    { if (NF != 8 || $1 != $5) { print "not the same steps: " $0; wrong = 1 }
      if ($1 < 3 && ($2 != $6 || $3 != $7)) { print "step " $1 " at home differs"; wrong = 1 }
      if ($1 == 3 && !(off($6, $2) <= 0.1 * $2)) { print "the first loss there: " $6 ", wanted " $2; wrong = 1 }
      if ($1 > 4 && !(off($8, $4) <= 0.1 * $4)) { print "the size of step " $1 ": " $8 ", wanted " $4; wrong = 1 } }
    END { exit wrong }' >"$work/out" || { cat "$work/wanted" "$work/got"; die "the run that moved has other numbers"; }

echo "-- eval, by the program that the run left in the cache"
top1() { grep -o '"top1":[0-9.]*' "$work/out"; }
run 0 "$effnet" eval "$work/moved" --data "$work/data" --json
here=$(top1)
run 0 "$effnet" eval "$work/moved" --data "$work/data" --json --device xla:cpu --batch 8
[ "$here" = "$(top1)" ] || die "eval says $here here and $(top1) on the device"
picture=$(ls "$work/data"/val/dark/*.bmp | sed -n 1p)
complains 1 "dtype int8" "$effnet" predict "$work/moved" "$picture" --dtype int8 --device xla:cpu
