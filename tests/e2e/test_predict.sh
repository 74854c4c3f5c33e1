#!/usr/bin/env bash
# effnet predict: JSON of the agreed shape, labels from the data, scores that are probabilities, several pictures.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion

run 0 "${train[@]}" --out "$work/run" --steps 3
model=$work/run/checkpoints/last
for index in 0 9999; do
    run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" "$index" "$work/$index.png"
done

run 0 "$effnet" predict "$model" "$work/0.png" "$work/9999.png" --topk 3 --json
tr -d ' \n' <"$work/out" >"$work/flat"
entry='\{"index":[0-9],"label":"[^"]+","score":[0-9.eE-]+\}'
picture() { printf '\\{"image":"%s","topk":\\[%s,%s,%s\\]\\}' "$1" "$entry" "$entry" "$entry"; }
grep -qE "^\[$(picture "$work/0.png"),$(picture "$work/9999.png")\]$" "$work/flat" ||
    die "JSON of another shape: $(cat "$work/flat")"

# All ten scores of one picture: best first, together 1.
run 0 "$effnet" predict "$model" "$work/0.png" --topk 10 --json
grep -oE '"score"[ ]*:[ ]*[0-9.eE-]+' "$work/out" | sed 's/.*://' >"$work/scores"
awk '{ sum += $1; if (NR > 1 && !($1 <= before)) exit 1; before = $1 } END { exit !(NR == 10 && sum > 0.999 && sum < 1.001) }' \
    "$work/scores" || die "the ten scores are not sorted, or do not add up to 1: $(tr '\n' ' ' <"$work/scores")"

# The same bits twice, and for people: one line a class.
cp "$work/out" "$work/first"
run 0 "$effnet" predict "$model" "$work/0.png" --topk 10 --json
same "$work/out" "$work/first"
run 0 "$effnet" predict "$model" "$work/0.png" --topk 2
[ "$(grep -cE '[0-9]' "$work/out")" -ge 2 ] || die "two classes take fewer than two lines"

# In bf16 and in int8: nearly the same scores, not the same bits.
for dtype in bf16 int8; do
    run 0 "$effnet" predict "$model" "$work/0.png" --topk 10 --dtype $dtype --json
    if cmp -s "$work/out" "$work/first"; then die "--dtype $dtype changes nothing"; fi
    grep -oE '"score"[ ]*:[ ]*[0-9.eE-]+' "$work/out" | sed 's/.*://' | paste - "$work/scores" |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= 0.05)) exit 1 } END { exit NR != 10 }' ||
        die "scores in $dtype are far from those in fp32"
done
complains 2 "--dtype is 'fp64'" "$effnet" predict "$model" "$work/0.png" --dtype fp64

complains 1 'nothing.jpg' "$effnet" predict "$model" "$work/nothing.jpg"
complains '1|2' 'topk' "$effnet" predict "$model" "$work/0.png" --topk 11
