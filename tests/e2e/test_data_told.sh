#!/usr/bin/env bash
# What was taken for what is told, and nothing is left out without a count: splits by the names that people use, headings of
# tables, numbers as labels, files that are no pictures, shards that are missing or damaged, splits without their labels.
source "$(dirname "$0")/harness.sh"
need_fashion
for index in 0 1 2 3 4 5; do
    run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" $index "$work/$index.png"
done
tell() { grep -qE -- "$1" "$work/err" || die "not told: $1"; }

echo "-- names of splits"
for names in "train valid" "training testing" "train dev" "Training Testing" "train_set validation-images"; do
    set -- $names
    rm -rf "$work/splits"
    mkdir -p "$work/splits/$1/a" "$work/splits/$1/b" "$work/splits/$2/a" "$work/splits/$2/b"
    cp "$work/0.png" "$work/1.png" "$work/splits/$1/a"
    cp "$work/2.png" "$work/splits/$1/b"
    cp "$work/3.png" "$work/splits/$2/a"
    cp "$work/4.png" "$work/splits/$2/b"
    run 0 "$effnet" data check "$work/splits"
    tell "training: '.*/splits/$1': 3 pictures of 2 classes, in this order: a, b"
    tell "evaluation: '.*/splits/$2': 2 pictures of 2 classes"
done

rm -rf "$work/splits/train"
cp -r "$work/splits/train_set" "$work/splits/train" # the very name goes first
run 0 "$effnet" data check "$work/splits"
tell "training: '.*/splits/train': 3 pictures"
rm -r "$work/splits/train_set"
mkdir -p "$work/nested" && cp -r "$work/splits/train" "$work/nested/first" && cp -r "$work/splits/train" "$work/nested/second"
run 0 "$effnet" data check "$work/nested"
tell "each of the 2 classes has the same 2 folders \('a', ...\).*train_split and val_split"

echo "-- files that are not read"
cp "$work/0.png" "$work/splits/train/a/.hidden.png"
run 0 "$effnet" data check "$work/splits"
tell "not read, being no pictures: 1 files \(1 hidden\)"
rm "$work/splits/train/a/.hidden.png"
echo x >"$work/splits/train/a/notes.txt"
echo x >"$work/splits/train/a/box.XML"
echo x >"$work/splits/train/a/README"
echo x >"$work/splits/train/loose.txt"
run 0 "$effnet" data check "$work/splits"
tell "not read, being no pictures: 4 files \(2 .txt, 1 without an ending, 1 .xml\)"
run 0 "$effnet" pack "$work/splits" "$work/a.effpack"
tell "not read, being no pictures: 4 files"
echo x >"$work/splits/train/a/camera.nef"
cp "$work/5.png" "$work/splits/train/loose.png"
mkfifo "$work/splits/train/b/pipe.png"
run 1 "$effnet" data check "$work/splits"
tell "lost: '.*camera.nef' is of a kind that is not read"
tell "lost: '.*loose.png' stands in no class folder"
tell "lost: cannot read '.*pipe.png'"
grep -q "3 pictures, 3 more lost" "$work/out" || die "data check does not count what is lost"
small_fashion
complains 1 "stands in no class folder|camera.nef|pipe.png" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/splits" --out "$work/x" --set batch_size=2 --set bad_images=stop --steps 1

rm "$work/splits/train/a/camera.nef" "$work/splits/train/loose.png" "$work/splits/train/b/pipe.png"
complains 1 "[1-4] files of the data are no pictures.*bad_images: stop" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/splits" --out "$work/x" --set batch_size=2 --set bad_images=stop --steps 1

echo "-- folders of the system, names that are nearly one, names that are no UTF-8"
strange=$(printf 'caf\xff')
other=$(printf 'caf\xfe')
for split in train val; do
    for class in bird Bird __MACOSX lost+found "$strange" "$other"; do mkdir -p "$work/names/$split/$class"; done
    for class in bird Bird "$strange" "$other"; do cp "$work/0.png" "$work/names/$split/$class"; done
    cp "$work/1.png" "$work/names/$split/__MACOSX"
done
run 0 "$effnet" data check "$work/names"
tell "__MACOSX' is the system's, not a class"
tell "classes 'Bird' and 'bird' differ in letter case"
run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/names" --out "$work/names.run" --set batch_size=2 \
    --set num_classes=0 --steps 1 --no-report
run 0 "$effnet" eval "$work/names.run" --data "$work/names"
grep -qF 'caf\xfe, caf\xff' "$work/out" || die "names that are no UTF-8 are not told apart"
mv "$work/names/val/bird" "$work/names/val/BIRD"
run 1 "$effnet" data check "$work/names"
tell "has a class folder 'BIRD' that .* has not.*'Bird' differs in letter case"

