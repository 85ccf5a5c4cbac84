/* cc -std=gnu11 -Isrc test/unit/test_paillier.c src/paillier*.c src/mont*.c src/bound.c src/codec.c src/jwk.c -lgmp */
/*
 * test_paillier.c
 *		Both halves of the scheme against Paillier's definition on mpz_t: with
 *		lambda and mu, without remainders modulo p and q and without Montgomery
 *		forms.  Blinding factors are recomputed from the random bytes that the
 *		functions under test were given.  All of it with each kernel.
 */
#include "jwk.h"
#include "kernels.h"
#include "paillier_private.h"

static const paillier_kernel *kernel;	/* that keys are prepared for */

/* ---- a key, with what the definition needs ---- */

typedef struct fixture
{
	paillier_private *key;
	const paillier_public *pk;
	guarded		scratch;		/* for the public half */
	guarded		blind_scratch;
	guarded		private_scratch;
	paillier_blinder blinder;
	guarded		table;
	mpz_t		h_s;			/* what the table was made from */
	random_source source;

	mpz_t		p;
	mpz_t		q;
	mpz_t		n;
	mpz_t		n2;
	mpz_t		half;
	mpz_t		lambda;			/* lcm(p - 1, q - 1) */
	mpz_t		mu;				/* 1/lambda mod n */
} fixture;

typedef enum blinding
{
	TEXTBOOK,					/* a key from elsewhere */
	SHORT_WITHOUT_TABLE,		/* made here, but r^n all the same */
	SHORT,
	SHORT_LARGE					/* the same with a larger table */
} blinding;

static const char *const blinding_names[] = {"r^n", "r^n, no table", "h_s^a", "h_s^a, large table"};

/* Fresh rubbish in the scratch of each call; fences_hold() looks at it afterwards. */
static mp_limb_t *
scratch_of(const fixture *f)
{
	guarded_fill(&f->scratch);
	return f->scratch.a;
}

static mp_limb_t *
blind_scratch_of(const fixture *f)
{
	guarded_fill(&f->blind_scratch);
	return f->blind_scratch.a;
}

static mp_limb_t *
private_scratch_of(const fixture *f)
{
	guarded_fill(&f->private_scratch);
	return f->private_scratch.a;
}

static void
fences_hold(const fixture *f, const char *function)
{
	check(guarded_intact(&f->scratch) && guarded_intact(&f->blind_scratch) && guarded_intact(&f->private_scratch),
		  "%s overran its scratch", function);
}

static int
bits_of(const mpz_t number)
{
	return mpz_sizeinbase(number, 2);
}

static void
compute_reference(fixture *f, const mpz_t p, const mpz_t q)
{
	mpz_t		p_1,
				q_1;

	mpz_inits(f->p, f->q, f->n, f->n2, f->half, f->lambda, f->mu, f->h_s, p_1, q_1, NULL);
	mpz_set(f->p, p);
	mpz_set(f->q, q);
	mpz_mul(f->n, p, q);
	mpz_mul(f->n2, f->n, f->n);
	mpz_tdiv_q_2exp(f->half, f->n, 1);
	mpz_sub_ui(p_1, p, 1);
	mpz_sub_ui(q_1, q, 1);
	mpz_lcm(f->lambda, p_1, q_1);
	mpz_invert(f->mu, f->lambda, f->n);
	mpz_clears(p_1, q_1, NULL);
}

/* Prepare the key {p, q} in memory of just the documented size. */
static paillier_result
init_private(paillier_private *key, const mpz_t p, const mpz_t q, bool djn, guarded *scratch)
{
	mp_limb_t  *p_limbs = new_limbs_of(mpz_size(p), p);
	mp_limb_t  *q_limbs = new_limbs_of(mpz_size(q), q);
	paillier_result result;

	guarded_fill(scratch);
	result = paillier_private_init(key, kernel, p_limbs, mpz_size(p), q_limbs, mpz_size(q), djn, scratch->a);
	check(guarded_intact(scratch), "private_init overran its scratch");
	free(p_limbs);
	free(q_limbs);
	return result;
}

/* The number whose low bits the last random bytes were. */
static void
last_random(const fixture *f, mpz_t number, int bits)
{
	mpz_import(number, f->source.last_len / 8, -1, 8, 0, 0, f->source.last);
	mpz_fdiv_r_2exp(number, number, bits);
}

/* h_s = (-x²)^n mod n² */
static void
init_blinder(fixture *f, blinding kind)
{
	const paillier_comb *comb = kind == SHORT_LARGE ? &paillier_comb_large : &paillier_comb_small;
	size_t		table_limbs = paillier_blinder_table(f->pk, comb);
	mp_limb_t  *table;

	check_int(table_limbs, (kind == TEXTBOOK ? 0 : kind == SHORT_LARGE ? 16384 : 4096) * f->pk->n2.words,
			  "limbs of the table");
	f->table = guarded_new(table_limbs);
	table = kind == SHORT_WITHOUT_TABLE ? NULL : f->table.a;
	check_int(paillier_blinder_init(&f->blinder, f->pk, comb, table, random_source_read, &f->source, scratch_of(f)), PAILLIER_OK,
			  "blinder_init");
	fences_hold(f, "blinder_init");
	check(guarded_intact(&f->table), "blinder_init overran the table");
	if (kind >= SHORT)
	{
		last_random(f, f->h_s, bits_of(f->n));
		mpz_mul(f->h_s, f->h_s, f->h_s);
		mpz_neg(f->h_s, f->h_s);
		mpz_mod(f->h_s, f->h_s, f->n);
		mpz_powm(f->h_s, f->h_s, f->n, f->n2);
	}
}

static void
fixture_init(fixture *f, const mpz_t p, const mpz_t q, blinding kind)
{
	memset(f, 0, sizeof(*f));
	compute_reference(f, p, q);
	f->source = RANDOM_SOURCE;
	f->key = allocate(sizeof(paillier_private));
	f->pk = &f->key->pub;
	f->private_scratch = guarded_new(paillier_private_scratch(bits_of(f->n)));
	f->scratch = guarded_new(PAILLIER_SCRATCH(mpz_size(f->n2)));
	f->blind_scratch = guarded_new(PAILLIER_BLIND_SCRATCH(mpz_size(f->n2)));
	check_int(init_private(f->key, p, q, kind != TEXTBOOK, &f->private_scratch), PAILLIER_OK, "private_init");
	init_blinder(f, kind);
}

static void
fixture_clear(fixture *f)
{
	mpz_clears(f->p, f->q, f->n, f->n2, f->half, f->lambda, f->mu, f->h_s, NULL);
	guarded_free(&f->scratch);
	guarded_free(&f->blind_scratch);
	guarded_free(&f->private_scratch);
	guarded_free(&f->table);
	free(f->key);
}

/* ---- the definition ---- */

/* The representative of m mod n that is nearest to zero. */
static void
center(const fixture *f, mpz_t m)
{
	mpz_mod(m, m, f->n);
	if (mpz_cmp(m, f->half) > 0)
		mpz_sub(m, m, f->n);
}

/* m = L(c^lambda mod n²)·mu mod n */
static void
reference_decrypt(const fixture *f, mpz_t m, const mpz_t c)
{
	mpz_powm(m, c, f->lambda, f->n2);
	mpz_sub_ui(m, m, 1);
	if (!mpz_divisible_p(m, f->n))
		check(false, "reference: no ciphertext");
	mpz_divexact(m, m, f->n);
	mpz_mul(m, m, f->mu);
	center(f, m);
}

/* (1 + m·n)·factor mod n² */
static void
reference_encrypt(const fixture *f, mpz_t c, const mpz_t m, const mpz_t factor)
{
	mpz_t		encoded;

	mpz_init(encoded);
	mpz_mul(encoded, m, f->n);
	mpz_add_ui(encoded, encoded, 1);
	mpz_mul(c, encoded, factor);
	mpz_mod(c, c, f->n2);
	mpz_clear(encoded);
}

