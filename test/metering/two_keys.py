"""A fleet of meters with two keys; used as driver.py, which it extends.

Each meter sends readings under one key and registers under the other: some late, some
lost, some twice, some wrong and void.  Registers are exchanged, the keys change, one key
becomes two and two become one.
"""
import random
import sys
import time
from math import inf

from driver import Run, main
from collector import COPY_REGISTERS
from compare import iso
from model import HOUR, hour_of
from scenario import HELD_CRASHES, MINUTE, WINDOWS, ZONES, Scenario

REGION_KEYS, BILL_KEYS = 'abc', 'xyz'
CRASHES = [crash for crash in HELD_CRASHES if crash != 'crash between two commits']

REQUIRED = [
    'late reading dropped', 'reading of a meter that is in no region dropped', 'copies of a reading that differ',
    'duplicate in a batch', 'region hour below min_meters', 'region moved', 'tariff changed', 'meter began',
    'meter ended in the past', 'meter registered late', 'two roll-ups at once', 'resend from the gap',
    'register missing', 'register asked for late', 'register sent before dropped', 'late register crosses out a gap',
    'register void', 'register exchanged', 'register billed on a line', 'register of another series accepted',
    'registers committed after a roll-up', 'key of readings changed', 'key of registers changed',
    'one key became two', 'two keys became one',
    'carried reading', 'late reading of one key listed', 'reading destroyed and listed', *CRASHES,
    *(f'refused: {reason}' for reason in (
        'is under key', 'register is under key', 'is not read at the start of a bill window', 'lies within series',
        'one key was in use', 'outside the active range', 'is not registered', 'before the start of metering'))]


class TwoKeyScenario(Scenario):
    """Days of few meters and readings, most of them with two keys from the start."""

    def __init__(self, seed, base):
        super().__init__(seed, base)
        draw = random.Random(f'two keys {seed}')
        self.interval = draw.choice([15, 30, 30, 60]) * MINUTE
        self.intervals = [15, 30, 60]
        self.window_hours = draw.choice([1, 2, 2, 4, 4, 6])
        self.meters, self.hours = draw.choice([4, 5, 6]), draw.choice([30, 48, 60])
        self.horizon_hours = self.hours + 54
        self.zone, self.change = draw.choice(ZONES + ['Europe/Berlin', 'America/New_York']), None
        self.start = base - self.horizon_hours * HOUR
        self.horizon = self.start + self.horizon_hours * HOUR
        self.endless, self.readings_expire, self.falls_behind = True, False, False
        self.bill_key = draw.choice(['x', 'x', None])
        self.closing = draw.choice([0, 3, 12]) * HOUR
        self.crashes = [draw.choice(CRASHES)] if seed % 3 == 0 else []

    def __str__(self):
        return f'{"two keys" if self.bill_key else "one key at first"}, {super().__str__()}'


