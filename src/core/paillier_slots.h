/*
 * paillier_slots.h
 *		The values of a pack: Σ v_i·2^(s_i) modulo a secret prime, in constant time.
 *
 * A slot of b bits holds v + 2^(b-1), its offset, for |v| < 2^(b-1).  Slots stand
 * side by side, the first in the lowest bits.
 */
#ifndef PAILLIER_SLOTS_H
#define PAILLIER_SLOTS_H

#include "paillier_batch.h"

/* Bits of a slot for values that the bound allows. */
extern int	paillier_slot_bits(paillier_bound bound);

static inline int
paillier_slot_limbs(int bits)
{
	return (bits + 63) / 64;
}

/* The offset of a slot, in its limbs. */
extern void paillier_slot_offset(mp_limb_t *offset, int bits);

/*
 * The values of a pack.  item[i] is what gets the value of a slot of bits[i] bits,
 * or NULL for one whose value must be 0.  {x, limbs of the prime}, the pack modulo
 * the prime, is destroyed and has room for two limbs more.  All slots together are
 * shorter than the prime by two bits or more.  Not 0 when a value lies outside its
 * bound, or the pack beyond its slots.
 */
extern mp_limb_t paillier_slots_read(const paillier_prime *prime, paillier_bounded *const *item, const int *bits,
									 int count, int mag_limbs, mp_limb_t *x, mp_limb_t *scratch);

/*
 * PAILLIER_OK when {mag, limbs} lies within the bound, otherwise
 * PAILLIER_ERR_BOUND; scratch of as many limbs.
 */
extern paillier_result paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch);

/* {u, limbs of the slot} = what a slot held whose value was read to the item, which may be NULL. */
extern void paillier_slot_write(mp_limb_t *u, const paillier_bounded *item, const mp_limb_t *offset, int bits);

#endif
