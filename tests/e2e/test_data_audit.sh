#!/usr/bin/env bash
# effnet data audit: a picture that stands in both splits is found, with its other label; page and tables agree with what is
# printed; wrong input.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/data" ants bees wasps
small_recipe "$work/small.yaml"
cd "$work"
run 0 "$effnet" train small.yaml --data data --out run --no-report
cp data/val/ants/00.bmp data/train/bees/seen.bmp
run 0 "$effnet" data audit run data --report page --json
[ "$(number near_duplicates)" = 1 ] && [ "$(number near_duplicates_labels)" = 1 ] || die "the picture in both splits is not found"
grep -q '"training": *"data/train/bees/seen.bmp", *"evaluation": *"data/val/ants/00.bmp"' out || die "the pair is not told"
[ "$(wc -l <page/duplicates.csv)" = 2 ] || die "duplicates.csv has not one pair"
suspects=$(grep -o '"likely"' out | wc -l)
[ "$(wc -l <page/suspects.csv)" = $((suspects + 1)) ] || die "suspects.csv has not the $suspects suspects"
grep -q 'Audit of a data set' page/audit.html || die "no page"
if grep -qE '(src|href)="?(http|//)' page/audit.html; then die "the page wants a network"; fi
run 0 "$effnet" data audit run data
grep -q '^near duplicate: .*seen.bmp and .*00.bmp, with two labels, bees and ants$' out || die "the pair is not printed"
grep -q '^near duplicates in training and evaluation: 1, 1 with two labels$' out || die "no sum is printed"
complains 2 'MODEL and a SOURCE' "$effnet" data audit run
complains 1 'nowhere' "$effnet" data audit run nowhere
complains 1 'nowhere' "$effnet" data audit nowhere data
run 0 "$effnet" data audit --help
echo "ok"
