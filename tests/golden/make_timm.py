#!/usr/bin/env python3
"""Golden values from timm and PyTorch: make_timm.py [CASE...] writes CASE.json beside itself (all cases without
arguments; about a minute on one core).

Everything is computed twice with the same float32 weights, pictures and masks: in float64, which is the golden value,
and in float32, whose distance from it is PyTorch's own rounding error and the yardstick of test_golden.c.
Versions: requirements.txt. Nothing random is drawn here: golden_formula.py gives every input.

SPDX-License-Identifier: Apache-2.0"""

import pathlib
import sys
from unittest import mock

import timm
import torch
from timm.layers import DropPath
from timm.loss import LabelSmoothingCrossEntropy
from timm.models.efficientnet import _gen_efficientnet
from timm.optim import RMSpropTF
from timm.utils import ModelEmaV2

import golden_formula as formula

STEPS = 5
# Changes from step to step, so that a learning rate inside and outside the momentum buffer differ.
LEARNING_RATES = [0.0010, 0.0020, 0.0015, 0.0012, 0.0008]

# Defaults of a run; keys are those of src/recipe/keys.def.
RUN = dict(opt="rmsprop", lr=LEARNING_RATES, momentum=0.9, nesterov=False, opt_alpha=0.9, opt_eps=1e-3, opt_initial=1.0,
           lr_in_momentum=True, opt_betas=[0.9, 0.999], weight_decay=1e-2, decay_mode="l2", decay_mask="no_bn",
           smoothing=0.1, model_ema_decay=0.9999, model_ema_warmup=True)
# Weight decay is a thousand times the published one, so that a wrong mask shows.

# Batches and sides give the last blocks' batch norm, at an input's 1/32, at least 16 values a channel. With fewer, the
# network is so ill-conditioned that float32 and float64 part within five steps in PyTorch alike (4 values: losses of
# 5.07 and 5.11 in the second), and a comparison says nothing.
MODEL = dict(width=1.0, depth=1.0, lite=False, num_classes=1000, resolution=64, batch=4, padding="same", drop=0.2,
             drop_path=0.2, bn_momentum=0.99, bn_eps=1e-3, bn_unbiased=True)
# 40 halves to 20, 10, 5, 3, 2: even and odd sides, so SAME and symmetric padding differ in some layers.
SMALL = dict(MODEL, width=0.35, depth=0.5, num_classes=10, resolution=40, batch=6, drop=0.3, drop_path=0.5)

CASES = {
    "timm_small_same_40": dict(model=SMALL, runs=[
        RUN,
        dict(RUN, lr_in_momentum=False, decay_mode="decoupled", decay_mask="no_bn_bias", model_ema_decay=0.9,
             model_ema_warmup=False),
    ]),
    "timm_small_symmetric_40": dict(model=dict(SMALL, padding="symmetric"), runs=[
        dict(RUN, opt="sgd", nesterov=True, lr_in_momentum=False, decay_mask="all"),
        dict(RUN, opt="adamw", decay_mode="decoupled", decay_mask="no_bn_bias_depthwise", smoothing=0.0,
             weight_decay=0.5),
    ]),
    "timm_small_same_33": dict(model=dict(SMALL, resolution=33, batch=4), runs=[]),
    "timm_small_same_32": dict(model=dict(SMALL, resolution=32, batch=16), runs=[]),
    "timm_small_same_40x56": dict(model=dict(SMALL, resolution=[40, 56]), runs=[]),
    "timm_small_same_grey": dict(model=dict(SMALL, in_chans=1), runs=[]),
    "timm_b0_same_64": dict(model=MODEL, runs=[RUN]),
    # PyTorch's own batch norm, as timm's efficientnet_b0 has it.
    "timm_b0_symmetric_64": dict(model=dict(MODEL, padding="symmetric", bn_momentum=0.9, bn_eps=1e-5), runs=[]),
    "timm_lite0_same_64": dict(model=dict(MODEL, lite=True), runs=[]),
    "timm_b0_same_224": dict(model=dict(MODEL, resolution=224, batch=1), runs=None),
}


def make_model(config):
    options = dict(num_classes=config["num_classes"], drop_rate=config["drop"], drop_path_rate=config["drop_path"],
                   bn_eps=config["bn_eps"], bn_momentum=1 - config["bn_momentum"], in_chans=config.get("in_chans", 3))
    same = config["padding"] == "same"
    if config["width"] != 1 or config["depth"] != 1:
        return _gen_efficientnet("tf_efficientnet_b0" if same else "efficientnet_b0", config["width"], config["depth"],
                                 pad_type="same" if same else "", **options)
    name = "efficientnet_lite0" if config["lite"] else "efficientnet_b0"
    return timm.create_model("tf_" + name if same else name, **options)


