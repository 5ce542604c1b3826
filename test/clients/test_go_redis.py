# SPDX-License-Identifier: MIT
"""go-redis: test/clients/go_redis/main.go against a server."""

import pathlib

import beside_server  # noqa: F401
from weir_server import *


class GoRedis(unittest.TestCase):
    def test_it_is_served(self):
        folder = pathlib.Path(__file__).resolve().parent / "go_redis"
        with tempfile.TemporaryDirectory() as out, Server("--threads", "2") as server:
            program = os.path.join(out, "go_redis")
            build = subprocess.run(["go", "build", "-o", program, "."], cwd=folder, capture_output=True, text=True,
                                   timeout=200, check=False)
            self.assertEqual(build.returncode, 0, build.stderr)
            run = subprocess.run([program, f"127.0.0.1:{server.port}"], capture_output=True, text=True,
                                 timeout=PATIENCE_S, check=False)
            self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    main()
