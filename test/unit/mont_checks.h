/*
 * mont_checks.h
 *		Each function of Montgomery arithmetic against mpz_t, for given operands:
 *		what its result stands for, how large it is, its input, which must not
 *		change, and the memory around its scratch and its output.
 */
#ifndef MONT_CHECKS_H
#define MONT_CHECKS_H

#include "mont_field.h"

/* ---- what is checked of every residue ---- */

/* Digits that are none make a residue wrong whatever it stands for. */
static inline void
check_digits(const field *f, const mp_limb_t *a, const char *what)
{
	mp_limb_t	beyond = 0;

	for (int i = 0; i < f->words && f->kernel->digit_bits < 64; i++)
		beyond |= a[i] >> f->kernel->digit_bits;
	check(beyond == 0, "%s: a digit is too large", what);
}

/* got ≡ expected mod m, and in range, for the operand x and, unless NULL, y; expected is reduced. */
static inline void
check_residue(const field *f, const mp_limb_t *got, residue_range range, const mpz_t expected, const char *what,
			  const residue *x, const residue *y)
{
	residue		r;
	bool		described;

	residue_init(&r);
	residue_read(f, &r, got);
	check_digits(f, got, what);
	described = check(in_range(f, &r, range), "%s: too large for a residue", what);
	mpz_mod(r.value, r.value, f->m);
	described |= check_mpz(r.value, expected, "%s", what);
	if (described)
		gmp_printf("# of %Zd + n * %Zd\n", x->number[0], x->number[1]);
	if (described && y != NULL)
		gmp_printf("# and %Zd + n * %Zd\n", y->number[0], y->number[1]);
	if (described)
		gmp_printf("# n = %Zd\n", f->root);
	residue_clear(&r);
}

/* got = expected for the number x, in limbs */
static inline void
check_number(const field *f, const mp_limb_t *got, const mpz_t expected, const char *what, const mpz_t x)
{
	if (check_limbs(got, mpz_size(f->m), expected, "%s", what))
		gmp_printf("# of %Zd\n# n = %Zd\n", x, f->root);
}

static inline void
check_unchanged(const field *f, const mp_limb_t *a, const residue *x)
{
	residue		r;

	residue_init(&r);
	residue_read(f, &r, a);
	check_digits(f, a, "an input");
	for (int i = 0; i < 2; i++)
		check_mpz(r.number[i], x->number[i], "an input that is not the output was changed");
	residue_clear(&r);
}

/* ---- one residue ---- */

static inline void
check_mul(const field *f, const residue *x, const residue *y)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *b = new_residue(f, y);
	mp_limb_t  *again = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	reference_product(f, expected, x->value, y->value);
	paillier_mont_mul(f->ctx, out.a, a, b, scratch.a);
	check_residue(f, out.a, RESULT, expected, "mul", x, y);
	check_unchanged(f, a, x);
	check_unchanged(f, b, y);
	check(guarded_intact(&scratch) && guarded_intact(&out), "mul overran its scratch or output");

	guarded_fill(&scratch);
	paillier_mont_mul(f->ctx, a, a, b, scratch.a);
	check_residue(f, a, RESULT, expected, "mul into its first operand", x, y);
	check_unchanged(f, b, y);
	paillier_mont_mul(f->ctx, b, again, b, scratch.a);
	check_residue(f, b, RESULT, expected, "mul into its second operand", x, y);
	check_unchanged(f, again, x);

	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(b);
	free_unaligned(again);
	guarded_free(&out);
	guarded_free(&scratch);
}

static inline void
check_sqr(const field *f, const residue *x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *again = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	reference_product(f, expected, x->value, x->value);
	paillier_mont_sqr(f->ctx, out.a, a, scratch.a);
	check_residue(f, out.a, RESULT, expected, "sqr", x, NULL);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "sqr overran its scratch or output");
	guarded_fill(&scratch);
	paillier_mont_sqr(f->ctx, a, a, scratch.a);
	check_residue(f, a, RESULT, expected, "sqr in place", x, NULL);
	paillier_mont_mul(f->ctx, again, again, again, scratch.a);
	check_residue(f, again, RESULT, expected, "mul of a number by itself, in place", x, NULL);

	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(again);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* The number below m that a residue stands for, both ways. */
