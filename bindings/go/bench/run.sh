#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a decision costs a Go program, as JSON lines on standard output: first the machine, then one
# line for each benchmark. Rounds of all benchmarks take turns, so that a slow minute of
# the machine falls on all alike.
#
#     WEIR_BUILD_DIR=build/release bindings/go/bench/run.sh [PATTERN]
#
# ROUNDS (9) and TIME (200ms, for each benchmark in each round) may be set. The peer's module,
# golang.org/x/time, comes from the Go module proxy.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pattern=${1:-.}
rounds=${ROUNDS:-9}
time=${TIME:-200ms}
go=${GO:-go}

eval "$("$here/../../../test/go/run.sh" env)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$here/.." && "$go" test -c -o "$work/weir" .)
(cd "$here" && "$go" test -c -o "$work/peer" . && "$go" build -o "$work/bench" .)

processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
commit=$(git -C "$here" describe --always --dirty --abbrev=9 2>/dev/null || echo unknown)
printf '{"machine":{"processor":"%s","cores":%s,"go":"%s","commit":"%s"}}\n' \
    "$processor" "$(getconf _NPROCESSORS_ONLN)" "$("$go" env GOVERSION)" "$commit"

round=1
while [ "$round" -le "$rounds" ]; do
    [ -t 2 ] && printf '\rround %s of %s ' "$round" "$rounds" >&2
    for program in weir peer; do
        "$work/$program" -test.run '^$' -test.bench "$pattern" -test.benchtime "$time" >"$work/out" 2>&1 || {
            cat "$work/out" >&2
            exit 1
        }
        cat "$work/out" >>"$work/all"
    done
    round=$((round + 1))
done
[ -t 2 ] && echo >&2
"$work/bench" <"$work/all"
