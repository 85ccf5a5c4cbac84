#!/usr/bin/env python3
"""Calls every function, operator, cast, aggregate and input of both extensions,
as the catalogs list them, with valid, damaged, extreme and hostile arguments.

    test/fuzz/sql.py [--calls N] [--seed S] [--processes P]

A server of its own is started and removed.  Fails where a call ends the
session, ends with an internal error (XX000) or takes a backend more than a
second of its time, and where the memory of a backend grows.  Prints TAP and a
line with the figures.  What is called and how follows from the seed; the random
numbers in ciphertexts do not.  Keys have 256 bits.
"""
import argparse
import base64
import collections
import multiprocessing
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../t'))
sys.dont_write_bytecode = True

# ---- the protocol, pipelined ----


def message(kind, body=b''):
    return kind + struct.pack('!i', len(body) + 4) + body


def values(arguments):
    """Format codes and values of Bind and FunctionCall: (format, bytes or None) each."""
    body = struct.pack(f'!h{len(arguments)}h', len(arguments), *(f for f, _ in arguments)) + struct.pack('!h',
        len(arguments))
    return body + b''.join(struct.pack('!i', -1) if v is None else struct.pack('!i', len(v)) + v for _, v in arguments)


def execute(name, arguments, result_format):
    bind = b'\0' + name + b'\0' + values(arguments) + struct.pack('!hh', 1, result_format)
    return message(b'B', bind) + message(b'E', b'\0' + struct.pack('!i', 3)) + message(b'S')


def fast_path(oid, arguments, result_format):
    return message(b'F', struct.pack('!i', oid) + values(arguments) + struct.pack('!h', result_format))


class Closed(Exception):
    pass


class Wire:
    """A connection; many requests, each with a Sync, are sent before the answers are read."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.path.join(os.environ['PGHOST'], '.s.PGSQL.' + os.environ.get('PGPORT', '5432')))
        words = b'user\0postgres\0database\0' + os.environ['PGDATABASE'].encode() + b'\0\0'
        self.socket.sendall(struct.pack('!ii', len(words) + 8, 196608) + words)
        self.data, self.pid = bytearray(), None
        self.ask([b''])

    def ask(self, requests):
        """The answers: (SQLSTATE and message or None, first value of the first row or None)."""
        out, answers, error, value = memoryview(b''.join(requests)), [], None, None
        self.socket.setblocking(False)
        while len(answers) < len(requests):
            readable, writable, _ = select.select([self.socket], [self.socket] if out else [], [], 120)
            if not readable and not writable:
                raise Closed('no answer within two minutes')
            if writable:
                out = out[self.socket.send(out[:65536]):]
            if not readable:
                continue
            try:
                piece = self.socket.recv(262144)
            except ConnectionError:
                piece = b''
            if not piece:
                raise Closed(f'after {len(answers)} of {len(requests)} answers')
            self.data += piece
            at = 0
            while len(self.data) - at >= 5:
                length = struct.unpack_from('!i', self.data, at + 1)[0]
                if len(self.data) - at <= length:
                    break
                kind, body = self.data[at:at + 1], bytes(self.data[at + 5:at + 1 + length])
                at += 1 + length
                if kind == b'E':
                    fields = {f[:1]: f[1:].decode(errors='replace') for f in body.split(b'\0') if f}
                    error = (fields[b'C'], fields[b'M'])
                elif kind == b'D' and value is None and struct.unpack_from('!h', body)[0] > 0:
                    size = struct.unpack_from('!i', body, 2)[0]
                    value = body[6:6 + size] if size >= 0 else None
                elif kind == b'V':
                    value = body[4:] if struct.unpack_from('!i', body)[0] >= 0 else None
                elif kind == b'K':
                    self.pid = struct.unpack_from('!i', body)[0]
                elif kind == b'Z':
                    answers.append((error, value))
                    error = value = None
            del self.data[:at]
        return answers

    def run(self, statement):
        return self.ask([message(b'Q', statement.encode() + b'\0')])[0]

    def cpu_seconds(self):
        with open(f'/proc/{self.pid}/stat') as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def own_memory(self):
        """The backend's memory that is not shared, in kB."""
        with open(f'/proc/{self.pid}/status') as status:
            return int(re.search(r'RssAnon:\s+(\d+)', status.read()).group(1))