static inline void
check_store(const field *f, const residue *x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(mpz_size(f->m));
	mp_limb_t  *a = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mod(expected, x->value, f->m);
	paillier_mont_store_var(f->ctx, out.a, a, scratch.a);
	check_number(f, out.a, expected, "store_var", x->value);
	check(guarded_intact(&scratch) && guarded_intact(&out), "store_var overran its scratch or output");
	guarded_fill(&scratch);
	guarded_fill(&out);
	paillier_mont_store_sec(f->ctx, out.a, a, scratch.a);
	check_number(f, out.a, expected, "store_sec", x->value);
	check(guarded_intact(&scratch) && guarded_intact(&out), "store_sec overran its scratch or output");
	check_unchanged(f, a, x);
	mpz_clear(expected);
	free_unaligned(a);
	guarded_free(&out);
	guarded_free(&scratch);
}

static inline void
check_conversions(const field *f, const residue *x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *again = new_residue(f, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x->value, f->r);
	mpz_mod(expected, expected, f->m);
	paillier_mont_enter(f->ctx, out.a, a, scratch.a);
	check_residue(f, out.a, RESULT, expected, "enter", x, NULL);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "enter overran its scratch or output");
	paillier_mont_enter(f->ctx, a, a, scratch.a);
	check_residue(f, a, RESULT, expected, "enter in place", x, NULL);
	paillier_mont_leave(f->ctx, a, a, scratch.a);
	mpz_mod(expected, x->value, f->m);
	check_residue(f, a, RESULT, expected, "enter and leave in place", x, NULL);

	mpz_mul(expected, x->value, f->r_inverse);
	mpz_mod(expected, expected, f->m);
	guarded_fill(&scratch);
	guarded_fill(&out);
	paillier_mont_leave(f->ctx, out.a, again, scratch.a);
	check_residue(f, out.a, RESULT, expected, "leave", x, NULL);
	check_unchanged(f, again, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "leave overran its scratch or output");

	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(again);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* x, which a field of any kernel describes. */
static inline void
check_import(const field *f, const field *from, const residue *x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *a = new_residue(from, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mod(expected, x->value, f->m);
	paillier_mont_import_var(f->ctx, out.a, from->kernel, a, from->words, scratch.a);
	check_residue(f, out.a, OPERAND, expected, "import_var", x, NULL);
	check_unchanged(from, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "import_var overran its scratch or output");
	mpz_clear(expected);
	free_unaligned(a);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* ---- eight residues ---- */

static inline void
gather(const field *f, mp_limb_t *a8, const residue *const *x)
{
	mp_limb_t  *a[LANES];

	for (int i = 0; i < LANES; i++)
		a[i] = new_residue(f, x[i]);
	f->kernel->gather8(f->ctx, a8, (const mp_limb_t *const *) a);
	for (int i = 0; i < LANES; i++)
		free_unaligned(a[i]);
}

/* Eight residues in the kernel's order. */
static inline mp_limb_t *
new_eight(const field *f, const residue *const *x)
{
	mp_limb_t  *a8 = new_unaligned(LANES * f->words);

	gather(f, a8, x);
	return a8;
}

static inline void
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

static inline void
check_unchanged8(const field *f, const mp_limb_t *a8, const residue *const *x)
{
	guarded		lane[LANES];

	scatter_guarded(f, lane, a8);
	for (int i = 0; i < LANES; i++)
	{
		check_unchanged(f, lane[i].a, x[i]);
		guarded_free(&lane[i]);
	}
}

static inline void
check_products8(const field *f, const mp_limb_t *got8, const residue *const *x, const residue *const *y,
				const char *what)
{
	guarded		lane[LANES];
	mpz_t		expected;

	mpz_init(expected);
	scatter_guarded(f, lane, got8);
	for (int i = 0; i < LANES; i++)
	{
		reference_product(f, expected, x[i]->value, y[i]->value);
		check_residue(f, lane[i].a, RESULT, expected, what, x[i], y[i]);
		guarded_free(&lane[i]);
	}
	mpz_clear(expected);
}

static inline void
check_mul8(const field *f, const residue *const *x, const residue *const *y)
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
	guarded_fill(&scratch);
	kernel->mul8(f->ctx, a8, a8, b8, scratch.a);
	check(mpn_cmp(a8, out8.a, LANES * f->words) == 0, "mul8 into its first operand");
	check_unchanged8(f, b8, y);
	gather(f, a8, x);
	kernel->mul8(f->ctx, b8, a8, b8, scratch.a);
	check(mpn_cmp(b8, out8.a, LANES * f->words) == 0, "mul8 into its second operand");
	check_unchanged8(f, a8, x);

	free_unaligned(a8);
	free_unaligned(b8);
	guarded_free(&out8);
	guarded_free(&scratch);
}

static inline void
check_sqr8(const field *f, const residue *const *x)
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
	guarded_fill(&scratch);
	kernel->mul8(f->ctx, b8, b8, b8, scratch.a);
	check_products8(f, b8, x, x, "mul8 of numbers by themselves, in place");
	kernel->sqr8(f->ctx, a8, a8, scratch.a);
	check(mpn_cmp(a8, out8.a, LANES * f->words) == 0, "sqr8 in place");

	free_unaligned(a8);
	free_unaligned(b8);
	guarded_free(&out8);
	guarded_free(&scratch);
}

