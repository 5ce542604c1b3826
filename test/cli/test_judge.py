# SPDX-License-Identifier: MIT
"""weir judge: verdicts on small logs, what it says of bad input, and its bound on memory.

test/unit/test_judge.c shows that the verdicts are right; this shows what people and scripts see."""

import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile

import weir_cli

SECOND = 10**9


def line(user="ann", at=0, took=0, limit=3, window=10 * SECOND, allowed=True, **more):
    return {"user": user, "limit": limit, "window_ns": window, "cost": 1, "allowed": allowed,
            "sent_ns": at, "received_ns": at + took, **more}


def log(lines):
    return "".join(json.dumps(each) + "\n" for each in lines).encode()


class Verdicts(weir_cli.Case):
    def judged(self, lines, *words, code, err=b""):
        return json.loads(self.says("judge", "--json", *words, input=lines if isinstance(lines, bytes) else log(lines),
                                    code=code, err=err))

    def test_a_promise_that_holds(self):
        kept = [line(at=t * SECOND) for t in (1, 2, 3, 11, 12, 13)] + [line(at=14 * SECOND, allowed=False)]
        told = self.judged(kept, code=0)
        self.assertEqual((told["holds"], told["lines"], told["allowed"], told["denied"]), (True, 7, 6, 1))
        self.assertEqual((told["certain"], told["possible"], told["windows"], told["counters"]), (0, 0, 6, 1))
        self.assertEqual(told["fullest"], {"user": "ann", "admitted": 3, "limit": 3, "window_ns": 10 * SECOND})
        text = self.says("judge", input=log(kept)).decode()
        self.assertTrue(text.startswith("The promise holds.\n"), text)
        self.assertIn("7 lines: 6 allowed, 1 denied\n", text)
        self.assertIn("fullest window: 3 of 3 in 10s, user 'ann'\n", text)

    def test_a_promise_that_is_broken(self):
        broken = [line(at=t * SECOND + 1) for t in (1, 2, 3, 11)] + [line(user="bob", at=12 * SECOND)]
        broken[3]["sent_ns"] -= 1
        broken[3]["received_ns"] -= 1
        told = self.judged(broken, code=1)
        self.assertEqual((told["holds"], told["certain"], told["certain_users"]), (False, 1, 1))
        self.assertEqual(told["violations"], [
            {"user": "ann", "host": "", "window_ns": 10 * SECOND, "limit": 3, "admitted": 4, "admissions": 4,
             "begin_ns": SECOND + 1, "end_ns": 11 * SECOND, "first_file": "stdin", "first_line": 1,
             "last_file": "stdin", "last_line": 4}])
        text = self.says("judge", input=log(broken), code=1).decode()
        self.assertTrue(text.startswith(
            "The promise is broken: 1 of 5 windows certainly admitted more than their limit, of 1 users.\n"), text)
        self.assertIn("  user 'ann': 4 admitted in 10s, the limit was 3\n"
                      "    window from 1.000000001s to 11.000000000s, 4 admissions, stdin line 1 to line 4\n", text)

    def test_a_window_is_half_open(self):
        self.judged([line(at=t * SECOND) for t in (1, 2, 3, 11)], code=0)

    def test_only_what_is_certain_is_called_broken(self):
        wide = [line(at=t * SECOND, took=SECOND) for t in (1, 2, 3, 10)]
        told = self.judged(wide, code=0)
        self.assertEqual((told["holds"], told["certain"], told["possible"]), (True, 0, 1))
        self.assertTrue(self.says("judge", input=log(wide)).startswith(b"No window is certainly broken.\n"))
        wide[3]["received_ns"] = wide[3]["sent_ns"]
        self.assertEqual(self.judged(wide, code=1)["certain"], 1)

    def test_costs_limits_and_windows_of_their_own(self):
        self.judged([line(cost=3), line(cost=0, at=1)], code=0)
        self.judged([line(cost=2), line(cost=2, at=1)], code=1)
        self.judged([line(), line(window=SECOND), line(), line(window=SECOND)], code=0)
        self.judged([line(limit=0)], code=1)
        # Each admission is judged by the limit that it came with.
        self.judged([line(limit=5, at=t) for t in range(5)] + [line(limit=10, at=5)], code=0)
        self.judged([line(limit=10, at=t) for t in range(5)] + [line(limit=5, at=5)], code=1)

    def test_nothing_was_admitted(self):
        self.assertTrue(self.says("judge").startswith(b"Nothing was admitted, so nothing is broken.\n"))
        self.judged([line(allowed=False)], code=0)

    def test_users_are_bytes(self):
        told = self.judged([line(user="\u00e9\"\n", limit=0)], code=1)
        self.assertEqual(told["violations"][0]["user"], "\u00e9\"\n")
        odd = line(limit=0)
        del odd["user"]
        odd["user_hex"] = "ff1b5b"
        told = self.judged([odd], code=1)
        self.assertEqual(told["violations"][0]["user_hex"], "ff1b5b")
        self.assertIn(b"user '\\xff\\x1b['", self.says("judge", input=log([odd]), code=1))

    def test_hosts_are_apart_unless_their_clocks_are_comparable(self):
        two = [line(at=t, host="ab"[t % 2], limit=2) for t in range(4)]
        told = self.judged(two, code=0)
        self.assertEqual((told["hosts"], told["hosts_together"]), (2, False))
        self.assertIn(b"2 hosts, each judged by its own clock only: what they admitted together was not\njudged;",
                      self.says("judge", input=log(two)))
        told = self.judged(two, "--clock-error", "1ms", code=1)
        self.assertEqual(told["hosts_together"], True)
        self.assertNotIn("host", told["violations"][0])
        # With clocks as far apart as the window, nothing between them is certain.
        told = self.judged(two, "--clock-error", "10s", code=0)
        self.assertGreater(told["possible"], 0)
        # What one host did by itself is certain all the same.
        alone = [line(at=t, host="a") for t in range(3)] + [line(at=t, host="b", limit=2) for t in range(3)]
        self.assertEqual(self.judged(alone, "--clock-error", "10s", code=1)["violations"][0]["host"], "b")

    def test_details_are_shown_as_many_as_asked(self):
        many = [line(at=t, limit=0) for t in range(20)]
        self.assertEqual(len(self.judged(many, code=1)["violations"]), 10)
        self.assertEqual(len(self.judged(many, "--show", "0", code=1)["violations"]), 0)
        self.assertEqual(len(self.judged(many, "--show", "100", code=1)["violations"]), 20)
        self.assertIn(b"  and 10 more; --show N shows them\n", self.says("judge", input=log(many), code=1))


