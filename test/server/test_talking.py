# SPDX-License-Identifier: MIT
"""What peers say and hear: requests cut anywhere, in pipelines, as lines, on unix sockets, in RESP3."""

from weir_server import *


class Talking(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = os.path.join(cls.folder.name, "weir.sock")
        cls.server = Server("--threads", "2", listen=("127.0.0.1:0", f"unix:{cls.path}"))

    @classmethod
    def tearDownClass(cls):
        code, errors = cls.server.stop()
        cls.folder.cleanup()
        assert code == 0, errors

    def test_a_limit_is_kept(self):
        with self.server.connect() as peer:
            self.assertEqual([peer.ask("WEIR.ALLOW", "ann", 3, 60000) for _ in range(5)], [1, 1, 1, 0, 0])

    def test_requests_may_be_cut_at_every_byte(self):
        talk = request("WEIR.ALLOW", "cut", 1000, 60000) + b"PING\r\nECHO \"a b\"\r\n" + request("CL.THROTTLE", "c", 999, 1000, 60)
        for cut in range(1, len(talk)):
            with self.server.connect() as peer:
                peer.send(talk[:cut])
                time.sleep(0.001)
                peer.send(talk[cut:])
                self.assertEqual([peer.reply(), peer.reply(), peer.reply()], [1, "PONG", b"a b"], cut)
                self.assertEqual(peer.reply()[:2], [0, 1000])

    def test_one_byte_at_a_time(self):
        with self.server.connect() as peer:
            for byte in request("WEIR.ALLOW", "slow", 1, 60000) + b"PING hi\r\n":
                peer.send(bytes([byte]))
            self.assertEqual([peer.reply(), peer.reply()], [1, b"hi"])

    def test_a_pipeline_is_answered_in_order(self):
        count = 20000
        with self.server.connect() as peer:
            talk = b"".join(request("ECHO", i) if i % 3 else request("WEIR.ALLOW", "pipe", 100, 60000)
                            for i in range(count))
            sender = threading.Thread(target=peer.send, args=(talk,))
            sender.start()
            for i in range(count):
                self.assertEqual(peer.reply(), str(i).encode() if i % 3 else int(i // 3 < 100))
            sender.join()

    def test_a_reset_between_requests_is_seen_by_the_later_ones(self):
        with self.server.connect() as peer:
            ask = request("WEIR.ALLOW", "order", 1, 60000)
            peer.send((ask + ask + request("WEIR.RESET", "order", 60000)) * 500)
            for _ in range(500):
                self.assertEqual([peer.reply(), peer.reply(), peer.reply()], [1, 0, "OK"])

    def test_users_may_have_64_KiB_and_any_bytes(self):
        with self.server.connect() as peer:
            user = bytes(range(256)) * 256
            self.assertEqual([peer.ask("WEIR.ALLOW", user, 1, 60000) for _ in range(2)], [1, 0])
            self.assertEqual(peer.ask("WEIR.ALLOW", user + b"x", 1, 60000),
                             "ERR the user is missing or longer than 65536 bytes")
            self.assertEqual(peer.ask("WEIR.ALLOW", b"", 1, 60000), 1)
            self.assertEqual(peer.ask("PING"), "PONG")

    def test_a_long_user_in_small_pieces(self):
        with self.server.connect() as peer:
            talk = request("WEIR.ALLOW", b"p" * 65536, 1, 60000)
            for at in range(0, len(talk), 1000):
                peer.send(talk[at:at + 1000])
            self.assertEqual(peer.reply(), 1)

    def test_resp3_answers_maps(self):
        with self.server.connect() as peer:
            self.assertEqual(peer.ask("HELLO", 3)[b"proto"], 3)
            told = peer.ask("WEIR.DECIDE", "three", 10, "1m", "COST", 4)
            self.assertEqual((told[b"allowed"], told[b"remaining"], told[b"how"]), (1, 6, b"strict"))
            told = peer.ask("WEIR.DECIDE", "three", 10, "1m", "COST", 11)
            self.assertEqual((told[b"allowed"], told[b"retry_after_ms"], told[b"retry_after_ns"]), (0, -1, -1))

    def test_a_unix_socket_speaks_the_same(self):
        plug = socket.socket(socket.AF_UNIX)
        plug.settimeout(PATIENCE_S)
        plug.connect(self.path)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        with Client(plug) as peer:
            self.assertEqual([peer.ask("WEIR.ALLOW", "unix", 1, 60000) for _ in range(2)], [1, 0])

    def test_a_peer_that_has_said_all_still_hears_all(self):
        with self.server.connect() as peer:
            peer.send(request("ECHO", "x" * 1000) * 3000)
            peer.plug.shutdown(socket.SHUT_WR)
            self.assertEqual(peer.everything(), (b"$1000\r\n" + b"x" * 1000 + b"\r\n") * 3000)

    def test_quit_is_answered_and_the_rest_is_not(self):
        with self.server.connect() as peer:
            peer.send(request("PING") + request("QUIT") + request("PING"))
            self.assertEqual(peer.everything(), b"+PONG\r\n+OK\r\n")

    def test_info_counts_connections(self):
        with self.server.connect() as peer, self.server.connect() as other:
            other.ask("PING")
            until = time.monotonic() + PATIENCE_S  # connections of tests before may not be gone yet
            while b"connected_clients:2\r\n" not in peer.ask("INFO", "clients"):
                self.assertLess(time.monotonic(), until)
            self.assertIn(b"threads:2\r\n", peer.ask("INFO", "server"))


if __name__ == "__main__":
    main()