/* gather8 and scatter8 undo each other. */
static inline void
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

/* ---- powers ---- */

/* Those with an exponent of 0 or 1 may be an operand as it is. */
static inline void
check_power(const field *f, const mp_limb_t *got, const residue *x, const mpz_t e, const char *what)
{
	mpz_t		expected;

	mpz_init(expected);
	reference_power(f, expected, x->value, e);
	check_residue(f, got, mpz_cmp_ui(e, 2) < 0 ? OPERAND : RESULT, expected, what, x, NULL);
	mpz_clear(expected);
}

/* x^e, with some leading zero limbs before e */
static inline void
check_pow(const field *f, const residue *x, const mpz_t e, int zero_limbs, bool in_place)
{
	int			elimbs = mpz_size(e) + zero_limbs;
	guarded		scratch = guarded_new(PAILLIER_MONT_POW_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *exponent = new_number(elimbs, e);
	mp_limb_t  *base = new_residue(f, x);

	paillier_mont_pow(f->ctx, in_place ? base : out.a, base, exponent, elimbs, scratch.a);
	check_power(f, in_place ? base : out.a, x, e, in_place ? "pow in place" : "pow");
	if (!in_place)
		check_unchanged(f, base, x);
	check_limbs(exponent, elimbs, e, "pow changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out), "pow overran its scratch or output");

	free_unaligned(base);
	free_unaligned(exponent);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* x^e, with some zero bits before e */
static inline void
check_pow_sec(const field *f, const residue *x, const mpz_t e, int ebits, bool in_place)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_POW_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *exponent = new_number((ebits + 63) / 64, e);
	mp_limb_t  *base = new_residue(f, x);

	paillier_mont_pow_sec(f->ctx, in_place ? base : out.a, base, exponent, ebits, scratch.a);
	check_power(f, in_place ? base : out.a, x, e, in_place ? "pow_sec in place" : "pow_sec");
	if (!in_place)
		check_unchanged(f, base, x);
	check_limbs(exponent, (ebits + 63) / 64, e, "pow_sec changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out), "pow_sec overran its scratch or output");

	free_unaligned(base);
	free_unaligned(exponent);
	guarded_free(&out);
	guarded_free(&scratch);
}

static inline void
check_pow8_sec(const field *f, const residue *const *x, const mpz_t e, int ebits, bool in_place)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_POW8_SCRATCH(f->words));
	guarded		out8 = guarded_new(LANES * f->words);
	mp_limb_t  *exponent = new_number((ebits + 63) / 64, e);
	mp_limb_t  *base8 = new_eight(f, x);
	guarded		lane[LANES];

	paillier_mont_pow8_sec(f->ctx, in_place ? base8 : out8.a, base8, exponent, ebits, scratch.a);
	scatter_guarded(f, lane, in_place ? base8 : out8.a);
	for (int i = 0; i < LANES; i++)
	{
		check_power(f, lane[i].a, x[i], e, in_place ? "pow8_sec in place" : "pow8_sec");
		guarded_free(&lane[i]);
	}
	if (!in_place)
		check_unchanged8(f, base8, x);
	check_limbs(exponent, (ebits + 63) / 64, e, "pow8_sec changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out8), "pow8_sec overran its scratch or output");

	free_unaligned(base8);
	free_unaligned(exponent);
	guarded_free(&out8);
	guarded_free(&scratch);
}

#endif
