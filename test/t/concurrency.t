#!/usr/bin/env bash
# concurrency.t
#	Sessions that meet: first one by one, each at the worst moment, then all at
#	once: ten collectors, two roll-ups, a reader.  No error, no deadlock, no
#	reading lost or counted twice, and nobody waits for what is not its business.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
here=$(dirname "${BASH_SOURCE[0]}")
own_server "deadlock_timeout = 100ms" "log_lock_waits = on" "max_connections = 60" "max_prepared_transactions = 5"
# no statement waits for ever
export PGOPTIONS='-c paillier.min_key_bits=128 -c jit=off -c statement_timeout=60s'
fresh concurrency_test 'paillier_metering CASCADE'
psql -Xq -v ON_ERROR_STOP=1 -f "$here/metering.psql"

PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 SERVER_LOG=$CLUSTER/log python3 - <<'PYTHON'
import os
import subprocess
import threading
import time
from client import Error, Session, diag, failure, finish, is_, ok, sqlstate

admin, collector, first, second = Session(), Session(), Session(), Session()
INSERT = 'INSERT INTO metering.reading VALUES ($1, $2, encrypted($3))'
h = admin.one("SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z')")


def at(minutes):
    return admin.one(f"SELECT '{h}'::timestamptz + {minutes} * interval '1 min'")


def begin(settings='scale = 0', hours=2):
    """Two meters with some hours of readings."""
    admin.run(f"SELECT begin_metering($${settings}$$); SELECT add_meters('m', 2, 'r'); SELECT send('m.', '{h}', "
        f"'{at(60 * hours)}')")


def late(meter, minute, value, session=collector):
    """Another reading of what has been left out."""
    admin.rows('INSERT INTO sent VALUES ($1, $2, $3, true)', meter, at(minute), value)
    session.rows(INSERT, meter, at(minute), value)


def forget(meter, minute):
    """Leave a reading out of what was sent."""
    admin.rows('DELETE FROM metering.reading WHERE meter_id = $1 AND read_at = $2', meter, at(minute))
    admin.rows('DELETE FROM sent WHERE meter_id = $1 AND read_at = $2', meter, at(minute))


def rollup(minutes):
    return f"CALL metering.rollup('{at(minutes)}')"


