"""A fleet of meters over simulated days, against a real server; model.py says what must come of it.

    driver.py SEED ...          runs each seed in a database of its own; a line each: SEED, 0 or 1, description
    driver.py --uncovered FILE  the events that a complete run must have and FILE lacks

The environment names the server (PGHOST, CLUSTER as of test/cluster.sh), a file
that collects the events of all runs (EVENTS), and the time that simulations
end before (BASE, seconds since 1970; the last full hour where not set).

All is drawn from the seed: how often meters read and how long bill windows are,
what is lost, late or sent again, who moves, when the server is killed.
Simulated time lies in the past: metering.rollup(as_of) rolls up as of a
simulated time, while the clock of the server shows the real one.
"""
import os
import random
import sys
import time
import traceback
from math import inf

from server import Server  # finds client, too
from client import diag, pq
from collector import COPY, Collector
from compare import Comparison, Difference, iso, same
from model import HOUR, Meter, Model, SettingPeriod, hour_of, slot_of
from scenario import DAY, HELD_CRASHES, LONG_GRACE, MINUTE, REQUIRED, TARIFFS, UNIT, WINDOWS, ZONES, Scenario

REGIONS = ['north', 'south', 'west']
# where what held before is kept, for each column of metering.meter
HISTORY = {'region': 'region_history', 'tariff': 'contract_history'}


def quoted(text):
    return 'NULL' if text is None else f"'{text}'"


