# SPDX-License-Identifier: MIT
"""A fleet on real Redis servers: four processes of the library ask about the same users while servers and processes
are killed, frozen, wiped and promoted. Every admission of all of them goes to `weir judge`."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from servers import Cluster, Single, Watched, wait_for

BUILD = pathlib.Path(os.environ["WEIR_BUILD_DIR"])
WEIR = BUILD / "weir"
WORKER = BUILD / "test/redis/fleet_worker"
PROCESSES, THREADS = 4, 2
MANY_A_SECOND = 1000  # of the worker's user `many`


class Fleet:
    """Processes that run for some seconds, each with a file of lines."""

    def __init__(self, folder, url, seconds, processes=PROCESSES):
        self.folder, self.url, self.seconds = pathlib.Path(folder), url, seconds
        self.begun = time.monotonic()
        self.all = [self.start(seconds) for _ in range(processes)]
        self.killed = []

    def start(self, seconds):
        self.number = getattr(self, "number", 0) + 1
        lines = self.folder / f"lines.{os.getpid()}.{self.number}.{time.monotonic_ns()}"
        process = subprocess.Popen([WORKER, self.url, str(seconds), str(THREADS), lines], stdout=subprocess.PIPE,
                                   text=True)
        process.lines = lines
        return process

    def wait_until(self, second):
        time.sleep(max(0, self.begun + second - time.monotonic()))

    def kill_one_and_start_another(self):
        victim = self.all.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        self.killed.append(victim)
        self.all.append(self.start(max(1, int(self.begun + self.seconds - time.monotonic()))))

    def end(self):
        """What the processes count, summed."""
        sums = {}
        for process in self.all:
            said, _ = process.communicate(timeout=60)
            if process.returncode != 0:
                raise AssertionError(f"a worker ended with {process.returncode}")
            for name, value in json.loads(said).items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def files(self):
        return [p.lines for p in self.all + self.killed]


def judge(*files):
    run = subprocess.run([WEIR, "judge", "--json", *files], capture_output=True, text=True, check=False)
    return run.returncode, json.loads(run.stdout)


class FleetOnRedis(unittest.TestCase):
    def holds(self, fleet):
        code, verdict = judge(*fleet.files())
        self.assertEqual(code, 0, verdict)
        self.assertGreater(verdict["allowed"], 0)

    def serves_again(self, site, url, fleet, replica):
        """When what was killed follows again; how long that takes is not the library's business."""
        wait_for("a replica again", lambda: replica.role() == "slave" and
                 replica.info("replication")["master_link_status"] == "up")
        again = Fleet(site.folder, url + "&deadline=5s", 4)
        self.assertGreater(again.end()["admissions"], 0)
        code, verdict = judge(*fleet.files(), *again.files())
        self.assertEqual(code, 0, verdict)

    def init(self, url):
        subprocess.run([WEIR, "init", url], check=True, capture_output=True)

    def test_a_limit_is_used_up_and_never_broken(self):
        with Single() as site:
            self.init(site.url)
            fleet = Fleet(site.folder, site.url + "?policy=closed&nodes=4&deadline=5s", 6)
            sums = fleet.end()
            self.holds(fleet)
            self.assertEqual(sums["degraded"], 0)  # nobody waits for five seconds
            many = 0
            for file in fleet.files():
                for line in file.read_text().splitlines():
                    decision = json.loads(line)
                    many += decision["cost"] * (decision["user"] == "many")
            self.assertGreater(many, 0.1 * MANY_A_SECOND * 6)  # a busy machine asks too seldom to use more

    def test_it_holds_while_processes_connections_scripts_and_data_are_lost(self):
        with Single() as site:
            self.init(site.url)
            fleet = Fleet(site.folder, site.url + "?policy=closed&nodes=4", 14)
            fleet.wait_until(1.5)
            fleet.kill_one_and_start_another()
            fleet.wait_until(2.5)
            site.one.must("CLIENT", "KILL", "TYPE", "normal")
            fleet.wait_until(3)
            site.one.must("SCRIPT", "FLUSH")
            fleet.wait_until(4)
            site.one.pause()
            time.sleep(0.5)
            site.one.resume()
            fleet.wait_until(5.5)
            site.one.must("FLUSHALL")
            sums = fleet.end()
            self.holds(fleet)
            self.assertGreater(sums["late_admissions"], 0)  # what was lost has aged out: it serves again

    def test_it_holds_through_a_promotion_when_all_replicas_are_waited_for(self):
        with Watched() as site:
            self.init(site.url)
            url = site.url + "?policy=closed&nodes=4&replicas=2"
            fleet = Fleet(site.folder, url, 10)
            fleet.wait_until(3)
            first = site.primary()
            first.kill()
            wait_for("another primary", lambda: site.primary() is not first)
            first.start()  # Sentinels make it a replica after ten seconds; until then two cannot confirm
            fleet.end()
            self.holds(fleet)
            self.serves_again(site, url, fleet, first)

    def test_it_holds_in_a_cluster_that_has_a_primary_frozen_and_killed(self):
        with Cluster() as site:
            self.init(site.url)
            url = site.url + "?policy=closed&nodes=4&replicas=1"
            fleet = Fleet(site.folder, url, 12)
            fleet.wait_until(3)
            primary = site.primaries()[0]
            primary.pause() # for less than the others need to replace it: nothing that it told is lost
            time.sleep(0.6)
            primary.resume()
            fleet.wait_until(5)
            primary.kill()  # its replica has what it confirmed; until it is back, nobody can confirm
            wait_for("another primary", lambda: len(site.primaries()) == 3)
            primary.start()
            fleet.end()
            self.holds(fleet)
            self.serves_again(site, url, fleet, primary)

    def test_the_judge_sees_two_fleets_that_do_not_share(self):
        with Single() as site:
            self.init(site.url)
            one = Fleet(site.folder, site.url + "?secret=one&nodes=2", 3, processes=2)
            other = Fleet(site.folder, site.url + "?secret=other&nodes=2", 3, processes=2)
            one.end()
            other.end()
            code, verdict = judge(*one.files(), *other.files())
            self.assertEqual(code, 1, verdict)


if __name__ == "__main__":
    unittest.main()
