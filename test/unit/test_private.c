/*
 * test_private.c
 *		Private keys that come from elsewhere: what is none, and factors from
 *		lambda.
 */
#include "jwk.h"
#include "scheme_encryption.h"

/* ---- keys that are none ---- */

/* The first prime p = 1 + multiple·k, k growing from `start`. */
static void
prime_in_progression(mpz_t p, const mpz_t start, const mpz_t step)
{
	mpz_mul(p, start, step);
	mpz_add_ui(p, p, 1);
	while (!mpz_probab_prime_p(p, 20))
		mpz_add(p, p, step);
}

/* (6k + 1)(12k + 1)(18k + 1), all prime: a Carmichael number. */
static void
carmichael(mpz_t product, int factor_bits)
{
	mpz_t		k,
				a,
				b,
				c;

	mpz_inits(k, a, b, c, NULL);
	random_mpz(k, factor_bits);
	do
	{
		mpz_add_ui(k, k, 1);
		mpz_mul_ui(a, k, 6);
		mpz_add_ui(a, a, 1);
		mpz_mul_ui(b, k, 12);
		mpz_add_ui(b, b, 1);
		mpz_mul_ui(c, k, 18);
		mpz_add_ui(c, c, 1);
	} while (!mpz_probab_prime_p(a, 1) || !mpz_probab_prime_p(b, 1) || !mpz_probab_prime_p(c, 20));
	mpz_mul(product, a, b);
	mpz_mul(product, product, c);
	mpz_clears(k, a, b, c, NULL);
}

/* (k + 1)(2k + 1), both prime: up to a quarter of the bases do not notice. */
static void
hard_composite(mpz_t product, int factor_bits)
{
	mpz_t		a,
				b;

	mpz_inits(a, b, NULL);
	do
	{
		random_prime_mpz(a, factor_bits);
		mpz_mul_ui(b, a, 2);
		mpz_sub_ui(b, b, 1);
	} while (!mpz_probab_prime_p(b, 20));
	mpz_mul(product, a, b);
	mpz_clears(a, b, NULL);
}

static void
test_composite_factors(void)
{
	mpz_t		p,
				q,
				r;

	mpz_inits(p, q, r, NULL);
	group_begin("%s, private_check: factors that are composite", kernel->name);
	random_prime_mpz(q, 140);
	for (int i = 0; i < 5; i++)
	{
		random_prime_mpz(p, 60);
		random_prime_mpz(r, 70);
		mpz_mul(p, p, r);
		check_imported(p, q, PAILLIER_ERR_COMPOSITE, "a product of two primes");
		mpz_mul(p, r, r);
		check_imported(p, q, PAILLIER_ERR_COMPOSITE, "the square of a prime");
		carmichael(p, 40);
		check_imported(p, q, PAILLIER_ERR_COMPOSITE, "a Carmichael number");
		hard_composite(p, 60);
		check_imported(p, q, PAILLIER_ERR_COMPOSITE, "(k + 1)(2k + 1)");
		random_power_of_two_plus_one(p, 60, 40, true);
		random_power_of_two_plus_one(r, 70, 40, true);
		mpz_mul(p, p, r);
		check_imported(p, q, PAILLIER_ERR_COMPOSITE, "a product of two primes k·2^40 + 1");
	}

	do
		random_power_of_two_plus_one(p, 130, 70, false);
	while (has_small_factor(p));
	check_imported(p, q, PAILLIER_ERR_COMPOSITE, "a composite k·2^70 + 1");
	group_end();
	mpz_clears(p, q, r, NULL);
}

static void
test_bad_private_keys(void)
{
	mpz_t		p,
				q,
				start,
				step;

	mpz_inits(p, q, start, step, NULL);
	group_begin("%s, private_check: a prime that divides the other's totient", kernel->name);
	random_prime_mpz(p, 80);
	mpz_mul_ui(step, p, 2);
	for (int bits = 1; bits <= 80; bits += 9)
	{
		mpz_set_ui(start, 0);
		mpz_setbit(start, bits);
		prime_in_progression(q, start, step);
		check_imported(p, q, PAILLIER_ERR_TOTIENT, "p divides q - 1");
	}
	group_end();

	group_begin("%s, private_check: primes that are too small, small factors", kernel->name);
	random_prime_mpz(q, 216);
	random_prime_mpz(p, 40);
	check_imported(p, q, PAILLIER_ERR_PRIMES_UNBALANCED, "40 of 256 bits");
	random_prime_mpz(q, 193);
	random_prime_mpz(p, 63);
	check_imported(p, q, PAILLIER_ERR_PRIMES_UNBALANCED, "63 of 256 bits");
	random_prime_mpz(q, 192);
	random_prime_mpz(p, 64);
	check_imported(p, q, PAILLIER_OK, "64 of 256 bits");
	mpz_set_ui(p, 3);
	check_imported(p, q, PAILLIER_ERR_MODULUS_FACTOR, "3");
	mpz_set_ui(p, 16381);
	check_imported(p, q, PAILLIER_ERR_MODULUS_FACTOR, "16381");
	mpz_set_ui(p, 16411);
	check_imported(p, q, PAILLIER_ERR_PRIMES_UNBALANCED, "16411");
	mpz_set_ui(p, 1);
	check_imported(p, q, PAILLIER_ERR_PRIMES_UNBALANCED, "1");
	group_end();
	mpz_clears(p, q, start, step, NULL);
}

