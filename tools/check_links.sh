#!/usr/bin/env bash
# check_links.sh - every link of the documentation leads somewhere: a file of the repository, and within it a heading.
#
#   tools/check_links.sh
#
# Looks at [text](target) in every tracked Markdown file. Links to other sites are not followed.
set -euo pipefail
cd "$(dirname "$0")/.."

# The names that headings of a Markdown file have in links: small letters, no punctuation, hyphens for blanks.
anchors_of() {
    sed -nE 's/^#+ +//p' "$1" | sed -E 's/\[([^]]*)\]\([^)]*\)/\1/g' | tr '[:upper:]' '[:lower:]' |
        sed -E 's/[^[:alnum:] _-]//g; s/ /-/g'
}

failed=0 links=0
while read -r file; do
    while read -r target; do
        case $target in http://* | https://* | mailto:*) continue ;; esac
        links=$((links + 1))
        path=${target%%#*} anchor=${target#"${target%%#*}"}
        to=$file
        [ -z "$path" ] || to=$(dirname "$file")/$path
        if [ ! -e "$to" ]; then
            echo "$file: there is no '$path'"
            failed=1
        elif [ -n "$anchor" ] && ! anchors_of "$to" | grep -xF -- "${anchor#\#}" >/dev/null; then
            echo "$file: '$to' has no heading '${anchor#\#}'"
            failed=1
        fi
    done < <(grep -oE '\]\([^) ]+\)' "$file" | sed -E 's/^\]\((.*)\)$/\1/')
done < <(git ls-files '*.md')
[ "$links" -gt 0 ] || { echo "check_links.sh: found no link at all"; exit 1; }
exit $failed
