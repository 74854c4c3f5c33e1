#!/usr/bin/env bash
# What is installed beside program and library: a man page for each verb, which groff takes without a warning; completion
# of command lines for bash, tried; and all of it as a Debian package, whose program runs.
source "$(dirname "$0")/harness.sh"

echo "-- man pages"
run 0 "$effnet" help --help=words
cut -f1 "$work/out" >"$work/verbs"
grep -qx train "$work/verbs" && grep -qx completion "$work/verbs" || die "'effnet help --help=words' does not name the verbs"
run 0 "$effnet" help --help=man
cp "$work/out" "$work/effnet.1"
while read -r verb; do
    grep -q "^.B $verb " "$work/effnet.1" || die "effnet.1 does not name $verb"
    [ "$verb" != help ] || continue
    run 0 "$effnet" "$verb" --help=man
    grep -q '^\.SH OPTIONS$' "$work/out" && grep -q '^\.SH EXAMPLES$' "$work/out" || die "sections of effnet-$verb.1"
    cp "$work/out" "$work/effnet-$verb.1"
done <"$work/verbs"
if command -v groff >/dev/null; then
    for page in "$work"/*.1; do
        groff -man -Tutf8 -ww -z "$page" >"$work/out" 2>&1
        [ ! -s "$work/out" ] || die "groff warns of $(basename "$page")"
    done
fi
if grep -hE "^[.']" "$work"/*.1 | grep -vqE '^\.(TH|SH|TP|B|BR|nf|fi)( |$)'; then die "a text is taken for a request of roff"; fi
complains 2 "--help is 'html'; allowed: man, words, or nothing" "$effnet" train --help=html

echo "-- completion"
complains 2 "no shell given" "$effnet" completion
complains 2 "unknown shell 'tcsh'; known: bash, zsh, fish" "$effnet" completion tcsh
run 0 "$effnet" completion bash
cp "$work/out" "$work/effnet.bash"
completes() { # WANTED WORD...: what Tab makes of the words, the last one unfinished
    local wanted=$1
    shift
    got=$(PATH="$build:$PATH" bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _effnet
                                       echo "${COMPREPLY[*]}"' bash "$work/effnet.bash" "$@" 2>/dev/null)
    [ "$got" = "$wanted" ] || die "'$*' is completed to '$got', not '$wanted'"
}
completes "predict" effnet pred
completes "--data" effnet train --dat
completes "safetensors onnx c gguf stablehlo" effnet export --format ""
completes "width_coefficient=" effnet train recipe.yaml --set width
completes "verify version" effnet help ver
(cd "$work" && touch my-recipe.yaml && completes "my-recipe.yaml" effnet train my-)
for shell in zsh fish; do
    run 0 "$effnet" completion "$shell"
    cp "$work/out" "$work/effnet.$shell"
    grep -q 'help=words' "$work/out" || die "the script for $shell does not ask the program"
    ! command -v "$shell" >/dev/null || "$shell" -n "$work/out" || die "$shell does not take its script"
done
if command -v fish >/dev/null; then
    completes_in_fish() { # WANTED LINE: what fish offers at its end, one a line, without descriptions
        got=$(cd "$work" && HOME=$work PATH="$build:$PATH" fish -c "source effnet.fish; complete -C '$2'" 2>/dev/null |
            cut -f1 | tr '\n' ' ')
        [ "$got" = "$1" ] || die "fish completes '$2' to '$got', not '$1'"
    }
    completes_in_fish "predict " "effnet pred"
    completes_in_fish "--data " "effnet train --dat"
    completes_in_fish "c gguf onnx safetensors stablehlo " "effnet export --format "
    completes_in_fish "width_coefficient= " "effnet train recipe.yaml --set width"
    completes_in_fish "verify version " "effnet help ver"
    completes_in_fish "my-recipe.yaml " "effnet train my-"
    echo "ok: fish $(fish --version)"
fi
if command -v zsh >/dev/null && zsh -f -c 'zmodload zsh/zpty' 2>/dev/null; then
    mkdir "$work/functions"
    cp "$work/effnet.zsh" "$work/functions/_effnet"
    # An interactive zsh behind a terminal of its own; Tab, then Ctrl-G, which prints the line as it is now.
    cat >"$work/tab.zsh" <<'ZSH'
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell "stty -echo; PROMPT=; RPROMPT=; PS2=; $1; show() { print -r -- \"<<\$BUFFER>>\"; }; zle -N show; bindkey '^G' show; print REA''DY"
wait_for() { local part; all=; repeat 600 { zpty -r -t shell part && all+=$part; [[ $all == *$1* ]] && return; sleep .05 }; print "no $1"; exit 1 }
wait_for READY
zpty -n -w shell "$2"$'\t\C-g'
wait_for '>>'
print -r -- $all
zpty -d shell
ZSH
    completes_in_zsh() { # HOW WANTED LINE: how the script is loaded; a part of what is seen after Tab
        got=$(cd "$work" && HOME=$work PATH="$build:$PATH" zsh -f "$work/tab.zsh" "$1" "$3" </dev/null 2>/dev/null | tr -d "\r") || true
        [[ $got == *"$2"* ]] || die "zsh completes '$3' to '$got', not '$2'"
    }
    load="fpath=($work/functions \$fpath); autoload -U compinit; compinit -u -D"
    completes_in_zsh "$load" "<<effnet predict >>" "effnet pred"
    completes_in_zsh "$load" "<<effnet train --data >>" "effnet train --dat"
    completes_in_zsh "$load" "stablehlo" "effnet export --format "
    completes_in_zsh "$load" "<<effnet train x --set width_coefficient=>>" "effnet train x --set wid"
    completes_in_zsh "$load" "<<effnet train my-recipe.yaml >>" "effnet train my-"
    completes_in_zsh "autoload -U compinit; compinit -u -D; source $work/effnet.zsh" "<<effnet predict >>" "effnet pred"
    echo "ok: $(zsh --version)"
fi

echo "-- Debian package"
command -v dpkg-shlibdeps >/dev/null && command -v dpkg-deb >/dev/null || skip "no dpkg-dev; pages and completion passed"
install_into "$work/installed" # builds the libraries, which the package takes too
[ -s "$work/installed/share/man/man1/effnet-train.1" ] || die "no man page was installed"
[ -s "$work/installed/share/bash-completion/completions/effnet" ] || die "no completion was installed"
run 0 cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/package"
package=$(ls "$work"/package/effnet_*.deb)
run 0 dpkg-deb -I "$package"
grep -qE '^ Depends: .*libyaml-0-2' "$work/out" || die "the package does not name what it needs"
if grep -qE '^ Depends: .*mpi' "$work/out"; then die "the package needs an MPI, which few will use"; fi
if [ -e "$build/libeffnet_mpi.so" ]; then
    grep -q '^ Suggests: effnet-mpi' "$work/out" || die "the package does not speak of effnet-mpi"
    run 0 dpkg-deb -I "$(ls "$work"/package/effnet-mpi_*.deb)"
    grep -qE '^ Depends: .*effnet \(= ' "$work/out" || die "effnet-mpi does not need effnet"
    run 0 dpkg-deb -c "$(ls "$work"/package/effnet-mpi_*.deb)"
    grep -q 'libeffnet_mpi' "$work/out" || die "effnet-mpi has no module"
fi
run 0 dpkg-deb -x "$package" "$work/root"
[ ! -e "$(ls "$work"/root/usr/lib/*/libeffnet_mpi* 2>/dev/null)" ] || die "the package has MPI's module"
run 0 "$work/root/usr/bin/effnet" version
for file in bin/effnet include/effnet.h share/man/man1/effnet.1 share/effnet/recipes/imagenet-b0.yaml; do
    [ -s "$work/root/usr/$file" ] || die "the package lacks $file"
