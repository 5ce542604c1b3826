# SPDX-License-Identifier: MIT
. "$(dirname "$0")/planted.sh"
mkdir -p "$scratch/tools" "$scratch/build"
cp "$WEIR_SOURCE_DIR/tools/lint.py" "$scratch/tools/"
cp "$WEIR_SOURCE_DIR/.clang-tidy" "$scratch/"
cat >"$scratch/build/compile_commands.json" <<END
[{"directory": "$scratch/build", "file": "$scratch/src/base/one.c",
  "command": "cc -std=gnu17 -Wall -o one.o -c $scratch/src/base/one.c"}]
END

plant src/base/one.c <<'END'
int one(int n);
int one(int n) { return n; }
END
expect 0 "" "$scratch/tools/lint.py" "$scratch/build"
expect 0 "" "$scratch/tools/lint.py" "$scratch/build"

plant src/base/one.c <<'END'
#include <stdlib.h>
int one(int n);
int one(int n) {
    int *p = malloc(sizeof(int));
    if (n > 3) return 0;
    free(p);
    return *p;
}
END
expect 1 "clang-analyzer-unix.Malloc" "$scratch/tools/lint.py" "$scratch/build"
expect 1 "clang-analyzer-unix.Malloc" "$scratch/tools/lint.py" "$scratch/build"

plant src/base/one.c <<'END'
int one(int n);
int one(int n) { int unused = 3; return n; }
END
expect 1 "clang-diagnostic-unused-variable" "$scratch/tools/lint.py" "$scratch/build"

echo '[]' >"$scratch/build/compile_commands.json"
expect 2 "names no file" "$scratch/tools/lint.py" "$scratch/build"
