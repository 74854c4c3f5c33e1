#!/usr/bin/env python3
"""Predictions and latency wherever a model is served, side by side: the program, the C library, the exported C, ONNX Runtime
and OpenVINO, pictures in and probabilities out in each.

    bench/serving.py WEIGHTS.safetensors PICTURES... [--build build] [--rounds 30] [--calibrate DIR]

First every picture through each: the largest distance of a probability from the program's. Then one picture at a time, one
thread each, in turn: each round runs every contender once on the same decoded picture, in processor time, so that what else
the machine does weighs little, and on all alike; medians, and the median of each round's ratio to the C library. `network` rows have the network alone,
prepared input in, logits out. `bytes` rows, with --calibrate, are of `effnet export --dtype int8 --calibrate DIR`. Needs numpy, pillow, onnxruntime and openvino, a C compiler, and build/libeffnet.so.

SPDX-License-Identifier: Apache-2.0"""

import argparse, ctypes, json, pathlib, statistics, subprocess, tempfile, time

import numpy as np
import onnxruntime
import openvino
from PIL import Image


class Picture(ctypes.Structure):
    _fields_ = [("path", ctypes.c_char_p), ("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("pixels", ctypes.c_void_p), ("height", ctypes.c_int), ("width", ctypes.c_int), ("stride", ctypes.c_size_t)]


class Outputs(ctypes.Structure):  # as much of effnet_outputs as is used
    _fields_ = [("struct_size", ctypes.c_size_t), ("predictions", ctypes.c_void_p), ("top", ctypes.c_int),
                ("probabilities", ctypes.c_void_p), ("logits", ctypes.c_void_p)]


class ModelOptions(ctypes.Structure):  # as much of effnet_model_options as is used
    _fields_ = [("struct_size", ctypes.c_size_t), ("num_classes", ctypes.c_int), ("resolution", ctypes.c_int),
                ("threads", ctypes.c_int)]


class Library:
    """The C library by ctypes."""

    def __init__(self, path, weights):
        self.lib = ctypes.CDLL(str(path))
        self.model, self.error = ctypes.c_void_p(), ctypes.create_string_buffer(600)
        options = ModelOptions(ctypes.sizeof(ModelOptions), 0, 0, 1)
        self.must(self.lib.effnet_model_open(str(weights).encode(), ctypes.byref(options), ctypes.byref(self.model), self.error))
        self.classes = self.lib.effnet_model_classes(self.model)
        self.side = self.lib.effnet_model_resolution(self.model)

    def must(self, status):
        if status:
            raise RuntimeError(self.error.raw[4:].split(b"\0")[0].decode())

    @staticmethod
    def picture(pixels):
        return Picture(pixels=pixels.ctypes.data, height=pixels.shape[0], width=pixels.shape[1])

    def predict(self, pixels):
        out = np.empty(self.classes, np.float32)
        picture, outputs = self.picture(pixels), Outputs(ctypes.sizeof(Outputs), probabilities=out.ctypes.data)
        self.must(self.lib.effnet_run(self.model, ctypes.byref(picture), 1, ctypes.byref(outputs), self.error))
        return out

    def prepare(self, pixels):
        out = np.empty((1, self.side, self.side, 3), np.float32)
        picture = self.picture(pixels)
        self.must(self.lib.effnet_prepare(self.model, ctypes.byref(picture), ctypes.c_void_p(out.ctypes.data), self.error))
        return out

    def logits(self, prepared):
        out = np.empty(self.classes, np.float32)
        self.must(self.lib.effnet_logits(self.model, ctypes.c_void_p(prepared.ctypes.data), 1, ctypes.c_void_p(out.ctypes.data),
                                         self.error))
        return out


def onnx_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def openvino_model(path):
    core = openvino.Core()
    return core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1,
                                                             "PERFORMANCE_HINT": "LATENCY"})


