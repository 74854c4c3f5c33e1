#!/usr/bin/env python3
"""ONNX Runtime gives the same logits: check_onnx.py FILE.onnx LOGITS.safetensors...

LOGITS holds `images` (N, H, W, 3) and `logits` (N, classes) of effnet. The file must pass ONNX's own checker (where the
package is installed), run with batches of N and of 1, and give the logits within 1e-4 of the largest. Exit status 77
where onnxruntime is missing. Called by test_onnx.c.

SPDX-License-Identifier: Apache-2.0"""

import sys

try:
    import numpy as np
    import onnxruntime
    from safetensors.numpy import load_file
except ImportError as error:
    print(f"skipped: {sys.executable}: {error}; pip install -r tests/golden/requirements.txt")
    sys.exit(77)


def check(path, given):
    try:
        import onnx

        onnx.checker.check_model(onnx.load(path), full_check=True)
    except ImportError:
        print("onnx is not installed: its checker was not asked")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tensors = load_file(given)
    images, wanted = tensors["images"].transpose(0, 3, 1, 2), tensors["logits"]
    together = session.run(["logits"], {"input": np.ascontiguousarray(images)})[0]
    alone = np.concatenate([session.run(["logits"], {"input": np.ascontiguousarray(images[i:i + 1])})[0]
                            for i in range(len(images))])
    worst = max(float(np.abs(got - wanted).max() / np.abs(wanted).max()) for got in (together, alone))
    nodes = session.get_modelmeta().custom_metadata_map["effnet.model"]
    print(f"{nodes} in ONNX Runtime {onnxruntime.__version__}: largest difference {worst:.1e} of the largest logit")
    return worst <= 1e-4


files = sys.argv[1:]
sys.exit(0 if all([check(*pair) for pair in zip(files[::2], files[1::2], strict=True)]) else 1)
