# SPDX-License-Identifier: MIT
. "$(dirname "$0")/planted.sh"

# The script finds the rooms beside itself, so it is copied into the scratch tree.
mkdir -p "$scratch/tools" "$scratch/build"
cp "$WEIR_SOURCE_DIR/tools/purity.sh" "$scratch/tools/"
build() {
    mkdir -p "$scratch/build/CMakeFiles/weir_$1.dir/src/$1"
    "${WEIR_CC:-cc}" -O2 -fPIC -fstack-protector-strong -c "$scratch/src/$1/$2.c" \
        -o "$scratch/build/CMakeFiles/weir_$1.dir/src/$1/$2.c.o"
}

plant src/base/copy.c <<'END'
#include <string.h>
int copy(char *out, const char *from, unsigned long n) { char b[64]; memcpy(b, from, n & 63); memcpy(out, b, n & 63); return b[n & 63]; }
END
plant src/limit/window.c <<'END'
int copy(char *, const char *, unsigned long);
int window(char *a, char *b) { return copy(a, b, 3); }
END
build base copy
build limit window
expect 0 "" "$scratch/tools/purity.sh" "$scratch/build"

plant src/limit/window.c <<'END'
#include <time.h>
long window(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec; }
END
build limit window
expect 1 "src/limit/window.c: needs clock_gettime" "$scratch/tools/purity.sh" "$scratch/build"

plant src/limit/window.c <<'END'
#include <stdlib.h>
void *window(unsigned long n) { return malloc(n); }
END
build limit window
expect 1 "src/limit/window.c: needs malloc" "$scratch/tools/purity.sh" "$scratch/build"

plant src/limit/late.c </dev/null
expect 2 "is missing; build first" "$scratch/tools/purity.sh" "$scratch/build"
