#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/cassandra/fleet: every row is there and asks what it says, and its figures agree with each other."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = os.environ.get("WEIR_BUILD_DIR") or sys.exit("WEIR_BUILD_DIR must name the build")


def run(folder, *words):
    out = pathlib.Path(folder) / "cassandra.jsonl"
    ran = subprocess.run([ROOT / "bench/cassandra/fleet", "--build", BUILD, "--out", out, *map(str, words)],
                         capture_output=True, text=True, timeout=800, check=False)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return ran, {(row["workload"], row["who"]): row for row in rows if "workload" in row}


class Fleet(unittest.TestCase):
    def test_weir_beside_a_conditional_update_a_request(self):
        with tempfile.TemporaryDirectory() as folder:
            ran, rows = run(folder, "--nodes", 1, "--turns", 1, "--seconds", 4, "--only", "hot,cold")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(rows.keys(), {("hot", "weir"), ("hot", "lwt"), ("hot", "lwt-one"), ("cold", "weir"), ("cold", "lwt")})
        for name, row in rows.items():
            self.assertLessEqual(row["p50_us"], row["p99_us"], name)
            self.assertLessEqual(row["p99_us"], row["max_us"], name)
            self.assertEqual(row["allowed_share"], 1, name)  # nobody comes near a limit
            self.assertGreater(row["server_cpu_s"], 0, name)
            self.assertAlmostEqual(row["statements_per_thousand"], 1000 * row["statements"] / row["decisions"], 6)
            self.assertIn(f"\n{name[0]}: ", ran.stdout)
        # The nodes are looked at a moment before and after the decisions are counted.
        for name in ("hot", "lwt"), ("hot", "lwt-one"), ("cold", "lwt"):
            self.assertGreater(rows[name]["statements_per_thousand"], 300, name)
            self.assertGreaterEqual(rows[name]["updates"], rows[name]["decisions"], name)
        self.assertGreater(rows["cold", "weir"]["statements_per_thousand"], 600)
        self.assertLess(rows["hot", "weir"]["statements_per_thousand"], 100)

    def test_what_makes_no_sense_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for words in (["--only", "nosuch"], ["--turns", 0], ["--processes", -1], ["--nodes", 2]):
                ran, rows = run(folder, *words)
                self.assertEqual((ran.returncode, ran.stdout, rows), (2, "", {}), words)


if __name__ == "__main__":
    unittest.main()
