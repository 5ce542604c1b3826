# SPDX-License-Identifier: MIT
"""Three weir servers on a Redis Cluster keep one limit, while a primary and then one of the three are killed.

A hot user and a thousand cold ones are asked through all three (bench/demo/asker.c), a table shows each second
what the servers did, and at the end weir judge reads every admission of all of them together. Started by
tools/demo_fleet.sh.

exit codes: 0 no window is above its limit and everybody was admitted again after both kills, 1 not so, 2 wrong
usage, 3 trouble, 130 interrupted"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from servers import PATIENCE_S, Cluster, die_with_parent
from weir_server import BINARY, Server

ASKER = pathlib.Path(os.environ.get("WEIR_BUILD_DIR", "build/release")) / "weir-demo-asker"
SERVERS = 3


class Crowd:
    """Users under one rule, and how many questions a second are asked about all of them together."""

    def __init__(self, name, users, limit, window_s, rate_per_s, pipeline):
        self.name, self.users, self.limit, self.window_s = name, users, limit, window_s
        self.rate_per_s = rate_per_s
        self.word = f"{name}={limit}/{window_s * 1000}/{users}/{pipeline}"


HOT = Crowd("hot", users=1, limit=5000, window_s=1, rate_per_s=20000, pipeline=10)
COLD = Crowd("cold", users=1000, limit=5, window_s=10, rate_per_s=750, pipeline=5)
CROWDS = (HOT, COLD)

# What comes after what, in parts of the whole time; a kill is followed by as much more as the repair takes.
HOT_ALONE, COLD_ALONE, TOGETHER, PRIMARY_KILLED, SERVER_KILLED = 0.16, 0.20, 0.12, 0.26, 0.26


class Stuck(Exception):
    """Something was waited for in vain."""


class Screen:
    """Lines, one after the other; on a terminal the table stays below them and is written over itself."""

    RED, YELLOW, BOLD = "31", "33", "1"

    def __init__(self):
        self.is_live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.is_coloured = self.is_live and "NO_COLOR" not in os.environ
        self.table = []

    def line(self, text="", colour=None):
        self.wipe()
        self.put([(text, colour)])
        if self.is_live:
            self.put(self.table)
        sys.stdout.flush()

    def show(self, table):
        """Rows of (text, colour). The first is the head, which plain lines have once."""
        if self.is_live:
            # A row that is wider would take two lines, and the next table be written over the wrong ones.
            columns = shutil.get_terminal_size().columns - 1
            table = [(text[:columns], colour) for text, colour in table]
            self.wipe()
            self.put(table)
        else:
            self.put(table if not self.table else table[1:])
        self.table = table
        sys.stdout.flush()

    def keep(self):
        """Leaves the table where it is, and goes on below it."""
        self.table = []

    def wipe(self):
        if self.is_live and self.table:
            sys.stdout.write(f"\033[{len(self.table)}F\033[J")

    def put(self, rows):
        for text, colour in rows:
            sys.stdout.write(f"\033[{colour}m{text}\033[0m\n" if colour and self.is_coloured else text + "\n")


class Clients:
    """The program that asks."""

    def __init__(self, folder, ports):
        self.folder = folder
        self.process = subprocess.Popen([ASKER, folder, ",".join(map(str, ports)), *(c.word for c in CROWDS)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def say(self):
        self.tell("say")
        return json.loads(self.process.stdout.readline() or "null") or self.fail()

    def ask_for(self, *crowds):
        """These users and no others from now on."""
        for crowd in CROWDS:
            self.tell("rate", crowd.name, crowd.rate_per_s if crowd in crowds else 0)

    def end(self):
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return json.loads(out) if self.process.returncode == 0 else self.fail()

    def fail(self):
        raise Stuck(f"the clients ended with {self.process.wait()}")

    def histories(self):
        return sorted(self.folder.glob("*.jsonl"))

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Node:
    """One weir server, and what it counts."""

    COUNTED = ("weir_allowed", "weir_denied", "store_degraded", "store_trips")

    def __init__(self, number, url):
        self.number = number
        self.server = Server("--threads", "1", "--store", url, before=die_with_parent)
        self.peer = self.server.connect()
        self.is_alive = True
        self.counts = dict.fromkeys(self.COUNTED, 0)
        self.kept = self.read()

    def read(self):
        """All that it has counted since it began; a dead one, since it was read last."""
        if self.is_alive:
            lines = self.peer.ask("INFO").decode().splitlines()
            pairs = dict(line.split(":", 1) for line in lines if ":" in line)
            self.counts = {name: int(pairs[name]) for name in self.COUNTED}
        return self.counts

    def step(self):
        """What it counted since the last step."""
        before, self.kept = self.kept, self.read()
        return grown(before, self.kept)

    def kill(self):
        self.is_alive = False
        self.peer.close()
        self.server.process.kill()
        self.server.process.communicate()


def sum_of(counts):
    return {name: sum(one[name] for one in counts) for name in Node.COUNTED}


def grown(before, after):
    return {name: after[name] - before[name] for name in Node.COUNTED}


def trips_of(counts):
    """For a thousand decisions; None if there were none."""
    decisions = counts["weir_allowed"] + counts["weir_denied"]
    return 1000 * counts["store_trips"] / decisions if decisions else None


def use_of(said, crowd):
    """What was admitted, in percent of what an exact log admits; None if nobody asked."""
    exact = said[crowd.name]["exact"]
    return 100 * sum(allowed for allowed, _ in said[crowd.name]["at"]) / exact if exact else None


def shown(number, form):
    return "-" if number is None else format(number, form)


class Demo:
    HEAD = f"{'s':>5}  {'node':<17}{'decisions/s':>12}{'admitted':>9}{'denied':>9}{'degraded':>9}{'trips/1000':>12}"

    def __init__(self, screen, cluster, nodes, clients):
        self.screen, self.cluster, self.nodes, self.clients = screen, cluster, nodes, clients
        self.began_s = self.shown_s = time.monotonic()
        self.trips = {}
        self.use_before = None

    # ---- what is seen ----

    def seconds(self):
        return time.monotonic() - self.began_s

    def event(self, text, colour=Screen.BOLD):
        self.screen.line(f"{self.seconds():5.1f}  {text}", colour)

    def count(self):
        return sum_of([node.read() for node in self.nodes])

    def row(self, name, counts, passed_s):
        decisions, *others = (round(n / passed_s) for n in (
            counts["weir_allowed"] + counts["weir_denied"],
            counts["weir_allowed"], counts["weir_denied"], counts["store_degraded"]))
        return (f"{self.seconds():5.0f}  {name:<17}{decisions:>12,}" + "".join(f"{n:>9,}" for n in others)
                + f"{shown(trips_of(counts), '.1f'):>12}", Screen.YELLOW if counts["store_degraded"] else None)

    def show(self):
        now_s = time.monotonic()
        passed_s, self.shown_s = now_s - self.shown_s, now_s
        rows, steps = [(self.HEAD, Screen.BOLD)], []
        for node in self.nodes:
            name = f"{node.number} 127.0.0.1:{node.server.port}"
            steps.append(node.step())
            rows.append(self.row(name, steps[-1], passed_s) if node.is_alive else
                        (f"{self.seconds():5.0f}  {name:<17}{'killed':>12}", Screen.RED))
        said = self.clients.say()
        rows.append(self.row("all", sum_of(steps), passed_s))
        rows.append((f"{self.seconds():5.0f}  so far, of what an exact log admits:  hot "
                     f"{shown(use_of(said, HOT), '.1f')} %   cold {shown(use_of(said, COLD), '.1f')} %", None))
        self.screen.show(rows)

    def watch(self, length_s, what="", condition=lambda: True):
        """Shows the table each second, for so long and until the condition holds."""
        begin_s = time.monotonic()
        while True:
            passed_s = time.monotonic() - begin_s
            if time.monotonic() - self.shown_s >= 1:
                self.show()
            if passed_s >= length_s:
                with contextlib.suppress(OSError, EOFError):
                    if condition():
                        return
                if passed_s - length_s > PATIENCE_S:
                    raise Stuck(f"waited in vain for {what}")
            time.sleep(0.02)

    # ---- what happens ----

    def alone(self, crowd, length_s, text):
        """Only here it is known whose trips the servers count."""
        self.event(text)
        before = self.count()
        self.clients.ask_for(crowd)
        self.watch(length_s)
        self.trips[crowd] = trips_of(grown(before, self.count()))

    def wait_until_served(self, length_s):
        """Until each server that lives has admitted the hot user, and somebody each cold one, from now on."""
        self.clients.tell("mark")
        first = self.clients.say()

        def all_are_served():
            said = self.clients.say()
            return said["cold"]["served"] == COLD.users and all(
                now[0] > then[0] for node, now, then in zip(self.nodes, said["hot"]["at"], first["hot"]["at"])
                if node.is_alive)
        self.watch(length_s, "the servers to admit everybody again", all_are_served)

    def kill_primary(self, victim, length_s):
        begin_s = time.monotonic()
        self.event(f"killed -9 the primary 127.0.0.1:{victim.port}, which has the hot user", Screen.RED)
        victim.kill()
        self.watch(0, "a replica to take over", lambda: len(self.cluster.primaries()) == 3)
        took_s = time.monotonic() - begin_s
        self.event(f"a replica took over after {took_s:.1f} s; permits wait for a copy of it")
        # It has lost everything, and is a replica from now on: as long as there is none, no permit can be confirmed.
        victim.start()
        self.watch(0, "the killed one to follow", lambda: victim.role() == "slave"
                   and victim.info("replication")["master_link_status"] == "up")
        self.event("the killed one is back, empty, and has copied all")
        self.wait_until_served(length_s - (time.monotonic() - begin_s))
        self.event("everybody was admitted since then, by every server")

    def kill_node(self, node, length_s):
        node.read()
        node.kill()
        self.event(f"killed -9 node {node.number}, with the permits in its hands; its clients go on to the others",
                   Screen.RED)
        self.wait_until_served(length_s)
        self.event("everybody was admitted since then, by both servers left")

    def owner_of_hot(self):
        """The primary that counts the hot user, as long as nobody else was asked for."""
        owners = []
        self.watch(0, "the hot user in the store", lambda: owners.extend(
            p for p in self.cluster.primaries() if p.must("KEYS", "weir:{*}:" + 16 * "?")) or owners)
        return owners[0]

    def play(self, length_s):
        self.alone(HOT, HOT_ALONE * length_s, f"the hot user alone: {HOT.rate_per_s:,} questions a second")
        owner = self.owner_of_hot()
        self.alone(COLD, COLD_ALONE * length_s, f"the cold ones alone: {COLD.rate_per_s:,} questions a second")
        self.event("all together")
        self.clients.ask_for(HOT, COLD)
        self.watch(TOGETHER * length_s)
        self.use_before = use_of(self.clients.say(), HOT)
        self.kill_primary(owner, PRIMARY_KILLED * length_s)
        self.kill_node(self.nodes[1], SERVER_KILLED * length_s)

    # ---- what is left of it ----

    def report(self, said):
        for crowd in CROWDS:
            mine, trips = said[crowd.name], self.trips.get(crowd)
            admitted = sum(allowed for allowed, _ in mine["at"])
            before = f" ({shown(self.use_before, '.1f')} % before the first kill)" if crowd is HOT else ""
            self.screen.line(f"{crowd.name + ':':<6}{sum(map(sum, mine['at'])):,} decisions, {admitted:,} admitted")
            self.screen.line(f"      {shown(use_of(said, crowd), '.1f')} % of the {mine['exact']:,} that an exact log "
                             f"admits{before}")
            self.screen.line(f"      answered within {mine['p50_ns'] / 1e6:.2f} ms (p50), {mine['p99_ns'] / 1e6:.2f} ms"
                             " (p99)")
            self.screen.line(f"      {shown(trips, '.1f')} trips to the store for a thousand decisions, while alone")
        self.screen.line(f"The longest time in which nobody admitted the hot user: {said['hot']['gap_ns'] / 1e9:.2f} s.")
        unanswered = sum(said[crowd.name]["unanswered"] for crowd in CROWDS)
        self.screen.line(f"Questions that the killed server left without an answer: {unanswered}.")


def judge(screen, files):
    """Lets weir judge speak for itself; its exit code."""
    screen.line(f"\n$ weir judge {os.path.relpath(files[0].parent)}/*.jsonl")
    return subprocess.run([BINARY, "judge", *files], check=False).returncode


def run(screen, folder, length_s, has_two_secrets):
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        url = cluster.url + "?replicas=1&policy=closed&nodes=3&secret="
        subprocess.run([BINARY, "init", url + "one"], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
        nodes = []
        for number in range(1, SERVERS + 1):
            is_stranger = has_two_secrets and number == SERVERS
            nodes.append(Node(number, url + ("another" if is_stranger else "one")))
            stack.callback(nodes[-1].kill)
        clients = Clients(folder, [node.server.port for node in nodes])
        stack.callback(clients.kill)
        for crowd in CROWDS:
            screen.line(f"{crowd.name + ':':<6}{crowd.users:,} user{'s' * (crowd.users > 1)}, at most {crowd.limit:,} "
                        f"in any {crowd.window_s} s{' each' * (crowd.users > 1)}")
        if has_two_secrets:
            screen.line(f"Node {SERVERS} has another secret than the others, so it does not share their limits.")
        screen.line()

        demo, trouble = Demo(screen, cluster, nodes, clients), None
        try:
            demo.play(length_s)
        except Stuck as stuck:
            trouble = stuck
        screen.keep()
        said = clients.end()
        screen.line()
        demo.report(said)
    verdict = judge(screen, clients.histories())
    if verdict == 1:
        screen.line("\nTHE PROMISE IS BROKEN.", Screen.RED)
    elif verdict != 0:
        screen.line("\nNo verdict.", Screen.RED)
    elif trouble:
        screen.line(f"\nThe promise holds, but {trouble}.", Screen.RED)
    else:
        screen.line("\nThe promise holds, and everybody was admitted again after both kills.")
    return verdict if verdict else int(trouble is not None)


def interrupt(*_):
    """Once: what follows would interrupt the tidying."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="tools/demo_fleet.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("seconds", nargs="?", type=float, default=25, help="how long, about (25)")
    parser.add_argument("--two-secrets", action="store_true",
                        help="one server does not share the limits of the others: weir judge must convict")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/demo-fleet"),
                        help="where the histories stay (build/demo-fleet)")
    options = parser.parse_args()
    if not options.seconds > 0:
        parser.error("seconds are above 0")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)

    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # What a killed run left is there and nowhere else: the servers' files are in it, too.
    for old in [*folder.glob("*.jsonl"), *folder.glob("weir-redis.*")]:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    tempfile.tempdir = str(folder)
    screen = Screen()
    screen.line(f"{SERVERS} weir servers on a Redis Cluster of 3 primaries with a replica each, which is started now.")
    try:
        return run(screen, folder, options.seconds, options.two_secrets)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (AssertionError, EOFError, OSError, Stuck, subprocess.SubprocessError) as trouble:
        print(f"demo-fleet: {trouble}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
