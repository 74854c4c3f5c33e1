#!/usr/bin/env bash
# Limits of the process (ulimit): a file that may not grow is an error with its reason, not a sudden end; too few open files
# end a run, and no picture is taken for a bad one because of them; memory that may be taken is counted.
source "$(dirname "$0")/harness.sh"
source "$(dirname "$0")/small_pictures.sh"
small_pictures "$work/data" a b
small_recipe "$work/recipe.yaml"
train=("$effnet" train "$work/recipe.yaml" --data "$work/data" --set num_classes=2 --no-report --set width_coefficient=0.1
       --set depth_coefficient=0.1)
limited() { (ulimit $1; shift; exec "$@"); }

complains 1 'raw.safetensors.: File too large.*no checkpoint had been written yet' \
    limited '-f 100' "${train[@]}" --out "$work/short"
run 0 "${train[@]}" --out "$work/run"
complains 1 'File too large' limited '-f 100' "$effnet" export "$work/run" "$work/model.onnx"
[ ! -e "$work/model.onnx" ] || die "an export that was cut off"
run 1 limited '-f 20' "$effnet" pack "$work/data" "$work/data.effpack" --raw
grep -q 'File too large; what is there is kept' "$work/err" || die "pack does not say why it ended"
run 0 "$effnet" pack "$work/data" "$work/data.effpack" --raw

ended=0 whole=0
for files in 5 6 7 8 9 10 12 16; do
    rm -rf "$work/files"
    status=0
    limited "-n $files" "${train[@]}" --out "$work/files" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [[ $status =~ ^(0|1|127)$ ]] || die "status $status with $files open files" # 127: not even its libraries
    ! grep -q 'warning: cannot open' "$work/err" "$work/out" || die "with $files open files pictures count as bad"
    [ "$status" = 0 ] && whole=$((whole + 1)) || ended=$((ended + 1))
done
[ "$whole" -gt 0 ] && [ "$ended" -gt 0 ] || die "$whole runs ended well, $ended badly"

grep -qE '^EFFNET_SANITIZE:[A-Z]+=.+' "$build/CMakeCache.txt" || { # the sanitizer's shadow is terabytes of addresses
    run 0 limited '-v 1048576' "$effnet" version
    grep -qE 'memory: (1|0\.[0-9]+) GiB \(limit 1 GiB, 0\.[0-9]+ GiB free\)' "$work/out" || die "ulimit -v is not seen"
    # a stack of 64 KiB: the program makes itself another, and the library's threads have their own
    run 0 limited '-s 64' "${train[@]}" --out "$work/stack" --set threads=2 --set workers=2 --set replicas=2 --set bn_sync=all
    run 0 limited '-s 64' "$effnet" eval "$work/stack" --data "$work/data"
}
