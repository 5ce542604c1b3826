# SPDX-License-Identifier: MIT
"""Three real nodes: whom does the client ask, and what if one of them is not there?

Longer than the other tests, and for more memory (make test-cassandra-cluster). The oracle of who has which replica
is cassandra-driver."""

import threading
import unittest

from cassandra.cluster import Cluster
from client import QUORUM, SOON_MS, Client, Site, counted, exact
from servers import PATIENCE_S, wait_for

KEYS = 60


def key_bytes(key):
    return key.to_bytes(4, "big", signed=True)


class OnThreeNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(3, is_durable=True)
        with cls.client(rest="") as client:
            cls.make_keyspaces(client)

    @classmethod
    def tearDownClass(cls):
        cls.site.__exit__()

    @classmethod
    def client(cls, rest="/three", **options):
        return Client(cls.site.url(rest=rest), **options)

    @classmethod
    def make_keyspaces(cls, client):
        client.make_tables("alone", "SimpleStrategy", "replication_factor", 1)
        client.make_tables("two", "NetworkTopologyStrategy", "here", 2)
        client.make_tables("three", "NetworkTopologyStrategy", "here", 3)

    def await_all(self, client):
        """Until the client has a connection to each of the nodes."""
        def all_answer():
            tally = client.ask("load", "plain", 1, KEYS, 300, SOON_MS, 20)
            return len(tally["servers"]) == 3
        wait_for("answers of all three", all_answer, PATIENCE_S)


