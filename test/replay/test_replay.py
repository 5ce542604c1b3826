#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir replay, as people and scripts call it. WEIR_BIN names the binary."""

import collections
import datetime
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
WEIR = os.environ.get("WEIR_BIN") or sys.exit("WEIR_BIN does not say which binary to test")
LOG = SOURCE / "test/data/apache-access.log"
SECOND = 10**9
RULES = {"10/1m": (10, 60 * SECOND), "100/1h": (100, 3600 * SECOND), "3/1s": (3, SECOND)}
ALGORITHMS = ["strict", "exact", "fixed", "gcra", "two-counter"]


def run(*words, stdin=b"", env=None):
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("LC_")}
    surroundings.update({"LANG": "C.UTF-8", "COLUMNS": "100"})
    surroundings.update(env or {})
    return subprocess.run([WEIR, *map(str, words)], input=stdin, capture_output=True,
                          env=surroundings, timeout=100)


def clf(second, ip="10.0.0.1", zone="+0000", minute=5):
    return (f'{ip} - - [17/May/2015:10:{minute:02}:{second:02} {zone}] '
            f'"GET /a HTTP/1.1" 200 12 "-" "curl/7"\n').encode()


def real_requests():
    """(time_ns, user) of each whole line of the sample, in order of time, read independently."""
    line = re.compile(rb'(\S+) \S+ \S+ \[([^\]]+)\] "(?:[^"\\]|\\.)*" \d+ (?:\d+|-) '
                      rb'"(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"')
    requests = []
    for text in LOG.read_bytes().splitlines():
        match = line.fullmatch(text)
        if match:
            time = datetime.datetime.strptime(match[2].decode(), "%d/%b/%Y:%H:%M:%S %z")
            requests.append((int(time.timestamp()) * SECOND, match[1].decode()))
    requests.sort(key=lambda request: request[0])
    return requests


def exact_log(requests, limit, window_ns):
    """Which requests an exact sliding log admits."""
    logs = collections.defaultdict(collections.deque)
    admitted = []
    for time_ns, user in requests:
        log = logs[user]
        while log and log[0] <= time_ns - window_ns:
            log.popleft()
        admitted.append(len(log) < limit)
        if admitted[-1]:
            log.append(time_ns)
    return admitted


def worst_window(decisions):
    """The most admitted to one user in any window, and of whom, from decision lines alone."""
    logs = collections.defaultdict(collections.deque)
    most = 0
    for d in decisions:
        if d["allowed"]:
            log = logs[d["user"]]
            log.append(d["sent_ns"])
            while log[0] <= d["sent_ns"] - d["window_ns"]:
                log.popleft()
            most = max(most, len(log))
    return most


