# SPDX-License-Identifier: MIT
"""Many peers on many threads at once: exactly the limit is admitted, connections are spread evenly."""

from weir_server import *


class Crowd(unittest.TestCase):
    def hammer(self, server, words, peers, batches, batch):
        """What each of `peers` connections heard, all at once."""
        heard, barrier = [], threading.Barrier(peers)

        def one():
            with server.connect() as peer:
                barrier.wait()
                for _ in range(batches):
                    peer.send(request(*words) * batch)
                    heard.extend([peer.reply() for _ in range(batch)])

        threads = [threading.Thread(target=one) for _ in range(peers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(heard), peers * batches * batch)
        return heard

    def test_one_user_on_four_threads_gets_exactly_the_limit(self):
        with Server("--threads", "4") as server:
            heard = self.hammer(server, ("WEIR.ALLOW", "hot", 1000, "1h"), peers=16, batches=20, batch=10)
            self.assertEqual(sum(heard), 1000)
            heard = self.hammer(server, ("WEIR.ALLOW", "costly", 1000, "1h", 7), peers=16, batches=10, batch=10)
            self.assertEqual(sum(heard), 1000 // 7)
            heard = self.hammer(server, ("CL.THROTTLE", "cell", 499, 1, 86400), peers=16, batches=10, batch=10)
            self.assertEqual(sum(reply[0] == 0 for reply in heard), 500)

    def test_connections_are_spread_evenly_even_when_they_are_few(self):
        """Which thread serves whom does not show, but how busy each thread was does."""
        with Server("--threads", "4") as server:
            peers = [server.connect() for _ in range(8)]
            for peer in peers:
                peer.ask("PING")
            before = self.thread_ticks(server.pid)
            load = request("ECHO", "x" * 100) * 200
            until = time.monotonic() + (3 if IS_SLOW else 1)
            while time.monotonic() < until:
                for peer in peers:
                    peer.send(load)
                for peer in peers:
                    for _ in range(200):
                        peer.reply()
            switches = [now - then for now, then in zip(self.thread_ticks(server.pid), before)]
            self.assertEqual(len(switches), 4)
            self.assertGreater(min(switches), 0.25 * max(switches), f"times a thread woke: {switches}")
            for peer in peers:
                peer.close()

    def thread_ticks(self, pid):
        """How often each worker has gone to sleep."""
        counts = []
        for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as comm:
                if not comm.read().startswith("weir-worker"):
                    continue
            with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
                counts.append(int(next(line for line in status if line.startswith("voluntary_ctxt")).split()[1]))
        return counts

    def test_peers_come_and_go_under_load(self):
        # Room for all of them: a busy server may not have noticed yet that those before are gone.
        with Server("--threads", "3", "--connections-max", "900") as server:
            troubles = []

            def come_and_go():
                for _ in range(100):
                    try:
                        with server.connect() as peer:
                            answer = peer.ask("WEIR.ALLOW", "u", 1, 60000)
                            if answer not in (0, 1):
                                troubles.append(f"answered {answer}")
                    except (OSError, EOFError) as error:
                        troubles.append(repr(error))

            threads = [threading.Thread(target=come_and_go) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(troubles, [])
            with server.connect() as peer:
                self.assertIn(b"weir_allowed:1\r\n", peer.ask("INFO", "weir"))


if __name__ == "__main__":
    main()
