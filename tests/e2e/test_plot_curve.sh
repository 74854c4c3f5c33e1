#!/usr/bin/env bash
# What tools/plot_curve.sh draws, by a gnuplot that only writes down what it is given: before the first evaluation losses
# over steps, not one vertical line at epoch 1; after it, over epochs.
source "$(dirname "$0")/harness.sh"
mkdir "$work/bin"
printf '%s\n' '#!/bin/bash' "cat >'$work/plot'" "cat \"\$(grep -o '\"[^\"]*/1\"' '$work/plot' | head -n 1 | tr -d '\"')\" >'$work/points'" \
    "touch \"\$(sed -n 's/^set output \"\(.*\)\"/\1/p' '$work/plot')\"" \
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

# names, folders, kinds: a run's folder is its log, a point alone is a point, nothing is drawn where nothing is to be seen
mkdir "$work/a=b"
cp "$work/log.jsonl" "$work/a=b/log.jsonl"
plot() { PATH=$work/bin:$PATH run "$1" "$source/tools/plot_curve.sh" "${@:2}"; }
plot 0 "$work/a=b"
[ -f "$work/a=b/curve.png" ] && grep -q 'title "a=b"' "$work/plot" || die "a run's folder"
(cd "$work" && cp log.jsonl ./-log.jsonl && plot 0 -o -curve.png -- -log.jsonl)
[ -f "$work/-curve.png" ] || die "names that begin with a dash"
echo '{"epoch":1,"step":5,"loss":2.0}' >"$work/one.jsonl"
plot 0 "$work/one.jsonl"
grep -q 'with points' "$work/plot" || die "one loss is no line"
printf '%s\n' '{"epoch":1,"step":5,"loss":null,"top1":30}' '{"epoch":2,"step":10,"loss":NaN,"top1":40}' >"$work/null.jsonl"
plot 0 "$work/null.jsonl"
! grep -q 'training loss' "$work/plot" || die "losses that are none"
mkfifo "$work/pipe"
for none in "$work/pipe" "$work/bin" /dev/null; do plot 1 -o "$work/x.png" "$none"; done
plot 1 -o "$work/nowhere/x.png" "$work/log.jsonl"
grep -q "cannot write '$work/nowhere/x.png'" "$work/err" || die "an output that cannot be written"
