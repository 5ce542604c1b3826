# SPDX-License-Identifier: MIT
"""weir allow: decisions, exit codes, and every way to ask wrongly."""

import json

import weir_cli

DURATION = "write it as 250us, 10ms, 1s, 5m, 2h or 1d"


class Answers(weir_cli.Case):
    def test_one_question_is_allowed(self):
        self.says("allow", "ann", "3/10s", out="allowed, 2 left of 3\n")

    def test_the_limit_shows_when_asked_several_times(self):
        out = self.says("allow", "ann", "3/1h", "--times", "5", code=1).decode().splitlines()
        self.assertEqual(out[:3], ["allowed, 2 left of 3", "allowed, 1 left of 3", "allowed, 0 left of 3"])
        for line in out[3:]:
            self.assertRegex(line, r"^denied, try again in 1h( \dm)?$")

    def test_permits_come_back_within_one_process(self):
        ran = self.weir("allow", "ann", "1/1us", "--times", "20000")
        self.assertGreater(ran.stdout.count(b"allowed"), 10)

    def test_cost_takes_many_or_none(self):
        self.says("allow", "ann", "5/1m", "--cost", "5", out="allowed, 0 left of 5\n")
        self.says("allow", "ann", "5/1m", "--cost=0", out="allowed, 5 left of 5\n")
        self.says("allow", "ann", "5/1m", "-c2", out="allowed, 3 left of 5\n")
        self.says("allow", "ann", "5/1m", "-c", "6", code=1,
                  out="denied, and no wait helps: the cost 6 is above the limit 5\n")
        self.says("allow", "ann", "5/1m", "--cost", "18446744073709551615", code=1,
                  out="denied, and no wait helps: the cost 18446744073709551615 is above the limit 5\n")

    def test_a_limit_of_0_denies(self):
        self.says("allow", "ann", "0/1s", code=1, out="denied, and no wait helps: a limit of 0 admits nobody\n")

    def test_the_largest_limit_and_windows(self):
        self.says("allow", "ann", "1099511627776/3650d", out=None)
        self.says("allow", "ann", "1/1us", out="allowed, 0 left of 1\n")

    def test_algorithms(self):
        self.says("allow", "ann", "10/1h", "--algorithm", "gcra", "--burst", "2", "-n", "2",
                  out="allowed, 1 left of 2\nallowed, 0 left of 2\n")
        self.says("allow", "ann", "10/1h", "-a", "gcra", "-b", "2", "-c", "3", code=1,
                  out="denied, and no wait helps: the cost 3 is above the burst 2\n")
        self.says("allow", "ann", "10/1h", "-a", "fixed", out="allowed, 9 left of 10\n")

    def test_quiet_says_it_by_the_exit_code(self):
        self.says("allow", "ann", "1/1h", "--quiet", out="")
        self.says("allow", "ann", "1/1h", "-qn2", out="", code=1)

    def test_options_may_stand_anywhere_and_end_with_two_dashes(self):
        self.says("allow", "--cost=1", "ann", "-n1", "3/1s", out="allowed, 2 left of 3\n")
        self.says("allow", "--", "--cost", "3/1s", out="allowed, 2 left of 3\n")
        self.says("allow", "-", "3/1s", out="allowed, 2 left of 3\n")

    def test_users_may_be_empty_long_or_any_bytes(self):
        self.says("allow", "", "3/1s", out="allowed, 2 left of 3\n")
        self.says("allow", b"\xff\xfe\x01", "3/1s", out="allowed, 2 left of 3\n")
        self.says("allow", "u" * 65536, "3/1s", out="allowed, 2 left of 3\n")
        self.refuses("allow", "u" * 65537, "3/1s", because="weir allow: USER has 65537 bytes; 65536 are the most")


class Json(weir_cli.Case):
    def lines(self, *words, code=0):
        return [json.loads(line) for line in self.says("allow", *words, "--json", code=code).splitlines()]

    def test_one_line_for_each_question(self):
        first, second = self.lines("ann", "1/1h", "-n", "2", code=1)
        self.assertEqual(first, {"user": "ann", "allowed": True, "remaining": 0, "limit": 1,
                                 "window_ns": 3600 * 10**9, "cost": 1, "algorithm": "strict",
                                 "retry_after_ns": 0, "reset_after_ns": first["reset_after_ns"]})
        self.assertEqual((second["allowed"], second["remaining"]), (False, 0))
        self.assertTrue(3599 * 10**9 < second["retry_after_ns"] <= 3630 * 10**9)

    def test_never_is_null(self):
        self.assertIsNone(self.lines("ann", "0/1s", code=1)[0]["retry_after_ns"])

    def test_users_that_are_not_utf8_are_hexadecimal(self):
        line = self.lines(b"\xff\x01", "3/1s")[0]
        self.assertEqual(line["user_hex"], "ff01")
        self.assertNotIn("user", line)
        self.assertEqual(self.lines("é\"\\\n\x7f", "3/1s")[0]["user"], "é\"\\\n\x7f")