def exported_c(folder, weights, run, classes):
    run("export", weights, folder / "mine.c")
    subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "-o", folder / "mine.so", folder / "mine.c", "-lm"], check=True)
    lib = ctypes.CDLL(str(folder / "mine.so"))

    def predict(pixels):
        out = np.empty(classes, np.float32)
        if lib.mine_predict(ctypes.c_void_p(pixels.ctypes.data), pixels.shape[0], pixels.shape[1], ctypes.c_void_p(out.ctypes.data)):
            raise RuntimeError("mine_predict failed")
        return out

    return predict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weights")
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--rounds", default=30, type=int)
    parser.add_argument("--calibrate", type=pathlib.Path)
    arguments = parser.parse_args()
    weights, build = pathlib.Path(arguments.weights).resolve(), arguments.build.resolve()

    def run(*command):
        return subprocess.run([build / "effnet", *command], check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        library = Library(build / "libeffnet.so", weights)
        run("export", weights, folder / "whole.onnx", "--preprocessing")
        run("export", weights, folder / "bare.onnx")
        session, vino = onnx_session(folder / "whole.onnx"), openvino_model(folder / "whole.onnx")
        bare, bare_vino = onnx_session(folder / "bare.onnx"), openvino_model(folder / "bare.onnx")
        whole = {
            "C library": library.predict,
            "exported C": exported_c(folder, weights, run, library.classes),
            "ONNX Runtime " + onnxruntime.__version__: lambda x: session.run(["probabilities"], {"image": x[None]})[0][0],
            "OpenVINO " + openvino.__version__.split("-")[0]: lambda x: vino({"image": x[None]})["probabilities"][0],
        }
        network = {
            "C library, network": lambda x: library.logits(x[0]),
            "ONNX Runtime, network": lambda x: bare.run(["logits"], {"input": x[1]})[0][0],
            "OpenVINO, network": lambda x: bare_vino({"input": x[1]})["logits"][0],
        }
        if arguments.calibrate:
            options = ("--dtype", "int8", "--calibrate", arguments.calibrate, "--allow-loss")
            run("export", weights, folder / "whole_bytes.onnx", "--preprocessing", *options)
            run("export", weights, folder / "bare_bytes.onnx", *options)
            byte_session, byte_vino = onnx_session(folder / "whole_bytes.onnx"), openvino_model(folder / "whole_bytes.onnx")
            bare_bytes, bare_byte_vino = onnx_session(folder / "bare_bytes.onnx"), openvino_model(folder / "bare_bytes.onnx")
            whole["ONNX Runtime, bytes"] = lambda x: byte_session.run(["probabilities"], {"image": x[None]})[0][0]
            whole["OpenVINO, bytes"] = lambda x: byte_vino({"image": x[None]})["probabilities"][0]
            network["ONNX Runtime, network, bytes"] = lambda x: bare_bytes.run(["logits"], {"input": x[1]})[0][0]
            network["OpenVINO, network, bytes"] = lambda x: bare_byte_vino({"input": x[1]})["logits"][0]
        lines = run("predict", weights, *arguments.pictures, "--topk", str(library.classes), "--jsonl").splitlines()
        told = [json.loads(line) for line in lines]
        worst, other_first, pixels = dict.fromkeys(whole, 0.0), dict.fromkeys(whole, 0), []
        for line in told:
            wanted = np.zeros(library.classes, np.float64)
            for row in line["topk"]:
                wanted[row["index"]] = row["score"]
            pixels.append(np.asarray(Image.open(line["image"]).convert("RGB")))
            for who, predict in whole.items():
                got = predict(pixels[-1])
                worst[who] = max(worst[who], float(np.abs(got - wanted).max()))
                other_first[who] += int(got.argmax()) != line["topk"][0]["index"]
        print(f"{len(told)} pictures, the largest distance of a probability from the program's; pictures with another first class:")
        for who in whole:
            print(f"  {who:28} {worst[who]:.1e}  {other_first[who]}")
        times = {who: [] for who in (*whole, *network)}
        for turn in range(arguments.rounds + 3):
            picture = pixels[turn % len(pixels)]
            prepared = library.prepare(picture)
            inputs = (prepared, np.ascontiguousarray(prepared.transpose(0, 3, 1, 2)))
            for who, predict in (*whole.items(), *network.items()):
                begin = time.process_time()
                predict(inputs if who in network else picture)
                if turn >= 3:
                    times[who].append(time.process_time() - begin)
        print(f"{arguments.rounds} rounds, one picture, one thread: median and least ms of processor time, median of the ratio to the C library's time in the same round")
        for who in times:
            base = times["C library, network" if who in network else "C library"]
            ratio = statistics.median(mine / its for mine, its in zip(times[who], base))
            print(f"  {who:28} {1000 * statistics.median(times[who]):7.1f} {1000 * min(times[who]):7.1f}  {ratio:.2f}")


main()