echo "-- a folder without splits is parted, and eval says that it reads all of it"
mkdir -p "$work/flat/a" "$work/flat/b"
for index in $(seq 0 19); do
    run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" "$index" "$work/flat/$([ $((index % 2)) = 0 ] && echo a || echo b)/$index.png"
done
run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/flat" --out "$work/flat.run" --set batch_size=2 --set num_classes=2 --steps 1
grep -qE "training: of those, 1[0-9]: 20 % of each class" "$work/out" || die "the parting is not told"
run 0 "$effnet" eval "$work/flat.run" --data "$work/flat"
grep -q "images  20" "$work/out" || die "eval does not read all of a folder"
tell "no split: all pictures are evaluated on, also those that were trained on if these were"
run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/flat" --out "$work/all.run" --set batch_size=2 \
    --set val_split=100% --steps 1
tell "training and evaluation are the same pictures"

run 0 "$effnet" data check "$work/flat"
share=$(sed -nE 's/^val +([0-9]+) .*/\1/p' "$work/out")
run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/flat" --out "$work/fraction.run" --set batch_size=2 \
    --set val_split=0.2 --steps 1
grep -q "evaluation: of those, $share: 20 %" "$work/out" || die "a share written as a fraction"

echo "-- a tar, a table, rows of JSON without splits are parted as such a folder is, its sides the same"
tar -C "$work/flat" -cf "$work/alone.tar" a b
tar -C "$work/flat" -czf "$work/alone.tgz" a b
(cd "$work/flat" && for file in */*.png; do echo "$file,${file%/*}"; done) >"$work/flat/alone.csv"
sed -E 's/(.*),(.*)/{"file_name": "\1", "label": "\2"}/' "$work/flat/alone.csv" >"$work/flat/alone.jsonl"
for data in "$work/alone.tar" "$work/alone.tgz" "$work/flat/alone.csv" "$work/flat/alone.jsonl"; do
    run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$data" --out "$work/alone.run" \
        --set batch_size=2 --set num_classes=2 --steps 1
    grep -q "evaluation: of those, $share: 20 %" "$work/out" || die "'$data' is not parted"
    ! grep -q "the same pictures" "$work/out" "$work/err" || die "'$data' is trained and evaluated on alike"
    rm -r "$work/alone.run"
    run 0 "$effnet" eval "$work/flat.run" --data "$data"
    grep -q "images  20" "$work/out" || die "eval does not read all of '$data'"
done
complains 1 "has no split 'late'" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/flat/alone.csv" \
    --out "$work/x" --set batch_size=2 --set num_classes=2 --set val_split=late --steps 1
mkdir -p "$work/top/Training" "$work/top/Testing"
cp -r "$work/flat/a" "$work/flat/b" "$work/top/Training"
cp -r "$work/flat/a" "$work/flat/b" "$work/top/Testing" && rm "$work/top/Testing/a/0.png"
tar -C "$work/top" -cf "$work/top.tar" Training Testing
run 0 "$effnet" data check "$work/top.tar"
grep -qE '^train +20 pictures' "$work/out" && grep -qE '^val +19 pictures' "$work/out" || die "Training/ and Testing/ in a tar"
rm "$work/flat/alone.csv" "$work/flat/alone.jsonl"

echo "-- pictures that are trained and evaluated on"
mkdir -p "$work/both/train" "$work/both/val"
cp -r "$work/flat/a" "$work/flat/b" "$work/both/train"
cp -r "$work/flat/a" "$work/flat/b" "$work/both/val"
rm "$work/both/train/a/0.png" "$work/both/train/b/1.png"
mv "$work/both/train/a/2.png" "$work/both/train/a/other.png" # by their bytes, not their names
both=(train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/both" --set batch_size=2 --set num_classes=2 --steps 1)
run 0 "$effnet" "${both[@]}" --out "$work/both.run"
tell "18 of the 20 evaluation pictures stand among the training pictures too"
rm -r "$work/both/val/"*/* && cp "$work/flat/a/0.png" "$work/both/val/a" && cp "$work/flat/b/1.png" "$work/both/val/b"
run 0 "$effnet" "${both[@]}" --out "$work/apart.run"
! grep -q "stand among" "$work/err" || die "nothing is shared"

echo "-- tables"
mkdir "$work/table"
cp "$work"/?.png "$work/table"
lines() { for index in 0 1 2 3 4 5; do echo "$index.png$1$((index * 2))"; done; }
{ echo ' image_id , label '; lines ', '; } >"$work/table/train.csv"
{ echo 'which,what'; lines ','; } >"$work/table/val.csv" # no usual names: "which" is no file and 0.png is
run 0 "$effnet" data check "$work/table" --json
grep -q '"classes":11' "$work/out" || die "labels 0 to 10 are not 11 classes"
grep -q '"class":"10","pictures":1' "$work/out" || die "label 10 is not class 10"
grep -qF "line 1 is the heading; path is column 1 ('image_id'), label column 2 ('label')" "$work/out" || die "columns are not told"
grep -qF "label column 2 ('what')" "$work/out" || die "the heading of val.csv is not noticed"
{ echo 'which,where,what'; lines ',x,'; } >"$work/table/val.csv"
complains 1 "call the one so that is" "$effnet" data check "$work/table"
lines , | tac >"$work/table/val.csv"
rm "$work/table/0.png" # the first line is no heading because its picture is missing
run 1 "$effnet" data check "$work/table"
tell "no heading; path is column 1, label column 2"
tell "bad: cannot open '.*0.png'"
{ printf '\xff\xfe'; lines , | tac | iconv -t UTF-16LE; } >"$work/table/val.csv" # as a spreadsheet may leave it
run 1 "$effnet" data check "$work/table"
grep -q "^val *6 pictures, 1 bad" "$work/out" || die "a table in UTF-16"


for separator in ';' $'\t'; do # as a spreadsheet writes it where a comma stands in numbers
    { echo "image${separator}class"; lines "$separator"; } >"$work/table/val.csv"
    run 1 "$effnet" data check "$work/table"
    grep -qE "^(val|all) *6 pictures, 1 bad" "$work/out" || die "a table with '$separator' between its fields"
done
for separator in ';' '|'; do # and as Excel tells itself what it wrote
    { printf 'sep=%s\r\n' "$separator"; echo "image${separator}class"; lines "$separator"; } >"$work/table/val.csv"
    run 1 "$effnet" data check "$work/table"
    grep -qE "^(val|all) *6 pictures, 1 bad" "$work/out" || die "a table that begins with sep=$separator"
    tell "line 2 is the heading"
done

echo "-- rows of a table that name no picture"
cp "$work/5.png" "$work/table/0.png"
echo text >"$work/table/notes.txt"
cp "$work/1.png" "$work/table/picture.dat" # one all the same, by its first bytes
{ lines , ; echo 'notes.txt,1'; echo 'picture.dat,1'; } >"$work/table/train.csv"
lines , >"$work/table/val.csv"
run 1 "$effnet" data check "$work/table"
tell "lost: '.*train.csv': line 7 names 'notes.txt', which is no picture"
tell "not read, being no pictures: 1 files \(1 .txt\)"
grep -q "^train *7 pictures, 1 more lost" "$work/out" || die "a row that is no picture is not counted"
complains 1 "notes.txt.*bad_images: stop" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/table" --out "$work/x" --set batch_size=2 --set num_classes=0 --set bad_images=stop --steps 1

echo "-- a column that says which split a row belongs to"
cp "$work"/?.png "$work/table"
for form in 'split train val' 'Subset Training Test' 'is_valid False True' 'is_train 1 0'; do
    set -- $form
    { echo "path,label,$1"; for index in 0 1 2 3 4 5; do
        echo "$index.png,class $((index % 2)),$([ "$index" -lt 4 ] && echo "$2" || echo "$3")"; done; } >"$work/table/one.csv"
    run 0 "$effnet" data check "$work/table/one.csv"
    tell "column 3 \('$1'\) tells the splits: rows of '"
    grep -qE '^train +4 pictures' "$work/out" && grep -qE '^val +2 pictures' "$work/out" || die "the splits of '$form'"
done
run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/table/one.csv" --out "$work/one.run" \
    --set batch_size=2 --set num_classes=2 --steps 1
grep -q "evaluation: .*: 2 pictures of 2 classes" "$work/out" || die "train takes all rows"
grep -v ',0$' "$work/table/one.csv" >"$work/table/half.csv"
complains 1 "has no row of the split 'val'.*val_split" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/table/half.csv" --out "$work/x" --set batch_size=2 --set num_classes=2 --steps 1
for form in 'split train val' 'Subset Training Test' 'is_valid false true' 'is_train 1 0'; do
    set -- $form
    value() { case "$1" in true | false | [01]) echo "$1" ;; *) echo "\"$1\"" ;; esac; }
    for index in 0 1 2 3 4 5; do
        echo "{\"file_name\": \"$index.png\", \"label\": \"class $((index % 2))\", \"$1\": $(value "$([ "$index" -lt 4 ] && echo "$2" || echo "$3")")}"
    done >"$work/table/one.jsonl"
    run 0 "$effnet" data check "$work/table/one.jsonl"
    tell "a key of its rows tells the splits: rows of '"
    grep -qE '^train +4 pictures' "$work/out" && grep -qE '^val +2 pictures' "$work/out" || die "the splits of '$form' in JSON"
