/*
 * test_bound.c
 *		Bounds of plaintexts against exact integers: never too small, and too
 *		large by no more than the rounding allows.
 */
#include "bound.h"
#include "reference.h"

#define MAX_EDGES 128

static paillier_bound edges[MAX_EDGES];
static int	edge_count;

/* Scratch numbers, so that the checks stay short. */
static mpz_t x,
			y,
			exact;

static bool
canonical(paillier_bound b)
{
	return b.exponent == 0 || b.mantissa >> 63 == 1;
}

static void
value(mpz_t out, paillier_bound b)
{
	mpz_set_ui(out, b.mantissa);
	mpz_mul_2exp(out, out, b.exponent);
}

static bool
representable(const mpz_t number, int bits)
{
	return mpz_sgn(number) == 0 || mpz_sizeinbase(number, 2) - mpz_scan1(number, 0) <= (size_t) bits;
}

/*
 * got stands for the exact number, rounded up to a mantissa of the given bits
 * with a relative error of at most 2^-(bits - 1).
 */
static void
check_rounding(paillier_bound got, const mpz_t number, int bits, const char *what)
{
	mpz_t		error;

	mpz_init(error);
	value(error, got);
	mpz_sub(error, error, number);

	check(canonical(got), "%s: %" PRIu64 "*2^%" PRIu32 " is not canonical", what, got.mantissa, got.exponent);
	check(mpz_sgn(error) >= 0, "%s: %" PRIu64 "*2^%" PRIu32 " understates", what, got.mantissa, got.exponent);
	if (representable(number, bits))
		check(mpz_sgn(error) == 0, "%s: %" PRIu64 "*2^%" PRIu32 " is not exact", what, got.mantissa, got.exponent);
	mpz_mul_2exp(error, error, bits - 1);
	check(mpz_cmp(error, number) <= 0, "%s: %" PRIu64 "*2^%" PRIu32 " overstates", what, got.mantissa, got.exponent);
	mpz_clear(error);
}

/*
 * The same, rounded down to a mantissa of 64 bits with a relative error of less
 * than 2^-63.
 */
static void
check_rounding_down(paillier_bound got, const mpz_t number, const char *what)
{
	mpz_t		error;

	mpz_init(error);
	value(error, got);
	mpz_sub(error, number, error);

	check(canonical(got), "%s: %" PRIu64 "*2^%" PRIu32 " is not canonical", what, got.mantissa, got.exponent);
	check(mpz_sgn(error) >= 0, "%s: %" PRIu64 "*2^%" PRIu32 " overstates", what, got.mantissa, got.exponent);
	if (representable(number, 64))
		check(mpz_sgn(error) == 0, "%s: %" PRIu64 "*2^%" PRIu32 " is not exact", what, got.mantissa, got.exponent);
	mpz_mul_2exp(error, error, 63);
	check(mpz_sgn(number) == 0 || mpz_cmp(error, number) < 0, "%s: %" PRIu64 "*2^%" PRIu32 " understates", what,
		  got.mantissa, got.exponent);
	mpz_clear(error);
}

static void
collect_edges(void)
{
	static const uint64_t mantissas[] = {
		0, 1, 2, 3, INT32_MAX, UINT64_C(1) << 31, UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1,
		UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_C(0xffffffff00000000), UINT64_C(0xffffffff00000001),
		UINT64_C(0xffffffff80000000), UINT64_MAX - 1, UINT64_MAX
	};
	static const uint32_t exponents[] = {0, 1, 31, 32, 33, 62, 63, 64, 65, 5000};

	for (int i = 0; i < LENGTH(mantissas); i++)
		for (int j = 0; j < LENGTH(exponents); j++)
		{
			paillier_bound b = {mantissas[i], exponents[j]};

			if (canonical(b))
				edges[edge_count++] = b;
		}
}

