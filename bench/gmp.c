/*
 * gmp.c
 *		What the operations cost with GMP and OpenSSL as anybody would use them:
 *		a program of its own, which shares no code with the project.
 *
 *	gmp BITS SECONDS MEASURE...
 *
 * Measures for about SECONDS each and prints "MEASURE <tab> operations a second":
 *
 *	multiply	a·b mod n² by mpz_mul and mpz_mod
 *	openssl		a·b/R mod n² by BN_mod_mul_montgomery
 *	textbook	r^n mod n² by mpz_powm
 *	fixedbase	h^a mod n² for a of BITS/2 bits, from a table for 8 bits a step
 *	decrypt		decryption by the Chinese remainder theorem with mpn_sec_powm
 */
#include <gmp.h>
#include <openssl/bn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#define WINDOW 8

static gmp_randstate_t random_state;
static int	bits;
static mpz_t p, q, n, n2;

static void
fail(const char *message)
{
	fprintf(stderr, "gmp: %s\n", message);
	exit(1);
}

static void
random_prime(mpz_t prime)
{
	mpz_urandomb(prime, random_state, bits / 2);
	mpz_setbit(prime, bits / 2 - 1);
	mpz_setbit(prime, bits / 2 - 2);
	mpz_nextprime(prime, prime);
}

static void
make_key(void)
{
	random_prime(p);
	random_prime(q);
	mpz_mul(n, p, q);
	mpz_mul(n2, n, n);
}

/* ---- one multiplication ---- */

static mpz_t factor, product;

static void
init_multiply(void)
{
	mpz_inits(factor, product, NULL);
	mpz_urandomm(factor, random_state, n2);
	mpz_urandomm(product, random_state, n2);
}

static void
multiply(void)
{
	mpz_mul(product, product, factor);
	mpz_mod(product, product, n2);
}

static BIGNUM *bn_factor, *bn_product;
static BN_CTX *bn_ctx;
static BN_MONT_CTX *bn_mont;

static BIGNUM *
to_bn(const mpz_t x)
{
	char	   *hex = mpz_get_str(NULL, 16, x);
	BIGNUM	   *out = NULL;

	if (BN_hex2bn(&out, hex) == 0)
		fail("no memory");
	free(hex);
	return out;
}

static void
init_openssl(void)
{
	init_multiply();
	bn_factor = to_bn(factor);
	bn_product = to_bn(product);
	bn_ctx = BN_CTX_new();
	bn_mont = BN_MONT_CTX_new();
	if (!BN_MONT_CTX_set(bn_mont, to_bn(n2), bn_ctx))
		fail("OpenSSL does not take the modulus");
}

static void
openssl(void)
{
	BN_mod_mul_montgomery(bn_product, bn_product, bn_factor, bn_mont, bn_ctx);
}

/* ---- blinding ---- */

static void
textbook(void)
{
	mpz_powm(product, factor, n, n2);
}

static mpz_t *table;

/* table[256·i + d] = h^(d·256^i) */
static void
init_fixedbase(void)
{
	int			digits = bits / 2 / WINDOW;
	mpz_t		base;

	init_multiply();
	table = malloc(sizeof(mpz_t) * (digits << WINDOW));
	mpz_init_set(base, factor);
	for (int i = 0; i < digits; i++)
	{
		mpz_t	   *row = table + (i << WINDOW);

		mpz_init_set_ui(row[0], 1);
		for (int d = 1; d < 1 << WINDOW; d++)
		{
			mpz_init(row[d]);
			mpz_mul(row[d], row[d - 1], base);
			mpz_mod(row[d], row[d], n2);
		}
		mpz_mul(base, row[(1 << WINDOW) - 1], base);
		mpz_mod(base, base, n2);
	}
}

static void
fixedbase(void)
{
	unsigned char exponent[1 << 10];

	for (int i = 0; i < bits / 2 / WINDOW; i++)
		exponent[i] = gmp_urandomb_ui(random_state, WINDOW);
	mpz_set_ui(product, 1);
	for (int i = 0; i < bits / 2 / WINDOW; i++)
	{
		mpz_mul(product, product, table[(i << WINDOW) + exponent[i]]);
		mpz_mod(product, product, n2);
	}
}

/* ---- decryption ---- */

typedef struct half
{
	mpz_t		square, exponent, inverse;	/* p², p - 1, 1/L((1 + n)^(p - 1) mod p²) mod p */
	mp_limb_t  *power, *base, *scratch;
} half;

