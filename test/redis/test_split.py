# SPDX-License-Identifier: MIT
"""A primary that is cut off, and goes on beside the one that takes its place: some processes of the fleet are on its
side, others on the side of the replicas."""

import subprocess
import unittest

import network
from fleet import UNTIL_TOLD_S, WHYS, WORKERS, Fleet, FleetTest, Rule, init, judge
from network import HERE, Network, Path
from servers import Cluster, Place, Watched, wait_for

RULES = (Rule(2, 1000), Rule(20, 1000), Rule(1000, 1000))
CUT = Path(is_cut=True)
ITS_SIDE = {0, 1}  # the processes of the fleet that are on the first primary's host
OTHERS = set(range(WORKERS)) - ITS_SIDE


class Split(FleetTest):
    def begin(self, make):
        """Servers with the first primary on a host of its own, and what makes a fleet on them."""
        self.net = self.enterContext(Network(1))
        host = self.net.hosts[0]
        there = Place(host.address, host.words())
        site = self.enterContext(make(place=Place(HERE), first_place=there))
        init(site.url)
        return site, lambda options: self.enterContext(
            Fleet(f"{site.url}?nodes={WORKERS}&{options}", UNTIL_TOLD_S, RULES,
                  lambda i: there.words if i in ITS_SIDE else []))

    def ask_there(self, server, *words):
        """What redis-cli says on the server's own host."""
        run = subprocess.run([*server.place.words, "redis-cli", "-h", server.place.address, "-p", str(server.port), *words],
                             capture_output=True, text=True, check=True)
        return run.stdout

    def scripts_run(self, server):
        said = self.ask_there(server, "INFO", "commandstats")
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in said.splitlines() if "evalsha" in line)

    def wait_servers(self, fleet, servers):
        now_s = fleet.seconds()
        wait_for(f"decisions of {servers}", lambda: fleet.read() or fleet.servers(now_s) >= servers)

    def cut_off(self, site, fleet):
        """Returns when the others have another primary."""
        first = site.servers[0]
        self.wait_servers(fleet, ITS_SIDE | OTHERS)
        self.net.set(0, CUT, CUT)
        wait_for("another primary", lambda: any(s.role() == "master" for s in self.replicas(site)))
        self.assertTrue(self.ask_there(first, "ROLE").startswith("master"), "there are two")
        return first

    def replicas(self, site):
        return site.data[1:]

    def heal(self, site, fleet):
        self.net.set(0)
        wait_for("the old primary as a replica", lambda: site.servers[0].role() == "slave")
        self.wait_servers(fleet, ITS_SIDE | OTHERS)
        fleet.wait_served()
        fleet.end()


class BehindSentinels(Split):
    def test_what_no_replica_confirms_is_not_used(self):
        site, start = self.begin(Watched)
        fleet = start("policy=closed&replicas=2")
        first = self.cut_off(site, fleet)
        before = self.scripts_run(first)
        wait_for("questions to the old primary", lambda: self.scripts_run(first) > before)
        self.heal(site, fleet)
        self.holds(fleet)
        self.assertGreater(fleet.count("whys", WHYS["late"]) + fleet.count("whys", WHYS["cut"]), 0)

    def test_a_primary_that_slept_through_its_replacement(self):
        site, start = self.begin(Watched)
        fleet = start("policy=closed&replicas=2")
        self.wait_servers(fleet, ITS_SIDE | OTHERS)
        first = site.servers[0]
        first.pause()
        wait_for("another primary", lambda: any(s.role() == "master" for s in self.replicas(site)))
        first.resume()
        self.heal(site, fleet)
        self.holds(fleet)

    def test_what_is_not_confirmed_at_all_may_be_used_on_both_sides(self):
        site, start = self.begin(Watched)
        fleet = start("policy=closed")
        self.cut_off(site, fleet)
        self.wait_servers(fleet, ITS_SIDE)
        fleet.wait_served()
        self.wait_servers(fleet, ITS_SIDE | OTHERS)
        self.heal(site, fleet)
        code, verdict = judge(fleet)
        self.assertEqual(code, 1, f"two primaries, and nobody sees it: {verdict}")
        code, verdict = judge(fleet, limit_of=lambda limit: 2 * limit)
        self.assertEqual(code, 0, verdict)


class InACluster(Split):
    def replicas(self, site):
        """Whoever has taken the place of the first primary."""
        return [n for n in site.nodes[1:] if n not in self.primaries]

    def test_what_no_replica_confirms_is_not_used(self):
        site, start = self.begin(Cluster)
        self.primaries = site.primaries()
        self.assertIn(site.nodes[0], self.primaries)
        fleet = start("policy=closed&replicas=1")
        self.cut_off(site, fleet)
        self.wait_servers(fleet, OTHERS)
        self.heal(site, fleet)
        self.holds(fleet)
        self.assertGreater(fleet.count("whys", WHYS["late"]) + fleet.count("whys", WHYS["cut"]), 0)


if __name__ == "__main__":
    network.enter()
    unittest.main(verbosity=2)
