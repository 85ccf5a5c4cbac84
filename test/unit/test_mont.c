/* cc -std=gnu11 -Isrc test/unit/test_mont.c src/mont*.c -lgmp */
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
#include <sys/mman.h>
#include <unistd.h>

#include "kernels.h"

#define LANES 8

#ifndef RANDOM_PRODUCTS
#define RANDOM_PRODUCTS 8000
#endif

static const int limb_counts[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 32, 33, 48, 55, 56, 57, 64, 65, 96, 128, 192, 255, 256
};

/* ---- a modulus, what is needed of it, and operands of all kinds ---- */

#define OPERANDS 14

typedef struct field
{
	paillier_mont *ctx;
	const paillier_kernel *kernel;
	bool		only_eight;
	int			words;			/* of a residue */
	mpz_t		m;
	mpz_t		multiple;		/* of m: what the kernel reduces by */
	mpz_t		limit;			/* residues are below it */
	mpz_t		r;				/* R */
	mpz_t		r_inverse;		/* 1/R mod m */
	mpz_t		operands[OPERANDS];	/* residues */
} field;

/* A number from digits, the unused bits of which are not looked at. */
static void
mpz_from_digits(mpz_t x, const mp_limb_t *a, int words, int digit_bits)
{
	mpz_import(x, words, -1, sizeof(mp_limb_t), 0, 64 - digit_bits, a);
}

static void
mpz_from_residue(const field *f, mpz_t x, const mp_limb_t *a)
{
	mpz_from_digits(x, a, f->words, f->kernel->digit_bits);
}

/* The residue x in memory of just its size. */
static mp_limb_t *
new_residue(const field *f, const mpz_t x)
{
	mp_limb_t  *a = new_unaligned(f->words);

	if (mpz_cmp(x, f->limit) >= 0)
		abort();
	mpn_zero(a, f->words);
	mpz_export(a, NULL, -1, sizeof(mp_limb_t), 0, 64 - f->kernel->digit_bits, x);
	return a;
}

static mp_limb_t *
new_number(int limbs, const mpz_t x)
{
	mp_limb_t  *a = new_unaligned(limbs);

	mpz_to_limbs(a, limbs, x);
	return a;
}

/* Zeros, ones and random bits, in runs of whole digits: they make carries travel far. */
static void
random_runs(mpz_t x, int digits, int digit_bits)
{
	mp_limb_t	a[PAILLIER_MAX_WORDS];
	int			kind = 0;

	for (int i = 0; i < digits; i++)
	{
		if (random_int(4) == 0)
			kind = random_int(3);
		a[i] = kind == 0 ? 0 : kind == 1 ? ~(mp_limb_t) 0 : random64();
	}
	mpz_from_digits(x, a, digits, digit_bits);
}

/* The number of exactly these bits, all ones. */
static void
all_ones(mpz_t x, int bits)
{
	mpz_set_ui(x, 0);
	mpz_setbit(x, bits);
	mpz_sub_ui(x, x, 1);
}

static void
choose_operands(field *f)
{
	mpz_t	   *operand = f->operands;
	int			full_digits = (mpz_sizeinbase(f->limit, 2) - 1) / f->kernel->digit_bits;

	for (int i = 0; i < OPERANDS; i++)
		mpz_init(operand[i]);
	mpz_set_ui(operand[1], 1);
	mpz_sub_ui(operand[2], f->m, 1);
	mpz_set(operand[3], f->m);
	mpz_sub_ui(operand[4], f->limit, 1);
	all_ones(operand[5], full_digits * f->kernel->digit_bits);
	mpz_mod(operand[6], f->r, f->m);
	mpz_sub_ui(operand[7], f->r, 1);
	mpz_mod(operand[7], operand[7], f->m);
	mpz_set(operand[8], f->multiple);
	mpz_sub_ui(operand[9], f->multiple, 1);
	random_mpz_below(operand[10], f->m);
	random_mpz_below(operand[11], f->limit);
	random_runs(operand[12], full_digits, f->kernel->digit_bits);
	random_runs(operand[13], full_digits, f->kernel->digit_bits);
}

/*
 * The modulus the kernel reduces by, from ctx, and the end of its residues:
 * R for the generic kernel, twice that modulus, with room to spare, for the other.
 */
static void
find_limit(field *f)
{
	const paillier_mont *ctx = f->ctx;
	mpz_t		x;

	mpz_init(x);
	if (f->kernel == &paillier_kernel_generic)
	{
		mpz_set(f->multiple, f->m);
		mpz_set(f->limit, f->r);
	}
	else
	{
		mpz_from_digits(f->multiple, ctx->digits, ctx->words, f->kernel->digit_bits);
		mpz_mul_2exp(f->limit, f->multiple, 1);
		mpz_mul_2exp(x, f->multiple, 2);
		check(mpz_cmp(x, f->r) < 0, "R is not above four times the modulus");
	}
	check(mpz_sgn(f->multiple) > 0 && mpz_divisible_p(f->multiple, f->m), "no multiple of the modulus");

	mpz_mul_ui(x, f->multiple, ctx->neg_inv);
	mpz_add_ui(x, x, 1);
	check(mpz_divisible_2exp_p(x, f->kernel->digit_bits), "neg_inv");
	mpz_clear(x);
}

/* What paillier_mont_init() has computed. */
static void
check_context(const field *f)
{
	const paillier_mont *ctx = f->ctx;
	mpz_t		expected,
				got;

	mpz_inits(expected, got, NULL);
	check(ctx->kernel == f->kernel, "kernel");
	check_int(ctx->limbs, mpz_size(f->m), "limbs");
	check_int(ctx->words, f->words, "words");
	check_int(ctx->radix_bits, f->words * f->kernel->digit_bits, "radix_bits");
	check_limbs(ctx->m, ctx->limbs, f->m, "m");
	mpz_mod(expected, f->r, f->m);
	mpz_from_residue(f, got, ctx->one);
	check_mpz(got, expected, "one");
	mpz_mul(expected, f->r, f->r);
	mpz_mod(expected, expected, f->m);
	mpz_from_residue(f, got, ctx->r2);
	check_mpz(got, expected, "r2");
	mpz_clears(expected, got, NULL);
}

