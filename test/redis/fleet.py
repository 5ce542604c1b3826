# SPDX-License-Identifier: MIT
"""Processes that ask for the same users by the public API, and weir judge, which says whether any window of what
they admitted together, by one clock, held more than its limit."""

import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time
import unittest

from servers import PATIENCE_S, die_with_parent, wait_for

WORKER = pathlib.Path(os.environ["WEIR_BUILD_DIR"]) / "test/redis/fleet_worker"
WALL_CLOCK = pathlib.Path(os.environ["WEIR_BUILD_DIR"]) / "test/redis/libwall_clock.so"
WEIR = os.environ["WEIR_BIN"]
WORKERS = 4
HOWS = {"lease": 6, "store": 7, "cached": 8, "closed": 9, "open": 10, "local": 11}  # weir_how
WHYS = {"late": 1, "cut": 2}  # weir_why

# A store that has forgotten waits for a term and the time that it keeps a permit before it grants: for windows up
# to a second not more than this.
PAST_S = 1.3

# Longer than any test of fleets that are told when to end.
UNTIL_TOLD_S = 4 * PATIENCE_S


class Rule:
    """A limit, its window, and how many users the fleet asks for under it."""

    def __init__(self, limit, window_ms, users=2):
        self.limit, self.window_ns, self.users = limit, window_ms * 1_000_000, users
        self.word = f"{limit}/{window_ms}/{users}"

    def __str__(self):
        return f"{self.limit} in {self.window_ns / 1e9:g} s"

    def has(self, line):
        return (line["limit"], line["window_ns"]) == (self.limit, self.window_ns)

    def names(self):
        """Its users, as (name, window)."""
        return {(f"{self.limit}:{user}", self.window_ns) for user in range(self.users)}


class Fleet:
    """Processes on one URL, from now on for so many seconds or until they are told to end, and what they admitted."""

    def __init__(self, url, seconds, rules, words=lambda number: []):
        """`words` stand before the command of each."""
        self.url, self.duration_s, self.rules, self.words = url, seconds, rules, words
        self.home = tempfile.TemporaryDirectory(prefix="weir-fleet.")
        self.begin_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.files, self.started, self.tallies = [], [], []
        self.lines, self.bytes_read = [], {}
        for _ in range(WORKERS):
            self.start()

    def start(self):
        seed = len(self.files)
        self.files.append(pathlib.Path(self.home.name) / f"{seed}.jsonl")
        left_s = self.duration_s - self.seconds()
        self.started.append(subprocess.Popen(
            [*self.words(seed), WORKER, self.url, str(left_s), str(seed), self.files[-1], *(r.word for r in self.rules)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent))

    def kill_one(self):
        worker = self.started.pop(0)
        worker.kill()
        worker.communicate()

    def seconds(self):
        return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self.begin_ns) / 1e9

    def sleep_until(self, at_s):
        time.sleep(max(0.0, at_s - self.seconds()))

    def read(self):
        """What has been written down since the last look: whole lines, since half a line may be there already."""
        for number, file in enumerate(self.files):
            if file.exists():
                with open(file, "rb") as lines:
                    lines.seek(self.bytes_read.get(file, 0))
                    whole, newline, _ = lines.read().rpartition(b"\n")
                self.lines += [json.loads(line) | {"worker": number} for line in whole.splitlines()]
                self.bytes_read[file] = self.bytes_read.get(file, 0) + len(whole + newline)

    def between(self, from_s, until_s=float("inf")):
        """What was admitted between these times of the run."""
        return [line for line in self.lines if from_s * 1e9 <= line["received_ns"] - self.begin_ns < until_s * 1e9]

    def servers(self, from_s, until_s=float("inf")):
        """The numbers of those who admitted something between these times of the run."""
        return {line["worker"] for line in self.between(from_s, until_s)}

    def unserved(self, from_s, until_s=float("inf")):
        """The users who were admitted nothing between these times of the run."""
        served = {(line["user"], line["window_ns"]) for line in self.between(from_s, until_s)}
        return set().union(*(rule.names() for rule in self.rules)) - served

    def wait_served(self):
        """Until each user was admitted something from now on."""
        now_s = self.seconds()

        def is_served():
            self.read()
            return not self.unserved(now_s)
        wait_for("a fleet that serves each user", is_served)

    def wait_serves(self, worker):
        """Until this one admitted something from now on."""
        now_s = self.seconds()

        def serves():
            self.read()
            return worker in self.servers(now_s)
        wait_for(f"worker {worker} to serve", serves)

    def end(self):
        for worker in self.started:
            worker.terminate()
        self.join()

    def join(self):
        for worker in self.started:
            out, errors = worker.communicate(timeout=PATIENCE_S)
            if worker.returncode != 0 or errors:
                raise AssertionError(f"a worker ended with {worker.returncode}: {errors}")
            self.tallies.append(json.loads(out))
        self.read()

    def count(self, name, index):
        return sum(tally[name][index] for tally in self.tallies)

    def admitted(self, rule):
        """Permits of a rule's users."""
        return sum(line["cost"] for line in self.lines if rule.has(line))

    def asked(self, rule):
        """Permits that were asked for: a busy machine asks for less."""
        return self.count("asked", self.rules.index(rule))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.started:
            worker.kill()
            worker.wait()
            worker.stdout.close()
            worker.stderr.close()
        self.home.cleanup()


class Clock:
    """The wall clock of a process, and nothing else of it."""

    def __init__(self, folder):
        self.file = pathlib.Path(folder) / "clock"
        self.file.write_bytes(bytes(24))

    def environment(self):
        return {"LD_PRELOAD": str(WALL_CLOCK), "WEIR_WALL_CLOCK": str(self.file)}

    def set(self, ahead_s, fast_ppm=0):
        """In place, since it is mapped."""
        with open(self.file, "r+b") as file:
            file.write(struct.pack("=qqq", int(ahead_s * 1e9), fast_ppm, time.time_ns()))

    def words(self):
        return ["env", *(f"{name}={value}" for name, value in self.environment().items())]


def init(url):
    """A new store need not wait for the past. Returns what it is told."""
    return subprocess.run([WEIR, "init", url], check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout


def judge(*fleets, limit_of=lambda limit: limit):
    """The exit code and the verdict on all that these fleets admitted together, by other limits if so wanted."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        # In order: the judge takes no line that is late by more than its horizon.
        for line in sorted((line for fleet in fleets for line in fleet.lines), key=lambda line: line["sent_ns"]):
            print(json.dumps(line | {"limit": limit_of(line["limit"])}), file=file)
        file.flush()
        run = subprocess.run([WEIR, "judge", "--json", file.name], capture_output=True, text=True, check=False,
                             timeout=PATIENCE_S)
    return run.returncode, run.stdout + run.stderr


class FleetTest(unittest.TestCase):
    def holds(self, fleet):
        code, verdict = judge(fleet)
        self.assertEqual(code, 0, verdict)
        self.assertEqual(fleet.count("hows", HOWS["open"]) + fleet.count("hows", HOWS["local"]), 0)
        self.assertEqual(sum(tally["refused"] for tally in fleet.tallies), 0)
