/* cc -std=gnu11 -Isrc test/unit/test_mont.c src/mont.c -lgmp */
/*
 * test_mont.c
 *		Montgomery arithmetic against mpz_mul, mpz_mod and mpz_powm, for all
 *		shapes of moduli and operands, with guards around the scratch.
 */
#include "mont.h"
#include "reference.h"

static const int limb_counts[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 32, 33, 48, 64, 65, 96, 128, 192, 255, 256
};

typedef enum modulus_shape
{
	RANDOM_FULL,				/* the highest bit set */
	RANDOM_LOW,					/* the highest limb is 1 */
	LARGEST,					/* B^L - 1 */
	SMALLEST,					/* the smallest odd one of L limbs */
	MODULUS_SHAPES
} modulus_shape;

#define OPERANDS 9

/* A modulus, what is needed of it, and operands of all kinds below R. */
typedef struct field
{
	paillier_mont *ctx;
	int			limbs;
	mpz_t		m;
	mpz_t		r;				/* R */
	mpz_t		r_inverse;		/* 1/R mod m */
	mpz_t		operands[OPERANDS];
} field;

static void
choose_modulus(mpz_t m, int limbs, modulus_shape shape)
{
	int			low_bits = 64 * (limbs - 1);

	switch (shape)
	{
		case RANDOM_FULL:
			random_mpz(m, 64 * limbs);
			mpz_setbit(m, 64 * limbs - 1);
			break;
		case RANDOM_LOW:
			random_mpz(m, low_bits);
			mpz_setbit(m, low_bits);
			break;
		case LARGEST:
			mpz_set_ui(m, 0);
			mpz_setbit(m, 64 * limbs);
			mpz_sub_ui(m, m, 1);
			break;
		default:
			mpz_set_ui(m, 0);
			mpz_setbit(m, low_bits);
	}
	mpz_setbit(m, 0);
}

static void
choose_operands(field *f)
{
	mpz_t	   *operand = f->operands;

	for (int i = 0; i < OPERANDS; i++)
		mpz_init(operand[i]);
	mpz_set_ui(operand[1], 1);
	mpz_sub_ui(operand[2], f->m, 1);
	mpz_set(operand[3], f->m);
	mpz_sub_ui(operand[4], f->r, 1);
	mpz_mod(operand[5], f->r, f->m);
	mpz_mod(operand[6], operand[4], f->m);
	random_mpz_below(operand[7], f->m);
	random_mpz(operand[8], 64 * f->limbs);
}

/* Also checks what paillier_mont_init() computes. */
static void
field_init(field *f, int limbs, modulus_shape shape)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(limbs));
	mp_limb_t  *m;
	mpz_t		expected;

	mpz_inits(f->m, f->r, f->r_inverse, expected, NULL);
	f->limbs = limbs;
	choose_modulus(f->m, limbs, shape);
	mpz_setbit(f->r, 64 * limbs);
	if (!mpz_invert(f->r_inverse, f->r, f->m))
		mpz_set_ui(f->r_inverse, 0);	/* m = 1 */
	choose_operands(f);

	f->ctx = allocate(sizeof(paillier_mont));
	m = new_limbs_of(limbs, f->m);
	paillier_mont_init(f->ctx, m, limbs, scratch.a);
	check(guarded_intact(&scratch), "init overran its scratch");
	check_int(f->ctx->limbs, limbs, "limbs");
	check(f->ctx->neg_inv * m[0] == UINT64_MAX, "neg_inv");
	check_limbs(f->ctx->m, limbs, f->m, "m");
	mpz_mod(expected, f->r, f->m);
	check_limbs(f->ctx->one, limbs, expected, "one");
	mpz_mul(expected, f->r, f->r);
	mpz_mod(expected, expected, f->m);
	check_limbs(f->ctx->r2, limbs, expected, "r2");

	free(m);
	guarded_free(&scratch);
	mpz_clear(expected);
}