static void
field_init(field *f, const paillier_kernel *kernel, bool only_eight, const mpz_t m)
{
	int			limbs = mpz_size(m);
	mp_limb_t  *in = new_number(limbs, m);
	guarded		scratch;

	mpz_inits(f->m, f->multiple, f->limit, f->r, f->r_inverse, NULL);
	f->kernel = kernel;
	f->only_eight = only_eight;
	f->words = kernel->words(mpz_sizeinbase(m, 2), only_eight);
	mpz_set(f->m, m);
	mpz_setbit(f->r, f->words * kernel->digit_bits);
	if (!mpz_invert(f->r_inverse, f->r, m))
		mpz_set_ui(f->r_inverse, 0);	/* m = 1 */

	f->ctx = (paillier_mont *) new_unaligned(sizeof(paillier_mont) / sizeof(mp_limb_t));
	scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	paillier_mont_init(f->ctx, kernel, only_eight, in, limbs, scratch.a);
	check(guarded_intact(&scratch), "init overran its scratch");
	find_limit(f);
	check_context(f);
	choose_operands(f);
	guarded_free(&scratch);
	free_unaligned(in);
}

static void
field_clear(field *f)
{
	for (int i = 0; i < OPERANDS; i++)
		mpz_clear(f->operands[i]);
	mpz_clears(f->m, f->multiple, f->limit, f->r, f->r_inverse, NULL);
	free_unaligned(f->ctx);
}

static void
random_odd(mpz_t m, int bits)
{
	random_mpz(m, bits);
	mpz_setbit(m, bits - 1);
	mpz_setbit(m, 0);
}

/* ---- checks of one residue ---- */

/* Digits that are none make a residue wrong whatever it stands for. */
static void
check_digits(const field *f, const mp_limb_t *a, const char *what)
{
	mp_limb_t	beyond = 0;

	for (int i = 0; i < f->words && f->kernel->digit_bits < 64; i++)
		beyond |= a[i] >> f->kernel->digit_bits;
	check(beyond == 0, "%s: a digit is too large", what);
}

/* got ≡ expected mod m, and is a residue, for the inputs x and y; expected is reduced. */
static void
check_residue(const field *f, const mp_limb_t *got, const mpz_t expected, const char *what, mpz_srcptr x, mpz_srcptr y)
{
	mpz_t		residue;

	mpz_init(residue);
	check_digits(f, got, what);
	mpz_from_residue(f, residue, got);
	check(mpz_cmp(residue, f->limit) < 0, "%s: too large for a residue", what);
	mpz_mod(residue, residue, f->m);
	if (check_mpz(residue, expected, "%s", what))
		gmp_printf("# of %Zd\n# and %Zd\n# modulo %Zd\n", x, y, f->m);
	mpz_clear(residue);
}

/* got = expected for the input x, in limbs */
static void
check_number(const field *f, const mp_limb_t *got, const mpz_t expected, const char *what, const mpz_t x)
{
	if (check_limbs(got, mpz_size(f->m), expected, "%s", what))
		gmp_printf("# of %Zd\n# modulo %Zd\n", x, f->m);
}

static void
check_unchanged(const field *f, const mp_limb_t *a, const mpz_t operand)
{
	mpz_t		x;

	mpz_init(x);
	mpz_from_residue(f, x, a);
	check_digits(f, a, "an input");
	check_mpz(x, operand, "an input that is not the output was changed");
	mpz_clear(x);
}

/* x·y/R mod m */
static void
reference_product(const field *f, mpz_t product, const mpz_t x, const mpz_t y)
{
	mpz_mul(product, x, y);
	mpz_mul(product, product, f->r_inverse);
	mpz_mod(product, product, f->m);
}

static void
check_mul(const field *f, const mpz_t x, const mpz_t y)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *b = new_residue(f, y);
	mp_limb_t  *again = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	reference_product(f, expected, x, y);
	paillier_mont_mul(f->ctx, out.a, a, b, scratch.a);
	check_residue(f, out.a, expected, "mul", x, y);
	check_unchanged(f, a, x);
	check_unchanged(f, b, y);
	check(guarded_intact(&scratch) && guarded_intact(&out), "mul overran its scratch or output");

	guarded_fill(&scratch);
	paillier_mont_mul(f->ctx, a, a, b, scratch.a);
	check_residue(f, a, expected, "mul into its first operand", x, y);
	check_unchanged(f, b, y);
	paillier_mont_mul(f->ctx, b, again, b, scratch.a);
	check_residue(f, b, expected, "mul into its second operand", x, y);
	check_unchanged(f, again, x);

	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(b);
	free_unaligned(again);
	guarded_free(&out);
	guarded_free(&scratch);
}

static void
check_sqr(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *again = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	reference_product(f, expected, x, x);
	paillier_mont_sqr(f->ctx, out.a, a, scratch.a);
	check_residue(f, out.a, expected, "sqr", x, x);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "sqr overran its scratch or output");
	guarded_fill(&scratch);
	paillier_mont_sqr(f->ctx, a, a, scratch.a);
	check_residue(f, a, expected, "sqr in place", x, x);
	paillier_mont_mul(f->ctx, again, again, again, scratch.a);
	check_residue(f, again, expected, "mul of a number by itself, in place", x, x);

	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(again);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* The number below m that a residue stands for, both ways. */
static void
check_store(const field *f, const mp_limb_t *a, const mpz_t x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(mpz_size(f->m));
	mpz_t		expected;

	mpz_init(expected);
	mpz_mod(expected, x, f->m);
	paillier_mont_store_var(f->ctx, out.a, a, scratch.a);
	check_number(f, out.a, expected, "store_var", x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "store_var overran its scratch or output");
	guarded_fill(&scratch);
	guarded_fill(&out);
	paillier_mont_store_sec(f->ctx, out.a, a, scratch.a);
	check_number(f, out.a, expected, "store_sec", x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "store_sec overran its scratch or output");
	check_unchanged(f, a, x);
	mpz_clear(expected);
	guarded_free(&out);
	guarded_free(&scratch);
}

static void
check_store_operand(const field *f, const mpz_t x)
{
	mp_limb_t  *a = new_residue(f, x);

	check_store(f, a, x);
	free_unaligned(a);
}

/* A number, which need not be below m if there is more than eight at a time. */
static void
check_load(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *in = new_number(mpz_size(f->m), x);
	mpz_t		expected;

	mpz_init(expected);
	paillier_mont_load(f->ctx, out.a, in);
	check_unchanged(f, out.a, x);
	check_number(f, in, x, "load changed its input", x);
	check(guarded_intact(&out), "load overran its output");
	check_store(f, out.a, x);
	if (!f->only_eight)
	{
		mpz_mul(expected, x, f->r);
		mpz_mod(expected, expected, f->m);
		paillier_mont_enter(f->ctx, out.a, out.a, scratch.a);
		check_residue(f, out.a, expected, "load and enter", x, x);
	}
	mpz_clear(expected);
	free_unaligned(in);
	guarded_free(&out);
	guarded_free(&scratch);
}

