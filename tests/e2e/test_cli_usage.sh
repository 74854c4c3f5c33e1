#!/usr/bin/env bash
# The command line: every wrong use exits with status 2 and one line that says what is wrong; missing files with 1;
# --help of every verb with examples; JSON of the agreed shapes; the keys' page up to date; Ctrl-C exits with 130.
source "$(dirname "$0")/harness.sh"
recipe=$source/recipes/fashion-mnist-b0.yaml

echo "-- help"
for verb in train replay eval predict serve import average export verify summarize bench devices version; do
    run 0 "$effnet" "$verb" --help
    grep -q "^usage: effnet $verb" "$work/out" || die "no usage line in the help of $verb"
    grep -q "^  effnet $verb" "$work/out" || grep -q "effnet $verb" "$work/out" || die "no example in the help of $verb"
    grep -q '^Examples:$' "$work/out" || die "no examples in the help of $verb"
    cp "$work/out" "$work/help"
    run 0 "$effnet" help "$verb"
    same "$work/out" "$work/help"
    run 0 "$effnet" help
    grep -q "^  $verb " "$work/out" || die "'effnet help' does not name $verb"
done
run 0 "$effnet" --help
run 0 "$effnet" export --help
grep -qx -- "  --format safetensors|onnx|c|gguf|stablehlo" "$work/out" || die "the choices of --format are cut off"
[ "$(sed -n '/^  --weights/,/^Examples/p' "$work/out" | awk '{ if (length > most) most = length } END { print most }')" -le 100 ] ||
    die "the options of export are told in lines of more than 100 columns"
run 0 "$effnet" version
grep -qE '^effnet [0-9]+\.[0-9]+\.[0-9]+, (gcc|clang) .*, ISA found: .*, used: [a-z0-9]+, processors: [0-9]+ of [0-9]+, memory: [0-9.]+ [A-Z]iB.*$' "$work/out" || die "version line"
run 0 "$effnet" --version

echo "-- wrong usage: 2"
complains 2 "no verb given" "$effnet"
complains 2 "unknown verb 'sumarize'; nearest: 'summarize'" "$effnet" sumarize
complains 2 "unknown verb 'xyzzy'; 'effnet help' lists" "$effnet" xyzzy
complains 2 "unknown verb" "$effnet" help xyzzy
complains 2 "no recipe given" "$effnet" train
complains 2 "one recipe at a time.*more" "$effnet" train "$recipe" more
complains 2 "unknown option '--rsume'; nearest: '--resume'" "$effnet" train "$recipe" --rsume
complains 2 "unknown option '-x'" "$effnet" train "$recipe" -x
touch "$work/-x.png"
complains 2 "'-x.png' begins as options do; if the file here is meant, call it './-x.png'" bash -c "cd '$work' && '$effnet' predict somewhere -x.png"
complains 2 "--steps is 'many'; allowed: 1 to" "$effnet" train "$recipe" --steps many
complains 2 "--steps is '0'" "$effnet" train "$recipe" --steps 0
complains 2 "--steps is '5x'" "$effnet" train "$recipe" --steps 5x
complains 2 "--steps is ''" "$effnet" train "$recipe" --steps=
complains 2 "--steps needs a value" "$effnet" train "$recipe" --steps
complains 2 "--threads is '-1'; allowed: 0 to 1024" "$effnet" train "$recipe" --threads -1
complains 2 "--resume takes no value" "$effnet" train "$recipe" --resume=yes
complains 2 "--data is empty" "$effnet" train "$recipe" --data ''
complains 1 "engine is 'warp'; allowed: cpu, reference" "$effnet" train "$recipe" --engine warp
complains 2 "--set 'epochs' is not KEY=VALUE" "$effnet" train "$recipe" --set epochs
complains 2 "--set '=3' is not KEY=VALUE" "$effnet" train "$recipe" --set =3
complains 2 "unknown key 'epoch'; nearest: 'epochs'" "$effnet" train "$recipe" --set epoch=3
complains 2 "epochs is 0; allowed: 1 to 100000" "$effnet" train "$recipe" --set epochs=0
complains 2 "no checkpoint given" "$effnet" eval
complains 2 "--data DIR is missing" "$effnet" eval somewhere
complains 2 "--weights is 'best'; allowed: ema\|raw" "$effnet" eval somewhere --data x --weights best
complains 2 "unexpected argument 'two'" "$effnet" eval one two --data x
complains 2 "--against-fp32 compares another --dtype" "$effnet" eval one --data x --against-fp32
complains 2 "--allow-loss is for --against-fp32" "$effnet" eval one --data x --allow-loss
complains 2 "no checkpoint" "$effnet" predict
complains 2 "no picture given" "$effnet" predict somewhere
complains 2 "--topk is '0'" "$effnet" predict somewhere x.png --topk 0
complains 2 "no recipe or model given" "$effnet" summarize
complains 2 "unknown model 'efficientnet_b99'.*efficientnet_b0" "$effnet" summarize efficientnet_b99
complains 2 "--res is '5000'; allowed: 0, or 8 to 2048" "$effnet" summarize efficientnet_b0 --res 5000
complains 2 "train or infer" "$effnet" bench
complains 2 "cannot measure 'fly'; allowed: train, infer, limits" "$effnet" bench fly
complains 2 "unknown model" "$effnet" bench train --model nonsense
complains 2 "--dtype is 'fp8'; allowed: fp32.bf16.int8" "$effnet" bench train --dtype fp8
complains 2 "int8 is for inference" "$effnet" bench train --dtype int8
complains 2 "unexpected argument" "$effnet" version now

