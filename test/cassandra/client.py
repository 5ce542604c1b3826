# SPDX-License-Identifier: MIT
"""Talks to client_driver.c: a line to it, a line of JSON back. And what tests of the client have in common."""

import os
import pathlib

from servers import IS_SLOW, Site  # first: it says where driver.py is
from driver import Driver

SOON_MS = 120_000 if IS_SLOW else 60_000  # for what must succeed, on whatever machine
LATE_MS = 3000  # a deadline is kept if the answer came so soon after it: the machine may be busy
ONE, QUORUM = 1, 4
TABLES = ("CREATE KEYSPACE IF NOT EXISTS {0} WITH replication = {{'class': '{1}', '{2}': {3}}}",
          "CREATE TABLE IF NOT EXISTS {0}.counts (k int PRIMARY KEY, n counter)",
          "CREATE TABLE IF NOT EXISTS {0}.made (k int, n bigint, PRIMARY KEY (k, n))",
          "CREATE TABLE IF NOT EXISTS {0}.plain (k int PRIMARY KEY, n bigint, t text)")


class Client(Driver):
    program = pathlib.Path(os.environ["WEIR_BUILD_DIR"]) / "test/cassandra/cassandra_client_driver"

    def say(self, *words):
        super().say(*(str(word).replace(" ", "\x1f") for word in words))

    def query(self, text, *values, key="-", consistency=ONE, ms=SOON_MS):
        return self.ask("query", ms, consistency, text, *((key, *values) if values else ()))

    def prepared(self, text, *values, key="-", consistency=ONE, ms=SOON_MS):
        return self.ask("prepared", ms, consistency, text, key, *values)

    def must(self, text):
        answer = self.query(text)
        assert answer["status"] == "CASSANDRA_DONE", answer
        return answer

    def make_tables(self, keyspace="weir", strategy="SimpleStrategy", factor_of="replication_factor", factor=1):
        for text in TABLES:
            self.must(text.format(keyspace, strategy, factor_of, factor))


def exact(test, tally):
    """Each request that was taken was answered once, and in time."""
    ended = tally["executed"] + tally["not executed"] + tally["unknown"]
    test.assertEqual(ended, tally["submitted"], tally)
    test.assertEqual(tally["twice"], 0, tally)
    test.assertLess(tally["late_ms"], LATE_MS, tally)


def counted(client):
    """What the table of counters says that was executed."""
    answer = client.query("SELECT n FROM counts", consistency=QUORUM)
    assert answer["status"] == "CASSANDRA_DONE", answer
    return sum(row[0] for row in answer["rows"])


__all__ = ["IS_SLOW", "LATE_MS", "ONE", "QUORUM", "SOON_MS", "Client", "Site", "counted", "exact"]
