# SPDX-License-Identifier: MIT
"""redis-cli and redis-benchmark, as Debian ships them."""

import beside_server  # noqa: F401
from weir_server import *


class RedisCli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--threads", "2")

    @classmethod
    def tearDownClass(cls):
        code, errors = cls.server.stop()
        assert code == 0, errors

    def cli(self, *words, text=None):
        run = subprocess.run(["redis-cli", "-p", str(self.server.port), *words], input=text, capture_output=True,
                             text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return run.stdout

    def test_one_question_a_call(self):
        self.assertEqual([self.cli("WEIR.ALLOW", "ann", "2", "60000") for _ in range(3)], ["1\n", "1\n", "0\n"])
        self.assertEqual(self.cli("CL.THROTTLE", "cell", "15", "30", "60"), "0\n16\n15\n-1\n2\n")
        self.assertIn("ERR unknown command 'SET'", self.cli("SET", "a", "b"))

    def test_resp3_shows_a_map(self):
        self.assertIn("allowed 1\n", self.cli("-3", "WEIR.DECIDE", "map", "2", "1m"))
        self.assertIn("1# \"allowed\" => (integer) 1\n", self.cli("-3", "--no-raw", "WEIR.DECIDE", "map", "2", "1m"))

    def test_many_questions_from_a_file(self):
        self.assertEqual(self.cli(text='WEIR.ALLOW "a b" 1 1m\n' * 3), "1\n0\n0\n")

    def test_a_pipe_of_raw_requests(self):
        told = self.cli("--pipe", text=request("WEIR.ALLOW", "pipe", 10, 60000).decode() * 1000)
        self.assertIn("errors: 0, replies: 1000", told)

    def test_the_interactive_prompt_finds_help(self):
        told = self.cli("COMMAND", "DOCS", "weir.allow")
        self.assertIn("May the user act now?", told)

    def test_info(self):
        self.assertIn("redis_mode:standalone", self.cli("INFO"))

    def test_redis_benchmark_runs(self):
        for words in (["-t", "ping"], ["WEIR.ALLOW", "user:__rand_int__", "100", "60000"],
                      ["CL.THROTTLE", "user:__rand_int__", "15", "30", "60"]):
            run = subprocess.run(["redis-benchmark", "-p", str(self.server.port), "-n", "20000", "-c", "20", "-P", "16",
                                  "-r", "1000", "-q", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("requests per second", run.stdout)
            self.assertNotIn("rror", run.stdout + run.stderr)


if __name__ == "__main__":
    main()
