# SPDX-License-Identifier: MIT
"""weir explain: numbers that agree with themselves and with what allow does."""

import json

import weir_cli


class Explain(weir_cli.Case):
    def numbers(self, *words):
        return json.loads(self.says("explain", *words, "--json"))

    def test_the_strict_window_is_never_above_its_limit(self):
        for limit in (1, 3, 100, 161, 12345, 10**6, 2**40):
            for window in ("1us", "1s", "1h", "3650d"):
                n = self.numbers(f"{limit}/{window}")
                self.assertEqual((n["worst_window"], n["is_strict"]), (limit, True))
                self.assertLessEqual(n["quantum"] - 1, limit * 0.007)
                self.assertLessEqual(n["burst"], limit)
                self.assertEqual(n["users_per_gib"], 2**30 // n["user_bytes"])
                if window != "1us":
                    self.assertLessEqual(n["cell_ns"], n["window_ns"] * 0.007 + 1)

    def test_the_others_are_told_beside_it(self):
        self.assertEqual(self.numbers("100/1m")["worst_window_by_algorithm"],
                         {"strict": 100, "gcra": 199, "fixed": 200, "two_counters": 199})
        gcra = self.numbers("100/1m", "-a", "gcra", "-b", "20")
        self.assertEqual((gcra["worst_window"], gcra["burst"], gcra["is_strict"]), (119, 20, False))
        self.assertEqual(gcra["interval_ns"], 600_000_000)
        self.assertEqual(self.numbers("100/1m", "-a", "fixed")["worst_window"], 200)

    def test_the_text_says_it_in_sentences(self):
        text = self.says("explain", "100/1m").decode()
        self.assertTrue(text.startswith("100/1m, strict: at most 100 in any 1m, wherever it begins.\n"))
        for part in ("  > strict        100\n", "gcra          199  (1.99 times the limit)", "A denial means:",
                     "Time is counted in cells of", "none of the 100 is lost", "bytes of memory"):
            self.assertIn(part, text)
        text = self.says("explain", "1000000/1d").decode()
        self.assertIn("Permits are counted in quanta of", text)
        text = self.says("explain", "100/1m", "--algorithm", "gcra").decode()
        self.assertIn("which is more than the limit", text)
        self.assertIn("Permits come back one each 600ms.", text)
        self.assertIn("all permits come back at once", self.says("explain", "5/1s", "-a", "fixed").decode())

    def test_a_limit_of_0(self):
        self.says("explain", "0/1s",
                  out="0/1s, strict: at most 0 in any 1s, wherever it begins.\n\nA limit of 0 denies everything.\n")
        self.assertEqual(self.numbers("0/1s")["worst_window_by_algorithm"]["fixed"], 0)

    def test_a_sketch_in_numbers(self):
        def sketch(size, *more, rate="10/1m", users="1000000000"):
            return self.numbers(rate, "--sketch", size, "--users", users, *more)["sketch"]
        n = sketch("4G", "--mean", "2.5")
        self.assertEqual((n["users"], n["mean"], n["line_counts"], n["count_bits"]), (10**9, 2.5, 16, 4))
        self.assertEqual(n["cell_ns"], 10 * 10**9)
        self.assertLessEqual(n["bytes"], 4 * 2**30)
        self.assertGreater(n["bytes"], 4 * 2**30 - 256)
        self.assertAlmostEqual(n["user_bytes"], n["bytes"] / 10**9, places=6)
        self.assertEqual(sketch("4G"), n, "a quarter of the limit is the default")
        self.assertNotIn("sketch", self.numbers("10/1m"))

        # What was tried stays below the bound, and more memory denies less.
        before = 1.1
        for size in ("2G", "4G", "8G", "16G"):
            n = sketch(size)
            self.assertLess(n["false_denial_max"], before)
            self.assertLess(n["tried_denied_falsely"] / n["tried_requests"], n["false_denial_max"])
            self.assertGreaterEqual(n["tried_requests"], 10**6)
            before = n["false_denial_max"]
        self.assertLess(before, 0.0003)
        self.assertEqual(sketch("1M", rate="1/1s", users="100")["count_bits"], 1)
        self.assertEqual(sketch("192", rate="255/1s", users="100")["false_denial_max"], 1)

    def test_a_sketch_in_sentences(self):
        text = self.says("explain", "10/1m", "--sketch", "8G", "--users", "1000000000", "--mean", "2.5").decode()
        for part in ("10/1m, strict: at most 10", "In a sketch of 8,589,934,528 bytes for 1,000,000,000 users who take 2.5",
                     "Never more than the limit", "8.59 bytes a user", "cells of 10s", "Tried with 100,000 users"):
            self.assertIn(part, text)
        self.assertRegex(text, r"with a probability of at most 0\.\d+ %")

    def test_a_sketch_refuses_what_it_cannot(self):
        self.refuses("explain", "256/1m", "--sketch", "1G", "--users", "5",
                     because="weir explain: --sketch: a sketch counts limits of 1 to 255, and this is 256")
        self.refuses("explain", "0/1m", "--sketch", "1G", "--users", "5",
                     because="weir explain: --sketch: a sketch counts limits of 1 to 255, and this is 0")
        self.refuses("explain", "5/1m", "--sketch", "1G", because="weir explain: --sketch: for how many users? give --users N")
        self.refuses("explain", "5/1m", "--sketch", "191", "--users", "5",
                     because="weir explain: --sketch 191: too small, 192 bytes are the least")
        self.refuses("explain", "5/1m", "--mean", "5",
                     because="weir explain: --users and --mean are about a sketch; give --sketch BYTES")
        self.refuses("explain", "5/1m", "--sketch", "1G", "--users", "5", "-a", "fixed",
                     because="weir explain: --sketch: a sketch is strict; leave --algorithm out")
        for mean in ("", "x", "0", "-1", "nan", "inf", "2.5x", "1e9"):
            self.refuses("explain", "5/1m", "--sketch", "1G", "--users", "5", f"--mean={mean}",
                         because=f"weir explain: --mean '{mean}': not a number above 0 and up to 100000, like 2.5")

    def test_refusals(self):
        self.refuses("explain", because="weir explain: something is missing; usage: weir explain LIMIT/WINDOW")
        self.refuses("explain", "5/0s",
                     because="weir explain: LIMIT/WINDOW '5/0s': the window is outside 1us to 10 years")
        self.refuses("explain", "1099511627777/1s",
                     because="weir explain: LIMIT/WINDOW '1099511627777/1s': the limit is above 1099511627776 (2^40)")
        self.refuses("explain", "5/1s", "--burst", "2",
                     because="weir explain: --burst 2: only --algorithm gcra has a burst; leave it out")
        self.refuses("explain", "5/1s", "--jsn", because="weir explain: unknown option '--jsn'; did you mean --json?")


if __name__ == "__main__":
    weir_cli.main()
