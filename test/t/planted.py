"""The walk of planted.t: see there."""
import os
import re
import subprocess
import time
from client import Error, Session, diag, failure, finish, is_, ok

HERE = os.environ['HERE']
# all that can be named by the extensions: their scripts, and the statements within the C sources
SOURCE = '\n'.join(open(name).read() for name in os.environ['SCRIPTS'].split())
for root, _, names in os.walk(os.path.join(HERE, '../../src/server')):
    for name in sorted(n for n in names if n.endswith('.c')):
        SOURCE += '\n'.join(re.findall(r'"((?:[^"\\]|\\.)*)"', open(os.path.join(root, name)).read())) + '\n'
LEVELS = sorted(set(re.findall(r"WHEN '(\w+)' THEN ARRAY\[", SOURCE[SOURCE.index('.grant_access('):])))
ROLES = LEVELS + ['nobody', 'postgres']
SAFE = "SET search_path = pg_catalog, pg_temp"
literal = lambda text: 'NULL' if text is None else "E'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def plant(database, *places):
    admin = Session(database=database)
    with open(os.path.join(HERE, 'planted.psql')) as file:
        if admin.one("SELECT to_regnamespace('planting')") is None:
            admin.run(file.read())
    admin.run('SET allow_system_table_mods = on')
    for place in places:
        diag(database + ': ' + admin.one(f"SELECT planting.plant({literal(place)}, 'mallory', {literal(SOURCE)})"))
    admin.close()


def allow_planting(database):
    admin = Session(database=database)
    admin.run(f'GRANT CREATE ON DATABASE {database} TO mallory; GRANT CREATE ON SCHEMA public TO PUBLIC;'
              'CREATE SCHEMA mallory AUTHORIZATION mallory; GRANT USAGE ON SCHEMA mallory TO PUBLIC')
    admin.close()


# ---- a pipeline with data, twice: once with everything planted beside it ----

admin = Session(database='plain')
admin.run(''.join(f'CREATE ROLE {role} LOGIN;' for role in LEVELS + ['nobody', 'mallory']))
admin.run(f'''
    SELECT begin_metering($$scale = 0, reading_interval = '30 min', bill_window = '2 hours', grace = '0',
        retention = '40 days'$$);
    INSERT INTO metering.tariff (tariff) VALUES ('t');
    INSERT INTO metering.rate (tariff, price) VALUES ('t', 0.25);
    INSERT INTO metering.rate (tariff, price, charge) VALUES ('t', 1, 'standing');
    SELECT add_meters('a', 3, 'r', 't'), add_meters('b', 2, 's', 't');
    INSERT INTO metering.region VALUES ('r', 'whole'), ('s', 'whole');
    INSERT INTO metering.forecast_model VALUES ('own', 'of its own');
    INSERT INTO metering.forecast_weight VALUES ('own', 0, 1, 1);
    INSERT INTO metering.region_model VALUES ('s', 'own');
''')
base = admin.one("SELECT to_char(metering.utc_hour(now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'")
hours = lambda n: admin.one("SELECT to_char(($1::timestamptz + $2::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD "
    "HH24:MI:SS') || '+00'", base, f'{n} hours')
admin.run(f'''
    SELECT send('a.', '{hours(-33)}', '{hours(-4)}'), send('b[12]', '{hours(-33)}', '{hours(-5)}');
    DELETE FROM metering.reading WHERE meter_id = 'b1' AND read_at < '{hours(-30)}';
''')
admin.run(f"CALL metering.rollup('{hours(-4)}')")
admin.run(f'''
    SELECT send('a.', '{hours(-6)}', '{hours(0)}'), send('b1', '{hours(-33)}', '{hours(-30)}');
    UPDATE metering.meter SET account = 'other', region = 'q' WHERE meter_id = 'a3';
    UPDATE metering.meter SET active = tstzrange(NULL, '{base}');
    INSERT INTO metering.register_read (meter_id, read_at, register) SELECT 'a1', w.window_start, encrypted(1000 + i)
        FROM generate_series(1, 3) i, metering.window_of('{hours(-12)}'::timestamptz + i * interval '2 hours') w;
    UPDATE metering.setting SET zone = 'Europe/Berlin';
''')
admin.run(''.join(f"SELECT metering.grant_access('{level}', '{level}');" for level in LEVELS))
private, public, key_id = admin.rows("SELECT private, public, id FROM pipeline_key WHERE name = 'first'")[0]
ciphertexts = [admin.one(f'SELECT encrypted({i})') for i in (5, -7)]
is_(admin.one('SELECT count(*) > 0 FROM metering.account_bill'), 't', 'there are bills')
is_(admin.one('SELECT count(*) > 0 FROM metering.region_forecast WHERE forecast IS NOT NULL'), 't', 'and forecasts')

