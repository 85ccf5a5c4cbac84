#!/usr/bin/env bash
# door.t
#	Who gets what into staging, and who gets at the rest: every refusal with its
#	SQLSTATE and message, by INSERT, COPY text and COPY binary; changes of
#	settings and meters seen by other sessions; what each access level can do.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
own_server
fresh door_test 'paillier_metering CASCADE'
sql "ALTER DATABASE door_test SET paillier.min_key_bits = 128; ALTER DATABASE door_test SET jit = off"
psql -Xq -v ON_ERROR_STOP=1 -f "$(dirname "${BASH_SOURCE[0]}")/metering.psql"

PYTHONPATH=$(dirname "${BASH_SOURCE[0]}") PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import base64
import json
import re
import struct
from client import Error, Session, failure, finish, is_, ok, sqlstate

admin = Session()
admin.run('''
    CREATE ROLE collector LOGIN; CREATE ROLE other LOGIN; CREATE ROLE operator LOGIN; CREATE ROLE analyst LOGIN;
        CREATE ROLE biller LOGIN; CREATE ROLE monitor LOGIN; CREATE ROLE nobody LOGIN;
    CREATE ROLE team; CREATE ROLE member LOGIN IN ROLE team; CREATE ROLE guest LOGIN NOINHERIT IN ROLE team;
    SELECT metering.grant_access(r::name, l) FROM (VALUES ('collector', 'collector'), ('other', 'collector'),
        ('team', 'collector'), ('guest', 'collector'),
        ('operator', 'operator'), ('analyst', 'analyst'), ('biller', 'biller'), ('monitor', 'monitor')) v (r, l);
    GRANT SELECT ON pipeline_key TO PUBLIC;
''')
collector = Session(user='collector')
other = Session(user='other')
now = "metering.utc_hour(now())"
base = admin.one(f"SELECT {now} - interval '2 hours'")

# ---- before there is a key ----

admin.run(f"INSERT INTO metering.meter (meter_id, region) VALUES ('a1', 'r')")
INSERT = 'INSERT INTO metering.reading VALUES ($1, $2, $3)'
good = admin.one('SELECT encrypted(5)')
error = failure(collector.rows, INSERT, 'a1', base, good)
is_((error.sqlstate, error.message, error.hint), ('55000', 'metering has no key yet',
    'Register a public key and put its id into metering.setting.'), 'nothing enters before there is a key')
admin.run("UPDATE metering.setting SET key_id = (SELECT id FROM pipeline_key WHERE name = 'first')")
is_(sqlstate(collector.rows, INSERT, 'a1', base, good), 'none', 'as soon as there is one a waiting session may send')
admin.run('TRUNCATE metering.reading')

# ---- refusals ----

admin.run(f'''
    UPDATE metering.setting SET retention = '20 days', starts_at = '{base}'::timestamptz - interval '10 days';
    INSERT INTO metering.meter (meter_id, region, active, collector) VALUES
        ('a2', 'r', tstzrange('{base}', '{base}'::timestamptz + interval '1 hour'), NULL),
            ('a3', 'r', '(,)', 'collector'), ('b1', 'r', '(,)', 'other'), ('t1', 'r', '(,)', 'team'),
        (repeat('m', 63), 'r', '(,)', NULL), ('ключ "1"', 'r', '(,)', NULL);
''')
public = json.loads(admin.one("SELECT public FROM pipeline_key WHERE name = 'first'"))
n = int.from_bytes(base64.urlsafe_b64decode(public['n'] + '=='), 'big')
key_id = admin.one("SELECT id FROM pipeline_key WHERE name = 'first'")
second_id = admin.one("SELECT id FROM pipeline_key WHERE name = 'second'")
good_bytes = bytes.fromhex(admin.one(f"SELECT encode(paillier_ciphertext_send('{good}'), 'hex')"))
size = 64


