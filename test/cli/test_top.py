# SPDX-License-Identifier: MIT
"""weir top: what it shows of a file that others use, and that they never notice."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import time

import weir_cli
import weir_file


class Top(weir_file.Case):
    def look(self, *words, path=None, code=0, **options):
        out = self.says("top", path or self.path, "--json", "--interval", "20ms", *words, code=code, **options)
        return json.loads(out)

    def test_totals_users_and_sizes(self):
        for code in (0, 0, 0, 1):
            self.allow("ann", "3/1h", code=code)
        self.allow("bob", "3/1h", "--times", "2")
        told = self.look()
        for name, value in (("file", self.path), ("allowed", 5), ("denied", 1), ("refused", 0), ("overflowed", 0),
                            ("users", 2), ("users_max", 10000000), ("users_forgotten", 0), ("mended", 0), ("damaged", 0),
                            ("disk_was_full", False), ("durability", "process"), ("processes", []),
                            ("file_bytes", os.path.getsize(self.path))):
            self.assertEqual(told[name], value, name)
        self.assertLessEqual(told["disk_bytes"], told["file_bytes"])
        self.assertGreater(told["file_bytes_max"], 700 << 20)
        self.assertTrue(told["clock"]["is_of_this_boot"])
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self.assertEqual(told["clock"]["boot"], file.read().strip().replace("-", ""))
        self.assertLess(abs(told["clock"]["table_now_ns"] - time.clock_gettime_ns(time.CLOCK_BOOTTIME)), 60 * 10**9)
        self.assertLess(abs(told["wall_ns"] - time.time_ns()), 60 * 10**9)

    def test_text_for_people(self):
        self.allow("ann", "3/1h", "--times", "3")
        text = self.says("top", self.store, "--once", "--interval", "1ms").decode()
        self.assertTrue(text.startswith(self.path + "\n"), text)
        for line in ("a second     0 allowed, 0 denied, 0 refused", "so far       3 allowed, 0 denied, 0 refused",
                     "users        1 of 10,000,000 held (1e-05 %), 0 forgotten",
                     "shared       0 decided on shared counters, for lack of room",
                     "disk         had room whenever the table wanted to grow",
                     "mended       0 users whom killed processes were changing, 0 whom the disk spoiled",
                     "processes    0 of 255: nobody has it open"):
            self.assertIn("\n" + line + "\n", text)
        self.assertNotIn("\x1b", text)

    def test_who_has_it_open_and_who_is_dead(self):
        one, two = self.serve(), self.serve()
        told = self.look()["processes"]
        self.assertEqual([(p["pid"], p["name"], p["is_alive"]) for p in told],
                         [(one.pid, "weir", True), (two.pid, "weir", True)])
        self.assertEqual(len({p["number"] for p in told}), 2)
        for p in told:
            self.assertLess(abs(p["opened_ns"] - time.time_ns()), 60 * 10**9)
        one.kill()
        self.assertEqual([(p["pid"], p["is_alive"]) for p in self.look()["processes"]],
                         [(one.pid, False), (two.pid, True)])
        text = self.says("top", self.path, "--once", "-i", "1ms").decode()
        self.assertRegex(text, rf"(?m)^ +\d+ +{one.pid}  weir .*  ?dead, not yet let go of$")
        self.assertRegex(text, rf"(?m)^ +\d+ +{two.pid}  weir .*  ?alive$")
        two.stop()
        self.allow("ann", "3/1h")
        self.look()

    def test_it_changes_no_byte(self):
        dead = self.serve()
        dead.bring(500)
        dead.kill()
        before, facts = self.checksum(), os.stat(self.path)
        self.look("--times", "1")
        self.says("top", self.path, "--once", "-i", "1ms")
        self.assertEqual(self.checksum(), before)
        self.assertEqual(os.stat(self.path).st_mtime_ns, facts.st_mtime_ns)
        self.assertEqual(os.stat(self.path).st_blocks, facts.st_blocks)

    def test_rates(self):
        server = self.serve()
        process = subprocess.Popen([weir_cli.WEIR, "top", self.path, "--json", "--interval", "2s"],
                                   stdout=subprocess.PIPE)
        time.sleep(0.5)
        server.ask(*(["WEIR.ALLOW", "ann", 100, "1h"] for _ in range(300)))
        out, _ = process.communicate(timeout=60)
        told = json.loads(out)
        if not weir_cli.SANITIZED:
            self.assertAlmostEqual(told["allowed_per_s"], 50, delta=15)
            self.assertAlmostEqual(told["denied_per_s"], 100, delta=30)
        self.assertEqual((told["allowed"], told["denied"]), (100, 200))

    def test_one_document_for_each_snapshot(self):
        self.allow("ann", "3/1h")
        out = self.says("top", self.path, "--json", "--times", "4", "--interval", "5ms").decode().splitlines()
        self.assertEqual([json.loads(line)["allowed"] for line in out], [1] * 4)

    def test_a_file_that_grows_while_it_is_watched(self):
        server = self.serve()
        process = subprocess.Popen([weir_cli.WEIR, "top", self.path, "--json", "--times", "200", "-i", "10ms"],
                                   stdout=subprocess.PIPE, text=True)
        first = json.loads(process.stdout.readline())
        server.bring(20000)
        last = first
        for line in process.stdout:
            last = json.loads(line)
            if last["users"] == 20000:
                break
        process.kill()
        process.communicate()
        self.assertEqual((first["users"], last["users"]), (0, 20000))
        self.assertGreater(last["file_bytes"], first["file_bytes"])

    def test_a_file_that_is_replaced_while_it_is_watched(self):
        self.allow("ann", "3/1h")
        process = subprocess.Popen([weir_cli.WEIR, "top", self.path, "--json", "--times", "2000", "-i", "10ms"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = json.loads(process.stdout.readline())
        self.says("compact", self.path, "--users-max", "1000")
        for line in process.stdout:
            last = json.loads(line)
            if last["users_max"] == 1000:
                break
        self.assertNotEqual(first["identity"], last["identity"])
        self.assertEqual((last["allowed"], last["users"], last["allowed_per_s"]), (1, 1, 0))
        os.remove(self.path)
        _, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, errors), (3, f"weir top: {self.path}: there is no such file\n"))

    def test_a_file_that_is_cut_off_while_it_is_watched(self):
        self.allow("ann", "3/1h")
        process = subprocess.Popen([weir_cli.WEIR, "top", self.path, "--json", "--times", "2000", "-i", "10ms"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.readline()
        os.truncate(self.path, 5000)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3)
        self.assertRegex(errors, rf"^weir top: {self.path}: it was cut off: it has 5000 of \d+ bytes; ")

    def test_somebody_else_may_watch(self):
        self.allow("ann", "3/1h")
        server = self.serve()
        who = self.somebody_else()
        os.chmod(self.path, 0o644)
        os.chmod(self.folder, 0o555)
        told = self.look(**who)
        self.assertEqual((told["allowed"], told["processes"][0]["pid"], told["processes"][0]["is_alive"]),
                         (1, server.pid, True))
        server.kill()
        self.assertEqual(self.look(**who)["processes"][0]["is_alive"], False)
        os.chmod(self.path, 0o600)
        self.refuses("top", self.path, because=f"weir top: {self.path}: cannot open it: Permission denied; it must be "
                                               "readable for this user", code=3, **who)

    def test_a_table_that_shares_and_forgets(self):
        server = self.serve("--users-max", "50")
        server.bring(49, window="1h")
        server.ask(*(["WEIR.ALLOW", f"more{i}", 1000, "1h"] for i in range(30)))
        told = self.look()
        self.assertEqual((told["users"], told["users_max"]), (50, 50))
        self.assertEqual(told["overflowed"], 29)
        server.kill()

    def test_a_full_disk_is_told(self):
        place = self.small_disk("4M")
        path = os.path.join(place, "limits.weir")
        server = self.serve(path=path)
        server.ask(*(["WEIR.ALLOW", f"user{i}", 5, "1h"] for i in range(60000)))
        self.assertTrue(self.look(path=path)["disk_was_full"])
        text = self.says("top", path, "--once", "-i", "1ms").decode()
        self.assertIn("\ndisk         full when the table wanted to grow: newcomers may share counters\n", text)

    def test_the_clock_of_another_boot(self):
        self.allow("ann", "3/1h")
        self.spoil_the_eras()
        ran = self.weir("top", self.path, "--json", "-i", "1ms")
        self.assertEqual(json.loads(ran.stdout)["clock"]["is_of_this_boot"], False)
        self.assertIn("stands still since the machine was started", self.says("top", self.path, "-i", "1ms").decode())

    def spoil_the_eras(self):
        with open(self.path, "r+b") as file:
            for at in (1024, 2048):
                file.seek(at)
                file.write(bytes(64))

    def test_the_default_place_is_looked_at_and_not_made(self):
        environment = {"HOME": self.folder, "XDG_STATE_HOME": "", "WEIR_STORE": ""}
        if os.geteuid() != 0:
            self.refuses("top", because=f"weir top: {self.folder}/.local/state/weir/limits.weir: there is no such file",
                         code=3, environment=environment)
            self.assertEqual(os.listdir(self.folder), [])
        self.allow("ann", "3/1h")
        out = self.says("top", "--json", "-i", "1ms", environment={"WEIR_STORE": self.store})
        self.assertEqual(json.loads(out)["file"], self.path)

    def test_refusals(self):
        self.refuses("top", self.path, code=3, because=f"weir top: {self.path}: there is no such file")
        self.refuses("top", self.folder, code=3, because=f"weir top: {self.folder}: it is not a file")
        self.refuses("top", "memory:", because="weir top: 'memory:' is not a file; name one, such as "
                                               "/var/lib/weir/limits.weir")
        self.refuses("top", environment={"WEIR_STORE": "memory:"},
                     because="weir top: 'memory:' is not a file; name one, such as /var/lib/weir/limits.weir")
        self.refuses("top", "", because="weir top: the name of the file is empty; leave it out for the default one")
        self.refuses("top", "redis://h", because="weir top: 'redis://h' is not a file; name one, such as "
                                                 "/var/lib/weir/limits.weir")
        self.refuses("top", "a", "b", because="weir top: 'b' is one word too many; usage: weir top [FILE]")
        self.refuses("top", "--interval", "0s", because="weir top: --interval '0s' is outside 1ms to 1d")
        with open(self.path, "wb") as file:
            file.write(b"x" * 600)
        self.refuses("top", self.path, code=3,
                     because=f"weir top: {self.path}: this is not a weir file; it was not changed")
        os.remove(self.path)
        os.mkfifo(self.path)
        self.refuses("top", self.path, code=3, because=f"weir top: {self.path}: it is not a file")
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path).st_mode))

    def test_on_a_terminal_it_draws_until_it_is_interrupted(self):
        server = self.serve()
        ours, theirs = pty.openpty()
        process = subprocess.Popen([weir_cli.WEIR, "top", self.path, "-i", "20ms"], stdout=theirs, stderr=theirs,
                                   env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        shown, until = b"", time.monotonic() + 60
        while shown.count(b"\x1b[H\x1b[J") < 4 and time.monotonic() < until:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        os.close(ours)
        self.assertGreaterEqual(shown.count(b"\x1b[H\x1b[J"), 4)
        self.assertIn(f"{server.pid}  weir".encode(), shown)
        self.assertIn(b"a second     -", shown)


if __name__ == "__main__":
    weir_file.main()