# every function and procedure that has arguments of SQL, as a call with arguments of each pool
pools = {
    'timestamptz': [hours(-6), base, hours(-30), 'infinity'], 'timestamp': ['2026-01-05 10:00', '2026-07-01 00:00'],
        'interval': ['2 hours', '30 min'], 'date': [base[:10]],
    'int4': ['2', '24', '7', '0'], 'int8': ['5', '0', '-1'], 'numeric': ['1.5', '2', '0'], 'float8': ['0.5', '0.02'],
        'bool': ['t', 'f'], 'text': ['r', 'a1'], 'bytea': ['\\x05'],
    'name': ['nobody'], 'tstzrange': ['(,)', f'[{hours(-30)},{base})'], '_int8': ['{}', '{3,1}'],
        '_numeric': ['{0,0.5,1}'], 'regclass': ['metering.reading_00'],
    'jsonb': ['{}'], 'paillier_ciphertext': ciphertexts, 'paillier_private_key': [private],
        'paillier_public_key': [public],
    '_paillier_ciphertext': ['{' + ','.join(ciphertexts) + '}'],
        'paillier_sum': [admin.one('SELECT paillier_sum_accum(NULL, $1)', ciphertexts[0])]}
named = {'key_id': [key_id], 'window_key': [key_id], 'level': ['analyst', 'x'], 'charge': ['import', 'standing'],
    'tariff': ['t'], 'zone': ['UTC', 'Europe/Berlin'], 'minutes': ['30'], 'bits': ['256'],
         'with_model': ['seasonal', 'last_day', None], 'meter_id': ['a1'], 'read_at': [hours(-2)], 'width': ['64'],
             'slot': ['3'], 'place': ['2'], 'step': ['30 min'], 'of_region': [None, 'r'], 'name': ['n']}


def value(name, type, schema, i):
    pool = named.get(name) if type in ('text', 'int4', 'timestamptz',
        'interval') and name in named else pools.get(type, [None])
    return f'CAST({literal(pool[i % len(pool)])} AS {schema}.{quote(type)})'


functions = admin.rows('''
    SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname), p.prokind, p.oid::regprocedure, count(a.*),
        COALESCE(string_agg(concat_ws('/', COALESCE(p.proargnames[i], ''), t.typname, tn.nspname), ' ' ORDER BY i), '')
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname LIKE 'paillier%'
        JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
    LEFT JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY a (type, i) ON true LEFT JOIN pg_type t ON t.oid = a.type
        LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
    WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass
        AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
        AND NOT 'internal'::regtype = ANY (p.proargtypes) GROUP BY p.oid, n.nspname ORDER BY 1, 3''')
calls = []
for name, kind, signature, _, arguments in functions:
    arguments = [a.split('/') for a in arguments.split()]
    for i in range(4 if len(arguments) > 1 else 3):
        values = [value(a[0], a[1], a[2], i) if i < 3 else f'CAST(NULL AS {a[2]}.{quote(a[1])})' for a in arguments]
        calls.append((f'CALL {name}({", ".join(values)})' if kind == 'p' else f'SELECT {name}({", ".join(values)})'
            if kind == 'a' else f'SELECT * FROM {name}({", ".join(values)})'))
operators = admin.rows('''SELECT n.nspname, o.oprname, l.typname, ln.nspname, r.typname,
    rn.nspname FROM pg_depend d JOIN pg_operator o ON o.oid = d.objid JOIN pg_namespace n ON n.oid = o.oprnamespace
    LEFT JOIN pg_type l ON l.oid = oprleft LEFT JOIN pg_namespace ln ON ln.oid = l.typnamespace
        JOIN pg_type r ON r.oid = oprright JOIN pg_namespace rn ON rn.oid = r.typnamespace
    WHERE d.deptype = 'e' AND d.classid = 'pg_operator'::regclass''')