def text_of(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


def forged(c):
    """A ciphertext of this number, with the header of a good one."""
    return text_of(good_bytes[:-size] + c.to_bytes(size, 'big'))


is_(text_of(good_bytes), good, 'the text of a ciphertext is its binary form in base64')
is_(admin.one(f"SELECT paillier_valid('{forged(int.from_bytes(good_bytes[-size:], 'big'))}')"), 't',
    'which can be put together')
stranger = admin.one('''SELECT paillier_encrypt(5, paillier_public_key(paillier_keygen(256)))''')


def at(interval):
    return admin.one(f"SELECT '{base}'::timestamptz + interval '{interval}'")


def said(time, message):
    return f"reading at {admin.one(f'SELECT {chr(39)}{time}{chr(39)}::timestamptz')} {message}"


future = admin.one("SELECT date_bin('5 min', now(), '2000-01-01') + interval '10 min'")
old, early = at('-20 days -1 hour'), at('-10 days -5 min')
accepted = [
    ('a reading', 'a1', base, good),
    ('the last interval that has ended', 'a1', admin.one("SELECT date_bin('5 min', now(), '2000-01-01') - interval '5 "
        "min'"), good),
    ('the first reading after the start', 'a1', at('-10 days'), good),
    ('the first and the last of the active range', 'a2', base, good),
    ('the first and the last of the active range', 'a2', at('55 min'), good),
    ('its own collector\'s meter', 'a3', base, good),
    ('an id of 63 bytes', 'm' * 63, base, good),
    ('an id with quotes in another script', 'ключ "1"', base, good),
    ('a narrower width', 'a1', at('5 min'), admin.one("SELECT paillier_encrypt(5, public, 0, 20) FROM pipeline_key "
        "WHERE name = 'first'")),
    ('a negative number', 'a1', at('10 min'), admin.one('SELECT encrypted(-5)')),
]
refused = [
    ('unknown meter', '23503', 'meter "zz" is not registered', 'zz', base, good),
    ('empty id', '23503', 'meter "" is not registered', '', base, good),
    ('id that a known one begins with', '23503', 'meter "a" is not registered', 'a', base, good),
    ('id of 64 bytes', '23503', f'meter "{"m" * 64}" is not registered', 'm' * 64, base, good),
    ('id of 2000 bytes', '23503', f'meter "{"m" * 2000}" is not registered', 'm' * 2000, base, good),
    ('a minute off the grid', '23514', said(at('1 min'), 'is not on the grid of the reading interval'), 'a1',
        at('1 min'), good),
    ('a microsecond off the grid', '23514', said(at('5 min 0.000001 s'), 'is not on the grid of the reading interval'),
        'a1', at('5 min 0.000001 s'), good),
    ('the future', '23514', said(future, 'lies in the future'), 'a1', future, good),
    ('the end of time', '23514', said('294276-12-31 23:55:00Z', 'lies in the future'), 'a1', '294276-12-31 23:55:00Z',
        good),
    ('infinity', '22008', 'time must be finite', 'a1', 'infinity', good),
    ('minus infinity', '22008', 'time must be finite', 'a1', '-infinity', good),
    ('older than the retention', '23514', said(old, 'is older than the retention of readings'), 'a1', old, good),
    ('the beginning of time', '23514', said('4714-11-24 00:00:00Z BC', 'is older than the retention of readings'),
        'a1', '4714-11-24 00:00:00Z BC', good),
    ('before the start', '23514', said(early, 'lies before the start of metering'), 'a1', early, good),
    ('before the active range', '23514', said(at('-5 min'), 'lies outside the active range of its meter'), 'a2',
        at('-5 min'), good),
    ('the end of the active range', '23514', said(at('1 hour'), 'lies outside the active range of its meter'), 'a2',
        at('1 hour'), good),
    ('another collector\'s meter, as if there were none', '23503', 'meter "b1" is not registered', 'b1', base, good),
    ('another registered key', '22000', f'reading is under key {second_id}', 'a1', base,
        admin.one("SELECT encrypted(5, 'second')")),
    ('a key that is not registered', '22000', f"reading is under key "
        f"{admin.one('SELECT paillier_key_id($1::paillier_ciphertext)', stranger)}", 'a1', base, stranger),
    ('another scale', '22000', 'reading has scale 2', 'a1', base,
        admin.one("SELECT paillier_encrypt(5, public, 2) FROM pipeline_key WHERE name = 'first'")),
    ('too wide', '22003', 'reading is declared wider than the width of metering.setting', 'a1', base,
        admin.one("SELECT paillier_encrypt(5, public, 0, 65) FROM pipeline_key WHERE name = 'first'")),
    ('c = 0', '22000', 'invalid ciphertext: ciphertext is zero', 'a1', base, forged(0)),
    ('c = n²', '22000', 'invalid ciphertext: ciphertext is not below the square of the modulus', 'a1', base,
        forged(n * n)),
    ('c = n² + 2', '22000', 'invalid ciphertext: ciphertext is not below the square of the modulus', 'a1', base,
        forged(n * n + 2)),
    ('c of nothing but ones', '22000', 'invalid ciphertext: ciphertext is not below the square of the modulus', 'a1',
        base, forged(2 ** (8 * size) - 1)),
    ('c = n', '22000', 'invalid ciphertext: ciphertext has a factor in common with the modulus', 'a1', base, forged(n)),
    ('c = n² - n', '22000', 'invalid ciphertext: ciphertext has a factor in common with the modulus', 'a1', base,
        forged(n * n - n)),
    ('c = 1', '22000', 'invalid ciphertext: ciphertext is not blinded: it is readable without a key', 'a1', base,
        forged(1)),
    ('c = 1 + 5 n', '22000', 'invalid ciphertext: ciphertext is not blinded: it is readable without a key', 'a1', base,
        forged(1 + 5 * n)),
    ('a number of another length', '22000', 'invalid ciphertext: length does not fit the key', 'a1', base,
        text_of(good_bytes[:-size] + bytes(8) + good_bytes[-size:])),
    ('no meter', '23502', 'null value in column "meter_id"', None, base, good),
    ('no reading', '23502', 'null value in column "energy"', 'a1', base, None),
    ('no time', '23514', 'no partition of relation "reading" found for row', 'a1', None, good),
]
hints = {
    'unknown meter': 'Add it to metering.meter first.',
        'a minute off the grid': 'A reading is dated by the start of its interval.',
    'the future': 'Send a reading when its interval has ended.',
        'another scale': 'Encrypt it with the scale of metering.setting.',
}
details = {'another registered key': f'The key of its hour is {key_id}.',
    'another scale': 'Readings here have scale 0.'}

def load(rows):
    """Rows as COPY takes them, text and binary."""
    escape = lambda value: '\\N' if value is None else value.replace('\\', '\\\\')
    text = ''.join('\t'.join(map(escape, row)) + '\n' for row in rows).encode()
    field = lambda data: struct.pack('>i', -1) if data is None else struct.pack('>i', len(data)) + data
    binary = b'PGCOPY\n\xff\r\n\0' + struct.pack('>ii', 0, 0)
    for meter, time, energy in rows:
        moment = time and bytes.fromhex(admin.one("SELECT encode(timestamptz_send($1), 'hex')", time))
        binary += struct.pack('>h', 3) + field(None if meter is None
            else meter.encode()) + field(moment) + field(energy and base64.urlsafe_b64decode(energy + '==='))
    return text, binary + struct.pack('>h', -1)


def staged():
    return int(admin.one('SELECT count(*) FROM metering.reading'))


text, binary = load([row[1:] for row in accepted])
for name, meter, time, energy in accepted:
    is_(failure(collector.rows, INSERT, meter, time, energy), None, f'INSERT of {name}')
collector.copy_in('COPY metering.reading FROM STDIN', text)
collector.copy_in('COPY metering.reading FROM STDIN (FORMAT binary)', binary)
is_(staged(), 3 * len(accepted), 'all of them, by COPY too, text and binary')
is_(sorted(admin.rows('SELECT meter_id, read_at, energy, count(*) FROM (SELECT meter_id, read_at, energy::text FROM '
    'metering.reading) r GROUP BY 1, 2, 3')),
    sorted([(meter, admin.one('SELECT $1::timestamptz', time), energy, '3') for _, meter, time, energy in accepted]),
        'as they were sent')
admin.run('TRUNCATE metering.reading')

for name, state, message, meter, time, energy in refused:
    text, binary = load([('a1', base, good), (meter, time, energy), ('a1', at('5 min'), good)])
    errors = [failure(collector.rows, INSERT, meter, time, energy),
              failure(collector.copy_in, 'COPY metering.reading FROM STDIN', text),
              failure(collector.copy_in, 'COPY metering.reading FROM STDIN (FORMAT binary)', binary)]
    is_([e and e.sqlstate for e in errors], [state] * 3, f'{name}: SQLSTATE of INSERT, COPY, binary COPY')
    ok(all(e and e.message.startswith(message) and (state == '23502' or e.message == message) for e in errors),
        f'{name}: {message}', [e and e.message for e in errors])
    ok(all(e and re.match(r'COPY reading, line 2\b', e.context) for e in errors[1:]), f'{name}: the line',
        [e and e.context for e in errors])
    if name in hints:
        is_({e.hint for e in errors}, {hints[name]}, f'{name}: the hint')
    if name in details:
        is_({e.detail for e in errors}, {details[name]}, f'{name}: the detail')
    collector.run('BEGIN')
    failure(collector.rows, f"INSERT INTO metering.reading SELECT 'a1', '{base}'::timestamptz + i * interval '5 min', "
        f"$1 FROM generate_series(0, 11) i UNION ALL SELECT $2, $3, $4",
            good, meter, time, energy)
    collector.run('COMMIT')
    is_(staged(), 0, f'{name}: nothing is left of the batch')

# damaged on the way
text, binary = load([('a1', base, good)])
is_({sqlstate(collector.copy_in, 'COPY metering.reading FROM STDIN', text.rstrip(b'\n')[:-cut] + b'\n')
    for cut in (1, 2, 3, 4, 20, 85, 100)}, {'22P02'}, 'a text cut short')
is_({sqlstate(collector.copy_in, 'COPY metering.reading FROM STDIN', text.replace(good.encode(), junk))
    for junk in (b'', b'x', b'0', b'\\\\x00', good.encode() + b'AAAA=', b'{"v":1}')}, {'22P02'},
    'a text that is none')
# three limbs less, and what is left is a ciphertext, but of no key
is_(sqlstate(collector.rows, INSERT, 'a1', base, text_of(good_bytes[:-24])), '22000', 'cut by whole limbs')
is_({sqlstate(collector.copy_in, 'COPY metering.reading FROM STDIN (FORMAT binary)', binary[:-2 - cut])
    for cut in (1, 5, 64, 90)}, {'22P04'}, 'a binary file cut short')
is_(sqlstate(collector.copy_in, 'COPY metering.reading FROM STDIN', b'a1\t' + base.encode() + b'\n'), '22P04',
    'a line without a reading')
is_(staged(), 0, 'nothing is left of them')

# the key that is set, taken out of the registry: sessions that begin now do not know it
admin.run(f"CREATE TABLE kept AS SELECT * FROM paillier_key; DELETE FROM paillier_key WHERE key_id = '{key_id}'")
fresh = Session(user='collector')
error = failure(fresh.rows, INSERT, 'a1', base, good)
is_((error.sqlstate, error.message), ('42704', f'key {key_id} is not registered'), 'the key is not registered any more')
admin.run('INSERT INTO paillier_key SELECT * FROM kept ON CONFLICT DO NOTHING')
is_(sqlstate(fresh.rows, INSERT, 'a1', base, good), 'none', 'and is again')
fresh.close()

# ---- changes, seen by another session: not before they are committed, and then at once ----

send = lambda meter, time=base, session=collector: sqlstate(session.rows, INSERT, meter, time, good)
day = at('-3 days')
changes = [
    ('a new meter', 'c1', base, "INSERT INTO metering.meter (meter_id, region) VALUES ('c1', 'r')", '23503', 'none'),
    ('the end of its active range', 'c1', base, f"UPDATE metering.meter SET active = tstzrange(NULL, '{base}') WHERE "
        f"meter_id = 'c1'", 'none', '23514'),
    ('a longer active range', 'c1', base, "UPDATE metering.meter SET active = '(,)' WHERE meter_id = 'c1'", '23514',
        'none'),
    ('another collector', 'c1', base, "UPDATE metering.meter SET collector = 'other' WHERE meter_id = 'c1'", 'none',
        '23503'),
    ('any collector', 'c1', base, "UPDATE metering.meter SET collector = NULL WHERE meter_id = 'c1'", '23503', 'none'),
    ('a meter that is deleted', 'c1', base, "DELETE FROM metering.meter WHERE meter_id = 'c1'", 'none', '23503'),
    ('a shorter retention', 'a1', day, "UPDATE metering.setting SET retention = '1 day'", 'none', '23514'),
    ('a longer retention', 'a1', day, "UPDATE metering.setting SET retention = '45 days'", '23514', 'none'),
    ('a later start', 'a1', day, f"UPDATE metering.setting SET starts_at = '{base}'", 'none', '23514'),
    ('an earlier start', 'a1', day, f"UPDATE metering.setting SET starts_at = '{day}'", '23514', 'none'),
    ('a larger scale', 'a1', base, 'UPDATE metering.setting SET scale = 3', 'none', '22000'),
    ('the scale as it was', 'a1', base, 'UPDATE metering.setting SET scale = 0', '22000', 'none'),
    ('a smaller width', 'a1', base, 'UPDATE metering.setting SET width = 63', 'none', '22003'),
    ('the width as it was', 'a1', base, 'UPDATE metering.setting SET width = 64', '22003', 'none'),
    ('more tolerance', 'a1', future, "UPDATE metering.setting SET clock_tolerance = '1 hour'", '23514', 'none'),
    ('less tolerance', 'a1', future, "UPDATE metering.setting SET clock_tolerance = '0'", 'none', '23514'),
    ('other settings, restored from a dump', 'a1', day,
        f"INSERT INTO metering.setting (key_id, retention) VALUES ('{key_id}', '1 day')", 'none', '23514'),
    ('the settings as they were', 'a1', day, f"INSERT INTO metering.setting (key_id) VALUES ('{key_id}')", '23514',
        'none'),
    # by an hour that is past: as if the key had been changed then
    ('a period of settings that has ended', 'a1', at('5 min'),
        f"INSERT INTO metering.setting_history VALUES ('{at('1 hour')}', '{key_id}', '15 min', '2 hours', 'UTC')",
            'none', '23514'),
    ('a period of settings that has not been', 'a1', at('5 min'), 'DELETE FROM metering.setting_history', '23514',
        'none'),
    ('no meters at all', 'a1', base, 'TRUNCATE metering.meter', 'none', '23503'),
]
meters = admin.copy_out('COPY metering.meter TO STDOUT')
for name, meter, time, change, before, after in changes:
    first = send(meter, time)
    admin.run('BEGIN')
    admin.run(change)
    during = send(meter, time)
    admin.run('ROLLBACK')
    rolled_back = send(meter, time)
    admin.run(change)
    is_([first, during, rolled_back, send(meter, time)], [before, before, before, after],
        f'{name}: before, not committed, rolled back, committed')
admin.copy_in('COPY metering.meter FROM STDIN', meters)
is_(send('a1'), 'none', 'all meters again')

# in the session that makes the change
admin.run("BEGIN; INSERT INTO metering.meter (meter_id, region) VALUES ('d1', 'r')")
is_(send('d1', session=admin), 'none', 'a session sees its own new meter')
admin.run('ROLLBACK')
is_(send('d1', session=admin), '23503', 'and does not when it is rolled back')
admin.run("BEGIN; SAVEPOINT s; INSERT INTO metering.meter (meter_id, region) VALUES ('d1', 'r')")
is_(send('d1', session=admin), 'none', 'in a subtransaction too')
admin.run('ROLLBACK TO s')
is_(send('d1', session=admin), '23503', 'and not when that is rolled back')
admin.run('ROLLBACK')
admin.run("BEGIN; UPDATE metering.setting SET retention = '1 hour'")
is_(send('a1', session=admin), '23514', 'its own settings')
admin.run('ROLLBACK')
is_(send('a1', session=admin), 'none', 'and not when they are rolled back')

# in the middle of another session's transaction, whatever its isolation
for level in ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'):
    collector.run(f'BEGIN ISOLATION LEVEL {level}')
    before = send('a1')
    admin.run("INSERT INTO metering.meter (meter_id, region) VALUES ('e1', 'r')")
    new = send('e1')
    collector.run('ROLLBACK')
    is_((before, new), ('none', 'none'), f'a new meter is known in a transaction that is open: {level}')
    admin.run("DELETE FROM metering.meter WHERE meter_id = 'e1'")
collector.run('PREPARE send AS ' + INSERT)
row = '\t'.join(('a1', base, good)).encode() + b'\n'
for name, call in [('INSERT', lambda: send('a1')),
        ('COPY', lambda: sqlstate(collector.copy_in, 'COPY metering.reading FROM STDIN', row)),
                   ('a prepared INSERT', lambda: sqlstate(collector.run, f"EXECUTE send ('a1', '{base}', '{good}')"))]:
    collector.run('BEGIN')
    before = [call(), call()]
    admin.run(f"UPDATE metering.meter SET active = tstzrange(NULL, '{base}') WHERE meter_id = 'a1'")
    is_(before + [call()], ['none', 'none', '23514'],
        f'nor does a meter that has ended in the meantime get through: {name}')
    collector.run('ROLLBACK')
    admin.run("UPDATE metering.meter SET active = '(,)' WHERE meter_id = 'a1'")
collector.run('DEALLOCATE send')

# without the extension, and with it again
admin.run('SELECT begin_metering()')
is_(send('a1'), '42501', 'rights end with the extension')
admin.run("SELECT metering.grant_access(r::name, r) FROM unnest(ARRAY['collector', 'operator', 'analyst', 'biller', "
    "'monitor']) r; SELECT metering.grant_access(r::name, 'collector') FROM unnest(ARRAY['other', 'team', 'guest']) r;")
is_(send('a1'), '23503', 'a session that knew the meters of the one before does not now')
admin.copy_in('COPY metering.meter FROM STDIN', meters)
is_(send('a1'), 'none', 'until they are there')

# ---- collectors ----

member, guest = Session(user='member'), Session(user='guest')
is_([send('t1', session=s) for s in (member, guest, collector, admin)], ['none', '23503', '23503', 'none'],
    'members of a group that are its heirs may send for it, and a superuser')
gap_meters = lambda session: {row[0] for row in session.rows(f"SELECT DISTINCT meter_id FROM metering.gap")}
common = {'a1', 'm' * 63, 'ключ "1"'}
admin.run("TRUNCATE metering.reading; UPDATE metering.meter SET active = '(,)' WHERE meter_id = 'a2'")
for hour in range(-6, 1):
    send('a1', at(f'{hour} hours'), admin)
is_(gap_meters(admin), set(), 'nothing is asked for before a bill window is sealed')
admin.run(f"CALL metering.rollup('{base}')")
is_(admin.rows('SELECT * FROM metering.acknowledged'), [], 'nothing is acknowledged that backups may lack')
admin.run("UPDATE metering.setting SET backup_interval = '0'")
is_(gap_meters(collector), common | {'a2', 'a3'}, 'a collector sees the gaps of its own meters and of those of all')
is_(gap_meters(other), common | {'a2', 'b1'}, 'another one its own')
is_(gap_meters(member), common | {'a2', 't1'}, 'a member those of its group')
is_({row[0] for row in collector.rows('SELECT meter_id FROM metering.acknowledged')}, common | {'a2', 'a3'},
    'the same where readings are acknowledged')
operator = Session(user='operator')
for meter in common | {'a2', 'a3', 'b1', 't1'}:
    admin.rows(f"INSERT INTO metering.reading SELECT $1, '{base}'::timestamptz + i * interval '5 min', $2 FROM "
        f"generate_series(0, 11) i", meter, good)
admin.run("DELETE FROM metering.reading WHERE meter_id = 'b1'")
admin.run('UPDATE metering.setting SET grace = \'0\'')
admin.run(f"CALL metering.rollup('{at('1 hour')}')")
is_(operator.rows('SELECT gaps FROM metering.health'), admin.rows('SELECT count(*) FROM metering.gap_of_all'),
    'health counts the gaps of all, when an operator asks too')
is_(admin.one('SELECT count(*) > count(DISTINCT meter_id) AND count(DISTINCT meter_id) = 7 FROM metering.gap_of_all'),
    't', 'of which there are many')
is_(admin.rows("SELECT r.rolname, unnest(d.setconfig) FROM pg_db_role_setting d JOIN pg_roles r ON r.oid = d.setrole "
    "ORDER BY 1"),
    [(role, 'idle_in_transaction_session_timeout=1min') for role in ('collector', 'guest', 'other', 'team')],
        'collectors may not stay in a transaction for long, unless they change that themselves')
admin.run('DROP OWNED BY other')
other.close()
admin.run('DROP ROLE other')
is_(sqlstate(collector.rows, 'SELECT * FROM metering.gap'), 'none',
    'gaps are there when the role of a collector is gone')
is_(sqlstate(operator.rows, 'SELECT * FROM metering.health'), 'none', 'and health')
is_(sqlstate(Session(user='monitor').rows, 'SELECT * FROM metering.health, metering.progress'), 'none',
    'whoever monitors sees health too')
is_([send('b1'), send('b1', session=admin)], ['23503', 'none'], 'whose meters nobody may send for')

# ---- levels: what each may do with each table and function ----

# somebody who may create tables has no need of rights on metering
sessions = {name: Session(user=name) for name in ('collector', 'operator', 'analyst', 'biller', 'monitor', 'nobody')}
relations = [row[0] for row in admin.rows("SELECT relname FROM pg_class WHERE relnamespace = 'metering'::regnamespace "
    "AND relkind IN ('r', 'p', 'v', 'S') ORDER BY 1")]
first_column = dict(admin.rows("SELECT relname, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE "
    "relnamespace = 'metering'::regnamespace AND attnum = 1"))
commands = {
    'SELECT': 'EXPLAIN SELECT * FROM metering.{0}', 'INSERT': 'EXPLAIN INSERT INTO metering.{0} DEFAULT VALUES',
        'UPDATE': 'EXPLAIN UPDATE metering.{0} SET {1} = DEFAULT',
    'DELETE': 'EXPLAIN DELETE FROM metering.{0}', 'TRUNCATE': 'TRUNCATE metering.{0}',
        'REFERENCES': 'CREATE TABLE pg_temp.t (LIKE metering.{0})',
    'LOCK': 'LOCK TABLE metering.{0} IN ACCESS EXCLUSIVE MODE'}
allowed = {
    'collector': {'INSERT reading', 'INSERT register_read', 'SELECT gap', 'SELECT acknowledged', 'SELECT lost'},
    'operator': {f'{c} {t}' for c in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'LOCK')
        for t in ('meter', 'tariff', 'rate')}
        | {f'SELECT {t}' for t in ('setting', 'gap', 'acknowledged', 'health', 'progress', 'rollup_log',
            'setting_period', 'contract', 'tariff_problem', 'reconciliation',
            'voided_region_hour', 'uncounted', 'lost', 'window_grid', 'incomplete', 'tariff_in_use',
            'issue_run', 'unbilled', 'key_use', 'voided_register')} |
                {'UPDATE setting', 'LOCK setting'},
    'analyst': {'SELECT region_load', 'SELECT region_hour', 'SELECT region_total', 'SELECT voided_region_hour'},
    'biller': {f'SELECT {t}' for t in ('bill', 'account_bill', 'bill_window', 'incomplete', 'sealed_window', 'meter',
        'contract', 'tariff', 'rate', 'window_price', 'issue_run', 'issued_price', 'issued_stretch', 'issued_bill',
        'unbilled', 'unissued_contract', 'register_check', 'reconciliation', 'register_bill', 'interval_history')},
    'monitor': {f'SELECT {t}' for t in ('health', 'progress', 'rollup_log', 'lost')},
    'nobody': set()}
