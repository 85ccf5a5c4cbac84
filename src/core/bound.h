/*
 * bound.h
 *		The public upper bound of a plaintext's magnitude, carried through every
 *		operation so that a sum fails before it wraps.
 *
 * A bound is mantissa·2^exponent.  Every operation rounds up, but for those that
 * end in _down, so a bound never understates; sums of bounds of equal size are
 * exact.  Canonical form:
 * exponent 0, or a mantissa with its highest bit set.
 */
#ifndef PAILLIER_BOUND_H
#define PAILLIER_BOUND_H

#include <gmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform.h"

typedef struct paillier_bound
{
	uint64_t	mantissa;
	uint32_t	exponent;
} paillier_bound;

/* Exponents beyond this are refused everywhere: no key is that large. */
#define PAILLIER_BOUND_MAX_EXPONENT 16383

/* The bound of a signed number of `width` bits, 2^(width - 1); width >= 1. */
extern paillier_bound paillier_bound_from_width(int width);

/* The bound of the number itself, {mag, limbs}. */
extern paillier_bound paillier_bound_from_limbs(const mp_limb_t *mag, int limbs);

/*
 * A bound that does not exceed {mag, limbs}, of at least 2 limbs, by its 32
 * highest bits: such a bound is still the same after it was packed.
 */
extern paillier_bound paillier_bound_below(const mp_limb_t *mag, int limbs);

extern paillier_bound paillier_bound_add(paillier_bound a, paillier_bound b);
extern paillier_bound paillier_bound_mul(paillier_bound a, paillier_bound b);

/*
 * Factors and products above round up; these round down, so that the result never
 * exceeds the exact value.  They are for what leaves a sum.
 */
extern paillier_bound paillier_bound_from_limbs_down(const mp_limb_t *mag, int limbs);
extern paillier_bound paillier_bound_mul_down(paillier_bound a, paillier_bound b);

/*
 * What is left of the sum a when its summand b is taken out again, rounded up; 0
 * where a <= b.  It still covers the other summands if a covers all of them and
 * b does not exceed the exact bound that was added: b MUST be rounded down at
 * every step.
 */
extern paillier_bound paillier_bound_sub(paillier_bound a, paillier_bound b);

/*
 * The bound to declare for {mag, limbs}: that of the given width, or of the
 * next multiple of 64 bits which the number needs, so that only a size class
 * shows; at most `limit`.  False where the number exceeds that.
 */
extern bool paillier_bound_declare(paillier_bound *bound, paillier_bound limit, int width, const mp_limb_t *mag,
								   int limbs);

extern int	paillier_bound_cmp(paillier_bound a, paillier_bound b);

/* Whether {mag, limbs} <= b, exactly. */
extern bool paillier_bound_covers(paillier_bound b, const mp_limb_t *mag, int limbs);

/* The form of 32 + 16 bits that ciphertexts store; rounds up. */
extern void paillier_bound_pack(paillier_bound b, uint32_t *mantissa, uint16_t *exponent);
extern paillier_bound paillier_bound_unpack(uint32_t mantissa, uint16_t exponent);

/* Whether the stored form is the one that paillier_bound_pack() writes. */
extern bool paillier_bound_packed_valid(uint32_t mantissa, uint16_t exponent);

#endif
