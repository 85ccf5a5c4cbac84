#!/usr/bin/env python3
"""A second implementation, short and slow, to test the program against.

    reference.py key FILE               check a key file as python-paillier's loader does
    reference.py rows COUNT             rows of CSV with everything that is hard to quote
    reference.py compare KEY CSV COPY   what was encrypted, column by column
    reference.py headers                scale and bound of the ciphertexts on standard input
    reference.py bad-key KIND           a key file that must be refused
    reference.py damage KEY KIND...     the ciphertext on standard input, damaged in each way
    reference.py pty COMMAND            run a command on a terminal, print what it shows
"""
import base64
import csv
import json
import math
import random
import re
import struct
import sys


def to_int(text):
    """As python-paillier decodes integers."""
    assert len(text) % 4 != 1
    return int.from_bytes(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)), 'big')


def to_text(number):
    size = (number.bit_length() + 7) // 8
    return base64.urlsafe_b64encode(number.to_bytes(size, 'big')).decode().rstrip('=')


# ---- keys ----

def load_public(jwk):
    assert jwk['alg'] == 'PAI-GN1'
    assert jwk['kty'] == 'DAJ'
    assert 'encrypt' in jwk['key_ops']
    assert to_text(to_int(jwk['n'])) == jwk['n']
    return to_int(jwk['n'])


def load_private(jwk):
    """n, p, q of the dictionary of a private key."""
    assert 'decrypt' in jwk['key_ops']
    assert jwk['kty'] == 'DAJ'
    n, p, q = load_public(jwk['pub']), to_int(jwk['p']), to_int(jwk['q'])
    assert to_text(p) == jwk['p'] and to_text(q) == jwk['q']
    assert p * q == n and p != q
    return n, p, q


def check_key(name):
    with open(name) as file:
        text = file.read()
    assert text.endswith('}\n') and text.count('\n') == 1
    jwk = json.loads(text)
    if 'pub' not in jwk:
        print(load_public(jwk).bit_length())
        return
    n, p, q = load_private(jwk)
    assert all(pow(2, x - 1, x) == 1 for x in (p, q))
    assert p % 4 == q % 4 == 3 and math.gcd(p - 1, q - 1) == 2
    assert p.bit_length() == q.bit_length()
    print(n.bit_length())


def next_prime(x):
    while any(x % d == 0 for d in range(3, 1000, 2)) or any(pow(b, x - 1, x) != 1 for b in (2, 3, 5)):
        x += 2
    return x


def bad_key(kind):
    p = next_prime(2**1023 + 2**1022 + 1)
    q = next_prime(p + 2**900)
    n = p * q
    if kind == 'public-512':
        n = next_prime(2**255 + 2**254 + 1) * next_prime(2**255 + 2**254 + 2**99 + 1)
    elif kind == 'public-8200':
        n = (2**4100 - 1) * (2**4100 - 3)
    elif kind in ('public-even', 'private-even'):
        n, q = n * 2, q * 2
    elif kind == 'public-square':
        n = p * p
    elif kind == 'public-small-factor':
        n *= 10007
    elif kind == 'private-equal':
        n, q = p * p, p
    elif kind == 'private-same':
        q = p
    elif kind == 'private-composite':
        q = next_prime(2**512 - 2**500 + 1) * next_prime(2**512 - 2**499 + 1)
        n = p * q
    elif kind == 'private-mismatch':
        n = p * next_prime(q + 2)
    elif kind == 'private-unbalanced':
        q = next_prime(2**200 + 1)
        p = next_prime(2**1849 + 1)
        n = p * q
    elif kind == 'lambda-mismatch':
        n = p * next_prime(q + 2)
    pub = {'kty': 'DAJ', 'alg': 'PAI-GN1', 'key_ops': ['encrypt'], 'n': to_text(n)}
    private = {'kty': 'DAJ', 'key_ops': ['decrypt'], 'pub': pub}
    if kind.startswith('public'):
        print(json.dumps(pub))
    elif kind.startswith('lambda'):
        print(json.dumps(dict(private, **{'lambda': to_text((p - 1) * (q - 1))})))
    else:
        print(json.dumps(dict(private, p=to_text(p), q=to_text(q))))


# ---- ciphertexts ----

class Ciphertext:
    FORMAT = '>BBHHHI16s'

    def __init__(self, text):
        wire = base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
        (self.version, self.scale, self.slot_bits, self.slots, self.exponent, self.mantissa,
         self.id) = struct.unpack(self.FORMAT, wire[:28])
        self.size = len(wire) - 28
        self.c = int.from_bytes(wire[28:], 'big')

    def bound(self):
        return self.mantissa << self.exponent

    def text(self):
        wire = struct.pack(self.FORMAT, self.version, self.scale, self.slot_bits, self.slots, self.exponent,
                           self.mantissa, self.id) + self.c.to_bytes(self.size, 'big')
        return base64.urlsafe_b64encode(wire).decode().rstrip('=')


def decrypt(n, p, q, ciphertext):
    """The decimal text of the plaintext."""
    totient = (p - 1) * (q - 1)
    m = (pow(ciphertext.c, totient, n * n) - 1) // n * pow(totient, -1, n) % n
    if m > n // 2:
        m -= n
    assert abs(m) <= ciphertext.bound()
    if ciphertext.scale == 0:
        return str(m)
    digits = str(abs(m)).rjust(ciphertext.scale + 1, '0')
    return '-' * (m < 0) + digits[:-ciphertext.scale] + '.' + digits[-ciphertext.scale:]