models = {'region', 'region_model', 'forecast_model', 'forecast_weight'}
allowed['analyst'] |= {f'{c} {t}' for c in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'LOCK')
    for t in models} | {f'SELECT {t}' for t in (
    'region_day', 'region_week', 'region_month', 'region_profile', 'region_week_profile', 'region_part',
        'region_tree_load', 'forecast_lag', 'region_forecast')}
for role, session in sessions.items():
    can = set()
    for relation in relations:
        for command, statement in commands.items():
            session.run('BEGIN')
            error = failure(session.run, statement.format(relation, first_column.get(relation, 'x')))
            # a view cannot be truncated, nor a sequence written to, whoever asks
            if (error is None or error.sqlstate not in ('42501', '42809', '55000', '428C9', '0A000')):
                can.add(f'{command} {relation}')
            session.run('ROLLBACK')
    like = {f'REFERENCES {r}' for r in relations if f'SELECT {r}' in allowed[role]}
    # these have no column that could be updated: the statement is no statement
    can -= {f'UPDATE {table}_turn' for table in ('meter', 'rate', 'region', 'issue')}
    is_(sorted(can - like), sorted(allowed[role]), f'{role}: tables and views')

# arguments that are no constants: a strict function of NULL is not called at all
functions = admin.rows('''SELECT p.proname, CASE prokind WHEN 'p' THEN format('CALL metering.%I(NULL)', p.proname)
        ELSE format('SELECT metering.%I(%s) FROM (SELECT %s OFFSET 0) a', p.proname,
            (SELECT string_agg('a' || i, ', ') FROM generate_series(1, pronargs) i),
            (SELECT string_agg(format('NULL::%s AS a%s', t::regtype, i), ', ')
                FROM unnest(proargtypes) WITH ORDINALITY a (t, i))) END
    FROM pg_proc p WHERE pronamespace = 'metering'::regnamespace
        AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND prokind <> 'a' ORDER BY 1''')
