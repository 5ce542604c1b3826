# SPDX-License-Identifier: MIT
"""A real `weir serve` for a test, and a plain client that shows every byte."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BINARY = os.environ.get("WEIR_BIN", "build/release/weir")
IS_SLOW = os.environ.get("WEIR_SANITIZE", "none") != "none"
PATIENCE_S = 60 if IS_SLOW else 20


class Server:
    """Runs `weir serve` with the options given, on a port of its own choosing."""

    def __init__(self, *options, listen=("127.0.0.1:0",), before=None):
        words = [BINARY, "serve"]
        for address in listen:
            words += ["--listen", address]
        self.process = subprocess.Popen([*words, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=before, text=True)
        self.ready = self.process.stdout.readline()
        if " ready on " not in self.ready:
            self.process.kill()
            raise AssertionError(f"weir serve did not start: {self.ready!r} {self.process.communicate()}")
        found = re.search(r"(?:127\.0\.0\.1|\[::1\]|\[::\]):(\d+)", self.ready)
        self.port = int(found[1]) if found else None
        self.pid = self.process.pid

    def connect(self, **options):
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S), **options)

    def stop(self, with_signal=signal.SIGTERM):
        """Asks the server to end; returns its exit code and what it complained of."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            _, errors = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, errors

    def memory_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        code, errors = self.stop()
        if kind is None and code != 0:
            raise AssertionError(f"weir serve ended with {code}: {errors}")


class Client:
    """Writes bytes, reads replies as Python values; errors are values too (Trouble)."""

    def __init__(self, plug):
        self.plug = plug
        self.plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if plug.family != socket.AF_UNIX else None
        self.unread = b""

    def send(self, data):
        self.plug.sendall(data)

    def ask(self, *words):
        self.send(request(*words))
        return self.reply()

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Trouble(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"_":
            return None
        if kind in (b"$", b"="):
            if int(rest) < 0:
                return None
            body = self.exactly(int(rest) + 2)
            assert body[-2:] == b"\r\n", body
            return body[:-2]
        if kind in (b"*", b"~"):
            return [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return {self.reply(): self.reply() for _ in range(int(rest))}
        raise AssertionError(f"not RESP: {line!r}")

    def line(self):
        while b"\r\n" not in self.unread:
            self.more()
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line

    def exactly(self, count):
        while len(self.unread) < count:
            self.more()
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def more(self):
        data = self.plug.recv(65536)
        if not data:
            raise EOFError(self.unread)
        self.unread += data

    def everything(self):
        """All bytes until the server closes."""
        with contextlib.suppress(EOFError):
            while True:
                self.more()
        data, self.unread = self.unread, b""
        return data

    def close(self):
        self.plug.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def stuff(peer, question, bytes_max=200_000_000):
    """Sends the question again and again, reading nothing, until the server takes no more. Returns the bytes
    that it took."""
    peer.plug.setblocking(False)
    count, stalled, questions = 0, 0, question * (1 + 50000 // len(question))
    while stalled < 20 and count < bytes_max:
        try:
            count += peer.plug.send(questions[count % len(question):])
            stalled = 0
        except BlockingIOError:
            stalled += 1
            time.sleep(0.005)
    return count


class Trouble(str):
    """An error reply."""


def request(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def main():
    unittest.main(module=sys.modules["__main__"], verbosity=1)


__all__ = ["BINARY", "IS_SLOW", "PATIENCE_S", "Client", "Server", "Trouble", "main", "os", "request", "signal", "socket", "stuff",
           "subprocess", "tempfile", "threading", "time", "unittest"]