static void
field_clear(field *f)
{
	for (int i = 0; i < OPERANDS; i++)
		mpz_clear(f->operands[i]);
	mpz_clears(f->m, f->r, f->r_inverse, NULL);
	free(f->ctx);
}

/* got ≡ expected mod m for the inputs x and y; expected is reduced. */
static void
check_residue(const field *f, const mp_limb_t *got, const mpz_t expected, const char *what, const mpz_t x,
			  const mpz_t y)
{
	mpz_t		residue;

	mpz_init(residue);
	mpz_from_limbs(residue, got, f->limbs);
	mpz_mod(residue, residue, f->m);
	if (check_mpz(residue, expected, "%s", what))
		gmp_printf("# of %Zd\n# and %Zd\n# modulo %Zd\n", x, y, f->m);
	mpz_clear(residue);
}

/* got = expected for the input x */
static void
check_exact(const field *f, const mp_limb_t *got, const mpz_t expected, const char *what, const mpz_t x)
{
	if (check_limbs(got, f->limbs, expected, "%s", what))
		gmp_printf("# of %Zd\n# modulo %Zd\n", x, f->m);
}

static void
check_unchanged(const field *f, const mp_limb_t *a, const mpz_t operand)
{
	check_exact(f, a, operand, "an input that is not the output was changed", operand);
}

static void
check_mul(const field *f, const mpz_t x, const mpz_t y)
{
	guarded		scratch = guarded_new(2 * f->limbs);
	guarded		out = guarded_new(f->limbs);
	mp_limb_t  *a = new_limbs_of(f->limbs, x);
	mp_limb_t  *b = new_limbs_of(f->limbs, y);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x, y);
	mpz_mul(expected, expected, f->r_inverse);
	mpz_mod(expected, expected, f->m);

	paillier_mont_mul(f->ctx, out.a, a, b, scratch.a);
	check_residue(f, out.a, expected, "mul", x, y);
	check_unchanged(f, a, x);
	check_unchanged(f, b, y);
	check(guarded_intact(&scratch) && guarded_intact(&out), "mul overran its scratch or output");

	guarded_fill(&scratch);
	paillier_mont_mul(f->ctx, a, a, b, scratch.a);
	check_residue(f, a, expected, "mul into its first operand", x, y);
	check_unchanged(f, b, y);
	mpz_to_limbs(a, f->limbs, x);
	paillier_mont_mul(f->ctx, b, a, b, scratch.a);
	check_residue(f, b, expected, "mul into its second operand", x, y);
	check_unchanged(f, a, x);

	mpz_clear(expected);
	free(a);
	free(b);
	guarded_free(&out);
	guarded_free(&scratch);
}

static void
check_sqr(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(2 * f->limbs);
	guarded		out = guarded_new(f->limbs);
	mp_limb_t  *a = new_limbs_of(f->limbs, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x, x);
	mpz_mul(expected, expected, f->r_inverse);
	mpz_mod(expected, expected, f->m);

	paillier_mont_sqr(f->ctx, out.a, a, scratch.a);
	check_residue(f, out.a, expected, "sqr", x, x);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "sqr overran its scratch or output");
	guarded_fill(&scratch);
	paillier_mont_sqr(f->ctx, a, a, scratch.a);
	check_residue(f, a, expected, "sqr in place", x, x);
	mpz_to_limbs(a, f->limbs, x);
	paillier_mont_mul(f->ctx, a, a, a, scratch.a);
	check_residue(f, a, expected, "mul of a number by itself, in place", x, x);

	mpz_clear(expected);
	free(a);
	guarded_free(&out);
	guarded_free(&scratch);
}