everybody = {'bits', 'minute_bit', 'minutes', 'missing_minutes', 'count_minutes', 'month_slot', 'slot', 'utc_hour',
    'window_label', 'window_of'}
may_call = {'collector': everybody | {'accept', 'accept_register', 'own_roles'}}
may_call['operator'] = everybody | {'rollup', 'next_step', 'late_slots', 'sweep', 'seal_hour', 'seal_window', 'price',
    'void_region_hour', 'staging_relations', 'staging_is_published',
    'staged_bytes', 'own_roles', 'restored', 'forget', 'move_start', 'month_slots', 'forget_slot', 'forget_rows',
    'issue_bills', 'confirm_issued', 'assign_tariff', 'void_register'}
may_call['monitor'] = everybody | {'staging_relations', 'staging_is_published', 'staged_bytes', 'price'}
may_call['biller'] = everybody | {'price', 'invoice', 'known_charge', 'draft_bills', 'issued_invoice',
    'interval_at', 'price_curve', 'register_amount', 'register_stretch', 'shortest_interval'}
may_call['nobody'] = set()
may_call['analyst'] = everybody | {'moving_average', 'calendar_regression', 'holt_winters', 'forecast',
    'decrypted_load', 'region_statistics', 'region_quantiles', 'backtest'}
for role, session in sessions.items():
    is_(sorted(name for name, call in functions if sqlstate(session.run, call) != '42501'), sorted(may_call[role]),
        f'{role}: functions')