def read_private(name):
    with open(name) as file:
        return load_private(json.load(file))


def damage(name, *kinds):
    n, p, _ = read_private(name)
    text = sys.stdin.read().strip()
    for kind in kinds:
        print(damaged(n, p, text, kind))


def damaged(n, p, text, kind):
    ct = Ciphertext(text)
    if kind == 'version':
        ct.version = 2
    elif kind == 'slot-bits':
        ct.slot_bits = 1
    elif kind == 'slots':
        ct.slots = 1
    elif kind == 'exponent':
        ct.exponent = 65535
    elif kind == 'mantissa':
        ct.mantissa = 1
    elif kind == 'bound':
        ct.exponent, ct.mantissa = 0, 1
    elif kind == 'id':
        ct.id = bytes([ct.id[0] ^ 1]) + ct.id[1:]
    elif kind == 'zero':
        ct.c = 0
    elif kind == 'square':
        ct.c = n * n
    elif kind == 'above':
        ct.c = 256**ct.size - 1
    elif kind == 'multiple-n':
        ct.c = 5 * n
    elif kind == 'multiple-p':
        ct.c = 12345 * p
    elif kind == 'bit':
        ct.c ^= 1 << 20
    text = ct.text()
    if kind == 'short':
        text = text[:-27]
    elif kind == 'limb-short':
        ct.size -= 8
        ct.c >>= 64
        text = ct.text()
    elif kind == 'long':
        text += 'A' * 32
    elif kind == 'very-long':
        text += 'A' * 10000
    elif kind == 'character':
        text = text[:70] + '*' + text[71:]
    elif kind == 'padding':
        text += '='
    elif kind == 'part':
        text = text[:60]
    return text


def headers():
    for line in sys.stdin:
        ct = Ciphertext(line.strip().split('\t')[-1])
        print(ct.scale, ct.bound().bit_length() - 1 if ct.bound() & (ct.bound() - 1) == 0 else 'limit')


# ---- rows ----

def csv_field(value):
    """As the program writes it: None is NULL."""
    if value is None:
        return ''
    if value in ('', '\\.') or re.search('[",\r\n]', value):
        return '"' + value.replace('"', '""') + '"'
    return value


def decimal(r):
    if r.random() < 0.1:
        return None
    bits = r.choice((1, 8, 31, 63, 64, 65, 100, 127, 128, 180))
    m = r.choice((1, -1)) * r.choice((r.getrandbits(bits), 2**bits - 1, 2**bits))
    digits = str(abs(m)).rjust(4, '0')
    return '-' * (m < 0) + digits[:-3] + '.' + digits[-3:]


def rows(count):
    r = random.Random(count)
    pieces = ['', ' ', '"', '""', ',', '\n', '\r\n', '\t', '\\', '\\N', '\\.', '\\n', '\b\v\f', "'", 'ä', '€', '日本',
              '\U0001f50b', 'a', 'NULL', '0', ';', '\x7f', '\x01']
    out = []
    for _ in range(count):
        text = [None if r.random() < 0.1 else ''.join(r.choices(pieces, k=r.randrange(5))) for _ in range(3)]
        fields = [text[0], decimal(r), text[1], decimal(r), text[2]]
        out.append(','.join(map(csv_field, fields)) + '\n')
    sys.stdout.buffer.write(''.join(out).encode())


def copy_field(text):
    if text == '\\N':
        return None
    meaning = {'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}
    return re.sub(r'\\(.)', lambda m: meaning.get(m[1], m[1]), text, flags=re.S)


def compare(key, csv_name, copy_name):
    """Every row's plain columns, and the values of every 50th row."""
    private = read_private(key)
    with open(csv_name, newline='') as plain, open(copy_name, newline='\n') as encrypted:
        plain_rows = csv.reader(plain, strict=True)
        count = 0
        for row, line in zip(plain_rows, encrypted):
            fields = [copy_field(f) for f in line.rstrip('\n').split('\t')]
            assert len(fields) == len(row) == 5
            for i, (got, expected) in enumerate(zip(fields, row)):
                if i in (1, 3):
                    assert (got is None) == (expected == ''), count
                    if got is not None and count % 50 == 0:
                        assert decrypt(*private, Ciphertext(got)) == expected, count
                else:
                    assert (got or '') == expected, count
            count += 1
        assert next(plain_rows, None) is None and next(encrypted, None) is None
    print(count)


def pty(command):
    """Standard error is a terminal, standard output is not."""
    import os
    import subprocess
    master, slave = os.openpty()
    child = subprocess.Popen(['bash', '-c', command], stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    shown = b''
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            piece = b''
        if not piece:
            break
        shown += piece
    sys.stdout.buffer.write(shown)
    sys.exit(child.wait())


COMMANDS = {'key': check_key, 'rows': lambda n: rows(int(n)), 'compare': compare, 'headers': headers,
            'bad-key': bad_key, 'damage': damage, 'pty': pty}

if __name__ == '__main__':
    COMMANDS[sys.argv[1]](*sys.argv[2:])
