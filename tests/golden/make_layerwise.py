#!/usr/bin/env python3
"""Makes layerwise_golden.h: weights after five steps of LARS and LAMB by timm and Optax, in float64, for
tests/unit/train/test_optimizer_layerwise.c. Versions: requirements.txt.

    python make_layerwise.py

Weights and gradients are whole numbers over a power of two, so that the test makes the same ones.

SPDX-License-Identifier: Apache-2.0"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import timm
import torch
from timm.optim import Lamb, Lars

jax.config.update("jax_enable_x64", True)

RATES = [0.5, 2.0, 1.0, 0.25, 0.125]
# name, values, decays; the classifier begins with zeros, as init_dense: zeros has it, and the unused kernel never sees
# a gradient: both norms that a ratio may lack.
PARAMETERS = [("conv", 40, True), ("bn_scale", 6, False), ("bn_bias", 6, False), ("unused", 9, True),
              ("classifier", 20, True), ("bias", 5, False)]
DECAY = 0.05


def weights(p):
    i = np.arange(PARAMETERS[p][1])
    return np.zeros(len(i)) if PARAMETERS[p][0] == "classifier" else ((i * 37 + p * 11) % 101 - 50) / 64.0


def gradients(step, p):
    i = np.arange(PARAMETERS[p][1])
    return np.zeros(len(i)) if PARAMETERS[p][0] == "unused" else ((i * 53 + step * 29 + p * 7) % 97 - 48) / 128.0


def by_timm(kind, rate_scale, **options):
    values = [torch.nn.Parameter(torch.from_numpy(weights(p))) for p in range(len(PARAMETERS))]
    groups = [dict(params=[v for v, p in zip(values, PARAMETERS) if p[2] == decays], weight_decay=DECAY * decays)
              for decays in (True, False)]
    optimizer = kind(groups, lr=RATES[0], foreach=False, **options)
    for step, rate in enumerate(RATES):
        for p, value in enumerate(values):
            value.grad = torch.from_numpy(gradients(step, p))
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_scale
        optimizer.step()
    return np.concatenate([value.detach().numpy() for value in values])


def by_optax(make, rate_scale, **options):
    rates = jnp.array(RATES) * rate_scale
    optimizer = make(lambda count: rates[count], weight_decay=DECAY, **options)
    values = [jnp.array(weights(p)) for p in range(len(PARAMETERS))]
    state = optimizer.init(values)
    for step in range(len(RATES)):
        updates, state = optimizer.update([jnp.array(gradients(step, p)) for p in range(len(values))], state, values)
        values = optax.apply_updates(values, updates)
    return np.concatenate([np.asarray(value) for value in values])


decayed = [p[2] for p in PARAMETERS]
LARS = "opt=lars decay_mode=l2 "
LAMB = "opt=lamb decay_mode=update opt_eps=1e-6 "
TIMM = LARS + "lr_in_momentum=false trust_eps=1e-8 "
lars = dict(momentum=0.9, trust_coeff=0.001, eps=1e-8)
lamb = dict(betas=(0.9, 0.999), eps=1e-6, max_grad_norm=None)
# The rates of LAMB are a fiftieth of RATES.
CASES = [
    ("timm", TIMM, by_timm(Lars, 1, **lars)),
    ("timm, larger steps", TIMM + "trust_coefficient=0.25 ", by_timm(Lars, 1, **dict(lars, trust_coeff=0.25))),
    ("timm", TIMM + "trust_coefficient=0.25 nesterov=true ",
     by_timm(Lars, 1, nesterov=True, **dict(lars, trust_coeff=0.25))),
    ("timm", TIMM + "trust_coefficient=0.25 trust_clip=true ",
     by_timm(Lars, 1, trust_clip=True, **dict(lars, trust_coeff=0.25))),
    ("timm, always_adapt", TIMM + "trust_mask=all ", by_timm(Lars, 1, always_adapt=True, **lars)),
    ("Optax", LARS + "trust_norm=joint trust_coefficient=0.25 ",
     by_optax(optax.lars, 1, weight_decay_mask=decayed, trust_ratio_mask=decayed, trust_coefficient=0.25)),
    ("Optax", LARS + "trust_norm=joint trust_mask=all nesterov=true ",
     by_optax(optax.lars, 1, weight_decay_mask=decayed, nesterov=True)),
    ("timm", LAMB, by_timm(Lamb, 0.02, **lamb)),
    ("timm, always_adapt", LAMB + "trust_mask=all ", by_timm(Lamb, 0.02, always_adapt=True, **lamb)),
    ("timm", LAMB + "trust_clip=true ", by_timm(Lamb, 0.02, trust_clip=True, **lamb)),
    ("timm", LAMB + "lamb_bias_correction=false ", by_timm(Lamb, 0.02, bias_correction=False, **lamb)),
    ("timm, decoupled_decay", LAMB + "decay_mode=decoupled ", by_timm(Lamb, 0.02, decoupled_decay=True, **lamb)),
    ("Optax", LAMB + "trust_mask=all ", by_optax(optax.lamb, 0.02, mask=decayed)),
]

lines = [f"/* Made by make_layerwise.py: timm {timm.__version__}, torch {torch.__version__.split('+')[0]}, optax "
         f"{optax.__version__}. Do not edit. */",
         "/* clang-format off */", f"enum {{ LAYERWISE_STEPS = {len(RATES)}, LAYERWISE_WEIGHTS = {sum(p[1] for p in PARAMETERS)} }};",
         f"static const double layerwise_rates[] = {{{', '.join(map(str, RATES))}}}; /* of lamb: a fiftieth */",
         f"static const double layerwise_decay = {DECAY};",
         "typedef struct LayerwiseCase {", "    const char *program, *keys; /* of the recipe */",
         "    double weights[LAYERWISE_WEIGHTS];", "} LayerwiseCase;",
         "static const LayerwiseCase layerwise_cases[] = {"]
for program, keys, values in CASES:
    lines.append(f'    {{"{program}",\n     "{keys.strip()}",\n     {{')
    lines += ["      " + ", ".join(repr(float(v)) for v in values[i:i + 5]) + "," for i in range(0, len(values), 5)]
    lines.append("     }},")
lines.append("};")
pathlib.Path(__file__).with_name("layerwise_golden.h").write_text("\n".join(lines) + "\n")
