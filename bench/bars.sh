#!/usr/bin/env bash
# bars.sh - effnet beside PyTorch, Keras, ONNX Runtime and OpenVINO, in turn, on this machine: how many times as fast,
# against the bar that each row is to pass.
#
#   bench/bars.sh [-n ROUNDS] [-p PEERS] [ROW ...]         3 rounds, every peer, every row
#
#   train-b0 train-b0-bf16    training step, B0 at 224, batch 32: PyTorch eager and compiled, Keras plain and with XLA
#   train-32                  B0 at 32x32, batch 256 (CIFAR-10)
#   train-b4 train-b7         B4 at 380, batch 8; B7 at 600, batch 1
#   infer-1 infer-32 infer-1-bf16 infer-32-bf16    B0 at 224: PyTorch, ONNX Runtime (fp32), OpenVINO
#   fma memory memory-bf16 threads    effnet alone: share of the FMA peak; activations an image; two threads against one
#   resolutions batches       effnet alone: images/s x MACs over 64 to 380 (batch 32) and over batch 8 to 256 (224)
#   train, infer, all         groups
#   train:MODEL:RES:BATCH:DTYPE  infer:MODEL:RES:BATCH:DTYPE    any other work, without a bar
#
# Each round runs every contestant once, one after the other, so that a slow minute of the machine hits all; a figure is
# the median over the rounds of each run's median step, and a ratio is against the best peer of its row. What rows share
# is run once. PEERS is a list such as eager,keras,ov; a peer that cannot run is named with the reason. Environment:
# PYTHON an interpreter with torch and timm (and onnx, onnxruntime, openvino), TF_PYTHON one with tensorflow and keras,
# PEER_FOLDER the folder of torch_train.py, keras_train.py and torch_infer.py (../shared/peers), THREADS (every
# processor), EFFNET the program (build/effnet). Prints Markdown; appends every run and every row as JSON lines to
# bench/results/<processor>-<date>.jsonl. Let nothing else run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=3 peers=eager,compile,keras,xla,ort,ov
while getopts n:p: option; do
    case $option in
        n) rounds=$OPTARG ;; p) peers=$OPTARG ;;
        *) sed -n '5,14s/^# *//p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
python=${PYTHON:-python3} tf_python=${TF_PYTHON:-${PYTHON:-python3}} folder=${PEER_FOLDER:-../shared/peers}
threads=${THREADS:-$(nproc)} effnet=${EFFNET:-build/effnet}
[ -x "$effnet" ] || { echo "bars.sh: there is no '$effnet'; build it: cmake --preset release && cmake --build build" >&2; exit 1; }

train_rows="train-b0 train-b0-bf16 train-32 train-b4 train-b7"
infer_rows="infer-1 infer-32 infer-1-bf16 infer-32-bf16"
all_rows="$train_rows $infer_rows fma memory memory-bf16 threads resolutions batches"
rows=()
for row in "${@:-all}"; do
    case $row in
        all) read -ra more <<<"$all_rows" ;;
        train) read -ra more <<<"$train_rows" ;;
        infer) read -ra more <<<"$infer_rows" ;;
        train:*:*:*:* | infer:*:*:*:*) more=("$row") ;;
        *) [[ " $all_rows " == *" $row "* ]] || { echo "bars.sh: unknown row '$row'; allowed: train infer all $all_rows" >&2; exit 2; }
           more=("$row") ;;
    esac
    rows+=("${more[@]}")
done