calls += [f"SELECT {value('', l, ln, 0) if l else ''} OPERATOR({n}.{o}) {value('', r, rn, 0)}" for n, o, l, ln, r,
    rn in operators]

# every relation: read whole, by a condition, written to in every column
relations = {}
for name, kind, column, type, schema in admin.rows('''
        SELECT c.oid::regclass, c.relkind, a.attname, t.typname,
            n.nspname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_attribute a ON a.attrelid = c.oid
                AND attnum > 0
        JOIN pg_type t ON t.oid = atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_class'::regclass
            AND c.relkind IN ('r', 'p', 'v', 'm')
            AND c.relname NOT SIMILAR TO '(reading|bill_window)_([1-9]_|0[2-9])' ORDER BY 1, attnum'''):
    name = name if '.' in name else 'public.' + name
    relations.setdefault(name, (kind, []))[1].append((column, type, schema))
reads, writes = [], []
# what differs between a database and a copy of it that is written to
OWN = {'metering.health': {'staged_bytes'}, 'metering.progress': {'database'}}
for name, (kind, columns) in relations.items():
    whole = ', '.join(quote(c) for c, _, _ in columns if c not in OWN[name]) if name in OWN else '*'
    reads.append(f'SELECT {whole} FROM {name}')
    first, type, schema = columns[0]
    reads.append(f'SELECT pg_catalog.count(*) FROM {name} WHERE {quote(first)} IS NOT NULL AND '
        f'{quote(first)}::pg_catalog.text OPERATOR(pg_catalog.<>) {literal("x")}::pg_catalog.text')
    if kind == 'v':
        continue
    rows = admin.rows(f'SELECT * FROM {name} LIMIT 2')
    row = rows[0] if rows else [None if type.startswith('_') else (named.get(column) or pools.get(type, [None]))[0]
        for column, type, _ in columns]
    for suffix in ('', 'x'):
        values = ', '.join(f'CAST({literal(v + suffix if v and type == "text" and i == 0 else v)} AS '
            f'{schema}.{quote(type)})' for i, (v, (_, type, schema)) in enumerate(zip(row, columns)))
        writes.append(f'INSERT INTO {name} VALUES ({values})')
        writes.append(f'INSERT INTO {name} ({", ".join(quote(c) for c, _, _ in columns[:3])}) VALUES '
            f'({", ".join(values.split(", ")[:3])})')
    for i, (column, type, schema) in enumerate(columns):
        writes.append(f'UPDATE {name} SET {quote(column)} = {quote(column)}')
        other = rows[-1][i] if len(rows) > 1 and rows[-1][i] != row[i] else value(column, type, schema, 1)
        writes.append(f'UPDATE {name} SET {quote(column)} = '
            f'{other if str(other).startswith("CAST") else f"CAST({literal(other)} AS {schema}.{quote(type)})"}')
    writes += [f'DELETE FROM {name}', f'TRUNCATE {name}', f'SELECT {whole} FROM {name} FOR UPDATE']
writes += ['CREATE TEMPORARY TABLE plain_table (i pg_catalog.int4)', 'ALTER TABLE metering.reading_00 SET LOGGED',
    'CREATE PUBLICATION p FOR TABLE metering.reading_00',
           'COPY metering.gap_of_all TO STDOUT' if 'metering.gap_of_all' in relations else 'SELECT 1']
ok(len(calls) > 200 and len(reads) > 60 and len(writes) > 200,
    f'{len(calls)} calls, {len(reads)} reads, {len(writes)} writes to try')
late = (f"INSERT INTO metering.reading VALUES ('b1', '{hours(-28)}', '{ciphertexts[0]}'),"
        f" ('a1', '{hours(-2)}', '{ciphertexts[1]}')")
until = hours(-2)
admin.close()

allow_planting('plain')
subprocess.run(['createdb', '-T', 'plain', 'planted'], check=True)
# the copy goes on as if it were in the same place
admin = Session(database='planted')
admin.run('UPDATE metering.progress SET database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = '
    'pg_catalog.current_database())')
admin.close()
started = time.monotonic()
plant('planted', *([] if os.environ.get('NOISE') else ['mallory', 'public']))
diag(f'planted in {time.monotonic() - started:.1f} s')
trusted = Session(database='plain')

