# SPDX-License-Identifier: MIT
"""The script of the Redis store (src/store/redis/lease.lua), on a real server, against the account in C that is
its reference (src/lease/account.c): random requests, looks, resets and beats, clocks that jump both ways, rewinds,
lost pasts. Every number of every reply must be the same."""

import os
import pathlib
import random
import struct
import subprocess
import sys
import time
import unittest

from servers import Single

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = (SOURCE / "src/store/redis/lease.lua").read_text()
DRIVER = os.path.join(os.environ["WEIR_BUILD_DIR"], "test/redis/account_driver")
WORLDS = 40
STEPS = 400
CLAMP, KEEP_MS = 250_000, 7_200_000
NOBODY = "0" * 16
USERS = 3


def tried(text, changes):
    """The script as the test needs it; each change must find its place."""
    for old, new in changes.items():
        if text.count(old) != 1:
            raise AssertionError(f"the script has {old!r} {text.count(old)} times")
        text = text.replace(old, new)
    return text


# The server's clock is what the test says.
TRIED = tried(SCRIPT, {"call('TIME')": "{call('HGET', 'time', 's'), call('HGET', 'time', 'us')}"})
# And records are written after each request, as the reference does. A store that does not, where nothing but time
# has changed, remembers what the reference forgot, which shows when the clock is rewound or the hold made longer.
WRITING = tried(TRIED, {"asked_hold, 0, record and is_reset": "asked_hold, 0, true",
                        "        changed = its_hold < asked_hold\n": "",
                        "fresh_at <= now and its_hold >= hold": "false"})


def packed(words, form=0):
    """As an array of MessagePack, whose head has three forms. Incarnations are hexadecimal here, bytes there."""
    heads = [b"\xdc" + struct.pack(">H", len(words)), b"\xdd" + struct.pack(">I", len(words))]
    heads.insert(0, bytes([0x90 | len(words)]) if len(words) < 16 else heads[0])
    out = [heads[form]]
    for w in words:
        out.append(b"\xa8" + bytes.fromhex(w) if isinstance(w, str) else b"\xcf" + struct.pack(">Q", w))
    return b"".join(out)