class TwoKeyRun(Run):
    SCENARIO, DATABASE, STEPS = TwoKeyScenario, 'two_keys_', 16

    def __init__(self, seed, base):
        self.counting = {}   # meter -> (next time that its register is read, series)
        self.due = {}        # (meter, time) -> series that are read then, with their keys
        self.register_outbox = []
        self.mislaid = set()  # (meter, time) of registers that are never sent
        self.exchanges = 0
        super().__init__(seed, base)

    def plan(self):
        events = [self.begin_meter, self.begin_meter_late, self.end_meter_in_past, self.end_meter, self.move,
            self.change_tariff, self.change_tariff, self.write_during_rollup, self.change_settings,
            self.change_settings, self.change_settings, self.void_some, self.register_during_rollup]
        self.draw.shuffle(events)
        return events

    # ---- registers are read ----

    def collect(self, careful=False):
        super().collect(careful)
        for meter in self.model.meters.values():
            self.count(meter, careful)

    def count(self, meter, careful):
        """The register of a meter, at the start of each bill window that has come."""
        first = self.model.window_of(self.scenario.start if meter.begins == -inf else int(meter.begins))
        t, series = self.counting.get(meter.name,
            (first.start if first.start >= meter.begins else first.end, None))
        while t <= min(self.clock, meter.ends):
            window, before = self.model.window_of(t), self.model.window_of(t - 1)
            read = []
            if series and series[1] == before.bill_key:
                read.append(series)
            if not series or series[1] != window.bill_key or (before.bill_key is None and self.chance(0.8)) or (
                    not careful and self.chance(0.04)):
                self.model.note('register exchanged', bool(series) and series[1] == window.bill_key)
                self.exchanges += 1
                series = (f's{self.exchanges}', window.bill_key) if window.bill_key else None
                read += [series] if series else []
            self.due[meter.name, t] = read
            self.put_in_outbox(meter.name, t, read, careful)
            t = window.end
        self.counting[meter.name] = t, series

    def put_in_outbox(self, name, t, read, careful):
        late = 0
        if not careful and self.chance(0.3):
            late = self.draw.choice([self.draw.randrange(3 * self.scenario.window_hours * HOUR), inf])
        if late == inf and self.chance(0.3):
            self.mislaid.add((name, t))
        self.register_outbox += [(t + late, (name, t, *series)) for series in read]

    def send(self):
        super().send()
        self.send_registers()

    def send_registers(self):
        due = [register for at, register in self.register_outbox if at < self.clock]
        self.register_outbox = [(at, register) for at, register in self.register_outbox if self.clock <= at < inf]
        if self.chance(0.3):
            self.draw.shuffle(due)
        else:
            due.sort(key=lambda register: register[:2])
        self.collector.send_registers(due)

    def resend_registers(self, share):
        due = [(name, t, *series) for name, t in self.collector.gaps('register') if self.chance(share)
            for series in self.due.get((name, t), []) if (name, t) not in self.mislaid]
        self.collector.send_registers(due)

    def register_during_rollup(self):
        """Windows are sealed while their registers are not committed: none of them stays missing."""
        due = [register for at, register in self.register_outbox if at < self.clock]
        file = self.collector.acceptable_registers(due)
        if not file:
            return self.later(self.register_during_rollup)
        self.server.collector.run('BEGIN')
        self.collector.refused(self.collector.lines_of(file), set(), COPY_REGISTERS)
        self.roll_up()
        self.server.collector.run('COMMIT')
        self.model.take_registers(file, time.time())
        self.model.note('registers committed after a roll-up')

    # ---- what should not come ----

    def window_starts(self):
        """Starts of bill windows up to now."""
        t, starts = self.scenario.start, []
        while (window := self.model.window_of(t)).start <= self.clock:
            starts.append(window.start)
            t = window.end
        return starts

    def odd_register(self):
        """A register that may have no place in its series; sometimes beside a good one: then neither is taken."""
        meter = self.draw.choice(list(self.model.meters))
        known = [name for name in self.model.registers.of(meter)]
        series = self.draw.choice([*known, *known, 'odd'])
        t = self.draw.choice(self.window_starts())
        keys = [self.model.window_of(t).bill_key, self.model.window_of(t - 1).bill_key, self.keys['a'], self.keys['x']]
        if series != 'odd':
            keys += [self.model.registers.series[meter, series].key] * 3
        kind = self.draw.random()
        if kind < 0.1:
            t += self.scenario.interval
        elif kind < 0.15:
            t = self.scenario.start - self.scenario.window_hours * HOUR
        elif kind < 0.2:
            meter = 'nobody'
        file = [self.collector.register(meter, t, series, self.draw.choice([key for key in keys if key]))]
        good = [register for at, register in self.register_outbox if at < self.clock][:2]
        file = [self.collector.register(*register) for register in good] + file
        before = self.model.registers
        if self.collector.deliver_registers(file):
            if series == 'odd' and self.chance(0.8):
                self.void(meter, series, t)
            self.model.note('register of another series accepted')
        elif self.model.registers is not before:
            raise AssertionError('the model has taken a file that is refused')

    def void_some(self):
        """Wrong registers: also the first or last of a series."""
        for (meter, name), series in self.model.registers.series.items():
            if series.valid and self.chance(0.3):
                self.void(meter, name, self.draw.choice([series.valid[0], series.valid[-1], *series.valid]))

    def void(self, meter, series, t):
        self.server.operator.run('SELECT metering.void_register($1, $2, $3)', meter, iso(t), series)
        self.model.registers.series[meter, series].void.add(t)
        self.model.note('register void')

    # ---- settings ----

    def change_settings(self):
        present = self.model.present
        changes = {}
        others = [self.keys[name] for name in BILL_KEYS if self.keys[name] != present.bill_key]
        if present.bill_key is None:
            changes['bill_key'] = self.draw.choice(others)
            self.model.note('one key became two')
        elif self.chance(0.5):
            changes['bill_key'] = None
            self.model.note('two keys became one')
        elif self.chance(0.5):
            changes['bill_key'] = self.draw.choice(others)
            self.model.note('key of registers changed')
        if self.chance(0.4):
            changes['key'] = self.draw.choice([self.keys[name] for name in REGION_KEYS
                if self.keys[name] != present.key])
            self.model.note('key of readings changed')
        if self.chance(0.2):
            changes['interval'] = self.draw.choice(self.scenario.intervals) * MINUTE
        if self.chance(0.3):
            changes['window_hours'] = self.draw.choice([1, 2, 4, 6])
        if self.chance(0.2):
            changes['zone'] = self.draw.choice(ZONES)
        self.set_settings(**changes)

    # ---- the story ----

    def step(self, even, left):
        super().step(even, left)
        if self.chance(0.6):
            self.odd_register()
        if self.chance(0.4):
            self.resend_registers(self.draw.choice([1, 0.5]))
        self.comparison.nothing_finer()
        if self.chance(0.2):
            self.bills()

    def bills(self):
        self.comparison.everything()
        self.comparison.bills()
        self.comparison.health()

    def close(self):
        """Everything missing is sent again, and two more windows are sealed.  With two keys nothing waits then."""
        self.clock += HOUR
        self.outbox.clear()
        if self.patience:
            self.patience = 0
            self.set_grace(0)
        for share in (0.7, 1):
            self.collector.resend(self.collected, share)
            self.resend_registers(share)
            self.roll_up()
            self.bills()
        self.clock = self.model.window_of(self.model.window_of(self.clock).end).end
        self.collect(careful=True)
        self.clock += 30 * MINUTE + self.scenario.closing
        self.send()
        self.roll_up()
        self.bills()
        interpolated = sum(row[-1] for row in self.model.registers.bills(self.model, self.comparison.tariffs,
            self.comparison.unit))
        self.model.note('register billed on a line', interpolated)

    def describe(self):
        registers = sum(len(series.all) for series in self.model.registers.series.values())
        return f'{super().describe()}, {registers} registers in {len(self.model.registers.series)} series'


if __name__ == '__main__':
    main(sys.argv[1:], TwoKeyRun, REQUIRED)
