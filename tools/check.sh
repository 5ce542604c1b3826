#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The everyday loop: style, rooms, purity, lint and the quick tests of the release build.
# WEIR_TEST_EFFORT makes the random tests short, and the label `slow` and what needs other
# toolchains wait for `make test`. One test more than there are cores: many wait for servers.
#
# usage: tools/check.sh [CTEST-OPTION...]
set -eu
cd "$(dirname "$0")/.."

tools/build.sh release
WEIR_TEST_EFFORT=${WEIR_TEST_EFFORT:-0.1} ctest --test-dir build/release --output-on-failure \
    --no-tests=error -j "${JOBS:-$(($(nproc) + 1))}" -LE 'slow|package|go|clients|bench' "$@"