# ---- what there is to call ----

TARGETS = '''
WITH member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
    AND refobjid IN (SELECT oid FROM pg_extension WHERE extname LIKE 'paillier%'))
SELECT concat(p.prokind, CASE WHEN lanname = 'c' THEN 'c' ELSE 's' END, p.proretset::int), p.oid::int,
    format('%I.%I', pronamespace::regnamespace, proname),
    proargtypes::text, prorettype::int, p.oid::regprocedure::text
FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid JOIN pg_language l ON l.oid = prolang
-- PL/pgSQL itself keeps memory of every trigger function that is called as none
WHERE NOT (lanname = 'plpgsql' AND prorettype IN ('trigger'::regtype, 'event_trigger'::regtype))
UNION ALL
SELECT 'o', o.oid::int, format('OPERATOR(%I.%s)', oprnamespace::regnamespace, oprname),
    concat_ws(' ', NULLIF(oprleft, 0), oprright), oprresult::int, o.oid::regoperator::text
FROM member JOIN pg_operator o ON classid = 'pg_operator'::regclass AND objid = o.oid
UNION ALL
SELECT 't', t.oid::int, format('%I.%I', typnamespace::regnamespace, typname), t.oid::text, 25, 'type ' || typname
FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid WHERE typrelid = 0 AND typtype = 'b'
UNION ALL
SELECT 't', c.oid::int, format_type(casttarget, NULL), castsource::text, casttarget::int,
    format('cast %s to %s', castsource::regtype, casttarget::regtype)
FROM member JOIN pg_cast c ON classid = 'pg_cast'::regclass AND objid = c.oid ORDER BY 6'''

TYPES = 'SELECT oid::int, typname, typelem::int FROM pg_type'


class Target:
    """A statement to prepare, or a function to call by the fast path."""

    def __init__(self, label, statement, types, result, weight, oid=None):
        self.label, self.statement, self.types = label, statement, types
        self.result, self.weight, self.oid = result, weight, oid
        self.seconds = 1        # of the processor, that a call may take
        self.done = 0


