"""PyTorch's binary cross-entropy and focal loss: tests/golden/binary_loss.txt, read by tests/unit/train/test_loss.c.

    python tests/golden/make_binary_loss.py > tests/golden/binary_loss.txt        (versions: requirements.txt)

Targets by timm's mixup_target, losses by timm's BinaryCrossEntropy and torchvision's sigmoid_focal_loss. One case: which
(1 binary, 2 focal), smoothing, sum over classes, threshold, gamma, alpha; share of each image; labels; others; logits; the
loss; the gradient of the logits.
"""
import torch
from timm.loss import BinaryCrossEntropy
from torchvision.ops import sigmoid_focal_loss

BATCH, CLASSES = 4, 6
torch.manual_seed(7)
print("# made by make_binary_loss.py with PyTorch", torch.__version__)
for kind, smoothing, total, threshold, gamma, alpha in (
        (1, 0.0, 0, 0.0, 2, 0.25), (1, 0.1, 0, 0.0, 2, 0.25), (1, 0.1, 1, 0.2, 2, 0.25), (2, 0.0, 1, 0.0, 2, 0.25),
        (2, 0.1, 0, 0.0, 2, -1), (2, 0.1, 0, 0.2, 0.5, 0.75), (2, 0.0, 0, 0.0, 0, -1)):
    shares = torch.tensor([0.3, 1.0, 0.0, 0.85], dtype=torch.float32)
    labels = torch.tensor([0, 5, 2, 3])
    others = labels.flip(0).clone()
    others[3] = 3  # the same class twice
    logits = (4 * torch.randn(BATCH, CLASSES)).requires_grad_()
    off, on = smoothing / CLASSES, 1 - smoothing + smoothing / CLASSES
    first = torch.full((BATCH, CLASSES), off).scatter_(1, labels[:, None], on)
    second = torch.full((BATCH, CLASSES), off).scatter_(1, others[:, None], on)
    target = first * shares[:, None] + second * (1 - shares[:, None])
    if kind == 1:
        loss = BinaryCrossEntropy(smoothing=0, target_threshold=threshold or None, sum_classes=bool(total))(logits, target)
    else:
        if threshold:
            target = target.gt(threshold).float()
        loss = sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma)
        loss = loss.sum(-1).mean() if total else loss.mean()
    loss.backward()
    print(kind, smoothing, total, threshold, gamma, alpha)
    print(*[f"{s:.9g}" for s in shares.tolist()])
    print(*labels.tolist())
    print(*others.tolist())
    print(*[f"{v:.9g}" for v in logits.flatten().tolist()])
    print(f"{loss.item():.9g}")
    print(*[f"{v:.9g}" for v in logits.grad.flatten().tolist()])
