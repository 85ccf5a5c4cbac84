/*
 * mont_field.h
 *		For the tests of Montgomery arithmetic: a modulus with all that is known of
 *		its residues without asking the kernel, and operands of all kinds.
 *
 * A residue is one number, or a pair x0 + x1·n with x0 and x1 in H digits of 52
 * bits each, or, of the kernel `pairs`, x0·S + x1·n with x0 and x1 below S, in the
 * limbs of n.
 */
#ifndef MONT_FIELD_H
#define MONT_FIELD_H

#include "kernels.h"

#define LANES 8
#define MAX_ROOT_BITS (32 * PAILLIER_MAX_LIMBS)

typedef struct residue
{
	mpz_t		number[2];		/* the second is 0 where there is but one */
	mpz_t		value;			/* what they stand for, not reduced */
} residue;

/* What may be given to functions, and what loading gives; what products and powers give. */
typedef enum residue_range
{
	OPERAND,
	RESULT
} residue_range;

#define OPERANDS 17

typedef struct field
{
	const paillier_kernel *kernel;
	paillier_mont *ctx;			/* NULL: only described */
	bool		shifted;		/* x0 counts S */
	int			numbers;		/* in a residue */
	int			digits;			/* of each */
	int			words;			/* of a residue */
	mpz_t		root;			/* n */
	mpz_t		m;				/* n² */
	mpz_t		s;				/* S = 2^(digits·digit_bits), by which products are divided */
	mpz_t		r;				/* R: S, or S² */
	mpz_t		r_inverse;		/* 1/R mod m */
	mpz_t		limit[2][2];	/* numbers are below these */
	residue		operands[OPERANDS];
} field;

/* ---- residues ---- */

static inline void
residue_init(residue *x)
{
	mpz_inits(x->number[0], x->number[1], x->value, NULL);
}

static inline void
residue_clear(residue *x)
{
	mpz_clears(x->number[0], x->number[1], x->value, NULL);
}

static inline void
residue_join(const field *f, residue *x)
{
	if (f->shifted)
		mpz_mul(x->value, x->number[0], f->s);
	else
		mpz_set(x->value, x->number[0]);
	mpz_addmul(x->value, x->number[1], f->root);
}

/* The residue of a value modulo m whose numbers are as small as they get. */
static inline void
residue_set(const field *f, residue *x, const mpz_t value)
{
	if (f->numbers == 1)
		mpz_set(x->number[0], value);
	else if (!f->shifted)
		mpz_fdiv_qr(x->number[1], x->number[0], value, f->root);
	else
	{
		/* x0 = value/S mod n, and x1 = (value - x0·S)/n mod n */
		if (!mpz_invert(x->number[0], f->s, f->root))
			abort();
		mpz_mul(x->number[0], x->number[0], value);
		mpz_mod(x->number[0], x->number[0], f->root);
		mpz_set(x->number[1], value);
		mpz_submul(x->number[1], x->number[0], f->s);
		mpz_divexact(x->number[1], x->number[1], f->root);
		mpz_mod(x->number[1], x->number[1], f->root);
	}
	residue_join(f, x);
}

/* A number from digits, the unused bits of which are not looked at. */
static inline void
mpz_from_digits(mpz_t x, const mp_limb_t *a, int digits, int digit_bits)
{
	mpz_import(x, digits, -1, sizeof(mp_limb_t), 0, 64 - digit_bits, a);
}

static inline void
residue_read(const field *f, residue *x, const mp_limb_t *a)
{
	for (int i = 0; i < f->numbers; i++)
		mpz_from_digits(x->number[i], a + i * f->digits, f->digits, f->kernel->digit_bits);
	residue_join(f, x);
}

static inline bool
in_range(const field *f, const residue *x, residue_range range)
{
	return mpz_cmp(x->number[0], f->limit[range][0]) < 0 && mpz_cmp(x->number[1], f->limit[range][1]) < 0;
}

