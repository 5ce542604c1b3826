# SPDX-License-Identifier: MIT
"""A fleet on a server that is there and refuses: busy with somebody's script, full, or with another password."""

import unittest

from fleet import UNTIL_TOLD_S, Fleet, FleetTest, Rule, init
from servers import Single, Trouble, request, wait_for

RULES = (Rule(20, 50), Rule(1, 1000), Rule(20, 1000), Rule(1000, 1000))


class Refusals(FleetTest):
    def fleet(self, site):
        init(site.url)
        return Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, RULES)

    def ends(self, fleet):
        fleet.wait_served()
        fleet.end()
        self.holds(fleet)
        self.assertGreater(sum(sum(tally["whys"][1:]) for tally in fleet.tallies), 0, "nobody noticed")

    def nobody_is_served(self, fleet):
        """What is in hand is used up, or ends."""
        def is_over():
            from_s = fleet.seconds()
            return wait_for("time", lambda: fleet.seconds() > from_s + 1.5) and not (fleet.read() or fleet.between(from_s))
        wait_for("an end of all permits", is_over)

    def test_a_script_that_keeps_it_busy_until_it_is_killed(self):
        with Single(config=["busy-reply-threshold 50"]) as site, self.fleet(site) as fleet:
            fleet.wait_served()
            with site.one.connect() as client:
                client.send(request("EVAL", "while true do end", 0))
                wait_for("a busy server", lambda: "BUSY" in str(site.one.ask("GET", "nothing")))
                self.nobody_is_served(fleet)
                self.assertEqual(site.one.ask("SCRIPT", "KILL"), "OK")
                self.assertIsInstance(client.reply(), Trouble)
            self.ends(fleet)

    def test_memory_that_is_full(self):
        with Single() as site, self.fleet(site) as fleet:
            fleet.wait_served()
            site.one.must("CONFIG", "SET", "maxmemory", "1")
            self.nobody_is_served(fleet)
            site.one.must("CONFIG", "SET", "maxmemory", "0")
            self.ends(fleet)

    def test_a_password_that_is_changed(self):
        with Single(password="first") as site:
            site.url = f"redis://:first@127.0.0.1:{site.port}"
            with self.fleet(site) as fleet, site.one.connect() as client:
                fleet.wait_served()
                client.ask("CONFIG", "SET", "requirepass", "second")
                client.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                self.nobody_is_served(fleet)
                client.ask("CONFIG", "SET", "requirepass", "first")
                self.ends(fleet)


if __name__ == "__main__":
    unittest.main(verbosity=2)
