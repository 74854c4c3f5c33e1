#!/usr/bin/env bash
# effnet predict: JSON of the agreed shape, labels from the data, scores that are probabilities, several pictures.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion whole

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

# Many: a folder with all that is below it, a list, standard input; in batches the same scores; each told of in order, and
# one that cannot be read told of in its place.
mkdir -p "$work/many/deep/.hidden"
for index in $(seq 0 39); do cp "$work/$((index % 2 * 9999)).png" "$work/many/$(printf %02d "$index").png"; done
cp "$work/0.png" "$work/many/deep/x.PNG"
cp "$work/0.png" "$work/many/deep/.hidden/y.png"
echo text >"$work/many/deep/read.me"
run 0 "$effnet" predict "$model" "$work/many" --topk 3 --jsonl
[ "$(wc -l <"$work/out")" = 41 ] || die "a folder of 41 pictures gives $(wc -l <"$work/out") lines"
grep -q "1 files in the folders are no pictures" "$work/err" || die "the text in the folder is not told of"
cp "$work/out" "$work/folder"
grep -oE '"image":"[^"]*"' "$work/folder" | sort -c || die "not in order"
for index in 0 9999; do
    run 0 "$effnet" predict "$model" "$work/$index.png" --topk 3 --jsonl
    grep -oE '"topk".*' "$work/out" >"$work/alone.$index"
done
sed -n '1~2p' "$work/folder" | sed -n 1,20p | grep -oE '"topk".*' | sort -u >"$work/even"
sed -n '2~2p' "$work/folder" | sed -n 1,20p | grep -oE '"topk".*' | sort -u >"$work/odd"
same "$work/even" "$work/alone.0" # bit for bit, as far as seven digits show
same "$work/odd" "$work/alone.9999"
echo broken >"$work/many/05.png"
(cd "$work" && printf '\xef\xbb\xbfmany/04.png \r\n\nmany/05.png\r\nmany/06.png' >list)
run 1 "$effnet" predict "$model" "@$work/list" --topk 1 --csv
[ "$(wc -l <"$work/out")" = 4 ] || die "three pictures and a heading are $(wc -l <"$work/out") lines of CSV"
sed -n 1p "$work/out" | grep -qx 'image,error,index_1,label_1,score_1' || die "the heading of the CSV"
sed -n 3p "$work/out" | grep -q "05.png,.*is not a JPEG" || die "the broken picture is not told of in its place"
run 1 bash -c "cd '$work' && '$effnet' predict '$model' - --topk 1 --jsonl <list"
[ "$(grep -c '"topk"' "$work/out")" = 2 ] || die "standard input: two pictures of three"
grep -q '"image":"many/05.png","error":"' "$work/out" || die "standard input: the broken picture"
# as other systems write text: UTF-16 with and without a mark, old line ends; and what is no text is named
(cd "$work" && printf 'many/04.png \r\n\nmany/06.png' | iconv -t UTF-16LE >wide && { printf '\xfe\xff'; iconv -f UTF-16LE -t UTF-16BE wide; } >marked &&
    printf 'many/04.png\rmany/06.png\t\r' >old)
for list in wide marked old; do
    run 0 "$effnet" predict "$model" "@$work/$list" --topk 1 --csv
    [ "$(grep -c "many/0[46].png,," "$work/out")" = 2 ] || die "a list of two pictures: $list"
    run 0 bash -c "cd '$work' && '$effnet' predict '$model' - --topk 1 --csv <$list"
    [ "$(grep -c "many/0[46].png,," "$work/out")" = 2 ] || die "two pictures on standard input: $list"
done
printf 'PK\3\4xxxx' >"$work/zip"
complains 1 "zip' is a zip archive" "$effnet" predict "$model" "@$work/zip"
# a picture is answered when it is asked for, though more may come
mkfifo "$work/ask"
"$effnet" predict "$model" - --jsonl <"$work/ask" >"$work/answers" &
exec 3>"$work/ask"
echo "$work/0.png" >&3
for _ in $(seq 100); do [ -s "$work/answers" ] && break; sleep 0.1; done
[ -s "$work/answers" ] || die "no answer before the end of standard input"
exec 3>&-
wait $! || die "predict - failed"
complains 1 'nowhere' "$effnet" predict "$model" "@$work/nowhere"
mkdir "$work/none"
: >"$work/empty"
complains 1 "none': no file in this folder has a picture's ending" "$effnet" predict "$model" "$work/none"
complains 1 "empty': it names no picture" "$effnet" predict "$model" "@$work/empty"
for input in "</dev/null" "<'$work/none'" "<&-"; do
    complains 1 "standard input': (it names no picture|Is a directory|Bad file descriptor)" \
        bash -c "'$effnet' predict '$model' - $input"
done
run 1 "$effnet" predict "$model" "$work/none" "$work/0.png" --jsonl # the others are told of all the same
[ "$(wc -l <"$work/out")" = 1 ] || die "a folder without pictures costs the others"
run 1 bash -c "'$effnet' predict '$model' '$work/0.png' '$work/no.png' 2>&1 | tee '$work/mixed'; exit \${PIPESTATUS[0]}"
tail -n 1 "$work/mixed" | grep -q "no.png': No such file" || die "the reason does not stand last where both streams are one"
complains 2 'exclude each other' "$effnet" predict "$model" "$work/0.png" --csv --json
run 0 "$effnet" predict "$model" "$work/0.png"
head -1 "$work/out" | grep -q "averaged weights (EMA) of step 3: .*last/ema.safetensors" || die "predict does not name its weights"
run 0 "$effnet" predict "$model" "$work/0.png" --weights raw
head -1 "$work/out" | grep -q "raw weights, not averaged, of step 3: .*last/raw.safetensors" || die "predict does not name its raw weights"

