# SPDX-License-Identifier: MIT
"""Processes that share limits over a real node: no window above its limit, whatever happens to it or to them."""

import signal
import tempfile
import time
import unittest

from client import QUORUM, Client
from servers import TOMBSTONES_MAX, Server, Site, wait_for
# Of the tests on Redis: they know URLs only.
from api import MINUTE, Answers, Api, policy_decides
from fleet import HOWS, UNTIL_TOLD_S, WHYS, WORKERS, Clock, Fleet, FleetTest, Rule, init, judge

RULES = (Rule(1, 1000), Rule(20, 1000), Rule(1000, 1000), Rule(200, 4000))

# Others count what a dead process claimed until they have fenced it (5 s after its last beat that they saw, and they
# look once a second) and a hold has passed.
FENCED_S = 8
WINDOW_MS = 10000
HEIR_WINDOW_MS = 9000  # fences are dated when they are 5 and 10 s old


class Rows:
    """What the tables of a store say, as processes read it."""

    def __init__(self, url):
        self.client = Client(url)

    def read(self, text):
        answer = self.client.query(text, consistency=QUORUM)
        assert answer["status"] == "CASSANDRA_DONE", answer
        return answer["rows"]

    def beats(self):
        return dict(self.read("SELECT id, beat FROM weir_members"))

    def fenced(self):
        return {id for id, is_fenced in self.read("SELECT id, is_fenced FROM weir_members") if is_fenced}

    def claimed(self, ids):
        return sum(permits for id, permits in self.read("SELECT id, permits FROM weir_claims") if id in ids)

    def __enter__(self):
        self.client.__enter__()
        return self

    def __exit__(self, *what):
        self.client.__exit__(*what)


class CassandraFleetTest(FleetTest):
    def fleet(self, rules=RULES, url=None, policy="closed", **options):
        """With a deadline that a node on a busy machine keeps."""
        url = f"{url or self.url}?policy={policy}&nodes={WORKERS}&deadline=500ms"
        return Fleet(url, UNTIL_TOLD_S, rules, **options)

    def ends(self, fleet):
        fleet.wait_served()
        fleet.end()
        self.holds(fleet)

    def nobody_is_served(self, fleet, for_s=1):
        from_s = fleet.seconds()
        time.sleep(for_s)
        fleet.read()
        self.assertEqual(fleet.between(from_s), [])


