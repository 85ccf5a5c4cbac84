/*
 * mont_limbs.c
 *		Products of numbers in limbs: GMP's schoolbook multiplication, and
 *		Karatsuba's method above it, with B = 2^64.
 *
 *		(a1·B^h + a0)(b1·B^h + b0) = a1·b1·B^(2h) + a0·b0
 *			+ ((a0 + a1)(b0 + b1) - a0·b0 - a1·b1)·B^h
 *
 * Sums of halves may have a carry.  It is a factor 0 or 1 of the other sum, which
 * mpn_cnd_add_n() adds or does not, in the same time.
 */
#include "mont_limbs.h"

/* Numbers of so many limbs are multiplied, and squared, faster by halves: even and odd lengths measured. */
#define MUL_HALVES_FROM 28
#define SQR_HALVES_FROM 38
#define LOW_HALVES_FROM 20

/* The lower half of a number is the longer one. */
static int
half_of(int size)
{
	return (size + 1) / 2;
}

/* {a, size} += carry; returns what is carried out. */
static mp_limb_t
carry_into(mp_limb_t *a, int size, mp_limb_t carry)
{
	for (int i = 0; i < size; i++)
	{
		a[i] += carry;
		carry = a[i] < carry;
	}
	return carry;
}

static mp_limb_t
borrow_from(mp_limb_t *a, int size, mp_limb_t borrow)
{
	for (int i = 0; i < size; i++)
	{
		mp_limb_t	before = a[i];

		a[i] -= borrow;
		borrow = a[i] > before;
	}
	return borrow;
}

/* {sum, h} = the halves of {a, size} added; returns the carry. */
static mp_limb_t
add_halves(mp_limb_t *sum, const mp_limb_t *a, int size)
{
	int			h = half_of(size);
	int			high = size - h;
	mp_limb_t	carry = mpn_add_n(sum, a, a + h, high);

	if (high == h)
		return carry;
	sum[high] = a[high];
	return carry_into(sum + high, 1, carry);
}

/*
 * out += (middle - a0·b0 - a1·b1)·B^h for out = a1·b1·B^(2h) + a0·b0, and middle in
 * 2h limbs and `top`.  The difference is a1·b0 + a0·b1, which is not negative, and
 * the sum is the product, which fits.
 */
static void
add_middle(mp_limb_t *out, mp_limb_t *middle, mp_limb_t top, int size)
{
	int			h = half_of(size);
	int			high = size - h;

	top -= mpn_sub_n(middle, middle, out, 2 * h);
	top -= borrow_from(middle + 2 * high, 2 * (h - high), mpn_sub_n(middle, middle, out + 2 * h, 2 * high));
	top += mpn_add_n(out + h, out + h, middle, 2 * h);
	(void) carry_into(out + 3 * h, 2 * size - 3 * h, top);
}

void
paillier_limbs_mul(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, int size, mp_limb_t *scratch)
{
	int			h = half_of(size);
	mp_limb_t  *sum_a = out;	/* h, until the product of the sums is made */
	mp_limb_t  *sum_b = out + h;	/* h */
	mp_limb_t  *middle = scratch;	/* 2·h */
	mp_limb_t  *rest = middle + 2 * h;
	mp_limb_t	carry_a;
	mp_limb_t	carry_b;
	mp_limb_t	top;

	if (size < MUL_HALVES_FROM)
	{
		mpn_sec_mul(out, a, size, b, size, scratch);
		return;
	}
	carry_a = add_halves(sum_a, a, size);
	carry_b = add_halves(sum_b, b, size);
	paillier_limbs_mul(middle, sum_a, sum_b, h, rest);
	top = carry_a & carry_b;
	top += mpn_cnd_add_n(carry_a, middle + h, middle + h, sum_b, h);
	top += mpn_cnd_add_n(carry_b, middle + h, middle + h, sum_a, h);
	paillier_limbs_mul(out, a, b, h, rest);
	paillier_limbs_mul(out + 2 * h, a + h, b + h, size - h, rest);
	add_middle(out, middle, top, size);
}

void
paillier_limbs_sqr(mp_limb_t *out, const mp_limb_t *a, int size, mp_limb_t *scratch)
{
	int			h = half_of(size);
	mp_limb_t  *sum = out;
	mp_limb_t  *middle = scratch;
	mp_limb_t  *rest = middle + 2 * h;
	mp_limb_t	carry;
	mp_limb_t	top;

	if (size < SQR_HALVES_FROM)
	{
		mpn_sec_sqr(out, a, size, scratch);
		return;
	}
	carry = add_halves(sum, a, size);
	paillier_limbs_sqr(middle, sum, h, rest);
	top = carry;
	top += mpn_cnd_add_n(carry, middle + h, middle + h, sum, h);
	top += mpn_cnd_add_n(carry, middle + h, middle + h, sum, h);
	paillier_limbs_sqr(out, a, h, rest);
	paillier_limbs_sqr(out + 2 * h, a + h, size - h, rest);
	add_middle(out, middle, top, size);
}

void
paillier_limbs_mul_low(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, int size, mp_limb_t *scratch)
{
	int			h = half_of(size);
	int			high = size - h;
	mp_limb_t  *product = scratch;	/* 2·h */
	mp_limb_t  *rest = product + 2 * h;

	if (size < LOW_HALVES_FROM)
	{
		(void) mpn_mul_1(out, a, size, b[0]);
		for (int i = 1; i < size; i++)
			(void) mpn_addmul_1(out + i, a, size - i, b[i]);
		return;
	}
	paillier_limbs_mul(product, a, b, h, rest);
	mpn_copyi(out, product, size);
	paillier_limbs_mul_low(product, a, b + h, high, rest);
	(void) mpn_add_n(out + h, out + h, product, high);
	paillier_limbs_mul_low(product, a + h, b, high, rest);
	(void) mpn_add_n(out + h, out + h, product, high);
}
