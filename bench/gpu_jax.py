"""images/s of one training step of EfficientNet under JAX, Flax and Optax, on the first device that JAX finds.

    gpu_jax.py BATCH fp32|bf16 [MODEL [RES [STEPS]]]        MODEL: efficientnet_b0 .. b7

The step is that of the published TPU runs (jax_examples) in few lines: Flax's linen modules, channels last, activations
in bfloat16 with parameters and statistics in float32, label smoothing, weight decay, RMSProp with momentum, averages of
weights and statistics; one jitted function whose state is donated. Pictures and labels lie on the device. For fp32
the products are exact (jax_default_matmul_precision=highest, as effnet's are); PRECISION=default in the environment lets
the GPU round them to tf32. The time of STEPS steps in chunks of five, issued without waiting inside a chunk; prints a
JSON line with the median and the best chunk.

SPDX-License-Identifier: Apache-2.0"""
import functools
import json
import math
import os
import sys
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

# expansion, channels, repeats, stride, kernel
STAGES = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
          (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]
# width, depth, resolution, dropout
MODELS = {"b0": (1.0, 1.0, 224, .2), "b1": (1.0, 1.1, 240, .2), "b2": (1.1, 1.2, 260, .3), "b3": (1.2, 1.4, 300, .3),
          "b4": (1.4, 1.8, 380, .4), "b5": (1.6, 2.2, 456, .4), "b6": (1.8, 2.6, 528, .5), "b7": (2.0, 3.1, 600, .5)}


