#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir bench: runs, is right about what it asked, and prints JSON; how fast decides nothing here."""

import json
import os
import re
import subprocess
import sys
import unittest

WEIR = os.environ.get("WEIR_BIN") or sys.exit("WEIR_BIN must name the weir binary")
SHORT = ["--users", "20000", "--time", "4ms", "--rounds", "2", "--threads", "2"]


def bench(*words):
    return subprocess.run([WEIR, "bench", *words], capture_output=True, text=True, timeout=150, check=False)


class InProcess(unittest.TestCase):
    def test_every_row_is_measured_beside_its_reference(self):
        ran = bench("--json", *SHORT)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        document = json.loads(ran.stdout)
        rows = {row["name"]: row for row in document["rows"]}
        self.assertEqual(len(rows), len(document["rows"]), "two rows of one name")
        self.assertTrue({"loop", "clock", "hot/allow", "hot/deny", "hot/overload", "hot/distinct/2 threads",
                         "hot/same/2 threads", "20k/bare", "20k/bare/chain", "20k/uniform/allow",
                         "20k/uniform/many16", "20k/uniform/many32", "20k/uniform/many64",
                         "20k/uniform/many256", "20k/zipf/many64"} <= rows.keys(), rows.keys())
        for name, row in rows.items():
            self.assertLessEqual(row["min_ns"], row["median_ns"], name)
            self.assertLessEqual(row["median_ns"], row["max_ns"], name)
            self.assertGreaterEqual(row["min_ns"], 0, name)
            if "reference" in row:
                self.assertIn(row["reference"], rows, name)
                self.assertNotEqual(row["reference"], name)
        self.assertEqual(document["rounds"], 2)
        self.assertTrue(document["machine"]["cpu"])
        self.assertIn("weir bench --json --users 20000", document["command"])

    def test_rows_ask_what_their_names_say(self):
        rows = {r["name"]: r for r in json.loads(bench("--json", *SHORT).stdout)["rows"]}
        for name, row in rows.items():
            if re.search(r"/deny", name):
                self.assertEqual(row["allowed_share"], 0, name)
            elif re.search(r"uniform/(allow|many\d+|decide)(/gcra|/\d threads)?$", name) or name == "hot/allow":
                self.assertEqual(row["allowed_share"], 1, name)
            elif "/mixed" in name:
                self.assertTrue(0.3 < row["allowed_share"] < 0.7, (name, row["allowed_share"]))

    def test_memory_counts_every_user(self):
        memory, = json.loads(bench("--json", "--only", "bare", *SHORT).stdout)["memory"]
        self.assertEqual(memory["users"], 20000)
        self.assertEqual(memory["users_held"], 20000)
        self.assertEqual(memory["overflowed"], 0)
        self.assertGreater(memory["table_bytes_per_user"], 64)
        self.assertGreater(memory["resident_bytes_per_user"], 0)

    def test_only_takes_the_rows_named_and_what_they_stand_beside(self):
        rows = [r["name"] for r in json.loads(bench("--json", "--only", "hot/deny,many32", *SHORT).stdout)["rows"]]
        self.assertEqual(rows, ["clock", "hot/deny", "20k/bare/batch32", "20k/uniform/many32"])

    def test_the_table_for_people_has_the_same_rows(self):
        ran = bench("--only", "hot/allow", *SHORT)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertRegex(ran.stdout, r"(?m)^clock +\d+\.\d\d")
        self.assertRegex(ran.stdout, r"(?m)^hot/allow +\d+\.\d\d.* x clock, ")
        self.assertNotIn("\x1b", ran.stdout)

    def test_what_makes_no_sense_is_refused(self):
        ran = bench("--only", "nosuchrow")
        self.assertEqual((ran.returncode, ran.stdout), (2, ""))
        self.assertIn("nosuchrow", ran.stderr)
        for words in (["--users", "10"], ["--threads", "0"], ["--rounds", "0"], ["--time", "0s"], ["operand"]):
            ran = bench(*words)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), words)
            self.assertTrue(ran.stderr, words)


if __name__ == "__main__":
    unittest.main(verbosity=1)
