# SPDX-License-Identifier: MIT
"""A fleet whose server, or one of whose hosts, has a wall clock that steps, or goes at another rate (wall_clock.c).

Redis tells the time by its wall clock; the library decides by a clock that nobody sets."""

import json
import subprocess
import tempfile
import time
import unittest

from fleet import UNTIL_TOLD_S, WEIR, Clock, Fleet, FleetTest, Rule, init
from servers import PATIENCE_S, Single, wait_for

RULES = (Rule(20, 50), Rule(1, 1000), Rule(20, 1000), Rule(1000, 1000))
SHORT_RULES = (Rule(20, 50), Rule(20, 100))
WINDOW_S = 1
DAY_S = 86400


def admitted(site, limit, times):
    """How many of so many questions, one after the other, of a process that begins and ends."""
    asked = subprocess.run([WEIR, "allow", "ann", limit, "--json", "--times", str(times), "--store",
                            site.url + "?policy=closed&deadline=2s"], capture_output=True, text=True, check=False,
                           timeout=PATIENCE_S)
    return sum(json.loads(line)["allowed"] for line in asked.stdout.splitlines())


class Clocks(FleetTest):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="weir-clock.")
        self.addCleanup(self.home.cleanup)
        self.clock = Clock(self.home.name)

    def ahead_s(self, server):
        seconds, micros = server.must("TIME")
        return int(seconds) + int(micros) / 1e6 - time.time()

    def step(self, server, fleet, to_s):
        """The server's clock steps, and each user is served a window and more later."""
        self.clock.set(to_s)
        wait_for("a clock that has stepped", lambda: abs(self.ahead_s(server) - to_s) < 0.05)
        time.sleep(2 * WINDOW_S)
        fleet.wait_served()

    def test_a_server_whose_clock_steps(self):
        with Single(environment=self.clock.environment()) as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, RULES) as fleet:
                fleet.wait_served()
                # Below what the store's clock takes for an idle time, beyond it, and more than records last.
                for to_s in 0.1, 0, 3600, -3600, 0, 2 * 86400, 0:
                    with self.subTest(to_s=to_s):
                        self.step(site.one, fleet, to_s)
                fleet.end()
                self.holds(fleet)

    def test_a_server_whose_clock_leaps_by_more_than_a_window(self):
        """And by less than the clamp: it gets through, and the fleet finds it and takes it back."""
        with Single(environment=self.clock.environment()) as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, SHORT_RULES) as fleet:
                fleet.wait_served()
                for leap_s in (0.15, 0.2, 0.249) * 4:
                    for to_s in leap_s, 0:
                        self.clock.set(to_s)
                        time.sleep(0.5)
                fleet.wait_served()
                fleet.end()
                self.holds(fleet)

    def test_a_server_whose_clock_was_ahead_while_nobody_asked(self):
        """By its clock records expire; whoever asks afterwards sees a clock that did nothing."""
        for restarts in False, True:
            with self.subTest(restarts=restarts), Single(environment=self.clock.environment(),
                                                         config=["appendonly yes", "appendfsync always"]) as site:
                init(site.url)
                self.assertEqual(admitted(site, "10/1h", 12), 10)
                if restarts:
                    site.one.kill()
                self.clock.set(5 * DAY_S)
                if restarts:
                    site.one.start()
                wait_for("records that expire", lambda s=site: len(s.one.must("KEYS", "weir:{*}:*")) == 1)  # a witness
                self.clock.set(0)
                self.assertLess(abs(self.ahead_s(site.one)), 0.05)
                self.assertEqual(admitted(site, "10/1h", 12), 0)

    def test_a_store_that_lost_everything_is_not_new_whichever_clock_is_ahead(self):
        for to_s in -60, 60:
            with self.subTest(to_s=to_s), Single(environment=self.clock.environment()) as site:
                init(site.url)
                with Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, SHORT_RULES) as fleet:
                    fleet.wait_served()
                    self.clock.set(to_s)
                    site.one.must("FLUSHALL")
                    wait_for("a clock", lambda s=site: s.one.must("KEYS", "weir:{*}"))
                    self.assertIn("this store is in use", init(site.url))
                    fleet.wait_served()
                    fleet.end()
                    self.holds(fleet)
                self.clock.set(0)

    def test_a_month_outlives_a_server_that_is_away_for_a_day(self):
        with Single(environment=self.clock.environment(), config=["appendonly yes", "appendfsync always"]) as site:
            init(site.url)
            self.assertEqual(admitted(site, "10/30d", 1), 1)
            site.one.kill()
            self.clock.set(DAY_S * 25 / 24)
            site.one.start()
            wait_for("what is left of the month", lambda: admitted(site, "10/30d", 1) == 1)
            self.assertLessEqual(admitted(site, "10/30d", 12), 8)
            self.clock.set(0)

    def test_a_server_whose_clock_has_another_rate(self):
        with Single(environment=self.clock.environment()) as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, RULES) as fleet:
                fleet.wait_served()
                # Nobody need be served while it is as wrong as that.
                for fast_ppm in 200_000, -200_000:
                    self.clock.set(0, fast_ppm)
                    wait_for("a clock of that rate", lambda f=fast_ppm: self.ahead_s(site.one) * f > 3 * WINDOW_S / 5 * abs(f))
                self.clock.set(0)
                fleet.wait_served()
                fleet.end()
                self.holds(fleet)

    def test_a_host_whose_clock_steps(self):
        with Single() as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, RULES,
                       words=lambda number: self.clock.words() if number == 0 else []) as fleet:
                for to_s in 0, 0.1, 3600, -3600, 2 * 86400, 0:
                    self.clock.set(to_s)
                    time.sleep(WINDOW_S / 2)
                    begin_s = fleet.seconds()
                    fleet.wait_served()
                    wait_for("the host itself", lambda b=begin_s: fleet.read() or 0 in fleet.servers(b))
                fleet.end()
                self.holds(fleet)


if __name__ == "__main__":
    unittest.main(verbosity=2)
