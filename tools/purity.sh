#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows by the linker that the pure rooms are pure: their objects, joined, may need from outside
# only what stands in `allowed`. No clock, no I/O, no allocator, no lock can hide from this, since
# each would be an undefined symbol.
#
# usage: tools/purity.sh BUILD_DIR [ROOM...]      exit 0 pure, 1 not, 2 cannot tell
set -eu

[ $# -ge 1 ] || { echo "usage: tools/purity.sh BUILD_DIR [ROOM...]" >&2; exit 2; }
build=$1
shift
source=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- base limit lease wire

# memcpy and its kin are what the compiler itself may call, as are the 128-bit divisions; the last
# two come with -fstack-protector and with position-independent code.
allowed='memcpy memmove memset memcmp memchr strlen bcmp __udivti3 __umodti3 __divti3 __modti3'
allowed="$allowed __stack_chk_fail _GLOBAL_OFFSET_TABLE_"

objects=
for room in "$@"; do
    [ -d "$source/src/$room" ] || continue
    for c in $(find "$source/src/$room" -name '*.c'); do
        object=$build/CMakeFiles/weir_$room.dir/${c#"$source"/}.o
        if [ ! -f "$object" ]; then
            echo "purity: $object is missing; build first" >&2
            exit 2
        fi
        objects="$objects $object"
    done
done
if [ -z "$objects" ]; then
    echo "purity: the rooms $* hold no C file" >&2
    exit 2
fi

joined=$(mktemp "${TMPDIR:-/tmp}/weir-purity.XXXXXX")
trap 'rm -f "$joined"' EXIT
# shellcheck disable=SC2086
ld -r -o "$joined" $objects

status=0
for symbol in $(nm --undefined-only --format=posix "$joined" | cut -d' ' -f1); do
    case " $allowed " in *" $symbol "*) continue ;; esac
    status=1
    # shellcheck disable=SC2086
    for object in $objects; do
        if nm --undefined-only --format=posix "$object" | cut -d' ' -f1 | grep -qxF "$symbol"; then
            from=${object#*/weir_*.dir/}
            echo "${from%.o}: needs $symbol, and the pure rooms ($*) may need only: $allowed"
        fi
    done
done
exit $status
