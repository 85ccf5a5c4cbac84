"""What a seed of the simulation stands for, and what must occur over all of them."""
import random
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from model import HOUR, Tariff, hour_of

MINUTE, DAY = 60, 24 * HOUR
LONG_GRACE = 30 * MINUTE  # longer than any run takes; the other one is none
UNIT = Decimal('0.001')
TARIFFS = {'home': Tariff('UTC', {'06:00': '0.3425', '22:00': '0.2180'}),
           'flat': Tariff('Europe/Berlin', {'00:00': '0.29'}),
           'feed-in': Tariff('America/New_York', {'07:30': '-0.0812', '13:00': '0.05', '19:00': '-0.1'})}

INTERVALS = [1, 5, 10, 15, 30, 60]
WINDOWS = [1, 2, 4, 6, 12, 24]
# where daylight saving time begins (1) or ends (-1): also by half an hour, by two hours, at midnight
CHANGES = [('Europe/Berlin', 1), ('Europe/Berlin', -1), ('America/New_York', -1), ('America/Havana', -1),
           ('Australia/Lord_Howe', -1), ('Antarctica/Troll', -1), ('Africa/Cairo', 1), ('Australia/Lord_Howe', 1)]
ZONES = ['UTC', 'Asia/Kolkata', 'America/Phoenix']

# a roll-up is held by a lock on a table that it is about to write to, and the server killed
HELD_CRASHES = {'crash as an hour begins': 'region_hour', 'crash before a step is committed': 'rollup_log',
                'crash between two commits': 'bill_window', 'crash before a window is committed': 'incomplete',
                'crash of a server process': 'rollup_log'}
CRASHES = [*HELD_CRASHES, 'crash right after a roll-up', 'crash during COPY', 'crash at a random moment']

REFUSALS = ['is not on the grid', 'lies in the future', 'older than the retention', 'before the start of metering',
            'is not registered', 'outside the active range', 'is under key', 'has scale', 'ciphertext']

REQUIRED = [
    *CRASHES, 'clean restart', 'two roll-ups at once', 'hour left to the next roll-up because it is written to',
    'file sent while an hour is sealed',
    'partition with readings of a later hour emptied',
    *(f'readings every {minutes} min' for minutes in INTERVALS), *(f'windows of {hours} h' for hours in WINDOWS),
    'daylight saving time begins', 'daylight saving time ends',
    'window longer by a change of time', 'window shorter by a change of time',
    'key changed', 'reading interval changed', 'bill window changed', 'zone changed', 'change taken back',
    'region moved', 'tariff changed', 'meter began', 'meter ended', 'meter ended in the past',
    'duplicate in a batch', 'duplicate before sealing', 'duplicate after sealing',
    'file loaded twice at once', 'file loaded twice later', 'resend from the gap', 'resend of what was lost',
    'reading of a sealed hour in an open window', 'reading of a sealed window', 'carried reading',
    'reading before the start dropped', 'reading expired', 'region hour below min_meters',
        'too few readings for a total',
    'reading destroyed and listed', 'reading asked for late', 'hour without readings waits for newer ones',
        'meter registered late',
    'total under another key than its window', 'reading under another key than its hour',
    'hour waits for lost readings', 'window waits for lost readings', *(f'refused: {reason}' for reason in REFUSALS)]


class Scenario:
    """Interval, window, zone and dates of a seed, and which kinds of trouble it has."""

    bill_key, closing = None, 72 * HOUR  # one key

    def __init__(self, seed, base):
        draw = random.Random(f'scenario {seed}')
        place = INTERVALS.index(self.pick(INTERVALS, seed))
        self.interval = INTERVALS[place] * MINUTE
        self.window_hours = self.pick(WINDOWS, seed + seed // 6)
        self.meters = [4, 6, 8, 8, 10, 12][place]
        self.hours = [24, 40, 56, 64, 72, 96][place]
        # the random part, and time to bill what was late at its end: two windows
        self.horizon_hours = self.hours + 54
        self.zone, self.start = draw.choice(ZONES), base - self.horizon_hours * HOUR
        # the gap view covers all time from the first open window to the present: readings of long ago are few
        self.change = self.pick(CHANGES, seed // 6 * 3 + place - 3) if place >= 3 else None
        if self.change:
            self.zone = self.change[0]
            hour = change_of_time(*self.change, base - self.horizon_hours * HOUR)
            self.start = hour - draw.randrange(10, self.hours * 2 // 3) * HOUR
        self.horizon = self.start + self.horizon_hours * HOUR
        self.endless = self.change is None and place > 0  # meters without an end
        self.intervals = INTERVALS[max(place - 1, 1):place + 2]
        self.crashes = [self.pick(CRASHES, seed // 2 * 3 + i) for i in range(3 if seed % 2 else 0)]
        self.changes_settings = seed % 3 != 1
        self.starts_late = seed % 4 == 2      # the start is set after the first readings
        self.starts_set = seed % 4 == 3       # … before
        self.falls_behind = self.hours > 50 and seed % 5 < 3
        self.readings_expire = seed % 5 == 0
        self.min_meters = draw.choice([2, 2, 3, 4])
        self.min_share = draw.choice([Decimal('0.1'), Decimal('0.5'), Decimal('0.34'), Decimal('1')])
        self.backup_interval = draw.choice([0, 6 * HOUR, 48 * HOUR])

    @staticmethod
    def pick(choices, number):
        return choices[number % len(choices)]

    def __str__(self):
        change = f' as daylight saving time {"begins" if self.change[1] > 0 else "ends"}' if self.change else ''
        return f'{self.interval // MINUTE} min, windows of {self.window_hours} h, {self.zone}{change}'


def change_of_time(zone, direction, before):
    """The last hour before a time at which the clocks of a zone are put forward or back."""
    def offset(t):
        return datetime.fromtimestamp(t, ZoneInfo(zone)).utcoffset()

    hour = hour_of(before)
    while (offset(hour) - offset(hour - HOUR)) * direction <= timedelta(0):
        hour -= HOUR
    return hour
