"""The database beside the model: every table and view of the pipeline, exactly.

Each method of Comparison reads one of them and raises Difference where it does
not hold what the model says, or where something that is written once has changed.
"""
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal, getcontext
from functools import lru_cache
from math import inf

from model import HOUR, HourLog, RegionHour, WindowLog

getcontext().prec = 100  # amounts are exact


class Difference(Exception):
    def __init__(self, what, got, expected):
        def listed(items):
            items = sorted(map(str, items))
            return ''.join(f'\n    {item}' for item in items[:12]) + (f'\n    … {len(items)} in all' if len(items) > 12
                else '')

        if isinstance(expected, dict):
            got, expected = set(got.items()), set(expected.items())
        if isinstance(expected, (set, frozenset)):
            got, expected = got - expected, expected - got
            super().__init__(f'{what}\n  only in the database:{listed(got)}\n  only in the model:{listed(expected)}')
        else:
            super().__init__(f'{what}\n  database: {got}\n  model:    {expected}')


def same(what, got, expected):
    if got != expected:
        raise Difference(what, got, expected)


def iso(t):
    return f'{"-" if t < 0 else ""}infinity' if abs(t) == inf else datetime.fromtimestamp(t,
        timezone.utc).isoformat(sep=' ')


def number(text):
    return None if text is None else int(text)


def seconds(column):
    return f'EXTRACT(epoch FROM {column})::bigint'


@lru_cache(maxsize=100000)
def times_of_bitmap(bitmap, start):
    """The times of readings in a bitmap of minutes, an array of one integer an hour of a window."""
    hours = [int(hour) for hour in bitmap.strip('{}').split(',') if hour]
    return frozenset(start + h * HOUR + minute * 60 for h,
        bits in enumerate(hours) for minute in range(60) if bits >> minute & 1)


