#!/usr/bin/env bash
# effnet compare and effnet diff: counts that add up, a model against itself, a page with the pictures; two runs of one
# recipe never part, two of another seed do at once; wrong input.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/data" ants bees wasps
small_recipe "$work/small.yaml"
cd "$work"
for run in one:1 same:1 other:2; do
    run 0 "$effnet" train small.yaml --data data --out "${run%:*}" --set seed="${run#*:}" --no-report
done

run 0 "$effnet" compare one one --data data --json
[ "$(number both_right)" != '' ] && [ "$(number only_first_right)" = 0 ] && [ "$(number only_second_right)" = 0 ] ||
    die "a model differs from itself"
holds "$(number p) == 1 && $(number difference) == 0"
run 0 "$effnet" compare one other --data data --report page --json
holds "$(number both_right) + $(number only_first_right) + $(number only_second_right) + $(number neither_right) == 12"
holds "$(number difference_low) <= $(number difference) && $(number difference) <= $(number difference_high)"
holds "$(number p) > 0 && $(number p) <= 1"
differ=$(($(number only_first_right) + $(number only_second_right)))
[ "$(wc -l <page/differences.csv)" = $((differ + 1)) ] || die "differences.csv has not the $differ pictures"
[ "$(grep -o '<img' page/compare.html | wc -l)" = "$differ" ] || die "compare.html does not show the $differ pictures"
run 0 "$effnet" compare one other --data data
grep -qE '^McNemar +p = ' out || die "no test is told"

run 0 "$effnet" diff one same
grep -q '^recipes: the same' out && grep -q '^curves: the same in all 8 lines' out || die "two runs of one recipe part"
run 0 "$effnet" diff one other --json
grep -q '"seed": *\["1", *"2"\]' out || die "the seeds are not told"
[ "$(number parted_step)" = 1 ] || die "runs of two seeds part at step $(number parted_step), wanted 1"
# one line of a copy changed: found by its step
cp -r same changed
sed -i '3s/"loss":[0-9.]*/"loss":1.5/' changed/log.jsonl
step=$(sed -n 3p changed/log.jsonl | sed -E 's/.*"step":([0-9]+).*/\1/')
run 0 "$effnet" diff one changed --json
[ "$(number parted_step)" = "$step" ] || die "parts at step $(number parted_step), wanted $step"
grep -q '"parted_by": *"loss"' out || die "does not say that the loss differs"

complains 2 'two checkpoints are compared' "$effnet" compare one --data data
complains 2 'data' "$effnet" compare one other
complains 1 'nowhere' "$effnet" compare one nowhere --data data
complains 2 'two runs are compared' "$effnet" diff one
complains 1 'is no run' "$effnet" diff one nowhere
sed -i '2s/.*/no line/' changed/log.jsonl
complains 1 'changed/log.jsonl.*line 2' "$effnet" diff one changed
: >changed/log.jsonl
complains 1 'no line yet' "$effnet" diff one changed
echo "ok"
