# SPDX-License-Identifier: MIT
"""A network of a test's own: the test and its servers are one host, and there are others, each a network
namespace, whose packets take as long as the test says, get lost, or do not pass in one direction or both.

Each host has a TUN device, and one process passes packets between them, as the kernel's netem would, which not
every kernel has. Nothing has a name outside and all is gone when the test ends, in whatever way."""

import contextlib
import ctypes
import fcntl
import heapq
import multiprocessing
import os
import random
import select
import struct
import subprocess
import sys
import threading
import time

from servers import LIBC, die_with_parent

TUN = "/dev/net/tun"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
PACKET_BYTES_MAX = 65536
HERE = "10.77.0.1"
NEEDS = f"""this test makes network namespaces and TUN devices. It needs root, or user namespaces (Debian: sysctl
kernel.unprivileged_userns_clone=1) with a {TUN} that may be opened (modprobe tun; chmod 666 {TUN}). What was tried:"""


def ip(words):
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True)


def open_tun(address):
    """The device of the thread's network namespace, as a file of packets."""
    tun = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tun", IFF_TUN | IFF_NO_PI))
    ip(f"addr add {address}/24 dev tun")
    ip("link set tun up")
    return tun


def enter():
    """Goes on in a network namespace of its own: the program begins again there."""
    if os.environ.get("WEIR_TEST_NETWORK") == "own":
        ip("link set lo up")
        return
    tried = []
    for options in ["--net"], ["--user", "--map-root-user", "--net"]:
        words = ["unshare", *options, sys.executable]
        probe = subprocess.run([*words, __file__], capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            os.environ["WEIR_TEST_NETWORK"] = "own"
            os.execvp(words[0], [*words, *sys.argv])
        tried.append(f"{' '.join(words)}: {probe.stderr.strip().splitlines()[-1:]}")
    sys.exit("\n".join([NEEDS, *tried]))


class Host:
    """Another host: a namespace and its device."""

    def __init__(self, address):
        self.address, self.trouble = address, None
        thread = threading.Thread(target=self.begin)
        thread.start()
        thread.join()
        if self.trouble:
            raise self.trouble

    def begin(self):
        """On a thread of its own, which alone moves to the new namespace."""
        try:
            if LIBC.unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            self.namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            ip("link set lo up")
            self.tun = open_tun(self.address)
        except (OSError, subprocess.CalledProcessError) as trouble:
            self.trouble = trouble

    def words(self):
        """What runs a command there if it stands before it."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.namespace}"]

    def close(self):
        os.close(self.tun)
        os.close(self.namespace)


class Path:
    """What happens to packets in one direction. Those of one path stay in order, as in a queue."""

    def __init__(self, delay_s=(0, 0), tail_s=(0, 0), tails=0.0, loss=0.0, is_cut=False):
        self.delay_s, self.tail_s, self.tails, self.loss, self.is_cut = delay_s, tail_s, tails, loss, is_cut

    def delay(self, chance):
        return chance.uniform(*(self.tail_s if chance.random() < self.tails else self.delay_s))


class Network:
    """This host and others, which can reach this one and nobody else."""

    def __init__(self, hosts):
        self.tun = open_tun(HERE)
        self.hosts = [Host(f"10.77.0.{2 + i}") for i in range(hosts)]
        self.orders, theirs = multiprocessing.Pipe()
        relay = Relay(self.tun, [host.tun for host in self.hosts], theirs)
        self.process = multiprocessing.get_context("fork").Process(target=relay.run, daemon=True)
        self.process.start()
        theirs.close()

    def set(self, host, there=None, back=None):
        """What happens from now on to packets that a host sends, and to those for it. Returns when it is so."""
        self.orders.send((host, there or Path(), back or Path()))
        self.orders.recv()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()
        self.orders.close()
        for host in self.hosts:
            host.close()
        os.close(self.tun)


class Relay:
    def __init__(self, here, others, orders):
        self.here, self.others, self.orders = here, others, orders
        self.paths = {(tun, here): Path() for tun in others} | {(here, tun): Path() for tun in others}
        self.newest = dict.fromkeys(self.paths, 0.0)
        self.due, self.count = [], 0
        self.chance = random.Random()

    def run(self):
        die_with_parent()
        while True:
            wait_s = max(0, self.due[0][0] - time.monotonic()) if self.due else None
            ready, _, _ = select.select([self.orders, self.here, *self.others], [], [], wait_s)
            for source in ready:
                if source is self.orders:
                    self.obey()
                else:
                    self.take(source)
            self.pass_on()

    def obey(self):
        host, there, back = self.orders.recv()
        self.paths[self.others[host], self.here] = there
        self.paths[self.here, self.others[host]] = back
        self.orders.send("done")

    def take(self, source):
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = os.read(source, PACKET_BYTES_MAX)
                if packet[0] >> 4 != 4:
                    continue
                to = packet[19] - 2
                if source == self.here and to >= len(self.others):
                    continue  # a host of the test before, which is gone
                target = self.here if source != self.here else self.others[to]
                way = source, target
                path = self.paths[way]
                if self.chance.random() < path.loss:
                    continue
                self.newest[way] = max(self.newest[way], time.monotonic() + path.delay(self.chance))
                heapq.heappush(self.due, (self.newest[way], self.count, way, packet))
                self.count += 1

    def pass_on(self):
        while self.due and self.due[0][0] <= time.monotonic():
            _, _, way, packet = heapq.heappop(self.due)
            if not self.paths[way].is_cut:
                with contextlib.suppress(BlockingIOError):
                    os.write(way[1], packet)


if __name__ == "__main__":
    # Whether all of this can be had here.
    Host(HERE)
