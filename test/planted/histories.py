#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Decision histories that `weir judge` must convict, each beside a twin that it must not.

usage: histories.py [SEED]        (WEIR_BIN names the binary)

Crimes that are told by hand come first. Then histories are made at random, of which a naive model
(every pair of admissions, in Python's integers) knows whether they are guilty.
"""
import json
import os
import random
import subprocess
import sys

WEIR = os.environ["WEIR_BIN"]
SECOND = 10**9
START = 1_700_000_000 * SECOND


def line(at, user="ann", limit=10, window=SECOND, cost=1, allowed=True, until=None, host="a"):
    return {"user": user, "limit": limit, "window_ns": window, "cost": cost, "allowed": allowed,
            "sent_ns": START + at, "received_ns": START + (at if until is None else until), "host": host}


def judge(history, *options):
    text = "".join(json.dumps(entry) + "\n" for entry in history)
    done = subprocess.run([WEIR, "judge", "--json", *options, "-"], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    if done.returncode not in (0, 1):
        sys.exit(f"weir judge ended with {done.returncode}: {done.stderr}\n{text[:2000]}")
    return done.returncode == 1


# name, guilty history, innocent twin, options
TOLD = [
    ("one too many at one instant", [line(0)] * 11, [line(0)] * 10, []),
    ("one nanosecond too early", [line(0, cost=10), line(SECOND - 1)], [line(0, cost=10), line(SECOND)], []),
    ("twice the limit around a full minute",
     [line(59_900_000_000, cost=100, limit=100, window=60 * SECOND), line(60_000_000_000, cost=100, limit=100, window=60 * SECOND)],
     [line(59_900_000_000, cost=100, limit=100, window=60 * SECOND), line(119_900_000_000, cost=100, limit=100, window=60 * SECOND)], []),
    ("a bucket that refills while the burst still counts",
     [line(0, cost=10)] + [line(i * SECOND // 10) for i in range(1, 9)],
     [line(0, cost=10)] + [line(i * SECOND // 10, allowed=False) for i in range(1, 9)], []),
    ("a cost above the limit", [line(0, cost=11)], [line(0, cost=10)], []),
    ("a limit of nothing", [line(0, limit=0)], [line(0, limit=0, allowed=False)], []),
    ("a limit that was lowered", [line(0, cost=8), line(1, limit=5)], [line(0, cost=4), line(1, limit=5)], []),
    ("two users are not one", [line(0, cost=6), line(1, cost=6)], [line(0, cost=6), line(1, cost=6, user="bob")], []),
    ("two windows are not one", [line(0, cost=6), line(1, cost=6)], [line(0, cost=6), line(1, cost=6, window=2 * SECOND)], []),
    ("intervals that certainly overlap one window",
     [line(0, cost=6, until=1000), line(5000, cost=6, until=9000)],
     [line(0, cost=6, until=1000), line(5000, cost=6, until=SECOND + 1001)], []),
    ("lines that are out of order", [line(SECOND - 1, cost=6), line(0, cost=6)], [line(SECOND, cost=6), line(0, cost=6)], []),
    ("two hosts with clocks that agree",
     [line(0, cost=6, host="a"), line(1000, cost=6, host="b")],
     [line(0, cost=6, host="a"), line(SECOND - 10, cost=6, host="b")], ["--clock-error", "1us"]),
    ("a double grant long ago, and quiet days since",
     [line(0, cost=11)] + [line(i * 3600 * SECOND) for i in range(1, 200)],
     [line(0, cost=10)] + [line(i * 3600 * SECOND) for i in range(1, 200)], []),
]


def is_guilty(history):
    """For instants: some admission has more than its limit in the window that ends with it."""
    admitted = [e for e in history if e["allowed"]]
    for last in admitted:
        end, window = last["sent_ns"], last["window_ns"]
        same = [e for e in admitted if e["user"] == last["user"] and e["window_ns"] == window
                and end - window < e["sent_ns"] <= end]
        # Of those that share the last instant any may have been the last: all must break their limit.
        limits = [e["limit"] for e in same if e["sent_ns"] == end]
        if sum(e["cost"] for e in same) > max(limits):
            return True
    return False


def random_history(r):
    limit, window = r.choice([1, 2, 5, 20]), r.choice([1000, SECOND, 60 * SECOND])
    history, at = [], 0
    for _ in range(r.randrange(1, 60)):
        at += r.choice([0, 1, window // 20, window // 3, window - 1, window, r.randrange(2 * window)])
        history.append(line(at, user=r.choice(["ann", "bob"]), limit=limit, window=window,
                            cost=r.randrange(1, limit + 1) if r.random() < 0.2 else 1, allowed=r.random() < 0.7))
    return history


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(2**63)
    wrong = []
    for name, guilty, innocent, options in TOLD:
        if not judge(guilty, *options):
            wrong.append(f"acquits: {name}")
        if judge(innocent, *options):
            wrong.append(f"convicts the innocent twin of: {name}")
    r, counts = random.Random(seed), {True: 0, False: 0}
    for number in range(int(200 * float(os.environ.get("WEIR_TEST_EFFORT") or 1)) + 20):
        history = random_history(r)
        guilty = is_guilty(history)
        counts[guilty] += 1
        if judge(history) != guilty:
            wrong.append(f"{'acquits' if guilty else 'convicts'} random history {number}; repeat: {sys.argv[0]} {seed}")
    print(f"{len(TOLD)} crimes and their twins; {counts[True]} guilty and {counts[False]} innocent random histories")
    for text in wrong:
        print(text, file=sys.stderr)
    sys.exit(1 if wrong or not counts[True] or not counts[False] else 0)


main()