class MaskedDropPath(torch.nn.Module):
    """DropPath with the formula's mask in place of a random one; `step` is set from outside."""

    def __init__(self, residual, drop_prob):
        super().__init__()
        self.residual, self.keep, self.step = residual, 1 - drop_prob, 0

    def forward(self, x):
        if not self.training:
            return x
        scale = torch.from_numpy(formula.drop_path_mask(self.step, self.residual, len(x), self.keep))
        return x * scale.to(x.dtype)[:, None, None, None]


class Example:
    """One model in one precision, with the formula's inputs."""

    def __init__(self, config, dtype):
        self.config, self.dtype = config, dtype
        self.model = make_model(config)
        residual = 0
        for block in self.model.blocks.modules():
            if getattr(block, "has_skip", False):
                if isinstance(block.drop_path, DropPath):
                    block.drop_path = MaskedDropPath(residual, block.drop_path.drop_prob)
                residual += 1
        state = {name: torch.from_numpy(formula.initial(name, tuple(value.shape)))
                 for name, value in self.model.state_dict().items() if not name.endswith("num_batches_tracked")}
        self.model.load_state_dict(state, strict=False)
        self.model.to(dtype)
        self.names = [name for name, _ in self.model.named_parameters()]
        self.statistic_names = [name for name in state if name not in set(self.names)]

    def forward(self, step):
        """Logits of the pictures of a step, with its masks where the model trains."""
        config = self.config
        pictures = torch.from_numpy(formula.images(step, config["batch"], config["resolution"], config.get("in_chans", 3)))
        for module in self.model.modules():
            if isinstance(module, MaskedDropPath):
                module.step = step

        def masked_dropout(x, p, training):
            return x * torch.from_numpy(formula.dropout_mask(step, *x.shape, 1 - p)).to(x.dtype) if training else x

        with mock.patch.object(torch.nn.functional, "dropout", masked_dropout):
            return self.model(pictures.to(self.dtype).permute(0, 3, 1, 2))

    def loss(self, step, smoothing):
        logits = self.forward(step)
        labels = torch.from_numpy(formula.labels(step, len(logits), self.config["num_classes"]))
        return logits, LabelSmoothingCrossEntropy(smoothing)(logits, labels)

    def parameters(self):
        return {name: value.detach().clone() for name, value in self.model.named_parameters()}

    def gradients(self):
        return {name: value.grad.clone() for name, value in self.model.named_parameters()}

    def statistics(self, model=None):
        state = (model or self.model).state_dict()
        return {name: state[name].clone() for name in self.statistic_names}


def decays(name, mask):
    kind = formula.role(name)
    excluded = {"all": (), "no_bn": ("bn_scale", "bn_bias"), "no_bn_bias": ("bn_scale", "bn_bias", "bias"),
                "no_bn_bias_depthwise": ("bn_scale", "bn_bias", "bias", "depthwise")}
    return kind not in excluded[mask]


def make_optimizer(example, run):
    decay = run["weight_decay"]
    if run["decay_mode"] == "decoupled" and run["opt"] == "sgd":
        raise ValueError("torch has no decoupled SGD")
    parameters = list(example.model.named_parameters())
    groups = [dict(params=[p for n, p in parameters if decays(n, run["decay_mask"])], weight_decay=decay),
              dict(params=[p for n, p in parameters if not decays(n, run["decay_mask"])], weight_decay=0.0)]
    groups = [group for group in groups if group["params"]]
    if run["opt"] == "rmsprop":
        assert run["opt_initial"] == 1.0
        return RMSpropTF(groups, lr=run["lr"][0], alpha=run["opt_alpha"], eps=run["opt_eps"], momentum=run["momentum"],
                         lr_in_momentum=run["lr_in_momentum"], decoupled_decay=run["decay_mode"] == "decoupled")
    if run["opt"] == "sgd":
        return torch.optim.SGD(groups, lr=run["lr"][0], momentum=run["momentum"], nesterov=run["nesterov"])
    assert run["decay_mode"] == "decoupled"
    return torch.optim.AdamW(groups, lr=run["lr"][0], betas=tuple(run["opt_betas"]), eps=run["opt_eps"])


