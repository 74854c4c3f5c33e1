#!/usr/bin/env python3
"""Golden values from the Flax model and trainer that the TPU runs used: initial weights, masks and fifty steps.

    git clone https://github.com/NobuoTsukamoto/jax_examples && git -C jax_examples checkout c05ece5
    python make_flax_original.py jax_examples        # writes flax_original.json beside itself; some minutes
    python make_flax_original.py jax_examples --devices        # flax_eight.json: fifty steps on eight devices
    python make_flax_original.py jax_examples --shared         # flax_groups.json: batch norm over groups of devices
    python make_flax_original.py jax_examples --all            # flax_all.json: over all of them

The model (classification/implements/efficientnet.py), the optimizer and its schedule (common/optimizer.py) and the
average (common/model_ema.py) are that repository's own code, imported from the checkout; nothing of it is kept here.
What train.py does around them (keys, loss, step) is written down below in our words: train.py itself needs the data
set before anything else. On eight devices it is a part of every batch on each, gradients averaged, batch norm and
masks each device's own, running statistics averaged at the end (sync_batch_stats). --shared and --all give the model's
batch norms an axis_name, so that Flax itself takes moments over devices: over groups of eight of sixteen devices, or
over all of eight, in a network of a third of the depth. Three parts of the run on one device:

  initial   EfficientNet-B0 of 1,000 classes from seed 42, with the kernel initialiser of c05ece5 (normal) and with the
            truncated one that the first run had: norm and some elements of every tensor
  masks     which images skip which block, which features are dropped, in some calls of the trainer's chain of keys
            (both also with jax_threefry_partitionable off, as JAX was before 0.5: "original", 0 of 1 and 3 of 8 devices)
  run       fifty steps at 64x64, batches of 8 (the last batch norms see 32 values a channel), 10 classes, in float32;
            then the same steps with the pictures, labels and masks of every batch in reverse order: the same sums in
            another order. Losses are kept of both runs, final tensors of the first with their distance to the second
            (golden_formula.py, describe()), which is what rounding alone makes of fifty steps. (Float64 would be the
            better yardstick; XLA takes hours for it on a CPU.)

SPDX-License-Identifier: Apache-2.0"""

import argparse
import functools
import math
import pathlib
import sys
import types
import zlib

import flax
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from flax import linen as nn

import golden_formula as formula

SEED, STEPS, BATCH, SIDE, CLASSES, STEPS_PER_EPOCH = 42, 50, 8, 64, 10, 10
DROP_PATH = 0.2
MASK_CALLS = [0, 1, 2, 49]
# The rate is small, because at 2e-3 two orders of summation part by 2 % within 20 steps and have nothing in common
# after 30. The decay begins at twice the warm-up, step 20, and has a stair every seven steps.
OPTIMIZER = dict(optimizer="rmsprop", rmsprop_decay=0.9, rmsprop_epsilon=0.001, momentum=0.9, rmsprop_initial_scale=1.0,
                 optimizer_schedule="warmup_exponential_decay", initial_learning_rate=0.0, learning_rate=5e-5,
                 warmup_epochs=1, num_epochs=5, exponential_decay_rate=0.9, transition_steps=7, lr_drop_staircase=True,
                 l2_weight_decay=2e-2, weight_decay=0.0, weight_decay_exclude_layers=["BatchNorm"],
                 gradient_accumulation_steps=1)
EMA_DECAY = 0.9999


# ---- their names to timm's -----------------------------------------------------------------------------------


def blocks(depth):
    return [(stage, i) for stage, repeats in enumerate([1, 2, 2, 3, 3, 4, 1]) for i in range(math.ceil(depth * repeats))]


BLOCKS = blocks(1)
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def timm_layer(path):
    if path == "Head":
        return "classifier"
    parts = path.split("/")[1:]
    if len(parts) == 1:
        return {"Stem_Conv": "conv_stem", "BatchNorm_0": "bn1", "Conv_0": "conv_head", "BatchNorm_1": "bn2"}[parts[0]]
    block = int(parts[0].rsplit("_", 1)[1])
    layer = "/".join(parts[1:])
    if layer.startswith("BatchNorm"):
        name = f"bn{int(layer[-1]) + 1}"
    else:
        project = "conv_pwl" if BLOCKS[block][0] > 0 else "conv_pw"
        name = {"Expand_Conv": "conv_pw", "DepthWise_Conv": "conv_dw", "Project_Conv": project,
                "SeBlock_0/Conv_0": "se.conv_reduce", "SeBlock_0/Conv_1": "se.conv_expand"}[layer]
    return "blocks.%d.%d.%s" % (*BLOCKS[block], name)


