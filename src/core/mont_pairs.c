/*
 * mont_pairs.c
 *		The kernel for powers on any processor: products of limbs, two to a residue.
 *
 * With H limbs of n and S = 2^(64·H) a residue is a pair x0, x1 of numbers below S
 * that stands for x0·S + x1·n.  Modulo n², for R = S²,
 *
 *		(x0·S + x1·n)(y0·S + y1·n)/R = x0·y0 + n·(x1·y0 + x0·y1)/S.
 *
 * A quotient q0 that makes x0·y0 + q0·n a multiple of S, say S·z0, turns this into
 *
 *		z0·S + z1·n  with  z1 = (x1·y0 + x0·y1 + q1·n)/S - q0  mod n,
 *
 * where q1 does the same for x1·y0 + x0·y1.  This takes three products, in a
 * square two, and two reductions of H limbs: five times H² multiplications of
 * limbs, where a product and a reduction of 2·H limbs take eight times H².
 *
 * A number c becomes a residue by one reduction: c + q·n = S·x0, and x1 = -q.
 *
 * Bounds: n often fills its limbs, so that sums have carries.  M = n·2^j is the
 * multiple of n that does, S/2 <= M < S.  Where x0 has a carry, M is taken away
 * from it and, since M·S = 2^j·S·n, 2^j·S are added to x1.  This happens for j = 0
 * and 1 only: where n <= S/4, x0 < 2·n in every residue, because this makes
 * z0 < 4·n²/S + n <= 2·n, and a number below 4·n² is loaded as x0 < 4·n²/S + n.
 *
 * Before it is reduced, z1 is w = (t + q1·n)/S - q0 + 2·M, plus 2^j·S where z0 had
 * a carry; since 2·M >= S > q0 it is not negative.  For n > S/4, t < 2·S², so
 * that w < 2·S + n + 2·M + 2^j·S: for j = 0 this is 3·S + 3·M < 6·S, for j = 1
 * 4·S + 5/2·M < 6.5·S.  For n <= S/4, t < 2·2·n·S, and w < 5·n + 2·M < 3.25·S.  A
 * number that is loaded makes w <= 2·M + 2^j·S < 4·S.  See settle() for the rest.
 *
 * Eight residues stand one behind the other.
 */
#include "mont.h"
#include "mont_limbs.h"
#include "mont_plain.h"

/* Numbers from this length on are reduced by products, which are faster than limb by limb. */
#define PRODUCTS_FROM 56

/* What is kept of a modulus. */
typedef struct constants
{
	mp_limb_t	weight;			/* 2^j for j < 2, 0 otherwise */
	mp_limb_t	reciprocal;		/* of M, see settle() */
	mp_limb_t	multiple[PAILLIER_MAX_LIMBS / 2];	/* M */
	mp_limb_t	twice[PAILLIER_MAX_LIMBS / 2];	/* 2·M - S */
	mp_limb_t	inverse[PAILLIER_MAX_LIMBS / 2];	/* -1/n mod S */
} constants;

_Static_assert(sizeof(constants) <= PAILLIER_MONT_OWN * sizeof(mp_limb_t), "what is kept of a modulus fits");

static const constants *
constants_of(const paillier_mont *ctx)
{
	return (const constants *) ctx->own;
}

static bool
available(void)
{
	return true;
}

/* ---- preparation ---- */

/*
 * ⌊2^63/d⌋ < 2^32 for the upper half of M plus 1, 2^31 < d <= 2^32: a bit at a
 * time, since processors may divide in a time that depends on the divisor.
 */
static mp_limb_t
reciprocal_of(mp_limb_t highest)
{
	mp_limb_t	d = (highest >> 32) + 1;
	mp_limb_t	rest = (mp_limb_t) 1 << 31;
	mp_limb_t	quotient = 0;

	for (int i = 0; i < 32; i++)
	{
		mp_limb_t	fits;

		rest *= 2;
		fits = ~(rest - d) >> 63;	/* both are below 2^33 */
		rest -= d & -fits;
		quotient = 2 * quotient + fits;
	}
	return quotient;
}

