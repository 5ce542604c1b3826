# SPDX-License-Identifier: MIT
"""redis-py, in RESP2 and RESP3, alone and in crowds; and weir judge over what the crowd was told."""

import json

import redis

import beside_server  # noqa: F401
from weir_server import *


class RedisPy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--threads", "2")

    @classmethod
    def tearDownClass(cls):
        code, errors = cls.server.stop()
        assert code == 0, errors

    def client(self, **options):
        client = redis.Redis(port=self.server.port, socket_timeout=PATIENCE_S, **options)
        self.addCleanup(client.close)
        return client

    def test_both_protocols(self):
        for protocol in (2, 3):
            client = self.client(protocol=protocol, client_name="tester", decode_responses=True)
            self.assertTrue(client.ping())
            self.assertEqual(client.client_getname(), "tester")
            self.assertEqual(client.echo("x"), "x")
            self.assertEqual(client.info("server")["redis_mode"], "standalone")
            self.assertEqual(client.config_get("save"), {"save": ""})
            user = f"py{protocol}"
            told = [client.execute_command("WEIR.ALLOW", user, 2, 60000) for _ in range(3)]
            self.assertEqual(told, [1, 1, 0])
            told = client.execute_command("WEIR.DECIDE", user, 2, "1m")
            if protocol == 2:
                told = dict(zip(told[::2], told[1::2]))
            self.assertEqual((told["allowed"], told["remaining"], told["how"]), (0, 0, "strict"))
            self.assertGreater(told["retry_after_ms"], 59000)
            self.assertEqual(client.execute_command("CL.THROTTLE", user, 15, 30, 60), [0, 16, 15, -1, 2])
            self.assertEqual(client.delete(user), 1)
            self.assertEqual(client.dbsize(), client.info("weir")["weir_users"])
            with self.assertRaisesRegex(redis.ResponseError, "unknown command 'SET'"):
                client.set("a", "b")

    def test_pipelines_without_transactions(self):
        with self.client().pipeline(transaction=False) as pipe:
            for _ in range(1000):
                pipe.execute_command("WEIR.ALLOW", "pipe", 300, 60000)
            self.assertEqual(sum(pipe.execute()), 300)

    def test_a_pool_of_threads_and_what_the_judge_says(self):
        """Sixteen threads ask about five users for two windows; the judge reads what they were told."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        lines, window_ns, limit = [], 200_000_000, 40
        pool = redis.ConnectionPool(port=self.server.port, max_connections=16)

        def ask(number, algorithm, into):
            client = redis.Redis(connection_pool=pool)
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                user = f"{algorithm}{number % 5}"
                sent = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                told = client.execute_command("WEIR.DECIDE", user, limit, "200ms", "ALGORITHM", algorithm)
                received = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                into.append({"user": user, "limit": limit, "window_ns": window_ns, "cost": 1,
                             "allowed": bool(told[1]), "sent_ns": sent, "received_ns": received, "host": "here"})

        for algorithm, code in (("strict", 0), ("gcra", 1)):
            lines = []
            threads = [threading.Thread(target=ask, args=(i, algorithm, lines)) for i in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            path = os.path.join(folder.name, f"{algorithm}.jsonl")
            with open(path, "w", encoding="ascii") as file:
                for line in sorted(lines, key=lambda line: line["sent_ns"]):
                    file.write(json.dumps(line) + "\n")
            self.assertGreater(sum(line["allowed"] for line in lines), 5 * limit)
            run = subprocess.run([BINARY, "judge", path], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            # GCRA admits more than its limit in some window, and the judge must see that it does.
            self.assertEqual(run.returncode, code, f"{algorithm}: {run.stdout} {run.stderr}")


if __name__ == "__main__":
    main()
