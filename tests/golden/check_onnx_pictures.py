#!/usr/bin/env python3
"""ONNX Runtime, and OpenVINO where it is installed, give effnet's probabilities for pictures:
check_onnx_pictures.py MODEL.onnx PREDICTIONS.jsonl PICTURE...

MODEL is of `effnet export --preprocessing`, PREDICTIONS of `effnet predict --jsonl` for the same pictures with every
class; prints the largest distance of a probability, and for the golden picture in the file's metadata that of a logit as a
share of the largest. Exit status 77 where onnxruntime is missing. Called by test_onnx_pictures.sh.

SPDX-License-Identifier: Apache-2.0"""

import base64, io, json, sys

try:
    import numpy as np
    import onnxruntime
    from PIL import Image
except ImportError as error:
    print(f"skipped: {sys.executable}: {error}")
    sys.exit(77)


def runtimes(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # not that a constant became part of another
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    channels = session.get_inputs()[0].shape[3]
    metadata = session.get_modelmeta().custom_metadata_map
    yield "ONNX Runtime " + onnxruntime.__version__, lambda x: session.run(["probabilities", "logits"], {"image": x}), metadata, channels
    try:
        import openvino
    except ImportError:
        return
    core = openvino.Core()
    model = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    yield "OpenVINO " + openvino.__version__.split("-")[0], lambda x: list(model({"image": x}).values()), metadata, channels


def pixels(source, channels):
    if channels == 1:
        return np.asarray(Image.open(source).convert("RGB").convert("L"))[:, :, None]
    return np.asarray(Image.open(source).convert("RGB"))


path, predictions, pictures = sys.argv[1], [json.loads(line) for line in open(sys.argv[2])], sys.argv[3:]
assert len(predictions) == len(pictures) > 0
worst = 0
for name, run, metadata, channels in runtimes(path):
    distance = 0
    for file, wanted in zip(pictures, predictions):
        got = run(pixels(file, channels)[None])[0][0]
        assert len(got) == len(wanted["topk"])
        for row in wanted["topk"]:
            distance = max(distance, abs(float(got[row["index"]]) - row["score"]))
    first = pixels(pictures[0], channels)
    pair = run(np.stack([first, first[::-1, ::-1]]))[0]  # a batch is its pictures, one by one
    for row, picture in zip(pair, (first, first[::-1, ::-1])):
        distance = max(distance, float(np.abs(row - run(picture[None])[0][0]).max()))
    golden = np.array(json.loads(metadata["effnet.golden_logits"]))
    logits = run(pixels(io.BytesIO(base64.b64decode(metadata["effnet.golden_picture"])), channels)[None])[1][0]
    share = float(np.abs(logits - golden).max() / max(np.abs(golden).max(), 1))
    print(f"{name}: {len(pictures)} pictures, probabilities within {distance:.1e}, golden logits within {share:.1e}")
    worst = max(worst, distance, share) if distance == distance and share == share else float("inf")
print(worst)