static void
check_init_refused(const mpz_t p, const mpz_t q, paillier_result want, const char *what)
{
	paillier_private *key = allocate(sizeof(paillier_private));
	guarded		scratch = guarded_new(paillier_private_scratch(PAILLIER_MAX_BITS));

	check_int(init_private(key, p, q, false, &scratch), want, "private_init: %s", what);
	check_int(init_private(key, q, p, false, &scratch), want, "private_init: %s, exchanged", what);
	guarded_free(&scratch);
	free(key);
}

static void
test_private_init_refusals(void)
{
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	group_begin("%s, private_init: equal, even, dependent, too large and too small factors", kernel->name);
	random_prime_mpz(p, 130);
	check_init_refused(p, p, PAILLIER_ERR_PRIMES_EQUAL, "equal");
	mpz_mul_ui(q, p, 2);
	check_init_refused(p, q, PAILLIER_ERR_MODULUS_EVEN, "even");
	mpz_set_ui(q, 2);
	check_init_refused(p, q, PAILLIER_ERR_MODULUS_EVEN, "2");
	mpz_mul_ui(q, p, 3);
	check_init_refused(p, q, PAILLIER_ERR_TOTIENT, "multiple");
	mpz_mul(q, p, p);
	check_init_refused(p, q, PAILLIER_ERR_TOTIENT, "square");
	random_odd(p, 4160);
	random_odd(q, 4161);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "130 limbs");
	random_odd(p, 8192);
	random_odd(q, 8192);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "256 limbs");
	mpz_setbit(q, 8192);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "129 limbs in one factor");
	mpz_set_ui(p, 3);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "129 limbs and 1");
	mpz_set_ui(q, 5);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "4 bits");
	mpz_setbit(q, 125);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "127 bits");
	group_end();
	mpz_clears(p, q, NULL);
}

/* A prime ≡ 3 mod 4 of the given bits for which p - 1 is a multiple of 2·divisor, divisor odd. */
static void
random_prime_with_divisor(mpz_t p, int bits, const mpz_t divisor)
{
	do
	{
		random_odd(p, bits - mpz_sizeinbase(divisor, 2) - 1);
		mpz_mul(p, p, divisor);
		mpz_mul_2exp(p, p, 1);
		mpz_add_ui(p, p, 1);
	} while (!mpz_probab_prime_p(p, 20));
}

/* What becomes of the mark of keys made here, either way round; without it none appears. */
static void
check_mark(const mpz_t p, const mpz_t q, bool kept)
{
	mpz_srcptr	factors[] = {p, q};

	for (int i = 0; i <= 1; i++)
		for (int djn = 0; djn <= 1; djn++)
		{
			fixture		f;

			fixture_init(&f, factors[i], factors[1 - i], djn ? SHORT_WITHOUT_TABLE : TEXTBOOK);
			check_int(f.pk->djn, djn, "the mark before import");
			check_int(check_private(&f, PAILLIER_MIN_BITS), PAILLIER_OK, "private_import");
			check_int(f.pk->djn, djn && kept, "the mark of primes of %d and %d bits, %lu and %lu mod 4, given as %d",
					  bits_of(factors[i]), bits_of(factors[1 - i]), mpz_fdiv_ui(factors[i], 4),
					  mpz_fdiv_ui(factors[1 - i], 4), djn);
			fixture_clear(&f);
		}
}

