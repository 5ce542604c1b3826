# SPDX-License-Identifier: MIT
"""Simulated worlds: new seeds in each run, all that ever failed, the same twice, and what must be convicted.

usage: test_seeds.py [FIRST_SEED]        WEIR_TEST_EFFORT: 1 is a thousand seeds
"""
import os
import pathlib
import random
import re
import subprocess
import sys

WEIR = os.environ["WEIR_BIN"]
HERE = pathlib.Path(__file__).parent
SANITIZED = os.environ.get("WEIR_SANITIZE", "none") != "none"
EFFORT = float(os.environ.get("WEIR_TEST_EFFORT") or 1) * (0.05 if SANITIZED else 1)

# Scenarios that break an assumption, and within how many seeds the judges must see what comes of it.
BROKEN = {"broken-wait": 60, "broken-no-wait": 3, "broken-freeze": 12, "broken-rollback": 150,
          "broken-lwt-rollback": 3}

# Runs of such scenarios that once died. The file `seeds` is for those that must keep the promise: these may
# be convicted, but must end.
DIED = {"broken-no-wait": (90,)}  # the adversary asked for more than the limit at once


def sim(*words):
    ran = subprocess.run([WEIR, "sim", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ran.returncode not in (0, 1) or ran.stderr:
        sys.exit(f"weir sim {' '.join(words)} ended with {ran.returncode}: {ran.stderr}")
    return ran


def must_keep(*words):
    ran = sim("--quiet", *words)
    if ran.returncode != 0:
        sys.exit(ran.stdout)


def main():
    first = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**48)
    last = first + max(int(1000 * EFFORT), 35) - 1
    print(f"seeds {first}..{last}")
    must_keep("--seeds", f"{first}..{last}")
    must_keep("--from", str(HERE / "seeds"))

    for name in ("chaos", "greedy-chaos", "chaos-wipe", "lwt-chaos"):
        once, again = (sim("--scenario", name, "--seed", str(first), "--trace").stdout for _ in range(2))
        if once != again:
            sys.exit(f"{name} with seed {first} played differently the second time")
        other = sim("--scenario", name, "--seed", str(first + 1)).stdout
        if re.search(r"^trace (\w+)$", once, re.M)[1] == re.search(r"^trace (\w+)$", other, re.M)[1]:
            sys.exit(f"{name} played the same with seeds {first} and {first + 1}")

    for name, seeds in DIED.items():
        for seed in seeds:
            sim("--quiet", "--scenario", name, "--seed", str(seed))

    if not SANITIZED:
        for name, seeds in BROKEN.items():
            ran = sim("--quiet", "--scenario", name, "--seeds", f"1..{seeds}")
            if ran.returncode != 1 or "not strict" not in ran.stdout:
                sys.exit(f"{name} was not convicted within {seeds} seeds")


main()
