/*
 * paillier_combine.c
 *		Products of powers of many ciphertexts, eight at a time.
 */
#include <string.h>

#include "paillier_combine.h"

#define LANES PAILLIER_LANES

mp_limb_t *
paillier_on_line(mp_limb_t *memory)
{
	return (mp_limb_t *) (((uintptr_t) memory + 63) & ~(uintptr_t) 63);
}

static size_t
words8(const paillier_side *side)
{
	return LANES * (size_t) side->prime->mont.words;
}

/* ---- a prime, and constants modulo its square ---- */

size_t
paillier_side_memory(int limbs)
{
	return 3 * LANES * (size_t) PAILLIER_MONT_WORDS(2 * limbs);
}

static void
repeat8(const paillier_mont *square, mp_limb_t *out8, const mp_limb_t *residue)
{
	const mp_limb_t *same[LANES];

	for (int i = 0; i < LANES; i++)
		same[i] = residue;
	square->kernel->gather8(square, out8, same);
}

void
paillier_side_init(paillier_side *side, const paillier_prime *prime, mp_limb_t *memory, mp_limb_t *scratch)
{
	const paillier_mont *square = &prime->mont;
	int			bits = mpn_sizeinbase(prime->p, prime->limbs, 2);
	mp_limb_t  *power = scratch;	/* 2^bits, which is below p² */
	mp_limb_t  *rest = power + square->limbs + square->words;

	side->prime = prime;
	side->half_bits = 2 * bits;
	side->one8 = memory;
	side->low8 = side->one8 + words8(side);
	side->high8 = side->low8 + words8(side);
	repeat8(square, side->one8, square->one);
	repeat8(square, side->low8, square->r2);

	mpn_zero(power, square->limbs);
	power[bits / 64] = (mp_limb_t) 1 << (bits % 64);
	paillier_mont_load(square, power + square->limbs, power, rest);
	power += square->limbs;
	paillier_mont_enter(square, power, power, rest);
	paillier_mont_sqr(square, power, power, rest);
	paillier_mont_enter(square, power, power, rest);
	repeat8(square, side->high8, power);
}

/* {out, out_limbs} = ⌊{a, limbs}/2^at⌋ mod 2^bits, with at least as many bits in out. */
static void
cut(mp_limb_t *out, int out_limbs, const mp_limb_t *a, int limbs, int at, int bits)
{
	for (int i = 0; i < out_limbs; i++)
	{
		int			from = at / 64 + i;

		out[i] = from < limbs ? a[from] >> (at % 64) : 0;
		if (at % 64 != 0 && from + 1 < limbs)
			out[i] |= a[from + 1] << (64 - at % 64);
	}
	if (bits < 64 * out_limbs)
		out[out_limbs - 1] &= ~(mp_limb_t) 0 >> (64 * out_limbs - bits);
}

void
paillier_side_enter(const paillier_side *side, mp_limb_t *out8, const mp_limb_t *const *c, int limbs,
					mp_limb_t *scratch)
{
	const paillier_mont *square = &side->prime->mont;
	const paillier_kernel *kernel = square->kernel;
	mp_limb_t  *high8 = scratch;
	mp_limb_t  *parts = high8 + words8(side);
	mp_limb_t  *rest = parts + 2 * LANES * square->limbs;
	const mp_limb_t *low[LANES];
	const mp_limb_t *high[LANES];

	for (int i = 0; i < LANES; i++)
	{
		mp_limb_t  *part = parts + 2 * i * square->limbs;

		cut(part, square->limbs, c[i], limbs, 0, side->half_bits);
		low[i] = part;
		part += square->limbs;
		cut(part, square->limbs, c[i], limbs, side->half_bits, side->half_bits);
		high[i] = part;
	}
	kernel->load8(square, out8, low, rest);
	kernel->mul8(square, out8, out8, side->low8, rest);
	kernel->load8(square, high8, high, rest);
	kernel->mul8(square, high8, high8, side->high8, rest);
	paillier_mont_add8(square, out8, out8, high8, rest);
}

