/*
 * mont_chain.h
 *		Very many random products: eight numbers that are multiplied by others and
 *		squared, again and again, one by one and all at once, with each kernel.
 *
 * An error in one product is an error in all that follow.
 */
#ifndef MONT_CHAIN_H
#define MONT_CHAIN_H

#include "mont_loads.h"

/*
 * Lanes and eight hold x·c for the numbers x, where c is lost by the factors of
 * 1/R that products bring: 1/c goes along with them.
 */
typedef struct chain
{
	field		f;
	mpz_t		lost;			/* 1/c mod m */
	mp_limb_t  *lane[LANES];
	mp_limb_t  *loaded;
	mp_limb_t  *eight;
	mp_limb_t  *loaded8;
	mp_limb_t  *spread[LANES];	/* what is in `eight` */
	mp_limb_t  *limit[2][2];	/* those of the field, in digits */
	mp_limb_t  *scratch;
} chain;

/* Begin with eight numbers below m. */
static inline void
chain_init(chain *c, const paillier_kernel *kernel, const mpz_t root, const mpz_t *numbers)
{
	field	   *f = &c->f;
	residue		x[LANES];
	const residue *all[LANES];

	field_init(f, kernel, root);
	c->scratch = new_unaligned(PAILLIER_MONT_SCRATCH8(f->words));
	for (int i = 0; i < LANES; i++)
	{
		residue_init(&x[i]);
		residue_set(f, &x[i], numbers[i]);
		all[i] = &x[i];
		c->lane[i] = new_residue(f, &x[i]);
		c->spread[i] = new_unaligned(f->words);
	}
	c->eight = new_eight(f, all);
	for (int i = 0; i < LANES; i++)
		residue_clear(&x[i]);
	c->loaded = new_unaligned(f->words);
	c->loaded8 = new_unaligned(LANES * f->words);
	mpz_init_set_ui(c->lost, 1);
	for (int i = 0; i < 2; i++)
		for (residue_range range = OPERAND; range <= RESULT; range++)
		{
			/* one digit more: 2^radix_bits itself */
			c->limit[range][i] = new_unaligned(f->digits + 1);
			mpn_zero(c->limit[range][i], f->digits + 1);
			mpz_export(c->limit[range][i], NULL, -1, sizeof(mp_limb_t), 0, 64 - kernel->digit_bits, f->limit[range][i]);
		}
}

static inline void
chain_clear(chain *c)
{
	for (int i = 0; i < LANES; i++)
	{
		free_unaligned(c->lane[i]);
		free_unaligned(c->spread[i]);
	}
	for (int i = 0; i < 2; i++)
		for (residue_range range = OPERAND; range <= RESULT; range++)
			free_unaligned(c->limit[range][i]);
	free_unaligned(c->loaded);
	free_unaligned(c->eight);
	free_unaligned(c->loaded8);
	free_unaligned(c->scratch);
	mpz_clear(c->lost);
	field_clear(&c->f);
}

/* in_range() of digits, which is fast. */
static inline void
check_range(const chain *c, const mp_limb_t *a, residue_range range, const char *what)
{
	const field *f = &c->f;

	check_digits(f, a, what);
	for (int i = 0; i < f->numbers; i++)
		check(c->limit[range][i][f->digits] > 0 || mpn_cmp(a + i * f->digits, c->limit[range][i], f->digits) < 0,
			  "%s: too large for a residue", what);
}

/* Residues for the same number, which need not be equal. */
static inline void
check_same(const chain *c, const mp_limb_t *a, const mp_limb_t *b, const char *what)
{
	residue		x;
	residue		y;

	if (mpn_cmp(a, b, c->f.words) == 0)
		return;
	residue_init(&x);
	residue_init(&y);
	residue_read(&c->f, &x, a);
	residue_read(&c->f, &y, b);
	check(mpz_congruent_p(x.value, y.value, c->f.m), "%s: one by one and eight at once differ", what);
	residue_clear(&x);
	residue_clear(&y);
}

static inline void
check_eight(chain *c, const char *what)
{
	c->f.kernel->scatter8(c->f.words, c->spread, c->eight);
	for (int i = 0; i < LANES; i++)
	{
		check_range(c, c->lane[i], RESULT, what);
		check_range(c, c->spread[i], RESULT, what);
		check_same(c, c->lane[i], c->spread[i], what);
	}
}

/* Multiply by eight numbers, in limbs. */
static inline void
chain_multiply(chain *c, const mp_limb_t *const *factors)
{
	const field *f = &c->f;

	f->kernel->load8(f->ctx, c->loaded8, factors, c->scratch);
	f->kernel->mul8(f->ctx, c->eight, c->eight, c->loaded8, c->scratch);
	f->kernel->scatter8(f->words, c->spread, c->loaded8);
	for (int i = 0; i < LANES; i++)
	{
		paillier_mont_load(f->ctx, c->loaded, factors[i], c->scratch);
		paillier_mont_mul(f->ctx, c->lane[i], c->lane[i], c->loaded, c->scratch);
		check_range(c, c->loaded, OPERAND, "load");
		check_range(c, c->spread[i], OPERAND, "load8");
		check_same(c, c->loaded, c->spread[i], "load");
	}
	mpz_mul(c->lost, c->lost, f->r);
	mpz_mod(c->lost, c->lost, f->m);
	check_eight(c, "mul");
}

