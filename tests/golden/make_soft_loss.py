"""PyTorch's cross-entropy on mixed targets: tests/golden/soft_loss.txt, read by tests/unit/train/test_loss.c.

    python tests/golden/make_soft_loss.py > tests/golden/soft_loss.txt        (versions: requirements.txt)

Targets by timm's mixup_target, the loss by timm's SoftTargetCrossEntropy. One case: share of each image, smoothing; labels;
others; logits; the loss; the gradient of the logits.
"""
import torch
from timm.loss import SoftTargetCrossEntropy

BATCH, CLASSES = 4, 6
torch.manual_seed(5)
print("# made by make_soft_loss.py with PyTorch", torch.__version__)
for smoothing in (0.0, 0.1):
    shares = torch.tensor([0.3, 1.0, 0.0, 0.85], dtype=torch.float32)
    labels = torch.tensor([0, 5, 2, 3])
    others = labels.flip(0).clone()
    others[3] = 3  # the same class twice
    logits = (3 * torch.randn(BATCH, CLASSES)).requires_grad_()
    off, on = smoothing / CLASSES, 1 - smoothing + smoothing / CLASSES
    first = torch.full((BATCH, CLASSES), off).scatter_(1, labels[:, None], on)
    second = torch.full((BATCH, CLASSES), off).scatter_(1, others[:, None], on)
    target = first * shares[:, None] + second * (1 - shares[:, None])
    loss = SoftTargetCrossEntropy()(logits, target)
    loss.backward()
    print(smoothing, *[f"{s:.9g}" for s in shares.tolist()])
    print(*labels.tolist())
    print(*others.tolist())
    print(*[f"{v:.9g}" for v in logits.flatten().tolist()])
    print(f"{loss.item():.9g}")
    print(*[f"{v:.9g}" for v in logits.grad.flatten().tolist()])
