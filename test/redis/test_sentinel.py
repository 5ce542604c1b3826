# SPDX-License-Identifier: MIT
"""A primary that is watched by Sentinels: killed, frozen and replaced while it is asked."""

import tempfile
import unittest

from driver import Driver
from servers import Certificates, IS_SLOW, Watched, wait_for

SOON_MS = 10000 if IS_SLOW else 5000
LATE_MS = 2000


def counted(server, keys):
    return sum(int(server.must("GET", f"load:{k}") or 0) for k in range(keys))


class Failover(unittest.TestCase):
    def exact(self, tally):
        self.assertEqual(tally["executed"] + tally["not executed"] + tally["unknown"], tally["submitted"], tally)
        self.assertEqual(tally["twice"], 0, tally)
        self.assertLess(tally["late_ms"], LATE_MS, tally)

    def heals(self, driver):
        wait_for("the new primary", lambda: driver.ask("add", "healed", 500, 1)["status"] == "REDIS_DONE")

    def test_a_killed_primary_is_replaced_and_nothing_confirmed_is_lost(self):
        with Watched() as site, Driver(site.url, replicas=2, replicas_ms=400) as driver:
            self.assertEqual(driver.ask("ready", SOON_MS)["status"], "REDIS_DONE")
            first = site.primary()
            driver.say("load", 2, 4, 5000, 500, 50)
            wait_for("some load", lambda: counted(first, 8) > 200)
            first.kill()
            tally = driver.hear()
            self.exact(tally)
            self.assertGreater(tally["confirmed"], 200)
            # What was on its way was lost, or had been executed and waited for the replicas.
            self.assertGreater(tally["unknown"] + tally["executed"], tally["confirmed"], tally)
            self.heals(driver)
            second = site.primary()
            self.assertIsNot(second, first)
            total = counted(second, 8)
            self.assertGreaterEqual(total, tally["confirmed"], tally)
            self.assertLessEqual(total, tally["executed"] + tally["unknown"], tally)

            # The old one comes back, believes to be a primary until a Sentinel tells it otherwise, and is left
            # alone meanwhile.
            first.start()
            tally = driver.ask("load", 1, 1, 500, SOON_MS, 10)
            self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)

    def test_a_frozen_primary_is_replaced(self):
        with Watched() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            first = site.primary()
            first.pause()

            def goes_on():
                tally = driver.ask("load", 1, 4, 2000, 20, 10)
                self.exact(tally)
                return tally.get("REDIS_DONE", 0) > 0

            wait_for("the new one", goes_on)
            self.assertIsNot(site.primary(), first)
            self.assertLess(driver.ask("counts")["connects"], 200)
            first.resume()
            self.heals(driver)

    def test_a_planned_switch_is_heard(self):
        with Watched() as site, Driver(site.url) as driver:
            driver.ask("ready", SOON_MS)
            first = site.primary()
            driver.say("load", 1, 4, 4000, 500, 10)
            wait_for("some load", lambda: counted(first, 4) > 100)
            wait_for("a switch", lambda: site.sentinels[1].ask("SENTINEL", "FAILOVER", "weir") == "OK")
            tally = driver.hear()
            self.exact(tally)
            self.heals(driver)
            self.assertIsNot(site.primary(), first)
            self.assertGreater(tally["REDIS_DONE"], 100)

    def test_through_tls(self):
        made = Certificates(self.enterContext(tempfile.TemporaryDirectory(prefix="weir-sentinel.")))
        with Watched(tls=made) as site, Driver(site.url, ca=made.ca) as driver:
            self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)
            site.primary().kill()
            self.heals(driver)

    def test_passwords_here_and_there(self):
        with Watched(password="data", sentinel_password="watch") as site:
            with Driver(site.url, sentinel_password="watch") as driver:
                self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 1)
                # Each Sentinel in turn dies; the others are enough.
                for sentinel in site.sentinels[:2]:
                    sentinel.kill()
                    self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["status"], "REDIS_DONE")
            with Driver(site.url, sentinel_password="watch") as driver:
                self.assertEqual(driver.ask("add", "k", SOON_MS, 1)["reply"], 4)
            with Driver(site.url) as driver:
                answer = driver.ask("ready", SOON_MS)
                self.assertEqual(answer["status"], "REDIS_UNREACHABLE")
                self.assertRegex(answer["problem"], "asks for a password|Connection refused")
            with Driver(site.url.replace("/weir", "/other"), sentinel_password="watch") as driver:
                answer = driver.ask("ready", 1000)
                self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREACHABLE", "not executed"))
                self.assertRegex(answer["problem"], "knows no primary called other|Connection refused")


if __name__ == "__main__":
    unittest.main(verbosity=2)