class World:
    """The requests of a few users by a few nodes, as odd as they come."""

    def __init__(self, dice):
        self.dice = dice
        self.is_steady = dice.random() < 0.4  # neither rewinds nor longer holds: the script is tried as it is
        self.hold = dice.choice([1000, 10**5, 10**7, 6 * 10**7])
        self.term = max(self.hold // 10, 10)
        self.limit = dice.choice([1, 5, 100, 10**6, 2**40])
        self.pace = dice.choice([1, self.hold // 200 + 1, self.hold // 20 + 1])
        self.user_count = dice.choice([1, 1, USERS])
        self.report_count_max = dice.choice([0, 1, 4])
        self.reset_share, self.loss_share = dice.choice([0, 0.01]), dice.choice([0, 0.003])
        self.server = 1_764_000_000 * 10**6 + dice.randrange(10**6)
        self.leases, self.sequence = [[] for _ in range(USERS)], 0
        self.era = self.generation = self.grants = 0

    def tick(self):
        luck = self.dice.random()
        if luck < 0.93:
            self.server += self.dice.randrange(min(self.pace, CLAMP) + 1)
        elif luck < 0.95:
            self.server -= self.dice.randrange(10**6)
        elif luck < 0.97:
            self.server += self.dice.randrange(10**7)

    def report(self, user):
        dice = self.dice
        incarnation, sequence = dice.choice(self.leases[user])
        uses = [dice.randrange(bound) for _ in range(dice.randrange(5)) for bound in (self.hold * 2, 5)]
        return [incarnation, sequence, dice.randrange(4), int(dice.random() < 0.3), len(uses) // 2, *uses]

    def clock(self):
        """What a request says of the clock."""
        dice = self.dice
        return [self.era + int(dice.random() < self.loss_share) if dice.random() < 0.9 else 0,
                self.grants + (dice.randrange(1, 3) if dice.random() < self.loss_share else 0),
                dice.randrange(1, 10**5) if not self.is_steady and dice.random() < 0.02 else 0, self.generation]

    def request(self, user):
        """Its words but for the number of reports, and its reports."""
        dice = self.dice
        self.sequence = self.sequence + 1 if dice.random() < 0.8 else dice.randrange(1, self.sequence + 2)
        need = dice.randrange(1, max(2, min(self.limit * 2, 50))) if dice.random() < 0.7 else 1
        incarnation = f"{dice.randrange(1, 6) * 0x1111111111111111:016x}"
        sequence = self.sequence
        if dice.random() < 0.3:
            sequence = 0
            need *= dice.randrange(2)
        words = [incarnation, sequence, need, need + dice.randrange(50), self.limit, self.term,
                 self.hold + (dice.randrange(self.hold) if not self.is_steady and dice.random() < 0.01 else 0),
                 *self.clock(), int(dice.random() < self.reset_share)]
        report_count = dice.randrange(self.report_count_max + 1) if self.leases[user] else 0
        return words, [self.report(user) for _ in range(report_count)]

    def form(self):
        return self.dice.choice([0, 0, 0, 1, 2])

    def is_lost(self):
        """Whether the shard's record is, now."""
        return self.dice.random() < self.loss_share

    def call(self):
        """Users with the words and reports of each, and what beats say of the clock."""
        dice = self.dice
        users = dice.sample(range(self.user_count), min(self.user_count, dice.choice([0, 1, 1, 1, 1, 1, 2, 3])))
        beats = [self.clock() for _ in range(dice.choice([0, 0, 0, 1, 2] if users else [1, 2]))]
        return [(user, *self.request(user)) for user in users], beats

    def learn(self, asked, replies):
        self.era, self.generation, self.grants = replies[-1][4:7]
        for (user, words, _), reply in zip(asked, replies):
            if reply[0] > 0:
                self.leases[user] = [*self.leases[user], (words[0], words[1])][-12:]


def begin(redis, server):
    """A shard of which nothing was ever granted."""
    redis.ask("EVAL", "redis.call('SET', KEYS[1], struct.pack('<ddddddd', 1, ARGV[1], ARGV[1], ARGV[1], ARGV[1], 0, 0))",
              1, "shard", server)


class LeaseScript(unittest.TestCase):
    def test_it_answers_as_the_account_in_c(self):
        seed = int(os.environ.get("WEIR_SEED", random.randrange(2**32)))
        print(f"seed {seed} (WEIR_SEED={seed} repeats it)", file=sys.stderr)
        granted = 0
        driver = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(driver.wait)
        self.addCleanup(driver.stdin.close)
        self.addCleanup(driver.stdout.close)
        with Single() as site, site.one.connect() as redis:
            names = [redis.ask("SCRIPT", "LOAD", script) for script in (TRIED, WRITING)]
            for number in range(WORLDS):
                world = World(random.Random(seed + number))
                granted += self.play(world, redis, names[not world.is_steady], driver, number)
        self.assertGreater(granted, 0)  # not all worlds wait for a lost past

    def play(self, world, redis, name, driver, number):
        granted = 0
        redis.ask("FLUSHALL")
        driver.stdin.write("new\n")
        if world.dice.random() < 0.8:
            driver.stdin.write(f"virgin {world.server}\n")
            begin(redis, world.server)
        for step in range(STEPS):
            world.tick()
            redis.ask("HSET", "time", "s", world.server // 10**6, "us", world.server % 10**6)
            if world.is_lost():
                driver.stdin.write("lose\n")
                redis.ask("DEL", "shard")
            asked, beats = world.call()
            arguments, lines, keys = [], [], ["shard"]
            for user, words, reports in asked:
                told = [word for report in reports for word in report]
                arguments.append(packed(words + told, world.form()))
                lines.append(["serve", world.server, CLAMP, user, *words, len(reports), *told])
                keys.append(f"user {user}")
            for clock in beats:
                arguments.append(packed([NOBODY, 0, 0, 0, 0, 0, 0, *clock, 0], world.form()))
                lines.append(["beat", world.server, CLAMP, *clock])
            expected = [self.told(driver, line) for line in lines]
            answer = redis.ask("EVALSHA", name, len(keys), *keys, CLAMP, KEEP_MS, *arguments)
            self.assertEqual(expected, answer, f"world {number}, step {step}: {lines}")
            world.learn(asked, answer)
            granted += sum(reply[0] > 0 for reply in answer)
        return granted

    def test_a_record_is_kept_for_long_and_for_longer_than_it_is_of_use(self):
        with Single() as site, site.one.connect() as redis:
            begin(redis, time.time_ns() // 1000)
            for hold_s, kept_s in ((60, KEEP_MS // 1000), (86400, 2 * (1 + 2 * 86400))):
                words = [NOBODY, hold_s, 1, 2, 100, 10**6, hold_s * 10**6, 0, 0, 0, 0, 0]
                for told in ([], [NOBODY, hold_s, 0, 0, 1, 0, 1]):
                    reply = redis.ask("EVAL", SCRIPT, 2, "shard", f"{hold_s}", CLAMP, KEEP_MS,
                                      packed(words + told))
                    self.assertEqual(2 if not told else 0, reply[0][0])
                    self.assertAlmostEqual(kept_s, redis.ask("PTTL", f"{hold_s}") / 1000, delta=30)

    def told(self, driver, words):
        driver.stdin.write(" ".join(map(str, words)) + "\n")
        driver.stdin.flush()
        return [int(n) for n in driver.stdout.readline().split()]


if __name__ == "__main__":
    unittest.main()