static void
test_marks(void)
{
	static const int sizes[][2] = {{67, 66}, {65, 129}, {100, 150}, {64, 192}, {129, 128}};
	static const int generated_sizes[] = {128, 130, 512};
	static const int divisors[] = {3, 5, 15, 101};
	mpz_t		p,
				q,
				divisor;

	mpz_inits(p, q, divisor, NULL);
	group_begin("%s, private_import: the mark of keys made here", kernel->name);
	for (int i = 0; i < LENGTH(generated_sizes); i++)
	{
		generate(p, q, generated_sizes[i]);
		check_mark(p, q, true);
	}
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		random_power_of_two_plus_one(p, sizes[i][0], 1, true);
		random_power_of_two_plus_one(q, sizes[i][1], 2, true);
		check_mark(p, q, false);
		random_power_of_two_plus_one(p, sizes[i][0], 9, true);
		check_mark(p, q, false);
		for (int j = 0; j < LENGTH(divisors); j++)
		{
			mpz_set_ui(divisor, divisors[j]);
			random_prime_with_divisor(p, sizes[i][0], divisor);
			random_prime_with_divisor(q, sizes[i][1], divisor);
			check_mark(p, q, false);
		}
		random_prime_mpz(divisor, 40);
		random_prime_with_divisor(p, sizes[i][0], divisor);
		random_prime_with_divisor(q, sizes[i][1], divisor);
		check_mark(p, q, false);
	}

	/* (p - 1)/2 divides (q - 1)/2 */
	random_power_of_two_plus_one(p, 64, 1, true);
	mpz_tdiv_q_2exp(divisor, p, 1);
	random_prime_with_divisor(q, 150, divisor);
	check_mark(p, q, false);
	group_end();
	mpz_clears(p, q, divisor, NULL);
}

/* ---- lambda ---- */

/* Factors from lambda as an import does it: they must be those of n. */
static paillier_result
factor_lambda(mpz_t p, mpz_t q, const mpz_t lambda, const mpz_t n)
{
	int			limbs = mpz_size(n);
	int			p_limbs = -1;
	int			q_limbs = -1;
	guarded		p_out = guarded_new(limbs);
	guarded		q_out = guarded_new(limbs);
	guarded		scratch = guarded_new(paillier_private_scratch(bits_of(n)));
	mp_limb_t  *lambda_in = new_limbs_of(limbs, lambda);
	mp_limb_t  *n_in = new_limbs_of(limbs, n);
	paillier_result result = paillier_factor_lambda_var(p_out.a, &p_limbs, q_out.a, &q_limbs, lambda_in, n_in, limbs,
														scratch.a);

	check(guarded_intact(&scratch) && guarded_intact(&p_out) && guarded_intact(&q_out), "factor_lambda overran");
	if (result == PAILLIER_OK)
	{
		check(p_limbs > 0 && p_limbs <= limbs && q_limbs > 0 && q_limbs <= limbs, "sizes of the factors");
		check(p_out.a[p_limbs - 1] != 0 && q_out.a[q_limbs - 1] != 0, "sizes of the factors with zero limbs");
		mpz_from_limbs(p, p_out.a, p_limbs);
		mpz_from_limbs(q, q_out.a, q_limbs);
	}
	guarded_free(&p_out);
	guarded_free(&q_out);
	guarded_free(&scratch);
	free(lambda_in);
	free(n_in);
	return result;
}

static void
totient(mpz_t phi, const mpz_t p, const mpz_t q)
{
	mpz_t		q_1;

	mpz_init(q_1);
	mpz_sub_ui(phi, p, 1);
	mpz_sub_ui(q_1, q, 1);
	mpz_mul(phi, phi, q_1);
	mpz_clear(q_1);
}

static void
check_factors(const mpz_t p, const mpz_t q)
{
	mpz_t		got_p,
				got_q,
				lambda,
				n;
	bool		ordered = mpz_cmp(p, q) > 0;

	mpz_inits(got_p, got_q, lambda, n, NULL);
	totient(lambda, p, q);
	mpz_mul(n, p, q);
	check_int(factor_lambda(got_p, got_q, lambda, n), PAILLIER_OK, "factor_lambda");
	check_mpz(got_p, ordered ? p : q, "p from lambda");
	check_mpz(got_q, ordered ? q : p, "q from lambda");
	mpz_clears(got_p, got_q, lambda, n, NULL);
}

/* A wrong lambda does not lead to a proper factorization. */
static void
check_wrong_lambda(const mpz_t lambda, const mpz_t n)
{
	mpz_t		p,
				q;

	if (mpz_sgn(lambda) < 0 || mpz_size(lambda) > mpz_size(n))
		return;
	mpz_inits(p, q, NULL);
	if (factor_lambda(p, q, lambda, n) == PAILLIER_OK && mpz_cmp_ui(q, 1) != 0)
	{
		mpz_mul(p, p, q);
		check(mpz_cmp(p, n) != 0, "a wrong lambda gives the factors");
	}
	mpz_clears(p, q, NULL);
}