done
{ printf '\xef\xbb\xbf'; cat "$work/table/one.jsonl"; } >"$work/table/mark.jsonl"
{ printf '\xff\xfe'; iconv -t UTF-16LE "$work/table/one.jsonl"; } >"$work/table/wide.jsonl"
{ echo; cat "$work/table/one.jsonl"; } >"$work/table/late.jsonl"
for name in mark wide late; do
    run 0 "$effnet" data check "$work/table/$name.jsonl"
    grep -qE '^train +4 pictures' "$work/out" && grep -qE '^val +2 pictures' "$work/out" || die "$name.jsonl"
done
for index in 0 1 2 3 4 5; do echo "{\"file_name\": \"$index.png\", \"label\": $((index * 2)).0}"; done >"$work/table/real.jsonl"
run 0 "$effnet" data check "$work/table/real.jsonl" # as pandas writes numbers of a column that has gaps
tell "pictures of 11 classes"
for ((index = 0; index < 2000; index++)); do echo "{\"file_name\": \"$((index % 6)).png\", \"label\": \"class $((index % 2))\"}"; done |
    { printf '\xfe\xff'; iconv -t UTF-16BE; } >"$work/table/long.jsonl" # longer than what is looked at
run 0 "$effnet" data check "$work/table/long.jsonl"
tell "2000 pictures of 2 classes"
{ cat "$work/table/one.jsonl"; echo '{"file_name": "0.png", "label": "class 0", "split": "spare"}'; } >"$work/table/spare.jsonl"
run 0 "$effnet" data check "$work/table/spare.jsonl"
tell "rows of no split that is known are passed over: 1 \(the first says 'spare'\)"
mkdir "$work/table/some" && cp "$work/table/one.csv" "$work/table/some" && echo "../0.png,a" >"$work/table/some/two.csv"
complains 1 "1 tell which split a row belongs to and the others do not" "$effnet" data check "$work/table/some"
printf 'path,label,set\n0.png,a,x7\n1.png,b,x8\n' >"$work/table/odd.csv"
run 0 "$effnet" data check "$work/table/odd.csv"
tell "column of splits says 'x7', which is none that is known"

