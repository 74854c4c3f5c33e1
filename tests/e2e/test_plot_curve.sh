#!/usr/bin/env bash
# What tools/plot_curve.sh draws, by a gnuplot that only writes down what it is given: before the first evaluation losses
# over steps, not one vertical line at epoch 1; after it, over epochs.
source "$(dirname "$0")/harness.sh"
mkdir "$work/bin"
printf '%s\n' '#!/bin/bash' "cat >'$work/plot'" "cat \"\$(grep -o '\"[^\"]*/1\"' '$work/plot' | head -n 1 | tr -d '\"')\" >'$work/points'" \
    >"$work/bin/gnuplot"
chmod +x "$work/bin/gnuplot"
draw() { PATH=$work/bin:$PATH run 0 "$source/tools/plot_curve.sh" -o "$work/curve.svg" "mine=$work/log.jsonl"; }

printf '{"epoch":1,"step":%d,"loss":%s}\n' 5 2.0 10 1.5 15 1.2 >"$work/log.jsonl"
draw
printf '%s\n' '5 2.0 NaN NaN' '10 1.5 NaN NaN' '15 1.2 NaN NaN' >"$work/wanted"
same "$work/points" "$work/wanted"
grep -q 'set xlabel "step"' "$work/plot" || die "the axis is not called step"
grep -q 'top-1' "$work/plot" && die "there is a plot of nothing"

printf '%s\n' '{"epoch":1,"step":15,"loss":1.6,"top1":40,"ema_top1":41}' '{"epoch":2,"step":30,"loss":1.1}' >>"$work/log.jsonl"
draw
printf '%s\n' '0.333333 2.0 NaN NaN' '0.666667 1.5 NaN NaN' '1 1.2 NaN NaN' '1 NaN 40 41' '2 1.1 NaN NaN' >"$work/wanted"
same "$work/points" "$work/wanted"
grep -q 'set xlabel "epoch"' "$work/plot" || die "the axis is not called epoch"
grep -q 'top-1' "$work/plot" || die "there is no plot of top-1"
