#!/usr/bin/env python3
"""Do JAX and jaxlib take the programs that `effnet export` writes?

    check_stablehlo.py parse EFFNET [MODEL ...]                  the training step of every variant, parsed and verified by
                                                                 jaxlib's MLIR
    check_stablehlo.py fuzz EFFNET COUNT [SEED]                  steps and inference of networks and recipes drawn at random,
                                                                 parsed and verified likewise
    check_stablehlo.py run INFERENCE.mlir WEIGHTS.safetensors    run by JAX on the formula's pictures: logits, a line each

Needs jax (and nothing of effnet but the program). Exit status 77 where jax is missing, 1 where a program is refused.

SPDX-License-Identifier: Apache-2.0"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
from random import Random

try:
    import jax
    import numpy as np
    from jax.extend import backend
    from jaxlib import xla_client
    from jaxlib.mlir import ir
    from jaxlib.mlir._mlir_libs import _jax_mlir_ext
    from jaxlib.mlir.dialects import stablehlo
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

MODELS = [f"efficientnet_b{i}" for i in range(9)] + ["efficientnet_l2"] + [f"efficientnet_lite{i}" for i in range(5)]


def parse(path):
    context, registry = ir.Context(), ir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    context.append_dialect_registry(registry)
    context.load_all_available_dialects()
    stablehlo.register_dialect(context)
    with context:
        module = ir.Module.parse(pathlib.Path(path).read_text())
        module.operation.verify()
    return module


def check_variants(effnet, models):
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = pathlib.Path(folder, "recipe.yaml"), pathlib.Path(folder, "out.mlir")
        recipe.write_text("num_classes: 1000\n")
        for number, model in enumerate(models or MODELS):
            # Every switch of the writer comes to its turn among the variants.
            changes = [["replicas=1"], ["replicas=8", "bn_sync=tpu_groups"], ["accumulate=4", "amp=bf16"],
                       ["opt=lamb", "mixup=0.2"], ["opt=lars", "padding=symmetric"], ["opt=adamw", "replicas=2"]][number % 6]
            settings = [part for change in [f"model={model}", "batch_size=16", *changes] for part in ("--set", change)]
            subprocess.run([effnet, "export", recipe, out, *settings, *(["--uint8"] if number % 2 else [])], check=True,
                           stdout=subprocess.DEVNULL)
            parse(out)
            print(f"{model}: the step with {' '.join(changes)}, {out.stat().st_size / 1e6:.1f} MB: well formed", flush=True)


def draw_settings(random):
    """A recipe that the program takes, as `--set` arguments: any size of network, pictures and batch, any switch."""
    replicas, accumulate = random.choice([1, 1, 2, 3, 8, 16]), random.choice([1, 1, 2, 3])
    shared = random.choice(["none", "running_average", "tpu_groups", "all"])
    if shared != "none":
        accumulate = 1
    drawn = {
        "model": random.choice(MODELS), "width_coefficient": round(random.uniform(0.3, 1.6), 2),
        "depth_coefficient": round(random.uniform(0.2, 1.3), 2), "resolution": random.randint(8, 160),
        "num_classes": random.choice([1, 2, 3, 10, 257, 1000]), "replicas": replicas, "accumulate": accumulate,
        "batch_size": replicas * accumulate * random.randint(1, 5), "bn_sync": shared,
        "opt": random.choice(["rmsprop", "sgd", "adamw", "lars", "lamb"]), "amp": random.choice(["none", "bf16"]),
        "padding": random.choice(["same", "symmetric"]), "drop": random.choice([0, 0.3]),
        "drop_path": random.choice([0, 0.2]), "model_ema": random.choice(["true", "false"]),
        "clip_grad": random.choice([0, 1]), "smoothing": random.choice([0, 0.1]), "mixup": random.choice([0, 0.2]),
        "bn_variance": random.choice(["biased", "unbiased"]), "se_round": random.choice(["floor", "even"]),
        "freeze": random.choice(["", "", "1", "5", "bn", "blocks.2"]), "layer_decay": random.choice([1, 1, 0.8]),
    }
    if random.random() < 0.3:
        drawn |= {"masks": "flax", "accumulate": 1, "batch_size": replicas * random.randint(1, 5)}
    return [part for key, value in drawn.items() for part in ("--set", f"{key}={value}")]


def fuzz(effnet, count, seed):
    random, refused = Random(seed), {}
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = pathlib.Path(folder, "recipe.yaml"), pathlib.Path(folder, "out.mlir")
        recipe.write_text("num_classes: 1000\n")
        for number in range(count):
            settings = draw_settings(random) + (["--uint8"] if random.random() < 0.5 else [])
            out.unlink(missing_ok=True)
            done = subprocess.run([effnet, "export", recipe, out, *settings], stderr=subprocess.PIPE, text=True,
                                  stdout=subprocess.DEVNULL)
            if done.returncode == 1 and done.stderr.startswith("effnet export: "):  # a sentence: no such network
                reason = re.sub(r"\d+", "N", done.stderr.strip())[15:75]
                refused[reason] = refused.get(reason, 0) + 1
                continue
            if done.returncode != 0:
                sys.exit(f"run {number}: exit status {done.returncode} of {' '.join(settings)}\n{done.stderr}")
            try:
                parse(out)
            except Exception as error:
                sys.exit(f"run {number}: {' '.join(settings)}\n{error}")
    print(f"{count - sum(refused.values())} programs well formed, {sum(refused.values())} recipes refused by name")
    for reason, times in sorted(refused.items(), key=lambda item: -item[1]):
        print(f"  {times}: {reason}")


def tensors(path):
    data = pathlib.Path(path).read_bytes()
    size, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + size])
    for name, entry in head.items():
        if name != "__metadata__":
            first, end = entry["data_offsets"]
            yield name, np.frombuffer(data[8 + size + first:8 + size + end], "<f4")


def run(program, weights):
    text = pathlib.Path(program).read_text()
    parse(program)
    heading = text[:text.index("module")]
    vectors = []
    for part in heading.split("\n// Parameters")[1].split("\n// Statistics"):
        places = {name: int(first) for first, name in re.findall(r"^//   (\d+) \([^)]*\) (\S+)$", part, re.M)}
        values = {name: tensor for name, tensor in tensors(weights) if name in places}
        vectors.append(np.concatenate([values[name] for name in sorted(places, key=places.get)]))
    shape = tuple(int(side) for side in re.search(r"^// +2 f32 \(([\d, ]+)\) pictures", heading, re.M)[1].split(", "))
    pictures = np.sin(np.arange(np.prod(shape), dtype=np.float64)).astype(np.float32).reshape(shape)
    client = backend.get_backend("cpu")
    devices = xla_client.DeviceList(tuple(client.local_devices()[:1]))
    executable = client.compile_and_load(text, devices, xla_client.CompileOptions())
    out = executable.execute_sharded([jax.device_put(value, client.local_devices()[0]) for value in (*vectors, pictures)])
    for row in np.asarray(out.disassemble_into_single_device_arrays()[0][0]):
        print(" ".join(f"{value:.7g}" for value in row))


if len(sys.argv) > 2 and sys.argv[1] == "parse":
    check_variants(sys.argv[2], sys.argv[3:])
elif len(sys.argv) in (4, 5) and sys.argv[1] == "fuzz":
    fuzz(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) == 5 else 1)
elif len(sys.argv) == 4 and sys.argv[1] == "run":
    run(*sys.argv[2:])
else:
    sys.exit(__doc__)