# by the front door only
slot = admin.one(f"SELECT metering.staging_partition(metering.slot('{base}'))")
is_(sqlstate(collector.rows, f'INSERT INTO {slot} VALUES ($1, $2, $3)', 'a1', base, good), '42501',
    'a collector does not write to a partition')
is_(sqlstate(collector.rows, INSERT + ' RETURNING meter_id', 'a1', base, good), '42501', 'nor sees what it sent')
is_(sqlstate(collector.copy_out, 'COPY metering.reading TO STDOUT'), '42501', 'by COPY neither')
is_(sqlstate(collector.rows, 'INSERT INTO metering.reading SELECT * FROM metering.reading'), '42501',
    'nor sends again what is there')
is_(sqlstate(collector.run, 'CREATE TRIGGER t AFTER INSERT ON metering.reading FOR EACH ROW EXECUTE FUNCTION '
    'metering.announce()'), '42501', 'nor puts a trigger there')
is_(sqlstate(sessions['nobody'].run, 'CREATE TEMP TABLE t (i int)'), 'none',
    'who has no rights on metering works as ever')
analyst = sessions['analyst']
is_(sqlstate(analyst.run, "CREATE FUNCTION pg_temp.setting() RETURNS int LANGUAGE sql AS 'SELECT 1'"), 'none',
    'a function of one\'s own')
is_(sqlstate(operator.run, f"CALL metering.rollup('{at('2 hours')}')"), 'none', 'an operator rolls up')
is_(sqlstate(operator.rows, 'SELECT metering.seal_hour($1)', admin.one('SELECT sealed_until FROM metering.progress')),
    '55000' if admin.one(
    "SELECT sealed_until + interval '1 hour' > now() FROM metering.progress") == 't' else 'none',
        'but not before an hour has ended')
finish()
PYTHON
