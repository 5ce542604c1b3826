# SPDX-License-Identifier: MIT
"""Talks to driver.c, or a program like it: a line to it, a line of JSON back."""

import json
import os
import pathlib
import subprocess
import threading

from servers import PATIENCE_S, die_with_parent


class Driver:
    program = pathlib.Path(os.environ["WEIR_BUILD_DIR"]) / "test/redis/redis_driver"

    def __init__(self, url, **options):
        words = [str(self.program), url]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        # Whatever hangs must not hang the test: a pipe that ends is an error here.
        self.watch = threading.Timer(4 * PATIENCE_S, self.process.kill)
        self.watch.daemon = True
        self.watch.start()

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the driver ended with {self.process.wait()}: {self.process.stderr.read()}")
        return json.loads(line)

    def ask(self, *words):
        self.say(*words)
        return self.hear()

    def close(self):
        """Ends it properly; it must have nothing to complain of."""
        self.say("close")
        assert self.hear() == {"closed": True}
        _, errors = self.process.communicate(timeout=4 * PATIENCE_S)
        assert self.process.returncode == 0, (self.process.returncode, errors)
        assert errors == "", errors

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.close()
        finally:
            self.watch.cancel()
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
