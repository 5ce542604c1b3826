#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds the peers that the benchmarks measure beside weir, each in its pinned version, into .deps/.
# Says and does nothing when they are there.
#
# usage: bench/peers/install.sh [PEER...]     peers: throttlecrab governor redis_rate; all, if none is named
set -eu
cd "$(dirname "$0")/../.."

throttlecrab_version=0.4.40

# quietly WHAT COMMAND...   shows what the command said only if it fails.
quietly() {
    what=$1
    shift
    echo "bench: building $what (once; minutes)"
    log=$(mktemp "${TMPDIR:-/tmp}/weir-peers.XXXXXX")
    if ! "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "bench: this failed: $* (all of it: $log)" >&2
        exit 1
    fi
    rm -f "$log"
}

peers=${*:-throttlecrab governor redis_rate}
is_wanted() { case " $peers " in *" $1 "*) ;; *) return 1 ;; esac; }

mkdir -p .deps/peers
if is_wanted throttlecrab &&
   ! .deps/bin/throttlecrab-server --version 2>/dev/null | grep -qwF "$throttlecrab_version"; then
    quietly "throttlecrab-server $throttlecrab_version" \
        env CARGO_TARGET_DIR="$PWD/.deps/peers/target" cargo install --quiet --locked --force \
        --root .deps throttlecrab-server --version "$throttlecrab_version"
fi
built=.deps/peers/governor/release/weir-bench-governor
if is_wanted governor &&
   { [ ! -x "$built" ] || [ -n "$(find bench/peers/governor -newer "$built" -type f)" ]; }; then
    quietly "governor, $(grep '^governor' bench/peers/governor/Cargo.toml)" \
        cargo build --quiet --release --locked --manifest-path bench/peers/governor/Cargo.toml \
        --target-dir .deps/peers/governor
    touch "$built"
fi
built=.deps/peers/redis_rate/redis_rate
if is_wanted redis_rate &&
   { [ ! -x "$built" ] || [ -n "$(find bench/peers/redis_rate -newer "$built" -type f)" ]; }; then
    quietly "$(sed -n 's/.*\(redis_rate.v10 v\)/\1/p' bench/peers/redis_rate/go.mod)" \
        env -C bench/peers/redis_rate go build -o "$PWD/$built" .
    touch "$built"
fi
