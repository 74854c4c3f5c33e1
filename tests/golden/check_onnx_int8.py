"""An ONNX file of int8 in ONNX Runtime, and one of calibrated bytes in OpenVINO too, where that is installed: its golden
picture's logits, and pictures beside the fp32 file's logits.

    check_onnx_int8.py INT8.onnx FP32.onnx PICTURE...

Fails where the golden logits are not those of the metadata within 3 % of their largest, where a batch changes a picture's
logits, or where int8's error is none (then no bytes were multiplied) or above 12 % of the logits' root mean square. Of
calibrated bytes 30 % and 30 %: between the steps of a network that is hardly trained, as the test's, a last digit decides;
with Lite0's ImageNet weights they are 3 % and 10 %."""
import base64
import io
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

try:
    import onnx
except ImportError:
    onnx = None
try:
    import openvino
except ImportError:
    openvino = None

sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in sys.argv[1:3]]


def logits(session, pictures):
    return session.run(["logits"], {"image": pictures})[0].astype(np.float64)


card = sessions[0].get_modelmeta().custom_metadata_map
calibrated = {"int8": False, "int8_static": True}[card["effnet.dtype"]]
most_golden, most_error = (0.3, 0.3) if calibrated else (0.03, 0.12)
golden = np.asarray(Image.open(io.BytesIO(base64.b64decode(card["effnet.golden_picture"]))))[None]
wanted = np.array(json.loads(card["effnet.golden_logits"]))
far = np.abs(logits(sessions[0], golden)[0] - wanted).max()
print(f"golden: within {far:.5f}, the largest {np.abs(wanted).max():.4f}")
assert far <= most_golden * np.abs(wanted).max()
if calibrated:
    if onnx:
        operators = [node.op_type for node in onnx.load(sys.argv[1]).graph.node]
        assert operators.count("QuantizeLinear") > operators.count("Conv") > 0
    if openvino:
        core = openvino.Core()
        model = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        far = np.abs(model({"image": golden})["logits"][0] - wanted).max()
        print(f"golden in OpenVINO: within {far:.5f}")
        assert far <= most_golden * np.abs(wanted).max()

pictures = [np.asarray(Image.open(path).convert("RGB"))[:200, :300] for path in sys.argv[3:]]
pictures = np.stack([picture for picture in pictures if picture.shape == (200, 300, 3)])
assert len(pictures) >= 5
chosen, plain = (logits(session, pictures) for session in sessions)
alone = np.concatenate([logits(sessions[0], picture[None]) for picture in pictures])
together = np.abs(chosen - alone).max()
error = np.sqrt(((chosen - plain) ** 2).mean() / (plain ** 2).mean())
print(f"{len(pictures)} pictures: together or alone within {together:.6f}; int8's error {100 * error:.2f} % of the fp32 logits")
assert together <= 0.02 * np.abs(plain).max()
assert 1e-5 < error < most_error
