# SPDX-License-Identifier: MIT
"""weir doctor on real servers: each set-up gets the promise that it deserves, and the exit code of it."""

import contextlib
import json
import os
import queue
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from servers import Certificates, Cluster, Single, Site, Watched, free_port, in_step, wait_for

BINARY = os.environ["WEIR_BIN"]
SAFE = ["appendonly yes", "appendfsync always"]


def doctor(*words, env=None):
    run = subprocess.run([BINARY, "doctor", *map(str, words)], capture_output=True, text=True, check=False, timeout=120,
                         env={**os.environ, **(env or {})})
    return run.returncode, run.stdout, run.stderr


def init(store):
    run = subprocess.run([BINARY, "init", store], capture_output=True, text=True, check=False, timeout=60)
    return run.returncode, run.stdout, run.stderr


# What docs/redis.md says that a user needs.
MAY_USE = ["+ping", "+evalsha", "+script|load", "+time", "+mget", "+set", "+del"]


def examined(*words, is_new=True):
    """The promise, and the findings that are not fine. How busy the machine is makes none, nor that nobody has said
    that the store is new, where whoever asks may say so."""
    url, *options = words
    joint = "&" if "?" in url else "?"
    if is_new:
        init(url)
    code, out, errors = doctor("--json", f"{url}{joint}round-trip=1s", *options)
    assert errors == "", errors
    said = json.loads(out)
    return code, said["promise"], {f["name"] for f in said["findings"] if f["level"] != "strict"}, said["findings"]


class Delay:
    """Passes bytes on between whoever connects and a port, each way later by some seconds."""

    def __init__(self, port):
        self.seconds = 0
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(port,), daemon=True).start()

    def accept(self, port):
        while True:
            ends = [self.listener.accept()[0]]
            try:
                ends.append(socket.create_connection(("127.0.0.1", port)))
            except OSError:
                ends[0].close()
                continue
            for source, target in ends, ends[::-1]:
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line = queue.Queue()
                threading.Thread(target=self.read, args=(source, line), daemon=True).start()
                threading.Thread(target=self.write, args=(target, line), daemon=True).start()

    def read(self, source, line):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                line.put((time.monotonic() + self.seconds, data))
        line.put((0, b""))

    def write(self, target, line):
        with contextlib.suppress(OSError):
            while (item := line.get())[1]:
                time.sleep(max(0, item[0] - time.monotonic()))
                target.sendall(item[1])
            target.shutdown(socket.SHUT_WR)


def far_replica(site):
    """A primary, and how far away its replica is."""
    primary = site.server(config=[*SAFE, "min-replicas-to-write 1"])
    delay = Delay(primary.port)
    replica = site.server(config=[*SAFE, f"replicaof 127.0.0.1 {delay.port}"])
    in_step(primary, [replica])
    assert init(f"redis://127.0.0.1:{primary.port}")[0] == 0
    return primary, delay


