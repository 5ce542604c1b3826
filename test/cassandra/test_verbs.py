# SPDX-License-Identifier: MIT
"""What an operator does with a real node: weir init, weir doctor, weir cassandra schema. One node, with users."""

import json
import os
import re
import subprocess
import unittest

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from client import Site

BINARY = os.environ["WEIR_BIN"]
ROOT = "cassandra:cassandra@"  # the user that a new cluster has
SLOW = "deadline=10s"  # how busy the machine is makes no finding


def weir(*words, env=None):
    run = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, check=False, timeout=240,
                         env={**os.environ, **(env or {})})
    return run.returncode, run.stdout, run.stderr


def examined(url):
    """The exit code, the promise, what is not fine, and all findings by their name."""
    code, out, errors = weir("doctor", "--json", url)
    assert errors == "", errors
    said = json.loads(out)
    findings = {f["name"]: f for f in said["findings"]}
    return code, said["promise"], {f["name"] for f in said["findings"] if f["level"] != "strict"}, findings


def statements(cql):
    """Of a text for cqlsh, which takes comments and one statement after the other."""
    bare = re.sub(r"(?m)^--.*$", "", cql)
    return [statement for statement in bare.split(";") if statement.strip()]


class OnOneNode(unittest.TestCase):
    site = cluster = session = None

    @classmethod
    def url(cls, login=ROOT, keyspace="weir", more=""):
        return cls.site.url(login=login, rest=f"/{keyspace}?{SLOW}{more}")

    def refused(self, words, code, text):
        """And never says a password."""
        said = weir(*words)
        self.assertEqual((said[0], said[1]), (code, ""), said)
        self.assertIn(text, said[2])
        self.assertNotIn("secret", said[2])


def setUpModule():
    OnOneNode.site = Site(has_users=True)
    connect()
    OnOneNode.session.execute("CREATE ROLE ann WITH PASSWORD = 'ann' AND LOGIN = true")


def connect():
    site = OnOneNode.site
    OnOneNode.cluster = Cluster(site.addresses, port=site.port,
                                auth_provider=PlainTextAuthProvider("cassandra", "cassandra"))
    OnOneNode.session = OnOneNode.cluster.connect()


def tearDownModule():
    if OnOneNode.cluster:
        OnOneNode.cluster.shutdown()
    OnOneNode.site.__exit__()


class Init(OnOneNode):
    def test_what_is_wrong_is_said(self):
        here = f"{self.site.addresses[0]}:{self.site.port}"
        for verb in ("init", "doctor"):
            self.refused((verb, self.url("cassandra:secret@")), 3, "BAD_CREDENTIALS: the server does not accept")
            self.refused((verb, self.url("")), 3, "put user:password@ into the URL")
            self.refused((verb, f"cassandra://ann:secret@{self.site.addresses[0]}:1"), 3, "Connection refused")
            self.refused((verb, "cassandra://ann:secret@"), 2, "a host is missing")
            self.refused((verb, f"cassandra://{here}?replicas=2"), 2, "the URL's replicas is for Redis")
        self.refused(("doctor", "--replicas", 2, self.url()), 2, "--replicas is for Redis")
        self.refused(("init", "--replication", 2, "redis://127.0.0.1"), 2, "--replication is for Cassandra")
        self.refused(("init", self.url(keyspace="none", more="&datacenter=nowhere")), 3,
                     'the cluster has no data centre "nowhere", as the URL says; one that it has is "here"')
        self.refused(("init", "--replication", 2, self.url(keyspace="none")), 2,
                     "--replication 2: the data centre here has 1 node")
        self.refused(("init", self.url("ann:ann@", "none")), 3, "cannot make the keyspace none: UNAUTHORIZED: the user "
                     "may not run this statement (User ann has no CREATE permission on <all keyspaces>")

    def test_a_new_node_and_again(self):
        made = ("made the keyspace fresh: 1 replica in the data centre here, which has no more nodes; 3 are usual: see "
                "weir doctor\nmade the tables weir_claims and weir_members\n"
                "this store is new: the schema is there (version 1)\n")
        self.assertEqual(weir("init", self.url(keyspace="fresh")), (0, made, ""))
        again = (0, "nothing to do: the schema is there (version 1)\n", "")
        self.assertEqual(weir("init", self.url(keyspace="fresh")), again)
        self.assertEqual(weir("init", env={"WEIR_STORE": self.url(keyspace="fresh")}), again)
        self.assertEqual(weir("init", self.url("ann:ann@", "fresh")), again, "to look needs no rights")
        self.session.execute("DROP TABLE fresh.weir_members")
        self.refused(("init", self.url("ann:ann@", "fresh")), 3, "cannot make the table fresh.weir_claims: UNAUTHORIZED")
        code, out, errors = weir("init", self.url(keyspace="fresh"))
        self.assertEqual((code, errors), (0, ""))
        self.assertRegex(out.splitlines()[-1], "^this store is new")

    def test_tables_of_others(self):
        self.session.execute("CREATE KEYSPACE others WITH replication = {'class': 'SimpleStrategy', "
                             "'replication_factor': 1}")
        self.session.execute("CREATE TABLE others.weir_claims (k int PRIMARY KEY)")
        cases = [("CREATE TABLE others.more (k int PRIMARY KEY)",
                  "the table others.weir_claims was not made by weir: its comment does not begin with \"weir schema 1:\"; "
                  "name another keyspace"),
                 ("ALTER TABLE others.weir_claims WITH comment = 'weir schema 2: later'",
                  "the table others.weir_claims has version 2 of the schema, and this weir knows version 1 only"),
                 ("ALTER TABLE others.weir_claims WITH comment = 'weir schema 1: ours?'",
                  "the table others.weir_claims lacks the column name blob; name another keyspace")]
        for statement, problem in cases:
            self.session.execute(statement)
            self.refused(("init", self.url(keyspace="others")), 3, problem)
            code, promise, _, findings = examined(self.url(keyspace="others"))
            self.assertEqual((code, promise), (1, "not strict"))
            self.assertEqual(findings["schema"]["level"], "not strict")
            self.assertEqual(findings["schema"]["value"][:50], problem[:50])


