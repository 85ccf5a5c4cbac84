#!/usr/bin/env python3
"""seeds.py DIRECTORY: a few inputs for each fuzz target, in folders of their names."""

import base64
import os
import sys


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def integer(x):
    return base64url(x.to_bytes((x.bit_length() + 7) // 8, "big"))


def header(scale, mantissa, exponent):
    return bytes([1, scale, 0, 0, 0, 0]) + exponent.to_bytes(2, "big") + mantissa.to_bytes(4, "big") + bytes(range(16))


def codec():
    for limbs in (1, 4, 64):
        wire = header(3, 1 << 31, 32) + bytes(range(1, 9)) * limbs
        yield wire
        yield base64url(wire)
    yield header(0, 0, 0) + bytes(8)
    yield b"00112233445566778899aabbccddeeFF"
    yield b"AA"
    yield b"AQ"


def decimal():
    for limbs, mode, scale, text in ((1, 0, 0, "18446744073709551615"), (1, 0, 0, "18446744073709551616"),
                                     (2, 0, 3, "-1.500"), (2, 1, 0, "+.25"), (2, 1, 0, "5."), (128, 0, 255, "0.01"),
                                     (3, 0, 1, "1.55"), (0, 1, 0, "1." + 256 * "0"), (127, 0, 0, 600 * "9"),
                                     (1, 0, 0, "1e3"), (1, 0, 0, "-0")):
        yield bytes([limbs, mode, scale]) + text.encode()


def bound():
    for fill in (b"\x00", b"\xff", b"\x80"):
        for limbs in (0, 1, 2, 3, 63):
            number = bytes([limbs]) + 10 * fill
            yield 4 * (b"\x03" + number + number + b"\x40")
            yield 20 * (b"\x04" + number) + 20 * (b"\x06" + number)


# Primes of 64 to 192 bits, also of different sizes; the last pair is not prime.
P = (18446744073709551427, 340282366920938463463374607431768211283, 2**192 - 237, 2**128 - 1)
Q = (18446744073709551359, 340282366920938463463374607431768211219, 2**192 - 333, 2**128 - 3)


def key():
    for p in P:
        for q in Q:
            n = p * q
            for flags in (0, 2, 4, 8, 16):
                members = b"DAJ", b"PAI-GN1", integer(n), integer(p), integer(q), integer((p - 1) * (q - 1))
                yield bytes([flags]) + b"\0".join(members) + b"\0"
    yield b"\0DAJ\0PAI-GN1\0" + integer(P[1] ** 2) + b"\0" + integer(P[1]) + b"\0" + integer(P[1]) + b"\0"


def rows():
    texts = (b"a,1\nb,2\n", b'"a,\n""b",\n,""\n', b"a\r\nb\r\n", b"\xef\xbb\xbfa,b\n1,2", b'"open', b"a,b\nc\n",
             b'\\.\n', b"x" * 300 + b",y\n")
    copies = (b"a\t1\n\\N\t2\n", b"a\\tb\t\\\\\n\\x41\\101\tc\n", b"a\n\\.\n", b"a\n\\.\nb\n", b"a\\", b"\\N\n\\NN\n",
              b"a\tb\nc\n", b"\\x00\n", b"\t\n\t\n", b"\xef\xbb\xbfa\t1\n")
    for piece in (0, 1, 15):
        for text in texts:
            yield bytes([0, piece]) + text
        for text in copies:
            yield bytes([1, piece]) + text


def sum_state(rows, weights, limbs, exponent=0, slots=bytes(4), zeros=0):
    bound = (1 << 63).to_bytes(8, "big") + exponent.to_bytes(4, "big")
    head = bytes([2, 3, zeros]) + slots + bytes([len(weights)]) + rows.to_bytes(8, "big") + rows.to_bytes(8,
        "big") + bound + bytes(range(16))
    return head + b"".join(w.to_bytes(8, "big", signed=True) + bytes(range(1, 9)) * limbs for w in weights)


def sum_():
    for wire in (sum_state(0, (), 0), sum_state(1, (1,), 4), sum_state(9, (1, -1), 8, 20),
                 sum_state(2**63 - 1, tuple(range(1, 33)), 2), sum_state(3, (), 0), sum_state(5, (0,), 1),
                 sum_state(4, (125, -3), 4, zeros=2), sum_state(4, (1,), 4, zeros=4),
                 sum_state(1, (1,), 4, slots=bytes([0, 64, 0, 2]))):
        yield b"\0" + wire
        yield b"\1" + base64url(wire)


def main():
    targets = {"codec": codec, "decimal": decimal, "bound": bound, "key": key, "rows": rows, "sum": sum_}
    for name, inputs in targets.items():
        folder = os.path.join(sys.argv[1], name)
        os.makedirs(folder, exist_ok=True)
        for i, data in enumerate(inputs()):
            with open(os.path.join(folder, "seed-%03d" % i), "wb") as file:
                file.write(data)


main()