class OnOneNode(CassandraFleetTest):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory(prefix="weir-clock.")
        cls.addClassCleanup(cls.home.cleanup)
        cls.clock = Clock(cls.home.name)
        cls.site = Site(1, is_durable=True, environment=cls.clock.environment())
        cls.addClassCleanup(cls.site.__exit__)
        cls.url = cls.site.url(rest="/weir")
        init(cls.url)

    def test_all_get_what_there_is_and_no_more(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            begun_s, before = fleet.seconds(), {rule: fleet.admitted(rule) for rule in fleet.rules}
            fleet.sleep_until(begun_s + 8)
            fleet.read()
            seconds = fleet.seconds() - begun_s
            self.ends(fleet)
            for rule in fleet.rules:
                admitted = fleet.admitted(rule) - before[rule]
                there_is = rule.limit * rule.users * seconds * 1e9 / rule.window_ns
                self.assertGreater(admitted, 0.4 * min(there_is, fleet.asked(rule)), str(rule))

    def test_a_process_that_is_killed_gives_way(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            for _ in range(2):
                fleet.kill_one()
                fleet.start()
            fleet.sleep_until(fleet.seconds() + FENCED_S)
            self.ends(fleet)

    def test_a_process_that_sleeps_is_fenced_and_begins_anew(self):
        """When it wakes, others have claimed what it did: it breaks their limit if it goes on with that."""
        rules = Rule(1000, 1000), Rule(1200, 4000)
        there_is = sum(rule.limit * rule.users for rule in rules)
        rows = self.enterContext(Rows(self.url))
        strangers = rows.beats().keys()  # of other tests

        def members():
            return rows.beats().keys() - strangers
        with self.fleet(rules) as fleet:
            wait_for("four members", lambda: len(members()) == 4)
            fleet.wait_serves(0)
            sleeper = fleet.started[0]
            sleeper.send_signal(signal.SIGSTOP)
            begun = rows.beats()

            def silent():
                """Whose beat goes no further; one may have been on its way."""
                now = rows.beats()
                return {member for member in begun.keys() - strangers if now[member] < begun[member] + 2}
            wait_for("a fence of who is silent", lambda: 0 < len(silent()) < 4 and silent() <= rows.fenced())
            dead = silent()
            left = rows.claimed(dead)
            self.assertGreater(left, 0)
            wait_for("others who claim what it did", lambda: rows.claimed(members() - dead) > there_is - left / 2)

            before = members()
            sleeper.send_signal(signal.SIGCONT)
            wait_for("another number", lambda: members() - before - rows.fenced())
            fleet.wait_serves(0)
            self.ends(fleet)
            self.assertLessEqual(dead, rows.fenced())

    def test_a_node_that_is_killed_and_comes_back(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            self.site.one.kill()
            time.sleep(1)
            self.site.one.start()
            self.ends(fleet)

    def test_a_node_that_sleeps_for_longer_than_claims_are_good_for(self):
        with self.fleet() as fleet:
            fleet.wait_served()
            self.site.one.pause()
            time.sleep(FENCED_S - 1)
            self.nobody_is_served(fleet)  # since nobody knows whether it was given up for dead
            self.site.one.resume()
            self.ends(fleet)
            self.assertGreater(fleet.count("whys", WHYS["late"]) + fleet.count("whys", WHYS["cut"]), 0)

    def test_each_process_has_a_share_while_a_node_sleeps_under_local(self):
        with self.fleet(policy="local") as fleet:
            fleet.wait_served()
            self.site.one.pause()
            time.sleep(FENCED_S - 1)
            fleet.wait_served()  # by shares alone
            self.site.one.resume()
            fleet.wait_served()
            fleet.end()
        self.assertGreater(fleet.count("hows", HOWS["local"]), 0)
        self.assertEqual(fleet.count("hows", HOWS["open"]) + fleet.count("hows", HOWS["closed"]), 0)
        code, verdict = judge(fleet, limit_of=lambda limit: limit + WORKERS * max(1, limit // WORKERS))
        self.assertEqual(code, 0, verdict)
        code, verdict = judge(fleet)
        self.assertEqual(code, 1, f"what is allowed by shares alone is seen: {verdict}")

    def test_a_node_whose_clock_steps(self):
        """By less than rows are kept for beyond their use."""
        with self.fleet() as fleet:
            for to_s in 0.1, 600, -600, 3000, 0:
                with self.subTest(to_s=to_s):
                    self.clock.set(to_s)
                    time.sleep(1)
                    fleet.wait_served()
            self.ends(fleet)

    def test_a_host_whose_clock_steps(self):
        clock = Clock(tempfile.mkdtemp(dir=self.home.name))
        with self.fleet(words=lambda number: clock.words() if number == 0 else []) as fleet:
            for to_s in 0, 0.1, 3600, -3600, 2 * 86400, 0:
                clock.set(to_s)
                time.sleep(0.5)
                fleet.wait_served()
            self.ends(fleet)

    def test_a_node_that_has_much_else_to_do(self):
        with self.fleet() as fleet, Client(self.site.url()) as client:
            client.make_tables("other")
            fleet.wait_served()
            client.must("USE other")
        with Client(self.site.url(rest="/other")) as client, self.fleet() as fleet:
            tally = client.ask("load", "plain", 4, 1000, 5000, 2000, 256)
            self.assertGreater(tally["executed"], 0, tally)
            self.ends(fleet)

    def test_tables_that_are_dropped_and_made_anew(self):
        """That is to forget what was used, so it is not judged."""
        with Client(self.site.url(rest="/weir")) as client, self.fleet() as fleet:
            fleet.wait_served()
            client.must("DROP TABLE weir_members")
            client.must("DROP TABLE weir_claims")
            time.sleep(FENCED_S - 2)
            self.nobody_is_served(fleet)
            init(self.url)
            fleet.wait_served()
            fleet.end()

    def test_a_keyspace_that_is_not_there(self):
        with self.fleet(url=self.site.url(rest="/nowhere")) as fleet:
            self.nobody_is_served(fleet, 2)
            fleet.end()
            self.assertGreater(fleet.count("whys", WHYS["cut"]), 0)
            self.assertEqual(fleet.lines, [])

    def test_a_process_that_ends_leaves_at_once_what_it_did_not_use(self):
        """And says that it has ended: nobody need wait until it is known to be dead."""
        init(self.url)
        rows = self.enterContext(Rows(self.url))
        strangers = rows.beats().keys()
        with self.fleet((Rule(1000, 60000, users=1),)) as fleet:
            fleet.wait_served()
            claimed = rows.claimed(rows.beats().keys() - strangers)
            fleet.end()
        members = rows.beats().keys() - strangers
        used = sum(line["cost"] for line in fleet.lines)
        self.assertGreater(claimed, 0)
        self.assertEqual(rows.claimed(members), used)
        self.assertEqual((len(members), members - rows.fenced()), (4, set()))


class OneLimiter(Answers, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(1, is_durable=True)
        cls.addClassCleanup(cls.site.__exit__)
        cls.url = cls.site.url(rest="/weir?policy=closed&deadline=2s")
        init(cls.url)

    def setUp(self):
        """Each test has its own users, as if it had its own node."""
        self.url = f"{type(self).url}&secret={self.id()}"

    def test_a_child_is_one_more_process(self):
        with Api(self.url) as api:
            api.ready()
            self.assertEqual(api.ask("ask", 4, "ann", 10, MINUTE, 1)["allowed"], 4)
            child = api.ask("child", 9, "ann", 10, MINUTE, 1)
            self.assertEqual(child["degraded"], 0, child)
            self.assertGreater(child["allowed"], 0, "it asks for the parent's user")
            self.assertLessEqual(child["allowed"], 6, "what the parent used counts")

    def test_the_policy_decides_while_the_node_is_silent_and_no_longer(self):
        for policy in "closed", "open", "local":
            rest = f"/weir?policy={policy}&nodes=4&deadline=500ms&secret={self.id()}{policy}"
            with self.subTest(policy=policy), Api(self.site.url(rest=rest)) as api:
                api.ready()
                self.site.one.pause()
                try:
                    policy_decides(self, api, policy, limit=10, share=2)
                finally:
                    self.site.one.resume()
                users = iter(range(1000))

                def is_strict():
                    """The limit is kept for whom nobody has asked for."""
                    told = api.ask("ask", 20, f"eve{next(users)}", 10, MINUTE, 1)
                    return told["degraded"] == 0 and told
                strict = wait_for("decisions of the store", is_strict)
                self.assertEqual(strict["allowed"], 10, strict)

    def test_servers_share_a_limit(self):
        servers = [Server("--store", self.url, "--nodes", "2") for _ in range(2)]
        for server in servers:
            self.addCleanup(server.stop)
        clients = [self.enterContext(server.connect()) for server in servers]

        def ask():
            return sum(client.ask("WEIR.ALLOW", "ann", 60, 60 * MINUTE) for client in clients)
        allowed = sum(ask() for _ in range(60))

        # What one has in hand when the other is refused is asked for, or let go.
        def all_is_used():
            nonlocal allowed
            allowed += ask()
            return allowed >= 60
        wait_for("all that an hour admits", all_is_used)
        for _ in range(20):
            all_is_used()
        self.assertEqual(allowed, 60)

    def test_what_one_keeps_idle_another_gets_when_it_misses_it(self):
        """One who asks now and then keeps its claim for eight windows at least, if nobody is heard to miss it."""
        with Api(self.url) as one, Api(self.url) as other:
            one.ready()
            other.ready()
            self.assertEqual(one.ask("ask", 2, "ann", 10, WINDOW_MS, 1)["allowed"], 2)
            time.sleep(1.5 * WINDOW_MS / 1000)
            self.assertEqual(other.ask("ask", 1, "ann", 10, WINDOW_MS, 10)["allowed"], 0, "two are claimed still")
            wait_for("all ten at once", lambda: other.ask("ask", 1, "ann", 10, WINDOW_MS, 10)["allowed"] == 1,
                     6 * WINDOW_MS / 1000)

    def test_what_a_dead_one_kept_is_not_kept_from_who_begins_later(self):
        """Who begins does not count it for a window once more: one of the living has written how old the fence is."""
        rows = self.enterContext(Rows(self.site.url(rest="/weir")))
        strangers = rows.beats().keys()
        dying = Api(self.url)
        self.addCleanup(dying.__exit__, AssertionError)
        dying.ready()
        self.assertEqual(dying.ask("ask", 2, "ann", 10, HEIR_WINDOW_MS, 1)["allowed"], 2)
        (dead,) = rows.beats().keys() - strangers
        with Api(self.url) as survivor:
            survivor.ready()
            dying.process.kill()

            def dated_s():
                """As long as a window, and what clocks may be wrong by."""
                seconds = dict(rows.read("SELECT id, fenced_for FROM weir_members"))[dead] or 0
                return seconds * 1000 > 1.05 * HEIR_WINDOW_MS and seconds
            fenced_for_s = wait_for("a date", dated_s)
            self.assertGreater(rows.claimed({dead}), 0)
            (row,) = rows.read("SELECT beat, is_fenced, keep, shortages, ttl(beat), ttl(is_fenced), ttl(keep), ttl(shortages), "
                               f"ttl(fenced_for) FROM weir_members WHERE bucket = {dead % 8} AND id = {dead}")
            beat, is_fenced, keep_s, shortages, *ttls = row
            self.assertGreater(beat, 0)
            self.assertEqual((is_fenced, shortages), (True, ""))
            self.assertEqual(len(set(ttls)), 1, ttls)
            self.assertLessEqual(ttls[0], keep_s - fenced_for_s)

            begun_s = time.monotonic()
            with Api(self.url) as heir:
                heir.ready()
                wait_for("all ten at once", lambda: heir.ask("ask", 1, "ann", 10, HEIR_WINDOW_MS, 10)["allowed"] == 1,
                         begun_s + HEIR_WINDOW_MS / 1000 - time.monotonic())

    def test_a_server_says_that_there_are_no_tables(self):
        with Server("--store", self.site.url(rest="/nowhere")) as server:
            self.assertRegex(server.process.stderr.readline(), "^weir serve: .*nowhere.* does not exist.*; see weir doctor")

    def test_windows_of_50_ms(self):
        with Api(self.url) as api:
            api.ready()
            for limit in 1, 1 << 40:
                answer = api.ask("ask", 2, f"ann{limit}", limit, 50, min(limit, 1 << 39))
                self.assertEqual(answer["degraded"], 0, answer)
                self.assertGreaterEqual(answer["allowed"], min(limit, 2), "more if the window was over meanwhile")

    def test_rows_must_expire_before_2038(self):
        """Who asks for more is refused, and nobody else is harmed."""
        with Api(self.url) as api:
            api.ready()
            for years in 3, 4, 4.9, 7, 10:
                long = api.ask("ask", 1, "ann", 1, int(years * 365 * 24 * 3600 * 1000), 1)
                self.assertEqual((long["allowed"], long["why"]), (0, WHYS["late"]), long)
            bob = api.ask("ask", 1, "bob", 10, MINUTE, 1)
            self.assertEqual((bob["allowed"], bob["degraded"]), (1, 0), bob)

    def test_a_user_whose_row_fails_harms_nobody_else(self):
        """Here since too many were deleted beside it; else its replicas may be away. Looks that are not answered follow
        each other too soon for a beat between them, which would be answered."""
        client = self.enterContext(Client(self.site.url(rest="/weir")))

        def names():
            """As they are written in CQL."""
            return {name.strip('"') for (name,) in client.must("SELECT toJson(name) FROM weir_claims")["rows"]}
        before = names()
        with Api(self.url) as api:
            api.ready()
            self.assertEqual(api.ask("ask", 1, "ann", 1000, MINUTE, 1)["allowed"], 1)
        (ann,) = names() - before
        for first in range(1, TOMBSTONES_MAX + 100, 100):
            deletes = (f"DELETE FROM weir_claims WHERE name = {ann} AND id = {i};" for i in range(first, first + 100))
            client.must(f"BEGIN UNLOGGED BATCH {' '.join(deletes)} APPLY BATCH")
        self.addCleanup(client.must, f"DELETE FROM weir_claims WHERE name = {ann}")  # and what was deleted in it
        self.assertEqual(client.query(f"SELECT id FROM weir_claims WHERE name = {ann}")["error"], "READ_FAILURE")
        with Api(self.url.replace("deadline=2s", "deadline=20ms")) as api:
            api.ready()

            def nobody_is_cut_off():
                last = api.ask("ask", 20, "ann", 1000, MINUTE, 0)
                self.assertEqual((last["allowed"], last["degraded"]), (0, 20), last)
                return last["why"] == WHYS["late"]
            wait_for("a store that is not given up for one user", nobody_is_cut_off)

    def test_trouble_with_rows_is_told_although_beats_are_answered(self):
        url = self.site.url(rest="/spoilt?policy=closed")
        init(url)

        def trouble(client):
            client.ask("WEIR.ALLOW", "ann", 60, MINUTE)
            return [line for line in client.ask("INFO", "store").decode().splitlines() if "trouble" in line]
        with Client(self.site.url(rest="/spoilt")) as ours, Server("--store", url) as server, server.connect() as client:
            wait_for("a decision", lambda: client.ask("WEIR.ALLOW", "bob", 60, MINUTE))
            wait_for("none", lambda: trouble(client) == ["store_trouble:"])
            ours.must("DROP TABLE weir_claims")
            told = "store_trouble:a server finds no such table, or another one: see weir doctor"
            wait_for("trouble", lambda: trouble(client) == [told])
            for _ in range(100):
                self.assertNotEqual(trouble(client), ["store_trouble:"])
            init(url)
            wait_for("an end of it", lambda: trouble(client) == ["store_trouble:"])

    def test_more_processes_than_one_can_know(self):
        """Their records are read all the same, and that they are too many is told."""
        url = self.site.url(rest="/crowd?policy=closed")
        init(url)
        with Client(self.site.url(rest="/crowd")) as ours:
            for member in range(2050):
                ours.must("INSERT INTO weir_members (bucket, id, beat, is_fenced, keep) "
                          f"VALUES ({member % 8}, {member}, 1, true, 600) USING TTL 600")
        with Server("--store", url) as server, server.connect() as client:
            wait_for("a decision", lambda: client.ask("WEIR.ALLOW", "bob", 60, MINUTE))
            wait_for("a word about it", lambda: b"more processes began" in client.ask("INFO", "store"))
            wait_for("another decision", lambda: client.ask("WEIR.ALLOW", "bob", 60, MINUTE))


class WithUsers(CassandraFleetTest):
    def test_a_wrong_password(self):
        with Site(1, is_durable=True, has_users=True) as site:
            init(site.url(login="cassandra:cassandra@", rest="/weir"))
            with self.fleet(url=site.url(login="cassandra:wrong@", rest="/weir")) as fleet:
                self.nobody_is_served(fleet, 2)
                fleet.end()
                self.assertGreater(fleet.count("whys", WHYS["cut"]), 0)
            with self.fleet(url=site.url(login="cassandra:cassandra@", rest="/weir")) as fleet:
                self.ends(fleet)


if __name__ == "__main__":
    unittest.main(verbosity=2)
