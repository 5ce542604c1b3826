# SPDX-License-Identifier: MIT
"""tools/demo_fleet.sh shows what it says, sees a broken promise, and leaves nothing behind however it ends."""

import os
import pathlib
import pty
import re
import signal
import subprocess
import tempfile
import unittest

from servers import PATIENCE_S, wait_for

PROGRAM = "tools/demo_fleet.sh"
SECONDS = "5"  # and what the repairs take
ROW = r"^ +\d+  {} +[\d,]+ +[\d,]+ +[\d,]+ +[\d,]+ +[\d.-]+$"


def processes_of(session):
    """All that belong to a session, which the children of its first process do, too."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(stat.parent.name)
    return found


class Demo(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="weir-demo.")
        self.addCleanup(home.cleanup)
        self.folder = pathlib.Path(home.name)

    def play(self, *options):
        run = subprocess.run([PROGRAM, SECONDS, "--folder", self.folder, *options], capture_output=True, text=True,
                             check=False, timeout=4 * PATIENCE_S)
        return run.returncode, run.stdout, run.stdout + run.stderr

    def sees(self, pattern, text):
        self.assertTrue(re.search(pattern, text, re.M), f"{pattern}\n{text}")

    def test_the_promise_holds_and_everybody_is_served_again(self):
        code, out, said = self.play()
        self.assertEqual(code, 0, said)
        for name in (r"1 127\.0\.0\.1:\d+", r"2 127\.0\.0\.1:\d+", r"3 127\.0\.0\.1:\d+", "all"):
            self.sees(ROW.format(name), out)
        self.sees(r"^ +\d+  so far, of what an exact log admits:  hot [\d.]+ %   cold [\d.]+ %$", out)
        events = [r"killed -9 the primary", r"a replica took over after [\d.]+ s", r"has copied all",
                  r"by every server", r"killed -9 node 2", r"by both servers left"]
        self.sees(r"(?s)" + ".*".join(events), out)
        for name in ("hot", "cold"):
            self.sees(rf"^{name}: +[\d,]+ decisions, [\d,]+ admitted\n"
                      r" +[\d.]+ % of the [\d,]+ that an exact log admits.*\n"
                      r" +answered within [\d.]+ ms \(p50\), [\d.]+ ms \(p99\)\n"
                      r" +[\d.]+ trips to the store for a thousand decisions, while alone$", out)
        self.sees(r"^0 certainly broken", out)
        self.sees(r"^The promise holds, and everybody", out)
        self.assertNotIn("\033", out)
        self.assertEqual({file.suffix for file in self.folder.iterdir()}, {".jsonl"})

    def test_servers_that_do_not_share_a_limit_are_convicted(self):
        code, out, said = self.play("--two-secrets")
        self.assertEqual(code, 1, said)
        self.sees(r"^[1-9][\d,]* certainly broken", out)
        self.sees(r"^THE PROMISE IS BROKEN\.$", out)

    def end_by(self, send, number):
        """Lets the demo end in the middle, on a terminal; its exit code, and what it wrote."""
        terminal, end = pty.openpty()
        with subprocess.Popen([PROGRAM, "600", "--folder", self.folder], stdout=end, stderr=end, text=True,
                              start_new_session=True, env={**os.environ, "TERM": "xterm"}) as demo:
            os.close(end)
            written = b""
            while b"\033[J" not in written:  # a table was written over another one
                written += os.read(terminal, 65536)
            self.assertGreater(len(processes_of(demo.pid)), 10, written)
            send(demo.pid, number)
            code = demo.wait(PATIENCE_S)
        wait_for("the end of all that it started", lambda: not processes_of(demo.pid))
        os.close(terminal)
        return code, written.decode()

    def test_an_interrupted_one_tidies(self):
        # A terminal's Ctrl-C goes to all processes at once.
        code, written = self.end_by(os.killpg, signal.SIGINT)
        self.assertEqual(code, 130, written)
        self.assertEqual({file.suffix for file in self.folder.iterdir()}, {".jsonl"})

    def test_what_it_started_dies_with_a_killed_one(self):
        code, written = self.end_by(os.kill, signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL, written)

    def test_misuse(self):
        for words in (["soon"], ["0"], ["--three-secrets"]):
            run = subprocess.run([PROGRAM, *words], capture_output=True, check=False, timeout=PATIENCE_S)
            self.assertEqual(run.returncode, 2, run.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
