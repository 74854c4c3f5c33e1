#!/usr/bin/env python3
"""How many pictures a worker needs, on paper: the tables of docs/scaling.md.

    python3 bench/scaling_model.py [--effnet build/effnet] [--model efficientnet_b0]

A step of W workers, each with b pictures at r images/s. Backward takes two thirds of b / r, spread over the blocks as
their multiply-adds are, the last block first; a bucket of gradients begins to travel when its blocks are done and
the bucket before it has gone. What is still under way when backward ends is not hidden. A bucket of P parameters
takes, as src/dist/worker_sum.c does it,

    2 (W - 1) / W * 4 P / bandwidth  +  2 (W - 1) * MESSAGE  +  2 * LATENCY  +  (W - 1) / W * 12 P / ADD

and a gather of batch norm's moments (workers_gather), of which bn_sync needs two a layer, (W - 1) * MESSAGE + LATENCY,
hidden by nothing. Loading of pictures, stragglers and switches with too little behind them are not in it.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import json
import subprocess

# Measured: two processes of Open MPI 4.1.4 on one machine, a gather of 10 kB 3.8 us at best, a message each way.
MESSAGE = 2e-6  # seconds of processor time
# Measured: a[i] += b[i] over 21 MB on one thread, bytes read and written, on a busy machine.
ADD = 19e9
# Assumed, not measured: a switched network's way there, and the share of its rate that arrives.
LATENCY = 10e-6
LINE_SHARE = 0.9
BUCKET = 1 << 20  # bytes of gradients at least

RATES = [("2 cores, measured", 50.8), ("32 cores, 16 times that", 16 * 50.8), ("as fast as one A100, published", 2489)]
WORKERS = (8, 64, 512)
GIGABITS = (10, 100, 400)


def buckets_of(blocks):
    """(share of the multiply-adds done when it is complete, parameters), in the order of backward."""
    total = sum(block["macs"] for block in blocks)
    buckets, done, parameters = [], 0, 0
    for block in reversed(blocks):
        done += block["macs"]
        parameters += block["parameters"]
        if 4 * parameters >= BUCKET:
            buckets.append((done / total, parameters))
            parameters = 0
    if parameters:
        buckets.append((1.0, parameters))
    return buckets


def exchange(parameters, workers, gigabits):
    others = (workers - 1) / workers
    return (2 * others * 4 * parameters / (gigabits * 1e9 / 8 * LINE_SHARE) + 2 * (workers - 1) * MESSAGE +
            2 * LATENCY + others * 12 * parameters / ADD)


def exposed(buckets, backward, workers, gigabits):
    """Seconds of exchange after the end of backward."""
    free = 0.0
    for done, parameters in buckets:
        free = max(free, done * backward) + exchange(parameters, workers, gigabits)
    return free - backward


def efficiency(buckets, batch, rate, workers, gigabits):
    compute = batch / rate
    return compute / (compute + exposed(buckets, compute * 2 / 3, workers, gigabits))


def least_batch(buckets, rate, workers, gigabits, wanted):
    batch = 1
    while efficiency(buckets, batch, rate, workers, gigabits) < wanted:
        batch += 1
    return batch


def norm_layers(blocks):
    """Stem and head have one each, the first block two, the others three."""
    return sum(1 if block["name"] in ("stem", "head") else 2 if block["expanded_channels"] == 0 else 3
               for block in blocks)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--effnet", default="build/effnet")
    parser.add_argument("--model", default="efficientnet_b0")
    options = parser.parse_args()
    summary = json.loads(subprocess.run([options.effnet, "summarize", options.model, "--json"], check=True,
                                        capture_output=True, text=True).stdout)
    buckets = buckets_of(summary["blocks"])
    slower = summary["macs"] / 385814752  # RATES are B0's at 224
    print(f"{summary['model']} at {summary['resolution']}: {summary['parameters'] * 4 / 1e6:.1f} MB of gradients in "
          f"{len(buckets)} buckets, the first after {buckets[0][0]:.0%} of backward; "
          f"{norm_layers(summary['blocks'])} layers of batch norm\n")
    print("| a worker | images/s | workers | " + " | ".join(f"{g} Gbit/s" for g in GIGABITS) + " |")
    print("| --- | --- | --- |" + " --- |" * len(GIGABITS))
    for name, rate in RATES:
        for workers in WORKERS:
            cells = []
            for gigabits in GIGABITS:
                batch = least_batch(buckets, rate / slower, workers, gigabits, 0.95)
                share = efficiency(buckets, 32, rate / slower, workers, gigabits)
                cells.append(f"{batch} ({int(share * 1000) / 10}%)")
            print(f"| {name} | {rate / slower:.0f} | {workers} | " + " | ".join(cells) + " |")
    layers = norm_layers(summary["blocks"])
    print("\nbn_sync over 8, 64 and 512 workers: " +
          ", ".join(f"{2e3 * layers * ((group - 1) * MESSAGE + LATENCY):.0f} ms" for group in WORKERS) + " a step")


if __name__ == "__main__":
    main()
