# SPDX-License-Identifier: MIT
"""TLS: who is trusted, who is not, and what is said then."""

import tempfile
import unittest

from driver import Driver
from servers import Certificates, IS_SLOW, Single

SOON_MS = 10000 if IS_SLOW else 4000


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="weir-tls.")
        cls.made = Certificates(cls.folder.name)
        cls.site = Single(tls=cls.made)

    @classmethod
    def tearDownClass(cls):
        cls.site.__exit__()
        cls.folder.cleanup()

    def url(self, host="127.0.0.1", port=None):
        return f"rediss://{host}:{port or self.site.port}"

    def refused(self, text, url=None, **options):
        with Driver(url or self.url(), **options) as driver:
            answer = driver.ask("ready", SOON_MS)
        self.assertEqual((answer["status"], answer["fate"]), ("REDIS_UNREACHABLE", "not executed"), answer)
        self.assertRegex(answer["problem"], text)

    def test_an_authority_that_is_trusted(self):
        self.site.one.must("FLUSHALL")
        for host in ("127.0.0.1", "localhost"):
            with Driver(self.url(host), ca=self.made.ca) as driver:
                self.assertEqual(driver.ask("ready", SOON_MS)["status"], "REDIS_DONE")
                for size in (1, 20_000, 60_000):
                    self.assertEqual(driver.ask("call", "k", SOON_MS, "SET", "k", "x" * size)["reply"], "OK")
                    self.assertEqual(len(driver.ask("call", "k", SOON_MS, "GET", "k")["reply"]), size)
        with Driver(self.url(), ca=self.made.ca) as driver:
            tally = driver.ask("load", 2, 2, 1000, SOON_MS, 400)
            counts = driver.ask("counts")
        self.assertEqual(tally["REDIS_DONE"], tally["submitted"], tally)
        self.assertEqual((tally["out_of_order"], counts["connects"]), (0, 1))

    def test_an_authority_that_is_not(self):
        self.refused("certificate is not accepted: (self.signed|unable to get local issuer)", ca=self.made.other_ca)
        self.refused("certificate is not accepted: (self.signed|unable to get local issuer)")

    def test_a_certificate_made_out_to_somebody_else(self):
        class Wrong:
            ca, cert, key = self.made.ca, self.made.wrong_cert, self.made.wrong_key
        with Single(tls=Wrong) as site:
            self.refused("certificate is not accepted: .*IP address mismatch", self.url(port=site.port), ca=self.made.ca)
            self.refused("certificate is not accepted: .*[Hh]ostname mismatch", self.url("localhost", site.port),
                         ca=self.made.ca)

    def test_a_server_that_asks_who_we_are(self):
        with Single(tls=self.made, config=["tls-auth-clients yes"]) as site:
            self.refused("TLS failed: .*certificate required|hung up|hangs up", self.url(port=site.port), ca=self.made.ca)
            with Driver(self.url(port=site.port), ca=self.made.ca, cert=self.made.client_cert,
                        key=self.made.client_key) as driver:
                self.assertEqual(driver.ask("ready", SOON_MS)["status"], "REDIS_DONE")

    def test_the_wrong_kind_of_port(self):
        self.refused("is TLS spoken there", self.url(port=self.site.one.plain_port), ca=self.made.ca)
        with Driver(f"redis://127.0.0.1:{self.site.port}") as driver:
            answer = driver.ask("ready", SOON_MS)
        self.assertEqual(answer["status"], "REDIS_UNREACHABLE")
        self.assertRegex(answer["problem"], "rediss://|not Redis' protocol")

    def test_files_that_cannot_be_read(self):
        for options, text in (({"ca": "/nowhere.pem"}, "the authorities in /nowhere.pem cannot be read"),
                              ({"cert": self.made.client_cert}, "needs both files"),
                              ({"cert": self.made.client_cert, "key": self.made.key}, "not that of the certificate")):
            driver = Driver(self.url(), **options)
            self.assertEqual(driver.process.wait(), 3)
            self.assertIn(text, driver.process.stderr.read())
            with self.assertRaises(AssertionError), driver:
                driver.hear()


if __name__ == "__main__":
    unittest.main(verbosity=2)