class Routing(OnThreeNodes):
    def replicas(self, keyspace):
        """What the other client says: the addresses for each key."""
        with Cluster(self.site.addresses, port=self.site.port) as cluster:
            cluster.connect()
            metadata = cluster.metadata
            return [[f"{host.address}:{self.site.port}" for host in
                     metadata.get_replicas(keyspace, key_bytes(key))] for key in range(KEYS)]

    def test_a_replica_is_asked(self):
        for keyspace, count in (("alone", 1), ("two", 2), ("three", 3)):
            expected = self.replicas(keyspace)
            with self.client("/" + keyspace) as client:
                self.await_all(client)
                for key, hosts in enumerate(expected):
                    self.assertEqual(len(hosts), count)
                    for ask in (client.prepared, client.query):
                        answer = ask("SELECT n FROM plain WHERE k = ?", f"i:{key}", key=f"i:{key}")
                        self.assertEqual(answer["status"], "CASSANDRA_DONE", answer)
                        self.assertIn(answer["server"], hosts, (keyspace, key))

    def test_conditional_ones_of_a_key_meet_at_one_replica(self):
        with self.client() as client, self.client() as other:
            for one in (client, other):
                self.await_all(one)
            for key in range(5):
                asked = set()
                for one in (client, other):
                    tally = one.ask("load", "once", 1, 1, 300, SOON_MS, 4)
                    exact(self, tally)
                    asked |= set(tally["servers"])
                self.assertEqual(len(asked), 1, (key, asked))

    def test_load_is_spread(self):
        with self.client() as client:
            self.await_all(client)
            tally = client.ask("load", "plain", 2, KEYS, 2000, SOON_MS, 50)
        exact(self, tally)
        self.assertEqual(tally["CASSANDRA_DONE"], tally["submitted"], tally)
        for served in tally["servers"].values():
            self.assertGreater(served, tally["submitted"] / 10, tally)

    def test_a_new_table_is_known_everywhere(self):
        with self.client() as client:
            self.await_all(client)
            for i in range(3):
                self.assertTrue(client.must(f"CREATE TABLE new{i} (k int PRIMARY KEY)")["agreed"])
                for k in range(6):
                    client.must(f"INSERT INTO new{i} (k) VALUES ({k})")

    def test_keyspaces_that_change_are_noticed(self):
        """All replicas at one node, then at all: the client learns it by an event."""
        with self.client("/alone") as client:
            self.await_all(client)
            events = client.ask("counts")["events"]
            refreshes = client.ask("counts")["refreshes"]
            client.must("ALTER KEYSPACE alone WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
            try:
                wait_for("a refresh", lambda: client.ask("counts")["refreshes"] > refreshes, PATIENCE_S)
                self.assertGreater(client.ask("counts")["events"], events)

                def all_replicas():
                    return len({client.prepared("SELECT n FROM plain WHERE k = ?", "i:1", key="i:1")["server"]
                                for _ in range(30)}) == 3
                wait_for("requests at all replicas", all_replicas, PATIENCE_S)
            finally:
                client.must("ALTER KEYSPACE alone WITH replication = {'class': 'SimpleStrategy', "
                            "'replication_factor': 1}")


class Faults(OnThreeNodes):
    """Two of three are a quorum: service goes on, whatever becomes of one."""

    executed = unknown = 0  # of counters, by all tests: one that is not known to be done may be so much later

    def load_while(self, client, action, undo, undo_after_s, span_ms, deadline_ms=3000, kind="counter"):
        timers = [threading.Timer(1.0, action), threading.Timer(undo_after_s, undo)]
        for timer in timers:
            timer.start()
        tally = client.ask("load", kind, 2, 30, span_ms, deadline_ms, 20)
        for timer in timers:
            timer.join()
        exact(self, tally)
        if kind == "counter":
            Faults.executed += tally["executed"]
            Faults.unknown += tally["unknown"]
        return tally

    def counts_are_exact(self, client):
        wait_for("all that was executed", lambda: counted(client) >= self.executed, PATIENCE_S)
        self.assertLessEqual(counted(client), self.executed + self.unknown)

    def test_a_killed_node(self):
        for victim in (self.site.nodes[1], self.site.nodes[0]):
            with self.client(connect_ms=1000) as client:
                self.await_all(client)
                tally = self.load_while(client, victim.kill, lambda: None, 1.5, 6000)
                name = f"{victim.address}:{victim.port}"
                self.assertGreater(tally["CASSANDRA_DONE"], tally["submitted"] / 2, tally)

                def two_go_on():
                    """Until the other two have noticed: before, they ask replicas at the third in vain."""
                    after = client.ask("load", "plain", 2, 30, 1000, 10_000, 20)
                    exact(self, after)
                    return after["CASSANDRA_DONE"] == after["submitted"] and name not in after["servers"]
                wait_for("all that is asked done by two nodes", two_go_on, PATIENCE_S)

                victim.start()
                self.site.await_ring(victim)
                wait_for("requests at the node", lambda: name in client.ask("load", "plain", 2, 30, 300, 10_000, 20)["servers"],
                         PATIENCE_S)
                self.counts_are_exact(client)

    def test_a_paused_node(self):
        victim = self.site.nodes[2]
        name = f"{victim.address}:{victim.port}"
        with self.client(connect_ms=500) as client:
            self.await_all(client)
            tally = self.load_while(client, victim.pause, victim.resume, 5.0, 8000, 1000)
            self.assertGreater(tally["CASSANDRA_DONE"], tally["submitted"] / 2, tally)
            self.assertGreater(tally["unknown"], 0, "who was asked just then did not answer")
            wait_for("requests at the node", lambda: name in client.ask("load", "plain", 2, 30, 300, 10_000, 20)["servers"],
                     PATIENCE_S)
            self.counts_are_exact(client)

    def test_conditional_ones_with_a_node_killed(self):
        victim = self.site.nodes[1]
        with self.client(connect_ms=1000) as client:
            self.await_all(client)
            client.must("TRUNCATE made")
            tally = self.load_while(client, victim.kill, lambda: None, 1.5, 5000, kind="once")
            self.assertEqual(tally["not_applied"], 0, "the client sent none twice")
            self.assertGreater(tally["CASSANDRA_DONE"], 0)
            victim.start()
            self.site.await_ring(victim)
            self.await_all(client)
            answer = client.query("SELECT count(*) FROM made", consistency=QUORUM)
            made = answer["rows"][0][0]
            self.assertGreaterEqual(made, tally["executed"])
            self.assertLessEqual(made, tally["executed"] + tally["unknown"])


class TwoDatacenters(unittest.TestCase):
    """Two nodes here and one there, each with a replica of everything."""

    def test_those_here_are_asked_while_one_is_up_and_then_the_one_there(self):
        site = self.enterContext(Site(3, datacenters=("here", "here", "there"), is_durable=True))
        one, other, far = site.nodes
        names = {node: f"{node.address}:{node.port}" for node in site.nodes}
        with Client(site.url()) as client:
            client.must("CREATE KEYSPACE both WITH replication = "
                        "{'class': 'NetworkTopologyStrategy', 'here': 2, 'there': 1}")
            client.make_tables("both")

        # What the client knows of the others it is told by the one there.
        url = site.url([names[far]], rest="/both?datacenter=here")
        client = self.enterContext(Client(url, connect_ms=SOON_MS))

        def asked():
            """Who answers, of one replica of each key."""
            answers = [client.prepared("SELECT n FROM plain WHERE k = ?", f"i:{key}", key=f"i:{key}")
                       for key in range(KEYS)]
            return {answer["server"] for answer in answers if answer["status"] == "CASSANDRA_DONE"}

        def only(*nodes):
            wanted = {names[node] for node in nodes}
            wait_for(f"requests at {wanted} alone", lambda: all(asked() == wanted for _ in range(5)), PATIENCE_S)
        only(one, other)
        one.kill()
        only(other)
        other.kill()
        only(far)
        one.start()
        only(one)


if __name__ == "__main__":
    unittest.main(verbosity=2)
