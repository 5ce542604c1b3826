#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes decision lines to measure weir judge with: one host, 100 a minute for each user, a request each
20 us on average, kept strictly; a third of the lines are denials when users are 20,000.

usage: test/cli/judge_lines.py LINES USERS > FILE"""

import collections
import random
import sys

LIMIT, WINDOW_NS = 100, 60 * 10**9


def main(lines, users):
    draw = random.Random(1)
    admitted = collections.defaultdict(collections.deque)
    now = 1_700_000_000 * 10**9
    for _ in range(lines):
        now += draw.randrange(40_000)
        user = draw.randrange(users)
        log = admitted[user]
        while log and log[0] <= now - WINDOW_NS:
            log.popleft()
        allowed = len(log) < LIMIT
        if allowed:
            log.append(now)
        took = draw.randrange(1_000, 300_000)
        sys.stdout.write(f'{{"user":"user-{user}","limit":{LIMIT},"window_ns":{WINDOW_NS},"cost":1,'
                         f'"allowed":{"true" if allowed else "false"},"sent_ns":{now - took},'
                         f'"received_ns":{now + took},"host":"a"}}\n')


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().splitlines()[-1])
    main(int(sys.argv[1]), int(sys.argv[2]))
