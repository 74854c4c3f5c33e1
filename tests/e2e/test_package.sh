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
completes "safetensors onnx c stablehlo" effnet export --format ""
completes "width_coefficient=" effnet train recipe.yaml --set width
completes "verify version" effnet help ver
(cd "$work" && touch my-recipe.yaml && completes "my-recipe.yaml" effnet train my-)
for shell in zsh fish; do
    run 0 "$effnet" completion "$shell"
    grep -q 'help=words' "$work/out" || die "the script for $shell does not ask the program"
    ! command -v "$shell" >/dev/null || "$shell" -n "$work/out" || die "$shell does not take its script"
done

echo "-- Debian package"
command -v dpkg-shlibdeps >/dev/null && command -v dpkg-deb >/dev/null || skip "no dpkg-dev; pages and completion passed"
install_into "$work/installed" # builds the libraries, which the package takes too
[ -s "$work/installed/share/man/man1/effnet-train.1" ] || die "no man page was installed"
[ -s "$work/installed/share/bash-completion/completions/effnet" ] || die "no completion was installed"
run 0 cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/package"
package=$(ls "$work"/package/effnet_*.deb)
run 0 dpkg-deb -I "$package"
grep -qE '^ Depends: .*libyaml-0-2' "$work/out" || die "the package does not name what it needs"
run 0 dpkg-deb -x "$package" "$work/root"
run 0 "$work/root/usr/bin/effnet" version
for file in bin/effnet include/effnet.h share/man/man1/effnet.1 share/effnet/recipes/imagenet-b0.yaml; do
    [ -s "$work/root/usr/$file" ] || die "the package lacks $file"
done