void
paillier_side_shift_multiply(const paillier_side *side, mp_limb_t *acc8, int bits, const mp_limb_t *a8,
							 mp_limb_t *scratch)
{
	const paillier_mont *square = &side->prime->mont;

	for (int i = 0; i < bits; i++)
		square->kernel->sqr8(square, acc8, acc8, scratch);
	square->kernel->mul8(square, acc8, acc8, a8, scratch);
}

void
paillier_side_fold(const paillier_side *side, mp_limb_t *out, const mp_limb_t *a8, const mp_limb_t *exponent,
				   mp_limb_t *scratch)
{
	const paillier_mont *square = &side->prime->mont;
	mp_limb_t  *rest = scratch + words8(side);
	mp_limb_t  *lane[LANES];

	for (int i = 0; i < LANES; i++)
		lane[i] = scratch + i * square->words;
	square->kernel->scatter8(square->words, lane, a8);
	mpn_copyi(out, square->one, square->words);
	for (int bit = 63; bit >= 0; bit--)
	{
		paillier_mont_sqr(square, out, out, rest);
		for (int i = 0; i < LANES; i++)
			if (exponent[i] >> bit & 1)
				paillier_mont_mul(square, out, out, lane[i], rest);
	}
}

/* ---- Π a_i^e_i, by buckets ---- */

int
paillier_buckets_width(int factors)
{
	return factors < 32 ? 1 : factors < 128 ? 4 : 5;
}

static int
places_of(int width)
{
	return (64 + width - 1) / width;
}

size_t
paillier_buckets_memory(int width, int limbs)
{
	return ((size_t) places_of(width) << width) * LANES * PAILLIER_MONT_WORDS(2 * limbs);
}

void
paillier_buckets_init(paillier_buckets *buckets, int width, mp_limb_t *memory)
{
	buckets->width = width;
	buckets->places = places_of(width);
	buckets->bucket = memory;
	memset(buckets->used, 0, sizeof(buckets->used));
}

/* *product = *product·a8; empty products are not there. */
static void
multiply(const paillier_side *side, mp_limb_t *product8, bool *used, const mp_limb_t *a8, mp_limb_t *scratch)
{
	const paillier_mont *square = &side->prime->mont;

	if (*used)
		square->kernel->mul8(square, product8, product8, a8, scratch);
	else
		mpn_copyi(product8, a8, words8(side));
	*used = true;
}

void
paillier_buckets_add(const paillier_side *side, paillier_buckets *buckets, const mp_limb_t *a8, mp_limb_t exponent,
					 mp_limb_t *scratch)
{
	int			width = buckets->width;

	for (int place = 0; place < buckets->places; place++)
	{
		int			digit = exponent >> (place * width) & ((1 << width) - 1);
		int			i = (place << width) + digit;

		if (digit != 0)
			multiply(side, buckets->bucket + i * words8(side), &buckets->used[i], a8, scratch);
	}
}

void
paillier_buckets_close(const paillier_side *side, mp_limb_t *out8, paillier_buckets *buckets, mp_limb_t *scratch)
{
	const paillier_mont *square = &side->prime->mont;
	int			width = buckets->width;
	mp_limb_t  *above = scratch;	/* the product of the buckets of this digit and those above */
	mp_limb_t  *rest = above + words8(side);
	bool		out_used = false;

	for (int place = buckets->places - 1; place >= 0; place--)
	{
		bool		above_used = false;

		for (int i = 0; i < width && out_used; i++)
			square->kernel->sqr8(square, out8, out8, rest);
		for (int digit = (1 << width) - 1; digit > 0; digit--)
		{
			int			i = (place << width) + digit;

			if (buckets->used[i])
				multiply(side, above, &above_used, buckets->bucket + i * words8(side), rest);
			if (above_used)
				multiply(side, out8, &out_used, above, rest);
		}
	}
	if (!out_used)
		mpn_copyi(out8, side->one8, words8(side));
}