processor=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
slug=$(tr -cs 'A-Za-z0-9\n' '-' <<<"${processor:-unknown}" | sed 's/^-//; s/-$//')
results=bench/results/$slug-$(date +%F).jsonl
mkdir -p bench/results
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- which peers there are: without[KIND] is why one cannot run -----------------------------------------------------
declare -A without
modules() { # KIND INTERPRETER MODULE...
    local kind=$1 interpreter=$2 module
    shift 2
    for module in "$@"; do
        "$interpreter" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$module') is None)" 2>/dev/null ||
            { without[$kind]="'$interpreter' has no $module"; return 0; }
    done
}
modules eager "$python" torch timm
modules compile "$python" torch timm
modules ort "$python" torch timm onnx onnxruntime
modules ov "$python" torch timm onnx openvino
modules keras "$tf_python" tensorflow keras
modules xla "$tf_python" tensorflow keras
for kind in eager compile ort ov keras xla; do
    script=torch_train.py
    case $kind in keras | xla) script=keras_train.py ;; ort | ov) script=torch_infer.py ;; esac
    [ -r "$folder/$script" ] || without[$kind]="there is no $folder/$script"
    [[ ",$peers," == *",$kind,"* ]] || without[$kind]="left out by -p"
done

# ---- contestants: a line of words each, run once a round however many rows want it ---------------------------------
#   effnet train|infer MODEL RES BATCH DTYPE STEPS THREADS, limits, train KIND BATCH DTYPE MODEL RES STEPS,
#   infer KIND BATCH DTYPE MODEL RES
jobs=()
declare -A known rate activations ran_row failed
add() { # ROW WORDS
    ran_row[$1]+="$2"$'\n'
    [ -z "${known[$2]:-}" ] || return 0
    known[$2]=1
    jobs+=("$2")
}

run_job() { # WORDS -> JSON lines on standard output
    local words
    read -ra words <<<"$1"
    set -- "${words[@]}"
    case $1 in
        limits) "$effnet" bench limits --json ;;
        effnet) "$effnet" bench "$2" --model "$3" --res "$4" --batch "$5" --dtype "$6" --steps "$7" --threads "$8" --json ;;
        train)
            case $2 in
                keras) "$tf_python" "$folder/keras_train.py" "$3" "$4" ;;
                xla) "$tf_python" "$folder/keras_train.py" "$3" "$4" xla ;;
                *) OMP_NUM_THREADS=$threads THREADS=$threads "$python" "$folder/torch_train.py" "$2" "$3" "$4" "$5" "$6" "$7" ;;
            esac ;;
        infer) OMP_NUM_THREADS=$threads THREADS=$threads "$python" "$folder/torch_infer.py" "$2" "$3" "$4" "$5" "$6" ;;
    esac
}

field() { sed -nE "s/.*\"$1\" *: *([0-9.eE+-]+).*/\1/p" <<<"$2" | tail -n 1; }
median() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
compute() { awk "BEGIN { printf \"$1\", ($2) }"; } # parentheses: else > would be a redirection

measure() { # WORDS ROUND
    local line
    if ! run_job "$1" >"$work/out" 2>"$work/err"; then
        failed[$1]=$(grep -v '^ *$' "$work/err" | tail -n 1 | cut -c1-160 || true)
        [[ ${failed[$1]} != *"not built"* ]] || failed[$1]="not built"
        return 0
    fi
    line=$(tr -d '\n' <"$work/out" | sed 's/}{/}\n{/g; s/  */ /g' | tail -n 1)
    printf '{"bars": "%s", "round": %d, "result": %s}\n' "$1" "$2" "$line" >>"$results"
    case $1 in
        limits) rate[$1]+=" $(field gflops "$line")" ;;
        effnet*) rate[$1]+=" $(field images_per_s "$line")"; activations[$1]+=" $(field activation_mb "$line")" ;;
        *) rate[$1]+=" $(field img_s "$line")" ;;
    esac
    printf '    %-52s %s\n' "$1" "${rate[$1]##* }" >&2
}

