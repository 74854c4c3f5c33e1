#!/usr/bin/env python3
"""Makes switches_golden.h and overshoot_golden.h: what the original Flax trainer, timm and Pillow do where implementations differ, for
tests/unit/train/test_switches.c and tests/unit/data/test_switches_data.c.

    git clone https://github.com/NobuoTsukamoto/jax_examples && git -C jax_examples checkout c05ece5
    python make_switches.py jax_examples          # versions: requirements.txt

The original's functions (common/optimizer.py, common/model_ema.py, _make_divisible of common/common_layer.py,
cross_entropy_loss of classification/train.py) are run from the checkout; nothing of them is kept here.

SPDX-License-Identifier: Apache-2.0"""

import argparse
import ast
import pathlib
import sys
import types

import flax
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import PIL
import PIL.Image
import timm
import torch
from flax.training import common_utils
from timm.optim import param_groups_weight_decay
from timm.scheduler.step_lr import StepLRScheduler

jax.config.update("jax_enable_x64", True)


def one_function(path, name, **names):
    """The function `name` of a file whose other imports are not needed."""
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    module = types.ModuleType(name)
    module.__dict__.update(names)
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module.__dict__[name]


def array(c_type, name, rows):
    return [f"static const {c_type} {name}[] = {{"] + [f"    {row}," for row in rows] + ["};"]


def number(value):
    return repr(float(value))


parser = argparse.ArgumentParser()
parser.add_argument("jax_examples", type=pathlib.Path)
checkout = parser.parse_args().jax_examples
sys.path.insert(0, str(checkout / "common"))
import model_ema  # noqa: E402
import optimizer as original  # noqa: E402

out = [f"/* Made by make_switches.py: jax_examples c05ece5 on jax {jax.__version__}, flax {flax.__version__}, optax "
       f"{optax.__version__}; timm {timm.__version__}; Pillow {PIL.__version__}. Do not edit. */",
       "#include <stdint.h>"]

# ---- learning rates: run 1's numbers, and timm's step scheduler over epochs
config = ml_collections.ConfigDict(dict(
    optimizer="rmsprop", rmsprop_decay=0.9, rmsprop_epsilon=0.001, momentum=0.9, rmsprop_initial_scale=1.0,
    optimizer_schedule="warmup_exponential_decay", initial_learning_rate=0.0, learning_rate=0.128, warmup_epochs=5,
    exponential_decay_rate=0.97, transition_steps=1502, lr_drop_staircase=True, num_epochs=350,
    gradient_accumulation_steps=1, l2_weight_decay=1e-5, weight_decay_exclude_layers=["BatchNorm"]))
rate = original.create_learning_rate_fn(config, 626)
steps = [0, 1, 1565, 3129, 3130, 3131, 6259, 6260, 6261, 7761, 7762, 7763, 9263, 9264, 100000, 219099]
out += ["typedef struct RateAt {\n    int64_t step;\n    double rate;\n} RateAt;",
        "/* the original's schedule, 626 steps an epoch */"]
out += array("RateAt", "original_rates", [f"{{{s}, {number(rate(s))}}}" for s in steps])
for name, prefix in [("timm_rates", False), ("timm_prefix_rates", True)]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    scheduler = StepLRScheduler(torch.optim.SGD([parameter], lr=0.048), decay_t=2.4, decay_rate=0.97, warmup_t=3,
                                warmup_lr_init=1e-6, warmup_prefix=prefix)
    out += [f"/* timm's StepLRScheduler: lr .048, 2.4 epochs, .97, 3 epochs from 1e-6, warmup_prefix={prefix}; epochs */"]
    out += array("RateAt", name, [f"{{{e}, {number(scheduler._get_lr(e)[0])}}}"
                                  for e in [0, 1, 2, 3, 4, 5, 7, 8, 10, 12, 13, 100, 449]])

# ---- the average: ema_v2 from zeros on a list of values, without the debiased output, as the trainer keeps it
values = [1.0, -2.0, 0.5, 3.0, 0.25, -1.0]
average = model_ema.ema_v2(0.4, debias=True)
state, kept = average.init(jnp.zeros(())), []
for value in values:
    _, state = average.update(jnp.asarray(value), state)
    kept.append(float(state.ema))
out += ["/* ema_v2(0.4): value, average after it; the decay is min(.4, (1+n)/(10+n)) with n = 0 at first */"]
out += ["static const double original_averages[][2] = {"]
out += [f"    {{{number(v)}, {number(k)}}}," for v, k in zip(values, kept)] + ["};"]

