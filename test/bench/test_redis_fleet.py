#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/redis/fleet: every row is there and asks what it says, and weir keeps its limit."""

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
    out = pathlib.Path(folder) / "fleet.jsonl"
    ran = subprocess.run([ROOT / "bench/redis/fleet", "--build", BUILD, "--out", out, *map(str, words)],
                         capture_output=True, text=True, timeout=280, check=False)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return ran, {(row["workload"], row["who"]): row for row in rows if "workload" in row}


class Fleet(unittest.TestCase):
    def peer(self, folder):
        peer = pathlib.Path(folder) / "redis_rate"
        build = subprocess.run(["go", "build", "-o", peer, "."], cwd=ROOT / "bench/peers/redis_rate", capture_output=True,
                               text=True, timeout=200, check=False)
        self.assertEqual(build.returncode, 0, build.stderr)
        return peer

    def measured(self, workloads, systems, *words):
        with tempfile.TemporaryDirectory() as folder:
            ran, rows = run(folder, "--quick", "--turns", 1, "--seconds", 0.2, "--processes", 2, "--only", ",".join(workloads),
                            *words)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(rows.keys(), {(what, who) for what in workloads for who in systems})
        for name, row in rows.items():
            self.assertLessEqual(row["p50_us"], row["p99_us"], name)
            self.assertLessEqual(row["p99_us"], row["max_us"], name)
            # On a busy machine a question may miss its deadline.
            self.assertLess(row["failed"], row["decisions"], name)
            self.assertIn(f"\n{name[0]}: ", ran.stdout)
        return rows

    def test_weir_beside_a_script_a_request_and_a_peer(self):
        with tempfile.TemporaryDirectory() as folder:
            rows = self.measured(["hot", "hot10", "rate", "rate10", "zipf", "cold", "judged"], ["weir", "script", "redis_rate"],
                                 "--peer", self.peer(folder))
        for (what, who), row in rows.items():
            if who == "weir":
                self.assertGreater(row["allowed_share"], 0, what)
            else:
                # The server is looked at a moment before and after the decisions are counted.
                self.assertTrue(300 < row["scripts_per_thousand"] < 3000, (what, row))
        self.assertEqual(rows["cold", "script"]["allowed_share"], 1)
        self.assertEqual(rows["judged", "weir"]["windows_above"], 0)
        # Whether GCRA's windows are above the limit for certain depends on how busy the machine is.
        for who in "script", "redis_rate":
            self.assertGreater(rows["judged", who]["windows"], 0)

    def test_a_crowd_that_asks_for_more_than_redis_can_answer_in_time(self):
        rows = self.measured(["crowd"], ["weir", "script"], "--without-peers", "--processes", 4, "--seconds", 0.5)
        # If nobody were held back what comes too late would be asked for again, ten times for each decision and more.
        self.assertLess(rows["crowd", "weir"]["scripts_per_thousand"], 5000)

    def test_an_overload_is_measured_however_few_are_answered_in_time(self):
        with tempfile.TemporaryDirectory() as folder:
            ran, rows = run(folder, "--quick", "--turns", 1, "--seconds", 0.2, "--only", "overload", "--peer", self.peer(folder))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual({who for _, who in rows}, {"weir", "script", "redis_rate"})
        for (_, who), row in rows.items():
            self.assertGreater(row["failed"] + row["decisions"], 0, who)
            self.assertEqual(row["allowed_share"], 1 if row["decisions"] else 0, "each is new")

    def test_what_makes_no_sense_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for words in (["--only", "nosuch"], ["--turns", 0], ["--processes", -1]):
                ran, rows = run(folder, *words)
                self.assertEqual((ran.returncode, ran.stdout, rows), (2, "", {}), words)
            ran, _ = run(folder, "--peer", "/nowhere")
            self.assertEqual((ran.returncode, ran.stdout), (3, ""))
            self.assertIn("bench/peers/install.sh", ran.stderr)


if __name__ == "__main__":
    unittest.main()
