# SPDX-License-Identifier: MIT
"""What the tests of the command line share: running the binary, and saying what it must answer."""

import os
import subprocess
import sys
import unittest

WEIR = os.environ.get("WEIR_BIN")
SANITIZED = os.environ.get("WEIR_SANITIZE", "none") != "none"

if not WEIR or not os.access(WEIR, os.X_OK):
    sys.exit(f"WEIR_BIN must name the weir binary, and is {WEIR!r}")


class Case(unittest.TestCase):
    maxDiff = None

    def weir(self, *words, input=b"", stdout=subprocess.PIPE, environment=None, **options):
        """Runs the binary; words are text or bytes."""
        variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        variables.update(environment or {})
        return subprocess.run([WEIR, *words], input=input, stdout=stdout, stderr=subprocess.PIPE,
                              env=variables, timeout=60, check=False, **options)

    def says(self, *words, out=None, err=b"", code=0, **options):
        """The binary must answer exactly so. `out` None: anything."""
        ran = self.weir(*words, **options)
        told = f"{words!r} gave exit code {ran.returncode}, {ran.stdout!r}, {ran.stderr!r}"
        self.assertEqual(ran.stderr.decode(errors="replace"),
                         err if isinstance(err, str) else err.decode(errors="replace"), told)
        if out is not None:
            self.assertEqual(ran.stdout.decode(errors="replace"), out, told)
        self.assertEqual(ran.returncode, code, told)
        return ran.stdout

    def refuses(self, *words, because, code=2, **options):
        """The binary must say why it does not, on stderr alone."""
        self.says(*words, out="", err=because + "\n", code=code, **options)


def main():
    unittest.main(verbosity=1)
