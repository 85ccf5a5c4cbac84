/*
 * mont.c
 *		Montgomery arithmetic, generic kernel: GMP's multiplication followed by
 *		a word-by-word reduction.
 */
#include <string.h>

#include "mont.h"

/*
 * -1/m mod 2^64 by Newton's iteration x := x(2 - m·x), which doubles the number
 * of right bits; m itself is right to 3 bits, so 3 → 6 → 12 → 24 → 48 → 96.
 */
static mp_limb_t
negative_inverse(mp_limb_t m)
{
	mp_limb_t	x = m;

	for (int i = 0; i < 5; i++)
		x *= 2 - m * x;
	return -x;
}

void
paillier_mont_init(paillier_mont *ctx, const mp_limb_t *m, int limbs, mp_limb_t *scratch)
{
	mp_limb_t  *quotient = scratch; /* L + 2 limbs */
	mp_limb_t  *power = scratch + limbs + 2;	/* 2·L + 1 limbs */

	ctx->limbs = limbs;
	ctx->neg_inv = negative_inverse(m[0]);
	mpn_copyi(ctx->m, m, limbs);

	mpn_zero(power, limbs);
	power[limbs] = 1;
	mpn_tdiv_qr(quotient, ctx->one, 0, power, limbs + 1, m, limbs);

	mpn_zero(power, 2 * limbs);
	power[2 * limbs] = 1;
	mpn_tdiv_qr(quotient, ctx->r2, 0, power, 2 * limbs + 1, m, limbs);
}

/*
 * out = t/R mod m for t < R·R, destroying t.
 *
 * Each step adds the multiple of m that clears the lowest limb; the carry out
 * of that step is kept in the limb just cleared and all of them are added at
 * the end.  The sum is t + q·m with q < R, so the quotient by R is below
 * R + m: one conditional subtraction of m brings it below R.
 */
static void
reduce(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *t)
{
	int			limbs = ctx->limbs;
	mp_limb_t	carry;

	for (int i = 0; i < limbs; i++)
		t[i] = mpn_addmul_1(t + i, ctx->m, limbs, t[i] * ctx->neg_inv);
	carry = mpn_add_n(out, t + limbs, t, limbs);
	mpn_cnd_sub_n(carry, out, out, ctx->m, limbs);
}

void
paillier_mont_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	mpn_mul_n(scratch, a, b, ctx->limbs);
	reduce(ctx, out, scratch);
}

void
paillier_mont_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	mpn_sqr(scratch, a, ctx->limbs);
	reduce(ctx, out, scratch);
}

void
paillier_mont_enter(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	paillier_mont_mul(ctx, out, a, ctx->r2, scratch);
}

/*
 * For a < R the value (a + q·m)/R with q < R is below m + 1, so it is at most
 * m, and equals m only for a multiple of m: the last subtraction gives 0 then.
 */
void
paillier_mont_leave(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	int			limbs = ctx->limbs;
	mp_limb_t	borrow;

	mpn_copyi(scratch, a, limbs);
	mpn_zero(scratch + limbs, limbs);
	reduce(ctx, out, scratch);
	borrow = mpn_sub_n(scratch, out, ctx->m, limbs);
	mpn_cnd_sub_n(1 - borrow, out, out, ctx->m, limbs);
}

void
paillier_mont_canonical_var(const paillier_mont *ctx, mp_limb_t *a, mp_limb_t *scratch)
{
	if (mpn_cmp(a, ctx->m, ctx->limbs) >= 0)
		mpn_tdiv_qr(scratch, a, 0, a, ctx->limbs, ctx->m, ctx->limbs);
}

static int
bit(const mp_limb_t *e, int i)
{
	return (e[i / GMP_NUMB_BITS] >> (i % GMP_NUMB_BITS)) & 1;
}

/*
 * Left-to-right powering with a sliding window of w bits over the odd powers
 * base, base³, …, base^(2^w - 1).
 */
void
paillier_mont_pow(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *base, const mp_limb_t *e, int elimbs,
				  mp_limb_t *scratch)
{
	int			limbs = ctx->limbs;
	mp_limb_t  *product = scratch;	/* 2·L */
	mp_limb_t  *acc = product + 2 * limbs;
	mp_limb_t  *odd = acc + limbs;	/* up to 32·L */
	int			bits;
	int			w;
	int			started = 0;

	while (elimbs > 0 && e[elimbs - 1] == 0)
		elimbs--;
	if (elimbs == 0)
	{
		mpn_copyi(out, ctx->one, limbs);
		return;
	}
	bits = mpn_sizeinbase(e, elimbs, 2);
	w = bits <= 6 ? 1 : bits <= 24 ? 2 : bits <= 80 ? 3 : bits <= 240 ? 4 : bits <= 672 ? 5 : 6;

	mpn_copyi(odd, base, limbs);
	if (w > 1)
		paillier_mont_sqr(ctx, acc, base, product);
	for (int i = 1; i < 1 << (w - 1); i++)
		paillier_mont_mul(ctx, odd + i * limbs, odd + (i - 1) * limbs, acc, product);

	for (int i = bits - 1; i >= 0;)
	{
		int			low = i;	/* lowest bit of the window that starts at i */
		int			digit = 0;

		if (!bit(e, i))
		{
			paillier_mont_sqr(ctx, acc, acc, product);
			i--;
			continue;
		}
		low = i - w + 1 > 0 ? i - w + 1 : 0;
		while (!bit(e, low))
			low++;
		for (int j = i; j >= low; j--)
		{
			digit = 2 * digit + bit(e, j);
			if (started)
				paillier_mont_sqr(ctx, acc, acc, product);
		}
		if (started)
			paillier_mont_mul(ctx, acc, acc, odd + (digit >> 1) * limbs, product);
		else
			mpn_copyi(acc, odd + (digit >> 1) * limbs, limbs);
		started = 1;
		i = low - 1;
	}
	mpn_copyi(out, acc, limbs);
}
