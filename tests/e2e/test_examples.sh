#!/usr/bin/env bash
# The library as a stranger uses it: installed into an empty folder, the examples compiled with nothing but the
# installed header, library and pkg-config file, and run. examples/predict.c stays below 60 lines.
source "$(dirname "$0")/harness.sh"

install_into "$work/usr"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name effnet.pc)")
mv "$work/usr" "$work/moved" # the tree may stand anywhere
PKG_CONFIG_PATH=${PKG_CONFIG_PATH/"$work/usr"/"$work/moved"}
flags=$(pkg-config --cflags --libs effnet) || die "pkg-config does not find effnet"

for example in "$source"/examples/*.c; do
    name=$(basename "$example" .c)
    run 0 cc -std=c17 -Wall -Wextra -Werror "$example" -o "$work/$name" $flags
    [ "$(wc -l <"$example")" -lt 60 ] || die "$name.c has 60 lines or more"
done
export LD_LIBRARY_PATH=${PKG_CONFIG_PATH%/pkgconfig}
# The header alone is enough, in C and in C++ where there is a compiler.
echo '#include <effnet.h>' >"$work/alone.c"
run 0 cc -std=c99 -Wall -Wextra -Wpedantic -Werror -c "$work/alone.c" -o "$work/alone.o" -I"$work/moved/include"
if command -v c++ >/dev/null; then
    run 0 c++ -x c++ -Wall -Werror -c "$work/alone.c" -o "$work/alone.o" -I"$work/moved/include"
fi

run 0 "$work/train_step"
grep -qx '16 of 16 right' "$work/out" || die "train_step learned nothing"
complains 2 usage "$work/predict"
complains 1 nowhere "$work/predict" "$work/nowhere" "$work/0.png"

need_fashion
small_fashion whole
run 0 "${train[@]}" --out "$work/run" --steps 3
run 0 "$build/tools/idx_to_png" "$fashion/t10k-images-idx3-ubyte.gz" 0 "$work/0.png"
run 0 "$work/predict" "$work/run" "$work/0.png"
grep -qE '0\.png:(  [^%]+ [0-9.]+ %){3}$' "$work/out" || die "predict printed something else"
complains 1 'missing\.png' "$work/predict" "$work/run" "$work/missing.png"

# The program stands beside its library and says the same of itself.
run 0 "$work/moved/bin/effnet" version
grep -q '^effnet [0-9.]*, ' "$work/out" || die "the installed program does not run"
