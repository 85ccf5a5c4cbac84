/*
 * mont.h
 *		Montgomery arithmetic modulo an odd number: the only place that
 *		multiplies modulo n², p² or any other modulus of the scheme.
 *
 * Notation: B = 2^64, L = limbs of the modulus m, R = B^L.  A number x is in
 * Montgomery form when it is held as x·R mod m.  Numbers are little-endian
 * arrays of L limbs.
 *
 * Values between two calls are only "reduced to L limbs": they are below R
 * and may exceed m.  paillier_mont_canonical() gives the unique value below m.
 *
 * Nothing here branches on, or indexes memory by, the value of a residue; the
 * time of paillier_mont_pow() depends on its exponent, which is public
 * wherever it is used.  (GMP's multiplication may choose between a few
 * operation orders inside Toom-Cook steps by the sign of a difference; powers
 * under a private key therefore use mpn_sec_powm and not this file.)
 */
#ifndef PAILLIER_MONT_H
#define PAILLIER_MONT_H

#include <gmp.h>

/* n² of the largest key, 8192 bits */
#define PAILLIER_MAX_LIMBS	256

typedef struct paillier_mont
{
	int			limbs;			/* L */
	mp_limb_t	neg_inv;		/* -1/m mod B */
	mp_limb_t	m[PAILLIER_MAX_LIMBS];
	mp_limb_t	one[PAILLIER_MAX_LIMBS];	/* R mod m */
	mp_limb_t	r2[PAILLIER_MAX_LIMBS]; /* R² mod m */
} paillier_mont;

/* Limbs of scratch each function below may overwrite. */
#define PAILLIER_MONT_SCRATCH(limbs)		(5 * (limbs) + 4)
#define PAILLIER_MONT_POW_SCRATCH(limbs)	(35 * (limbs))

/*
 * Prepare ctx for the odd modulus m of the given number of limbs, the most
 * significant one not zero.
 */
extern void paillier_mont_init(paillier_mont *ctx, const mp_limb_t *m, int limbs, mp_limb_t *scratch);

/* out = a·b/R mod m, for a, b < R.  out may be a or b.  Scratch: 2·L. */
extern void paillier_mont_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
							  mp_limb_t *scratch);

/* out = a²/R mod m, for a < R.  out may be a.  Scratch: 2·L. */
extern void paillier_mont_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

/* out = a·R mod m, for a < R: into Montgomery form.  Scratch: 2·L. */
extern void paillier_mont_enter(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

/* out = a/R mod m, 0 <= out < m, for a < R: out of Montgomery form.  Scratch: 2·L. */
extern void paillier_mont_leave(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

/*
 * a := a mod m, for a < R.  Variable time: for values that are public.
 * Scratch: L + 1.
 */
extern void paillier_mont_canonical_var(const paillier_mont *ctx, mp_limb_t *a, mp_limb_t *scratch);

/*
 * out = base^e in Montgomery form, base in Montgomery form, e >= 0 of elimbs
 * limbs (leading zero limbs allowed).  The time depends on e, not on base.
 * out may be base.  Scratch: PAILLIER_MONT_POW_SCRATCH.
 */
extern void paillier_mont_pow(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *base, const mp_limb_t *e,
							  int elimbs, mp_limb_t *scratch);

#endif
