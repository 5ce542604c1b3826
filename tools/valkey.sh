#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes .deps/valkey: the server of Valkey, so that the store is also tested on what came after Redis 7.0.
#
# The package is the distribution's own, or of its backports (Debian 12: 8.0), taken from the mirror that apt
# uses here and verified by its keys; it is unpacked and not installed, since it would take the place of
# Redis's packages. What its programs link to comes with redis-server.
#
# usage: tools/valkey.sh
set -eu
cd "$(dirname "$0")/.."

home=$PWD/.deps/valkey
if "$home/usr/bin/valkey-server" --version >/dev/null 2>&1; then exit 0; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/weir-valkey.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() {
    tail -n 20 "$work/log" >&2
    echo "setup: valkey: $1" >&2
    exit 1
}

echo "setup: unpacking valkey-server into .deps/valkey"
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>"$work/log" |
    sed -n "s/^$release //p" | head -n 1)
[ -n "$mirror" ] || fail "apt knows no mirror of $release"

mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in "$release" "$release-backports"; do
    printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$mirror" "$suite"
done >"$work/sources.list"
apt_here() {
    (cd "$work" && apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@")
}
apt_here update >"$work/log" 2>&1 || fail "its list of packages could not be had"
apt_here download valkey-server valkey-tools >"$work/log" 2>&1 || fail "its packages could not be had"
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root" >"$work/log" 2>&1 || fail "a package cannot be read"
done
"$work/root/usr/bin/valkey-server" --version >"$work/log" 2>&1 || fail "its server does not run here"
mkdir -p .deps
rm -rf "$home"
mv "$work/root" "$home"