/* The blinding factor that the last random bytes led to. */
static void
reference_factor(const fixture *f, mpz_t factor)
{
	mpz_t		r;

	mpz_init(r);
	if (f->blinder.table != NULL)
	{
		last_random(f, r, bits_of(f->n) / 2);
		mpz_powm(factor, f->h_s, r, f->n2);
	}
	else
	{
		last_random(f, r, bits_of(f->n));
		mpz_powm(factor, r, f->n, f->n2);
	}
	mpz_clear(r);
}

/* ---- the functions under test, on mpz_t ---- */

static void
random_unit(const fixture *f, mpz_t c)
{
	mpz_t		gcd;

	mpz_init(gcd);
	do
	{
		random_mpz_below(c, f->n2);
		mpz_gcd(gcd, c, f->n);
	} while (mpz_cmp_ui(gcd, 1) != 0);
	mpz_clear(gcd);
}

/*
 * Arrays of mpz_t by their first element.
 *
 * The plaintexts are read from the places where the
 * ciphertexts go: outputs may be the inputs.
 */
static paillier_result
encrypt_array(fixture *f, mpz_ptr c, mpz_srcptr m, int count)
{
	guarded	   *out = allocate(count * sizeof(guarded));
	mp_limb_t **outputs = allocate(count * sizeof(mp_limb_t *));
	paillier_plaintext *inputs = allocate(count * sizeof(paillier_plaintext));
	mpz_t		magnitude;
	paillier_result result;

	mpz_init(magnitude);
	for (int i = 0; i < count; i++)
	{
		out[i] = guarded_new(f->pk->n2.limbs);
		outputs[i] = out[i].a;
		inputs[i] = (paillier_plaintext) {mpz_sgn(m + i) < 0, out[i].a};
		mpz_abs(magnitude, m + i);
		mpz_to_limbs(out[i].a, f->pk->limbs, magnitude);
	}
	result = paillier_encrypt(&f->blinder, outputs, inputs, count, random_source_read, &f->source, blind_scratch_of(f));
	fences_hold(f, "encrypt");
	check(guarded_wiped(&f->blind_scratch), "encrypt leaves something in its scratch");
	for (int i = 0; i < count; i++)
	{
		check(guarded_intact(&out[i]), "encrypt overran an output");
		mpz_from_limbs(c + i, out[i].a, f->pk->n2.limbs);
		guarded_free(&out[i]);
	}
	mpz_clear(magnitude);
	free(out);
	free(outputs);
	free(inputs);
	return result;
}

static paillier_result
encrypt(fixture *f, mpz_t c, const mpz_t m)
{
	return encrypt_array(f, c, m, 1);
}

static paillier_result
rerandomize_array(fixture *f, mpz_ptr c, int count)
{
	guarded	   *out = allocate(count * sizeof(guarded));
	mp_limb_t **outputs = allocate(count * sizeof(mp_limb_t *));
	paillier_result result;

	for (int i = 0; i < count; i++)
	{
		out[i] = guarded_new(f->pk->n2.limbs);
		outputs[i] = out[i].a;
		mpz_to_limbs(out[i].a, f->pk->n2.limbs, c + i);
	}
	result = paillier_rerandomize(&f->blinder, outputs, count, random_source_read, &f->source, blind_scratch_of(f));
	fences_hold(f, "rerandomize");
	check(guarded_wiped(&f->blind_scratch), "rerandomize leaves something in its scratch");
	for (int i = 0; i < count; i++)
	{
		check(guarded_intact(&out[i]), "rerandomize overran an output");
		mpz_from_limbs(c + i, out[i].a, f->pk->n2.limbs);
		guarded_free(&out[i]);
	}
	free(out);
	free(outputs);
	return result;
}

/* The results go to *result, the plaintexts, where there are any, to *m. */
static void
decrypt_array(const fixture *f, paillier_result *result, mpz_ptr m, mpz_srcptr c, int count)
{
	mp_limb_t **in = allocate(count * sizeof(mp_limb_t *));
	guarded	   *mag = allocate(count * sizeof(guarded));
	paillier_decrypted *out = allocate(count * sizeof(paillier_decrypted));

	for (int i = 0; i < count; i++)
	{
		in[i] = new_limbs_of(f->pk->n2.limbs, c + i);
		mag[i] = guarded_new(f->pk->limbs);
		out[i].mag = mag[i].a;
	}
	paillier_decrypt(f->key, out, (const mp_limb_t *const *) in, count, private_scratch_of(f));
	fences_hold(f, "decrypt");
	for (int i = 0; i < count; i++)
	{
		result[i] = out[i].result;
		if (result[i] == PAILLIER_OK)
		{
			mpz_from_limbs(m + i, mag[i].a, f->pk->limbs);
			check(!out[i].negative || mpz_sgn(m + i) != 0, "decrypt gives a negative zero");
			if (out[i].negative)
				mpz_neg(m + i, m + i);
		}
		check(guarded_intact(&mag[i]), "decrypt overran an output");
		check_limbs(in[i], f->pk->n2.limbs, c + i, "decrypt changed its input");
		free(in[i]);
		guarded_free(&mag[i]);
	}
	free(in);
	free(mag);
	free(out);
}

static paillier_result
decrypt(const fixture *f, mpz_t m, const mpz_t c)
{
	paillier_result result;

	decrypt_array(f, &result, m, c, 1);
	return result;
}

/* c decrypts to m mod n, by our decryption and by the definition. */
static void
check_plaintext(const fixture *f, const mpz_t c, const mpz_t m, const char *what)
{
	mpz_t		expected,
				got;

	mpz_inits(expected, got, NULL);
	mpz_set(expected, m);
	center(f, expected);
	check_int(decrypt(f, got, c), PAILLIER_OK, "%s: decryption", what);
	check_mpz(got, expected, "%s: plaintext", what);
	reference_decrypt(f, got, c);
	check_mpz(got, expected, "%s: plaintext by definition", what);
	mpz_clears(expected, got, NULL);
}

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
	check_int(prime->vectors, kernel != &paillier_kernel_generic, "vectors");
	if (prime->vectors)
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

/* Import the factors of the key that has been prepared. */
static paillier_result
import_again(fixture *f, int min_bits)
{
	mp_limb_t	p[PAILLIER_MAX_N_LIMBS];
	mp_limb_t	q[PAILLIER_MAX_N_LIMBS];

	mpn_copyi(p, f->key->p.p, f->key->p.limbs);
	mpn_copyi(q, f->key->q.p, f->key->q.limbs);
	return paillier_private_import(f->key, kernel, p, f->key->p.limbs, q, f->key->q.limbs, f->key->pub.djn, min_bits,
								   random_source_read, &f->source, private_scratch_of(f));
}

static paillier_result
check_private(fixture *f, int min_bits)
{
	paillier_result result = import_again(f, min_bits);

	fences_hold(f, "private_import");
	return result;
}

