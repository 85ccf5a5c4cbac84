/*
 * mont.c
 *		Montgomery arithmetic on top of a kernel: choice of the kernel,
 *		preparation of moduli, powers.
 */
#include <stdint.h>
#include <string.h>

#include "mont.h"

/* ---- kernels ---- */

#define ENTRY_ADDRESS(name, words, own, scratch, scratch8, rest) &paillier_kernel_##name, rest

static const paillier_kernel *const kernels[] = {PAILLIER_KERNELS(ENTRY_ADDRESS, 0,)};

const paillier_kernel *
paillier_kernel_at(int index)
{
	return index < (int) (sizeof(kernels) / sizeof(kernels[0])) ? kernels[index] : NULL;
}

const paillier_kernel *
paillier_kernel_best(void)
{
	int			i = 0;

	while (!kernels[i]->available())
		i++;
	return kernels[i];
}

const paillier_kernel *
paillier_kernel_named(const char *name)
{
	const paillier_kernel *kernel;

	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
		if (strcmp(kernel->name, name) == 0)
			return kernel->available() ? kernel : NULL;
	return NULL;
}

const paillier_kernel *
paillier_kernel_of_format(int format)
{
	const paillier_kernel *kernel;

	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
		if (kernel->format == format)
			return kernel;
	return NULL;
}

/* ---- preparation ---- */

/*
 * By Newton's iteration x := x(2 - m·x), which doubles the number of right
 * bits; m itself is right to 3 bits: 3 → 6 → 12 → 24 → 48 → 96.
 */
mp_limb_t
paillier_mont_negative_inverse(mp_limb_t m)
{
	mp_limb_t	x = m;

	for (int i = 0; i < 5; i++)
		x *= 2 - m * x;
	return -x;
}

/* out = 2^exponent mod m as a residue. */
static void
power_of_two(const paillier_mont *ctx, mp_limb_t *out, int exponent, mp_limb_t *scratch)
{
	int			size = exponent / 64 + 1;
	mp_limb_t  *power = scratch;

	if (size < ctx->limbs)
		size = ctx->limbs;
	mpn_zero(power, size);
	power[exponent / 64] = (mp_limb_t) 1 << (exponent % 64);
	mpn_sec_div_r(power, size, ctx->m, ctx->limbs, power + size);
	paillier_mont_load(ctx, out, power, power + ctx->limbs);
}

void
paillier_mont_init(paillier_mont *ctx, const paillier_kernel *kernel, const mp_limb_t *n, int limbs,
				   mp_limb_t *scratch)
{
	ctx->kernel = kernel;
	ctx->root_limbs = limbs;
	mpn_copyi(ctx->root, n, limbs);
	mpn_sec_sqr(ctx->m, n, limbs, scratch);
	ctx->limbs = 2 * limbs - (ctx->m[2 * limbs - 1] == 0);
	kernel->init(ctx, scratch);
	mpn_zero(scratch, ctx->limbs);
	scratch[0] = 1;
	paillier_mont_load(ctx, ctx->unit, scratch, scratch + ctx->limbs);
	power_of_two(ctx, ctx->one, ctx->radix_bits, scratch);
	power_of_two(ctx, ctx->r2, 2 * ctx->radix_bits, scratch);
}

/* ---- one residue ---- */

void
paillier_mont_load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch)
{
	ctx->kernel->load(ctx, out, limbs, scratch);
}

void
paillier_mont_store_var(const paillier_mont *ctx, mp_limb_t *limbs, const mp_limb_t *a, mp_limb_t *scratch)
{
	int			size = ctx->limbs + 2;
	mp_limb_t  *number = scratch;

	ctx->kernel->join(ctx, number, a, number + size);
	if (!ctx->kernel->nearly_reduced)
	{
		mpn_tdiv_qr(number + size, limbs, 0, number, size, ctx->m, ctx->limbs);
		return;
	}
	while (number[ctx->limbs] != 0 || mpn_cmp(number, ctx->m, ctx->limbs) >= 0)
		number[ctx->limbs] -= mpn_sub_n(number, number, ctx->m, ctx->limbs);
	mpn_copyi(limbs, number, ctx->limbs);
}

void
paillier_mont_store_sec(const paillier_mont *ctx, mp_limb_t *limbs, const mp_limb_t *a, mp_limb_t *scratch)
{
	int			size = ctx->limbs + 2;
	mp_limb_t  *number = scratch;

	ctx->kernel->join(ctx, number, a, number + size);
	mpn_sec_div_r(number, size, ctx->m, ctx->limbs, number + size);
	mpn_copyi(limbs, number, ctx->limbs);
}

