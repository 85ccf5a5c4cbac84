#!/usr/bin/env bash
# bill.t
#	A year of bills beside the same in Python's exact decimals: two changes of
#	daylight saving time, prices by time, weekday, season and date, a change of
#	tariff, of account and of key within a month, export, standing charges,
#	missing readings.  Bill windows are put where the roll-up leaves them.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
own_server
fresh bill_test 'paillier_metering CASCADE'
sql "ALTER DATABASE bill_test SET paillier.min_key_bits = 128; ALTER DATABASE bill_test SET jit = off"
psql -Xq -v ON_ERROR_STOP=1 -f "$(dirname "${BASH_SOURCE[0]}")/metering.psql"

seed=${SEED:-$RANDOM}
echo "# SEED=$seed"
SCRATCH=$scratch SEED=$seed PYTHONPATH=$(dirname "${BASH_SOURCE[0]}") PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import json
import os
import random
import subprocess
from collections import namedtuple
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal as D
from zoneinfo import ZoneInfo
from client import Session, finish, is_, ok, sqlstate

draw = random.Random(os.environ['SEED'])
BERLIN, UTC = ZoneInfo('Europe/Berlin'), timezone.utc
KWH = D('0.001')

# ---- the year: bill windows of two local hours, readings every 15 minutes ----

