/*
 * test_mont.c
 *		Montgomery arithmetic against mpz_mul, mpz_mod and mpz_powm, with each
 *		kernel, for all shapes of moduli and operands, with guards around the
 *		scratch; and the kernels against each other.
 *
 * A second argument, after the seed, multiplies the number of random products.
 * There are 100,000 of each size where the kernels are optimized as they are when
 * installed, fewer under the sanitizers.
 */
#include "mont_carries.h"
#include "mont_chain.h"
#include "mont_checks.h"
#include "mont_loads.h"

#ifndef RANDOM_PRODUCTS
#define RANDOM_PRODUCTS 4000
#endif

/* ---- all operands ---- */

/* Products and powers that take so long that fewer have to do. */
static bool
is_large(const field *f)
{
	return f->words > 24;
}

/* All pairs of operands, or, since large ones take long, only those at some distances. */
static void
check_products(const field *f)
{
	int			step = f->words > 120 ? OPERANDS - 1 : is_large(f) ? 5 : 1;
	const residue *x[LANES];
	const residue *y[LANES];

	for (int distance = 0; distance < OPERANDS; distance += step)
	{
		for (int i = 0; i < OPERANDS; i++)
			check_mul(f, &f->operands[i], &f->operands[(i + distance) % OPERANDS]);
		for (int first = 0; first < OPERANDS; first += LANES)
		{
			choose_eight(f, x, first);
			choose_eight(f, y, first + distance);
			check_mul8(f, x, y);
			if (distance == 0)
				check_sqr8(f, x);
		}
	}
}

/* The exponents of check_powers(), one after the other, with changing operands and forms. */
static void
check_next_power(const field *f, const mpz_t e, int *count)
{
	int			i = (*count)++;
	int			ebits = mpz_sgn(e) == 0 ? 1 : mpz_sizeinbase(e, 2);
	const residue *x[LANES];

	check_pow(f, &f->operands[i % OPERANDS], e, i % 4, i % 3 == 0);
	check_pow_sec(f, &f->operands[i % OPERANDS], e, ebits + (i % 5 == 0 ? i : 0), i % 3 == 1);
	if (is_large(f) && i % 8 != 0)
		return;
	choose_eight(f, x, i);
	check_pow8_sec(f, x, e, ebits + (i % 5 == 0 ? i : 0), i % 3 == 2);
}

/* 0 to 3, then 2^k and 2^k - 1, then random ones at the edges of window sizes. */
static void
check_powers(const field *f)
{
	static const int shifts[] = {5, 6, 63, 64, 65, 130};
	static const int bits[] = {4, 7, 24, 25, 80, 81, 240, 241, 600, 672, 673};
	mpz_t		e;
	int			count = 0;

	mpz_init(e);
	for (int i = 0; i < 4; i++)
		for (int operand = 0; operand < OPERANDS; operand += is_large(f) ? 5 : 1)
		{
			mpz_set_ui(e, i);
			check_next_power(f, e, &count);
		}
	for (int i = 0; i < LENGTH(shifts); i++)
	{
		mpz_set_ui(e, 0);
		mpz_setbit(e, shifts[i]);
		check_next_power(f, e, &count);
		mpz_sub_ui(e, e, 1);
		check_next_power(f, e, &count);
	}
	for (int i = 0; i < LENGTH(bits) && (i < 6 || !is_large(f)); i++)
	{
		random_mpz(e, bits[i] - 1);
		mpz_setbit(e, bits[i] - 1);
		check_next_power(f, e, &count);
	}
	mpz_clear(e);
}

/* Residues of this and of the other kernel, which this processor need not have. */
static void
check_imports(const field *f)
{
	for (int i = 0; i < kernel_count(); i++)
	{
		field		from;

		field_describe(&from, paillier_kernel_at(i), f->root);
		for (int j = 0; j < OPERANDS; j++)
			check_import(f, &from, &from.operands[j]);
		field_clear(&from);
	}
}