def flat(tree):
    """timm's name -> array in timm's layout."""
    result = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        keys = [str(k.key) for k in path]
        leaf = np.asarray(leaf)
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(leaf.ndim, tuple(range(leaf.ndim)))
        result[f"{timm_layer('/'.join(keys[:-1]))}.{LEAVES[keys[-1]]}"] = leaf.transpose(axes)
    return result


# ---- masks: heard while the model draws them, or told to it ----------------------------------------------------


class Masks:
    """Stands in for jax.random.bernoulli: in `hear` mode draws as JAX does and remembers, in order of the calls; in
    `tell` mode gives back what was remembered."""

    def __init__(self):
        self.draw, self.mode, self.masks = jax.random.bernoulli, "hear", []
        jax.random.bernoulli = self

    def __call__(self, key, p=0.5, shape=None, **options):
        if self.mode == "tell":
            return self.masks.pop(0)
        self.masks.append(self.draw(key, p, shape, **options))
        return self.masks[-1]

    def begin(self, mode, masks=()):
        self.mode, self.masks = mode, list(masks)


# ---- what train.py does -----------------------------------------------------------------------------------------


def initial_variables(model, device=0, devices=1):
    """The weights, and the key that the trainer's first step gets on a device."""
    params, dropout, depth, train = jax.random.split(jax.random.key(SEED), 4)
    variables = jax.jit(model.init)({"params": params, "dropout": dropout, "stochastic_depth": depth},
                                    jnp.ones((1, SIDE, SIDE, 3)))
    return variables, jax.random.split(train, devices)[device]


def plain_loss(model, masks, mode):
    def loss(params, statistics, pictures, labels, keys, told):
        masks.begin(mode, told)
        rngs = dict(zip(("dropout", "stochastic_depth"), keys))
        logits, changed = model.apply({"params": params, "batch_stats": statistics}, pictures, mutable=["batch_stats"],
                                      rngs=rngs)
        heard = list(masks.masks)
        targets = jax.nn.one_hot(labels, model.num_classes, dtype=logits.dtype)  # the smoothed labels are not used
        return optax.softmax_cross_entropy(logits, targets).mean(), (changed["batch_stats"], heard)

    return loss


def make_loss(model, masks, mode):
    return jax.jit(jax.value_and_grad(plain_loss(model, masks, mode), has_aux=True))


class Devices:
    """What train() needs of a machine: parts of a batch, one a device, and a step that averages over them."""

    def __init__(self, count):
        self.count = count

    def deal(self, values, order):
        """(batch, ...) to (devices, pictures, ...); order -1: devices and pictures in reverse."""
        return self.turn(values.reshape(self.count, -1, *values.shape[1:]), order)

    def turn(self, values, order):
        return values[::order, ::order]

    def settle(self, before, after):
        """The running statistics after a step (devices, ...), from those before it."""
        return after

    def make_loss(self, model, masks, mode):
        """One device after the other, and the mean of what pmap and pmean would work out at once: with more devices
        than processors XLA's collectives wait for one another for ever, and under vmap the gradients of the depthwise
        convolutions want 68 GB."""
        step = make_loss(model, masks, mode)

        def averaged(params, *parts):
            losses, auxiliary, gradients = [], [], []
            for device in range(self.count):
                (loss, aux), grads = step(params, *jax.tree.map(lambda leaf: leaf[device], parts))
                losses.append(loss)
                auxiliary.append(aux)
                gradients.append(grads)
            mean = jax.tree.map(lambda *leaves: jnp.stack(leaves).mean(0), *gradients)
            return (jnp.stack(losses).mean(), jax.tree.map(lambda *leaves: jnp.stack(leaves), *auxiliary)), mean

        return averaged


