/*
 * paillier_slots.c
 *		The values of a pack, in constant time.
 */
#include "paillier_slots.h"

int
paillier_slot_bits(paillier_bound bound)
{
	return bound.mantissa == 0 ? 1 : (int) bound.exponent + 65 - __builtin_clzll(bound.mantissa);
}

void
paillier_slot_offset(mp_limb_t *offset, int bits)
{
	mpn_zero(offset, paillier_slot_limbs(bits));
	offset[(bits - 1) / 64] = (mp_limb_t) 1 << ((bits - 1) % 64);
}

/* The bound in so many limbs, of which it needs no more. */
static void
set_bound(mp_limb_t *out, int limbs, paillier_bound bound)
{
	int			shift = bound.exponent % 64;
	int			low = bound.exponent / 64;

	mpn_zero(out, limbs);
	if (low < limbs)
		out[low] = bound.mantissa << shift;
	if (shift != 0 && low + 1 < limbs)
		out[low + 1] = bound.mantissa >> (64 - shift);
}

paillier_result
paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch)
{
	if (paillier_slot_bits(bound) > 64 * limbs)
		return PAILLIER_OK;
	set_bound(scratch, limbs, bound);
	return (paillier_result) (mpn_sub_n(scratch, scratch, mag, limbs) * PAILLIER_ERR_BOUND);
}

/* {out, limbs} = negative ? -a : a modulo 2^(64·limbs); out may be a. */
static void
negate_if(mp_limb_t negative, mp_limb_t *out, const mp_limb_t *a, int limbs)
{
	mp_limb_t	carry = negative;

	for (int i = 0; i < limbs; i++)
	{
		out[i] = (a[i] ^ -negative) + carry;
		carry &= out[i] == 0;
	}
}

/* x := x + all offsets modulo p.  What is added is below p, so that p is taken away once or not at all. */
static void
add_offsets(const paillier_prime *prime, mp_limb_t *x, const int *bits, int count, mp_limb_t *scratch)
{
	int			limbs = prime->limbs;
	mp_limb_t  *other = scratch;	/* limbs */
	mp_limb_t	carry;
	mp_limb_t	below;
	int			at = 0;

	mpn_zero(other, limbs);
	for (int i = 0; i < count; i++)
	{
		at += bits[i];
		other[(at - 1) / 64] |= (mp_limb_t) 1 << ((at - 1) % 64);
	}
	carry = mpn_add_n(x, x, other, limbs);
	below = mpn_sub_n(other, x, prime->p, limbs) & (carry ^ 1);
	mpn_cnd_sub_n(below ^ 1, x, x, prime->p, limbs);
}

/* {u, limbs of the slot} = the slot of x that begins at bit `at`, where x has a limb more than the slot reaches. */
static void
take_slot(mp_limb_t *u, const mp_limb_t *x, int at, int bits)
{
	int			limbs = paillier_slot_limbs(bits);

	for (int i = 0; i < limbs; i++)
	{
		u[i] = x[at / 64 + i] >> (at % 64);
		if (at % 64 != 0)
			u[i] |= x[at / 64 + i + 1] << (64 - at % 64);
	}
	u[limbs - 1] &= ~(mp_limb_t) 0 >> (64 * limbs - bits);
}

/* The value of a slot to its item; not 0 when it lies outside the bound. */
static mp_limb_t
read_value(paillier_bounded *item, const mp_limb_t *u, int bits, int mag_limbs, mp_limb_t *scratch)
{
	int			limbs = paillier_slot_limbs(bits);
	mp_limb_t  *offset = scratch;	/* limbs */
	mp_limb_t  *bound = offset + limbs; /* limbs */
	mp_limb_t	negative;
	mp_limb_t	difference = 0;

	paillier_slot_offset(offset, bits);
	if (item == NULL)
	{
		for (int i = 0; i < limbs; i++)
			difference |= u[i] ^ offset[i];
		return difference;
	}
	mpn_zero(item->mag, mag_limbs);
	negative = mpn_sub_n(item->mag, u, offset, limbs);
	negate_if(negative, item->mag, item->mag, limbs);
	item->negative = negative;
	set_bound(bound, limbs, item->bound);
	return mpn_sub_n(bound, bound, item->mag, limbs);
}

mp_limb_t
paillier_slots_read(const paillier_prime *prime, paillier_bounded *const *item, const int *bits, int count,
					int mag_limbs, mp_limb_t *x, mp_limb_t *scratch)
{
	int			limbs = prime->limbs;
	mp_limb_t  *u = scratch;	/* limbs */
	mp_limb_t  *rest = u + limbs;
	mp_limb_t	wrong = 0;
	int			at = 0;

	add_offsets(prime, x, bits, count, rest);
	x[limbs] = x[limbs + 1] = 0;
	for (int i = 0; i < count; i++)
	{
		take_slot(u, x, at, bits[i]);
		wrong |= read_value(item[i], u, bits[i], mag_limbs, rest);
		at += bits[i];
	}
	wrong |= x[at / 64] >> (at % 64);
	for (int i = at / 64 + 1; i < limbs; i++)
		wrong |= x[i];
	return wrong;
}

void
paillier_slot_write(mp_limb_t *u, const paillier_bounded *item, const mp_limb_t *offset, int bits)
{
	int			limbs = paillier_slot_limbs(bits);

	mpn_zero(u, limbs);
	if (item != NULL)
		negate_if(item->negative, u, item->mag, limbs);
	(void) mpn_add_n(u, u, offset, limbs);
}
