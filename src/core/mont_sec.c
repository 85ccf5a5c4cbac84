/*
 * mont_sec.c
 *		Products modulo the squares of secret primes, for any processor.
 *
 * The generic kernel multiplies by GMP's mpn_mul_n(), which may choose the order of
 * a few operations by the sign of a difference.  This one takes the schoolbook
 * products of GMP's mpn_sec_ functions instead.  It stands in no table: nothing
 * that is stored is in its format, which is that of the generic kernel.
 */
#include "mont.h"

static bool
available(void)
{
	return true;
}

static void
init(paillier_mont *ctx, mp_limb_t *scratch)
{
	(void) scratch;
	ctx->words = ctx->limbs;
	ctx->radix_bits = 64 * ctx->words;
	ctx->neg_inv = paillier_mont_negative_inverse(ctx->m[0]);
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
 * out = t/R mod m for t < R·R, destroying t.  The quotient is below R + m, so that
 * one conditional subtraction of m brings it below R.
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

static void
mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	int			limbs = ctx->limbs;

	mpn_sec_mul(scratch, a, limbs, b, limbs, scratch + 2 * limbs);
	reduce(ctx, out, scratch);
}

static void
sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	int			limbs = ctx->limbs;

	mpn_sec_sqr(scratch, a, limbs, scratch + 2 * limbs);
	reduce(ctx, out, scratch);
}

static void
select_entry(mp_limb_t *out, const mp_limb_t *table, int size, int index)
{
	mpn_sec_tabselect(out, table, size, 16, index);
}

/* Eight residues stand one behind the other. */
static void
gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues)
{
	for (int i = 0; i < 8; i++)
		mpn_copyi(out8 + i * ctx->words, residues[i], ctx->words);
}

static void
load8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *limbs, mp_limb_t *scratch)
{
	(void) scratch;
	gather8(ctx, out8, limbs);
}

static void
scatter8(int words, mp_limb_t *const *residues, const mp_limb_t *a8)
{
	for (int i = 0; i < 8; i++)
		mpn_copyi(residues[i], a8 + i * words, words);
}

static void
mul8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8, mp_limb_t *scratch)
{
	for (int i = 0; i < 8; i++)
		mul(ctx, out8 + i * ctx->words, a8 + i * ctx->words, b8 + i * ctx->words, scratch);
}

static void
sqr8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch)
{
	for (int i = 0; i < 8; i++)
		sqr(ctx, out8 + i * ctx->words, a8 + i * ctx->words, scratch);
}

const paillier_kernel paillier_kernel_sec = {
	.name = "sec",
	.format = PAILLIER_FORMAT_LIMBS,
	.digit_bits = 64,
	.numbers = 1,
	.available = available,
	.init = init,
	.load = load,
	.join = join,
	.mul = mul,
	.sqr = sqr,
	.select = select_entry,
	.load8 = load8,
	.gather8 = gather8,
	.scatter8 = scatter8,
	.mul8 = mul8,
	.sqr8 = sqr8,
};
