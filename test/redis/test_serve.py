# SPDX-License-Identifier: MIT
"""weir serve on real Redis servers: several servers are one limiter, as long as the store answers and after."""

import pathlib
import signal
import struct
import sys
import threading
import time
import unittest

from fleet import init
from servers import Cluster, Single, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from weir_server import PATIENCE_S, Server, Trouble, request  # noqa: E402

HOUR = 3600 * 1000


def decided(client, *words):
    """WEIR.DECIDE, as a dict."""
    answer = client.ask("WEIR.DECIDE", *words)
    if isinstance(answer, Trouble):
        raise AssertionError(f"{words}: {answer}")
    return {name.decode(): value if isinstance(value, int) else value.decode()
            for name, value in zip(answer[::2], answer[1::2])}


def info(client, section):
    text = client.ask("INFO", section).decode()
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: int(value) if value.isdigit() else value for name, value in lines}


class Serve(unittest.TestCase):
    def setUp(self):
        self.site = Single()
        self.addCleanup(self.site.__exit__)
        init(self.site.url)

    def server(self, *options):
        server = Server("--store", self.site.url, "--policy", "closed", *options)
        self.addCleanup(server.stop)
        client = server.connect()
        self.addCleanup(client.close)
        wait_for("a decision", lambda: "why" not in decided(client, "nobody", 1, HOUR, "PEEK"))
        return server, client

    def test_servers_share_a_limit(self):
        clients = [self.server("--nodes", "3")[1] for _ in range(3)]
        allowed = sum(clients[i % 3].ask("WEIR.ALLOW", "ann", 60, HOUR) for i in range(300))
        # What one has in hand when the others are refused is asked for, or given back.
        def all_is_used():
            nonlocal allowed
            allowed += sum(c.ask("WEIR.ALLOW", "ann", 60, HOUR) for c in clients)
            return allowed >= 60
        wait_for("all that an hour admits", all_is_used)
        for _ in range(20):
            all_is_used()
        self.assertEqual(allowed, 60)

    def test_an_answer_says_who_decided(self):
        _, client = self.server()
        first = decided(client, "ann", 100, HOUR)
        self.assertEqual((first["allowed"], first["remaining"], first["how"]), (1, 99, "store"))
        hows = {decided(client, "ann", 100, HOUR)["how"] for _ in range(99)}
        self.assertLessEqual(hows, {"store", "lease"})
        self.assertIn("lease", hows)
        last = decided(client, "ann", 100, HOUR)
        self.assertEqual((last["allowed"], last["remaining"]), (0, 0))
        self.assertGreater(last["retry_after_ms"], 0)
        self.assertEqual(decided(client, "ann", 100, HOUR)["how"], "cached")

    def test_commands_that_are_more_than_a_decision(self):
        _, client = self.server()
        _, other = self.server()
        self.assertEqual(client.ask("WEIR.ALLOW", "ann", 1, HOUR), 1)
        self.assertEqual(other.ask("WEIR.ALLOW", "ann", 1, HOUR), 0)
        self.assertEqual(client.ask("WEIR.RESET", "ann", HOUR), "OK")
        self.assertEqual(client.ask("WEIR.ALLOW", "ann", 1, HOUR), 1)
        self.assertIn("strict windows only", client.ask("CL.THROTTLE", "ann", 1, 2, 3))
        self.assertEqual(decided(client, "ann", 1, HOUR, "PEEK")["allowed"], 0)
        self.assertGreater(info(client, "store")["store_trips"], 0)

    def test_a_reset_forgets_what_another_version_has_written(self):
        _, client = self.server()
        self.assertEqual(client.ask("WEIR.ALLOW", "ann", 1, HOUR), 1)
        (key,) = [k for k in self.site.one.must("KEYS", "weir:{0}:*") if not k.endswith((b":day", b":fortnight"))]
        self.site.one.must("SET", key, "a record of another format, which is longer than a user's head", "PX", HOUR)
        self.assertEqual(client.ask("WEIR.RESET", "ann", HOUR), "OK")
        again = decided(client, "ann", 1, HOUR)
        self.assertEqual((again["allowed"], again["how"]), (1, "store"))

    def test_a_server_that_starts_anew_keeps_the_clock_going_for_what_is_owed(self):
        """Nobody asks it for anything: else permits of the one before would not age."""
        server, client = self.server()
        self.assertEqual(client.ask("WEIR.ALLOW", "ann", 1, HOUR), 1)
        server.stop()
        def clock():
            return struct.unpack_from("<d", self.site.one.ask("GET", "weir:{0}"), 8)[0]
        with Server("--store", self.site.url, "--policy", "closed"):
            before = clock()
            wait_for("a second of the store's clock", lambda: clock() > before + 1000000)

    def test_a_store_that_was_not_said_to_be_new(self):
        with Single() as site, Server("--store", site.url, "--policy", "closed") as server, server.connect() as client:
            self.assertIn("if it is new, say so with weir init", server.process.stderr.readline())
            first = wait_for("a denial", lambda: (d := decided(client, "ann", 100, HOUR))["how"] == "store" and d)
            self.assertEqual((first["allowed"], first["remaining"]), (0, 0))
            self.assertGreater(first["retry_after_ms"], HOUR)
            init(site.url)
            self.assertEqual(wait_for("a permit", lambda: (d := decided(client, "bob", 100, HOUR))["allowed"] and d)["remaining"], 99)

    def test_a_store_that_lost_its_past_is_not_new(self):
        _, client = self.server()
        self.assertEqual(client.ask("WEIR.ALLOW", "ann", 1, HOUR), 1)
        self.assertEqual(init(self.site.url), "nothing to do: this store gives permits already\n")
        self.site.one.must("FLUSHALL")
        wait_for("a question", lambda: self.site.one.ask("EXISTS", "weir:{0}") == 1)
        self.assertIn("left as it is: this store is in use, and does not know what", init(self.site.url))
        for user in "ann", "bob":
            wait_for("a denial", lambda u=user: (d := decided(client, u, 1, HOUR))["how"] == "store" and not d["allowed"])

    def test_a_past_that_was_slept_away_is_missed_before_anybody_else_asks(self):
        """A server that was off for four days while permits were out: it tells so only to who steps its clock."""
        day_us = 24 * 3600 * 1000000
        now_us, clock_us = time.time_ns() // 1000, 100 * day_us

        def write(server_us, born_us=clock_us - 50 * day_us, long_born_us=0):
            self.site.one.must("SET", "weir:{0}:day", "")
            self.site.one.must("SET", "weir:{0}:fortnight", "")
            self.site.one.must("SET", "weir:{0}", struct.pack("<12d", 0, clock_us, server_us, clock_us, born_us, 0, 7,
                                                              clock_us + day_us, 0, long_born_us, 0, 0))
        write(now_us - 4 * day_us)
        self.assertRegex(init(self.site.url), "left as it is: this store is in use, and does not know what was granted before now: "
                         ".* are denied, but for those of a week and more, of which it knows all\n")
        write(now_us)
        self.assertEqual(init(self.site.url), "nothing to do: this store gives permits already\n")
        for long_born_us, known in (clock_us - 50 * day_us, "50d"), (clock_us - 20 * day_us, "20d"), (clock_us - 2 * day_us, "2d"):
            write(now_us, clock_us - 60 * day_us, long_born_us)
            self.assertRegex(init(self.site.url), f"^nothing to do: .* already; it does not know .* the last {known}: limits .* denied\n$")
        write(now_us, clock_us - day_us // 24, clock_us - 20 * day_us)
        self.assertRegex(init(self.site.url), "^left as it is: .* the last 1h: limits .* denied, but for .*, of which it knows the last 20d\n$")

    def test_a_long_pipeline_takes_few_trips(self):
        _, client = self.server()
        count = 10000
        before = info(client, "store")["store_trips"]
        sender = threading.Thread(target=client.send, args=(request("WEIR.ALLOW", "ann", count // 2, HOUR) * count,))
        sender.start()
        answers = [client.reply() for _ in range(count)]
        sender.join()
        self.assertEqual(sum(answers), count // 2)
        self.assertLess(info(client, "store")["store_trips"] - before, count // 10)

    def test_a_store_that_is_silent_keeps_nobody_waiting(self):
        server, client = self.server("--deadline", "30ms")
        wait_for("permits in hand", lambda: decided(client, "held", 100000, HOUR)["how"] == "lease"
                 and info(client, "store")["store_permits"] > 50)
        self.site.one.pause()
        self.assertEqual(decided(client, "held", 100000, HOUR)["how"], "lease")
        late = decided(client, "ann", 5, HOUR)
        self.assertEqual((late["allowed"], late["how"]), (0, "closed"))
        self.assertIn("store", late["why"])
        wait_for("a breaker", lambda: decided(client, "ann", 5, HOUR)["allowed"]
                 or info(client, "store")["store_shards_cut"] == 1)
        self.assertGreater(info(client, "store")["store_degraded"], 0)
        self.assertEqual(client.ask("PING"), "PONG")
        self.site.one.resume()
        back = wait_for("the store again", lambda: (d := decided(client, "ann", 5, HOUR))["how"] == "store" and d)
        self.assertEqual(back["allowed"], 1)

    def test_what_is_wrong_with_the_store_is_told_until_it_is_over(self):
        _, client = self.server()
        wait_for("no trouble", lambda: info(client, "store")["store_trouble"] == "")
        self.site.one.must("CONFIG", "SET", "requirepass", "first")
        with self.site.one.connect() as ours:
            ours.ask("AUTH", "first")
            ours.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            wait_for("a reason", lambda: decided(client, "ann", 5, HOUR) and "asks for a password" in
                     info(client, "store")["store_trouble"])
            ours.ask("CONFIG", "SET", "requirepass", "")
        wait_for("an end of it", lambda: info(client, "store")["store_trouble"] == "")

    def test_trouble_of_one_connection_is_not_hidden_by_the_other(self):
        """Nothing is confirmed, and the beats, which wait for no replica, are answered many times a second."""
        unconfirmed = "the replicas do not confirm in time; see weir doctor"
        with Server("--store", self.site.url + "?replicas=1", "--policy", "closed") as server, server.connect() as client:
            def trouble():
                decided(client, "ann", 5, 1000)
                return info(client, "store")["store_trouble"]
            def scripts():
                calls = self.site.one.info("commandstats")["cmdstat_evalsha"]
                return int(calls.partition("calls=")[2].partition(",")[0])
            wait_for("a reason", lambda: trouble() == unconfirmed)
            told = set()
            for _ in range(20):
                trouble()
                before = scripts()
                wait_for("beats", lambda n=before: scripts() > n + 3)
                told.add(info(client, "store")["store_trouble"])
            # A server on a busy machine is late, too, and given up for it: that is as true, and may be newer.
            silent = {"the server did not answer in time", "the server cannot be reached",
                      "the connection ended before the answer came"}
            self.assertLessEqual(told, silent | {unconfirmed})
            wait_for("the reason still", lambda: trouble() == unconfirmed)

    def test_it_starts_and_ends_without_its_store(self):
        self.site.one.kill()
        server = Server("--store", self.site.url, "--policy", "local", "--nodes", "4")
        try:
            with server.connect() as client:
                allowed = [decided(client, "ann", 40, HOUR) for _ in range(40)]
                self.assertEqual(sum(d["allowed"] for d in allowed), 10)
                self.assertEqual({d["how"] for d in allowed}, {"local"})
            self.site.one.start()
            init(self.site.url)
            with server.connect() as client:
                wait_for("the store", lambda: "why" not in decided(client, "bob", 40, HOUR))
            self.site.one.pause()
            with server.connect() as client:
                self.assertEqual(client.ask("PING"), "PONG")  # it was let in
                client.send(request("WEIR.DECIDE", "eve", 40, HOUR) * 10)
                server.process.send_signal(signal.SIGTERM)
                for _ in range(10):
                    self.assertEqual(len(client.reply()), 16)
            self.assertEqual(server.process.wait(PATIENCE_S), 0)
        finally:
            server.stop(signal.SIGKILL)

    def test_a_cluster_whose_primary_is_killed(self):
        with Cluster() as site:
            init(site.url)
            # A permit that a busy machine was slow to bring is one, too.
            url = site.url + "?replicas=1&policy=closed&nodes=1&round-trip=20ms"
            with Server("--store", url) as server, server.connect() as client:
                def wait_all_served(limit, window):
                    """Each user once. What was granted and came too late must not use up the limit."""
                    unserved = [f"user {i}" for i in range(100)]
                    def all_are_served():
                        client.send(b"".join(request("WEIR.DECIDE", u, limit, window) for u in unserved))
                        unserved[:] = [u for u in unserved if client.reply()[1] == 0]
                        return not unserved
                    wait_for("a permit for all", all_are_served, PATIENCE_S * 2)
                wait_all_served(1000000, HOUR)
                killed = site.primaries()[0]
                killed.kill()
                wait_for("another primary", lambda: len(site.primaries()) == 3)
                killed.start()  # or else no replica confirms what the new primary gives
                # Windows that nobody has permits of, and whose past is over soon.
                wait_all_served(10, 100)


if __name__ == "__main__":
    unittest.main()