done

echo "-- Debian package of inference alone"
package=$(ls "$work"/package/effnet-inference_*.deb)
run 0 dpkg-deb -I "$package"
grep -qE '^ Depends: .*libjpeg' "$work/out" || die "effnet-inference does not name what it needs"
if grep -E '^ Depends:' "$work/out" | grep -E 'archive|protobuf|yaml|curl|mpi'; then die "effnet-inference needs what it must not"; fi
grep -q '^ Conflicts: effnet$' "$work/out" || die "effnet-inference and effnet have the same program"
run 0 dpkg-deb -x "$package" "$work/device"
library=$(dirname "$(find "$work/device" -name libeffnet-inference.so)")
for file in bin/effnet include/effnet.h share/man/man1/effnet-predict.1 share/bash-completion/completions/effnet; do
    [ -s "$work/device/usr/$file" ] || die "effnet-inference lacks $file"
done
[ ! -e "$work/device/usr/share/man/man1/effnet-train.1" ] || die "effnet-inference has a page of training"
device=$work/device/usr/bin/effnet
run 0 "$device" version
run 0 "$device" help --help=words
[ "$(cut -f1 "$work/out" | paste -sd' ')" = "predict serve completion version help" ] || die "verbs of the program for devices"
complains 2 "this program runs models and nothing else; 'train' is a verb of the whole one" "$device" train recipe.yaml
complains 2 "unknown verb 'predit'; nearest: 'predict'" "$device" predit
flags=$(PKG_CONFIG_PATH=$library/pkgconfig pkg-config --cflags --libs effnet-inference) || die "pkg-config does not find effnet-inference"
# A model is made through the packaged library; then the same digits from the whole program, the packaged one, and the one
# that needs no library at all.
cat >"$work/make.c" <<'C'
#include <effnet.h>
int main(int argc, char **argv) {
    effnet_model *model = 0;
    effnet_model_options options = {.struct_size = sizeof options, .num_classes = 5, .resolution = 64, .threads = 1};
    return argc != 2 || effnet_model_create("efficientnet_lite0", &options, &model, 0) || effnet_model_save(model, argv[1], 0);
}
C
run 0 cc -std=c17 "$work/make.c" -o "$work/make" $flags
run 0 env LD_LIBRARY_PATH="$library" "$work/make" "$work/model.safetensors"
cp "$source/tests/fuzz/corpus/picture/"{still.gif,rgb.tif,lossy.webp,palette4.bmp,rgb.png} "$work"
cp "$source/tests/fuzz/corpus/picture/exif.jpg" "$work/photograph.jpg"
cd "$work"
pictures=(still.gif rgb.tif lossy.webp palette4.bmp photograph.jpg)
run 0 "$effnet" predict model.safetensors "${pictures[@]}" rgb.png --jsonl
cp "$work/out" "$work/wanted"
[ "$(grep -c '"score"' "$work/wanted")" = 6 ] || die "not every picture was classified"
run 0 "$device" predict model.safetensors "${pictures[@]}" rgb.png --jsonl
same "$work/out" "$work/wanted"
run 0 "$device" predict model.safetensors photograph.jpg --explain why.png
[ -s "$work/why.png" ] || die "nothing was drawn"
complains 1 "nowhere" "$device" serve nowhere.safetensors

