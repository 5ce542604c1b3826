# SPDX-License-Identifier: MIT
"""Real Cassandra nodes for tests: one, or three in a ring; with TLS, with users.

Each site has loopback addresses and ports of its own and writes into a temporary folder. Each node is killed by
its pid when its `with` ends, when the test process ends in whatever way (the kernel sees to that), and never by
name. The jars are those of tools/cassandra.sh.

A node serves 5 to 7 s after its start here. Tried and left out: a folder that is not empty (0.8 s less), and an
archive of Java's classes (1.4 s less, for 57 MB and a start of its own to make it). WEIR_JAVA_FLAGS adds flags of
Java's: -XX:TieredStopAtLevel=4 starts slower, and is faster in the long run."""

import importlib.util
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
HOME = SOURCE / ".deps/cassandra"
sys.path.append(str(HERE.parent / "redis"))  # driver.py
spec = importlib.util.spec_from_file_location("redis_servers", HERE.parent / "redis/servers.py")
redis_servers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(redis_servers)
Certificates, die_with_parent, wait_for = (redis_servers.Certificates, redis_servers.die_with_parent,
                                           redis_servers.wait_for)
IS_SLOW = redis_servers.IS_SLOW
from weir_server import Server  # noqa: E402: the folder of the tests of Redis has just said where it is
PATIENCE_S = 240  # a node has started in 5 s here, and in 60 s on a machine that did much else

# What Cassandra's own scripts open to it of Java 17.
EXPORTS = ["java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/java.lang.ref",
           "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
           "java.rmi/sun.rmi.transport.tcp", "java.sql/java.sql", "jdk.unsupported/sun.misc",
           "jdk.attach/sun.tools.attach"]
OPENS = ["java.base/" + name for name in
         ("java.lang", "java.lang.module", "java.lang.reflect", "java.io", "java.nio", "java.net", "java.util",
          "java.util.concurrent", "java.util.concurrent.atomic", "java.math", "jdk.internal.loader",
          "jdk.internal.ref", "jdk.internal.reflect", "jdk.internal.math", "jdk.internal.module",
          "jdk.internal.util.jar", "sun.nio.ch")] + ["jdk.management/com.sun.management.internal",
                                                     "jdk.compiler/com.sun.tools.javac.file"]
TOKENS = (-9223372036854775808, -3074457345618258603, 3074457345618258602)  # of three, a third of the ring each

TOMBSTONES_MAX = 1000  # more of what a read finds deleted, and it fails

CONFIG = """\
cluster_name: weir
num_tokens: 1
initial_token: {token}
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: GossipingPropertyFileSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "{seed}:{storage_port}"
listen_address: {address}
storage_port: {storage_port}
rpc_address: {address}
native_transport_port: {port}
authenticator: {authenticator}
authorizer: {authorizer}
role_manager: CassandraRoleManager
auth_cache_warming_enabled: false
credentials_update_interval: 100ms
permissions_validity: 0ms
paxos_variant: v2
{commit_log}
commitlog_segment_size: 4MiB
commitlog_total_space: 128MiB
memtable_heap_space: 64MiB
memtable_offheap_space: 32MiB
key_cache_size: 2MiB
file_cache_size: 16MiB
networking_cache_size: 16MiB
concurrent_reads: 8
concurrent_writes: 8
concurrent_compactors: 1
auto_snapshot: false
hinted_handoff_enabled: true
write_request_timeout: 2s
read_request_timeout: 5s
cas_contention_timeout: 2s
dynamic_snitch: false
tombstone_warn_threshold: 500
tombstone_failure_threshold: {tombstones}
"""

TLS_CONFIG = """\
client_encryption_options:
  enabled: true
  optional: false
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {keystore}
  truststore: {truststore}
  require_client_auth: {asks_client}
"""

LOGBACK = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""


def free_addresses(count):
    """Loopback addresses in a row that no other test is likely to have; and a port, which like the next one is below
    those that the tests of Redis choose from: a node takes seconds from being given a port to having it."""
    first = f"127.{random.randrange(2, 250)}.{random.randrange(256)}."
    return [first + str(i + 1) for i in range(count)], random.randrange(12000, 19999)


def java_flags():
    return ([f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS] +
            [f"--add-opens={name}=ALL-UNNAMED" for name in OPENS] +
            ["-Djdk.attach.allowAttachSelf=true", "-Dio.netty.tryReflectionSetAccessible=true"])


