/*
 * mont_carries.h
 *		Products that leave carries a long way to go: factors that are found for the
 *		product.
 */
#ifndef MONT_CARRIES_H
#define MONT_CARRIES_H

#include "mont_checks.h"

/* ---- multiples of S ---- */

/*
 * One number of x times one of y is k·S, for k = base - 1, base and base + 1, or a
 * little more than that; the other numbers are 0.  Zeros in the places that are
 * not multiples of S in range.
 */
static inline void
choose_multiples_of_s(const field *f, residue *x, residue *y, const mpz_t base, int number_x, int number_y)
{
	const mpz_t *limit = f->limit[OPERAND];
	int			shift = mpz_sizeinbase(limit[number_y], 2) - 2;

	for (int i = 0; i < LANES; i++)
	{
		residue_init(&x[i]);
		residue_init(&y[i]);
		mpz_setbit(y[i].number[number_y], shift);
		mpz_add_ui(y[i].number[number_y], y[i].number[number_y], i / 3);
		mpz_add_ui(x[i].number[number_x], base, i % 3);
		mpz_sub_ui(x[i].number[number_x], x[i].number[number_x], 1);
		mpz_mul(x[i].number[number_x], x[i].number[number_x], f->s);
		mpz_fdiv_q_2exp(x[i].number[number_x], x[i].number[number_x], shift);
		if (mpz_cmp(x[i].number[number_x], limit[number_x]) >= 0)
			mpz_set_ui(x[i].number[number_x], 0);
		residue_join(f, &x[i]);
		residue_join(f, &y[i]);
	}
}

/*
 * Products that are multiples of S before the reduction, for which the quotient is
 * 0, by all numbers that are one digit and zeros, or ones and nothing else.
 */
static inline void
check_multiples_of_s(const field *f)
{
	mpz_t		base;

	mpz_init(base);
	for (int i = 0; i < f->digits; i += i < 2 ? 1 : 1 + f->digits / 5)
		for (int number = 0; number <= 2 * (f->numbers - 1); number++)
		{
			residue		x[LANES];
			residue		y[LANES];
			const residue *all_x[LANES];
			const residue *all_y[LANES];

			mpz_set_ui(base, 0);
			mpz_setbit(base, i * f->kernel->digit_bits);
			choose_multiples_of_s(f, x, y, base, number == 1, number == 2);
			for (int j = 0; j < LANES; j++)
			{
				all_x[j] = &x[j];
				all_y[j] = &y[j];
				check_mul(f, &x[j], &y[j]);
			}
			check_mul8(f, all_x, all_y);
			for (int j = 0; j < LANES; j++)
			{
				residue_clear(&x[j]);
				residue_clear(&y[j]);
			}
		}
	mpz_clear(base);
}

/* ---- runs of digits ---- */

/* How many results have just the numbers that were wanted, not others congruent to them. */
typedef struct wanted
{
	int			tried;
	int			exact[2];
} wanted;

static inline void
count_exact(const field *f, const mp_limb_t *got, const residue *z, wanted *count)
{
	residue		r;

	residue_init(&r);
	residue_read(f, &r, got);
	for (int i = 0; i < f->numbers; i++)
		count->exact[i] += mpz_cmp(r.number[i], z->number[i]) == 0;
	residue_clear(&r);
}

/* y is random, and x is z·R/y. */
static inline void
choose_wanted_factors(const field *f, residue *x, residue *y, const residue *z)
{
	mpz_t		value;

	residue_init(x);
	residue_init(y);
	mpz_init(value);
	do
		random_mpz_below(y->value, f->m);
	while (!mpz_invert(value, y->value, f->m));
	residue_set(f, y, y->value);
	mpz_mul(value, value, z->value);
	mpz_mul(value, value, f->r);
	mpz_mod(value, value, f->m);
	residue_set(f, x, value);
	mpz_clear(value);
}

/* Products that stand for z[0 … 7]. */
static inline void
check_wanted_products(const field *f, const residue *z, wanted *single, wanted *eight)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH8(f->words));
	residue		x[LANES];
	residue		y[LANES];
	const residue *all_x[LANES];
	const residue *all_y[LANES];
	guarded		lane[LANES];
	mp_limb_t  *a8;
	mp_limb_t  *b8;
	mpz_t		value;

	mpz_init(value);
	for (int i = 0; i < LANES; i++)
	{
		choose_wanted_factors(f, &x[i], &y[i], &z[i]);
		all_x[i] = &x[i];
		all_y[i] = &y[i];
	}
	a8 = new_eight(f, all_x);
	b8 = new_eight(f, all_y);
	f->kernel->mul8(f->ctx, a8, a8, b8, scratch.a);
	scatter_guarded(f, lane, a8);
	for (int i = 0; i < LANES; i++)
	{
		mp_limb_t  *a = new_residue(f, &x[i]);
		mp_limb_t  *b = new_residue(f, &y[i]);

		paillier_mont_mul(f->ctx, a, a, b, scratch.a);
		mpz_mod(value, z[i].value, f->m);
		check_residue(f, a, RESULT, value, "mul", &x[i], &y[i]);
		check_residue(f, lane[i].a, RESULT, value, "mul8", &x[i], &y[i]);
		count_exact(f, a, &z[i], single);
		count_exact(f, lane[i].a, &z[i], eight);
		free_unaligned(a);
		free_unaligned(b);
		guarded_free(&lane[i]);
		residue_clear(&x[i]);
		residue_clear(&y[i]);
	}
	single->tried += LANES;
	eight->tried += LANES;
	mpz_clear(value);
	free_unaligned(a8);
	free_unaligned(b8);
	guarded_free(&scratch);
}

/*
 * Random digits, but those from one to another all zero, or all ones, in numbers
 * below the modulus.  The second of a pair is above it if asked for: kernels add n
 * to it, or do not.
 */
static inline void
numbers_with_run(const field *f, residue *z, int from, int to, bool ones, bool above)
{
	const mpz_t *modulus = f->numbers == 1 ? &f->m : &f->root;
	mp_limb_t	a[PAILLIER_MAX_WORDS];
	mpz_t		least;

	mpz_init(least);
	for (int i = 0; i < f->numbers; i++)
	{
		mpz_t	   *x = &z->number[i];

		if (i == 1 && above)
			mpz_set(least, f->root);
		random_mpz_below(*x, *modulus);
		mpz_add(*x, *x, least);
		mpn_zero(a, f->digits);
		mpz_export(a, NULL, -1, sizeof(mp_limb_t), 0, 64 - f->kernel->digit_bits, *x);
		for (int j = from; j < to; j++)
			a[j] = ones ? ~(mp_limb_t) 0 : 0;
		mpz_from_digits(*x, a, f->digits, f->kernel->digit_bits);
		mpz_sub(*x, *x, least);
		mpz_mod(*x, *x, *modulus);
		mpz_add(*x, *x, least);
	}
	residue_join(f, z);
	mpz_clear(least);
}

static inline void
check_exact(const field *f, const wanted *count, const char *what)
{
	for (int i = 0; i < f->numbers; i++)
		check(count->exact[i] > count->tried / 4, "%s: only %d of %d products have the number %d that was wanted", what,
			  count->exact[i], count->tried, i);
}

#endif