static void
init(paillier_mont *ctx, mp_limb_t *scratch)
{
	constants  *own = (constants *) ctx->own;
	const mp_limb_t *n = ctx->root;
	int			size = ctx->root_limbs;
	int			shift = 64 * size - (int) mpn_sizeinbase(n, size, 2);
	mp_limb_t  *t = scratch;	/* 2·size */

	ctx->words = 2 * size;
	ctx->radix_bits = 64 * ctx->words;
	ctx->neg_inv = paillier_mont_negative_inverse(n[0]);
	if (shift > 0)
		(void) mpn_lshift(own->multiple, n, size, shift);
	else
		mpn_copyi(own->multiple, n, size);
	(void) mpn_add_n(own->twice, own->multiple, own->multiple, size);
	own->weight = shift < 2 ? 1 << shift : 0;
	own->reciprocal = reciprocal_of(own->multiple[size - 1]);

	/* the quotient of Montgomery's reduction of 1 */
	mpn_zero(t, 2 * size);
	t[0] = 1;
	for (int i = 0; i < size; i++)
	{
		own->inverse[i] = t[i] * ctx->neg_inv;
		t[i + size] = mpn_addmul_1(t + i, n, size, own->inverse[i]);
	}
}

/* ---- reduction ---- */

/*
 * out = (t + q·n)/S for q = -t/n mod S and t in 2·H limbs, which are destroyed;
 * returns the carry, which stands for S.
 */
static mp_limb_t
reduce(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *q, mp_limb_t *t, mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;
	mp_limb_t  *product = scratch;	/* 2·size */
	mp_limb_t	carry;

	if (size < PRODUCTS_FROM)
	{
		/* the carry of each step is kept in the limb that it has cleared */
		for (int i = 0; i < size; i++)
		{
			q[i] = t[i] * ctx->neg_inv;
			t[i] = mpn_addmul_1(t + i, ctx->root, size, q[i]);
		}
		return mpn_add_n(out, t + size, t, size);
	}
	paillier_limbs_mul_low(q, t, constants_of(ctx)->inverse, size, product);
	paillier_limbs_mul(product, q, ctx->root, size, product + 2 * size);
	carry = mpn_add_n(product, product, t, 2 * size);
	mpn_copyi(out, product + size, size);
	return carry;
}

/*
 * out = w - k·M, below S, for w = high·S + {w, H} < 7·S, which is destroyed.
 *
 * w is at least e·S/2^28 for its highest bits e < 7·2^28, and less than one such
 * unit above it.  The reciprocal is at most 2^31·S/M, and less than 4 below it.
 * So k = ⌊e·reciprocal/2^59⌋ <= w/M, and w - k·M is not negative.  With S/M <= 2 the
 * product is short of 2^59·w/M by less than 2·2^31 + 4·7·2^28 < 2^34, so that what
 * is left is below M·(1 + 2^-25): one conditional subtraction brings it below S.
 */
static void
settle(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *w, mp_limb_t high)
{
	const constants *own = constants_of(ctx);
	int			size = ctx->root_limbs;
	mp_limb_t	e = high << 28 | w[size - 1] >> 36;

	high -= mpn_submul_1(w, own->multiple, size, (e * own->reciprocal) >> 59);
	(void) mpn_cnd_sub_n(high, out, w, own->multiple, size);
}

/*
 * The residue z0, z1 for z0 in out, which had a carry, and z1 = high·S + {z1, H} -
 * q0; see above for bounds.  q0 is destroyed.
 */
static void
finish(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t carry, mp_limb_t *z1, mp_limb_t high, mp_limb_t *q0)
{
	const constants *own = constants_of(ctx);
	int			size = ctx->root_limbs;

	(void) mpn_cnd_sub_n(carry, out, out, own->multiple, size);
	high += 1 - mpn_sub_n(q0, own->twice, q0, size) + own->weight * carry;
	high += mpn_add_n(z1, z1, q0, size);
	settle(ctx, out + size, z1, high);
}

/* ---- residues ---- */