static void
check_conversions(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(2 * f->limbs);
	guarded		short_scratch = guarded_new(f->limbs + 1);
	guarded		out = guarded_new(f->limbs);
	mp_limb_t  *a = new_limbs_of(f->limbs, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x, f->r);
	mpz_mod(expected, expected, f->m);
	paillier_mont_enter(f->ctx, out.a, a, scratch.a);
	check_residue(f, out.a, expected, "enter", x, x);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "enter overran its scratch or output");
	paillier_mont_canonical_var(f->ctx, out.a, short_scratch.a);
	check_exact(f, out.a, expected, "canonical_var after enter", x);
	check(guarded_intact(&short_scratch) && guarded_intact(&out), "canonical_var overran its scratch or operand");

	mpz_mod(expected, x, f->m);
	guarded_fill(&short_scratch);
	mpz_to_limbs(out.a, f->limbs, x);
	paillier_mont_canonical_var(f->ctx, out.a, short_scratch.a);
	check_exact(f, out.a, expected, "canonical_var", x);

	mpz_mul(expected, x, f->r_inverse);
	mpz_mod(expected, expected, f->m);
	guarded_fill(&scratch);
	paillier_mont_leave(f->ctx, out.a, a, scratch.a);
	check_exact(f, out.a, expected, "leave", x);
	check_unchanged(f, a, x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "leave overran its scratch or output");
	paillier_mont_leave(f->ctx, a, a, scratch.a);
	check_exact(f, a, expected, "leave in place", x);
	mpz_to_limbs(a, f->limbs, x);
	paillier_mont_enter(f->ctx, a, a, scratch.a);
	mpz_mul(expected, x, f->r);
	mpz_mod(expected, expected, f->m);
	check_residue(f, a, expected, "enter in place", x, x);

	mpz_clear(expected);
	free(a);
	guarded_free(&out);
	guarded_free(&short_scratch);
	guarded_free(&scratch);
}

/* x^e, with some leading zero limbs before e */
static void
check_pow(const field *f, const mpz_t x, const mpz_t e, int zero_limbs, bool in_place)
{
	int			elimbs = mpz_size(e) + zero_limbs;
	guarded		scratch = guarded_new(PAILLIER_MONT_POW_SCRATCH(f->limbs));
	guarded		out = guarded_new(f->limbs);
	mp_limb_t  *exponent = new_limbs_of(elimbs, e);
	mp_limb_t  *base = new_limbs_of(f->limbs, x);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x, f->r_inverse);
	mpz_powm(expected, expected, e, f->m);
	mpz_mul(expected, expected, f->r);
	mpz_mod(expected, expected, f->m);

	paillier_mont_pow(f->ctx, in_place ? base : out.a, base, exponent, elimbs, scratch.a);
	check_residue(f, in_place ? base : out.a, expected, in_place ? "pow in place" : "pow", x, e);
	if (!in_place)
		check_unchanged(f, base, x);
	check_limbs(exponent, elimbs, e, "pow changed its exponent");
	check(guarded_intact(&scratch) && guarded_intact(&out), "pow overran its scratch or output");

	mpz_clear(expected);
	free(base);
	free(exponent);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* Exponents in order: 0 to 3, then 2^k - 1 and 2^k, then random ones at the edges of window sizes. */
static void
check_powers(const field *f)
{
	static const int shifts[] = {5, 6, 63, 64, 65, 130};
	static const int bits[] = {4, 7, 24, 25, 80, 81, 240, 241, 600, 672, 673};
	mpz_t		e;
	int			count = 0;

	mpz_init(e);
#define CHECK_NEXT() \
	do { \
		check_pow(f, f->operands[count % OPERANDS], e, count % 4, count % 3 == 0); \
		count++; \
	} while (0)
	for (int i = 0; i < 4; i++)
		for (int operand = 0; operand < OPERANDS; operand++)
		{
			mpz_set_ui(e, i);
			CHECK_NEXT();
		}
	for (int i = 0; i < LENGTH(shifts); i++)
	{
		mpz_set_ui(e, 0);
		mpz_setbit(e, shifts[i]);
		CHECK_NEXT();
		mpz_sub_ui(e, e, 1);
		CHECK_NEXT();
	}
	for (int i = 0; i < LENGTH(bits); i++)
	{
		random_mpz(e, bits[i] - 1);
		mpz_setbit(e, bits[i] - 1);
		CHECK_NEXT();
	}
#undef CHECK_NEXT
	mpz_clear(e);
}

