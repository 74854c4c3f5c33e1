#!/usr/bin/env bash
# A checkpoint that belongs to other classes, pictures or another engine is not gone on with unless that is said; --init
# takes the classifier's rows by class name; more outputs than classes keep the names.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_recipe "$work/r.yaml"
small_pictures "$work/d" amber blue cyan
train() { # STATUS ARGUMENT...
    local status=$1
    shift
    run "$status" "$effnet" train "$work/r.yaml" --quiet "$@"
}
told() { grep -qE -- "$1" "$work/err" || die "not told: $1"; }
refused() { # PATTERN ARGUMENT...: nothing in the run's folder changes
    local pattern=$1
    shift
    (cd "$work/run" && find . | sort && find . -type f -exec sha1sum {} + | sort) >"$work/before"
    complains 1 "$pattern" "$effnet" train "$work/r.yaml" --quiet --out "$work/run" --resume --set epochs=9 "$@"
    (cd "$work/run" && find . | sort && find . -type f -exec sha1sum {} + | sort) >"$work/after"
    same "$work/before" "$work/after"
}
train 0 --data "$work/d" --out "$work/run"

# a folder that was moved as it is, is the same
cp -r "$work/d" "$work/moved"
cp -r "$work/run" "$work/run_moved"
train 0 --data "$work/moved/" --out "$work/run_moved" --resume --set epochs=3

# a class renamed: labels would be permuted
cp -r "$work/d" "$work/renamed"
mv "$work/renamed/train/amber" "$work/renamed/train/zamber"
mv "$work/renamed/val/amber" "$work/renamed/val/zamber"
refused "3 of the 3 classes have other names .class 0 was 'amber' and is now 'blue'.*--resume-anyway" --data "$work/renamed"
# pictures gone; a picture of the other class
cp -r "$work/d" "$work/fewer"
rm "$work"/fewer/train/*/0[0-5].bmp
refused 'there were 36 training pictures and are now 18' --data "$work/fewer"
cp -r "$work/d" "$work/swapped"
mv "$work/swapped/train/blue/03.bmp" "$work/swapped/train/blue/x.bmp"
refused 'some of the 36 training pictures have other names or labels' --data "$work/swapped"
refused "the engine was 'fast' and is now 'reference'" --data "$work/d" --engine reference

# other pictures to evaluate on: the accuracies are no longer of one kind
cp -r "$work/d" "$work/other_val"
rm "$work"/other_val/val/*/00.bmp
cp -r "$work/run" "$work/run_other_val"
train 0 --data "$work/other_val" --out "$work/run_other_val" --resume --set epochs=3
told "the evaluation pictures are others than those before step"
train 0 --data "$work/d" --out "$work/run_moved" --resume --set epochs=4
! grep -q "evaluation pictures are others" "$work/err" || die "they are the same"

# said so, it goes on, and says what it goes on with
train 0 --data "$work/renamed" --out "$work/run" --resume-anyway --set epochs=3
told "resume-anyway: 3 of the 3 classes"
# fewer pictures than the run has steps for: that, and not `done` alone
train 0 --data "$work/fewer" --out "$work/run" --resume-anyway --set epochs=3
told 'nothing left to do: the newest checkpoint is of step 9, the run.s last step is 3 .1 an epoch, over 18 pictures'

# --init
init() {
    local out=$1
    shift
    train 0 --out "$work/$out" --init "$work/run_moved/checkpoints/last/raw.safetensors" --steps 1 --set lr=1e-30 "$@"
}
init init_same --data "$work/d"
told "kept: it has the same 3 classes, 'amber' to 'cyan'"
init init_renamed --data "$work/renamed"
told "3 classes .'amber' to 'cyan'., 2 rows were taken over by name, some at another place; 1 of the 3 .*: 'zamber'"
small_pictures "$work/more" aqua blue cyan dun
init init_more --data "$work/more"
told "2 rows were taken over by name.*2 of the 4 classes here are new to it and begin afresh: 'aqua', 'dun'"
rows() { # FILE: the classifier's rows as lines
    python3 - "$1" <<'P'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
length = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8 : 8 + length])
begin, end = header["classifier.weight"]["data_offsets"]
names = json.loads(header["__metadata__"]["effnet.class_names"])
values = struct.unpack(f"<{(end - begin) // 4}f", data[8 + length + begin : 8 + length + end])
width = len(values) // len(names)
for i, name in enumerate(names):
    print(name, sum(values[i * width : (i + 1) * width]))
P
}
rows "$work/run_moved/checkpoints/last/raw.safetensors" >"$work/old_rows"
rows "$work/init_more/checkpoints/last/raw.safetensors" >"$work/new_rows"
for class in blue cyan; do
    old=$(sed -n "s/^$class //p" "$work/old_rows")
    new=$(sed -n "s/^$class //p" "$work/new_rows")
    holds "($old - $new) ^ 2 <= 1e-12 * ($old) ^ 2 && ($old) ^ 2 > 0"
done

# more outputs than classes
train 0 --data "$work/d" --out "$work/ten" --steps 1 --set num_classes=5
run 0 "$effnet" predict "$work/ten" "$work/d/val/blue/00.bmp" --topk 5
for name in amber blue cyan 3 4; do grep -qw "$name" "$work/out" || die "predict does not name '$name'"; done
