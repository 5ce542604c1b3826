# SPDX-License-Identifier: MIT
"""weir serve says on stderr when a trouble with its Redis begins, and when it is over: a line each."""

import os
import pathlib
import re
import selectors
import sys
import threading
import time
import unittest

from fleet import init
from servers import Single, free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from weir_server import Server, Trouble  # noqa: E402

LONG_S = 90  # a trouble stands for ten seconds after it is over, and machines are slow
TROUBLE = "^weir serve: (trouble with the store: |the trouble with the store goes on: )"
LOST = "^weir serve: this store has lost its past and does not know what was granted before .* have passed$"
UNKNOWN = "^weir serve: this store does not know .*; if it is new, say so with weir init$"  # lost before it was asked first
LOSS = f"{LOST}|{UNKNOWN}"
OVER = "^weir serve: the store answers again, after [0-9]"


class Watched(unittest.TestCase):
    """weir serve says when a trouble with its store begins, and when it is over."""

    def setUp(self):
        self.site = Single()
        self.addCleanup(self.site.__exit__)

    def serve(self, *options, url=None):
        """And what waits for a line that says something; before it others may tell of a trouble that passes."""
        server = Server("--store", url or self.site.url, *options)
        self.addCleanup(server.stop)
        selector = selectors.DefaultSelector()
        selector.register(server.process.stderr, selectors.EVENT_READ)
        self.addCleanup(selector.close)
        unread = b""

        def line(says):
            nonlocal unread
            while True:
                while b"\n" not in unread:
                    self.assertTrue(selector.select(LONG_S), f"nothing is said of {says}")
                    data = os.read(server.process.stderr.fileno(), 4096)
                    self.assertTrue(data, f"it has ended and not said {says}: {unread}")
                    unread += data
                said, unread = unread.split(b"\n", 1)
                said = said.decode()
                if re.search(says, said):
                    return said
                self.assertRegex(said, TROUBLE)
        return server, line

    def asked(self, server):
        """Somebody asks all the time."""
        over = threading.Event()
        def ask():
            with server.connect() as client:
                while not over.is_set():
                    assert not isinstance(client.ask("WEIR.ALLOW", "ann", 1000, 1000), Trouble)
                    time.sleep(0.02)
        thread = threading.Thread(target=ask)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        return over

    def test_another_trouble_is_told_while_one_stands(self):
        init(self.site.url)
        server, line = self.serve()
        over = self.asked(server)
        self.site.one.must("CONFIG", "SET", "maxmemory", "1")
        self.assertRegex(line("maxmemory"), "^weir serve: trouble with the store: ")
        self.site.one.kill()
        line("^weir serve: the trouble with the store goes on: .*Connection refused")
        over.set()

    def test_a_server_that_is_killed_and_comes_back_empty(self):
        init(self.site.url)
        server, line = self.serve()
        over = self.asked(server)
        self.site.one.kill()
        self.assertRegex(line(TROUBLE), "^weir serve: trouble with the store: .*; until it is over, --policy decides what "
                                        "permits in hand do not serve; see weir doctor$")
        self.site.one.start()
        line(OVER)
        line(LOSS)
        over.set()
        self.assertEqual(server.stop(), (0, ""))

    def test_a_server_that_is_back_empty_before_anybody_misses_it(self):
        init(self.site.url)
        server, line = self.serve()
        over = self.asked(server)
        time.sleep(0.5)
        self.site.one.kill()
        self.site.one.start()
        said = line(f"{LOSS}|{OVER}")
        if re.search(OVER, said):  # the machine was slow, and it was missed
            line(LOSS)
        over.set()
        self.assertNotIn("lost its past", server.stop()[1])

    def test_a_server_that_is_emptied_while_nobody_misses_it(self):
        init(self.site.url)
        server, line = self.serve()
        over = self.asked(server)
        time.sleep(7)
        self.site.one.must("FLUSHALL")
        line(LOSS)
        time.sleep(1)
        self.site.one.must("FLUSHALL")  # at the next look it knows more than at this one
        line(LOST)
        time.sleep(12)  # it is looked at once more, and has lost nothing since
        over.set()
        self.assertEqual(server.stop(), (0, ""))

    def test_a_server_that_is_there_later(self):
        self.site.one.kill()
        server, line = self.serve()
        self.assertIn(f": 127.0.0.1:{self.site.port}: Connection refused; until", line(TROUBLE))
        self.site.one.start()
        line(OVER)
        line("if it is new, say so with weir init")
        self.assertEqual(server.stop(), (0, ""))

    def test_another_kind_of_store_that_is_not_there(self):
        here = f"127.0.0.1:{free_port()}"
        server, line = self.serve(url=f"cassandra://ann:hidden@{here}/limits")
        said = line(TROUBLE)
        self.assertIn(f": {here}: Connection refused; until", said)
        self.assertNotIn("hidden", said)
        self.assertEqual(server.stop(), (0, ""))

    def test_a_password_that_is_changed(self):
        with Single(password="hidden") as site:
            url = f"redis://:hidden@127.0.0.1:{site.port}"
            init(url)
            server, line = self.serve(url=url)
            over = self.asked(server)
            with site.one.connect() as client:
                client.ask("CONFIG", "SET", "requirepass", "other")
                client.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                said = line(f"{site.port}: the server does not accept the user and password of the URL .*see weir doctor$")
                self.assertNotIn("hidden", said)
                client.ask("CONFIG", "SET", "requirepass", "hidden")
                self.assertNotIn("hidden", line(OVER))
            over.set()
            self.assertEqual(server.stop(), (0, ""))

    def test_a_memory_that_is_full(self):
        init(self.site.url)
        server, line = self.serve()
        over = self.asked(server)
        self.site.one.must("CONFIG", "SET", "maxmemory", "1")
        line("the server is at its maxmemory")
        self.site.one.must("CONFIG", "SET", "maxmemory", "0")
        line(OVER)
        over.set()
        self.assertEqual(server.stop()[0], 0)

    def test_a_server_that_hangs_keeps_nobody_from_ending(self):
        init(self.site.url)
        server, line = self.serve()
        over = self.asked(server)
        self.site.one.pause()
        self.addCleanup(self.site.one.resume)
        line(TROUBLE)
        over.set()
        self.assertEqual(server.stop()[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