/* Exponents lie near each other often enough that mantissas overlap. */
static paillier_bound
random_bound(void)
{
	static const int bases[] = {0, 0, 100, 5000};
	paillier_bound b = {random64() >> random_int(64), 0};

	if (random_int(4) == 0)
		b.mantissa = ~UINT64_C(0) << random_int(64);
	if (random_int(3) != 0)
	{
		b.mantissa |= UINT64_C(1) << 63;
		b.exponent = bases[random_int(4)] + random_int(140);
	}
	return b;
}

static void
check_pair(paillier_bound a, paillier_bound b)
{
	char		what[100];
	paillier_bound sum = paillier_bound_add(a, b);

	value(x, a);
	value(y, b);
	snprintf(what, sizeof(what), "%" PRIu64 "*2^%" PRIu32 " and %" PRIu64 "*2^%" PRIu32, a.mantissa, a.exponent,
			 b.mantissa, b.exponent);
	mpz_add(exact, x, y);
	check_rounding(sum, exact, 64, what);
	mpz_mul(exact, x, y);
	check_rounding(paillier_bound_mul(a, b), exact, 64, what);
	check_rounding_down(paillier_bound_mul_down(a, b), exact, what);
	check_int(paillier_bound_cmp(a, b), mpz_cmp(x, y) < 0 ? -1 : mpz_cmp(x, y) > 0, "cmp of %s", what);

	/* what is taken out again leaves at least what was there */
	value(exact, paillier_bound_sub(sum, b));
	check(mpz_cmp(exact, x) >= 0, "add, then sub of %s understates", what);
}

/* The rounding of a difference is relative to the sum it was taken from. */
static void
check_difference(paillier_bound a, paillier_bound b)
{
	paillier_bound got = paillier_bound_sub(a, b);

	value(x, a);
	value(y, b);
	mpz_sub(exact, x, y);
	if (mpz_sgn(exact) <= 0)
	{
		check(got.mantissa == 0 && got.exponent == 0, "a difference below zero is not 0");
		return;
	}
	check(canonical(got), "difference not canonical");
	value(y, got);
	mpz_sub(y, y, exact);
	check(mpz_sgn(y) >= 0, "difference understates: %" PRIu64 "*2^%" PRIu32 " - %" PRIu64 "*2^%" PRIu32, a.mantissa,
		  a.exponent, b.mantissa, b.exponent);
	check(a.exponent != b.exponent || mpz_sgn(y) == 0, "difference of equal exponents is not exact");
	mpz_mul_2exp(y, y, 62);
	check(mpz_cmp(y, x) <= 0, "difference overstates: %" PRIu64 "*2^%" PRIu32 " - %" PRIu64 "*2^%" PRIu32, a.mantissa,
		  a.exponent, b.mantissa, b.exponent);
}

static void
test_from_width(void)
{
	group_begin("from_width is 2^(width - 1)");
	for (int width = 1; width <= 8191; width++)
	{
		paillier_bound b = paillier_bound_from_width(width);

		mpz_set_ui(exact, 1);
		mpz_mul_2exp(exact, exact, width - 1);
		value(x, b);
		check_mpz(x, exact, "width %d", width);
		check(canonical(b), "width %d is not canonical", width);
	}
	group_end();
}

static void
test_from_limbs(void)
{
	group_begin("from_limbs rounds up, from_limbs_down down");
	for (int i = 0; i < 10000; i++)
	{
		int			limbs = random_int(6);
		mp_limb_t  *a = new_limbs(limbs);

		for (int j = 0; j < limbs; j++)
			a[j] = random_int(3) == 0 ? 0 : random_int(3) == 0 ? UINT64_MAX : random64() >> random_int(64);
		mpz_from_limbs(exact, a, limbs);
		check_rounding(paillier_bound_from_limbs(a, limbs), exact, 64, "from_limbs");
		check_rounding_down(paillier_bound_from_limbs_down(a, limbs), exact, "from_limbs_down");
		free(a);
	}
	group_end();
}

