# SPDX-License-Identifier: MIT
"""What include/weir.h says of a limiter on a store that many share, on whatever store."""

import os
import pathlib

from driver import Driver
from fleet import HOWS, WHYS
from servers import wait_for

MINUTE = 60000


class Api(Driver):
    program = pathlib.Path(os.environ["WEIR_BUILD_DIR"]) / "test/redis/api_driver"

    def ready(self):
        """Until a decision was made with the server, which weir_open() does not wait for."""
        wait_for("a decision", lambda: self.ask("ask", 1, "nobody", 1, MINUTE, 0)["degraded"] == 0)


class Answers:
    """Tests for a TestCase with a url."""

    def test_a_look_takes_nothing(self):
        with Api(self.url) as api:
            api.ready()
            looks = api.ask("ask", 20, "ann", 10, MINUTE, 0)
            self.assertEqual((looks["allowed"], looks["remaining"]), (20, 10))
            self.assertEqual(api.ask("ask", 20, "ann", 10, MINUTE, 1)["allowed"], 10)
            look = api.ask("ask", 1, "ann", 10, MINUTE, 0)
            self.assertEqual((look["allowed"], look["remaining"]), (0, 0))
            self.assertGreater(look["retry_after_ns"], 0)

    def test_a_reset_gives_all_back_here_and_elsewhere(self):
        with Api(self.url) as one, Api(self.url) as other:
            one.ready()
            other.ready()
            self.assertEqual(one.ask("ask", 20, "ann", 10, MINUTE, 1)["allowed"], 10)
            self.assertEqual(other.ask("ask", 20, "ann", 10, MINUTE, 1)["allowed"], 0)
            self.assertEqual(one.ask("reset", "ann", MINUTE)["status"], 0)
            wait_for("what the reset gave back",
                     lambda: other.ask("ask", 1, "ann", 10, MINUTE, 1)["allowed"] == 1, 5)

    def test_several_rules_pass_all_or_nothing_counts(self):
        with Api(self.url) as api:
            api.ready()
            both = api.ask("together", 20, "ann", "all", 100, MINUTE, 30)  # 1 and 2 a question
            self.assertEqual((both["allowed"], both["degraded"]), (15, 0), both)
            self.assertEqual(api.ask("ask", 100, "ann", 100, MINUTE, 1)["allowed"], 85)
            none = api.ask("together", 5, "ann", "others", 100, MINUTE, 30)
            self.assertEqual((none["allowed"], none["degraded"]), (0, 0), none)
            self.assertEqual(api.ask("ask", 1, "others", 30, MINUTE, 30)["allowed"], 1)

    def test_any_limit_and_window(self):
        with Api(self.url) as api:
            api.ready()
            for limit in 1, 1 << 40:
                for window_ms in MINUTE, 2 * 365 * 24 * 3600 * 1000:
                    with self.subTest(limit=limit, window_ms=window_ms):
                        answer = api.ask("ask", 2, f"ann{limit}", limit, window_ms, min(limit, 1 << 39))
                        self.assertEqual((answer["allowed"], answer["degraded"]), (min(limit, 2), 0), answer)

    def test_what_is_left_is_given_back_at_the_end(self):
        with Api(self.url) as one:
            one.ready()
            self.assertEqual(one.ask("ask", 3, "ann", 1000, MINUTE, 1)["allowed"], 3)
        with Api(self.url) as other:
            other.ready()
            self.assertEqual(other.ask("ask", 1, "ann", 1000, MINUTE, 997)["allowed"], 1)
            self.assertEqual(other.ask("ask", 1, "ann", 1000, MINUTE, 1)["allowed"], 0)


def policy_decides(test, api, policy, limit, share):
    """Each decision while the store does not answer, and it says so and why, for users of whom nobody has
    permits. Returns how long the slowest took."""
    slowest_ns = 0
    for user, count in ("ann", 1), ("bob", 100):
        told = api.ask("ask", count, user, limit, MINUTE, 1)
        allowed = {"closed": 0, "open": count, "local": min(share, count)}[policy]
        expected = allowed, count, HOWS[policy]
        test.assertEqual((told["allowed"], told["degraded"], told["how"]), expected, told)
        test.assertIn(told["why"], (WHYS["late"], WHYS["cut"]))
        slowest_ns = max(slowest_ns, told["slowest_ns"])
    return slowest_ns
