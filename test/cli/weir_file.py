# SPDX-License-Identifier: MIT
"""What the tests of files share: a folder, processes that keep a file open, many users at once."""

import hashlib
import os
import re
import socket
import subprocess
import tempfile

import weir_cli

NOBODY = 65534


class Case(weir_cli.Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "limits.weir")
        self.store = f"file:{self.path}"

    def allow(self, *words, code=0):
        ran = self.weir("allow", *words, "--store", self.store)
        self.assertEqual(ran.returncode, code, ran.stderr)
        return ran.stdout.decode()

    def checksum(self, path=None):
        with open(path or self.path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def serve(self, *options, path=None):
        """A process that keeps the file open; it is gone at the end."""
        server = Server(path or self.path, *options)
        self.addCleanup(server.kill)
        return server

    def somebody_else(self):
        """How to run the binary as a user without any rights, for which we must be root."""
        if os.geteuid() != 0:
            self.fail("to become somebody else, this test must run as root")
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        try:
            subprocess.run([weir_cli.WEIR, "--version"], check=True, capture_output=True, **who)
        except (OSError, subprocess.CalledProcessError):
            self.fail(f"{weir_cli.WEIR} is where others cannot reach it: build in a folder that all may enter")
        os.chmod(self.folder, 0o755)
        return who

    def small_disk(self, size):
        """A folder on a file system of its own, for which we must be root."""
        place = os.path.join(self.folder, "disk")
        os.mkdir(place)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.fail(f"mount is not permitted: {mounted.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=True)
        return place


class Server:
    """weir serve on a file."""

    def __init__(self, path, *options):
        self.process = subprocess.Popen([weir_cli.WEIR, "serve", "--listen", "127.0.0.1:0", "--threads", "1",
                                         "--store", f"file:{path}", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", ready)
        if not found:
            raise AssertionError(f"weir serve did not start: {ready!r} {self.process.communicate()}")
        self.pid, self.port = self.process.pid, int(found[1])

    def ask(self, *questions):
        """Each a list of words; returns the integers that are answered."""
        lines = b"".join(b" ".join(str(word).encode() for word in words) + b"\r\n" for words in questions)
        answers, unread = [], b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plug:
            for at in range(0, len(lines), 1 << 15):
                plug.sendall(lines[at:at + (1 << 15)])
                plug.setblocking(False)
                try:
                    unread += plug.recv(1 << 20)
                except BlockingIOError:
                    pass
                plug.settimeout(60)
            while unread.count(b"\r\n") < len(questions):
                more = plug.recv(1 << 20)
                assert more, unread[-200:]
                unread += more
        answers = [int(line[1:]) for line in unread.split(b"\r\n")[:-1]]
        return answers

    def bring(self, users, window="1h", limit=5, cost=1):
        assert self.ask(*(["WEIR.ALLOW", f"user{i}", limit, window, cost] for i in range(users))) == [1] * users

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=60)


main = weir_cli.main
