# SPDX-License-Identifier: MIT
"""Processes that share limits over three real nodes, one of which may be away: killed, asleep, or back again.

Longer than the other tests, and for more memory (make test-cassandra-cluster)."""

import sys
import time
import unittest

from servers import Site
from test_fleet import FENCED_S, CassandraFleetTest, init

# Because a node is away no user waits for so long beyond what a fleet needs to begin with all nodes, which
# tells how busy the machine is. The longest waits are printed: 1.5 to 2.5 s on two cores, and up to 19 s without
# the tables' speculative_retry. Nothing else here is decided by a clock.
SERVED_AGAIN_S = 10

AWAY_S = 10  # longer than a claim is good for, and than a node is called alive that does not answer


def longest_wait_s(fleet, from_s):
    """From then on, or from when a user was admitted something, until that user was again: the longest."""
    last_s = {name: from_s for rule in fleet.rules for name in rule.names()}
    longest_s = 0
    for line in sorted(fleet.between(from_s), key=lambda line: line["received_ns"]):
        name, at_s = (line["user"], line["window_ns"]), (line["received_ns"] - fleet.begin_ns) / 1e9
        longest_s = max(longest_s, at_s - last_s[name])
        last_s[name] = at_s
    return longest_s


class OnThreeNodes(CassandraFleetTest):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(3, is_durable=True)
        cls.addClassCleanup(cls.site.__exit__)
        cls.url = cls.site.url(rest="/weir")
        init(cls.url)

    def begins(self, fleet):
        fleet.wait_served()
        self.begun_s = fleet.seconds()

    def serves_all_along(self, fleet, what):
        """Each user, again and again, from now on, and none has to wait for what is away."""
        from_s = fleet.seconds()
        while fleet.seconds() < from_s + AWAY_S:
            fleet.wait_served()
        longest_s = longest_wait_s(fleet, from_s)
        print(f"{what}: a user waited for {longest_s:.1f} s at most; the fleet began in {self.begun_s:.1f} s",
              file=sys.stderr)
        self.assertLess(longest_s, SERVED_AGAIN_S + self.begun_s, what)

    def test_each_node_is_killed_in_turn(self):
        with self.fleet() as fleet:
            self.begins(fleet)
            for node in self.site.nodes:
                node.kill()
                self.serves_all_along(fleet, f"{node.address} is killed")
                node.start()
                self.site.await_ring(node)
                fleet.wait_served()
            self.ends(fleet)

    def test_each_node_sleeps_in_turn(self):
        with self.fleet() as fleet:
            self.begins(fleet)
            for node in self.site.nodes:
                node.pause()
                self.serves_all_along(fleet, f"{node.address} sleeps")
                node.resume()
                fleet.wait_served()
            self.ends(fleet)

    def test_two_of_three_are_away_and_come_back(self):
        """Nothing can be read or written: what is claimed is used until nobody knows who is alive."""
        with self.fleet() as fleet:
            fleet.wait_served()
            for node in self.site.nodes[1:]:
                node.pause()
            time.sleep(FENCED_S)
            self.nobody_is_served(fleet)
            for node in self.site.nodes[1:]:
                node.resume()
            self.ends(fleet)

    def test_nodes_and_processes_are_killed_together(self):
        with self.fleet() as fleet:
            self.begins(fleet)
            for node in self.site.nodes[:2]:
                node.kill()
                fleet.kill_one()
                fleet.start()
                self.serves_all_along(fleet, f"{node.address} and a process are killed")
                node.start()
                self.site.await_ring(node)
            self.ends(fleet)


if __name__ == "__main__":
    unittest.main(verbosity=2)