# a walk of the same statements in both databases
KEY_ID = bytes.fromhex(key_id)
LENGTH = int(trusted.one('SELECT length(paillier_ciphertext_send($1))', ciphertexts[0]))
DENIED = 'denied'
PATHS = {
    'a schema of theirs first': 'SET search_path = mallory, pg_catalog, public',
    'public first': 'SET search_path = public, mallory, pg_catalog',
    'the default path': 'RESET search_path',
    'temporary objects first': 'SET search_path = pg_temp, mallory, public, pg_catalog',
    'odd settings': "SET standard_conforming_strings = off; SET escape_string_warning = off; SET transform_null_equals "
        "= on; SET array_nulls = off; SET DateStyle = 'German, DMY'; SET IntervalStyle = sql_standard;"
        "SET TimeZone = 'Australia/Lord_Howe'; SET extra_float_digits = -15; SET bytea_output = escape; SET "
            "plpgsql.extra_errors = 'all'; SET plpgsql.variable_conflict = use_column;"
        "SET xmloption = document; SET default_transaction_isolation = 'repeatable read'; SET "
            "default_transaction_deferrable = on; SET search_path = mallory, public, pg_catalog",
}
VOLATILE = re.compile(r'keygen|_rerandomize|_encrypt|rollup_log|staging_since|register_read|_key_out|known_charge|_send|_bytes|place\(|_users|try_lock|lock_staging')


def outcome(session, statement):
    """Rows in binary form or the error, and what was planted that ran; nothing stays done."""
    del session.notices[:]
    # the protocol's binary results take one statement at a time
    session.run('BEGIN ISOLATION LEVEL READ COMMITTED')
    try:
        if statement.startswith(('SELECT', 'CALL')):
            result = [tuple(row) for row in session.binary(statement)]
        else:
            result = session.run(statement)
            if result in (3, 4):
                result = []
    except Error as error:
        # before anything runs: not worth another try
        result = DENIED if error.message.startswith('permission denied') else error.sqlstate
    ran = [n for n in session.notices if n.startswith('planted')]
    failure(session.run, 'ROLLBACK')
    return result, ran


def decrypted(rows):
    """Rows with the numbers in place of the ciphertexts, which every query makes anew; in an order of their own."""
    if not isinstance(rows, list):
        return rows
    cells = sorted({c for row in rows for c in row if isinstance(c, bytes) and len(c) == LENGTH and KEY_ID in c})
    numbers = {}
    for i in range(0, len(cells), 200):
        some = cells[i:i + 200]
        got = trusted.one("SELECT array_to_string(paillier_decrypt_array($1::paillier_ciphertext[], $2), ' ', '-')",
                          '{' + ','.join(base64(c) for c in some) + '}', private)
        numbers.update(zip(some, got.split(' ')))
    return sorted((tuple(numbers.get(c, c) for c in row) for row in rows), key=repr)


def base64(data):
    import base64 as b
    return b.urlsafe_b64encode(data).decode().rstrip('=')


answers = {}


def walk(role, path, statements):
    """Differences, what ran, and which statements are not denied, as a role under a path."""
    wrong, ran, allowed = [], [], []
    plain, hostile = Session(user=role, database='plain'), Session(user=role, database='planted')
    plain.run('SET search_path = public; SET default_statistics_target = 100')
    hostile.run('SET statement_timeout = 0')
    if path == 'temporary objects first':
        hostile.run(SAFE)
        failure(hostile.run, f'SELECT planting.add_shadows({literal("pg_temp")}, {literal(SOURCE)})')
    hostile.run(PATHS[path])
    for statement in statements:
        for attempt in range(3):
            # time goes on: what differs is asked again of both
            if attempt or (role, statement) not in answers:
                answers[role, statement] = outcome(plain, statement)[0]
            expected = answers[role, statement]
            if expected == DENIED:
                break
            got, planted = outcome(hostile, statement)
            same = expected == got or decrypted(expected) == decrypted(got) or (VOLATILE.search(statement)
                and isinstance(expected, str) == isinstance(got, str))
            if same or planted:
                break
        if expected == DENIED:
            continue
        allowed.append(statement)
        if planted:
            ran.append((statement, planted[0]))
        if not same:
            wrong.append((statement, expected, got))
    plain.close()
    hostile.close()
    return wrong, ran, allowed


