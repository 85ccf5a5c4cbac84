"""How the pipeline's operations grow; run by bench/scale.

    scale.py REPORT [SIZE ...]      sizes: meters history regions; all where none is named

Keys are short and history is written directly: what counts is how figures grow.
Every query is run with the settings of a new server, before and after ANALYZE, and
as a prepared statement; what is shown is the slowest of them, and how much
slower it is than the fastest.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'test', 't'))
from client import Session  # noqa: E402

METERS = [1_000, 10_000, 100_000, 1_000_000]
DAYS = [7, 30, 90, 365]
REGIONS = [(100, 60), (1_000, 60), (10_000, 7)]
QUICK = os.environ.get('QUICK')


class Pipeline:
    """A database with an installation of metering and a history that ends now."""

    def __init__(self, meters, days, regions, windows=True):
        self.meters, self.days, self.regions = meters, days, regions
        admin = Session(database='postgres')
        admin.run('DROP DATABASE IF EXISTS scale')
        admin.run('CREATE DATABASE scale')
        admin.close()
        self.session = Session(database='scale')
        self.run('SET client_min_messages = error; CREATE EXTENSION paillier_metering CASCADE')
        self.run("""
            CREATE TABLE key AS SELECT k AS private,
                paillier_public_key(k) AS public FROM (SELECT paillier_keygen(256) AS k OFFSET 0) k;
            CREATE TABLE ct AS SELECT paillier_encrypt(7, public) AS ct FROM key;
            INSERT INTO metering.tariff VALUES ('home');
            INSERT INTO metering.rate (tariff, from_time, price) VALUES ('home', '06:00', 0.34),
                ('home', '22:00', 0.21);
            UPDATE metering.setting SET key_id = (SELECT paillier_register_key(public) FROM key), min_meters = 2""")
        self.run(f"""
            INSERT INTO metering.meter (meter_id, region, tariff, collector)
            SELECT 'm' || i, 'r' || i % {regions}, 'home',
                CASE WHEN i = 1 THEN 'alone' END FROM generate_series(1, {meters}) i""")
        self.now = self.one("SELECT date_bin('2 hours', now() - interval '100 min', '2000-01-01 00:00Z')")
        if self.one("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'alone')") == 'f':
            self.run('CREATE ROLE alone')
        self.write(windows)

    def run(self, statement):
        return self.session.run(statement)

    def one(self, statement):
        return self.session.one(statement)

    def write(self, windows):
        """Windows and hours up to now; one meter of 100 lacks a reading of each window."""
        start = f"'{self.now}'::timestamptz - interval '{self.days} days'"
        self.run(f"""
            SET synchronous_commit = off;
            UPDATE metering.setting SET starts_at = {start};
            INSERT INTO metering.window_grid (window_start, window_end, key_id, reading_interval, slot)
            SELECT t, t + interval '2 hours', s.key_id, '5 min', metering.month_slot(t)
            FROM metering.setting s, generate_series({start}, '{self.now}'::timestamptz, interval '2 hours') t;
            UPDATE metering.progress SET only_row = true, sealed_until = '{self.now}', billed_until = '{self.now}';
            INSERT INTO metering.rollup_log (duration, step, starts, meters, readings, late, suppressed)
            SELECT '1 s', 'hour', t, {self.meters}, {self.meters} * 12, 0, 0
            FROM generate_series({start}, '{self.now}'::timestamptz - interval '1 hour', interval '1 hour') t;
            INSERT INTO metering.region_hour
            SELECT 'r' || r, t, s.key_id, ct, {self.meters // self.regions}, {self.meters // self.regions * 12},
                {self.meters // self.regions * 12}
            FROM metering.setting s, ct, generate_series({start}, '{self.now}'::timestamptz - interval '1 hour',
                interval '1 hour') t,
                generate_series(0, {self.regions - 1}) r""")
        if windows:
            self.run(f"""
                INSERT INTO metering.bill_window
                SELECT w.slot, w.window_start, m.meter_id, w.key_id, ct, 24, 0, 24
                FROM metering.sealed_window w, ct, metering.meter m;
                INSERT INTO metering.incomplete
                SELECT m.meter_id, w.window_start, '{{1190112520884487201,1190112520884487201}}',
                    '{{1190112520884487200,1190112520884487201}}'
                FROM metering.sealed_window w, (SELECT meter_id FROM metering.meter TABLESAMPLE system (100)
                    WHERE hashtext(meter_id) % 100 = 0) m""")

    # ---- measuring ----

    def explained(self, statement):
        """Milliseconds and buffers of a query, planning included."""
        plan, = json.loads(self.one(f'EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) {statement}'))
        buffers = sum(part['Shared Hit Blocks'] + part['Shared Read Blocks']
            for part in (plan['Plan'], plan.get('Planning', {}))
                      if part)
        return plan['Planning Time'] + plan['Execution Time'], buffers

    def query(self, statement):
        """The slowest way to run it: (milliseconds, buffers, slowest / fastest)."""
        ways = []
        for analyzed in False, True:
            if analyzed:
                self.run('ANALYZE')
            self.explained(statement)
            ways.append(self.explained(statement))
        self.run(f'PREPARE q AS {statement}; SET plan_cache_mode = force_generic_plan')
        ways.append(self.explained('EXECUTE q'))
        self.run('DEALLOCATE q; RESET plan_cache_mode')
        times = [way[0] for way in ways]
        return max(times), max(way[1] for way in ways), max(times) / min(times)

    def clock(self, statement):
        began = time.monotonic()
        self.run(statement)
        return 1000 * (time.monotonic() - began)

    def close(self):
        self.session.close()


def queries(p):
    """Operation -> query; the dates are those that a user would give."""
    month = f"(date_trunc('month', '{p.now}'::timestamptz))::date"
    day = f"'{p.now}'::timestamptz - interval '1 day'"
    return {
        'health': 'SELECT * FROM metering.health',
        'gap': 'SELECT count(*) FROM metering.gap',
        'acknowledged, a collector of one meter': 'SELECT * FROM metering.acknowledged',
        'bill, one meter and month': f"SELECT * FROM metering.bill WHERE meter_id = 'm7' AND period = {month}",
        'account_bill, all, one month': f'SELECT count(amount) FROM metering.account_bill WHERE period = {month}',
        'draft_bills, all, one month': f'SELECT count(amount) FROM metering.draft_bills({month})',
        'the plain sum of that month': 'SELECT count(t) FROM (SELECT meter_id, sum(total) AS t FROM '
            'metering.bill_window'
                                       f' WHERE window_start >= {month} GROUP BY meter_id) x',
        'reconciliation, one window': f"SELECT * FROM metering.reconciliation WHERE window_start = "
            f"'{p.now}'::timestamptz - interval '2 hours'",
        'region_load, one day': f'SELECT count(total) FROM metering.region_load WHERE hour >= {day}',
        'region_day, one region and day': f"SELECT * FROM metering.region_day WHERE region = 'r1' AND day = "
            f"({day})::date",
        'forecast, one region': "SELECT * FROM metering.forecast(of_region => 'r1')",
        'forecast, all regions': 'SELECT count(*) FROM metering.forecast()',
    }


def measure(p, names, results, size):
    for name, statement in queries(p).items():
        if names and name not in names:
            continue
        if name.startswith('acknowledged'):
            p.run('GRANT USAGE ON SCHEMA metering TO alone; GRANT SELECT ON metering.acknowledged, metering.gap TO '
                'alone;'
                  ' GRANT EXECUTE ON FUNCTION metering.own_roles() TO alone;'
                  " UPDATE metering.meter SET collector = 'others' WHERE meter_id <> 'm1'" if p.meters <= 100_000
                      else 'SELECT 1')
        try:
            results.setdefault(name, {})[size] = p.query(statement)
        except Exception as error:  # an operation that is not there is said to be missing, not left out
            results.setdefault(name, {})[size] = None
            print(f'{name}: {error}', file=sys.stderr)
        print(size, name, results[name][size], flush=True)


def seal(p, results, size):
    """An hour of 12 readings a meter: the door, the hour, the window, and the same readings late."""
    now = f"'{p.now}'::timestamptz"
    batch = f"""INSERT INTO metering.reading SELECT m.meter_id, {now} + i * interval '5 min' + %s, ct
        FROM metering.meter m, ct, generate_series(0, 11) i"""
    readings = p.meters * 12
    p.run("UPDATE metering.setting SET grace = '0', min_share = 0.1")
    for name, statement in {
            'door, first readings of a session': batch % "interval '0'",
            'sealing an hour': f'SELECT metering.seal_hour({now})',
            'door, the same session again': batch % "interval '0'",
            'duplicates, late': f"SELECT metering.sweep(metering.slot({now}))"}.items():
        results.setdefault(name + ', µs a reading', {})[size] = (1000 * p.clock(statement) / readings, 0, 1)
        print(size, name, results[name + ', µs a reading'][size], flush=True)


def main(report, *parts):
    parts = parts or ('meters', 'history', 'regions')
    results = {part: {} for part in parts}
    if 'meters' in parts:
        for meters in METERS[:2] if QUICK else METERS:
            p = Pipeline(meters, 1, 10)
            measure(p, None, results['meters'], meters)
            seal(p, results['meters'], meters)
            p.close()
    if 'history' in parts:
        for days in DAYS[:2] if QUICK else DAYS:
            p = Pipeline(1_000, days, 10)
            measure(p, None, results['history'], days)
            p.close()
    if 'regions' in parts:
        for regions, days in REGIONS[:1] if QUICK else REGIONS:
            p = Pipeline(regions * 2, days, regions, windows=False)
            measure(p, [name for name in queries(p) if 'region' in name or 'forecast' in name or name == 'health'],
                    results['regions'], regions * days)
            p.close()
    with open(report, 'w') as file:
        json.dump(results, file)


if __name__ == '__main__':
    main(*sys.argv[1:])