echo "-- tables as programs and people write them"
printf '# made by hand\npath,label\n0.png,0.0\n,,\n1.png,1.0\npath,label\nfile://%s,10.0\n' "$work/table/2.png" >"$work/table/made.csv"
run 0 "$effnet" data check "$work/table/made.csv" --json
grep -q '"classes":11' "$work/out" && grep -q '"class":"10","pictures":1' "$work/out" || die "labels 0.0, 1.0 and 10.0"
grep -q 'line 2 is the heading' "$work/out" || die 'the heading behind a comment'
printf 'path,label\n0.png,2\n1.png,nan\n2.png,1\n' >"$work/table/gaps.csv"
run 1 "$effnet" data check "$work/table/gaps.csv"
tell "line 3 has no label, where others have a number"
mkdir "$work/table/sub"
cp "$work/0.png" "$work/1.png" "$work/table/sub"
printf 'path,label\nsub\\0.png,a\nsub\\1.png,b\n' >"$work/table/windows.csv"
printf 'id,breed\n0,a\n1,b\n2.png,b\n' >"$work/table/ids.csv"
run 0 "$effnet" data check "$work/table/windows.csv"
run 0 "$effnet" data check "$work/table/ids.csv"
tell "names of pictures lack their ending, '.png' is put behind them"

echo "-- shards"
mkdir -p "$work/tars/a" "$work/tars/b" "$work/shards"
cp "$work"/[1-3].png "$work/tars/a"
cp "$work"/[45].png "$work/tars/b"
for number in 0 1 2; do tar -C "$work/tars" -cf "$work/shards/train-0000$number-of-00003.tar" a b; done
cp "$work/shards/train-00000-of-00003.tar" "$work/shards/val-00000-of-00001.tar"
run 0 "$effnet" data check "$work/shards"
rm "$work/shards/train-00001-of-00003.tar"
run 1 "$effnet" data check "$work/shards"
tell "lost: the shard '.*train-00001-of-00003.tar' is missing"
: >"$work/shards/train-00001-of-00003.tar"
run 1 "$effnet" data check "$work/shards"
tell "lost: '.*train-00001-of-00003.tar' is called like a shard and is empty"
head -c 3000 /dev/urandom >"$work/shards/train-00001-of-00003.tar"
run 1 "$effnet" data check "$work/shards"
tell "lost: '.*train-00001-of-00003.tar' is called like a shard and is damaged at its beginning"
complains 1 "train-00001-of-00003.tar" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/shards" --out "$work/x" --set batch_size=2 --set bad_images=stop --steps 1

