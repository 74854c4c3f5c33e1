#!/usr/bin/env python3
"""Golden values from Flax and Optax: make_flax.py [CASE...] writes CASE.json beside itself, in the form of make_timm.py
(all cases without arguments; a few minutes on one core, most of it XLA's compiler).

EfficientNet written down in Flax from the paper and the TensorFlow reference, with layers named as timm names them, so
that golden_formula.py gives the same weights (timm's OIHW becomes HWIO). What Flax and Optax decide here: SAME padding,
batch norm whose running variance divides by n, softmax_cross_entropy of smooth_labels, and the optimizers.

optax.rmsprop 0.2.8, read in optax/_src/alias.py and transform.py: scale_by_rms -> scale_by_learning_rate -> trace. So
eps is inside the root (eps_in_sqrt=True), the learning rate goes into the momentum buffer (lr_in_momentum: true),
initial_scale is opt_initial (0 unless given), and there is no bias correction: TensorFlow 1's, like timm's RMSpropTF.
The buffer holds the update with its sign: minus timm's. optax.adamw: eps outside the root, decoupled decay times lr.

SPDX-License-Identifier: Apache-2.0"""

import math
import pathlib
import sys

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import golden_formula as formula

jax.config.update("jax_enable_x64", True)

STEPS = 5
LEARNING_RATES = [0.0010, 0.0020, 0.0015, 0.0012, 0.0008]
RUN = dict(opt="rmsprop", lr=LEARNING_RATES, momentum=0.9, nesterov=False, opt_alpha=0.9, opt_eps=1e-3, opt_initial=1.0,
           lr_in_momentum=True, opt_betas=[0.9, 0.999], weight_decay=1e-2, decay_mode="l2", decay_mask="no_bn_bias",
           smoothing=0.1, model_ema_decay=0.9999, model_ema_warmup=True)
MODEL = dict(width=1.0, depth=1.0, lite=False, num_classes=1000, resolution=64, batch=4, padding="same", drop=0.2,
             drop_path=0.2, bn_momentum=0.99, bn_eps=1e-3, bn_unbiased=False)
SMALL = dict(MODEL, width=0.35, depth=0.5, num_classes=10, resolution=40, batch=6, drop=0.3, drop_path=0.5)
CASES = {
    "flax_small_40": dict(model=SMALL, runs=[
        RUN,
        dict(RUN, opt="adamw", decay_mode="decoupled", decay_mask="no_bn", weight_decay=0.5),
    ]),
    "flax_b0_64": dict(model=MODEL, runs=[RUN]),
}

# kernel, stride, expand ratio, channels, repeats: arXiv 1905.11946, table 1
STAGES = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1)]


def rounded_channels(channels, width):
    scaled = channels * width
    result = max(8, int(scaled + 4) // 8 * 8)
    return result + 8 if result < 0.9 * scaled else result


class EfficientNet(nn.Module):
    """`drop_path` (residuals, batch) and `dropout` (batch, features) are the masks, 0 or 1/keep."""

    config: dict
    dtype: type

    @nn.compact
    def __call__(self, x, train, drop_path=None, dropout=None):
        config = self.config
        types = dict(dtype=self.dtype, param_dtype=self.dtype)

        def conv(x, name, channels, kernel=1, stride=1, groups=1, bias=False):
            return nn.Conv(channels, (kernel, kernel), (stride, stride), padding="SAME", feature_group_count=groups,
                           use_bias=bias, name=name, **types)(x)

        def norm(x, name, activation=nn.swish):
            x = nn.BatchNorm(use_running_average=not train, momentum=config["bn_momentum"], epsilon=config["bn_eps"],
                             use_fast_variance=False, name=name, **types)(x)
            return activation(x)

        def squeeze_excite(x, name, squeezed):
            gate = jnp.mean(x, axis=(1, 2), keepdims=True)
            gate = nn.swish(conv(gate, name + ".conv_reduce", squeezed, bias=True))
            return x * nn.sigmoid(conv(gate, name + ".conv_expand", x.shape[-1], bias=True))

        x = norm(conv(x, "conv_stem", rounded_channels(32, config["width"]), 3, 2), "bn1")
        residual = 0
        for stage, (kernel, first_stride, expand, channels, repeats) in enumerate(STAGES):
            channels = rounded_channels(channels, config["width"])
            for i in range(math.ceil(repeats * config["depth"])):
                name, skip, stride = f"blocks.{stage}.{i}", x, 1 if i else first_stride
                middle = x.shape[-1] * expand
                last = "conv_pw", "bn2"
                if expand > 1:
                    x = norm(conv(x, name + ".conv_pw", middle), name + ".bn1")
                    last = "conv_pwl", "bn3"
                x = conv(x, name + ".conv_dw", middle, kernel, stride, groups=middle)
                x = norm(x, name + (".bn2" if expand > 1 else ".bn1"))
                x = squeeze_excite(x, name + ".se", int(0.25 * skip.shape[-1]))
                x = norm(conv(x, f"{name}.{last[0]}", channels), f"{name}.{last[1]}", lambda v: v)
                if skip.shape == x.shape:
                    if train:
                        x = x * drop_path[residual][:, None, None, None]
                    x = x + skip
                    residual += 1
        x = norm(conv(x, "conv_head", rounded_channels(1280, config["width"])), "bn2")
        x = jnp.mean(x, axis=(1, 2))
        if train:
            x = x * dropout
        return nn.Dense(config["num_classes"], name="classifier", **types)(x)


# ---- between Flax's trees and timm's names ----------------------------------------------------------------

LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def timm_name(path):
    return f"{path[0].key}.{LEAVES[path[1].key]}"


def to_timm(leaf):
    return leaf.transpose({4: (3, 2, 0, 1), 2: (1, 0)}.get(leaf.ndim, tuple(range(leaf.ndim))))


def from_timm(values):
    return values.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(values.ndim, tuple(range(values.ndim))))


