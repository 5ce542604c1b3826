# SPDX-License-Identifier: MIT
"""One real server, and all that it may say or do instead of answering."""

import os
import signal
import time
import unittest

from driver import Driver
from servers import IS_SLOW, OnOneServer, Single, Site, Trouble, in_step, wait_for

SOON_MS = 5000 if IS_SLOW else 2000  # for what must succeed
LATE_MS = 1000  # a deadline is kept if the answer came so soon after it: the machine may be busy


def exact(test, tally):
    """Each command that was taken was answered once, and in time."""
    ended = tally["executed"] + tally["not executed"] + tally["unknown"]
    test.assertEqual(ended, tally["submitted"], tally)
    test.assertEqual(tally["twice"], 0, tally)
    test.assertLess(tally["late_ms"], LATE_MS, tally)


def counted(server, keys):
    return sum(int(server.must("GET", f"load:{k}") or 0) for k in range(keys))


class Answers(OnOneServer):
    def test_commands_are_pipelined_and_stay_in_order(self):
        with Driver(self.site.url) as driver:
            tally = driver.ask("burst", 5000, 10 * SOON_MS)
            counts = driver.ask("counts")
        exact(self, tally)
        self.assertEqual(tally["REDIS_DONE"], 5000)
        self.assertEqual(tally["out_of_order"], 0)
        self.assertLess(counts["writes"], 2500, "many commands go in one write")
        self.assertEqual(counts["connects"], 1)

    def test_a_trip_that_waited_too_long_for_its_process_is_answered(self):
        with Driver(self.site.url) as driver:
            self.assertEqual(driver.ask("overdue", 100), {"served": True})

    def test_threads_count_exactly(self):
        with Driver(self.site.url, connections=3) as driver:
            tally = driver.ask("load", 4, 5, 1000, SOON_MS, 200)
        exact(self, tally)
        self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
        self.assertEqual(tally["out_of_order"], 0)
        self.assertEqual(counted(self.server, 20), tally["REDIS_DONE"])

    def test_forgotten_scripts_are_given_again_in_order(self):
        with Driver(self.site.url) as driver:
            driver.ask("ready", SOON_MS)
            driver.say("load", 2, 2, 1500, SOON_MS, 300)
            for _ in range(20):
                self.server.must("SCRIPT", "FLUSH")
                time.sleep(0.02)
            tally = driver.hear()
            counts = driver.ask("counts")
        exact(self, tally)
        self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
        self.assertEqual(tally["out_of_order"], 0)
        self.assertEqual(counted(self.server, 4), tally["REDIS_DONE"])
        self.assertGreater(counts["loads"], 1)
        self.assertLessEqual(counts["loads"], 21, "one load for all that were told")

    def test_forgotten_data_and_scripts_begin_anew(self):
        with Driver(self.site.url) as driver:
            self.assertEqual(driver.ask("add", "k", SOON_MS, 5)["reply"], 5)
            self.server.must("FLUSHALL")
            self.server.must("SCRIPT", "FLUSH")
            self.assertEqual(driver.ask("add", "k", SOON_MS, 5)["reply"], 5)

    def test_a_database_of_its_own(self):
        with Driver(self.site.url + "/3") as driver:
            driver.ask("add", "k", SOON_MS, 7)
        with self.server.connect() as client:
            self.assertIsNone(client.ask("GET", "k"))
            client.ask("SELECT", "3")
            self.assertEqual(client.ask("GET", "k"), b"7")

    def test_names_are_looked_up(self):
        with Driver(f"redis://localhost:{self.site.port}") as driver:
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)
        with Driver("redis://no.such.host.invalid") as driver:
            answer = driver.ask("ready", SOON_MS)
        self.assertEqual(answer["status"], "REDIS_UNREACHABLE")
        self.assertIn("the name no.such.host.invalid cannot be resolved", answer["problem"])

    def test_errors_of_the_script_are_told(self):
        self.server.must("SET", "k", "no number")
        with Driver(self.site.url) as driver:
            answer = driver.ask("add", "k", SOON_MS, 5)
        self.assertEqual(answer["status"], "REDIS_FAILED")
        self.assertIn("not an integer", answer["problem"])

    def test_more_than_the_queue_holds_is_refused(self):
        with Driver(self.site.url, commands_max=100) as driver:
            driver.ask("ready", SOON_MS)
            self.server.pause()
            try:
                tally = driver.ask("burst", 1000, 300)
            finally:
                self.server.resume()
            exact(self, tally)
            self.assertEqual(tally["refused"], {"REDIS_FULL": 900})
            self.assertEqual(tally["submitted"], 100)
            wait_for("room again", lambda: driver.ask("add", "k", SOON_MS, 1)["status"] == "REDIS_DONE")

    def test_a_child_is_told_that_it_is_one(self):
        with Driver(self.site.url) as driver:
            driver.ask("ready", SOON_MS)
            self.assertEqual(driver.ask("fork")["status"], "REDIS_FORKED")
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)

    def test_closing_answers_what_is_on_its_way(self):
        with Driver(self.site.url) as driver:
            driver.ask("leave", 1000, 500)
        self.assertEqual(self.server.must("GET", "left"), b"1000")
        self.server.pause()
        try:
            with Driver(self.site.url) as driver:
                driver.ask("leave", 1000, 200)
        finally:
            self.server.resume()

    def test_long_commands_go_whole_and_longer_ones_not_at_all(self):
        with Driver(self.site.url) as driver:
            for size in (1, 1000, 60_000):
                self.assertEqual(driver.ask("call", "k", SOON_MS, "SET", "k", "x" * size)["reply"], "OK")
                self.assertEqual(len(driver.ask("call", "k", SOON_MS, "GET", "k")["reply"]), size)
            answer = driver.ask("call", "k", SOON_MS, "SET", "k", "x" * 66_000)
            self.assertEqual(answer["status"], "REDIS_BAD_COMMAND")


