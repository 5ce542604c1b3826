# SPDX-License-Identifier: MIT
"""Who are we, and whom do we trust? Passwords, rights and TLS of a real node."""

import tempfile
import unittest

from client import SOON_MS, Client, Site
from servers import Certificates, Server, wait_for
from api import MINUTE  # of the tests on Redis
from fleet import init

ROOT = "cassandra:cassandra@"  # the user that a new cluster has


class OnOneNode(unittest.TestCase):
    folder, made, site = None, None, None


def setUpModule():
    """One node that wants both a password and TLS."""
    OnOneNode.folder = tempfile.TemporaryDirectory(prefix="weir-tls.")
    OnOneNode.made = Certificates(OnOneNode.folder.name)
    OnOneNode.site = Site(has_users=True, tls=OnOneNode.made, is_at_localhost=True)


def tearDownModule():
    OnOneNode.site.__exit__()
    OnOneNode.folder.cleanup()


class Login(OnOneNode):
    def refused(self, login, error, text, rest=""):
        with Client(self.site.url(login=login, rest=rest), ca=self.made.ca) as client:
            answer = client.ask("ready", SOON_MS)
        self.assertEqual((answer["status"], answer["fate"], answer["error"]),
                         ("CASSANDRA_REFUSED", "not executed", error), answer)
        self.assertRegex(answer["problem"], text)

    def test_passwords(self):
        with Client(self.site.url(login=ROOT), ca=self.made.ca) as client:
            self.assertEqual(client.ask("ready", SOON_MS)["status"], "CASSANDRA_DONE")
        self.refused("cassandra:wrong@", "BAD_CREDENTIALS", "BAD_CREDENTIALS.*user and password")
        self.refused("nobody:cassandra@", "BAD_CREDENTIALS", "BAD_CREDENTIALS.*user and password")
        self.refused("", "BAD_CREDENTIALS", "put user:password@ into the URL")

    def test_rights(self):
        with Client(self.site.url(login=ROOT), ca=self.made.ca) as client:
            client.make_tables()
            client.must("CREATE ROLE ann WITH PASSWORD = 'a@/?b' AND LOGIN = true")
            client.must("GRANT SELECT ON KEYSPACE weir TO ann")
        with Client(self.site.url(login="ann:a%40%2F%3Fb@", rest="/weir"), ca=self.made.ca) as client:
            self.assertEqual(client.query("SELECT n FROM plain")["status"], "CASSANDRA_DONE")
            for ask in (client.query, client.prepared):
                answer = ask("INSERT INTO plain (k, n) VALUES (1, 1)")
                self.assertEqual((answer["status"], answer["fate"], answer["error"]),
                                 ("CASSANDRA_REFUSED", "not executed", "UNAUTHORIZED"), answer)
                self.assertRegex(answer["problem"], "ann has no MODIFY permission")


class Tls(OnOneNode):
    def unreachable(self, text, url, **options):
        with Client(url, **options) as client:
            answer = client.ask("ready", SOON_MS)
        self.assertEqual((answer["status"], answer["fate"]), ("CASSANDRA_UNREACHABLE", "not executed"), answer)
        self.assertRegex(answer["problem"], text)

    def test_an_authority_that_is_trusted(self):
        for host in ("127.0.0.1", "localhost"):
            with Client(self.site.url([f"{host}:{self.site.port}"], ROOT), ca=self.made.ca) as client:
                client.make_tables()
                for size in (1, 20_000, 60_000):
                    answer = client.prepared("INSERT INTO weir.plain (k, t) VALUES (?, ?)", "i:1", "t:" + "x" * size)
                    self.assertEqual(answer["status"], "CASSANDRA_DONE", answer)
                    rows = client.query("SELECT t FROM weir.plain WHERE k = 1")["rows"]
                    self.assertEqual(len(rows[0][0]), size)
        with Client(self.site.url(login=ROOT, rest="/weir"), ca=self.made.ca) as client:
            tally = client.ask("load", "plain", 2, 20, 1000, SOON_MS, 100)
        self.assertEqual(tally["CASSANDRA_DONE"], tally["submitted"], tally)

    def test_an_authority_that_is_not(self):
        for options in ({"ca": self.made.other_ca}, {}):
            self.unreachable("certificate is not accepted: (self.signed|unable to get local issuer)", self.site.url(),
                             **options)

    def test_a_name_that_the_certificate_has_not(self):
        self.unreachable("certificate is not accepted: .*[Hh]ostname mismatch",
                         self.site.url([f"127.1:{self.site.port}"]), ca=self.made.ca)  # a name for 127.0.0.1

    def test_a_url_without_tls(self):
        self.unreachable("cassandras://|not Cassandra's protocol", self.site.url().replace("cassandras", "cassandra"))


class Certificate(unittest.TestCase):
    """A node that asks who we are before it says a word."""

    def test_ours_lets_us_decide_and_who_has_none_is_told_so(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="weir-tls."))
        made = Certificates(folder)
        site = self.enterContext(Site(tls=made, asks_client=True, is_at_localhost=True, is_durable=True))
        asked = "TLS failed: .*certificate required"
        with Client(site.url(), ca=made.ca) as client:
            answer = client.ask("ready", SOON_MS)
        self.assertEqual(answer["status"], "CASSANDRA_UNREACHABLE", answer)
        self.assertRegex(answer["problem"], asked)

        bare = site.url(rest=f"/weir?policy=closed&deadline=5s&ca-file={made.ca}")
        url = f"{bare}&cert-file={made.client_cert}&key-file={made.client_key}"
        init(url)

        with Server("--store", url) as server, server.connect() as client:
            wait_for("a decision", lambda: client.ask("WEIR.ALLOW", "ann", 5, MINUTE))
            wait_for("the last", lambda: not client.ask("WEIR.ALLOW", "ann", 5, MINUTE))
            self.assertIn("store_trouble:\r\n", client.ask("INFO", "store").decode())
        with Server("--store", bare) as server, server.connect() as client:
            self.assertEqual(client.ask("WEIR.ALLOW", "ann", 5, MINUTE), 0)
            self.assertRegex(server.process.stderr.readline(), asked)


if __name__ == "__main__":
    unittest.main(verbosity=2)