# ---- rows ----------------------------------------------------------------------------------------------------------
compete() { # ROW train|infer MODEL RES BATCH DTYPE OUR_STEPS PEERS'_STEPS KIND...
    local row=$1 mode=$2 model=$3 res=$4 batch=$5 dtype=$6 ours=$7 theirs=$8 kind
    shift 8
    add "$row" "effnet $mode $model $res $batch $dtype $ours $threads"
    for kind in "$@"; do
        [ -z "${without[$kind]:-}" ] || continue
        case $mode in
            train) add "$row" "train $kind $batch $dtype $model $res $theirs" ;;
            infer) add "$row" "infer $kind $batch $dtype $model $res" ;;
        esac
    done
}
macs() { "$effnet" summarize efficientnet_b0 --res "$1" --json | tr -d '\n' | sed -nE 's/^[^[]*"macs": *([0-9]+).*/\1/p'; }
steps_for() { compute '%d' "(s = 4 * 33e9 / ($1 * $2)) < 3 ? 3 : s > 100 ? 100 : s"; } # about 4 s each
declare -A macs_at
sweep() { # ROW RES BATCH
    [ -n "${macs_at[$2]:-}" ] || macs_at[$2]=$(macs "$2")
    add "$1" "effnet train efficientnet_b0 $2 $3 fp32 $(steps_for "${macs_at[$2]}" "$3") $threads"
}
for row in "${rows[@]}"; do
    [ -z "${ran_row[$row]:-}" ] || continue
    case $row in
        train-b0) compete "$row" train efficientnet_b0 224 32 fp32 10 6 eager compile keras xla ;;
        train-b0-bf16) compete "$row" train efficientnet_b0 224 32 bf16 10 6 eager compile keras xla ;;
        train-32) compete "$row" train efficientnet_b0 32 256 fp32 20 10 eager compile ;;
        train-b4) compete "$row" train efficientnet_b4 380 8 fp32 4 4 eager compile ;;
        train-b7) compete "$row" train efficientnet_b7 600 1 fp32 4 4 eager compile ;;
        infer-1) compete "$row" infer efficientnet_b0 224 1 fp32 500 - eager ort ov ;;
        infer-32) compete "$row" infer efficientnet_b0 224 32 fp32 30 - eager ort ov ;;
        infer-1-bf16) compete "$row" infer efficientnet_b0 224 1 bf16 500 - eager ov ;;
        infer-32-bf16) compete "$row" infer efficientnet_b0 224 32 bf16 30 - eager ov ;;
        *:*) IFS=: read -r mode model res batch dtype <<<"$row"
             kinds="eager ort ov"
             [ "$mode" = infer ] || kinds="eager compile"
             # shellcheck disable=SC2086 # a list of words
             compete "$row" "$mode" "$model" "$res" "$batch" "$dtype" 10 6 $kinds ;;
        fma) add fma limits; add fma "effnet train efficientnet_b0 224 32 fp32 10 $threads" ;;
        memory) add memory "effnet train efficientnet_b0 224 32 fp32 10 $threads" ;;
        memory-bf16) add memory-bf16 "effnet train efficientnet_b0 224 32 bf16 10 $threads" ;;
        threads) add threads "effnet train efficientnet_b0 224 32 fp32 10 1"; add threads "effnet train efficientnet_b0 224 32 fp32 10 2" ;;
        resolutions) for res in 64 96 128 160 192 224 300 380; do sweep "$row" $res 32; done ;;
        batches) for batch in 8 16 32 64 128 256; do sweep "$row" 224 $batch; done ;;
    esac
done

versions() { # what the peers are
    [ -n "${without[eager]:-}" ] || "$python" -c 'import torch, timm; print("PyTorch", torch.__version__ + ", timm", timm.__version__)' 2>/dev/null || true
    [ -n "${without[ort]:-}" ] || "$python" -c 'import onnxruntime; print("ONNX Runtime", onnxruntime.__version__)' 2>/dev/null || true
    [ -n "${without[ov]:-}" ] || "$python" -c 'import openvino; print("OpenVINO", openvino.__version__.split("-")[0])' 2>/dev/null || true
    [ -n "${without[keras]:-}" ] || TF_CPP_MIN_LOG_LEVEL=3 "$tf_python" -c 'import tensorflow, keras; print("TensorFlow", tensorflow.__version__ + ", Keras", keras.__version__)' 2>/dev/null || true
}
list() { paste -sd ';' - | sed 's/;/; /g'; }
description="$(date +%F), ${processor:-unknown processor}, $(nproc) processors, $threads threads, $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo), Linux $(uname -r)"
program="$("$effnet" version)$(git rev-parse --short HEAD 2>/dev/null | sed 's/^/, commit /' || true)"
others=$(versions | list)
printf '{"bars": "machine", "machine": "%s", "effnet": "%s", "peers": "%s", "load": "%s"}\n' \
    "$description" "$program" "$others" "$(cut -d ' ' -f 1-3 /proc/loadavg)" >>"$results"