static void
generate(mpz_t p, mpz_t q, int bits)
{
	int			limbs = (bits / 2 + 63) / 64;
	guarded		scratch = guarded_new(paillier_private_scratch(bits));
	guarded		p_out = guarded_new(limbs);
	guarded		q_out = guarded_new(limbs);
	random_source source = RANDOM_SOURCE;

	check_int(paillier_keygen(p_out.a, q_out.a, bits, random_source_read, &source, scratch.a), PAILLIER_OK, "keygen");
	check(guarded_intact(&scratch) && guarded_intact(&p_out) && guarded_intact(&q_out), "keygen overran");
	mpz_from_limbs(p, p_out.a, limbs);
	mpz_from_limbs(q, q_out.a, limbs);
	guarded_free(&scratch);
	guarded_free(&p_out);
	guarded_free(&q_out);
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

/* ---- encryption ---- */

/* c is what the definition gives for the last random bytes, and its blinding factor what it should be. */
static void
check_ciphertext(fixture *f, const mpz_t c, const mpz_t m)
{
	mpz_t		factor,
				x;

	mpz_inits(factor, x, NULL);
	reference_factor(f, factor);
	reference_encrypt(f, x, m, factor);
	check_mpz(c, x, "ciphertext");

	/* an n-th residue: its order divides lambda */
	mpz_powm(x, factor, f->lambda, f->n2);
	check(mpz_cmp_ui(x, 1) == 0, "the blinding factor is no n-th residue");
	check_plaintext(f, c, m, "encryption");
	mpz_clears(factor, x, NULL);
}

static void
check_encryption(fixture *f, const mpz_t m)
{
	mpz_t		c,
				again;

	mpz_inits(c, again, NULL);
	check_int(encrypt(f, c, m), PAILLIER_OK, "encrypt");
	check_ciphertext(f, c, m);
	check_int(encrypt(f, again, m), PAILLIER_OK, "encrypt again");
	check(mpz_cmp(c, again) != 0, "two encryptions are the same");
	mpz_clears(c, again, NULL);
}

static void
check_refused_plaintext(fixture *f, const mpz_t m)
{
	mpz_t		c,
				minus;

	mpz_inits(c, minus, NULL);
	mpz_neg(minus, m);
	check_int(encrypt(f, c, m), PAILLIER_ERR_RANGE, "a plaintext that is too large");
	check_int(encrypt(f, c, minus), PAILLIER_ERR_RANGE, "a plaintext that is too small");
	mpz_clears(c, minus, NULL);
}

static void
check_encryptions(fixture *f, int count)
{
	mpz_t		m;

	mpz_init(m);
	for (int i = -1; i <= 1; i++)
	{
		mpz_set_si(m, i);
		check_encryption(f, m);
		mpz_mul_si(m, f->half, i);
		if (i != 0)
			check_encryption(f, m);
	}
	for (int i = 0; i < count; i++)
	{
		random_mpz_below(m, f->n);
		center(f, m);
		check_encryption(f, m);
	}
	mpz_add_ui(m, f->half, 1);
	check_refused_plaintext(f, m);
	mpz_sub_ui(m, f->n, 1);
	check_refused_plaintext(f, m);
	mpz_set_ui(m, 0);
	mpz_setbit(m, 64 * f->pk->limbs);
	mpz_sub_ui(m, m, 1);
	check_refused_plaintext(f, m);
	mpz_clear(m);
}

/* -0 is 0, and the output may be elsewhere than the input. */
static void
check_negative_zero(fixture *f)
{
	mp_limb_t  *mag = new_limbs(f->pk->limbs);
	mp_limb_t  *out = new_limbs(f->pk->n2.limbs);
	paillier_plaintext minus_zero = {true, mag};
	mpz_t		c,
				zero;

	mpz_inits(c, zero, NULL);
	mpn_zero(mag, f->pk->limbs);
	check_int(paillier_encrypt(&f->blinder, &out, &minus_zero, 1, random_source_read, &f->source, blind_scratch_of(f)),
			  PAILLIER_OK, "encrypt -0");
	mpz_from_limbs(c, out, f->pk->n2.limbs);
	check(mpz_cmp(c, f->n2) < 0, "the encryption of -0 is not reduced");
	check_ciphertext(f, c, zero);
	check(mpn_zero_p(mag, f->pk->limbs), "encrypt changed its input");
	mpz_clears(c, zero, NULL);
	free(mag);
	free(out);
}

/*
 * With p ≡ q ≡ 3 mod 4, h = -x² is a non-residue modulo both, so that h_s^a is
 * a residue modulo both or neither, by the parity of a.
 */
static void
check_residuosity(fixture *f)
{
	mpz_t		c,
				zero;
	int			seen[2] = {0, 0};

	mpz_inits(c, zero, NULL);
	for (int i = 0; i < 40; i++)
	{
		int			symbol;

		check_int(encrypt(f, c, zero), PAILLIER_OK, "encrypt 0");
		symbol = mpz_jacobi(c, f->p);
		check_int(mpz_jacobi(c, f->q), symbol, "residue modulo p and not modulo q");
		check_int(mpz_jacobi(c, f->n), 1, "Jacobi symbol");
		check(symbol == ((f->source.last[0] & 1) ? -1 : 1), "the parity of a is not that of the residue");
		seen[symbol > 0]++;
	}
	check(seen[0] > 0 && seen[1] > 0, "all factors are residues, or none");
	mpz_clears(c, zero, NULL);
}

static void
check_rerandomize(fixture *f)
{
	mpz_t		c,
				m,
				factor,
				got;

	mpz_inits(c, m, factor, got, NULL);
	random_unit(f, c);
	reference_decrypt(f, m, c);
	mpz_set(got, c);
	check_int(rerandomize_array(f, got, 1), PAILLIER_OK, "rerandomize");
	check(mpz_cmp(got, c) != 0, "rerandomize changed nothing");
	reference_factor(f, factor);
	mpz_mul(factor, factor, c);
	mpz_mod(factor, factor, f->n2);
	check_mpz(got, factor, "rerandomize");
	check_plaintext(f, got, m, "rerandomize");
	mpz_clears(c, m, factor, got, NULL);
}

/* ---- arrays ---- */

#define MAX_COUNT 20

/* Steps of eight, and what is left of them. */
static const int array_counts[] = {1, 7, 8, 9, 16, 17};

static void
init_array(mpz_t *array)
{
	for (int i = 0; i < MAX_COUNT; i++)
		mpz_init(array[i]);
}

static void
clear_array(mpz_t *array)
{
	for (int i = 0; i < MAX_COUNT; i++)
		mpz_clear(array[i]);
}

/* The extremes, then random ones. */
static void
choose_plaintexts(const fixture *f, mpz_t *m, int count)
{
	for (int i = 0; i < count; i++)
		if (i < 4)
			mpz_mul_si(m[i], f->half, i % 3 - 1);
		else
		{
			random_mpz_below(m[i], f->n);
			center(f, m[i]);
		}
}

static void
check_all_differ(mpz_t *c, int count)
{
	for (int i = 0; i < count; i++)
		for (int j = 0; j < i; j++)
			check(mpz_cmp(c[i], c[j]) != 0, "ciphertexts %d and %d of %d are the same", i, j, count);
}

static void
check_all_decrypt(const fixture *f, mpz_t *c, mpz_t *m, int count)
{
	paillier_result result[MAX_COUNT];
	mpz_t		got[MAX_COUNT];

	init_array(got);
	decrypt_array(f, result, *got, *c, count);
	for (int i = 0; i < count; i++)
		if (!check_int(result[i], PAILLIER_OK, "decryption of %d of %d", i, count))
			check_mpz(got[i], m[i], "plaintext %d of %d", i, count);
	clear_array(got);
}

/*
 * Random numbers are drawn in the order of the array, whole factors one after
 * the other: an array is encrypted as its elements are.
 */
static void
check_encrypt_array(fixture *f, int count)
{
	mpz_t		m[MAX_COUNT];
	mpz_t		c[MAX_COUNT];
	mpz_t		single;
	uint64_t	before;
	uint64_t	after;

	mpz_init(single);
	init_array(m);
	init_array(c);
	choose_plaintexts(f, m, count);
	before = random_state;
	check_int(encrypt_array(f, *c, *m, count), PAILLIER_OK, "encrypt %d", count);
	after = random_state;
	random_state = before;
	for (int i = 0; i < count; i++)
	{
		check_int(encrypt(f, single, m[i]), PAILLIER_OK, "encrypt");
		check_mpz(c[i], single, "%d of %d encrypted at once, and the same one by one", i, count);
	}
	check(random_state == after, "%d at once take other random numbers than one by one", count);
	check_all_differ(c, count);
	check_all_decrypt(f, c, m, count);
	mpz_clear(single);
	clear_array(m);
	clear_array(c);
}

static void
check_rerandomize_array(fixture *f, int count)
{
	mpz_t		m[MAX_COUNT];
	mpz_t		c[MAX_COUNT];
	mpz_t		again[MAX_COUNT];
	uint64_t	before;

	init_array(m);
	init_array(c);
	init_array(again);
	choose_plaintexts(f, m, count);
	check_int(encrypt_array(f, *c, *m, count), PAILLIER_OK, "encrypt");
	for (int i = 0; i < count; i++)
		mpz_set(again[i], c[i]);
	before = random_state;
	check_int(rerandomize_array(f, *again, count), PAILLIER_OK, "rerandomize %d", count);
	random_state = before;
	for (int i = 0; i < count; i++)
	{
		check(mpz_cmp(c[i], again[i]) != 0, "rerandomize changed nothing");
		check_int(rerandomize_array(f, c[i], 1), PAILLIER_OK, "rerandomize");
		check_mpz(again[i], c[i], "%d of %d rerandomized at once, and the same one by one", i, count);
	}
	check_all_differ(again, count);
	check_all_decrypt(f, again, m, count);
	clear_array(m);
	clear_array(c);
	clear_array(again);
}

/* Exponents a that are 0 or all ones reach every entry of the table that random ones might not. */
static void
check_extreme_exponents(fixture *f)
{
	mpz_t		c[MAX_COUNT];
	mpz_t		m[MAX_COUNT];

	init_array(c);
	init_array(m);
	for (int byte = 0; byte <= 255; byte += 85)
	{
		f->source.fixed = byte;
		for (int i = 0; i < 9; i++)
			mpz_set_si(m[i], -byte);
		check_int(encrypt_array(f, *c, *m, 9), PAILLIER_OK, "encrypt with fixed bytes");
		check_ciphertext(f, c[8], m[8]);
		for (int i = 0; i < 8; i++)
			check_mpz(c[i], c[8], "encrypted eight at a time with fixed bytes, and one by one");
	}
	f->source.fixed = -1;
	clear_array(c);
	clear_array(m);
}

/* One plaintext that is too large: nothing is encrypted, no input overwritten. */
static void
check_refused_array(fixture *f, int count)
{
	mpz_t		m[MAX_COUNT];
	mpz_t		c[MAX_COUNT];
	mpz_t		magnitude;

	mpz_init(magnitude);
	init_array(m);
	init_array(c);
	for (int position = 0; position < count; position++)
	{
		int			calls = f->source.calls;

		choose_plaintexts(f, m, count);
		mpz_add_ui(m[position], f->half, 1);
		if (position % 2 == 0)
			mpz_neg(m[position], m[position]);
		check_int(encrypt_array(f, *c, *m, count), PAILLIER_ERR_RANGE, "%d of %d too large", position, count);
		check_int(f->source.calls, calls, "calls for random bytes");
		for (int i = 0; i < count; i++)
		{
			mpz_abs(magnitude, m[i]);
			mpz_fdiv_r_2exp(c[i], c[i], 64 * f->pk->limbs);
			check_mpz(c[i], magnitude, "input %d of %d was changed", i, count);
		}
	}
	mpz_clear(magnitude);
	clear_array(m);
	clear_array(c);
}

static void
check_empty_array(fixture *f)
{
	mpz_t		none;
	int			calls = f->source.calls;

	mpz_init(none);
	check_int(encrypt_array(f, none, none, 0), PAILLIER_OK, "encrypt nothing");
	check_int(rerandomize_array(f, none, 0), PAILLIER_OK, "rerandomize nothing");
	decrypt_array(f, NULL, none, none, 0);
	check_int(f->source.calls, calls, "calls for random bytes");
	mpz_clear(none);
}

static void
check_arrays(fixture *f)
{
	int			bits = bits_of(f->n);

	check_empty_array(f);
	for (int i = 0; i < LENGTH(array_counts); i++)
	{
		int			count = array_counts[i];

		if ((bits > 512 && count != 9) || (bits > 1024 && f->blinder.table == NULL))
			continue;
		check_encrypt_array(f, count);
		check_rerandomize_array(f, count);
		check_refused_array(f, count);
	}
}

/*
 * What random numbers lasted for is encrypted, in steps of eight and then one by
 * one; the rest is zero, and not what would show the plaintext.
 */
static void
check_interrupted(const fixture *f, mpz_t *c, mpz_t *m, int count, int done)
{
	mpz_t		rest;

	mpz_init(rest);
	check(done % 8 == 0 || done >= count / 8 * 8, "interrupted after %d of %d", done, count);
	for (int i = 0; i < done; i++)
	{
		mpz_mod(rest, c[i], f->n);
		check(mpz_cmp_ui(rest, 1) != 0, "%d of %d, interrupted after %d, is not blinded", i, count, done);
	}
	for (int i = done; i < count; i++)
		check(mpz_sgn(c[i]) == 0, "%d of %d, interrupted after %d, is not zero", i, count, done);
	check_all_decrypt(f, c, m, done);
	mpz_clear(rest);
}

/* How many numbers in front of the first zero there are. */
static int
count_done(mpz_t *c, int count)
{
	int			done = 0;

	while (done < count && mpz_sgn(c[done]) != 0)
		done++;
	return done;
}

/* The k-th call for random bytes fails, for all k; a factor that is h_s^a takes one. */
static void
check_interruptions(fixture *f, int count, bool rerandomize)
{
	mpz_t		m[MAX_COUNT];
	mpz_t		c[MAX_COUNT];
	paillier_result result = PAILLIER_ERR_RANDOM;
	int			last = 0;

	init_array(m);
	init_array(c);
	choose_plaintexts(f, m, count);
	for (int k = 0; result != PAILLIER_OK && k < 20 * count; k++)
	{
		int			done;

		f->source = RANDOM_SOURCE;
		if (rerandomize)
			check_int(encrypt_array(f, *c, *m, count), PAILLIER_OK, "encrypt");
		f->source.calls = 0;
		f->source.fail_at = k;
		result = rerandomize ? rerandomize_array(f, *c, count) : encrypt_array(f, *c, *m, count);
		done = count_done(c, count);
		if (f->blinder.table != NULL)
			check_int(done, k >= count / 8 * 8 ? k : k / 8 * 8, "done of %d when call %d fails", count, k);
		check_int(result, done == count ? PAILLIER_OK : PAILLIER_ERR_RANDOM, "call %d fails", k);
		check_interrupted(f, c, m, count, done);
		last = done;
	}
	check_int(last, count, "done in the end");
	f->source = RANDOM_SOURCE;
	clear_array(m);
	clear_array(c);
}

/* ---- decryption in arrays ---- */

/* What may stand in an array: its plaintext if it has one. */
typedef struct sample
{
	mpz_t		c;
	paillier_result want;
	mpz_t		m;
} sample;

#define VALID_SAMPLES	11
#define SAMPLES			20

static void
choose_invalid_sample(const fixture *f, int i, sample *s)
{
	mpz_srcptr	factors[] = {f->p, f->q, f->n};

	s->want = PAILLIER_ERR_NOT_UNIT;
	if (i < 6)
	{
		random_mpz_below(s->c, f->n);
		mpz_add_ui(s->c, s->c, 1);
		mpz_mul(s->c, s->c, factors[i % 3]);
		if (i >= 3)
			mpz_mul(s->c, s->c, factors[i % 3]);
		mpz_mod(s->c, s->c, f->n2);
		if (mpz_sgn(s->c) == 0)
			s->want = PAILLIER_ERR_ZERO;
	}
	else if (i == 6)
		s->want = PAILLIER_ERR_ZERO;
	else
	{
		s->want = PAILLIER_ERR_TOO_LARGE;
		mpz_set(s->c, f->n2);
		if (i == 8)
		{
			mpz_set_ui(s->c, 0);
			mpz_setbit(s->c, 64 * f->pk->n2.limbs);
			mpz_sub_ui(s->c, s->c, 1);
		}
	}
}

static void
choose_samples(fixture *f, sample *samples)
{
	for (int i = 0; i < SAMPLES; i++)
	{
		sample	   *s = &samples[i];

		mpz_inits(s->c, s->m, NULL);
		if (i >= VALID_SAMPLES)
		{
			choose_invalid_sample(f, i - VALID_SAMPLES, s);
			continue;
		}
		s->want = PAILLIER_OK;
		if (i == 0)
			mpz_set_ui(s->c, 1);
		else if (i == 1)
			mpz_sub_ui(s->c, f->n2, 1);
		else
			random_unit(f, s->c);
		reference_decrypt(f, s->m, s->c);
	}
}

static void
check_decrypt_samples(const fixture *f, const sample *samples, const int *chosen, int count)
{
	mpz_t		c[MAX_COUNT];
	mpz_t		m[MAX_COUNT];
	paillier_result result[MAX_COUNT];

	init_array(c);
	init_array(m);
	for (int i = 0; i < count; i++)
		mpz_set(c[i], samples[chosen[i]].c);
	decrypt_array(f, result, *m, *c, count);
	for (int i = 0; i < count; i++)
	{
		const sample *s = &samples[chosen[i]];

		check_int(result[i], s->want, "sample %d as %d of %d", chosen[i], i, count);
		if (result[i] == PAILLIER_OK && s->want == PAILLIER_OK)
			check_mpz(m[i], s->m, "plaintext of sample %d as %d of %d", chosen[i], i, count);
	}
	clear_array(c);
	clear_array(m);
}

/* Arrays of up to nine with one that is no ciphertext anywhere among them, and mixtures. */
static void
check_decrypt_arrays(fixture *f)
{
	sample		samples[SAMPLES];
	int			chosen[MAX_COUNT];

	choose_samples(f, samples);
	for (int count = 1; count <= 9; count++)
	{
		for (int i = 0; i < count; i++)
			chosen[i] = i;
		check_decrypt_samples(f, samples, chosen, count);
		for (int position = 0; position < count; position++)
		{
			for (int invalid = VALID_SAMPLES; invalid < SAMPLES; invalid++)
			{
				chosen[position] = invalid;
				check_decrypt_samples(f, samples, chosen, count);
			}
			chosen[position] = position;
		}
	}
	for (int i = 0; i < 60; i++)
	{
		int			count = 1 + random_int(MAX_COUNT);
		int			valid_in_ten = random_int(11);

		for (int j = 0; j < count; j++)
			chosen[j] = random_int(10) < valid_in_ten ? random_int(VALID_SAMPLES)
				: VALID_SAMPLES + random_int(SAMPLES - VALID_SAMPLES);
		check_decrypt_samples(f, samples, chosen, count);
	}
	for (int i = 0; i < SAMPLES; i++)
		mpz_clears(samples[i].c, samples[i].m, NULL);
}

/* ---- arithmetic on ciphertexts ---- */

/* Where the output goes: a place of its own, or that of an input. */
typedef enum aliasing
{
	APART,
	FIRST,
	SECOND,
	ALIASINGS
} aliasing;

static void
check_add(const fixture *f, const mpz_t x, const mpz_t y, aliasing where)
{
	int			limbs = f->pk->n2.limbs;
	mp_limb_t  *a = new_limbs_of(limbs, x);
	mp_limb_t  *b = new_limbs_of(limbs, y);
	guarded		apart = guarded_new(limbs);
	mp_limb_t  *out = where == FIRST ? a : where == SECOND ? b : apart.a;
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, x, y);
	mpz_mod(expected, expected, f->n2);
	paillier_add(f->pk, out, a, b, scratch_of(f));
	check_limbs(out, limbs, expected, "add, output %d", where);
	fences_hold(f, "add");
	check(guarded_intact(&apart), "add overran its output");
	mpz_to_limbs(a, limbs, x);
	mpz_mul(expected, x, x);
	mpz_mod(expected, expected, f->n2);
	paillier_add(f->pk, a, a, a, scratch_of(f));
	check_limbs(a, limbs, expected, "add to itself in place");
	mpz_clear(expected);
	guarded_free(&apart);
	free(a);
	free(b);
}

