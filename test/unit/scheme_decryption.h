/*
 * scheme_decryption.h
 *		Checks of decryption in arrays, and of what is no ciphertext.
 */
#ifndef SCHEME_DECRYPTION_H
#define SCHEME_DECRYPTION_H

#include "scheme.h"

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

static inline void
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

static inline void
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

static inline void
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
static inline void
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

/* ---- what is no ciphertext ---- */

static inline void
check_codes_of(const fixture *f, const mpz_t c, paillier_result want, const char *what)
{
	mp_limb_t  *in = new_limbs_of(f->pk->n2.limbs, c);

	check_int(paillier_check(f->pk, in, scratch_of(f)), want, "check of %s", what);
	fences_hold(f, "check");
	free(in);
}

/* Decryption accepts all units, whether blinded or not. */
static inline void
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

static inline void
check_both_codes(const fixture *f, const mpz_t c, paillier_result want, const char *what)
{
	if (mpz_size(c) > (size_t) f->pk->n2.limbs)
		return;
	check_codes_of(f, c, want, what);
	check_decrypt_code(f, c, what);
}

/* Numbers that differ from 0, 1 and -1 modulo n in one limb or one bit. */
static inline void
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

static inline void
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

static inline void
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

#endif
