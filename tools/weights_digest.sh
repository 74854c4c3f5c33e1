#!/usr/bin/env bash
# weights_digest.sh - the sha256 of a run's weights after some steps, for a few small recipes: two builds that print the
# same lines compute the same bits.
#
#   tools/weights_digest.sh EFFNET [STEPS]       EFFNET: the program, STEPS: 50
#
# The pictures are drawn here (four classes of coloured noise, in the IDX files of MNIST), so nothing is needed but the
# program and python3. Each line: the recipe's settings, then the digest of every tensor of raw.safetensors and
# slots.safetensors (their metadata left out). Compare on one machine: digests depend on the instruction set.
set -euo pipefail
effnet=$(realpath "$1")
steps=${2:-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$work" <<'PYTHON'
import random, struct, sys
random.seed(1)
for split, count in (("train", 256), ("t10k", 32)):
    pixels, labels = bytearray(), bytearray()
    for n in range(count):
        label = n % 4
        labels.append(label)
        pixels += bytes(min(255, max(0, int(random.gauss(50 + 50 * label, 30)))) for _ in range(32 * 32))
    open(f"{sys.argv[1]}/{split}-images-idx3-ubyte", "wb").write(struct.pack(">IIII", 2051, count, 32, 32) + pixels)
    open(f"{sys.argv[1]}/{split}-labels-idx1-ubyte", "wb").write(struct.pack(">II", 2049, count) + labels)
PYTHON

cat > "$work/small.yaml" <<'YAML'
model: efficientnet_b0
resolution: 32
batch_size: 16
epochs: 100
warmup_epochs: 0
lr: 0.004
train_crop: pad
eval_every_epochs: 100
log_interval: 1000
checkpoint.every_steps: 1000000
threads: 2
YAML

digest() { # SETTINGS...
    local out=$work/run settings=()
    for setting in "$@"; do settings+=(--set "$setting"); done
    rm -rf "$out"
    "$effnet" train "$work/small.yaml" --data "$work" --out "$out" --steps "$steps" "${settings[@]}" >/dev/null 2>"$work/err" ||
        { cat "$work/err" >&2; exit 1; }
    python3 - "$out/checkpoints" "$*" <<'PYTHON'
import glob, hashlib, json, struct, sys
folder = max(f for f in glob.glob(sys.argv[1] + "/0*"))
digest = hashlib.sha256()
for name in ("raw.safetensors", "slots.safetensors"):
    data = open(f"{folder}/{name}", "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    for tensor in sorted(k for k in header if k != "__metadata__"):
        begin, end = header[tensor]["data_offsets"]
        digest.update(tensor.encode() + data[8 + size + begin:8 + size + end])
print(f"{sys.argv[2]:44} {digest.hexdigest()}")
PYTHON
}

digest amp=none fuse=all
digest amp=none fuse=none clip_grad=1 accumulate=2
digest amp=bf16 fuse=all opt=adamw lr=0.001
digest amp=bf16 fuse=none opt=sgd mixup=0.2
