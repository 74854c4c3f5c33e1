#!/usr/bin/env bash
# check_includes.sh - which room may include which: the arrows of CONTRIBUTING.md, read off the sources.
#
#   tools/check_includes.sh [SOURCE_DIR]
#
# Every #include "room/file.h" below src/ must point along an arrow (a room always sees itself); src/cli sees its own
# headers and effnet.h; file names are unique in src/, tests/, tools/, bench/ and examples/. Prints each offence, one
# a line, and exits 1 if there was any.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# room: the rooms it may include. `engine/engine.h` instead of a room: that one header of it.
arrows="
base:
recipe:    base
model:     base
plan:      base model
engine:    base model plan
reference: base model engine/engine.h
step:      base model
dist:      base
executor:  base model engine step dist
backend:   base model plan engine/engine.h executor/executor.h step
format:    base recipe model engine
data:      base recipe model engine format
train:     base recipe model engine step executor dist format data
api:       base recipe model engine step executor dist format data train plan reference backend
"

offences=0
offend() {
    echo "$*"
    offences=$((offences + 1))
}

while IFS=: read -r file line include; do
    room=${file#src/}
    room=${room%%/*}
    target=${include#*\"}
    target=${target%%\"*}
    [ "$target" != effnet.h ] || continue
    [ "${target%.pb-c.h}" = "$target" ] || continue # written by protobuf-c into the build folder
    case "$target" in
        */*) ;;
        *) # a bare name: a neighbour in the same folder
            [ -e "$(dirname "$file")/$target" ] || offend "$file:$line: \"$target\" is neither effnet.h nor a neighbour"
            continue ;;
    esac
    [ "${target%%/*}" != "$room" ] || continue
    if [ "$room" = cli ]; then
        offend "$file:$line: the program includes \"$target\"; it may see effnet.h and its own headers only"
        continue
    fi
    if ! allowed=$(grep -E "^$room:" <<<"$arrows"); then
        offend "$file:$line: no arrows are listed for the room '$room' (tools/check_includes.sh)"
        continue
    fi
    case " $(tr -s ' ' <<<"${allowed#*:}") " in
        *" ${target%%/*} "* | *" $target "*) ;;
        *) offend "$file:$line: $room must not include \"$target\"; it may include:${allowed#*:}" ;;
    esac
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' src --include='*.c' --include='*.h' --include='*.def' |
         sed -E 's/[[:space:]]*#[[:space:]]*include[[:space:]]*/"/; s/""/"/')

folders=()
for folder in src tests tools bench examples; do
    [ ! -d "$folder" ] || folders+=("$folder")
done
while read -r name; do
    offend "two files are called $name:" $(find "${folders[@]}" -name "$name" | sort)
done < <(find "${folders[@]}" -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' -o -name '*.sh' -o -name '*.py' \) \
         -printf '%f\n' | sort | uniq -d)

[ "$offences" = 0 ]
