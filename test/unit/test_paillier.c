/*
 * test_paillier.c
 *		Both halves of the scheme against Paillier's definition, with keys of all
 *		sizes, and the kernels against each other.
 */
#include "scheme_arithmetic.h"
#include "scheme_decryption.h"
#include "scheme_encryption.h"

/* ---- keys ---- */

static void
check_prime_fields(const fixture *f, const paillier_prime *prime, const mpz_t p, const mpz_t q)
{
	mpz_t		expected;

	mpz_init(expected);
	check_int(prime->limbs, mpz_size(p), "limbs of a prime");
	check_limbs(prime->p, prime->limbs, p, "prime");
	mpz_sub_ui(expected, p, 1);
	check_limbs(prime->exponent, prime->limbs, expected, "exponent");
	mpz_neg(expected, q);
	mpz_invert(expected, expected, p);
	check_limbs(prime->h, prime->limbs, expected, "h");
	mpz_mul(expected, p, p);
	check_int(prime->square_limbs, mpz_size(expected), "limbs of the square");
	check_limbs(prime->square, prime->square_limbs, expected, "square of %d bits", bits_of(f->n));
	check_limbs(prime->mont.m, prime->mont.limbs, expected, "modulus of powers");
	mpz_clear(expected);
}

static void
check_key_fields(const fixture *f)
{
	mpz_t		expected;

	mpz_init_set_ui(expected, 0);
	mpz_setbit(expected, 64 * f->pk->limbs);
	mpz_invert(expected, expected, f->n);
	check_limbs(f->pk->reduced_one, f->pk->limbs, expected, "1/B^limbs mod n");
	check(f->pk->neg_inv * f->pk->n[0] == UINT64_MAX, "-1/n");
	mpz_clear(expected);
	check_int(f->pk->bits, bits_of(f->n), "bits");
	check_int(f->pk->limbs, mpz_size(f->n), "limbs");
	check_limbs(f->pk->n, f->pk->limbs, f->n, "n");
	check_limbs(f->pk->half, f->pk->limbs, f->half, "half");
	check_limbs(f->pk->n2.m, f->pk->n2.limbs, f->n2, "n²");
	check_int(f->pk->n2.limbs, mpz_size(f->n2), "limbs of n²");
	check_prime_fields(f, &f->key->p, f->p, f->q);
	check_prime_fields(f, &f->key->q, f->q, f->p);
}

static void
check_generated(const mpz_t p, const mpz_t q, int bits)
{
	mpz_t		x,
				y;

	mpz_inits(x, y, NULL);
	mpz_mul(x, p, q);
	check_int(bits_of(x), bits, "bits of n");
	check_int(bits_of(p), bits / 2, "bits of p");
	check_int(bits_of(q), bits / 2, "bits of q");
	check(mpz_probab_prime_p(p, 20) && mpz_probab_prime_p(q, 20), "keygen of %d bits: not prime", bits);
	check(mpz_fdiv_ui(p, 4) == 3 && mpz_fdiv_ui(q, 4) == 3, "keygen of %d bits: not 3 mod 4", bits);
	mpz_sub_ui(x, p, 1);
	mpz_sub_ui(y, q, 1);
	mpz_gcd(x, x, y);
	check(mpz_cmp_ui(x, 2) == 0, "keygen of %d bits: gcd(p - 1, q - 1) is not 2", bits);
	mpz_clears(x, y, NULL);
}

/* ---- whole keys ---- */

static void
check_scheme(const mpz_t p, const mpz_t q, blinding kind)
{
	fixture		f;
	int			bits;

	fixture_init(&f, p, q, kind);
	bits = bits_of(f.n);
	check_key_fields(&f);
	check_encryptions(&f, bits <= 512 ? 10 : bits <= 1024 ? 2 : 0);
	check_negative_zero(&f);
	check_rerandomize(&f);
	check_homomorphisms(&f);
	check_arrays(&f);
	if (kind >= SHORT)
		check_extreme_exponents(&f);
	if (bits <= 1024)
	{
		check_multiples(&f, f.p, "a multiple of p");
		check_multiples(&f, f.q, "a multiple of q");
		check_multiples(&f, f.n, "a multiple of n");
		check_arithmetic(&f);
	}
	check_codes(&f);
	fixture_clear(&f);
}

/* Made once, for all kernels. */
static const int key_sizes[] = {128, 130, 192, 254, 256, 258, 512, 1000, 1024, 2048, 3072};

