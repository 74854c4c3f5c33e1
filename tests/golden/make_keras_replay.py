#!/usr/bin/env python3
"""Fifty steps of Keras' EfficientNetB0 trained as TensorFlow's official code trains: make_keras_replay.py writes
keras_replay.json beside itself (a few minutes). Needs TensorFlow: requirements.txt.

The run is recipes/paper-b0.yaml made small: 64x64, batches of 8 (32 values a channel in the last batch norms), 10
classes, epochs of 10 steps. What tensorflow/tpu's main.py and utils.py (models/official/efficientnet at 7dc921f) call,
is called here, in their order:

  loss       tf.losses.softmax_cross_entropy with label smoothing, plus weight_decay * the sum of l2_loss of all
             variables but batch norm's
  rate       exponential_decay, a staircase from step 0; below warmup_steps rate * step / warmup_steps in its place
  update     tf.train.RMSPropOptimizer(rate, .9, .9, .001), whose mean square begins at 1
  average    tf.train.ExponentialMovingAverage(.9999, num_updates=the step behind the update), of weights and moving
             statistics, from the initial values

all of them TensorFlow's own (tf.compat.v1), run eagerly. Batch norm is Keras': momentum .99, eps .001, variance by n.
Weights, pictures and labels are golden_formula.py's, the masks golden_masks.py's, told to layers that stand in for
keras.layers.Dropout. In float64, with the distance of float32 from it (golden_formula.py, describe()).

SPDX-License-Identifier: Apache-2.0"""

import os
import pathlib
from unittest import mock

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras
import numpy as np
import tensorflow as tf
from keras.src.applications import efficientnet

import golden_formula as formula
from golden_masks import masks_of_step
from keras_names import ours, theirs, timm_name

SEED, STEPS, STEPS_PER_EPOCH, BATCH, SIDE, CLASSES = 42, 50, 10, 8, 64, 10
RATE, WARMUP_EPOCHS, DECAY_EPOCHS, DECAY_RATE = 1e-4, 1, 0.75, 0.9
SMOOTHING, WEIGHT_DECAY, EMA_DECAY = 0.1, 1e-2, 0.9999
RESIDUALS = 9


class GivenMask(keras.layers.Layer):
    """Stands in for keras.layers.Dropout: multiplies by a mask that it is told."""

    made = []

    def __init__(self, rate, noise_shape=None, name=None):
        super().__init__(name=name)
        self.rate, self.mask = rate, None
        GivenMask.made.append(self)

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def call(self, inputs, training=None):
        return inputs * tf.cast(self.mask, inputs.dtype) if training else inputs


def build():
    """The model and its masks: of each residual, then dropout's."""
    GivenMask.made = []
    with mock.patch.object(efficientnet.layers, "Dropout", GivenMask):
        model = efficientnet.EfficientNetB0(weights=None, classes=CLASSES, input_shape=(SIDE, SIDE, 3),
                                            classifier_activation=None)
    assert len(GivenMask.made) == RESIDUALS + 1
    return model, GivenMask.made


def fill(variables):
    for name, variable in variables.items():
        shape = ours(name, np.empty(variable.shape)).shape
        variable.assign(theirs(name, formula.initial(name, shape)))


def rate_of(step):
    """utils.py, build_learning_rate and its warm-up."""
    decayed = tf.compat.v1.train.exponential_decay(RATE, tf.constant(step), STEPS_PER_EPOCH * DECAY_EPOCHS, DECAY_RATE,
                                                   staircase=True)()
    warmup_steps = int(WARMUP_EPOCHS * STEPS_PER_EPOCH)
    return RATE * step / warmup_steps if step < warmup_steps else float(decayed)


