#!/usr/bin/env bash
# Weights by name, from a server of Hugging Face's layout on this machine (hub_server.py): what comes is what it has, once;
# transfers that break off go on; a server that lies, fails, refuses or stalls is told; the token goes to the hub alone;
# without network the cache is enough. Nothing here leaves the machine.
source "$(dirname "$0")/harness.sh"
command -v python3 >/dev/null || skip "no python3"
need_fashion
small_fashion whole

mkdir "$work/served"
run 0 "${train[@]}" --out "$work/run" --steps 1
run 0 "$effnet" export "$work/run" "$work/run.safetensors"
python3 - "$work/run.safetensors" "$work/served/model.safetensors" <<'PYTHON'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
header["__metadata__"] = {"format": "pt"} # as timm's: nothing of ours
text = json.dumps(header).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size:])
PYTHON
cat >"$work/served/config.json" <<'JSON'
{"architecture": "tf_efficientnet_b0", "num_classes": 10, "label_names": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
 "pretrained_cfg": {"tag": "in1k", "input_size": [3, 40, 40], "crop_pct": 0.9, "interpolation": "bilinear",
                    "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}
JSON
python3 "$source/tests/e2e/hub_server.py" "$work/served" >"$work/port" 2>"$work/server" & # its own complaints are of clients that hang up
server=$!
at_end 'kill $server 2>/dev/null'
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.1; done
export HF_ENDPOINT=http://127.0.0.1:$(cat "$work/port") HF_HOME=$work/home HF_HUB_DOWNLOAD_TIMEOUT=20
unset HF_TOKEN HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_HUB_OFFLINE http_proxy HTTP_PROXY all_proxy ALL_PROXY
cache=$work/home/hub
log=$work/served/log
commit=0123456789abcdef0123456789abcdef01234567
sum=$(sha256sum "$work/served/model.safetensors" | cut -d' ' -f1)

fetched() { grep -c "^store GET /$1/" "$log" || true; } # how often the large file was asked for
import() { "$effnet" import "$1" "$work/${1%%/*}.safetensors"; }
# The weights came whole: those of the run.
arrives() {
    run 0 import "$1"
    same_tensors "$work/${1%%/*}.safetensors" "$work/run.safetensors"
}
# Refused with this message; nothing unchecked is under a name that counts.
refused() {
    run 1 import "$1"
    [ "$(grep -vc ' MB/s, ' "$work/err")" = 1 ] || die "wanted one line on standard error"
    grep -qE -- "$2" "$work/err" || die "standard error does not match '$2'"
    echo "ok: $(tail -n 1 "$work/err")"
    [ ! -e "$cache/models--${1/\//--}/snapshots" ] || die "'$1' was refused and is in the cache"
}

echo "-- a name is a file"
run '0|1' import good/tf_efficientnet_b0.in1k
! grep -q "built without libcurl" "$work/err" || skip "this program was built without libcurl"
same_tensors "$work/good.safetensors" "$work/run.safetensors"
grep -q "good/tf_efficientnet_b0.in1k model.safetensors: .* MB/s" "$work/err" || die "no word of the download"
grep -q "resolution 40, crop_pct 0.9, bilinear, mean 0.5,0.5,0.5, std 0.25,0.25,0.25" "$work/out" || die "config.json is not obeyed"
run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" 5 "$work/5.png"
run 0 "$effnet" predict "$work/good.safetensors" "$work/5.png" --topk 10 --json
grep -q '"label":"j"' "$work/out" || die "label_names are not there"

repository=$cache/models--good--tf_efficientnet_b0.in1k
[ "$(cat "$repository/refs/main")" = $commit ] || die "refs/main"
[ "$(readlink "$repository/snapshots/$commit/model.safetensors")" = "../../blobs/$sum" ] || die "the snapshot's link"
same "$repository/blobs/$sum" "$work/served/model.safetensors"
[ -z "$(find "$cache" -name '*.incomplete' -o -name '*.tmp')" ] || die "left over: $(find "$cache" -name '*.incomplete')"

arrives good/tf_efficientnet_b0.in1k
[ "$(fetched good)" = 1 ] || die "fetched again, though it is in the cache"
run 0 "${train[@]}" --out "$work/begun" --steps 1 --init good/tf_efficientnet_b0.in1k
grep -aq "begun from .*snapshots/$commit/model.safetensors" "$work/begun/checkpoints/last/raw.safetensors" || die "the run does not say what it began from"
arrives torch/only_a_bin
arrives good/at@v2
[ "$(cat "$cache/models--good--at/refs/v2")" = $commit ] || die "refs/v2"

echo "-- transfers that break off, servers that do other things than they were asked"
arrives tired/b0
arrives broken/b0
grep -qE "^store GET /broken/.* bytes=[1-9][0-9]*-$" "$log" || die "a broken transfer was not gone on with"
arrives ranged/b0
HF_HUB_DOWNLOAD_TIMEOUT=1 arrives stalling/b0
# what an earlier process left: the first half
mkdir -p "$cache/models--left--b0/blobs"
head -c 1000000 "$work/served/model.safetensors" >"$cache/models--left--b0/blobs/$sum.incomplete"
arrives left/b0
grep -qE "^store GET /left/.* bytes=1000000-$" "$log" || die "what was there was not gone on with"
# and another's bytes: the checksum finds it, and the next try begins anew
mkdir -p "$cache/models--spoilt--b0/blobs"
head -c 1000000 /dev/zero >"$cache/models--spoilt--b0/blobs/$sum.incomplete"
refused spoilt/b0 "has the sha256 [0-9a-f]{64}, and the hub says $sum: it was thrown away"
arrives spoilt/b0

echo "-- two at once fetch it once"
import slow/b0 >"$work/first" 2>&1 &
first=$!
"$effnet" import slow/b0 "$work/second.safetensors" >"$work/second" 2>&1 || die "the second: $(cat "$work/second")"
wait $first || die "the first: $(cat "$work/first")"
[ "$(fetched slow)" = 1 ] || die "$(fetched slow) transfers, wanted one"
grep -q "another process is fetching" "$work/first" "$work/second" || die "none of them said that it waits"

echo "-- lies and refusals"
refused otherwise/b0 "sha256 $sum, and the hub says 0{64}: it was thrown away"
[ -z "$(find "$cache/models--otherwise--b0" -type f -name '*.incomplete')" ] || die "what is wrong was kept"
refused longer/b0 "more than the [0-9]+ bytes come"
refused shifted/b0 "from byte [0-9]+, asked for 1000"
refused climbing/b0 "no checksum of 'model.safetensors'"
[ -z "$(find "$work" -name 'escaped*')" ] || die "a server's name for a file led out of the cache"
refused huge/b0 "would have 1152921504606846976 bytes; allowed: 1 to 8589934592"
refused nocommit/b0 "of which commit"
refused wordy/b0 "cannot be fetched"
refused circle/b0 "more than 5 redirects"
refused nobody/b0 "no model 'nobody/b0'.*private.*HF_TOKEN"
refused gated/b0 "accept its terms at $HF_ENDPOINT/gated/b0"
refused vanished/b0 "no 'pytorch_model.bin'.*404"
refused good/b0@v3 "no revision 'v3'"
refused halved/b0 "ends after [0-9]+ of its [0-9]+ bytes.*kept" &
halved=$!
complains 1 "status 500" "$effnet" import failing/b0 "$work/x.safetensors" # while that one waits
wait $halved || exit 1
rm -rf "$cache/models--good--b0"

echo "-- the token goes to the hub and to nobody else"
refused private/b0 "private"
HF_TOKEN=hf_wrong refused private/b0 "refuses the token in HF_TOKEN"
HF_TOKEN=hf_secret arrives private/b0
grep -q "^hub HEAD /private/.* Bearer hf_secret" "$log" || die "the hub did not get the token"
! grep -E "^store .*hf_" "$log" || die "the store of large files got the token"
HF_TOKEN=$'hf_a\r\nX-Evil: 1' refused good/c0 "HF_TOKEN has blanks or other bytes"
HF_ENDPOINT=ftp://127.0.0.1 refused good/c0 "HF_ENDPOINT is 'ftp"

echo "-- names that are files"
complains 1 "cannot open '$work/none/b0'" "$effnet" import "$work/none/b0" "$work/x.safetensors"
complains 1 "cannot open 'good/none.pth'" "$effnet" import good/none.pth "$work/x.safetensors"
(cd "$work" && complains 1 "cannot open 'run/mistyped'" "$effnet" import run/mistyped "$work/x.safetensors")
! grep -E "none|mistyped" "$log" || die "a file's name went over the network"

echo "-- without network"
complains 1 "more/b0 is not in the cache '$cache'" env HF_HUB_OFFLINE=1 "$effnet" import more/b0 "$work/x.safetensors"
complains 1 "more/b0 is not in the cache" "$effnet" import more/b0 "$work/x.safetensors" --offline
kill $server
wait $server 2>/dev/null || true
run 0 "$effnet" import good/tf_efficientnet_b0.in1k "$work/offline.safetensors" --offline
same_tensors "$work/offline.safetensors" "$work/run.safetensors"
HF_HUB_OFFLINE=1 arrives broken/b0
arrives good/tf_efficientnet_b0.in1k
grep -q "warning: .*the copy in the cache is taken" "$work/err" || die "no word that the hub was not reached"
run 0 "$effnet" import "good/tf_efficientnet_b0.in1k@$commit" "$work/commit.safetensors"
[ ! -s "$work/err" ] || die "a commit never changes; why ask the hub?"