/* An operand in memory of just its size. */
static inline mp_limb_t *
new_residue(const field *f, const residue *x)
{
	mp_limb_t  *a = new_unaligned(f->words);

	if (!in_range(f, x, OPERAND))
		abort();
	mpn_zero(a, f->words);
	for (int i = 0; i < f->numbers; i++)
		mpz_export(a + i * f->digits, NULL, -1, sizeof(mp_limb_t), 0, 64 - f->kernel->digit_bits, x->number[i]);
	return a;
}

static inline mp_limb_t *
new_number(int limbs, const mpz_t x)
{
	mp_limb_t  *a = new_unaligned(limbs);

	mpz_to_limbs(a, limbs, x);
	return a;
}

/* ---- operands ---- */

/* The number of exactly these bits, all ones. */
static inline void
all_ones(mpz_t x, int bits)
{
	mpz_set_ui(x, 0);
	mpz_setbit(x, bits);
	mpz_sub_ui(x, x, 1);
}

/*
 * Below a limit: zeros, ones and random bits, in runs of whole digits, which make
 * carries travel far.
 */
static inline void
random_runs(mpz_t x, const mpz_t limit, int digit_bits)
{
	mp_limb_t	a[PAILLIER_MAX_WORDS];
	int			digits = (mpz_sizeinbase(limit, 2) - 1) / digit_bits;
	int			kind = 0;
	mpz_t		high;

	mpz_init(high);
	for (int i = 0; i < digits; i++)
	{
		if (random_int(4) == 0)
			kind = random_int(3);
		a[i] = kind == 0 ? 0 : kind == 1 ? ~(mp_limb_t) 0 : random64();
	}
	mpz_from_digits(x, a, digits, digit_bits);
	mpz_fdiv_q_2exp(high, limit, digits * digit_bits);
	random_mpz_below(high, high);
	mpz_mul_2exp(high, high, digits * digit_bits);
	mpz_add(x, x, high);
	mpz_clear(high);
}

/* Kinds of numbers below a limit, for a modulus of these numbers. */
typedef enum number_kind
{
	ZERO,
	MODULUS,
	MULTIPLE,					/* the largest of the modulus */
	BELOW_MULTIPLE,
	MOST,						/* the largest of all */
	ONES,						/* the largest of nothing but ones */
	ONES_BELOW,					/* the largest of ones in all digits but the highest */
	RANDOM,
	RUNS
} number_kind;

static inline void
choose_number(const field *f, mpz_t x, number_kind kind, const mpz_t limit)
{
	const mpz_t *modulus = f->numbers == 1 ? &f->m : &f->root;
	int			bits = mpz_sizeinbase(limit, 2);
	int			high = (bits - 1) / f->kernel->digit_bits * f->kernel->digit_bits;

	mpz_sub_ui(x, limit, 1);
	switch (kind)
	{
		case ZERO:
			mpz_set_ui(x, 0);
			break;
		case MODULUS:
			mpz_set(x, *modulus);
			break;
		case MULTIPLE:
		case BELOW_MULTIPLE:
			mpz_fdiv_q(x, x, *modulus);
			mpz_mul(x, x, *modulus);
			mpz_sub_ui(x, x, kind == BELOW_MULTIPLE);
			break;
		case MOST:
			break;
		case ONES:
			all_ones(x, bits - 1);
			break;
		case ONES_BELOW:
			mpz_fdiv_q_2exp(x, limit, high);
			mpz_mul_2exp(x, x, high);
			mpz_sub_ui(x, x, 1);
			break;
		case RANDOM:
			random_mpz_below(x, limit);
			break;
		case RUNS:
			random_runs(x, limit, f->kernel->digit_bits);
			break;
	}
}

/* What the numbers of an operand are, by how many of them there are. */
static const struct
{
	number_kind one;
	number_kind two[2];
}			operand_kinds[] = {
	{MOST, {MOST, MOST}},
	{MULTIPLE, {ONES, ONES}},
	{BELOW_MULTIPLE, {ONES_BELOW, ONES_BELOW}},
	{MODULUS, {MODULUS, MODULUS}},
	{RANDOM, {RANDOM, RANDOM}},
	{RUNS, {RUNS, RUNS}},
	{RUNS, {RUNS, RUNS}},
	{RANDOM, {MOST, ZERO}},
	{RUNS, {ZERO, MOST}},
	{RANDOM, {MULTIPLE, BELOW_MULTIPLE}},
};