echo "-- failed runs: 1"
complains 1 "nowhere\.yaml.*No such file" "$effnet" train "$work/nowhere.yaml"
complains 1 "nowhere" "$effnet" eval "$work/nowhere" --data "$work"
complains 1 "not a checkpoint" "$effnet" eval "$work" --data "$work"
complains 1 "nowhere" "$effnet" predict "$work/nowhere" x.png
complains 1 "nowhere\.yaml" "$effnet" summarize "$work/nowhere.yaml"
if [ -w /dev/full ]; then
    run 1 bash -c '"$0" summarize efficientnet_b0 --json >/dev/full' "$effnet"
    grep -q "standard output" "$work/err" || die "nothing said of a full disk below standard output"
fi
# A name full of control characters does not reach the terminal as such.
run 1 "$effnet" train "$work/"$'no\e[31mwhere\n.yaml'
! grep -q $'\e' "$work/err" || die "an escape sequence reached standard error"
[ "$(wc -l <"$work/err")" = 1 ] || die "a name with a newline made two lines"

# Every option that takes a number says its range in --help, and every verb refuses what cannot be meant with it.
echo "-- numbers of every verb's options"
"$effnet" help | sed -nE 's/^  ([a-z]+) .*/\1/p' >"$work/verbs"
echo "data audit" >>"$work/verbs"
tried=0
while read -r verb sub; do
    "$effnet" "$verb" $sub --help >"$work/out" 2>/dev/null </dev/null || continue # "help" itself
    sed -E ':a; N; $!ba; s/\n {27}/ /g' "$work/out" >"$work/help"                    # an option a line
    while read -r option zero least most; do
        for value in '' ' ' nan -inf 1e99 1.5 0x10 5x '5 ' ' 5' -- 99999999999999999999 -99999999999999999999 \
            $((least - 1)) $((most + 1)) -1; do
            [ "$value" != 0 ] || [ "$zero" = only ] || continue # 0 beside a range
            status=0
            said=$("$effnet" "$verb" $sub "--$option=$value" 2>&1 >/dev/null </dev/null) || status=$?
            [ $status = 2 ] || die "effnet $verb $sub --$option='$value' ends with $status, not 2"
            [[ $said == *"--$option is '$value'; allowed: "*"$least to $most;"* ]] || die "$verb --$option='$value': $said"
            tried=$((tried + 1))
        done
    done < <(sed -nE -e 's/^  --([a-z-]+) [A-Z].*\(0, or ([0-9]+) to ([0-9]+)\)$/\1 beside \2 \3/p' \
        -e 's/^  --([a-z-]+) [A-Z].*\(([0-9]+) to ([0-9]+)\)$/\1 only \2 \3/p' "$work/help")