static void
check_negate(const fixture *f, const mpz_t x, aliasing where)
{
	int			limbs = f->pk->n2.limbs;
	mp_limb_t  *c = new_limbs_of(limbs, x);
	guarded		apart = guarded_new(limbs);
	mp_limb_t  *out = where == APART ? apart.a : c;
	mpz_t		expected;
	bool		unit;

	mpz_init(expected);
	unit = mpz_invert(expected, x, f->n2);
	check_int(paillier_negate_var(f->pk, out, c, scratch_of(f)), unit ? PAILLIER_OK : PAILLIER_ERR_NOT_UNIT, "negate");
	if (unit)
		check_limbs(out, limbs, expected, "negate, output %d", where);
	fences_hold(f, "negate");
	check(guarded_intact(&apart), "negate overran its output");
	mpz_clear(expected);
	guarded_free(&apart);
	free(c);
}

static void
check_add_plain(const fixture *f, const mpz_t x, bool negative, const mpz_t k, aliasing where)
{
	int			limbs = f->pk->n2.limbs;
	mp_limb_t  *c = new_limbs_of(limbs, x);
	mp_limb_t  *mag = new_limbs_of(limbs, k);	/* longer than it must be, for the output */
	guarded		apart = guarded_new(limbs);
	mp_limb_t  *out = where == FIRST ? c : where == SECOND ? mag : apart.a;
	mpz_t		expected;

	mpz_init(expected);
	mpz_mul(expected, k, f->n);
	if (negative)
		mpz_neg(expected, expected);
	mpz_add_ui(expected, expected, 1);
	mpz_mul(expected, expected, x);
	mpz_mod(expected, expected, f->n2);
	paillier_add_plain(f->pk, out, c, negative, mag, scratch_of(f));
	check_limbs(out, limbs, expected, "add_plain, negative %d, output %d", negative, where);
	fences_hold(f, "add_plain");
	check(guarded_intact(&apart), "add_plain overran its output");
	mpz_clear(expected);
	guarded_free(&apart);
	free(c);
	free(mag);
}

