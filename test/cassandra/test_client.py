# SPDX-License-Identifier: MIT
"""One real node, and all that it may say or do instead of answering."""

import socket
import threading
import time
import unittest

from client import QUORUM, SOON_MS, Client, Site, counted, exact
from servers import PATIENCE_S, wait_for

THREE = 3  # replicas, of one

SPAN_MS = 2500  # of a load in which something happens


def during(action, after_s=1.0):
    """Does it in a while, beside the load that begins now."""
    thread = threading.Timer(after_s, action)
    thread.start()
    return thread


def setUpModule():
    """One node for all: starting it takes longer than most of what is done with it."""
    OnOneNode.site = Site(is_durable=True)
    with Client(OnOneNode.site.url()) as client:
        client.make_tables()


def tearDownModule():
    OnOneNode.site.__exit__()


class OnOneNode(unittest.TestCase):
    site = None

    def client(self, rest="/weir", **options):
        return Client(self.site.url(rest=rest), **options)

    def empty(self, client):
        for table in ("counts", "made", "plain"):
            client.must(f"TRUNCATE {table}")


class Answers(OnOneNode):
    def done(self, answer):
        self.assertEqual((answer["status"], answer["fate"], answer["problem"]), ("CASSANDRA_DONE", "executed", ""))
        return answer

    def test_statements_of_all_kinds(self):
        with self.client() as client:
            self.empty(client)
            put = "INSERT INTO plain (k, n, t) VALUES (?, ?, ?)"
            get = "SELECT k, n, t FROM plain WHERE k = ?"
            for ask in (client.query, client.prepared):
                self.done(ask(put, "i:1", "b:-7", "t:a text", key="i:1", consistency=QUORUM))
                answer = self.done(ask(get, "i:1", key="i:1", consistency=QUORUM))
                self.assertEqual((answer["columns"], answer["rows"]), (["k", "n", "t"], [[1, -7, "a text"]]))
                self.assertEqual(answer["server"], f"{self.site.addresses[0]}:{self.site.port}")
                self.done(ask(put, "i:1", "null", "unset"))
                self.assertEqual(self.done(ask(get, "i:1"))["rows"], [[1, None, "a text"]])
                self.assertEqual(self.done(ask(get, "i:2"))["rows"], [])
            self.assertEqual(client.ask("counts")["prepares"], 2)

    def test_a_large_value_goes_and_comes(self):
        with self.client() as client:
            put, text = "INSERT INTO plain (k, t) VALUES (?, ?)", "t:" + "x" * 60_000
            self.done(client.prepared(put, "i:9", text))
            self.assertEqual(len(client.query("SELECT t FROM plain WHERE k = 9")["rows"][0][0]), 60_000)
            for key in range(100, 140):
                self.done(client.prepared(put, f"i:{key}", text))
            rows = client.query("SELECT t FROM plain")["rows"]
            self.assertGreaterEqual(sum(len(row[0] or "") for row in rows), 40 * 60_000)
            self.assertEqual(client.prepared(put, "i:9", "t:" + "x" * 70_000)["status"], "CASSANDRA_BAD_REQUEST")

    def test_conditions_that_hold_and_that_do_not(self):
        with self.client() as client:
            self.empty(client)
            text = "INSERT INTO made (k, n) VALUES (?, ?) IF NOT EXISTS"
            self.assertEqual(self.done(client.prepared(text, "i:1", "b:2", key="i:1", consistency=QUORUM))["rows"],
                             [[True]])
            answer = self.done(client.prepared(text, "i:1", "b:2", key="i:1", consistency=QUORUM))
            self.assertEqual((answer["columns"], answer["rows"]), (["[applied]", "k", "n"], [[False, 1, 2]]))

    def test_many_at_once_are_counted_exactly(self):
        with self.client() as client:
            self.empty(client)
            tally = client.ask("load", "counter", 4, 50, SPAN_MS, SOON_MS, 100)
            counts = client.ask("counts")
            exact(self, tally)
            self.assertEqual(tally["CASSANDRA_DONE"], tally["submitted"], tally)
            self.assertEqual(counted(client), tally["submitted"])
            self.assertLess(counts["writes"], tally["submitted"], "several requests go in one write")
            self.assertEqual((counts["connects"], counts["prepares"]), (2, 1), "one for requests, one for events")

    def test_conditional_ones_are_done_once(self):
        with self.client(connections=3) as client:
            self.empty(client)
            tally = client.ask("load", "once", 2, 20, SPAN_MS, SOON_MS, 20)
            exact(self, tally)
            self.assertEqual(tally["CASSANDRA_DONE"], tally["submitted"], tally)
            self.assertEqual(tally["not_applied"], 0, "the client sent none twice")
            self.assertEqual(client.must("SELECT count(*) FROM made")["rows"], [[tally["submitted"]]])

    def test_a_forgotten_statement_is_prepared_again(self):
        """As when a table is made anew: the server forgets all statements about it."""
        with self.client() as client, Client(self.site.url(rest="/weir")) as other:
            self.assertTrue(other.must("CREATE TABLE again (k int PRIMARY KEY, n bigint)")["agreed"])
            put = "INSERT INTO again (k, n) VALUES (?, ?)"
            for _ in range(3):
                self.done(client.prepared(put, "i:1", "b:1"))
                other.must("DROP TABLE again")
                other.must("CREATE TABLE again (k int PRIMARY KEY, n bigint)")
            self.done(client.prepared(put, "i:1", "b:1"))
            counts = client.ask("counts")
            other.must("DROP TABLE again")
        self.assertEqual((counts["unprepared"], counts["prepares"]), (3, 4))

    def test_what_is_missing_is_named(self):
        with self.client() as client:
            for ask in (client.query, client.prepared):
                answer = ask("SELECT n FROM nothing WHERE k = 1")
                self.assertEqual((answer["status"], answer["fate"], answer["error"]),
                                 ("CASSANDRA_REFUSED", "not executed", "INVALID"))
                self.assertRegex(answer["problem"], "nothing")
                answer = ask("SELEKT")
                self.assertEqual((answer["status"], answer["fate"], answer["error"]),
                                 ("CASSANDRA_REFUSED", "not executed", "SYNTAX_ERROR"))
            answer = client.query("CREATE TABLE counts (k int PRIMARY KEY)")
            self.assertEqual((answer["status"], answer["error"]), ("CASSANDRA_REFUSED", "ALREADY_EXISTS"))

    def test_a_consistency_that_cannot_be_had_is_tried_until_the_deadline(self):
        with self.client() as client:
            answer = client.query("INSERT INTO plain (k, n) VALUES (1, 1)", consistency=THREE, ms=1000)
            if answer["status"] != "CASSANDRA_LATE":  # the last try was one too many, on a busy machine
                self.assertEqual((answer["status"], answer["fate"], answer["error"]),
                                 ("CASSANDRA_UNREADY", "not executed", "UNAVAILABLE"), answer)
            self.assertGreater(client.ask("counts")["retries"], 3)

    def test_what_is_said_to_be_conditional_and_cannot_be_done_now_may_have_been_done(self):
        """This one is not, so that a single node surely says so; with conditional ones it says so now and then."""
        with self.client() as client:
            answer = client.ask("conditional", 1000, THREE, "INSERT INTO plain (k, n) VALUES (1, 1)")
            self.assertEqual(answer["fate"], "unknown", answer)
            if answer["status"] != "CASSANDRA_LATE":  # the last try was one too many, on a busy machine
                self.assertEqual((answer["status"], answer["error"]), ("CASSANDRA_UNREADY", "UNAVAILABLE"), answer)
            self.assertGreater(client.ask("counts")["retries"], 3)

    def test_a_missing_keyspace_is_named_and_found_when_it_comes(self):
        with self.client("/later") as client, self.client("") as other:
            answer = client.ask("ready", SOON_MS)
            self.assertEqual((answer["status"], answer["fate"]), ("CASSANDRA_REFUSED", "not executed"), answer)
            self.assertRegex(answer["problem"], "INVALID.*'later' does not exist")
            other.make_tables("later")
            wait_for("the keyspace", lambda: client.ask("ready", SOON_MS)["status"] == "CASSANDRA_DONE", PATIENCE_S)
            self.done(client.prepared("INSERT INTO plain (k, n) VALUES (?, ?)", "i:1", "b:1", key="i:1"))
            other.must("DROP KEYSPACE later")

    def test_a_datacenter_that_is_not_there(self):
        with self.client("/weir?datacenter=here") as client:
            self.done(client.ask("ready", SOON_MS))
        with self.client("/weir?datacenter=there") as client:
            answer = client.ask("ready", SOON_MS)
            self.assertEqual(answer["status"], "CASSANDRA_REFUSED")
            self.assertRegex(answer["problem"], 'no data centre "there".*"here"')

    def test_hosts_of_which_one_is_there(self):
        with Client(self.site.url(hosts=["127.0.0.1:1", "no.such.host.invalid", f"{self.site.addresses[0]}:{self.site.port}"],
                                  rest="/weir")) as client:
            self.done(client.ask("ready", SOON_MS))
        with Client("cassandra://127.0.0.1:1") as client:
            answer = client.ask("ready", SOON_MS)
        self.assertEqual((answer["status"], answer["fate"]), ("CASSANDRA_UNREACHABLE", "not executed"))
        self.assertRegex(answer["problem"], "127.0.0.1:1: Connection refused")

    def test_a_host_that_has_not_answered_yet_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            place = f"127.0.0.1:{nobody.getsockname()[1]}"
            with Client(f"cassandra://{place}") as client:
                answer = client.ask("ready", 1000)  # its first attempt has not come to an end
        self.assertEqual((answer["status"], answer["fate"]), ("CASSANDRA_UNREACHABLE", "not executed"))
        self.assertEqual(answer["problem"], f"{place}: it takes the connection, but does not answer")

    def test_more_than_there_is_room_for_is_refused(self):
        with self.client(requests_max=50) as client:
            self.done(client.ask("ready", SOON_MS))
            self.site.one.pause()
            try:
                tally = client.ask("load", "plain", 1, 10, 300, 1000, 200)
            finally:
                self.site.one.resume()
            exact(self, tally)
            self.assertGreater(tally["refused"]["CASSANDRA_FULL"], 0)
            self.assertEqual(tally["submitted"], 50)
            wait_for("room again", lambda: client.ask("ready", SOON_MS)["status"] == "CASSANDRA_DONE", PATIENCE_S)

    def test_a_child_is_told_that_it_is_one(self):
        with self.client() as client:
            self.done(client.ask("ready", SOON_MS))
            self.assertEqual(client.ask("fork")["status"], "CASSANDRA_FORKED")
            self.done(client.ask("ready", SOON_MS))

    def test_closing_answers_what_is_on_its_way(self):
        with self.client() as client:
            client.ask("leave", 1000, SOON_MS)
        with self.client() as client:
            self.assertEqual(client.must("SELECT n FROM counts WHERE k = -1")["rows"], [[1000]])
        self.site.one.pause()
        try:
            with self.client() as client:
                client.ask("leave", 1000, 500)
        finally:
            self.site.one.resume()


