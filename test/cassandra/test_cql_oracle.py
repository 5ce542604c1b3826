# SPDX-License-Identifier: MIT
"""src/wire/cql against cassandra-driver, a client that many use: it writes the same requests, reads the same of
responses, and gives keys the same tokens. Random ones, in thousands, from a seed that is printed. Responses are
packed here, from the specification, since a client has no use for writing them."""

import io
import ipaddress
import logging
import os
import random
import struct
import subprocess
import sys
import unittest

from cassandra import ConsistencyLevel, WriteType
from cassandra.auth import PlainTextAuthenticator
from cassandra.metadata import Murmur3Token
from cassandra.protocol import (_UNSET_VALUE, AuthResponseMessage, BytesType, ExecuteMessage, OptionsMessage,
                                PrepareMessage, ProtocolHandler, QueryMessage, RegisterMessage, StartupMessage,
                                read_stringmap)
from cassandra.query import SimpleStatement

DRIVER = os.path.join(os.environ["WEIR_BUILD_DIR"], "test/cassandra/cql_driver")
ROUNDS = max(1, int(5000 * float(os.environ.get("WEIR_TEST_EFFORT", "1"))))
SEED = int(os.environ.get("WEIR_SEED", random.randrange(2**32)))
VERSION = 4
EVENTS = ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"]
WRITES = ["OTHER", "SIMPLE", "BATCH", "UNLOGGED_BATCH", "COUNTER", "BATCH_LOG", "CAS", "VIEW", "CDC"]
ASCII, BIGINT, BLOB, BOOLEAN, INT, UUID, TEXT, INET = 0x1, 0x2, 0x3, 0x4, 0x9, 0xc, 0xd, 0x10
LIST, MAP, SET, TUPLE = 0x20, 0x21, 0x22, 0x31
SIMPLE = [ASCII, BIGINT, BLOB, BOOLEAN, INT, UUID, TEXT, INET]


# ---- how the specification writes things (section 3) ----

def short(n):
    return struct.pack(">H", n)


def integer(n):
    return struct.pack(">i", n)


def string(s):
    b = s.encode() if isinstance(s, str) else s
    return short(len(b)) + b


def blob(b):
    return integer(-1) if b is None else integer(len(b)) + b


def strings(words):
    return short(len(words)) + b"".join(string(w) for w in words)


# ---- what our side says of things: test/support/cql_told.h ----

def word(s):
    b = s.encode() if isinstance(s, str) else bytes(s)
    return "".join(chr(c) if 0x20 < c < 0x7f and c not in (0x25, 0x27) else f"%{c:02X}" for c in b) or "''"


def fields(**named):
    return "".join(f" {k}={v}" for k, v in named.items() if v not in (0, "", "''"))


def hexed(b):
    return b.hex() or "-"


class Dice(random.Random):
    def text(self, most=12):
        return "".join(self.choice("abcXYZ09_ %'\n\u00e9\u4e2d") for _ in range(self.randrange(most)))

    def blob(self, most=40):
        return self.randbytes(self.randrange(self.choice([2, most])))

    def int32(self):
        return self.choice([0, 1, -1, 2**31 - 1, -2**31, self.randrange(-2**31, 2**31)])

    def count(self):
        return self.choice([0, 1, 2, 3, self.randrange(2**31)])

    def address(self):
        return self.randbytes(self.choice([4, 16]))


class Driver:
    """The program, and a look at its answers."""

    def __init__(self, test):
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.stdin.close)
        test.addCleanup(self.process.stdout.close)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")


