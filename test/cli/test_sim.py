# SPDX-License-Identifier: MIT
"""weir sim: what it prints, and what it takes."""

import json
import os
import re

import weir_file


class Sim(weir_file.Case):
    def test_list_names_every_scenario_and_what_may_break(self):
        text = self.says("sim", "--list").decode()
        for name in ("quiet-200", "chaos", "greedy-chaos", "broken-freeze"):
            self.assertRegex(text, rf"(?m)^{name} +\w")
        self.assertEqual(len(re.findall(r"(?m)^broken-", text)), text.count("may exceed the limit:"))

    def test_a_seed_tells_its_figures_and_its_trace(self):
        text = self.says("sim", "--scenario", "quiet-small", "--seed", "7").decode()
        self.assertRegex(text, r"(?m)^quiet-small +1 +0 +\d+/10 ")
        self.assertRegex(text, r"(?m)^trace [0-9a-f]{16}$")
        self.assertTrue(text.endswith("1 runs, 0 convicted\n"), text)
        self.assertEqual(self.says("sim", "--scenario", "quiet-small", "-s7").decode(), text)

    def test_a_trace_tells_what_happened(self):
        text = self.says("sim", "--scenario", "greedy-crash", "--seed", "1", "--trace").decode()
        for what in ("grant", "admit", "crash", "start"):
            self.assertRegex(text, rf"(?m)^ +\d+\.\d{{9}} {what} ")

    def test_a_conviction_says_how_to_repeat_it(self):
        text = self.says("sim", "--scenario", "broken-no-wait", "--seeds", "1..3", "--quiet", code=1).decode()
        match = re.search(r"(?m)^convicted broken-no-wait, seed (\d+): (not strict: .*)\n    repeat: weir (.*)$", text)
        self.assertIsNotNone(match, text)
        again = self.says(*match[3].split(), code=1).decode()
        self.assertIn(f"convicted broken-no-wait, seed {match[1]}: {match[2]}\n", again)

    def test_seeds_take_turns_at_what_must_hold(self):
        text = self.says("sim", "--seeds", "1..40").decode()
        self.assertNotIn("broken-", text)
        self.assertIn("40 runs, 0 convicted\n", text)

    def test_quiet_says_nothing_when_all_is_well(self):
        self.says("sim", "--scenario", "quiet-one", "--quiet", out="")

    def test_json_has_a_line_for_each_run(self):
        lines = self.says("sim", "--scenario", "chaos-small", "--seeds", "3..5", "--json").decode().splitlines()
        runs = [json.loads(line) for line in lines]
        self.assertEqual([run["seed"] for run in runs], [3, 4, 5])
        for run in runs:
            self.assertEqual((run["scenario"], run["convicted"], run["limit"]), ("chaos-small", False, 10))
            self.assertLessEqual(run["fullest"], 10)
            self.assertGreater(run["repair_permille"], 500)
        broken = self.says("sim", "--scenario", "broken-no-wait", "--json", code=1).decode()
        self.assertIn("not strict", json.loads(broken)["reason"])

    def test_a_file_of_seeds(self):
        path = os.path.join(self.folder, "seeds")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# two of them\n\nquiet-one 3 # why\nquiet-small 4\n")
        self.assertIn("2 runs, 0 convicted\n", self.says("sim", "--from", path).decode())
        with open(path, "w", encoding="utf-8") as file:
            file.write("quiet-one 3\nnonsense\n")
        self.refuses("sim", "--from", path, because="weir sim: line 2 is not a scenario and a seed")
        self.refuses("sim", "--from", path + "x", because=f"weir sim: cannot read {path}x", code=3)

    def test_what_makes_no_sense_is_refused(self):
        self.refuses("sim", "--scenario", "storm", because="weir sim: no scenario is called 'storm'; see weir sim --list")
        for seeds in ("5", "5..", "..5", "5..4", "a..b", "1..18446744073709551615", "1..2..3"):
            self.refuses("sim", "--seeds", seeds, because=f"weir sim: --seeds takes a range such as 1..100, not '{seeds}'")


if __name__ == "__main__":
    weir_file.main()