class Doctor(unittest.TestCase):
    def test_one_server(self):
        with Single(config=SAFE) as site:
            self.assertEqual(examined(site.url)[:3], (0, "strict", set()))
            code, out, _ = doctor(env={"WEIR_STORE": f"{site.url}?round-trip=1s"})
            self.assertEqual(code, 0)
            self.assertRegex(out.splitlines()[-1], "^strict: ")
            site.one.must("CONFIG", "SET", "appendfsync", "everysec")
            self.assertEqual(examined(site.url)[:3], (1, "strict until failover", {"disk"}))
            site.one.must("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            self.assertEqual(examined(site.url)[:3], (1, "not strict", {"disk", "eviction"}))

    def test_a_store_that_does_not_know_what_was_granted(self):
        with Single(config=SAFE) as site:
            self.assertEqual(examined(site.url, is_new=False)[:3], (1, "strict and idle", {"past"}))
            self.assertEqual(examined(site.url)[:3], (0, "strict", set()))
            site.one.must("FLUSHALL")
            code, promise, findings, all_of_it = examined(site.url, is_new=False)
            self.assertEqual((code, promise, findings), (1, "strict and idle", {"past"}))
            self.assertIn("weir init", next(f["remedy"] for f in all_of_it if f["name"] == "past"))

    def test_what_gives_no_permits_although_it_is_strict(self):
        with Watched() as site:
            self.assertIn("waiting", examined(site.url, "--replicas", "3")[2])
            _, _, _, all_of_it = examined(site.url, "--replicas", "3")
            self.assertEqual({f["level"] for f in all_of_it if f["name"] == "waiting"}, {"strict and idle"})
        with Single(config=SAFE) as site:
            self.assertEqual(examined(site.url, "--replicas", "1")[:3], (1, "strict and idle", {"replicas"}))
            code, out, _ = doctor(f"{site.url}?round-trip=1us")
            self.assertEqual(code, 1)
            self.assertRegex(out, "- round trip .*; the URL says 1us: in any window most permits come too late\n"
                             " +-> say round-trip=[0-9]+[um]s in the URL")
            self.assertRegex(out.splitlines()[-1], "^strict, but .*marked - ")
        with Single() as site:
            code, out, _ = doctor(site.url, "--replicas", "3")
            self.assertEqual(code, 1)
            self.assertRegex(out.splitlines()[-2], "^strict until .*marked ! ")
            self.assertRegex(out.splitlines()[-1], "^limits will deny .*marked - ")
            said = json.loads(doctor(site.url, "--replicas", "3", "--json")[1])
            self.assertEqual((said["promise"], said["idle"]), ("strict until failover", True))

    def test_replicas_that_do_not_confirm(self):
        with Site() as site:
            primary = site.server(config=[*SAFE, "min-replicas-to-write 1"])
            replica = site.server(config=[*SAFE, f"replicaof 127.0.0.1 {primary.port}"])
            in_step(primary, [replica])
            primary.must("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-wait")
            whole, url = f"redis://127.0.0.1:{primary.port}?replicas=1", f"redis://ann:pw@127.0.0.1:{primary.port}?replicas=1"
            self.assertEqual(examined(whole)[:3], (0, "strict", set()))
            code, promise, findings, all_of_it = examined(url)
            self.assertEqual((code, promise, findings), (1, "strict and idle", {"waiting"}))
            self.assertIn("NOPERM", next(f["value"] for f in all_of_it if f["name"] == "waiting"))
            for _ in range(2):
                code, out, errors = init(url)
                self.assertEqual((code, out), (3, ""), "the second time, too")
                self.assertIn("did not confirm", errors)
            self.assertEqual(init(whole)[0], 0)
            replica.pause()
            said = json.loads(doctor("--json", whole)[1])
            self.assertEqual({f["level"] for f in said["findings"] if f["name"] == "waiting"}, {"strict and idle"})

    def test_a_replica_that_is_far_away(self):
        """What is measured is the replica, and not how long the URL would wait for it."""
        with Site() as site:
            primary, delay = far_replica(site)
            url = f"redis://127.0.0.1:{primary.port}?replicas=1"
            delay.seconds = 0.03
            code, out, _ = doctor("--json", url)
            said = json.loads(out)
            findings = {f["name"]: f for f in said["findings"]}
            self.assertEqual((code, said["promise"]), (1, "strict and idle"))
            for name in "waiting", "round trip":
                self.assertEqual(findings[name]["level"], "strict and idle")
                self.assertRegex(findings[name]["remedy"], "^say round-trip=[0-9]+ms in the URL")
            self.assertRegex(findings["waiting"]["value"], "of ([0-9]+) trips \\1 were confirmed after more than the URL's 10ms")
            advice = re.search("round-trip=([0-9]+)ms", out)
            self.assertGreaterEqual(int(advice[1]), 60)

            def is_fine():
                """Or, on a machine that is busy, there is newer advice."""
                nonlocal advice
                out = doctor("--json", f"{url}&{advice[0]}")[1]
                advice = re.search("round-trip=([0-9]+)m?s", out) or advice
                return json.loads(out)["promise"] == "strict"
            wait_for("an end of advice that is followed", is_fine)

    def test_a_replica_that_is_late_now_and_then(self):
        """Most are confirmed in time. What is not is no permit."""
        with Site() as site:
            primary, delay = far_replica(site)
            is_over = threading.Event()

            def wobble():
                while not is_over.wait(0.2):
                    delay.seconds = 0.03
                    is_over.wait(0.2)
                    delay.seconds = 0
            wobbling = threading.Thread(target=wobble)
            wobbling.start()
            try:
                code, out, _ = doctor("--json", f"redis://127.0.0.1:{primary.port}?replicas=1&round-trip=5ms")
            finally:
                is_over.set()
                wobbling.join()
            waiting = next(f for f in json.loads(out)["findings"] if f["name"] == "waiting")
            self.assertEqual((code, waiting["level"]), (1, "strict and idle"))
            trips, late = map(int, re.search("of ([0-9]+) trips ([0-9]+) were confirmed after", waiting["value"]).groups())
            self.assertTrue(0 < late < trips, waiting["value"])
            self.assertIn("say round-trip=", waiting["remedy"])

    def test_a_user_who_may_not_look(self):
        with Single(config=SAFE) as site:
            site.one.must("ACL", "SETUSER", "ann", "on", ">pw", "~weir:*", *MAY_USE, "+info")
            code, promise, findings, _ = examined(f"redis://ann:pw@127.0.0.1:{site.port}")
            self.assertEqual((code, promise, findings), (1, "strict until failover", {"disk", "eviction"}))
            site.one.must("ACL", "SETUSER", "ann", "-info")
            code, promise, findings, all_of_it = examined(f"redis://ann:pw@127.0.0.1:{site.port}")
            self.assertEqual((code, promise, findings),
                             (1, "strict until failover", {"disk", "eviction", "version", "role", "replicas"}))
            self.assertEqual({f["value"] for f in all_of_it if f["name"] in findings}, {"not told"})
            # That no permit would be confirmed was measured.
            site.one.must("ACL", "SETUSER", "ann", "+wait")
            code, out, _ = doctor("--json", f"redis://ann:pw@127.0.0.1:{site.port}?replicas=1")
            said = json.loads(out)
            self.assertEqual((code, said["promise"], said["idle"]), (1, "strict until failover", True))
            waiting = next(f for f in said["findings"] if f["name"] == "waiting")
            self.assertEqual((waiting["level"], waiting["value"]),
                             ("strict and idle", "weir waits for 1 of the replicas in vain: a second is not enough"))
            site.one.must("ACL", "SETUSER", "ann", "+info", "-evalsha")
            code, promise, findings, all_of_it = examined(f"redis://ann:pw@127.0.0.1:{site.port}")
            self.assertEqual((code, promise), (1, "not strict"))
            self.assertIn("NOPERM", next(f["value"] for f in all_of_it if f["name"] == "scripts"))

    def test_a_user_who_may_run_no_script_measures_nothing(self):
        with Site() as site:
            primary = site.server(config=[*SAFE, "min-replicas-to-write 1"])
            in_step(primary, [site.server(config=[*SAFE, f"replicaof 127.0.0.1 {primary.port}"])])
            primary.must("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-evalsha")
            code, promise, findings, all_of_it = examined(f"redis://ann:pw@127.0.0.1:{primary.port}?replicas=1")
            self.assertEqual((code, promise, findings), (1, "not strict", {"scripts"}))
            self.assertNotIn("round trip", {f["name"] for f in all_of_it})
            self.assertIn("is not known", next(f["value"] for f in all_of_it if f["name"] == "waiting"))

    def test_sentinels(self):
        with Watched() as site:
            for server in site.data:
                server.must("CONFIG", "SET", "appendonly", "yes")
                server.must("CONFIG", "SET", "appendfsync", "always")
            self.assertEqual(examined(site.url)[:3], (1, "strict until failover", {"waiting", "min-replicas"}))
            site.primary().must("CONFIG", "SET", "min-replicas-to-write", "1")
            self.assertEqual(examined(site.url, "--replicas", "2")[:3], (0, "strict", set()))

    def test_a_cluster(self):
        with Cluster() as site:
            code, _, findings, all_of_it = examined(site.url, "--replicas", "1")
            self.assertEqual((code, findings), (1, {"disk", "min-replicas"}))
            self.assertEqual(len([f for f in all_of_it if f["name"] == "role"]), 3, "each primary is looked at")
            for node in site.nodes:
                node.must("ACL", "SETUSER", "ann", "on", ">pw", "~weir:*", *MAY_USE, "+cluster|slots", "+asking")
            code, promise, findings, all_of_it = examined(site.url.replace("//", "//ann:pw@"))
            self.assertEqual((code, promise), (1, "strict until failover"))
            self.assertEqual(findings, {"cluster", "version", "role", "replicas", "disk", "eviction"})
            self.assertEqual({f["value"] for f in all_of_it if f["name"] in findings}, {"not told"})

    def test_tls(self):
        with tempfile.TemporaryDirectory(prefix="weir-tls.") as folder:
            made = Certificates(folder)
            with Single(tls=made, config=SAFE) as site:
                url = f"rediss://127.0.0.1:{site.port}"
                self.assertEqual(init(f"{url}?ca-file={made.ca}")[0], 0)
                self.assertEqual(examined(url, "--ca-file", made.ca)[0], 0)
                code, out, errors = doctor(url, "--ca-file", made.other_ca)
                self.assertEqual((code, out), (3, ""))
                self.assertIn("certificate is not accepted", errors)

    def test_what_cannot_be_asked(self):
        code, out, errors = doctor("redis://127.0.0.1:1")
        self.assertEqual((code, out), (3, ""))
        self.assertIn("127.0.0.1:1: Connection refused", errors)
        with Single() as site:
            here = f"127.0.0.1:{site.port}"
            code, out, errors = doctor(f"rediss://ann:secret@{here}")
            self.assertEqual((code, out), (3, ""))
            self.assertEqual(errors, f"weir doctor: {here}: it takes the connection, but does not answer; is TLS spoken there?\n")
            errors = doctor(f"redis+sentinel://{here}/x")[2]
            self.assertIn(f"{here}: the server is no Sentinel; use redis:// or redis+cluster://", errors)
        with Single(is_sentinel=True) as site:
            code, out, errors = doctor(site.url)
            self.assertEqual((code, out), (3, ""))
            self.assertIn("the server is a Sentinel; use redis+sentinel://", errors)
        for url in ("file:/tmp/x", "redis://u:secret@", "redis://h/x"):
            code, out, errors = doctor(url)
            self.assertEqual((code, out), (2, ""), errors)
            self.assertNotIn("secret", errors)


if __name__ == "__main__":
    unittest.main(verbosity=2)
