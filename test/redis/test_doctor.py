# SPDX-License-Identifier: MIT
"""weir doctor on real servers: each set-up gets the promise that it deserves, and the exit code of it."""

import json
import os
import subprocess
import tempfile
import unittest

from servers import Certificates, Cluster, Single, Watched

BINARY = os.environ["WEIR_BIN"]
SAFE = ["appendonly yes", "appendfsync always"]


def doctor(*words, env=None):
    run = subprocess.run([BINARY, "doctor", *map(str, words)], capture_output=True, text=True, check=False, timeout=120,
                         env={**os.environ, **(env or {})})
    return run.returncode, run.stdout, run.stderr


def examined(*words):
    """The promise, and the findings that are not fine."""
    code, out, errors = doctor("--json", *words)
    assert errors == "", errors
    said = json.loads(out)
    return code, said["promise"], {f["name"] for f in said["findings"] if f["level"] != "strict"}, said["findings"]


class Doctor(unittest.TestCase):
    def test_one_server(self):
        with Single(config=SAFE) as site:
            self.assertEqual(examined(site.url)[:3], (0, "strict", set()))
            code, out, _ = doctor(env={"WEIR_STORE": site.url})
            self.assertEqual(code, 0)
            self.assertRegex(out.splitlines()[-1], "^strict: ")
            site.one.must("CONFIG", "SET", "appendfsync", "everysec")
            self.assertEqual(examined(site.url)[:3], (1, "strict until failover", {"disk"}))
            site.one.must("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            self.assertEqual(examined(site.url)[:3], (1, "not strict", {"disk", "eviction"}))

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
