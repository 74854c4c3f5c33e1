#!/usr/bin/env python3
"""Is what we write what timm reads, and the other way round? (timm 1.0.31, torch 2.15)

check_timm_load.py FILE...      loads each of our weight files into timm, strictly and by timm's own loader, runs the
                                images of FILE.logits (safetensors: images NHWC, logits) and compares the logits
check_timm_load.py --make FILE  the reverse: a timm model with random weights as timm users save it, and FILE.logits

Exit status 77 where timm is not installed, 1 where anything differs. Called by tests/golden/test_timm_load.c."""
import sys

try:
    import timm
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, load_model, save_file
except ImportError as error:
    print(f"skipped: {sys.executable} cannot import timm, torch and safetensors: {error}")
    sys.exit(77)

torch.set_num_threads(1)


def run(model, images_nhwc):
    model.eval()
    with torch.no_grad():
        return model(images_nhwc.permute(0, 3, 1, 2).contiguous())


def check(path):
    with safe_open(path, "pt") as file:
        card = file.metadata()
    assert card["format"] == "pt", card
    name = ("tf_" if card["effnet.padding"] == "same" else "") + card["effnet.model"]
    options = dict(num_classes=int(card["effnet.num_classes"]), bn_eps=float(card["effnet.bn_eps"]))
    model = timm.create_model(name, **options)
    model.load_state_dict(load_file(path), strict=True)
    given = load_file(path + ".logits")
    want, got = given["logits"].double(), run(model, given["images"]).double()
    scale, difference = want.abs().max(), (got - want).abs()
    worst = difference.max()
    print(f"{name}: largest difference {worst:.2e} of logits up to {scale:.2e}")
    if not worst <= 1e-4 * scale:
        place = divmod(int(difference.argmax()), want.shape[1])
        print(f"FAIL {path}: image, class {place}: timm {got[place]:.7g}, effnet {want[place]:.7g}")
        return False
    # the loaders that people use
    again = timm.create_model(name, checkpoint_path=path, **options)
    missing, unexpected = load_model(timm.create_model(name, **options), path, strict=True)
    if missing or unexpected or not torch.equal(run(again, given["images"]).double(), got):
        print(f"FAIL {path}: timm's checkpoint_path or safetensors' load_model read other weights")
        return False
    return True


def make(path):
    torch.manual_seed(3)
    model = timm.create_model("tf_efficientnet_b0", num_classes=11)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    images = torch.randn(3, 64, 64, 3)
    save_file(model.state_dict(), path, metadata={"format": "pt"})
    save_file({"images": images, "logits": run(model, images)}, path + ".logits")


if sys.argv[1] == "--make":
    make(sys.argv[2])
else:
    sys.exit(0 if all([check(path) for path in sys.argv[1:]]) else 1)