static void
check_loads(const field *f)
{
	mpz_t		x;

	mpz_init(x);
	check_load(f, x);
	random_mpz_below(x, f->m);
	check_load(f, x);
	mpz_sub_ui(x, f->m, 1);
	check_load(f, x);
	if (!f->only_eight)
	{
		check_load(f, f->m);
		random_mpz(x, 64 * mpz_size(f->m));
		check_load(f, x);
		all_ones(x, 64 * mpz_size(f->m));
		check_load(f, x);
	}
	mpz_clear(x);
}

static void
check_conversions(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *again = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x, f->r);
	mpz_mod(expected, expected, f->m);
	paillier_mont_enter(f->ctx, out.a, a, scratch.a);
	check_residue(f, out.a, expected, "enter", x, x);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "enter overran its scratch or output");
	paillier_mont_enter(f->ctx, a, a, scratch.a);
	check_residue(f, a, expected, "enter in place", x, x);
	paillier_mont_leave(f->ctx, a, a, scratch.a);
	mpz_mod(expected, x, f->m);
	check_residue(f, a, expected, "enter and leave in place", x, x);

	mpz_mul(expected, x, f->r_inverse);
	mpz_mod(expected, expected, f->m);
	guarded_fill(&scratch);
	guarded_fill(&out);
	paillier_mont_leave(f->ctx, out.a, again, scratch.a);
	check_residue(f, out.a, expected, "leave", x, x);
	check_unchanged(f, again, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "leave overran its scratch or output");

	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(again);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* ---- checks of eight residues ---- */

/* Eight residues in the kernel's order. */
static mp_limb_t *
new_eight(const field *f, const mpz_srcptr *x)
{
	mp_limb_t  *a8 = new_unaligned(LANES * f->words);
	mp_limb_t  *a[LANES];

	for (int i = 0; i < LANES; i++)
		a[i] = new_residue(f, x[i]);
	f->kernel->gather8(f->ctx, a8, (const mp_limb_t *const *) a);
	for (int i = 0; i < LANES; i++)
		free_unaligned(a[i]);
	return a8;
}

static void
scatter_guarded(const field *f, guarded *lane, const mp_limb_t *a8)
{
	mp_limb_t  *out[LANES];

	for (int i = 0; i < LANES; i++)
	{
		lane[i] = guarded_new(f->words);
		out[i] = lane[i].a;
	}
	f->kernel->scatter8(f->words, out, a8);
	for (int i = 0; i < LANES; i++)
		check(guarded_intact(&lane[i]), "scatter8 overran an output");
}

static void
check_unchanged8(const field *f, const mp_limb_t *a8, const mpz_srcptr *x)
{
	guarded		lane[LANES];

	scatter_guarded(f, lane, a8);
	for (int i = 0; i < LANES; i++)
	{
		check_unchanged(f, lane[i].a, x[i]);
		guarded_free(&lane[i]);
	}
}

/* The same as a product by itself, digit for digit. */
static void
check_single_product(const field *f, const mp_limb_t *got, const mpz_t x, const mpz_t y, const char *what)
{
	mp_limb_t  *scratch = new_unaligned(PAILLIER_MONT_SCRATCH(f->words));
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *b = new_residue(f, y);

	paillier_mont_mul(f->ctx, a, a, b, scratch);
	check(mpn_cmp(got, a, f->words) == 0, "%s gives another residue than mul", what);
	free_unaligned(a);
	free_unaligned(b);
	free_unaligned(scratch);
}

static void
check_products8(const field *f, const mp_limb_t *got8, const mpz_srcptr *x, const mpz_srcptr *y, const char *what)
{
	guarded		lane[LANES];
	mpz_t		expected;

	mpz_init(expected);
	scatter_guarded(f, lane, got8);
	for (int i = 0; i < LANES; i++)
	{
		reference_product(f, expected, x[i], y[i]);
		check_residue(f, lane[i].a, expected, what, x[i], y[i]);
		if (!f->only_eight)
			check_single_product(f, lane[i].a, x[i], y[i], what);
		guarded_free(&lane[i]);
	}
	mpz_clear(expected);
}

static void
check_mul8(const field *f, const mpz_srcptr *x, const mpz_srcptr *y)
{
	const paillier_kernel *kernel = f->kernel;
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH8(f->words));
	guarded		out8 = guarded_new(LANES * f->words);
	mp_limb_t  *a8 = new_eight(f, x);
	mp_limb_t  *b8 = new_eight(f, y);

	kernel->mul8(f->ctx, out8.a, a8, b8, scratch.a);
	check_products8(f, out8.a, x, y, "mul8");
	check_unchanged8(f, a8, x);
	check_unchanged8(f, b8, y);
	check(guarded_intact(&scratch) && guarded_intact(&out8), "mul8 overran its scratch or output");
	kernel->mul8(f->ctx, a8, a8, b8, scratch.a);
	check(mpn_cmp(a8, out8.a, LANES * f->words) == 0, "mul8 into its first operand");
	check_unchanged8(f, b8, y);

	free_unaligned(a8);
	free_unaligned(b8);
	guarded_free(&out8);
	guarded_free(&scratch);
}

static void
check_sqr8(const field *f, const mpz_srcptr *x)
{
	const paillier_kernel *kernel = f->kernel;
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH8(f->words));
	guarded		out8 = guarded_new(LANES * f->words);
	mp_limb_t  *a8 = new_eight(f, x);
	mp_limb_t  *b8 = new_eight(f, x);

	kernel->sqr8(f->ctx, out8.a, a8, scratch.a);
	check_products8(f, out8.a, x, x, "sqr8");
	check_unchanged8(f, a8, x);
	check(guarded_intact(&scratch) && guarded_intact(&out8), "sqr8 overran its scratch or output");
	kernel->mul8(f->ctx, b8, a8, b8, scratch.a);
	check(mpn_cmp(b8, out8.a, LANES * f->words) == 0, "mul8 by the same numbers, into its second operand");
	kernel->sqr8(f->ctx, a8, a8, scratch.a);
	check(mpn_cmp(a8, out8.a, LANES * f->words) == 0, "sqr8 in place");

	free_unaligned(a8);
	free_unaligned(b8);
	guarded_free(&out8);
	guarded_free(&scratch);
}

