# shellcheck shell=bash disable=SC2034,SC2016
# switch_common.sh - what switches.sh and switch_accuracy.sh share: one training of recipes/cifar10-b0.yaml with the keys
# of an experiment, and reading its log. An experiment is called by its keys, `weight_decay=0.01,decay_mode=half_l2`;
# `default` has none. Sourced, from the repository's root.
#
# EFFNET=program, THREADS=N, RUNNER=command that runs a training (a queue, say).

# train_switched EXPERIMENT DATA OUT ARGUMENT...: OUT/log.jsonl, empty where nothing was logged, and in `said` what the
# program said where it stopped. The experiment's keys come last, so that they win.
train_switched() {
    local experiment=$1 data=$2 out=$3 sets=() pair
    shift 3
    [ "$experiment" = default ] || for pair in ${experiment//,/ }; do sets+=(--set "$pair"); done
    rm -rf "$out"
    said=
    # RUNNER is split into words on purpose.
    ${RUNNER:-} "${EFFNET:-build/effnet}" train recipes/cifar10-b0.yaml --data "$data" --out "$out" --quiet \
        --threads "${THREADS:-2}" "$@" "${sets[@]}" >"$out.out" 2>"$out.err" ||
        said=$(tail -n 1 "$out.err" | sed 's/^effnet train: //; s/|/,/g; s/; no checkpoint.*//')
    mkdir -p "$out"
    touch "$out/log.jsonl"
}

# link_first COUNT FROM TO: of each class folder of FROM the first COUNT pictures, by name, as links in TO.
link_first() {
    local class folder
    for class in "$2"/*/; do
        folder=$3/$(basename "$class")
        mkdir -p "$folder"
        find "$(realpath "$class")" -name '*.*' | LC_ALL=C sort | sed -n "1,$1p" | xargs -d '\n' ln -s -t "$folder"
    done
}

# For awk: the number of a key in a line of a log, or "".
awk_field='function field(key,  found) {
    if (!match($0, "\"" key "\": *[-0-9.e+]+")) return ""
    found = substr($0, RSTART, RLENGTH); sub(/.*: */, "", found); return found
}'
