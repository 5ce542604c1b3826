#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir-load against a real `weir serve` and against servers that misbehave: what it counts is so."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import unittest

WEIR = os.environ.get("WEIR_BIN") or sys.exit("WEIR_BIN must name the weir binary")
LOAD = os.path.join(os.environ["WEIR_BUILD_DIR"], "weir-load")


def load(*words):
    return subprocess.run([LOAD, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def weir_serve():
    server = subprocess.Popen([WEIR, "serve", "--listen", "127.0.0.1:0", "--threads", "1"],
                              stdout=subprocess.PIPE, text=True)
    try:
        ready = server.stdout.readline()
        yield "127.0.0.1:" + re.search(r"ready on 127\.0\.0\.1:(\d+)", ready)[1], server.pid
    finally:
        server.terminate()
        server.communicate(timeout=20)


@contextlib.contextmanager
def server_that_says(text):
    """Answers whatever comes with the same bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    while connection.recv(65536):
                        connection.sendall(text)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield "127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        listener.close()


class Load(unittest.TestCase):
    def asks(self, target, *words):
        ran = load("--target", target, *words)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""), ran)
        record = json.loads(ran.stdout)
        self.assertEqual(record["answered"], record["sent"])
        for field in ("errors", "malformed", "wrong_shape", "unanswered", "unsent"):
            self.assertEqual(record[field], 0, field)
        return record

    def test_every_command_of_ours_is_understood(self):
        with weir_serve() as (target, pid):
            for command in ("ping", "weir.allow", "cl.throttle"):
                record = self.asks(target, "--command", command, "--requests", 6400, "--pipeline", 10, "--server", pid)
                self.assertEqual(record["answered"], 6400, command)
                self.assertGreater(record["server_resident_after"], 0)

    def test_a_limit_is_seen_from_outside(self):
        with weir_serve() as (target, _):
            rule = ("--command", "weir.allow", "--limit", 7, "--window-ms", 86400000)
            record = self.asks(target, *rule, "--order", "hot", "--requests", 640)
            self.assertEqual((record["allowed"], record["denied"]), (7, 633))
            record = self.asks(target, *rule, "--order", "sequence", "--users", 100, "--requests", 640, "--connections", 8)
            # Each of 100 users 6 or 7 times; user 0 has used all.
            self.assertEqual((record["allowed"], record["denied"]), (640 - 7, 7))

    def test_an_open_loop_answers_for_all_that_fell_due(self):
        with weir_serve() as (target, _):
            record = self.asks(target, "--command", "weir.allow", "--rate", 2000, "--even", "--seconds", 0.5,
                               "--warmup", 0.1, "--threads", 2, "--connections", 4, "--order", "zipf")
            self.assertTrue(990 <= record["answered"] <= 1010, record["answered"])
            self.assertEqual(record["mode"], "open")
            latency = record["latency_us"]
            self.assertLessEqual(latency["p50"], latency["p99"])
            self.assertLessEqual(latency["p99"], latency["max"])

    def test_an_open_loop_counts_the_time_of_a_server_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            ran = load("--target", "127.0.0.1:%d" % silent.getsockname()[1], "--command", "ping", "--rate", 100,
                       "--seconds", 0.2, "--warmup", 0, "--connections", 2)
            record = json.loads(ran.stdout)
            self.assertEqual(ran.returncode, 1)
            self.assertEqual(record["answered"], 0)
            self.assertGreater(record["unanswered"], 0)
            self.assertGreater(record["latency_us"]["p50"], 1_000_000)

    def test_errors_and_wrong_answers_are_counted_and_told(self):
        with server_that_says(b"-ERR nonsense\r\n") as target:
            ran = load("--target", target, "--command", "weir.allow", "--connections", 1, "--requests", 5)
            record = json.loads(ran.stdout)
            self.assertEqual((ran.returncode, record["errors"]), (1, 5))
            self.assertEqual(record["first_error"], "-ERR nonsense")
        with server_that_says(b"+OK\r\n") as target:
            ran = load("--target", target, "--command", "weir.allow", "--connections", 1, "--requests", 5)
            self.assertEqual((ran.returncode, json.loads(ran.stdout)["wrong_shape"]), (1, 5))

    def test_what_is_no_answer_ends_the_run(self):
        for text in (b"HTTP/1.1 400 Bad Request\r\n", b":1\r\n:1\r\n"):
            with server_that_says(text) as target:
                ran = load("--target", target, "--command", "weir.allow", "--connections", 1, "--requests", 5)
                self.assertEqual((ran.returncode, ran.stdout), (3, ""), ran)
                self.assertIn("no answer", ran.stderr)

    def test_load_goes_to_this_machine_only(self):
        for target in ("10.0.0.1:80", "192.168.1.1:7400", "example.com:80", "8.8.8.8:53"):
            ran = load("--target", target, "--command", "ping")
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), target)

    def test_what_makes_no_sense_is_refused(self):
        for words in ([], ["--command", "ping"], ["--command", "sing", "--target", "127.0.0.1:1"],
                      ["--command", "ping", "--target", "127.0.0.1:1", "--pipeline", "0"],
                      ["--command", "ping", "--target", "127.0.0.1:1", "--seconds", "-1"]):
            ran = load(*words)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), words)
            self.assertTrue(ran.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
