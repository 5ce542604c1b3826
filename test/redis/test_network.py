# SPDX-License-Identifier: MIT
"""A fleet whose processes are on hosts of their own, with a network between them and the store that is slow, loses
packets, and is cut."""

import unittest

import network
from fleet import HOWS, UNTIL_TOLD_S, WHYS, WORKERS, Fleet, FleetTest, Rule, init, judge
from network import HERE, Network, Path
from servers import Place, Single, Site, in_step, wait_for

# Answers verify the store's clock if they take no longer than two round trips: docs/redis.md.
ROUND_TRIP_MS = 8
WINDOW_MS = 6400
TERM_S = WINDOW_MS / 10000
RULES = (Rule(2, WINDOW_MS), Rule(40, WINDOW_MS), Rule(1000, WINDOW_MS))

WIDE = {"delay_s": (0.0015, 0.005), "tail_s": (0.005, 0.03), "tails": 0.03, "loss": 0.01}
CUT = Path(is_cut=True)


class Hosts(FleetTest):
    def begin(self, options, round_trip_ms=ROUND_TRIP_MS):
        """A store here, and a fleet of which each process is on another host."""
        net = self.enterContext(Network(WORKERS))
        site = self.enterContext(Single(place=Place(HERE)))
        init(site.url)
        url = f"{site.url}?nodes={WORKERS}&round-trip={round_trip_ms}ms&{options}"
        return net, lambda: self.enterContext(Fleet(url, UNTIL_TOLD_S, RULES, lambda i: net.hosts[i].words()))

    def wait_all_serve(self, fleet):
        """Until each user was served after each process has served somebody, from now on."""
        now_s = fleet.seconds()
        wait_for("hosts that all serve", lambda: fleet.read() or len(fleet.servers(now_s)) == WORKERS)
        fleet.wait_served()

    def test_delay_loss_and_two_hosts_that_are_cut_off(self):
        net, start = self.begin("policy=closed&deadline=100ms")
        for host in range(WORKERS):
            net.set(host, Path(**WIDE), Path(**WIDE))
        fleet = start()
        self.wait_all_serve(fleet)

        # The answers for one host, and all from and to another.
        net.set(0, CUT, CUT)
        net.set(1, Path(**WIDE), CUT)
        cut_s = fleet.seconds()
        fleet.sleep_until(cut_s + 2 * TERM_S)
        fleet.wait_served()
        healed_s = fleet.seconds()
        for host in 0, 1:
            net.set(host, Path(**WIDE), Path(**WIDE))
        self.wait_all_serve(fleet)
        fleet.end()
        self.holds(fleet)
        self.assertEqual(fleet.servers(cut_s + TERM_S, healed_s), {2, 3}, "with the permits in hand at most")
        for host in 0, 1:
            self.assertGreater(fleet.tallies[host]["whys"][WHYS["cut"]], 0)

    def test_a_store_that_is_far_away(self):
        net, start = self.begin("policy=closed", round_trip_ms=150)
        for host in range(WORKERS):
            net.set(host, Path(delay_s=(0.06, 0.07)), Path(delay_s=(0.06, 0.07)))
        fleet = start()
        self.wait_all_serve(fleet)
        fleet.end()
        self.holds(fleet)

    def serves_on(self, fleet):
        """Permits come back, again and again, however much is asked for."""
        for _ in range(3):
            fleet.wait_served()
            fleet.sleep_until(fleet.seconds() + TERM_S)
        fleet.end()
        self.holds(fleet)

    def test_a_replica_that_is_far_away(self):
        """Each confirmation takes longer than a step of the shard's clock may be."""
        net = self.enterContext(Network(1))
        site = self.enterContext(Site())
        primary = site.server(place=Place(HERE))
        replica = site.server(place=Place(net.hosts[0].address, net.hosts[0].words()),
                              config=[f"replicaof {HERE} {primary.port}"])
        in_step(primary, [replica])
        url = f"redis://{HERE}:{primary.port}"
        init(url)
        net.set(0, Path(delay_s=(0.13, 0.14)), Path(delay_s=(0.13, 0.14)))
        self.serves_on(self.enterContext(Fleet(f"{url}?nodes={WORKERS}&round-trip=300ms&policy=closed&replicas=1",
                                               UNTIL_TOLD_S, RULES)))

    def test_a_primary_and_its_replica_that_are_far_away(self):
        net = self.enterContext(Network(WORKERS))
        site = self.enterContext(Site())
        primary = site.server(place=Place(HERE))
        in_step(primary, [site.server(place=Place(HERE), config=[f"replicaof {HERE} {primary.port}"])])
        url = f"redis://{HERE}:{primary.port}"
        init(url)
        for host in range(WORKERS):
            net.set(host, Path(delay_s=(0.38, 0.4)), Path(delay_s=(0.38, 0.4)))
        self.serves_on(self.enterContext(Fleet(f"{url}?nodes={WORKERS}&round-trip=1s&policy=closed&replicas=1",
                                               UNTIL_TOLD_S, RULES, lambda i: net.hosts[i].words())))

    def test_hosts_that_are_cut_off_have_a_share_each_under_local(self):
        net, start = self.begin("policy=local&deadline=500ms")
        fleet = start()
        self.wait_all_serve(fleet)
        for host in 0, 1:
            net.set(host, CUT, CUT)
        cut_s = fleet.seconds()
        fleet.wait_served()
        fleet.sleep_until(cut_s + WINDOW_MS / 1000)
        for host in 0, 1:
            net.set(host)
        self.wait_all_serve(fleet)
        fleet.end()

        # On a busy machine others may have been late, too.
        loose = [tally["hows"][HOWS["local"]] > 0 for tally in fleet.tallies]
        self.assertEqual(loose[:2], [True, True])
        code, verdict = judge(fleet, limit_of=lambda limit: limit + sum(loose) * max(1, limit // WORKERS))
        self.assertEqual(code, 0, verdict)
        code, verdict = judge(fleet)
        self.assertEqual(code, 1, f"what is allowed by shares alone is seen: {verdict}")


if __name__ == "__main__":
    network.enter()
    unittest.main(verbosity=2)
