"""Registers of meters and bills from them, in plain integers and exact decimals.

What a meter has counted is a line in pieces: each series of registers is one.  A bill
multiplies what the line rises over each bill window by the price of the window.
"""
from copy import deepcopy
from decimal import Decimal
from typing import NamedTuple

DIGITS = Decimal('1e-12')  # of the place of a missing register between its neighbours


class Register(NamedTuple):
    meter: str
    series: str
    read_at: int
    value: int
    key: str


class Series:
    def __init__(self, key):
        self.key = key
        self.all = {}      # time -> value; the first to come
        self.void = set()  # times

    @property
    def valid(self):
        return sorted(self.all.keys() - self.void)

    def since(self, t):
        """Without the registers that were sent before metering has started, and lie before its start."""
        part = Series(self.key)
        part.all = {at: value for at, value in self.all.items() if at >= t}
        part.void = self.void
        return part

    def before(self, t):
        """The last register that is not void at or before a time."""
        return max((at for at in self.valid if at <= t), default=None)

    def after(self, t):
        return min((at for at in self.valid if at >= t), default=None)

    def line(self, t):
        """What was counted at a time between two registers: where the register is missing, on the line between them."""
        before, after = self.before(t), self.after(t)
        if before == after:
            return Decimal(self.all[t])
        share = (Decimal(t - before) / Decimal(after - before)).quantize(DIGITS)
        return self.all[before] * (1 - share) + self.all[after] * share

    def meets(self, other):
        """Whether two series cover the same time; they may touch."""
        mine, others = self.valid, other.valid
        if not mine or not others:
            return False
        return mine[0] < others[-1] and others[0] < mine[-1]


class Registers:
    def __init__(self):
        self.series = {}  # (meter, name) -> Series

    def copy(self):
        return deepcopy(self)

    def of(self, meter):
        return {name: series for (owner, name), series in self.series.items() if owner == meter}

    def has(self, meter, t):
        """Whether any register of a time has come, also one that is void."""
        return any(t in series.all for series in self.of(meter).values())

    def take(self, register, model):
        """Store a register if it may belong to its series; otherwise why not.  One that was sent before is dropped."""
        others = self.of(register.meter)
        series = others.pop(register.series, None) or Series(register.key)
        if register.read_at in series.all:
            model.note('register sent before dropped')
            return set()
        if not series.valid:
            series.key = register.key  # it begins anew
        if series.key != register.key and {series.key, register.key} & model.bill_keys:
            return {'is under key'}
        series.all[register.read_at] = register.value
        reasons = {
            'lies within series': any(series.meets(other) for other in others.values()),
            'one key was in use': series.key in model.bill_keys
                and model.one_key_between(series.valid[0], series.valid[-1]),
        }
        if any(reasons.values()):
            del series.all[register.read_at]
        else:
            self.series[register.meter, register.series] = series
        return {reason for reason, holds in reasons.items() if holds}

    # ---- bills ----

    def bills(self, model, tariffs, unit):
        """(meter, month, tariff, key, amount, energy, None, None, missing, interpolated) of each stretch."""
        rows = []
        for (name, _), series in self.series.items():
            if series.key not in model.bill_keys or model.starts_at is None:
                continue
            series = series.since(model.starts_at)
            for since, until, tariff in model.meters[name].tariff.stretches():
                for month, (starts, ends) in self.months(model, tariffs[tariff]).items():
                    opens, closes = self.stretch(series, starts, ends)
                    if closes is None or max(opens, since) >= min(closes, until):
                        continue
                    amount, interpolated = self.amount(series, max(opens, since), min(closes, until), tariffs[tariff],
                        model)
                    energy = series.line(min(closes, until)) - series.line(max(opens, since))
                    missing = sum(len(lack.missing) for (meter, start), lack in model.lacks.items()
                                  if meter == name and opens < start <= ends and model.windows[start].bill_key)
                    rows.append((name, month, tariff, series.key, amount * unit, energy, None, None, missing,
                        interpolated))
        return rows

    def months(self, model, tariff):
        """month -> its first and last time with two keys, as far as windows are sealed."""
        months = {}
        for start, window in sorted(model.windows.items()):
            if window.bill_key:
                first, _ = months.setdefault(tariff.month(start), (start, window.end))
                months[tariff.month(start)] = first, window.end
        return months

    def stretch(self, series, starts, ends):
        """The bill of a month goes from the last register before it, or the first of all, to its last one."""
        opens = series.before(starts)
        if opens is None:
            opens = series.after(starts)
        if opens is None or opens >= ends:
            return None, None
        return opens, series.before(ends)

    def amount(self, series, since, until, tariff, model):
        """Energy times price, window by window; and how often a register is missing where the price changes or at
        an end."""
        amount, points, last = Decimal(0), {since, until}, None
        for start, window in sorted(model.windows.items()):
            if since <= start < until:
                price = tariff.price(start)
                amount += price * (series.line(min(window.end, until)) - series.line(start))
                if last is not None and price != last:
                    points.add(start)
                last = price
        return amount, len(points - set(series.valid))