echo "-- the static program"
static=$build/static/effnet
run 0 cmake --build "$build" --target help
grep -q effnet_device_static "$work/out" || skip "no archives of the libraries to link statically; the rest passed"
run 0 cmake --build "$build" --target effnet_device_static
run 1 ldd "$static"
grep -q "not a dynamic executable" "$work/err" "$work/out" || die "the static program is not static"
run 0 env -i "$static" predict model.safetensors "${pictures[@]}" --jsonl
head -n 5 "$work/wanted" >"$work/wanted_static"
same "$work/out" "$work/wanted_static"
strip -o "$work/stripped" "$static"
size=$(stat -c %s "$work/stripped")
echo "the static program: $size bytes stripped"
holds "$size > 2000000 && $size < 8000000" # 6.6 MB today
run "0|1" "$static" predict model.safetensors rgb.png # Debian has no archive of libspng
[ -s "$work/err" ] && grep -q "rgb.png' is a PNG, and this program was linked without libspng" "$work/err" || grep -q '%' "$work/out" ||
    die "a PNG is neither read nor refused"
printf '\0\0\0\030ftypheic\0\0\0\0mif1heic' >picture.heic
run 1 "$static" predict model.safetensors picture.heic
grep -q "a static program cannot load libheif" "$work/err" || die "HEIC is refused for another reason"