static void
test_pairs(void)
{
	group_begin("add, mul, cmp, and add undone: %d edges against each other", edge_count);
	for (int i = 0; i < edge_count; i++)
		for (int j = 0; j < edge_count; j++)
			check_pair(edges[i], edges[j]);
	group_end();

	group_begin("add, mul, cmp, and add undone: random");
	for (int i = 0; i < 10000; i++)
		check_pair(random_bound(), random_bound());
	group_end();
}

static void
test_differences(void)
{
	group_begin("sub: edges and random");
	for (int i = 0; i < edge_count; i++)
		for (int j = 0; j < edge_count; j++)
			check_difference(edges[i], edges[j]);
	for (int i = 0; i < 10000; i++)
		check_difference(random_bound(), random_bound());
	group_end();
}

/* A summand of a moving sum: a packed bound, its weight, and the power of ten the sum was rescaled by since it came. */
typedef struct Summand
{
	paillier_bound bound;
	mp_limb_t	weight[3];
	mp_limb_t	ten[3];
} Summand;

static Summand
random_summand(void)
{
	Summand		s = {.ten = {1}};
	uint32_t	mantissa;
	uint16_t	exponent;

	/* often 0 or 1, for every other row makes the sum a little larger than it need be */
	if (random_int(3) == 0)
		return s;
	paillier_bound_pack(random_bound(), &mantissa, &exponent);
	s.bound = paillier_bound_unpack(mantissa, exponent);
	s.weight[0] = 1;
	for (int i = 0; i < 3 && random_int(2) == 0; i++)
		s.weight[i] = random64() >> random_int(64);
	return s;
}

static paillier_bound
enters(const Summand *s)
{
	return paillier_bound_mul(s->bound, paillier_bound_from_limbs(s->weight, 3));
}

static paillier_bound
leaves(const Summand *s)
{
	return paillier_bound_mul_down(paillier_bound_mul_down(s->bound, paillier_bound_from_limbs_down(s->weight, 3)),
								   paillier_bound_from_limbs_down(s->ten, 3));
}

static void
add_exact(mpz_t out, const Summand *s)
{
	value(x, s->bound);
	mpz_from_limbs(y, s->weight, 3);
	mpz_mul(x, x, y);
	mpz_from_limbs(y, s->ten, 3);
	mpz_addmul(out, x, y);
}

/* Rescale the sum and what is in it, where the powers of ten still fit. */
static void
rescale(paillier_bound *sum, Summand *rows, int count)
{
	mp_limb_t	ten[3] = {1};
	int			power = random_int(12);

	for (int i = 0; i < count; i++)
		if (rows[i].ten[2] != 0)
			return;
	for (int j = 0; j < power; j++)
	{
		mpn_mul_1(ten, ten, 3, 10);
		for (int i = 0; i < count; i++)
			mpn_mul_1(rows[i].ten, rows[i].ten, 3, 10);
	}
	*sum = paillier_bound_mul(*sum, paillier_bound_from_limbs(ten, 3));
}

static void
test_moving_sums(void)
{
	enum
	{
		FRAME = 3,
		ROWS = 40
	};

	group_begin("a moving sum covers what is in it");
	for (int i = 0; i < 2000; i++)
	{
		Summand		rows[ROWS];
		paillier_bound sum = {0, 0};

		for (int j = 0; j < ROWS; j++)
		{
			int			first = j < FRAME ? 0 : j - FRAME;

			rescale(&sum, rows + first, j - first);
			rows[j] = random_summand();
			sum = paillier_bound_add(sum, enters(&rows[j]));
			if (j >= FRAME)
				sum = paillier_bound_sub(sum, leaves(&rows[first++]));
			mpz_set_ui(exact, 0);
			for (int k = first; k <= j; k++)
				add_exact(exact, &rows[k]);
			value(x, sum);
			check(mpz_cmp(x, exact) >= 0, "row %d of sum %d understates", j, i);
		}
	}
	group_end();
}

static void
check_covers(paillier_bound b, const mpz_t number)
{
	int			limbs = mpz_size(number) + random_int(3);
	mp_limb_t  *mag = new_limbs_of(limbs, number);

	value(y, b);
	check_int(paillier_bound_covers(b, mag, limbs), mpz_cmp(number, y) <= 0, "%" PRIu64 "*2^%" PRIu32, b.mantissa,
			  b.exponent);
	free(mag);
}

