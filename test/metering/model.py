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


class Window(NamedTuple):
    start: int
    end: int
    key: str
    interval: int

    @property
    def times(self):
        return set(range(self.start, self.end, self.interval))

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


class WindowLog(NamedTuple):
    meters: int
    readings: int
    carried: int


class Model:
    def __init__(self, period, grace, min_meters, min_share, retention, backup_interval, starts_at=None):
        self.periods = [period]
        self.grace, self.min_meters, self.min_share, self.retention = grace, min_meters, min_share, retention
        self.backup_interval = backup_interval
        self.starts_at = starts_at
        self.sealed_until = self.billed_until = None
        self.meters = {}
        self.staged = {slot: [] for slot in range(RING)}
        self.partial = {}          # reading -> its copy: taken from staging, not billed yet
        self.received = set()      # readings in totals on disk, or destroyed and listed
        self.uncounted = {}        # reading -> its copy: destroyed and listed
        self.region_hours = {}     # (region, hour) -> RegionHour
        self.windows = {}          # start -> Window, the sealed ones
        self.bills = {}            # (meter, window start, key) -> Bill
        self.lacks = {}            # (meter, window start) -> Lack
        self.hour_log, self.window_log = {}, {}
        self.late_log = [0, 0, 0]  # readings, duplicates, refused
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
            self._window[hour] = Window(start, end, label[0].key, label[0].interval)
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
            'is under key': key not in (period.key, self.present.key),
        }
        return {reason for reason, holds in reasons.items() if holds}

    def stage(self, copies):
        for copy in copies:
            self.staged[slot_of(copy.read_at)].append(copy)

    def staged_copies(self):
        return [copy for copies in self.staged.values() for copy in copies]

    # ---- what is missing ----

    def gap(self, now):
        """Readings that sealed windows lack."""
        return {(meter, t) for (meter, _), lack in self.lacks.items() for t in lack.missing
            if t >= now - self.retention}

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
        def times(window):
            return {t for t in window.times if meter.active(t)}

        known = meter.name in self.meters
        earlier = {start: times(window) if known else set() for start, window in self.windows.items()}
        asked_from = -inf
        if begins == -inf and not (known and meter.begins == -inf):
            asked_from = meter.begins if known else self.billed_until or -inf
        self.meters[meter.name] = meter
        meter.begins, meter.ends = begins, ends
        for start, window in self.windows.items():
            expected = {t for t in times(window) if t >= asked_from}
            if window.end <= max(self.starts_at, now - self.retention) or expected == earlier[start]:
                continue
            if (meter.name, start) in self.lacks:
                self.lacks[meter.name, start].expected = expected
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
        if self.sealed_until >= window.end:
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

    def _silent(self, hour):
        """Nobody has sent a reading of the hour, and less than half of the meters of the last one anything newer."""
        if any(hour <= copy.read_at < hour + HOUR for copy in self.staged[slot_of(hour)]):
            return False
        before = [log.meters for _, log in sorted(self.hour_log.items()) if log.meters]
        newer = {copy.meter for copy in self.staged_copies() if copy.read_at >= hour + HOUR}
        return len(newer) < max(1, (before[-1] + 1) // 2 if before else 1)

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
                taken, duplicates, refused = self._take_late(late)
                self.late_log = [a + b for a, b in zip(self.late_log, (taken, duplicates, refused))]

    def _take_late(self, copies):
        """Count readings of sealed hours once; returns how many, how many not, and how many may not be."""
        taken = refused = 0
        for copy in copies:
            if copy.read_at < self.starts_at:
                refused += 1
            elif copy.reading not in self.partial and copy.reading not in self.received:
                self.partial[copy.reading] = copy
                taken += 1
                self.note('reading of a sealed window' if copy.read_at < self.billed_until else
                          'reading of a sealed hour in an open window' if copy.read_at < self.sealed_until else
                          'reading under another key than its hour')
            else:
                sealed = copy.read_at < self.sealed_until
                self.note('duplicate after sealing' if sealed else 'duplicate before sealing')
        duplicates = len(copies) - taken - refused
        self.note('reading before the start dropped', refused)
        return taken, duplicates, refused

    def _seal_hour(self, hour):
        key, slot = self.window_of(hour).key, slot_of(hour)
        due = [copy for copy in self.staged[slot] if copy.read_at < hour + HOUR]
        self.staged[slot] = [copy for copy in self.staged[slot] if copy.read_at >= hour + HOUR]
        self.note('partition with readings of a later hour emptied', bool(self.staged[slot]))
        own, others = {}, []
        for copy in due:
            if copy.read_at >= hour and copy.key == key and copy.reading not in own:
                own[copy.reading] = copy
            else:
                others.append(copy)
        self.partial.update(own)
        meters, suppressed = self._seal_regions(hour, key, own.values())
        late, duplicates, refused = self._take_late(others)
        self.hour_log[hour] = HourLog(meters, len(own), duplicates, refused, late, suppressed)
        self.sealed_until = hour + HOUR

    def _seal_regions(self, hour, key, copies):
        regions = {meter.region.at(hour): [] for meter in self.meters.values() if meter.overlaps(hour, hour + HOUR)}
        for copy in copies:
            meter = self.meters[copy.meter]
            if meter.overlaps(hour, hour + HOUR):
                regions[meter.region.at(hour)].append(copy)
        contributors = suppressed = 0
        for region, own in regions.items():
            meters = len({copy.meter for copy in own})
            enough = meters >= self.min_meters
            total = sum(copy.value for copy in own) if enough else None
            self.region_hours[region, hour] = RegionHour(key, total, meters, len(own))
            contributors += meters
            suppressed += not enough
        self.note('region hour below min_meters', suppressed)
        return contributors, suppressed

    def _seal_window(self, start):
        window = self.window_of(start)
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
                self.uncounted.update((copy.reading, copy) for copy in counted)
            else:
                carried = sum(copy.read_at < start for copy in copies)
                expected = {t for t in window.times if self.meters[meter].active(t)} if key == window.key else ()
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
            expected = {t for t in window.times if meter.active(t)}
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
        """(meter, month, tariff, key) -> (amount, energy, readings, carried, missing), amounts in exact decimals."""
        result = {}
        for (name, start, key), bill in self.bills.items():
            tariff = self.meters[name].tariff.at(start)
            local = datetime.fromtimestamp(start, ZoneInfo(tariffs[tariff].zone))
            row = result.setdefault((name, f'{local:%Y-%m}-01', tariff, key), [None, None, 0, 0, 0])
            if bill.total is not None:
                row[0] = (row[0] or 0) + bill.total * tariffs[tariff].price(local) * unit
                row[1] = (row[1] or 0) + bill.total
            row[2] += bill.readings
            row[3] += bill.carried
            lack = self.lacks.get((name, start))
            row[4] += len(lack.missing) if lack and key == self.windows[start].key else 0
        return result


class Tariff(NamedTuple):
    zone: str
    rates: dict  # local time of day 'HH:MM' -> price

    def price(self, local):
        """The rate that began last: today, or else the last one of yesterday."""
        begun = [begins for begins in sorted(self.rates) if begins <= f'{local:%H:%M}']
        return Decimal(self.rates[begun[-1] if begun else max(self.rates)])
