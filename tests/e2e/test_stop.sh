#!/usr/bin/env bash
# What stops a run: each signal and the time limit finish the step, write a checkpoint, say so and exit with 130; a second
# signal ends at once; a hang-up under nohup, a closed pipe and closed standard streams do not stop it.
source "$(dirname "$0")/harness.sh"
need_fashion
small_fashion
train+=(--set checkpoint.every_steps=0 --set log_interval=2)

# start OUT COMMAND...: in the background, until the log has a line
start() {
    local out=$1
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null &
    child=$!
    at_end "kill -9 $child 2>/dev/null"
    for ((i = 0; i < 600; i++)); do
        grep -q '"step"' "$out/log.jsonl" 2>/dev/null && return 0
        kill -0 "$child" 2>/dev/null || die "training ended before it could be stopped"
        sleep 0.05
    done
    die "no line in the log after half a minute"
}

for signal in TERM HUP USR1 XCPU QUIT INT; do
    start "$work/$signal" "${train[@]}" --out "$work/$signal" --steps 5000
    kill -"$signal" "$child"
    status=0
    wait "$child" || status=$?
    [ "$status" = 130 ] || die "exit status $status after SIG$signal, wanted 130"
    grep -q "SIG$signal: stopping at the end of this step" "$work/out" || die "SIG$signal was not named"
    grep -q 'interrupted after step .* go on with --resume' "$work/err" || die "the end was not told"
    [ -s "$work/$signal/checkpoints/last/raw.safetensors" ] || die "no checkpoint after SIG$signal"
done
echo "ok: signals"

# a second one, while the first is being obeyed: TERM kills (143), a second HUP that comes with the first does not
start "$work/second" "${train[@]}" --out "$work/second" --steps 5000 --set batch_size=1024
kill -USR1 "$child"
sleep 0.05
kill -TERM "$child"
status=0
wait "$child" || status=$?
[ "$status" = 143 ] || die "exit status $status after USR1 and TERM, wanted 143"
start "$work/twice" "${train[@]}" --out "$work/twice" --steps 5000 --set batch_size=256
kill -HUP "$child"
kill -HUP "$child" 2>/dev/null || true
sleep 0.02
kill -HUP "$child" 2>/dev/null || true
status=0
wait "$child" || status=$?
[ "$status" = 130 ] || die "exit status $status after SIGHUP sent twice, wanted 130"
echo "ok: second signals"

# nohup
start "$work/nohup" bash -c 'trap "" HUP; exec "$@"' nohup "${train[@]}" --out "$work/nohup" --steps 12
kill -HUP "$child" 2>/dev/null || true
wait "$child" || die "SIGHUP stopped a run that ignores it"
[ -d "$work/nohup/checkpoints/00000012" ] || die "no checkpoint of the last step"

# the time limit
run 130 "${train[@]}" --out "$work/limit" --steps 100000 --time-limit 2s
grep -q 'the time limit of 2s: stopping' "$work/out" || die "the time limit was not named"
[ -s "$work/limit/checkpoints/last/raw.safetensors" ] || die "no checkpoint after the time limit"
for bad in 0s 2 h 1x 2h3 -1h 99999d; do
    complains 2 "time-limit is .*allowed" "${train[@]}" --out "$work/limit" --time-limit="$bad"
done
run 0 "${train[@]}" --out "$work/long" --steps 2 --time-limit 1d2h30m4s

# who watches goes away: the run ends as ever
set +o pipefail
"${train[@]}" --out "$work/pipe" --steps 12 2>"$work/err" </dev/null | head -c 1 >/dev/null
statuses=("${PIPESTATUS[@]}")
set -o pipefail
[ "${statuses[0]}" = 0 ] || die "exit status ${statuses[0]} after the pipe was closed, wanted 0"
[ -d "$work/pipe/checkpoints/00000012" ] || die "no checkpoint of the last step after the pipe was closed"

# closed streams: nothing but the log's lines in the log
for closed in '>&-' '2>&-' '<&-' '<&- >&- 2>&-'; do
    rm -rf "$work/closed"
    status=0
    eval '"${train[@]}" --out "$work/closed" --steps 12' "$closed" 2>/dev/null || status=$?
    [ "$status" = 0 ] || die "exit status $status with $closed"
    [ "$(grep -vc '^{"epoch":.*}$' "$work/closed/log.jsonl")" = 0 ] || die "strange lines in the log with $closed"
    [ "$(wc -l <"$work/closed/log.jsonl")" = 6 ] || die "not the log's six lines with $closed"
    [ -d "$work/closed/checkpoints/00000012" ] || die "no checkpoint of the last step with $closed"
done
eval '"$effnet" version >&-' 2>/dev/null && die "version printed nothing and called that success"
echo "ok: closed streams"