for ((round = 1; round <= rounds; round++)); do
    printf 'round %d of %d\n' "$round" "$rounds" >&2
    for job in "${jobs[@]}"; do
        [ -n "${failed[$job]:-}" ] || measure "$job" "$round"
    done
done

# ---- the table -----------------------------------------------------------------------------------------------------
at_least() { # ROW -> "BAR AIM", - where the processor has none
    case $1 in
        train-b0) echo 5 8 ;;
        train-b0-bf16) if grep -qw amx_bf16 /proc/cpuinfo; then echo 10 16; elif grep -qw avx512_bf16 /proc/cpuinfo; then echo 6 10; else echo - -; fi ;;
        train-32) echo 5 10 ;;
        train-b4 | train-b7) echo 4 8 ;;
        infer-*) echo 1.1 1.5 ;;
        fma) echo 0.45 0.65 ;;
        memory) echo 25 18 ;;
        memory-bf16) echo 13 9 ;;
        threads) echo 1.8 1.95 ;;
        resolutions | batches) echo 1.3 1.15 ;;
        *) echo - - ;;
    esac
}
title() {
    local kind
    case $1 in
        train-b0) echo "train B0 224 batch 32 fp32" ;;
        train-b0-bf16) echo "train B0 224 batch 32 bf16" ;;
        train-32) echo "train B0 32x32 batch 256 fp32" ;;
        train-b4) echo "train B4 380 batch 8 fp32" ;;
        train-b7) echo "train B7 600 batch 1 fp32" ;;
        *:*) tr : ' ' <<<"$1" ;;
        infer-*) kind=${1#infer-}; echo "infer B0 224 batch ${kind%-bf16} $([[ $1 == *bf16 ]] && echo bf16 || echo fp32)" ;;
        fma) echo "share of the fp32 FMA peak, training B0 224 batch 32" ;;
        memory) echo "activations B0 224 fp32, MB an image" ;;
        memory-bf16) echo "activations B0 224 bf16, MB an image" ;;
        threads) echo "two threads against one, training B0 224 batch 32 fp32" ;;
        resolutions) echo "images/s x MACs, most / least, B0 at 64 to 380, batch 32" ;;
        batches) echo "images/s x MACs, most / least, B0 at 224, batch 8 to 256" ;;
    esac
}
verdict() { # VALUE BAR AIM
    [[ $1 == - || $2 == - ]] && { echo ""; return; }
    awk -v value="$1" -v bar="$2" -v aim="$3" 'BEGIN {
        less = bar > aim # smaller is better
        print (less ? value <= aim : value >= aim) ? "aim" : (less ? value <= bar : value >= bar) ? "yes" : "no" }'
}
emit() { # ROW OURS PEER VALUE
    local bar aim
    read -r bar aim <<<"$(at_least "$1")"
    printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$(title "$1")" "$2" "$3" "$4" "$bar" "$aim" "$(verdict "$4" "$bar" "$aim")"
    printf '{"bars": "row", "row": "%s", "effnet": "%s", "peer": "%s", "value": "%s", "at_least": "%s", "aim": "%s"}\n' \
        "$1" "$2" "$3" "$4" "$bar" "$aim" >>"$results"
}
rounded() { compute '%.4g' "$1"; }