#define VALUES (OPERANDS - LENGTH(operand_kinds))

static inline void
choose_values(const field *f, mpz_t value[VALUES])
{
	for (int i = 0; i < VALUES; i++)
		mpz_init(value[i]);
	mpz_set_ui(value[1], 1);
	mpz_sub_ui(value[2], f->m, 1);
	mpz_set(value[3], f->root);
	mpz_mod(value[4], f->r, f->m);
	mpz_sub_ui(value[5], f->r, 1);
	mpz_mod(value[5], value[5], f->m);
	random_mpz_below(value[6], f->m);
}

static inline void
choose_operands(field *f)
{
	mpz_t		value[VALUES];

	choose_values(f, value);
	for (int i = 0; i < OPERANDS; i++)
	{
		residue    *x = &f->operands[i];

		residue_init(x);
		if (i < VALUES)
		{
			residue_set(f, x, value[i]);
			mpz_clear(value[i]);
			continue;
		}
		if (f->numbers == 1)
			choose_number(f, x->number[0], operand_kinds[i - VALUES].one, f->limit[OPERAND][0]);
		for (int j = 0; j < f->numbers && f->numbers > 1; j++)
			choose_number(f, x->number[j], operand_kinds[i - VALUES].two[j], f->limit[OPERAND][j]);
		residue_join(f, x);
	}
}

/* A new random operand in the place of another. */
static inline void
choose_random_operand(const field *f, residue *x)
{
	for (int i = 0; i < f->numbers; i++)
		random_mpz_below(x->number[i], f->limit[OPERAND][i]);
	residue_join(f, x);
}

/* Eight operands in a row, from one of them on. */
static inline void
choose_eight(const field *f, const residue **x, int first)
{
	for (int i = 0; i < LANES; i++)
		x[i] = &f->operands[(first + i) % OPERANDS];
}

/* ---- moduli ---- */

/* R = 2^(52·H) is 2^14 times larger than n, or 2^18 times: H digits of a number, in steps of 4. */
static inline int
pair_digits(int root_bits)
{
	int			digits = 8;

	while (52 * digits < root_bits + (digits <= 40 ? 14 : 18))
		digits += 4;
	return digits;
}

/* Numbers are below these. */
static inline void
choose_limits(field *f)
{
	mpz_t		four_n;

	mpz_init(four_n);
	mpz_mul_2exp(four_n, f->root, 2);
	for (residue_range range = OPERAND; range <= RESULT; range++)
	{
		mpz_inits(f->limit[range][0], f->limit[range][1], NULL);
		mpz_set(f->limit[range][0], f->s);
		if (f->numbers == 1)
			mpz_set_ui(f->limit[range][1], 1);
		else if (f->shifted)
		{
			if (mpz_cmp(four_n, f->s) <= 0)
				mpz_mul_ui(f->limit[range][0], f->root, 2);
			mpz_set(f->limit[range][1], f->s);
		}
		else
		{
			mpz_mul_ui(f->limit[range][0], f->root, range == RESULT ? 2 : 2 * f->digits + 4);
			mpz_mul_ui(f->limit[range][1], f->root, range == RESULT ? 3 : 5);
		}
	}
	mpz_clear(four_n);
}

/* All that is known, without the kernel at work. */
static inline void
field_describe(field *f, const paillier_kernel *kernel, const mpz_t root)
{
	mpz_inits(f->m, f->s, f->r, f->r_inverse, NULL);
	mpz_init_set(f->root, root);
	mpz_mul(f->m, root, root);
	f->kernel = kernel;
	f->ctx = NULL;
	f->shifted = kernel == &paillier_kernel_pairs;
	f->numbers = kernel->format == PAILLIER_FORMAT_LIMBS ? 1 : 2;
	f->digits = f->numbers == 1 ? (int) mpz_size(f->m) : f->shifted ? (int) mpz_size(root)
		: pair_digits(mpz_sizeinbase(root, 2));
	f->words = f->numbers * f->digits;
	mpz_setbit(f->s, f->digits * kernel->digit_bits);
	mpz_pow_ui(f->r, f->s, f->shifted ? 2 : 1);
	if (!mpz_invert(f->r_inverse, f->r, f->m))
		abort();

	choose_limits(f);
	choose_operands(f);
}