echo "-- numbers without a count"
mkdir "$work/gaps"
for number in 0000 0001 0003; do cp "$work/shards/val-00000-of-00001.tar" "$work/gaps/train-$number.tar"; done
for year in 2019 2022; do cp "$work/shards/val-00000-of-00001.tar" "$work/gaps/val_$year.tar"; done # no series
run 1 "$effnet" data check "$work/gaps"
tell "lost: the shard '.*train-0002.tar' is missing between '.*train-0001.tar' and '.*train-0003.tar'"
grep -q "^train *15 pictures, 1 more lost" "$work/out" || die "a gap is not counted"
grep -qE "^val *10 pictures$" "$work/out" || die "years are taken for a series"
complains 1 "train-0002.tar.*bad_images: stop" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/gaps" --out "$work/x" --set batch_size=2 --set bad_images=stop --steps 1

echo "-- members of tars that are no pictures"
mkdir -p "$work/members/train/a" "$work/members/val"
cp -r "$work/tars/." "$work/members/train"
cp -r "$work/tars/." "$work/members/val"
echo x >"$work/members/train/a/notes.txt"
ln -s 1.png "$work/members/train/a/link.png"
cp "$work/1.png" "$work/members/train/loose.png"
for ending in tar tar.gz; do
    tar -C "$work/members" -caf "$work/members.$ending" train val
    run 1 "$effnet" data check "$work/members.$ending"
    tell "not read, being no pictures: 1 files \(1 .txt\)"
    tell "lost: .*'train/a/link.png' is a link"
    tell "lost: .*'train/loose.png' stands in no class folder"
    grep -q "^train *5 pictures, 2 more lost" "$work/out" || die "members of a tar are not counted"
    grep -qE "^val *5 pictures$" "$work/out" || die "what the other split lacks is counted twice"
done
run 0 "$effnet" pack "$work/members.tar" "$work/members.effpack"
tell "not read, being no pictures: 1 files \(1 .txt\)"
tell "'train/a/link.png' is a link"
complains 1 "link.png|loose.png" "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" \
    --data "$work/members.tar" --out "$work/x" --set batch_size=2 --set bad_images=stop --steps 1
mkdir "$work/samples"
for index in 1 2; do
    cp "$work/$index.png" "$work/samples"
    echo $index >"$work/samples/$index.cls"
    echo '{}' >"$work/samples/$index.json"
done
tar -C "$work/samples" --sort=name -cf "$work/samples.tar" .
run 0 "$effnet" data check "$work/samples.tar"
tell "not read, being no pictures: 2 files \(2 .json\)"
run 0 "$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$work/samples.tar" --out "$work/x" --set val_split=100% \
    --set batch_size=2 --set num_classes=0 --set bad_images=stop --steps 1 # what is beside a picture is nothing to stop at
rm -r "$work/x"

echo "-- a tar that was cut off between two files, a gzip file without its end"
head -c 2048 "$work/shards/val-00000-of-00001.tar" >"$work/cut.tar"
size=$(stat -c %s "$work/members.tar.gz")
head -c $((size - 6)) "$work/members.tar.gz" >"$work/short.tar.gz"
run 1 "$effnet" data check "$work/short.tar.gz"
tell "is truncated: its gzip data have no end"
cp "$work/members.tar.gz" "$work/sum.tar.gz"
printf '\x01\x02\x03\x04' | dd of="$work/sum.tar.gz" bs=1 seek=$((size - 8)) conv=notrunc status=none
run 1 "$effnet" data check "$work/sum.tar.gz"
tell "its gzip data are wrong \(incorrect data check\); some of its pictures may be damaged"

echo "-- a split without its labels is no absent split"
mkdir "$work/idx"
cp "$fashion"/*.gz "$work/idx"
rm "$work/idx/t10k-labels-idx1-ubyte.gz"
complains 1 "t10k-labels" "$effnet" data check "$work/idx"
complains 1 "t10k-labels" "$effnet" pack "$work/idx" "$work/idx.effpack"
rm "$work/idx"/t10k*
run 0 "$effnet" data check "$work/idx" --workers 2 # one alone is allowed
! grep -q "^val" "$work/out" || die "a split that is not there"
