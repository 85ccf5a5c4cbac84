"""What the metering pipeline must hold, in plain integers.

The model takes the same events as the database (readings staged, roll-ups,
changes of settings and meters, crashes) and says exactly what every table and
view must show.  It is written from the rules of the pipeline, not from its
code: bill windows come from local dates, sets of readings stand for bitmaps.

Times are seconds since 1970, values and totals are integers, keys are key ids.
"""
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil, inf
from typing import NamedTuple
from zoneinfo import ZoneInfo

from registers import Registers

HOUR = 3600
RING = 48  # hours the staging ring holds: hours so far apart share a partition


def hour_of(t):
    return t - t % HOUR


def slot_of(t):
    return t // HOUR % RING


class Copy(NamedTuple):
    """A reading as it was sent; a reading may be sent in several copies."""
    meter: str
    read_at: int
    value: int
    key: str
    cipher: int = 0  # which ciphertext: copies of one file, or of a file that is sent again, have the same

    @property
    def reading(self):
        return self.meter, self.read_at


class SettingPeriod(NamedTuple):
    """What holds up to a time."""
    until: float
    key: str
    interval: int
    window_hours: int
    zone: str
    bill_key: str = None  # of registers; None while there is one key


class Window(NamedTuple):
    start: int
    end: int
    key: str
    interval: int
    bill_key: str = None

    @property
    def times(self):
        return set(range(self.start, self.end, self.interval))

    def expected_of(self, meter):
        """Times of the readings that a meter should send; with two keys, of its register."""
        if self.bill_key is None:
            return {t for t in self.times if meter.active(t)}
        return {self.start} if meter.begins <= self.start <= meter.ends else set()

    def needed(self, share):
        """How many readings make a total."""
        whole = len(self.times)
        return 1 if whole == 1 else max(2, ceil(Decimal(whole) * share))


class History:
    """A property of a meter: what it is now, and what it was up to a time."""

    def __init__(self, value):
        self.present = value
        self.past = []

    def change(self, value, from_time):
        if value == self.present:
            return
        if not any(until == from_time for until, _ in self.past):
            self.past.append((from_time, self.present))
        self.present = value

    def stretches(self):
        """(since, until, value), in order."""
        since = -inf
        for until, value in [*sorted(self.past), (inf, self.present)]:
            yield since, until, value
            since = until

    def at(self, t):
        return min(((until, value) for until, value in self.past if until > t), default=(inf, self.present))[1]


class Meter:
    def __init__(self, name, region, tariff, begins=-inf, ends=inf):
        self.name, self.begins, self.ends = name, begins, ends
        self.region, self.tariff = History(region), History(tariff)

    def active(self, t):
        return self.begins <= t < self.ends

    def overlaps(self, start, end):
        return self.begins < end and start < self.ends


class RegionHour(NamedTuple):
    key: str
    total: int
    meters: int
    readings: int


@dataclass
class Bill:
    """A row of bill_window."""
    total: int = None
    readings: int = 0
    carried: int = 0
    expected: int = 0


@dataclass
class Lack:
    """A row of incomplete: times of readings."""
    expected: set
    received: set

    @property
    def missing(self):
        return self.expected - self.received


class HourLog(NamedTuple):
    meters: int
    readings: int
    duplicates: int
    refused: int
    late: int
    suppressed: int
    dropped: int
    conflicts: int


class WindowLog(NamedTuple):
    meters: int
    readings: int
    carried: int


