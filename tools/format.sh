#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Lays out every C file of ours with clang-format; with --check only says which would change.
#
# usage: tools/format.sh [--check]
set -eu
cd "$(dirname "$0")/.."

files() {
    for folder in include src test fuzz bench examples; do
        [ ! -d "$folder" ] || find "$folder" -name '*.[ch]' -not -path '*/target/*' -print0
    done
}

case ${1-} in
"") files | xargs -0 clang-format -i ;;
--check)
    bad=$(files | xargs -0 clang-format --dry-run -Werror 2>&1 |
          sed -n 's/^\([^:]*:[0-9]*\):.*clang-format-violations.*/\1: not laid out by clang-format; run: make format/p' |
          sort -u -t: -k1,1)
    if [ -n "$bad" ]; then
        printf '%s\n' "$bad"
        exit 1
    fi ;;
*) echo "usage: tools/format.sh [--check]" >&2; exit 2 ;;
esac