static mpz_t generated[LENGTH(key_sizes)][2];

static void
test_keygen(void)
{
	for (int i = 0; i < LENGTH(key_sizes); i++)
	{
		mpz_ptr		p = generated[i][0];
		mpz_ptr		q = generated[i][1];

		mpz_inits(p, q, NULL);
		group_begin("key of %d bits: keygen", key_sizes[i]);
		for (int j = 0; j < (key_sizes[i] <= 258 ? 10 : 1); j++)
		{
			generate(p, q, key_sizes[i]);
			check_generated(p, q, key_sizes[i]);
		}
		group_end();
	}
}

static void
test_generated_key(mpz_srcptr p, mpz_srcptr q, int bits)
{
	fixture		f;

	for (blinding kind = TEXTBOOK; kind <= SHORT_LARGE; kind++)
	{
		if (bits > 1024 && kind != TEXTBOOK && kind != SHORT)
			continue;
		group_begin("%s, key of %d bits: encryption, arithmetic, refusals; %s", kernel->name, bits,
					blinding_names[kind]);
		check_scheme(p, q, kind);
		group_end();
	}
	if (bits > 512)
		return;
	group_begin("%s, key of %d bits: quadratic residues among blinding factors; private_check", kernel->name, bits);
	fixture_init(&f, p, q, SHORT);
	check_residuosity(&f);
	check_int(check_private(&f, 128), PAILLIER_OK, "private_check");
	check_int(check_private(&f, bits), PAILLIER_OK, "private_check");
	check_int(check_private(&f, bits + 1), PAILLIER_ERR_KEY_SIZE, "private_check");
	fixture_clear(&f);
	group_end();
}

static void
test_3072_bits(mpz_srcptr p, mpz_srcptr q)
{
	fixture		f;
	mpz_t		m;

	mpz_init(m);
	group_begin("%s, key of 3072 bits: encryption, decryption, private_check", kernel->name);
	fixture_init(&f, p, q, SHORT);
	check_key_fields(&f);
	mpz_neg(m, f.half);
	check_encryption(&f, m);
	check_int(check_private(&f, 3072), PAILLIER_OK, "private_check");
	check_codes(&f);
	fixture_clear(&f);
	group_end();
	mpz_clear(m);
}

static void
test_generated_keys(void)
{
	for (int i = 0; i < LENGTH(key_sizes); i++)
	{
		mpz_srcptr	p = generated[i][0];
		mpz_srcptr	q = generated[i][1];

		if (key_sizes[i] == 3072)
			test_3072_bits(p, q);
		else
			test_generated_key(p, q, key_sizes[i]);
	}
}

/* The largest key, of primes known beforehand. */
static void
test_8192_bits(void)
{
	fixture		f;
	mpz_t		p,
				q,
				m,
				c,
				factor;

	mpz_inits(p, q, m, c, factor, NULL);
	mpz_setbit(p, 4096);
	mpz_sub_ui(p, p, 2549);
	mpz_setbit(q, 4095);
	mpz_add_ui(q, q, 6591);
	group_begin("%s, key of 8192 bits: encryption, decryption, addition", kernel->name);
	fixture_init(&f, p, q, SHORT);
	check_int(f.pk->n2.limbs, PAILLIER_MAX_LIMBS, "limbs of n²");
	check_key_fields(&f);
	mpz_neg(m, f.half);
	check_int(encrypt(&f, c, m), PAILLIER_OK, "encrypt");
	reference_factor(&f, factor);
	reference_encrypt(&f, factor, m, factor);
	check_mpz(c, factor, "ciphertext");
	check_int(decrypt(&f, factor, c), PAILLIER_OK, "decrypt");
	check_mpz(factor, m, "plaintext");
	check_add(&f, c, c, APART);
	check_negate(&f, c, APART);
	mpz_set_ui(m, 12345);
	check_add_plain(&f, c, true, m, APART);
	check_mul_plain(&f, c, true, m, FIRST);
	fixture_clear(&f);
	group_end();
	mpz_clears(p, q, m, c, factor, NULL);
}

static void
check_decryption(const mpz_t p, const mpz_t q)
{
	fixture		f;

	fixture_init(&f, p, q, TEXTBOOK);
	check_decrypt_arrays(&f);
	fixture_clear(&f);
}