def waits(session, seconds=30):
    """Wait until a session waits for a lock; the processes that it waits for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        blockers = admin.one('SELECT pg_blocking_pids($1)::text', session.pid)
        if blockers != '{}' or session.done():
            return {int(pid) for pid in blockers.strip('{}').split(',') if pid}
    return set()


def steps():
    return [row[0] for row in admin.rows("SELECT concat_ws(' ', step, EXTRACT(epoch FROM starts - $1)::int / 60) FROM "
        "metering.rollup_log ORDER BY id", h)]


def wrong():
    return admin.rows('SELECT wrong_regions() UNION ALL SELECT wrong_meters()')


def staged():
    return int(admin.one('SELECT count(*) FROM metering.reading'))


# ---- before metering has started ----

# one reading is here; older ones of another meter, of hours in other partitions, are on their way
admin.run(f"SELECT begin_metering(); SELECT add_meters('m', 2, 'r'); SELECT send('m1', '{at(240)}', '{at(250)}')")
collector.run('BEGIN')
collector.run(f"SELECT send('m2', '{h}', '{at(240)}')")
first.run(rollup(400))
ok(any('metering will start with the next roll-up' in notice for notice in first.notices),
   'metering does not start while readings are on their way', first.notices)
is_((steps(), admin.rows('SELECT starts_at FROM metering.setting')), ([], [(None,)]), 'nothing is decided or sealed')
is_(admin.rows('SELECT metering.late_slots(now())'), [], 'nothing is late')
for slot in range(48):
    first.start(f'SELECT metering.sweep({slot})')
    is_(waits(first, 0.02), set(), f'partition {slot} is not waited for') if slot == 0 else waits(first, 0.02)
    first.finish()
collector.run('COMMIT')
is_(staged(), 50, 'and nothing is swept away')
is_([failure(admin.run, f"SELECT metering.purge('metering.reading_{slot:02}', NULL, NULL)").sqlstate
    for slot in (0, 47)],
    ['55000', '55000'], 'nor purged by whoever owns it')
first.run(rollup(400))
is_((admin.one('SELECT starts_at = $1 FROM metering.setting', h), staged()), ('t', 0),
    'metering starts with the oldest')
is_(wrong(), [], 'and counts every reading')
is_(admin.one("SELECT sum(refused) FROM metering.rollup_log"), '0', 'none is refused')
collector.run('BEGIN; SELECT FROM metering.meter LIMIT 1')
is_(sqlstate(collector.rows, INSERT, 'm2', at(-60), 1), '23514', 'what is older now is told so at the door')
collector.run('ROLLBACK')

# ---- settings that change while readings are on their way ----

history = "SELECT count(*), min(until) > now(), bool_and(until = (SELECT window_end FROM metering.window_of(until - interval '1 min'))) FROM metering.setting_history"
admin.run("SELECT begin_metering($$backup_interval = '0'$$); SELECT add_meters('m', 3, 'r')")
collector.run('BEGIN')
collector.run(f"SELECT send('m.', '{h}', '{at(60)}')")
second.start("UPDATE metering.setting SET reading_interval = '15 min'")
is_(waits(second), {collector.pid}, 'a change of settings waits for readings that are on their way')
collector.run('COMMIT')
second.finish()
is_(admin.rows(history), [('1', 't', 't')], 'and holds from the end of the window that is open')
first.run(rollup(140))
is_(steps(), ['hour 0'], 'an hour that nobody has sent a reading of waits for newer ones')
collector.run(f"SELECT send('m.', '{at(120)}', '{at(125)}')")
first.run(rollup(140))
is_(admin.one("SELECT count(*) FROM metering.gap WHERE read_at >= $1 AND read_at < $1::timestamptz + interval '1 "
    "hour'", at(60)), '36',
    'the readings that are missing are asked for as they were to be sent')
is_(admin.rows('SELECT DISTINCT until FROM metering.acknowledged'), [(at(0),)], 'and no meter may forget them')
is_(wrong(), [], 'what came is counted')
admin.run("SELECT begin_metering(); SELECT add_meters('m', 3, 'r')")
admin.run(f"SELECT send('m.', '{h}', '{at(60)}')")
second.run("BEGIN; UPDATE metering.setting SET bill_window = '4 hours'; UPDATE metering.setting SET zone = "
    "'Asia/Kolkata'")
is_(second.one('SELECT count(*) FROM metering.setting_history'), '0',
    'when a change holds from is not decided before it is committed')
second.run('COMMIT')
is_(admin.rows(history), [('1', 't', 't')], 'several changes are one')
is_(admin.rows("SELECT bill_window, zone FROM metering.setting_history"), [('02:00:00', 'UTC')],
    'and what held before is what is kept')
for what, prepare, after in [('a clock that went back',
        "UPDATE metering.progress SET sealed_until = date_trunc('hour', now()) + interval '7 hours', billed_until = "
            "date_trunc('hour', now()) + interval '5 hours'", 7),
                             ('a tolerance of hours', "UPDATE metering.setting SET clock_tolerance = '9 hours'", 9)]:
    admin.run(f"SELECT begin_metering(); SELECT add_meters('m', 3, 'r'); SELECT send('m.', '{h}', '{at(60)}'); SELECT "
        f"metering.next_step('{at(1)}')")
    admin.run(prepare)
    admin.run("UPDATE metering.setting SET reading_interval = '15 min'")
    is_(admin.one(f"SELECT min(until) > now() + interval '{after - 1} hours' FROM metering.setting_history"), 't',
        f'behind {what} too')

# ---- a reading that is not committed when its hour is due ----

begin(hours=3)
admin.run(f"SELECT metering.next_step('{at(300)}')")
forget('m1', 5)
collector.run('BEGIN')
collector.rows(INSERT, 'm1', at(5), 77)
first.run(rollup(300))
ok(any('is still being written to' in notice for notice in first.notices),
    'an hour that is being written to is left alone, with a notice', first.notices)
is_((steps(), staged()), ([], 71), 'nothing is sealed and nothing lost')
is_(sqlstate(second.rows, INSERT, 'm2', at(200), 1), 'none', 'others go on')
admin.rows("INSERT INTO sent VALUES ('m2', $1, 1)", at(200))
collector.run('COMMIT')
admin.rows("INSERT INTO sent VALUES ('m1', $1, 77)", at(5))
first.run(rollup(195))
is_(steps(), ['hour 0', 'hour 60', 'window 0', 'hour 120'], 'it is sealed when the other has committed')
is_(wrong(), [], 'with what was committed, once')

# ---- an hour that is being sealed ----

begin(hours=3)
forget('m1', 5)
admin.run(f"SELECT metering.next_step('{at(300)}')")
first.run('BEGIN')
first.run(f"SELECT metering.seal_hour('{h}')")
collector.run("SET lock_timeout = '10s'")
is_([sqlstate(collector.rows, INSERT, 'm2', at(180 + 60 * hour), 1) for hour in range(26)], ['none'] * 26,
    'while an hour is sealed others take readings')
admin.rows("INSERT INTO sent SELECT 'm2', $1::timestamptz + i * interval '1 hour', 1 FROM generate_series(3, 28) i", h)
collector.start(INSERT, 'm1', at(5), 77)
is_(waits(collector), {first.pid}, 'a late reading of the same hour waits')
second.start(rollup(75))
is_(waits(second), {first.pid}, 'so does another roll-up')
first.run('COMMIT')
collector.finish()
second.finish()
admin.rows("INSERT INTO sent VALUES ('m1', $1, 77, true)", at(5))
second.run(rollup(195))
is_([step for step in steps() if step != 'late'], ['hour 0', 'hour 60', 'window 0', 'hour 120'],
    'which finds the hour sealed, and goes on')
is_(wrong(), [], 'the late reading is in the bill, and not in the hour')
is_(admin.one("SELECT readings FROM metering.bill_window WHERE meter_id = 'm1' AND window_start = $1", h), '24',
    'in its own window, which was open')

# ---- two roll-ups ----

begin()
first.run('BEGIN')
first.run(f"SELECT metering.next_step('{at(300)}')")
second.start(rollup(300))
is_(waits(second), {first.pid}, 'two roll-ups: the second waits')
first.run('ROLLBACK')
second.finish()
is_(steps()[:3], ['hour 0', 'hour 60', 'window 0'], 'and does what the first has not done')
is_(wrong(), [], 'exactly')
begin()
admin.run(f"SELECT metering.next_step('{at(300)}')")
# both know what is next; only one does it
is_(first.rows(f"SELECT step FROM metering.next_step('{at(300)}')"),
    second.rows(f"SELECT step FROM metering.next_step('{at(300)}')"), 'two roll-ups have the same plan')
first.run('BEGIN')
first.run(f"SELECT metering.seal_hour('{h}')")
second.start(f"SELECT metering.seal_hour('{h}')")
is_(waits(second), {first.pid}, 'the second waits')
first.run('COMMIT')
is_((second.finish(), steps()), ([('t',)], ['hour 0']), 'and finds nothing to do')
admin.run(f"SELECT metering.seal_hour('{at(60)}')")
first.run('BEGIN')
first.run(f"SELECT metering.seal_window('{h}')")
second.start(f"SELECT metering.seal_window('{h}')")
is_(waits(second), {first.pid}, 'with a window the same')
first.run('COMMIT')
is_((second.finish(), steps()), ([('t',)], ['hour 0', 'hour 60', 'window 0']), 'which is sealed once')
is_(wrong(), [], 'exactly')

# ---- readings that come between an hour and its window ----

begin(hours=4)
forget('m1', 5)
forget('m2', 65)
first.run(rollup(75))
late('m1', 5, 11)
admin.run(f"SELECT metering.seal_hour('{at(60)}')")
first.run(rollup(136))
is_(admin.rows("SELECT meter_id, readings, carried, missing FROM metering.bill_window LEFT JOIN metering.incomplete "
    "USING (meter_id, window_start) ORDER BY 1"),
    [('m1', '24', '0', None), ('m2', '23', '0', '1')], 'a reading that comes after its hour is in its window')
is_(wrong(), [], 'and not in the hour')
begin(hours=4)
forget('m1', 5)
admin.run(f"SELECT metering.next_step('{at(300)}'); SELECT metering.seal_hour('{h}')")
admin.run(f"SELECT metering.seal_hour('{at(60)}')")
is_(admin.rows(f"SELECT step FROM metering.next_step('{at(300)}')"), [('window',)], 'a window is next')
late('m1', 5, 11)
admin.run(f"SELECT metering.seal_window('{h}')")
first.run(rollup(300))
is_(admin.rows("SELECT readings, carried FROM metering.bill_window WHERE meter_id = 'm1' ORDER BY window_start LIMIT "
    "2"), [('23', '0'), ('25', '1')],
    'one that comes when its window is being sealed is in the next')
is_(admin.rows("SELECT * FROM metering.incomplete WHERE meter_id = 'm1' AND window_start = $1", h), [],
    'and its own window lacks nothing any more')
is_(wrong(), [], 'exactly once')

# ---- where a roll-up cannot commit ----

begin()
first.run('BEGIN')
error = failure(first.run, rollup(300))
is_((error.sqlstate, error.message), ('2D000', 'invalid transaction termination'),
    'a roll-up in a transaction block is an error')
first.run('ROLLBACK')
is_((steps(), staged(), admin.one('SELECT sealed_until FROM metering.progress')), ([], 48, None),
    'and has done nothing')
is_(sqlstate(first.run, f"DO $$ BEGIN {rollup(300)}; END $$"), 'none', 'in a DO block it is not')
is_(wrong(), [], 'and does all')

# ---- other isolation levels ----

for level in ('repeatable read', 'serializable'):
    begin(hours=3)
    forget('m1', 5)
    first.run(f"SET default_transaction_isolation = '{level}'")
    second.run(f"SET default_transaction_isolation = '{level}'")
    collector.run('BEGIN')
    collector.rows(INSERT, 'm1', at(5), 77)
    first.start(rollup(195))
    waits(first)
    collector.run('COMMIT')
    admin.rows("INSERT INTO sent VALUES ('m1', $1, 77)", at(5))
    is_(failure(first.finish), None, f'{level}: a roll-up that waits for a reading')
    first.run(rollup(195))
    is_(wrong(), [], f'{level}: has it in its totals')
    is_(admin.one('SELECT sum(readings) FROM metering.region_hour'), '72', f'{level}: all of them')
    begin()
    first.run('BEGIN ISOLATION LEVEL READ COMMITTED')
    first.run(f"SELECT metering.next_step('{at(300)}')")
    first.run(f"SELECT metering.seal_hour('{h}')")
    second.start(rollup(300))
    waits(second)
    first.run('COMMIT')
    is_(failure(second.finish), None, f'{level}: a roll-up that waits for another')
    is_(wrong(), [], f'{level}: and goes on from there')
    first.run('RESET default_transaction_isolation')
    second.run('RESET default_transaction_isolation')

# ---- cancelled, timed out, terminated in the middle of a step ----

HOLD = 'LOCK TABLE metering.rollup_log IN SHARE ROW EXCLUSIVE MODE'
for kind in ('hour', 'window'):
    for how in ('cancelled', 'timed out', 'terminated'):
        begin()
        if kind == 'window':
            admin.run(f"SELECT metering.next_step('{at(300)}'); SELECT metering.seal_hour('{h}')")
            admin.run(f"SELECT metering.seal_hour('{at(60)}')")
        before = admin.one('SELECT (SELECT count(*) FROM metering.reading) || $$ $$ || (SELECT count(*) FROM '
            'metering.partial) || $$ $$ || (SELECT count(*) FROM metering.region_hour)')
        # all is done but the log: the partition is empty already
        second.run('BEGIN; ' + HOLD)
        victim = Session()
        if how == 'timed out':
            victim.run("SET statement_timeout = '4s'")
        victim.start(rollup(300))
        is_(waits(victim), {second.pid}, f'{kind}: a roll-up that has almost sealed it')
        if how == 'cancelled':
            victim.cancel()
        elif how == 'terminated':
            admin.one('SELECT pg_terminate_backend($1)', victim.pid)
        is_(sqlstate(victim.finish), {'cancelled': '57014', 'timed out': '57014', 'terminated': '57P01'}[how],
            f'{kind}: is {how}')
        victim.close()
        second.run('ROLLBACK')
        is_(admin.one('SELECT (SELECT count(*) FROM metering.reading) || $$ $$ || (SELECT count(*) FROM '
            'metering.partial) || $$ $$ || (SELECT count(*) FROM metering.region_hour)'), before,
            f'{kind}: nothing has changed')
        first.run(rollup(300))
        is_((steps()[:3], wrong()), (['hour 0', 'hour 60', 'window 0'], []), f'{kind}: the next roll-up does it')

# ---- somebody who reads and forgets to commit ----

# one session for each, with a cursor that is open all the time
begin(hours=4)
forget('m1', 5)
first.run(rollup(195))
readers = []
for view in ('gap', 'health', 'acknowledged', 'progress', 'rollup_log', 'bill', 'region_load', 'staging_table',
        'staging_grant'):
    reader = Session()
    reader.run(f'BEGIN; DECLARE c CURSOR FOR SELECT * FROM metering.{view}; FETCH 1 FROM c')
    readers.append(reader)
is_(admin.rows("""SELECT DISTINCT l.relation::regclass FROM pg_locks l JOIN metering.staging_table s ON s.staging_table = l.relation WHERE l.pid <> pg_backend_pid()"""), [],
    'whoever reads gaps, health and totals locks nothing of staging')
first.run("SET lock_timeout = '500ms'")
first.notices.clear()
is_(failure(first.run, rollup(300)), None, 'and does not hold up sealing')
is_([notice for notice in first.notices if 'in use' in notice or 'next roll-up' in notice], [], 'not even for a moment')
is_((steps()[-3:], wrong()), (['hour 120', 'hour 180', 'window 120'], []), 'all that is due is sealed')
for reader in readers:
    is_(failure(reader.run, 'FETCH ALL FROM c; COMMIT'), None, 'a reader goes on')
    reader.close()
first.run('RESET lock_timeout')

# the other way round: health is there while an hour is sealed and a partition is being emptied
begin()
admin.run(f"SELECT metering.next_step('{at(300)}')")
first.run('BEGIN')
first.run(f"SELECT metering.seal_hour('{h}')")
second.run("SET lock_timeout = '500ms'")
for view in ('gap', 'health', 'acknowledged', 'progress', 'rollup_log'):
    is_(sqlstate(second.rows, f'SELECT * FROM metering.{view}'), 'none', f'{view} is read while an hour is sealed')
second.run('RESET lock_timeout')
first.run('ROLLBACK')

# ---- sessions that use staging, and stay ----

admin.run('CREATE ROLE stranger LOGIN')
for what, role, table, statement in [
        ('a session that reads staging', 'postgres', 'hour', 'SELECT count(*) FROM metering.reading'),
        ('one that reads partial totals', 'postgres', 'window', 'SELECT count(*) FROM metering.partial'),
        ('a role without rights that asks for the partitions', 'stranger', 'hour',
            'SELECT count(*) FROM pg_partition_tree({tree})')]:
    begin("patience = '8 s'", hours=4)
    first.run(rollup(75))
    if table == 'window':
        admin.run(f"SELECT metering.seal_hour('{at(60)}')")
    before = steps()
    idle = Session(user=role, options='-c application_name=idle -c jit=off')
    idle.run('BEGIN; ' + statement.format(tree=admin.one("SELECT 'metering.reading'::regclass::oid")))
    first.notices.clear()
    is_(failure(first.run, rollup(300)), None, f'a roll-up does not wait for {what}')
    ok(any(f'session {idle.pid} of role "{role}" (idle)' in notice for notice in first.notices), 'and says who it is',
        first.notices)
    is_(steps(), before, 'and leaves the rest to the next one')
    is_(sqlstate(collector.rows, INSERT, 'm1', at(65), 1), 'none', 'readings come in')
    is_(admin.rows("SELECT blocked_by, blocked_since <= now(), problems::text LIKE '%could not lock staging%' FROM "
        "metering.health"),
        [(f'session {idle.pid} of role "{role}" (idle)', 't', 't')], 'health names the session')
    is_(admin.rows('SELECT blocked_by, blocked_since FROM metering.progress'),
        admin.rows('SELECT blocked_by, blocked_since FROM metering.health'), 'so does progress')
    is_(sqlstate(idle.run, 'SELECT 1'), 'none', 'whose time is not over yet')
    time.sleep(8)
    first.notices.clear()
    is_(failure(first.run, rollup(300)), None, 'when it is over')
    ok(any(f'session {idle.pid} of role "{role}" (idle) was ended' in notice for notice in first.notices),
        'the session is ended, and the roll-up says so', first.notices)
    is_(sqlstate(idle.run, 'SELECT 1'), '57P01', 'by an administrator\'s command')
    is_([step for step in steps() if step != 'late'][:3], ['hour 0', 'hour 60', 'window 0'], 'and the roll-up goes on')
    is_((wrong(), admin.rows('SELECT blocked_by, blocked_since FROM metering.health')), ([], [(None, None)]),
        'with exact totals, and health has nothing to say of it')
    idle.close()

# prepared transactions cannot be ended: they are named
begin("patience = '1 s'", hours=4)
first.run(rollup(75))
second.run("BEGIN; SELECT count(*) FROM metering.reading; PREPARE TRANSACTION 'forgotten'")
first.run(rollup(300))
time.sleep(1)
first.notices.clear()
first.run(rollup(300))
ok(any('by prepared transaction "forgotten" of role "postgres"' in notice for notice in first.notices),
    'a prepared transaction is named', first.notices)
is_((steps(), admin.one('SELECT blocked_by FROM metering.health')),
    (['hour 0'], 'prepared transaction "forgotten" of role "postgres"'), 'and holds the roll-up up')
second.run("ROLLBACK PREPARED 'forgotten'")
first.run(rollup(300))
is_((steps()[:3], wrong(), admin.one('SELECT blocked_by FROM metering.health')),
    (['hour 0', 'hour 60', 'window 0'], [], None), 'until it is gone')

# what has sent readings is not prepared at all
second.run('BEGIN')
second.run(f"SELECT send('m1', '{at(300)}', '{at(305)}')")
is_(str(failure(second.run, "PREPARE TRANSACTION 'sent'")),
    '0A000 a transaction that has sent readings cannot be prepared', 'a transaction that sends readings is not prepared')
is_(admin.one('SELECT count(*) FROM pg_prepared_xacts'), '0', 'and leaves none behind')

# ---- somebody who looks every 100 ms ----

begin(hours=6)
looking, looks = threading.Event(), []
looking.set()


def look():
    session = Session(options='-c jit=off -c statement_timeout=60s')
    while looking.is_set():
        began = time.monotonic()
        for view in ('health', 'progress', 'rollup_log', 'gap', 'acknowledged', 'staging_table', 'lost'):
            session.rows(f'SELECT * FROM metering.{view}')
        looks.append(time.monotonic() - began)
        time.sleep(0.1)
    session.close()


monitors = [threading.Thread(target=look) for _ in range(2)]
for thread in monitors:
    thread.start()
first.notices.clear()
# one hour after the other, so that it takes a while
for minutes in range(75, 500, 30):
    first.run(rollup(minutes))
    time.sleep(0.1)
looking.clear()
for thread in monitors:
    thread.join()
is_([notice for notice in first.notices if 'in use' in notice or 'next roll-up' in notice], [],
    'monitoring holds nothing up')
is_((steps()[:6], wrong()), (['hour 0', 'hour 60', 'window 0', 'hour 120', 'hour 180', 'window 120'], []),
    'everything is sealed')
ok(len(looks) > 10, f'{len(looks)} looks, of which the longest took {max(looks):.2f} s')

# ---- all at once ----

COLLECTORS, METERS, HOURS = 10, 4, 8
# late readings of the last hour are enough for a total
admin.run("SELECT begin_metering('scale = 0, min_share = 0.05'); CREATE TABLE truth (meter_id text, read_at "
    "timestamptz, value numeric, is_late boolean)")
admin.run(f"INSERT INTO metering.meter (meter_id, region) SELECT format('c%s-%s', c, m), 'region ' || m % 2 FROM "
    f"generate_series(0, {COLLECTORS - 1}) c, generate_series(1, {METERS}) m")
admin.run(f'''INSERT INTO truth SELECT format('c%s-%s', c, m), '{h}'::timestamptz + i * interval '5 min',
    (c * 7919 + m * 104729 + i * 31) % 5000, m = 1 AND i % 5 = 2
    FROM generate_series(0, {COLLECTORS - 1}) c, generate_series(1, {METERS}) m,
        generate_series(0, {12 * HOURS - 1}) i''')
admin.run(f"UPDATE metering.setting SET starts_at = '{h}'")
key = admin.one("SELECT public FROM pipeline_key WHERE name = 'first'")
with open(os.environ['SERVER_LOG'] + '.key', 'w') as file:
    file.write(key)
lines = {}
for number in 1, 2:        # two encryptions of each reading
    plain = admin.copy_out("COPY (SELECT meter_id, to_char(read_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SSZ'), "
        "value FROM truth ORDER BY read_at, meter_id) TO STDOUT (FORMAT csv)")
    encrypted = subprocess.run(['paillier', 'encrypt', '--quiet', '--min-bits', '128', '--key',
        os.environ['SERVER_LOG'] + '.key'], input=plain, stdout=subprocess.PIPE, check=True).stdout
    lines[number] = encrypted.splitlines(keepends=True)
is_late = [row[0] == 't' for row in admin.rows('SELECT is_late FROM truth ORDER BY read_at, meter_id')]
per_slot = COLLECTORS * METERS

sealed = [0]        # hours
complete = [0] * COLLECTORS        # hours that a collector has sent, but for what will be late
sending = threading.Event()
sending.set()
errors, longest = [], [0.0] * COLLECTORS
lock = threading.Lock()


def guarded(function):
    def run(*arguments):
        try:
            function(*arguments)
        except Exception as error:
            with lock:
                errors.append(f'{function.__name__}: {error} {getattr(error, "detail", "")}')
    return run


def send(session, number, data):
    began = time.monotonic()
    session.copy_in('COPY metering.reading FROM STDIN', b''.join(data))
    longest[number] = max(longest[number], time.monotonic() - began)


def wait_for(hours, meanwhile):
    deadline = time.monotonic() + 60
    while sealed[0] < hours and not errors:
        meanwhile()
        time.sleep(0.05)
        if time.monotonic() > deadline:
            raise Exception(f'hour {sealed[0]} is not sealed')


@guarded
def collect(number):
    session = Session(options='-c application_name=collector -c jit=off -c paillier.min_key_bits=128 -c '
        'statement_timeout=60s')
    mine = lambda hour, which, wanted: [lines[which][i] for i in range(hour * 12 * per_slot, (hour + 1) * 12 * per_slot)
                                        if lines[which][i].startswith(f'c{number}-'.encode()) and is_late[i] in wanted]
    for hour in range(HOURS):
        data = mine(hour, 1, {False})
        for i in range(0, len(data), 12):
            send(session, number, data[i:i + 12])
        # one by one, and some of it again
        for line in mine(hour, 2, {False})[:6]:
            began = time.monotonic()
            session.rows('INSERT INTO metering.reading VALUES ($1, $2, $3)', *line.decode().rstrip('\n').split('\t'))
            longest[number] = max(longest[number], time.monotonic() - began)
        complete[number] = hour + 1
        # something that has been sent, until the hour before is sealed; then what is late, and everything once more
        if hour > 0:
            wait_for(hour, lambda: send(session, number, data[:7]))
            send(session, number, mine(hour - 1, 1, {True}))
            send(session, number, mine(hour - 1, 2, {True, False}))
        if hour > 2:
            send(session, number, mine(hour - 3, 1, {True, False}))
    wait_for(HOURS, lambda: send(session, number, data[-7:]))
    send(session, number, mine(HOURS - 1, 1, {True}))
    session.close()


@guarded
def roll():
    session = Session(options='-c application_name=rollup -c statement_timeout=60s')
    while sending.is_set():
        done = min(complete)
        session.run(f"CALL metering.rollup('{h}'::timestamptz + {done} * interval '1 hour' + interval '15 min')")
    session.close()


@guarded
def read():
    session = Session(options='-c application_name=reader -c statement_timeout=60s')
    while sending.is_set():
        for view in ('gap', 'health', 'region_load', 'bill'):
            session.run(f'SELECT count(*) FROM metering.{view}')
    session.close()


waiting = set()        # who waits for whom and where, in samples


@guarded
def watch():
    session = Session(options='-c application_name=watch -c jit=off -c statement_timeout=60s')
    while sending.is_set():
        # who waits and who seals is read at once: a moment later the lock may be gone
        for row in session.rows('''WITH locks AS MATERIALIZED (SELECT * FROM pg_locks)
                SELECT a.application_name, COALESCE(l.relation::regclass::text, l.locktype), l.mode, b.application_name,
                    EXISTS (SELECT FROM locks x WHERE x.relation = l.relation AND x.mode = 'AccessExclusiveLock')
                FROM locks l JOIN pg_stat_activity a USING (pid),
                    unnest(pg_blocking_pids(l.pid)) AS blocker JOIN pg_stat_activity b ON b.pid = blocker
                        WHERE NOT l.granted AND l.locktype <> 'extend' '''):
            waiting.add(row)
        sealed[0] = int(session.one(f"SELECT COALESCE(EXTRACT(epoch FROM sealed_until - '{h}')::int / 3600, 0) FROM "
            f"metering.progress"))
    session.close()


collectors = [threading.Thread(target=collect, args=(i,)) for i in range(COLLECTORS)]
others = [threading.Thread(target=f) for f in (roll, roll, read, watch)]
began = time.monotonic()
for thread in others + collectors:
    thread.start()
for thread in collectors:
    thread.join()
diag(f'{len(lines[1])} readings, and many of them again, sent in {time.monotonic() - began:.1f} s; the longest '
    f'statement of a collector took {max(longest):.2f} s')
time.sleep(0.5)
sending.clear()
for thread in others:
    thread.join()
is_(errors, [], 'ten collectors, two roll-ups and a reader: no error')
for row in sorted(waiting, key=str):
    diag('{} waited for {} in mode {}, held or wanted by {}'.format(*row))
ingest = [row for row in waiting if row[0] == 'collector']
is_([row for row in ingest if not row[1].startswith('metering.reading_')], [],
    'a collector waits for nothing but a partition')
is_([row for row in ingest if row[4] != 't' and row[3] == 'rollup'], [], 'and only for one that is being sealed')
is_([row for row in ingest if row[3] not in ('rollup', 'reader', 'collector')], [],
    'by a roll-up, or what waits for it as well')
is_([row for row in waiting if row[3] == 'collector' and row[0] == 'collector'], [],
    'collectors do not wait for each other')

first.run(f"CALL metering.rollup('{h}'::timestamptz + {HOURS} * interval '1 hour' + interval '15 min')")
# nobody has sent a reading of the hours of the next window
for hour in HOURS, HOURS + 1:
    admin.run(f"SELECT metering.seal_hour('{at(60 * hour)}')")
first.run(f"CALL metering.rollup('{h}'::timestamptz + {HOURS + 3} * interval '1 hour')")
is_(admin.one(f"SELECT count(*) FROM metering.region_hour WHERE hour < '{h}'::timestamptz + {HOURS} * interval '1 "
    f"hour'"), str(2 * HOURS), 'every hour is sealed')
is_(staged(), 0, 'nothing is left')
is_(admin.rows('''SELECT region, hour, total, expected
    FROM (SELECT region, hour, decrypted(r.total) AS total,
        r.readings FROM metering.region_hour r WHERE r.readings > 0) r
    FULL JOIN (SELECT region, metering.utc_hour(read_at) AS hour, sum(value) AS expected,
        count(*) AS readings FROM truth JOIN metering.meter USING (meter_id) WHERE NOT is_late GROUP BY 1, 2) e
    USING (region, hour) WHERE (total, r.readings) IS DISTINCT
        FROM (expected, e.readings)'''), [], 'every regional hour is exact: what came in time, once')
is_(admin.rows('''SELECT meter_id, b.total, e.total, b.readings,
    e.readings FROM (SELECT meter_id, sum(decrypted(total)) AS total,
        sum(readings) AS readings FROM metering.bill_window GROUP BY 1) b
    FULL JOIN (SELECT meter_id, sum(value) AS total, count(*) AS readings FROM truth GROUP BY 1) e USING (meter_id)
        WHERE (b.total, b.readings) IS DISTINCT FROM (e.total, e.readings)'''), [],
    'every bill is exact: everything, once')
is_(admin.rows("SELECT sum(missing), (SELECT sum(late) > 0 FROM metering.rollup_log WHERE step <> 'window') FROM "
    "metering.window_grid WHERE window_start < $1",
               at(60 * HOURS)), [('0', 't')], 'nothing is missing, and some was late')
is_(int(admin.one('SELECT sum(duplicates) FROM metering.rollup_log')) > len(lines[1]), True, 'and much came twice')
with open(os.environ['SERVER_LOG']) as file:
    log = file.read()
is_('deadlock detected' in log, False, 'no deadlock')
finish()
PYTHON
