#!/usr/bin/env bash
# switch_accuracy.sh - what a switch of docs/reproducing.md costs or gains in accuracy, over many seeds, pair by pair.
#
#   tools/switch_accuracy.sh CIFAR10 RESULTS [EXPERIMENT]...    trains what RESULTS lacks, a line a run
#   tools/switch_accuracy.sh --table RESULTS                    the table of docs/reproducing.md
#
# One run of one seed differs from another seed's by more than most switches do, so runs must be many, and cheap: a
# network of half B0's width and depth at 32x32 (10 blocks, 1.1 million parameters), the first 5,000 training and 5,000
# test pictures of CIFAR-10 (CIFAR10/train/CLASS/*, CIFAR10/test/CLASS/*), three epochs of batches of 64 in bf16: five
# seconds of one processor. NET=b0: EfficientNet-B0, all 50,000 pictures, two epochs: minutes. After a warm-up the rate
# is multiplied by 0.97 sixty times in a run of the small network (to .16 of its height), a hundred times in one of B0.
# weight_decay is 1e-3, a hundred times the published, because the rate's sum over such a run is some thousandth of the
# published run's.
#
# RESULTS begins with the build, the instruction set and the date, and can be continued: a run that it has is not done
# again. Every experiment with the first seed comes before any with the second, so that a part of the runs is a table
# too. SEEDS="1 2 3" (1 to 20); KEEP, a folder, receives each run's log; EFFNET, THREADS, RUNNER: switch_common.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/switch_common.sh

# Each experiment against the default with the same seed: the mean of the differences and the interval that holds it with
# 95 % (Student's t over the pairs). The last column says whether zero lies outside even where the 5 % are shared among
# all rows (Bonferroni): of twenty rows one leaves its own interval by chance. t by Cornish and Fisher's expansion.
table() {
    awk -F'\t' '
        /^#/ { print substr($0, 3); next }
        NF < 5 { next }
        !($1 in seen) { seen[$1] = 1; order[++count] = $1 }
        $6 != "" { said[$1] = $6 }
        $3 != "" && $4 != "" { value[$1, 1, $2] = $3; value[$1, 2, $2] = $4; seeds[$2] = 1 }
        function normal(p,  t) { # quantile of the upper tail p, Abramowitz and Stegun 26.2.23
            t = sqrt(-2 * log(p))
            return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ^ 3)
        }
        function student(p, n,  z) {
            z = normal(p)
            return z + (z ^ 3 + z) / (4 * n) + (5 * z ^ 5 + 16 * z ^ 3 + 3 * z) / (96 * n * n) + \
                   (3 * z ^ 7 + 19 * z ^ 5 + 17 * z ^ 3 - 15 * z) / (384 * n ^ 3)
        }
        function pairs(e, k,  s, n, sum, squares, by) { # n, mean, deviation: of the differences
            n = sum = squares = level = 0
            for (s in seeds) if ((e, k, s) in value && ("default", k, s) in value) {
                by = value[e, k, s] - value["default", k, s]
                n++; sum += by; squares += by * by; level += value[e, k, s]
            }
            if (!n) return 0
            mean = sum / n; level /= n
            deviation = n > 1 ? sqrt((squares - n * mean * mean > 0 ? squares - n * mean * mean : 0) / (n - 1)) : 0
            return n
        }
        END {
            print ""
            print "| switch | pairs | top-1 | by | 95 % | EMA top-1 | by | 95 % | shown |"
            print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
            for (o = 1; o <= count; o++) {
                e = order[o]; shown = ""
                for (k = 1; k <= 2; k++) {
                    n = pairs(e, k)
                    if (k == 1) printf "| `%s` | %d", e, n
                    if (!n) { printf " | | | "; continue }
                    if (e == "default") { printf " | %.2f | | ", level; continue }
                    half = n > 1 ? student(.025, n - 1) * deviation / sqrt(n) : 0
                    printf " | %.2f | %+.2f | %+.2f to %+.2f", level, mean, mean - half, mean + half
                    strict = n > 1 ? student(.025 / (count - 1), n - 1) * deviation / sqrt(n) : 0
                    if (n > 2 && mean * mean > strict * strict) shown = "yes"
                    else if (shown == "") shown = "no"
                }
                printf " | %s |\n", e == "default" ? "" : said[e] != "" ? said[e] : shown
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
decay_mode=half_l2
padding=symmetric
bn_eps=1e-5
drop_path=0
smoothing_applied=false
init_depthwise_fan=flax
normalize=false
opt_eps=1e-8,opt_initial=0
weight_decay=1e-5
amp=none
init_conv=truncated_normal
decay_mask=no_bn_bias
decay_begin=twice_warmup
lr_in_momentum=false
bn_variance=unbiased
'
mapfile -t names <<<"$experiments"
[ $# -eq 0 ] || names=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case ${NET:-half} in
    half)
        epochs=3
        net=(--set width_coefficient=0.5 --set depth_coefficient=0.5 --set init_dense=zeros --set bn_momentum=0.9
            --set lr=0.016 --set decay_epochs=0.05 --set warmup_epochs=0.225 --set model_ema_decay=0.95)
        for split in train test; do link_first 500 "$data/$split" "$work/data/$split"; done
        "${EFFNET:-build/effnet}" pack "$work/data" "$work/data.effpack" >/dev/null 2>&1
        data=$work/data.effpack
        ;;
    b0)
        epochs=2
        net=(--set decay_epochs=0.02 --set warmup_epochs=0.15 --set model_ema_decay=0.99)
        ;;
    *) echo "NET is '$NET'; allowed: half, b0" >&2; exit 2 ;;
esac
[ -s "$results" ] ||
    echo "# CIFAR-10, NET=${NET:-half}, $("${EFFNET:-build/effnet}" version | head -n 1), $(date -u +%F)" >"$results"
for seed in ${SEEDS:-$(seq 20)}; do
    for name in "${names[@]}"; do
        [ -n "$name" ] || continue
        ! awk -F'\t' -v n="$name" -v s="$seed" '$1 == n && $2 == s { f = 1 } END { exit !f }' "$results" || continue
        began=$SECONDS
        train_switched "$name" "$data" "$work/run" --set seed="$seed" --set batch_size=64 --set epochs="$epochs" \
            --set amp=bf16 --set sched=staircase --set weight_decay=1e-3 --set eval_every_epochs="$epochs" \
            --set log_interval=100 --set checkpoint.keep=1 "${net[@]}"
        awk -v name="$name" -v seed="$seed" -v said="$said" -v seconds=$((SECONDS - began)) "$awk_field"'
            field("top1") != "" { top1 = field("top1"); ema = field("ema_top1"); loss = field("loss") }
            END { printf "%s\t%s\t%s\t%s\t%s\t%s\t%ss\n", name, seed, top1, ema, loss, said, seconds }' \
            "$work/run/log.jsonl" >>"$results"
        [ -z "${KEEP:-}" ] || cp "$work/run/log.jsonl" "$KEEP/${name//[^a-z0-9_]/-}-$seed.jsonl"
    done
done
