"""registers.py
	Readings of meters, and the registers that they add up to, by another way: whole
	windows are looked for in a table of readings, by Python's time zones.

	python3 registers.py readings SEED ZONE MINUTES [local]		CSV to standard output
	python3 registers.py registers CSV ZONE MINUTES HOURS		what is expected, as CSV; readings left on standard error
	python3 registers.py utc CSV ZONE				the times in UTC

	With `local` times have no offset; readings are written in an order that changes
	from meter to meter, and some are missing.
"""
import csv
import random
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)


def stamp(t):
    return t.strftime('%Y-%m-%dT%H:%M:%SZ')


def readings(seed, zone, minutes, local=None):
    r = random.Random(seed)
    step = timedelta(minutes=int(minutes))
    rows = []
    # two days around each change of the clocks of 2026, and one without
    days = [datetime(2026, *day, tzinfo=timezone.utc) for day in ((3, 28), (4, 4), (10, 3), (10, 24), (7, 1), (11, 1))]
    for number in range(6):
        meter = f'm{number}' if number else 'a,"\t\\b'
        for day in days:
            t = day + r.randrange(30) * step
            end = t + timedelta(hours=r.randrange(30, 60))
            hole = r.random() < 0.6 and t + r.randrange(200) * step
            while t < end:
                if not hole or not hole <= t < hole + HOUR:
                    rows.append((t, meter, Decimal(r.randrange(-10**r.randrange(1, 12), 10**12)).scaleb(-3)))
                t += step
    # by meter; or by time, when meters take turns
    rows.sort(key=(lambda row: (row[1], row[0])) if seed % 2 else lambda row: (row[0], row[1]))
    out = csv.writer(sys.stdout, lineterminator='\n')
    for t, meter, energy in rows:
        text = t.astimezone(ZoneInfo(zone)).strftime('%Y-%m-%d %H:%M') if local else stamp(t)
        out.writerow((meter, text, energy))


def label(hour, zone, hours):
    """As metering.window_label()."""
    there = hour.astimezone(zone)
    return there.date(), there.hour // hours


def windows(first, last, zone, hours):
    """Starts and ends of all windows that lie between two times."""
    hour = first.replace(minute=0) - 30 * HOUR
    starts = []
    while hour <= last + 30 * HOUR:
        if label(hour, zone, hours) != label(hour - HOUR, zone, hours):
            starts.append(hour)
        hour += HOUR
    return list(zip(starts, starts[1:]))


def registers(path, zone, minutes, hours):
    step, zone = timedelta(minutes=int(minutes)), ZoneInfo(zone)
    meters = {}
    with open(path, newline='') as file:
        for meter, time, energy in csv.reader(file):
            meters.setdefault(meter, {})[datetime.fromisoformat(time.replace('Z', '+00:00'))] = Decimal(energy)
    out, left = [], 0
    for meter, energy in meters.items():
        series = None
        total, left = Decimal(0), left + len(energy)
        for start, end in windows(min(energy), max(energy), zone, int(hours)):
            times = [start + i * step for i in range(int((end - start) / step))]
            if not all(t in energy for t in times):
                series = None
                continue
            if series is None:
                series, total = start, Decimal('0.000')
                out.append((stamp(start), meter, stamp(start), total))
            total += sum(energy[t] for t in times)
            left -= len(times)
            out.append((stamp(end), meter, stamp(series), total))
    csv.writer(sys.stdout, lineterminator='\n').writerows(sorted(out, key=lambda row: (row[1], row[2], row[0])))
    print(left, file=sys.stderr)


if __name__ == '__main__':
    command, *arguments = sys.argv[1:]
    if command == 'readings':
        readings(int(arguments[0]), *arguments[1:])
    else:
        registers(*arguments)