# ---- three steps of the original's optimizer on one weight of each kind, with each run's mask; a large decay shows
out += ["/* weights after three steps of gradient .1, -.2, .3 from .5, by the original's rmsprop with l2 .5 */",
        "typedef struct DecayedWeights {", "    double conv, depthwise, bn_scale, bn_bias, bias, dense;", "} DecayedWeights;"]
tree = {"Conv_0": {"kernel": 0.5}, "DepthWise_Conv": {"kernel": 0.5}, "BatchNorm_0": {"scale": 0.5, "bias": 0.5},
        "Head": {"kernel": 0.5, "bias": 0.5}}
for name, exclude in [("original_run1_weights", ["bias", "BatchNorm", "DepthWise"]),
                      ("original_run2_weights", ["BatchNorm"])]:
    config.l2_weight_decay, config.weight_decay_exclude_layers = 0.5, exclude
    transform = original.create_optimizer(config, lambda step: 0.125)
    weights = jax.tree_util.tree_map(lambda w: jnp.asarray(w, jnp.float64), tree)
    state = transform.init(weights)
    for gradient in [0.1, -0.2, 0.3]:
        updates, state = transform.update(jax.tree_util.tree_map(lambda w: jnp.full_like(w, gradient), weights), state,
                                          weights)
        weights = optax.apply_updates(weights, updates)
    row = [weights["Conv_0"]["kernel"], weights["DepthWise_Conv"]["kernel"], weights["BatchNorm_0"]["scale"],
           weights["BatchNorm_0"]["bias"], weights["Head"]["bias"], weights["Head"]["kernel"]]
    out += [f"static const DecayedWeights {name} = {{{', '.join(number(w) for w in row)}}};"]

# ---- the loss: smoothing given and not used
loss = one_function(checkout / "classification" / "train.py", "cross_entropy_loss", jnp=jnp, optax=optax,
                    common_utils=common_utils)
logits = np.array([[1.5, -0.5, 0.25, 2.0], [0.0, 3.0, -1.0, 0.5]])
labels = np.array([0, 1])
smooth = optax.softmax_cross_entropy(logits, optax.smooth_labels(jax.nn.one_hot(labels, 4), 0.1)).mean()
out += ["/* logits {1.5, -.5, .25, 2}, {0, 3, -1, .5}, labels 0, 1, label_smoothing .1 */",
        f"static const double original_loss = {number(loss(logits, labels, 4, 0.1))};",
        f"static const double smoothed_loss = {number(smooth)};"]

# ---- squeeze widths
divisible = one_function(checkout / "common" / "common_layer.py", "_make_divisible")
out += ["/* channels, the original's squeeze width (ratio .25, divisor 2) */", "static const int original_squeeze[][2] = {"]
out += [f"    {{{c}, {divisible(c * 0.25, divisor=2)}}}," for c in [*range(1, 25), 50, 51, 52, 53, 112, 192, 640]] + ["};"]

# ---- timm's decay mask
for name in ["efficientnet_b0", "efficientnet_lite0"]:
    model = timm.create_model(name)
    without, decayed = param_groups_weight_decay(model, 1e-5)
    assert without["weight_decay"] == 0 and decayed["weight_decay"] == 1e-5
    out += [f"/* {name}: tensors and weights that timm lets decay, and leaves out */",
            f"static const int64_t timm_{name}_decay[4] = {{{len(decayed['params'])}, "
            f"{sum(p.numel() for p in decayed['params'])}, {len(without['params'])}, "
            f"{sum(p.numel() for p in without['params'])}}};"]

pathlib.Path(__file__).with_name("switches_golden.h").write_text("\n".join(out) + "\n")

# ---- bicubic without clipping: Pillow's floating point pictures
edge = np.zeros((8, 8), np.float32)
edge[:, 4:] = 255
edge[6:, :] = 40
resized = np.asarray(PIL.Image.fromarray(edge, mode="F").resize((11, 11), PIL.Image.Resampling.BICUBIC))
out = [f"/* Made by make_switches.py with Pillow {PIL.__version__}; do not edit. */",
       "/* 8x8: 0 left, 255 from column 4, rows 6 and 7 40; to 11x11 by Pillow's bicubic in floats */",
       "static const double pillow_overshoot[11][11] = {"]
out += ["    {" + ", ".join(f"{v:.6g}" for v in row) + "}," for row in resized] + ["};"]
pathlib.Path(__file__).with_name("overshoot_golden.h").write_text("\n".join(out) + "\n")