class Column:
    """A column of a random type, its values as bytes and as our side says them."""

    def __init__(self, dice):
        self.dice = dice
        self.keyspace, self.table, self.name = dice.text(), dice.text(), dice.text()
        kind = dice.random()
        self.id = dice.choice(SIMPLE) if kind < 0.6 else dice.choice([LIST, SET, MAP, TUPLE])
        self.inner = [] if kind < 0.6 else [dice.choice(SIMPLE) for _ in range(2 if self.id == MAP else 1)]
        if self.id == TUPLE:
            self.inner = [dice.choice(SIMPLE) for _ in range(dice.randrange(1, 4))]

    def type(self):
        inner = b"".join(short(i) for i in self.inner)
        return short(self.id) + (short(len(self.inner)) if self.id == TUPLE else b"") + inner

    def simple(self, id):
        dice = self.dice
        if id == BIGINT:
            return struct.pack(">q", dice.randrange(-2**63, 2**63) >> dice.randrange(64))
        if id == BOOLEAN:
            return bytes([dice.randrange(2)])
        if id == INT:
            return integer(dice.int32())
        if id == UUID:
            return dice.randbytes(16)
        if id == INET:
            return dice.address()
        if id == ASCII:
            return "".join(dice.choice("abc 09%") for _ in range(dice.randrange(9))).encode()
        return dice.text().encode() if id == TEXT else dice.blob()

    def value(self):
        if self.dice.random() < 0.1:
            return None
        if not self.inner:
            return self.simple(self.id)
        if self.id == TUPLE:
            return b"".join(blob(self.simple(i)) for i in self.inner)
        # The other client sorts sets, and like a server has each key once.
        count = self.dice.randrange(2 if self.id == SET else 5)
        elements = [[blob(self.simple(i)) for i in self.inner] for _ in range(count)]
        if self.id == MAP:
            elements = [[key, value] for key, value in dict(elements).items()]
        return integer(len(elements)) + b"".join(b for element in elements for b in element)

    def told_type(self):
        inner = "" if not self.inner or self.id == TUPLE else "<" + ",".join(f"{i:x}" for i in self.inner) + ">"
        return f"{self.id:x}{inner}"

    def spec(self, is_one_table):
        return (b"" if is_one_table else string(self.keyspace) + string(self.table)) + string(self.name) + self.type()

    def told(self, owner=None):
        owner = owner or self
        return f" {word(owner.keyspace)}.{word(owner.table)}.{word(self.name)}:{self.told_type()}"


def told_simple(id, value):
    """Of what the other client made of it."""
    if value is None:
        return "null"
    if id in (BIGINT, INT):
        return str(value)
    if id == BOOLEAN:
        return "true" if value else "false"
    if id == UUID:
        return value.bytes.hex()
    if id == INET:
        return ipaddress.ip_address(value).packed.hex()
    return word(value)


def told_value(column, value):
    if column.id in (LIST, SET):
        return "{" + ",".join(told_simple(column.inner[0], v) for v in value or []) + "}"
    if column.id == MAP:
        key, of = column.inner
        return "{" + ",".join(f"{told_simple(key, k)}:{told_simple(of, v)}" for k, v in (value or {}).items()) + "}"
    return told_simple(column.id, value)


def told_schema(event):
    described = event.get("function") or event.get("aggregate")
    name = described.name if described else event.get(event["target_type"].lower(), "")
    name = "" if event["target_type"] == "KEYSPACE" else name
    return (f"schema {word(event['change_type'])} {word(event['target_type'])} {word(event['keyspace'])}"
            + fields(name=word(name)))


