# SPDX-License-Identifier: MIT
#
# Words for the tests of the checkers: a scratch tree to plant in, and what must be said of it.
set -eu
: "${WEIR_SOURCE_DIR:?run this through ctest}"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/weir-planted.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# expect STATUS TEXT COMMAND...   the command ends with this status, and its output has this text;
# an empty text stands for no output at all.
expect() {
    status_wanted=$1
    text_wanted=$2
    shift 2
    status=0
    output=$("$@" 2>&1) || status=$?
    if [ "$status" -ne "$status_wanted" ]; then
        printf 'status %s instead of %s from: %s\n%s\n' "$status" "$status_wanted" "$*" "$output"
        exit 1
    fi
    case $output in
    "") [ -z "$text_wanted" ] && return 0 ;;
    *"$text_wanted"*) [ -n "$text_wanted" ] && return 0 ;;
    esac
    printf 'the output of: %s\nshould have "%s", but is:\n%s\n' "$*" "$text_wanted" "$output"
    exit 1
}

# plant FILE   writes standard input to a file of the scratch tree.
plant() {
    mkdir -p "$(dirname "$scratch/$1")"
    cat >"$scratch/$1"
}
