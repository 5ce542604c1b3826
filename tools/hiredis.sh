#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes .deps/hiredis: the reply reader that src/store/redis uses, as a static archive with hidden names.
#
# For machines whose distribution has no hiredis of at least 1.0 (Debian 12 has 0.14). Its source comes with
# the Python package of the same name, whose archive the Python registry serves; the checksum below says
# which. We use what parses replies: connections and TLS are our own (docs/decisions/0012).
#
# usage: tools/hiredis.sh
set -eu
cd "$(dirname "$0")/.."

version=3.5.0
sha256=c227592cc56b7df247abe4755c26723965be68972be2149fa441ac33d82131ba
flags="-O2 -g -fPIC -fvisibility=hidden -fstack-protector-strong -fno-strict-aliasing"
files="alloc async hiredis net read sds" # async only because hiredis.c names it

home=.deps/hiredis
stamp="$sha256 $flags $files"
if [ -f $home/lib/libhiredis.a ] && [ "$(cat $home/stamp 2>/dev/null)" = "$stamp" ]; then exit 0; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/weir-hiredis.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() {
    tail -n 20 "$work/log" >&2
    echo "setup: hiredis: $1" >&2
    exit 1
}

echo "setup: building hiredis (of the Python package hiredis $version) into $home"
echo "hiredis==$version --hash=sha256:$sha256" >"$work/wanted.txt"
{ python3 -m venv "$work/python" &&
  "$work/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
      --no-binary :all: --require-hashes -r "$work/wanted.txt" -d "$work"; } >"$work/log" 2>&1 ||
    fail "the source archive could not be had"
tar -xzf "$work/hiredis-$version.tar.gz" -C "$work" || fail "the source archive cannot be read"

source=$work/hiredis-$version/vendor/hiredis
rm -rf $home
mkdir -p $home/lib $home/include/hiredis
for file in $files; do
    # shellcheck disable=SC2086
    ${CC:-cc} $flags -c "$source/$file.c" -o "$work/$file.o" >"$work/log" 2>&1 || fail "$file.c does not compile"
    ar -rcsD $home/lib/libhiredis.a "$work/$file.o"
done
cp "$source"/*.h $home/include/hiredis/
cp "$source/COPYING" $home/COPYING
printf '%s\n' "$stamp" >$home/stamp
