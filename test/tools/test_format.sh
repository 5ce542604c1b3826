# SPDX-License-Identifier: MIT
. "$(dirname "$0")/planted.sh"
mkdir -p "$scratch/tools"
cp "$WEIR_SOURCE_DIR/tools/format.sh" "$scratch/tools/"
cp "$WEIR_SOURCE_DIR/.clang-format" "$scratch/"

plant src/base/one.c <<'END'
int one(int n) {
    if (n == 0) return 0;
    return n;
}
END
expect 0 "" "$scratch/tools/format.sh" --check

plant src/base/one.c <<'END'
int one(int n)
{
  return n;
}
END
expect 1 "src/base/one.c:1: not laid out by clang-format; run: make format" "$scratch/tools/format.sh" --check
expect 0 "" "$scratch/tools/format.sh"
expect 0 "" "$scratch/tools/format.sh" --check
