# SPDX-License-Identifier: MIT
"""A fleet on a server that is killed and comes back with all that it had, with some of it, or with nothing."""

import struct
import time
import unittest

from fleet import UNTIL_TOLD_S, WHYS, Fleet, FleetTest, Rule, init
from servers import Single

SHARD = struct.Struct("<dddddddddddd")  # see src/store/redis/lease.lua
RULES = (Rule(20, 50), Rule(1, 1000), Rule(20, 1000), Rule(1000, 1000))

AWAY_S = 0.5  # longer than the shard's clock may step


class Record:
    """What a store knows of its shard."""

    def __init__(self, server):
        record = server.must("GET", server.must("KEYS", "weir:{*}")[0])
        self.virgin, _, _, self.era, self.born, _, self.grants, *_ = SHARD.unpack(record)

    def past(self):
        return self.virgin, self.era, self.born


class Restarts(FleetTest):
    def fleet(self, site):
        init(site.url)
        return Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, RULES)

    def restart(self, fleet, server, meanwhile=lambda: None):
        """Kills and starts; returns the shard's record before."""
        fleet.wait_served()
        before = Record(server)
        server.kill()
        meanwhile()
        server.start()
        fleet.wait_served()
        return before

    def ends(self, fleet):
        fleet.end()
        self.holds(fleet)

    def forgot(self, before, after):
        """The same clock, which was told that it lacks grants that somebody has seen."""
        self.assertEqual((after.virgin, after.era), (0, before.era))
        self.assertGreater(after.born, before.born)

    def test_with_a_file_of_all_commands_nothing_is_lost(self):
        with Single(config=["appendonly yes", "appendfsync always"]) as site, self.fleet(site) as fleet:
            for away_s in 0, AWAY_S:
                before = self.restart(fleet, site.one, lambda s=away_s: time.sleep(s))
                self.assertEqual(Record(site.one).past(), before.past())
            self.assertEqual(before.virgin, 1)
            self.ends(fleet)
            self.assertGreater(fleet.count("whys", WHYS["late"]) + fleet.count("whys", WHYS["cut"]), 0)

    def test_a_file_that_lacks_its_newest_commands_is_found_out(self):
        """As appendfsync everysec leaves it when the power fails."""
        with Single(config=["appendonly yes", "appendfsync everysec"]) as site, self.fleet(site) as fleet:
            def cut():
                file = next(site.one.folder.glob("appendonlydir/*.incr.aof"))
                with open(file, "r+b") as commands:
                    commands.truncate(file.stat().st_size * 2 // 3)
            before = self.restart(fleet, site.one, cut)
            self.forgot(before, Record(site.one))
            self.ends(fleet)

    def test_a_dump_of_a_while_ago_is_found_out(self):
        with Single() as site, self.fleet(site) as fleet:
            fleet.wait_served()
            site.one.must("SAVE")
            before = self.restart(fleet, site.one)
            self.forgot(before, Record(site.one))
            self.ends(fleet)

    def test_a_dump_of_before_it_lost_everything_is_found_out(self):
        with Single() as site, self.fleet(site) as fleet:
            fleet.wait_served()
            site.one.must("SAVE")
            first = Record(site.one)
            site.one.must("FLUSHALL")
            before = self.restart(fleet, site.one)
            self.assertGreater(before.era, first.era)
            after = Record(site.one)
            self.assertEqual((after.virgin, after.era), (0, first.era), "the dump, and it is not believed")
            self.assertGreater(after.born, first.born)
            self.ends(fleet)

    def test_without_a_file_it_begins_anew(self):
        with Single() as site, self.fleet(site) as fleet:
            before = self.restart(fleet, site.one)
            after = Record(site.one)
            self.assertEqual(after.virgin, 0)
            self.assertGreater(after.era, before.era)
            self.ends(fleet)


if __name__ == "__main__":
    unittest.main(verbosity=2)
