# SPDX-License-Identifier: MIT
"""weir compact: what stays, what is gained, what refuses, and that a kill leaves the old file or the new one."""

import json
import os
import pty
import random
import struct
import subprocess
import threading
import time

import weir_cli
import weir_file

TABLE_AT = 20480
USERS_AT = TABLE_AT + 64

# Kills the process before or after the nth call of a function.
KILL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static int calls;

static void die(const char *name, const char *when) {
    const char *at = getenv("KILL_AT");
    if (at == NULL || strcmp(at, name) != 0) return;
    if (strcmp(when, "before") == 0) calls++;
    if (calls == atoi(getenv("KILL_NUMBER")) && strcmp(when, getenv("KILL_WHEN")) == 0) raise(SIGKILL);
}

#define WRAP(name, parameters, arguments)                     \
    int name parameters {                                     \
        int (*real) parameters = dlsym(RTLD_NEXT, #name);     \
        die(#name, "before");                                 \
        int result = real arguments;                          \
        die(#name, "after");                                  \
        return result;                                        \
    }

WRAP(fsync, (int fd), (fd))
WRAP(close, (int fd), (fd))
WRAP(rename, (const char *a, const char *b), (a, b))
WRAP(linkat, (int x, const char *a, int y, const char *b, int flags), (x, a, y, b, flags))
"""


class Compact(weir_file.Case):
    def compact(self, *words, path=None, **options):
        return json.loads(self.says("compact", path or self.path, "--json", *words, **options))

    def top(self, path=None):
        return json.loads(self.says("top", path or self.path, "--json", "-i", "1ms"))

    def filled(self, users, window="1h"):
        server = self.serve()
        server.bring(users, window=window)
        server.stop()

    def left(self, user, rate="5/1h"):
        return json.loads(self.allow(user, rate, "--cost", "0", "--json"))

    def test_a_file_that_grew_gets_small_again_and_remembers(self):
        server = self.serve()
        server.bring(60000, window="1s")
        server.bring(100)
        server.stop()
        before, facts = self.top(), os.stat(self.path)
        time.sleep(1.1)
        told = self.compact()
        after = self.top()
        self.assertEqual((told["before"]["users"], told["after"]["users"]), (60100, 100))
        self.assertEqual((told["before"]["file_bytes"], told["after"]["file_bytes"]),
                         (before["file_bytes"], after["file_bytes"]))
        self.assertGreater(told["before"]["disk_bytes"], 4 * told["after"]["disk_bytes"])
        self.assertLess(after["file_bytes"], before["file_bytes"] - (3 << 20))
        for name in ("allowed", "denied", "refused", "overflowed", "created_ns", "durability", "users_max"):
            self.assertEqual(after[name], before[name], name)
        self.assertEqual(after["users_forgotten"], before["users_forgotten"] + 60000)
        self.assertEqual((after["users"], after["clock"]["ahead_ns"]), (100, before["clock"]["ahead_ns"]))
        self.assertGreaterEqual(after["clock"]["table_now_ns"], before["clock"]["table_now_ns"])
        self.assertNotEqual(after["identity"], before["identity"])
        self.assertNotEqual(os.stat(self.path).st_ino, facts.st_ino)
        self.assertEqual(os.listdir(self.folder), ["limits.weir"])
        for user in ("user0", "user57", "user99"):
            self.assertEqual(self.left(user)["remaining"], 4)
        self.assertEqual(self.left("user100")["remaining"], 5)

    def test_what_is_left_and_when_to_come_back_stay_the_same(self):
        asked = (("5/1h", "strict"), ("1000000/1d", "strict"), ("10/1h", "gcra"), ("7/1h", "fixed"))
        for i, (rate, algorithm) in enumerate(asked):
            self.allow(f"user{i}", rate, "-a", algorithm, "--cost", str(2 + i))
        def look(i, rate, algorithm):
            out = self.weir("allow", f"user{i}", rate, "-a", algorithm, "-c", "0", "--json", "-s", self.store).stdout
            return json.loads(out), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        before = [look(i, *rule) for i, rule in enumerate(asked)]
        self.compact()
        self.compact("--users-max", "50")
        for i, rule in enumerate(asked):
            (old, then), (new, now) = before[i], look(i, *rule)
            self.assertEqual((old["allowed"], old["remaining"]), (new["allowed"], new["remaining"]), rule)
            for name in ("retry_after_ns", "reset_after_ns"):
                passed = old[name] - new[name]
                self.assertTrue(passed <= now - then + 10**9 and passed >= 0, (rule, name, passed, now - then))

    def test_text_and_dry_run(self):
        self.filled(20)
        before = self.checksum()
        length = os.path.getsize(self.path)
        self.says("compact", self.path, "--dry-run", out=f"{self.path} (nothing changed)\n"
                  f"file bytes {length:15,} -> {length:,}\nusers      {20:>15} -> 20\n"
                  f"users max  {'10,000,000':>15} -> 10,000,000\n")
        self.assertEqual(self.checksum(), before)
        server = self.serve()
        told = self.compact("--dry-run", "--users-max", "100")
        self.assertEqual((told["is_dry_run"], told["process_count"], told["after"]["users_max"]), (True, 1, 100))
        self.assertNotIn("disk_bytes", told["after"])
        self.assertTrue(self.says("compact", self.path, "--dry-run").decode()
                        .endswith("\n1 process has it open and must end first\n"))
        server.stop()
        text = self.says("compact", self.store).decode()
        self.assertRegex(text, rf"^{self.path}\nfile bytes +[\d,]+ -> [\d,]+\non disk +[\d,]+ -> [\d,]+\n"
                               r"users +20 -> 20\nusers max +10,000,000 -> 10,000,000\n$")

    def test_users_max_goes_up_and_down_but_not_below_who_is_there(self):
        self.filled(50)
        self.assertEqual(self.compact("--users-max", "50")["after"]["users_max"], 50)
        self.assertEqual(self.top()["users"], 50)
        before = self.checksum()
        self.refuses("compact", self.path, "--users-max", "49",
                     because=f"weir compact: {self.path}: users_max cannot be 49: it remembers 50 users; choose at "
                             "least as many, or try again when some are forgotten")
        self.refuses("compact", self.path, "--users-max", "18446744073709551614",
                     because=f"weir compact: {self.path}: users_max cannot be 18446744073709551614; that is more than "
                             "a table can hold")
        self.assertEqual(self.top()["users"], 50)
        self.compact("--users-max", "1000000")
        self.assertEqual((self.top()["users_max"], self.left("user49")["remaining"]), (1000000, 4))
        self.assertNotEqual(self.checksum(), before)

    def test_who_had_to_share_is_remembered_too(self):
        server = self.serve("--users-max", "10")
        server.bring(10)
        self.assertEqual(server.ask(*(["WEIR.ALLOW", f"more{i}", 1000, "1h"] for i in range(500))), [1] * 500)
        server.stop()
        self.compact("--users-max", "2000")
        # A newcomer takes along what may have been theirs: an eighth of what was shared, or so.
        lefts = [self.left(f"more{i}", "1000/1h")["remaining"] for i in range(20)]
        self.assertLess(max(lefts), 1000)

    def test_the_clock_error_changes_only_while_nothing_is_remembered(self):
        self.allow("ann", "5/2s")
        ran = self.weir("compact", self.path, "--clock-error-ppm", "500")
        self.assertEqual(ran.returncode, 2)
        self.assertRegex(ran.stderr.decode(), rf"^weir compact: {self.path}: clock_error_ppm can change only while "
                         r"nothing is remembered of anybody; try again in [\d.]+m?s\n$")
        time.sleep(2.2)
        told = self.compact("--clock-error-ppm", "500")
        self.assertEqual((told["before"]["clock_error_ppm"], told["after"]["clock_error_ppm"]), (0, 500))
        self.assertEqual(self.top()["clock"]["clock_error_ppm"], 500)
        self.compact("--clock-error-ppm", "0")
        self.assertEqual(self.top()["clock"]["clock_error_ppm"], 0)

    def test_who_has_it_open_is_named(self):
        one = self.serve()
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {self.path}: process {one.pid} (weir) has it open; end it first")
        others = [self.serve() for _ in range(4)]
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {self.path}: 5 processes have it open: {one.pid} (weir), {others[0].pid} "
                             f"(weir), {others[1].pid} (weir) and others; end them first")
        self.assertEqual(one.ask(["WEIR.ALLOW", "ann", 5, "1h"]), [1])
        for server in (one, *others):
            server.kill()
        self.compact()
        self.assertEqual(self.left("ann")["remaining"], 4)

    def test_users_counted_too_often_are_put_right(self):
        self.filled(20)
        with open(self.path, "r+b") as file:
            file.seek(USERS_AT)
            self.assertEqual(struct.unpack("=Q", file.read(8)), (20,))
            file.seek(USERS_AT)
            file.write(struct.pack("=Q", 23))
        self.assertTrue(self.says("compact", self.path, "--dry-run").decode()
                        .endswith("\n3 users were counted and not there, after kills\n"))
        told = self.compact()
        self.assertEqual((told["users_miscounted"], told["after"]["users"]), (3, 20))
        self.assertEqual(self.top()["users"], 20)

    def test_it_keeps_owner_mode_and_links(self):
        self.allow("ann", "5/1h")
        os.chmod(self.path, 0o664)
        link = os.path.join(self.folder, "link")
        os.symlink("limits.weir", link)
        if os.geteuid() == 0:
            os.chown(self.path, weir_file.NOBODY, weir_file.NOBODY)
        facts = os.stat(self.path)
        self.compact(path=link)
        now = os.stat(self.path)
        self.assertEqual((now.st_mode, now.st_uid, now.st_gid), (facts.st_mode, facts.st_uid, facts.st_gid))
        self.assertNotEqual(now.st_ino, facts.st_ino)
        self.assertTrue(os.path.islink(link))
        os.link(self.path, os.path.join(self.folder, "second"))
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {self.path}: it has 2 names (hard links), and only one of them would get "
                             "the new file; remove the others")

    def test_who_is_not_the_owner_does_not_take_it_over(self):
        self.allow("ann", "5/1h")
        who = self.somebody_else()
        os.chmod(self.path, 0o666)
        os.chmod(self.folder, 0o777)
        before = os.stat(self.path).st_ino
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {self.path}: cannot give the new file the owner and mode of the old one: "
                             "Operation not permitted", **who)
        self.assertEqual(os.stat(self.path).st_ino, before)
        os.chmod(self.path, 0o644)
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {self.path}: cannot open it: Permission denied; it must be readable and "
                             "writable for this user", **who)

    def test_what_stands_at_the_temporary_name(self):
        self.allow("ann", "5/1h")
        name = self.path + ".compacting"
        with open(self.path, "rb") as file, open(name, "wb") as left:
            left.write(file.read())
        self.compact()
        self.assertFalse(os.path.exists(name))
        with open(name, "wb") as file:
            file.write(b"precious")
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {name}: it is in the way, and is no weir file; move it away")
        self.assertEqual(self.left("ann")["remaining"], 4)

    def test_a_full_disk_leaves_the_file_as_it_was(self):
        place = self.small_disk("8M")
        path = os.path.join(place, "limits.weir")
        server = self.serve(path=path)
        server.ask(*(["WEIR.ALLOW", f"user{i}", 5, "1h"] for i in range(50000)))
        server.stop()
        users, facts = self.top(path)["users"], os.stat(path)
        ran = self.weir("compact", path)
        self.assertEqual(ran.returncode, 3)
        self.assertRegex(ran.stderr.decode(), rf"^weir compact: {path}: there is no room on its disk for the new file, "
                                              r"of \d+ MiB\n$")
        self.assertEqual(os.listdir(place), ["limits.weir"])
        self.assertEqual((os.stat(path).st_ino, self.top(path)["users"]), (facts.st_ino, users))
        with open(os.path.join(place, "fill"), "wb") as file:
            try:
                file.write(bytes(8 << 20))
            except OSError:
                pass
        ran = self.weir("compact", path)
        self.assertEqual(ran.returncode, 3)
        self.assertIn("No space left on device", ran.stderr.decode())
        self.assertEqual(sorted(os.listdir(place)), ["fill", "limits.weir"])

    def test_who_opens_it_meanwhile_finds_the_new_file(self):
        self.filled(200 if weir_cli.SANITIZED else 30000)
        stop, answers = threading.Event(), []

        def ask():
            while not stop.is_set():
                answers.append(self.weir("allow", "ann", "1000000/1h", "--json", "--store", self.store))
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        done = 0
        while done < 5:
            done += self.weir("compact", self.path).returncode == 0
        stop.set()
        for thread in threads:
            thread.join()
        for ran in answers:
            self.assertEqual((ran.returncode, ran.stderr), (0, b""))
        left = json.loads(answers[-1].stdout)["remaining"]
        self.assertGreaterEqual(1000000 - left + 6250, len(answers))
        self.assertEqual(self.top()["allowed"], len(answers) + (200 if weir_cli.SANITIZED else 30000))

    def test_killed_at_any_moment_it_leaves_a_whole_file(self):
        users = 2000 if weir_cli.SANITIZED else 40000
        self.filled(users)
        seed = int(os.environ.get("WEIR_SEED", time.time_ns()))
        draw, replaced, left_behind = random.Random(seed), 0, 0
        rounds, moment = max(5, int(40 * float(os.environ.get("WEIR_TEST_EFFORT", "1")))), 0.05
        for i in range(rounds):
            inode = os.stat(self.path).st_ino
            process = subprocess.Popen([weir_cli.WEIR, "compact", self.path], stdout=subprocess.DEVNULL)
            # Half of them about the moment at which the new file is put in place, which is searched for.
            time.sleep(moment if i % 2 else moment * draw.random())
            process.kill()
            process.wait()
            is_new = os.stat(self.path).st_ino != inode
            replaced += is_new
            if i % 2:
                moment *= draw.uniform(0.8, 1) if is_new else draw.uniform(1, 1.25)
            left_behind += os.path.exists(self.path + ".compacting")
            told = self.top()
            self.assertEqual((told["users"], told["allowed"]), (users, users + i), f"seed {seed}, round {i}")
            user = draw.randrange(users)
            self.assertEqual(self.left(f"user{user}")["remaining"], 4, f"seed {seed}, round {i}")
        self.compact()
        self.assertEqual(os.listdir(self.folder), ["limits.weir"])
        self.assertEqual(self.top()["users"], users)
        print(f"{rounds} kills: {replaced} after the new file was in place, {left_behind} left a name", flush=True)

    def test_killed_around_each_call_that_makes_it_last(self):
        if weir_cli.SANITIZED:
            self.skipTest("a library in front of the sanitizer's")
        source, library = (os.path.join(self.folder, name) for name in ("kill.c", "kill.so"))
        with open(source, "w", encoding="ascii") as file:
            file.write(KILL)
        subprocess.run([os.environ.get("WEIR_CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
        os.remove(source)
        self.filled(100)
        outcomes = {}
        for call in ("fsync", "linkat", "rename", "close"):
            for which in range(1, 9):
                for when in ("before", "after"):
                    inode = os.stat(self.path).st_ino
                    ran = self.weir("compact", self.path, environment={
                        "LD_PRELOAD": library, "KILL_AT": call, "KILL_NUMBER": str(which), "KILL_WHEN": when})
                    self.assertIn(ran.returncode, (0, -9), ran.stderr)
                    outcomes[call, which, when] = (ran.returncode, os.stat(self.path).st_ino != inode,
                                                   os.path.exists(self.path + ".compacting"))
                    self.assertEqual(self.top()["users"], 100, (call, which, when))
                    self.assertEqual(self.left(f"user{which}")["remaining"], 4)
        # killed, replaced, left a name
        self.assertEqual(outcomes["linkat", 1, "before"], (-9, False, False))
        self.assertEqual(outcomes["linkat", 1, "after"], (-9, False, True))
        self.assertEqual(outcomes["rename", 1, "before"], (-9, False, True))
        self.assertEqual(outcomes["rename", 1, "after"], (-9, True, False))
        self.assertEqual(outcomes["fsync", 1, "before"], (-9, False, False))
        self.assertEqual(outcomes["close", 8, "after"][1:], (True, False))
        self.compact()
        self.assertEqual(sorted(os.listdir(self.folder)), ["kill.so", "limits.weir"])

    def test_progress_is_shown_on_a_terminal(self):
        self.filled(10)
        ours, theirs = pty.openpty()
        ran = subprocess.run([weir_cli.WEIR, "compact", self.path], stderr=theirs, stdout=subprocess.PIPE, check=False)
        os.close(theirs)
        self.assertEqual(ran.returncode, 0)
        self.assertIn(b"copying users: 0 %", os.read(ours, 4096))
        os.close(ours)

    def test_refusals(self):
        self.refuses("compact", because="weir compact: something is missing; usage: weir compact FILE")
        self.refuses("compact", self.path, code=3, because=f"weir compact: {self.path}: there is no such file")
        self.refuses("compact", self.folder, code=3, because=f"weir compact: {self.folder}: cannot open it: Is a directory")
        self.refuses("compact", "memory:", because="weir compact: 'memory:' is not a file; name one, such as "
                                                   "/var/lib/weir/limits.weir")
        self.refuses("compact", self.path, "--users-max", "0",
                     because="weir compact: --users-max '0' is not a whole number from 1 to 18446744073709551615")
        with open(self.path, "wb") as file:
            file.write(b"precious" * 1000)
        self.refuses("compact", self.path, code=3,
                     because=f"weir compact: {self.path}: this is not a weir file; it was not changed")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"precious" * 1000)


if __name__ == "__main__":
    weir_file.main()