class Node:
    """One Cassandra process, which may be killed and started again on the data that it has."""

    def __init__(self, folder, address, port, seed, token, has_users=False, tls=None, rack="r1",
                 datacenter="here", is_durable=False, environment=None, asks_client=False):
        """`is_durable`: what it has confirmed survives kill(); else the last tenth of a second may not. `environment` is
        added to ours. `asks_client`, with TLS: for a certificate, without which it talks to nobody."""
        self.address, self.port = address, port
        self.folder = pathlib.Path(folder) / address
        self.has_users, self.token = has_users, token
        self.rack, self.datacenter = rack, datacenter
        self.environment = os.environ | (environment or {})
        self.commit_log = "commitlog_sync: " + ("batch" if is_durable else "periodic\ncommitlog_sync_period: 10s")
        self.process, self.launched_at = None, 0
        self.configure(seed, tls, asks_client)

    def configure(self, seed, tls, asks_client):
        conf = self.folder / "conf"
        conf.mkdir(parents=True)
        (self.folder / "data").mkdir()
        config = CONFIG.format(
            tombstones=TOMBSTONES_MAX,
            token=self.token, seed=seed, address=self.address, port=self.port, storage_port=self.port + 1,
            commit_log=self.commit_log,
            authenticator="PasswordAuthenticator" if self.has_users else "AllowAllAuthenticator",
            authorizer="CassandraAuthorizer" if self.has_users else "AllowAllAuthorizer")
        if tls:
            keystore = conf / "keystore.pem"
            keystore.write_text(tls.key.read_text() + tls.cert.read_text())
            config += TLS_CONFIG.format(keystore=keystore, truststore=tls.ca,
                                        asks_client="true" if asks_client else "false")
        (conf / "cassandra.yaml").write_text(config)
        (conf / "logback.xml").write_text(LOGBACK)
        (conf / "cassandra-rackdc.properties").write_text(f"dc={self.datacenter}\nrack={self.rack}\n")

    def launch(self):
        java, conf = (HOME / "java").read_text().strip(), self.folder / "conf"
        words = [java, "-Xms256m", "-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                 "-XX:MaxDirectMemorySize=128m", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError",
                 *os.environ.get("WEIR_JAVA_FLAGS", "").split(),
                 *java_flags(),
                 f"-Dcassandra.config=file://{conf}/cassandra.yaml", f"-Dcassandra.storagedir={self.folder}/data",
                 f"-Dlogback.configurationFile=file://{conf}/logback.xml", f"-Dcassandra.logdir={self.folder}",
                 "-Dcassandra-foreground=yes", "-Dcassandra.ring_delay_ms=1000",
                 "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.superuser_setup_delay_ms=0",
                 "-Dcassandra.consistent.rangemovement=false", "-Djava.net.preferIPv4Stack=true",
                 f"-Dcassandra.triggers_dir={conf}",
                 f"-Dcassandra-rackdc.properties=file://{conf}/cassandra-rackdc.properties",
                 "-cp", f"{HOME}/jars/*", "org.apache.cassandra.service.CassandraDaemon"]
        with open(self.folder / "log", "ab") as log:
            self.launched_at = log.tell()
            self.process = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def is_serving(self):
        if self.process.poll() is not None and self.log().rstrip().endswith("Cassandra shutdown complete") and \
                "Unable to gossip with any peers" in self.log()[self.launched_at:]:
            self.launch()  # it gives its seed a second to answer, which on a busy machine may be too little
        if self.process.poll() is not None:
            raise AssertionError(f"the node at {self.address} has ended: {self.log()[-3000:]}")
        with socket.create_connection((self.address, self.port), timeout=1):
            return True

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def await_serving(self):
        wait_for(f"a node at {self.address}", self.is_serving, PATIENCE_S)

    def start(self):
        self.launch()
        self.await_serving()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """At once, as by a power cut of that machine."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self):
        """In good order."""
        self.signal(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE_S)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)


class Site:
    """Nodes that belong together, in a folder of their own."""

    def __init__(self, count=1, racks=("r1", "r2", "r3"), datacenters=("here",) * 3, **options):
        self.home = tempfile.TemporaryDirectory(prefix="weir-cassandra.")
        self.addresses, self.port = free_addresses(count)
        self.is_tls = bool(options.get("tls"))
        if options.pop("is_at_localhost", False):
            self.addresses = ["127.0.0.1"]
        self.nodes = []
        try:
            for address, token, rack, datacenter in zip(self.addresses, TOKENS, racks, datacenters):
                self.nodes.append(Node(self.home.name, address, self.port, self.addresses[0], token, rack=rack,
                                       datacenter=datacenter, **options))
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        self.one = self.nodes[0]

    def begin(self):
        """The seed first: then the others find it at once. They hold disjoint tokens and no data, so that none
        needs to ask for data before it serves."""
        first = self.nodes[0]
        first.start()
        if first.has_users:
            wait_for("the first user", lambda: "Created default superuser" in first.log(), PATIENCE_S)
        for node in self.nodes[1:]:
            node.launch()
        for node in self.nodes[1:]:
            node.await_serving()
        for node in self.nodes:
            self.await_ring(node)

    def await_ring(self, node):
        """Until a node, just started, has seen all the others."""
        others = [other.address for other in self.nodes if other is not node]
        wait_for(f"the others, at {node.address}", lambda: all(
            f"{address}:{self.port + 1} is now UP" in node.log() for address in others), PATIENCE_S)

    def url(self, hosts=None, login="", rest=""):
        scheme = "cassandras" if self.is_tls else "cassandra"
        hosts = hosts or [f"{address}:{self.port}" for address in self.addresses]
        return f"{scheme}://{login}{','.join(hosts)}{rest}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        self.home.cleanup()


__all__ = ["IS_SLOW", "PATIENCE_S", "Certificates", "Node", "Server", "Site", "die_with_parent", "wait_for"]
