"""Where the time of a training step on a device goes: kernel by kernel, under JAX's profiler.

    gpu_profile.py STEP.mlir [STEPS [OUT]]     STEP.mlir: the text of `effnet export RECIPE STEP.mlir --uint8`

Compiles the program that effnet would run, on JAX's first device, feeds it numbers (pictures and labels at random, small
positive vectors) and runs STEPS steps (10) under the profiler. Prints how long a step took, then the kernels, those that
differ only by their number together, with their share of the time; OUT/kernels.json has every one, OUT/module.txt.gz the
program as the compiler left it, where a kernel's name is found again.

SPDX-License-Identifier: Apache-2.0"""
import collections
import glob
import gzip
import json
import pathlib
import re
import sys
import tempfile
import time

import jax
import numpy as np
from jax.extend import backend as extend
from jaxlib import xla_client

KINDS = {"f32": np.float32, "ui8": np.uint8, "i32": np.int32, "ui32": np.uint32}


def arguments(text):
    """What the heading says of main's arguments: kind and shape."""
    for line in text.splitlines():
        if line.startswith("// Results"):
            break
        found = re.match(r"//\s+\d+ (\w+) \(([^)]*)\)", line)
        if found:
            yield found[1], tuple(int(n) for n in re.findall(r"\d+", found[2])), line


def draw(random, kind, shape, line):
    if kind == "f32":
        if "statistics" in line or "1 where" in line:
            return np.ones(shape, np.float32)
        return np.abs(random.normal(0, .03, shape)).astype(np.float32)
    if kind == "ui8":
        return random.integers(0, 256, shape, np.uint8)
    if kind == "i32":
        return random.integers(0, 1000, shape).astype(np.int32)
    return random.integers(0, 2 ** 32, shape, np.uint32)


def kernels(folder):
    """Microseconds and calls of each kernel, from the trace: what runs on streams of a device."""
    spent = collections.defaultdict(lambda: [0.0, 0, ""])
    for name in glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True):
        events = json.load(gzip.open(name))["traceEvents"]
        device = {e["pid"] for e in events if e.get("name") == "process_name" and "GPU" in str(e["args"].get("name"))}
        streams = {(e["pid"], e["tid"]) for e in events
                   if e.get("name") == "thread_name" and e["pid"] in device and "Stream" in str(e["args"].get("name"))}
        for e in events:
            if e.get("ph") == "X" and (e["pid"], e["tid"]) in streams:
                spent[e["name"]][0] += e["dur"]
                spent[e["name"]][1] += 1
                spent[e["name"]][2] = str(e.get("args", {}).get("hlo_op", ""))
    return spent


def main():
    text, steps = pathlib.Path(sys.argv[1]).read_text(), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    out = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    random, device = np.random.default_rng(7), jax.devices()[0]
    client = extend.get_backend()
    began = time.time()
    program = client.compile_and_load(text, xla_client.DeviceList((device,)), xla_client.CompileOptions())
    print(f"compiled in {time.time() - began:.1f} s", flush=True)
    modules = program.hlo_modules()
    with gzip.open(out / "module.txt.gz", "wt") as file:
        file.write("\n".join(m.to_string() for m in modules))
    state = [jax.device_put(draw(random, *a), device) for a in arguments(text)]

    def run(count):
        nonlocal state
        for _ in range(count):
            results = program.execute_sharded(state).disassemble_into_single_device_arrays()
            results = [r[0] for r in results]
            state = results[:6] + state[6:]
        return float(np.asarray(results[6]))

    run(3)
    began = time.time()
    loss = run(steps)
    spent = (time.time() - began) / steps
    print(f"a step: {1e3 * spent:.2f} ms, loss {loss:.4f}", flush=True)
    trace = tempfile.mkdtemp()
    jax.profiler.start_trace(trace)
    run(steps)
    jax.profiler.stop_trace()
    found = kernels(trace)
    rows = sorted(((us / steps, calls / steps, name, op) for name, (us, calls, op) in found.items()), reverse=True)
    json.dump(rows, open(out / "kernels.json", "w"), indent=0)
    total = sum(row[0] for row in rows)
    if not rows:
        sys.exit("the profiler saw no kernel: is there a GPU, and CUPTI?")
    groups = collections.defaultdict(lambda: [0.0, 0.0])
    for us, calls, name, _ in rows:
        kind = re.sub(r"[_.]\d+", "", name)[:90]
        groups[kind][0] += us
        groups[kind][1] += calls
    print(f"{1e-3 * total:.2f} ms in {sum(r[1] for r in rows):.0f} kernels a step")
    for kind, (us, calls) in sorted(groups.items(), key=lambda g: -g[1][0])[:45]:
        print(f"{100 * us / total:5.1f} % {us:9.0f} us {calls:6.0f} x {kind}")


if __name__ == "__main__":
    main()
