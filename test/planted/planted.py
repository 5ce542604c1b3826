#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants known bugs into copies of sources and demands that the tests convict each of them.

usage: planted.py FILE.bugs --program NAME=OBJECT[:OBJECT...]... --libraries WORD[:WORD...] [BUG...]

A .bugs file holds, for each bug, its name, the file, the test programs that must find it (each of
them must; PROGRAM/PATTERN runs some of its tests) and the text to replace, which must be there
exactly once; blanks and line ends do not count. If it "breaks the promise", the program must also convict it when it looks at nothing but
the promise (model_window: admissions above the limit and denials without need; sim_player: admissions above the limit):

    bug window_expires_a_cell_early
    in src/limit/window.c
    convicted by model_window
    breaks the promise
    - uint64_t ages = old text;
    + uint64_t ages = new text;

"within 20 seeds" is for programs that play seeds: they get that number as WEIR_SIM_SEEDS, and one try.

Several - + groups of one bug are planted together. A bug whose text is no longer there fails the
test: a judge that is not tested is not trusted. So does a program that fails without any bug.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ["WEIR_BUILD_DIR"])
CC = os.environ.get("WEIR_CC", "cc")
# A race may need luck: a bug has so many tries to be convicted, each longer than the one before.
EFFORTS = ["0.03", "0.1", "0.3", "1", "3", "3", "10"]
# Who does not end convicts a bug, too: after so long, or so many times as long as without any bug if that is more.
SECONDS, TIMES = 5, 20
HONEST_SECONDS_MAX = 120  # without any bug


class Bug:
    def __init__(self, name, line):
        self.name, self.line = name, line
        self.file, self.programs, self.edits, self.breaks_promise, self.seeds = None, [], [], False, None


def bugs_read(path):
    bugs, sign_before = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        word, _, rest = line.partition(" ")
        if line.startswith("#") or not line.strip():
            continue
        if word == "bug":
            bugs.append(Bug(rest, number))
        elif word == "in":
            bugs[-1].file = rest
        elif word == "convicted":
            bugs[-1].programs = rest.split()[1:]
        elif word == "within":
            bugs[-1].seeds = rest.split()[0]
        elif line == "breaks the promise":
            bugs[-1].breaks_promise = True
        elif word == "-":
            if sign_before != "-":
                bugs[-1].edits.append([[], []])
            bugs[-1].edits[-1][0].append(rest)
        elif word == "+":
            bugs[-1].edits[-1][1].append(rest)
        else:
            sys.exit(f"{path}:{number}: not understood: {line}")
        sign_before = word
    return bugs


def plant(bug):
    """The text of the file with the bug in it."""
    text = (SOURCE / bug.file).read_text()
    for old, new in bug.edits:
        words = " ".join(old).split()
        pattern = re.compile(r"\s*".join(re.escape(t) for w in words for t in re.findall(r"\w+|\W", w)))
        found = pattern.findall(text)
        if len(found) != 1:
            raise ValueError(f"its text is in {bug.file} {len(found)} times, not once: {' '.join(words)}")
        text = pattern.sub(lambda _: "\n".join(new), text)
    return text


def compile_planted(directory, bug):
    """Objects that hold the bug: one of a source, all of the room of a header."""
    file = pathlib.Path(bug.file)
    planted = directory / file.relative_to("src")
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(plant(bug))
    sources = [planted] if file.suffix == ".c" else sorted((SOURCE / file.parent).glob("*.c"))
    objects = []
    for source in sources:
        objects.append(str(directory / f"{source.stem}.o"))
        subprocess.run([CC, "-std=gnu17", "-O2", "-g", "-w", "-D_GNU_SOURCE", "-c", "-o", objects[-1],
                        f"-I{directory}", f"-I{SOURCE}/include", f"-I{SOURCE}/src", str(source)], check=True)
    return objects


LIBRARIES = []  # of others, as the linker takes them


