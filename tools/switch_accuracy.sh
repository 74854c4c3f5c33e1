#!/usr/bin/env bash
# switch_accuracy.sh - what a switch of docs/reproducing.md costs or gains over whole trainings, several seeds each.
#
#   tools/switch_accuracy.sh CIFAR10 RESULTS [EXPERIMENT]...    trains what RESULTS lacks, a line a run
#   tools/switch_accuracy.sh --table RESULTS                    the table of docs/reproducing.md
#
# EfficientNet-B0 at 32x32 on the 50,000 pictures of CIFAR-10 in bf16, two epochs (1,562 steps of 64): a warm-up of .15
# epochs, the rate times 0.97 every .02 epochs (to .05 of its height), an average that looks back 100 steps. weight_decay
# is 1e-3, a hundred times the published, because the rate's sum over this run is some thousandth of the published run's.
# RESULTS can be continued: a run that it has is not done again. Every experiment with the first seed comes before any
# with the second, so that a part of the runs is a table too. CIFAR10 may be an effpack. SEEDS="42 43 44"; KEEP, a
# folder, receives each run's log; EFFNET, THREADS, RUNNER: switch_common.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/switch_common.sh

# Mean (lowest to highest) of each experiment over its seeds, and its distance to the default in standard errors of such
# a distance. The error of a run is taken as one for all experiments: the pooled standard deviation within them, because
# the deviation of three runs alone says next to nothing.
table() {
    awk -F'\t' '
        /^#/ || NF < 5 { next }
        !($1 in n) { order[++count] = $1 }
        $6 != "" { said[$1] = $6 }
        $3 == "" || $4 == "" { n[$1] += 0; next }
        {
            i = ++n[$1]
            for (k = 1; k <= 2; k++) {
                v = $(k + 2); value[$1, k, i] = v; sum[$1, k] += v
                if (i == 1 || v < low[$1, k]) low[$1, k] = v
                if (i == 1 || v > high[$1, k]) high[$1, k] = v
            }
        }
        function mean(e, k) { return sum[e, k] / n[e] }
        function distance(e, k,  by) {
            if (e == "default" || !n["default"] || !n[e]) return " | "
            by = mean(e, k) - mean("default", k)
            return sprintf("%+.2f | %+.1f", by, by / (error[k] * sqrt(1 / n[e] + 1 / n["default"])))
        }
        END {
            for (k = 1; k <= 2; k++) {
                squares = freedom = 0
                for (o = 1; o <= count; o++) {
                    e = order[o]
                    if (n[e] < 2 || mean(e, k) < 15) continue # a run that learnt nothing has no spread either
                    for (i = 1; i <= n[e]; i++) squares += (value[e, k, i] - mean(e, k)) ^ 2
                    freedom += n[e] - 1
                }
                error[k] = freedom ? sqrt(squares / freedom) : 1
            }
            printf "One run differs from another seed'"'"'s by a standard deviation of %.2f (top-1) and %.2f (averaged weights).\n\n", error[1], error[2]
            print "| switch | runs | top-1 | by | errors | EMA top-1 | by | errors | said |"
            print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
            for (o = 1; o <= count; o++) {
                e = order[o]
                printf "| `%s` | %d", e, n[e]
                for (k = 1; k <= 2; k++)
                    if (n[e]) printf " | %.2f (%.2f to %.2f) | %s", mean(e, k), low[e, k], high[e, k], distance(e, k)
                    else printf " | | | "
                printf " | %s |\n", said[e]
            }
        }' "$1"
}

usage="usage: tools/switch_accuracy.sh CIFAR10 RESULTS [EXPERIMENT]... | --table RESULTS"
[ $# -ge 2 ] || { echo "$usage" >&2; exit 2; }
if [ "$1" = --table ]; then
    table "$2"
    exit
fi
data=$1 results=$2
shift 2
experiments='
default
smoothing_applied=false
normalize=false
init_depthwise_fan=flax
init_conv=truncated_normal
decay_mode=half_l2
decay_mask=no_bn_bias
decay_mask=no_bn_bias_depthwise
decay_begin=twice_warmup
sched_on_updates=false
lr_in_momentum=false
bn_eps=1e-5
bn_momentum=0.9
padding=symmetric
opt_eps=1e-8,opt_initial=0
model_ema_decay=0.999,model_ema_warmup=false
model_ema_decay=0.999,model_ema_warmup=false,model_ema_start=zeros
weight_decay=1e-5
amp=none
fuse=all
amp=none,fuse=all
'
mapfile -t names <<<"$experiments"
[ $# -eq 0 ] || names=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$results"
for seed in ${SEEDS:-42 43 44}; do
    for name in "${names[@]}"; do
        [ -n "$name" ] || continue
        ! awk -F'\t' -v n="$name" -v s="$seed" '$1 == n && $2 == s { f = 1 } END { exit !f }' "$results" || continue
        began=$SECONDS
        train_switched "$name" "$data" "$work/run" --set seed="$seed" --set batch_size=64 --set epochs=2 \
            --set amp=bf16 --set sched=staircase --set decay_epochs=0.02 --set warmup_epochs=0.15 \
            --set weight_decay=1e-3 --set model_ema_decay=0.99 --set eval_every_epochs=2 --set log_interval=100 \
            --set checkpoint.keep=1
        awk -v name="$name" -v seed="$seed" -v said="$said" -v seconds=$((SECONDS - began)) "$awk_field"'
            field("top1") != "" { top1 = field("top1"); ema = field("ema_top1"); loss = field("loss") }
            END { printf "%s\t%s\t%s\t%s\t%s\t%s\t%ss\n", name, seed, top1, ema, loss, said, seconds }' \
            "$work/run/log.jsonl" >>"$results"
        [ -z "${KEEP:-}" ] || cp "$work/run/log.jsonl" "$KEEP/${name//[^a-z0-9_]/-}-$seed.jsonl"
    done
done