static void
check_mul_plain(const fixture *f, const mpz_t x, bool negative, const mpz_t k, aliasing where)
{
	int			limbs = f->pk->n2.limbs;
	int			k_limbs = mpz_size(k) + random_int(2);
	mp_limb_t  *c = new_limbs_of(limbs, x);
	mp_limb_t  *mag = new_limbs_of(k_limbs > limbs ? k_limbs : limbs, k);
	guarded		apart = guarded_new(limbs);
	mp_limb_t  *out = where == FIRST ? c : where == SECOND ? mag : apart.a;
	paillier_result want = PAILLIER_OK;
	mpz_t		expected;

	mpz_init_set(expected, x);
	if (negative && !mpz_invert(expected, x, f->n2))
		want = PAILLIER_ERR_NOT_UNIT;
	mpz_powm(expected, expected, k, f->n2);
	check_int(paillier_mul_plain_var(f->pk, out, c, negative, mag, k_limbs, scratch_of(f)), want, "mul_plain");
	if (want == PAILLIER_OK)
		check_limbs(out, limbs, expected, "mul_plain, negative %d, %d limbs, output %d", negative, k_limbs, where);
	fences_hold(f, "mul_plain");
	check(guarded_intact(&apart), "mul_plain overran its output");
	mpz_clear(expected);
	guarded_free(&apart);
	free(c);
	free(mag);
}

/* Operands of all kinds, those among them that are no ciphertexts. */
#define CIPHERTEXTS 8

static void
choose_ciphertexts(fixture *f, mpz_t *c)
{
	mpz_t		m;

	mpz_init(m);
	for (int i = 0; i < CIPHERTEXTS; i++)
		mpz_init(c[i]);
	random_mpz_below(m, f->half);
	encrypt(f, c[0], m);
	mpz_neg(m, f->half);
	encrypt(f, c[1], m);
	random_unit(f, c[2]);
	mpz_set_ui(c[3], 1);
	mpz_sub_ui(c[4], f->n2, 1);
	mpz_mul(c[5], c[2], f->p);
	mpz_mod(c[5], c[5], f->n2);
	mpz_set(c[6], f->n);
	mpz_set_ui(c[7], 0);
	mpz_clear(m);
}

/* Factors from 0 up to three times as long as n. */
#define FACTORS 7

static void
choose_factors(const fixture *f, mpz_t *k)
{
	for (int i = 0; i < FACTORS; i++)
		mpz_init(k[i]);
	mpz_set_ui(k[1], 1);
	mpz_set_ui(k[2], 2);
	random_mpz(k[3], 20);
	mpz_set(k[4], f->half);
	mpz_sub_ui(k[5], f->n, 1);
	random_mpz(k[6], bits_of(f->n) <= 512 ? 3 * bits_of(f->n) : bits_of(f->n) / 2);
}