class Groups(Devices):
    """Devices whose batch norms see a group's pictures together: each device an entry of vmap's axis "member", whose
    groups are another axis around it, as axis_index_groups of neighbours would be. Gradients are taken outside of both:
    of the mean of the devices' losses by weights that all have in common."""

    def __init__(self, count, group):
        super().__init__(count)
        self.group = group

    def make_loss(self, model, masks, mode):
        across = (None, 0, 0, 0, 0, 0)
        loss = jax.vmap(jax.vmap(plain_loss(model, masks, mode), across, axis_name="member"), across)

        def averaged(params, *parts):
            grouped = jax.tree.map(lambda leaf: leaf.reshape(-1, self.group, *leaf.shape[1:]), parts)
            losses, auxiliary = loss(params, *grouped)
            return losses.mean(), jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), auxiliary)

        return jax.jit(jax.value_and_grad(averaged, has_aux=True))

    def turn(self, values, order):
        """In reverse within each group: running statistics go by the order of the groups."""
        return values.reshape(-1, self.group, *values.shape[1:])[:, ::order, ::order].reshape(values.shape)

    def settle(self, before, after):
        """effnet's running statistics are one set, moved by each group in turn; these are one a device."""
        momentum = 0.99  # the model's
        moved = after[0]
        for group in range(1, self.count // self.group):
            moved = momentum * moved + (after[group * self.group] - momentum * before[0])
        return jnp.stack([moved] * self.count)


def share_batch_norm(original):
    """From here on the original's batch norms take their moments over the axis "member"."""
    names = {**vars(nn), "BatchNorm": functools.partial(nn.BatchNorm, axis_name="member")}
    original["model"].nn = types.SimpleNamespace(**names)


def train(model, original, masks, variables, keys, devices, steps, batch, told=None):
    """Losses, gradient norms, rates, final tensors by quantity, masks of each step, each with the devices as their first
    axis. `told`: the masks of an earlier run, and its batches, with devices and pictures in reverse."""
    config = ml_collections.ConfigDict(OPTIMIZER)
    rate = original["optimizer"].create_learning_rate_fn(config, STEPS_PER_EPOCH)
    optimizer = original["optimizer"].create_optimizer(config, rate)
    average = original["model_ema"].ema_v2(EMA_DECAY, debias=False)
    params = variables["params"]
    statistics = jax.tree.map(lambda leaf: jnp.stack([leaf] * devices.count), variables["batch_stats"])
    order = 1 if told is None else -1
    state, ema, ema_statistics = optimizer.init(params), average.init(params), average.init(statistics)
    gradient = devices.make_loss(model, masks, "hear" if told is None else "tell")
    update, step_average = jax.jit(optimizer.update), jax.jit(average.update)
    losses, norms, rates, heard = [], [], [], []
    for step in range(steps):
        dropout, depth, keys = (jnp.stack(part) for part in zip(*(jax.random.split(key, 3) for key in keys)))
        pictures = jnp.asarray(devices.deal(formula.images(step, batch, SIDE), order))
        labels = jnp.asarray(devices.deal(formula.labels(step, batch, CLASSES), order))
        (loss, (moved, drawn)), grads = gradient(
            params, statistics, pictures, labels, (dropout, depth),
            [devices.turn(mask, order) for mask in told[step]] if told else [])
        statistics = jax.tree.map(devices.settle, statistics, moved)
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
        _, ema = step_average(params, ema)
        _, ema_statistics = step_average(statistics, ema_statistics)
        losses.append(float(loss))
        norms.append(float(np.sqrt(sum(np.sum(np.square(np.asarray(g, np.float64))) for g in jax.tree.leaves(grads)))))
        rates.append(float(rate(step)))
        heard.append([np.asarray(mask) for mask in drawn])
        print(f"{step} lr {rates[-1]:.6f} loss {losses[-1]:.7f} gradient norm {norms[-1]:.5f}", flush=True)
    mean = lambda tree: jax.tree.map(lambda leaf: leaf.mean(0), tree)  # sync_batch_stats
    # chain(add_decayed_weights, rmsprop = chain(scale_by_rms, scale_by_learning_rate, trace)); the trace holds the
    # update with its sign
    trees = {"parameters": params, "slot_0": state[1][0].nu, "slot_1": jax.tree.map(jnp.negative, state[1][2].trace),
             "ema_parameters": ema.ema, "statistics": mean(statistics), "ema_statistics": mean(ema_statistics.ema)}
    return losses, norms, rates, {name: flat(tree) for name, tree in trees.items()}, heard


def keep_bits(mask):
    """Eight images a byte, the first in the highest bit, as text."""
    return np.packbits(mask.ravel()).tobytes().hex()


def draw_masks(model, masks, variables, key):
    """Those of MASK_CALLS, without training: they do not depend on the weights."""
    heard = {}
    for call in range(max(MASK_CALLS) + 1):
        dropout, depth, key = jax.random.split(key, 3)
        if call in MASK_CALLS:
            masks.begin("hear")
            model.apply(variables, jnp.zeros((BATCH, SIDE, SIDE, 3)), mutable=["batch_stats"],
                        rngs={"dropout": dropout, "stochastic_depth": depth})
            heard[call] = [np.asarray(mask) for mask in masks.masks]
    return heard


def describe_masks(heard):
    """[call, [drop path of each block with a skip], dropout: features kept of each image, crc32 of its bits]"""
    result = []
    for call in MASK_CALLS:
        *paths, dropout = heard[call]
        result.append([call, [keep_bits(path) for path in paths], [int(row.sum()) for row in dropout],
                       zlib.crc32(np.packbits(dropout.ravel()).tobytes())])
    return result


def import_original(folder):
    sys.path[:0] = [str(folder / "classification"), str(folder / "common")]
    import model_ema
    import optimizer
    from implements import efficientnet

    return {"model": efficientnet, "optimizer": optimizer, "model_ema": model_ema}


def digits(values):
    return [float(f"{value:.9g}") for value in values]


def add_run(document, run, other, quantities=None, samples=formula.OTHER_SAMPLES):
    """Losses, norms and final tensors (all, or those named) of a run, and of the same in another order."""
    (losses, norms, rates, final, _), (other_losses, other_norms, _, other_final, _) = run, other
    document["run"] = {"lr": digits(rates), "losses": digits(losses), "gradient_norms": digits(norms),
                       "other_losses": digits(other_losses), "other_gradient_norms": digits(other_norms)}
    document["statistics"] = [[name, *values.shape] for name, values in final["statistics"].items()]
    for quantity in quantities or final:
        tensors = final[quantity]
        document["run"][quantity] = formula.describe_all(tensors, tensors, other_final[quantity], samples)
    worst = max(abs(a / b - 1) for a, b in zip(losses, other_losses))
    print(f"losses in another order: {worst:.1e} apart")


def write_devices(original, made_by, devices, batch, steps, name, depth=1.0, **kept):
    """Steps on several devices, each with an equal part of a batch."""
    model = original["model"].EfficientNet(num_classes=CLASSES, init_stochastic_depth_rate=DROP_PATH,
                                           depth_coefficient=depth)
    masks = Masks()
    BLOCKS[:] = blocks(depth)
    variables, _ = initial_variables(model, 0, devices.count)
    keys = [initial_variables(model, device, devices.count)[1] for device in range(devices.count)]
    first = train(model, original, masks, variables, keys, devices, steps, batch)
    other = train(model, original, masks, variables, keys, devices, steps, batch, first[4])
    document = {"made_by": made_by, "devices": devices.count, "batch": batch}
    document["parameters"] = [[name, *values.shape] for name, values in first[3]["parameters"].items()]
    add_run(document, first, other, **kept)
    formula.write(pathlib.Path(__file__).with_name(name), document)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkout", type=pathlib.Path)
    arguments.add_argument("--devices", action="store_true", help="flax_eight.json: fifty steps on eight devices")
    arguments.add_argument("--shared", action="store_true", help="flax_groups.json: ten steps on sixteen devices")
    arguments.add_argument("--all", action="store_true", help="flax_all.json: ten steps on eight devices")
    options = arguments.parse_args()
    original = import_original(options.checkout)
    made_by = (f"make_flax_original.py: jax_examples c05ece5, flax {flax.__version__}, optax {optax.__version__}, "
               f"jax {jax.__version__}")
    if options.devices:
        return write_devices(original, made_by, Devices(8), 16, STEPS, "flax_eight.json")
    if options.shared or options.all:
        share_batch_norm(original)
        kept = dict(depth=0.3, quantities=["parameters", "statistics", "slot_1"], samples=2)
        devices, name = (Groups(16, 8), "flax_groups.json") if options.shared else (Groups(8, 8), "flax_all.json")
        return write_devices(original, made_by, devices, 16, 10, name, **kept)
    network = original["model"].EfficientNet
    document = {
        "made_by": made_by,
        "initial": {},
    }
    def describe_initial():
        tensors = flat(initial_variables(network(num_classes=1000, init_stochastic_depth_rate=DROP_PATH))[0]["params"])
        document["parameters"] = [[name, *values.shape] for name, values in tensors.items()]
        return formula.describe_all(tensors, tensors, tensors, formula.GRADIENT_SAMPLES)

    normal = original["model"].conv_kernel_initializer
    truncated = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")
    model = dict(num_classes=CLASSES, init_stochastic_depth_rate=DROP_PATH)
    masks = Masks()
    for suffix, partitionable in (("", True), ("_original", False)):
        jax.config.update("jax_threefry_partitionable", partitionable)
        for kind, initializer in (("normal", normal), ("truncated_normal", truncated)):
            original["model"].conv_kernel_initializer = initializer
            document["initial"][kind + suffix] = describe_initial()
    original["model"].conv_kernel_initializer = normal
    for name, place in (("masks_original", (0, 1)), ("masks_original_3_of_8", (3, 8))):
        document[name] = describe_masks(draw_masks(network(**model), masks, *initial_variables(network(**model), *place)))
    jax.config.update("jax_threefry_partitionable", True)

    variables, key = initial_variables(network(**model))
    alone = [network(**model), original, masks, variables, [key], Devices(1), STEPS, BATCH]
    run = train(*alone)
    document["masks"] = describe_masks([[mask[0] for mask in drawn] for drawn in run[4]])
    add_run(document, run, train(*alone, run[4]))
    formula.write(pathlib.Path(__file__).with_name("flax_original.json"), document)


if __name__ == "__main__":
    main()
