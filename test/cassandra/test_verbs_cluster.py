# SPDX-License-Identifier: MIT
"""weir init and weir doctor on three nodes: made once though many make it, strict, and said which node is away.

For as much memory as test_client_cluster.py, with which it is run (make test-cassandra-cluster)."""

import subprocess
import unittest

from servers import PATIENCE_S, Site, wait_for
from test_verbs import BINARY, SLOW, examined, weir


class OnThreeNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(3, is_durable=True)

    @classmethod
    def tearDownClass(cls):
        cls.site.__exit__()

    def test_init_at_once_then_strict_then_a_node_is_away(self):
        hosts = [f"{address}:{self.site.port}" for address in self.site.addresses]
        inits = [subprocess.Popen([BINARY, "init", self.site.url([host], rest=f"?{SLOW}")], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) for host in hosts * 2]
        for init in inits:
            out, errors = init.communicate(timeout=PATIENCE_S)
            self.assertEqual((init.returncode, errors), (0, ""), out)
        for host in hosts:
            self.assertEqual(weir("init", self.site.url([host])), (0, "nothing to do: the schema is there (version 1)\n", ""))

        url = self.site.url(rest=f"?{SLOW}")
        code, promise, wrong, findings = examined(url)
        self.assertEqual((code, promise, wrong), (0, "strict", set()))
        self.assertEqual(findings["replication"]["value"], "NetworkTopologyStrategy, here 3")
        self.assertEqual(findings["consistency"]["value"], "QUORUM: 2 of 3 replicas; 1 of them may be away")

        victim = self.site.nodes[2]
        victim.kill()

        def is_missed():
            code, promise, wrong, findings = examined(self.site.url(hosts[:2], rest=f"?{SLOW}"))
            return (code, promise, wrong) == (1, "strict and idle", {"node", "nodes"}) and \
                findings["nodes"]["value"] == "2 of 3 answer, in 1 data centre"
        wait_for("two that go on", is_missed, PATIENCE_S)


if __name__ == "__main__":
    unittest.main(verbosity=2)
