/*
 * mont_limbs.h
 *		Products of numbers in limbs, in constant time: GMP's mpn_mul_n() and
 *		mpn_sqr() branch on their operands where they are longer than about 20
 *		limbs.
 *
 * All take `size` >= 1 limbs of each operand and PAILLIER_LIMBS_SCRATCH(size)
 * limbs of scratch.  Outputs MUST NOT overlap operands.
 */
#ifndef PAILLIER_MONT_LIMBS_H
#define PAILLIER_MONT_LIMBS_H

#include <gmp.h>

#define PAILLIER_LIMBS_SCRATCH(size)	(4 * (size) + 64)

/* {out, 2·size} = a·b */
extern void paillier_limbs_mul(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, int size, mp_limb_t *scratch);

/* {out, 2·size} = a² */
extern void paillier_limbs_sqr(mp_limb_t *out, const mp_limb_t *a, int size, mp_limb_t *scratch);

/* {out, size} = a·b mod 2^(64·size) */
extern void paillier_limbs_mul_low(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, int size,
								   mp_limb_t *scratch);

#endif