static void
check_wrong_lambdas(const mpz_t p, const mpz_t q)
{
	mpz_t		n,
				phi,
				lambda;

	mpz_inits(n, phi, lambda, NULL);
	mpz_mul(n, p, q);
	totient(phi, p, q);
	for (int i = 0; i < 100; i++)
	{
		random_mpz_below(lambda, n);
		check_wrong_lambda(lambda, n);
		mpz_set_ui(lambda, i);
		check_wrong_lambda(lambda, n);
		mpz_sub_ui(lambda, n, i);
		check_wrong_lambda(lambda, n);
		mpz_add_ui(lambda, n, i);
		check_wrong_lambda(lambda, n);
		mpz_sub_ui(lambda, phi, i + 1);
		check_wrong_lambda(lambda, n);
		mpz_add_ui(lambda, phi, i + 1);
		check_wrong_lambda(lambda, n);
		random_mpz(lambda, 64 * mpz_size(n));
		check_wrong_lambda(lambda, n);
	}
	mpz_tdiv_q_2exp(lambda, phi, 1);
	check_wrong_lambda(lambda, n);
	mpz_clears(n, phi, lambda, NULL);
}

static void
test_factor_lambda(void)
{
	static const int sizes[][2] = {{64, 64}, {63, 65}, {65, 65}, {40, 100}, {96, 160}, {128, 128}, {300, 724}, {512,
																												512}};
	mpz_t		p,
				q,
				n,
				lambda;

	mpz_inits(p, q, n, lambda, NULL);
	group_begin("factors from lambda, and from wrong ones");
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		random_prime_mpz(p, sizes[i][0]);
		random_prime_mpz(q, sizes[i][1]);
		check_factors(p, q);
		check_wrong_lambdas(p, q);
		mpz_nextprime(q, p);
		check_factors(p, q);
		mpz_mul(n, p, p);
		totient(lambda, p, p);
		check_int(factor_lambda(p, q, lambda, n), PAILLIER_ERR_PRIMES_EQUAL, "the square of a prime");
	}
	group_end();
	mpz_clears(p, q, n, lambda, NULL);
}

/* ---- a known answer ---- */

/* The example key of python-paillier's documentation; the ciphertext was computed by its formula in Python. */
static void
test_known_answer(void)
{
	static const char *const n_text = "haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k";
	static const char *const lambda_text = "haFTvA70KcI5XXReJUlQWRQdYHxaUS8baGQGug9dewA";
	mp_limb_t	a[4];
	int			used;
	fixture		f;
	mpz_t		n,
				lambda,
				p,
				q,
				c,
				m;

	mpz_inits(n, lambda, p, q, c, m, NULL);
	group_begin("%s, known answer: the key in python-paillier's documentation", kernel->name);
	check_int(paillier_jwk_integer(a, 4, &used, n_text), PAILLIER_OK, "n");
	mpz_from_limbs(n, a, used);
	check_int(bits_of(n), 256, "bits of n");
	check_int(paillier_public_check(a, used, 256), PAILLIER_OK, "public_check");
	check_int(paillier_jwk_integer(a, 4, &used, lambda_text), PAILLIER_OK, "lambda");
	mpz_from_limbs(lambda, a, used);
	check_int(factor_lambda(p, q, lambda, n), PAILLIER_OK, "factor_lambda");
	mpz_set_str(c, "c1c9cc806edb2ef0bfecff5fca97b999", 16);
	check_mpz(p, c, "p");
	mpz_set_str(c, "b0878660d11c346ce91f29a203fc1321", 16);
	check_mpz(q, c, "q");

	mpz_set_str(c,
				"1160ed833e779df5ba237b84aca084bb0456f2ca483d650e675f3710211bc6a2"
				"9af54241f7b7a1ce32a1b8cb0fb0bb02b7aa05e16d8c9ae535aa9d869273e643", 16);
	mpz_set_str(m, "-1234567890123456789", 10);
	fixture_init(&f, p, q, TEXTBOOK);
	check_int(check_private(&f, 256), PAILLIER_OK, "private_check");
	check_plaintext(&f, c, m, "known ciphertext");
	check_encryptions(&f, 10);
	fixture_clear(&f);
	group_end();
	mpz_clears(n, lambda, p, q, c, m, NULL);
}

static void
test_kernel(const paillier_kernel *kernel_to_test)
{
	kernel = kernel_to_test;
	test_known_answer();
	test_composite_factors();
	test_bad_private_keys();
	test_private_init_refusals();
	test_marks();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_factor_lambda();
	with_each_kernel(test_kernel);
	return tap_done();
}
