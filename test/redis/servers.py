# SPDX-License-Identifier: MIT
"""Real Redis servers for tests: one, one with replicas and Sentinels, a Cluster; with TLS, with users.

All on free loopback ports, with all they write in a temporary folder. Each is killed by its pid when its
`with` ends, when the test process ends in whatever way (the kernel sees to that), and never by name."""

import contextlib
import ctypes
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from weir_server import Client, Trouble, request  # noqa: E402

SERVER = os.environ.get("WEIR_REDIS_SERVER", "redis-server")
CLI = os.environ.get("WEIR_REDIS_CLI", "redis-cli")
IS_SLOW = os.environ.get("WEIR_SANITIZE", "none") != "none"
PATIENCE_S = 120 if IS_SLOW else 60
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(what, condition, patience_s=PATIENCE_S):
    """Asks again and again until the condition holds; returns what it returned."""
    until = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(OSError, EOFError):
            found = condition()
            if found:
                return found
        if time.monotonic() > until:
            raise AssertionError(f"waited for {patience_s} s in vain: {what}")
        time.sleep(0.02)


def in_step(primary, replicas):
    """Until each replica confirms what the primary writes. A replica that has loaded gets its stream of commands only
    after its next word, which it says once a second, and is called online and confirms what it has loaded before
    that: so what it must confirm is written after it has loaded."""
    def all_confirm():
        with primary.connect() as client:
            client.ask("SET", "in step", "?")
            return client.ask("WAIT", len(replicas), "200") == len(replicas)
    for replica in replicas:
        wait_for("a replica that has loaded", lambda r=replica: r.info("replication").get("master_link_status") == "up")
    wait_for("replicas that confirm", all_confirm)


def free_port(taken=set()):  # noqa: B006: the ports that this process has given out already
    """A port that nobody has, and whose Cluster bus port (10000 above) nobody has either, on any address. Both
    are below 32768, where the kernel begins to give ports to whoever connects; and no port can be another's
    bus port, also where two programs draw at the same time."""
    while True:
        port = random.randrange(10000, 20000)
        if port in taken:
            continue
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("", port))
            other.bind(("", port + 10000))
            taken |= {port, port + 10000}
            return port


class Place:
    """Where a server listens, and what stands before its command there."""

    def __init__(self, address="127.0.0.1", words=()):
        self.address, self.words = address, words


HERE = Place()


