#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The everyday loop. Each step says nothing when it is fine; all steps run, so that one look shows
# all there is to mend.
set -eu
cd "$(dirname "$0")/.."

failed=
step() {
    name=$1
    shift
    "$@" || { failed="$failed $name"; echo "check: $name failed; again: $*" >&2; }
}

tools/build.sh release
step format tools/format.sh --check
step rooms tools/rooms.py
step tidy tools/tidy.py
step purity tools/purity.sh build/release
step lint tools/lint.py build/release
# Quick tests only: WEIR_TEST_EFFORT makes the random ones short, and the label `slow` and what
# needs other toolchains wait for `make test`.
step tests env WEIR_TEST_EFFORT="${WEIR_TEST_EFFORT:-0.1}" ctest --test-dir build/release \
    --output-on-failure --no-tests=error -j "${JOBS:-$(nproc)}" -LE 'slow|package|go|clients|bench'

if [ -n "$failed" ]; then
    echo "check: failed:$failed" >&2
    exit 1
fi