class Server:
    """Random responses: packs their bodies, and says what our side must, out of what the other client reads."""

    def __init__(self, dice):
        self.dice = dice

    def body(self):
        self.columns_known = None  # to the other client, of rows that come without metadata
        kind = self.dice.choice([self.error, self.error, self.rows, self.rows, self.rows, self.prepared, self.schema,
                                 self.keyspace, self.void, self.event, self.supported, self.authenticate, self.token,
                                 self.ready])
        return kind()

    def ready(self):
        return 0x2, b"", lambda m: "ready"

    def authenticate(self):
        return 0x3, string(self.dice.text()), lambda m: f"authenticate {word(m.authenticator)}"

    def token(self):
        # NULL, and what is no text, have examples in test_cql.c; the other client reads neither.
        token = blob(self.dice.text().encode())
        return self.dice.choice([(0xe, token, lambda m: f"token {word(m.challenge)}"),
                                 (0x10, token, lambda m: f"token {word(m.token)}")])

    def supported(self):
        dice = self.dice
        options = {f"{i}{dice.text()}": [dice.text() for _ in range(dice.randrange(3))]
                   for i in range(dice.randrange(4))}
        options["CQL_VERSION"] = ["3.4.7"]
        packed = short(len(options)) + b"".join(string(k) + strings(v) for k, v in options.items())

        def told(m):
            read = dict(m.options, CQL_VERSION=m.cql_versions)
            return "supported" + "".join(f" {word(k)}={word(v)}" for k in options for v in read[k])
        return 0x6, packed, told

    def error(self):
        dice = self.dice
        code = dice.choice([0x0, 0xa, 0x100, 0x1000, 0x1001, 0x1002, 0x1003, 0x1100, 0x1200, 0x1300, 0x1400, 0x1500,
                            0x1600, 0x2000, 0x2100, 0x2200, 0x2300, 0x2400, 0x2500, 0x3333])
        level, replicas = short(dice.randrange(11)), integer(dice.int32()) + integer(dice.int32())
        write = string(dice.choice(WRITES[1:]))
        rest = {0x1000: level + replicas, 0x1100: level + replicas + write,
                0x1200: level + replicas + bytes([dice.randrange(3)]),
                0x1300: level + replicas + integer(dice.count()) + bytes([dice.randrange(3)]),
                0x1400: string(dice.text()) + string(dice.text()) + strings([dice.text()]),
                0x1500: level + replicas + integer(dice.count()) + write,
                0x2400: string(dice.text()) + string(dice.text()),
                0x2500: string(dice.blob())}.get(code, b"")

        def told(m):
            info = m.info if isinstance(m.info, dict) else {}
            start = f"error {WORDS.get(m.code, 'UNKNOWN')} {m.code:x} {word(m.message)}"
            if code == 0x2500:
                return start + fields(statement=word(m.info))
            if code == 0x2400:
                return start + fields(keyspace=word(info["keyspace"]), table=word(info["table"]))
            if code == 0x1400:
                return start
            kind = info.get("write_type")
            return start + fields(
                consistency=info.get("consistency", 0),
                received=info.get("received_responses", info.get("alive_replicas", 0)),
                required=info.get("required_responses", info.get("required_replicas", 0)),
                failures=info.get("failures", 0), data=int(info.get("data_retrieved", 0)),
                write=0 if kind is None else WRITES.index(WriteType.value_to_name[kind]))
        return 0x0, integer(code) + string(dice.text()) + rest, told

    def metadata(self, columns, is_plain, state=None, head=b""):
        """Columns of rows, or markers if there is something of theirs to be said first."""
        is_one_table = self.dice.random() < 0.5
        flags = (1 if is_one_table else 0) | (2 if state else 0) | (4 if is_plain else 0)
        packed = integer(flags) + integer(len(columns)) + head + (blob(state) if state else b"")
        if is_plain:
            return packed, ""
        owner = columns[0] if is_one_table and columns else None
        if is_one_table:
            packed += string(owner.keyspace if owner else "") + string(owner.table if owner else "")
        return (packed + b"".join(c.spec(is_one_table) for c in columns), "".join(c.told(owner) for c in columns))

    def rows(self):
        dice = self.dice
        columns = [Column(dice) for _ in range(dice.randrange(1, 8))]
        is_plain = dice.random() < 0.2
        state = dice.randbytes(dice.randrange(1, 20)) if dice.random() < 0.3 else None
        packed, told_columns = self.metadata(columns, is_plain, state)
        rows = [[c.value() for c in columns] for _ in range(dice.randrange(4))]
        packed = integer(2) + packed + integer(len(rows)) + b"".join(blob(v) for row in rows for v in row)
        self.columns_known = [("", "", "", BytesType)] * len(columns)

        def told(m):
            text = f"rows columns={len(columns)}" + fields(next=word(m.paging_state or "")) + told_columns
            if not is_plain:
                assert [c[2] for c in m.column_metadata] == [c.name for c in columns]
            for values, bare in zip(m.parsed_rows, rows):
                # What the other client makes of a tuple is not what we do, who leave it as it is.
                text += " |" + "".join(
                    " " + (told_simple(BLOB, b) if is_plain or c.id == TUPLE else told_value(c, v))
                    for c, v, b in zip(columns, values, bare))
            return text
        return 0x8, packed, told

    def prepared(self):
        dice = self.dice
        markers, columns = ([Column(dice) for _ in range(dice.randrange(5))] for _ in range(2))
        key = [dice.randrange(len(markers)) for _ in range(dice.randrange(4))] if markers else []
        packed, told_markers = self.metadata(markers, False, head=integer(len(key)) + b"".join(map(short, key)))
        packed_columns, told_columns = self.metadata(columns, dice.random() < 0.3)

        def told(m):
            assert [c.name for c in m.bind_metadata] == [c.name for c in markers]
            return (f"prepared {word(m.query_id)} markers={len(m.bind_metadata)}{told_markers} key="
                    + "".join(f"{i}," for i in m.pk_indexes) + f" columns={len(columns)}{told_columns}")
        return 0x8, integer(4) + string(dice.blob()) + packed + packed_columns, told

    def void(self):
        return 0x8, integer(1), lambda m: "void"

    def keyspace(self):
        return 0x8, integer(3) + string(self.dice.text()), lambda m: f"keyspace {word(m.new_keyspace)}"

    def schema_change(self):
        dice = self.dice
        target = dice.choice(["KEYSPACE", "TABLE", "TYPE", "FUNCTION", "AGGREGATE"])
        packed = string(dice.choice(["CREATED", "UPDATED", "DROPPED"])) + string(target) + string(dice.text())
        if target != "KEYSPACE":
            packed += string(dice.text())
        if target in ("FUNCTION", "AGGREGATE"):
            packed += strings([dice.text() for _ in range(dice.randrange(3))])
        return packed

    def schema(self):
        return 0x8, integer(5) + self.schema_change(), lambda m: told_schema(m.schema_change_event)

    def event(self):
        dice = self.dice
        if dice.random() < 0.4:
            packed = string("SCHEMA_CHANGE") + self.schema_change()
            return 0xc, packed, lambda m: "event schema " + told_schema(m.event_args)
        kind, change = dice.choice([("TOPOLOGY_CHANGE", "NEW_NODE"), ("TOPOLOGY_CHANGE", "REMOVED_NODE"),
                                    ("TOPOLOGY_CHANGE", "MOVED_NODE"), ("STATUS_CHANGE", "UP"),
                                    ("STATUS_CHANGE", "DOWN")])
        address = dice.address()
        packed = string(kind) + string(change) + bytes([len(address)]) + address + integer(dice.randrange(65536))

        def told(m):
            host, port = m.event_args["address"]
            name = m.event_args["change_type"].split("_")[0].lower()
            return f"event {name} {ipaddress.ip_address(host).packed.hex()} {port}"
        return 0xc, packed, told