static void
check_root(const paillier_kernel *kernel, const mpz_t root, bool powers)
{
	field		f;

	field_init(&f, kernel, root);
	check_products(&f);
	check_multiples_of_s(&f);
	check_loads(&f);
	check_imports(&f);
	check_lanes(&f);
	for (int i = 0; i < OPERANDS; i++)
	{
		check_store(&f, &f.operands[i]);
		check_sqr(&f, &f.operands[i]);
		check_conversions(&f, &f.operands[i]);
	}
	if (powers)
		check_powers(&f);
	field_clear(&f);
}

/* ---- sizes ---- */

/* Roots that just need their limbs, and that fill them: their squares have an odd and an even number of limbs. */
static void
test_limbs(const paillier_kernel *kernel, int limbs)
{
	int			low_bits = limbs == 1 ? 1 : 64 * (limbs - 1);

	/* the largest moduli take their time: one has to do for powers */
	int			last = limbs < 32 ? -1 : limbs % 32 % 4;
	mpz_t		root;

	mpz_init(root);
	group_begin("%s, square of %d limbs: all functions", kernel->name, limbs);
	random_odd(root, 64 * limbs);
	check_root(kernel, root, last <= 0);
	random_odd(root, low_bits + 1);
	check_root(kernel, root, last < 0 || last == 1);
	all_ones(root, 64 * limbs);
	check_root(kernel, root, last < 0 || last == 2);
	mpz_set_ui(root, 1);
	mpz_setbit(root, low_bits);
	check_root(kernel, root, last < 0 || last == 3);
	group_end();
	mpz_clear(root);
}

/*
 * A root for which columns get as full as they can.  For B = 2^digit_bits it is
 * -(1 + B + B² + …), or -1/(1 - B), modulo 2^bits: each digit is B - 2, but the
 * lowest, which is B - 1.  With factors of digits that are all B - 1, -1 modulo a
 * power of B, Montgomery's quotient is 1 - B: all its digits, too, are B - 1, but
 * the lowest.  The quotient for x1·y0 + x0·y1 minus the first is 1 - B².
 */
static void
fullest(mpz_t root, int bits, int digit_bits)
{
	mpz_set_ui(root, 0);
	for (int i = 0; i < bits; i += digit_bits)
		mpz_setbit(root, i);
	mpz_neg(root, root);
	mpz_fdiv_r_2exp(root, root, bits);
	mpz_setbit(root, bits - 1);
}

/* The longest root whose numbers have so many digits, or have to be looked at. */
static int
longest_root(int digits)
{
	int			bits = 52 * digits - (digits <= 40 ? 14 : 18);

	return bits < MAX_ROOT_BITS ? bits : MAX_ROOT_BITS;
}

/* The shortest and the longest roots whose numbers have so many digits. */
static void
test_digits(const paillier_kernel *kernel, int digits)
{
	int			longest = longest_root(digits);
	int			shortest = digits == 8 ? 2 : longest_root(digits - 4) + 1;
	mpz_t		root;

	mpz_init(root);
	group_begin("%s, two numbers of %d digits, squares of %d to %d bits: all functions", kernel->name, digits, shortest,
				longest);
	check_int(pair_digits(shortest), digits, "digits for %d bits", shortest);
	check_int(pair_digits(longest), digits, "digits for %d bits", longest);
	random_odd(root, shortest);
	check_root(kernel, root, digits < 40);
	random_odd(root, longest);
	check_root(kernel, root, digits == 60);
	fullest(root, longest, kernel->digit_bits);
	check_root(kernel, root, digits == 40);
	all_ones(root, longest);
	check_root(kernel, root, digits == 20);
	mpz_set_ui(root, 1);
	mpz_setbit(root, longest - 1);
	check_root(kernel, root, false);
	group_end();
	mpz_clear(root);
}

/* A few products suffice for every single length. */
static void
check_length(const paillier_kernel *kernel, int bits)
{
	const residue *x[LANES];
	mpz_t		root;
	field		f;

	mpz_init(root);
	random_odd(root, bits);
	field_init(&f, kernel, root);
	check_loads(&f);
	for (int first = 6; first < OPERANDS; first += LANES)
	{
		choose_eight(&f, x, first);
		check_sqr8(&f, x);
	}
	check_store(&f, &f.operands[7]);
	check_mul(&f, &f.operands[7], &f.operands[12]);
	check_sqr(&f, &f.operands[8]);
	check_conversions(&f, &f.operands[13]);
	field_clear(&f);
	mpz_clear(root);
}

