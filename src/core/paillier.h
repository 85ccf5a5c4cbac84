/*
 * paillier.h
 *		The public half of the scheme: what anybody can do with n alone.
 *
 * Paillier (EUROCRYPT '99; ISO/IEC 18033-6) with g = n + 1.  A plaintext is an
 * integer m with |m| <= (n - 1)/2, given as sign and magnitude; a ciphertext is
 *
 *		c = (1 + m·n) · r^n  mod n²
 *
 * Multiplying ciphertexts adds plaintexts.  The blinding factor r^n is made
 * from a uniform r below n, or, for keys made here, by the shorter way of
 * Damgård, Jurik and Nielsen (2010): h = -x² mod n for a random x of the
 * encryptor's own, h_s = h^n mod n², and h_s^a for a random a of half the bits
 * of n.
 *
 * Ciphertexts are arrays of n2.limbs limbs.  All functions take `scratch` of
 * PAILLIER_SCRATCH(n2.limbs) limbs last; outputs may be the inputs.
 */
#ifndef PAILLIER_H
#define PAILLIER_H

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bound.h"
#include "mont.h"
#include "result.h"

#define PAILLIER_MIN_BITS		128
#define PAILLIER_MAX_BITS		8192
#define PAILLIER_MAX_N_LIMBS	(PAILLIER_MAX_BITS / 64)

#define PAILLIER_SCRATCH(n2_limbs) \
	(PAILLIER_MONT_POW_SCRATCH(PAILLIER_MONT_WORDS(n2_limbs)) + 6 * PAILLIER_MONT_WORDS(n2_limbs))

/*
 * Fill out with len random bytes.  0 on success; anything else stops the
 * operation that asked with PAILLIER_ERR_RANDOM.
 */
typedef int (*paillier_random) (void *state, void *out, size_t len);

typedef struct paillier_public
{
	int			bits;			/* of n */
	int			limbs;			/* of n */
	bool		djn;			/* made here: short blinding exponents are safe */
	mp_limb_t	n[PAILLIER_MAX_N_LIMBS];
	mp_limb_t	half[PAILLIER_MAX_N_LIMBS]; /* (n - 1)/2 */
	paillier_bound limit;		/* a bound below n/2, and close to it */
	mp_limb_t	neg_inv;		/* -1/n mod 2^64 */
	mp_limb_t	reduced_one[PAILLIER_MAX_N_LIMBS];	/* 2^(-64·limbs) mod n */
	paillier_mont n2;			/* for sums, and whatever is one product */
	paillier_mont n2_powers;	/* for powers where the kernel has another for them: paillier_powers() */
} paillier_public;

/* The modulus n² for powers, and for blinding. */
static inline const paillier_mont *
paillier_powers(const paillier_public *pk)
{
	return pk->n2.kernel->powers == pk->n2.kernel ? &pk->n2 : &pk->n2_powers;
}

/*
 * Whether n, whose highest limb is not zero, can be a modulus of min_bits to
 * PAILLIER_MAX_BITS bits: odd, no square, no factor below 2^14.
 */
extern paillier_result paillier_public_check(const mp_limb_t *n, int limbs, int min_bits);

/* Prepare a modulus that has passed the check. */
extern void paillier_public_init(paillier_public *pk, const paillier_kernel *kernel, const mp_limb_t *n, int limbs,
								 bool djn, mp_limb_t *scratch);

/* Whether {a, limbs} has a prime factor below 2^14. */
extern bool paillier_has_small_factor(const mp_limb_t *a, int limbs);

/*
 * Whether c may be added to a sum.
 *		PAILLIER_ERR_ZERO, PAILLIER_ERR_TOO_LARGE	not in 0 < c < n²
 *		PAILLIER_ERR_NOT_UNIT		c ≡ 0 mod n: would make every sum 0
 *		PAILLIER_ERR_UNBLINDED		c ≡ ±1 mod n: r = ±1
 * Other factors in common with n are not looked for: to know one is to know
 * the private key.
 */
extern paillier_result paillier_check(const paillier_public *pk, const mp_limb_t *c, mp_limb_t *scratch);

/* out = a·b: adds the plaintexts. */
extern void paillier_add(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
						 mp_limb_t *scratch);

/* out = 1/c: negates the plaintext.  PAILLIER_ERR_NOT_UNIT where c has no inverse. */
extern paillier_result paillier_negate_var(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c,
										   mp_limb_t *scratch);

/* out = 1 + k·n, an encryption of k without blinding, for k = ±{mag, pk->limbs}, |k| < n. */
extern void paillier_encode(const paillier_public *pk, mp_limb_t *out, bool negative, const mp_limb_t *mag,
							mp_limb_t *scratch);

