#!/usr/bin/env bash
# The library as a stranger links it: what an installed tree holds, which symbols it shows, and the examples built as a
# project of their own by CMake and by pkg-config, against the shared library and against the static one. The tree is
# moved after its installation: it may stand anywhere.
source "$(dirname "$0")/harness.sh"

install_into "$work/first"
mv "$work/first" "$work/usr"
library=$(dirname "$(find "$work/usr" -name libeffnet.a)")
version=$(sed -nE 's/^#define EFFNET_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+)$/\2/p' "$work/usr/include/effnet.h" | paste -sd.)
[ -n "$version" ] || die "the header says no version"

# Each function of the header is a global symbol of both libraries, and nothing else is.
grep -v '^#' "$source/include/effnet.h" | tr '\n' ' ' | grep -oE 'EFFNET_API [^(;]*\(' | sed -E 's/.*[ *](effnet_[a-z0-9_]+)\($/\1/' |
    sort -u >"$work/wanted_symbols"
[ "$(wc -l <"$work/wanted_symbols")" -ge 40 ] || die "the header's functions were not found"
nm -g --defined-only "$library/libeffnet.a" | awk 'NF == 3 { print $3 }' | sort >"$work/static_symbols"
nm -D --defined-only "$library/libeffnet.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/shared_symbols"
diff "$work/wanted_symbols" "$work/static_symbols" >"$work/out" || die "libeffnet.a shows other symbols than effnet.h has"
diff "$work/wanted_symbols" "$work/shared_symbols" >"$work/out" || die "libeffnet.so shows other symbols than effnet.h has"
readelf -d "$library/libeffnet.so" | grep -E "SONAME.*\[libeffnet\.so\.${version%.*}\]" >/dev/null ||
    die "libeffnet.so $version has another SONAME"

# Each environment variable that the library reads is told of in the header.
grep -rhoE 'getenv\("[A-Z_]+"' "$source/src" --include='*.c' --exclude-dir=cli --exclude-dir=hub | sort -u | cut -d'"' -f2 >"$work/variables"
[ "$(wc -l <"$work/variables")" -ge 8 ] || die "the library's environment variables were not found"
while read -r name; do
    grep -qw "$name" "$source/include/effnet.h" || die "effnet.h does not tell of the environment variable $name"
done <"$work/variables"

# A program whose own functions are called as the library's inner ones, and which knows the version it was made for.
cat >"$work/names.c" <<'C'
#include <effnet.h>
#include <stdio.h>
#include <string.h>
#if EFFNET_VERSION_NUMBER < EFFNET_VERSION_OF(0, 1, 0) || EFFNET_VERSION_NUMBER >= EFFNET_VERSION_OF(9, 0, 0)
#error "no version"
#endif
int fail(int a), random_key(int a), picture_free(int a), effnet_proto__example__init(int a);
int fail(int a) { return a + 1; }
int random_key(int a) { return a + 2; }
int picture_free(int a) { return a + 3; }
int effnet_proto__example__init(int a) { return a + 4; }
int main(void) {
    effnet_model *model = NULL;
    effnet_error error;
    effnet_model_options options = {.struct_size = sizeof options, .resolution = 32, .threads = 1};
    if (effnet_model_create("efficientnet_b0", &options, &model, &error) != EFFNET_OK) return 1;
    int failed = effnet_model_classes(model) != 1000 || strcmp(effnet_version(), EFFNET_VERSION) != 0;
    effnet_model_free(model);
    printf("%s %d\n", effnet_version(), fail(1) + random_key(1) + picture_free(1) + effnet_proto__example__init(1));
    return failed;
}
C

# uses WHICH PROGRAM: the program needs libeffnet.so where it is the shared one, and does not where it is the static one.
uses() {
    readelf -d "$2" >"$work/needs"
    case $1 in
        shared) grep -q 'NEEDED.*libeffnet\.so\.' "$work/needs" || die "$2 is not linked with libeffnet.so" ;;
        static) ! grep -q 'NEEDED.*libeffnet\.so' "$work/needs" || die "$2 needs libeffnet.so" ;;
    esac
}

