# SPDX-License-Identifier: MIT
"""What benches of fleets have in common: processes of decide.c that ask at once, what they tell, and medians over
turns. bench/redis/fleet and bench/cassandra/fleet start servers, and say what to ask."""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NS = 1_000_000_000
# Processes start before they ask, so that all begin together.
START_S = 0.4
ALL_ADMITTED = 1 << 40


class Missing(Exception):
    pass


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def sleep_until(at_ns):
    time.sleep(max(0, at_ns - now_ns()) / NS)


# ---- one row ----

def slot_top(slot):
    """The largest nanoseconds in a slot of bench/load/histogram.c."""
    parts = 128
    if slot < parts:
        return slot
    shift = slot // parts - 1
    return ((parts + slot % parts) << shift) + (1 << shift) - 1


def latencies(told):
    slots = {}
    for one in told:
        for slot, count in one["slots"]:
            slots[slot] = slots.get(slot, 0) + count
    largest = max(one["max_ns"] for one in told)
    shares = {"p50_us": 0.5, "p99_us": 0.99, "p99.9_us": 0.999}
    found = dict.fromkeys(shares, 0)
    for name, share in shares.items():
        wanted, seen = share * sum(slots.values()), 0
        for slot in sorted(slots):
            seen += slots[slot]
            if seen > wanted:
                found[name] = min(slot_top(slot), largest) / 1000
                break
    return {**found, "max_us": largest / 1000}


def ask(program, processes, url, workload, name, way, limit, warm_s, measured_s, spent, cpus=None, folder=None):
    """Starts the processes, asks spent() what the servers have spent at both ends of the time that is counted, and adds
    up what the processes tell. Returns the row, and how much each figure of spent() has grown."""
    begin_ns = now_ns() + int(START_S * NS)
    from_ns = begin_ns + int(warm_s * NS)
    until_ns = from_ns + int(measured_s * NS)
    words = [program, "--url", url, "--name", name, "--order", workload["order"],
             "--users", workload["users"], "--limit", limit, "--window-ms", workload["window_ms"], "--threads", way["threads"],
             "--outstanding", way["outstanding"], "--processes", processes, "--begin-ns", begin_ns,
             "--from-ns", from_ns, "--until-ns", until_ns]
    words += [word for option in ("rate", "exponent", "deadline-ms") if option in workload for word in ("--" + option, workload[option])]
    running = []
    try:
        for i in range(processes):
            more = ["--process", i] + (["--admissions", folder / f"{i}.jsonl"] if folder else [])
            running.append(subprocess.Popen([str(w) for w in words + more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                            text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus or os.sched_getaffinity(0))))
        sleep_until(from_ns)
        before = spent()
        sleep_until(until_ns)
        after = spent()
        told = []
        for process in running:
            out, err = process.communicate(timeout=60)
            if process.returncode != 0:
                raise Missing(f"{program.name} ended with {process.returncode}: {err.strip()[-500:]}")
            told.append(json.loads(out))
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return row_of(program, workload, told, limit, measured_s), {what: after[what] - before[what] for what in after}


def row_of(program, workload, told, limit, measured_s):
    allowed, denied, failed = (sum(one[what] for one in told) for what in ("allowed", "denied", "failed"))
    decisions = allowed + denied
    if decisions == 0 and "deadline-ms" not in workload:  # where callers wait for so long only, that is what is measured
        raise Missing(f"{program.name}: nothing was decided, {failed} questions failed")
    return {"decisions": decisions, "failed": failed, "per_second": decisions / measured_s, "allowed_share": allowed / max(1, decisions),
            "failed_share": failed / max(1, decisions + failed),
            # The first window and the last count as one: see weight_ns() in decide.c.
            "utilisation": (sum(one["weighed_ns"] for one in told) / NS / (limit * (measured_s - workload["window_ms"] / 1000))
                            if workload["order"] == "hot" and measured_s > workload["window_ms"] / 1000 else None),
            "client_ns": sum(one["cpu_ns"] for one in told) / max(1, decisions), **latencies(told),
            # Of the clients, since they began.
            **{what: sum(one[what] for one in told) for what in told[0]
               if what not in ("who", "allowed", "denied", "failed", "weighed_ns", "cpu_ns", "max_ns", "slots")}}


# ---- what is told ----

def said(*words):
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()


def surroundings(bench):
    model = [line.split(":", 1)[1].strip() for line in said("lscpu").splitlines() if line.startswith("Model name")]
    return {"bench": bench, "command": " ".join([f"bench/{bench}", *sys.argv[1:]]),
            "commit": said("git", "rev-parse", "--short", "HEAD"),
            "changed": bool(said("git", "status", "--porcelain", "--untracked-files=no")),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": (model or [platform.machine()])[0],
            "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "load_average": os.getloadavg()[0]}


class Told:
    """The rows of one workload and who, over the turns."""

    def __init__(self, rows):
        self.rows = rows

    def median(self, name):
        return statistics.median(self.values(name))

    def values(self, name):
        return [row[name] for row in self.rows]

    def spread(self, name):
        values = self.values(name)
        return f"({min(values):,.0f} .. {max(values):,.0f})"