done <"$work/verbs"
echo "ok: $tried wrong numbers refused"
[ $tried -ge 500 ] || die "only $tried numbers tried: is the help of another form?"

echo "-- keys"
run 0 "$effnet" train --help-keys
cmp -s "$work/out" "$source/docs/recipe.md" ||
    die "docs/recipe.md is out of date: build/effnet train --help-keys > docs/recipe.md"

echo "-- JSON"
run 0 "$effnet" summarize efficientnet_b0 --json
grep -q '"num_classes":1000,"parameters":5288548,' "$work/out" || die "B0 has 5,288,548 parameters"
for key in model resolution num_classes parameters macs activation_bytes blocks; do
    grep -q "\"$key\":" "$work/out" || die "no '$key' in summarize --json"
done
[ "$(grep -o '"squeeze_channels"' "$work/out" | wc -l)" = 18 ] || die "B0 has a stem, 16 blocks and a head"
grep -q '"name":"blocks.2.0",[^}]*"convolutions":"1x1 dw5x5/2 1x1"' "$work/out" || die "no convolutions of blocks.2.0"
run 0 "$effnet" summarize "$recipe"
grep -qE '^total +[0-9,]+ +[0-9,]+ +[0-9,]+$' "$work/out" || die "no totals in the table"
for mode in train infer; do
    run 0 "$effnet" bench $mode --res 32 --batch 2 --steps 2 --threads 1 --json
    for key in model res batch dtype threads isa images_per_s images_per_s_best ms_per_step peak_rss_mb activation_mb; do
        grep -q "\"$key\":" "$work/out" || die "no '$key' in bench $mode --json"
    done
    holds "$(number images_per_s) > 0 && $(number images_per_s_best) >= $(number images_per_s)"
    holds "$(number res) == 32 && $(number batch) == 2 && $(number threads) == 1"
done
run 0 "$effnet" bench limits --threads 1 --json
holds "$(number gflops) > 0.1 && $(number read_gbps) > 0.1 && $(number copy_gbps) > 0.1"
run 0 "$effnet" bench train --res 32 --batch 2 --steps 2 --threads 1 --profile
for pass in "conv backward" "project" "depthwise backward" "other" "all"; do
    grep -q "^$pass " "$work/out" || die "no '$pass' in the profile"
done
run 0 "$effnet" bench infer --res 32 --batch 2 --steps 2 --threads 1 --profile --json
grep -q '"passes":\[{"pass":"conv","op":"conv_stem","ms":' "$work/out" || die "no passes in bench infer --profile --json"

need_fashion
small_fashion
echo "-- Ctrl-C"
: >"$work/out" # what the last check left there has 'step' in it
"${train[@]}" --out "$work/stopped" >"$work/out" 2>"$work/err" </dev/null &
child=$!
at_end "kill -9 $child 2>/dev/null"
for ((i = 0; i < 300; i++)); do
    ! grep -q 'step' "$work/out" || break
    sleep 0.1
done
kill -TERM $child # an interactive shell sends SIGINT; both are handled alike, and this shell lets jobs ignore SIGINT
status=0
wait $child || status=$?
[ $status = 130 ] || die "a stopped run exits with $status, not 130"
[ "$(wc -l <"$work/err")" = 1 ] || die "a stopped run does not say one line"
echo "ok: $(cat "$work/err")"
[ -s "$work/stopped/checkpoints/last/raw.safetensors" ] || die "a stopped run left no checkpoint"
