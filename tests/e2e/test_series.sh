#!/usr/bin/env bash
# seeds and folds: one recipe several times by one command, of train and of finetune; the record with mean and deviation;
# a series that is resumed passes over what is there; wrong input, each named.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/pictures" ant bee wasp
small_recipe "$work/recipe.yaml"
train=("$effnet" train "$work/recipe.yaml" --data "$work/pictures" --no-report)

# Two seeds, each a run like any other.
run 0 "${train[@]}" --set seeds=2 --set seed=7 --out "$work/seeds"
grep -qE '^seed-1 +[0-9.]+ % of 12 pictures, seed=7, best ' "$work/out" || die "the first run is not told"
grep -qE '^mean +[0-9.]+ %, standard deviation [0-9.]+, from ' "$work/out" || die "no mean told"
run 0 "${train[@]}" --set seed=8 --out "$work/alone"
same_checkpoint "$work/seeds/seed-2/checkpoints/last" "$work/alone/checkpoints/last"
grep -q '^seed: 8$' "$work/seeds/seed-2/recipe.yaml" || die "the second run has another seed than it says"
sha256sum "$work/seeds/seed-1/log.jsonl" "$work/seeds/seed-2/checkpoints/last/raw.safetensors" >"$work/before"

# More seeds: what is there stays. The second is told anew from its folder, as after a kill before its end was recorded.
python3 - "$work/seeds/series.json" <<'END'
import json, sys
record = json.load(open(sys.argv[1]))
accuracies = [run["accuracy"] for run in record["runs"]]
mean = sum(accuracies) / 2
deviation = (sum((a - mean) ** 2 for a in accuracies)) ** 0.5
assert abs(record["mean"] - mean) < 1e-6 and abs(record["deviation"] - deviation) < 1e-6, record
record["runs"].pop()
json.dump(record, open(sys.argv[1], "w"))
END
accuracy=$(python3 -c 'import json,sys; print(json.loads([l for l in open(sys.argv[1]) if "ema_top1" in l][-1])["ema_top1"])' \
           "$work/seeds/seed-2/log.jsonl")
run 0 "${train[@]}" --set seeds=3 --set seed=7 --out "$work/seeds" --resume
sha256sum --quiet -c "$work/before" || die "a finished run was changed"
python3 - "$work/seeds/series.json" "$accuracy" <<'END'
import json, sys
record = json.load(open(sys.argv[1]))
assert [run["name"] for run in record["runs"]] == ["seed-1", "seed-2", "seed-3"], record
assert abs(record["runs"][1]["accuracy"] - float(sys.argv[2])) < 1e-4, (record, sys.argv[2])
END

# Their mean by epoch is a reference for another run: told after each evaluation, drawn in its report.
grep -cqE '^[12] [0-9.]+ [0-9.]+$' "$work/seeds/curve.txt" || die "no curve of both epochs"
mean=$(python3 - "$work"/seeds/seed-*/log.jsonl <<'END'
import json, sys
last = [[json.loads(line)["ema_top1"] for line in open(name) if "ema_top1" in line][-1] for name in sys.argv[1:]]
print(f"{sum(last) / len(last):.2f}")
END
)
run 0 "$effnet" train "$work/recipe.yaml" --data "$work/pictures" --out "$work/beside" \
    --set "reference_curve=$work/seeds/curve.txt"
grep -qE "^run: at epoch 2 you are at [0-9.]+ %, the reference at $mean \(\+- [0-9.]+\)" "$work/out" ||
    die "the reference of epoch 2, $mean, is not told"
grep -q 'reference</text>\|>reference<' "$work/beside/report/report.html" || die "the report draws no reference"
complains 1 "reference_curve: point 2, '2 x', is not EPOCH ACCURACY" "${train[@]}" --set 'reference_curve=1 50, 2 x' \
    --out "$work/wrong"
complains 1 'no-such-curve' "${train[@]}" --set reference_curve=no-such-curve --out "$work/wrong"

complains 1 'already holds a series' "${train[@]}" --out "$work/seeds"
complains 1 'series of 3 seeds from seed 7 and this is one of 3 seeds from seed 9' "${train[@]}" --set seeds=3 \
    --set seed=9 --out "$work/seeds" --resume
complains 1 'differs from .*: bn_momentum' "${train[@]}" --set seeds=3 --set seed=7 --set bn_momentum=0.5 \
    --out "$work/seeds" --resume
complains 1 'already holds a run' "${train[@]}" --set seeds=2 --out "$work/alone"
complains 1 'no series of runs in .* to resume' "${train[@]}" --set seeds=2 --out "$work/nowhere" --resume
complains 1 'give one of them' "${train[@]}" --set seeds=2 --set folds=3 --out "$work/wrong"
complains 1 'folds is 1; allowed: 0' "${train[@]}" --set folds=1 --out "$work/wrong"
complains 1 'says what is evaluated on' "${train[@]}" --set folds=3 --set val_split=20% --out "$work/wrong"
complains 1 'val_split is .fold 4/3.' "${train[@]}" --set 'val_split=fold 4/3' --out "$work/wrong"
complains 1 'no-such-curve' "${train[@]}" --set seeds=2 --set reference_curve=no-such-curve --out "$work/wrong"
complains 1 'nowhere' "$effnet" train "$work/recipe.yaml" --data "$work/nowhere" --set folds=2 --out "$work/wrong"
[ ! -e "$work/wrong" ] || die "wrong input left a folder"
complains 1 'no class has more than [0-9]+ pictures, which cannot be cut into 900 parts.*\(fold-1' "${train[@]}" --set folds=900 \
    --out "$work/many" # before the first run, not before the first empty part

complains 1 'holds several runs: name one of them, such as .*/seeds/seed-1' "$effnet" eval "$work/seeds" \
    --data "$work/pictures"

# Folds of a fine-tuning: each picture is evaluated once; interrupted, then resumed without its weights being named again.
from=("$effnet" finetune "$work/pictures/train" --out "$work/folds")
small=(--from "$work/alone" --no-report --set resolution=32 --threads 1 --set folds=3)
run 0 "${from[@]}" "${small[@]}" --epochs 1 --json
[ "$(number images)" = 36 ] || die "$(number images) pictures together, wanted all 36"
holds "$(number together) >= $(number together_low) && $(number together) <= $(number together_high)"
python3 - "$work/folds/series.json" <<'END'
import json, sys
record = json.load(open(sys.argv[1]))
assert [run["images"] for run in record["runs"]] == [12, 12, 12], record
record["runs"] = record["runs"][:1]
json.dump(record, open(sys.argv[1], "w"))
END
rm -r "$work/folds/fold-3"
run 0 "${from[@]}" --resume --no-report
grep -qE '^together +[0-9.]+ % of 36 pictures \(95 %: ' "$work/out" || die "the folds are not told together"
grep -q '^val_split: "fold 3/3"' "$work/folds/fold-3/recipe.yaml" || die "the third fold has other pictures"
echo '{"kind": 3}' >"$work/folds/series.json"
complains 1 'series.json. is damaged' "${from[@]}" --resume
