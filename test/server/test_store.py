# SPDX-License-Identifier: MIT
"""weir serve and weir allow on a file: what they share, what survives, and what is said if it cannot be had."""

import shutil

from weir_server import *


def refused(*words):
    """Exit code and complaint of a server that should not start."""
    run = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0", *words], capture_output=True, text=True,
                         timeout=PATIENCE_S, check=False)
    return run.returncode, run.stderr


def allow(path, *words):
    run = subprocess.run([BINARY, "allow", "--store", f"file:{path}", *words], capture_output=True, text=True,
                         timeout=PATIENCE_S, check=False)
    return run.returncode, run.stdout, run.stderr


class OnAFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "limits.weir")
        self.store = ("--store", f"file:{self.path}")

    def test_what_a_killed_server_answered_is_remembered_by_the_next(self):
        server = Server(*self.store)
        with server.connect() as peer:
            self.assertEqual([peer.ask("WEIR.ALLOW", "ann", 3, 3600000) for _ in range(2)], [1, 1])
            server.process.kill()
            server.process.communicate()
        with Server(*self.store) as server, server.connect() as peer:
            self.assertEqual([peer.ask("WEIR.ALLOW", "ann", 3, 3600000) for _ in range(2)], [1, 0])
            told = peer.ask("INFO", "weir").decode()
            self.assertIn("weir_users:1\r\n", told)

    def test_two_servers_and_a_shell_share_one_count(self):
        with Server(*self.store) as one, Server(*self.store, "--threads", "1") as two:
            with one.connect() as here, two.connect() as there:
                answers = [peer.ask("WEIR.ALLOW", "ann", 5, 3600000) for peer in (here, there, here)]
                self.assertEqual(answers, [1, 1, 1])
                self.assertEqual(allow(self.path, "ann", "5/1h"), (0, "allowed, 1 left of 5\n", ""))
                answers = [peer.ask("WEIR.ALLOW", "ann", 5, 3600000) for peer in (there, here, there)]
                self.assertEqual(answers, [1, 0, 0])
                self.assertEqual(allow(self.path, "ann", "5/1h", "--quiet")[0], 1)
        self.assertEqual(allow(self.path, "ann", "5/1h", "--quiet")[0], 1)

    def test_many_who_ask_at_once_get_no_more_than_the_limit(self):
        with Server(*self.store) as one, Server(*self.store) as two:
            answers = []

            def ask(server):
                with server.connect() as peer:
                    answers.extend(peer.ask("WEIR.ALLOW", "ann", 100, 3600000) for _ in range(50))
            threads = [threading.Thread(target=ask, args=(server,)) for server in (one, two) * 3]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual((len(answers), sum(answers)), (300, 100))

    def test_the_ready_line_names_the_whole_path(self):
        with Server(*self.store) as server:
            self.assertRegex(server.ready, rf", store file:{self.path}, process \d+\n$")
        with Server("--store", f"file://{self.path}") as server:
            self.assertRegex(server.ready, rf", store file:{self.path}, process \d+\n$")

    def test_the_store_comes_from_the_environment_where_it_is_not_given(self):
        environment = {**os.environ, "WEIR_STORE": f"file:{self.path}"}
        for code in (0, 1):
            run = subprocess.run([BINARY, "allow", "ann", "1/1h"], env=environment, capture_output=True, check=False)
            self.assertEqual(run.returncode, code)
        self.assertTrue(os.path.exists(self.path))

    @unittest.skipIf(os.geteuid() == 0, "root's default place is /var/lib")
    def test_the_default_place(self):
        self.check_the_default_place({})

    @unittest.skipIf(os.geteuid() != 0 or not shutil.which("setpriv"), "needs to be root, to become somebody else")
    def test_the_default_place_of_somebody_else(self):
        os.chmod(self.folder, 0o777)
        self.check_the_default_place({"user": 65534, "group": 65534, "extra_groups": []})

    def check_the_default_place(self, who):
        environment = {k: v for k, v in os.environ.items() if k not in ("WEIR_STORE", "XDG_STATE_HOME")}
        environment["HOME"] = self.folder
        run = subprocess.run([BINARY, "allow", "ann", "1/1h"], env=environment, capture_output=True, text=True,
                             check=False, **who)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertTrue(os.path.exists(os.path.join(self.folder, ".local/state/weir/limits.weir")))

    def test_users_may_not_be_more_than_bytes_max_allows(self):
        with Server(*self.store, "--bytes-max", "100M") as server, server.connect() as peer:
            told = peer.ask("INFO", "weir").decode()
            self.assertNotIn("weir_users_max:10000000\r\n", told)
        self.assertEqual(refused(*self.store, "--bytes-max", "10M")[0], 2)
        with Server("--store", "memory:", "--bytes-max", "10M") as server, server.connect() as peer:
            self.assertNotIn("weir_users_max:10000000\r\n", peer.ask("INFO", "weir").decode())

    def test_the_clock_error_is_the_file_s(self):
        with Server(*self.store, "--clock-error-ppm", "100000"):
            pass
        with Server(*self.store, "--wall-error", "1s") as server, server.connect() as peer:
            self.assertEqual(peer.ask("CL.THROTTLE", "u", 15, 30, 60), [0, 16, 15, -1, 3])
        self.assertEqual(refused(*self.store, "--clock-error-ppm", "5"),
                         (2, f"weir serve: {self.path}: it was made for clock_error_ppm = 100000, not 5; all who "
                             "share it must use the same\n"))

    def test_a_file_made_for_others_is_told(self):
        with Server(*self.store, "--users-max", "1000"):
            self.assertEqual(refused(*self.store, "--users-max", "2000"),
                             (2, f"weir serve: {self.path}: it was made for users_max = 1000, not 2000; leave the "
                                 "option out, or change the file with weir compact\n"))
            with Server(*self.store, "--users-max", "1000"):
                pass

    def test_trouble_is_told_and_ends_with_3(self):
        self.assertEqual(refused("--store", f"file:{self.folder}/no/such"),
                         (3, f"weir serve: {self.folder}/no/such: cannot create it: its folder is not there; create "
                             "it first\n"))
        with open(self.path, "wb") as file:
            file.write(b"precious" * 1000)
        for told in (refused(*self.store), allow(self.path, "ann", "1/1h")[::2]):
            self.assertEqual(told[0], 3)
            self.assertRegex(told[1], rf"^weir \w+: {self.path}: this is not a weir file; it was not changed\n$")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"precious" * 1000)
        os.remove(self.path)
        self.assertEqual(allow(self.path, "ann", "1/1h")[0], 0)
        with open(self.path, "r+b") as file:
            file.seek(50)
            file.write(b"x")
        self.assertEqual(refused(*self.store),
                         (3, f"weir serve: {self.path}: its header is damaged; it was not changed. Move it away to begin "
                             "anew\n"))

    def test_bytes_of_a_path_cannot_move_the_cursor(self):
        code, complaint = refused("--store", b"file:/nonexistent/\x1b[2J")
        self.assertEqual(code, 3)
        self.assertIn("/nonexistent/\\x1b[2J: ", complaint)


if __name__ == "__main__":
    main()