Window = namedtuple('Window', 'start end key')
hours = [datetime(2025, 1, 1, tzinfo=BERLIN).astimezone(UTC) + timedelta(hours=h) for h in range(365 * 24)]
label = lambda hour: (hour.astimezone(BERLIN).date(), hour.astimezone(BERLIN).hour // 2)
starts = [hour for hour in hours if label(hour) != label(hour - timedelta(hours=1))]
new_key = datetime(2025, 8, 19, 6, tzinfo=BERLIN)
windows = [Window(a, b, 'first' if a < new_key else 'second') for a,
    b in zip(starts, starts[1:] + [hours[-1] + timedelta(hours=1)])]

# ---- what is charged, told apart from how the tables say it ----


def tou(t):
    """Time of use: workdays and weekends, summer and winter, dearer from July on."""
    summer = 4 <= t.month <= 9
    if t.date() < date(2025, 7, 1):
        if t.isoweekday() >= 6:
            return D('0.2650') if 8 <= t.hour < 20 else D('0.2005')
        day = D('0.3125') if summer else D('0.3425')
        return day if 6 <= t.hour < 22 else D('0.2180')
    if t.isoweekday() >= 6:
        return D('0.2751') if 8 <= t.hour < 20 else D('0.21')
    return (D('0.330001') if summer else D('0.36')) if 6 <= t.hour < 22 else D('0.2222')


def fed_in(t):
    return D('-0.0455') if 4 <= t.month <= 9 and 10 <= t.hour < 16 else D('-0.0812')


PRICES = {('tou', 'import'): tou, ('tou', 'export'): fed_in,
          ('flat', 'import'): lambda t: D('0.29999'), ('flat', 'export'): lambda t: None,
          ('short', 'import'): lambda t: D('0.5') if t.date() < date(2025, 10, 1) else None}
STANDING = {'tou': lambda day: D('0.39') if day < date(2025, 7, 1) else D('0.4217'), 'flat': lambda day: D(0),
    'short': lambda day: D('0.1')}
ROUNDING = {'tou': 2, 'flat': 3, 'short': 0}

tariffs = '''
    INSERT INTO metering.tariff (tariff, zone, rounding) VALUES ('tou', 'Europe/Berlin', 2),
        ('flat', 'Europe/Berlin', 3), ('short', 'Europe/Berlin', 0);
    INSERT INTO metering.rate (tariff, from_time, price, charge, weekdays, months, valid) VALUES
        ('tou', '06:00', 0.3425, 'import', '{1,2,3,4,5}', '{10,11,12,1,2,3}', '(,2025-07-01)'),
            ('tou', '06:00', 0.3125, 'import', '{1,2,3,4,5}', '{4,5,6,7,8,9}', '(,2025-07-01)'),
        ('tou', '22:00', 0.2180, 'import', '{1,2,3,4,5}', '{1,2,3,4,5,6,7,8,9,10,11,12}', '(,2025-07-01)'),
        ('tou', '08:00', 0.2650, 'import', '{6,7}', '{1,2,3,4,5,6,7,8,9,10,11,12}', '(,2025-07-01)'),
            ('tou', '20:00', 0.2005, 'import', '{6,7}', '{1,2,3,4,5,6,7,8,9,10,11,12}', '(,2025-07-01)'),
        ('tou', '06:00', 0.36, 'import', '{1,2,3,4,5}', '{10,11,12,1,2,3}', '[2025-07-01,)'),
            ('tou', '06:00', 0.330001, 'import', '{1,2,3,4,5}', '{4,5,6,7,8,9}', '[2025-07-01,)'),
        ('tou', '22:00', 0.2222, 'import', '{1,2,3,4,5}', '{1,2,3,4,5,6,7,8,9,10,11,12}', '[2025-07-01,)'),
        ('tou', '08:00', 0.2751, 'import', '{6,7}', '{1,2,3,4,5,6,7,8,9,10,11,12}', '[2025-07-01,)'),
            ('tou', '20:00', 0.21, 'import', '{6,7}', '{1,2,3,4,5,6,7,8,9,10,11,12}', '[2025-07-01,)');
    INSERT INTO metering.rate (tariff, from_time, price, charge, months) VALUES
        ('tou', '00:00', 0.0812, 'export', DEFAULT), ('tou', '10:00', 0.0455, 'export', '{4,5,6,7,8,9}'),
            ('tou', '16:00', 0.0812, 'export', '{4,5,6,7,8,9}');
    INSERT INTO metering.rate (tariff, price, charge, valid) VALUES
        ('tou', 0.39, 'standing', '(,2025-07-01)'), ('tou', 0.4217, 'standing', '[2025-07-01,)'),
            ('flat', 0.29999, 'import', '(,)'),
        ('short', 0.5, 'import', '(,2025-10-01)'), ('short', 0.1, 'standing', '(,)');
'''

# ---- meters ----

Meter = namedtuple('Meter', 'flow contract account active missing',
    defaults=(lambda t: None, (hours[0], hours[-1] + timedelta(hours=1)), 0))
moved, turned = datetime(2025, 5, 14, 10, tzinfo=BERLIN), datetime(2025, 9, 2, 18, tzinfo=BERLIN)
meters = {
    'home': Meter('import', lambda t: 'tou', lambda t: 'smith', missing=0.02),
    'roof': Meter('export', lambda t: 'tou', lambda t: 'smith'),
    'garage': Meter('import', lambda t: 'flat' if t < moved else 'tou', lambda t: 'garage' if t < turned else 'smith'),
    'shop': Meter('import', lambda t: 'tou', lambda t: 'shop',
        (datetime(2025, 3, 17, 15, tzinfo=BERLIN), datetime(2025, 11, 3, 9, 30, tzinfo=BERLIN))),
    'silent': Meter('import', lambda t: 'tou', lambda t: 'silent', missing=1),
    'late': Meter('import', lambda t: 'flat', lambda t: 'late', missing=0.3),
    'hut': Meter('import', lambda t: 'short', lambda t: 'hut'),
}
past = f'''
    INSERT INTO metering.contract_history VALUES ('garage', '{moved}', 'flat', NULL),
        ('garage', '{turned}', 'tou', NULL);
'''
quarter = timedelta(minutes=15)
Row = namedtuple('Row', 'meter window total readings carried expected counted due')


def bitmap(window, times):
    """An array as metering.incomplete has it: bit m of element h for minute m of hour h."""
    hours = [0] * ((window.end - window.start) // timedelta(hours=1))
    for time in times:
        hour, rest = divmod(time - window.start, timedelta(hours=1))
        hours[hour] |= 1 << rest // timedelta(minutes=1)
    return '{' + ','.join(map(str, hours)) + '}'


rows = []
for name, meter in meters.items():
    for window in windows:
        a, b = (max(window.start, meter.active[0]), min(window.end, meter.active[1]))
        expected = max(0, (b - a) // quarter)
        if not expected:
            continue
        missing = expected if draw.random() < meter.missing / 2 else sum(draw.random() < meter.missing
            for _ in range(expected))
        readings = expected - missing
        carried = draw.randrange(3) if readings and meter.missing else 0
        due = [a + i * quarter for i in range(expected)]
        draw.shuffle(due)
        # energies of half a cent at the prices there are, and of all sizes
        total = None if readings == 0 else draw.choice([0, 20, 50, draw.randrange(3000), draw.randrange(3000),
            draw.randrange(100000)])
        rows.append(Row(name, window, total, readings + carried, carried, expected, readings, due))
        # readings that were sent under the other key have a row of their own, of which nothing is expected
        if name == 'home' and window.key == 'first' and draw.random() < 0.1:
            rows.append(Row(name, window._replace(key='second'), draw.randrange(3000), 2, 0, 0, 0, []))

# ---- the database ----

admin = Session()
admin.run("SELECT begin_metering($$zone = 'Europe/Berlin', reading_interval = '15 min'$$)")
admin.run('CREATE TABLE plain (meter_id text, window_start timestamptz, key_name text, total numeric, readings int, '
    'carried int, expected int, counted int)')
admin.run(tariffs)
for name, meter in meters.items():
    admin.run('INSERT INTO metering.meter (meter_id, region, tariff, account, flow) VALUES ($1, $2, $3, $4, $5)', name,
        meter.flow, meter.contract(hours[-1]),
              meter.account(hours[-1]) if meter.account(hours[-1]) != name else None, meter.flow)
admin.run(past)
admin.copy_in('COPY plain FROM STDIN', ''.join('\t'.join('\\N' if value is None else str(value) for value in
    (r.meter, r.window.start, r.window.key, r.total, r.readings, r.carried, r.expected, r.counted)) + '\n'
        for r in rows).encode())
admin.run('CREATE TABLE year (starts timestamptz, ends timestamptz, key_name text)')
admin.copy_in('COPY year FROM STDIN', ''.join(f'{w.start}\t{w.end}\t{w.key}\n' for w in windows).encode())
admin.run(f'''
    INSERT INTO metering.window_grid (window_start, window_end, key_id, reading_interval, slot)
        SELECT starts, ends, id, '15 min', metering.month_slot(starts) FROM year JOIN pipeline_key ON name = key_name;
    UPDATE metering.progress SET sealed_until = '{windows[-1].end}', billed_until = '{windows[-1].end}';
    INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, total, readings, carried, expected)
        SELECT metering.month_slot(window_start), window_start, meter_id, id, paillier_encrypt(total, public), readings,
            carried, expected
        FROM plain JOIN pipeline_key ON name = key_name''')
admin.copy_in('COPY metering.incomplete (meter_id, window_start, expected, received) FROM STDIN', ''.join(
    f'{r.meter}\t{r.window.start}\t{bitmap(r.window, r.due)}\t{bitmap(r.window, r.due[:r.counted])}\n' for r in rows
        if r.counted < len(r.due)).encode())
admin.run('ANALYZE')
is_(int(admin.one('SELECT sum(missing) FROM metering.window_grid')), sum(r.expected - r.counted for r in rows),
    'what windows lack is counted')
is_(int(admin.one('SELECT count(*) FROM metering.sealed_window')), 365 * 12, 'every day has twelve windows')
is_(admin.rows("SELECT window_end - window_start, count(*) FROM metering.sealed_window GROUP BY 1 ORDER BY 1"),
    [('01:00:00', '1'), ('02:00:00', '4378'), ('03:00:00', '1')], 'one is shorter and one longer')

# ---- the bills ----

Bill = namedtuple('Bill', 'amount energy readings carried missing unpriced days standing')


def bill(rows):
    """What these rows come to, each with the last windows of days told apart."""
    unpriced = days = 0
    amount, standing, energy = D(0), D(0), None
    for row in rows:
        local, tariff = row.window.start.astimezone(BERLIN), meters[row.meter].contract(row.window.start)
        if row.total is not None:
            price = PRICES[tariff, meters[row.meter].flow](local)
            unpriced += price is None
            amount += row.total * KWH * (price or 0)
            energy = (energy or 0) + row.total
        # the windows of a day that end at midnight
        last_of_day = row.window.end.astimezone(BERLIN).hour == 0
        if row.expected and last_of_day and meters[row.meter].flow == 'import' and tariff != 'flat':
            days += 1
            standing += STANDING[tariff](local.date())
    return Bill(None if unpriced else None if energy is None and not standing else amount + standing, energy,
        sum(r.readings for r in rows),
                sum(r.carried for r in rows), sum(r.expected - r.counted for r in rows), unpriced, days, standing)


def grouped(key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {key: bill(rows) for key, rows in groups.items()}


def number(text):
    return None if text is None else D(text)


month = lambda row: f'{row.window.start.astimezone(BERLIN):%Y-%m}-01'
expected = grouped(lambda r: (r.meter, month(r), meters[r.meter].contract(r.window.start), r.window.key,
    meters[r.meter].account(r.window.start)))
got = {row[:5]: Bill(*map(number, row[5:7]), *map(int, row[7:12]), D(row[12])) for row in admin.rows('''
    SELECT meter_id, period, tariff, name, account, decrypted(amount), decrypted(energy), readings, carried, missing,
        unpriced, days, COALESCE(standing, 0)
    FROM metering.bill JOIN pipeline_key ON id = key_id''')}
is_(set(got), set(expected), 'a bill for each meter, month, tariff, key and account')
wrong = [f'{key}: {got[key]} instead of {expected[key]}' for key in expected if got.get(key) != expected[key]]
ok(not wrong, 'each to the last digit', '\n'.join(wrong[:10]))
ok(sum(b.amount is None for b in expected.values()) == 3
    and all(b.unpriced for k, b in expected.items() if k[0] == 'hut' and k[1] >= '2025-10-01'),
   'three months have no amount: their windows have no price')
ok(expected['silent', '2025-02-01', 'tou', 'first', 'silent'].amount == 28 * D('0.39'),
    'a silent meter owes the standing charge')
ok(expected['shop', '2025-03-01', 'tou', 'first', 'shop'].days == 15
    and expected['shop', '2025-11-01', 'tou', 'second', 'shop'].days == 2, 'a day is charged to whom it ends with')
ok(expected['garage', '2025-05-01', 'flat', 'first', 'garage'].days == 0
    and expected['garage', '2025-05-01', 'tou', 'first', 'garage'].days == 18, 'by the tariff it ends with')

# ---- amounts due ----


def due(amount, digits):
    return amount and amount.quantize(D(1).scaleb(-digits), ROUND_HALF_UP)


accounts = grouped(lambda r: (meters[r.meter].account(r.window.start), month(r), r.window.key))
flows = {flow: grouped(lambda r: (meters[r.meter].account(r.window.start), month(r), r.window.key,
    meters[r.meter].flow)) for flow in ('import', 'export')}
digits = {}
for row in rows:
    key = meters[row.meter].account(row.window.start), month(row), row.window.key
    digits[key] = max(digits.get(key, 0), ROUNDING[meters[row.meter].contract(row.window.start)])
expected = {}
for key, total in accounts.items():
    energy = [flows[flow].get(key + (flow,)) for flow in ('import', 'export')]
    expected[key] = (due(total.amount, digits[key]), *(e and e.energy and e.energy * KWH if e else None
        for e in energy), total.standing,
                     total.readings, total.carried, total.missing, total.unpriced)
got, others = {}, []
for name in ('first', 'second'):
    key = admin.one('SELECT private FROM pipeline_key WHERE name = $1', name)
    key_id = admin.one('SELECT id FROM pipeline_key WHERE name = $1', name)
    for m in range(1, 13):
        for row in admin.rows('SELECT account, amount_due, imported_kwh, exported_kwh, COALESCE(standing, 0), '
                'readings, carried, missing, unpriced, key_id, tariffs FROM metering.invoice($1, $2)', key,
                    f'2025-{m:02}-11'):
            if row[9] == key_id:
                got[row[0], f'2025-{m:02}-01', name] = (*map(number, row[1:5]), *map(int, row[5:9]))
            else:
                others.append(row[1:4])
comparable = lambda bills: {key: tuple(0 if value == 0 else value for value in values) for key, values in bills.items()}
is_(set(got), set(expected), 'every account is billed every month, under each key')
is_((len(others), set(others)), (len(expected), {(None, None, None)}),
    'what is under another key is listed and not decrypted')
got, expected = comparable(got), comparable(expected)
wrong = [f'{key}: {got[key]} instead of {expected[key]}' for key in expected if got.get(key) != expected[key]]
ok(not wrong, 'to the cent', '\n'.join(wrong[:10]))

# ---- the same bills issued, month by month; two sessions at once issue one of them ----

other = Session()


def issued(run):
    """Run -> what its invoices say, under both keys."""
    rows = {}
    for name in ('first', 'second'):
        for row in admin.rows('SELECT account, amount_due, imported_kwh, exported_kwh, COALESCE(standing, 0), readings, '
                'carried, missing, unpriced FROM metering.issued_invoice((SELECT private FROM pipeline_key '
                'WHERE name = $1), run => $2) WHERE key_id = (SELECT id FROM pipeline_key WHERE name = $1)', name, run):
            rows[row[0], name] = (*map(number, row[1:5]), *map(int, row[5:9]))
    return comparable(rows)


for m in range(1, 13):
    admin.run('BEGIN')
    admin.run(f"CALL metering.issue_bills('2025-{m:02}-20')")
    if m == 6:
        other.start("CALL metering.issue_bills('2025-06-01')")
        is_((other.done(0.3), admin.one('SELECT count(*) FROM metering.issue_run')), (False, '6'), 'a second run waits')
    admin.run('COMMIT')
    if m == 6:
        is_((sqlstate(other.finish), admin.one('SELECT count(*) FROM metering.issue_run')), ('none', '6'),
            'and finds nothing left to issue')
# a tariff without a price is left to a later run, which says how many windows it leaves
wrong = []
for m in range(1, 13):
    want = {(a, name): v for (a, p, name), v in expected.items() if p == f'2025-{m:02}-01' and v[7] == 0}
    got = issued(m)
    wrong += [f'{m} {key}: {got.get(key)} instead of {want.get(key)}' for key in got.keys() | want.keys()
        if got.get(key) != want.get(key)]
ok(not wrong, 'every month is issued to the cent', '\n'.join(wrong[:10]))
unpriced = [r for r in rows if r.meter == 'hut' and r.window.start >= datetime(2025, 10, 1, tzinfo=BERLIN)]
is_(admin.rows('SELECT meter_id, windows FROM metering.unbilled'), [('hut', str(len(unpriced)))],
    'but for windows without a price')
admin.run("INSERT INTO metering.rate (tariff, price, valid) VALUES ('short', 0.55, '[2025-10-01,)')")
admin.run("CALL metering.issue_bills('2025-12-31')")
last_days = sum(1 for r in unpriced if r.expected and r.window.end.astimezone(BERLIN).hour == 0)
is_(issued(13)['hut', 'second'][0], due(sum((r.total or 0) * KWH * D('0.55') for r in unpriced) + last_days * D('0.1'), 0),
    'which are issued when they have one')
is_(admin.one('SELECT count(*) FROM metering.unbilled'), '0', 'then nothing is left')
is_(int(admin.one('SELECT sum(readings) FROM metering.issued_bill')), sum(r.readings for r in rows),
    'every reading is in one bill')
admin.run("DELETE FROM metering.rate WHERE (tariff, price) = ('short', 0.55)")

# half a cent, either way
admin.run('''INSERT INTO metering.tariff VALUES ('half', NULL, 'Europe/Berlin');
    INSERT INTO metering.rate VALUES ('half', '00:00', 0.005, 'import'), ('half', '00:00', 0.005, 'export');
    INSERT INTO metering.meter (meter_id, region, tariff, flow) VALUES ('half in', 'import', 'half', 'import'),
        ('half out', 'export', 'half', 'export');
    INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, total, readings, expected)
        SELECT metering.month_slot('2024-12-31 23:00Z'), '2024-12-31 23:00Z', m, id, paillier_encrypt(3000, public), 1,
            8 FROM pipeline_key, unnest(ARRAY['half in', 'half out']) m WHERE name = 'first' ''')
first = admin.one("SELECT private FROM pipeline_key WHERE name = 'first'")
is_(admin.rows("SELECT account, amount_due FROM metering.invoice($1, '2025-01-01') WHERE account LIKE 'half%' ORDER BY "
    "1", first), [('half in', '0.02'), ('half out', '-0.02')],
    'half a cent is rounded away from zero')

# ---- two at once: the second to write waits and is refused ----

for first_to, then, what in [
        ("INSERT INTO metering.rate VALUES ('half', '12:00', 1)",
            "INSERT INTO metering.rate (tariff, from_time, price, weekdays) VALUES ('half', '12:00', 2, '{1}')",
                'rates'),
        ("INSERT INTO metering.meter (meter_id, region, flow) VALUES ('one', 'new', 'import')",
            "INSERT INTO metering.meter (meter_id, region, flow) VALUES ('two', 'new', 'export')", 'flows')]:
    admin.run('BEGIN')
    admin.run(first_to)
    other.start(then)
    waits = not other.done(0.3)
    admin.run('COMMIT')
    is_((waits, sqlstate(other.finish)), (True, '23P01' if what == 'rates' else '23514'),
        f'{what} that two sessions write at once')

# ---- the program: the key stays outside ----

scratch = os.environ['SCRATCH']
with open(f'{scratch}/private.json', 'w') as file:
    file.write(first)
os.chmod(f'{scratch}/private.json', 0o600)
out = admin.copy_out("COPY (SELECT account, period, amount, rounding FROM metering.account_bill JOIN pipeline_key ON "
    "id = key_id WHERE name = 'first' AND account NOT LIKE 'half%') TO STDOUT")
plain = subprocess.run(['paillier', 'decrypt', '--quiet', '--min-bits', '128', '--key', f'{scratch}/private.json'],
    input=out, capture_output=True)
lines = [line.split(',') for line in plain.stdout.decode().splitlines()]
is_({(a, p, 'first'): due(D(amount), int(digits)) for a, p, amount, digits in lines},
    {key: values[0] for key, values in expected.items() if key[2] == 'first'},
        'and decrypted outside, rounded by the column')
finish()
PYTHON
