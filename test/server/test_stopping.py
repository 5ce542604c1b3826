# SPDX-License-Identifier: MIT
"""How a server ends: what it had read is answered, and it does not take its time."""

from weir_server import *


class Stopping(unittest.TestCase):
    def ends(self, server, with_signal=signal.SIGTERM, within_s=2.0):
        start = time.monotonic()
        code, errors = server.stop(with_signal)
        self.assertLess(time.monotonic() - start, within_s * (5 if IS_SLOW else 1))
        self.assertEqual((code, errors), (0, ""))

    def test_it_ends_on_term_and_int_with_idle_peers(self):
        for which in (signal.SIGTERM, signal.SIGINT):
            server = Server("--threads", "2")
            with server.connect() as peer, server.connect() as silent:
                self.assertEqual(peer.ask("PING"), "PONG")
                self.ends(server, which)
                self.assertEqual((peer.everything(), silent.everything()), (b"", b""))

    def test_what_was_asked_before_the_signal_is_answered(self):
        for _ in range(20):
            server = Server("--threads", "1")
            with server.connect() as peer:
                peer.ask("PING")
                peer.send(request("WEIR.ALLOW", "u", 100, 60000) * 500)
                self.ends(server)
                self.assertEqual(peer.everything(), b":1\r\n" * 100 + b":0\r\n" * 400)

    def test_under_load_no_admission_is_lost(self):
        """Every permit that was taken was also told: clients see whole replies, then the end, never a
        reset, and the server's own count of admissions is what they heard."""
        server = Server("--threads", "2")
        heard, troubles = [], []

        def hammer(name):
            admitted = 0
            with server.connect() as peer:
                try:
                    while True:
                        peer.send(request("WEIR.ALLOW", name, 10**9, 60000) * 20)
                        for _ in range(20):
                            admitted += peer.reply()
                except EOFError as end:
                    if end.args[0]:
                        troubles.append(f"half a reply: {end.args[0]!r}")
                except BrokenPipeError:
                    pass
                except ConnectionResetError as error:
                    troubles.append(str(error))
            heard.append(admitted)

        threads = [threading.Thread(target=hammer, args=(f"user{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        self.ends(server, within_s=3.0)
        for thread in threads:
            thread.join()
        self.assertEqual(troubles, [])
        self.assertGreater(sum(heard), 100)

    def test_a_peer_that_reads_nothing_does_not_hold_it(self):
        server = Server("--threads", "1")
        with server.connect() as deaf:
            deaf.ask("PING")
            stuff(deaf, request("ECHO", "x" * 30000))
            self.ends(server, within_s=4.0)

    def test_the_second_signal_ends_it_at_once(self):
        server = Server("--threads", "1")
        with server.connect() as deaf:
            deaf.ask("PING")
            stuff(deaf, request("ECHO", "x" * 30000))
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            self.assertIsNone(server.process.poll())
            with self.assertRaises(ConnectionRefusedError):
                server.connect()
            with Server("--threads", "1", listen=(f"127.0.0.1:{server.port}",)) as successor, successor.connect() as peer:
                self.assertEqual(peer.ask("PING"), "PONG")
            self.ends(server, within_s=1.0)

    def test_sigpipe_and_sudden_ends_of_peers_are_nothing_to_it(self):
        with Server("--threads", "1") as server:
            for _ in range(50):
                peer = server.connect()
                peer.plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.send(request("ECHO", "x" * 30000) * 20)
                peer.close()
            server.process.send_signal(signal.SIGPIPE)
            with server.connect() as peer:
                self.assertEqual(peer.ask("PING"), "PONG")


if __name__ == "__main__":
    main()
