#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/redis/script: each row is there, and each user whom it asks for was granted a permit, or it fails."""

import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Script(unittest.TestCase):
    def test_each_row_is_measured(self):
        ran = subprocess.run([sys.executable, ROOT / "bench/redis/script", "--turns", "1", "--users", "1024"],
                             capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for kind in "new", "away", "back":
            with self.subTest(kind=kind):
                self.assertGreaterEqual(sum(kind in line.split() for line in ran.stdout.splitlines()), 4, ran.stdout)


if __name__ == "__main__":
    unittest.main()