static void
test_covers(void)
{
	group_begin("covers: just below, at and just above the bound, and random");
	for (int i = 0; i < edge_count + 2000; i++)
	{
		paillier_bound b = i < edge_count ? edges[i] : random_bound();

		for (int delta = -1; delta <= 1; delta++)
		{
			value(x, b);
			if (delta < 0 && mpz_sgn(x) == 0)
				continue;
			mpz_set_si(exact, delta);
			mpz_add(x, x, exact);
			check_covers(b, x);
		}
		random_mpz(x, random_int(300));
		check_covers(b, x);
	}
	group_end();
}

static void
check_pack(paillier_bound b)
{
	char		what[100];
	uint32_t	mantissa;
	uint16_t	exponent;

	paillier_bound_pack(b, &mantissa, &exponent);
	snprintf(what, sizeof(what), "%" PRIu64 "*2^%" PRIu32 " packed", b.mantissa, b.exponent);
	value(exact, b);
	check_rounding(paillier_bound_unpack(mantissa, exponent), exact, 32, what);
	check(paillier_bound_packed_valid(mantissa, exponent), "%s is not valid", what);
}

static void
test_pack(void)
{
	group_begin("pack rounds up to 32 bits, and unpack is exact");
	for (int i = 0; i < edge_count; i++)
		check_pack(edges[i]);
	for (int i = 0; i < 10000; i++)
		check_pack(random_bound());
	group_end();
}

/* Valid is what comes back as it was, with an exponent in range. */
static void
check_packed_valid(uint32_t mantissa, uint16_t exponent)
{
	paillier_bound b = paillier_bound_unpack(mantissa, exponent);
	uint32_t	mantissa_again;
	uint16_t	exponent_again;

	check(canonical(b), "%" PRIu32 "*2^%u unpacked is not canonical", mantissa, exponent);
	value(x, b);
	mpz_set_ui(exact, mantissa);
	mpz_mul_2exp(exact, exact, exponent);
	check_mpz(x, exact, "%" PRIu32 "*2^%u unpacked", mantissa, exponent);
	paillier_bound_pack(b, &mantissa_again, &exponent_again);
	check_int(paillier_bound_packed_valid(mantissa, exponent),
			  mantissa == mantissa_again && exponent == exponent_again && exponent <= PAILLIER_BOUND_MAX_EXPONENT,
			  "%" PRIu32 "*2^%u", mantissa, exponent);
}

static void
test_packed_valid(void)
{
	static const uint32_t mantissas[] = {0, 1, INT32_MAX, UINT32_C(1) << 31, (UINT32_C(1) << 31) + 1, UINT32_MAX};
	static const uint16_t exponents[] = {
		0, 1, 31, 32, 33, 63, 64, 65, 5000, PAILLIER_BOUND_MAX_EXPONENT, PAILLIER_BOUND_MAX_EXPONENT + 1, UINT16_MAX
	};

	group_begin("packed_valid accepts exactly what pack writes");
	for (int i = 0; i < LENGTH(exponents); i++)
	{
		for (int j = 0; j < LENGTH(mantissas); j++)
			check_packed_valid(mantissas[j], exponents[i]);
		for (int j = 0; j < 200; j++)
			check_packed_valid(random64() >> (32 + random_int(32)), exponents[i]);
	}
	for (int exponent = 0; exponent <= UINT16_MAX; exponent += 1 + random_int(40))
		check_packed_valid(random64() >> 32, exponent);
	group_end();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	mpz_inits(x, y, exact, NULL);
	collect_edges();

	test_from_width();
	test_from_limbs();
	test_pairs();
	test_differences();
	test_moving_sums();
	test_covers();
	test_pack();
	test_packed_valid();

	mpz_clears(x, y, exact, NULL);
	return tap_done();
}