def brief(item):
    """A statement without its casts and long values, and what came of it."""
    return ' | '.join(re.sub(r"CAST\(E?('?[^' ]{0,24})[^']*'? AS \w+\.\W?(\w+)\W?\)", r'\1:\2', str(x))[:200]
        for x in item)


def report(label, wrong, ran):
    show = lambda items: '\n'.join(brief(item) for item in items[:12])
    others = [r for r in ran if not r[1].endswith(' as ' + label.split(',')[0])]
    ok(not others, f'{label}: nothing that is planted runs as somebody else',
        f'{len(others)} statements:\n' + show(others))
    ok(not ran, f'{label}: nor as the caller itself', f'{len(ran)} statements:\n' + show(ran))
    ok(not wrong, f'{label}: every result is what it is where nothing is planted',
        f'{len(wrong)} statements:\n' + show(wrong))


statements = calls + reads + writes
for role in ROLES:
    allowed = statements
    for path in PATHS:
        wrong, ran, allowed = walk(role, path, allowed)
        report(f'{role}, {path}', wrong, ran)

# ---- the roll-up, which cannot be undone ----

MASKED = {'id', 'lost_id', 'duration', 'finished_at', 'since', 'received_at', 'database', 'destroyed_at'}


def table_contents(database):
    session = Session(database=database)
    session.run(SAFE)
    contents = {}
    for name, (kind, columns) in relations.items():
        if kind in 'rp':
            shown = ', '.join(quote(column) for column, _, _ in columns if column not in MASKED)
            contents[name] = decrypted(session.binary(f'SELECT {shown} FROM {name}'))
    session.close()
    return contents


for role, path, until in [('operator', 'a schema of theirs first', until),
        ('postgres', 'temporary objects first', base)]:
    planted = []
    for database in ('plain', 'planted'):
        session = Session(database=database)
        session.run(SAFE)
        session.run(late)
        session.close()
        session = Session(user=role, database=database)
        if database == 'planted':
            if path.startswith('temporary'):
                session.run(SAFE)
                session.run(f'SELECT planting.add_shadows({literal("pg_temp")}, {literal(SOURCE)})')
            session.run(PATHS[path])
        error = failure(session.run, f"CALL metering.rollup(CAST('{until}' AS pg_catalog.timestamptz))")
        is_(error and str(error), None, f'{role}, {path}: a roll-up of {database}')
        planted += [n for n in session.notices if n.startswith('planted')]
        session.close()
    is_('\n'.join(planted[:12]), '', f'{role}, {path}: runs nothing that is planted')
    expected, got = table_contents('plain'), table_contents('planted')
    is_([t for t in expected if expected[t] != got[t]], [], f'{role}, {path}: and leaves the same in every table')

# ---- CREATE EXTENSION where everything is planted already ----

# what mallory may, by a role of the installer that gives away what it makes
GIVEAWAY = ''.join(f'ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON {kind} TO mallory;'
    for kind in ('TABLES', 'SEQUENCES', 'FUNCTIONS', 'TYPES', 'SCHEMAS'))
DEFINITIONS = '''
    SELECT 'view', c.oid::regclass::text, pg_get_viewdef(c.oid) FROM member JOIN pg_class c ON c.oid = objid
        AND classid = 'pg_class'::regclass AND relkind = 'v'
    UNION ALL SELECT 'constraint', c.conrelid::regclass::text,
        pg_get_constraintdef(c.oid) FROM member JOIN pg_constraint c ON c.conrelid = objid
            AND classid = 'pg_class'::regclass
    UNION ALL SELECT 'default', d.adrelid::regclass::text,
        pg_get_expr(adbin, adrelid) FROM member JOIN pg_attrdef d ON d.adrelid = objid
            AND classid = 'pg_class'::regclass
    UNION ALL SELECT 'index', i.indrelid::regclass::text,
        pg_get_indexdef(i.indexrelid) FROM member JOIN pg_index i ON i.indrelid = objid
            AND classid = 'pg_class'::regclass
    UNION ALL SELECT 'trigger', t.tgrelid::regclass::text,
        pg_get_triggerdef(t.oid) FROM member JOIN pg_trigger t ON t.tgrelid = objid AND classid = 'pg_class'::regclass
    UNION ALL SELECT 'partition', c.oid::regclass::text,
        pg_get_partkeydef(c.oid) FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
            AND relkind = 'p'
    UNION ALL SELECT 'function', p.oid::regprocedure::text,
        pg_get_functiondef(p.oid) FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
            AND prokind <> 'a'
    UNION ALL SELECT 'aggregate', p.oid::regprocedure::text,
        concat_ws(' ', aggtransfn::regprocedure, aggfinalfn::regprocedure, aggcombinefn::regprocedure,
            aggmtransfn::regprocedure, aggminvtransfn::regprocedure)
        FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
            JOIN pg_aggregate a ON a.aggfnoid = p.oid
    UNION ALL SELECT 'operator', o.oid::regoperator::text,
        o.oprcode::regprocedure::text FROM member JOIN pg_operator o ON o.oid = objid
            AND classid = 'pg_operator'::regclass'''
