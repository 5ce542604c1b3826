# SPDX-License-Identifier: MIT
"""What include/weir.h says of a limiter on Redis, on a real server."""

import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from api import MINUTE, Answers, Api, policy_decides
from fleet import init
from servers import Certificates, Cluster, OnOneServer, Single, wait_for

LATE_NS = 500_000_000  # a deadline of 20 ms is kept if the answer came so soon: the machine may be busy


class OnOne(Answers, OnOneServer):
    def setUp(self):
        super().setUp()
        init(self.site.url)
        self.url = self.site.url + "?policy=closed"

    def test_a_child_goes_on_with_the_same_counts(self):
        for limit in 10, 1000:
            with self.subTest(limit=limit), Api(self.url + "&deadline=2s") as api:
                api.ready()
                user = f"ann{limit}"
                self.assertEqual(api.ask("ask", 4, user, limit, MINUTE, 1)["allowed"], 4)
                child = api.ask("child", 3, user, limit, MINUTE, 1)
                self.assertEqual((child["allowed"], child["degraded"]), (3, 0), child)
                rest = api.ask("ask", limit, user, limit, MINUTE, 1)
                self.assertEqual((rest["allowed"], rest["degraded"]), (limit - 7, 0), rest)


class Usage(unittest.TestCase):
    def test_another_algorithm_is_wrong_usage(self):
        for algorithm in "gcra", "fixed":
            ran = subprocess.run([os.environ["WEIR_BIN"], "allow", "ann", "3/10s", "--algorithm", algorithm, "--store",
                                  "redis://127.0.0.1:1"], capture_output=True, text=True, check=False, timeout=90)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""))
            self.assertIn("strict windows only", ran.stderr)


class Parts(unittest.TestCase):
    def allow(self, url, user, *more):
        ran = subprocess.run([os.environ["WEIR_BIN"], "allow", user, "5/1h", *more, "--store", url + "?deadline=5s"],
                             capture_output=True, text=True, check=False, timeout=90)
        return ran.stdout, ran.stderr

    def test_only_a_user_of_the_part_that_lost_its_past_is_told_of_it(self):
        with Cluster() as site:
            init(site.url)
            owner = site.owner("weir:{0}")
            for key in "weir:{0}", "weir:{0}:day", "weir:{0}:fortnight":
                owner.ask("DEL", key)
            lost = 0
            for number in range(400):
                out, errors = self.allow(site.url, f"ann{number}", "--times", "6")
                self.assertEqual("denied for want of a past" in errors, "allowed" not in out, out + errors)
                lost += "allowed" not in out
                if lost and number > 2:
                    return
            self.fail("nobody is of the part that lost its past")


class Slow:
    """Stands before a server on this host and keeps its answers for a while."""

    def __init__(self, port):
        self.delay_s = 0
        self.to, self.listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            for one in client, server:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(client, server, lambda: 0), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, lambda: self.delay_s), daemon=True).start()

    @staticmethod
    def carry(source, target, delay_s):
        with source, target:
            try:
                while data := source.recv(65536):
                    time.sleep(delay_s())
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass


class OnSlow(OnOneServer):
    def test_a_grant_that_came_too_late_to_show_the_servers_clock_is_not_used(self):
        init(self.site.url)
        with Slow(self.site.port) as slow, Api(f"redis://127.0.0.1:{slow.port}?policy=closed&deadline=300ms") as api:
            api.ready()
            slow.delay_s = 0.008  # four times what a window of a second can bear, and less than is waited for
            told = api.ask("ask", 3, "ann", 10, 1000, 1)
            self.assertEqual((told["allowed"], told["degraded"]), (0, 3), told)
            slow.delay_s = 0
            wait_for("a grant in time", lambda: api.ask("ask", 1, "ann", 10, 1000, 1)["allowed"] == 1)


class Logins(unittest.TestCase):
    def test_tls_and_a_user_who_may_do_only_what_is_needed(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="weir-api."))
        made = Certificates(folder)
        site = self.enterContext(Single(tls=made))
        site.one.must("ACL", "SETUSER", "ann", "on", ">pass", "~weir:*", "+ping", "+evalsha", "+script|load", "+time",
                      "+mget", "+set", "+del")
        url = f"rediss://ann:pass@127.0.0.1:{site.port}?policy=closed&ca-file={made.ca}"
        init(url)
        with Api(url) as api:
            api.ready()
            self.assertEqual(api.ask("ask", 20, "ann", 10, MINUTE, 1)["allowed"], 10)
            self.assertEqual(api.ask("reset", "ann", MINUTE)["status"], 0)
            self.assertEqual(api.ask("ask", 20, "ann", 10, MINUTE, 1)["allowed"], 10)
        for trouble in url.replace("ann:pass", "ann:fail"), url.replace("rediss:", "redis:"), url.split("&")[0]:
            with self.subTest(url=trouble), Api(trouble) as api:
                self.assertEqual(api.ask("ask", 3, "ann", 10, MINUTE, 1)["degraded"], 3)


class Troubles(unittest.TestCase):
    def is_degraded(self, url):
        """Each decision, in time."""
        for policy in "closed", "open", "local":
            with self.subTest(policy=policy), Api(f"{url}?policy={policy}") as api:
                self.assertLess(policy_decides(self, api, policy, limit=1, share=1), LATE_NS)

    def test_a_wrong_password(self):
        with Single(password="right") as site:
            self.is_degraded(f"redis://:wrong@127.0.0.1:{site.port}")

    def test_nobody_there(self):
        with Single() as site:
            site.one.kill()
            self.is_degraded(site.url)

    def test_a_server_whose_memory_is_full(self):
        with Single() as site:
            init(site.url)
            with Api(site.url + "?policy=closed") as api:
                api.ready()
                self.assertEqual(api.ask("users", 100, 10, MINUTE, 1)["allowed"], 100)
                site.one.must("CONFIG", "SET", "maxmemory", "1mb")
                full = api.ask("users", 200, 20, MINUTE, 20)
                self.assertEqual((full["allowed"], full["degraded"], full["refused"]), (0, 200, 0), full)
                self.assertLess(full["slowest_ns"], LATE_NS)
                site.one.must("CONFIG", "SET", "maxmemory", "0")
                wait_for("decisions again", lambda: api.ask("ask", 1, "new", 10, MINUTE, 1)["allowed"] == 1, 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