def targets_of(session):
    targets = []
    for kind, oid, name, types, result, label in session.rows(TARGETS):
        types = [int(t) for t in types.split()]
        parameters = ', '.join(f'${i + 1}' for i in range(len(types)))
        result = int(result)
        if kind[0] == 'f':
            weight = 1 if kind[1] == 'c' else 0.05 if kind[2] == '0' else 0.01
            form = f'SELECT * FROM {name}({parameters})' if kind[2] == '1' else f'SELECT {name}({parameters})'
            targets.append(Target(label, form, types, result, weight))
            if kind[1] == 's':
                targets[-1].seconds = 5     # a step of the roll-up may empty all of staging
            if kind[2] == '0':
                targets.append(Target('fast path ' + label, None, types, result, weight / 3, int(oid)))
                targets[-1].seconds = targets[-2].seconds
        elif kind[0] == 'p':
            targets.append(Target(label, f'CALL {name}({parameters})', types, result, 0.004))
            targets[-1].seconds = 5
        elif kind == 'o':
            form = f'SELECT $1 {name} $2' if len(types) == 2 else f'SELECT {name} $1'
            targets.append(Target(label, form, types, result, 1))
        elif kind == 't':
            targets.append(Target(label, f'SELECT ($1::{name})::text::{name}', types, types[0], 1))
            targets.append(Target(label + ' of text', f'SELECT $1::{name}', [25], types[0], 0.3))
        else:
            # an aggregate: over elements of an array, by itself, grouped and within a moving frame, and over a table in
            # parallel
            arrays = [int(session.one('SELECT typarray::int FROM pg_type WHERE oid = $1', t)) for t in types]
            if 0 in arrays:
                continue        # over arrays, of which there are no arrays
            elements = ', '.join(f'e{i}' for i in range(len(types)))
            unnested = ", ".join(f"unnest(${i + 1})" for i in range(len(types)))
            source = f'FROM ROWS FROM ({unnested}) WITH ORDINALITY AS u ({elements}, i)'
            k = len(types) + 1
            targets.append(Target(label, f'SELECT {name}({elements}) {source}', arrays, result, 1))
            targets.append(Target(label + ' grouped', f'SELECT {name}({elements}) {source} GROUP BY i % 3', arrays,
                result, 0.7))
            targets.append(Target(label + ' moving', f'SELECT max(length(x::text)) FROM (SELECT {name}({elements}) '
                f'OVER (ORDER BY i ROWS BETWEEN ${k} PRECEDING AND ${k + 1} FOLLOWING)'
                                  f' {source}) AS w (x)', arrays + [20, 20], 23, 0.7))
            targets.append(Target(label + ' in parallel', f'SELECT '
                f'{name}({", ".join(["energy", "weight"][:len(types)])}) FROM fuzz_row WHERE id >= $1 AND id < $2',
                    [23, 23], result, 0.002))
    return targets


# ---- arguments ----

NUMBERS = ['0', '1', '-1', '2', '3', '5', '7', '47', '48', '60', '63', '64', '65', '128', '255', '256', '1000']
POOLS = {
    'int2': NUMBERS[:10], 'int4': NUMBERS + ['2147483647', '-2147483648', '100000'],
        'int8': NUMBERS + ['9223372036854775807', '-9223372036854775808', '4294967296'],
    'numeric': NUMBERS + ['0.1', '-0.5', '1.25', 'NaN', 'Infinity', '1e40', '-1e76', '1e131071', '1e-16383',
        '9223372036854775807', '0.000000000001', '340282366920938463463374607431768211456'],
    'float8': ['0', '1', '-1', '0.5', '0.02', 'NaN', 'Infinity', '-Infinity', '1e308', '5e-324'], 'bool': ['t', 'f'],
    'text': ['', 'r', 'a1', 'import', 'standing', 'UTC', 'Europe/Berlin', 'seasonal', 'last_day', 'x' * 70,
        '%s %1$s %n', "'\"\\", '{"v":"1","e":0}', 'ключ', 'AQAA', '\x01\x7f', 'NULL', 'f' * 32],
    'name': ['postgres', 'x' * 63, ''], 'cstring': ['', '{}', 'AQAA', '{"kty":"DAJ"}'],
    'timestamptz': ['infinity', '-infinity', '2026-01-01 00:00+00', '294276-12-31 23:59:59+00',
        '4714-11-24 00:00+00 BC', '1999-12-31 23:59:59.999999+00'],
    'timestamp': ['infinity', '-infinity', '2026-07-01 12:00', '294276-12-31 23:59:59', '4714-11-24 00:00 BC'],
        'date': ['infinity', '-infinity', '2026-11-01', '5874897-12-31', '4714-11-24 BC'],
    'interval': ['30 min', '2 hours', '0', '-1 day', '178000000 years', '-178000000 years', '0.000001 s',
        '1 mon -30 days'], 'tstzrange': ['(,)', 'empty', '[-infinity,infinity]', '[2026-01-01,2026-02-01)'],
    '_int8': ['{}', '{3,1}', '{NULL}', '[5:6]={1,2}', '{{1,2},{3,4}}'], '_int4': ['{}', '{1,2}', '{NULL}'],
        '_text': ['{}', '{r,NULL}', '{{a},{b}}'],
    '_numeric': ['{}', '{0.5}', '{NULL,NaN}', '{-1,2,1e100}', '{{0.5},{1}}', '{1,2,3,0,1,-7,0.25}'],
        'regclass': ['metering.reading_07', 'metering.partial', '0', '4294967295'],
    'bytea': ['\\x', '\\x05', '\\x00', '\\x' + 'ff' * 64, '\\x' + '01' * 300],
        'jsonb': ['{}', 'null', '[]', '{"v":"12345","e":-2}', '{"v":"1","e":2147483648}', '{"v":-1}', '""'],
}
INTERESTING = [0, 1, 2, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 32767, 32768, 65535, 2 ** 31 - 1,
    2 ** 31, 2 ** 32 - 1, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1]


