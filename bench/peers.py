"""Products of ciphertexts, and python-paillier, in Python.

peers.py BITS NUMBER SECONDS

Prints "MEASURE <tab> operations a second":
    gmpy2         a sum of NUMBER ciphertexts: products mod n² of gmpy2
    phe/...       python-paillier, where it is installed: sum, encrypt, decrypt
"""
import random
import sys
import time

import gmpy2


def rate(work, units, seconds):
    work()
    done, began = 0, time.perf_counter()
    while True:
        work()
        done += units
        passed = time.perf_counter() - began
        if passed >= seconds:
            return done / passed


def measure(name, work, units, seconds):
    print(f"{name}\t{rate(work, units, seconds):.6g}")


def main():
    bits, number, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    n2 = gmpy2.mpz(random.getrandbits(bits) | 1 << (bits - 1) | 1) ** 2
    rows = [gmpy2.mpz(random.randrange(int(n2))) for _ in range(number)]

    def total():
        product = gmpy2.mpz(1)
        for row in rows:
            product = product * row % n2

    measure("gmpy2", total, number, seconds)

    try:
        from phe import paillier
    except ImportError:
        return
    public, private = paillier.generate_paillier_keypair(n_length=bits)
    cipher = [public.encrypt(i) for i in range(20)]
    many = cipher * (number // 20)
    measure("phe/sum", lambda: sum(many[1:], many[0]), len(many) - 1, seconds)
    measure("phe/encrypt", lambda: public.encrypt(12345), 1, seconds)
    measure("phe/decrypt", lambda: private.decrypt(cipher[0]), 1, seconds)


main()
