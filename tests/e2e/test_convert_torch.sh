#!/usr/bin/env bash
# Checkpoints of timm, torchvision, Lightning and others through tools/convert.py (tests/golden/check_torch.py).
source "$(dirname "$0")/harness.sh"
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    status=0
    "$python" "$source/tests/golden/check_torch.py" "$effnet" || status=$?
    [ $status = 77 ] || exit $status
done
skip "no Python with torch and safetensors; name one in EFFNET_PYTHON"