/* Around multiples of a digit and, the longer ones, only where words are added. */
static bool
is_boundary(const paillier_kernel *kernel, int bits)
{
	int			digit_bits = kernel->digit_bits;

	if (pair_digits(bits + 1) != pair_digits(bits) || pair_digits(bits) != pair_digits(bits - 1))
		return true;
	if (bits <= 1100)
		return (bits + 3) % digit_bits <= 6 || (2 * bits + 2) % digit_bits <= 4;
	return bits % (8 * digit_bits) <= 1 || bits % 1024 <= 1;
}

static void
test_lengths(const paillier_kernel *kernel)
{
	group_begin("%s: lengths around those of whole digits", kernel->name);
	for (int bits = 2; bits <= MAX_ROOT_BITS; bits++)
		if (is_boundary(kernel, bits))
			check_length(kernel, bits);
	group_end();
}

/* Squares of b bits and of one less. */
static void
test_words(void)
{
	group_begin("what is to be reserved for residues modulo squares of up to %d bits", 2 * MAX_ROOT_BITS);
	for (int bits = 3; bits <= 2 * MAX_ROOT_BITS; bits++)
	{
		int			limbs = (bits + 63) / 64;
		int			words = 2 * pair_digits((bits + 1) / 2);

		check(words <= PAILLIER_MONT_WORDS(limbs), "%d words for %d bits", words, bits);
		check(limbs <= PAILLIER_MONT_WORDS(limbs), "%d limbs for %d bits", limbs, bits);
		check(PAILLIER_MONT_WORDS(limbs) <= PAILLIER_MAX_WORDS, "%d words reserved for %d bits",
			  PAILLIER_MONT_WORDS(limbs), bits);
	}
	group_end();
}

/* ---- powers ---- */

static void
test_full_size_exponents(const paillier_kernel *kernel)
{
	static const int sizes[] = {1, 2, 3, 4, 8, 15, 16, 17, 28, 32};
	mpz_t		root,
				e;

	mpz_inits(root, e, NULL);
	group_begin("%s: powers with exponents as long as the modulus", kernel->name);
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		int			bits = 128 * sizes[i];
		const residue *x[LANES];
		field		f;

		random_odd(root, bits / 2);
		field_init(&f, kernel, root);
		random_mpz(e, bits);
		mpz_setbit(e, bits - 1);
		check_pow(&f, &f.operands[11], e, 0, false);
		check_pow_sec(&f, &f.operands[11], e, bits, false);
		choose_eight(&f, x, 6);
		if (sizes[i] <= 16)
			check_pow8_sec(&f, x, e, bits, false);
		field_clear(&f);
	}
	group_end();
	mpz_clears(root, e, NULL);
}

static void
test_exponent_lengths(const paillier_kernel *kernel)
{
	field		f;
	residue    *operand = &f.operands[11];
	mpz_t		root,
				e;
	const residue *x[LANES];

	mpz_inits(root, e, NULL);
	group_begin("%s: powers with exponents of 1 to 700 bits", kernel->name);
	random_odd(root, 96);
	field_init(&f, kernel, root);
	for (int bits = 1; bits <= 700; bits++)
	{
		for (int i = 0; i < 3; i++)
		{
			random_mpz(e, bits - 1);
			mpz_setbit(e, bits - 1);
			choose_random_operand(&f, operand);
			check_pow(&f, operand, e, i, i == 2);
		}
		check_pow_sec(&f, operand, e, bits, false);
		if (bits > 70 && bits % 10 != 0)
			continue;
		choose_eight(&f, x, bits);
		check_pow8_sec(&f, x, e, bits, bits % 2);
		mpz_clrbit(e, bits - 1);
		check_pow_sec(&f, operand, e, bits, true);
	}
	field_clear(&f);
	group_end();
	mpz_clears(root, e, NULL);
}

/* ---- one limb, carries, places in memory ---- */