bool
paillier_mont_remainder_var(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch)
{
	const mp_limb_t *n = ctx->root;
	int			size = ctx->root_limbs;
	mp_limb_t  *number = scratch;
	unsigned __int128 highest;
	mp_limb_t	times;

	if (ctx->kernel->remainder == NULL)
		return false;
	ctx->kernel->remainder(ctx, number, limbs, number + size + 1);

	/* take away n as often as the highest limbs show, and then what is left of it */
	highest = (unsigned __int128) number[size] << 64 | number[size - 1];
	times = n[size - 1] == ~(mp_limb_t) 0 ? number[size] : highest / (n[size - 1] + 1);
	number[size] -= mpn_submul_1(number, n, size, times);
	while (number[size] != 0 || mpn_cmp(number, n, size) >= 0)
		number[size] -= mpn_sub_n(number, number, n, size);
	mpn_copyi(out, number, size);
	return true;
}

/* {number, size} = the value of digits */
static void
from_digits(mp_limb_t *number, int size, const mp_limb_t *digits, int count, int digit_bits)
{
	mpn_zero(number, size);
	for (int i = count - 1; i >= 0; i--)
	{
		(void) mpn_lshift(number, number, size, digit_bits / 2);
		(void) mpn_lshift(number, number, size, digit_bits / 2);
		(void) mpn_add_1(number, number, size, digits[i]);
	}
}

void
paillier_mont_import_var(const paillier_mont *ctx, mp_limb_t *out, const paillier_kernel *maker,
						 const mp_limb_t *residue, int words, mp_limb_t *scratch)
{
	int			count = words / maker->numbers;
	int			part = paillier_kernel_radix_bits(maker, words) / 64 + 2;
	int			size = part + ctx->root_limbs;
	mp_limb_t  *sum = scratch;	/* size */
	mp_limb_t  *number = sum + size;	/* part */
	mp_limb_t  *rest = number + part;

	from_digits(number, part, residue, count, maker->digit_bits);
	mpn_zero(sum, size);
	if (maker->numbers == 2)
	{
		from_digits(rest, part, residue + count, count, maker->digit_bits);
		mpn_mul(sum, rest, part, ctx->root, ctx->root_limbs);
	}
	(void) mpn_add(sum, sum, size, number, part);
	mpn_tdiv_qr(rest, sum, 0, sum, size, ctx->m, ctx->limbs);
	paillier_mont_load(ctx, out, sum, rest);
}

void
paillier_mont_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	ctx->kernel->mul(ctx, out, a, b, scratch);
}

void
paillier_mont_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	ctx->kernel->sqr(ctx, out, a, scratch);
}

void
paillier_mont_add8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
				   mp_limb_t *scratch)
{
	int			words = ctx->words;
	mp_limb_t  *a[8];
	mp_limb_t  *b[8];
	const mp_limb_t *sums[8];

	for (int i = 0; i < 8; i++)
	{
		sums[i] = a[i] = scratch + i * words;
		b[i] = scratch + (8 + i) * words;
	}
	ctx->kernel->scatter8(words, a, a8);
	ctx->kernel->scatter8(words, b, b8);
	for (int i = 0; i < 8; i++)
		ctx->kernel->add(ctx, a[i], a[i], b[i], scratch + 16 * words);
	ctx->kernel->gather8(ctx, out8, sums);
}

void
paillier_mont_enter(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	ctx->kernel->mul(ctx, out, a, ctx->r2, scratch);
}

void
paillier_mont_leave(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	ctx->kernel->mul(ctx, out, a, ctx->unit, scratch);
}

/* ---- powers ---- */

static int
bit(const mp_limb_t *e, int i)
{
	return (e[i / 64] >> (i % 64)) & 1;
}

/*
 * Left-to-right powering with a sliding window of w bits over the odd powers
 * base, base³, …, base^(2^w - 1).
 */
