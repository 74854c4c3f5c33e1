"""Fifty steps of the original Flax trainer replayed by effnet on a device, against its own numbers.

    gpu_parity.py EFFNET DEVICE [STEPS]

Pictures and labels are those of tests/golden/golden_formula.py, weights and masks the recipe's (init: flax, masks:
flax), and the numbers tests/golden/flax_original.json's, as test_flax_original.c holds the processor to them: a loss
within 1e-5 of its value in the first five steps, from there on evenly more up to 1e-3, a gradient's norm within ten
times that. Prints a JSON line; exits 1 where a number is out of bounds. Needs NumPy.

SPDX-License-Identifier: Apache-2.0"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))
import golden_formula as formula

STEPS, BATCH, SIDE, CLASSES = 50, 8, 64, 10
SETTINGS = ["num_classes=10", "replicas=1", "resolution=64", "batch_size=8", "accumulate=1", "lr=5e-5", "warmup_epochs=1",
            "decay_steps=7", "decay_rate=0.9", "weight_decay=0.02"]


def write_batches(path, steps):
    images = np.stack([formula.images(step, BATCH, SIDE) for step in range(steps)]).astype("<f4")
    labels = np.stack([formula.labels(step, BATCH, CLASSES) for step in range(steps)]).astype("<i4")
    head = json.dumps({
        "images": {"dtype": "F32", "shape": images.shape, "data_offsets": [0, images.nbytes]},
        "labels": {"dtype": "I32", "shape": labels.shape,
                   "data_offsets": [images.nbytes, images.nbytes + labels.nbytes]}}).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + images.tobytes() + labels.tobytes())


def main():
    effnet, device = sys.argv[1:3]
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else STEPS
    run = json.loads((ROOT / "tests/golden/flax_original.json").read_text())["run"]
    with tempfile.TemporaryDirectory() as folder:
        batches = pathlib.Path(folder) / "batches.safetensors"
        write_batches(batches, steps)
        command = [effnet, "replay", str(ROOT / "recipes/tpu-run3-fp32.yaml"), "--batches", str(batches),
                   "--steps-per-epoch", "10", "--steps", str(steps), "--device", device, "--json"]
        for setting in SETTINGS:
            command += ["--set", setting]
        started = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        seconds = time.perf_counter() - started
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or len(rows) != steps:
        sys.exit(f"effnet replay ended with {done.returncode} after {len(rows)} of {steps} steps")
    worst = {}
    for i, row in enumerate(rows):
        allowed = 1e-5 if i < 5 else 1e-5 * 100 ** ((i - 4) / 45)
        for what, want, bound in (("lr", run["lr"][i], 1e-6), ("loss", run["losses"][i], allowed),
                                  ("gradient_norm", run["gradient_norms"][i], 10 * allowed)):
            share = abs(row[what] - want) / (bound * abs(want) + 1e-12)
            kind = what if what != "loss" else "loss_1_to_5" if i < 5 else "loss_6_to_50"
            if not share <= worst.get(kind, (0,))[0]:
                worst[kind] = (share, i + 1)
    passed = all(share <= 1 for share, _ in worst.values())
    print(json.dumps({"parity": "flax original", "device": device, "steps": steps, "passed": passed,
                      "seconds": round(seconds, 1), "last_loss": rows[-1]["loss"],
                      "share_of_the_allowed": {k: [round(s, 3), f"step {n}"] for k, (s, n) in worst.items()}}), flush=True)
    sys.exit(0 if passed else 1)


main()
