#!/usr/bin/env bash
# setup.sh - install the Debian packages that a job needs, and nothing that is there already.
#
#   tools/setup.sh build|demo|test|list
#
# build: what `cmake --preset release && cmake --build build` needs; demo: that, example pictures and gnuplot;
# test: that, a second compiler, sanitizers and the formatter; list: print every package, install nothing.
# This is the only list of packages; the demo, the tests and the README read it. Works as root, with sudo
# otherwise; asks nothing.
set -euo pipefail

build="gcc libc6-dev cmake ninja-build pkg-config libturbojpeg0-dev libjpeg62-turbo-dev libspng-dev libwebp-dev libyaml-dev
       libjansson-dev libarchive-dev libprotobuf-c-dev protobuf-c-compiler
       libcurl4-openssl-dev zlib1g-dev libutf8proc-dev libgif-dev libtiff-dev libheif-dev libcmocka-dev libmicrohttpd-dev"
demo="dataset-fashion-mnist gnuplot-nox"
test="clang libclang-rt-14-dev clang-format dataset-fashion-mnist zstd git libsimde-dev libopenmpi-dev openmpi-bin locales dpkg-dev groff-base
      zsh fish"

case "${1:-}" in
    build) wanted=$build ;;
    demo) wanted="$build $demo" ;;
    test) wanted="$build $test" ;;
    list) printf '%s\n' $build $demo $test | sort -u; exit 0 ;;
    *) echo "usage: tools/setup.sh build|demo|test|list" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "setup.sh: not a Debian system; going on with what is installed. Needed:" $wanted >&2
    exit 0
fi

# A plugin for the tests of accelerators, which runs on a processor: one file out of a package of PyPI's (63 MB), kept in
# build-plugins/. Where it cannot be had those tests say 'skipped'.
fetch_plugin() {
    local folder package=fastatomstruct-xla-cpu
    folder=$(cd "$(dirname "$0")/.." && pwd)/build-plugins
    [ ! -e "$folder/fastatomstruct_xla_cpu/libpjrt_cpu.so" ] || return 0
    python3 -m pip --version >/dev/null 2>&1 || { echo "setup.sh: no pip; the tests of accelerators will be skipped"; return 0; }
    mkdir -p "$folder"
    if python3 -m pip download -q --no-deps --only-binary=:all: -d "$folder" "$package" >/dev/null 2>&1 &&
        python3 -m zipfile -e "$folder"/*.whl "$folder"; then
        rm -f "$folder"/*.whl
    else
        echo "setup.sh: $package cannot be had; the tests of accelerators will be skipped"
    fi
}
[ "$1" != test ] || fetch_plugin

missing=()
for package in $wanted; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup.sh: neither root nor sudo; ask an administrator for: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "setup.sh: installing ${missing[*]}"
install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { install update && install install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup.sh: apt-get failed, its last words are above; is the network up?" >&2
    exit 1
fi
