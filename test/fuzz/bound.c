/*
 * bound.c
 *		Bounds never understate, beside GMP's numbers, and do not exceed by more
 *		than their rounding.
 *
 * Input: steps of one byte that says what to do, and numbers of nine bytes.
 */
#include "bound.h"
#include "fuzz.h"

#define FRAME 16
#define MAX_STEPS 40
#define MAX_LIMBS 140

static mpz_t least;				/* what a result may not be below */
static mpz_t value;

static void
bound_value(mpz_t x, paillier_bound b)
{
	mpz_import(x, 1, -1, sizeof(b.mantissa), 0, 0, &b.mantissa);
	mpz_mul_2exp(x, x, b.exponent);
}

static void
require_canonical(paillier_bound b)
{
	REQUIRE(b.exponent == 0 || b.mantissa >> 63 == 1);
}

/* b >= least, and by less than 2^-bits of `of`. */
static void
require_close(paillier_bound b, const mpz_t of, int bits)
{
	require_canonical(b);
	bound_value(value, b);
	REQUIRE(mpz_cmp(value, least) >= 0);
	mpz_sub(value, value, least);
	mpz_mul_2exp(value, value, bits);
	REQUIRE(mpz_cmp(value, of) <= 0);
}

/* A number of up to 140 limbs, mostly zeros and ones: bits of the input at both ends. */
static int
take_number(fuzz_input *in, mp_limb_t *mag)
{
	int			limbs = 1 + fuzz_take(in, 1) % MAX_LIMBS;
	mp_limb_t	fill = limbs & 1 ? ~(mp_limb_t) 0 : 0;

	for (int i = 0; i < limbs; i++)
		mag[i] = fill;
	mag[0] = fuzz_take(in, 4) ^ fill;
	mag[limbs - 1] = fuzz_take(in, 4) ^ fill << 32;
	if (limbs > 1)
		mag[limbs - 2] ^= fuzz_take(in, 2) << 48;
	return limbs;
}

static paillier_bound
take_bound(fuzz_input *in)
{
	mp_limb_t	mag[MAX_LIMBS];
	int			limbs = take_number(in, mag);
	paillier_bound b = paillier_bound_from_limbs(mag, limbs);

	fuzz_mpz(least, mag, limbs);
	require_close(b, least, 63);
	REQUIRE(paillier_bound_covers(b, mag, limbs));
	return b;
}

static void
check_pack(paillier_bound b)
{
	uint32_t	mantissa;
	uint16_t	exponent;
	uint32_t	mantissa_again;
	uint16_t	exponent_again;
	paillier_bound unpacked;

	paillier_bound_pack(b, &mantissa, &exponent);
	unpacked = paillier_bound_unpack(mantissa, exponent);
	bound_value(least, b);
	require_close(unpacked, least, 31);
	REQUIRE(paillier_bound_packed_valid(mantissa, exponent));
	paillier_bound_pack(unpacked, &mantissa_again, &exponent_again);
	REQUIRE(mantissa == mantissa_again && exponent == exponent_again);
}

static void
check_pair(paillier_bound a, paillier_bound b)
{
	mpz_t		x,
				y;

	mpz_inits(x, y, NULL);
	bound_value(x, a);
	bound_value(y, b);
	REQUIRE((paillier_bound_cmp(a, b) > 0) == (mpz_cmp(x, y) > 0));
	REQUIRE((paillier_bound_cmp(a, b) < 0) == (mpz_cmp(x, y) < 0));
	mpz_add(least, x, y);
	require_close(paillier_bound_add(a, b), least, 62);
	mpz_mul(least, x, y);
	require_close(paillier_bound_mul(a, b), least, 62);
	mpz_sub(least, x, y);
	if (mpz_sgn(least) < 0)
		mpz_set_ui(least, 0);
	require_close(paillier_bound_sub(a, b), x, 62);
	mpz_clears(x, y, NULL);
}

static void
check_covers(paillier_bound b, fuzz_input *in)
{
	mp_limb_t	mag[MAX_LIMBS];
	int			limbs = take_number(in, mag);
	paillier_bound below;
	paillier_bound declared;
	int			width = 1 + fuzz_take(in, 1);

	bound_value(value, b);
	fuzz_mpz(least, mag, limbs);
	REQUIRE(paillier_bound_covers(b, mag, limbs) == (mpz_cmp(least, value) <= 0));
	if (limbs > 1 && mpz_sizeinbase(least, 2) > 64)
	{
		below = paillier_bound_below(mag, limbs);
		require_canonical(below);
		bound_value(value, below);
		REQUIRE(mpz_cmp(value, least) <= 0);
		check_pack(below);
		fuzz_mpz(least, mag, limbs);
	}
	if (paillier_bound_declare(&declared, b, width, mag, limbs))
	{
		bound_value(value, declared);
		REQUIRE(mpz_cmp(value, least) >= 0);
		REQUIRE(paillier_bound_cmp(declared, b) <= 0 ||
				paillier_bound_cmp(declared, paillier_bound_from_width(width)) == 0);
	}
}

/* Rows of a window: what left no longer counts, and what is in it is never understated. */
typedef struct frame
{
	paillier_bound rows[FRAME];
	int			first;
	int			count;
	paillier_bound bound;
} frame;

static void
check_frame(const frame *f)
{
	mpz_t		exact;

	mpz_init(exact);
	for (int i = 0; i < f->count; i++)
	{
		bound_value(value, f->rows[(f->first + i) % FRAME]);
		mpz_add(exact, exact, value);
	}
	bound_value(value, f->bound);
	REQUIRE(mpz_cmp(value, exact) >= 0);
	mpz_clear(exact);
}

static void
slide(frame *f, paillier_bound row, bool leave)
{
	if (f->count == FRAME || (leave && f->count > 0))
	{
		f->bound = paillier_bound_sub(f->bound, f->rows[f->first]);
		f->first = (f->first + 1) % FRAME;
		f->count--;
	}
	f->rows[(f->first + f->count++) % FRAME] = row;
	f->bound = paillier_bound_add(f->bound, row);
	check_frame(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_input	in = {data, size};
	frame		f = {0};
	paillier_bound last = {0, 0};

	mpz_inits(least, value, NULL);
	for (int i = 0; i < MAX_STEPS && in.left > 0; i++)
	{
		int			step = fuzz_take(&in, 1);
		paillier_bound b = take_bound(&in);

		check_pack(b);
		check_pair(last, b);
		check_pair(b, last);
		if (step & 1)
			check_covers(b, &in);
		slide(&f, b, step & 2);
		last = step & 4 ? f.bound : b;
	}
	mpz_clears(least, value, NULL);
	return 0;
}
