/*
 * paillier.c
 *		Public keys and the arithmetic of ciphertexts.
 */
#include <string.h>

#include "mont_limbs.h"
#include "paillier.h"

/* ---- public keys ---- */

#define SIEVE_LIMIT 16384

/* Whether one of the primes, whose product is given, divides {a, limbs}. */
static bool
any_divides(const mp_limb_t *a, int limbs, mp_limb_t product, const uint16_t *primes, int count)
{
	mp_limb_t	rest = mpn_mod_1(a, limbs, product);

	for (int i = 0; i < count; i++)
		if (rest % primes[i] == 0)
			return true;
	return false;
}

/*
 * Primes are multiplied together as long as they fit a limb, so that one pass
 * over the number serves several of them.
 */
bool
paillier_has_small_factor(const mp_limb_t *a, int limbs)
{
	bool		composite[SIEVE_LIMIT] = {false};
	mp_limb_t	product = 1;
	uint16_t	primes[64];
	int			count = 0;

	for (int p = 2; p < SIEVE_LIMIT; p++)
	{
		if (composite[p])
			continue;
		for (int i = p * p; i < SIEVE_LIMIT && p < 128; i += p)
			composite[i] = true;
		if (product > ~(mp_limb_t) 0 / p)
		{
			if (any_divides(a, limbs, product, primes, count))
				return true;
			product = 1;
			count = 0;
		}
		product *= p;
		primes[count++] = p;
	}
	return any_divides(a, limbs, product, primes, count);
}

paillier_result
paillier_public_check(const mp_limb_t *n, int limbs, int min_bits)
{
	int			bits = limbs > PAILLIER_MAX_N_LIMBS ? PAILLIER_MAX_BITS + 1 : mpn_sizeinbase(n, limbs, 2);

	if (bits < min_bits || bits < PAILLIER_MIN_BITS || bits > PAILLIER_MAX_BITS)
		return PAILLIER_ERR_KEY_SIZE;
	if ((n[0] & 1) == 0)
		return PAILLIER_ERR_MODULUS_EVEN;
	if (mpn_perfect_square_p(n, limbs))
		return PAILLIER_ERR_MODULUS_SQUARE;
	if (paillier_has_small_factor(n, limbs))
		return PAILLIER_ERR_MODULUS_FACTOR;
	return PAILLIER_OK;
}

/*
 * out = t/B^limbs mod n, below n, for t < n·B^limbs in 2·limbs limbs, which is
 * destroyed: Montgomery's reduction, as in mont_generic.c, takes less than the
 * division.
 */
static void
reduce_mod_n_var(const paillier_public *pk, mp_limb_t *out, mp_limb_t *t)
{
	int			limbs = pk->limbs;

	for (int i = 0; i < limbs; i++)
		t[i] = mpn_addmul_1(t + i, pk->n, limbs, t[i] * pk->neg_inv);
	if (mpn_add_n(out, t + limbs, t, limbs) || mpn_cmp(out, pk->n, limbs) >= 0)
		mpn_sub_n(out, out, pk->n, limbs);
}

void
paillier_public_init(paillier_public *pk, const paillier_kernel *kernel, const mp_limb_t *n, int limbs, bool djn,
					 mp_limb_t *scratch)
{
	mp_limb_t  *one = scratch;	/* 2·limbs */

	memset(pk, 0, offsetof(paillier_public, n2));
	pk->bits = mpn_sizeinbase(n, limbs, 2);
	pk->limbs = limbs;
	pk->djn = djn;
	mpn_copyi(pk->n, n, limbs);
	mpn_rshift(pk->half, n, limbs, 1);

	pk->limit = paillier_bound_below(pk->half, limbs);

	pk->neg_inv = paillier_mont_negative_inverse(n[0]);
	mpn_zero(one, 2 * limbs);
	one[0] = 1;
	reduce_mod_n_var(pk, pk->reduced_one, one);
	paillier_mont_init(&pk->n2, kernel, n, limbs, scratch);
	if (kernel->powers != kernel)
		paillier_mont_init(&pk->n2_powers, kernel->powers, n, limbs, scratch);
}

/* ---- ciphertexts ---- */

paillier_result
paillier_check(const paillier_public *pk, const mp_limb_t *c, mp_limb_t *scratch)
{
	int			limbs = pk->limbs;
	int			limbs2 = pk->n2.limbs;
	mp_limb_t  *t = scratch;	/* 2·limbs */
	mp_limb_t  *rest = t + 2 * limbs;
	const mp_limb_t *one = pk->reduced_one;

	if (mpn_zero_p(c, limbs2))
		return PAILLIER_ERR_ZERO;
	if (mpn_cmp(c, pk->n2.m, limbs2) >= 0)
		return PAILLIER_ERR_TOO_LARGE;

	/* c mod n, or c/B^limbs mod n and what 1 is then */
	if (paillier_mont_remainder_var(&pk->n2, rest, c, rest + limbs))
	{
		mpn_zero(t, limbs);
		t[0] = 1;
		one = t;
	}
	else
	{
		t[2 * limbs - 1] = 0;
		mpn_copyi(t, c, limbs2);
		reduce_mod_n_var(pk, rest, t);
	}
	if (mpn_zero_p(rest, limbs))
		return PAILLIER_ERR_NOT_UNIT;
	if (mpn_cmp(rest, one, limbs) == 0)
		return PAILLIER_ERR_UNBLINDED;
	mpn_sub_n(rest, pk->n, rest, limbs);
	return mpn_cmp(rest, one, limbs) == 0 ? PAILLIER_ERR_UNBLINDED : PAILLIER_OK;
}