/* What paillier_mont_init() has computed. */
static inline void
check_context(const field *f)
{
	const paillier_mont *ctx = f->ctx;
	residue		got;
	mpz_t		x;

	residue_init(&got);
	mpz_init(x);
	check(ctx->kernel == f->kernel, "kernel");
	check_int(ctx->limbs, mpz_size(f->m), "limbs");
	check_int(ctx->root_limbs, mpz_size(f->root), "root_limbs");
	check_int(ctx->words, f->words, "words");
	check_int(ctx->radix_bits, mpz_sizeinbase(f->r, 2) - 1, "radix_bits");
	check_limbs(ctx->m, ctx->limbs, f->m, "m");
	check_limbs(ctx->root, ctx->root_limbs, f->root, "root");

	mpz_mul_ui(x, f->numbers == 1 ? f->m : f->root, ctx->neg_inv);
	mpz_add_ui(x, x, 1);
	check(mpz_divisible_2exp_p(x, f->kernel->digit_bits), "neg_inv");

	residue_read(f, &got, ctx->unit);
	check(in_range(f, &got, OPERAND), "1 is too large for a residue");
	mpz_mod(got.value, got.value, f->m);
	check(mpz_cmp_ui(got.value, 1) == 0, "unit");
	mpz_mod(x, f->r, f->m);
	residue_read(f, &got, ctx->one);
	check(in_range(f, &got, OPERAND), "1 in Montgomery form is too large for a residue");
	mpz_mod(got.value, got.value, f->m);
	check_mpz(got.value, x, "one");
	mpz_mul(x, f->r, f->r);
	mpz_mod(x, x, f->m);
	residue_read(f, &got, ctx->r2);
	check(in_range(f, &got, OPERAND), "R in Montgomery form is too large for a residue");
	mpz_mod(got.value, got.value, f->m);
	check_mpz(got.value, x, "r2");
	residue_clear(&got);
	mpz_clear(x);
}

static inline void
field_init(field *f, const paillier_kernel *kernel, const mpz_t root)
{
	int			limbs = mpz_size(root);
	mp_limb_t  *in = new_number(limbs, root);
	guarded		scratch;

	field_describe(f, kernel, root);
	f->ctx = (paillier_mont *) new_unaligned(sizeof(paillier_mont) / sizeof(mp_limb_t));
	scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	paillier_mont_init(f->ctx, kernel, in, limbs, scratch.a);
	check(guarded_intact(&scratch), "init overran its scratch");
	check_limbs(in, limbs, root, "init changed its input");
	check_context(f);
	guarded_free(&scratch);
	free_unaligned(in);
}

static inline void
field_clear(field *f)
{
	for (int i = 0; i < OPERANDS; i++)
		residue_clear(&f->operands[i]);
	for (residue_range range = OPERAND; range <= RESULT; range++)
		mpz_clears(f->limit[range][0], f->limit[range][1], NULL);
	mpz_clears(f->root, f->m, f->s, f->r, f->r_inverse, NULL);
	if (f->ctx != NULL)
		free_unaligned(f->ctx);
}

/* ---- references ---- */

/* x·y/R mod m */
static inline void
reference_product(const field *f, mpz_t product, const mpz_t x, const mpz_t y)
{
	mpz_mul(product, x, y);
	mpz_mul(product, product, f->r_inverse);
	mpz_mod(product, product, f->m);
}

/* base^e in Montgomery form */
static inline void
reference_power(const field *f, mpz_t power, const mpz_t base, const mpz_t e)
{
	mpz_mul(power, base, f->r_inverse);
	mpz_powm(power, power, e, f->m);
	mpz_mul(power, power, f->r);
	mpz_mod(power, power, f->m);
}

#endif