notes=()
row_out() { # ROW
    local row=$1 job ours='' best='' best_name=- value least='' most='' least_at='' most_at='' product words list=()
    while IFS= read -r job; do
        [ -n "$job" ] || continue
        list+=("$job")
        [ -z "${failed[$job]:-}" ] || notes+=("$row, $job: ${failed[$job]}")
    done <<<"${ran_row[$row]}"
    for job in "${list[@]}"; do [ -n "${rate[$job]:-}" ] || [[ $job != effnet* && $job != limits ]] || { emit "$row" "${failed[$job]:--}" - -; return; }; done
    case $row in
        train[-:]* | infer[-:]*)
            ours=$(median "${rate[${list[0]}]}")
            for job in "${list[@]:1}"; do
                [ -n "${rate[$job]:-}" ] || continue
                value=$(median "${rate[$job]}")
                read -ra words <<<"$job"
                notes+=("$row, ${words[1]}: $(rounded "$value") images/s, effnet is $(compute '%.2f' "$ours / $value") times as fast")
                if [ -z "$best" ] || awk "BEGIN { exit !($value > $best) }"; then best=$value best_name=${words[1]}; fi
            done
            if [ -n "$best" ]; then
                emit "$row" "$(rounded "$ours") images/s" "$best_name $(rounded "$best")" "$(compute '%.2f' "$ours / $best")"
            else
                emit "$row" "$(rounded "$ours") images/s" "none ran" -
            fi ;;
        fma) # three times the forward pass's multiply-adds, two operations each
            value=$(compute '%.4f' "$(median "${rate[${list[1]}]}") * 6 * $(macs 224) / 1e9 / $(median "${rate[limits]}")")
            emit "$row" "$(rounded "$(median "${rate[limits]}")") GFLOP/s is the peak" - "$(compute '%.2f' "$value")" ;;
        memory*) emit "$row" "$(rounded "$(median "${activations[${list[0]}]}")") MB" - "$(compute '%.1f' "$(median "${activations[${list[0]}]}") / 32")" ;;
        threads) ours=$(median "${rate[${list[1]}]}") value=$(median "${rate[${list[0]}]}")
            emit "$row" "$(rounded "$ours") and $(rounded "$value") images/s" - "$(compute '%.2f' "$ours / $value")" ;;
        resolutions | batches)
            for job in "${list[@]}"; do
                read -ra words <<<"$job"
                product=$(compute '%.5g' "$(median "${rate[$job]}") * ${macs_at[${words[3]}]} / 1e9")
                notes+=("$row, ${words[3]} batch ${words[4]}: $(rounded "$(median "${rate[$job]}")") images/s, $product GMAC/s")
                if [ -z "$least" ] || awk "BEGIN { exit !($product < $least) }"; then least=$product least_at="${words[3]} batch ${words[4]}"; fi
                if [ -z "$most" ] || awk "BEGIN { exit !($product > $most) }"; then most=$product most_at="${words[3]} batch ${words[4]}"; fi
            done
            emit "$row" "$least GMAC/s ($least_at) to $most ($most_at)" - "$(compute '%.2f' "$most / $least")" ;;
    esac
}

printf '%s\n%s\n%s\n%d rounds, load at the end %s\n\n' "$description" "$program" "$others" "$rounds" "$(cut -d ' ' -f 1 /proc/loadavg)"
printf '| work | effnet | best peer, images/s | ratio or figure | bar | aim | passed |\n| --- | --- | --- | --- | --- | --- | --- |\n'
declare -A shown
for row in "${rows[@]}"; do
    [ -z "${shown[$row]:-}" ] || continue
    shown[$row]=1
    row_out "$row"
done
echo
for note in ${notes[@]+"${notes[@]}"}; do echo "- $note"; done
for kind in "${!without[@]}"; do echo "- peer $kind did not run: ${without[$kind]}"; done
echo "- every run: $results"
