#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs a check of bindings/go against the libweir.a of a build folder:
#
#     WEIR_BUILD_DIR=build/release test/go/run.sh vet|test|race|bench|fuzz [arguments of go test]
#
# Or prints what a shell needs to build against it: eval "$(test/go/run.sh env)".
set -eu

usage() { sed -n 's/^# \{0,1\}//; 4,8p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage
what=$1
shift

source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${WEIR_BUILD_DIR:-$source/build/release}" && pwd)
go=${GO:-go}

fail() { echo "test/go/run.sh: $*" >&2; exit 1; }
command -v "$go" >/dev/null || fail "there is no '$go' here; Debian's package golang-go is enough"
command -v pkg-config >/dev/null || fail "there is no pkg-config here"
[ -f "$build/libweir.a" ] || fail "$build/libweir.a is not built"

# Go's cache asks neither what pkg-config says nor what an archive holds: it would go on with the
# library of the last run. So a flag of the compiler, harmless in itself, names what this one holds.
key=$({ echo "$build"; cat "$build/libweir.a" "$source/include/weir.h"; } | sha256sum | cut -c1-16)
mkdir -p "$build/go/$what"
cat > "$build/go/$what/weir.pc" <<END
Name: weir
Description: the libweir.a of a build folder
Version: $(sed -n 's/^#define WEIR_VERSION_MAJOR //p' "$source/include/weir.h")
Cflags: -I$source/include
Libs: $build/libweir.a $(sed -n 's/^Libs.private: *//p' "$build/weir.pc")
END
PKG_CONFIG_PATH=$build/go/$what${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
GOFLAGS="$("$go" env GOFLAGS) -gcflags=weir/...=-D=$key"
CGO_ENABLED=1
export PKG_CONFIG_PATH GOFLAGS CGO_ENABLED

cd "$source/bindings/go"
case $what in
vet)
    unformatted=$("$(dirname "$("$go" env GOROOT)/bin/go")/gofmt" -l .)
    [ -z "$unformatted" ] || fail "gofmt would change: $unformatted"
    "$go" vet ./...
    ;;
test)  "$go" test -count=1 -timeout 240s "$@" ./... ;;
race)  "$go" test -count=1 -timeout 240s -race "$@" ./... ;;
bench) "$go" test -count=1 -timeout 240s -run '^$' -bench . -benchtime 200x "$@" . ;;
fuzz)  "$go" test -run '^$' -fuzz FuzzDecide -fuzztime "${WEIR_FUZZ_TIME:-30s}" "$@" . ;;
env)   echo "export PKG_CONFIG_PATH='$PKG_CONFIG_PATH' GOFLAGS='$GOFLAGS' CGO_ENABLED=1" ;;
*)     usage ;;
esac
