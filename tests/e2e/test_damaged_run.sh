#!/usr/bin/env bash
# A run whose newest checkpoint is damaged goes on from the one before and says so; a refused --resume changes nothing;
# `last` and `best` as text files are understood.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion
train+=(--set checkpoint.every_steps=2)
run 0 "${train[@]}" --out "$work/whole" --steps 6
run 0 "${train[@]}" --out "$work/a" --steps 4
checkpoints=$work/a/checkpoints

# another key of the recipe: refused, and nothing is touched, not even a stale `last`
ln -sfn 00000002 "$checkpoints/last"
echo '{"step":5}' >>"$work/a/log.jsonl"
(cd "$work/a" && find . -type f -exec sha1sum {} + | sort && readlink checkpoints/last) >"$work/before"
complains 1 'lr' "${train[@]}" --out "$work/a" --steps 6 --resume --set lr=0.7
(cd "$work/a" && find . -type f -exec sha1sum {} + | sort && readlink checkpoints/last) >"$work/after"
same "$work/before" "$work/after"

# one bit of the newest slots
printf '\377' | dd of="$checkpoints/00000004/slots.safetensors" bs=1 seek=500000 conv=notrunc status=none
run 0 "${train[@]}" --out "$work/a" --steps 6 --resume
grep -q 'checkpoint 00000004 is damaged: going on from 00000002' "$work/err" || die "the damage was not told"
[ -d "$checkpoints/00000004.damaged" ] || die "the damaged checkpoint was not set aside"
[ "$(readlink "$checkpoints/last")" = 00000006 ] || die "last is $(readlink "$checkpoints/last")"
same_checkpoint "$work/whole/checkpoints/00000006" "$checkpoints/00000006"

# a checkpoint under another step's name: nothing is set aside, what to do is told
mv "$checkpoints/00000006" "$checkpoints/00000099"
complains 1 "00000099' holds the checkpoint of step 6: a folder was renamed; call it 00000006 again" \
    "${train[@]}" --out "$work/a" --steps 8 --resume
mv "$checkpoints/00000099" "$checkpoints/00000006"

# nothing whole left
for step in 2 4 6; do echo ruined >"$checkpoints/0000000$step/recipe.yaml"; done
complains 1 'none of the 3 checkpoints .* is whole; the newest: .*recipe.yaml' "${train[@]}" --out "$work/a" --resume
complains 1 'already holds a run' "${train[@]}" --out "$work/a"

# markers as text
checkpoints=$work/whole/checkpoints
rm "$checkpoints/last"
echo 00000006 >"$checkpoints/last"
run 0 "$effnet" eval "$checkpoints/last" --data "$fashion"
grep -q 'step 6' "$work/out" "$work/err" || die "eval did not say which step it used"
run 0 "$effnet" eval "$work/whole" --data "$fashion"
grep -q 'step 6' "$work/out" "$work/err" || die "eval of the run did not say which step it used"