static void
test_arithmetic(int limbs)
{
	group_begin("%d limbs: mul, sqr, enter, leave, canonical_var, pow", limbs);
	for (modulus_shape shape = 0; shape < MODULUS_SHAPES; shape++)
	{
		field		f;

		field_init(&f, limbs, shape);
		for (int i = 0; i < OPERANDS; i++)
		{
			for (int j = 0; j < OPERANDS; j++)
				check_mul(&f, f.operands[i], f.operands[j]);
			check_sqr(&f, f.operands[i]);
			check_conversions(&f, f.operands[i]);
		}

		/* the largest moduli take their time: one shape has to do for each */
		if (limbs < 128 || (int) shape == limbs / 64 % MODULUS_SHAPES)
			check_powers(&f);
		field_clear(&f);
	}
	group_end();
}

static void
test_full_size_exponents(void)
{
	mpz_t		e;

	mpz_init(e);
	group_begin("pow with exponents as long as the modulus");
	for (int i = 0; i < LENGTH(limb_counts); i++)
	{
		int			limbs = limb_counts[i];
		field		f;

		if (limbs > 128 && limbs != PAILLIER_MAX_LIMBS)
			continue;
		field_init(&f, limbs, RANDOM_FULL);
		random_mpz(e, 64 * limbs);
		mpz_setbit(e, 64 * limbs - 1);
		check_pow(&f, f.operands[8], e, 0, false);
		field_clear(&f);
	}
	group_end();
	mpz_clear(e);
}

static void
test_exponent_lengths(void)
{
	field		f;
	mpz_t		e;

	mpz_init(e);
	group_begin("pow with exponents of 1 to 700 bits");
	field_init(&f, 3, RANDOM_FULL);
	for (int bits = 1; bits <= 700; bits++)
		for (int i = 0; i < 3; i++)
		{
			random_mpz(e, bits - 1);
			mpz_setbit(e, bits - 1);
			random_mpz(f.operands[8], 64 * f.limbs);
			check_pow(&f, f.operands[8], e, i, i == 2);
		}
	field_clear(&f);
	group_end();
	mpz_clear(e);
}

/* Moduli of one limb are cheap enough to try many, 1 and 3 among them. */
static void
test_many_small_moduli(void)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(1));
	paillier_mont *ctx = allocate(sizeof(paillier_mont));

	group_begin("one limb: 10,000 odd moduli");
	for (int i = 0; i < 10000; i++)
	{
		mp_limb_t	m = i < 100 ? 2 * (mp_limb_t) i + 1 : random64() >> random_int(64) | 1;
		mp_limb_t	a = random64();
		mp_limb_t	b = random64();
		mp_limb_t	got;

		paillier_mont_init(ctx, &m, 1, scratch.a);
		paillier_mont_mul(ctx, &got, &a, &b, scratch.a);
		check((unsigned __int128) (got % m) * ctx->one[0] % m == (unsigned __int128) a * b % m,
			  "%" PRIu64 " * %" PRIu64 " mod %" PRIu64, a, b, m);
		paillier_mont_enter(ctx, &got, &a, scratch.a);
		paillier_mont_leave(ctx, &got, &got, scratch.a);
		check(got == a % m, "%" PRIu64 " mod %" PRIu64 ", in and out", a, m);
	}
	group_end();
	free(ctx);
	guarded_free(&scratch);
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	for (int i = 0; i < LENGTH(limb_counts); i++)
		test_arithmetic(limb_counts[i]);
	test_full_size_exponents();
	test_exponent_lengths();
	test_many_small_moduli();
	return tap_done();
}
