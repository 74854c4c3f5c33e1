#!/usr/bin/env bash
# demo.sh - from a bare Debian 12 to a trained EfficientNet-B0 in one command.
#
#   tools/demo.sh [OPTION OF effnet train]...          e.g. tools/demo.sh --steps 200
#
# Installs what is missing (as root, or with sudo), builds, trains recipes/fashion-mnist-b0.yaml on the 60,000
# training pictures of Fashion-MNIST, evaluates on its 10,000 test pictures, classifies one of them and draws the
# learning curve. Everything it makes is in build/ and in the run folder runs/fashion-mnist-b0 (RUN=... for another);
# called again, it goes on from the newest checkpoint there. EFFNET_PICTURE=N picks the test picture (0).
set -euo pipefail
cd "$(dirname "$0")/.."

data=/usr/share/datasets/fashion-mnist
recipe=recipes/fashion-mnist-b0.yaml
run=${RUN:-runs/fashion-mnist-b0}
picture=${EFFNET_PICTURE:-0}

step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
started=$SECONDS

step "packages, compiler, build"
tools/setup.sh demo
cmake --preset release >/dev/null
cmake --build build --target effnet idx_to_png | tail -n 1
show build/effnet version

step "train"
resume=()
[ ! -e "$run/checkpoints/last" ] || resume=(--resume)
show build/effnet train "$recipe" --data "$data" --out "$run" "${resume[@]}" "$@"
trained=$SECONDS

step "evaluate on the 10,000 test pictures"
show build/effnet eval "$run/checkpoints/best" --data "$data"

step "classify test picture $picture"
show build/tools/idx_to_png "$data/t10k-images-idx3-ubyte.gz" "$picture" "$run/picture.png"
show build/effnet predict "$run/checkpoints/best" "$run/picture.png" --topk 3
truth=$(gzip -dc "$data/t10k-labels-idx1-ubyte.gz" 2>/dev/null | tail -c "+$((9 + picture))" | head -c 1 | od -An -tu1 || true)
names=(T-shirt/top trouser pullover dress coat sandal shirt sneaker bag "ankle boot")
echo "The picture's label is $((truth)), ${names[truth]}."

if command -v gnuplot >/dev/null; then
    step "learning curve"
    show tools/plot_curve.sh -o "$run/curve.png" "$run/log.jsonl"
fi

step "done: trained in $((trained - started)) s, $((SECONDS - started)) s in all; everything is in $run"