class Arguments:
    """Values by type, as text or in binary form; results come back as arguments."""

    def __init__(self, chance, session, seeds):
        self.chance = chance
        self.types = {int(oid): (name, int(element)) for oid, name, element in session.rows(TYPES)}
        self.text = {oid: [v.encode() for v in POOLS.get(name, [])] for oid, (name, _) in self.types.items()}
        self.binary = collections.defaultdict(list)
        for name, text, binary in seeds:
            oid = next(o for o, (n, _) in self.types.items() if n == name)
            self.text[oid].append(text)
            if binary:
                self.binary[oid].append(binary)

    def keep(self, oid, value):
        """A result in binary form is an argument of later calls."""
        pool = self.binary[oid]
        if self.types[oid][0].startswith('paillier') and 0 < len(value) < 20000:
            if len(pool) < 300:
                pool.append(value)
            else:
                pool[self.chance.randrange(8, 300)] = value

    def damaged(self, value, text):
        chance, data = self.chance, bytearray(value)
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            at = chance.randrange(len(data)) if data else 0
            way = chance.randrange(8)
            if way == 0 and data:
                data[at] ^= 1 << chance.randrange(8)
            elif way == 1 and data:
                data[at] = chance.choice([0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)])
            elif way == 2:
                del data[at:]
            elif way == 3:
                zeros = chance.random() < 0.5
                data[at:at] = bytes(chance.choice([1, 2, 8, 64])) if zeros else \
                    chance.randbytes(chance.choice([1, 4, 8]))
            elif way == 4:
                del data[at:at + chance.choice([1, 2, 4, 8])]
            elif way == 5:
                # a length, a count, a word of the header
                size = chance.choice([1, 2, 4, 8])
                data[at:at + size] = (chance.choice(INTERESTING) % 2 ** (8 * size)).to_bytes(size,
                    chance.choice(['big', 'little']))
            elif way == 6 and data:
                data[at:at + 8] = data[chance.randrange(len(data)):][:8]
            else:
                # header and body of two values
                other = value if text else chance.choice([v for pool in self.binary.values() for v in pool[:40]]
                    or [value])
                data[at:] = other[at:]
        return bytes(data)

    def array(self, oid, element):
        chance = self.chance
        count = chance.choice([0, 1, 2, 3, 8, 9, 17])
        if chance.random() < 0.5 and self.binary[element]:
            dimensions = chance.choice([(count,), (count,), (count,), (2, count // 2)]) if count else ()
            total = 1
            for d in dimensions:
                total *= d
            items = [None if chance.random() < 0.05 else self.one(element, 1)
                for _ in range(total if dimensions else 0)]
            data = struct.pack('!iiI', len(dimensions), int(None in items),
                element) + b''.join(struct.pack('!ii', d, 1) for d in dimensions)
            data += b''.join(struct.pack('!i', -1) if v is None else struct.pack('!i', len(v)) + v for v in items)
            return 1, self.damaged(data, False) if chance.random() < 0.05 else data
        items = [b'NULL' if chance.random() < 0.05 else b'"'
            + self.one(element, 0).replace(b'\\', b'\\\\').replace(b'"', b'\\"') + b'"' for _ in range(count)]
        return 0, b'{' + b','.join(items) + b'}'

    def one(self, oid, form):
        pool = (self.binary if form else self.text)[oid]
        if not pool:
            return b'' if form else b'0'
        value = self.chance.choice(pool)
        return self.damaged(value, not form) if self.chance.random() < 0.03 else value

    def argument(self, oid):
        chance = self.chance
        name, element = self.types[oid]
        if chance.random() < 0.03:
            return 0, None
        if element and name.startswith('_') and (self.text[element] or self.binary[element]) and chance.random() < 0.8:
            return self.array(oid, element)
        form = int(bool(self.binary[oid]) and chance.random() < 0.8)
        value = self.one(oid, form)
        return form, self.damaged(value, not form) if chance.random() < 0.25 and name.startswith('paillier') else value


# ---- the calls ----

def show(target, arguments):
    return f'{target.statement or "fast path"} [{target.label}] ' + ', '.join(
        'NULL' if v is None else f'{self_form} {v[:2000].hex() if self_form else v[:2000]!r}' for self_form,
            v in arguments)


def prepare(wire, targets):
    wire.run("SET statement_timeout = '1s'; SET client_min_messages = error; SET jit = off; SET "
        "min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0")
    refused = []
    for i, target in enumerate(targets):
        if target.statement:
            types = struct.pack(f'!h{len(target.types)}i', len(target.types), *target.types)
            body = f's{i}'.encode() + b'\0' + target.statement.encode() + b'\0' + types
            error, _ = wire.ask([message(b'P', body) + message(b'S')])[0]
            if error:
                refused.append(target)
                target.weight = 0
    return refused


def fuzz(number, calls, seed, results):
    """What one process does; whatever happens to it is a result."""
    try:
        results.put(fuzz_calls(number, calls, seed))
    except BaseException:
        results.put((0, collections.Counter(), ['closed: ' + traceback.format_exc()], (0, 0), 0, [], []))


def fuzz_calls(number, calls, seed):
    from client import Session
    chance = random.Random(f'{seed}/{number}')
    session = Session()
    session.run('SET search_path = pg_catalog, public')
    targets = targets_of(session)
    seeds = [(name, text.encode(), bytes.fromhex(binary) if binary else None) for name, text,
        binary in session.rows('SELECT * FROM fuzz_seed')]
    arguments = Arguments(chance, session, seeds)
    session.close()
    wire = Wire()
    refused = prepare(wire, targets)
    weights = [t.weight for t in targets]
    problems, states, memory, done = [], collections.Counter(), [], 0
    batch = 64
    while done < calls and len(problems) < 10:
        chosen = chance.choices(range(len(targets)), weights, k=min(batch, calls - done))
        asked = []
        for i in chosen:
            given = [arguments.argument(t) for t in targets[i].types]
            form = int(chance.random() < 0.8)
            asked.append((i, given, form, execute(f's{i}'.encode(), given, form) if targets[i].statement
                else fast_path(targets[i].oid, given, form)))
        try:
            answers = wire.ask([a[3] for a in asked])
        except Closed as closed:
            problems.append(f'the server closed the connection {closed}; the calls were:\n'
                + '\n'.join(show(targets[i], given) for i, given, _, _ in asked))
            break
        done += len(asked)
        for (i, given, form, request), (error, value) in zip(asked, answers):
            target = targets[i]
            target.done += 1
            states[error[0] if error else 'none'] += 1
            if error and error[0].startswith('XX'):
                problems.append(f'{error[0]} {error[1]}: {show(target, given)}')
            elif error and error[0] == '57014':
                # a busy machine is no slow call: count the time of the backend itself
                wire.run("SET statement_timeout = '20s'")
                before = wire.cpu_seconds()
                wire.ask([request])
                # to find large primes takes as long as it takes, and can be cancelled
                if wire.cpu_seconds() - before > target.seconds and target.weight \
                        and 'paillier_keygen(' not in target.label:
                    # once is enough
                    target.weight = weights[i] = 0
                    problems.append(f'{wire.cpu_seconds() - before:.1f} s: {show(target, given)}')
                wire.run("SET statement_timeout = '1s'")
            elif value and form and not error:
                arguments.keep(target.result, value)
        if done // 2000 != (done - len(asked)) // 2000:
            memory.append(wire.own_memory())
    middle = memory[len(memory) // 4:len(memory) // 2] or memory or [0]
    end = memory[-len(memory) // 4:] or [0]
    growth = max(end) - max(middle)
    if len(memory) >= 8 and growth > 8192 + max(middle) // 10:
        contexts = wire.run("SELECT string_agg(format('%s %s', name, total_bytes), '; ' ORDER BY total_bytes DESC) "
            "FROM (SELECT name, sum(total_bytes) AS total_bytes"
                            " FROM pg_backend_memory_contexts GROUP BY 1 ORDER BY 2 DESC LIMIT 8) c")[1]
        problems.append(f'memory grew from {max(middle)} to {max(end)} kB: {memory[::max(1, len(memory) // 20)]} '
            f'{contexts}')
    never = [t.label for t in targets if t.weight and not t.done]
    return done, states, problems, (max(middle), max(end)), len(targets) - len(refused), never, [t.label
        for t in refused]


SETUP = r'''
SELECT begin_metering($$scale = 0, reading_interval = '30 min', grace = '0', retention = '20 days'$$);
INSERT INTO metering.tariff (tariff) VALUES ('t');
INSERT INTO metering.rate (tariff, price) VALUES ('t', 1);
SELECT add_meters('a', 3, 'r', 't');
SELECT send('a.', metering.utc_hour(now()) - interval '9 hours', metering.utc_hour(now()));
CALL metering.rollup(now() - interval '2 hours');
CREATE TABLE fuzz_row AS SELECT i AS id, encrypted(i) AS energy,
    (i % 7)::numeric AS weight FROM generate_series(1, 3000) i;
CREATE TABLE fuzz_seed (type text, form text, bytes text);
INSERT INTO fuzz_seed SELECT 'paillier_ciphertext', c::text, encode(paillier_ciphertext_send(c), 'hex') FROM (
    SELECT paillier_encrypt(v, public, s, w) AS c FROM pipeline_key,
        (VALUES (0, 0, 64), (5, 0, 64), (-7, 2, 32), (123456, 0, 20), (1, 12, 100), (0, 255, 900), (-1, 0, 1)) x (v, s,
            w) WHERE w < 200 AND s < 200) q;
INSERT INTO fuzz_seed SELECT 'paillier_sum', s::text, encode(paillier_sum_send(s), 'hex') FROM (
    SELECT paillier_sum_accum(NULL, encrypted(3)) UNION ALL SELECT paillier_sum_accum_moving(NULL, encrypted(4))
        UNION ALL SELECT paillier_sum_accum(NULL, encrypted(5, 'second'), 7)
    UNION ALL SELECT paillier_sum_combine(paillier_sum_accum(NULL, encrypted(3)),
        paillier_sum_accum(NULL, encrypted(3), -2))) x (s);
INSERT INTO fuzz_seed SELECT 'paillier_private_key', private::text,
    encode(paillier_private_key_send(private), 'hex') FROM pipeline_key;
INSERT INTO fuzz_seed SELECT 'paillier_public_key', public::text,
    encode(paillier_public_key_send(public), 'hex') FROM pipeline_key;
INSERT INTO fuzz_seed SELECT 'text', id, NULL FROM pipeline_key UNION ALL SELECT 'text', form,
    NULL FROM fuzz_seed WHERE type LIKE 'paillier%';
INSERT INTO fuzz_seed SELECT 'cstring', form, NULL FROM fuzz_seed WHERE type LIKE 'paillier%';
INSERT INTO fuzz_seed SELECT 'timestamptz', (metering.utc_hour(now()) - i * interval '1 hour')::text,
    NULL FROM generate_series(0, 12, 3) i;
INSERT INTO fuzz_seed SELECT 'bytea', encode(paillier_bytes(encrypted(2)), 'hex'), NULL;
'''


def inside(options):
    """Within the server: set up, fuzz by several processes, report."""
    subprocess.run(['createdb', 'fuzz'], check=True)
    os.environ['PGDATABASE'] = 'fuzz'
    run = lambda *words: subprocess.run(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', *words], check=True,
        stdout=subprocess.DEVNULL)
    run('-c', 'SET client_min_messages = error; CREATE EXTENSION paillier_metering CASCADE')
    run('-c', 'ALTER DATABASE fuzz SET paillier.min_key_bits = 128')
    run('-f', os.path.join(HERE, '../t/metering.psql'))
    subprocess.run(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1'], input='SET client_min_messages = error;' + SETUP,
        text=True, check=True, stdout=subprocess.DEVNULL)
    results, started = multiprocessing.Queue(), time.monotonic()
    workers = [multiprocessing.Process(target=fuzz, args=(i, options.calls // options.processes, options.seed,
        results)) for i in range(options.processes)]
    for worker in workers:
        worker.start()
    got = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - started
    done, states = sum(r[0] for r in got), sum((r[1] for r in got), collections.Counter())
    problems = [p for r in got for p in r[2]]
    with open(os.path.join(os.environ['CLUSTER'], 'log')) as log:
        crashes = [line for line in log if re.search(r'terminated by signal|PANIC|TRAP', line)]
    from client import checks, is_, ok
    ok(not crashes and not any('closed' in p for p in problems), 'no call ends the session or the server',
        '\n'.join(crashes + [p for p in problems if 'closed' in p])[:20000])
    internal = [p for p in problems if p.startswith('XX')]
    ok(not internal, 'no call ends with an internal error', '\n'.join(internal)[:20000])
    slow = [p for p in problems if re.match(r'[\d.]+ s:', p)]
    ok(not slow, 'no call takes more than a second, a step in SQL not more than five', '\n'.join(slow)[:20000])
    growing = [p for p in problems if p.startswith('memory')]
    ok(not growing, 'the memory of no backend grows', '\n'.join(growing))
    is_(got[0][6], [l for l in got[0][6] if '(internal)' in l],
        'every object but those of internal arguments can be called')
    ok(min(states['none'], done - states['none']) > done / 20,
        f'some calls work and some do not: {dict(states.most_common(12))}')
    if done >= 500000:
        is_(got[0][5], [], 'everything was called')
    print(f"1..{checks['all']}")
    print(f'# {done} calls of {got[0][4]} targets in {seconds:.0f} s, seed {options.seed}; {states["none"]} worked, '
        f'{len(states) - 1} SQLSTATEs; '
          f'memory of a backend {max(r[3][0] for r in got) / 1024:.0f} MB then, {max(r[3][1] for r in got) / 1024:.0f} '
              f'MB at the end', flush=True)
    os._exit(1 if checks['bad'] else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # a run of a few seconds is one of the tests
    short = float(os.environ.get('FUZZ_SECONDS', 600)) < 60
    parser.add_argument('--calls', type=int, default=20000 if short else 1000000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--processes', type=int, default=2)
    options = parser.parse_args()
    if os.environ.get('FUZZ_SERVER'):
        return inside(options)
    script = ('. "$1/../cluster.sh"; trap cluster_stop EXIT; cluster_start "autovacuum = off" || exit 1; shift; '
              'export FUZZ_SERVER=1 CLUSTER; "$@"')
    words = ['bash', '-c', script, 'bash', HERE, sys.executable, os.path.abspath(__file__)] + sys.argv[1:]
    sys.exit(subprocess.run(words).returncode)


if __name__ == '__main__':
    main()
