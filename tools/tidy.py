#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small house rules that no compiler checks.

Refused: banned calls (each with its replacement), tabs, spaces at line ends, long lines, leftover
marks, files without the licence line, headers that nobody includes. Listed, not refused, with
--long: functions over 100 lines. Says nothing when all is well.

usage: tools/tidy.py [--long] [SOURCE_DIR]        exit 0 fine, 1 broken, 2 wrong usage
"""

import pathlib
import re
import sys

FUNCTION_LINES_MAX = 100
COLUMNS_MAX = 110  # clang-format holds code to 100; the last word of a comment may stick out

# call -> (what to use, rooms that may use it all the same)
BANNED = {
    "strcpy":   ("memcpy with a known size, or snprintf", ()),
    "strcat":   ("snprintf into one buffer", ()),
    "strncpy":  ("memcpy with a known size: strncpy may leave out the NUL", ()),
    "strncat":  ("snprintf into one buffer", ()),
    "sprintf":  ("snprintf", ()),
    "vsprintf": ("vsnprintf", ()),
    "gets":     ("fgets or getline", ()),
    "strtok":   ("a view that moves over the text: strtok writes and keeps state", ()),
    "atoi":     ("a parser that says what is wrong (base/ or wire/): atoi cannot fail", ()),
    "atol":     ("a parser that says what is wrong (base/ or wire/)", ()),
    "atoll":    ("a parser that says what is wrong (base/ or wire/)", ()),
    "atof":     ("strtod with its end pointer checked", ()),
    "rand":     ("base/random.h with a seed", ()),
    "srand":    ("base/random.h with a seed", ()),
    "random":   ("base/random.h with a seed", ()),
    "drand48":  ("base/random.h with a seed", ()),
    "time":     ("the time that was passed in; os/clock.h where it enters", ("test/redis/wall_clock.c",)),
    "gettimeofday":  ("the time that was passed in; os/clock.h where it enters", ("test/redis/wall_clock.c",)),
    "clock_gettime": ("the time that was passed in; os/clock.h where it enters", ("src/os", "src/cmd/bench", "test", "fuzz", "bench")),
    "alloca":   ("a bound and an array, or the heap", ()),
    "system":   ("posix_spawn with an argument vector", ()),
    "tmpnam":   ("mkstemp", ()),
    "mktemp":   ("mkstemp", ()),
    "signal":   ("sigaction: signal() differs between systems", ("test",)),
    "localtime": ("localtime_r", ()),
    "gmtime":   ("gmtime_r", ()),
    "usleep":   ("nanosleep or a deadline of the loop", ()),
}

MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK|W" r"IP)\b|^(<{7}|>{7}|={7})( |$)")
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'" r"|//[^\n]*|/\*.*?\*/", re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.M)
LICENCE = "SPDX-License-Identifier: MIT"

TEXT = {".c", ".h", ".cc", ".py", ".sh", ".go", ".md", ".cmake", ".txt", ".json", ".yml", ".rs"}
CODE = {".c", ".h", ".cc"}
LICENSED = {".c", ".h", ".cc", ".py", ".sh", ".go", ".cmake", ".rs"}
# Ours in all of these; not what a build or an installed package leaves beside it.
FOLDERS = ("include", "src", "test", "fuzz", "bench", "bindings", "tools", "cmake", "docs", "packaging",
           "examples")
NOT_OURS = {"node_modules", "target", "__pycache__", ".deps", "build", "corpus", "data", "vendor"}


def main(arguments):
    is_long_wanted = "--long" in arguments
    arguments = [a for a in arguments if a != "--long"]
    if len(arguments) > 1 or any(a.startswith("-") for a in arguments):
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
    if not root.is_dir():
        print(f"tidy.py: {root} is not a folder", file=sys.stderr)
        return 2

    texts = {}
    for path in ours(root):
        texts[path.relative_to(root)] = path.read_text(encoding="utf-8", errors="replace")
    if not texts:
        print(f"tidy.py: {root} holds no file to look at", file=sys.stderr)
        return 2

    broken = []
    for name, text in texts.items():
        broken += lines_broken(name, text)
        if name.suffix in CODE:
            broken += calls_broken(name, text)
        if name.suffix in LICENSED and LICENCE not in "\n".join(text.splitlines()[:3]):
            broken.append(f"{name}:1: the line '{LICENCE}' is missing from the top")
    broken += headers_unused(texts)
    for line in broken:
        print(line)
    if is_long_wanted:
        for name, text in texts.items():
            for line in functions_long(name, text):
                print(line)
    return 1 if broken else 0


def ours(root):
    for path in sorted(root.glob("*")):
        if path.is_file() and (path.suffix in TEXT or path.name == "Makefile"):
            yield path
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if path.is_file() and path.suffix in TEXT and not NOT_OURS & set(parts[:-1]):
                yield path


def lines_broken(name, text):
    has_tabs = name.suffix == ".go" or name.name == "Makefile"
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line and not has_tabs:
            yield f"{name}:{number}: a tab; indent with spaces"
        if line.rstrip(" \r") != line and not (name.suffix == ".md" and line.endswith("  ")):
            yield f"{name}:{number}: space at the end of the line"
        if name.suffix in CODE and len(line) > COLUMNS_MAX:
            yield f"{name}:{number}: {len(line)} columns; {COLUMNS_MAX} are the most"
        match = MARKS.search(line)
        if match and not str(name).startswith("tools/tidy"):
            yield f"{name}:{number}: a leftover mark ({match[0].strip()}); do it, or file an issue"
    if text and not text.endswith("\n"):
        yield f"{name}:{text.count(chr(10)) + 1}: no line end at the end of the file"


def calls_broken(name, text):
    for number, line in enumerate(without_literals(text).split("\n"), 1):
        for match in CALL.finditer(line):
            instead, allowed = BANNED[match[1]]
            if any(str(name).startswith(folder) for folder in allowed):
                continue
            yield f"{name}:{number}: {match[1]}() is not used here; instead: {instead}"


def headers_unused(texts):
    included = set()
    for name, text in texts.items():
        for header in INCLUDE.findall(text):
            included.add(header)
            included.add(str(name.parent / header))
    for name in texts:
        if name.suffix != ".h":
            continue
        ways = {str(name), *("/".join(name.parts[i:]) for i in range(1, len(name.parts)))}
        if not ways & included:
            yield f"{name}:1: nobody includes this header"


def functions_long(name, text):
    """Functions in our layout: the body ends with a brace in the first column."""
    if name.suffix not in CODE:
        return
    start, title = None, ""
    for number, line in enumerate(without_literals(text).split("\n"), 1):
        if start is None and re.match(r"^[a-zA-Z_].*\)\s*\{$", line):
            start, title = number, line
        elif start is None and re.match(r"^ +.*\)\s*\{$", line) and title:
            start = number
        elif line == "}":
            if start is not None and number - start > FUNCTION_LINES_MAX:
                yield f"{name}:{start}: {number - start} lines: {title.strip()}"
            start, title = None, ""
        elif re.match(r"^[a-zA-Z_][^;=]*\($|^[a-zA-Z_][^;={]*,$", line):
            title = line


def without_literals(text):
    """The text with strings, characters and comments blanked, each line kept in its place."""
    return LITERAL.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
