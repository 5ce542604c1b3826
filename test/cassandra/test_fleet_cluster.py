# SPDX-License-Identifier: MIT
"""Processes that share limits over three real nodes, one of which may be away: killed, asleep, or back again.

Longer than the other tests, and for more memory (make test-cassandra-cluster)."""

import time
import unittest

from servers import Site
from test_fleet import FENCED_S, CassandraFleetTest, init

AWAY_S = 10  # longer than a claim is good for, and than a node is called alive that does not answer


class OnThreeNodes(CassandraFleetTest):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(3, is_durable=True)
        cls.addClassCleanup(cls.site.__exit__)
        cls.url = cls.site.url(rest="/weir")
        init(cls.url)

    def serves_all_along(self, fleet, for_s):
        """Each user, in each part of this time. A fleet that waits for what is away would not."""
        until_s = fleet.seconds() + for_s
        while fleet.seconds() < until_s:
            fleet.wait_served()

    def test_each_node_is_killed_in_turn(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            for node in self.site.nodes:
                node.kill()
                self.serves_all_along(fleet, AWAY_S)
                node.start()
                self.site.await_ring(node)
                fleet.wait_served()
            self.ends(fleet)

    def test_each_node_sleeps_in_turn(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            for node in self.site.nodes:
                node.pause()
                self.serves_all_along(fleet, AWAY_S)
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
            fleet.wait_served()
            for node in self.site.nodes[:2]:
                node.kill()
                fleet.kill_one()
                fleet.start()
                self.serves_all_along(fleet, AWAY_S)
                node.start()
                self.site.await_ring(node)
            self.ends(fleet)


if __name__ == "__main__":
    unittest.main(verbosity=2)
