#!/usr/bin/env bash
# aarch64.sh - test_kernels compiled for 64-bit ARM by a cross compiler and run by qemu, which has every set that
# vector_neon.h knows (neon, neonbf16), so that their own instructions are tested without such a processor.
#
#   tests/kernels/aarch64.sh [FOLDER]        builds in FOLDER, a temporary one if none is named
#
# Wants Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user, and fetches libcmocka for arm64 from the
# same mirror as the system's (CMOCKA=FOLDER: lies there already, unpacked). By hand: the packages are 270 MB; the test
# command runs the same kernels over SIMDe (test_kernels). Exit status 77: something of it is not here.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD folder=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$folder"' EXIT
for program in aarch64-linux-gnu-gcc qemu-aarch64 dpkg-deb; do
    command -v "$program" >/dev/null || { echo "aarch64.sh: there is no $program" >&2; exit 77; }
done
mkdir -p "$folder"
cd "$folder"

cmocka=${CMOCKA:-$PWD/cmocka}
if [ ! -e "$cmocka/usr/include/cmocka.h" ]; then
    mirror=$(apt-get indextargets --format '$(SITE)' | head -n 1)
    version=$(dpkg-query -W -f='${Version}' libcmocka-dev)
    for package in libcmocka0 libcmocka-dev; do
        curl -sSfO "$mirror/pool/main/c/cmocka/${package}_${version}_arm64.deb" || exit 77
        dpkg-deb -x "${package}_${version}_arm64.deb" "$cmocka"
    done
fi

flags=(-std=c17 -D_GNU_SOURCE -DEFFNET_ARM=1 -Wall -Wextra -Werror -Wshadow -fno-math-errno -fno-trapping-math
       -ffp-contract=off "-I$root/src" "-I$root/include" "-I$cmocka/usr/include")
compile() { aarch64-linux-gnu-gcc "${flags[@]}" "$@"; }
# table NAME VECTORS FLAGS...: every kernel, as effnet_kernels() in CMakeLists.txt compiles them
table() {
    local name=$1 vectors=$2 file
    shift 2
    for file in "$root"/src/backend/cpu/kernels/*.c; do
        compile -O3 "-DEFFNET_VECTOR_HEADER=\"backend/cpu/vectors/vector_$vectors.h\"" "$@" -c "$file" \
            -o "$name-$(basename "$file" .c).o"
    done
}
table scalar scalar
table scalar_bf16 scalar -DEFFNET_VALUES_BF16
table neon neon
table neon_bf16 neon -DEFFNET_VALUES_BF16
table neonbf16_bf16 neon -DEFFNET_VALUES_BF16 -march=armv8.2-a+fp16+bf16+i8mm
for file in src/backend/cpu/isa.c src/base/{error,number_text,memory,random}.c src/reference/reference_conv.c \
            tests/kernels/test_kernels.c; do
    compile -O1 -c "$root/$file" -o "$(basename "$file" .c).o"
done
compile ./*.o -o test_kernels -L"$cmocka/usr/lib/aarch64-linux-gnu" -lcmocka -lm
exec qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$cmocka/usr/lib/aarch64-linux-gnu" ./test_kernels