static void
check_arithmetic(fixture *f)
{
	mpz_t		c[CIPHERTEXTS];
	mpz_t		k[FACTORS];
	bool		large = bits_of(f->n) > 512;

	choose_ciphertexts(f, c);
	choose_factors(f, k);
	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		for (int j = 0; j < CIPHERTEXTS; j++)
			check_add(f, c[i], c[j], (i + j) % ALIASINGS);
		check_negate(f, c[i], i % 2);
		check_negate(f, c[i], 1 - i % 2);
		for (int j = 0; j < FACTORS; j++)
			for (int negative = 0; negative <= 1; negative++)
			{
				if (mpz_cmp(k[j], f->n) < 0)
					check_add_plain(f, c[i], negative, k[j], (i + j) % ALIASINGS);
				if (!large || (i + j + negative) % 4 == 0)
					check_mul_plain(f, c[i], negative, k[j], (i + j) % ALIASINGS);
			}
	}
	for (int i = 0; i < CIPHERTEXTS; i++)
		mpz_clear(c[i]);
	for (int i = 0; i < FACTORS; i++)
		mpz_clear(k[i]);
}

/* What the operations do to plaintexts; exact ciphertexts are compared above. */
static void
check_homomorphisms(fixture *f)
{
	int			limbs = f->pk->n2.limbs;
	mp_limb_t  *out = new_limbs(limbs);
	mp_limb_t  *a = new_limbs(limbs);
	mp_limb_t  *b = new_limbs(limbs);
	mp_limb_t  *k_limbs;
	mpz_t		m1,
				m2,
				c,
				k;

	mpz_inits(m1, m2, c, k, NULL);
	random_mpz_below(m1, f->n);
	random_mpz_below(m2, f->n);
	random_mpz_below(k, f->half);
	center(f, m1);
	center(f, m2);
	k_limbs = new_limbs_of(f->pk->limbs, k);
	encrypt(f, c, m1);
	mpz_to_limbs(a, limbs, c);
	encrypt(f, c, m2);
	mpz_to_limbs(b, limbs, c);

	paillier_add(f->pk, out, a, b, scratch_of(f));
	mpz_from_limbs(c, out, limbs);
	mpz_add(m2, m1, m2);
	check_plaintext(f, c, m2, "add");
	paillier_negate_var(f->pk, out, a, scratch_of(f));
	mpz_from_limbs(c, out, limbs);
	mpz_neg(m2, m1);
	check_plaintext(f, c, m2, "negate");
	paillier_add_plain(f->pk, out, a, true, k_limbs, scratch_of(f));
	mpz_from_limbs(c, out, limbs);
	mpz_sub(m2, m1, k);
	check_plaintext(f, c, m2, "add_plain");
	paillier_mul_plain_var(f->pk, out, a, true, k_limbs, f->pk->limbs, scratch_of(f));
	mpz_from_limbs(c, out, limbs);
	mpz_mul(m2, m1, k);
	mpz_neg(m2, m2);
	check_plaintext(f, c, m2, "mul_plain");

	mpz_clears(m1, m2, c, k, NULL);
	free(k_limbs);
	free(out);
	free(a);
	free(b);
}

/* ---- what is no ciphertext ---- */

static void
check_codes_of(const fixture *f, const mpz_t c, paillier_result want, const char *what)
{
	mp_limb_t  *in = new_limbs_of(f->pk->n2.limbs, c);

	check_int(paillier_check(f->pk, in, scratch_of(f)), want, "check of %s", what);
	fences_hold(f, "check");
	free(in);
}

/* Decryption accepts all units, whether blinded or not. */
static void
check_decrypt_code(const fixture *f, const mpz_t c, const char *what)
{
	paillier_result want = PAILLIER_OK;
	mpz_t		gcd;

	mpz_init(gcd);
	mpz_gcd(gcd, c, f->n);
	if (mpz_sgn(c) == 0)
		want = PAILLIER_ERR_ZERO;
	else if (mpz_cmp(c, f->n2) >= 0)
		want = PAILLIER_ERR_TOO_LARGE;
	else if (mpz_cmp_ui(gcd, 1) != 0)
		want = PAILLIER_ERR_NOT_UNIT;
	check_int(decrypt(f, gcd, c), want, "decryption of %s", what);
	mpz_clear(gcd);
}

static void
check_both_codes(const fixture *f, const mpz_t c, paillier_result want, const char *what)
{
	if (mpz_size(c) > (size_t) f->pk->n2.limbs)
		return;
	check_codes_of(f, c, want, what);
	check_decrypt_code(f, c, what);
}

/* Numbers that differ from 0, 1 and -1 modulo n in one limb or one bit. */
static void
check_near_misses(const fixture *f)
{
	mpz_t		c;

	mpz_init(c);
	for (int near = -1; near <= 1; near++)
		for (int bit = 2; bit < bits_of(f->n) - 1; bit += bit < 8 ? 1 : 13)
		{
			mpz_mul_si(c, f->n, 1 + random_int(1000));
			if (near < 0)
				mpz_sub_ui(c, c, 1);
			else
				mpz_add_ui(c, c, near);
			mpz_combit(c, bit);
			check_codes_of(f, c, PAILLIER_OK, "what is nearly 0, 1 or -1 mod n");
		}
	mpz_clear(c);
}

static void
check_codes(const fixture *f)
{
	mpz_t		c;

	mpz_init(c);
	check_both_codes(f, c, PAILLIER_ERR_ZERO, "0");
	mpz_set_ui(c, 1);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "1");
	mpz_set_ui(c, 2);
	check_both_codes(f, c, PAILLIER_OK, "2");
	check_both_codes(f, f->n, PAILLIER_ERR_NOT_UNIT, "n");
	mpz_mul_ui(c, f->n, 2);
	check_both_codes(f, c, PAILLIER_ERR_NOT_UNIT, "2n");
	mpz_sub(c, f->n2, f->n);
	check_both_codes(f, c, PAILLIER_ERR_NOT_UNIT, "n² - n");
	mpz_add_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "n² - n + 1");
	mpz_add_ui(c, f->n, 1);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "n + 1");
	mpz_sub_ui(c, f->n, 1);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "n - 1");
	mpz_sub_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_OK, "n - 2");
	check_near_misses(f);
	random_mpz_below(c, f->n);
	mpz_add_ui(c, c, 1);
	mpz_mul(c, c, f->n);
	if (mpz_cmp(c, f->n2) == 0)
		mpz_sub(c, c, f->n);
	mpz_add_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "1 + k·n");
	mpz_add_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_OK, "2 + k·n");
	mpz_sub_ui(c, c, 3);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "k·n - 1");
	mpz_sub_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_OK, "k·n - 2");
	check_both_codes(f, f->n2, PAILLIER_ERR_TOO_LARGE, "n²");
	mpz_add_ui(c, f->n2, 1);
	check_both_codes(f, c, PAILLIER_ERR_TOO_LARGE, "n² + 1");
	mpz_sub_ui(c, f->n2, 1);
	check_both_codes(f, c, PAILLIER_ERR_UNBLINDED, "n² - 1");
	mpz_sub_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_OK, "n² - 2");
	mpz_set_ui(c, 0);
	mpz_setbit(c, 64 * f->pk->n2.limbs);
	mpz_sub_ui(c, c, 1);
	check_both_codes(f, c, PAILLIER_ERR_TOO_LARGE, "the largest number of its limbs");
	random_unit(f, c);
	check_both_codes(f, c, PAILLIER_OK, "a random unit");
	mpz_clear(c);
}

