/*
 * mont_ifma.c
 *		The kernel for processors with AVX-512 IFMA: when it runs, and what it keeps
 *		of a modulus.
 */
#include "mont_ifma.h"

#ifdef __x86_64__

static bool
available(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2") &&
		__builtin_cpu_supports("bmi2");
}

/*
 * -1/n mod B^size, the quotient of Montgomery's reduction of 1, for B = 2^64:
 * `size` limbs, and `size` + limbs of scratch.
 */
static void
negative_inverse(const paillier_mont *ctx, mp_limb_t *out, int size, mp_limb_t *t)
{
	int			limbs = ctx->root_limbs;
	mp_limb_t	neg_inv = paillier_mont_negative_inverse(ctx->root[0]);

	mpn_zero(t, limbs);
	t[0] = 1;
	for (int i = 0; i < size; i++)
	{
		out[i] = t[i] * neg_inv;
		t[i + limbs] = mpn_addmul_1(t + i, ctx->root, limbs, out[i]);
	}
}

static void
init(paillier_mont *ctx, mp_limb_t *scratch)
{
	int			bits = mpn_sizeinbase(ctx->root, ctx->root_limbs, 2);
	int			limbs = ctx->root_limbs;
	int			digits = 8;
	int			size;
	mp_limb_t  *number = scratch;
	mp_limb_t  *quotient;

	while (digits * DIGIT_BITS < bits + (digits <= 40 ? 14 : 18))
		digits += 4;
	ctx->words = 2 * digits;
	ctx->radix_bits = digits * DIGIT_BITS;
	ctx->neg_inv = paillier_mont_negative_inverse(ctx->root[0]) & DIGIT_MASK;
	size = ctx->radix_bits / 64 + 1;	/* more than the limbs of n */

	paillier_ifma_set_constant(ctx, ROOT, ctx->root, limbs);
	for (int i = 0; i < LANES * vectors_of(ctx); i++)
	{
		constant_digits(ctx, BACKWARD)[i] = i < digits ? constant_digits(ctx, ROOT)[digits - 1 - i] : 0;
		constant_digits(ctx, BACKWARD_NEXT)[i] = i < digits - 1 ? constant_digits(ctx, ROOT)[digits - 2 - i] : 0;
	}

	mpn_zero(number, size);
	mpn_copyi(number, ctx->root, limbs);
	mpn_neg(number, number, size);
	paillier_ifma_set_constant(ctx, MINUS, number, size);

	negative_inverse(ctx, number, size, number + size);
	paillier_ifma_set_constant(ctx, INVERSE, number, size);

	size = (ctx->radix_bits + division_shift(ctx)) / 64 + 1;
	quotient = number + size;
	mpn_zero(number, size);
	number[size - 1] = (mp_limb_t) 1 << ((ctx->radix_bits + division_shift(ctx)) % 64);
	quotient[size - limbs] = mpn_sec_div_qr(quotient, number, size, ctx->root, limbs, quotient + size - limbs + 1);
	paillier_ifma_set_constant(ctx, RECIPROCAL, quotient, size - limbs + 1);
}

/* Both parts of a product are below 2·n, those of the sum below 4·n, as products allow. */
static void
add(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	int			digits = ctx->words / 2;
	mp_limb_t	carry = 0;

	(void) scratch;
	for (int i = 0; i < ctx->words; i++)
	{
		mp_limb_t	sum = a[i] + b[i] + (i % digits == 0 ? 0 : carry);

		out[i] = sum & DIGIT_MASK;
		carry = sum >> DIGIT_BITS;
	}
}

const paillier_kernel paillier_kernel_avx512ifma = {
	.name = "avx512ifma",
	.format = FORMAT_PAIRS,
	.digit_bits = DIGIT_BITS,
	.numbers = 2,
	.nearly_reduced = true,
	.enough_for_eight = 3,
	.powers = &paillier_kernel_avx512ifma,
	.available = available,
	.init = init,
	.load = paillier_ifma_load,
	.remainder = paillier_ifma_remainder,
	.join = paillier_ifma_join,
	.mul = paillier_ifma_mul,
	.sqr = paillier_ifma_sqr,
	.add = add,
	.select = paillier_ifma_select,
	.load8 = paillier_ifma_load8,
	.gather8 = paillier_ifma_gather8,
	.scatter8 = paillier_ifma_scatter8,
	.mul8 = paillier_ifma_mul8,
	.sqr8 = paillier_ifma_sqr8,
};

#else							/* other processors */

static bool
available(void)
{
	return false;
}

const paillier_kernel paillier_kernel_avx512ifma = {
	.name = "avx512ifma",
	.format = FORMAT_PAIRS,
	.digit_bits = DIGIT_BITS,
	.numbers = 2,
	.nearly_reduced = true,
	.enough_for_eight = 3,
	.powers = &paillier_kernel_avx512ifma,
	.available = available,
	.scatter8 = paillier_ifma_scatter8,
};

#endif