def train(dtype):
    """Losses, gradient norms, rates and final tensors by quantity."""
    keras.backend.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    model, masks = build()
    trainable = {timm_name(v.path): v.value for v in model.trainable_variables}
    moving = {timm_name(v.path): v.value for v in model.non_trainable_variables if "moving" in v.path}
    fill(trainable)
    fill(moving)
    decayed = [v for name, v in trainable.items() if not formula.role(name).startswith("bn_")]
    step_variable = tf.Variable(0, dtype=tf.int64)
    rate = tf.Variable(0.0, dtype=dtype)
    optimizer = tf.compat.v1.train.RMSPropOptimizer(lambda: rate, 0.9, momentum=0.9, epsilon=0.001)
    average = tf.train.ExponentialMovingAverage(EMA_DECAY, num_updates=step_variable)
    averaged = list(trainable.values()) + list(moving.values())
    average.apply(averaged)  # makes the averages, of the initial values; TensorFlow 1 makes them before the first step

    def gradients(pictures, labels):
        with tf.GradientTape(persistent=True) as tape:
            logits = model(pictures, training=True)
            loss = tf.compat.v1.losses.softmax_cross_entropy(tf.one_hot(labels, CLASSES, dtype=logits.dtype), logits,
                                                             label_smoothing=SMOOTHING, loss_collection=None)
            total = loss + WEIGHT_DECAY * tf.add_n([tf.nn.l2_loss(v) for v in decayed])
        variables = list(trainable.values())
        return loss, tape.gradient(loss, variables), tape.gradient(total, variables)

    losses, norms, rates = [], [], []
    for step in range(STEPS):
        *paths, dropout = masks
        told = masks_of_step(SEED, step, BATCH, [1 - path.rate for path in paths], 1280, 1 - dropout.rate)
        for path, mask in zip(paths, told[0], strict=True):
            path.mask = mask.reshape(BATCH, 1, 1, 1)
        dropout.mask = told[1]
        pictures = formula.images(step, BATCH, SIDE).astype(dtype) * 255  # the model divides them by 255
        loss, plain, total = gradients(tf.constant(pictures), formula.labels(step, BATCH, CLASSES))
        losses.append(float(loss))
        norms.append(float(np.sqrt(sum(np.sum(np.square(np.asarray(g, np.float64))) for g in plain))))
        rates.append(rate_of(step))
        rate.assign(rates[-1])
        optimizer.apply_gradients(zip(total, trainable.values()))
        step_variable.assign_add(1)
        average.apply(averaged)
        print(f"{dtype} {step} lr {rates[-1]:.6g} loss {losses[-1]:.7f} norm {norms[-1]:.5f}", flush=True)
    final = {"parameters": trainable, "statistics": moving,
             "ema_parameters": {name: average.average(v) for name, v in trainable.items()},
             "ema_statistics": {name: average.average(v) for name, v in moving.items()}}
    for i, slot in enumerate(("rms", "momentum")):
        final[f"slot_{i}"] = {name: optimizer.get_slot(v, slot) for name, v in trainable.items()}
    return losses, norms, rates, {quantity: {name: ours(name, value) for name, value in tensors.items()}
                                  for quantity, tensors in final.items()}


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    float_losses, _, _, rounded = train("float32")
    losses, norms, rates, final = train("float64")
    assert float_losses != losses, "Keras computed in float32 twice"

    def digits(values):
        return [float(f"{value:.9g}") for value in values]

    document = {
        "made_by": f"make_keras_replay.py: keras {keras.__version__}, tensorflow {tf.__version__}",
        "parameters": [[name, *values.shape] for name, values in final["parameters"].items()],
        "statistics": [[name, *values.shape] for name, values in final["statistics"].items()],
        "run": {"lr": digits(rates), "losses": digits(losses), "gradient_norms": digits(norms),
                "float_losses": digits(float_losses)},
    }
    for quantity, tensors in final.items():
        document["run"][quantity] = formula.describe_all(tensors, tensors, rounded[quantity], formula.OTHER_SAMPLES)
    print(f"float32 and float64: losses {max(abs(a / b - 1) for a, b in zip(float_losses, losses)):.1e} apart")
    formula.write(pathlib.Path(__file__).with_name("keras_replay.json"), document)


if __name__ == "__main__":
    main()
