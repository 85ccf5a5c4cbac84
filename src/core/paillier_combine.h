/*
 * paillier_combine.h
 *		Products of powers of many ciphertexts modulo the square of a secret prime,
 *		eight at a time: one to a lane.
 *
 * Exponents are shared by all lanes of eight ciphertexts.  They and the lengths
 * decide what is done; the residues do not.
 */
#ifndef PAILLIER_COMBINE_H
#define PAILLIER_COMBINE_H

#include "paillier_private.h"

#define PAILLIER_LANES	8

/* Memory that vectors want on cache lines; `limbs` of it must have 7 more. */
extern mp_limb_t *paillier_on_line(mp_limb_t *memory);

/* ---- a prime, and constants modulo its square ---- */

typedef struct paillier_side
{
	const paillier_prime *prime;
	int			half_bits;		/* a ciphertext is c1·2^half_bits + c0 */
	mp_limb_t  *one8;			/* eight residues each: 1 … */
	mp_limb_t  *low8;			/* … and what c0 and c1 are multiplied by, to be added in Montgomery form */
	mp_limb_t  *high8;
} paillier_side;

/* Limbs of the constants of a prime of so many limbs. */
extern size_t paillier_side_memory(int limbs);

/*
 * Both primes must have the same length: then c0, c1 < 2^half_bits <= 4·p², for the
 * square of either.
 */
extern void paillier_side_init(paillier_side *side, const paillier_prime *prime, mp_limb_t *memory, mp_limb_t *scratch);

/* out8 = eight ciphertexts of so many limbs, in Montgomery form. */
extern void paillier_side_enter(const paillier_side *side, mp_limb_t *out8, const mp_limb_t *const *c, int limbs,
								mp_limb_t *scratch);

/* acc8 = acc8^(2^bits)·a8 */
extern void paillier_side_shift_multiply(const paillier_side *side, mp_limb_t *acc8, int bits, const mp_limb_t *a8,
										 mp_limb_t *scratch);

/* out = Π a8[i]^exponent[i], one residue */
extern void paillier_side_fold(const paillier_side *side, mp_limb_t *out, const mp_limb_t *a8,
							   const mp_limb_t *exponent, mp_limb_t *scratch);

/* ---- Π a_i^e_i for exponents of 64 bits, by buckets ---- */

/*
 * Exponents are cut into digits of `width` bits.  A bucket for each place and digit
 * holds the product of what has this digit there.  Then the buckets of a place
 * give Π bucket_d^d by partial products from the highest digit down, and the
 * places are joined by squarings.
 */
#define PAILLIER_MAX_BUCKETS	(13 << 5)

typedef struct paillier_buckets
{
	int			width;			/* 1, 4 or 5 */
	int			places;
	mp_limb_t  *bucket;			/* places << width eights */
	bool		used[PAILLIER_MAX_BUCKETS];
} paillier_buckets;

/* The width that takes the fewest products for so many factors. */
extern int	paillier_buckets_width(int factors);

/* Limbs of the buckets. */
extern size_t paillier_buckets_memory(int width, int limbs);

/* Begin with an empty product. */
extern void paillier_buckets_init(paillier_buckets *buckets, int width, mp_limb_t *memory);

/* Multiply by a8^exponent. */
extern void paillier_buckets_add(const paillier_side *side, paillier_buckets *buckets, const mp_limb_t *a8,
								 mp_limb_t exponent, mp_limb_t *scratch);

/* out8 = the product.  The buckets are destroyed. */
extern void paillier_buckets_close(const paillier_side *side, mp_limb_t *out8, paillier_buckets *buckets,
								   mp_limb_t *scratch);

#endif
