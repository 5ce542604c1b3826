# SPDX-License-Identifier: MIT
"""Servers that are none: whatever they send, the client lives, answers each command once and in time, and
takes a good server when there is one."""

import random
import socket
import threading
import unittest

from driver import Driver
from servers import IS_SLOW

LATE_MS = 2000


class Fake:
    """Listens, and lets `talk(connection)` have each connection; whatever happens in it is its business."""

    def __init__(self, talk):
        self.talk, self.is_over = talk, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            try:
                plug, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plug,), daemon=True).start()

    def serve(self, plug):
        with plug:
            plug.settimeout(10)
            try:
                self.talk(plug)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def greet(plug):
    """Answers as a server does that does not tell of what kind it is."""
    asked = plug.recv(65536)
    plug.sendall(b"-ERR unknown command 'HELLO'\r\n+PONG\r\n" if b"HELLO" in asked else b"+PONG\r\n")


def greets_then(bytes_of):
    """Answers the greeting as Redis does, and then says `bytes_of` to whatever comes, and listens on."""
    def talk(plug):
        greet(plug)
        while plug.recv(65536):
            plug.sendall(bytes_of() if callable(bytes_of) else bytes_of)
    return talk


GARBAGE = [b"\x00", b"\xff" * 100, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-2\r\n", b"$99999999999999999999\r\n",
           b"*-5\r\n", b"*1048577\r\n", b"*99999999999\r\n", b":12x\r\n", b":\r\n", b"*1\r\n" * 1000, b"$5\r\nab",
           b"$3\r\nabcde\r\n", b"%2\r\n+a\r\n", b"_x\r\n", b"#q\r\n", b",nan?\r\n", b"(12a\r\n", b"=2\r\nab\r\n",
           b"+OK\r\n" * 50, b"-\r\n", b"-MOVED\r\n", b"-MOVED 1\r\n", b"-MOVED 99999 :\r\n", b"-ASK 1 x\r\n",
           b"*0\r\n", b"*-1\r\n", b"$-1\r\n", b">2\r\n+a\r\n+b\r\n", b">0\r\n", b"*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n"]


class Hostile(unittest.TestCase):
    def lives(self, tally, commands):
        self.assertEqual(tally["submitted"], commands, tally)
        self.assertEqual(tally["executed"] + tally["not executed"] + tally["unknown"], commands, tally)
        self.assertEqual(tally["twice"], 0)
        self.assertLess(tally["late_ms"], LATE_MS, tally)

    def test_replies_that_are_none(self):
        for garbage in GARBAGE:
            with self.subTest(garbage[:40]), Fake(greets_then(garbage)) as fake, \
                    Driver(f"redis://127.0.0.1:{fake.port}", connect_ms=100) as driver:
                answer = driver.ask("call", "k", 150, "GET", "k")
                self.assertIn(answer["status"], ("REDIS_LOST", "REDIS_LATE", "REDIS_FAILED", "REDIS_REFUSED",
                                                 "REDIS_UNREADY", "REDIS_UNREACHABLE", "REDIS_DONE"))
                self.assertLess(answer["took_ms"], 150 + LATE_MS)

    def test_greetings_that_are_none(self):
        for garbage in GARBAGE:
            def talk(plug, said=garbage):
                plug.recv(65536)
                plug.sendall(said)
                plug.recv(65536)
            with self.subTest(garbage[:40]), Fake(talk) as fake, \
                    Driver(f"redis://127.0.0.1:{fake.port}", connect_ms=100) as driver:
                self.assertLess(driver.ask("call", "k", 150, "GET", "k")["took_ms"], 150 + LATE_MS)

    def test_bytes_of_chance(self):
        draw = random.Random()
        alphabet = b"*$:+-%_#>~(,=\r\n0123456789abAB\x00\xff"
        def some():
            return bytes(draw.choice(alphabet) for _ in range(draw.randrange(1, 200)))
        with Fake(greets_then(some)) as fake, Driver(f"redis://127.0.0.1:{fake.port}", connect_ms=50) as driver:
            for _ in range(30 if IS_SLOW else 100):
                driver.ask("call", "k", 30, "GET", "k")
            self.lives(driver.ask("burst", 100, 100), 100)

    def test_a_reply_without_end_ends_the_connection(self):
        def talk(plug):
            greet(plug)
            plug.recv(65536)
            plug.sendall(b"$500000000\r\n")
            while True:
                plug.sendall(b"x" * 65536)
        with Fake(talk) as fake, Driver(f"redis://127.0.0.1:{fake.port}") as driver:
            answer = driver.ask("call", "k", 20000, "GET", "k")
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_LOST", "unknown"))
            self.assertIn("a reply without end", answer["problem"])

    def test_a_server_that_hangs_up_in_every_way(self):
        def at_once(plug):
            pass
        def after_the_greeting(plug):
            greet(plug)
        def in_a_reply(plug):
            after_the_greeting(plug)
            plug.recv(65536)
            plug.sendall(b"$100\r\nabc")
        for talk in (at_once, after_the_greeting, in_a_reply):
            with self.subTest(talk.__name__), Fake(talk) as fake, \
                    Driver(f"redis://127.0.0.1:{fake.port}") as driver:
                self.lives(driver.ask("burst", 50, 200), 50)

    def test_maps_of_slots_that_are_none(self):
        maps = [b"*0\r\n", b"*1\r\n*0\r\n", b"*1\r\n:5\r\n", b"*1\r\n*3\r\n:5\r\n:1\r\n*0\r\n",
                b"*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n+h\r\n:1\r\n", b"*1\r\n*3\r\n:-5\r\n:1\r\n*2\r\n$1\r\nh\r\n:1\r\n",
                b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\nh\r\n:0\r\n", b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n:1\r\n:70000\r\n",
                b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$300\r\n" + b"h" * 300 + b"\r\n:1\r\n",
                b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$3\r\na\x00b\r\n:1\r\n", b"$2\r\nab\r\n", b"-ERR no\r\n", b"_\r\n"]
        for said in maps:
            with self.subTest(said[:60]), Fake(greets_then(said)) as fake, \
                    Driver(f"redis+cluster://127.0.0.1:{fake.port}", connect_ms=100) as driver:
                answer = driver.ask("call", "k", 200, "GET", "k")
                self.assertEqual(answer["fate"], "not executed", answer)

    def test_sentinels_that_are_none(self):
        for said in (b"*2\r\n:1\r\n:2\r\n", b"*2\r\n$1\r\nh\r\n$5\r\n99999\r\n", b"*2\r\n$0\r\n\r\n$1\r\n1\r\n", b"*-1\r\n",
                     b"-IDONTKNOW\r\n", b"*1\r\n$1\r\nx\r\n", b":1\r\n"):
            with self.subTest(said), Fake(greets_then(said)) as fake, \
                    Driver(f"redis+sentinel://127.0.0.1:{fake.port}/weir", connect_ms=100) as driver:
                answer = driver.ask("call", "k", 200, "GET", "k")
                self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREACHABLE", "not executed"), answer)

    def test_redirections_in_a_circle_end(self):
        fakes = {}
        def circle(plug):
            greet(plug)
            while asked := plug.recv(65536):
                port = fakes["one"].port
                plug.sendall(b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:%d\r\n" % port if b"SLOTS" in asked
                             else b"-MOVED 1 127.0.0.1:%d\r\n" % port)
        with Fake(circle) as fakes["one"], Driver(f"redis+cluster://127.0.0.1:{fakes['one'].port}") as driver:
            answer = driver.ask("call", "k", 2000, "GET", "k")
            self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREADY", "not executed"), answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
