# harness.sh - what the end-to-end tests share; read by `source`, called as test_x.sh BUILD_DIR SOURCE_DIR.
#
# Gives $effnet (the program), $source (the checkout), $work (a folder that is deleted at the end), $fashion (Debian's
# Fashion-MNIST) and the checks below. A failed check prints what was expected and ends the test with status 1.

set -euo pipefail # so a reader that ends early fails what it reads from: sed -n 1p and grep >/dev/null, not head and grep -q
build=$(realpath "$1")
source=$(realpath "$2")
effnet=$build/effnet
fashion=/usr/share/datasets/fashion-mnist
work=$(mktemp -d)
finish=()
at_end() { finish+=("$1"); } # a command to run before $work is deleted, last given first
clean_up() {
    local i
    for ((i = ${#finish[@]} - 1; i >= 0; i--)); do eval "${finish[i]}" || true; done
    rm -rf "$work"
}
trap clean_up EXIT

skip() { echo "skipped: $*"; exit 77; }
die() {
    echo "FAILED: $*"
    [ ! -s "$work/out" ] || { echo "-- standard output:"; tail -n 15 "$work/out"; }
    [ ! -s "$work/err" ] || { echo "-- standard error:"; tail -n 15 "$work/err"; }
    exit 1
}

[ -x "$effnet" ] || die "there is no program '$effnet'"

need_fashion() { [ -r "$fashion/train-images-idx3-ubyte.gz" ] || skip "no $fashion (Debian: dataset-fashion-mnist)"; }
# photographs: $work/train and $work/val of ants and bees, real ones out of ../shared/data/hymenoptera.tar or, where that
# is missing, drawn ones (tests/drawn_photographs.h); $archive is a tar of the same.
photographs() {
    archive=$source/../shared/data/hymenoptera.tar
    if [ -r "$archive" ]; then
        tar -C "$work" -xf "$archive"
    else
        echo "no ../shared/data/hymenoptera.tar: pictures are drawn"
        archive=$work/photographs.tar
        "$build/tests/draw_photographs" "$work" || die "no pictures were drawn"
        tar -C "$work" -cf "$archive" train val
    fi
}

# run STATUS COMMAND...: output to $work/out and $work/err; STATUS is a pattern: 0, or 1|2.
run() {
    local wanted=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [[ $status =~ ^($wanted)$ ]] || die "exit status $status, wanted $wanted: $*"
}

# complains STATUS PATTERN COMMAND...: the command fails with STATUS and says so in one line on standard error that
# matches PATTERN (extended, letter case ignored). "effnet: warning" lines are not counted.
complains() {
    local wanted=$1 pattern=$2 lines
    shift 2
    run "$wanted" "$@"
    grep -v -i -e 'warning' -e '^data: ' "$work/err" >"$work/complaint" || true # data: what is read, told before
    lines=$(wc -l <"$work/complaint")
    [ "$lines" = 1 ] || die "$lines lines on standard error, wanted one: $*"
    grep -qiE -- "$pattern" "$work/complaint" || die "standard error does not match '$pattern': $*"
    echo "ok: $(cat "$work/complaint")"
}

# number KEY [FILE]: the number of "KEY": in the last line of FILE (standard output) that has it; "" if none.
number() {
    sed -nE "s/.*\"$1\"[ ]*:[ ]*(-?[0-9.][-+0-9.eE]*).*/\1/p" "${2:-$work/out}" | tail -n 1
}
# holds CONDITION: arithmetic with decimals, by awk; NaN or nothing makes it false.
holds() { awk "BEGIN { exit !($1) }" 2>/dev/null || die "not so: $1"; }

same() { cmp -s "$1" "$2" || die "'$1' and '$2' differ"; }
# same_checkpoint A B: weights, averaged weights and optimizer slots bit for bit.
# The values of two safetensors files; their headers differ where the recipe does (threads), by its checksum.
same_tensors() {
    local one other
    one=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    other=$(od -An -tu8 -N8 "$2" | tr -d ' ')
    cmp -s -i $((one + 8)):$((other + 8)) "$1" "$2" || die "the tensors of '$1' and '$2' differ"
}
same_checkpoint() {
    local file
    for file in raw ema slots; do
        [ -s "$1/$file.safetensors" ] || die "no '$1/$file.safetensors'"
        same_tensors "$1/$file.safetensors" "$2/$file.safetensors"
    done
}

# small_fashion [whole]: $train, the demo's recipe with batches of 32 and a network of half the width and depth, or the whole.
small_fashion() {
    train=("$effnet" train "$source/recipes/fashion-mnist-b0.yaml" --data "$fashion" --set batch_size=32
           --set eval_batch_size=250 --set log_interval=5)
    [ "${1:-}" = whole ] || train+=(--set width_coefficient=0.5 --set depth_coefficient=0.5)
}

# install_into FOLDER: the program and the libraries of this build, built where they are not yet; a sanitized build has
# no libraries to install.
install_into() {
    ! grep -qE '^EFFNET_SANITIZE:[A-Z]+=.+' "$build/CMakeCache.txt" || skip "a sanitized build installs no library"
    run 0 cmake --build "$build" --target effnet_libraries
    run 0 cmake --install "$build" --prefix "$1"
}