/* out = c·(1 + k·n): adds k, {mag, pk->limbs} with its sign, |k| < n. */
extern void paillier_add_plain(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c, bool negative,
							   const mp_limb_t *mag, mp_limb_t *scratch);

/*
 * out = c^k: multiplies the plaintext by k, {mag, limbs} with its sign; k is
 * public.  For k = 0 the result is 1, which is not blinded.
 */
extern paillier_result paillier_mul_plain_var(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c,
											  bool negative, const mp_limb_t *mag, int limbs, mp_limb_t *scratch);

/* ---- blinding (paillier_blind.c) ---- */

/*
 * A source of blinding factors for one key.
 *
 * For keys made here it may hold a table for h_s^a by the comb method of Lim
 * and Lee: the exponent is written as `teeth` rows of columns·blocks bits, and
 * table[b][e] = Π h_s^(2^((i·blocks + b)·columns)) over the bits i set in e.  One
 * factor then takes columns - 1 squarings and columns·blocks multiplications.
 * Table entries are chosen by bits of a, so that a process that shares the
 * processor's cache with the encryptor might learn about a.
 */
typedef struct paillier_comb
{
	int			teeth;
	int			blocks;
} paillier_comb;

/* 4096 entries, and 16384, which pay after some thousand factors: 2.6 and 10.5 MB for a key of 2048 bits */
extern const paillier_comb paillier_comb_small;
extern const paillier_comb paillier_comb_large;

typedef struct paillier_blinder
{
	const paillier_public *pk;
	paillier_comb comb;
	int			columns;
	mp_limb_t  *table;			/* NULL: r^n */
} paillier_blinder;

/* Limbs of the table for a key; 0 for keys that were not made here. */
extern size_t paillier_blinder_table(const paillier_public *pk, const paillier_comb *comb);

/*
 * `table` has room for paillier_blinder_table(pk, comb) limbs and stays the
 * caller's, or is NULL: then factors are r^n, which for a few of them is faster.
 */
extern paillier_result paillier_blinder_init(paillier_blinder *blinder, const paillier_public *pk,
											 const paillier_comb *comb, mp_limb_t *table, paillier_random random,
											 void *state, mp_limb_t *scratch);

/* Limbs of scratch for the functions below, which wipe it. */
#define PAILLIER_BLIND_SCRATCH(n2_limbs) \
	(PAILLIER_MONT_POW8_SCRATCH(PAILLIER_MONT_WORDS(n2_limbs)) + 40 * PAILLIER_MONT_WORDS(n2_limbs))

/*
 * c[i] := another ciphertext of the same plaintext, for `count` of them; eight
 * at a time where the kernel can.  When there are no random numbers all that
 * were not done are set to zero.
 */
extern paillier_result paillier_rerandomize(const paillier_blinder *blinder, mp_limb_t *const *c, int count,
											paillier_random random, void *state, mp_limb_t *scratch);

/* A plaintext as sign and {mag, pk->limbs}. */
typedef struct paillier_plaintext
{
	bool		negative;
	const mp_limb_t *mag;
} paillier_plaintext;

/*
 * out[i] = an encryption of m[i], for `count` of them.  PAILLIER_ERR_RANGE when
 * one is above pk->half: then nothing is encrypted.  The time may tell whether
 * one is close to that.
 */
extern paillier_result paillier_encrypt(const paillier_blinder *blinder, mp_limb_t *const *out,
										const paillier_plaintext *m, int count, paillier_random random, void *state,
										mp_limb_t *scratch);

/*
 * Factors made ahead, eight at a time, each of which blinds one ciphertext and
 * is wiped: for a caller who has many ciphertexts, but sees one at a time.
 */
typedef struct paillier_stock
{
	const paillier_blinder *blinder;
	int			left;
	mp_limb_t  *factors;		/* PAILLIER_STOCK(n2.limbs) limbs of the caller's */
} paillier_stock;

#define PAILLIER_STOCK(n2_limbs)	(8 * PAILLIER_MONT_WORDS(n2_limbs))

/* c := another ciphertext of the same plaintext; set to zero when there are no random numbers. */
extern paillier_result paillier_rerandomize_from(paillier_stock *stock, mp_limb_t *c, paillier_random random,
												 void *state, mp_limb_t *scratch);

/* out = an encryption of m, as by paillier_encrypt(). */
extern paillier_result paillier_encrypt_from(paillier_stock *stock, mp_limb_t *out, const paillier_plaintext *m,
											 paillier_random random, void *state, mp_limb_t *scratch);

/* Wipe what is left. */
extern void paillier_stock_wipe(paillier_stock *stock);

/* Uniform in [1, n): rejection sampling. */
extern paillier_result paillier_random_below(mp_limb_t *out, const mp_limb_t *n, int limbs, paillier_random random,
											 void *state);

#endif