/* a·b and a modulo n² by way of all forms */
static void
check_small_root(paillier_mont *ctx, const paillier_kernel *kernel, mp_limb_t n, mp_limb_t *scratch)
{
	mp_limb_t	x[PAILLIER_MONT_WORDS(2)];
	mp_limb_t	y[PAILLIER_MONT_WORDS(2)];
	mp_limb_t	number[2] = {random64(), random64()};
	mpz_t		a,
				b,
				m;

	mpz_inits(a, b, NULL);
	mpz_init_set_ui(m, n);
	mpz_mul(m, m, m);
	paillier_mont_init(ctx, kernel, &n, 1, scratch);
	check_limbs(ctx->m, ctx->limbs, m, "m");
	random_mpz_below(a, m);
	mpz_to_limbs(number, ctx->limbs, a);
	paillier_mont_load(ctx, x, number, scratch);
	random_mpz_below(b, m);
	mpz_to_limbs(number, ctx->limbs, b);
	paillier_mont_load(ctx, y, number, scratch);

	paillier_mont_enter(ctx, x, x, scratch);
	paillier_mont_leave(ctx, y, y, scratch);
	paillier_mont_enter(ctx, y, y, scratch);
	paillier_mont_mul(ctx, y, x, y, scratch);
	paillier_mont_leave(ctx, x, x, scratch);
	paillier_mont_store_sec(ctx, number, x, scratch);
	check_limbs(number, ctx->limbs, a, "in and out for n = %" PRIu64, n);
	mpz_mul(a, a, b);
	mpz_mod(a, a, m);
	paillier_mont_store_var(ctx, number, y, scratch);
	check_limbs(number, ctx->limbs, a, "a product for n = %" PRIu64, n);
	mpz_clears(a, b, m, NULL);
}

/* Roots of one limb are cheap enough to try many, 3 among them. */
static void
test_many_small_roots(const paillier_kernel *kernel)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(PAILLIER_MONT_WORDS(2)));
	paillier_mont *ctx = allocate(sizeof(paillier_mont));

	group_begin("%s, one limb: squares of 10,000 odd numbers", kernel->name);
	for (int i = 0; i < 10000; i++)
		check_small_root(ctx, kernel, i < 100 ? 2 * (mp_limb_t) i + 3 : random64() >> random_int(62) | 3, scratch.a);
	check(guarded_intact(&scratch), "a function overran its scratch");
	group_end();
	free(ctx);
	guarded_free(&scratch);
}

/*
 * Numbers of limbs have carries where n fills them but for a bit or two: roots
 * around S, S/2, S/4 and S/8, and between them.
 */
static void
test_headroom(const paillier_kernel *kernel, int limbs)
{
	mpz_t		root;

	mpz_init(root);
	group_begin("%s, square of %d limbs: roots next to powers of two", kernel->name, limbs);
	for (int bits = 64 * limbs; bits > 64 * limbs - 4; bits--)
		for (int i = 0; i < 6; i++)
		{
			field		f;

			/* 2^bits - 1, - 3, the odd numbers around 3/4 of it, and 2/3; 2^bits/2 + 1 */
			mpz_set_ui(root, 1);
			mpz_mul_2exp(root, root, bits - (i >= 2));
			if (i < 2)
				mpz_sub_ui(root, root, 2 * i + 1);
			else if (i < 4)
				mpz_mul_ui(root, root, 3);
			else if (i == 4)
				mpz_mul_ui(root, root, 4);
			if (i == 4)
				mpz_fdiv_q_ui(root, root, 3);
			else if (i == 2 || i == 3)
				mpz_fdiv_q_2exp(root, root, 1);
			if (i == 3)
				mpz_sub_ui(root, root, 1);
			else if (mpz_even_p(root))
				mpz_add_ui(root, root, 1);
			field_init(&f, kernel, root);
			check_products(&f);
			check_multiples_of_s(&f);
			check_loads(&f);
			for (int j = 0; j < OPERANDS; j++)
			{
				check_sqr(&f, &f.operands[j]);
				check_store(&f, &f.operands[j]);
				check_conversions(&f, &f.operands[j]);
			}
			field_clear(&f);
		}
	group_end();
	mpz_clear(root);
}

