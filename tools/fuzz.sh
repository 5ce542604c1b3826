#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fuzzes each target for so many seconds (all cores, one target each), then adds to fuzz/corpus/ what
# reached new code, as few files as do it.
#
# usage: tools/fuzz.sh SECONDS
set -eu
cd "$(dirname "$0")/.."

seconds=$1
tools/build.sh fuzz
cmake -DWEIR_FUZZ_SECONDS="$seconds" build/fuzz >/dev/null
trap 'cmake -DWEIR_FUZZ_SECONDS=10 build/fuzz >/dev/null' EXIT
ctest --test-dir build/fuzz --output-on-failure --no-tests=error -j "${JOBS:-$(nproc)}" -L fuzz

for corpus in fuzz/corpus/*/; do
    noun=$(basename "$corpus")
    target=build/fuzz/fuzz/fuzz_$noun
    [ -x "$target" ] || continue
    before=$(find "$corpus" -type f | wc -l)
    "$target" -merge=1 "$corpus" "build/fuzz/fuzz/found/$noun" >/dev/null 2>&1
    echo "fuzz: $noun: corpus of $before files has $(find "$corpus" -type f | wc -l) now"
done
