#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows that kill -9 costs nothing: processes that decide on one file are killed all the time, and afterwards
# weir judge reads what they were told. Exit 0: the promise holds, nothing was forgotten, and more than 97 % of
# what an exact log admits was admitted.
#
# usage: tools/demo_crash.sh [SECONDS]            (after tools/build.sh release)
set -eu
cd "$(dirname "$0")/.."

build=build/release
folder=build/demo-crash
mkdir -p "$folder"
rm -f "$folder"/limits.weir "$folder"/*.jsonl
${CC:-cc} -std=gnu17 -O2 -g -D_GNU_SOURCE -Iinclude -Isrc -Itest -o "$folder/demo_crash" \
    test/crash/demo.c test/crash/workers.c test/crash/steps.c "$build/libweir.a" $(sed -n 's/^Libs.private: *//p' "$build/weir.pc")
exec "$folder/demo_crash" "$build/weir" "$folder" "$@"