def round_channels(channels, width):
    scaled = max(8, int(channels * width + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * channels * width else scaled


class Conv(nn.Module):
    """Convolution, batch norm and, where asked for, swish."""
    features: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    swish: bool = True
    dtype: type = jnp.float32

    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(self.features, (self.kernel, self.kernel), (self.stride, self.stride), padding="SAME",
                    use_bias=False, feature_group_count=self.features if self.depthwise else 1, dtype=self.dtype,
                    kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"))(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=.99, epsilon=1e-3, dtype=self.dtype)(x)
        return nn.swish(x) if self.swish else x


class Block(nn.Module):
    expansion: int
    features: int
    kernel: int
    stride: int
    drop_path: float
    dtype: type

    @nn.compact
    def __call__(self, x, train):
        conv = functools.partial(Conv, dtype=self.dtype)
        entry, width = x, x.shape[-1]
        if self.expansion > 1:
            x = conv(width * self.expansion)(x, train)
        x = conv(x.shape[-1], self.kernel, self.stride, depthwise=True)(x, train)
        s = x.mean((1, 2), keepdims=True)
        s = nn.swish(nn.Conv(width // 4, (1, 1), dtype=self.dtype)(s))
        x = x * nn.sigmoid(nn.Conv(x.shape[-1], (1, 1), dtype=self.dtype)(s))
        x = conv(self.features, swish=False)(x, train)
        if self.stride == 1 and width == self.features:
            if train and self.drop_path > 0:
                keep = 1 - self.drop_path
                kept = jax.random.bernoulli(self.make_rng("dropout"), keep, (x.shape[0], 1, 1, 1))
                x = jnp.where(kept, x / keep, jnp.zeros_like(x))
            x = x + entry
        return x


class EfficientNet(nn.Module):
    width: float
    depth: float
    drop: float
    dtype: type
    classes: int = 1000

    @nn.compact
    def __call__(self, x, train=True):
        x = Conv(round_channels(32, self.width), 3, 2, dtype=self.dtype)(x.astype(self.dtype), train)
        repeats = [math.ceil(stage[2] * self.depth) for stage in STAGES]
        index, count = 0, sum(repeats)
        for (expansion, features, _, stride, kernel), times in zip(STAGES, repeats):
            for i in range(times):
                x = Block(expansion, round_channels(features, self.width), kernel, stride if i == 0 else 1,
                          .2 * index / count, self.dtype)(x, train)
                index += 1
        x = Conv(round_channels(1280, self.width), dtype=self.dtype)(x, train).mean((1, 2))
        x = nn.Dropout(self.drop, deterministic=not train)(x)
        return nn.Dense(self.classes, dtype=self.dtype)(x).astype(jnp.float32)


def main():
    batch, dtype = int(sys.argv[1]), sys.argv[2]
    name = sys.argv[3] if len(sys.argv) > 3 else "efficientnet_b0"
    width, depth, resolution, drop = MODELS[name.rsplit("_", 1)[-1]]
    if len(sys.argv) > 4 and int(sys.argv[4]):
        resolution = int(sys.argv[4])
    steps = int(sys.argv[5]) if len(sys.argv) > 5 else 20
    precision = os.environ.get("PRECISION", "highest" if dtype == "fp32" else "default")
    jax.config.update("jax_default_matmul_precision", None if precision == "default" else precision)

    model = EfficientNet(width, depth, drop, jnp.bfloat16 if dtype == "bf16" else jnp.float32)
    key = jax.random.PRNGKey(42)
    images = jax.random.normal(key, (batch, resolution, resolution, 3), jnp.float32)
    labels = jax.random.randint(key, (batch,), 0, model.classes)
    rate = optax.warmup_exponential_decay_schedule(0, 1e-3, 100, 1000, .97)
    optimizer = optax.chain(optax.add_decayed_weights(1e-5),
                            optax.rmsprop(rate, decay=.9, eps=1e-3, initial_scale=1., momentum=.9))

    @jax.jit
    def begin(key):
        variables = model.init({"params": key, "dropout": key}, images[:1, :32, :32])  # weights know no side
        parameters, statistics = variables["params"], variables["batch_stats"]
        return parameters, statistics, optimizer.init(parameters), (parameters, statistics), jnp.zeros((), jnp.int32)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, images, labels):
        parameters, statistics, slots, average, count = state

        def loss_of(parameters):
            logits, changed = model.apply({"params": parameters, "batch_stats": statistics}, images,
                                          mutable=["batch_stats"], rngs={"dropout": jax.random.fold_in(key, count)})
            targets = optax.smooth_labels(jax.nn.one_hot(labels, model.classes), .1)
            return optax.softmax_cross_entropy(logits, targets).mean(), changed["batch_stats"]

        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
        updates, slots = optimizer.update(gradients, slots, parameters)
        parameters = optax.apply_updates(parameters, updates)
        decay = jnp.minimum(.9999, (2. + count) / (11. + count))
        average = optax.incremental_update((parameters, statistics), average, 1 - decay)
        return (parameters, statistics, slots, average, count + 1), loss

    state = jax.block_until_ready(begin(key))
    # The first outputs share buffers with nothing: a donated argument must not be held twice.
    state = jax.tree.map(lambda x: x.copy(), state)
    started = time.perf_counter()
    compiled = step.lower(state, images, labels).compile()
    compile_s = time.perf_counter() - started
    for _ in range(5):
        state, loss = compiled(state, images, labels)
    loss.block_until_ready()
    chunk, times = min(5, steps), []
    for _ in range(max(1, steps // chunk)):
        started = time.perf_counter()
        for _ in range(chunk):
            state, loss = compiled(state, images, labels)
        loss.block_until_ready()
        times.append((time.perf_counter() - started) / chunk)
    times.sort()
    memory = jax.devices()[0].memory_stats() or {}
    print(json.dumps({
        "peer": "jax-flax", "model": name, "res": resolution, "batch": batch, "dtype": dtype, "precision": precision,
        "images_per_s": round(batch / times[len(times) // 2], 1), "images_per_s_best": round(batch / times[0], 1),
        "ms_per_step": round(1e3 * times[len(times) // 2], 2), "compile_s": round(compile_s, 1),
        "device_mb": round(memory.get("peak_bytes_in_use", 0) / 1e6), "loss": round(float(loss), 4),
        "parameters": sum(p.size for p in jax.tree.leaves(state[0])), "device": jax.devices()[0].device_kind}), flush=True)


main()