class Run:
    """A simulation with one key; for two see two_keys.py."""

    SCENARIO, DATABASE, STEPS = Scenario, 'metering_', 26

    def __init__(self, seed, base):
        self.seed, self.scenario, self.draw = seed, self.SCENARIO(seed, base), random.Random(f'run {seed}')
        self.base = base
        self.clock = self.collected = self.scenario.start
        self.outbox = []         # (when to send, reading)
        self.silent = {}         # meter -> end of its outage
        self.crashes = list(self.scenario.crashes)
        self.patience = 0        # steps until the time of grace after a crash is over
        self.stories = self.plan()

    # ---- setting up ----

    def set_up(self):
        scenario, now = self.scenario, time.time()
        self.server = Server(f'{self.DATABASE}{self.seed}')
        admin = self.server.admin
        self.keys = dict(admin.rows('SELECT name, key_id FROM fleet.key'))
        period = SettingPeriod(inf, self.keys['a'], scenario.interval, scenario.window_hours, scenario.zone,
            self.keys.get(scenario.bill_key))
        retention = now - scenario.start + 72 * HOUR
        self.model = Model(period, LONG_GRACE, scenario.min_meters, scenario.min_share, retention,
            scenario.backup_interval, closing=scenario.closing)
        self.collector = Collector(self.seed, self.server, self.model, self.keys, self.draw)
        self.comparison = Comparison(self.model, TARIFFS, UNIT)
        self.comparison.connect(self.server.admin, self.server.collector)
        admin.run(f"""
            UPDATE metering.setting SET key_id = '{self.keys['a']}', reading_interval = '{scenario.interval} s',
                bill_window = '{scenario.window_hours} hours', zone = '{scenario.zone}', grace = '{LONG_GRACE} s',
                min_meters = {scenario.min_meters}, min_share = {scenario.min_share}, retention = '{retention} s',
                backup_interval = '{scenario.backup_interval} s',
                unit_kwh = {UNIT}, bill_key_id = {quoted(period.bill_key)}, closing = '{scenario.closing} s'""")
        for name, tariff in TARIFFS.items():
            admin.run('INSERT INTO metering.tariff VALUES ($1, $1, $2)', name, tariff.zone)
            for begins, price in tariff.rates.items():
                admin.run('INSERT INTO metering.rate VALUES ($1, $2, $3)', name, begins, price)
        for _ in range(scenario.meters):
            self.add_meter(-inf)
        if scenario.starts_set:
            self.set_start(scenario.start)

    def set_start(self, t):
        self.server.operator.run(f"UPDATE metering.setting SET starts_at = '{iso(t)}'")
        self.model.starts_at = t

    def add_meter(self, begins):
        name, ends = f'm{len(self.model.meters):02}', inf if self.scenario.endless else self.scenario.horizon
        meter = Meter(name, self.draw.choice(REGIONS), self.draw.choice(list(TARIFFS)))
        self.model.change_active(meter, begins, ends, time.time())
        self.server.operator.run('INSERT INTO metering.meter (meter_id, region, tariff, active) VALUES ($1, $2, $3, '
            'tstzrange($4, $5))',
                                 name, meter.region.present, meter.tariff.present, iso(begins), iso(ends))

    # ---- meters read ----

    def collect(self, careful=False):
        """Readings whose interval has ended go into the outbox: most at once, some late, some never."""
        for name in self.model.meters if not careful else ():
            if self.chance(0.02):
                self.silent[name] = self.clock + self.draw.randrange(HOUR, 6 * HOUR)
        while self.collected + (interval := self.model.setting_at(self.collected).interval) <= self.clock:
            for meter in self.model.meters.values():
                if meter.active(self.collected):
                    self.read(meter, self.collected, careful)
            self.collected += interval

    def read(self, meter, t, careful):
        reading = meter.name, t
        chance = 1 if careful else self.draw.random()
        if t < self.silent.get(meter.name, t):
            self.outbox.append((self.silent[meter.name], reading))
        elif chance > 0.06:
            self.outbox.append((t, reading))
        elif chance > 0.03:
            self.outbox.append((t + self.draw.randrange(3 * self.scenario.window_hours * HOUR), reading))
        elif self.scenario.readings_expire and t < self.scenario.start + self.scenario.hours * HOUR // 4:
            self.collector.mislaid.add(reading)

    def chance(self, probability):
        return self.draw.random() < probability

    def send(self):
        due = [reading for at, reading in self.outbox if at < self.clock]
        self.outbox = [(at, reading) for at, reading in self.outbox if at >= self.clock]
        self.collector.send(due)

    # ---- the fleet and its settings change ----

    def plan(self):
        """Events of the run, each at a random step."""
        events = [self.begin_meter, self.begin_meter_late, self.end_meter, self.end_meter_in_past,
            self.end_meter_in_past, self.move, self.move, self.change_tariff,
                  self.restart, self.write_during_rollup, self.send_during_rollup]
        if self.scenario.changes_settings:
            events += [self.change_settings, self.change_settings, self.take_back_change]
        self.draw.shuffle(events)
        return events

    def begin_meter(self):
        self.add_meter(self.clock + self.draw.randrange(4 * HOUR))
        self.model.note('meter began')

    def begin_meter_late(self):
        """A meter is registered for readings of days that are sealed: it is asked for them."""
        if not self.model.windows:
            return self.later(self.begin_meter_late)
        self.add_meter(self.clock - self.draw.randrange(2, 20) * HOUR)
        self.model.note('meter registered late')

    def end_meter(self):
        meter = self.draw.choice(list(self.model.meters.values()))
        self.end(meter, self.clock + self.draw.randrange(1, 4 * HOUR))

    def end_meter_in_past(self):
        """Its readings from after the end have been accepted; those that it misses from before are asked for still."""
        missed = sorted((meter, t) for meter, t, _ in self.model.gap(time.time()) if t > self.clock - DAY)
        meter, t = self.draw.choice(missed) if missed else (self.draw.choice(list(self.model.meters)),
            self.clock - 5 * HOUR)
        until = self.draw.choice([t + self.model.setting_at(t).interval, self.draw.randrange(t, self.clock) + 1])
        self.end(self.model.meters[meter], until)
        self.model.note('meter ended in the past')

    def end(self, meter, until):
        until = hour_of(until) if self.chance(0.3) else until
        if meter.begins < until and meter.ends in (inf, self.scenario.horizon):
            self.model.change_active(meter, meter.begins, until, time.time())
            self.server.operator.run('UPDATE metering.meter SET active = tstzrange(lower(active), $2) WHERE meter_id = '
                '$1',
                                     meter.name, iso(until))
            self.model.note('meter ended')

    def move(self):
        meter = self.draw.choice(list(self.model.meters.values()))
        self.change_meter(meter, 'region', self.draw.choice(REGIONS), hour_of(self.clock) + HOUR)
        self.model.note('region moved')

    def change_tariff(self):
        meter = self.draw.choice(list(self.model.meters.values()))
        self.change_meter(meter, 'tariff', self.draw.choice(list(TARIFFS)), self.model.window_of(self.clock).end)
        self.model.note('tariff changed')

    def change_meter(self, meter, column, value, from_time):
        self.server.admin.run(f"""
            BEGIN;
            UPDATE metering.meter SET {column} = '{value}' WHERE meter_id = '{meter.name}';
            {self.dated_back(HISTORY[column], from_time, f"meter_id = '{meter.name}'")}
            COMMIT""")
        getattr(meter, column).change(value, from_time)

    def dated_back(self, table, t, condition='true'):
        """A change takes effect at the end of the hour or window of the server's clock.  That of the simulation
        is meant: the row that keeps what held before gets that time, as only a superuser can do, unless a
        change within the same hour or window has made one before."""
        return f"""
            DELETE FROM metering.{table} WHERE {condition} AND until > now()
                AND EXISTS (SELECT FROM metering.{table} WHERE {condition} AND until = '{iso(t)}');
            UPDATE metering.{table} SET until = '{iso(t)}' WHERE {condition} AND until > now();"""

    def change_settings(self):
        present = self.model.present
        changes = {}
        if self.chance(0.8):
            changes['key'] = self.draw.choice([self.keys[name] for name in 'abc' if self.keys[name] != present.key])
        if self.chance(0.4):
            changes['interval'] = self.draw.choice(self.scenario.intervals) * MINUTE
        if self.chance(0.4):
            changes['window_hours'] = self.draw.choice(WINDOWS)
        if self.chance(0.3):
            changes['zone'] = self.draw.choice(ZONES)
        self.set_settings(**changes)
        for name, event in (('key', 'key changed'), ('interval', 'reading interval changed'),
                            ('window_hours', 'bill window changed'), ('zone', 'zone changed')):
            self.model.note(event, getattr(self.model.present, name) != getattr(present, name))

    def set_settings(self, **changes):
        until = self.model.window_of(self.clock).end
        self.model.change_settings(self.clock, **changes)
        _, key, interval, hours, zone, bill_key = self.model.present
        self.server.admin.run(f"""
            BEGIN;
            UPDATE metering.setting SET key_id = '{key}', reading_interval = '{interval} s',
                bill_window = '{hours} hours', zone = '{zone}', bill_key_id = {quoted(bill_key)};
            SET CONSTRAINTS ALL IMMEDIATE;
            {self.dated_back('setting_history', until)}
            DELETE FROM metering.window_grid WHERE window_start >= '{iso(until)}';
            COMMIT""")

    def take_back_change(self):
        """The key changes, readings come under the new one, and the change is taken back before it takes effect."""
        key = self.model.present.key
        self.set_settings(key=self.draw.choice([self.keys[name] for name in 'abc' if self.keys[name] != key]))
        self.collect()
        self.send()
        self.set_settings(key=key)
        self.model.note('change taken back')

    def set_grace(self, seconds):
        self.server.operator.run(f"UPDATE metering.setting SET grace = '{seconds} s'")
        self.model.grace = seconds

    def expire_readings(self):
        """A short retention: what has not come until now is given up."""
        mislaid = [t for _, t in self.collector.mislaid if t >= self.model.starts_at]
        expired = max(self.scenario.start + self.draw.randrange(self.scenario.hours // 2) * HOUR,
            max(mislaid, default=0)) + 1
        self.collector.mislaid.clear()
        self.model.retention = time.time() - expired
        self.server.operator.run(f"UPDATE metering.setting SET retention = '{self.model.retention} s'")
        times = self.model.reading_times(self.model.starts_at, expired)
        lost = [(meter.name, t) for t in times for meter in self.model.meters.values()
                if meter.active(t) and (meter.name, t) not in self.collector.accepted]
        for reading in lost[:3]:
            self.collector.deliver(self.collector.file_of([reading]))
            self.model.note('reading expired')

    # ---- rolling up ----

    def call(self, as_of):
        return f"CALL metering.rollup('{iso(as_of)}')"

    def roll_up(self, as_of=None, busy=()):
        as_of = as_of or self.clock
        self.server.operator.run(self.call(as_of))
        self.model.rollup(as_of, time.time(), busy)

    def roll_up_somehow(self):
        way = self.draw.random()
        if way < 0.15:
            return
        if way < 0.3:
            self.roll_up(self.clock - self.draw.randrange(1, 5 * HOUR))
        elif way < 0.45:
            self.roll_up_twice_at_once()
        else:
            self.roll_up()

    def roll_up_twice_at_once(self):
        sessions = self.server.operator, self.server.second_operator
        for session in sessions:
            session.start(self.call(self.clock))
        for session in sessions:
            session.finish()
        self.model.rollup(self.clock, time.time())
        self.model.note('two roll-ups at once')

    def write_during_rollup(self):
        """A collector is still writing to an hour that is due: neither waits for the other to end."""
        readings = [reading for _, reading in self.outbox if self.model.sealed_until
            and reading[1] >= self.model.sealed_until]
        readings = self.collector.acceptable([reading for reading in readings
            if hour_of(reading[1]) == hour_of(readings[0][1])])
        if not readings:
            return self.later(self.write_during_rollup)
        file = self.collector.file_of(readings)
        self.server.collector.run('BEGIN')
        self.collector.refused(file, set())
        self.roll_up(busy={slot_of(readings[0][1])})
        self.server.collector.run('COMMIT')
        self.collector.take(file)

    def send_during_rollup(self):
        """While an hour is being sealed, readings of other hours come in without waiting."""
        if not self.hold_rollup('region_hour'):
            return self.later(self.send_during_rollup)
        hour, billed_until = self.comparison.progress_on_disk()
        self.model.rollup(self.clock, time.time(), until=(hour + HOUR, billed_until))
        readings = [reading for _, reading in self.outbox if slot_of(reading[1]) != slot_of(hour)]
        self.server.collector.run("SET lock_timeout = '30s'")
        self.collector.deliver(self.collector.file_of(self.collector.acceptable(readings)))
        self.server.admin.run('COMMIT')
        self.server.operator.finish()
        self.model.rollup(self.clock, time.time())
        self.model.note('file sent while an hour is sealed', bool(readings))

    def later(self, event):
        """It was not the time for it."""
        self.stories.insert(0, event)

    # ---- crashes ----

    def restart(self):
        self.server.restart()
        self.comparison.connect(self.server.admin, self.server.collector)
        self.model.note('clean restart')

    def crash(self):
        kind = self.crashes[0]
        before, under_way = self.model.sealed_until, kind in HELD_CRASHES
        if under_way and not self.hold_rollup(HELD_CRASHES[kind]):
            self.crashes.append(self.crashes.pop(0))
            return
        if kind == 'crash during COPY':
            file = self.collector.file_of(self.draw.sample(self.collector.sent, min(len(self.collector.sent), 50)))
            half = ''.join(line for _, line in file)[:-40].encode()
            self.server.collector.run(COPY)
            pq.PQputCopyData(self.server.collector.connection, half, len(half))
        elif kind == 'crash right after a roll-up':
            self.roll_up()
        elif kind == 'crash at a random moment':
            under_way = True
            self.server.operator.start(self.call(self.clock))
            time.sleep(self.draw.random() * 0.2)
        if kind == 'crash of a server process':
            self.server.crash_by_process(self.server.operator.pid)
        else:
            self.server.crash()
        self.recover(under_way)
        if kind != 'crash between two commits' or self.model.sealed_until != before:
            self.model.note(kind)
            self.crashes.pop(0)

    def hold_rollup(self, table):
        """Call the roll-up and hold it where it is about to write to a table; false where it does not come to that."""
        admin, operator = self.server.admin, self.server.operator
        admin.run(f'BEGIN; LOCK TABLE metering.{table} IN SHARE MODE')
        operator.start(self.call(self.clock))
        while not operator.done(0.01):
            if admin.one('SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1', operator.pid) != '0':
                return True
        operator.finish()
        admin.run('COMMIT')
        self.model.rollup(self.clock, time.time())
        return False

    def recover(self, under_way):
        self.comparison.connect(self.server.admin, self.server.collector)
        self.model.crash(self.comparison.progress_on_disk(), *self.comparison.log_on_disk(),
                         self.clock if under_way else None, time.time())
        if self.model.grace != LONG_GRACE:
            self.set_grace(LONG_GRACE)
        self.collector.accepted &= self.model.received
        self.comparison.everything()
        self.patience = self.draw.randrange(1, 5)

    def wait_or_go_on(self):
        """After a crash the roll-up waits for what was lost; the time of grace is over some steps later."""
        if self.patience:
            self.patience -= 1
            if self.patience == 0:
                self.set_grace(0)

    # ---- the story ----

    def run(self):
        self.set_up()
        end = self.scenario.start + self.scenario.hours * HOUR
        self.first_hours()
        for left in range(self.STEPS, 0, -1):
            self.step((end - self.clock) // left, left)
        self.close()

    def first_hours(self):
        self.clock += 6 * HOUR
        self.collect()
        self.send()
        self.comparison.everything()
        if self.scenario.starts_late:
            self.set_start(self.scenario.start + 5 * HOUR)
            self.comparison.everything()
        if self.scenario.falls_behind:
            self.clock += 45 * HOUR
            self.collect()
            self.send()
            self.end_meter_in_past()

    def step(self, even, left):
        """Time goes on, about as much as an even share; something happens; the roll-up runs."""
        self.clock += int(even * self.draw.choice([0.1, 0.6, 1, 1, 1.2]))
        self.collect()
        if self.stories and (self.chance(0.5) or left <= len(self.stories)):
            self.stories.pop()()
        if self.chance(0.9):
            self.send()
        self.wait_or_go_on()
        if self.crashes and self.chance(0.4):
            self.crash()
        else:
            self.roll_up_somehow()
        if self.chance(0.4):
            self.collector.resend(self.collected, 0.5 if self.scenario.readings_expire else self.draw.choice([1, 0.5]))
        if self.chance(0.4):
            self.comparison.everything()

    def close(self):
        """Everything missing is sent again, and two more windows bill what was late."""
        self.clock += HOUR
        self.outbox.clear()
        if self.patience:
            self.patience = 0
            self.set_grace(0)
        if self.scenario.readings_expire:
            self.expire_readings()
            self.comparison.everything()
        for _ in range(2):
            self.collector.resend(self.collected, 1)
            self.roll_up()
        underway = {*self.model.partial, *(copy.reading for copy in self.model.staged_copies())}
        missing = [reading for reading in self.collector.missing(self.collected) if reading not in underway]
        same('what is missing after it was sent again', missing, [])
        self.clock = self.model.window_of(self.model.window_of(self.clock).end).end
        self.collect(careful=True)
        self.clock += LONG_GRACE
        self.send()
        self.roll_up()
        self.comparison.everything()
        self.comparison.bills()
        self.account()
        if self.scenario.endless:
            self.catch_up()

    def catch_up(self):
        """As of a time to come is as of now: the simulated time ends there."""
        self.set_grace(0)
        # hours that nobody has sent anything of are sealed when newer readings come
        now = time.time()
        latest = hour_of(now) + (now % HOUR // self.model.present.interval - 1) * self.model.present.interval
        self.collector.send_file(self.collector.file_of(self.collector.acceptable((meter, int(latest))
            for meter in self.model.meters)))
        before = time.time()
        self.server.operator.run("CALL metering.rollup('infinity')")
        sealed_until, _ = self.comparison.progress_on_disk()
        if not hour_of(before) <= sealed_until <= time.time():
            raise Difference('hours sealed as of now', sealed_until, hour_of(before))
        self.model.rollup(sealed_until, before)
        self.comparison.everything()

    def account(self):
        """The books of the fleet: what was accepted is billed once, but for single readings that wait for company."""
        same('windows billed', self.model.billed_until, self.collected)
        waiting = {}
        for copy in [*self.model.partial.values(), *self.model.uncounted]:
            waiting.setdefault((copy.meter, copy.key), []).append(copy.value)
        needed = max(window.needed(self.scenario.min_share) for window in self.model.windows.values())
        groups = {}
        for copy in self.model.partial.values():
            groups[copy.meter, copy.key] = groups.get((copy.meter, copy.key), 0) + 1
        for (meter, key), count in groups.items():
            if count >= needed:
                raise Difference(f'readings of {meter} under {key} not billed', count, 0)
        sums = dict.fromkeys(self.model.meters, 0)
        for meter, t in self.collector.accepted:
            sums[meter] += self.collector.value((meter, t)) if t >= self.model.starts_at else 0
        for (meter, _), values in waiting.items():
            sums[meter] -= sum(values)
        same('sum of all bills of each meter', {meter: int(total or 0) for meter,
            total in self.comparison.sums().items()}, sums)

    def describe(self):
        crashes = len(self.scenario.crashes) - len(self.crashes)
        return f'{self.scenario}: {len(self.collector.values)} readings, {crashes} crashes'

    def events(self):
        scenario, model = self.scenario, self.model
        nominal = {period.until: period.window_hours * HOUR for period in model.periods}
        events = set(model.events) | {f'readings every {scenario.interval // MINUTE} min',
            f'windows of {scenario.window_hours} h'}
        if scenario.change:
            events.add(f'daylight saving time {"begins" if scenario.change[1] > 0 else "ends"}')
        for window in model.windows.values():
            period = model.setting_at(window.start)
            if scenario.change and window.start not in nominal and window.end - window.start != nominal[period.until]:
                longer = window.end - window.start > nominal[period.until]
                events.add(f'window {"longer" if longer else "shorter"} by a change of time')
        return events


def run_seed(run):
    try:
        run.run()
        run.server.drop()
        failed = 0
        if 'EVENTS' in os.environ:
            with open(os.environ['EVENTS'], 'a') as file:
                file.writelines(f'{event}\n' for event in run.events())
    except Exception as error:
        failed = 1
        where = traceback.format_exc() if not isinstance(error,
            Difference) else '\n'.join(traceback.format_tb(error.__traceback__)[-3:])
        diag(f'seed {run.seed} at {iso(run.clock)}: {error}\n{where}\nrun it again: SEED={run.seed} BASE={run.base}')
    print(run.seed, failed, run.describe(), flush=True)


def main(arguments, kind=Run, required=REQUIRED):
    if arguments[0] == '--uncovered':
        with open(arguments[1]) as file:
            occurred = set(file.read().splitlines())
        print('\n'.join(event for event in required if event not in occurred))
        return
    base = int(os.environ.get('BASE') or hour_of(int(time.time())))
    for seed in arguments:
        run_seed(kind(int(seed), base))


if __name__ == '__main__':
    main(sys.argv[1:])