static void
test_unbalanced_keys(void)
{
	static const int sizes[][2] = {
		{96, 160}, {64, 65}, {63, 65}, {33, 97}, {32, 96}, {65, 191}, {127, 129}, {300, 724}, {128, 384}, {256, 257},
		{90, 91}, {181, 182}, {206, 207}, {207, 312}, {103, 104}, {259, 260}, {233, 414}
	};
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		group_begin("%s, primes of %d and %d bits", kernel->name, sizes[i][0], sizes[i][1]);
		random_prime_mpz(p, sizes[i][0]);
		random_prime_mpz(q, sizes[i][1]);
		check_imported(p, q, PAILLIER_OK, "unbalanced");
		check_scheme(p, q, TEXTBOOK);
		check_scheme(q, p, SHORT);
		check_decryption(p, q);
		check_decryption(q, p);
		group_end();
	}
	mpz_clears(p, q, NULL);
}

static void
test_powers_of_two(void)
{
	static const int powers[] = {2, 3, 40, 63, 64, 65, 70, 120};
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	group_begin("%s, primes ≡ 1 modulo a large power of two", kernel->name);
	for (int i = 0; i < LENGTH(powers); i++)
	{
		random_power_of_two_plus_one(p, 128, powers[i], true);
		random_power_of_two_plus_one(q, 150, powers[LENGTH(powers) - 1 - i], true);
		check_imported(p, q, PAILLIER_OK, "powers of two");
		check_scheme(p, q, TEXTBOOK);
	}
	group_end();

	/* p ≡ q ≡ 1 mod 2^9 with n = 2^128 + 1: half of it is a power of two */
	group_begin("%s, n = 2^128 + 1", kernel->name);
	mpz_set_str(p, "59649589127497217", 10);
	mpz_set_str(q, "5704689200685129054721", 10);
	check_imported(p, q, PAILLIER_OK, "n = 2^128 + 1");
	check_scheme(p, q, TEXTBOOK);
	group_end();
	mpz_clears(p, q, NULL);
}

static void
test_decrypt_arrays(void)
{
	for (int i = 0; key_sizes[i] <= 512; i++)
	{
		group_begin("%s, key of %d bits: decryption in arrays", kernel->name, key_sizes[i]);
		check_decryption(generated[i][0], generated[i][1]);
		group_end();
	}
}

/* ---- the kernels against each other ---- */

/* Everything from the same random bytes. */
static void
encrypt_with(const paillier_kernel *with, mpz_t *c, const mpz_t p, const mpz_t q, blinding kind, uint64_t state)
{
	const paillier_kernel *before = kernel;
	fixture		f;
	mpz_t		m[MAX_COUNT];

	init_array(m);
	kernel = with;
	random_state = state;
	fixture_init(&f, p, q, kind);
	choose_plaintexts(&f, m, 17);
	check_int(encrypt_array(&f, *c, *m, 17), PAILLIER_OK, "encrypt");
	fixture_clear(&f);
	kernel = before;
	clear_array(m);
}

static void
check_agreement(const mpz_t p, const mpz_t q, blinding kind)
{
	uint64_t	state = random64();
	mpz_t		c[MAX_COUNT];
	mpz_t		expected[MAX_COUNT];

	init_array(c);
	init_array(expected);
	encrypt_with(portable_kernel(), expected, p, q, kind, state);
	encrypt_with(kernel, c, p, q, kind, state);
	for (int i = 0; i < 17; i++)
		check_mpz(c[i], expected[i], "ciphertext %d", i);
	clear_array(c);
	clear_array(expected);
}

static void
test_agreement(void)
{
	if (kernel == portable_kernel())
		return;
	for (int i = 0; key_sizes[i] <= 2048; i++)
		for (blinding kind = TEXTBOOK; kind <= SHORT_LARGE; kind++)
		{
			if (key_sizes[i] > 1024 && kind < SHORT)
				continue;
			group_begin("%s and %s, key of %d bits, %s: the same ciphertexts", kernel->name,
						portable_kernel()->name, key_sizes[i], blinding_names[kind]);
			check_agreement(generated[i][0], generated[i][1], kind);
			group_end();
		}
}

static void
test_kernel(const paillier_kernel *kernel_to_test)
{
	kernel = kernel_to_test;
	test_generated_keys();
	test_8192_bits();
	test_unbalanced_keys();
	test_powers_of_two();
	test_decrypt_arrays();
	test_agreement();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_keygen();
	with_each_kernel(test_kernel);

	for (int i = 0; i < LENGTH(key_sizes); i++)
		mpz_clears(generated[i][0], generated[i][1], NULL);
	return tap_done();
}
