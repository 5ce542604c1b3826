# SPDX-License-Identifier: MIT
"""How a server begins, and what it says when it cannot."""

from weir_server import *


def refused(*words):
    """Exit code and complaint of a server that should not start."""
    run = subprocess.run([BINARY, "serve", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return run.returncode, run.stderr


class Starting(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")

    def unix_client(self):
        plug = socket.socket(socket.AF_UNIX)
        plug.settimeout(PATIENCE_S)
        plug.connect(self.path)
        return Client(plug)

    def test_it_says_where_it_answers(self):
        with Server("--threads", "1") as server:
            self.assertRegex(server.ready, rf"^weir \S+ ready on 127\.0\.0\.1:{server.port}; 1 thread, "
                                           rf"store memory:, process {server.pid}\n$")

    def test_a_port_in_use_is_said_in_one_line(self):
        with Server() as server:
            code, complaint = refused("--listen", f"127.0.0.1:{server.port}")
            self.assertEqual(code, 3)
            self.assertRegex(complaint, r"^weir serve: cannot listen on 127\.0\.0\.1:\d+: the port is in use by another "
                                        r"program; stop that one, or choose another port with --listen\n$")

    def test_wrong_usage_is_told_and_ends_with_2(self):
        for words, part in (
                (("--listen", "7400"), "a port is missing"),
                (("--listen", "127.0.0.1:x"), "the port must be a number"),
                (("--listen", "127.0.0.1:65536"), "the port must be a number"),
                (("--listen", "example.org:1"), "the host must be an IPv4 address"),
                (("--listen", "[::1:1"), "the host must be"),
                (("--listen", "unix:"), "a path is missing"),
                (("--listen", "unix:" + "x" * 200), "the path has 200 bytes"),
                (("--listen", "0.0.0.0:0"), "add --allow-remote"),
                (("--listen", "*:0"), "add --allow-remote"),
                (("--threads", "0"), "threads"),
                (("--unix-mode", "9"), "octal"),
                (("--store", "postgres://x"), "is not a store that this version knows"),
                (("--users-max", "18446744073709551615"), "more than a table can hold"),
                (("--bytes-max", "1"), "too little for one user"),
                (("--users-max", "x"), "users-max"),
                (("--policy", "shut"), "closed, open, local"),
                (("--deadline", "2m"), "deadline"),
                (("--deadline", "0s"), "deadline"),
                (("--nodes", "0"), "nodes"),
                (("--colour",), "colour")):
            code, complaint = refused(*words)
            self.assertEqual(code, 2, complaint)
            self.assertIn(part, complaint)
            self.assertEqual(complaint.count("\n"), 1, complaint)

    def test_every_store_takes_the_options_of_a_remote_one(self):
        with Server("--policy", "closed", "--deadline", "5ms", "--nodes", "3") as server, server.connect() as peer:
            self.assertEqual(peer.ask("WEIR.ALLOW", "u", 1, 60000), 1)
            self.assertNotIn(b"# Store", peer.ask("INFO"))

    def test_a_login_is_not_told(self):
        code, complaint = refused("--store", "redus://ann:secret@host:1/0")
        self.assertEqual(code, 2)
        self.assertIn("redus://***@host:1/0", complaint)
        self.assertNotIn("secret", complaint)

    def test_what_a_redis_url_says_is_read_before_a_server_is_asked(self):
        for url, part in (("redis://127.0.0.1:1?policy=shut", "policy should be closed, open or local"),
                          ("redis://127.0.0.1:1?secret=hush&node=3", "only these are known"),
                          ("redis+ring://127.0.0.1:1", "redis")):
            code, complaint = refused("--store", url)
            self.assertEqual((code, complaint.count("\n")), (2, 1), complaint)
            self.assertIn(part, complaint)
            self.assertNotIn("hush", complaint)

    def test_trouble_is_told_and_ends_with_3(self):
        for words, part in ((("--listen", "unix:/nonexistent/s"), "No such file"),
                            (("--listen", "127.0.0.1:0", "--pid-file", "/nonexistent/p"), "No such file"),
                            (("--allow-remote", "--listen", "192.0.2.1:0"), "does not have that address")):
            code, complaint = refused(*words)
            self.assertEqual((code, complaint.count("\n")), (3, 1), complaint)
            self.assertIn(part, complaint)

    def test_what_a_dead_server_left_is_replaced(self):
        first = Server(listen=(f"unix:{self.path}",))
        first.process.kill()
        first.process.communicate()
        self.assertTrue(os.path.exists(self.path))
        with Server("--unix-mode", "660", listen=(f"unix:{self.path}",)):
            self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o660)
            with self.unix_client() as peer:
                self.assertEqual(peer.ask("PING"), "PONG")
            code, complaint = refused("--listen", f"unix:{self.path}")
            self.assertEqual(code, 3)
            self.assertIn("in use by a program that answers there", complaint)
            with self.unix_client() as peer:
                self.assertEqual(peer.ask("PING"), "PONG")
        self.assertFalse(os.path.exists(self.path), "the file of a server that has ended")

    def test_a_file_that_is_no_socket_is_left_alone(self):
        with open(self.path, "w", encoding="ascii") as file:
            file.write("precious")
        code, complaint = refused("--listen", f"unix:{self.path}")
        self.assertEqual(code, 3)
        self.assertIn("not a socket", complaint)
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")

    def test_several_addresses_and_ipv6(self):
        listen = ["127.0.0.1:0", f"unix:{self.path}"]
        if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
            listen.insert(1, "[::1]:0")
        with Server(listen=listen) as server:
            self.assertEqual(server.ready.count(","), len(listen) + 1)
            with server.connect() as one, self.unix_client() as other:
                self.assertEqual([one.ask("WEIR.ALLOW", "u", 1, 60000), other.ask("WEIR.ALLOW", "u", 1, 60000)], [1, 0])
            if len(listen) == 3:
                port = int(server.ready.split("[::1]:")[1].split(",")[0])
                with Client(socket.create_connection(("::1", port), timeout=PATIENCE_S)) as peer:
                    self.assertEqual(peer.ask("WEIR.ALLOW", "u", 1, 60000), 0)

    def test_quiet_and_pid_file(self):
        pid_file = self.path + ".pid"
        process = subprocess.Popen([BINARY, "serve", "--quiet", "--listen", f"unix:{self.path}", "--pid-file", pid_file],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + PATIENCE_S
        while not (os.path.exists(pid_file) and os.path.getsize(pid_file)):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        with open(pid_file, encoding="ascii") as file:
            self.assertEqual(int(file.read()), process.pid)
        with self.unix_client() as peer:
            self.assertEqual(peer.ask("PING"), "PONG")
        process.terminate()
        self.assertEqual(process.communicate(timeout=PATIENCE_S), ("", ""))
        self.assertEqual(process.returncode, 0)
        self.assertFalse(os.path.exists(pid_file))

    def test_a_clock_that_may_be_wrong_lengthens_windows(self):
        with Server("--clock-error-ppm", "100000") as server, server.connect() as peer:
            self.assertEqual(peer.ask("CL.THROTTLE", "u", 15, 30, 60), [0, 16, 15, -1, 3])
            self.assertEqual(peer.ask("CL.THROTTLE", "u", 15, 30, 60, 15), [0, 16, 0, -1, 36])
            self.assertEqual(peer.ask("CL.THROTTLE", "u", 15, 30, 60, 0), [0, 16, 0, -1, 36])
            told = peer.ask("WEIR.DECIDE", "u", 1, "100s")
            self.assertGreaterEqual(told[told.index(b"reset_after_ms") + 1], 110000)

    def test_few_descriptors_mean_few_connections_and_a_word_about_it(self):
        import resource
        server = Server("--threads", "1", before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
        with server.connect() as peer:
            self.assertIn(b"maxclients:61\r\n", peer.ask("INFO", "clients"))
        code, errors = server.stop()
        self.assertEqual(code, 0)
        self.assertIn("the system allows 100 open files", errors)


if __name__ == "__main__":
    main()
