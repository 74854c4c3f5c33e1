#!/usr/bin/env bash
# effnet data check, data show and pack as a user runs them, a pack that is killed and gone on with, and training that gives
# the same losses from a folder, a tar and an effpack.
source "$(dirname "$0")/harness.sh"
photographs
data=$archive scratch=$work
mkdir "$scratch/folder"
mv "$scratch/train" "$scratch/val" "$scratch/folder/"
pictures=$(find "$scratch/folder/train" -type f | wc -l) # 245 of the real ones

"$effnet" data check "$data" >"$scratch/check" 2>/dev/null || die "a good data set has exit status $?"
grep -q "^train *$pictures pictures" "$scratch/check" || die "$(cat "$scratch/check")"
cp -r "$scratch/folder" "$scratch/broken"
head -c 3000 "$(find "$scratch/folder/train/ants" -name '*.jpg' | sort | sed -n 1p)" >"$scratch/broken/train/ants/cut.jpg"
status=0
"$effnet" data check "$scratch/broken" --json >"$scratch/json" 2>/dev/null || status=$?
[ "$status" = 1 ] || die "a truncated picture gives exit status $status"
grep -q 'cut.jpg.*truncated JPEG' "$scratch/json" || die "$(cat "$scratch/json")"

"$effnet" data show "$data" "$scratch/sheet.png" --rows 1 --columns 2 || die "no sheet"
[ "$(head -c 4 "$scratch/sheet.png" | tail -c 3)" = PNG ] || die "the sheet is no PNG"
if "$effnet" data 2>/dev/null; then die "data without a verb"; else [ $? = 2 ] || die "usage is not exit status 2"; fi

"$effnet" pack "$scratch/folder" "$scratch/whole.effpack" --size 64 >/dev/null 2>&1 || die "pack"
"$effnet" pack "$scratch/folder" "$scratch/killed.effpack" --size 64 --workers 1 >/dev/null 2>&1 &
pack=$!
for _ in $(seq 200); do
    size=$(stat -c %s "$scratch/killed.effpack.part" 2>/dev/null || echo 0)
    [ "$size" -lt 50000 ] || break
    sleep 0.02
done
kill -KILL $pack 2>/dev/null || true
wait $pack 2>/dev/null || true
"$effnet" pack "$scratch/folder" "$scratch/killed.effpack" --size 64 >/dev/null 2>&1 || [ -e "$scratch/killed.effpack" ] || die "going on"
cmp "$scratch/whole.effpack" "$scratch/killed.effpack" || die "the pack that was killed differs"

"$effnet" pack "$data" "$scratch/kept.effpack" --size 0 >/dev/null 2>&1 || die "pack --size 0"
losses() { grep -o '"loss": *[0-9.]*' "$1/log.jsonl"; }
for kind in folder tar effpack; do
    case $kind in folder) from=$scratch/folder ;; tar) from=$data ;; effpack) from=$scratch/kept.effpack ;; esac
    "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$from" --out "$scratch/run-$kind" --steps 2 \
        --set resolution=32 --set batch_size=8 --set log_interval=1 --set seed=3 >"$scratch/log" 2>&1 || die "$(cat "$scratch/log")"
    losses "$scratch/run-$kind" >"$scratch/losses-$kind"
    [ -s "$scratch/losses-$kind" ] || die "no losses from $kind"
    cmp "$scratch/losses-folder" "$scratch/losses-$kind" || die "other losses from $kind"
done
echo "ok: $(wc -l <"$scratch/losses-folder") losses, the same from a folder, a tar and an effpack"