/*
 * Where a digit of the result is zero, either nothing or 2^digit_bits was there
 * before the last carries, or one less and a carry came in: a run of zeros is
 * a carry that travels through all of it.
 */
static void
test_carries(const paillier_kernel *kernel)
{
	static const int digits[] = {8, 12, 20, 40, 60, 80, 156};
	residue		z[LANES];
	mpz_t		root;

	mpz_init(root);
	for (int i = 0; i < LANES; i++)
		residue_init(&z[i]);
	for (int i = 0; i < LENGTH(digits); i++)
	{
		wanted		single = {0};
		wanted		eight = {0};
		field		f;

		/* numbers of limbs are as they are wanted where n fills its limbs */
		random_odd(root, kernel == &paillier_kernel_pairs ? 52 * digits[i] / 64 * 64 : longest_root(digits[i]));
		field_init(&f, kernel, root);
		group_begin("%s, %d digits: carries through runs of digits", kernel->name, f.digits);
		for (int from = 0; from < f.digits; from += f.digits <= 12 ? 1 : 1 + random_int(f.digits / 8))
			for (int to = from + 1; to <= f.digits; to += f.digits <= 12 ? 1 : 1 + random_int(f.digits / 8))
			{
				for (int j = 0; j < LANES; j++)
					numbers_with_run(&f, &z[j], from, to, j & 1, j & 2 && !f.shifted);
				check_wanted_products(&f, z, &single, &eight);
			}
		check_exact(&f, &single, "mul");
		check_exact(&f, &eight, "mul8");
		field_clear(&f);
		group_end();
	}
	for (int i = 0; i < LANES; i++)
		residue_clear(&z[i]);
	mpz_clear(root);
}

/* Everything once with all memory so many words behind a multiple of 64 bytes. */
static void
test_places(const paillier_kernel *kernel)
{
	static const int sizes[] = {64, 403, 800, 2048};
	mpz_t		root,
				e;

	mpz_inits(root, e, NULL);
	random_mpz(e, 70);
	group_begin("%s: memory at all multiples of 8 bytes", kernel->name);
	for (memory_offset = 0; memory_offset < 8; memory_offset++)
		for (int i = 0; i < LENGTH(sizes); i++)
		{
			field		f;
			const residue *x[LANES];
			const residue *y[LANES];

			random_odd(root, sizes[i]);
			field_init(&f, kernel, root);
			choose_eight(&f, x, 7);
			choose_eight(&f, y, 12);
			check_mul8(&f, x, y);
			check_sqr8(&f, x);
			check_pow8_sec(&f, x, e, 70, false);
			check_lanes(&f);
			check_loads(&f);
			check_imports(&f);
			check_store(&f, &f.operands[7]);
			check_mul(&f, &f.operands[7], &f.operands[12]);
			check_sqr(&f, &f.operands[8]);
			check_conversions(&f, &f.operands[7]);
			check_pow(&f, &f.operands[7], e, 1, false);
			check_pow_sec(&f, &f.operands[7], e, 70, true);
			field_clear(&f);
		}
	memory_offset = -1;
	group_end();
	mpz_clears(root, e, NULL);
}

/* ---- kernels ---- */

static void
check_format(int format, int digit_bits, int numbers)
{
	check_int(paillier_kernel_of_format(format)->digit_bits, digit_bits, "bits of a digit in format %d", format);
	check_int(paillier_kernel_of_format(format)->numbers, numbers, "numbers in a residue of format %d", format);
	check_int(paillier_kernel_radix_bits(paillier_kernel_of_format(format), 24), 24 / numbers * digit_bits,
			  "bits of R");
}

static void
check_same_format(const paillier_kernel *a, const paillier_kernel *b)
{
	check_int(a->format, b->format, "the format of %s", a->name);
	check_int(a->digit_bits, b->digit_bits, "bits of a digit of %s", a->name);
	check_int(a->numbers, b->numbers, "numbers in a residue of %s", a->name);
}

