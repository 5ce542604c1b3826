# SPDX-License-Identifier: MIT
. "$(dirname "$0")/planted.sh"
tidy=$WEIR_SOURCE_DIR/tools/tidy.py

plant src/base/text.h <<'END'
/* SPDX-License-Identifier: MIT */
END
clean() {
    plant src/base/text.c <<'END'
/* SPDX-License-Identifier: MIT
 * A call of strcpy() in a comment is no call. */
#include "base/text.h"

const char *text_name(void) { return "time(NULL)"; }
uint64_t text_at(struct w *w) { return w->time(0) + window_time(1); }
END
}
clean
expect 0 "" "$tidy" "$scratch"

bad() { # TEXT LINE
    clean
    printf "$2\n" >>"$scratch/src/base/text.c"
    expect 1 "src/base/text.c:7: $1" "$tidy" "$scratch"
    clean
}
bad "strcpy() is not used here; instead: memcpy" 'void f(void) { strcpy(a, b); }'
bad "sprintf() is not used here" 'void f(void) { sprintf (a, b); }'
bad "atoi() is not used here" 'int n = atoi(text);'
bad "rand() is not used here" 'int n = rand();'
bad "time() is not used here" 'long t = time(NULL);'
bad "a tab" '\tint n;'
bad "space at the end" 'int n; '
bad "111 columns; 110 are the most" "/* $(printf '%0105d' 0) */"
bad "a leftover mark (TO""DO)" '/* TO''DO: later */'

echo '/* SPDX-License-Identifier: MIT */' >"$scratch/src/base/lonely.h"
expect 1 "src/base/lonely.h:1: nobody includes this header" "$tidy" "$scratch"
rm "$scratch/src/base/lonely.h"

plant src/base/bare.c <<'END'
int n;
END
expect 1 "src/base/bare.c:1: the line 'SPDX-License-Identifier: MIT' is missing" "$tidy" "$scratch"
rm "$scratch/src/base/bare.c"

{ echo '/* SPDX-License-Identifier: MIT */'; echo 'static void text_long(int n) {'
  seq -f '    call(%g);' 101; echo '}'; } >"$scratch/src/base/long.c"
expect 0 "src/base/long.c:2: 102 lines: static void text_long(int n)" "$tidy" --long "$scratch"
expect 0 "" "$tidy" "$scratch"

mkdir "$scratch/empty"
expect 2 "holds no file" "$tidy" "$scratch/empty"
