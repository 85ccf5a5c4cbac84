/*
 * test_modulus.c
 *		What may be a public key, against trial division, and the limit of what
 *		may be encrypted under it.
 */
#include "scheme.h"

/* ---- moduli ---- */

static bool
reference_has_small_factor(const mpz_t n)
{
	if (mpz_sgn(n) == 0)
		return true;
	for (int d = 2; d < 16384; d++)
		if (mpz_divisible_ui_p(n, d))
			return true;
	return false;
}

static void
check_public(const mpz_t n, int min_bits, paillier_result want, const char *what)
{
	mp_limb_t  *a = new_limbs_of(mpz_size(n), n);

	check_int(paillier_public_check(a, mpz_size(n), min_bits), want, "public_check of %s, %d bits", what, bits_of(n));
	free(a);
}

static void
test_small_factors(void)
{
	mpz_t		n,
				rest,
				product;

	mpz_inits(n, rest, product, NULL);
	group_begin("has_small_factor, against trial division");
	for (int i = 0; i < 300; i++)
	{
		random_mpz(n, 1 + random_int(300));
		mpz_setbit(n, 0);
		check_int(has_small_factor(n), reference_has_small_factor(n), "a random number of %d bits", bits_of(n));
	}
	for (int i = 1; i < 40; i += 2)
	{
		mpz_set_ui(n, i);
		check_int(has_small_factor(n), reference_has_small_factor(n), "%d", i);
	}
	group_end();

	group_begin("public_check: each small prime factor is found, the next ones are not");
	random_prime_mpz(rest, 200);
	mpz_set_ui(n, 3);
	for (unsigned long prime = 3; prime < 16384; prime = mpz_get_ui(n))
	{
		mpz_mul_ui(product, rest, prime);
		check_public(product, 128, PAILLIER_ERR_MODULUS_FACTOR, "a number with a small factor");
		mpz_nextprime(n, n);
	}
	for (int i = 0; i < 5; i++)
	{
		mpz_mul(product, rest, n);
		check_public(product, 128, PAILLIER_OK, "a number with a factor above 2^14");
		mpz_nextprime(n, n);
	}
	group_end();
	mpz_clears(n, rest, product, NULL);
}

/* Some odd number of exactly these bits without small factors and no square. */
static void
random_modulus(mpz_t n, int bits)
{
	do
		random_odd(n, bits);
	while (has_small_factor(n) || mpz_perfect_square_p(n));
}

static void
test_public_check(void)
{
	static const int sizes[] = {128, 129, 191, 192, 193, 1024, 8191, 8192};
	static const int wrong_sizes[] = {1, 2, 14, 15, 63, 64, 65, 127, 8193, 8256, 16384, 20000};
	mpz_t		n;

	mpz_init(n);
	group_begin("public_check: sizes, even numbers, squares");
	check_public(n, 128, PAILLIER_ERR_KEY_SIZE, "0");
	for (int i = 0; i < LENGTH(wrong_sizes); i++)
	{
		random_odd(n, wrong_sizes[i]);
		check_public(n, 0, PAILLIER_ERR_KEY_SIZE, "a wrong size");
	}
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		random_modulus(n, sizes[i]);
		check_public(n, 128, PAILLIER_OK, "a right size");
		check_public(n, 0, PAILLIER_OK, "a right size");
		check_public(n, sizes[i], PAILLIER_OK, "the least size");
		check_public(n, sizes[i] + 1, PAILLIER_ERR_KEY_SIZE, "less than the least size");
		mpz_clrbit(n, 0);
		check_public(n, 128, PAILLIER_ERR_MODULUS_EVEN, "an even number");
	}
	for (int bits = 65; bits <= 4096; bits += 800)
	{
		random_modulus(n, bits);
		mpz_mul(n, n, n);
		check_public(n, 128, PAILLIER_ERR_MODULUS_SQUARE, "a square");
	}
	group_end();
	mpz_clear(n);
}

/* The bound of what may be encrypted: canonical, at most half, and the next one is above. */
static void
check_limit(const mpz_t n, const char *what)
{
	paillier_public *pk = allocate(sizeof(paillier_public));
	mp_limb_t  *a = new_limbs_of(mpz_size(n), n);
	guarded		scratch = guarded_new(PAILLIER_SCRATCH(2 * mpz_size(n)));
	mpz_t		x,
				half;

	mpz_inits(x, half, NULL);
	paillier_public_init(pk, kernel, a, mpz_size(n), false, scratch.a);
	check(guarded_intact(&scratch), "public_init overran its scratch");
	mpz_tdiv_q_2exp(half, n, 1);
	mpz_set_ui(x, pk->limit.mantissa);
	mpz_mul_2exp(x, x, pk->limit.exponent);
	check(mpz_cmp(x, half) <= 0, "%s: the limit is above (n - 1)/2", what);
	check(pk->limit.mantissa >> 63 == 1, "%s: the limit %" PRIu64 "*2^%" PRIu32 " is not canonical", what,
		  pk->limit.mantissa, pk->limit.exponent);

	/* it has 32 bits, so that it is the same when it was packed; one unit more is above */
	check((uint32_t) pk->limit.mantissa == 0, "%s: the limit changes when it is packed", what);
	mpz_set_ui(x, (pk->limit.mantissa >> 32) + 1);
	mpz_mul_2exp(x, x, pk->limit.exponent + 32);
	check(mpz_cmp(x, half) > 0, "%s: the limit is too low", what);
	mpz_clears(x, half, NULL);
	guarded_free(&scratch);
	free(a);
	free(pk);
}

static void
test_limits(void)
{
	mpz_t		n;

	mpz_init(n);
	group_begin("%s, the limit of bounds: canonical and just below n/2", kernel->name);
	for (int bits = 128; bits <= 8192; bits += 1 + random_int(200))
	{
		random_modulus(n, bits);
		check_limit(n, "random");
	}
	group_end();

	group_begin("%s, the limit of bounds for a modulus next to a power of two", kernel->name);
	for (int bits = 129; bits <= 8192; bits += 500)
	{
		mpz_set_ui(n, 0);
		mpz_setbit(n, bits - 1);
		mpz_add_ui(n, n, 1);
		check_limit(n, "a power of two, and one");
		mpz_set_ui(n, 0);
		mpz_setbit(n, bits);
		mpz_sub_ui(n, n, 1);
		check_limit(n, "all ones");
	}
	group_end();
	mpz_clear(n);
}

static void
test_kernel(const paillier_kernel *kernel_to_test)
{
	kernel = kernel_to_test;
	test_limits();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_small_factors();
	test_public_check();
	with_each_kernel(test_kernel);
	return tap_done();
}
