#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Configures and builds one preset. On a terminal it shows progress; elsewhere only what is wrong.
#
# usage: tools/build.sh PRESET [TARGET...]
set -eu
cd "$(dirname "$0")/.."

preset=$1
shift
# A folder that was configured from another place (a moved or copied clone) is of no use.
cache=build/$preset/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache"; then
    rm -rf "build/$preset"
fi
if [ ! -f "build/$preset/build.ninja" ]; then
    if ! output=$(cmake --preset "$preset" 2>&1); then
        printf '%s\n' "$output" >&2
        exit 1
    fi
fi
if [ -t 1 ]; then
    exec ninja -C "build/$preset" -j "${JOBS:-$(nproc)}" "$@"
fi
exec ninja --quiet -C "build/$preset" -j "${JOBS:-$(nproc)}" "$@"