SLOTS = {"rmsprop": ["square_avg", "momentum_buffer"], "sgd": ["momentum_buffer"], "adamw": ["exp_avg", "exp_avg_sq"]}


def train(config, dtype, run):
    """Five steps; returns losses and final tensors by quantity."""
    example = Example(config, dtype)
    optimizer = make_optimizer(example, run)
    ema = ModelEmaV2(example.model)
    losses = []
    for step in range(STEPS):
        example.model.train()
        _, loss = example.loss(step, run["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = run["lr"][step]
        optimizer.step()
        done = step + 1  # TensorFlow's num_updates: the global step after its increment
        ema.decay = run["model_ema_decay"]
        if run["model_ema_warmup"]:
            ema.decay = min(ema.decay, (1 + done) / (10 + done))
        ema.update(example.model)
        losses.append(loss.item())
    final = {"parameters": example.parameters(), "ema_parameters": dict(ema.module.named_parameters())}
    by_name = dict(example.model.named_parameters())
    for i, slot in enumerate(SLOTS[run["opt"]]):
        final[f"slot_{i}"] = {name: optimizer.state[by_name[name]][slot] for name in example.names}
    final["statistics"] = example.statistics()
    final["ema_statistics"] = example.statistics(ema.module)
    final = {quantity: {name: value.detach().numpy() for name, value in tensors.items()}
             for quantity, tensors in final.items()}
    return example, losses, final


def numpy_of(tensors):
    return {name: value.detach().numpy() for name, value in tensors.items()}


def make_case(name, case):
    config = case["model"]
    exact, rounded = Example(config, torch.float64), Example(config, torch.float32)
    model_parameters = dict(rounded.model.named_parameters())
    state = rounded.model.state_dict()
    document = {
        "case": name,
        "made_by": f"make_timm.py: timm {timm.__version__}, torch {torch.__version__.split('+')[0]}",
        "model": config,
        "checksum": {
            "parameters": formula.checksum(formula.initial(n, tuple(p.shape)) for n, p in model_parameters.items()),
            "statistics": formula.checksum(formula.initial(n, tuple(state[n].shape)) for n in rounded.statistic_names),
            "images": formula.checksum([formula.images(0, config["batch"], config["resolution"], config.get("in_chans", 3))]),
        },
        "parameters": [[n, *p.shape] for n, p in model_parameters.items()],
        "statistics": [[n, *state[n].shape] for n in rounded.statistic_names],
    }
    with torch.no_grad():
        exact.model.eval()
        rounded.model.eval()
        document["evaluation"] = {
            "logits": formula.describe("logits", exact.forward(0).numpy(), rounded.forward(0).numpy(), 40)}
    if case["runs"] is not None:
        exact.model.train()
        rounded.model.train()
        (logits, loss), (rounded_logits, rounded_loss) = exact.loss(0, 0.1), rounded.loss(0, 0.1)
        loss.backward()
        rounded_loss.backward()
        document["training"] = {
            "smoothing": 0.1,
            "logits": formula.describe("logits", logits.detach().numpy(), rounded_logits.detach().numpy(), 40),
            "loss": formula.scalar(loss.item(), rounded_loss.item()),
            "gradients": formula.describe_all(exact.names, numpy_of(exact.gradients()), numpy_of(rounded.gradients()),
                                              formula.GRADIENT_SAMPLES),
            "statistics": formula.describe_all(exact.statistic_names, numpy_of(exact.statistics()),
                                               numpy_of(rounded.statistics()), formula.OTHER_SAMPLES),
        }
    document["runs"] = []
    for run in case["runs"] or []:
        example, losses, final = train(config, torch.float64, run)
        _, rounded_losses, rounded_final = train(config, torch.float32, run)
        result = {"recipe": run, "losses": [formula.scalar(a, b) for a, b in zip(losses, rounded_losses)]}
        for quantity in final:
            names = example.statistic_names if "statistics" in quantity else example.names
            result[quantity] = formula.describe_all(names, final[quantity], rounded_final[quantity],
                                                    formula.OTHER_SAMPLES)
        document["runs"].append(result)
        print(f"{name} {run['opt']}: losses {' '.join(f'{v:.5f}' for v in losses)}")
    path = pathlib.Path(__file__).with_name(name + ".json")
    formula.write(path, document)
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:] or CASES:
        make_case(wanted, CASES[wanted])