for link in shared static; do
    # CMake
    run 0 cmake -S "$source/examples" -B "$work/$link" -DCMAKE_PREFIX_PATH="$work/usr" -DEFFNET_LINK=$link
    run 0 cmake --build "$work/$link"
    uses $link "$work/$link/predict"
    complains 2 usage "$work/$link/predict"
    complains 1 nowhere "$work/$link/predict" "$work/nowhere" "$work/0.png"

    # pkg-config; the static library is what is found where it stands alone
    if [ $link = static ]; then
        cp -r "$work/usr" "$work/alone"
        rm "$work"/alone/"${library#"$work/usr/"}"/libeffnet.so*
    else
        ln -s usr "$work/alone"
    fi
    export PKG_CONFIG_PATH=$work/alone/${library#"$work/usr/"}/pkgconfig
    static=()
    [ $link = shared ] || static=(--static)
    flags=$(pkg-config --cflags --libs "${static[@]}" effnet) || die "pkg-config does not find effnet"
    [ "$(pkg-config --modversion effnet)" = "$version" ] || die "pkg-config tells another version than the header's $version"
    run 0 cc -std=c17 -Wall -Wextra -Werror "$work/names.c" -o "$work/names_$link" $flags
    uses $link "$work/names_$link"
    run 0 env LD_LIBRARY_PATH="$library" "$work/names_$link"
    [ "$(cat "$work/out")" = "$version 14" ] || die "the $link library was called wrongly"
    rm -rf "$work/alone"
done

# A link line that is older than the reading of TIFF and GIF still links the static library, and says what is not read;
# effnet.pc's has them.
cat >"$work/pictures.c" <<'C'
#include <effnet.h>
#include <stdio.h>
#include <stdlib.h>
static void found(void *context, effnet_data_finding finding, const char *text) {
    (void)context, (void)finding;
    puts(text);
}
int main(int count, char **arguments) {
    effnet_error error;
    char *text;
    if (effnet_text_of_bytes("x", "\xff\xfe\xac\x20", 4, &text, &error) != EFFNET_OK) return 2; /* the euro sign */
    puts(text);
    free(text);
    effnet_data_check_options options = {.struct_size = sizeof options, .workers = 1, .found = found};
    effnet_data_report report = {.struct_size = sizeof report};
    if (effnet_data_check(arguments[count - 1], &options, &report, &error) != EFFNET_OK) return puts(error.message), 1;
    printf("%lld bad\n", (long long)report.bad[0]);
    effnet_data_report_free(&report);
    return 0;
}
C
mkdir -p "$work/kinds/train/a" "$work/kinds/train/b" "$work/kinds/val/a" "$work/kinds/val/b"
for split in train val; do
    cp "$source/tests/fuzz/corpus/picture/rgb.tif" "$work/kinds/$split/a"
    cp "$source/tests/fuzz/corpus/picture/still.gif" "$work/kinds/$split/b"
done
run 0 cc -std=c17 "$work/pictures.c" -I"$work/usr/include" "$library/libeffnet.a" -o "$work/pictures_old" \
    $(pkg-config --libs jansson libjpeg spng libwebp libprotobuf-c yaml-0.1 zlib) -larchive -lm -lpthread -Wl,--as-needed
run 0 "$work/pictures_old" "$work/kinds"
grep -q '^€$' "$work/out" && grep -q '^2 bad$' "$work/out" || die "the library without libtiff and giflib"
grep -q "rgb.tif' is a TIFF, and this program was linked without libtiff" "$work/out" || die "nothing said of libtiff"
grep -q "still.gif' is a GIF, and this program was linked without giflib" "$work/out" || die "nothing said of giflib"
cp -r "$work/usr" "$work/alone"
rm "$work"/alone/"${library#"$work/usr/"}"/libeffnet.so*
run 0 cc -std=c17 -Wl,--as-needed "$work/pictures.c" -o "$work/pictures_new" $(pkg-config --cflags --libs --static effnet)
uses static "$work/pictures_new"
run 0 "$work/pictures_new" "$work/kinds"
grep -q '^0 bad$' "$work/out" || die "pkg-config's flags leave out libtiff or giflib"
rm -rf "$work/alone"

# libeffnet-inference: what runs a model, without what reads archives, protocol buffers and YAML, and small.
sed -n '1,/^#ifndef EFFNET_INFERENCE_ONLY$/p' "$source/include/effnet.h" | grep -v '^#' | tr '\n' ' ' |
    grep -oE 'EFFNET_API [^(;]*\(' | sed -E 's/.*[ *](effnet_[a-z0-9_]+)\($/\1/' | sort -u >"$work/wanted_symbols"
nm -g --defined-only "$library/libeffnet-inference.a" | awk 'NF == 3 { print $3 }' | sort >"$work/static_symbols"
nm -D --defined-only "$library/libeffnet-inference.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/shared_symbols"
diff "$work/wanted_symbols" "$work/static_symbols" >"$work/out" || die "libeffnet-inference.a shows other symbols"
diff "$work/wanted_symbols" "$work/shared_symbols" >"$work/out" || die "libeffnet-inference.so shows other symbols"
ldd "$library/libeffnet-inference.so" >"$work/needs"
! grep -E 'libarchive|libprotobuf|libyaml|libxml2|libicu' "$work/needs" || die "libeffnet-inference.so needs what it must not"
strip -o "$work/stripped.so" "$library/libeffnet-inference.so"
size=$(stat -c %s "$work/stripped.so")
echo "libeffnet-inference.so: $size bytes stripped"
holds "$size > 500000 && $size < 2500000" # 2.4 MB today, 1.9 MB of it kernels for eight sets of instructions
cat >"$work/make.c" <<'C'
#include <effnet.h>
#ifndef EFFNET_INFERENCE_ONLY
#error "the package does not say what it lacks"
#endif
int main(int argc, char **argv) {
    effnet_model *model = NULL;
    effnet_model_options options = {.struct_size = sizeof options, .num_classes = 5, .resolution = 32, .threads = 1};
    if (argc < 2 || effnet_model_create("efficientnet_b0", &options, &model, NULL) != EFFNET_OK) return 1;
    int failed = effnet_model_save(model, argv[1], NULL) != EFFNET_OK;
    effnet_model *elsewhere = NULL;
    options.device = "xla"; /* told, not ignored */
    failed |= effnet_model_create("efficientnet_b0", &options, &elsewhere, NULL) != EFFNET_ERROR_UNSUPPORTED;
    effnet_model_free(model);
    return failed;
}
C
export PKG_CONFIG_PATH=$library/pkgconfig LD_LIBRARY_PATH=$library
flags=$(pkg-config --cflags --libs effnet-inference) || die "pkg-config does not find effnet-inference"
run 0 cc -std=c17 -Wall -Wextra -Werror "$work/make.c" -o "$work/make" $flags
run 0 "$work/make" "$work/model.safetensors"
picture=$work/picture.bmp # 4 x 4 pixels of one colour
{ printf 'BM\x66\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\4\0\0\0\4\0\0\0\1\0\x18\0\0\0\0\0\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
  for ((i = 0; i < 48; i++)); do printf "\\x$(printf %x $((i * 5)))"; done; } >"$picture"
run 0 "$work/shared/predict" "$work/model.safetensors" "$picture"
cp "$work/out" "$work/wanted"
grep -qE '%.*%' "$work/wanted" || die "predict says nothing"
for link in inference inference_static; do
    run 0 cmake -S "$source/examples" -B "$work/$link" -DCMAKE_PREFIX_PATH="$work/usr" -DEFFNET_LINK=$link
    run 0 cmake --build "$work/$link"
    [ ! -e "$work/$link/train_step" ] || die "a library for inference trained"
    run 0 "$work/$link/predict" "$work/model.safetensors" "$picture"
    same "$work/out" "$work/wanted"
done
readelf -d "$work/inference_static/predict" | grep NEEDED >"$work/needs"
! grep -E 'effnet|archive|protobuf|yaml' "$work/needs" || die "the static program needs what it must not"

# A package of another minor version is refused, and so is a component that there is not.
mkdir "$work/other"
for asked in '0.99 REQUIRED' 'REQUIRED COMPONENTS python'; do
    printf 'cmake_minimum_required(VERSION 3.22)\nproject(other LANGUAGES C)\nfind_package(effnet %s)\n' "$asked" \
        >"$work/other/CMakeLists.txt"
    run 1 cmake -S "$work/other" -B "$work/other/build" -DCMAKE_PREFIX_PATH="$work/usr"
    grep -q effnet "$work/err" || die "find_package(effnet $asked) fails for another reason"
done
