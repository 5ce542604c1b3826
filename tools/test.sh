#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Everything: builds release, asan, tsan and fuzz, then lets one CTest run the tests of all four, so
# that there is one list, one schedule over the cores and one closing line. Which build runs which
# tests is decided in cmake/WeirTests.cmake.
#
# usage: tools/test.sh [CTEST-OPTION...]        (for example: -R window, or -L concurrency)
set -eu
cd "$(dirname "$0")/.."

presets='release asan tsan fuzz'
for preset in $presets; do
    tools/build.sh "$preset"
done
mkdir -p build/all
for preset in $presets; do
    printf 'subdirs("../%s")\n' "$preset"
done >build/all/CTestTestfile.cmake
# One more than there are cores: many tests wait for servers most of the time.
ctest --test-dir build/all --output-on-failure --no-tests=error -j "${JOBS:-$(($(nproc) + 1))}" "$@"