class Comparison:
    def __init__(self, model, tariffs, unit):
        self.model, self.tariffs, self.unit = model, tariffs, unit
        self.region_totals, self.bill_totals = {}, {}   # row -> what must never change of it
        self.acknowledged_until = {}                    # meter -> latest promise

    def connect(self, admin, collector):
        self.admin, self.collector = admin, collector

    def everything(self):
        self.progress()
        self.staging()
        self.promises()
        self.region_hours()
        self.bill_windows()
        self.log()
        self.nothing_finer()

    def nothing_finer(self):
        """With two keys nothing is kept of one meter but registers."""
        rows, = self.admin.rows("""
            SELECT (SELECT count(*) FROM metering.partial), (SELECT count(*) FROM metering.partial_kept),
                (SELECT count(*) FROM metering.hour_meter), (SELECT count(*) FROM metering.region_slice),
                (SELECT count(*) FROM metering.late_hour), (SELECT count(*) FROM metering.reading_kept),
                (SELECT count(*) FROM metering.bill_window b
                    JOIN metering.window_grid w ON w.window_start = b.window_start WHERE w.bill_key_id IS NOT NULL)""")
        one_key = self.model.billed_until is None or not self.model.window_of(self.model.billed_until).bill_key
        same('rows in partial, and in the tables for the time of a step', tuple(map(int, rows)),
            (int(rows[0]) if one_key else 0, 0, 0, 0, 0, 0, 0))

    def progress(self):
        same('progress', self.progress_on_disk(), (self.model.sealed_until, self.model.billed_until))

    def staging(self):
        same('readings staged', int(self.admin.one('SELECT count(*) FROM metering.reading')),
            len(self.model.staged_copies()))
        rows = self.admin.rows(f"SELECT meter_id, {seconds('hour')}, key_id, readings, ARRAY[received] FROM "
            f"metering.partial")
        same('readings in partial totals', {(row[0], t, row[2]) for row in rows
            for t in times_of_bitmap(row[4], int(row[1]))},
             {(copy.meter, copy.read_at, copy.key) for copy in self.model.partial.values()})
        same('readings in partial totals, each once', sum(int(row[3]) for row in rows), len(self.model.partial))

    def promises(self):
        """What is missing, what is acknowledged, and that no acknowledgement is ever taken back."""
        now, gap = self._at_a_time('metering.gap', 'read_at', 'kind')
        same('gap', gap, self.model.gap(now))
        for meter, t, _ in gap:
            if t < self.acknowledged_until.get(meter, t):
                raise Difference(f'{meter} had been told it may forget', t, self.acknowledged_until[meter])
        now, acknowledged = self._at_a_time('metering.acknowledged', 'until')
        same('acknowledged', dict(acknowledged), self.model.acknowledged(now))
        for meter, t in acknowledged:
            self.acknowledged_until[meter] = max(t, self.acknowledged_until.get(meter, t))

    def _at_a_time(self, view, column, *more):
        """Rows of meter and time as the collector sees them, and when."""
        more_nulls, more_columns = ''.join(', NULL' for _ in more), ''.join(f', {name}' for name in more)
        rows = self.collector.rows(f'SELECT NULL, EXTRACT(epoch FROM now()){more_nulls} UNION ALL SELECT meter_id, '
            f'{seconds(column)}{more_columns} FROM {view}')
        listed = [(row[0], int(row[1]), *row[2:]) for row in rows if row[0] is not None]
        same(f'{view} lists something twice', len(listed), len(set(listed)))
        return next(float(row[1]) for row in rows if row[0] is None), set(listed)

    def region_hours(self):
        rows = self.admin.rows(f"""
            SELECT region, {seconds('hour')}, h.key_id, paillier_decrypt(total, private), meters, readings, md5(h::text)
            FROM metering.region_hour h LEFT JOIN fleet.key k ON k.key_id = h.key_id""")
        same('region hours', {(r[0], int(r[1])): RegionHour(r[2], number(r[3]), int(r[4]), int(r[5])) for r in rows},
             self.model.region_hours)
        self._unchanged('region_hour', self.region_totals, {(r[0], r[1]): r[6] for r in rows})

    def _unchanged(self, table, before, now):
        for row, value in before.items():
            if now.get(row) != value:
                raise Difference(f'{table} {row} has changed', now.get(row), value)
        before.update(now)

    def bill_windows(self):
        rows = self.admin.rows(f"""
            SELECT meter_id, {seconds('window_start')}, b.key_id, paillier_decrypt(total, private), readings, carried,
                expected, md5(b::text)
            FROM metering.bill_window b LEFT JOIN fleet.key k ON k.key_id = b.key_id""")
        same('bill windows (total, readings, carried, expected)',
             {(r[0], int(r[1]), r[2]): (number(r[3]), int(r[4]), int(r[5]), int(r[6])) for r in rows}, {
            row: (bill.total, bill.readings, bill.carried, bill.expected) for row, bill in self.model.bills.items()})
        self._unchanged('bill_window', self.bill_totals, {r[:3]: r[7] for r in rows})
        self._incomplete()
        rows = self.admin.rows(f"SELECT {seconds('window_start')}, {seconds('window_end')}, key_id, "
            f"{seconds('reading_interval')}, bill_key_id"
                               " FROM metering.sealed_window")
        same('sealed windows', {int(r[0]): (int(r[0]), int(r[1]), r[2], int(r[3]), r[4]) for r in rows},
             {start: tuple(window) for start, window in self.model.windows.items()})

    def _incomplete(self):
        rows = self.admin.rows(f"SELECT meter_id, {seconds('window_start')}, expected, received, missing FROM "
            f"metering.incomplete")
        same('incomplete windows (expected, received)', {
            (r[0], int(r[1])): (times_of_bitmap(r[2], int(r[1])), times_of_bitmap(r[3], int(r[1]))) for r in rows}, {
            row: (frozenset(lack.expected), frozenset(lack.received)) for row, lack in self.model.lacks.items()})
        same('missing readings of all windows', int(self.admin.one('SELECT COALESCE(sum(missing), 0) FROM '
            'metering.window_grid')),
             sum(len(lack.missing) for lack in self.model.lacks.values()))
        same('readings destroyed and listed', int(self.admin.one('SELECT COALESCE(sum(readings), 0) FROM '
            'metering.uncounted')),
             len(self.model.uncounted))

    def log(self):
        rows = self.admin.rows(f"SELECT step, {seconds('starts')}, meters, readings, duplicates, refused, late, "
            f"suppressed, dropped, conflicts"
                               " FROM metering.rollup_log ORDER BY id")
        steps = {step: [tuple(map(number, row[1:])) for row in rows if row[0] == step]
                 for step in ('hour', 'window')}
        same('hours in the log, each once', len(steps['hour']), len({row[0] for row in steps['hour']}))
        same('log of hours', {row[0]: HourLog(*row[1:]) for row in steps['hour']}, self.model.hour_log)
        same('log of windows', {row[0]: WindowLog(row[1], row[2], row[5]) for row in steps['window']},
            self.model.window_log)
        same('log of restarts, and of late readings (taken, duplicates, refused, dropped)', self.log_on_disk(),
             (self.model.restarts, self.model.late_log))

    def progress_on_disk(self):
        row, = self.admin.rows(f"SELECT {seconds('sealed_until')}, {seconds('billed_until')} FROM metering.progress")
        return tuple(map(number, row))

    def log_on_disk(self):
        """Restarts noticed, and late readings taken, found twice, refused, dropped."""
        late = [f"COALESCE(sum({column}) FILTER (WHERE step = 'late'), 0)"
            for column in ('readings', 'duplicates', 'refused', 'dropped')]
        row, = self.admin.rows(f"SELECT count(*) FILTER (WHERE step = 'restart'), {', '.join(late)} FROM "
            f"metering.rollup_log")
        return int(row[0]), [int(count) for count in row[1:]]

    def sums(self):
        """All that was billed of each meter."""
        return dict(self.admin.rows("""
            SELECT m.meter_id, sum(paillier_decrypt(total, private)) FROM metering.meter m
            LEFT JOIN metering.bill_window b USING (meter_id) LEFT JOIN fleet.key k ON k.key_id = b.key_id
                GROUP BY 1"""))

    def bills(self):
        """The bills of all months: amounts to the last digit."""
        rows = self.admin.rows("""
            SELECT meter_id, period, tariff, key_id, paillier_decrypt(amount, private),
                paillier_decrypt(energy, private), readings, carried, missing, interpolated
            FROM metering.bill LEFT JOIN fleet.key USING (key_id)""")
        got = Counter((*row[:4], *(value and Decimal(value) for value in row[4:6]), *map(number, row[6:]))
            for row in rows)
        expected = Counter(self.model.month_bills(self.tariffs, self.unit))
        same('bills (meter, month, tariff, key, amount, energy, readings, carried, missing, interpolated)', got,
            expected)
        return len(rows)

    def health(self):
        row, = self.admin.rows('SELECT gaps, EXTRACT(epoch FROM now()) FROM metering.health')
        same('gaps in health', int(row[0]), sum(len(lack.missing) for (_, start), lack in self.model.lacks.items()
            if start >= float(row[1]) - self.model.retention))
