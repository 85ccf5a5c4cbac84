/*
 * scheme_encryption.h
 *		Checks of encryption and of new randomness, one by one and in arrays.
 */
#ifndef SCHEME_ENCRYPTION_H
#define SCHEME_ENCRYPTION_H

#include "scheme.h"

/* ---- encryption ---- */

/* c is what the definition gives for the last random bytes, and its blinding factor what it should be. */
static inline void
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

static inline void
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

static inline void
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

static inline void
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
static inline void
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
static inline void
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

static inline void
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

/* Steps of eight, and what is left of them. */
static const int array_counts[] = {1, 7, 8, 9, 16, 17};

/* The extremes, then random ones. */
static inline void
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

static inline void
check_all_differ(mpz_t *c, int count)
{
	for (int i = 0; i < count; i++)
		for (int j = 0; j < i; j++)
			check(mpz_cmp(c[i], c[j]) != 0, "ciphertexts %d and %d of %d are the same", i, j, count);
}

static inline void
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
static inline void
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

static inline void
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
static inline void
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
static inline void
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

static inline void
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

static inline void
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
static inline void
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
static inline int
count_done(mpz_t *c, int count)
{
	int			done = 0;

	while (done < count && mpz_sgn(c[done]) != 0)
		done++;
	return done;
}

/* The k-th call for random bytes fails, for all k; a factor that is h_s^a takes one. */
static inline void
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

#endif
