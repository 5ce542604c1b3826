# SPDX-License-Identifier: MIT
"""A fleet on a Cluster whose slots move to other servers while it asks for the users that are in them."""

import time
import unittest

from fleet import UNTIL_TOLD_S, Fleet, FleetTest, Rule, init
from servers import Cluster, wait_for

BY_TOOL = 1000  # slots that redis-cli moves, in a second or two
TIMEOUT_MS = 10000
HALFWAY_S = 0.7


def is_account(key):
    """A name has 16 bytes; a shard's witnesses have others."""
    return len(key.partition(b"}:")[2]) == 16


def is_clock(key):
    return key.endswith(b"}")


class Moves(FleetTest):
    # Users enough that most shards have some.
    RULES = (Rule(20, 50, users=4), Rule(1, 1000, users=12), Rule(20, 1000, users=16), Rule(1000, 1000, users=2))

    def keys_in(self, node, slot):
        return node.must("CLUSTER", "GETKEYSINSLOT", slot, 1000)

    def move(self, site, slot, source, target, rests_after=None):
        """As redis-cli does it, a key at a time; rests when it has moved the key that `rests_after` chooses."""
        for node, state, other in (target, "IMPORTING", source), (source, "MIGRATING", target):
            node.must("CLUSTER", "SETSLOT", slot, state, site.identity(other))
        has_rested = False
        while keys := sorted(self.keys_in(source, slot), key=rests_after, reverse=True):
            source.must("MIGRATE", "127.0.0.1", target.port, keys[0], 0, TIMEOUT_MS)
            if rests_after and not has_rested:
                time.sleep(HALFWAY_S)
                has_rested = True
        for node in target, source:
            node.must("CLUSTER", "SETSLOT", slot, "NODE", site.identity(target))

    def slots(self, node):
        """Those with a shard of the library."""
        return {node.must("CLUSTER", "KEYSLOT", key) for key in node.must("KEYS", "weir:{*}*")}

    def owners(self, node):
        return tuple(sorted((first, last, primary[1]) for first, last, primary, *_ in node.must("CLUSTER", "SLOTS")))

    def accounts(self, node, slot):
        return [key for key in self.keys_in(node, slot) if is_account(key)]

    def test_slots_with_permits_in_use_move_and_rest_halfway(self):
        with Cluster() as site:
            init(site.url)
            with Fleet(site.url + "?policy=closed&nodes=4&replicas=1", UNTIL_TOLD_S, self.RULES) as fleet:
                nodes = site.primaries()
                fleet.wait_served()

                # Users' records without the shard's clock, and the clock without the records of its users.
                slots = self.slots(nodes[0])
                fullest = sorted(slots, key=lambda slot: len(self.accounts(nodes[0], slot)))[-2:]
                self.assertGreater(len(self.accounts(nodes[0], fullest[0])), 0)
                self.move(site, fullest[0], nodes[0], nodes[1], rests_after=is_account)
                self.move(site, fullest[1], nodes[0], nodes[1], rests_after=is_clock)

                # All that the three have, each to the next one.
                moved = 0
                for source, target, slots in [(nodes[i], nodes[(i + 1) % 3], self.slots(nodes[i])) for i in range(3)]:
                    for slot in slots:
                        moved += len(self.accounts(source, slot))
                        self.move(site, slot, source, target)
                self.assertGreater(moved, 10)
                wait_for("servers that agree who has what", lambda: len({self.owners(n) for n in site.nodes}) == 1)
                site.cli("--cluster", "reshard", f"127.0.0.1:{nodes[0].port}", "--cluster-from",
                         site.identity(nodes[0]), "--cluster-to", site.identity(nodes[1]),
                         "--cluster-slots", str(BY_TOOL), "--cluster-yes")
                fleet.wait_served()
                fleet.end()
                self.holds(fleet)
                errors = [node.info("errorstats") for node in nodes]
                for name in "MOVED", "ASK", "TRYAGAIN":
                    self.assertTrue(any(f"errorstat_{name}" in told for told in errors), f"{name} in {errors}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
