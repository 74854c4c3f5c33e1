#!/usr/bin/env bash
# effnet export OUT.gguf and effnet verify: what was exported is told from what was damaged; ggml's own Python package, where
# it is installed, reads the same tensors, labels and preprocessing.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion whole
run 0 "${train[@]}" --out "$work/run" --steps 1
weights=$work/run/checkpoints/last/ema.safetensors
run 0 "$effnet" export "$weights" "$work/mine.gguf"
run 0 "$effnet" export "$weights" "$work/half.gguf" --half
holds "$(stat -c %s "$work/half.gguf") < 0.56 * $(stat -c %s "$work/mine.gguf")"
for file in mine half; do
    run 0 "$effnet" verify "$work/$file.gguf" --json
    grep -q '"checksum":true,"golden":true' "$work/out" || die "verify --json of $file"
    holds "$(number worst) <= 1e-4 && $(number largest) > 0"
done
printf 'X' | dd of="$work/half.gguf" bs=1 seek=$(($(stat -c %s "$work/half.gguf") / 2)) conv=notrunc status=none
complains 1 "half.gguf' is damaged or was changed" "$effnet" verify "$work/half.gguf"
run 0 "$effnet" export "$weights" "$work/half.gguf" --half
for python in "${EFFNET_PYTHON:-}" python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null && "$python" -c 'import gguf, numpy' 2>/dev/null || continue
    for file in mine half; do
        run 0 "$python" "$source/tests/golden/check_gguf.py" "$work/$file.gguf" "$weights"
        grep -q ': good$' "$work/out" || die "ggml reads something else of $file.gguf"
        cat "$work/out"
    done
    exit 0
done
skip "no Python with gguf and numpy, whose half is left out; name one in EFFNET_PYTHON"