void
paillier_mont_pow(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *base, const mp_limb_t *e, int elimbs,
				  mp_limb_t *scratch)
{
	int			words = ctx->words;
	mp_limb_t  *acc = scratch;
	mp_limb_t  *odd = acc + words;	/* up to 32 residues */
	mp_limb_t  *rest = odd + 32 * words;
	int			bits;
	int			w;
	bool		started = false;

	while (elimbs > 0 && e[elimbs - 1] == 0)
		elimbs--;
	if (elimbs == 0)
	{
		mpn_copyi(out, ctx->one, words);
		return;
	}
	bits = mpn_sizeinbase(e, elimbs, 2);
	w = bits <= 6 ? 1 : bits <= 24 ? 2 : bits <= 80 ? 3 : bits <= 240 ? 4 : bits <= 672 ? 5 : 6;

	mpn_copyi(odd, base, words);
	if (w > 1)
		paillier_mont_sqr(ctx, acc, base, rest);
	for (int i = 1; i < 1 << (w - 1); i++)
		paillier_mont_mul(ctx, odd + i * words, odd + (i - 1) * words, acc, rest);

	for (int i = bits - 1; i >= 0;)
	{
		int			low;		/* lowest bit of the window that starts at i */
		int			digit = 0;

		if (!bit(e, i))
		{
			paillier_mont_sqr(ctx, acc, acc, rest);
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
				paillier_mont_sqr(ctx, acc, acc, rest);
		}
		if (started)
			paillier_mont_mul(ctx, acc, acc, odd + (digit >> 1) * words, rest);
		else
			mpn_copyi(acc, odd + (digit >> 1) * words, words);
		started = true;
		i = low - 1;
	}
	mpn_copyi(out, acc, words);
}

/*
 * Powers with a secret exponent: fixed windows of 4 bits.  For every window four
 * squarings, and one multiplication by an entry of the table base^0 … base^15
 * that is read together with all others.
 */
static int
secret_windows(int ebits)
{
	return (ebits + 3) / 4;
}

static void
select_entry(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *table, int size, const mp_limb_t *e, int window)
{
	ctx->kernel->select(out, table, size, e[window / 16] >> (window % 16 * 4) & 15);
}

void
paillier_mont_pow_sec(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *base, const mp_limb_t *e, int ebits,
					  mp_limb_t *scratch)
{
	int			words = ctx->words;
	mp_limb_t  *table = scratch;
	mp_limb_t  *entry = table + 16 * words;
	mp_limb_t  *rest = entry + words;

	mpn_copyi(table, ctx->one, words);
	mpn_copyi(table + words, base, words);
	for (int i = 2; i < 16; i++)
		paillier_mont_mul(ctx, table + i * words, table + (i - 1) * words, table + words, rest);

	select_entry(ctx, out, table, words, e, secret_windows(ebits) - 1);
	for (int window = secret_windows(ebits) - 2; window >= 0; window--)
	{
		for (int i = 0; i < 4; i++)
			paillier_mont_sqr(ctx, out, out, rest);
		select_entry(ctx, entry, table, words, e, window);
		paillier_mont_mul(ctx, out, out, entry, rest);
	}
}

void
paillier_mont_pow8_sec(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *base8, const mp_limb_t *e,
					   int ebits, mp_limb_t *scratch)
{
	const paillier_kernel *kernel = ctx->kernel;
	int			words8 = 8 * ctx->words;

	/* on cache lines, which vectors that are moved to and fro all the time want */
	mp_limb_t  *table = (mp_limb_t *) (((uintptr_t) scratch + 63) & ~(uintptr_t) 63);
	mp_limb_t  *entry = table + 16 * words8;
	mp_limb_t  *acc = entry + words8;
	mp_limb_t  *rest = acc + words8;
	const mp_limb_t *ones[8];

	for (int i = 0; i < 8; i++)
		ones[i] = ctx->one;
	kernel->gather8(ctx, table, ones);
	mpn_copyi(table + words8, base8, words8);
	for (int i = 2; i < 16; i++)
		if (i % 2 == 0)
			kernel->sqr8(ctx, table + i * words8, table + i / 2 * words8, rest);
		else
			kernel->mul8(ctx, table + i * words8, table + (i - 1) * words8, table + words8, rest);

	select_entry(ctx, acc, table, words8, e, secret_windows(ebits) - 1);
	for (int window = secret_windows(ebits) - 2; window >= 0; window--)
	{
		for (int i = 0; i < 4; i++)
			kernel->sqr8(ctx, acc, acc, rest);
		select_entry(ctx, entry, table, words8, e, window);
		kernel->mul8(ctx, acc, acc, entry, rest);
	}
	mpn_copyi(out8, acc, words8);
}
