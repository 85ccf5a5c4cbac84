#!/usr/bin/env bash
# fastpath.t
#	Every function called by the function call message of the protocol, which
#	knows no statement: with right arguments it gives what SQL gives, with a NULL
#	in any place nothing bad.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server
fresh fastpath_test paillier
export PGOPTIONS='-c paillier.min_key_bits=128'
make_keys

PYTHONPATH=$(dirname "${BASH_SOURCE[0]}") PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import ctypes
from client import FATAL_ERROR, Error, Session, finish, is_, ok, pq


class Argument(ctypes.Structure):
    _fields_ = [('len', ctypes.c_int), ('isint', ctypes.c_int), ('pointer', ctypes.c_char_p)]


pq.PQfn.restype = ctypes.c_void_p
pq.PQfn.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int), ctypes.c_int,
    ctypes.POINTER(Argument), ctypes.c_int]


def call(session, oid, arguments):
    """What the function gives for bytes or None, as bytes or None; its SQLSTATE where it fails."""
    block = (Argument * max(len(arguments), 1))(*(Argument(-1, 0, None) if a is None else Argument(len(a), 0, a)
        for a in arguments))
    room, length = ctypes.create_string_buffer(1 << 16), ctypes.c_int(-1)
    result = pq.PQfn(session.connection, oid, room, ctypes.byref(length), 0, block, len(arguments))
    error = Error(result) if pq.PQresultStatus(result) == FATAL_ERROR else None
    pq.PQclear(result)
    if error:
        return error.sqlstate or error.message
    return None if length.value == -1 else room.raw[:length.value]


admin = Session()
admin.run('''
    SELECT paillier_register_key(public) FROM key_pair;
    CREATE TABLE argument AS SELECT ct, ARRAY[ct, NULL] AS cts, private, public, paillier_sum_accum(NULL, ct) AS state,
        id, paillier_bytes(ct) AS bytes
    FROM (SELECT *, paillier_encrypt(5, public, 1) AS ct FROM key_pair WHERE name = 'small' OFFSET 0) s;
''')
# by type: an expression of a row of the table, and its binary form
forms = {
    'paillier_ciphertext': ('ct', 'paillier_ciphertext_send'),
        'paillier_private_key': ('private', 'paillier_private_key_send'),
    'paillier_public_key': ('public', 'paillier_public_key_send'), 'paillier_sum': ('state', 'paillier_sum_send'),
        'paillier_ciphertext[]': ('cts', 'array_send'),
    'numeric': ('3::numeric', 'numeric_send'), 'numeric[]': (None, 'array_send'), 'integer': ('256', 'int4send'),
        'text': ('id', 'textsend'),
    'bytea': ('bytes', 'byteasend'), 'boolean': (None, 'boolsend'), 'cstring': (None, 'cstring_send'),
        'internal': (None, None)}
functions = admin.rows('''
    SELECT p.oid, p.oid::regprocedure, p.proname, array_to_string(proargtypes::regtype[], '|'), prorettype::regtype,
        provolatile = 'v', prokind
    FROM pg_depend JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
    WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'paillier')
        ORDER BY 2''')
ok(len(functions) > 45, 'there are functions', len(functions))


def expression(type, name, result):
    if type == 'cstring':
        return f"{forms[result][0]}::text::cstring"
    if type == 'integer' and name in ('paillier_encrypt', 'paillier_ciphertext'):
        return '8'
    return forms[type][0]


session = Session()
for oid, function, name, types, result, volatile, kind in functions:
    types = types.split('|') if types else []
    arguments = []
    for type in types:
        text, send = expression(type, name, result), forms[type][1]
        value = admin.one(f'SELECT {send}({text}) FROM argument') if text and send else '\\x00'
        arguments.append(bytes.fromhex(value[2:]))
    got = call(session, int(oid), arguments)
    if kind == 'a':
        is_(got, '0A000', f'{function} cannot be called so')
    elif 'internal' in types:
        ok(got in ('42883', '0A000'), f'{function} cannot be called by anybody', got)
    else:
        sql = ', '.join(expression(type, name, result) for type in types)
        expected = admin.one(f'SELECT {forms[result][1]}({name}({sql})) FROM argument')
        expected = expected if expected is None else bytes.fromhex(expected[2:])
        if volatile == 't':
            ok(isinstance(got, bytes) and (name == 'paillier_keygen' or len(got) == len(expected)),
                f'{function} gives a value', got)
        else:
            is_(got, expected, f'{function} gives what SQL gives')
    # NULL in any places
    bad = []
    for mask in range(1, 1 << len(types)):
        answer = call(session, int(oid), [None if mask >> i & 1 else a for i, a in enumerate(arguments)])
        if isinstance(answer, str) and not (kind == 'a' and answer == '0A000' or 'internal' in types):
            bad.append((mask, answer))
    is_(bad, [], f'{function} with NULL')
    # and what is no value of the type
    for i in range(len(types)):
        answer = call(session, int(oid), [b'\xff' * 3 if i == j else a for j, a in enumerate(arguments)])
        ok(not isinstance(answer, str) or answer not in ('XX000', ''),
            f'{function} with three bytes as argument {i + 1}', answer)

# ---- the metering extension: every function of it, with the values that its door takes ----

admin.run('''
    CREATE EXTENSION paillier_metering;
    UPDATE metering.setting SET key_id = (SELECT id FROM argument), min_meters = 2;
    INSERT INTO metering.meter (meter_id, region) VALUES ('m1', 'r');
''')
forms.update({
    'timestamp with time zone': ("date_trunc('hour', now()) - interval '2 hours'", 'timestamptz_send'),
        'bigint': ('3::bigint', 'int8send'),
    'interval': ("interval '2 hours'", 'interval_send'), 'tstzrange': ("'(,)'::tstzrange", 'range_send'),
        'date': ('current_date', 'date_send'),
    'bigint[]': ("'{3}'::bigint[]", 'array_send'), 'double precision': ('0.5::float8', 'float8send'),
        'name': ("'nobody'::name", 'namesend'),
    'timestamp without time zone': ("'2026-01-01'::timestamp", 'timestamp_send'),
        'regclass': ("'metering.reading_00'::regclass", 'regclasssend')})
values = {'text': "'m1'", 'paillier_ciphertext': "paillier_encrypt(5, (SELECT public FROM argument))", 'integer': '5'}
functions = admin.rows('''
    SELECT p.oid, p.oid::regprocedure, array_to_string(proargtypes::regtype[], '|') FROM pg_proc p
    WHERE pronamespace = 'metering'::regnamespace AND prokind = 'f' AND NOT proretset
        AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'record'::regtype) ORDER BY 2''')
for oid, function, types in functions:
    types = types.split('|') if types else []
    arguments = []
    for type in types:
        text = values.get(type) or forms.get(type, (None,))[0]
        value = admin.one(f'SELECT {forms[type][1]}({text}) FROM argument') if text else '\\x00'
        arguments.append(bytes.fromhex(value[2:]))
    answers = [call(session, int(oid), [None if mask >> i & 1 else a for i, a in enumerate(arguments)])
        for mask in range(1 << len(types))]
    ok(not [a for a in answers if a in ('XX000', '')], f'{function}', answers)
    if function.startswith('metering.accept('):
        is_(answers[0], b'\x01', 'the door takes a reading so')
is_(session.one('SELECT pg_backend_pid()'), str(session.pid), 'the session is still the same')
finish()
PYTHON
