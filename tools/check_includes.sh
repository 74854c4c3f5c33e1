#!/usr/bin/env bash
# check_includes.sh - which room may include which: the arrows of CONTRIBUTING.md, read off the sources.
#
#   tools/check_includes.sh [SOURCE_DIR]
#
# Every #include "room/file.h" below src/ must point along an arrow (a room always sees itself; a room within a room,
# data/picture, is a room of its own); src/cli sees its own headers, effnet.h and hub/hub.h; no circle of files includes itself, a
# header and its .c file being one; file names are unique in src/, tests/, tools/, bench/ and examples/. Prints each
# offence, one a line, and exits 1 if there was any.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# room: the rooms it may include. `engine/engine.h` instead of a room: that one header of it; `data/*`: every room in it.
arrows="
base:
recipe:    base
model:     base
plan:      base model
engine:    base model plan
reference: base model engine/engine.h
step:      base model
dist:      base
hub:       base
executor:  base model engine step dist
backend:   base model plan engine/engine.h executor/executor.h step
format:    base recipe model engine
data/picture:   base
data/transform: base recipe data/picture
data/sources:   base data/picture
data/feed:      base recipe data/picture data/transform data/sources
data/inspect:   base recipe model data/picture data/transform data/sources data/feed
report:    base recipe data/picture data/transform data/sources
train:     base recipe model engine step executor dist format data/transform data/sources data/feed report
api:       base recipe model engine step executor dist format data/* report train plan reference backend
"

# Circles of files that are being opened, as "FILE FILE", the edge that goes: printed, not counted.
circles_known="
"

offences=0
offend() {
    echo "$*"
    offences=$((offences + 1))
}

# The room of a path below src/: its first two folders where they are listed above, else the first.
room_of() {
    local path=$1 first=${1%%/*} rest=${1#*/}
    local two=$first/${rest%%/*}
    if [ "$two" != "$path" ] && grep -qE "^$two:" <<<"$arrows"; then
        room=$two
    else
        room=$first
    fi
}

includes=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' src --include='*.c' --include='*.h' --include='*.def' |
           sed -E 's/[[:space:]]*#[[:space:]]*include[[:space:]]*/"/; s/""/"/')
while IFS=: read -r file line include; do
    room_of "${file#src/}"
    own=$room
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
    room_of "$target"
    [ "$room" != "$own" ] || continue
    if [ "$own" = cli ]; then
        [ "$target" != hub/hub.h ] || continue
        offend "$file:$line: the program includes \"$target\"; it may see effnet.h, hub/hub.h and its own headers only"
        continue
    fi
    if ! allowed=$(grep -E "^$own:" <<<"$arrows"); then
        offend "$file:$line: no arrows are listed for the room '$own' (tools/check_includes.sh)"
        continue
    fi
    case " $(tr -s ' ' <<<"${allowed#*:}") " in
        *" $room "* | *" $target "* | *" ${room%%/*}/* "*) ;;
        *) offend "$file:$line: $own must not include \"$target\"; it may include:${allowed#*:}" ;;
    esac
done <<<"$includes"

# Circles: an edge for each include, from file to file without their endings .c and .h; tsort tells what cannot be
# sorted.
edges=$(sed -nE 's|^src/([^:]*):[0-9]+:"([^"]*)".*|\1 \2|p' <<<"$includes" | awk '
    { if ($2 !~ /\//) { folder = $1; sub(/[^\/]*$/, "", folder); $2 = folder $2 }
      for (i = 1; i <= 2; i++) sub(/\.[ch]$/, "", $i)
      if ($1 != $2) print $1, $2 }' | sort -u)
known=$(grep ' ' <<<"$circles_known" || true)
if [ -n "$known" ]; then
    while read -r edge; do
        if grep -qxF "$edge" <<<"$edges"; then
            echo "known circle of files, being opened: $edge"
        else
            offend "this circle is open, take it off the list of tools/check_includes.sh: $edge"
        fi
    done <<<"$known"
    edges=$(grep -vxF "$known" <<<"$edges")
fi
if ! sorted=$(tsort <<<"$edges" 2>&1 >/dev/null); then
    offend "these files include one another in a circle:"
    sed -E 's/^tsort: -: .*loop:/  a circle:/; s/^tsort: /    /' <<<"$sorted"
fi

folders=()
for folder in src tests tools bench examples; do
    [ ! -d "$folder" ] || folders+=("$folder")
done
while read -r name; do
    offend "two files are called $name:" $(find "${folders[@]}" -name "$name" | sort)
done < <(find "${folders[@]}" -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' -o -name '*.sh' -o -name '*.py' \) \
         -printf '%f\n' | sort | uniq -d)

[ "$offences" = 0 ]
