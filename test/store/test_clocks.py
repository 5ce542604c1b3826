# SPDX-License-Identifier: MIT
"""A file under clocks that step: the wall clock (libfaketime), time namespaces, another start of the machine.

Each `weir allow` is a process of its own; what they count together must not depend on what their clocks say."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

WEIR = os.environ["WEIR_BIN"]
BOOT = "/proc/sys/kernel/random/boot_id"


class Clocks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = f"file:{self.folder}/limits.weir"

    def allow(self, *before, user="ann", rate="3/1h", environment=()):
        """Whether the user is allowed, asked by a command that stands behind others."""
        ran = subprocess.run([*before, WEIR, "allow", user, rate, "--store", self.store], capture_output=True,
                             env=dict(os.environ, **dict(environment)), timeout=60)
        self.assertIn(ran.returncode, (0, 1), ran.stderr.decode() + ran.stdout.decode())
        return ran.returncode == 0

    def test_steps_of_the_wall_clock_change_nothing(self):
        # An hour's permits, taken with the wall clock years ahead, years back, and running fast.
        only_wall = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}.items()
        steps = ["+10y", "-10y", "+2h x100"]
        for step in steps:
            with self.subTest(step=step):
                self.assertTrue(self.allow("faketime", "-f", step, environment=only_wall))
        for step in [*steps, "+1h", "+61m", "-1d"]:
            with self.subTest(step=step):
                self.assertFalse(self.allow("faketime", "-f", step, environment=only_wall))
        self.assertFalse(self.allow())

    def test_faketime_really_fakes(self):
        ran = subprocess.run(["faketime", "-f", "-10y", "date", "+%Y"], capture_output=True, text=True, timeout=60)
        now = subprocess.run(["date", "+%Y"], capture_output=True, text=True, timeout=60)
        self.assertEqual(int(ran.stdout), int(now.stdout) - 10, ran.stderr)

    def test_processes_of_other_time_namespaces_count_in_the_same_time(self):
        # Their CLOCK_BOOTTIME is days ahead: taken as it is, everybody else's permits would seem to be old.
        ahead = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--time",
                 "--boottime", "1000000", "--fork", "--"]
        self.assertTrue(self.allow())
        self.assertTrue(self.allow(*ahead))
        self.assertTrue(self.allow())
        for _ in range(3):
            self.assertFalse(self.allow(*ahead))
            self.assertFalse(self.allow())

    def test_a_child_in_another_time_namespace_counts_in_the_same_time(self):
        program = (
            "import ctypes, os, sys\n"
            "weir = ctypes.CDLL(sys.argv[1])\n"
            "weir.weir_open.restype = ctypes.c_void_p\n"
            "weir.weir_allow.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_int64]\n"
            "weir.weir_allow.restype = ctypes.c_bool\n"
            "w = weir.weir_open(sys.argv[2].encode(), None, None)\n"
            "allow = lambda: weir.weir_allow(w, b'ann', 3, 60 * 10**9)\n"
            "first = [allow() for _ in range(4)]\n"
            "flags = 0x80 | (0 if os.geteuid() == 0 else 0x10000000)\n"
            "assert ctypes.CDLL(None).unshare(flags) == 0\n"
            "open('/proc/self/timens_offsets', 'w').write('boottime 3600 0')\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os._exit(sum(allow() for _ in range(4)))\n"
            "print(first, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n")
        ran = subprocess.run([sys.executable, "-c", program, os.path.join(os.environ["WEIR_BUILD_DIR"], "libweir.so"), self.store],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(ran.stdout, "[True, True, True, False] 0\n", ran.stderr)

    def start_again(self, boot):
        """A command that runs another after one more start of the machine, as far as it can see."""
        name = self.folder / f"boot-{boot}"
        name.write_text(f"{boot:08x}-0000-4000-8000-000000000000\n")
        rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        return ["unshare", *rights, "--mount", "sh", "-c", f'mount --bind "{name}" {BOOT} && exec "$@"', "sh"]

    def test_after_starts_of_the_machine_nothing_is_forgotten(self):
        self.assertTrue(self.allow(*self.start_again(1)))
        self.assertTrue(self.allow(*self.start_again(2)))
        self.assertTrue(self.allow(*self.start_again(3)))
        for boot in (4, 5, 1):
            self.assertFalse(self.allow(*self.start_again(boot)))
        self.assertTrue(self.allow(*self.start_again(6), user="bob"))


if __name__ == "__main__":
    unittest.main(verbosity=1, argv=sys.argv[:1])