class Schema(OnOneNode):
    def test_what_is_printed_is_what_init_makes(self):
        code, out, errors = weir("cassandra", "schema", "--keyspace", "Printed", "--replication", "here=1")
        self.assertEqual((code, errors), (0, ""))
        for _ in range(2):  # all of it may be run again
            for statement in statements(out):
                self.session.execute(statement)
        self.assertEqual(weir("init", self.url(keyspace="Printed")), (0, "nothing to do: the schema is there (version 1)\n", ""))
        self.assertEqual(weir("init", self.url(keyspace="made"))[0], 0)
        self.cluster.refresh_schema_metadata()
        tables = self.cluster.metadata.keyspaces["Printed"].tables
        self.assertEqual(set(tables), {"weir_claims", "weir_members"})
        for name, table in tables.items():
            made = self.cluster.metadata.keyspaces["made"].tables[name]
            self.assertEqual([(c.name, c.cql_type) for c in table.columns.values()],
                             [(c.name, c.cql_type) for c in made.columns.values()])
            self.assertEqual(table.options["gc_grace_seconds"], 10800)
            self.assertEqual(table.options["speculative_retry"], "MIN(99p,50ms)")
            self.assertTrue(table.options["comment"].startswith("weir schema 1: "))

    def test_three_replicas_everywhere_unless_told(self):
        code, out, _ = weir("cassandra", "schema")
        self.assertEqual(code, 0)
        self.assertIn("CREATE KEYSPACE IF NOT EXISTS \"weir\"\n    WITH replication = {'class': 'NetworkTopologyStrategy', "
                      "'replication_factor': 3}", out)
        warning = "-- So many in each data centre that there is when this is run."
        self.assertIn(warning, out)
        self.assertIn(warning, weir("cassandra", "schema", "-r", "2")[1])
        self.assertIn("in each data centre, unless --replication names some", weir("cassandra", "--help")[1])
        _, out, _ = weir("cassandra", "schema", "-r", "a=3", "-r", "b'c=2")
        self.assertIn("'a': 3, 'b''c': 2}", out)
        self.assertNotIn(warning, out)

    def test_what_is_not_understood(self):
        for words, text in ((("tables",), "'tables' is nothing to print; say weir cassandra schema"),
                            (("schema", "--keyspace", "a-b"), "--keyspace 'a-b' should be"),
                            (("schema", "--keyspace", ""), "--keyspace '' should be"),
                            (("schema", "--keyspace", "k?datacenter=x"), "--keyspace"),
                            (("schema", "--replication", "a=0"), "--replication 'a=0' should be DATACENTER=N"),
                            (("schema", "--replication", "=3"), "--replication '=3' should be DATACENTER=N"),
                            (("schema", "-r", "3", "-r", "a=3"), "--replication '3' should be DATACENTER=N")):
            self.refused(("cassandra", *words), 2, text)