static void
test_choice(void)
{
	const paillier_kernel *kernel;
	const paillier_kernel *fastest = NULL;
	int			format = 0;

	group_begin("the choice of a kernel");
	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
	{
		if (fastest == NULL && kernel->available())
			fastest = kernel;
		check(paillier_kernel_named(kernel->name) == (kernel->available() ? kernel : NULL), "the kernel named %s",
			  kernel->name);
		check(kernel->format > 0 && kernel->format < 256, "format %d", kernel->format);
		check_same_format(kernel, paillier_kernel_of_format(kernel->format));
		check(kernel->powers != NULL && kernel->powers->powers == kernel->powers &&
			  kernel->powers->available() == kernel->available(), "the kernel for powers of %s", kernel->name);
		if (format < kernel->format)
			format = kernel->format;
	}
	check(paillier_kernel_best() == fastest, "the best kernel is %s", paillier_kernel_best()->name);
	check(portable_kernel()->available(), "the last kernel is not available");
	check(paillier_kernel_named("") == NULL && paillier_kernel_named("auto") == NULL,
		  "a kernel for a name that is none");
	check(paillier_kernel_of_format(0) == NULL && paillier_kernel_of_format(format + 1) == NULL,
		  "a kernel for no format");

	/* what is stored with residues has this meaning for ever */
	check_format(1, 64, 1);
	check_format(2, 52, 2);
	group_end();
}

static void
test_negative_inverse(void)
{
	group_begin("-1/m modulo 2^64");
	for (int i = 0; i < 10000; i++)
	{
		mp_limb_t	m = i < 1000 ? 2 * (mp_limb_t) i + 1 : i < 2000 ? -2 * (mp_limb_t) i - 1 : random64() | 1;

		check(m * paillier_mont_negative_inverse(m) == UINT64_MAX, "of %" PRIu64, m);
	}
	group_end();
}

/* Sums may come from a computer with another processor: this works without its instructions. */
static void
test_scatter_anywhere(void)
{
	const paillier_kernel *kernel;

	group_begin("scatter8 of all kernels, on any processor");
	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
		for (int words = 1; words <= PAILLIER_MAX_WORDS; words += words < 40 ? 1 : 40)
		{
			bool		interleaved = kernel->format != PAILLIER_FORMAT_LIMBS;
			mp_limb_t  *a8 = new_unaligned(LANES * words);
			guarded		lane[LANES];
			field		f = {.kernel = kernel, .words = words};

			random_limbs(a8, LANES * words);
			scatter_guarded(&f, lane, a8);
			for (int j = 0; j < LANES; j++)
			{
				for (int k = 0; k < words; k++)
					check(lane[j].a[k] == (interleaved ? a8[LANES * k + j] : a8[words * j + k]),
						  "%s: digit %d of lane %d", kernel->name, k, j);
				guarded_free(&lane[j]);
			}
			free_unaligned(a8);
		}
	group_end();
}

static void
test_kernel(const paillier_kernel *kernel)
{
	static const int limbs[] = {1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 27, 28, 29, 32, 33, 48, 64, 65, 96, 127, 128};

	for (int i = 0; i < LENGTH(limbs); i++)
		test_limbs(kernel, limbs[i]);
	for (int digits = 8; digits <= 160 && kernel->digit_bits == 52; digits += 4)
		test_digits(kernel, digits);
	test_lengths(kernel);
	test_full_size_exponents(kernel);
	test_exponent_lengths(kernel);
	test_many_small_roots(kernel);
	test_headroom(kernel, 1);
	test_headroom(kernel, 3);
	test_headroom(kernel, 56);
	test_carries(kernel);
	test_places(kernel);
	test_load_bounds(kernel);
}

int
main(int argc, char **argv)
{
	/* keys from 1024 bits, or factors of one twice as long, to the longest */
	static const int bits[] = {1024, 2048, 3072, 4096, 6144, 8192};
	int			times = argc > 2 ? atoi(argv[2]) : 1;

	tap_begin(argc, argv);
	test_choice();
	test_negative_inverse();
	test_words();
	test_scatter_anywhere();
	with_each_kernel(test_kernel);
	test_kernel(&paillier_kernel_pairs);
	for (int i = 0; i < LENGTH(bits); i++)
		test_many_products(bits[i], RANDOM_PRODUCTS / LANES * times);
	return tap_done();
}