static inline void
chain_square(chain *c)
{
	const field *f = &c->f;

	f->kernel->sqr8(f->ctx, c->eight, c->eight, c->scratch);
	for (int i = 0; i < LANES; i++)
		paillier_mont_sqr(f->ctx, c->lane[i], c->lane[i], c->scratch);
	mpz_mul(c->lost, c->lost, c->lost);
	mpz_mul(c->lost, c->lost, f->r);
	mpz_mod(c->lost, c->lost, f->m);
	check_eight(c, "sqr");
}

/* The number in a lane. */
static inline void
chain_number(const chain *c, mpz_t x, int lane)
{
	mp_limb_t	number[PAILLIER_MAX_LIMBS];

	paillier_mont_store_var(c->f.ctx, number, c->lane[lane], c->scratch);
	mpz_from_limbs(x, number, c->f.ctx->limbs);
	mpz_mul(x, x, c->lost);
	mpz_mod(x, x, c->f.m);
}

/* ---- steps of the chains of all kernels ---- */

/* Eight factors: random numbers below 4·m, such with runs, and those next to multiples of n. */
static inline void
choose_next(const field *f, const mpz_t limit, mpz_t *numbers, mp_limb_t *const *factors)
{
	int			limbs = mpz_size(f->m);

	for (int i = 0; i < LANES; i++)
	{
		if (i % 2 == 0)
			random_mpz_below(numbers[i], limit);
		else
			random_runs(numbers[i], limit, 52);
		if (random_int(4) == 0)
		{
			mpz_fdiv_q(numbers[i], numbers[i], f->root);
			mpz_mul(numbers[i], numbers[i], f->root);
			mpz_add_ui(numbers[i], numbers[i], 1);
			if (random_int(2) == 0 && mpz_cmp_ui(numbers[i], 1) > 0)
				mpz_sub_ui(numbers[i], numbers[i], 2);
		}
		if (mpz_sgn(numbers[i]) == 0)
			mpz_set_ui(numbers[i], 1);
		mpz_to_limbs(factors[i], limbs, numbers[i]);
	}
}

static inline void
multiply_and_square(chain *chains, int count, mp_limb_t *const *factors)
{
	for (int i = 0; i < count; i++)
	{
		chain_multiply(&chains[i], (const mp_limb_t *const *) factors);
		chain_square(&chains[i]);
	}
}

/* One step that is computed by mpz_t too. */
static inline void
check_chain_step(chain *chains, int count, const mpz_t *numbers, mp_limb_t *const *factors)
{
	mpz_t		expected[LANES];
	mpz_t		got;

	mpz_init(got);
	for (int lane = 0; lane < LANES; lane++)
	{
		mpz_init(expected[lane]);
		chain_number(&chains[0], expected[lane], lane);
		check(mpz_sgn(expected[lane]) != 0, "nothing but zero is left in lane %d", lane);
		for (int i = 1; i < count; i++)
		{
			chain_number(&chains[i], got, lane);
			check_mpz(got, expected[lane], "the kernels differ");
		}
		mpz_mul(expected[lane], expected[lane], numbers[lane]);
		mpz_mul(expected[lane], expected[lane], expected[lane]);
		mpz_mod(expected[lane], expected[lane], chains[0].f.m);
	}
	multiply_and_square(chains, count, factors);
	for (int lane = 0; lane < LANES; lane++)
	{
		for (int i = 0; i < count; i++)
		{
			chain_number(&chains[i], got, lane);
			check_mpz(got, expected[lane], "%s", chains[i].f.kernel->name);
		}
		mpz_clear(expected[lane]);
	}
	mpz_clear(got);
}

/* So many steps modulo the square of an n of so many bits. */
static inline void
test_many_products(int root_bits, int steps)
{
	chain	   *chains = allocate((kernel_count() + 1) * sizeof(chain));
	const paillier_kernel *kernel;
	mpz_t		numbers[LANES];
	mp_limb_t  *factors[LANES];
	mpz_t		root,
				limit;
	int			count = 0;
	char		names[100] = "";

	mpz_inits(root, limit, NULL);
	random_odd(root, root_bits);
	mpz_mul(limit, root, root);
	for (int i = 0; i < LANES; i++)
	{
		mpz_init(numbers[i]);
		random_mpz_below(numbers[i], limit);
		factors[i] = new_unaligned(2 * mpz_size(root));
	}
	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
		if (kernel->available())
		{
			chain_init(&chains[count++], kernel, root, (const mpz_t *) numbers);
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", count > 1 ? ", " : "", kernel->name);
		}
	chain_init(&chains[count++], &paillier_kernel_pairs, root, (const mpz_t *) numbers);
	group_begin("%s, pairs: %d random loads, products and squares modulo %d bits, one by one and by eight", names,
				LANES * steps, (int) mpz_sizeinbase(limit, 2));

	/* 4·m, or as much as its limbs hold */
	mpz_mul_2exp(limit, limit, 2);
	if (mpz_size(limit) > mpz_size(chains[0].f.m))
	{
		mpz_set_ui(limit, 0);
		mpz_setbit(limit, 64 * mpz_size(chains[0].f.m));
	}
	for (int step = 0; step < steps; step++)
	{
		choose_next(&chains[0].f, limit, numbers, factors);
		if (step % 50 == 0 || step == steps - 1)
			check_chain_step(chains, count, (const mpz_t *) numbers, factors);
		else
			multiply_and_square(chains, count, factors);
	}
	group_end();
	for (int i = 0; i < count; i++)
		chain_clear(&chains[i]);
	free(chains);
	for (int i = 0; i < LANES; i++)
	{
		mpz_clear(numbers[i]);
		free_unaligned(factors[i]);
	}
	mpz_clears(root, limit, NULL);
}

#endif
