"""What effnet finetune is measured against (docs/finetune.md): a linear probe and a fine-tuning by timm's usual settings.

    python3 bench/finetune.py probe|timm PICTURES WEIGHTS [--seed N] [--epochs N] [--resolution N]

PICTURES has train/CLASS and val/CLASS, WEIGHTS are efficientnet_lite0's by timm's names (effnet import writes such).
probe: logistic regression on the pooled features of the evaluation's preprocessing, every picture once; its l2 by a
cross-validation of five folds on the training pictures. timm: all weights, AdamW 5e-4 for the classifier and the rest
alike, weight decay 0.05, batch 32, cosine with one epoch of warm-up, RandAugment rand-m9-mstd0.5-inc1, label smoothing
0.1, erasing 0.25: what timm's documentation and its fine-tuned models' cards show. One line of JSON: the last epoch's and
the best epoch's accuracy, and minutes. Needs torch, timm 1.0.31 and a Pillow below 12: later ones refuse the posterizing to 0 bits that
this RandAugment asks for."""
import argparse
import json
import time

import torch
import timm
from safetensors.torch import load_file
from timm.data import create_dataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2

DATA = dict(interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, num_workers=0, use_prefetcher=False, persistent_workers=False)


def model_of(weights, classes):
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(load_file(weights))
    model.reset_classifier(classes)
    return model


def loader_of(folder, split, args, training):
    dataset = create_dataset("", root=folder, split=split, is_training=training)
    augment = dict(auto_augment="rand-m9-mstd0.5-inc1", re_prob=0.25, re_mode="pixel") if training else dict(crop_pct=0.875)
    return create_loader(dataset, (3, args.resolution, args.resolution), args.batch if training else 64,
                         is_training=training, **augment, **DATA, device=torch.device("cpu")), dataset


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    right = count = 0
    for x, y in loader:
        right += (model(x).argmax(1) == y).sum().item()
        count += len(y)
    return 100 * right / count


@torch.no_grad()
def features(model, loader):
    model.eval()
    rows = [(model(x), y) for x, y in loader]
    return torch.cat([x for x, _ in rows]).double(), torch.cat([y for _, y in rows])


def logistic(x, y, classes, l2):
    weight = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight + bias, y) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return lambda z: (z @ weight + bias).detach()


def probe(args):
    evaluating = [loader_of(args.pictures, split, args, False)[0] for split in ("train", "val")]
    model = model_of(args.weights, 0)
    (x, y), (held, wanted) = (features(model, loader) for loader in evaluating)
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, held = (x - mean) / std, (held - mean) / std
    classes = int(y.max()) + 1
    fold = torch.randperm(len(y), generator=torch.Generator().manual_seed(args.seed)) % 5
    losses = {}
    for l2 in (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
        losses[l2] = sum(torch.nn.functional.cross_entropy(
            logistic(x[fold != f], y[fold != f], classes, l2)(x[fold == f]), y[fold == f], reduction="sum").item() for f in range(5))
    l2 = min(losses, key=losses.get)
    got = (logistic(x, y, classes, l2)(held).argmax(1) == wanted).double().mean().item()
    return dict(last=100 * got, best=100 * got, l2=l2)


def fine_tune(args):
    training, dataset = loader_of(args.pictures, "train", args, True)
    evaluating, _ = loader_of(args.pictures, "val", args, False)
    model = model_of(args.weights, len(dataset.reader.class_to_idx))
    optimizer = create_optimizer_v2(model, opt="adamw", lr=args.lr, weight_decay=0.05)
    steps, warmup = args.epochs * len(training), len(training)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: (n + 1) / warmup if n < warmup else
                                                 (1 + torch.cos(torch.tensor(torch.pi * (n - warmup) / max(1, steps - warmup))).item()) / 2)
    criterion, best = LabelSmoothingCrossEntropy(0.1), 0
    for _ in range(args.epochs):
        model.train()
        for x, y in training:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            schedule.step()
        last = accuracy(model, evaluating)
        best = max(best, last)
    return dict(last=last, best=best, epochs=args.epochs)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("method", choices=("probe", "timm"))
parser.add_argument("pictures")
parser.add_argument("weights")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--lr", type=float, default=5e-4)
parser.add_argument("--resolution", type=int, default=224)
arguments = parser.parse_args()
torch.manual_seed(arguments.seed)
timm.utils.random_seed(arguments.seed)
began = time.time()
result = (probe if arguments.method == "probe" else fine_tune)(arguments)
print(json.dumps(dict(method=arguments.method, seed=arguments.seed, **result, minutes=round((time.time() - began) / 60, 2))))