def flat(tree):
    """name -> float array in timm's layout."""
    return {timm_name(path): to_timm(np.asarray(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def formula_tree(shapes, dtype):
    def value(path, leaf):
        shape = tuple(to_timm(np.empty(leaf.shape, np.int8)).shape)
        return jnp.asarray(from_timm(formula.initial(timm_name(path), shape)), dtype)

    return jax.tree_util.tree_map_with_path(value, shapes)


def decay_tree(params, mask):
    excluded = {"no_bn": ("bn_scale", "bn_bias"), "no_bn_bias": ("bn_scale", "bn_bias", "bias")}[mask]
    return jax.tree_util.tree_map_with_path(lambda path, _: formula.role(timm_name(path)) not in excluded, params)


# ---- one model in one precision ---------------------------------------------------------------------------


class Example:
    def __init__(self, config, dtype):
        self.config, self.dtype = config, dtype
        self.model = EfficientNet(config, dtype)
        side = config["resolution"]
        shapes = jax.eval_shape(lambda x: self.model.init(jax.random.PRNGKey(0), x, False),
                                jax.ShapeDtypeStruct((1, side, side, 3), dtype))
        self.params = formula_tree(shapes["params"], dtype)
        self.statistics = formula_tree(shapes["batch_stats"], dtype)
        self.features = self.params["classifier"]["kernel"].shape[0]
        self.keep = self.keep_probabilities()

        def loss(params, statistics, pictures, labels, drop_path, dropout, smoothing):
            logits, changed = self.model.apply({"params": params, "batch_stats": statistics}, pictures, True,
                                               drop_path, dropout, mutable=["batch_stats"])
            targets = optax.smooth_labels(jax.nn.one_hot(labels, config["num_classes"], dtype=dtype), smoothing)
            return optax.softmax_cross_entropy(logits, targets).mean(), (logits, changed["batch_stats"])

        self.gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def keep_probabilities(self):
        """Of each block with a skip: 1 - drop_path * block / blocks."""
        depth, width = self.config["depth"], self.config["width"]
        counts = [math.ceil(stage[4] * depth) for stage in STAGES]
        keep, block, channels = [], 0, rounded_channels(32, width)
        for (_, stride, _, out, _), count in zip(STAGES, counts):
            for i in range(count):
                if (i or stride == 1) and channels == rounded_channels(out, width):
                    keep.append(1 - self.config["drop_path"] * block / sum(counts))
                block, channels = block + 1, rounded_channels(out, width)
        return keep

    def pictures(self, step):
        return jnp.asarray(formula.images(step, self.config["batch"], self.config["resolution"]), self.dtype)

    def evaluate(self):
        apply = jax.jit(lambda p, s, x: self.model.apply({"params": p, "batch_stats": s}, x, False))
        return np.asarray(apply(self.params, self.statistics, self.pictures(0)))

    def loss_and_gradient(self, params, statistics, step, smoothing):
        batch = self.config["batch"]
        drop_path = np.stack([formula.drop_path_mask(step, i, batch, keep) for i, keep in enumerate(self.keep)])
        dropout = formula.dropout_mask(step, batch, self.features, 1 - self.config["drop"])
        labels = formula.labels(step, batch, self.config["num_classes"])
        (loss, (logits, statistics)), gradient = self.gradient(
            params, statistics, self.pictures(step), jnp.asarray(labels), jnp.asarray(drop_path, self.dtype),
            jnp.asarray(dropout, self.dtype), smoothing)
        return float(loss), np.asarray(logits), statistics, gradient

    def train(self, run):
        """Five steps; losses and the final tensors by quantity."""
        rates = jnp.asarray(run["lr"])
        mask = decay_tree(self.params, run["decay_mask"])
        if run["opt"] == "rmsprop":
            optimizer = optax.chain(
                optax.add_decayed_weights(run["weight_decay"], mask),
                optax.rmsprop(lambda count: rates[count], decay=run["opt_alpha"], eps=run["opt_eps"],
                              initial_scale=run["opt_initial"], momentum=run["momentum"]))
        else:
            optimizer = optax.adamw(lambda count: rates[count], *run["opt_betas"], eps=run["opt_eps"],
                                    weight_decay=run["weight_decay"], mask=mask)
        params, statistics, state = self.params, self.statistics, optimizer.init(self.params)
        ema_params, ema_statistics = params, statistics
        update, losses = jax.jit(optimizer.update), []
        for step in range(STEPS):
            loss, _, statistics, gradient = self.loss_and_gradient(params, statistics, step, run["smoothing"])
            updates, state = update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            done = step + 1
            decay = min(run["model_ema_decay"], (1 + done) / (10 + done))
            ema_params = optax.incremental_update(params, ema_params, 1 - decay)
            ema_statistics = optax.incremental_update(statistics, ema_statistics, 1 - decay)
            losses.append(loss)
        if run["opt"] == "rmsprop":
            slots = [state[1][0].nu, jax.tree.map(jnp.negative, state[1][2].trace)]
        else:
            slots = [state[0].mu, state[0].nu]
        trees = {"parameters": params, "ema_parameters": ema_params, "slot_0": slots[0], "slot_1": slots[1],
                 "statistics": statistics, "ema_statistics": ema_statistics}
        return losses, {quantity: flat(tree) for quantity, tree in trees.items()}


def make_case(name, case):
    config = case["model"]
    exact, rounded = Example(config, jnp.float64), Example(config, jnp.float32)
    params, statistics = flat(rounded.params), flat(rounded.statistics)
    document = {
        "case": name,
        "made_by": f"make_flax.py: flax {flax.__version__}, optax {optax.__version__}, jax {jax.__version__}",
        "model": config,
        "checksum": {
            "parameters": formula.checksum(formula.initial(n, p.shape) for n, p in params.items()),
            "statistics": formula.checksum(formula.initial(n, p.shape) for n, p in statistics.items()),
            "images": formula.checksum([formula.images(0, config["batch"], config["resolution"])]),
        },
        "parameters": [[n, *p.shape] for n, p in params.items()],
        "statistics": [[n, *p.shape] for n, p in statistics.items()],
        "evaluation": {"logits": formula.describe("logits", exact.evaluate(), rounded.evaluate(), 40)},
    }
    loss, logits, new_statistics, gradient = exact.loss_and_gradient(exact.params, exact.statistics, 0, 0.1)
    loss32, logits32, new_statistics32, gradient32 = rounded.loss_and_gradient(rounded.params, rounded.statistics, 0,
                                                                               0.1)
    assert jax.tree.leaves(gradient)[0].dtype == jnp.float64 and jax.tree.leaves(gradient32)[0].dtype == jnp.float32
    document["training"] = {
        "smoothing": 0.1,
        "logits": formula.describe("logits", logits, logits32, 40),
        "loss": formula.scalar(loss, loss32),
        "gradients": formula.describe_all(params, flat(gradient), flat(gradient32), formula.GRADIENT_SAMPLES),
        "statistics": formula.describe_all(statistics, flat(new_statistics), flat(new_statistics32),
                                           formula.OTHER_SAMPLES),
    }
    document["runs"] = []
    for run in case["runs"]:
        losses, final = exact.train(run)
        losses32, final32 = rounded.train(run)
        result = {"recipe": run, "losses": [formula.scalar(a, b) for a, b in zip(losses, losses32)]}
        for quantity, tensors in final.items():
            result[quantity] = formula.describe_all(tensors, tensors, final32[quantity], formula.OTHER_SAMPLES)
        document["runs"].append(result)
        print(f"{name} {run['opt']}: losses {' '.join(f'{v:.5f}' for v in losses)}")
    path = pathlib.Path(__file__).with_name(name + ".json")
    formula.write(path, document)
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or CASES:
        make_case(wanted, CASES[wanted])
