#!/usr/bin/env bash
# check_format.sh - every C file is as clang-format (.clang-format) leaves it; prints those that are not, exits 1.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v clang-format >/dev/null; then
    echo "no clang-format: tools/setup.sh test installs it"
    exit 77
fi
folders=()
for folder in include src tests tools bench examples; do
    [ ! -d "$folder" ] || folders+=("$folder")
done
find "${folders[@]}" -type f \( -name '*.c' -o -name '*.h' \) -print0 | sort -z |
    xargs -0 clang-format --dry-run -Werror --ferror-limit=1
