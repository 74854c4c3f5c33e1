#!/usr/bin/env bash
# switches.sh - the first steps with the defaults and with each switch of docs/reproducing.md flipped, as a table.
#
#   tools/switches.sh CIFAR10 [EXPERIMENT]...        CIFAR10/train/CLASS/*.jpg, CIFAR10/test/CLASS/*.jpg
#
# EfficientNet-B0 at 32x32 on 1,000 training and 1,000 test pictures (the first 100 of each class, by name), batches of
# 64: 4 epochs of 15 steps, one of them warm-up, the rate times 0.97 every 7.5 steps. Columns: the first step whose loss is
# not the default's and by how much; the mean loss of ten steps each; the accuracy of raw and averaged weights at the end;
# what the program said where it stopped. EXPERIMENT: names of the first column; all without. SEED=N; EFFNET, THREADS,
# RUNNER: switch_common.sh. Sixty steps show what a switch touches and how soon; they say nothing about the accuracy of a
# whole run: switch_accuracy.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/switch_common.sh
data=${1:?usage: tools/switches.sh CIFAR10 [EXPERIMENT]...}
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for split in train test; do link_first 100 "$data/$split" "$work/data/$split"; done

# name KEY=VALUE...: the defaults below with these keys
experiments='
default
seed=43
seed=44
smoothing_applied=false
decay_mode=half_l2
weight_decay=0.01
weight_decay=0.01,decay_mode=half_l2
weight_decay=0.01,decay_mask=no_bn_bias
weight_decay=0.01,decay_mask=no_bn_bias_depthwise
decay_begin=warmup
decay_begin=twice_warmup
decay_steps=7
sched_on_updates=false
normalize=false
overshoot=keep
train_remainder=wrap
eval_remainder=drop
head_width=fixed
se_round=even
model=efficientnet_b2
model=efficientnet_b2,head_width=fixed
init_conv=truncated_normal
init_dense=truncated_normal
init_depthwise_fan=flax
init=flax
init=flax,threefry=original
model_ema_start=zeros
model_ema_count=before
model_ema_warmup=false
accumulate=4
replicas=4,bn_sync=running_average
bn_variance=unbiased
bn_momentum=0.99
bn_eps=1e-5
padding=symmetric
lr_in_momentum=false
opt_initial=0
opt_eps=1e-7
opt_eps=1e-7,opt_initial=0
lr=0.016
lr=0.016,opt_eps=1e-7
lr=0.016,opt_eps=1e-7,opt_initial=0
lr=0.128
lr=0.128,opt_eps=1e-7
lr=0.128,opt_eps=1e-7,opt_initial=0
'

echo "| switch | differs from step | by | 1-10 | 21-30 | 51-60 | top-1 | EMA top-1 | said |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
mapfile -t names <<<"$experiments"
[ $# -eq 0 ] || names=("$@")
printed=
for name in default "${names[@]}"; do
    if [ -z "$name" ] || [ "$name" = "$printed" ]; then continue; fi # `default` comes first, and once
    [ -n "$printed" ] || printed=$name
    train_switched "$name" "$work/data" "$work/run" \
        --set seed="${SEED:-42}" --set batch_size=64 --set lr=0.001 --set epochs=4 --set sched=staircase \
        --set warmup_epochs=1 --set decay_epochs=0.5 --set log_interval=1 --set eval_every_epochs=4 \
        --set train_crop=random_resized --set scale=0.5,1 --set val_crop=center --set crop_pct=0.875 \
        --set drop=0.2 --set drop_path=0.2 --set bn_momentum=0.9 --set model_ema_decay=0.9 --set clip_grad=0
    [ "$name" = default ] && cp "$work/run/log.jsonl" "$work/default.jsonl"
    awk -v name="$name" -v said="$said" "$awk_field"'
        function mean(from, to,  s, sum) {
            for (s = from; s <= to; s++) { if (!(s in losses)) return ""; sum += losses[s] }
            return sprintf("%.4f", sum / (to - from + 1))
        }
        field("top1") != "" { if (FNR != NR) { top1 = field("top1"); ema = field("ema_top1") } next }
        { step = field("step") } # an epoch has a line of its own after that of its last step
        FNR == NR { if (!(step in wanted)) wanted[step] = field("loss"); next }
        !(step in losses) {
            losses[step] = field("loss")
            if (!first && step in wanted && losses[step] != wanted[step]) { first = step; by = losses[step] - wanted[step] }
        }
        END {
            printf "| `%s` | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, first, first ? sprintf("%+.1e", by) : "",
                mean(1, 10), mean(21, 30), mean(51, 60), top1, ema, said
        }' "$work/default.jsonl" "$work/run/log.jsonl"
done