class Model:
    def __init__(self, period, grace, min_meters, min_share, retention, backup_interval, starts_at=None,
                 closing=72 * HOUR):
        self.periods = [period]
        self.grace, self.min_meters, self.min_share, self.retention = grace, min_meters, min_share, retention
        self.backup_interval, self.closing = backup_interval, closing
        self.starts_at = starts_at
        self.sealed_until = self.billed_until = None
        self.meters = {}
        self.staged = {slot: [] for slot in range(RING)}
        self.partial = {}          # reading -> its copy: taken from staging, not billed yet
        self.received = set()      # readings in totals on disk, or destroyed and listed
        self.uncounted = []        # copies that were destroyed and listed
        self.region_hours = {}     # (region, hour) -> RegionHour
        self.windows = {}          # start -> Window, the sealed ones
        self.bills = {}            # (meter, window start, key) -> Bill
        self.lacks = {}            # (meter, window start) -> Lack
        self.hour_log, self.window_log = {}, {}
        self.late_log = [0, 0, 0, 0]  # readings, duplicates, refused, dropped
        self.registers = Registers()
        self.late_registers = set()   # of sealed windows, until the next one is sealed
        self.crashed = False       # staging has been lost at some time …
        self.restart_pending = False  # … and no roll-up has noticed yet
        self.restarts = 0
        self.events = {}           # what happened how often, for the record
        self._window = {}

    def note(self, event, times=1):
        if times:
            self.events[event] = self.events.get(event, 0) + times

    # ---- settings ----

    @property
    def present(self):
        return self.periods[-1]

    def setting_at(self, t):
        return next(period for period in self.periods if period.until > t)

    def change_settings(self, t, **changes):
        """Settings change at the end of the bill window that is open at t; before that, what held first is kept."""
        until = self.window_of(t).end
        former = self.periods.pop()
        if not any(period.until == until for period in self.periods):
            self.periods.append(former._replace(until=until))
        self.periods.append(former._replace(**changes))
        self._window.clear()

    def window_of(self, t):
        """The bill window of t: the run of hours with the same local date and stretch of the day."""
        hour = hour_of(t)
        if hour not in self._window:
            label, start, end = self._label(hour), hour, hour + HOUR
            while self._label(start - HOUR) == label:
                start -= HOUR
            while self._label(end) == label:
                end += HOUR
            self._window[hour] = Window(start, end, label[0].key, label[0].interval, label[0].bill_key)
        return self._window[hour]

    def _label(self, hour):
        period = self.setting_at(hour)
        local = datetime.fromtimestamp(hour, ZoneInfo(period.zone))
        return period, local.date(), local.hour // period.window_hours

    def reading_times(self, start, end):
        """The grid of readings from start, which lies on it, up to end."""
        while start < end:
            yield start
            start += self.setting_at(start).interval

    # ---- the door ----

    def refusals(self, meter, read_at, key, now):
        """Why a reading must be refused: parts of messages, none where it must be accepted."""
        period = self.setting_at(read_at)
        known = self.meters.get(meter)
        reasons = {
            'is not on the grid': read_at % HOUR % period.interval,
            'lies in the future': read_at + period.interval > now + 60,
            'older than the retention': read_at < now - self.retention,
            'before the start of metering': self.starts_at is not None and read_at < self.starts_at,
            'is not registered': known is None,
            'outside the active range': known is not None and not known.active(read_at),
            'is under key': key != period.key
                and (key != self.present.key or period.bill_key or self.present.bill_key),
        }
        return {reason for reason, holds in reasons.items() if holds}

    def stage(self, copies):
        for copy in copies:
            self.staged[slot_of(copy.read_at)].append(copy)

    def staged_copies(self):
        return [copy for copies in self.staged.values() for copy in copies]

    # ---- registers ----

    @property
    def bill_keys(self):
        return {period.bill_key for period in self.periods} - {None}

    def register_refusals(self, register, now):
        """The same for a register, but for what its series has to do with it."""
        def key_of(period):
            return period.bill_key or period.key

        t, known = register.read_at, self.meters.get(register.meter)
        period, before = self.setting_at(t), self.setting_at(t - 1)
        keys = {key_of(period), key_of(before)}
        if not period.bill_key and not self.present.bill_key:
            keys.add(self.present.key)
        reasons = {
            'is not on the grid': t % HOUR % period.interval,
            'lies in the future': t > now + 60,
            'older than the retention': t < now - self.retention,
            'before the start of metering': self.starts_at is not None and t < self.starts_at,
            'is not registered': known is None,
            'outside the active range': known is not None and not known.begins <= t <= known.ends,
            'register is under key': register.key not in keys,
            'is not read at the start of a bill window': self.window_of(t).start != t,
        }
        return {reason for reason, holds in reasons.items() if holds}

    def one_key_between(self, start, end):
        """Whether there is one key at some time from start up to end."""
        begins = -inf
        for period in self.periods:
            if period.bill_key is None and begins < end and start < period.until:
                return True
            begins = period.until
        return False

    def take_registers(self, file, now):
        """Registers of a file, in order.  Returns why it must be refused: then nothing changes."""
        trial, late, reasons = self.registers.copy(), set(), set()
        for register in file:
            why = self.register_refusals(register, now) or trial.take(register, self)
            reasons |= why
            if not why and self.billed_until is not None and register.read_at < self.billed_until:
                late.add((register.meter, register.read_at))
        if not reasons:
            self.registers = trial
            self.late_registers |= late
        return reasons

    def _take_late_registers(self):
        for meter, t in self.late_registers:
            if self.window_of(t).bill_key and self.lacks.pop((meter, t), None):
                self.note('late register crosses out a gap')
        self.late_registers.clear()

    # ---- what is missing ----

    def gap(self, now):
        """What sealed windows lack: readings, and with two keys registers that have not come since."""
        def kind(meter, start):
            return 'register' if self.windows[start].bill_key else 'reading'

        return {(meter, t, kind(meter, start)) for (meter, start), lack in self.lacks.items() for t in lack.missing
                if t >= now - self.retention
                and not (self.windows[start].bill_key and self.registers.has(meter, start))}

    def acknowledged(self, now):
        """For each meter the window before which all its readings are on disk, and in backups."""
        until = max((window.end for window in self.windows.values() if window.end <= now - self.backup_interval),
            default=None)
        if until is None:
            return {}
        lacking = {}
        for (meter, start), lack in sorted(self.lacks.items(), key=lambda item: item[0][1]):
            if lack.missing and start >= now - self.retention - 48 * HOUR:
                lacking.setdefault(meter, start)
        return {name: min(lacking.get(name, until), until) for name in self.meters}

    def change_active(self, meter, begins, ends, now):
        """The active range of a meter changes, or it is new (its range was empty): sealed windows expect accordingly."""
        known = meter.name in self.meters
        earlier = {start: window.expected_of(meter) if known else set() for start, window in self.windows.items()}
        asked_from = -inf
        if begins == -inf and not (known and meter.begins == -inf):
            asked_from = meter.begins if known else self.billed_until or -inf
        self.meters[meter.name] = meter
        meter.begins, meter.ends = begins, ends
        for start, window in self.windows.items():
            expected = {t for t in window.expected_of(meter) if t >= asked_from}
            if window.end <= max(self.starts_at, now - self.retention) or expected == earlier[start]:
                continue
            if window.bill_key and self.registers.has(meter.name, start):
                continue
            if (meter.name, start) in self.lacks:
                self.lacks[meter.name, start].expected = expected
            elif window.bill_key:
                if expected:
                    self.lacks[meter.name, start] = Lack(expected, set())
                    self.note('register asked for late')
            elif expected and not self._has_bill(meter.name, start):
                self.bills[meter.name, start, window.key] = Bill(expected=len(expected))
                self.lacks[meter.name, start] = Lack(expected, set())
                self.note('reading asked for late')

    def _has_bill(self, meter, start):
        return any((meter, start) == row[:2] for row in self.bills)

    # ---- the roll-up ----

    def rollup(self, as_of, now, busy=(), until=None):
        """Everything that is due as of a time.

        busy: partitions that somebody is writing to.  until: stop at this
        (sealed_until, billed_until), where a crash has stopped the roll-up.
        """
        if (self.sealed_until, self.billed_until) == until:
            return
        self._begin()
        while (self.sealed_until, self.billed_until) != until:
            step, starts = self._next_step(as_of, now)
            if step != 'hour':
                self._sweep(as_of, busy)
            if step is None:
                break
            if step == 'window':
                self._seal_window(starts)
            elif slot_of(starts) in busy:
                self.note('hour left to the next roll-up because it is written to')
                break
            else:
                self._seal_hour(starts)

    def _begin(self):
        """Notice a restart; start with the window of the first reading, or where the settings say so."""
        self.restarts += self.restart_pending
        self.restart_pending = False
        if self.sealed_until is None:
            first = min((copy.read_at for copy in self.staged_copies()), default=None)
            first = first if self.starts_at is None else self.starts_at
            if first is not None:
                self.starts_at = self.sealed_until = self.billed_until = self.window_of(first).start

    def _next_step(self, as_of, now):
        if self.sealed_until is None:
            return None, None
        window = self.window_of(self.billed_until)
        if self.sealed_until >= window.end and (not self._is_last(window) or window.end + self.closing <= as_of
                or self.window_of(self.sealed_until).bill_key is None):
            step, starts = 'window', window.start
        elif self.sealed_until + HOUR + self.grace <= as_of:
            step, starts = 'hour', self.sealed_until
        else:
            return None, None
        # the grace of a simulated run is either much longer than the run, or none
        if self.crashed and self.grace > 0:
            self.note(f'{step} waits for lost readings')
            return None, None
        if step == 'hour' and self._silent(starts):
            self.note('hour without readings waits for newer ones')
            return None, None
        return step, starts

    def _is_last(self, window):
        """The last one before a second key: it stays open for the time of closing."""
        return window.bill_key is None and self.window_of(window.end).bill_key is not None

    def _silent(self, hour):
        """Nobody has sent a reading of the hour, and less than half of the meters of the last one anything newer;
        with two keys, nobody."""
        if any(hour <= copy.read_at < hour + HOUR for copy in self.staged[slot_of(hour)]):
            return False
        before = [log.meters for _, log in sorted(self.hour_log.items()) if log.meters]
        newer = {copy.meter for copy in self.staged_copies() if copy.read_at >= hour + HOUR}
        return len(newer) < max(1, (before[-1] + 1) // 2 if before and not self.window_of(hour).bill_key else 1)

    def _sweep(self, as_of, busy):
        """Take late readings, except from partitions of hours that are being written now."""
        if self.sealed_until is None:
            return
        last = min(as_of, self.sealed_until + (RING - 1) * HOUR)
        live = {slot_of(hour) for hour in range(self.sealed_until, int(last) + 1, HOUR)}
        for slot in set(range(RING)) - live - set(busy):
            late = [copy for copy in self.staged[slot] if copy.read_at < self.sealed_until]
            if late:
                self.staged[slot] = [copy for copy in self.staged[slot] if copy.read_at >= self.sealed_until]
                self.late_log = [a + b for a, b in zip(self.late_log, self._take_late(late))]

    def _take_late(self, copies):
        """Count readings of sealed hours once, but for those with two keys, which are dropped.  Returns how many,
        how many were counted before, how many may not be, and how many are dropped."""
        taken = refused = dropped = 0
        listed = set()
        is_open = self.window_of(self.billed_until).bill_key is None
        for copy in copies:
            if copy.read_at < self.starts_at:
                refused += 1
            elif self.window_of(copy.read_at).bill_key:
                dropped += 1
                self.note('late reading dropped')
            elif copy.reading in self.partial or copy.reading in self.received or copy.reading in listed:
                sealed = copy.read_at < self.sealed_until
                self.note('duplicate after sealing' if sealed else 'duplicate before sealing')
            elif is_open:
                self.partial[copy.reading] = copy
                taken += 1
                self.note('reading of a sealed window' if copy.read_at < self.billed_until else
                          'reading of a sealed hour in an open window' if copy.read_at < self.sealed_until else
                          'reading under another key than its hour')
            else:
                listed.add(copy.reading)
                dropped += 1
                self._list_late(copy)
        self.note('reading before the start dropped', refused)
        return taken, len(copies) - taken - refused - dropped, refused, dropped

    def _list_late(self, copy):
        """It comes after the last window of one key was sealed."""
        self.uncounted.append(copy)
        lack = self.lacks.get((copy.meter, self.window_of(copy.read_at).start))
        if lack:
            lack.received = lack.received | {copy.read_at}
            self.received.add(copy.reading)
        self.note('late reading of one key listed')

    def _seal_hour(self, hour):
        window, slot = self.window_of(hour), slot_of(hour)
        due = [copy for copy in self.staged[slot] if copy.read_at < hour + HOUR]
        self.staged[slot] = [copy for copy in self.staged[slot] if copy.read_at >= hour + HOUR]
        self.note('partition with readings of a later hour emptied', bool(self.staged[slot]))
        own, others, ciphers = {}, [], {}
        for copy in due:
            counts = copy.read_at >= hour and copy.key == window.key
            if counts:
                ciphers.setdefault(copy.reading, set()).add(copy.cipher)
            if counts and copy.reading not in own:
                own[copy.reading] = copy
            else:
                others.append(copy)
        conflicts = sum(len(different) > 1 for different in ciphers.values())
        self.note('copies of a reading that differ', conflicts)
        if window.bill_key is None:
            self.partial.update(own)
        meters, suppressed, counted = self._seal_regions(hour, window.key, own.values())
        if window.bill_key is None:
            late, duplicates, refused, dropped = self._take_late(others)
            counted = len(own)
        else:
            earlier = [copy for copy in others if copy.read_at < hour]
            late, duplicates, refused, dropped = self._take_late(earlier)
            duplicates += len(others) - len(earlier)
            dropped += len(own) - counted
            self.note('reading of a meter that is in no region dropped', len(own) - counted)
        self.hour_log[hour] = HourLog(meters, counted, duplicates, refused, late, suppressed, dropped, conflicts)
        self.sealed_until = hour + HOUR

    def _seal_regions(self, hour, key, copies):
        regions = {meter.region.at(hour): [] for meter in self.meters.values() if meter.overlaps(hour, hour + HOUR)}
        for copy in copies:
            meter = self.meters[copy.meter]
            if meter.overlaps(hour, hour + HOUR):
                regions[meter.region.at(hour)].append(copy)
        contributors = suppressed = counted = 0
        for region, own in regions.items():
            meters = len({copy.meter for copy in own})
            enough = meters >= self.min_meters
            total = sum(copy.value for copy in own) if enough else None
            self.region_hours[region, hour] = RegionHour(key, total, meters, len(own))
            contributors += meters
            suppressed += not enough
            counted += len(own)
        self.note('region hour below min_meters', suppressed)
        return contributors, suppressed, counted

    def _seal_window(self, start):
        window = self.window_of(start)
        self._take_late_registers()
        if window.bill_key is not None:
            for meter in self.meters.values():
                expected = window.expected_of(meter)
                if expected and not self.registers.has(meter.name, start):
                    self.lacks.setdefault((meter.name, start), Lack(expected, set()))
                    self.note('register missing')
            self.windows[start] = window
            self.window_log[start] = WindowLog(None, None, None)
            self.billed_until = window.end
            return
        groups = {}
        for copy in self.partial.values():
            groups.setdefault((copy.meter, copy.key), []).append(copy)
        received = {}   # meter -> times of this window that count now
        late = []
        for (meter, key), copies in groups.items():
            counted = copies
            if len(copies) < window.needed(self.min_share):
                self.note('too few readings for a total')
                counted = [copy for copy in copies if self._gives_up(copy, window)]
                self.note('reading destroyed and listed', len(counted))
                self.uncounted += counted
            else:
                carried = sum(copy.read_at < start for copy in copies)
                expected = window.expected_of(self.meters[meter]) if key == window.key else ()
                self.bills[meter, start, key] = Bill(sum(copy.value for copy in copies), len(copies), carried,
                    len(expected))
                self.note('carried reading', carried)
                self.note('total under another key than its window', key != window.key)
            received.setdefault(meter, set()).update(copy.read_at for copy in counted if copy.read_at >= start)
            late += [copy for copy in counted if copy.read_at < start]
            for copy in counted:
                self.received.add(copy.reading)
                del self.partial[copy.reading]
        self.windows[start] = window
        for meter in self.meters.values():
            active = meter.overlaps(window.start, window.end)
            expected = window.expected_of(meter)
            if active:
                self.bills.setdefault((meter.name, start, window.key), Bill(expected=len(expected)))
            own = received.get(meter.name, set())
            if (active or own) and own != window.times:
                self.lacks[meter.name, start] = Lack(expected | own, own)
        self._receive_late(late)
        rows = [bill for (_, at, _), bill in self.bills.items() if at == start and bill.total is not None]
        self.window_log[start] = WindowLog(len(rows), sum(bill.readings for bill in rows),
            sum(bill.carried for bill in rows))
        self.billed_until = window.end

    def _gives_up(self, copy, window):
        """No later window can bring readings to join this one."""
        if self._is_last(window):
            return True
        meter = self.meters[copy.meter]
        hopeless = copy.key not in (window.key, self.present.key) or meter.ends <= window.end
        hour = hour_of(copy.read_at)
        return hour < window.end - self.retention or (hopeless and hour < window.end - self.backup_interval)

    def _receive_late(self, copies):
        new = set()
        for copy in copies:
            own = self.window_of(copy.read_at)
            row = copy.meter, own.start
            if row not in self.lacks:
                new.add(row)
            lack = self.lacks.setdefault(row, Lack(set(), set()))
            lack.received = lack.received | {copy.read_at}
            if row in new:
                lack.expected = lack.received
            if lack.received == own.times and self._has_bill(*row):
                del self.lacks[row]

    # ---- crashes ----

    def crash(self, progress, restarts, late, as_of=None, now=None):
        """Staging is lost.

        Where a roll-up was under way (as_of), it came as far as progress on disk
        says; and so do the log's restarts and late readings, which leave no other trace.
        """
        if as_of is not None:
            self.rollup(as_of, now, until=progress)
            if self.restart_pending:
                self.restarts = min(restarts, self.restarts + 1)
            self.late_log = late
        self.partial.clear()
        for copies in self.staged.values():
            copies.clear()
        self.crashed = self.restart_pending = True

    # ---- bills ----

    def month_bills(self, tariffs, unit):
        """Rows of the view bill: (meter, month, tariff, key, amount, energy, readings, carried, missing, interpolated),
        amounts in exact decimals."""
        months = {}
        for (name, start, key), bill in self.bills.items():
            tariff = self.meters[name].tariff.at(start)
            row = months.setdefault((name, tariffs[tariff].month(start), tariff, key), [None, None, 0, 0, 0])
            if bill.total is not None:
                row[0] = (row[0] or 0) + bill.total * tariffs[tariff].price(start) * unit
                row[1] = (row[1] or 0) + bill.total
            row[2] += bill.readings
            row[3] += bill.carried
            lack = self.lacks.get((name, start))
            row[4] += len(lack.missing) if lack and key == self.windows[start].key else 0
        return [(*month, *row, 0) for month, row in months.items()] + self.registers.bills(self, tariffs, unit)


class Tariff(NamedTuple):
    zone: str
    rates: dict  # local time of day 'HH:MM' -> price

    def local(self, t):
        return datetime.fromtimestamp(t, ZoneInfo(self.zone))

    def month(self, t):
        return f'{self.local(t):%Y-%m}-01'

    def price(self, t):
        """The rate that began last: today, or else the last one of yesterday."""
        begun = [begins for begins in sorted(self.rates) if begins <= f'{self.local(t):%H:%M}']
        return Decimal(self.rates[begun[-1] if begun else max(self.rates)])