static void
load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;
	mp_limb_t  *t = scratch;	/* 2·size */
	mp_limb_t  *q = t + 2 * size;	/* size */
	mp_limb_t  *z1 = q + size;	/* size */
	mp_limb_t	carry;

	t[2 * size - 1] = 0;
	mpn_copyi(t, limbs, ctx->limbs);
	carry = reduce(ctx, out, q, t, z1 + size);
	mpn_zero(z1, size);
	finish(ctx, out, carry, z1, 0, q);
}

/* The sum is below 2·S², and has at most a carry in 2·size limbs. */
static void
join(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a, mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;

	mpn_zero(number + ctx->limbs, 2);
	paillier_limbs_mul(scratch, a + size, ctx->root, size, scratch + 2 * size);
	scratch[2 * size] = mpn_add_n(scratch + size, scratch + size, a, size);
	mpn_copyi(number, scratch, 2 * size + 1);
}

/* z0·S + z1·n for the products t0 = x0·y0 and t1 = x1·y0 + x0·y1, the latter with a carry. */
static void
reduce_both(const paillier_mont *ctx, mp_limb_t *out, mp_limb_t *t0, mp_limb_t *t1, mp_limb_t carry,
			mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;
	mp_limb_t  *q0 = scratch;
	mp_limb_t  *q1 = q0 + size;
	mp_limb_t  *z1 = q1 + size;
	mp_limb_t  *rest = z1 + size;
	mp_limb_t	carry0 = reduce(ctx, out, q0, t0, rest);

	carry += reduce(ctx, z1, q1, t1, rest);
	finish(ctx, out, carry0, z1, carry, q0);
}

static void
mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;
	mp_limb_t  *t0 = scratch;
	mp_limb_t  *t1 = t0 + 2 * size;
	mp_limb_t  *other = t1 + 2 * size;
	mp_limb_t  *rest = other + 2 * size;
	mp_limb_t	carry;

	paillier_limbs_mul(t0, a, b, size, rest);
	paillier_limbs_mul(t1, a + size, b, size, rest);
	paillier_limbs_mul(other, a, b + size, size, rest);
	carry = mpn_add_n(t1, t1, other, 2 * size);
	reduce_both(ctx, out, t0, t1, carry, other);
}

static void
sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;
	mp_limb_t  *t0 = scratch;
	mp_limb_t  *t1 = t0 + 2 * size;
	mp_limb_t  *rest = t1 + 2 * size;
	mp_limb_t	carry;

	paillier_limbs_sqr(t0, a, size, rest);
	paillier_limbs_mul(t1, a + size, a, size, rest);
	carry = mpn_lshift(t1, t1, 2 * size, 1);
	reduce_both(ctx, out, t0, t1, carry, rest);
}

/*
 * The sum of x0 is brought below S by n at a time, or by 2·n where n < S/2: twice is
 * enough, since 2·n >= S and 4·n >= S, respectively, while n > S/4.  Where n <= S/4,
 * both are below 2·n, and once is enough to bring the sum below 2·n again.  What is
 * taken away, k·n·S, is added to that of x1 as k·S, k <= 4, so that it stays below 6·S.
 */
static void
add(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	int			size = ctx->root_limbs;
	mp_limb_t	doubled = ~constants_of(ctx)->weight & 1;	/* n < S/2 */
	mp_limb_t  *part = scratch; /* size */
	mp_limb_t  *rest = part + size; /* size */
	mp_limb_t	carry = mpn_add_n(out, a, b, size);
	mp_limb_t	high = mpn_add_n(rest, a + size, b + size, size);

	(void) mpn_cnd_add_n(doubled, part, ctx->root, ctx->root, size);
	for (int i = 0; i < 2; i++)
	{
		mp_limb_t	fits = carry | (1 - mpn_sub_n(rest + size, out, part, size));

		carry -= mpn_cnd_sub_n(fits, out, out, part, size);
		high += fits << doubled;
	}
	settle(ctx, out + size, rest, high);
}

/* The format is none: residues are not stored. */
const paillier_kernel paillier_kernel_pairs = {
	.name = "pairs",
	.digit_bits = 64,
	.numbers = 2,
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
