# SPDX-License-Identifier: MIT
"""What peers cannot do: speak nonsense, grow our memory, take all connections, stay for ever."""

import random
import resource
import time

from weir_server import *


class Bounds(unittest.TestCase):
    def told(self, data, server):
        with server.connect() as peer:
            try:
                peer.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return peer.everything()

    def test_what_is_no_request_is_answered_and_closed(self):
        cases = {
            b"*1\r\n+PING\r\n": b"expected '$' before each word",
            b"*abc\r\n": b"invalid multibulk length",
            b"*2000\r\n": b"invalid multibulk length",
            b"*1\r\n$-5\r\n": b"invalid bulk length",
            b"*1\r\n$999999999999\r\n": b"invalid bulk length",
            b"*1\r\n$70000\r\n" + b"x" * 70000: b"invalid bulk length",
            b"*2\r\n$66000\r\n" + b"x" * 66000 + b"\r\n$66000\r\n" + b"x" * 66000: b"too big request",
            b"y" * 70000: b"too big inline request",
            b"'unbalanced\r\n": b"unbalanced quotes in request",
        }
        with Server() as server:
            for data, problem in cases.items():
                self.assertEqual(self.told(data, server), b"-ERR Protocol error: " + problem + b"\r\n")
                self.assertEqual(self.told(request("PING") + data, server),
                                 b"+PONG\r\n-ERR Protocol error: " + problem + b"\r\n")
            counted = b"\r\nprotocol_errors:%d\r\n" % (2 * len(cases))
            until = time.monotonic() + 10  # a thread publishes what it counted at the end of its turn
            info = b""
            while counted not in info and time.monotonic() < until:
                info = self.told(request("INFO", "stats") + request("QUIT"), server)
            self.assertIn(counted, info)

    def test_garbage_harms_nobody(self):
        seed = random.randrange(2**32)
        dice = random.Random(seed)
        with Server("--threads", "2") as server, server.connect() as witness:
            for _ in range(100):
                data = dice.randbytes(dice.randrange(1, 5000))
                if dice.randrange(2):
                    data = request("WEIR.ALLOW", "u", 1, 1)[:dice.randrange(1, 30)] + data
                with server.connect() as peer:
                    try:
                        peer.send(data)
                        peer.plug.shutdown(socket.SHUT_WR)
                        peer.everything()
                    except (BrokenPipeError, ConnectionResetError):
                        pass
                    except OSError as error:
                        self.fail(f"seed {seed}: {error}")
            self.assertEqual(witness.ask("PING"), "PONG", f"seed {seed}")

    def test_who_does_not_read_costs_little_and_loses_nothing(self):
        """A peer sends requests with large replies and reads none: the server stops reading it."""
        question = request("WEIR.DECIDE", "u", 1000, 60000)
        with Server("--threads", "1") as server, server.connect() as witness:
            peers = [server.connect() for _ in range(20)]
            witness.ask("WEIR.ALLOW", "first", 1, 60000)
            before = server.memory_kib()
            sent = [stuff(peer, question, bytes_max=50_000_000) for peer in peers]
            self.assertLess(max(sent), 50_000_000, "the server reads on and on")
            grown = server.memory_kib() - before
            self.assertLess(grown, len(peers) * (2048 if IS_SLOW else 300), f"{grown} KiB for {len(peers)} peers")
            self.assertEqual(witness.ask("PING"), "PONG")

            # Now one reads: it gets the answer to every request that it has sent whole.
            peers[0].plug.setblocking(True)
            peers[0].plug.settimeout(PATIENCE_S)
            peers[0].plug.shutdown(socket.SHUT_WR)
            answers = peers[0].everything().count(b"reset_after_ns")
            self.assertEqual(answers, sent[0] // len(question))
            for peer in peers:
                peer.close()

    def test_large_replies_to_one_who_does_not_read_are_bounded_too(self):
        with Server("--threads", "1") as server, server.connect() as peer, server.connect() as witness:
            witness.ask("WEIR.ALLOW", "first", 1, 60000)
            before = server.memory_kib()
            peer.plug.setblocking(False)
            try:
                peer.plug.send(b"COMMAND\r\n" * 20000)
            except BlockingIOError:
                pass
            time.sleep(0.3)
            self.assertEqual(witness.ask("PING"), "PONG")
            self.assertLess(server.memory_kib() - before, 4000 if IS_SLOW else 1000)

    def test_a_thousand_idle_connections_cost_little(self):
        count = 200 if IS_SLOW else 1000
        with Server("--threads", "2") as server:
            with server.connect() as witness:
                # The first user may make the system give the table a huge page.
                witness.ask("WEIR.ALLOW", "first", 1, 60000)
                before = server.memory_kib()
                peers = [server.connect() for _ in range(count)]
                for peer in peers:
                    self.assertEqual(peer.ask("WEIR.ALLOW", "one", count, 60000), 1)
                self.assertIn(b"connected_clients:%d\r\n" % (count + 1), witness.ask("INFO", "clients"))
                if not IS_SLOW:
                    self.assertLess(server.memory_kib() - before, 1536)
                self.assertEqual(witness.ask("WEIR.ALLOW", "one", count, 60000), 0)
                for peer in peers:
                    peer.close()
                self.wait_for(lambda: b"connected_clients:1\r\n" in witness.ask("INFO", "clients"))
                self.wait_for(lambda: server.descriptor_count() < 40)

    def test_one_connection_too_many_is_told_so(self):
        with Server("--connections-max", "3", "--threads", "2") as server:
            peers = [server.connect() for _ in range(3)]
            for peer in peers:
                peer.ask("PING")
            with server.connect() as fourth:
                self.assertEqual(fourth.everything(), b"-ERR max number of clients reached\r\n")
            peers[0].close()
            self.wait_for(lambda: peers[1].ask("INFO", "clients").count(b"connected_clients:2"))
            with server.connect() as again:
                self.assertEqual(again.ask("PING"), "PONG")
            for peer in peers:
                peer.close()

    def test_without_descriptors_the_server_goes_on(self):
        """The system refuses: those who are in are served, those who come are shown out or wait."""
        with Server("--threads", "1", "--connections-max", "100000") as server:
            with server.connect() as witness:
                witness.ask("PING")
                resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.descriptor_count() + 5,) * 2)
                peers = [server.connect() for _ in range(30)]
                time.sleep(0.5)
                self.assertEqual(witness.ask("PING"), "PONG")
                refused = witness.ask("INFO", "stats")
                self.assertNotIn(b"rejected_connections:0\r\n", refused)
                for peer in peers:
                    peer.close()
                self.wait_for(lambda: self.answers(server))

    def test_who_says_nothing_for_too_long_is_closed(self):
        with Server("--idle-timeout", "300ms", "--threads", "1") as server:
            with server.connect() as quiet, server.connect() as busy, server.connect() as half:
                half.send(b"*2\r\n$4\r\nEC")
                start = time.monotonic()
                while time.monotonic() - start < 0.9:
                    self.assertEqual(busy.ask("PING"), "PONG")
                    time.sleep(0.05)
                self.assertEqual(quiet.everything(), b"")
                self.assertEqual(half.everything(), b"")
                self.assertEqual(busy.ask("PING"), "PONG")

    def answers(self, server):
        try:
            with server.connect() as peer:
                return peer.ask("PING") == "PONG"
        except (OSError, EOFError):
            return False

    def wait_for(self, condition):
        until = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), until, "waited too long")
            time.sleep(0.02)


if __name__ == "__main__":
    main()