/* gather8 and scatter8 undo each other. */
static void
check_lanes(const field *f)
{
	guarded		a8 = guarded_new(LANES * f->words);
	mp_limb_t  *a[LANES];
	guarded		lane[LANES];

	for (int i = 0; i < LANES; i++)
	{
		a[i] = new_unaligned(f->words);
		random_limbs(a[i], f->words);
	}
	f->kernel->gather8(f->ctx, a8.a, (const mp_limb_t *const *) a);
	check(guarded_intact(&a8), "gather8 overran its output");
	scatter_guarded(f, lane, a8.a);
	for (int i = 0; i < LANES; i++)
	{
		check(mpn_cmp(lane[i].a, a[i], f->words) == 0, "gather8 and scatter8 change a residue");
		guarded_free(&lane[i]);
		free_unaligned(a[i]);
	}
	guarded_free(&a8);
}

/* ---- checks of powers ---- */

/* base^e in Montgomery form */
static void
reference_power(const field *f, mpz_t power, const mpz_t base, const mpz_t e)
{
	mpz_mul(power, base, f->r_inverse);
	mpz_powm(power, power, e, f->m);
	mpz_mul(power, power, f->r);
	mpz_mod(power, power, f->m);
}

/* x^e, with some leading zero limbs before e */
static void
check_pow(const field *f, const mpz_t x, const mpz_t e, int zero_limbs, bool in_place)
{
	int			elimbs = mpz_size(e) + zero_limbs;
	guarded		scratch = guarded_new(PAILLIER_MONT_POW_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *exponent = new_number(elimbs, e);
	mp_limb_t  *base = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	reference_power(f, expected, x, e);
	paillier_mont_pow(f->ctx, in_place ? base : out.a, base, exponent, elimbs, scratch.a);
	check_residue(f, in_place ? base : out.a, expected, in_place ? "pow in place" : "pow", x, e);
	if (!in_place)
		check_unchanged(f, base, x);
	check_limbs(exponent, elimbs, e, "pow changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out), "pow overran its scratch or output");

	mpz_clear(expected);
	free_unaligned(base);
	free_unaligned(exponent);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* x^e, with some zero bits before e */
static void
check_pow_sec(const field *f, const mpz_t x, const mpz_t e, int ebits, bool in_place)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_POW_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *exponent = new_number((ebits + 63) / 64, e);
	mp_limb_t  *base = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	reference_power(f, expected, x, e);
	paillier_mont_pow_sec(f->ctx, in_place ? base : out.a, base, exponent, ebits, scratch.a);
	check_residue(f, in_place ? base : out.a, expected, in_place ? "pow_sec in place" : "pow_sec", x, e);
	if (!in_place)
		check_unchanged(f, base, x);
	check_limbs(exponent, (ebits + 63) / 64, e, "pow_sec changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out), "pow_sec overran its scratch or output");

	mpz_clear(expected);
	free_unaligned(base);
	free_unaligned(exponent);
	guarded_free(&out);
	guarded_free(&scratch);
}

static void
check_pow8_sec(const field *f, const mpz_srcptr *x, const mpz_t e, int ebits, bool in_place)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_POW8_SCRATCH(f->words));
	guarded		out8 = guarded_new(LANES * f->words);
	mp_limb_t  *exponent = new_number((ebits + 63) / 64, e);
	mp_limb_t  *base8 = new_eight(f, x);
	guarded		lane[LANES];
	mpz_t		expected;

	mpz_init(expected);
	paillier_mont_pow8_sec(f->ctx, in_place ? base8 : out8.a, base8, exponent, ebits, scratch.a);
	scatter_guarded(f, lane, in_place ? base8 : out8.a);
	for (int i = 0; i < LANES; i++)
	{
		reference_power(f, expected, x[i], e);
		check_residue(f, lane[i].a, expected, in_place ? "pow8_sec in place" : "pow8_sec", x[i], e);
		guarded_free(&lane[i]);
	}
	if (!in_place)
		check_unchanged8(f, base8, x);
	check_limbs(exponent, (ebits + 63) / 64, e, "pow8_sec changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out8), "pow8_sec overran its scratch or output");

	mpz_clear(expected);
	free_unaligned(base8);
	free_unaligned(exponent);
	guarded_free(&out8);
	guarded_free(&scratch);
}

/* ---- all operands ---- */

/* Products and powers that take so long that fewer have to do. */
static bool
is_large(const field *f)
{
	return f->words > 24;
}

/* Eight operands in a row, from one of them on. */
static void
choose_eight(const field *f, mpz_srcptr *x, int first)
{
	for (int i = 0; i < LANES; i++)
		x[i] = f->operands[(first + i) % OPERANDS];
}

/* All pairs of operands, or, since large ones take long, only those at some distances. */
static void
check_products(const field *f)
{
	int			step = f->words > 120 ? OPERANDS - 1 : is_large(f) ? 5 : 1;
	mpz_srcptr	x[LANES];
	mpz_srcptr	y[LANES];

	for (int distance = 0; distance < OPERANDS; distance += step)
	{
		for (int i = 0; i < OPERANDS && !f->only_eight; i++)
			check_mul(f, f->operands[i], f->operands[(i + distance) % OPERANDS]);
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
	mpz_srcptr	x[LANES];

	if (!f->only_eight)
	{
		check_pow(f, f->operands[i % OPERANDS], e, i % 4, i % 3 == 0);
		check_pow_sec(f, f->operands[i % OPERANDS], e, ebits + (i % 5 == 0 ? i : 0), i % 3 == 1);
	}
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

static void
check_field(const paillier_kernel *kernel, bool only_eight, const mpz_t m, bool powers)
{
	field		f;

	field_init(&f, kernel, only_eight, m);
	check_products(&f);
	check_loads(&f);
	check_lanes(&f);
	for (int i = 0; i < OPERANDS; i++)
	{
		check_store_operand(&f, f.operands[i]);
		if (only_eight)
			continue;
		check_sqr(&f, f.operands[i]);
		check_conversions(&f, f.operands[i]);
	}
	if (powers)
		check_powers(&f);
	field_clear(&f);
}

static void
check_modulus(const paillier_kernel *kernel, const mpz_t m, bool powers)
{
	check_field(kernel, false, m, powers);
	check_field(kernel, true, m, powers);
}

/* ---- sizes ---- */

/* Moduli that just need their limbs, and that fill them. */
static void
test_limbs(const paillier_kernel *kernel, int limbs)
{
	int			low_bits = 64 * (limbs - 1);

	/* the largest moduli take their time: one has to do for powers */
	int			last = limbs < 64 ? -1 : limbs % 64 % 4;
	mpz_t		m;

	mpz_init(m);
	group_begin("%s, %d limbs: all functions", kernel->name, limbs);
	random_odd(m, 64 * limbs);
	check_modulus(kernel, m, last <= 0);
	random_odd(m, low_bits + 1);
	check_modulus(kernel, m, last < 0 || last == 1);
	all_ones(m, 64 * limbs);
	check_modulus(kernel, m, last < 0 || last == 2);
	mpz_set_ui(m, 1);
	mpz_setbit(m, low_bits);
	check_modulus(kernel, m, last < 0 || last == 3);
	group_end();
	mpz_clear(m);
}

/*
 * An odd m of so many bits whose multiple that is -1 modulo 2^digit_bits has no
 * zeros above its second digit: this makes columns as large as they get.
 */
static void
fullest(mpz_t m, int bits, int digit_bits)
{
	mpz_t		factor,
				inverse,
				base;

	mpz_inits(factor, inverse, base, NULL);
	mpz_setbit(base, digit_bits);
	random_odd(factor, digit_bits);
	mpz_invert(inverse, factor, base);
	all_ones(m, bits + digit_bits - 1);
	mpz_tdiv_q(m, m, factor);
	mpz_fdiv_q_2exp(m, m, digit_bits);
	mpz_mul_2exp(m, m, digit_bits);
	mpz_add(m, m, base);
	mpz_sub(m, m, inverse);
	mpz_clears(factor, inverse, base, NULL);
}

/* The one of so many bits whose multiple is as large as it gets, so that R is just above four times it. */
static void
tightest(mpz_t m, int bits, int digit_bits)
{
	mpz_t		base;

	mpz_init(base);
	mpz_setbit(base, digit_bits);
	all_ones(m, bits);
	mpz_sub(m, m, base);
	mpz_add_ui(m, m, 2);
	mpz_clear(base);
}

/* The shortest and the longest moduli whose residues have so many vectors of eight digits. */
static void
test_vectors(const paillier_kernel *kernel, int vectors)
{
	int			vector_bits = LANES * kernel->digit_bits;
	int			longest = vector_bits * vectors - kernel->digit_bits - 2;
	int			shortest = longest - vector_bits + 1;
	mpz_t		m;

	if (shortest < 1)
		shortest = 1;
	if (longest > 64 * PAILLIER_MAX_LIMBS)
		longest = 64 * PAILLIER_MAX_LIMBS;
	mpz_init(m);
	group_begin("%s, %d vectors, %d to %d bits: all functions", kernel->name, vectors, shortest, longest);
	check_int(kernel->words(shortest, false), LANES * vectors, "words for %d bits", shortest);
	check_int(kernel->words(longest, false), LANES * vectors, "words for %d bits", longest);
	random_odd(m, shortest);
	check_modulus(kernel, m, vectors < 15);
	random_odd(m, longest);
	check_modulus(kernel, m, vectors == 15);
	fullest(m, longest, kernel->digit_bits);
	check_modulus(kernel, m, false);
	tightest(m, longest, kernel->digit_bits);
	check_modulus(kernel, m, false);
	all_ones(m, vector_bits * vectors - 2 < 64 * PAILLIER_MAX_LIMBS ? vector_bits * vectors - 2 : longest);
	check_field(kernel, true, m, vectors < 15);
	group_end();
	mpz_clear(m);
}

/* A few products suffice for every single length. */
static void
check_length(const paillier_kernel *kernel, int bits, bool only_eight)
{
	mpz_t		m;
	field		f;
	mpz_srcptr	x[LANES];

	mpz_init(m);
	random_odd(m, bits);
	field_init(&f, kernel, only_eight, m);
	check_loads(&f);
	choose_eight(&f, x, 4);
	check_sqr8(&f, x);
	check_store_operand(&f, f.operands[4]);
	if (!only_eight)
	{
		check_mul(&f, f.operands[4], f.operands[12]);
		check_conversions(&f, f.operands[13]);
	}
	field_clear(&f);
	mpz_clear(m);
}

/* Around multiples of a digit and, the longer ones, only where words are added. */
static bool
is_boundary(const paillier_kernel *kernel, int bits)
{
	int			from_multiple = (bits + 4) % kernel->digit_bits;

	if ((bits >= 2046 && bits <= 2050) || (bits >= 2100 && bits <= 2106) || (bits >= 4044 && bits <= 4050))
		return true;
	if (bits <= 2200)
		return from_multiple <= 6;
	for (int only_eight = 0; only_eight <= 1; only_eight++)
		for (int next = bits; next <= bits + 1; next++)
			if (kernel->words(next, only_eight) != kernel->words(next - 1, only_eight) &&
				kernel->words(next, only_eight) % 4 == 0)
				return true;
	return false;
}

static void
test_lengths(const paillier_kernel *kernel)
{
	group_begin("%s: lengths around those of whole digits", kernel->name);
	for (int bits = 2; bits <= 64 * PAILLIER_MAX_LIMBS; bits++)
		if (is_boundary(kernel, bits))
		{
			check_length(kernel, bits, false);
			check_length(kernel, bits, true);
		}
	group_end();
}

static void
test_words(const paillier_kernel *kernel)
{
	group_begin("%s: what is to be reserved for residues of 1 to %d bits", kernel->name, 64 * PAILLIER_MAX_LIMBS);
	for (int bits = 1; bits <= 64 * PAILLIER_MAX_LIMBS; bits++)
	{
		int			limbs = (bits + 63) / 64;
		int			words = kernel->words(bits, false);
		int			words8 = kernel->words(bits, true);

		check(words <= PAILLIER_MONT_WORDS(limbs), "%d words for %d bits", words, bits);
		check(words8 <= words, "%d words, %d for eight at a time, for %d bits", words, words8, bits);
		check(PAILLIER_MONT_WORDS(limbs) <= PAILLIER_MAX_WORDS, "%d words reserved for %d bits", PAILLIER_MONT_WORDS(limbs),
			  bits);
		check(words8 * kernel->digit_bits >= bits, "%d words hold no %d bits", words8, bits);
	}
	check(kernel->words(64 * PAILLIER_MAX_LIMBS, false) <= PAILLIER_MAX_WORDS, "words of the largest modulus");
	group_end();
}

/* ---- powers ---- */

static void
test_full_size_exponents(const paillier_kernel *kernel)
{
	mpz_t		m,
				e;

	mpz_inits(m, e, NULL);
	group_begin("%s: powers with exponents as long as the modulus", kernel->name);
	for (int i = 0; i < LENGTH(limb_counts); i++)
	{
		int			limbs = limb_counts[i];
		int			bits = 64 * limbs;
		mpz_srcptr	x[LANES];
		field		f;

		if (limbs > 64)
			continue;
		random_odd(m, bits);
		field_init(&f, kernel, false, m);
		random_mpz(e, bits);
		mpz_setbit(e, bits - 1);
		check_pow(&f, f.operands[11], e, 0, false);
		check_pow_sec(&f, f.operands[11], e, bits, false);
		choose_eight(&f, x, 6);
		if (limbs <= 32)
			check_pow8_sec(&f, x, e, bits, false);
		field_clear(&f);
	}
	group_end();
	mpz_clears(m, e, NULL);
}

static void
test_exponent_lengths(const paillier_kernel *kernel)
{
	field		f;
	mpz_t		m,
				e;
	mpz_srcptr	x[LANES];

	mpz_inits(m, e, NULL);
	group_begin("%s: powers with exponents of 1 to 700 bits", kernel->name);
	random_odd(m, 192);
	field_init(&f, kernel, false, m);
	for (int bits = 1; bits <= 700; bits++)
	{
		for (int i = 0; i < 3; i++)
		{
			random_mpz(e, bits - 1);
			mpz_setbit(e, bits - 1);
			random_mpz_below(f.operands[11], f.limit);
			check_pow(&f, f.operands[11], e, i, i == 2);
		}
		check_pow_sec(&f, f.operands[11], e, bits, false);
		if (bits > 70 && bits % 10 != 0)
			continue;
		choose_eight(&f, x, bits);
		check_pow8_sec(&f, x, e, bits, bits % 2);
		mpz_clrbit(e, bits - 1);
		check_pow_sec(&f, f.operands[11], e, bits, true);
	}
	field_clear(&f);
	group_end();
	mpz_clears(m, e, NULL);
}

/* ---- one limb, carries, places in memory ---- */

/* Moduli of one limb are cheap enough to try many, 1 and 3 among them. */
static void
test_many_small_moduli(const paillier_kernel *kernel)
{
	int			words = PAILLIER_MONT_WORDS(1);
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(words));
	paillier_mont *ctx = allocate(sizeof(paillier_mont));
	mp_limb_t	x[PAILLIER_MONT_WORDS(1)];
	mp_limb_t	y[PAILLIER_MONT_WORDS(1)];

	group_begin("%s, one limb: 10,000 odd moduli", kernel->name);
	for (int i = 0; i < 10000; i++)
	{
		mp_limb_t	m = i < 100 ? 2 * (mp_limb_t) i + 1 : random64() >> random_int(64) | 1;
		mp_limb_t	a = random64();
		mp_limb_t	b = random64();
		mp_limb_t	product;
		mp_limb_t	same;

		paillier_mont_init(ctx, kernel, false, &m, 1, scratch.a);
		paillier_mont_load(ctx, x, &a);
		paillier_mont_load(ctx, y, &b);
		paillier_mont_enter(ctx, x, x, scratch.a);
		paillier_mont_leave(ctx, y, y, scratch.a);
		paillier_mont_enter(ctx, y, y, scratch.a);
		paillier_mont_mul(ctx, y, x, y, scratch.a);
		paillier_mont_leave(ctx, x, x, scratch.a);
		paillier_mont_store_var(ctx, &product, y, scratch.a);
		paillier_mont_store_sec(ctx, &same, x, scratch.a);
		check(product == (unsigned __int128) a * b % m, "%" PRIu64 " * %" PRIu64 " mod %" PRIu64, a, b, m);
		check(same == a % m, "%" PRIu64 " mod %" PRIu64 ", in and out", a, m);
	}
	group_end();
	free(ctx);
	guarded_free(&scratch);
}

/*
 * Operands whose product has the value z: z·R/y and y, modulo what the kernel
 * reduces by.  True where the product is z itself, not a number congruent to it.
 */
static bool
check_wanted_product(const field *f, const mpz_t z)
{
	mp_limb_t  *scratch = new_unaligned(PAILLIER_MONT_SCRATCH(f->words));
	mp_limb_t  *a;
	mp_limb_t  *b;
	mpz_t		x,
				y,
				wanted;
	bool		exact;

	mpz_inits(x, y, wanted, NULL);
	do
		random_mpz_below(y, f->multiple);
	while (!mpz_invert(x, y, f->multiple));
	mpz_mul(x, x, z);
	mpz_mul(x, x, f->r);
	mpz_mod(x, x, f->multiple);
	a = new_residue(f, x);
	b = new_residue(f, y);
	paillier_mont_mul(f->ctx, a, a, b, scratch);
	mpz_mod(wanted, z, f->m);
	check_residue(f, a, wanted, "mul", x, y);
	mpz_from_residue(f, x, a);
	exact = mpz_cmp(x, z) == 0;
	mpz_clears(x, y, wanted, NULL);
	free_unaligned(a);
	free_unaligned(b);
	free_unaligned(scratch);
	return exact;
}

/* Random digits, but those from one to another all zero, or all ones. */
static void
digits_with_run(const field *f, mpz_t z, int from, int to, bool ones)
{
	mp_limb_t	a[PAILLIER_MAX_WORDS];

	random_mpz_below(z, f->multiple);
	mpn_zero(a, f->words);
	mpz_export(a, NULL, -1, sizeof(mp_limb_t), 0, 64 - f->kernel->digit_bits, z);
	for (int i = from; i < to; i++)
		a[i] = ones ? ~(mp_limb_t) 0 : 0;
	mpz_from_residue(f, z, a);
	mpz_mod(z, z, f->multiple);
}

/*
 * Where a digit of the result is zero, either nothing or 2^digit_bits was there
 * before the last carries, or one less and a carry came in: a run of zeros is
 * a carry that travels through all of it.
 */
static void
test_carries(const paillier_kernel *kernel)
{
	static const int vectors[] = {1, 2, 10, 15, 20, 39};
	mpz_t		m,
				z;

	mpz_inits(m, z, NULL);
	for (int i = 0; i < LENGTH(vectors); i++)
	{
		int			bits = (LANES * vectors[i] - 1) * kernel->digit_bits - 2;
		int			words;
		int			exact = 0;
		int			tried = 0;
		field		f;

		random_odd(m, bits <= 64 * PAILLIER_MAX_LIMBS ? bits : 64 * PAILLIER_MAX_LIMBS);
		field_init(&f, kernel, false, m);
		words = f.words;
		group_begin("%s, %d digits: carries through runs of digits", kernel->name, words);
		for (int from = 0; from < words; from += words <= 16 ? 1 : 1 + random_int(2 * words / 16))
			for (int to = from + 1; to <= words; to += words <= 16 ? 1 : 1 + random_int(2 * words / 16))
				for (int ones = 0; ones <= 1; ones++)
				{
					digits_with_run(&f, z, from, to, ones);
					exact += check_wanted_product(&f, z);
					tried++;
				}
		check(exact > tried / 2, "only %d of %d products are what was wanted", exact, tried);
		field_clear(&f);
		group_end();
	}
	mpz_clears(m, z, NULL);
}

/* Everything once with all memory so many words behind a multiple of 64 bytes. */
static void
test_places(const paillier_kernel *kernel)
{
	static const int sizes[] = {128, 206, 700, 4096};
	mpz_t		m,
				e;

	mpz_inits(m, e, NULL);
	random_mpz(e, 70);
	group_begin("%s: memory at all multiples of 8 bytes", kernel->name);
	for (memory_offset = 0; memory_offset < 8; memory_offset++)
		for (int i = 0; i < LENGTH(sizes); i++)
			for (int only_eight = 0; only_eight <= 1; only_eight++)
			{
				field		f;
				mpz_srcptr	x[LANES];
				mpz_srcptr	y[LANES];

				random_odd(m, sizes[i]);
				field_init(&f, kernel, only_eight, m);
				choose_eight(&f, x, 4);
				choose_eight(&f, y, 9);
				check_mul8(&f, x, y);
				check_sqr8(&f, x);
				check_pow8_sec(&f, x, e, 70, false);
				check_lanes(&f);
				check_loads(&f);
				check_store_operand(&f, f.operands[4]);
				if (!only_eight)
				{
					check_mul(&f, f.operands[4], f.operands[13]);
					check_sqr(&f, f.operands[12]);
					check_conversions(&f, f.operands[4]);
					check_pow(&f, f.operands[4], e, 1, false);
					check_pow_sec(&f, f.operands[4], e, 70, true);
				}
				field_clear(&f);
			}
	memory_offset = -1;
	group_end();
	mpz_clears(m, e, NULL);
}

/* Numbers right before and right behind memory that nobody may read. */
static void
test_load_bounds(const paillier_kernel *kernel)
{
	size_t		page = sysconf(_SC_PAGESIZE);
	uint8_t    *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mp_limb_t	out[PAILLIER_MAX_WORDS];
	mpz_t		m,
				x;

	mpz_inits(m, x, NULL);
	group_begin("%s: load reads nothing but its number", kernel->name);
	if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0 || mprotect(memory + 2 * page, page, PROT_NONE) != 0)
		abort();
	for (int limbs = 1; limbs <= PAILLIER_MAX_LIMBS; limbs += limbs < 70 ? 1 : 31)
		for (int only_eight = 0; only_eight <= 1; only_eight++)
		{
			field		f;
			mp_limb_t  *places[] = {(mp_limb_t *) (memory + page), (mp_limb_t *) (memory + 2 * page) - limbs};

			random_odd(m, 64 * limbs - random_int(64));
			field_init(&f, kernel, only_eight, m);
			for (int i = 0; i < LENGTH(places); i++)
			{
				random_mpz_below(x, m);
				mpz_to_limbs(places[i], limbs, x);
				paillier_mont_load(f.ctx, out, places[i]);
				check_unchanged(&f, out, x);
			}
			field_clear(&f);
		}
	munmap(memory, 3 * page);
	group_end();
	mpz_clears(m, x, NULL);
}

/* ---- many products ---- */

/*
 * Eight numbers that are multiplied again and again, one by one and all at once.
 * An error in one product is an error in all that follow.
 */
#define FACTORS 16

typedef struct chain
{
	field		f;
	mp_limb_t  *lane[LANES];
	mp_limb_t  *eight;
	mp_limb_t  *factors[FACTORS][LANES];	/* in Montgomery form */
	mp_limb_t  *factors8[FACTORS];
	mp_limb_t  *spread[LANES];	/* what is in `eight` */
	mp_limb_t  *scratch;
} chain;

static void
chain_init(chain *c, const paillier_kernel *kernel, const mpz_t m, mpz_t numbers[FACTORS][LANES])
{
	field	   *f = &c->f;

	field_init(f, kernel, false, m);
	c->scratch = new_unaligned(PAILLIER_MONT_SCRATCH8(f->words));
	c->eight = new_unaligned(LANES * f->words);
	for (int i = 0; i < FACTORS; i++)
	{
		for (int lane = 0; lane < LANES; lane++)
		{
			c->factors[i][lane] = new_residue(f, numbers[i][lane]);
			paillier_mont_enter(f->ctx, c->factors[i][lane], c->factors[i][lane], c->scratch);
		}
		c->factors8[i] = new_unaligned(LANES * f->words);
		kernel->gather8(f->ctx, c->factors8[i], (const mp_limb_t *const *) c->factors[i]);
	}
	for (int lane = 0; lane < LANES; lane++)
	{
		c->spread[lane] = new_unaligned(f->words);
		c->lane[lane] = new_unaligned(f->words);
		mpn_copyi(c->lane[lane], c->factors[0][lane], f->words);
	}
	mpn_copyi(c->eight, c->factors8[0], LANES * f->words);
}

static void
chain_clear(chain *c)
{
	for (int i = 0; i < FACTORS; i++)
	{
		for (int lane = 0; lane < LANES; lane++)
			free_unaligned(c->factors[i][lane]);
		free_unaligned(c->factors8[i]);
	}
	for (int lane = 0; lane < LANES; lane++)
	{
		free_unaligned(c->spread[lane]);
		free_unaligned(c->lane[lane]);
	}
	free_unaligned(c->eight);
	free_unaligned(c->scratch);
	field_clear(&c->f);
}

/* Multiply by eight factors; a negative number of theirs: square. */
static void
chain_step(chain *c, int factor)
{
	const paillier_mont *ctx = c->f.ctx;

	for (int lane = 0; lane < LANES; lane++)
		if (factor < 0)
			paillier_mont_sqr(ctx, c->lane[lane], c->lane[lane], c->scratch);
		else
			paillier_mont_mul(ctx, c->lane[lane], c->lane[lane], c->factors[factor][lane], c->scratch);
	if (factor < 0)
		ctx->kernel->sqr8(ctx, c->eight, c->eight, c->scratch);
	else
		ctx->kernel->mul8(ctx, c->eight, c->eight, c->factors8[factor], c->scratch);

	ctx->kernel->scatter8(ctx->words, c->spread, c->eight);
	for (int lane = 0; lane < LANES; lane++)
		check(mpn_cmp(c->spread[lane], c->lane[lane], ctx->words) == 0, "one product and eight differ in lane %d", lane);
}

/* The number in a lane. */
static void
chain_number(const chain *c, mpz_t x, int lane)
{
	mp_limb_t	residue[PAILLIER_MAX_WORDS];
	mp_limb_t	number[PAILLIER_MAX_LIMBS];

	check_digits(&c->f, c->lane[lane], "a lane");
	mpz_from_residue(&c->f, x, c->lane[lane]);
	check(mpz_cmp(x, c->f.limit) < 0, "a lane is too large for a residue");
	paillier_mont_leave(c->f.ctx, residue, c->lane[lane], c->scratch);
	paillier_mont_store_var(c->f.ctx, number, residue, c->scratch);
	mpz_from_limbs(x, number, c->f.ctx->limbs);
}

/* One step that is computed by mpz_t too, for the chains with each kernel. */
static void
check_chain_step(chain *chains, int count, int factor, mpz_t numbers[FACTORS][LANES])
{
	mpz_t		expected[LANES];
	mpz_t		got;

	mpz_init(got);
	for (int lane = 0; lane < LANES; lane++)
	{
		mpz_init(expected[lane]);
		chain_number(&chains[0], expected[lane], lane);
		for (int i = 1; i < count; i++)
		{
			chain_number(&chains[i], got, lane);
			check_mpz(got, expected[lane], "the kernels differ");
		}
		mpz_mul(expected[lane], expected[lane], factor < 0 ? expected[lane] : numbers[factor][lane]);
		mpz_mod(expected[lane], expected[lane], chains[0].f.m);
	}
	for (int i = 0; i < count; i++)
	{
		chain_step(&chains[i], factor);
		for (int lane = 0; lane < LANES; lane++)
		{
			chain_number(&chains[i], got, lane);
			check_mpz(got, expected[lane], "%s", chains[i].f.kernel->name);
		}
	}
	for (int lane = 0; lane < LANES; lane++)
		mpz_clear(expected[lane]);
	mpz_clear(got);
}

/* Random numbers below m, and such with runs. */
static void
choose_factors(mpz_t numbers[FACTORS][LANES], const mpz_t m)
{
	int			bits = mpz_sizeinbase(m, 2);

	for (int i = 0; i < FACTORS; i++)
		for (int lane = 0; lane < LANES; lane++)
		{
			mpz_init(numbers[i][lane]);
			if ((i + lane) % 2 == 0)
				random_mpz_below(numbers[i][lane], m);
			else
				random_runs(numbers[i][lane], (bits - 1) / 52, 52);
			if (mpz_sgn(numbers[i][lane]) == 0)
				mpz_set_ui(numbers[i][lane], 1);
		}
}

static void
test_many_products(int bits, int steps)
{
	chain		chains[LENGTH(kernels)];
	mpz_t		numbers[FACTORS][LANES];
	mpz_t		m;
	int			count = 0;
	char		names[100] = "";

	mpz_init(m);
	random_odd(m, bits);
	choose_factors(numbers, m);
	for (int i = 0; i < LENGTH(kernels); i++)
		if (kernels[i]->available())
		{
			chain_init(&chains[count++], kernels[i], m, numbers);
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", count > 1 ? ", " : "", kernels[i]->name);
		}
	group_begin("%s: %d random products modulo %d bits, one by one and by eight", names, LANES * steps, bits);
	for (int step = 0; step < steps; step++)
	{
		int			factor = random_int(5) == 0 ? -1 : random_int(FACTORS);

		if (step % 50 == 0 || step == steps - 1)
			check_chain_step(chains, count, factor, numbers);
		else
			for (int i = 0; i < count; i++)
				chain_step(&chains[i], factor);
	}
	group_end();
	for (int i = 0; i < count; i++)
		chain_clear(&chains[i]);
	for (int i = 0; i < FACTORS; i++)
		for (int lane = 0; lane < LANES; lane++)
			mpz_clear(numbers[i][lane]);
	mpz_clear(m);
}

/* ---- kernels ---- */

static void
test_choice(void)
{
	group_begin("the choice of a kernel");
	check(paillier_kernel_generic.available(), "the generic kernel is not available");
	check(paillier_kernel_best()->available(), "the best kernel is not available");
	check(paillier_kernel_best() == (paillier_kernel_avx512ifma.available() ? &paillier_kernel_avx512ifma : &paillier_kernel_generic),
		  "the best kernel is %s", paillier_kernel_best()->name);
	for (int i = 0; i < LENGTH(kernels); i++)
		check(paillier_kernel_named(kernels[i]->name) == (kernels[i]->available() ? kernels[i] : NULL), "the kernel named %s",
			  kernels[i]->name);
	check(paillier_kernel_named("") == NULL && paillier_kernel_named("auto") == NULL, "a kernel for a name that is none");
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
	group_begin("scatter8 of all kernels, on any processor");
	for (int i = 0; i < LENGTH(kernels); i++)
		for (int words = 1; words <= PAILLIER_MAX_WORDS; words += words < 20 ? 1 : 60)
		{
			bool		interleaved = kernels[i] == &paillier_kernel_avx512ifma;
			mp_limb_t  *a8 = new_unaligned(LANES * words);
			guarded		lane[LANES];
			field		f = {.kernel = kernels[i], .words = words};

			random_limbs(a8, LANES * words);
			scatter_guarded(&f, lane, a8);
			for (int j = 0; j < LANES; j++)
			{
				for (int k = 0; k < words; k++)
					check(lane[j].a[k] == (interleaved ? a8[LANES * k + j] : a8[words * j + k]), "%s: digit %d of lane %d",
						  kernels[i]->name, k, j);
				guarded_free(&lane[j]);
			}
			free_unaligned(a8);
		}
	group_end();
}

static void
test_kernel(const paillier_kernel *kernel)
{
	static const int vectors[] = {1, 2, 6, 10, 15, 20, 30, 39, 40};

	test_words(kernel);
	for (int i = 0; i < LENGTH(limb_counts); i++)
		test_limbs(kernel, limb_counts[i]);
	for (int i = 0; i < LENGTH(vectors) && kernel->digit_bits == 52; i++)
		test_vectors(kernel, vectors[i]);
	test_lengths(kernel);
	test_full_size_exponents(kernel);
	test_exponent_lengths(kernel);
	test_many_small_moduli(kernel);
	test_carries(kernel);
	test_places(kernel);
	test_load_bounds(kernel);
}

int
main(int argc, char **argv)
{
	/* n² of keys from 1024 bits to the longest */
	static const int bits[] = {2048, 4096, 6144, 8192, 12288, 16384};
	int			times = argc > 2 ? atoi(argv[2]) : 1;

	tap_begin(argc, argv);
	test_choice();
	test_negative_inverse();
	test_scatter_anywhere();
	with_each_kernel(test_kernel);
	for (int i = 0; i < LENGTH(bits); i++)
		test_many_products(bits[i], RANDOM_PRODUCTS / LANES * times);
	return tap_done();
}
