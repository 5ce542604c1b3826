#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks which room of src/ includes which.

The table below is the one of ARCHITECTURE.md: an include that it does not allow is an arrow that
the design does not have. A room that is not in the table is refused too, so that a new one is
thought about. Prints file:line and the rule that is broken; says nothing when all is well.

usage: tools/rooms.py [SOURCE_DIR]        exit 0 fine, 1 broken, 2 wrong usage
"""

import pathlib
import re
import sys

# room -> rooms whose headers it may include (besides its own). "file.h" narrows it to one header.
ALL = {"*"}
ROOMS = {
    "base":    set(),
    "limit":   {"base"},
    "table":   {"base", "limit"},
    "lease":   {"base", "limit"},
    "wire":    {"base", "limit/request.h"},
    # Of lease: what holders and stores tell each other, and the account that a store must answer like.
    "store":   {"base", "limit", "table", "lease", "wire", "os"},
    # Memory for its tables, a way to let another thread run and a number for each thread. The fleet
    # besides has callers who wait and timers of its own: a clock, a latch and a thread; forks, which
    # void what a holder has; and entropy, since incarnations must differ between machines.
    "limiter": {"base", "limit", "table", "lease", "store/store.h", "os/memory.h", "os/processor.h",
                "os/slot.h", "os/clock.h", "os/latch.h", "os/thread.h", "os/process.h",
                "os/entropy.h"},
    "server":  {"base", "limit", "limiter", "wire", "os"},
    "os":      {"base"},
    "sim":     {"base", "limit", "lease"},
    "api":     ALL,
    "cmd":     ALL,
}

# Rooms that hold state and decisions, told the time and given their memory's bounds: they may not
# include what asks the operating system. base and limit, wire and lease are held tighter still:
# the linker (tools/purity.sh) shows that they call nothing at all.
OS_HEADERS = re.compile(
    r"^(sys/.*|linux/.*|arpa/.*|netinet/.*|netdb\.h|net/.*|unistd\.h|fcntl\.h|poll\.h|time\.h|signal\.h"
    r"|pthread\.h|threads\.h|sched\.h|dirent\.h|termios\.h|dlfcn\.h|spawn\.h|pwd\.h|grp\.h|errno\.h"
    r"|sys\.h|liburing\.h|zlib\.h)$")
OS_ALLOWED_IN = {"os", "cmd"}

# What a pure room needs of C: types, limits, string.h. (stdio and stdlib bring I/O and allocation.)
PURE_ROOMS = {"base", "limit", "lease", "wire"}
PURE_HEADERS = {"assert.h", "float.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h",
                "stddef.h", "stdint.h", "string.h", "stdatomic.h", "immintrin.h", "x86intrin.h",
                "emmintrin.h", "arm_neon.h", "weir.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def main(arguments):
    if len(arguments) > 1:
        print(__doc__.strip().splitlines()[-1].strip(), file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent)
    source = root / "src"
    if not source.is_dir():
        print(f"rooms.py: {source} is not a folder", file=sys.stderr)
        return 2

    broken = []
    for path in sorted(source.rglob("*.[ch]")):
        room = path.relative_to(source).parts[0]
        name = path.relative_to(root)
        if room not in ROOMS:
            broken.append(f"{name}:1: the room {room}/ is not in the table of tools/rooms.py")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                rule = rule_broken(source, path, room, match[1], match[2])
                if rule:
                    broken.append(f"{name}:{number}: {line.strip()}\n    {rule}")
    for text in broken:
        print(text)
    return 1 if broken else 0


def rule_broken(source, path, room, mark, header):
    """The rule that this include breaks, or None."""
    if mark == "<":
        if OS_HEADERS.match(header) and room not in OS_ALLOWED_IN:
            return (f"only {' and '.join(sorted(OS_ALLOWED_IN))} may ask the operating system; "
                    f"{room} is told what it needs to know")
        if room in PURE_ROOMS and header not in PURE_HEADERS:
            return f"{room} is pure: of C it may include {', '.join(sorted(PURE_HEADERS))}"
        return None

    if not (source / header).is_file():
        return f'"{header}" is not a file of src/; write the path from there ("{room}/...")'
    target = header.split("/")[0]
    if target == room or ROOMS[room] == ALL:
        return None
    allowed = ROOMS[room]
    if target not in allowed and header not in allowed:
        may = ", ".join(sorted(allowed)) or "no other room"
        return f"{room} may include {may}"
    if room == "store" and target == "table" and path.relative_to(source).parts[1] != "embedded":
        return "of the stores, only store/embedded may include table"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
