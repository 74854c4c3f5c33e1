#!/usr/bin/env bash
# effnet devices: what it says where nothing is installed, of files that are no plugins, of plugins that are too old, fail,
# crash or end their process, and, where a plugin for the processor is at hand (EFFNET_PLUGINS), what that one tells.
source "$(dirname "$0")/harness.sh"
command -v cc >/dev/null || skip "no cc to make plugins with"

echo "-- nothing is installed"
mkdir "$work/home" "$work/empty"
bare=(env -u EFFNET_PLUGINS -u VIRTUAL_ENV -u PJRT_PLUGIN_LIBRARY_PATH HOME="$work/home" PATH="$work/empty")
if ! compgen -G '/usr/lo*/lib/python3*/dist-packages/*/*pjrt*.so' >/dev/null; then
    run 0 "${bare[@]}" "$effnet" devices
    grep -qE '^  cpu +this processor, [a-z0-9]+$' "$work/out" || die "the processor is not listed"
    for name in tpu cuda rocm cpu; do
        grep -qE "^  xla:$name +no plugin is installed; pip install [^ ]+" "$work/out" || die "no way to get a plugin for $name"
    done
    run 1 "${bare[@]}" "$effnet" devices xla:cuda
    run 0 "${bare[@]}" "$effnet" devices --json
    grep -qE '^\{"devices":\[\{"device":"xla:tpu","works":false,"plugin":null,"hardware":(true|false),"missing":"[^"]+"\}' \
        "$work/out" || die "JSON"
fi

# plugin NAME BODY: a library whose GetPjrtApi has that body.
plugin() {
    printf '#include <signal.h>\n#include <stddef.h>\n#include <unistd.h>\nconst void *GetPjrtApi(void) { %s }\n' "$2" >"$work/$1.c"
    cc -shared -fPIC -o "$work/$1.so" "$work/$1.c"
}
# says NAME PATTERN: `effnet devices` of that plugin fails and says so.
says() {
    run 1 "$effnet" devices "xla:$work/$1.so"
    grep -qE "$2" "$work/out" || die "of the plugin $1 it does not say '$2'"
    run 1 "$effnet" devices "xla:$work/$1.so" --json
    grep -qE "\"works\":false,.*\"problem\":\"[^\"]*($2)" "$work/out" || die "JSON of the plugin $1"
}

echo "-- files that are no plugins, and plugins that do not work"
echo text >"$work/text.so"
says text "cannot load the plugin"
says nowhere "there is no plugin"
echo 'int nothing;' >"$work/other.c"
cc -shared -fPIC -o "$work/other.so" "$work/other.c"
says other "does not export GetPjrtApi"
plugin old 'static const size_t api[200] = {sizeof api, 0, 24, 0, 0x0a00000000u}; return api;'
says old "speaks PJRT 0\.10; at least"
plugin none 'return NULL;'
says none "speaks PJRT"
plugin crash 'raise(SIGSEGV); return NULL;'
says crash "ended its process"
plugin quits 'write(1, "words", 5); write(2, "words", 5); _exit(3);'
says quits "ended its process with status 3"
run 1 "$effnet" devices "xla:$work/quits.so" --log
grep -q words "$work/err" || die "--log does not let the plugin's words through"

echo "-- wrong use"
complains 2 "unknown option '--jsn'; nearest: '--json'" "$effnet" devices --jsn

plugins=${EFFNET_PLUGINS:-$build/plugins}
if compgen -G "$plugins/*/libpjrt_cpu.so" >/dev/null; then
    echo "-- the processor's plugin"
    run 0 env EFFNET_PLUGINS="$plugins" "$effnet" devices xla:cpu
    grep -qE '^  xla:cpu +.+, [0-9]+ devices?' "$work/out" || die "the processor's plugin does not tell its devices"
    grep -qE '^ +PJRT 0\.[0-9]+; ' "$work/out" || die "the version of the interface"
    run 0 env EFFNET_PLUGINS="$plugins" "$effnet" devices xla:cpu --json
    grep -qE '"works":true,.*"platform":"cpu",.*"api":"0\.[0-9]+"' "$work/out" || die "JSON"
    set -- "$plugins"/*/libpjrt_cpu.so
    run 0 env PJRT_PLUGIN_LIBRARY_PATH="$1" "$effnet" devices
    grep -qF "  xla:$1" "$work/out" || die "PJRT_PLUGIN_LIBRARY_PATH is not listed"
else
    echo "-- no plugin for the processor in '$plugins': not tested"
fi