static half half_p, half_q;
static mpz_t message, ciphertext, p_inverse, m_p, m_q;

/* (c^(p - 1) mod p² - 1)/p, the powering in constant time */
static void
power_half(half *h, mpz_t out, const mpz_t prime, const mpz_t c)
{
	mp_size_t	size = mpz_size(h->square);

	mpz_mod(out, c, h->square);
	mpn_zero(h->base, size);
	mpn_copyi(h->base, mpz_limbs_read(out), mpz_size(out));
	mpn_sec_powm(h->power, h->base, size, mpz_limbs_read(h->exponent), bits / 2, mpz_limbs_read(h->square), size,
				 h->scratch);
	mpn_copyi(mpz_limbs_write(out, size), h->power, size);
	mpz_limbs_finish(out, size);
	mpz_sub_ui(out, out, 1);
	mpz_divexact(out, out, prime);
}

static void
init_half(half *h, const mpz_t prime)
{
	mp_size_t	size;
	mpz_t		g;

	mpz_inits(h->square, h->exponent, h->inverse, NULL);
	mpz_mul(h->square, prime, prime);
	mpz_sub_ui(h->exponent, prime, 1);
	size = mpz_size(h->square);
	h->power = malloc(size * sizeof(mp_limb_t));
	h->base = malloc(size * sizeof(mp_limb_t));
	h->scratch = malloc(mpn_sec_powm_itch(size, bits / 2, size) * sizeof(mp_limb_t));
	mpz_init(g);
	mpz_add_ui(g, n, 1);
	power_half(h, h->inverse, prime, g);
	if (!mpz_invert(h->inverse, h->inverse, prime))
		fail("no inverse");
	mpz_clear(g);
}

static void
decrypt_to(mpz_t out)
{
	power_half(&half_p, m_p, p, ciphertext);
	mpz_mul(m_p, m_p, half_p.inverse);
	mpz_mod(m_p, m_p, p);
	power_half(&half_q, m_q, q, ciphertext);
	mpz_mul(m_q, m_q, half_q.inverse);
	mpz_mod(m_q, m_q, q);
	mpz_sub(out, m_q, m_p);
	mpz_mul(out, out, p_inverse);
	mpz_mod(out, out, q);
	mpz_mul(out, out, p);
	mpz_add(out, out, m_p);
}

static void
init_decrypt(void)
{
	init_multiply();
	init_half(&half_p, p);
	init_half(&half_q, q);
	mpz_inits(message, ciphertext, p_inverse, m_p, m_q, NULL);
	mpz_invert(p_inverse, p, q);
	mpz_urandomm(message, random_state, n);
	mpz_mul(ciphertext, message, n);
	mpz_add_ui(ciphertext, ciphertext, 1);
	mpz_powm(product, factor, n, n2);
	mpz_mul(ciphertext, ciphertext, product);
	mpz_mod(ciphertext, ciphertext, n2);
	decrypt_to(product);
	if (mpz_cmp(product, message) != 0)
		fail("decryption is wrong");
}

static void
decrypt(void)
{
	decrypt_to(product);
}

/* ---- measuring ---- */

static const struct
{
	const char *name;
	void		(*init) (void);
	void		(*work) (void);
	int			times;			/* between two looks at the clock */
}			measures[] = {
	{"multiply", init_multiply, multiply, 1000},
	{"openssl", init_openssl, openssl, 1000},
	{"textbook", init_multiply, textbook, 1},
	{"fixedbase", init_fixedbase, fixedbase, 10},
	{"decrypt", init_decrypt, decrypt, 1},
};

static void
measure(const char *name, double seconds)
{
	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++)
	{
		if (strcmp(measures[i].name, name) != 0)
			continue;
		measures[i].init();
		printf("%s\t%.6g\n", name, rate(measures[i].work, measures[i].times, seconds));
		return;
	}
	fail("no such measure");
}

int
main(int argc, char **argv)
{
	if (argc < 4 || (bits = atoi(argv[1])) < 128 || bits > 8192 || bits % 64 != 0)
		fail("usage: gmp BITS SECONDS MEASURE...");
	gmp_randinit_default(random_state);
	gmp_randseed_ui(random_state, (unsigned long) now());
	mpz_inits(p, q, n, n2, NULL);
	make_key();
	for (int i = 3; i < argc; i++)
		measure(argv[i], atof(argv[2]));
	return 0;
}