class Server:
    """One redis-server process (or a Sentinel)."""

    def __init__(self, folder, config=(), port=None, is_sentinel=False, tls=None, password=None, program=SERVER,
                 environment=None, place=HERE):
        """`environment` is added to ours."""
        self.port = port or free_port()
        self.place = place
        self.folder = pathlib.Path(folder) / str(self.port)
        self.folder.mkdir()
        self.is_sentinel, self.password, self.program = is_sentinel, password, program
        self.environment = os.environ | (environment or {})
        self.plain_port = free_port() if tls else self.port
        lines = [f"port {self.plain_port}", f"bind {place.address}", "protected-mode no", f"dir {self.folder}", "daemonize no",
                 f"logfile {self.folder}/log", *config]
        if tls:
            lines += [f"tls-port {self.port}", f"tls-cert-file {tls.cert}", f"tls-key-file {tls.key}",
                      f"tls-ca-cert-file {tls.ca}"]
            if not any(line.startswith("tls-auth-clients") for line in config):
                lines.append("tls-auth-clients no")
        if not is_sentinel:
            lines += ['save ""', "repl-diskless-sync-delay 0"]
            if not any(line.startswith("enable-debug-command") for line in config):
                lines.append("enable-debug-command yes")
        if password:
            lines += [f"requirepass {password}", *([] if is_sentinel else [f"masterauth {password}"])]
        (self.folder / "conf").write_text("\n".join(lines) + "\n")
        self.process = None
        self.start()

    def start(self, is_waited_for=True):
        words = [*self.place.words, self.program, str(self.folder / "conf")] + (["--sentinel"] if self.is_sentinel else [])
        with open(self.folder / "stdout", "ab") as out:
            self.process = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        if is_waited_for:
            wait_for(f"redis-server on port {self.port}", self.is_answering)

    def is_answering(self):
        if self.process.poll() is not None:
            log = self.folder / "log"
            said = log.read_text()[-2000:] if log.exists() else (self.folder / "stdout").read_text()[-2000:]
            raise AssertionError(f"the server on port {self.port} has ended: {said}")
        return self.ask("PING") == "PONG"

    def connect(self):
        client = Client(socket.create_connection((self.place.address, self.plain_port), timeout=10))
        if self.password:
            client.ask("AUTH", self.password)
        return client

    def ask(self, *words):
        with self.connect() as client:
            return client.ask(*words)

    def must(self, *words):
        answer = self.ask(*words)
        if isinstance(answer, Trouble):
            raise AssertionError(f"{words}: {answer}")
        return answer

    def info(self, section):
        text = self.must("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def role(self):
        return self.must("ROLE")[0].decode()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """At once, as by a power cut of that machine."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)


class Site:
    """Servers that belong together, in a folder of their own."""

    def __init__(self):
        self.home = tempfile.TemporaryDirectory(prefix="weir-redis.")
        self.folder = self.home.name
        self.servers = []

    def server(self, **options):
        server = Server(self.folder, **options)
        self.servers.append(server)
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.kill()
        self.home.cleanup()


class Single(Site):
    def __init__(self, **options):
        super().__init__()
        try:
            self.one = self.server(**options)
        except BaseException:
            self.__exit__()
            raise
        self.port = self.one.port
        self.url = f"redis://{self.one.place.address}:{self.port}"


class OnOneServer(unittest.TestCase):
    """Tests of one server, which begins empty for each."""

    @classmethod
    def setUpClass(cls):
        cls.site = Single()
        cls.server = cls.site.one

    @classmethod
    def tearDownClass(cls):
        cls.site.__exit__()

    def setUp(self):
        self.server.must("FLUSHALL")


class Watched(Site):
    """A primary, two replicas and three Sentinels, which know it as `weir`. The primary may be in another place."""

    def __init__(self, down_after_ms=500, password=None, sentinel_password=None, place=HERE, first_place=None,
                 tls=None):
        super().__init__()
        self.tls = tls
        try:
            self.begin(down_after_ms, password, sentinel_password, place, first_place or place)
        except BaseException:
            self.__exit__()
            raise

    def begin(self, down_after_ms, password, sentinel_password, place, first_place):
        through = ["tls-replication yes"] if self.tls else []
        first = self.server(config=through, password=password, place=first_place, tls=self.tls)
        self.data = [first] + [self.server(config=[*through, f"replicaof {first_place.address} {first.port}"],
                                           password=password, place=place, tls=self.tls) for _ in range(2)]
        in_step(first, self.data[1:])
        config = [f"sentinel monitor weir {first_place.address} {first.port} 2",
                  f"sentinel down-after-milliseconds weir {down_after_ms}",
                  "sentinel failover-timeout weir 3000", "sentinel parallel-syncs weir 1", *through]
        if password:
            config.append(f"sentinel auth-pass weir {password}")
        self.sentinels = [self.server(config=config, is_sentinel=True, password=sentinel_password, place=place,
                                      tls=self.tls)
                          for _ in range(3)]
        for sentinel in self.sentinels:
            wait_for("Sentinels that know each other",
                     lambda s=sentinel: "slaves=2,sentinels=3" in s.info("sentinel").get("master0", ""))
        login = f":{password}@" if password else ""
        self.url = f"{'rediss' if self.tls else 'redis'}+sentinel://{login}" + ",".join(f"{place.address}:{s.port}" for s in self.sentinels) + "/weir"

    def primary(self):
        """The server that the Sentinels name, when it says so itself."""
        def look():
            host = self.sentinels[0].must("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "weir")
            named = [s for s in self.data if s.port == int(host[1])]
            return named[0] if named and named[0].process.poll() is None and named[0].role() == "master" else None
        return wait_for("a primary", look)


class Cluster(Site):
    """Three primaries with a replica each. One primary may be in another place."""

    def __init__(self, node_timeout_ms=1000, place=HERE, first_place=None, tls=None):
        super().__init__()
        self.tls = tls
        try:
            self.begin(node_timeout_ms, place, first_place or place)
        except BaseException:
            self.__exit__()
            raise

    def begin(self, node_timeout_ms, place, first_place):
        self.config = ["cluster-enabled yes", "cluster-config-file nodes.conf",
                       f"cluster-node-timeout {node_timeout_ms}", "cluster-replica-validity-factor 0"]
        if self.tls:
            self.config += ["tls-cluster yes", "tls-replication yes"]
        places = [first_place, *[place] * 5]
        self.nodes = [self.server(config=self.config, place=where, tls=self.tls) for where in places]
        addresses = [f"{n.place.address}:{n.port}" for n in self.nodes]
        self.cli("--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        for node in self.nodes:
            wait_for("the Cluster", lambda n=node: "cluster_state:ok" in n.must("CLUSTER", "INFO").decode()
                     and "cluster_known_nodes:6" in n.must("CLUSTER", "INFO").decode())
        for node in self.nodes:
            if node.role() == "slave":
                wait_for("a replica in step", lambda n=node: n.info("replication")["master_link_status"] == "up")
        self.url = ("rediss" if self.tls else "redis") + "+cluster://" + ",".join(addresses[-3:])

    def cli(self, *words):
        login = ["--tls", "--cacert", self.tls.ca] if self.tls else []
        run = subprocess.run([CLI, *login, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if run.returncode != 0:
            raise AssertionError(f"redis-cli {words}: {run.stdout} {run.stderr}")
        return run.stdout

    def identity(self, node):
        """The name by which the Cluster knows a server."""
        return node.must("CLUSTER", "MYID").decode()

    def primaries(self):
        alive = [n for n in self.nodes if n.process.poll() is None]
        return [n for n in alive if n.role() == "master"]

    def holder(self, slot, node):
        """The server that has a slot, as this one sees it. None: nobody."""
        for first, last, primary, *_ in node.must("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(n for n in self.nodes if primary[1] in (n.port, n.plain_port))
        return None

    def owner(self, key):
        """The server that has the slot of a key."""
        any_node = self.primaries()[0]
        slot = any_node.must("CLUSTER", "KEYSLOT", key)
        owner = self.holder(slot, any_node)
        if owner is None:
            raise AssertionError(f"nobody has slot {slot}")
        return owner


class Certificates:
    """An authority, a certificate for localhost and 127.0.0.1, one of a client, and another authority."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca, ca_key = self.authority("ca")
        self.other_ca, _ = self.authority("other")
        self.cert, self.key = self.certificate("server", "subjectAltName=DNS:localhost,IP:127.0.0.1", ca_key)
        self.wrong_cert, self.wrong_key = self.certificate("wrong", "subjectAltName=DNS:elsewhere.example", ca_key)
        self.client_cert, self.client_key = self.certificate("client", "extendedKeyUsage=clientAuth", ca_key)

    def run(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def authority(self, name):
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=weir test {name}",
                 "-keyout", key, "-out", cert)
        return cert, key

    def certificate(self, name, extension, ca_key):
        cert, key, asked = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        (self.folder / f"{name}.ext").write_text(extension + "\n")
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", asked)
        self.run("x509", "-req", "-in", asked, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
                 "-extfile", self.folder / f"{name}.ext", "-out", cert)
        return cert, key


__all__ = ["IS_SLOW", "PATIENCE_S", "Certificates", "Client", "Cluster", "Place", "Server", "Single", "Site", "Trouble",
           "Watched", "free_port", "in_step", "request", "wait_for"]