MEMBERS = """WITH member AS (SELECT classid, objid FROM pg_depend
    WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
    AND refobjid IN (SELECT oid FROM pg_extension WHERE extname LIKE 'paillier%'))"""
POWERS = MEMBERS + ''' SELECT c.oid::regclass::text,
    p FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'v')
        CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            WHERE has_table_privilege('{0}', c.oid, p)
    UNION ALL SELECT p.oid::regprocedure::text, 'EXECUTE' FROM member JOIN pg_proc p ON p.oid = objid
        AND classid = 'pg_proc'::regclass WHERE has_function_privilege('{0}', p.oid, 'EXECUTE')
    UNION ALL SELECT nspname::text, p FROM pg_namespace CROSS JOIN unnest(ARRAY['CREATE', 'USAGE']) p
        WHERE nspname = 'metering' AND has_schema_privilege('{0}', nspname, p) ORDER BY 1, 2'''

admin = Session(database='installed')
admin.run(GIVEAWAY)
allow_planting('installed')
for extension in ('paillier', 'paillier_metering'):
    plant('installed', 'public')
    installer = Session(database='installed')
    error = failure(installer.run, f'CREATE EXTENSION {extension}')
    ran = [n for n in installer.notices if n.startswith('planted')]
    installer.close()
    is_('\n'.join(ran[:12]), '', f'CREATE EXTENSION {extension} runs nothing that is planted')
    ok(error is None or error.sqlstate in ('42501', '55000'), f'and works or refuses: {error}')
admin.run(SAFE)
trusted.run(SAFE)
if admin.one("SELECT count(*) FROM pg_extension WHERE extname LIKE 'paillier%'") == '2':
    expected, got = (sorted(session.rows(MEMBERS + DEFINITIONS), key=repr) for session in (trusted, admin))
    is_('\n'.join(brief(x) for x in sorted(set(got) - set(expected), key=repr)[:12]), '',
        'every stored definition is what it is where nothing is planted')
    is_(len(got), len(expected), 'and as many there are')
    is_(admin.rows(POWERS.format('mallory')), admin.rows(POWERS.format('nobody')),
        'default privileges of the installer give nothing of the extensions away')
admin.close()

# a schema that is there already is somebody's
admin = Session(database='postgres')
admin.run('CREATE DATABASE squatted')
admin.close()
allow_planting('squatted')
admin = Session(database='squatted')
admin.run('CREATE SCHEMA metering AUTHORIZATION mallory')
plant('squatted', 'metering')
error = failure(admin.run, 'CREATE EXTENSION paillier_metering CASCADE')
ran = [n for n in admin.notices if n.startswith('planted')]
is_('\n'.join(ran[:12]), '', 'CREATE EXTENSION in a schema of another role runs nothing that is planted there')
ok(error and error.sqlstate in ('42501', '55000', '42P06')
    or admin.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'metering' AND NOT has_schema_privilege('mallory', oid, "
        "'CREATE')"),
   'and is refused, or takes the schema away', error or 'mallory can create objects in the schema of the extension')
admin.close()

# by the log as well: a worker, or a session that hides its messages
with open(os.environ['LOG']) as log:
    said = [line for line in log if 'planted:' in line]
ok(sum(1 for _ in said) == 0, 'the log of the server knows of nothing planted that ran', ''.join(said[:5]))
finish()
