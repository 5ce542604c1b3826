# SPDX-License-Identifier: MIT
. "$(dirname "$0")/planted.sh"
rooms=$WEIR_SOURCE_DIR/tools/rooms.py

plant src/base/view.h </dev/null
plant src/limit/window.h </dev/null
plant src/limit/request.h </dev/null
plant src/table/table.h </dev/null
plant src/os/clock.h </dev/null
plant src/limit/window.c <<'END'
#include "limit/window.h"

#include "base/view.h"

#include <string.h>
#include <weir.h>
END
plant src/wire/resp.c <<'END'
#include "limit/request.h"
END
plant src/os/clock.c <<'END'
#include <time.h>
END
expect 0 "" "$rooms" "$scratch"

echo '#include "table/table.h"' >>"$scratch/src/limit/window.c"
expect 1 "src/limit/window.c:7: #include \"table/table.h\"" "$rooms" "$scratch"
expect 1 "limit may include base" "$rooms" "$scratch"
sed -i '$d' "$scratch/src/limit/window.c"

echo '#include "limit/window.h"' >>"$scratch/src/wire/resp.c"
expect 1 "wire may include base, limit/request.h" "$rooms" "$scratch"
sed -i '$d' "$scratch/src/wire/resp.c"

echo '#  include <sys/socket.h>' >>"$scratch/src/table/table.h"
expect 1 "may ask the operating system" "$rooms" "$scratch"
: >"$scratch/src/table/table.h"

echo '#include <stdlib.h>' >>"$scratch/src/limit/window.h"
expect 1 "limit is pure" "$rooms" "$scratch"
: >"$scratch/src/limit/window.h"

echo '#include "gone.h"' >>"$scratch/src/os/clock.c"
expect 1 '"gone.h" is not a file of src/' "$rooms" "$scratch"
sed -i '$d' "$scratch/src/os/clock.c"

plant src/attic/old.c </dev/null
expect 1 "attic/ is not in the table" "$rooms" "$scratch"

expect 2 "not a folder" "$rooms" "$scratch/nowhere"
