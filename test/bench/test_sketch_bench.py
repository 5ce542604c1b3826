#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir-bench-sketch: that it measures what it says, and what it finds agrees with itself."""

import json
import os
import subprocess
import unittest

BENCH = os.path.join(os.environ["WEIR_BUILD_DIR"], "weir-bench-sketch")


def bench(*words):
    return subprocess.run([BENCH, *words], capture_output=True, text=True, timeout=150, check=False)


class Sketch(unittest.TestCase):
    def test_a_quick_run(self):
        ran = bench("--quick")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        rows = [json.loads(line) for line in ran.stdout.splitlines()]
        times = {r["name"]: r for r in rows if r["kind"] == "time"}
        for name in ("touch", "admit", "decide", "admit, prefetched", "decide, one hot user"):
            ns = times[name]["ns"]
            self.assertLessEqual(ns["least"], ns["median"])
            self.assertLessEqual(ns["median"], ns["most"])
            self.assertGreater(ns["least"], 0)
        self.assertEqual(times["decide, one hot user"]["allowed"], 0)
        self.assertGreater(times["admit"]["allowed"], 0.99)

        denials = [r for r in rows if r["kind"] == "denials"]
        self.assertEqual(len(denials), 18)
        before = {}
        for r in denials:
            denied = r["denied_falsely"]["median"]
            self.assertEqual((r["asked"], r["rounds"]), (1500000, 3))
            self.assertLess(denied, before.get(r["zipf"], 1))
            self.assertLess(denied, r.get("bound", 1.0))
            self.assertLessEqual(r["denied_within"]["median"], denied)
            before[r["zipf"]] = denied

    def test_wrong_usage(self):
        ran = bench("--slow")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (2, "", "usage: weir-bench-sketch [--quick]\n"))


if __name__ == "__main__":
    unittest.main()