# Features: rows of CSV or JSON, or an array of NumPy whose rows are the lines', the same numbers in each.
complains 2 "--features is 'neck'; allowed: gap.reduction_1" "$effnet" predict "$model" "$work/0.png" --features neck
complains 2 "--out is for --features" "$effnet" predict "$model" "$work/0.png" --out "$work/gap.npy"
complains 2 "--features excludes --json" "$effnet" predict "$model" "$work/0.png" --features gap --json
printf '%s\n' "$work/0.png" "$work/nothing.jpg" "$work/9999.png" >"$work/three.txt"
run 1 "$effnet" predict "$model" "@$work/three.txt" --features gap
[ "$(wc -l <"$work/out")" = 4 ] && [ "$(head -n 1 "$work/out" | tr ',' '\n' | wc -l)" = 1282 ] || die "lines or columns"
sed -n 4p "$work/out" | cut -d, -f3- | tr ',' '\n' >"$work/csv"
[ "$(sed -n 3p "$work/out" | tr -cd , | wc -c)" = 1281 ] || die "the line of a failed picture has other columns"
run 1 "$effnet" predict "$model" "@$work/three.txt" --features gap --jsonl
sed -n 3p "$work/out" | sed 's/.*"values":\[//; s/\].*//' | tr ',' '\n' >"$work/json"
grep -q '"feature":"gap","shape":\[1,1,1280\]' "$work/out" || die "the shape is not told"
same "$work/csv" "$work/json"
run 1 "$effnet" predict "$model" "@$work/three.txt" --features gap --out "$work/gap.npy"
[ "$(sed -n 2,4p "$work/out" | cut -d, -f1,3 | tr '\n' ' ')" = "$work/0.png,0 $work/nothing.jpg, $work/9999.png,1 " ] || die "whose row is whose"
[ "$(stat -c %s "$work/gap.npy")" = $((128 + 2 * 1280 * 4)) ] || die "the array's size"
head -c 128 "$work/gap.npy" | tail -c +11 | tr -d ' \n' >"$work/header"
[ "$(cat "$work/header")" = "{'descr':'<f4','fortran_order':False,'shape':(2,1280),}" ] || die "the array's header: $(cat "$work/header")"
od -An -v -tf4 -w4 -j$((128 + 1280 * 4)) "$work/gap.npy" | paste - "$work/csv" |
    awk '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= 1e-6 * (1 + ($2 < 0 ? -$2 : $2)))) exit 1 } END { exit NR != 1280 }' ||
    die "the array has other numbers than the lines"
run 0 "$effnet" predict "$model" "$work/0.png" --features reduction_3 --out "$work/three.npy"
grep -aq "'shape': (1, 4, 4, 40)" "$work/three.npy" || die "reduction_3 of a picture of 32 x 32 is not 4 x 4 x 40"
[ ! -e "$work/three.npy.part" ] && [ ! -e "$work/gap.npy.part" ] || die "a part was left"

# Test-time augmentation, and where a class is seen.
run 0 "$effnet" predict "$model" "$work/0.png" --topk 10 --json
cp "$work/out" "$work/once"
run 0 "$effnet" predict "$model" "$work/0.png" --topk 10 --json --tta
if cmp -s "$work/out" "$work/once"; then die "--tta changes nothing"; fi
complains 2 "--features excludes --tta" "$effnet" predict "$model" "$work/0.png" --features gap --tta
complains 2 "--class is for --explain" "$effnet" predict "$model" "$work/0.png" --class 1
complains 2 "is one picture; of several, give a folder" "$effnet" predict "$model" "$work/0.png" "$work/9999.png" --explain "$work/why.png"
complains 2 "neither a class of this model nor a number below 10" "$effnet" predict "$model" "$work/0.png" --explain "$work/why.png" --class shoe
run 0 "$effnet" predict "$model" "$work/0.png" --explain "$work/why.png" --class Trouser
grep -q "why.png: where 'Trouser' is seen" "$work/err" || die "--class is not told of"
[ "$(od -An -tu1 -j16 -N8 "$work/why.png" | tr -s ' ')" = " 0 0 0 28 0 0 0 28" ] || die "the drawing has another size than its picture"
run 0 "$effnet" predict "$model" "$work/0.png" "$work/9999.png" --csv --explain "$work/why"
[ -s "$work/why/000001-0.png" ] && [ -s "$work/why/000002-9999.png" ] || die "two pictures, two drawings"

echo "-- standard output that cannot be written is told, whatever is written there"
for form in '' --json --jsonl --csv '--features gap'; do
    complains 1 "cannot write to standard output" bash -c "'$effnet' predict '$model' '$work/0.png' $form >/dev/full \
        2>'$work/told'; status=\$?; grep -v 'averaged weights' '$work/told' >&2; exit \$status" # beside whose weights they are
done

echo "-- stopped by a signal, features leave nothing half-written; what stood there before stays"
for number in INT TERM HUP PIPE; do
    mkfifo "$work/list.$number"
    sleep 60 >"$work/list.$number" &
    at_end "kill $! 2>/dev/null"
    env --default-signal="$number" "$effnet" predict "$model" - --features gap --out "$work/half.npy" <"$work/list.$number" \
        >"$work/out" 2>"$work/err" &
    child=$!
    for ((i = 0; i < 600; i++)); do [ ! -e "$work/half.npy.part" ] || break; sleep 0.05; done
    [ -e "$work/half.npy.part" ] || die "nothing was begun"
    kill -"$number" "$child"
    ! wait "$child" || die "SIG$number did not end it"
    [ ! -e "$work/half.npy.part" ] && [ ! -e "$work/half.npy" ] || die "SIG$number left something half-written"
done