static void
check_multiples(const fixture *f, const mpz_t factor, const char *what)
{
	mpz_t		c;

	mpz_init_set(c, factor);
	check_decrypt_code(f, c, what);
	mpz_mul(c, factor, factor);
	check_decrypt_code(f, c, what);
	for (int i = 0; i < 5; i++)
	{
		random_mpz_below(c, f->n);
		mpz_add_ui(c, c, 1);
		mpz_mul(c, c, factor);
		if (i > 2)
		{
			mpz_mul(c, c, factor);
			mpz_mod(c, c, f->n2);
		}
		check_decrypt_code(f, c, what);
	}
	mpz_clear(c);
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
		group_begin("%s, key of %d bits: encryption, arithmetic, refusals; %s", kernel->name, bits, blinding_names[kind]);
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

/* A prime k·2^power + 1 of the given bits, k odd; or, if not `prime`, a composite of that form. */
static void
random_power_of_two_plus_one(mpz_t p, int bits, int power, bool prime)
{
	do
	{
		random_mpz(p, bits - power);
		mpz_setbit(p, bits - power - 1);
		mpz_setbit(p, 0);
		mpz_mul_2exp(p, p, power);
		mpz_add_ui(p, p, 1);
	} while (!mpz_probab_prime_p(p, 20) == prime);
}

static void
check_imported(const mpz_t p, const mpz_t q, paillier_result want, const char *what)
{
	fixture		f;

	fixture_init(&f, p, q, TEXTBOOK);
	check_int(check_private(&f, PAILLIER_MIN_BITS), want, "private_check: %s, %d and %d bits", what, bits_of(p), bits_of(q));
	fixture_clear(&f);
	fixture_init(&f, q, p, TEXTBOOK);
	check_int(check_private(&f, PAILLIER_MIN_BITS), want, "private_check: %s, %d and %d bits", what, bits_of(q), bits_of(p));
	fixture_clear(&f);
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

/* ---- keys that are none ---- */

static bool
has_small_factor(const mpz_t n)
{
	mp_limb_t  *a = new_limbs_of(mpz_size(n), n);
	bool		small = paillier_has_small_factor(a, mpz_size(n));

	free(a);
	return small;
}

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
	random_prime_mpz(p, 40);
	random_prime_mpz(q, 41);
	check_imported(p, q, PAILLIER_ERR_KEY_SIZE, "81 bits");
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
	group_begin("%s, private_init: equal, even, dependent and oversized factors", kernel->name);
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
	random_mpz(p, 4160);
	mpz_setbit(p, 4159);
	mpz_setbit(p, 0);
	random_mpz(q, 4161);
	mpz_setbit(q, 4160);
	mpz_setbit(q, 0);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "130 limbs");
	random_mpz(p, 8192);
	mpz_setbit(p, 8191);
	mpz_setbit(p, 0);
	random_mpz(q, 8192);
	mpz_setbit(q, 8191);
	mpz_setbit(q, 0);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "256 limbs");
	mpz_setbit(q, 8192);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "129 limbs in one factor");
	mpz_set_ui(p, 3);
	check_init_refused(p, q, PAILLIER_ERR_KEY_SIZE, "129 limbs and 1");
	group_end();
	mpz_clears(p, q, NULL);
}

/* A prime ≡ 3 mod 4 of the given bits for which p - 1 is a multiple of 2·divisor, divisor odd. */
static void
random_prime_with_divisor(mpz_t p, int bits, const mpz_t divisor)
{
	do
	{
		random_mpz(p, bits - mpz_sizeinbase(divisor, 2) - 1);
		mpz_setbit(p, bits - mpz_sizeinbase(divisor, 2) - 2);
		mpz_setbit(p, 0);
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
					  bits_of(factors[i]), bits_of(factors[1 - i]), mpz_fdiv_ui(factors[i], 4), mpz_fdiv_ui(factors[1 - i], 4),
					  djn);
			fixture_clear(&f);
		}
}

static void
test_marks(void)
{
	static const int sizes[][2] = {{67, 66}, {65, 129}, {100, 150}, {64, 192}, {129, 128}};
	static const int divisors[] = {3, 5, 15, 101};
	mpz_t		p,
				q,
				divisor;

	mpz_inits(p, q, divisor, NULL);
	group_begin("%s, private_import: the mark of keys made here", kernel->name);
	check_mark(generated[0][0], generated[0][1], true);
	check_mark(generated[1][0], generated[1][1], true);
	check_mark(generated[6][0], generated[6][1], true);
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
				rest;

	mpz_inits(n, rest, NULL);
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
		mpz_t		product;

		mpz_init(product);
		mpz_mul_ui(product, rest, prime);
		check_public(product, 128, PAILLIER_ERR_MODULUS_FACTOR, "a number with a small factor");
		mpz_clear(product);
		mpz_nextprime(n, n);
	}
	for (int i = 0; i < 5; i++)
	{
		mpz_t		product;

		mpz_init(product);
		mpz_mul(product, rest, n);
		check_public(product, 128, PAILLIER_OK, "a number with a factor above 2^14");
		mpz_clear(product);
		mpz_nextprime(n, n);
	}
	group_end();
	mpz_clears(n, rest, NULL);
}

