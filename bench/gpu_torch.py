"""images/s of one training step of timm's EfficientNet in PyTorch, on the GPU where there is one.

    gpu_torch.py eager|compile BATCH fp32|bf16 [MODEL [RES [STEPS]]]       MODEL: default tf_efficientnet_b0

channels_last, autocast to bfloat16 for bf16, cuDNN's search for the fastest convolutions, label smoothing, dropout,
drop path, RMSProp with momentum in PyTorch's form for all tensors at once (foreach: faster than timm's loop over them);
averages of weights and statistics, as effnet's step has them. fp32: exact products, as effnet's; PRECISION=default lets the GPU round
them to tf32. Pictures and labels lie on the device. The time of STEPS steps in chunks of five, issued without waiting
inside a chunk; prints a JSON line with the median and the best chunk.

SPDX-License-Identifier: Apache-2.0"""
import json
import os
import sys
import time

import timm
import torch


def main():
    mode, batch, dtype = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    name = sys.argv[4] if len(sys.argv) > 4 else "tf_efficientnet_b0"
    resolution = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    steps = int(sys.argv[6]) if len(sys.argv) > 6 else 20
    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    precision = os.environ.get("PRECISION", "highest" if dtype == "fp32" else "default")
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "default"
    torch.backends.cuda.matmul.allow_tf32 = precision == "default"

    model = timm.create_model(name, num_classes=1000, drop_rate=.2, drop_path_rate=.2)
    resolution = resolution or model.default_cfg["input_size"][-1]
    model = model.to(device=device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4, alpha=.9, eps=1e-3, momentum=.9, weight_decay=1e-5,
                                    foreach=True)
    images = torch.randn(batch, 3, resolution, resolution, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (batch,), device=device)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=.1)
    forward = torch.compile(model) if mode == "compile" else model

    state = [t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    average = [t.detach().clone() for t in state]

    def wait():
        if gpu:
            torch.cuda.synchronize()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bf16"):
            loss = criterion(forward(images).float(), labels)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, [t.detach() for t in state], 1e-4)
        return loss

    started = time.perf_counter()
    for _ in range(5):
        step()
    wait()
    warm_s = time.perf_counter() - started
    chunk, times = min(5, steps), []
    for _ in range(max(1, steps // chunk)):
        started = time.perf_counter()
        for _ in range(chunk):
            loss = step()
        wait()
        times.append((time.perf_counter() - started) / chunk)
    times.sort()
    print(json.dumps({
        "peer": "torch-" + mode, "model": name, "res": resolution, "batch": batch, "dtype": dtype,
        "precision": precision, "images_per_s": round(batch / times[len(times) // 2], 1),
        "images_per_s_best": round(batch / times[0], 1), "ms_per_step": round(1e3 * times[len(times) // 2], 2),
        "compile_s": round(warm_s, 1), "device_mb": round(torch.cuda.max_memory_allocated() / 1e6) if gpu else 0,
        "loss": round(loss.item(), 4), "parameters": sum(p.numel() for p in model.parameters()),
        "device": torch.cuda.get_device_name() if gpu else "cpu"}), flush=True)


main()
