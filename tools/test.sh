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

tools/rooms.py
tools/tidy.py
tools/format.sh --check
for preset in release asan tsan fuzz; do
    tools/build.sh "$preset"
done
tools/purity.sh build/release
tools/lint.py build/release

mkdir -p build/all
for preset in release asan tsan fuzz; do
    printf 'subdirs("../%s")\n' "$preset"
done >build/all/CTestTestfile.cmake
ctest --test-dir build/all --output-on-failure --no-tests=error -j "${JOBS:-$(nproc)}" "$@"
