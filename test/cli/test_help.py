# SPDX-License-Identifier: MIT
"""weir --help, --version, and what is said to those who mistype."""

import os
import pty
import subprocess

import weir_cli
import weir_file

VERBS = ("allow", "serve", "top", "compact", "init", "doctor", "cassandra", "explain", "judge", "sim")


class Help(weir_file.Case):
    def test_help_teaches_what_it_is_the_verbs_and_three_examples(self):
        text = self.says("--help").decode()
        self.assertIn("a rate limiter", text)
        for verb in VERBS:
            self.assertRegex(text, rf"(?m)^  {verb} +\w")
        self.assertEqual(len([line for line in text.splitlines() if line.startswith("  weir ")]), 3)
        self.assertIn("exit codes: 0 allowed, holds, done; 1 denied, broken; 2 wrong usage; 3 trouble.", text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 92, line)
        self.assertEqual(self.says("-h").decode(), text)
        self.assertEqual(self.says("help").decode(), text)

    def test_each_verb_explains_itself_in_two_ways(self):
        for verb in VERBS:
            text = self.says(verb, "--help").decode()
            self.assertTrue(text.startswith(f"usage: weir {verb}"), text)
            self.assertIn("exit codes:", text)
            self.assertIn("--help", text)
            self.assertEqual(self.says("help", verb).decode(), text)
            self.assertEqual(self.says(verb, "-h").decode(), text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 92, line)

    def test_help_wins_over_what_else_is_missing(self):
        self.says("allow", "ann", "--help")

    def test_every_example_in_help_that_needs_no_file_runs(self):
        for verb in ("", "allow", "explain"):
            text = self.says(*([verb] if verb else []), "--help").decode()
            for line in text.splitlines():
                if line.startswith(("  weir allow", "  weir explain")):
                    words = line.split("   ")[0 if not line.startswith("   ") else 1].split()[1:]
                    words = [word.replace("/tmp/", self.folder + "/") for word in words]
                    self.assertIn(self.weir(*words).returncode, (0, 1), line)

    def test_version(self):
        with open(os.path.join(os.environ["WEIR_SOURCE_DIR"], "include/weir.h"), encoding="utf-8") as file:
            header = file.read()
        numbers = [line.split()[2] for line in header.splitlines() if line.startswith("#define WEIR_VERSION_")]
        self.says("--version", out=f"weir {'.'.join(numbers)}\n")

    def test_nothing_typed(self):
        self.refuses(because="weir: say what to do, such as: weir allow ann 100/1m; see weir --help")

    def test_unknown_verbs_get_the_nearest(self):
        for typed, meant in (("alow", "allow"), ("jugde", "judge"), ("exp", "explain"), ("hlep", "help")):
            self.refuses(typed, because=f"weir: unknown verb '{typed}'; did you mean weir {meant}?")
            if meant != "help":
                self.refuses("help", typed, because=f"weir: unknown verb '{typed}'; did you mean weir {meant}?")
        self.refuses("frobnicate", because="weir: unknown verb 'frobnicate'; see weir --help")
        self.refuses("", because="weir: unknown verb ''; see weir --help")
        self.refuses(b"\xff\x1b[2J", because="weir: unknown verb '\\xff\\x1b[2J'; see weir --help")
        self.refuses("x" * 500, because="weir: unknown verb '" + "x" * 252 + "...'; see weir --help")

    def test_options_before_the_verb(self):
        self.refuses("--json", "allow",
                     because="weir: unknown option '--json'; the verb comes first: weir VERB [options]; see weir --help")


class Output(weir_cli.Case):
    def test_a_full_disk_is_trouble(self):
        with open("/dev/full", "wb") as full:
            for words in (["--help"], ["--version"], ["allow", "ann", "3/1s"], ["explain", "3/1s"],
                          ["allow", "--help"], ["judge", "--json"], ["allow", "ann", "3/1s", "--json"],
                          ["allow", "ann", "3/1s", "--times", "100000"]):
                ran = self.weir(*words, stdout=full)
                self.assertEqual(ran.returncode, 3, words)
                self.assertRegex(ran.stderr.decode(), r"^weir( \w+)?: cannot write the answer to standard output: ")

    def test_a_reader_who_has_enough_is_no_trouble(self):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            ran = self.weir("allow", "ann", "1000000/1s", "--times", "100000", stdout=pipe)
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))

    def test_a_closed_stdout_is_no_trouble(self):
        ran = subprocess.run(["sh", "-c", '"$1" allow ann 3/1s >&-', "sh", weir_cli.WEIR],
                             stderr=subprocess.PIPE, check=False)
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))

    def coloured(self, environment):
        """What a terminal would show."""
        ours, theirs = pty.openpty()
        ran = self.weir("allow", "ann", "3/1s", stdout=theirs, environment=environment)
        self.assertEqual(ran.returncode, 0)
        os.close(theirs)
        shown = os.read(ours, 4096)
        os.close(ours)
        return shown

    def test_colour_only_on_a_terminal_and_not_with_no_color(self):
        self.assertIn(b"\x1b[32mallowed\x1b[0m", self.coloured({"TERM": "xterm"}))
        self.assertNotIn(b"\x1b", self.coloured({"TERM": "xterm", "NO_COLOR": "1"}))
        self.assertIn(b"\x1b", self.coloured({"TERM": "xterm", "NO_COLOR": ""}))
        self.assertNotIn(b"\x1b", self.coloured({"TERM": "dumb"}))
        self.assertNotIn(b"\x1b", self.weir("allow", "ann", "3/1s").stdout)


if __name__ == "__main__":
    weir_cli.main()
