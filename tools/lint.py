#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs clang-tidy on every file of ours that a build knows, in parallel.

A file that passed is remembered by a hash of all that clang-tidy saw of it (the file with its
headers in place, the configuration, the tool's version), so that an unchanged tree costs a second.

usage: tools/lint.py BUILD_DIR [PATH-PREFIX...]        exit 0 fine, 1 findings, 2 cannot tell
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("src/", "test/", "fuzz/")


def main(arguments):
    if not arguments:
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    build = pathlib.Path(arguments[0]).resolve()
    commands = build / "compile_commands.json"
    if not commands.is_file():
        print(f"lint.py: {commands} is missing; configure first", file=sys.stderr)
        return 2
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    configs = [ROOT / folder / ".clang-tidy" for folder in (".", *FOLDERS)]
    salt = version + b"".join(config.read_bytes() for config in configs if config.exists())

    prefixes = tuple(arguments[1:]) or FOLDERS
    work = {}
    for entry in json.loads(commands.read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT) and path.is_file():
            name = path.relative_to(ROOT).as_posix()
            if name.startswith(prefixes):
                work.setdefault(name, entry)
    if not work:
        print(f"lint.py: {commands} names no file under {' '.join(prefixes)}", file=sys.stderr)
        return 2

    cache = build / "lint"
    cache.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        findings = list(pool.map(lambda item: lint(build, cache, salt, *item), sorted(work.items())))
    for text in findings:
        if text:
            print(text)
    return 1 if any(findings) else 0


def lint(build, cache, salt, name, entry):
    """The findings in one file as text; empty when there is none."""
    key = hashlib.sha256(salt + seen(entry)).hexdigest()
    stamp = cache / key
    if stamp.exists():
        return ""
    run = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), str(ROOT / name)],
                         capture_output=True, text=True, check=False)
    if run.returncode == 0:
        stamp.touch()
        return ""
    return "\n".join(filter(None, [run.stdout.strip().replace(f"{ROOT}/", ""),
                                   errors_only(run.stderr)])) or f"{name}: clang-tidy failed"


def seen(entry):
    """What the compiler sees of a file, comments kept since they may hold NOLINT."""
    words = entry.get("arguments") or shlex.split(entry["command"])
    words = [w for w in words if w != "-c"]
    if "-o" in words:
        at = words.index("-o")
        del words[at:at + 2]
    return subprocess.run([*words, "-E", "-C"], cwd=entry["directory"], capture_output=True,
                          check=False).stdout + entry["file"].encode()


def errors_only(text):
    noise = re.compile(r"^\d+ (warnings?|errors?).*(generated|treated as errors)|^Suppressed |^Use -header-filter")
    return "\n".join(line for line in text.splitlines() if line and not noise.search(line))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
