/*
 * paillier_private.h
 *		The private half of the scheme: making keys, checking them, decryption.
 *
 * What depends on p or q takes a time and touches memory that depend on their
 * sizes only, as far as GMP's mpn_sec_ functions keep that promise (those of
 * 6.2 look up the 9 highest bits and the lowest byte of a modulus in tables);
 * key generation and the checks of imported keys are excepted where said.
 * Callers wipe private keys, and the scratch they passed; GMP's own temporaries
 * on the stack are beyond reach.
 */
#ifndef PAILLIER_PRIVATE_H
#define PAILLIER_PRIVATE_H

#include "paillier.h"

/* One prime factor and what decryption needs modulo its square. */
typedef struct paillier_prime
{
	int			limbs;
	mp_limb_t	p[PAILLIER_MAX_N_LIMBS];
	mp_limb_t	exponent[PAILLIER_MAX_N_LIMBS]; /* p - 1 */
	mp_limb_t	h[PAILLIER_MAX_N_LIMBS];	/* (-n/p)^-1 mod p */
	paillier_mont mont;			/* modulo the square; its kernel is in constant time */
} paillier_prime;

typedef struct paillier_private
{
	paillier_public pub;
	paillier_prime p;
	paillier_prime q;
} paillier_private;

/* Limbs of scratch that every function below may use, for keys of up to `bits` bits. */
extern size_t paillier_private_scratch(int bits);

/*
 * Make two primes of bits/2 bits, so that n has exactly `bits`: p ≡ q ≡ 3 mod 4
 * and gcd(p - 1, q - 1) = 2, as short blinding exponents require.  bits is
 * even and in range.  Both outputs have (bits/2 + 63)/64 limbs.  Candidates
 * that are rejected, and the gcd, take a variable time.
 */
extern paillier_result paillier_keygen(mp_limb_t *p, mp_limb_t *q, int bits, paillier_random random, void *state,
									   mp_limb_t *scratch);

/*
 * The factors of n from lambda = (p - 1)(q - 1), the older private form:
 * variable time.  Outputs have room for n_limbs limbs; their sizes are returned.
 */
extern paillier_result paillier_factor_lambda_var(mp_limb_t *p, int *p_limbs, mp_limb_t *q, int *q_limbs,
												  const mp_limb_t *lambda, const mp_limb_t *n, int n_limbs,
												  mp_limb_t *scratch);

/*
 * Prepare the key with the factors p and q that paillier_keygen() made or
 * paillier_private_import() has seen, their highest limbs not zero.  Only their
 * sizes, and that they are odd and differ, are looked at.
 */
extern paillier_result paillier_private_init(paillier_private *key, const paillier_kernel *kernel, const mp_limb_t *p,
											 int p_limbs, const mp_limb_t *q, int q_limbs, bool djn,
											 mp_limb_t *scratch);

/*
 * Prepare a key from outside and check that it is one: the modulus passes its
 * check, both factors are prime (a composite passes with a probability below
 * 2^-32), no prime has less than a quarter of the bits, and n has no factor in
 * common with (p - 1)(q - 1).  The mark of keys made here is believed where both
 * primes are as paillier_keygen() makes them.
 */
extern paillier_result paillier_private_import(paillier_private *key, const paillier_kernel *kernel,
											   const mp_limb_t *p, int p_limbs, const mp_limb_t *q, int q_limbs,
											   bool djn, int min_bits, paillier_random random, void *state,
											   mp_limb_t *scratch);

/* ---- decryption (paillier_decrypt.c) ---- */

/* What decryption gives: result, and the plaintext as sign and {mag, key->pub.limbs}. */
typedef struct paillier_decrypted
{
	paillier_result result;
	bool		negative;
	mp_limb_t  *mag;			/* the caller's */
} paillier_decrypted;

/*
 * The plaintexts of c[0 … count - 1], eight at a time where the kernel can.
 * Results are PAILLIER_ERR_NOT_UNIT, PAILLIER_ERR_ZERO or PAILLIER_ERR_TOO_LARGE
 * for what is no ciphertext.
 */
extern void paillier_decrypt(const paillier_private *key, paillier_decrypted *out, const mp_limb_t *const *c, int count,
							 mp_limb_t *scratch);

/* ---- parts of it (paillier_decrypt.c), which paillier_batch.c puts together for many ---- */

/* PAILLIER_ERR_ZERO or PAILLIER_ERR_TOO_LARGE for what is not in 0 < c < n². */
extern paillier_result paillier_check_range(const paillier_public *pk, const mp_limb_t *c);

/*
 * x = base^(p-1) mod p², in 2·limbs limbs of p, for one residue and for eight, in
 * Montgomery form modulo p², which are destroyed.
 */
extern void paillier_power(const paillier_prime *prime, mp_limb_t *x, mp_limb_t *base, mp_limb_t *scratch);
extern void paillier_power8(const paillier_prime *prime, mp_limb_t *const *x, mp_limb_t *base8, mp_limb_t *scratch);

/*
 * x := m mod p = L(x)·h mod p with L(x) = (x - 1)/p, in p's limbs, for such a power
 * of a ciphertext.  False where that had the factor p: then x is not 1 mod p.
 */
extern bool paillier_plaintext_mod_prime(const paillier_prime *prime, mp_limb_t *x, mp_limb_t *scratch);

#endif
