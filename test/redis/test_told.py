# SPDX-License-Identifier: MIT
"""What a person is told of a Redis store that cannot be used: the cause, where, and what to do, and no password."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

from servers import Cluster, Single, free_port, wait_for
from test_hostile import Fake

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from weir_server import Server  # noqa: E402

BINARY = os.environ["WEIR_BIN"]
LONG_S = 90
LATE = r"^(allowed|denied) by this process alone: the store (did not answer before|has not answered for a while)"


def weir(*words, store=None):
    environment = os.environ | ({"WEIR_STORE": store} if store else {})
    ran = subprocess.run([BINARY, *words], capture_output=True, text=True, check=False, timeout=LONG_S, env=environment)
    return ran.returncode, ran.stdout, ran.stderr


def refuses(said):
    """Says it to whatever comes."""
    def talk(plug):
        while plug.recv(65536):
            plug.sendall(f"-{said}\r\n".encode())
    return talk


class Told(unittest.TestCase):
    def site(self, **options):
        site = Single(**options)
        self.addCleanup(site.__exit__)
        return site

    def is_told_by_all(self, url, cause):
        """By allow, init and doctor."""
        code, out, errors = weir("allow", "ann", "3/10s", store=url)
        self.assertRegex(out, LATE)
        self.assertRegex(errors, rf"^weir allow: trouble with the store: .*{cause}.*; weir doctor URL looks closer\n$")
        self.assertEqual(code, 0, errors)
        self.assertNotIn("hidden", out + errors)
        code, out, errors = weir("init", url)
        self.assertEqual((code, out), (3, ""))
        self.assertRegex(errors, f"^weir init: .*{cause}")
        self.assertNotIn("hidden", errors)
        code, out, errors = weir("doctor", url)
        self.assertNotIn("hidden", out + errors)
        self.assertEqual((code, out), (3, ""))
        self.assertRegex(errors, f"^weir doctor: .*{cause}")

    def test_a_login_that_is_not_accepted(self):
        site = self.site(password="right")
        here = f"127.0.0.1:{site.port}"
        self.is_told_by_all(f"redis://ann:hidden@{here}",
                            f"{here}: the server does not accept the user and password of the URL")
        self.is_told_by_all(f"redis://{here}", f"{here}: the server asks for a password: put user:password@")

    def test_a_login_is_not_repeated_by_a_server_that_knows_none(self):
        site = self.site(config=["rename-command AUTH nobody"])
        self.is_told_by_all(f"redis://ann:hidden@127.0.0.1:{site.port}",
                            f"127.0.0.1:{site.port}: the server does not know the command")

    def test_a_login_is_not_repeated_by_whatever_answers(self):
        for said in ("ERR syntax error near 'AUTH ann hidden PING'", "WRONGPASS ann hidden", "hidden"):
            with self.subTest(said), Fake(refuses(said)) as fake:
                self.is_told_by_all(f"redis://ann:hidden@127.0.0.1:{fake.port}", f"127.0.0.1:{fake.port}: the server ")

    def test_nobody_listens(self):
        here = f"127.0.0.1:{free_port()}"
        self.is_told_by_all(f"redis://ann:hidden@{here}", f"{here}: Connection refused")
        self.is_told_by_all(f"redis+sentinel://ann:hidden@{here}/weir", f"{here}: Connection refused")
        self.is_told_by_all(f"redis+cluster://ann:hidden@{here}", f"{here}: Connection refused")

    def test_a_trouble_is_told_once_however_many_are_asked(self):
        code, out, errors = weir("allow", "ann", "3/10s", "--times", "3", store=f"redis://127.0.0.1:{free_port()}")
        self.assertEqual((code, len(out.splitlines())), (1, 3), out)
        self.assertEqual(len(errors.splitlines()), 1, errors)

    def test_replicas_that_do_not_confirm(self):
        site = self.site()
        self.assertEqual(weir("init", site.url)[0], 0)
        code, out, errors = weir("allow", "ann", "3/10s", store=site.url + "?replicas=2&deadline=2s")
        self.assertRegex(out, LATE)
        self.assertRegex(errors, "^weir allow: .*the replicas do not confirm in time; see weir doctor\n$")
        self.assertNotIn("deadline=", errors)

    def test_a_plain_port_and_tls(self):
        here = f"127.0.0.1:{self.site().port}"
        silent = f"{here}: it takes the connection, but does not answer; is TLS spoken there"
        self.is_told_by_all(f"rediss://ann:hidden@{here}", silent)
        self.is_told_by_all(f"rediss+sentinel://{here}/weir", silent)
        self.is_told_by_all(f"rediss+cluster://{here}", silent)

    def test_a_server_that_hangs(self):
        site = self.site()
        site.one.pause()
        self.addCleanup(site.one.resume)
        self.is_told_by_all(site.url, f"127.0.0.1:{site.port}: it takes the connection, but does not answer")

    def test_another_kind_of_set_up(self):
        here = f"127.0.0.1:{self.site().port}"
        self.is_told_by_all(f"redis+cluster://{here}", f"{here}: .*the server is not part of a Cluster; use redis://")
        self.is_told_by_all(f"redis+sentinel://{here}/weir", f"{here}: the server is no Sentinel; use redis://")
        sentinel = self.site(is_sentinel=True)
        self.is_told_by_all(sentinel.url, "a Sentinel.*redis.sentinel://")

    def test_a_server_of_a_cluster_that_is_asked_alone(self):
        with Cluster() as site:
            owner = site.owner("weir:{0}")
            other = next(n for n in site.primaries() if n is not owner)
            for node in (owner, other):
                here = f"127.0.0.1:{node.port}"
                self.is_told_by_all(f"redis://{here}", f"{here}: .*a Cluster needs a redis.cluster:// URL")
            server = Server("--store", f"redis://127.0.0.1:{owner.port}")
            self.addCleanup(server.stop)
            with server.connect() as client:
                client.ask("WEIR.ALLOW", "ann", 3, 10000)
                wait_for("its trouble", lambda: b"a Cluster needs a redis+cluster:// URL" in client.ask("INFO", "store"))
            self.assertEqual(owner.must("DBSIZE"), 0, "nothing was counted there")
            # Who may ask nothing but what limits need is told, too.
            owner.must("ACL", "SETUSER", "ann", "on", ">hidden", "~weir:*", "+ping", "+evalsha", "+script|load", "+time",
                       "+mget", "+set", "+del")
            self.is_told_by_all(f"redis://ann:hidden@127.0.0.1:{owner.port}", "a Cluster needs a redis.cluster:// URL")

    def test_a_server_that_does_not_know_hello(self):
        site = self.site(config=["rename-command HELLO nobody"])
        self.assertEqual(weir("init", site.url)[0], 0)
        self.assertIn(weir("doctor", site.url)[0], (0, 1))


class New(unittest.TestCase):
    def setUp(self):
        self.site = Single()
        self.addCleanup(self.site.__exit__)

    def ask(self, *words):
        """Until the store decides: how busy the machine is decides nothing."""
        def decision():
            code, out, errors = weir("allow", "ann", *words, store=self.site.url + "?deadline=5s")
            return (code, out, errors) if " by this process alone" not in out and "degraded" not in out else None
        return wait_for("a decision of the store", decision)

    def test_a_store_that_was_not_said_to_be_new(self):
        said = (r"^weir allow: denied for want of a past and not for permits that were given: this store was not said to be "
                r"new, or has lost what it knew, and does not know what was granted before [^\n]*; if it is new, say so "
                r"with weir init URL\n$")
        code, out, errors = self.ask("3/1h", "--times", "3")
        self.assertEqual((code, out.count("denied, try again in")), (1, 3))
        self.assertRegex(errors, said)
        code, out, errors = self.ask("3/1h", "--json")
        self.assertFalse(json.loads(out)["allowed"])
        self.assertRegex(errors, said)
        self.assertEqual(self.ask("3/1h", "--quiet"), (1, "", ""))
        # What is denied anyway is not for want of a past.
        for words in (("3/1h", "--cost", "4"), ("0/1h",)):
            code, out, errors = self.ask(*words)
            self.assertEqual((code, errors), (1, ""), out)

    def test_a_limit_that_is_used_up(self):
        self.assertEqual(weir("init", self.site.url)[0], 0)
        code, out, errors = self.ask("3/1h", "--times", "5")
        self.assertEqual((code, errors), (1, ""), out)
        self.assertIn("denied, try again in", out)

    def test_a_limit_that_is_used_up_on_a_store_that_knows_long_enough(self):
        """It never was said to be new, and grants by now: since then nothing is for want of a past."""
        wait_for("a window's past", lambda: "allowed" in self.ask("1/1s")[1], LONG_S)
        denied = 0
        while denied < 3:
            code, out, errors = self.ask("1/1s", "--times", "2")
            self.assertEqual(errors, "", out)
            denied += code


if __name__ == "__main__":
    unittest.main(verbosity=2)
