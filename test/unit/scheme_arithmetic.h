/*
 * scheme_arithmetic.h
 *		Checks of what is computed with ciphertexts, against the plaintexts.
 */
#ifndef SCHEME_ARITHMETIC_H
#define SCHEME_ARITHMETIC_H

#include "scheme.h"

/* ---- arithmetic on ciphertexts ---- */

/* Where the output goes: a place of its own, or that of an input. */
typedef enum aliasing
{
	APART,
	FIRST,
	SECOND,
	ALIASINGS
} aliasing;

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
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

static inline void
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
static inline void
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

#endif