def build(directory, program, objects, extra):
    archives = [str(a) for a in (BUILD / "test").glob("libweir_*_archive.a")]
    command = [CC, "-o", str(directory / program), *extra, *objects,
               "-Wl,--start-group", *archives, "-Wl,--end-group", *LIBRARIES, "-lcmocka", "-lz", "-lm", "-pthread"]
    subprocess.run(command, check=True)


def run(directory, program, pattern, effort, seconds, judge="", seeds=None):
    """What a program that failed said first, or None if it passed."""
    environment = dict(os.environ, WEIR_TEST_EFFORT=effort, WEIR_SEED="20261124", WEIR_MODEL_JUDGE=judge)
    if seeds is not None:
        environment["WEIR_SIM_SEEDS"] = seeds
    try:
        done = subprocess.run([str(directory / program), *pattern], env=environment, timeout=seconds,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds:.0f} s"
    if done.returncode == 0:
        return None
    words = [re.sub(r"^.*\.c:\d+: ", "", l).strip() for l in done.stdout.splitlines()
             if re.search(r"\.c:\d+: |exception", l)]
    return words[0] if words else f"ended with {done.returncode}"


def convict(directory, program, pattern, seconds, judge="", seeds=None):
    """`seconds`: that it takes at EFFORTS[1], without any bug."""
    if seeds is not None:
        return run(directory, program, pattern, EFFORTS[0], HONEST_SECONDS_MAX, judge, seeds)
    for effort in EFFORTS:
        longest = max(SECONDS, TIMES * seconds * max(1, float(effort) / float(EFFORTS[1])))
        words = run(directory, program, pattern, effort, longest, judge)
        if words is not None:
            return words
    return None


def main():
    arguments, programs, wanted = sys.argv[1:], {}, []
    path = pathlib.Path(arguments.pop(0))
    while arguments:
        argument = arguments.pop(0)
        if argument == "--program":
            name, _, objects = arguments.pop(0).partition("=")
            programs[name] = objects.split(":")
        elif argument == "--libraries":
            LIBRARIES.extend(arguments.pop(0).split(":"))
        else:
            wanted.append(argument)

    directory = BUILD / "planted" / path.stem
    directory.mkdir(parents=True, exist_ok=True)
    troubles = []
    for program, objects in programs.items():
        build(directory, program, objects, [])

    bugs = [b for b in bugs_read(path) if not wanted or b.name in wanted]
    took = {}
    for witness in sorted({w for b in bugs for w in b.programs}):
        program, _, pattern = witness.partition("/")
        since = time.monotonic()
        words = run(directory, program, [pattern] if pattern else [], EFFORTS[1], HONEST_SECONDS_MAX)
        took[witness] = time.monotonic() - since
        if words is not None:
            troubles.append(f"{program} fails without any bug: {words}")
    for bug in bugs:
        try:
            planted = compile_planted(directory / bug.name, bug)
        except (ValueError, OSError) as error:
            troubles.append(f"{path.name}:{bug.line}: {bug.name} cannot be planted: {error}")
            continue
        for witness in bug.programs:
            program, _, pattern = witness.partition("/")
            build(directory, program, programs[program], planted)
            chosen = [pattern] if pattern else []
            words = convict(directory, program, chosen, took[witness], seeds=bug.seeds)
            if words is not None and bug.breaks_promise:
                words = convict(directory, program, chosen, took[witness], "promise", bug.seeds)
            if words is None:
                troubles.append(f"{path.name}:{bug.line}: {bug.name} SURVIVES {program}")
            print(f"{'survives ' if words is None else 'convicted'} {bug.name:45} {program}: {words}", flush=True)

    for trouble in troubles:
        print(trouble, file=sys.stderr)
    convicted = len(bugs) - len({t.split()[1] for t in troubles})
    print(f"{convicted} of {len(bugs)} bugs convicted")
    sys.exit(1 if troubles or not bugs else 0)


main()
