"""The collector of a simulated fleet: files of encrypted readings, sent once, twice or spoilt."""
import random
import time
from base64 import b64decode, b64encode
from itertools import count
from math import inf

from client import Error
from compare import Difference, iso
from model import HOUR, Copy, hour_of
from registers import Register

COPY = 'COPY metering.reading (meter_id, read_at, energy) FROM STDIN'
COPY_REGISTERS = 'COPY metering.register_read (series, meter_id, read_at, register) FROM STDIN'


class Collector:
    """Sends to the server and tells the model.

    A file is a list of copies of readings, each with its line for COPY.
    """

    def __init__(self, seed, server, model, keys, draw):
        self.seed, self.server, self.model, self.keys, self.draw = seed, server, model, keys, draw
        self.values = {}       # reading -> its value
        self.sent = []         # readings that were sent, as often as they were
        self.files = []
        self.accepted = set()  # readings that were accepted and not lost since
        self.mislaid = set()   # readings that are not sent again, though they are missing
        self.lost_seen = 0     # number of the last loss that was made good
        self.ciphers = count(1)

    def chance(self, probability):
        return self.draw.random() < probability

    # ---- files ----

    def value(self, reading):
        """What the meter has on its register; also of readings that it has not been asked for yet."""
        return self.values.setdefault(reading, random.Random(f'{self.seed} {reading}').randrange(-2**20, 2**40))

    def key_for(self, t):
        """The key of the hour; while there is one key, after a change the present one will do as well."""
        own, present = self.model.setting_at(t), self.model.present
        either = own.key != present.key and not own.bill_key and not present.bill_key
        return present.key if either and self.chance(0.5) else own.key

    def file_of(self, readings):
        return self.encrypted([Copy(*reading, self.value(reading), self.key_for(reading[1])) for reading in readings])

    def encrypted(self, copies):
        lines = {}
        for key in {copy.key for copy in copies}:
            own = [copy for copy in copies if copy.key == key]
            texts = self.server.admin.rows(
                'SELECT paillier_encrypt(v, public) FROM fleet.key, unnest($1::numeric[]) WITH ORDINALITY AS u (v, i)'
                ' WHERE key_id = $2 ORDER BY i', '{' + ','.join(str(copy.value) for copy in own) + '}', key)
            for copy, (text,) in zip(own, texts):
                lines.setdefault(copy, []).append(f'{copy.meter}\t{iso(copy.read_at)}\t{text}\n')
        return [(copy._replace(cipher=next(self.ciphers)), lines[copy].pop()) for copy in copies]

    # ---- sending ----

    def send(self, readings):
        """Readings of the meters, in any order, in two files; some come twice, and sometimes an old file too."""
        again = self.draw.sample(self.sent, min(len(self.sent), len(readings) // 20 + self.draw.randrange(4)))
        twice = self.draw.sample(readings, min(len(readings), len(readings) // 30 + self.draw.randrange(2)))
        self.model.note('duplicate in a batch', len(twice))
        readings = self.acceptable(readings + again + twice)
        self.draw.shuffle(readings)
        cut = self.draw.randrange(len(readings) + 1)
        for part in (readings[:cut], readings[cut:]):
            if part:
                self.send_file(self.file_of(part))
        if self.files and self.chance(0.25) and self.deliver(self.draw.choice(self.files)):
            self.model.note('file loaded twice later')

    def acceptable(self, readings):
        """Without those that would be refused, as of meters that have ended meanwhile."""
        now = time.time()
        return [reading for reading in readings
            if not self.model.refusals(*reading, self.model.setting_at(reading[1]).key, now)]

    def send_file(self, file):
        if self.chance(0.3):
            self.spoil(file)
        self.deliver(file)
        if self.chance(0.1) and self.deliver(file):
            self.model.note('file loaded twice at once')
        if self.chance(0.3):
            self.files.append(file)

    def deliver(self, file):
        """COPY a file.  The model knows whether it must be refused, and why."""
        now = time.time()
        reasons = set().union(*(self.model.refusals(copy.meter, copy.read_at, copy.key, now) for copy, _ in file))
        if self.refused(file, reasons):
            return False
        self.take(file)
        return True

    def take(self, file):
        """The file has been accepted."""
        copies = [copy for copy, _ in file]
        self.model.stage(copies)
        self.sent += [copy.reading for copy in copies]
        self.accepted.update(copy.reading for copy in copies)

    def refused(self, file, reasons, into=COPY):
        """COPY a file that must be refused if there are reasons, and must not if there are none."""
        try:
            self.server.collector.copy_in(into, ''.join(line for _, line in file).encode())
        except Error as error:
            reason = next((reason for reason in reasons if reason in error.message), None)
            if reason is None:
                raise
            self.model.note(f'refused: {reason}')
            return True
        if reasons:
            raise Difference('a file with a reading that must be refused', 'accepted', ', '.join(reasons))
        return False

    def missing(self, until):
        """What readings the collector sees missing before a time."""
        return self.gaps('reading', f"read_at < '{iso(until)}'")

    def gaps(self, kind, condition='true'):
        rows = self.server.collector.rows('SELECT meter_id, EXTRACT(epoch FROM read_at)::bigint FROM metering.gap'
                                          f" WHERE kind = '{kind}' AND {condition}")
        return [(meter, int(t)) for meter, t in rows]

    def lost(self, until):
        """Readings of the ranges of time that were lost since this was asked last."""
        rows = self.server.collector.rows('SELECT lost_id, EXTRACT(epoch FROM since)::bigint FROM metering.lost'
                                          f' WHERE lost_id > {self.lost_seen}')
        if not rows:
            return []
        self.lost_seen = max(int(number) for number, _ in rows)
        since = min(int(t) for _, t in rows)
        self.model.note('resend of what was lost')
        return self.acceptable([(meter, t) for t in self.model.reading_times(since, until)
            for meter in self.model.meters])

    def resend(self, until, share):
        """Send again what is missing before a time: all, or a part."""
        readings = {*self.missing(until), *self.lost(until)}
        readings = [reading for reading in sorted(readings) if reading not in self.mislaid and self.chance(share)]
        if readings:
            self.model.note('resend from the gap')
            self.send_file(self.file_of(readings))

    # ---- registers ----

    def send_registers(self, registers):
        """Those of a list of (meter, time, series, key) that will be accepted; some come twice, with another value:
        the first one counts."""
        again = self.draw.sample(registers, min(len(registers), self.draw.randrange(3)))
        file = self.acceptable_registers(registers + again)
        if file:
            self.deliver_registers(file)

    def acceptable_registers(self, registers):
        file, trial = [], self.model.registers.copy()
        for values in registers:
            register = self.register(*values)
            if not (self.model.register_refusals(register, time.time()) or trial.take(register, self.model)):
                file.append(register)
        return file

    def register(self, meter, t, series, key):
        return Register(meter, series, t, self.draw.randrange(2**40), key)

    def deliver_registers(self, file):
        """COPY registers: all of a file or none.  Returns whether they were accepted."""
        lines = self.lines_of(file)
        return not self.refused(lines, self.model.take_registers(file, time.time()), COPY_REGISTERS)

    def lines_of(self, registers):
        copies = self.encrypted([Copy(register.meter, register.read_at, register.value, register.key)
            for register in registers])
        return [(register, f'{register.series}\t{line}') for register, (_, line) in zip(registers, copies)]

    # ---- what must be refused ----

    def spoil(self, file):
        """One reading that must be refused, among good ones: none of them is staged."""
        good, line = self.draw.choice(file)
        bad = self.draw.choice([*self.misplaced(good), 'has scale', 'ciphertext'])
        if isinstance(bad, Copy):
            reasons = self.model.refusals(bad.meter, bad.read_at, bad.key, time.time())
            wrong = self.encrypted([bad])
        else:
            reasons, wrong = {bad}, [(good, self.malformed(bad, good, line))]
        if reasons:
            place = self.draw.randrange(len(file) + 1)
            self.refused(file[:place] + wrong + file[place:], reasons)

    def misplaced(self, good):
        """Copies that do not belong here: most are refused for one reason."""
        model, now, present = self.model, int(time.time()), self.model.present.key
        too_early = [hour_of(int(now - model.retention)) - HOUR]
        if model.starts_at is not None:
            too_early.append(model.starts_at - model.setting_at(model.starts_at).interval)
        return [
            good._replace(meter='nobody'), good._replace(key=self.keys['stranger']),
            good._replace(read_at=good.read_at + 30), good._replace(read_at=hour_of(now) + 2 * HOUR),
            *(good._replace(read_at=t, key=present) for t in too_early),
            *(good._replace(meter=meter.name, read_at=self.outside(meter), key=present)
              for meter in model.meters.values() if meter.begins > -inf or meter.ends < inf),
            *(good._replace(key=period.key) for period in model.periods)]

    def outside(self, meter):
        """The time of a reading next to the active range of a meter with a begin or an end."""
        edge = int(meter.begins if meter.begins > -inf else meter.ends)
        interval = self.model.setting_at(edge).interval
        first = edge + -edge % interval
        return first - interval if meter.begins > -inf else first

    def malformed(self, kind, good, line):
        meter, at, text = line.strip().split('\t')
        if kind == 'has scale':
            text = self.server.admin.one('SELECT paillier_encrypt(1, public, 1) FROM fleet.key WHERE key_id = $1',
                good.key)
        else:  # beyond the square of the modulus
            text = b64encode(b64decode(text + '==', '-_')[:-64] + b'\xff' * 64, b'-_').decode().rstrip('=')
        return f'{meter}\t{at}\t{text}\n'