class Doctor(OnOneNode):
    def test_without_a_schema(self):
        code, promise, wrong, findings = examined(self.url(keyspace="missing"))
        self.assertEqual((code, promise, wrong), (1, "strict until node loss", {"schema", "commit log"}))
        self.assertEqual(findings["schema"]["value"], "there is no keyspace missing")
        self.assertNotIn("replication", findings)

    def test_periodic_and_one_replica(self):
        weir("init", self.url(keyspace="looked"))
        code, promise, wrong, findings = examined(self.url(keyspace="looked"))
        self.assertEqual((code, promise, wrong), (1, "strict until node loss", {"replication", "commit log"}))
        self.assertEqual(findings["replication"]["value"], "NetworkTopologyStrategy, here 1")
        self.assertEqual(findings["consistency"]["value"], "QUORUM: 1 of 1 replicas; 0 of them may be away")
        self.assertRegex(findings["commit log"]["value"],
                         r"^commitlog_sync periodic: killed, .* last 100 ms; without power, in the last 10(000m)?s$")
        self.assertIn("commitlog_sync: batch (or group)", findings["commit log"]["remedy"])
        self.assertEqual(findings["commit log"]["server"], f"{self.site.addresses[0]}:{self.site.port}")
        self.assertRegex(findings["version"]["value"], r"^5\.0")
        self.assertEqual(findings["nodes"]["value"], "1 of 1 answer, in 1 data centre")
        self.assertRegex(findings["clocks"]["value"], "^0s apart, .* from ours")
        self.assertRegex(findings["clock rates"]["value"], r"^the nodes' clocks go [+-]\d+ to [+-]\d+ ppm beside this host's$")
        self.assertRegex(findings["round trip"]["value"], "^a write and a read at QUORUM: p50 .* ms, p99 .* ms$")
        code, out, errors = weir("doctor", self.url(keyspace="looked"))
        self.assertEqual((code, errors), (1, ""))
        self.assertRegex(out, f"(?m)^{re.escape(self.site.addresses[0])}:{self.site.port}:$")
        self.assertRegex(out, r"(?m)^! commit log   commitlog_sync periodic.*\n +-> set commitlog_sync: batch")
        self.assertRegex(out.splitlines()[-1], "^strict until nodes are killed, .* marked ! ")

    def test_what_keyspaces_can_be(self):
        self.session.execute("CREATE KEYSPACE large WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
        weir("init", self.url(keyspace="large"))
        _, promise, wrong, findings = examined(self.url(keyspace="large"))
        self.assertEqual((promise, wrong), ("strict until node loss", {"replication", "writes", "commit log"}))
        self.assertIn("can never be reached", findings["replication"]["remedy"])
        self.assertIn("UNAVAILABLE", findings["writes"]["value"])
        self.session.execute("ALTER KEYSPACE large WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} "
                             "AND durable_writes = false")
        code, promise, wrong, _ = examined(self.url(keyspace="large"))
        self.assertEqual((code, promise), (1, "not strict"))
        self.assertIn("durability", wrong)

    def test_a_user_who_may_do_little(self):
        weir("init", self.url(keyspace="rights"))
        _, _, wrong, findings = examined(self.url("ann:ann@", "rights"))
        self.assertIn("writes", wrong)
        self.assertIn("UNAUTHORIZED", findings["writes"]["value"])
        self.assertIn("GRANT SELECT and MODIFY", findings["writes"]["remedy"])
        for right in ("SELECT", "MODIFY"):
            self.session.execute(f"GRANT {right} ON KEYSPACE rights TO ann")
        self.assertNotIn("writes", examined(self.url("ann:ann@", "rights"))[2])

    def test_slow_trips(self):
        weir("init", self.url(keyspace="slow"))
        _, _, wrong, findings = examined(self.site.url(login=ROOT, rest="/slow?deadline=1us"))
        self.assertIn("deadline", wrong)
        self.assertRegex(findings["deadline"]["value"], "waits for 1us: less than the slowest trip in a hundred$")

    def test_nothing_is_left(self):
        weir("init", self.url(keyspace="clean"))
        examined(self.url(keyspace="clean"))
        rows = list(self.session.execute("SELECT permits, demand, ttl(permits) FROM clean.weir_claims"))
        self.assertGreater(len(rows), 0)
        for permits, demand, ttl in rows:
            self.assertEqual((permits, demand), (0, 0))
            self.assertLessEqual(ttl, 60)
        self.assertEqual(list(self.session.execute("SELECT * FROM clean.weir_members")), [])


class Restarted(OnOneNode):
    """The last: the node gets another commit log."""

    def test_batch(self):
        weir("init", self.url(keyspace="batch"))
        self.cluster.shutdown()
        config = self.site.one.folder / "conf/cassandra.yaml"
        text = config.read_text()
        self.site.one.stop()
        config.write_text(text.replace("commitlog_sync: periodic\ncommitlog_sync_period: 10s", "commitlog_sync: batch"))
        self.site.one.start()
        connect()
        code, promise, wrong, findings = examined(self.url(keyspace="batch"))
        self.assertEqual((code, promise, wrong), (1, "strict until node loss", {"replication"}))
        self.assertEqual(findings["commit log"]["value"], "commitlog_sync batch: what it confirms is on its disk")


def load_tests(loader, _, __):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (Init, Schema, Doctor, Restarted))


if __name__ == "__main__":
    unittest.main(verbosity=2)
