#!/usr/bin/env python3
"""Fifty steps of timm's efficientnet_b0 with its own RMSpropTF, label smoothing, step schedule and ModelEmaV2:
make_timm_replay.py writes timm_replay.json beside itself (a few minutes).

The run is recipes/timm-b0-ra.yaml made small: 64x64, batches of 8 (32 values a channel in the last batch norms), 10
classes, epochs of 10 steps, the rate moved once an epoch as timm's train.py does. Weights, pictures and labels are
golden_formula.py's; the masks are golden_masks.py's. In float64, with the distance of float32 from it
(golden_formula.py, describe()).

SPDX-License-Identifier: Apache-2.0"""

import pathlib
from unittest import mock

import jax
import numpy as np
import timm
import torch
from timm.scheduler import StepLRScheduler
from timm.utils import ModelEmaV2

import golden_formula as formula
import make_timm
from golden_masks import masks_of_step

SEED, STEPS, STEPS_PER_EPOCH = 42, 50, 10
CONFIG = dict(make_timm.MODEL, num_classes=10, batch=8, padding="symmetric", bn_momentum=0.9, bn_eps=1e-5)
RUN = dict(make_timm.RUN, lr=[2e-4], weight_decay=1e-2, decay_mask="no_bn_bias", model_ema_decay=0.9999)
RESIDUALS = 9


def train(dtype):
    """Losses, gradient norms, rates and final tensors by quantity."""
    example = make_timm.Example(CONFIG, dtype)
    drops = [module for module in example.model.modules() if isinstance(module, make_timm.MaskedDropPath)]
    assert len(drops) == RESIDUALS
    optimizer = make_timm.make_optimizer(example, RUN)
    schedule = StepLRScheduler(optimizer, decay_t=2.4, decay_rate=0.97, warmup_t=3, warmup_lr_init=1e-6,
                               warmup_prefix=False)
    ema = ModelEmaV2(example.model, decay=RUN["model_ema_decay"])
    losses, norms, rates = [], [], []
    for step in range(STEPS):
        schedule.step(step // STEPS_PER_EPOCH)
        paths, dropout = masks_of_step(SEED, step, CONFIG["batch"], [drop.keep for drop in drops], 1280,
                                       1 - CONFIG["drop"])
        with mock.patch.object(formula, "drop_path_mask", lambda _, residual, *rest: paths[residual]), \
                mock.patch.object(formula, "dropout_mask", lambda *rest: dropout):
            example.model.train()
            _, loss = example.loss(step, RUN["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        norms.append(float(np.sqrt(sum(float((g.double() ** 2).sum()) for g in example.gradients().values()))))
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        ema.update(example.model)
        print(f"{step} lr {rates[-1]:.6g} loss {losses[-1]:.7f} norm {norms[-1]:.5f}", flush=True)
    by_name = dict(example.model.named_parameters())
    final = {"parameters": example.parameters(), "statistics": example.statistics(),
             "ema_parameters": dict(ema.module.named_parameters()), "ema_statistics": example.statistics(ema.module)}
    for i, slot in enumerate(make_timm.SLOTS["rmsprop"]):
        final[f"slot_{i}"] = {name: optimizer.state[by_name[name]][slot] for name in example.names}
    return example, losses, norms, rates, {q: make_timm.numpy_of(tensors) for q, tensors in final.items()}


def main():
    torch.set_num_threads(1)
    _, float_losses, _, _, rounded = train(torch.float32)
    example, losses, norms, rates, final = train(torch.float64)

    def digits(values):
        return [float(f"{value:.9g}") for value in values]

    document = {
        "made_by": f"make_timm_replay.py: timm {timm.__version__}, torch {torch.__version__.split('+')[0]}, masks by "
                   f"jax {jax.__version__}",
        "parameters": [[name, *values.shape] for name, values in final["parameters"].items()],
        "statistics": [[name, *values.shape] for name, values in final["statistics"].items()],
        "run": {"lr": digits(rates), "losses": digits(losses), "gradient_norms": digits(norms),
                "float_losses": digits(float_losses)},
    }
    for quantity, tensors in final.items():
        document["run"][quantity] = formula.describe_all(tensors, tensors, rounded[quantity], formula.OTHER_SAMPLES)
    print(f"float32 and float64: losses {max(abs(a / b - 1) for a, b in zip(float_losses, losses)):.1e} apart")
    formula.write(pathlib.Path(__file__).with_name("timm_replay.json"), document)


if __name__ == "__main__":
    main()
