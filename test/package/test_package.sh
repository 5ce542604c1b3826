# SPDX-License-Identifier: MIT
#
# Installs what the build made into a scratch prefix, moves that, and builds as strangers do: C by
# pkg-config (shared and static), C++, CMake's find_package. Then looks at the names that the two
# libraries show.
set -eu
: "${WEIR_SOURCE_DIR:?run this through ctest}" "${WEIR_BUILD_DIR:?}"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/weir-package.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
fail() { printf '%s\n' "$@"; exit 1; }
version=$(sed -n 's/^#define WEIR_VERSION_[A-Z]* *//p' "$WEIR_SOURCE_DIR/include/weir.h" | paste -sd.)

"$WEIR_SOURCE_DIR/tools/install.sh" /usr/strange "$scratch/first" >/dev/null
mv "$scratch/first/usr/strange" "$scratch/moved" # nothing in it may remember where it was installed
prefix=$scratch/moved
lib=$(dirname "$(find "$prefix" -name libweir.a)")
export PKG_CONFIG_PATH="$lib/pkgconfig"

# ---- what they show ----
shown() { # NM-OPTIONS FILE
    nm --defined-only --format=posix "$@" | awk 'NF >= 2 && $1 !~ /:$/ {print $1}'
}
for file in libweir.a libweir.so; do
    dynamic=$([ "$file" = libweir.so ] && echo --dynamic || echo --extern-only)
    names=$(shown "$dynamic" "$lib/$file")
    [ -n "$names" ] || fail "$file shows no names at all: could nm read it?"
    others=$(printf '%s\n' "$names" | sed '/^weir_/d')
    [ -z "$others" ] || fail "$file shows names that are not weir_:" "$others"
    # Every function of the header is there: a name that is declared and not defined is a lie.
    for name in $(sed -n 's/^WEIR_API.*[ *]\(weir_[a-z_]*\)(.*/\1/p' "$WEIR_SOURCE_DIR/include/weir.h"); do
        printf '%s\n' "$names" | grep -qxF "$name" || fail "$file lacks $name()"
    done
done
soname=$(objdump -p "$lib/libweir.so" | awk '$1 == "SONAME" {print $2}')
[ "$soname" = "libweir.so.${version%%.*}" ] || fail "the soname is '$soname'"

# ---- C: by pkg-config, with every inside name of ours taken ----
# The inside names are those of our own objects: what links global there and is not weir_.
find "$WEIR_BUILD_DIR/CMakeFiles" -path '*weir_*.dir/src/*' -name '*.o' \
    \( -path '*/src/base/*' -o -path '*/src/limit/*' -o -path '*/src/table/*' -o -path '*/src/limiter/*' \
       -o -path '*/src/os/*' \) -exec nm --extern-only --defined-only --format=posix {} + |
    awk '$2 == "T" && $1 !~ /^weir_/ {print "TRAP(" $1 ")"}' | sort -u >"$scratch/names.h"
[ "$(wc -l <"$scratch/names.h")" -ge 3 ] || fail "found too few inside names; has the layout changed?"

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
cc=${WEIR_CC:-cc}
build() { # NAME COMMAND...   builds and runs; the program must print the version
    name=$1
    shift
    "$@" -o "$scratch/$name" || fail "$name does not build: $*"
    said=$(LD_LIBRARY_PATH=$lib "$scratch/$name") || fail "$name ends with status $?"
    [ "$said" = "$version" ] || fail "$name says it is version $said, not $version"
}
# What libweir.a needs of others, as weir.pc says it.
private=$(sed -n 's/^Libs.private: *//p' "$lib/pkgconfig/weir.pc")
test_dir=$WEIR_SOURCE_DIR/test/package
# shellcheck disable=SC2046,SC2086
{
    build c_shared "$cc" -std=c11 $warnings -I"$scratch" "$test_dir/stranger.c" \
        $(pkg-config --cflags --libs weir)
    build c_static "$cc" -std=c11 $warnings -I"$scratch" "$test_dir/stranger.c" \
        $(pkg-config --cflags weir) "$lib/libweir.a" $private
    # A position-independent and a fixed program, since distributions do both.
    build c_static_fixed "$cc" -std=c11 -no-pie -fno-pie -I"$scratch" "$test_dir/stranger.c" \
        $(pkg-config --cflags weir) "$lib/libweir.a" $private
    build c_all_static "$cc" -std=c11 -static -I"$scratch" "$test_dir/stranger.c" \
        $(pkg-config --static --cflags --libs weir)
    for standard in c++11 c++17 c++20; do
        build "cxx_$standard" g++ -std=$standard $warnings -Wno-missing-field-initializers \
            -Wno-pedantic "$test_dir/stranger.cc" $(pkg-config --cflags --libs weir)
    done
}
LD_LIBRARY_PATH=$lib ldd "$scratch/c_shared" | grep -qF "$lib/libweir.so" ||
    fail "c_shared does not use the installed libweir.so"

# ---- a plugin: unloaded while a thread that asked still lives ----
gcc -std=gnu11 -Wall -Wextra -o "$scratch/plugin" "$test_dir/plugin.c" $(pkg-config --cflags weir) \
    -ldl -lpthread
"$scratch/plugin" "$lib/libweir.so" || fail "plugin ends with status $?"

# ---- CMake: find_package ----
cmake -S "$test_dir/app" -B "$scratch/app" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1 &&
    cmake --build "$scratch/app" >>"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
for way in by_default by_shared by_static; do
    "$scratch/app/$way" >/dev/null || fail "$way ends with status $?"
done

# ---- the binary ----
[ "$("$prefix/bin/weir" --version)" = "weir $version" ] || fail "bin/weir --version says otherwise"

# ---- what was installed can be taken away ----
"$WEIR_SOURCE_DIR/tools/install.sh" /usr/strange "$scratch/second" >/dev/null
[ -f "$scratch/second/usr/strange/include/weir.h" ] || fail "the second install made no header"
"$WEIR_SOURCE_DIR/tools/install.sh" --undo "$scratch/second" >/dev/null
left=$(find "$scratch/second" -not -type d)
[ -z "$left" ] || fail "uninstall left behind:" "$left"
