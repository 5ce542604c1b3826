# SPDX-License-Identifier: MIT
"""weir doctor on real servers: each set-up gets the promise that it deserves, and the exit code of it."""

import json
import os
import subprocess
import tempfile
import unittest

from servers import Certificates, Cluster, Single, Site, Watched, in_step

BINARY = os.environ["WEIR_BIN"]
SAFE = ["appendonly yes", "appendfsync always"]


def doctor(*words, env=None):
    run = subprocess.run([BINARY, "doctor", *map(str, words)], capture_output=True, text=True, check=False, timeout=120,
                         env={**os.environ, **(env or {})})
    return run.returncode, run.stdout, run.stderr


def examined(*words):
    """The promise, and the findings that are not fine. How busy the machine is makes none."""
    url, *options = words
    joint = "&" if "?" in url else "?"
    code, out, errors = doctor("--json", f"{url}{joint}round-trip=1s", *options)
    assert errors == "", errors
    said = json.loads(out)
    return code, said["promise"], {f["name"] for f in said["findings"] if f["level"] != "strict"}, said["findings"]


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
                             " +-> say a larger round-trip")
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

            def init(store):
                run = subprocess.run([BINARY, "init", store], capture_output=True, text=True, check=False, timeout=60)
                return run.returncode, run.stdout, run.stderr
            for _ in range(2):
                code, out, errors = init(url)
                self.assertEqual((code, out), (3, ""), "the second time, too")
                self.assertIn("did not confirm", errors)
            self.assertEqual(init(whole)[0], 0)
            replica.pause()
            said = json.loads(doctor("--json", whole)[1])
            self.assertEqual({f["level"] for f in said["findings"] if f["name"] == "waiting"}, {"strict and idle"})

    def test_a_user_who_may_not_look(self):
        with Single(config=SAFE) as site:
            site.one.must("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+ping", "+evalsha", "+script|load", "+set", "+time",
                          "+info")
            code, promise, findings, _ = examined(f"redis://ann:pw@127.0.0.1:{site.port}")
            self.assertEqual((code, promise, findings), (1, "strict until failover", {"disk", "eviction"}))
            site.one.must("ACL", "SETUSER", "ann", "-evalsha")
            code, promise, findings, all_of_it = examined(f"redis://ann:pw@127.0.0.1:{site.port}")
            self.assertEqual((code, promise), (1, "not strict"))
            self.assertIn("NOPERM", next(f["value"] for f in all_of_it if f["name"] == "scripts"))

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

    def test_tls(self):
        with tempfile.TemporaryDirectory(prefix="weir-tls.") as folder:
            made = Certificates(folder)
            with Single(tls=made, config=SAFE) as site:
                url = f"rediss://127.0.0.1:{site.port}"
                self.assertEqual(examined(url, "--ca-file", made.ca)[0], 0)
                code, out, errors = doctor(url, "--ca-file", made.other_ca)
                self.assertEqual((code, out), (3, ""))
                self.assertIn("certificate is not accepted", errors)

    def test_what_cannot_be_asked(self):
        code, out, errors = doctor("redis://127.0.0.1:1")
        self.assertEqual((code, out), (3, ""))
        self.assertIn("127.0.0.1:1: Connection refused", errors)
        for url in ("file:/tmp/x", "redis://u:secret@", "redis://h/x"):
            code, out, errors = doctor(url)
            self.assertEqual((code, out), (2, ""), errors)
            self.assertNotIn("secret", errors)


if __name__ == "__main__":
    unittest.main(verbosity=2)