class Replay(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-replay-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def file(self, name, content):
        path = self.path / name
        path.write_bytes(content)
        return path

    def report(self, *words, stdin=b""):
        done = run("replay", *words, "--json", stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(done.stderr, b"")
        return json.loads(done.stdout)

    def complains(self, code, text, *words, stdin=b""):
        done = run("replay", *words, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stdout.decode() + done.stderr.decode())
        self.assertEqual(done.stdout, b"")
        self.assertRegex(done.stderr.decode(), text)


class RealLog(Replay):
    @classmethod
    def setUpClass(cls):
        cls.requests = real_requests()

    def test_counts_are_those_of_an_independent_reader(self):
        report = self.report(LOG, "--limit", "10/1m")
        self.assertEqual(report["requests"], len(self.requests))
        self.assertEqual(report["users"], len({user for _, user in self.requests}))
        self.assertEqual(report["begin_ns"], self.requests[0][0])
        self.assertEqual(report["end_ns"], self.requests[-1][0])
        lines = report["lines"]
        self.assertEqual((lines["total"], lines["used"], lines["torn"]), (10000, 9999, 1))
        self.assertEqual((lines["late"], lines["late_ns_max"]), (9447, 59 * SECOND))
        self.assertEqual(report["unused_lines"][0]["line"], 8899)

    def test_strict_stays_within_its_bound_of_an_exact_log(self):
        for rule, (limit, window_ns) in RULES.items():
            with self.subTest(rule):
                told = json.loads(run("explain", rule, "--json").stdout)
                most = sum(exact_log(self.requests, limit, window_ns))
                least = sum(exact_log(self.requests, limit - (told["quantum"] - 1),
                                      window_ns + told["cell_ns"]))
                report = self.report(LOG, "--limit", rule)
                self.assertEqual(report["admitted"] + report["denied"], report["requests"])
                self.assertGreater(report["denied"], 0)
                self.assertLessEqual(report["admitted"], most)
                self.assertGreaterEqual(report["admitted"], least)
                row = {r["algorithm"]: r for r in report["algorithms"]}
                self.assertEqual(row["exact"]["admitted"], most)
                self.assertEqual(row["strict"]["admitted"], report["admitted"])
                self.assertLessEqual(row["strict"]["worst_window"], limit)
                self.assertTrue(row["strict"]["kept"])

    def test_worst_windows_are_those_of_the_decision_lines(self):
        for rule, (limit, window_ns) in RULES.items():
            report = self.report(LOG, "--limit", rule, "--spread")
            for row in report["algorithms"]:
                with self.subTest(rule=rule, algorithm=row["algorithm"]):
                    done = run("replay", LOG, "--limit", rule, "--spread", "--decisions", "-",
                               "--decisions-of", row["algorithm"])
                    self.assertEqual(done.returncode, 0, done.stderr)
                    decisions = [json.loads(line) for line in done.stdout.splitlines()]
                    self.assertEqual(len(decisions), 9999)
                    self.assertEqual(sum(d["allowed"] for d in decisions), row["admitted"])
                    self.assertEqual(worst_window(decisions), row["worst_window"])
                    self.assertEqual(row["kept"], row["worst_window"] <= limit)
                    self.assertEqual({(d["limit"], d["window_ns"]) for d in decisions},
                                     {(limit, window_ns)})

    def judge(self, rule, whose, *more):
        path = self.path / "decisions.jsonl"
        done = run("replay", LOG, "--limit", rule, "--decisions", path, "--decisions-of", whose, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return run("judge", path)

    def test_judge_accepts_strict(self):
        for rule in RULES:
            for more in ((), ("--spread",)):
                with self.subTest(rule=rule, more=more):
                    done = self.judge(rule, "strict", *more)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_judge_convicts_gcra(self):
        # Where times are whole seconds and the window is one, no two windows overlap in part, so
        # nobody can break 3/1s: the log has to be spread to show it.
        for rule, *more in (("10/1m",), ("100/1h",), ("3/1s", "--spread")):
            with self.subTest(rule):
                done = self.judge(rule, "gcra", *more)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)

    def test_suggested_limits_are_the_smallest_that_meet_their_share(self):
        report = self.report(LOG, "--suggest", "--window", "1m")
        users = len({user for _, user in self.requests})
        for one in report["suggest"]["limits"]:
            with self.subTest(one):
                whole = users if one["of"] == "users" else len(self.requests)

                def denied(limit):
                    no = [user for (_, user), admitted in
                          zip(self.requests, exact_log(self.requests, limit, 60 * SECOND))
                          if not admitted]
                    return len(set(no)) if one["of"] == "users" else len(no)

                self.assertLessEqual(denied(one["limit"]), one["share_max"] * whole)
                self.assertGreater(denied(one["limit"] - 1), one["share_max"] * whole)

    def test_suggestions_need_no_limit_and_take_its_window(self):
        alone = self.report(LOG, "--suggest", "--window", "1m")
        self.assertNotIn("limit", alone)
        beside = self.report(LOG, "--suggest", "--limit", "10/1m")
        self.assertEqual(alone["suggest"], beside["suggest"])
        self.assertEqual(beside["limit"], 10)

    def test_the_limiter_agrees_with_the_references(self):
        for rule in (*RULES, "7/13s", "1000/7h"):
            for algorithm in ("fixed", "gcra"):
                report = self.report(LOG, "--limit", rule, "--spread", "--algorithm", algorithm)
                rows = [r for r in report["algorithms"] if r["algorithm"] == algorithm]
                self.assertEqual([r["weir"] for r in rows], [True, False])
                with self.subTest(rule=rule, algorithm=algorithm):
                    less = rows[1]["admitted"] - rows[0]["admitted"]
                    # weir's GCRA counts in whole nanoseconds and rounds against the caller: where a
                    # permit comes back in the very nanosecond of a request it may be one late.
                    self.assertIn(less, range(10) if algorithm == "gcra" else (0,))

    def test_suggestions_tell_what_the_limiter_then_does(self):
        import random
        r = random.Random(7)
        lines = []
        for i in range(30000):
            user = int(r.paretovariate(0.6)) % 50
            lines.append(b'{"ts":%d.%03d,"ip":"%d"}\n' % (1431857103 + i // 200, i % 200 * 5, user))
        log = self.file("heavy.jsonl", b"".join(lines))
        limits = self.report(log, "--suggest", "--window", "10s")["suggest"]["limits"]
        self.assertTrue(any(one["limit"] > 160 for one in limits), "no limit has a quantum")
        for one in limits:
            report = self.report(log, "--limit", f"{one['limit']}/10s")
            row = {r["algorithm"]: r for r in report["algorithms"]}
            self.assertEqual(row["strict"]["denied"], one["requests_denied_by_weir"])
            self.assertEqual(row["exact"]["denied"], one["requests_denied"])
            self.assertGreaterEqual(row["strict"]["denied"], row["exact"]["denied"])

    def test_runs_repeat_exactly(self):
        words = ("replay", LOG, "--limit", "100/1h", "--suggest", "--json")
        self.assertEqual(run(*words).stdout, run(*words).stdout)

    def test_the_order_of_lines_within_the_log_does_not_matter(self):
        lines = LOG.read_bytes().splitlines(keepends=True)
        backwards = self.file("backwards.log", b"".join(reversed(lines)))
        for key in ("admitted", "denied", "users_denied", "when"):
            self.assertEqual(self.report(LOG, "--limit", "10/1m")[key],
                             self.report(backwards, "--limit", "10/1m")[key])

    def test_the_report_for_people_says_it_all(self):
        done = run("replay", LOG, "--limit", "10/1m", "--suggest", "--verbose", "--top", "3")
        self.assertEqual(done.returncode, 0)
        text = done.stdout.decode()
        for part in ("9,999 requests of 1,753 users (by ip)", "2015-05-17 10:05:00",
                     "1 of 10000 lines not used", ":8899: torn", "9,447 lines came late",
                     "whole seconds", "Most limited users", "130.237.218.86",
                     "GCRA, burst = limit", "broken", "kept", "0.1 % of requests", "█", "░"):
            self.assertIn(part, text)
        self.assertNotIn("\x1b", text)
        self.assertEqual(text.count("   2015-05-"), 3)

    def test_the_picture_fits_and_needs_no_utf8(self):
        for columns in (60, 80, 200):
            done = run("replay", LOG, "--limit", "10/1m", env={"COLUMNS": str(columns), "LANG": "C"})
            text = done.stdout.decode("ascii")
            rows = [row for row in text.splitlines() if re.match(r"  2015-05-\d\d \d\d:\d\d [#x]", row)]
            self.assertEqual(len(rows), 22)
            self.assertLess(max(map(len, rows)), columns)


class Formats(Replay):
    def test_json_lines_with_any_time_and_nested_keys(self):
        lines = [
            b'{"time":"2015-05-17T10:05:03.250Z","user":{"id":1},"route":"/a"}\n',
            b'{"time":"2015-05-17T12:05:03.500+02:00","user":{"id":1},"route":"/a"}\n',
            b'{"ts":1431857103.75,"user":{"id":1},"route":"/b"}\n',
            b'{"timestamp":1431857104000,"user":{"id":"2"},"route":"/a"}\n',
            b'{"@timestamp":"2015-05-17 10:05:04","user":{"id":2},"route":"/a"}\n',
        ]
        log = self.file("app.jsonl", b"".join(lines))
        report = self.report(log, "--key", "user.id", "--limit", "2/1s")
        self.assertEqual((report["requests"], report["users"], report["denied"]), (5, 2, 1))
        self.assertEqual(report["inputs"][0]["format"], "json")
        self.assertEqual(report["begin_ns"], 1431857103250000000)
        self.assertEqual(report["end_ns"], 1431857104000000000)
        report = self.report(log, "--key", "user.id+route", "--limit", "2/1s")
        self.assertEqual((report["users"], report["denied"]), (3, 0))

    def test_units_of_times(self):
        log = self.file("app.jsonl", b'{"ip":"a","when":5}\n{"ip":"a","when":7}\n')
        for unit, ns in (("s", SECOND), ("ms", 10**6), ("us", 1000), ("ns", 1)):
            report = self.report(log, "--time", "when", "--time-unit", unit, "--limit", "1/1s")
            self.assertEqual((report["begin_ns"], report["end_ns"]), (5 * ns, 7 * ns))

    def test_gzip_is_told_by_its_bytes_from_files_and_pipes(self):
        plain = self.report(LOG, "--limit", "10/1m")
        packed = gzip.compress(LOG.read_bytes())
        odd_name = self.file("packed.log", packed)
        lines = LOG.read_bytes().splitlines(keepends=True)
        members = gzip.compress(b"".join(lines[:4000])) + gzip.compress(b"".join(lines[4000:]))
        for report in (self.report(odd_name, "--limit", "10/1m"),
                       self.report("-", "--limit", "10/1m", stdin=packed),
                       self.report("--limit", "10/1m", stdin=members)):
            self.assertTrue(report["inputs"][0]["gzip"])
            for key in ("requests", "users", "admitted", "top", "when", "algorithms"):
                self.assertEqual(report[key], plain[key])

    def test_gzip_cut_off_gives_what_it_has(self):
        packed = gzip.compress(LOG.read_bytes())
        cut = self.file("cut.gz", packed[: len(packed) // 2])
        report = self.report(cut, "--limit", "10/1m")
        self.assertGreater(report["requests"], 4000)
        self.assertEqual(report["inputs"][0]["trouble"], "the gzip data is cut off")
        text = run("replay", cut, "--limit", "10/1m").stdout.decode()
        self.assertIn("the gzip data is cut off; what came before was used", text)

    def test_several_files_of_several_formats(self):
        first = self.file("a.log", clf(1) + clf(3))
        second = self.file("b.jsonl", b'{"ts":1431857102,"ip":"10.0.0.1"}\n')
        report = self.report(first, second, "-", "--limit", "2/1m", stdin=clf(4))
        self.assertEqual((report["requests"], report["users"], report["denied"]), (4, 1, 2))
        self.assertEqual([i["format"] for i in report["inputs"]], ["clf", "json", "clf"])
        self.assertEqual(report["lines"]["late"], 0)

    def test_keys_of_clf(self):
        line = b'h%d - %s [17/May/2015:10:05:03 +0000] "%s /p%d?q HTTP/1.1" 200 9 "-" "agent %d"\n'
        log = self.file("a.log", b"".join(line % (i, b"ann" if i % 2 else b"-", b"GET", i % 3, i % 4)
                                          for i in range(12)))
        for key, users, without in (("ip", 12, 0), ("user", 1, 6), ("path", 3, 0), ("agent", 4, 0),
                                    ("method+status", 1, 0), ("path+agent", 12, 0), ("7", 1, 0)):
            with self.subTest(key):
                report = self.report(log, "--key", key, "--limit", "1/1m")
                self.assertEqual(report["users"], users)
                self.assertEqual(report["lines"]["without_key"], without)

    def test_costs_come_from_a_field(self):
        lines = [b'{"ts":%d,"ip":"a","n":%s}\n' % (1431857103 + i, n)
                 for i, n in enumerate([b"6", b"5", b"4", b"0", b'"x"', b"99999999999"])]
        log = self.file("a.jsonl", b"".join(lines))
        out = self.path / "d"
        report = self.report(log, "--cost", "n", "--limit", "10/1m", "--decisions", out)
        self.assertEqual((report["admitted"], report["denied"]), (3, 2))
        self.assertEqual(report["lines"]["without_cost"], 1)
        decisions = [json.loads(line) for line in out.read_bytes().splitlines()]
        self.assertEqual([(d["cost"], d["allowed"]) for d in decisions],
                         [(6, True), (5, False), (4, True), (99999999999, False)])
        exact = next(r for r in report["algorithms"] if r["algorithm"] == "exact")
        self.assertEqual(exact["permits"], 10)

    def test_users_are_bytes_and_come_back_whole(self):
        log = self.file("a.jsonl", b'{"ts":1,"ip":"a\\u0000\\"\\n"}\n{"ts":2,"ip":"\xff\xfe"}\n')
        out = self.path / "d"
        report = self.report(log, "--limit", "0/1m", "--decisions", out)
        lines = [json.loads(line) for line in out.read_bytes().splitlines()]
        self.assertEqual(lines[0]["user"], 'a\0"\n')
        self.assertEqual(lines[1]["user_hex"], "fffe")
        self.assertEqual({t.get("user", t.get("user_hex")) for t in report["top"]}, {'a\0"\n', "fffe"})
        text = run("replay", log, "--limit", "0/1m").stdout
        self.assertNotIn(b"\0", text)
        self.assertNotIn(b"\xff", text)

    def test_spread(self):
        log = self.file("a.log", clf(3) * 4)
        at_once = self.report(log, "--limit", "1/250ms")
        self.assertEqual((at_once["admitted"], at_once["spread"]), (1, False))
        spread = self.report(log, "--limit", "1/250ms", "--spread")
        self.assertEqual((spread["admitted"], spread["spread"]), (4, True))
        self.assertIn(b"try --spread", run("replay", log, "--limit", "1/250ms").stdout)

    def test_other_algorithms_can_be_chosen(self):
        log = self.file("a.log", b"".join(clf(s) * 2 for s in range(0, 50, 2)))
        strict = self.report(log, "--limit", "10/1m")
        self.assertEqual(strict["admitted"], 10)
        gcra = self.report(log, "--limit", "10/1m", "--algorithm", "gcra", "--burst", "3")
        self.assertEqual((gcra["algorithm"], gcra["burst"]), ("gcra", 3))
        self.assertEqual(gcra["admitted"], 3 + 8)
        fixed = self.report(log, "--limit", "10/1m", "--algorithm", "fixed")
        self.assertEqual(fixed["admitted"], 10)
        self.assertEqual(len(fixed["algorithms"]), 6)


class Damage(Replay):
    def test_unusable_lines_are_counted_and_shown_and_not_fatal(self):
        content = (clf(1) + b"\n" + clf(2)[:60] + b"\n" + b"\x00\x01\xff\x1b[31m\n" + clf(3) +
                   b"x" * 70000 + b"\n" + clf(4).replace(b"May", b"Mai") + clf(5).rstrip(b"\n"))
        log = self.file("a.log", content)
        report = self.report(log, "--limit", "10/1m")
        self.assertEqual(report["lines"]["used"], 3)
        self.assertEqual(report["lines"]["empty"], 1)
        self.assertEqual(report["lines"]["torn"], 2)
        self.assertEqual(report["lines"]["too_long"], 1)
        self.assertEqual(report["lines"]["without_time"], 1)
        self.assertEqual([(u["line"], u["reason"]) for u in report["unused_lines"]],
                         [(3, "torn"), (4, "torn"), (6, "too_long"), (7, "without_time")])
        text = run("replay", log, "--limit", "10/1m", "--verbose").stdout.decode()
        self.assertIn(":4: torn or garbage: \\x00\\x01\\xff\\x1b[31m", text)
        self.assertIn("4 of 8 lines not used: 2 torn or garbage, 1 without a time, 1 too long", text)

    def test_any_bytes_are_answered(self):
        import random
        seed = int(os.environ.get("WEIR_SEED", "0")) or random.randrange(10**9)
        r = random.Random(seed)
        for _ in range(20):
            done = run("replay", "--limit", "10/1m", stdin=r.randbytes(r.randrange(5000)))
            self.assertEqual(done.returncode, 3, f"WEIR_SEED={seed}")
            self.assertIn(b"weir replay: stdin: ", done.stderr)

    def test_nothing_to_replay(self):
        empty = self.file("empty.log", b"")
        self.complains(3, "empty.log: there is no request to replay", empty, "--limit", "10/1m")
        self.complains(3, "stdin: there is no request", "--limit", "10/1m")
        self.complains(3, "of 2 lines none can be used; 2 are torn.*Common or Combined",
                       "--limit", "10/1m", stdin=b"hello\nworld\n")
        self.complains(3, "without the key uid; say with --key.*the first has ts user",
                       "--limit", "10/1m", "--key", "uid", stdin=b'{"ts":1,"user":"a"}\n')
        self.complains(3, "without a time; say with --time.*the first has at ip",
                       "--limit", "10/1m", stdin=b'{"at":1,"ip":"a"}\n')


class CommandLine(Replay):
    def test_wrong_usage_names_the_value_and_what_to_do(self):
        self.complains(2, "--limit 100/1m", LOG)
        self.complains(2, "--window 1m", LOG, "--suggest")
        self.complains(2, "--window is for --suggest", LOG, "--limit", "10/1m", "--window", "1m")
        self.complains(2, "ten/1m", LOG, "--limit", "ten/1m")
        self.complains(2, "the burst is out of range", LOG, "--limit", "10/1m", "--burst", "3")
        self.complains(2, "the window is outside", LOG, "--limit", "10/11000d")
        self.complains(2, "--key 'ip\\+'", LOG, "--limit", "10/1m", "--key", "ip+")
        self.complains(2, "--key 'user.id'.*Common Log Format, whose fields are ip",
                       LOG, "--limit", "10/1m", "--key", "user.id")
        self.complains(2, "--cost 'a\\+b' names several", LOG, "--limit", "10/1m", "--cost", "a+b")
        self.complains(2, "--decisions needs a limit", LOG, "--suggest", "--window", "1m",
                       "--decisions", "x")
        self.complains(2, "named twice", "-", "-", "--limit", "10/1m")
        self.complains(2, "did you mean --suggest --window 1m", LOG, "--suggest", "1m",
                       "--limit", "10/1m")

    def test_the_log_is_not_overwritten(self):
        log = self.file("a.log", clf(1))
        self.complains(2, "would overwrite the log", log, "--limit", "1/1m", "--decisions", log)
        self.assertEqual(log.read_bytes(), clf(1))

    def test_trouble_names_the_file(self):
        self.complains(3, "cannot open 'nowhere.log': No such file", "nowhere.log", "--limit", "1/1m")
        self.complains(3, "is a folder", self.path, "--limit", "1/1m")
        self.complains(3, "cannot write decisions to '.*': No such file", LOG, "--limit", "1/1m",
                       "--decisions", self.path / "no" / "where")
        self.complains(3, "more than 5 requests; raise --requests-max", LOG, "--limit", "1/1m",
                       "--requests-max", "5")

    def test_a_full_disk_is_told(self):
        if not os.path.exists("/dev/full"):
            self.fail("/dev/full is missing: this test needs Linux")
        self.complains(3, "cannot write decisions to '/dev/full': No space left",
                       LOG, "--limit", "1/1m", "--decisions", "/dev/full")

    def test_help_teaches(self):
        done = run("replay", "--help")
        self.assertEqual(done.returncode, 0)
        for part in (b"examples:", b"--suggest", b"--decisions", b"exit codes:", b"weir judge"):
            self.assertIn(part, done.stdout)

    def test_documented_fields_are_those_that_are_printed(self):
        documented = set(re.findall(r"`([a-z_]+)`", (SOURCE / "docs/replay.md").read_text()))
        report = self.report(LOG, "--limit", "10/1m", "--suggest", "--algorithm", "gcra")

        def names(value):
            if isinstance(value, dict):
                return set(value).union(*map(names, value.values()))
            if isinstance(value, list):
                return set().union(*map(names, value))
            return set()

        self.assertEqual(names(report) - documented, set())


if __name__ == "__main__":
    unittest.main()