class Files(weir_cli.Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_files_are_read_side_by_side_by_time(self):
        """The same lines in one file, in three, packed, and by standard input."""
        draw = random.Random(7)
        lines = [line(user=draw.choice(["ann", "bob", "cyd"]), at=at * 40 * SECOND // 1000 + 10**6, took=draw.randrange(9))
                 for at in range(3000)]
        whole = json.loads(self.says("judge", "--json", input=log(lines), code=1))
        thirds = [self.file("a", log(lines[0::3])), self.file("b.gz", gzip.compress(log(lines[1::3]))),
                  self.file("c", log(lines[2::3]))]
        parts = json.loads(self.says("judge", "--json", "--horizon", "1s", *thirds, code=1))
        mixed = json.loads(self.says("judge", "--json", thirds[0], "-", thirds[2],
                                     input=gzip.compress(log(lines[1::3])), code=1))
        for told in (whole, parts, mixed):
            for name in ("violations", "fullest", "memory_bytes"):
                del told[name]
        self.assertEqual(whole, parts)
        self.assertEqual(whole, mixed)

    def test_disorder_within_the_horizon_changes_nothing(self):
        draw = random.Random(8)
        lines = [line(user=draw.choice("ab"), at=at * SECOND // 10) for at in range(2000)]
        inorder = json.loads(self.says("judge", "--json", input=log(lines), code=1))
        lines.sort(key=lambda each: each["sent_ns"] + draw.randrange(5 * SECOND))
        shuffled = json.loads(self.says("judge", "--json", "--horizon", "5s", input=log(lines), code=1))
        self.assertEqual(inorder["certain"], shuffled["certain"])
        self.assertEqual(inorder["windows"], shuffled["windows"])

    def test_lines_beyond_the_horizon_are_trouble(self):
        lines = [line(at=100 * SECOND), line(at=60 * SECOND)]
        why = "weir judge: stdin line 2: it was sent before the horizon; give a longer --horizon\n"
        self.says("judge", input=log(lines), code=3, err=why)
        self.says("judge", "--lenient", input=log(lines), code=0, err=why)
        self.says("judge", "--horizon", "1m", input=log(lines), code=0)

    def test_lines_that_are_no_decisions_are_counted_and_the_first_told(self):
        bad = [b"", b"garbage", b'{"user":"ann"}', b"{}", b'{"user":', b"[1]", b"\xff\x00", b"x" * 200000]
        text = log([line()]) + b"\n".join(bad) + b"\n" + log([line(at=1)])
        told = ("weir judge: stdin line 3: it does not begin with { or [\n"
                'weir judge: stdin line 4: "limit" is missing\n'
                'weir judge: stdin line 5: "user" is missing\n'
                "weir judge: stdin line 6: it ends too early\n"
                "weir judge: stdin line 7: it is not a JSON object\n"
                "weir judge: further lines that cannot be judged are only counted\n")
        ran = json.loads(self.says("judge", "--json", input=text, code=3, err=told))
        self.assertEqual((ran["lines"], ran["allowed"], ran["bad"], ran["empty"], ran["exit_code"]), (10, 2, 7, 1, 3))
        self.assertIs(ran["all_lines_judged"], False)
        self.says("judge", "--lenient", input=text, code=0, err=told)
        out = self.says("judge", input=text, code=3, err=told).decode()
        self.assertIn("That is only what could be judged: some lines could not (exit code 3; see --lenient).\n", out)
        broken = text + log([line(at=2, limit=0)])
        self.says("judge", "--lenient", input=broken, code=1, err=told)
        self.says("judge", input=broken, code=3, err=told)

    def test_line_ends_of_either_kind_and_none_at_the_end(self):
        self.says("judge", input=log([line(), line()]).replace(b"\n", b"\r\n"))
        self.says("judge", input=log([line()]).rstrip(b"\n"))

    def test_files_that_cannot_be_read(self):
        missing = os.path.join(self.folder, "missing")
        self.refuses("judge", missing, code=3, because=f"weir judge: cannot open '{missing}': No such file or directory")
        self.refuses("judge", self.folder, code=3,
                     because=f"weir judge: '{self.folder}' is a folder; name the log files in it")
        cut = self.file("cut.gz", gzip.compress(log([line()] * 1000))[:-20])
        ran = self.weir("judge", cut)
        self.assertEqual((ran.returncode, ran.stdout), (3, b""))
        self.assertRegex(ran.stderr.decode(), r"cut\.gz: the gzip data is cut off after \d+ lines; nothing is judged\n$")

    def test_options_that_are_wrong(self):
        for words, why in (
                (["--memory", "1K"], "--memory '1K' is not a size from 1048576 to 70368744177664 bytes; "
                                     "write it as 500M or 2G"),
                (["--horizon", "soon"], "--horizon 'soon' is not a duration; "
                                        "write it as 250us, 10ms, 1s, 5m, 2h or 1d"),
                (["--clock-error", "-1s"], "--clock-error '-1s' is not a duration; "
                                           "write it as 250us, 10ms, 1s, 5m, 2h or 1d"),
                (["--clock-error", "15000w"], "--clock-error '15000w' is outside 0s to 13344d"),
                (["--show", "1000001"], "--show '1000001' is not a whole number from 0 to 1000000"),
                (["--hoirzon", "1s"], "unknown option '--hoirzon'; did you mean --horizon?")):
            self.refuses("judge", *words, because="weir judge: " + why)


class Memory(weir_cli.Case):
    """The bound is one of the process, not only of our own counting."""

    # What a process held before it became another program counts as its own, so it is begun by a
    # small one and not by this.
    BEGIN = ("import os, resource, subprocess, sys; code = subprocess.call(sys.argv[2:]); "
             "os.write(int(sys.argv[1]), b'%d' % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); "
             "sys.exit(code)")

    def peak(self, lines, *words):
        """Exit code, output, complaints, and the most memory that the process held."""
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as file, os.fdopen(reading) as told:
            file.writelines(lines)
            file.seek(0)
            ran = subprocess.run([sys.executable, "-S", "-E", "-c", self.BEGIN, str(writing), weir_cli.WEIR, "judge",
                                  "--json", *words], stdin=file, capture_output=True, pass_fds=[writing], check=False,
                                 timeout=60)
            os.close(writing)
            return ran.returncode, ran.stdout, ran.stderr.decode(), int(told.read()) * 1024

    def many(self, count, step, window):
        for i in range(count):
            yield (b'{"user":"user-%d","limit":3,"window_ns":%d,"allowed":true,"sent_ns":%d,"received_ns":%d}\n'
                   % (i, window, i * step, i * step))

    def test_users_who_leave_make_room(self):
        code, out, err, peak = self.peak(self.many(300000, 10**6, SECOND), "--memory", "8M", "--horizon", "1s")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["windows"], 300000)
        if not weir_cli.SANITIZED:
            self.assertLess(peak, (8 + 8) << 20)

    def test_users_who_stay_are_trouble_and_not_more_memory(self):
        code, out, err, peak = self.peak(self.many(300000, 1, 3600 * SECOND), "--memory", "8M")
        self.assertEqual((code, out), (3, b""))
        self.assertRegex(err, r"^weir judge: [\d,]+ users with [\d,]+ admissions are live at once, which is more than "
                              r"--memory 8M holds; give more, or a shorter --horizon, or judge some users at a time\n$")
        if not weir_cli.SANITIZED:
            self.assertLess(peak, (8 + 8) << 20)

    def test_an_address_space_that_is_too_small_is_told(self):
        if weir_cli.SANITIZED:
            return  # a sanitizer's shadow memory needs terabytes of address space

        def small():
            resource.setrlimit(resource.RLIMIT_AS, (48 << 20, 48 << 20))

        lines = b"".join(self.many(300000, 1, 3600 * SECOND))
        ran = self.weir("judge", input=lines, preexec_fn=small)
        self.assertEqual(ran.returncode, 3)
        self.assertIn("live at once", ran.stderr.decode())


if __name__ == "__main__":
    weir_cli.main()