WORDS = {0x0: "SERVER_ERROR", 0xa: "PROTOCOL_ERROR", 0x100: "BAD_CREDENTIALS", 0x1000: "UNAVAILABLE",
         0x1001: "OVERLOADED", 0x1002: "IS_BOOTSTRAPPING", 0x1003: "TRUNCATE_ERROR", 0x1100: "WRITE_TIMEOUT",
         0x1200: "READ_TIMEOUT", 0x1300: "READ_FAILURE", 0x1400: "FUNCTION_FAILURE", 0x1500: "WRITE_FAILURE",
         0x1600: "CDC_WRITE_FAILURE", 0x2000: "SYNTAX_ERROR", 0x2100: "UNAUTHORIZED", 0x2200: "INVALID",
         0x2300: "CONFIG_ERROR", 0x2400: "ALREADY_EXISTS", 0x2500: "UNPREPARED"}


class Oracle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED} (WEIR_SEED={SEED} repeats it)", file=sys.stderr)
        logging.getLogger("cassandra").setLevel(logging.ERROR)  # warnings of servers, which are invented here

    def setUp(self):
        self.driver = Driver(self)
        self.dice = Dice(SEED)

    def says(self, expected, *words):
        answer = self.driver.ask(*words)
        self.assertEqual(expected, answer, f"seed {SEED}: {' '.join(str(w) for w in words)[:2000]}")

    def written(self, message, stream):
        return ProtocolHandler.encode_message(message, stream, VERSION, None, False)

    def test_requests_are_written_as_the_other_client_does(self):
        dice = self.dice
        for _ in range(ROUNDS):
            stream = dice.choice([0, 1, 32767, dice.randrange(32768)])
            kind = dice.randrange(5)
            if kind == 0:
                self.says(self.written(OptionsMessage(), stream).hex(), "options", stream)
            elif kind == 1:
                user, password = dice.text(), dice.text()
                plain = PlainTextAuthenticator(user, password)
                answer = plain.evaluate_challenge(b"PLAIN-START")
                self.says(self.written(AuthResponseMessage(answer), stream).hex(), "auth", stream,
                          hexed(user.encode()), hexed(password.encode()))
            elif kind == 2:
                chosen = dice.randrange(8)
                names = [name for i, name in enumerate(EVENTS) if chosen >> i & 1]
                self.says(self.written(RegisterMessage(names), stream).hex(), "register", stream, chosen)
            elif kind == 3:
                statement = dice.text(60)
                self.says(self.written(PrepareMessage(statement), stream).hex(), "prepare", stream,
                          hexed(statement.encode()))
            else:
                self.statement(stream)

    def statement(self, stream):
        dice = self.dice
        values = [dice.choice([None, _UNSET_VALUE, dice.blob(), dice.blob(), b"", dice.randbytes(8)])
                  for _ in range(dice.choice([0, 1, 2, 5, dice.randrange(300)]))]
        level, serial = dice.randrange(11), dice.choice([None, ConsistencyLevel.SERIAL, ConsistencyLevel.LOCAL_SERIAL])
        rows = dice.choice([0, 1, 5000, 2**31 - 1])
        state = dice.blob()
        timestamp = dice.choice([None, 0, 2**63 - 1, dice.randrange(2**63)])
        skips = dice.randrange(2)
        is_query = dice.random() < 0.5
        said = dict(consistency_level=level, serial_consistency_level=serial, fetch_size=rows, paging_state=state,
                    timestamp=timestamp)
        if is_query:
            text = dice.text(100).encode()
            message, what, flags_at = QueryMessage(text.decode(), **said), text, 9 + 4 + len(text) + 2
            message.query_params = values or None
        else:
            what = dice.randbytes(dice.randrange(1, 40))
            message, flags_at = ExecuteMessage(what, values or None, **said), 9 + 2 + len(what) + 2
        expected = bytearray(self.written(message, stream))
        expected[flags_at] |= 2 * skips  # which the other client cannot say
        told = ["null" if v is None else "unset" if v is _UNSET_VALUE else hexed(v) for v in values]
        self.says(expected.hex(), "query" if is_query else "execute", stream, hexed(what), level, serial or 0, rows,
                  hexed(state), "-" if timestamp is None else timestamp, skips, *told)

    def test_startup_holds_the_same_options(self):
        name, version = "weir \u00e9", "1.2.3"
        frame = bytes.fromhex(self.driver.ask("startup", 5, name.encode().hex(), version.encode().hex()))
        other = self.written(StartupMessage("3.0.0", {"DRIVER_NAME": name, "DRIVER_VERSION": version}), 5)
        self.assertEqual(frame[:9], other[:9])  # the order within a map is free, its length is not
        self.assertEqual(read_stringmap(io.BytesIO(frame[9:])), read_stringmap(io.BytesIO(other[9:])))

    def test_responses_say_what_the_other_client_reads(self):
        dice = self.dice
        server = Server(dice)
        for _ in range(ROUNDS):
            opcode, body, told = server.body()
            stream, flags, before = dice.choice([-1, 0, 1, -32768, 32767]), 0, b""
            if dice.random() < 0.1:
                flags, before = flags | 2, before + dice.randbytes(16)
            if dice.random() < 0.1:
                flags, before = flags | 8, before + strings([dice.text() for _ in range(dice.randrange(3))])
            if dice.random() < 0.1:
                payload = {f"{i}{dice.text()}": dice.choice([None, dice.blob()]) for i in range(dice.randrange(3))}
                flags |= 4
                before += short(len(payload)) + b"".join(string(k) + blob(v) for k, v in payload.items())
            body = before + body + (dice.blob() if dice.random() < 0.1 else b"")
            message = ProtocolHandler.decode_message(VERSION, {}, stream, flags, opcode, body, None,
                                                     server.columns_known)
            frame = struct.pack(">BBhBi", 0x84, flags, stream, opcode, len(body)) + body
            self.says(f"{stream} {opcode:x} {told(message)}", "frame", frame.hex())

    def test_tokens_are_the_same(self):
        dice = self.dice
        keys = [dice.randbytes(n) for n in range(1, 130)] + [bytes([b]) * n for b in (0, 0x7f, 0x80, 0xff)
                                                             for n in range(1, 40)]
        keys += [dice.randbytes(dice.randrange(1, 200)) for _ in range(ROUNDS)]
        keys += [bytes.fromhex("dfe76f52023fad4c82b861c2c65c7a6b"), dice.randbytes(65535)]
        for key in keys:
            self.says(f"{key.hex()} {Murmur3Token.from_key(key).value}", "token", key.hex())
        self.says("too long", "token", "00" * 65536)

    def test_keys_of_several_columns_are_the_same(self):
        dice = self.dice
        for _ in range(ROUNDS):
            columns = [dice.blob(70) for _ in range(dice.randrange(1, 6))]
            statement = SimpleStatement("")
            statement.routing_key = columns
            key = statement.routing_key
            self.says(f"{hexed(key)} {Murmur3Token.from_key(key).value}", "token", *[hexed(c) for c in columns])


if __name__ == "__main__":
    unittest.main()