class Refusals(weir_cli.Case):
    def test_what_is_missing_or_too_much(self):
        usage = "usage: weir allow USER LIMIT/WINDOW"
        self.refuses("allow", because=f"weir allow: something is missing; {usage}")
        self.refuses("allow", "ann", because=f"weir allow: something is missing; {usage}")
        self.refuses("allow", "ann", "3/1s", "x", because=f"weir allow: 'x' is one word too many; {usage}")

    def test_limits_that_are_none(self):
        no_slash = "weir allow: LIMIT/WINDOW '{}' has no slash; write a limit and a window, such as 100/1m"
        no_limit = ("weir allow: LIMIT/WINDOW '{}': the limit is not a whole number up to 18446744073709551615; "
                    "write it as 100/1m")
        no_window = "weir allow: LIMIT/WINDOW '{}': the window is not a duration up to 292 years; " + DURATION
        for text, why in (("100", no_slash), ("", no_slash),
                          ("/1s", no_limit), ("-1/1s", no_limit), ("1.5/1s", no_limit), ("x/1s", no_limit),
                          ("18446744073709551616/1s", no_limit),
                          ("5/", no_window), ("5/60", no_window), ("5/-1m", no_window), ("5/1y", no_window),
                          ("5/1h30m", no_window), ("5/99999999999d", no_window), ("5/1s/1s", no_window)):
            words = ["allow", "ann", text] if not text.startswith("-") else ["allow", "--", "ann", text]
            self.refuses(*words, because=why.format(text))
        self.refuses("allow", "ann", b"\xff/1s", because=no_limit.format("\\xff/1s"))

    def test_limits_out_of_range(self):
        for text in ("1099511627777/1s", "18446744073709551615/1s"):
            self.refuses("allow", "ann", text,
                         because=f"weir allow: LIMIT/WINDOW '{text}': the limit is above 1099511627776 (2^40)")
        for text in ("5/0s", "5/999ns", "5/3651d", "5/15250w"):
            self.refuses("allow", "ann", text,
                         because=f"weir allow: LIMIT/WINDOW '{text}': the window is outside 1us to 10 years")

    def test_options_that_are_wrong(self):
        whole = "is not a whole number from 0 to 18446744073709551615"
        for words, why in (
                (["--cost", "x"], f"--cost 'x' {whole}"),
                (["--cost", "-1"], f"--cost '-1' {whole}"),
                (["--cost", "18446744073709551616"], f"--cost '18446744073709551616' {whole}"),
                (["--cost="], f"--cost '' {whole}"),
                (["-cx"], f"-c 'x' {whole}"),
                (["--times", "0"], "--times '0' is not a whole number from 1 to 18446744073709551615"),
                (["--cost"], "--cost needs a value (N); see weir allow --help"),
                (["-c"], "-c needs a value (N); see weir allow --help"),
                (["--cots", "1"], "unknown option '--cots'; did you mean --cost?"),
                (["--alogrithm=gcra"], "unknown option '--alogrithm'; did you mean --algorithm?"),
                (["--frobnicate"], "unknown option '--frobnicate'; see weir allow --help"),
                (["-x"], "unknown option '-x'; see weir allow --help"),
                (["-qx"], "unknown option '-qx'; see weir allow --help"),
                (["--json=1"], "--json takes no value; leave out '=1'"),
                (["--algorithm", "fast"], "--algorithm 'fast' is not one of: strict, gcra, fixed"),
                (["--burst", "3"], "--burst 3: only --algorithm gcra has a burst; leave it out"),
                (["--burst", "99999999999999", "-a", "gcra"],
                 "--burst 99999999999999 with LIMIT/WINDOW '3/1s' is too much: a burst ends at 2^40 permits "
                 "and at 100 years' worth of the rate")):
            self.refuses("allow", "ann", "3/1s", *words, because="weir allow: " + why)

    def test_a_store_that_is_not_known(self):
        ran = self.weir("allow", "ann", "3/1s", "--store", "nosuch:")
        self.assertEqual(ran.returncode, 2)
        self.assertEqual(ran.stdout, b"")
        self.assertRegex(ran.stderr.decode(), r'^weir allow: "nosuch:" .*memory:')


if __name__ == "__main__":
    weir_cli.main()
