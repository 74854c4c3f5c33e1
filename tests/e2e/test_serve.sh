#!/usr/bin/env bash
# effnet serve: pictures over HTTP get predict's classes, 50 clients at once with slow, broken and hostile ones among them;
# limits on size, pixels and time hold; the page, health and metrics are there; a signal ends it with every picture answered.
source "$(dirname "$0")/harness.sh"
run 0 "$effnet" serve --help
grep -q 'curl --data-binary' "$work/out" || die "no example"
run 1\|2 "$effnet" serve
if grep -q libmicrohttpd "$work/err"; then skip "built without libmicrohttpd"; fi
command -v python3 >/dev/null || skip "no python3"
complains 2 "no checkpoint given" "$effnet" serve
complains 2 "unexpected argument 'b'" "$effnet" serve a b
complains 2 "--port is '70000'; allowed: 0 to 65535" "$effnet" serve a --port 70000
complains 1 "nowhere" "$effnet" serve "$work/nowhere"

photographs
data=$work
run 0 "$effnet" train "$source/recipes/hymenoptera.yaml" --data "$data" --out "$work/run" --steps 2 \
    --set resolution=64 --set batch_size=8 --set warmup_epochs=0 --set amp=none
complains 2 "--topk is 3; this model has 2 classes" "$effnet" serve "$work/run" --topk 3
complains 1 "'256.0.0.1' is no address" "$effnet" serve "$work/run" --listen 256.0.0.1
mapfile -t pictures < <(find "$data/val" -name '*.jpg' | sort | awk 'NR % 16 == 1')
run 0 "$effnet" predict "$work/run" "${pictures[@]}" --jsonl
cp "$work/out" "$work/wanted"

start() { # OPTION...: $server and $port
    : >"$work/served" # it is read before the shell in the background may have opened it
    "$effnet" serve "$work/run" --port 0 "$@" >"$work/served" 2>"$work/serve_errors" &
    server=$!
    at_end "kill $server 2>/dev/null"
    for ((i = 0; i < 300; i++)); do
        port=$(sed -nE 's|^serving http://.*:([0-9]+)/ .*|\1|p' "$work/served")
        [ -z "$port" ] || return 0
        kill -0 "$server" 2>/dev/null || die "the server ended: $(cat "$work/serve_errors")"
        sleep 0.1
    done
    die "the server does not start"
}
get() { # PATH: body to $work/out, status and headers to $work/err
    python3 -c 'import sys, urllib.request, urllib.error
try: reply = urllib.request.urlopen(sys.argv[1], timeout=60)
except urllib.error.HTTPError as error: reply = error
sys.stdout.buffer.write(reply.read())
print(reply.status, reply.headers, file=sys.stderr)' "http://127.0.0.1:$port$1" >"$work/out" 2>"$work/err" || die "GET $1"
}

start --timeout 4 --max-bytes 1 --workers 2
complains 1 "cannot listen on 127.0.0.1, port $port: Address already in use" "$effnet" serve "$work/run" --port "$port"
get /health
grep -q '{"status":"ok","model":"efficientnet_b0","classes":2,' "$work/out" || die "health"
get /
grep -q '^200 ' "$work/err" && grep -q "default-src 'none'" "$work/err" && grep -q 'Drop a picture' "$work/out" || die "page"
get /nothing
grep -q '^404 ' "$work/err" && grep -q '"error":' "$work/out" || die "404"
python3 "$source/tests/e2e/serve_clients.py" "$port" "$work/wanted" 50 1000000 >"$work/clients" 2>&1 ||
    die "clients: $(cat "$work/clients" "$work/serve_errors")"
cat "$work/clients"
for ((i = 0; i < 50; i++)); do # the last clients may still be going
    get /metrics
    [ "$(sed -n 's/^effnet_body_bytes //p' "$work/out")" != 0 ] || break
    sleep 0.2
done
metric() { sed -n "s/^effnet_$1 //p" "$work/out"; }
holds "$(metric 'replies_total{status="200"}') >= 52 && $(metric 'replies_total{status="422"}') >= 10"
holds "$(metric 'replies_total{status="413"}') == 4 && $(metric 'replies_total{status="500"}') == 0"
# the 8 that trickle, and of the 6 that spoke no HTTP or the 6 that vanished those whose end was not seen before their time
holds "$(metric cut_off_total) >= 8 && $(metric cut_off_total) <= 20 && $(metric body_bytes) == 0 && $(metric waiting) == 0"
holds "$(metric pictures_total) >= 60 && $(metric batches_total) <= $(metric pictures_total)"
holds "$(metric 'answer_seconds_bucket{le="+Inf"}') == $(metric pictures_total)"

echo "-- the end"
python3 - "$port" "${pictures[0]}" "$server" <<'PYTHON' || die "a picture was lost at the end: $(cat "$work/serve_errors")"
# the server is told to end when all these have sent their picture: each gets an answer
import http.client, os, signal, sys
port, picture, server = int(sys.argv[1]), open(sys.argv[2], "rb").read(), int(sys.argv[3])
clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(20)]
for client in clients:
    client.request("POST", "/predict", picture)
first = clients[0].getresponse().status
os.kill(server, signal.SIGTERM)
got = [first] + [client.getresponse().status for client in clients[1:]]
sys.exit(any(status not in (200, 503) for status in got) or got.count(200) < 1)
PYTHON
status=0
wait "$server" || status=$?
[ "$status" = 0 ] || die "the server ended with status $status: $(cat "$work/serve_errors")"
grep -q 'SIGTERM: answering what was sent' "$work/serve_errors" || die "no word at the end"
