#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Configures and builds one preset. On a terminal it shows progress; elsewhere only what is wrong.
#
# With --no-tests a folder that is not configured yet gets no tests, so that building needs no test
# framework; without it the tests are there, and are added where they are not.
#
# usage: tools/build.sh [--no-tests] PRESET [TARGET...]
set -eu
cd "$(dirname "$0")/.."

tests=ON
if [ "$1" = --no-tests ]; then
    tests=OFF
    shift
fi
preset=$1
shift
# A folder that was configured from another place (a moved or copied clone) is of no use.
cache=build/$preset/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache"; then
    rm -rf "build/$preset"
fi
if [ ! -f "build/$preset/build.ninja" ] ||
   { [ $tests = ON ] && grep -qxF WEIR_TESTS:BOOL=OFF "$cache"; }; then
    if ! output=$(cmake --preset "$preset" -DWEIR_TESTS=$tests 2>&1); then
        printf '%s\n' "$output" >&2
        exit 1
    fi
fi
# Files that came or went make CMake run again; what it says matters only if it fails.
if ! output=$(ninja -C "build/$preset" build.ninja 2>&1); then
    printf '%s\n' "$output" >&2
    exit 1
fi
if [ -t 1 ]; then
    exec ninja -C "build/$preset" -j "${JOBS:-$(nproc)}" "$@"
fi
exec ninja --quiet -C "build/$preset" -j "${JOBS:-$(nproc)}" "$@"
