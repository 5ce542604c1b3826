# SPDX-License-Identifier: MIT
"""A Cluster of six: slots that move and servers that die while they are asked."""

import re
import subprocess
import tempfile
import unittest

from driver import Driver
from fleet import WEIR, init
from servers import CLI, Certificates, Cluster, IS_SLOW, PATIENCE_S, Single, wait_for

SOON_MS = 10000 if IS_SLOW else 5000
LATE_MS = 2000
KEYS = 64


class Slots(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Cluster()

    @classmethod
    def tearDownClass(cls):
        cls.site.__exit__()

    def setUp(self):
        for node in self.site.primaries():
            node.must("FLUSHALL")

    def exact(self, tally):
        self.assertEqual(tally["executed"] + tally["not executed"] + tally["unknown"], tally["submitted"], tally)
        self.assertEqual(tally["twice"], 0, tally)
        self.assertLess(tally["late_ms"], LATE_MS, tally)

    def counted(self, keys=KEYS):
        total = 0
        for key in range(keys):
            total += int(self.site.owner(f"load:{key}").must("GET", f"load:{key}") or 0)
        return total

    def give_back(self, owner, slot):
        """A slot that was taken from it, unless it has it again."""
        if self.site.holder(slot, owner) is None:
            owner.must("CLUSTER", "ADDSLOTS", slot)
        for node in self.site.nodes:
            wait_for("a whole Cluster", lambda n=node: self.site.holder(slot, n) is owner
                     and "cluster_state:ok" in n.must("CLUSTER", "INFO").decode())

    def test_1_each_key_at_its_server(self):
        with Driver(self.site.url) as driver:
            tally = driver.ask("load", 2, KEYS // 2, 1000, SOON_MS, 200)
            counts = driver.ask("counts")
        self.exact(tally)
        self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
        self.assertEqual(tally["out_of_order"], 0)
        self.assertEqual(self.counted(), tally["REDIS_DONE"])
        self.assertEqual((counts["redirects"], counts["refreshes"]), (0, 1), "the map was asked for once")

    def test_1_where_replicas_are_waited_for_both_connections_are_made_together(self):
        """The first permit has no time for another."""
        with Driver(self.site.url, replicas=1) as driver:
            self.assertEqual(driver.ask("call", "load:1", SOON_MS, "GET", "load:1")["status"], "REDIS_DONE")
            before = driver.ask("counts")["connects"]
            self.assertEqual(driver.ask("add", "load:1", SOON_MS, 1)["status"], "REDIS_DONE")
            self.assertEqual(driver.ask("counts")["connects"], before)

    def test_1_all_shards_are_asked_at_once(self):
        """By weir init and weir serve: the servers have their questions before one that is busy has answered any."""
        def scripts(node):
            return int(re.search(r"calls=(\d+)", node.info("commandstats").get("cmdstat_evalsha", "calls=0"))[1])

        self.assertIn("this store is new", init(self.site.url))
        shards = {node: node.must("KEYS", "weir:{*}") for node in self.site.primaries()}
        self.assertEqual(sum(map(len, shards.values())), 48)
        asked = {node: scripts(node) for node in shards}
        busy = min(shards, key=lambda node: min(node.must("CLUSTER", "KEYSLOT", key) for key in shards[node]))
        busy.must("CLIENT", "PAUSE", PATIENCE_S * 1000, "WRITE")  # and scripts
        self.addCleanup(busy.must, "CLIENT", "UNPAUSE")
        with subprocess.Popen([WEIR, "init", self.site.url], stdout=subprocess.PIPE, text=True) as second:
            others = [node for node in shards if node is not busy]
            wait_for("all questions", lambda: second.poll() is not None
                     or all(scripts(node) >= asked[node] + len(shards[node]) for node in others))
            self.assertIsNone(second.poll())
            busy.must("CLIENT", "UNPAUSE")
            self.assertEqual(second.communicate()[0], "nothing to do: this store gives permits already\n")

    def test_2_forgotten_data_and_scripts(self):
        with Driver(self.site.url) as driver:
            driver.ask("burst", 100, SOON_MS)
            for node in self.site.primaries():
                node.must("FLUSHALL")
                node.must("SCRIPT", "FLUSH")
            tally = driver.ask("load", 1, KEYS, 300, SOON_MS, 100)
        self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
        self.assertEqual(self.counted(), tally["REDIS_DONE"])

    def test_2_a_slot_that_its_server_has_lost(self):
        """CLUSTERDOWN: the others still name this server for it."""
        def refused():
            counts = owner.info("errorstats")
            return int(counts.get("errorstat_CLUSTERDOWN", "count=0").removeprefix("count="))

        owner = self.site.owner("load:1")
        slot = owner.must("CLUSTER", "KEYSLOT", "load:1")
        with Driver(self.site.url) as driver:
            self.assertEqual(driver.ask("add", "load:1", SOON_MS, 1)["status"], "REDIS_DONE")
            asked = driver.ask("counts")["refreshes"]
            owner.must("CLUSTER", "DELSLOTS", slot)
            self.addCleanup(self.give_back, owner, slot)
            # A busy machine may not answer the last attempt before the deadline, or be given up.
            def told():
                answer = driver.ask("add", "load:1", 300, 1)
                return answer["status"] == "REDIS_UNREADY" and answer
            for _ in range(20):  # by either map
                answer = wait_for("a refusal", told)
                self.assertEqual(answer["fate"], "not executed", answer)
                self.assertIn("the Cluster does not serve the slot", answer["problem"])
            self.assertGreater(driver.ask("counts")["refreshes"], asked, "it asked who has the slot")

            before = refused()
            driver.say("add", "load:1", PATIENCE_S * 1000, 1)
            wait_for("another attempt", lambda: refused() > before + 1)
            self.give_back(owner, slot)
            answer = driver.hear()
            self.assertEqual((answer["status"], answer["reply"]), ("REDIS_DONE", 2), "no other was executed")

    def test_3_slots_move_under_load_and_nothing_is_lost_or_done_twice(self):
        source = self.site.owner("load:0")
        target = next(n for n in self.site.primaries() if n is not source)
        move = [CLI, "--cluster", "reshard", f"127.0.0.1:{source.port}", "--cluster-from",
                self.site.identity(source), "--cluster-to", self.site.identity(target),
                "--cluster-slots", "5461", "--cluster-yes"]
        with Driver(self.site.url) as driver:
            driver.ask("ready", SOON_MS)
            driver.say("load", 2, KEYS // 2, 6000, SOON_MS, 100)
            run = subprocess.run(move, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual(run.returncode, 0, run.stdout[-2000:] + run.stderr)
            tally = driver.hear()
            counts = driver.ask("counts")
        self.exact(tally)
        self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
        self.assertEqual(self.counted(), tally["REDIS_DONE"])
        self.assertGreater(counts["redirects"], 0)
        self.assertLess(counts["refreshes"], 200, "ten a second at most")
        self.assertIsNot(self.site.owner("load:0"), source)

    def test_4_a_killed_primary_is_replaced_by_its_replica(self):
        with Driver(self.site.url) as driver:
            driver.ask("ready", SOON_MS)
            victim = self.site.owner("load:1")
            driver.say("load", 2, KEYS // 2, 6000, 500, 20)
            wait_for("some load", lambda: int(victim.must("GET", "load:1") or 0) > 20)
            victim.kill()
            tally = driver.hear()
            self.exact(tally)
            wait_for("the new primary", lambda: driver.ask("call", "load:1", 500, "GET", "load:1")["status"] == "REDIS_DONE")
            counts = driver.ask("counts")
            self.assertIsNot(self.site.owner("load:1"), victim)
            self.assertLess(counts["refreshes"], 300, "no storm")
            self.assertLess(counts["connects"], 300, "no storm")
            self.assertGreater(tally["REDIS_DONE"], 0)
            # Replication is asynchronous: the newest acknowledged ones may be gone, but none comes twice.
            self.assertLessEqual(self.counted(), tally["executed"] + tally["unknown"], tally)
            after = driver.ask("load", 1, KEYS, 500, SOON_MS, 20)
            self.assertEqual(after["REDIS_DONE"], after["submitted"], after)
            victim.start()

    def test_5_keys_in_two_slots_are_refused(self):
        with Driver(self.site.url) as driver:
            answer = driver.ask("call", "-", SOON_MS, "MGET", "a", "b")
        self.assertEqual((answer["status"], answer["fate"]), ("REDIS_REFUSED", "not executed"), answer)
        self.assertIn("CROSSSLOT", answer["problem"])

    def test_6_a_url_of_the_wrong_kind(self):
        with Single() as single, Driver(f"redis+cluster://127.0.0.1:{single.port}") as driver:
            answer = driver.ask("ready", 1000)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREACHABLE", "not executed"))
            self.assertIn("is not part of a Cluster; use redis://", answer["problem"])
        node = self.site.primaries()[0]
        with Driver(f"redis://127.0.0.1:{node.port}") as driver:
            answers = [driver.ask("add", f"k{i}", SOON_MS, 1) for i in range(30)]
            moved = [a for a in answers if a["status"] != "REDIS_DONE"]
            self.assertGreater(len(moved), 0)
            self.assertEqual((moved[0]["status"], moved[0]["fate"]), ("REDIS_REFUSED", "not executed"))
            self.assertIn("a Cluster needs a redis+cluster:// URL", moved[0]["problem"])


class WithTls(unittest.TestCase):
    def test_each_server_is_asked_and_a_replica_takes_over(self):
        made = Certificates(self.enterContext(tempfile.TemporaryDirectory(prefix="weir-cluster.")))
        with Cluster(tls=made) as site, Driver(site.url, ca=made.ca) as driver:
            for number in range(100):
                self.assertEqual(driver.ask("call", f"k{number}", SOON_MS, "SET", f"k{number}", number)["reply"], "OK")
            self.assertGreaterEqual(driver.ask("counts")["connects"], 3)
            site.owner("k1").kill()
            wait_for("its replica", lambda: driver.ask("call", "k1", SOON_MS, "SET", "k1", 2)["status"] == "REDIS_DONE")


if __name__ == "__main__":
    unittest.main(verbosity=2)
