/*
 * scheme.h
 *		Paillier's definition on mpz_t: with lambda and mu, without remainders modulo
 *		p and q and without Montgomery forms; and the functions under test, on mpz_t
 *		too.  Blinding factors are recomputed from the random bytes that those
 *		functions were given.
 */
#ifndef SCHEME_H
#define SCHEME_H

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
static inline mp_limb_t *
scratch_of(const fixture *f)
{
	guarded_fill(&f->scratch);
	return f->scratch.a;
}

static inline mp_limb_t *
blind_scratch_of(const fixture *f)
{
	guarded_fill(&f->blind_scratch);
	return f->blind_scratch.a;
}

static inline mp_limb_t *
private_scratch_of(const fixture *f)
{
	guarded_fill(&f->private_scratch);
	return f->private_scratch.a;
}

static inline void
fences_hold(const fixture *f, const char *function)
{
	check(guarded_intact(&f->scratch) && guarded_intact(&f->blind_scratch) && guarded_intact(&f->private_scratch),
		  "%s overran its scratch", function);
}

static inline int
bits_of(const mpz_t number)
{
	return mpz_sizeinbase(number, 2);
}

static inline void
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
static inline paillier_result
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
static inline void
last_random(const fixture *f, mpz_t number, int bits)
{
	mpz_import(number, f->source.last_len / 8, -1, 8, 0, 0, f->source.last);
	mpz_fdiv_r_2exp(number, number, bits);
}

/* h_s = (-x²)^n mod n² */
static inline void
init_blinder(fixture *f, blinding kind)
{
	const paillier_comb *comb = kind == SHORT_LARGE ? &paillier_comb_large : &paillier_comb_small;
	size_t		table_limbs = paillier_blinder_table(f->pk, comb);
	mp_limb_t  *table;

	check_int(table_limbs, (kind == TEXTBOOK ? 0 : kind == SHORT_LARGE ? 16384 : 4096) * paillier_powers(f->pk)->words,
			  "limbs of the table");
	f->table = guarded_new(table_limbs);
	table = kind == SHORT_WITHOUT_TABLE ? NULL : f->table.a;
	check_int(paillier_blinder_init(&f->blinder, f->pk, comb, table, random_source_read, &f->source, scratch_of(f)),
			  PAILLIER_OK, "blinder_init");
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

static inline void
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

static inline void
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
static inline void
center(const fixture *f, mpz_t m)
{
	mpz_mod(m, m, f->n);
	if (mpz_cmp(m, f->half) > 0)
		mpz_sub(m, m, f->n);
}

/* m = L(c^lambda mod n²)·mu mod n */
static inline void
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
static inline void
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
static inline void
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

static inline void
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

/* Arrays of mpz_t by their first element, from here on. */

/* Look at the memory that a function has written, move its ciphertexts to *c and free them. */
static inline void
take_ciphertexts(const fixture *f, mpz_ptr c, guarded *out, int count, const char *function)
{
	fences_hold(f, function);
	check(guarded_wiped(&f->blind_scratch), "%s leaves something in its scratch", function);
	for (int i = 0; i < count; i++)
	{
		check(guarded_intact(&out[i]), "%s overran an output", function);
		mpz_from_limbs(c + i, out[i].a, f->pk->n2.limbs);
		guarded_free(&out[i]);
	}
}

/* The plaintexts are read from the places where the ciphertexts go: outputs may be the inputs. */
static inline paillier_result
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
	take_ciphertexts(f, c, out, count, "encrypt");
	mpz_clear(magnitude);
	free(out);
	free(outputs);
	free(inputs);
	return result;
}

static inline paillier_result
encrypt(fixture *f, mpz_t c, const mpz_t m)
{
	return encrypt_array(f, c, m, 1);
}

static inline paillier_result
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
	take_ciphertexts(f, c, out, count, "rerandomize");
	free(out);
	free(outputs);
	return result;
}

/* The results go to *result, the plaintexts, where there are any, to *m. */
static inline void
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

static inline paillier_result
decrypt(const fixture *f, mpz_t m, const mpz_t c)
{
	paillier_result result;

	decrypt_array(f, &result, m, c, 1);
	return result;
}

/* c decrypts to m mod n, by our decryption and by the definition. */
static inline void
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

/* Import the factors of the key that has been prepared. */
static inline paillier_result
import_again(fixture *f, int min_bits)
{
	mp_limb_t	p[PAILLIER_MAX_N_LIMBS];
	mp_limb_t	q[PAILLIER_MAX_N_LIMBS];

	mpn_copyi(p, f->key->p.p, f->key->p.limbs);
	mpn_copyi(q, f->key->q.p, f->key->q.limbs);
	return paillier_private_import(f->key, kernel, p, f->key->p.limbs, q, f->key->q.limbs, f->key->pub.djn, min_bits,
								   random_source_read, &f->source, private_scratch_of(f));
}

static inline paillier_result
check_private(fixture *f, int min_bits)
{
	paillier_result result = import_again(f, min_bits);

	fences_hold(f, "private_import");
	return result;
}

static inline void
check_imported(const mpz_t p, const mpz_t q, paillier_result want, const char *what)
{
	fixture		f;

	fixture_init(&f, p, q, TEXTBOOK);
	check_int(check_private(&f, PAILLIER_MIN_BITS), want, "private_check: %s, %d and %d bits", what, bits_of(p),
			  bits_of(q));
	fixture_clear(&f);
	fixture_init(&f, q, p, TEXTBOOK);
	check_int(check_private(&f, PAILLIER_MIN_BITS), want, "private_check: %s, %d and %d bits", what, bits_of(q),
			  bits_of(p));
	fixture_clear(&f);
}

static inline void
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

/* A prime k·2^power + 1 of the given bits, k odd; or, if not `prime`, a composite of that form. */
static inline void
random_power_of_two_plus_one(mpz_t p, int bits, int power, bool prime)
{
	do
	{
		random_odd(p, bits - power);
		mpz_mul_2exp(p, p, power);
		mpz_add_ui(p, p, 1);
	} while (!mpz_probab_prime_p(p, 20) == prime);
}

static inline bool
has_small_factor(const mpz_t n)
{
	mp_limb_t  *a = new_limbs_of(mpz_size(n), n);
	bool		small = paillier_has_small_factor(a, mpz_size(n));

	free(a);
	return small;
}

/* ---- arrays ---- */

#define MAX_COUNT 20

static inline void
init_array(mpz_t *array)
{
	for (int i = 0; i < MAX_COUNT; i++)
		mpz_init(array[i]);
}

static inline void
clear_array(mpz_t *array)
{
	for (int i = 0; i < MAX_COUNT; i++)
		mpz_clear(array[i]);
}

#endif
