# SPDX-License-Identifier: MIT
"""A fleet on real servers that break."""

import signal
import time
import unittest

from fleet import PAST_S, UNTIL_TOLD_S, WHYS, Fleet, FleetTest, Rule, init, judge
from servers import PATIENCE_S, Cluster, Single, Watched, wait_for


class AloneServer(FleetTest):
    def quiet(self, seconds, parts):
        """`parts` tells which part each rule gives, at least, of what windows one after the other would hold, or of
        what was asked for, if that is less."""
        with Single() as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4", seconds, list(parts)) as fleet:
                fleet.join()
                self.holds(fleet)
                for rule, part in parts.items():
                    held = rule.limit * rule.users * seconds * 1e9 / rule.window_ns
                    share = fleet.admitted(rule) / min(held, fleet.asked(rule))
                    self.assertGreater(share, part, f"{rule}: {fleet.tallies}")

    def test_windows_of_50_ms(self):
        # A permit counts up to twice the window there: docs/leases.md.
        self.quiet(4, {Rule(1, 50): 0.3, Rule(20, 50): 0.3, Rule(1000, 50, users=1): 0.3})

    def test_windows_of_a_second(self):
        self.quiet(6, {Rule(1, 1000): 0.6, Rule(20, 1000): 0.6, Rule(1000, 1000): 0.6})

    def test_windows_of_10_s(self):
        self.quiet(14, {Rule(1, 10000): 0.6, Rule(20, 10000): 0.6, Rule(1000, 10000): 0.6})


class Faults(FleetTest):
    RULES = (Rule(20, 50), Rule(1, 1000), Rule(20, 1000), Rule(1000, 1000))

    def serves_again(self, site, url, fleet, server):
        """As soon as the server that was killed follows: how long that takes is not the library's business."""
        wait_for("a replica again", lambda: server.role() == "slave"
                 and server.info("replication")["master_link_status"] == "up")
        roles = [one.role() for one in site.servers]
        with Fleet(url, UNTIL_TOLD_S, self.RULES) as again:
            again.sleep_until(2 * PAST_S)
            again.wait_served()
            again.end()
            self.assertEqual([one.role() for one in site.servers], roles, "a busy machine: failed over again")
            code, verdict = judge(fleet, again)
            self.assertEqual(code, 0, verdict)

    def wait_served_from_the_store(self, fleet):
        """Not from what was in hand."""
        time.sleep(PAST_S)
        fleet.wait_served()

    def test_a_server_and_a_process_of_the_fleet_in_trouble(self):
        with Single() as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4", UNTIL_TOLD_S, self.RULES) as fleet:
                server = site.one
                fleet.wait_served()
                fleet.kill_one()
                # Another one sleeps through the end of its leases.
                fleet.started[0].send_signal(signal.SIGSTOP)
                time.sleep(0.5)
                fleet.start()
                fleet.started[0].send_signal(signal.SIGCONT)
                time.sleep(1.5)
                server.pause()
                time.sleep(0.5)
                server.resume()
                self.wait_served_from_the_store(fleet)
                self.assertGreater(server.must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), 0)
                time.sleep(1)
                server.must("SCRIPT", "FLUSH")
                time.sleep(1)
                server.must("FLUSHALL")
                self.wait_served_from_the_store(fleet)
                fleet.end()
                self.holds(fleet)
                self.assertGreater(fleet.count("whys", WHYS["late"]) + fleet.count("whys", WHYS["cut"]), 0)

    def test_a_killed_primary_that_a_sentinel_replaces(self):
        # Servers of a busy machine are silent for a while, and should not be replaced for that.
        with Watched(down_after_ms=1500) as site:
            init(site.url)
            url = site.url + "?policy=closed&nodes=4&replicas=2"
            with Fleet(url, UNTIL_TOLD_S, self.RULES) as fleet:
                first = site.primary()
                fleet.wait_served()
                first.kill()
                second = wait_for("another primary", lambda: site.primary() is not first and site.primary())
                # It has lost everything. Until it is a replica, two cannot confirm; a Sentinel would take ten seconds.
                first.start()
                first.must("REPLICAOF", "127.0.0.1", second.port)
                time.sleep(PAST_S)
                fleet.end()
                self.holds(fleet)
                self.assertGreater(fleet.count("whys", WHYS["cut"]), 0)
                self.serves_again(site, url, fleet, first)

    def test_a_primary_of_a_cluster_that_is_frozen_and_killed(self):
        with Cluster() as site:
            init(site.url)
            url = site.url + "?policy=closed&nodes=4&replicas=1"
            with Fleet(url, UNTIL_TOLD_S, self.RULES) as fleet:
                first = site.primaries()[0]
                fleet.wait_served()
                self.assertGreater(len(first.must("KEYS", "weir:{*}:" + 16 * "?")), 0, "some users are on it")
                first.pause()  # for less than the others need to replace it
                time.sleep(0.6)
                first.resume()
                time.sleep(2)
                first.kill()
                wait_for("another primary", lambda: len(site.primaries()) == 3)
                first.start()
                time.sleep(PAST_S)
                fleet.end()
                self.holds(fleet)
                self.assertGreater(fleet.count("whys", WHYS["cut"]), 0)
                self.serves_again(site, url, fleet, first)


class Judge(FleetTest):
    def test_fleets_that_do_not_share_limits_are_found_out(self):
        rules = [Rule(20, 1000)]
        with Single() as site:
            init(site.url)
            # A permit that a busy machine was slow to bring is one, too.
            url = site.url + "?policy=closed&nodes=4&round-trip=20ms"
            with Fleet(url, UNTIL_TOLD_S, rules) as one, \
                    Fleet(url + "&secret=another", UNTIL_TOLD_S, rules) as other:
                def are_found_out():
                    one.read()
                    other.read()
                    return judge(one, other)[0] == 1
                # Each admits less than the limit while the machine is busy.
                wait_for("a window above the limit", are_found_out, 2 * PATIENCE_S)
                one.end()
                other.end()
                self.holds(one)
                self.holds(other)


if __name__ == "__main__":
    unittest.main(verbosity=2)
