/*
 * mont_generic.c
 *		The kernel for any processor: GMP's multiplication followed by a
 *		reduction, digits of 64 bits.
 *
 * Residues are below R = 2^(64·limbs).  Eight residues stand one behind the
 * other.
 */
#include "mont.h"
#include "mont_plain.h"

static bool
available(void)
{
	return true;
}

/*
 * Moduli from this length on are reduced by halves, whose products GMP computes
 * faster than limb by limb.
 */
#define HALVES_FROM 56

/* The halves of limbs = low + high; high is the longer one. */
static int
low_half(const paillier_mont *ctx)
{
	return ctx->limbs / 2;
}

static int
high_half(const paillier_mont *ctx)
{
	return ctx->limbs - low_half(ctx);
}

/* Where init() leaves B^(-low) mod m and -1/m mod B^high, for B = 2^64. */
#define FOLD(ctx)		((ctx)->own)
#define INVERSE(ctx)	((ctx)->own + PAILLIER_MAX_LIMBS)

_Static_assert(PAILLIER_MAX_LIMBS + PAILLIER_MAX_LIMBS / 2 <= PAILLIER_MONT_OWN, "what is kept of a modulus fits");

/*
 * Montgomery's reduction of the number 1 gives both: its quotient is -1/m, and
 * after `low` steps it has become B^(-low).  What it has become is never above
 * m, so that adding a multiple of m takes one limb more.
 */
static void
init(paillier_mont *ctx, mp_limb_t *scratch)
{
	mp_limb_t  *t = scratch;	/* limbs + high */

	ctx->words = ctx->limbs;
	ctx->radix_bits = 64 * ctx->words;
	ctx->neg_inv = paillier_mont_negative_inverse(ctx->m[0]);
	if (ctx->limbs < HALVES_FROM)
		return;
	mpn_zero(t, ctx->limbs);
	t[0] = 1;
	for (int i = 0; i < high_half(ctx); i++)
	{
		if (i == low_half(ctx))
			mpn_copyi(FOLD(ctx), t + i, ctx->limbs);
		INVERSE(ctx)[i] = t[i] * ctx->neg_inv;
		t[i + ctx->limbs] = mpn_addmul_1(t + i, ctx->m, ctx->limbs, INVERSE(ctx)[i]);
	}
	if (low_half(ctx) == high_half(ctx))
		mpn_copyi(FOLD(ctx), t + low_half(ctx), ctx->limbs);
}

static void
load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch)
{
	(void) scratch;
	mpn_copyi(out, limbs, ctx->limbs);
}

static void
join(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a, mp_limb_t *scratch)
{
	(void) scratch;
	mpn_copyi(number, a, ctx->limbs);
	mpn_zero(number + ctx->limbs, 2);
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
reduce_limbs(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *t)
{
	int			limbs = ctx->limbs;
	mp_limb_t	carry;

	for (int i = 0; i < limbs; i++)
		t[i] = mpn_addmul_1(t + i, ctx->m, limbs, t[i] * ctx->neg_inv);
	carry = mpn_add_n(out, t + limbs, t, limbs);
	mpn_cnd_sub_n(carry, out, out, ctx->m, limbs);
}

/*
 * out = a·b mod B^size: the product of the low halves, and the low halves of
 * the two mixed products, with 3·size limbs of scratch.
 */
static void
multiply_low(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, int size, mp_limb_t *scratch)
{
	int			low = (size + 1) / 2;
	int			high = size - low;

	if (size <= HALVES_FROM / 2)
	{
		(void) mpn_mul_1(out, a, size, b[0]);
		for (int i = 1; i < size; i++)
			(void) mpn_addmul_1(out + i, a, size - i, b[i]);
		return;
	}
	mpn_mul_n(scratch, a, b, low);
	mpn_copyi(out, scratch, size);
	multiply_low(scratch, a, b + low, high, scratch + high);
	(void) mpn_add_n(out + low, out + low, scratch, high);
	multiply_low(scratch, a + low, b, high, scratch + high);
	(void) mpn_add_n(out + low, out + low, scratch, high);
}

/*
 * The same by halves, for t in 2·limbs limbs and scratch of 4·limbs behind it.
 *
 * First the lowest `low` limbs are taken away and come back multiplied by
 * B^(-low) mod m, in limbs + low of them.  The sum is below
 * B^(limbs + high) + m·B^low, and low <= high: where it has a carry, subtracting
 * m·B^high brings it below B^(limbs + high).
 *
 * Then q·m with q < B^high clears the other `high` limbs.  The quotient by
 * B^high is below R + m: once more one conditional subtraction.
 */
static void
reduce_halves(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *t)
{
	int			limbs = ctx->limbs;
	int			low = low_half(ctx);
	int			high = high_half(ctx);
	mp_limb_t  *q = t + 2 * limbs;	/* high */
	mp_limb_t  *product = q + high; /* limbs + high */
	mp_limb_t	carry;

	mpn_mul(product, FOLD(ctx), limbs, t, low);
	if (low < high)
		product[limbs + low] = 0;
	t += low;
	carry = mpn_add_n(t, t, product, limbs + high);
	mpn_cnd_sub_n(carry, t + high, t + high, ctx->m, limbs);

	multiply_low(q, t, INVERSE(ctx), high, product);
	mpn_mul(product, ctx->m, limbs, q, high);
	carry = mpn_add_n(t, t, product, limbs + high);
	mpn_cnd_sub_n(carry, out, t + high, ctx->m, limbs);
}

static void
reduce(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *t)
{
	if (ctx->limbs < HALVES_FROM)
		reduce_limbs(ctx, out, t);
	else
		reduce_halves(ctx, out, t);
}

static void
mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	mpn_mul_n(scratch, a, b, ctx->limbs);
	reduce(ctx, out, scratch);
}

static void
sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	mpn_sqr(scratch, a, ctx->limbs);
	reduce(ctx, out, scratch);
}

/*
 * A product of a number below 4·m and one below m is below 4·m²/R + m.  For R >= 4·m
 * this is at most 2·m <= R/2, and there is no carry.  Otherwise the sum is below
 * 2·R <= R + 4·m.
 */
static void
add(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	mp_limb_t	carry = mpn_add_n(out, a, b, ctx->limbs);

	(void) scratch;
	for (int i = 0; i < 4; i++)
		carry -= mpn_cnd_sub_n(carry, out, out, ctx->m, ctx->limbs);
}

const paillier_kernel paillier_kernel_generic = {
	.name = "generic",
	.format = PAILLIER_FORMAT_LIMBS,
	.digit_bits = 64,
	.numbers = 1,
	.enough_for_eight = 9,
	.powers = &paillier_kernel_pairs,
	.available = available,
	.init = init,
	.load = load,
	.join = join,
	.mul = mul,
	.sqr = sqr,
	.add = add,
	.select = paillier_plain_select,
	.load8 = paillier_plain_load8,
	.gather8 = paillier_plain_gather8,
	.scatter8 = paillier_plain_scatter8,
	.mul8 = paillier_plain_mul8,
	.sqr8 = paillier_plain_sqr8,
};
