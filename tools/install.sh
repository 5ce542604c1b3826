#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs build/release (or WEIR_BUILD_DIR) under PREFIX, in DESTDIR for packagers, and takes the
# same files away.
#
# usage: tools/install.sh PREFIX [DESTDIR]
#        tools/install.sh --undo [DESTDIR]
set -eu
cd "$(dirname "$0")/.."
build=${WEIR_BUILD_DIR:-build/release}
manifest=$build/install_manifest.txt

if [ "$1" = --undo ]; then
    destdir=${2-}
    if [ ! -f "$manifest" ]; then
        echo "uninstall: $manifest is missing; nothing was installed from this clone" >&2
        exit 1
    fi
    # CMake ends the list without a newline.
    { cat "$manifest"; echo; } | while IFS= read -r file; do
        [ -z "$file" ] || rm -f "$destdir$file"
    done
    folder=$(sed -n 's|/weir-config.cmake$||p' "$manifest")
    [ -z "$folder" ] || rmdir "$destdir$folder" 2>/dev/null || true
    echo "removed what $manifest lists"
    exit 0
fi

prefix=$1
destdir=${2-}
DESTDIR=$destdir cmake --install "$build" --prefix "$prefix" --strip >/dev/null
echo "installed into $destdir$prefix: bin/weir, include/weir.h, libweir.so, libweir.a, weir.pc, weir-config.cmake"
if [ -z "$destdir" ] && [ "$(id -u)" -eq 0 ]; then ldconfig; fi
