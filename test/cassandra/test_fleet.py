# SPDX-License-Identifier: MIT
"""Processes that share limits over a real node: no window above its limit, whatever happens to it or to them."""

import time
import unittest

from servers import PATIENCE_S, Site, wait_for
from fleet import UNTIL_TOLD_S, WEIR, Fleet, FleetTest, Rule, init  # of the tests on Redis: they know only URLs

RULES = (Rule(1, 1000), Rule(20, 1000), Rule(1000, 1000), Rule(200, 4000))

# Others count what a dead process claimed until they have fenced it (5 s after its last beat that they saw, and they
# look once a second) and a hold has passed.
FENCED_S = 8


class OnOneNode(FleetTest):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(1, is_durable=True)
        cls.addClassCleanup(cls.site.__exit__)
        cls.url = cls.site.url(rest="/weir")
        init(cls.url)

    def fleet(self, rules=RULES, **options):
        """A deadline that a node on a busy machine keeps."""
        return Fleet(self.url + "?policy=closed&nodes=4&deadline=500ms", UNTIL_TOLD_S, rules, **options)

    def ends(self, fleet):
        fleet.end()
        self.holds(fleet)

    def test_all_get_what_there_is_and_no_more(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            begun_s, before = fleet.seconds(), {rule: fleet.admitted(rule) for rule in fleet.rules}
            fleet.sleep_until(begun_s + 8)
            fleet.read()
            seconds = fleet.seconds() - begun_s
            self.ends(fleet)
            for rule in fleet.rules:
                admitted = fleet.admitted(rule) - before[rule]
                there_is = rule.limit * rule.users * seconds * 1e9 / rule.window_ns
                self.assertGreater(admitted, 0.4 * min(there_is, fleet.asked(rule)), str(rule))

    def test_a_process_that_is_killed_gives_way(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            for _ in range(2):
                fleet.kill_one()
                fleet.start()
            fleet.sleep_until(fleet.seconds() + FENCED_S)
            fleet.wait_served()
            self.ends(fleet)

    def test_a_node_that_is_killed_and_comes_back(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            self.site.one.kill()
            time.sleep(1)
            self.site.one.start()
            fleet.wait_served()
            self.ends(fleet)

    def test_a_node_that_sleeps_for_longer_than_claims_are_good_for(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            self.site.one.pause()
            time.sleep(FENCED_S)
            slept_s = fleet.seconds()
            self.site.one.resume()
            fleet.read()
            self.assertEqual(fleet.between(slept_s - 1, slept_s), [])  # nobody is known to be alive
            fleet.wait_served()
            self.ends(fleet)


if __name__ == "__main__":
    unittest.main()
