#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows that many machines keep one limit: three weir servers on a Redis Cluster, of which a primary is killed and then
# a server, and weir judge reads what all of them admitted. Exit 0: no window is above its limit, and everybody was
# admitted again after both kills. Nothing is left but the histories in build/demo-fleet.
#
# usage: tools/demo_fleet.sh [SECONDS] [--two-secrets]            (after tools/build.sh release)
#        with --two-secrets one server does not share the limits of the others, and weir judge must say so (exit 1)
set -eu
cd "$(dirname "$0")/.."

export WEIR_BUILD_DIR="${WEIR_BUILD_DIR:-build/release}"
export WEIR_BIN="${WEIR_BIN:-$WEIR_BUILD_DIR/weir}"
export PYTHONDONTWRITEBYTECODE=1
exec python3 test/redis/demo.py "$@"