class Faults(unittest.TestCase):
    def test_a_silent_server_is_noticed_and_found_again(self):
        with Single() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            site.one.pause()
            first = driver.ask("add", "k", 100, 1)
            self.assertEqual((first["status"], first["fate"]), ("REDIS_LATE", "unknown"), first)
            self.assertLess(first["took_ms"], 100 + LATE_MS)
            tally = driver.ask("load", 1, 1, 1500, 20, 10)
            exact(self, tally)
            self.assertNotIn("REDIS_DONE", tally)
            self.assertGreater(tally["REDIS_UNREACHABLE"], 0, "nobody is let wait any longer")
            answer = driver.ask("add", "k", SOON_MS, 1)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREACHABLE", "not executed"))
            self.assertRegex(answer["problem"], "silent|does not answer")
            self.assertLess(driver.ask("counts")["connects"], 30, "no storm of attempts")
            site.one.resume()
            wait_for("the server again", lambda: driver.ask("add", "again", SOON_MS, 1)["status"] == "REDIS_DONE")
            value = int(site.one.must("GET", "load:0") or 0)
            self.assertLessEqual(value, tally["unknown"], "what was 'not executed' never is")

    def test_a_short_pause_costs_no_connection(self):
        with Single() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            driver.ask("add", "k", SOON_MS, 1)
            driver.say("burst", 300, 100)
            site.one.must("DEBUG", "SLEEP", "0.15")
            exact(self, driver.hear())
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 2)
            self.assertEqual(driver.ask("counts")["connects"], 1)

    def test_a_process_that_slept_blames_nobody(self):
        """What the server answered meanwhile is read before its silence is counted."""
        with Single() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            for _ in range(5):
                driver.say("load", 2, 2, 400, 60_000, 400)
                time.sleep(0.2)
                os.kill(driver.process.pid, signal.SIGSTOP)
                time.sleep(1.3)
                os.kill(driver.process.pid, signal.SIGCONT)
                tally = driver.hear()
                self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
            self.assertEqual(driver.ask("counts")["losses"], 0)

    def test_a_killed_server_that_comes_back(self):
        with Single(config=["appendonly yes", "appendfsync always"]) as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            driver.say("load", 2, 1, 3000, 500, 50)
            wait_for("some load", lambda: int(site.one.ask("GET", "load:0") or 0) > 100)
            site.one.kill()
            site.one.start()
            tally = driver.hear()
            exact(self, tally)
            self.assertGreater(tally["REDIS_DONE"], 100, tally)
            total = counted(site.one, 2)
            self.assertGreaterEqual(total, tally["REDIS_DONE"], tally)
            self.assertLessEqual(total, tally["REDIS_DONE"] + tally["unknown"], tally)

    def test_nobody_there(self):
        with Site() as _, Driver("redis://127.0.0.1:1") as driver:
            answer = driver.ask("ready", SOON_MS)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREACHABLE", "not executed"))
            self.assertIn("127.0.0.1:1: Connection refused", answer["problem"])
            self.assertLess(answer["took_ms"], SOON_MS)

    def test_passwords(self):
        with Single(password="sesame") as site:
            for login, text in (("", "asks for a password"), (":wrong@", "does not accept"),
                                ("nobody:sesame@", "does not accept")):
                with Driver(f"redis://{login}127.0.0.1:{site.port}") as driver:
                    answer = driver.ask("add", "k", SOON_MS, 1)
                    self.assertEqual((answer["status"], answer["fate"]), ("REDIS_REFUSED", "not executed"))
                    self.assertIn(text, answer["problem"])
                    self.assertNotIn("sesame", answer["problem"])
                    self.assertLess(answer["took_ms"], SOON_MS, "at once, and not at the deadline")
            with Driver(f"redis://:sesame@127.0.0.1:{site.port}") as driver:
                self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)

    def test_users_and_what_they_may(self):
        with Single() as site:
            may = ["+ping", "+evalsha", "+incrby", "+script|load"]
            for name, rights in (("whole", ["~*", *may]), ("no_keys", ["~other:*", *may]),
                                 ("no_load", ["~*", "+ping", "+evalsha", "+incrby"]),
                                 ("no_scripts", ["~*", "+ping", "+script|load"])):
                site.one.must("ACL", "SETUSER", name, "on", ">pass", *rights)
            for name in ("no_load", "no_scripts", "no_keys", "whole"):
                with Driver(f"redis://{name}:pass@127.0.0.1:{site.port}") as driver:
                    answer = driver.ask("add", "k", SOON_MS, 1)
                    if name == "whole":
                        self.assertEqual(answer["reply"], 1)
                        continue
                    self.assertEqual((answer["status"], answer["fate"]), ("REDIS_REFUSED", "not executed"), name)
                    self.assertIn("may not run this command or touch this key", answer["problem"])
                    self.assertIn("NOPERM", answer["problem"])

    def test_full_memory_refuses_and_heals(self):
        with Single() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            site.one.must("CONFIG", "SET", "maxmemory", "1")
            answer = driver.ask("add", "k", SOON_MS, 1)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_REFUSED", "not executed"))
            self.assertIn("maxmemory", answer["problem"])
            site.one.must("CONFIG", "SET", "maxmemory", "0")
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)

    def test_a_disk_that_fails_refuses_and_heals(self):
        with Single() as site, Driver(site.url) as driver:
            one = site.one
            driver.ask("ready", SOON_MS)
            (one.folder / "dump.rdb").mkdir()
            one.must("CONFIG", "SET", "save", "3600 1")
            one.must("SET", "x", "y")
            one.must("BGSAVE")
            wait_for("a failed save", lambda: one.info("persistence")["rdb_last_bgsave_status"] == "err")
            answer = driver.ask("add", "k", SOON_MS, 1)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_REFUSED", "not executed"))
            self.assertIn("cannot write to its disk", answer["problem"])
            (one.folder / "dump.rdb").rmdir()
            one.must("SAVE")
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)

    def test_a_server_that_still_loads(self):
        with Single(config=["key-load-delay 200", "loading-process-events-interval-bytes 1024"]) as site:
            site.one.must("DEBUG", "POPULATE", "20000")
            site.one.must("SAVE")
            with Driver(site.url) as driver:
                self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)
                site.one.kill()
                site.one.start(is_waited_for=False)
                answer = wait_for("a server that loads", lambda: (
                    lambda a: a if "reads its data from disk" in a["problem"] else None)(driver.ask("add", "k", 500, 1)))
                self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREADY", "not executed"))
                wait_for("the server again", lambda: driver.ask("add", "k", 500, 1)["status"] == "REDIS_DONE")

    def test_a_server_that_is_busy_with_a_script(self):
        with Single(config=["busy-reply-threshold 50"]) as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            with site.one.connect() as client:
                client.send(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
                wait_for("a busy server", lambda: str(site.one.ask("PING")).startswith("BUSY"))
                # It is asked again until the deadline; what is on its way just then is late.
                answer = wait_for("an answer of a busy server", lambda: (
                    lambda a: a if "a script has been running for too long" in a["problem"] else None)(
                        driver.ask("add", "k", 500, 1)))
                self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREADY", "not executed"), answer)
                site.one.must("SCRIPT", "KILL")
                self.assertIsInstance(client.reply(), Trouble)
            wait_for("the server again", lambda: driver.ask("add", "k", SOON_MS, 1)["status"] == "REDIS_DONE")

    def test_a_replica_takes_no_writes_until_it_is_promoted(self):
        with Site() as site:
            primary = site.server()
            replica = site.server(config=[f"replicaof 127.0.0.1 {primary.port}"])
            wait_for("a replica", lambda: replica.info("replication").get("master_link_status") == "up")
            with Driver(f"redis://127.0.0.1:{replica.port}") as driver:
                answer = driver.ask("add", "k", 500, 1)
                self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREADY", "not executed"), answer)
                self.assertIn("is a replica and takes no writes", answer["problem"])
                self.assertLess(driver.ask("counts")["connects"], 200)
                replica.must("REPLICAOF", "NO", "ONE")
                wait_for("a primary", lambda: driver.ask("add", "k", SOON_MS, 1)["status"] == "REDIS_DONE")

    def test_a_replica_that_has_lost_its_primary(self):
        with Single(config=["replica-serve-stale-data no"]) as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            site.one.must("REPLICAOF", "127.0.0.1", "1")
            answer = driver.ask("add", "k", 500, 1)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREADY", "not executed"), answer)
            self.assertIn("lost its primary", answer["problem"])
            site.one.must("REPLICAOF", "NO", "ONE")
            wait_for("a primary", lambda: driver.ask("add", "k", SOON_MS, 1)["status"] == "REDIS_DONE")

    def test_too_few_replicas_to_write(self):
        with Single() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            site.one.must("CONFIG", "SET", "min-replicas-to-write", "1")
            answer = driver.ask("add", "k", 200, 1)
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREADY", "not executed"))
            self.assertIn("min-replicas-to-write", answer["problem"])
            site.one.must("CONFIG", "SET", "min-replicas-to-write", "0")
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)

    def test_too_many_clients(self):
        with Single(config=["maxclients 10"]) as site:
            crowd = []
            for _ in range(10):
                crowd.append(site.one.connect())
                crowd[-1].ask("PING")
            with Driver(site.url) as driver:
                answer = driver.ask("add", "k", 300, 1)
                self.assertEqual(answer["fate"], "not executed")
                self.assertIn("maxclients", answer["problem"])
                for client in crowd:
                    client.close()
                wait_for("room", lambda: driver.ask("add", "k", SOON_MS, 1)["status"] == "REDIS_DONE")

    def is_behind(self, driver):
        driver.ask("add", "k", 20, 0)
        answer = driver.ask("add", "k", 20, 0)
        return answer["status"] == "REDIS_LATE" and "those before it wait for replicas" in answer["problem"]

    def is_sent_behind(self, driver, replica):
        """Where replicas have confirmed soon, the next batch is sent before the last one is confirmed."""
        driver.ask("add", "k", SOON_MS, 1)
        replica.pause()
        driver.ask("leave", 1, SOON_MS)
        answer = driver.ask("add", "k", 50, 0)
        replica.resume()
        return answer["fate"] == "unknown" and answer["behind"]

    def test_answers_wait_for_replicas_and_say_whether_they_have_them(self):
        with Site() as site:
            primary = site.server()
            replica = site.server(config=[f"replicaof 127.0.0.1 {primary.port}"])
            in_step(primary, [replica])
            url = f"redis://127.0.0.1:{primary.port}"
            # A busy replica is one all the same.
            with Driver(url, replicas=1, replicas_ms=10 * SOON_MS, connect_ms=20 * SOON_MS) as driver:
                tally = driver.ask("load", 2, 2, 1000, 10 * SOON_MS, 100)
                counts = driver.ask("counts")
                exact(self, tally)
                self.assertEqual(tally["confirmed"], tally["submitted"], tally)
                self.assertEqual(tally["out_of_order"], 0)
                self.assertEqual(counted(replica, 4), tally["REDIS_DONE"])
                self.assertLess(counts["waits"], tally["submitted"] / 4, "one WAIT for many commands")
            with Driver(url, replicas=1, replicas_ms=400) as driver:
                driver.ask("ready", SOON_MS)
                replica.pause()
                answer = driver.ask("add", "k", SOON_MS, 1)
                self.assertEqual((answer["reply"], answer["confirmed"]), (1, False))
                answer = driver.ask("add", "k", 100, 1)
                self.assertEqual((answer["reply"], answer["confirmed"]), (2, False), "the deadline is before the WAIT's end")
                wait_for("a command behind those that wait", lambda: self.is_behind(driver))
                replica.resume()
                wait_for("confirmation", lambda: driver.ask("add", "k", SOON_MS, 1)["confirmed"])
                wait_for("a command that was sent behind those that wait", lambda: self.is_sent_behind(driver, replica))


if __name__ == "__main__":
    unittest.main(verbosity=2)
