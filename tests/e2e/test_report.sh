#!/usr/bin/env bash
# effnet eval --report and the report of a run: page, JSON and CSV agree with what eval prints; names of classes that are
# markup stay text; nothing is fetched from a network; a folder that cannot be written is an error.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/data" 'a<b>&"c", d' bees wasps
small_recipe "$work/small.yaml"
cd "$work"
run 0 "$effnet" train small.yaml --data data --out run
grep -qx 'report: run/report/report.html' out || die "the run does not tell its report"
run 0 "$effnet" eval run --data data --report told --json
top1=$(number top1)
for folder in run/report told; do
    for file in report.html report.json predictions.csv; do [ -s "$folder/$file" ] || die "no $folder/$file"; done
    if grep -qE '(src|href)="?(http|//)|url\(|<script|<link' "$folder/report.html"; then die "the page wants a network"; fi
    grep -q 'a&lt;b&gt;&amp;&quot;c&quot;, d' "$folder/report.html" || die "a class's name is not escaped"
    if grep -q '<b>&"c' "$folder/report.html"; then die "a class's name is markup"; fi
    [ "$(wc -l <"$folder/predictions.csv")" = 13 ] || die "predictions.csv has not 12 pictures and a heading"
    grep -q ',"a<b>&""c"", d",' "$folder/predictions.csv" || die "predictions.csv does not quote"
    [ "$(grep -o '<svg' "$folder/report.html" | wc -l)" = "$(grep -o '</svg>' "$folder/report.html" | wc -l)" ] || die "open svg"
    [ "$(number pictures "$folder/report.json")" != '' ] || die "report.json has no pictures"
done
# right answers: the CSV's, the JSON's and those eval printed
right=$(sed 1d told/predictions.csv | sed 's/"[^"]*\(""[^"]*\)*"/x/g' | cut -d, -f6 | grep -c 1 || true)
holds "$right / 12 * 100 - $top1 < 1e-4 && $top1 - $right / 12 * 100 < 1e-4"
holds "$(number top1 told/report.json) - $top1 < 1e-4 && $top1 - $(number top1 told/report.json) < 1e-4"
holds "$(number top1_low) <= $top1 && $(number top1_high) >= $top1 && $(number calibration_error) >= 0"
grep -q 'Training loss' run/report/report.html || die "the run's report has no curves"
if grep -q 'Training loss' told/report.html; then die "an evaluation's report has curves of a run"; fi

run 0 "$effnet" eval run --data data --report again
grep -qE '^top-1 +[0-9.]+ % \(95 %: [0-9.]+ to [0-9.]+\)$' out || die "no interval is printed"
grep -qx 'report  again/report.html' out || die "the report is not told"
run 0 "$effnet" train small.yaml --data data --out quiet --no-report
[ ! -e quiet/report ] || die "--no-report wrote one"
echo x >file
complains 1 'file' "$effnet" eval run --data data --report file
complains 1 'file/below' "$effnet" eval run --data data --report file/below
echo "ok"
