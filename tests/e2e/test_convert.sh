#!/usr/bin/env bash
# Weights as Keras, TensorFlow and Flax write them, through tools/convert.py and effnet import: every tensor the same bits,
# and Keras' own probabilities (tests/golden/check_convert.py).
source "$(dirname "$0")/harness.sh"
for python in "${EFFNET_PYTHON:-}" /work/venv/tf/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    status=0
    "$python" "$source/tests/golden/check_convert.py" "$effnet" || status=$?
    [ $status = 77 ] || exit $status
done
skip "no Python with tensorflow, keras, flax, orbax-checkpoint and safetensors; name one in EFFNET_PYTHON"