/* Some odd number of exactly these bits without small factors and no square. */
static void
random_modulus(mpz_t n, int bits)
{
	do
	{
		random_mpz(n, bits);
		mpz_setbit(n, bits - 1);
		mpz_setbit(n, 0);
	} while (has_small_factor(n) || mpz_perfect_square_p(n));
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
		random_mpz(n, wrong_sizes[i]);
		mpz_setbit(n, wrong_sizes[i] - 1);
		mpz_setbit(n, 0);
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
	static const int sizes[][2] = {{64, 64}, {63, 65}, {65, 65}, {40, 100}, {96, 160}, {128, 128}, {300, 724}, {512, 512}};
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

/* ---- random numbers ---- */

static void
test_random_below(void)
{
	random_source source = RANDOM_SOURCE;
	int			counts[6] = {0};
	mpz_t		n;

	mpz_init(n);
	group_begin("random_below: in range, and even");
	for (int i = 0; i < 20000; i++)
	{
		mp_limb_t	limit = 6;
		mp_limb_t	got;

		check_int(paillier_random_below(&got, &limit, 1, random_source_read, &source), PAILLIER_OK, "result");
		if (!check(got >= 1 && got < 6, "%" PRIu64 " below 6", got) && got < 6)
			counts[got]++;
	}
	for (int i = 1; i < 6; i++)
		check(counts[i] > 3600 && counts[i] < 4400, "%d came %d times in 20,000", i, counts[i]);
	for (int i = 0; i < 1000; i++)
	{
		int			limbs = 1 + random_int(5);
		mp_limb_t  *limit;
		mp_limb_t  *got = new_limbs(limbs);

		random_mpz(n, 64 * (limbs - 1) + 1 + random_int(64));
		mpz_setbit(n, 64 * (limbs - 1) + 1);
		limit = new_limbs_of(limbs, n);
		check_int(paillier_random_below(got, limit, limbs, random_source_read, &source), PAILLIER_OK, "result");
		check(!mpn_zero_p(got, limbs) && mpn_cmp(got, limit, limbs) < 0, "out of range");
		free(limit);
		free(got);
	}
	group_end();
	mpz_clear(n);
}

/* The operations that ask for random bytes. */
typedef enum asking
{
	ASK_BELOW,
	ASK_KEYGEN,
	ASK_CHECK,
	ASK_BLINDER,
	ASK_ENCRYPT_SHORT,
	ASK_ENCRYPT,
	ASK_RERANDOMIZE,
	ASKINGS
} asking;

static paillier_result
ask(asking what, fixture *f, fixture *textbook)
{
	mp_limb_t	out[8] = {1};
	mp_limb_t	other[8];
	mp_limb_t  *c = out;
	paillier_plaintext m = {false, f->pk->half};
	paillier_blinder blinder;

	switch (what)
	{
		case ASK_BELOW:
			return paillier_random_below(out, f->pk->n, f->pk->limbs, random_source_read, &f->source);
		case ASK_KEYGEN:
			return paillier_keygen(out, other, 128, random_source_read, &f->source, private_scratch_of(f));
		case ASK_CHECK:
			return import_again(f, 128);
		case ASK_BLINDER:
			return paillier_blinder_init(&blinder, f->pk, &paillier_comb_small, f->table.a, random_source_read, &f->source, scratch_of(f));
		case ASK_ENCRYPT_SHORT:
			return paillier_encrypt(&f->blinder, &c, &m, 1, random_source_read, &f->source, blind_scratch_of(f));
		case ASK_ENCRYPT:
			return paillier_encrypt(&textbook->blinder, &c, &m, 1, random_source_read, &f->source, blind_scratch_of(f));
		default:
			return paillier_rerandomize(&f->blinder, &c, 1, random_source_read, &f->source, blind_scratch_of(f));
	}
}

/*
 * Factors made ahead are those of an array of eight, from the last to the first;
 * each is wiped, and after the eighth there are eight new ones.
 */
static void
check_stock(fixture *f)
{
	uint64_t	state = random_state;
	int			words = f->pk->n2.words;
	guarded		factors = guarded_new(PAILLIER_STOCK(words));
	paillier_stock stock = {&f->blinder, 0, factors.a};
	mp_limb_t  *out = new_limbs(f->pk->n2.limbs);
	mp_limb_t  *mag = new_limbs(f->pk->limbs);
	mpz_t		expected[MAX_COUNT];
	mpz_t		c;

	mpz_init(c);
	init_array(expected);
	for (int i = 0; i < 16; i++)
		mpz_set_si(expected[i], 7 * (i % 8 - 3));
	check_int(encrypt_array(f, expected[0], expected[0], 16), PAILLIER_OK, "encrypt");
	check_all_differ(expected, 16);
	random_state = state;
	for (int i = 0; i < 16; i++)
	{
		int			place = i / 8 * 8 + 7 - i % 8;
		int			number = 7 * (place % 8 - 3);
		paillier_plaintext m = {number < 0, mag};

		mpn_zero(mag, f->pk->limbs);
		mag[0] = number < 0 ? -number : number;
		check_int(paillier_encrypt_from(&stock, out, &m, random_source_read, &f->source, blind_scratch_of(f)),
				  PAILLIER_OK, "encrypt_from");
		fences_hold(f, "encrypt_from");
		check(guarded_wiped(&f->blind_scratch), "encrypt_from leaves something in its scratch");
		check(guarded_intact(&factors), "encrypt_from overran the factors");
		check_int(stock.left, 7 - i % 8, "factors that are left");
		check(mpn_zero_p(factors.a + stock.left * words, words), "a used factor is still there");
		mpz_from_limbs(c, out, f->pk->n2.limbs);
		check_mpz(c, expected[place], "encrypt_from");
		if (i == 11)
			check(!mpn_zero_p(factors.a, words), "factors to come are not there");
	}

	/* what is not used is wiped on demand; a plaintext out of range and random numbers that fail use none up */
	random_limbs(out, f->pk->n2.limbs);
	check_int(paillier_rerandomize_from(&stock, out, random_source_read, &f->source, blind_scratch_of(f)), PAILLIER_OK,
			  "rerandomize_from");
	mpn_copyi(mag, f->pk->half, f->pk->limbs);
	mpn_add_1(mag, mag, f->pk->limbs, 1);
	check_int(paillier_encrypt_from(&stock, out, &(paillier_plaintext) {false, mag}, random_source_read, &f->source,
									blind_scratch_of(f)), PAILLIER_ERR_RANGE, "encrypt_from out of range");
	check_int(stock.left, 7, "factors left after a refusal");
	paillier_stock_wipe(&stock);
	check_int(stock.left, 0, "factors left after wiping");
	check(mpn_zero_p(factors.a, 8 * words), "factors left in memory");
	f->source.fail_at = f->source.calls;
	check_int(paillier_rerandomize_from(&stock, out, random_source_read, &f->source, blind_scratch_of(f)),
			  PAILLIER_ERR_RANDOM, "rerandomize_from without random numbers");
	check(mpn_zero_p(out, f->pk->n2.limbs), "a ciphertext that is not blinded");
	check(guarded_wiped(&f->blind_scratch), "rerandomize_from leaves something in its scratch");
	check_int(stock.left, 0, "factors from nowhere");

	mpz_clear(c);
	clear_array(expected);
	free(out);
	free(mag);
	guarded_free(&factors);
}

static void
test_stock(void)
{
	for (blinding kind = TEXTBOOK; kind <= SHORT; kind++)
	{
		fixture		f;

		group_begin("%s, %s: factors made ahead", kernel->name, blinding_names[kind]);
		fixture_init(&f, generated[0][0], generated[0][1], kind);
		check_stock(&f);
		fixture_clear(&f);
		group_end();
	}
}

static void
test_random_failures(void)
{
	static const char *const names[] = {
		"random_below", "keygen", "private_check", "blinder_init", "encrypt, h_s^a", "encrypt, r^n", "rerandomize"
	};
	fixture		f,
				textbook;
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	random_prime_mpz(p, 64);
	random_prime_mpz(q, 64);
	for (asking what = 0; what < ASKINGS; what++)
	{
		uint64_t	state = random_state;
		paillier_result result = PAILLIER_ERR_RANDOM;

		group_begin("%s, %s: the k-th call for random bytes fails, for all k", kernel->name, names[what]);
		fixture_init(&f, p, q, SHORT);
		fixture_init(&textbook, p, q, TEXTBOOK);
		for (int k = 0; result != PAILLIER_OK && k < 2000; k++)
		{
			random_state = state;
			f.source = RANDOM_SOURCE;
			f.source.fail_at = k;
			result = ask(what, &f, &textbook);
			fences_hold(&f, names[what]);
			if (result != PAILLIER_OK)
			{
				check_int(result, PAILLIER_ERR_RANDOM, "call %d", k);
				check_int(f.source.calls, k + 1, "goes on after call %d", k);
			}
		}
		check_int(result, PAILLIER_OK, "without a failure");
		fixture_clear(&f);
		fixture_clear(&textbook);
		group_end();
	}
	mpz_clears(p, q, NULL);
}

static void
test_interruptions(void)
{
	for (blinding kind = TEXTBOOK; kind <= SHORT; kind++)
	{
		fixture		f;

		group_begin("%s, %s: arrays when random bytes run out", kernel->name, blinding_names[kind]);
		fixture_init(&f, generated[0][0], generated[0][1], kind);
		for (int i = 0; i < LENGTH(array_counts); i++)
			for (int rerandomize = 0; rerandomize <= 1; rerandomize++)
				check_interruptions(&f, array_counts[i], rerandomize);
		fixture_clear(&f);
		group_end();
	}
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
	encrypt_with(&paillier_kernel_generic, expected, p, q, kind, state);
	encrypt_with(kernel, c, p, q, kind, state);
	for (int i = 0; i < 17; i++)
		check_mpz(c[i], expected[i], "ciphertext %d", i);
	clear_array(c);
	clear_array(expected);
}

static void
test_agreement(void)
{
	if (kernel == &paillier_kernel_generic)
		return;
	for (int i = 0; key_sizes[i] <= 2048; i++)
		for (blinding kind = TEXTBOOK; kind <= SHORT_LARGE; kind++)
		{
			if (key_sizes[i] > 1024 && kind < SHORT)
				continue;
			group_begin("%s and generic, key of %d bits, %s: the same ciphertexts", kernel->name, key_sizes[i],
						blinding_names[kind]);
			check_agreement(generated[i][0], generated[i][1], kind);
			group_end();
		}
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
	test_generated_keys();
	test_8192_bits();
	test_unbalanced_keys();
	test_powers_of_two();
	test_decrypt_arrays();
	test_composite_factors();
	test_bad_private_keys();
	test_private_init_refusals();
	test_marks();
	test_limits();
	test_random_failures();
	test_stock();
	test_interruptions();
	test_agreement();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);

	test_small_factors();
	test_public_check();
	test_factor_lambda();
	test_random_below();
	test_keygen();
	with_each_kernel(test_kernel);

	for (int i = 0; i < LENGTH(key_sizes); i++)
		mpz_clears(generated[i][0], generated[i][1], NULL);
	return tap_done();
}