/* out = a·b for two residues, in limbs */
static void
multiply(const paillier_mont *n2, mp_limb_t *out, mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	paillier_mont_mul(n2, a, a, b, scratch);
	paillier_mont_enter(n2, a, a, scratch);
	paillier_mont_store_var(n2, out, a, scratch);
}

void
paillier_add(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	mp_limb_t  *x = scratch;
	mp_limb_t  *y = x + pk->n2.words;
	mp_limb_t  *rest = y + pk->n2.words;

	paillier_mont_load(&pk->n2, x, a, rest);
	paillier_mont_load(&pk->n2, y, b, rest);
	multiply(&pk->n2, out, x, y, rest);
}

/* {u, limbs of n²} = 1/c modulo n; false where there is none */
static bool
invert_mod_n(const paillier_public *pk, mp_limb_t *u, const mp_limb_t *c, mp_limb_t *scratch)
{
	int			limbs = pk->limbs;
	int			limbs2 = pk->n2.limbs;
	mp_limb_t  *t = scratch;	/* limbs2 + 1 */
	mp_limb_t  *gcd = t + limbs2 + 1;	/* limbs + 1 */
	mp_limb_t  *cofactor = gcd + limbs + 1; /* limbs + 1 */
	mp_size_t	size;
	mp_size_t	gcd_size;

	if (mpn_zero_p(c, limbs2))
		return false;
	mpn_copyi(t, c, limbs2);
	mpn_copyi(u, pk->n, limbs);
	gcd_size = mpn_gcdext(gcd, cofactor, &size, t, limbs2, u, limbs);
	if (gcd_size != 1 || gcd[0] != 1)
		return false;

	mpn_zero(u, limbs2);
	if (size < 0)
	{
		mpn_zero(cofactor - size, limbs + size);
		mpn_sub_n(u, pk->n, cofactor, limbs);
	}
	else
		mpn_copyi(u, cofactor, size);
	return true;
}

/*
 * An inverse modulo n, half as long, is lifted to one modulo n²: if
 * c·u = 1 + k·n then c·u·(2 - c·u) = (1 + k·n)(1 - k·n) = 1 mod n².
 */
paillier_result
paillier_negate_var(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c, mp_limb_t *scratch)
{
	const paillier_mont *n2 = &pk->n2;
	int			limbs2 = n2->limbs;
	mp_limb_t  *u = scratch;	/* limbs2 */
	mp_limb_t  *t = u + limbs2; /* limbs2 */
	mp_limb_t  *x = t + limbs2; /* residues */
	mp_limb_t  *y = x + n2->words;
	mp_limb_t  *rest = y + n2->words;

	if (!invert_mod_n(pk, u, c, x))
		return PAILLIER_ERR_NOT_UNIT;
	paillier_mont_load(n2, x, c, rest);
	paillier_mont_load(n2, y, u, rest);
	multiply(n2, t, x, y, rest);

	/* t := 2 - t mod n²; t is not 0, being 1 mod n */
	mpn_sub_n(t, n2->m, t, limbs2);
	if (mpn_add_1(t, t, limbs2, 2))
		mpn_sub_n(t, t, n2->m, limbs2);

	paillier_mont_load(n2, x, t, rest);
	multiply(n2, out, x, y, rest);
	return PAILLIER_OK;
}

void
paillier_encode(const paillier_public *pk, mp_limb_t *out, bool negative, const mp_limb_t *mag, mp_limb_t *scratch)
{
	int			limbs = pk->limbs;
	mp_limb_t  *product = scratch;	/* 2·limbs */
	mp_limb_t  *k = product + 2 * limbs;

	/* both residues are made and one is chosen, whatever the sign */
	mpn_sub_n(k, pk->n, mag, limbs);
	for (int i = 0; i < limbs; i++)
		k[i] ^= (k[i] ^ mag[i]) & ((mp_limb_t) negative - 1);
	paillier_limbs_mul(product, k, pk->n, limbs, k + limbs);
	mpn_add_1(product, product, 2 * limbs, 1);

	/* -0 gives 1 + n², which fits (n² is 1 mod 8) and is reduced later */
	mpn_copyi(out, product, pk->n2.limbs);
}

void
paillier_add_plain(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c, bool negative, const mp_limb_t *mag,
				   mp_limb_t *scratch)
{
	mp_limb_t  *encoded = scratch;
	mp_limb_t  *rest = scratch + pk->n2.limbs;

	paillier_encode(pk, encoded, negative, mag, rest);
	paillier_add(pk, out, c, encoded, rest);
}

paillier_result
paillier_mul_plain_var(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c, bool negative,
					   const mp_limb_t *mag, int limbs, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(pk);
	mp_limb_t  *inverse = scratch;
	mp_limb_t  *base = inverse + n2->limbs;
	mp_limb_t  *rest = base + n2->words;

	if (negative)
	{
		paillier_result result = paillier_negate_var(pk, inverse, c, base);

		if (result != PAILLIER_OK)
			return result;
		c = inverse;
	}
	paillier_mont_load(n2, base, c, rest);
	paillier_mont_enter(n2, base, base, rest);
	paillier_mont_pow(n2, base, base, mag, limbs, rest);
	paillier_mont_leave(n2, base, base, rest);
	paillier_mont_store_var(n2, out, base, rest);
	return PAILLIER_OK;
}
