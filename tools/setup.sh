#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what a verb of the Makefile needs and this machine does not have: Debian packages by
# apt-get (as root, or through sudo), Python packages, hiredis, Valkey and Cassandra into .deps/, never
# anything else system-wide.
# Asks first whether the thing works, so it says and does nothing when all is there, and a tool
# that you installed in another way counts.
#
# usage: tools/setup.sh GROUP...      groups: run demo test bench fuzz format
set -eu
cd "$(dirname "$0")/.."

missing=

# want PACKAGES COMMAND...   the Debian packages are needed unless the command succeeds.
want() {
    packages=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $packages"
}

has() { command -v "$1" >/dev/null 2>&1; }
has_header() { printf '#include <%s>\n' "$1" | cc -E -x c - ; }
has_fuzzer() { [ -f "$(clang --print-runtime-dir)/libclang_rt.fuzzer-$(uname -m).a" ]; }
has_venv() { python3 -c 'import venv, ensurepip'; }
# Debian's plain cargo is of 2022 and too old for the peers; its cargo-web is not.
has_cargo() { cargo --version | grep -Eq ' (1\.(8[5-9]|9[0-9]|[0-9]{3})|[2-9])'; }
# Debian 12 has hiredis 0.14, whose reader has known holes: tools/hiredis.sh makes a newer one.
has_hiredis() { pkg-config --exists 'hiredis >= 1.0'; }
# Cassandra runs on this version of Java only, which need not be the one that `java` is.
has_java_17() { has java && java -version 2>&1 | grep -q '"17[."]' || ls /usr/lib/jvm/*17*/bin/java; }
has_go() { go version | grep -Eq 'go(1\.(19|[2-9][0-9])|[2-9])'; }

group_run() {
    want "gcc libc6-dev" has gcc
    want libc6-dev has_header stdio.h
    want binutils has objcopy
    want cmake has cmake
    want ninja-build has ninja
    want pkg-config has pkg-config
    want zlib1g-dev pkg-config --exists zlib
    want libssl-dev pkg-config --exists openssl
    want redis-tools has redis-cli
    has_hiredis || {
        hiredis_wanted=yes
        want python3 has python3
        want python3-venv has_venv
    }
}

# A fleet on a Redis Cluster; redis-cli comes with run.
group_demo() {
    group_run
    want redis-server has redis-server
    want python3 has python3
}

group_format() {
    want clang-format has clang-format
}

group_fuzz() {
    want clang has clang
    want libclang-rt-dev has_fuzzer
}

group_test() {
    group_run
    group_format
    group_fuzz
    want clang-tidy has clang-tidy
    want g++ has g++
    want faketime has faketime
    want libcmocka-dev pkg-config --exists cmocka
    want python3 has python3
    want python3-venv has_venv
    want golang-go has_go
    want curl has curl
    want procps has ps
    want redis-server has redis-server
    want redis-sentinel has redis-sentinel
    want openssl has openssl
    want iproute2 has ip
    want util-linux has nsenter
    want openjdk-17-jre-headless has_java_17
    want maven has mvn
    python_wanted=tools/requirements.txt
    valkey_wanted=yes
    cassandra_wanted=yes
}

# The benchmarks' own needs (peers from registries) are added here by bench/.
group_bench() {
    group_run
    want python3 has python3
    want redis-server has redis-server
    want "cargo-web rustc-web" has_cargo
    want protobuf-compiler has protoc
    want golang-go has_go
    peers_wanted=yes
}

install_packages() {
    # One word a package, each once.
    missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
    missing=${missing% }
    command="apt-get install -y --no-install-recommends $missing"
    if ! has apt-get; then
        echo "setup: this machine lacks what Debian calls: $missing" >&2
        echo "setup: install these and run the same command again." >&2
        exit 1
    fi

    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if has sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            as_root=sudo
        else
            echo "setup: 'make $1' needs packages that are not installed, and you are not root. Type:" >&2
            echo "    sudo apt-get update && sudo $command" >&2
            exit 1
        fi
    fi
    echo "setup: installing for '$*': $missing"
    log=$(mktemp "${TMPDIR:-/tmp}/weir-setup.XXXXXX")
    export DEBIAN_FRONTEND=noninteractive
    if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive \
           apt-get -o DPkg::Lock::Timeout=300 ${command#apt-get }; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "setup: this failed: $command (all of it: $log)" >&2
        exit 1
    fi
    rm -f "$log"
}

# Python packages live in a folder of the clone, so that neither the system nor other projects
# see them. A stamp with the list's content says that it is installed.
install_python() {
    stamp=.deps/python/installed.txt
    if [ -x .deps/python/bin/python ] && cmp -s "$python_wanted" "$stamp"; then return; fi
    echo "setup: installing into .deps/python: $(grep -v '^#' "$python_wanted" | tr '\n' ' ')"
    log=$(mktemp "${TMPDIR:-/tmp}/weir-setup.XXXXXX")
    if ! { rm -rf .deps/python && mkdir -p .deps && python3 -m venv .deps/python &&
           .deps/python/bin/python -m pip install --quiet --disable-pip-version-check \
               -r "$python_wanted" && cp "$python_wanted" "$stamp"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "setup: this failed: pip install -r $python_wanted (all of it: $log)" >&2
        exit 1
    fi
    rm -f "$log"
}

[ $# -gt 0 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
python_wanted=
hiredis_wanted=
peers_wanted=
valkey_wanted=
cassandra_wanted=
for group in "$@"; do
    case $group in
    run | demo | test | bench | fuzz | format) "group_$group" ;;
    *) sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2 ;;
    esac
done
if [ -n "$missing" ]; then
    install_packages "$@"
    # Ask again: a package whose command still does not work is a fault that must be seen here.
    missing=
    for group in "$@"; do "group_$group"; done
    if [ -n "$missing" ]; then
        echo "setup: installed, but still not working:$missing" >&2
        exit 1
    fi
fi
if [ -n "$hiredis_wanted" ]; then tools/hiredis.sh; fi
if [ -n "$valkey_wanted" ]; then tools/valkey.sh; fi
if [ -n "$cassandra_wanted" ]; then tools/cassandra.sh; fi
if [ -n "$python_wanted" ]; then install_python; fi
if [ -n "$peers_wanted" ]; then bench/peers/install.sh; fi
