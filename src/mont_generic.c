/*
 * mont_generic.c
 *		The kernel for any processor: GMP's multiplication followed by a
 *		reduction, digits of 64 bits.
 *
 * Residues are below R = 2^(64·limbs).  Eight residues stand one behind the
 * other.
 */
#include "mont.h"

static bool
available(void)
{
	return true;
}

static int
words(int bits, bool only_eight)
{
	(void) only_eight;
	return (bits + 63) / 64;
}

static void
init(paillier_mont *ctx, mp_limb_t *scratch)
{
	(void) ctx;
	(void) scratch;
}

static void
load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs)
{
	mpn_copyi(out, limbs, ctx->limbs);
}

static void
join(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a)
{
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
	mpn_mul_n(scratch, a, b, ctx->limbs);
	reduce(ctx, out, scratch);
}

static void
sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	mpn_sqr(scratch, a, ctx->limbs);
	reduce(ctx, out, scratch);
}

static void
gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues)
{
	for (int i = 0; i < 8; i++)
		mpn_copyi(out8 + i * ctx->words, residues[i], ctx->words);
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

const paillier_kernel paillier_kernel_generic = {
	.name = "generic",
	.digit_bits = 64,
	.available = available,
	.words = words,
	.init = init,
	.load = load,
	.join = join,
	.mul = mul,
	.sqr = sqr,
	.gather8 = gather8,
	.scatter8 = scatter8,
	.mul8 = mul8,
	.sqr8 = sqr8,
};
