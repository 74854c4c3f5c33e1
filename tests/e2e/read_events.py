"""Reads a run's event files by TensorBoard's own reader and holds them against log.jsonl: read_events.py RUN"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = sys.argv[1]
events = EventAccumulator(run, size_guidance={"images": 0, "scalars": 0})
events.Reload()
with open(run + "/log.jsonl") as log:
    lines = [json.loads(line) for line in log]
intervals = [line for line in lines if "ends_epoch" not in line]
for tag, key, of in (("loss/train", "loss", intervals), ("rate/lr", "lr", intervals),
                     ("norm/gradient", "gradient_norm", intervals), ("norm/update", "update_norm", intervals),
                     ("accuracy/ema_top1", "ema_top1", [line for line in lines if "ema_top1" in line])):
    want = [(line["step"], line[key]) for line in of]
    got = [(event.step, event.value) for event in events.Scalars(tag)]
    assert [step for step, _ in got] == [step for step, _ in want], (tag, got, want)
    for (step, value), (_, wanted) in zip(got, want):
        assert abs(value - wanted) <= 1e-6 * abs(wanted), (tag, step, value, wanted)
images = events.Tags()["images"]
assert "confusion" in images and any(tag.startswith("mistakes/01: ") for tag in images), images
for tag in images:
    assert events.Images(tag)[0].encoded_image_string[:3] == b"\xff\xd8\xff", tag
print("ok:", len(intervals), "intervals,", len(images), "pictures")