class Faults(OnOneNode):
    def test_a_paused_node_costs_deadlines_and_comes_back(self):
        with self.client(connect_ms=500) as client:
            self.empty(client)
            client.ask("ready", SOON_MS)
            pause, resume = during(self.site.one.pause), during(self.site.one.resume, 2.5)
            tally = client.ask("load", "counter", 2, 50, 6000, 200, 50)
            pause.join()
            resume.join()
            exact(self, tally)
            self.assertGreater(tally["CASSANDRA_DONE"], 0, tally)
            self.assertGreater(tally["unknown"], 0, tally)
            self.assertGreater(tally["not executed"], 0, "who comes later need not wait for a silent node")
            wait_for("the node", lambda: client.ask("ready", SOON_MS)["status"] == "CASSANDRA_DONE", PATIENCE_S)
            # What was sent before the pause may be executed late.
            wait_for("all that was executed", lambda: counted(client) >= tally["executed"], PATIENCE_S)
            self.assertLessEqual(counted(client), tally["executed"] + tally["unknown"])

    def test_a_killed_node_loses_nothing_and_is_found_again(self):
        with self.client(connect_ms=1000) as client:
            self.empty(client)
            client.ask("load", "counter", 2, 50, 500, SOON_MS, 50)
            before = counted(client)
            kill = during(self.site.one.kill)
            tally = client.ask("load", "counter", 2, 50, 2500, 5000, 50)
            kill.join()
            exact(self, tally)
            self.assertGreater(tally["CASSANDRA_LOST"] + tally["CASSANDRA_UNREACHABLE"], 0, tally)
            answer = client.ask("ready", 100)
            self.assertEqual((answer["status"], answer["fate"]), ("CASSANDRA_UNREACHABLE", "not executed"))
            self.assertRegex(answer["problem"], "Connection refused|hung up|connection is gone")

            self.site.one.start()
            wait_for("the node", lambda: client.ask("ready", SOON_MS)["status"] == "CASSANDRA_DONE", PATIENCE_S)
            self.assertGreaterEqual(counted(client), before + tally["executed"])
            self.assertLessEqual(counted(client), before + tally["executed"] + tally["unknown"])
            prepares = client.ask("counts")["prepares"]
            again = client.ask("load", "counter", 2, 50, 500, SOON_MS, 50)
            exact(self, again)
            self.assertEqual(again["CASSANDRA_DONE"], again["submitted"], again)
            self.assertEqual(client.ask("counts")["prepares"], prepares + 1, "the node is another one now")

    def test_deadlines_of_conditional_ones_in_a_pause(self):
        with self.client(connect_ms=500) as client:
            self.empty(client)
            client.ask("ready", SOON_MS)
            pause, resume = during(self.site.one.pause), during(self.site.one.resume, 2.0)
            tally = client.ask("load", "once", 2, 20, 4000, 300, 20)
            pause.join()
            resume.join()
            exact(self, tally)
            self.assertEqual(tally["not_applied"], 0, "the client sent none twice")
            wait_for("the node", lambda: client.ask("ready", SOON_MS)["status"] == "CASSANDRA_DONE", PATIENCE_S)
            made = client.must("SELECT count(*) FROM made")["rows"][0][0]
            self.assertGreaterEqual(made, tally["executed"])
            self.assertLessEqual(made, tally["executed"] + tally["unknown"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
