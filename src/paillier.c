/*
 * paillier.c
 *		Public keys, ciphertext arithmetic and encryption.
 */
#include <string.h>

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

void
paillier_public_init(paillier_public *pk, const mp_limb_t *n, int limbs, bool djn, mp_limb_t *scratch)
{
	mp_limb_t  *square = scratch;
	int			square_limbs = 2 * limbs;

	memset(pk, 0, sizeof(*pk));
	pk->bits = mpn_sizeinbase(n, limbs, 2);
	pk->limbs = limbs;
	pk->djn = djn;
	mpn_copyi(pk->n, n, limbs);
	mpn_rshift(pk->half, n, limbs, 1);

	pk->limit = paillier_bound_below(pk->half, limbs);

	mpn_sqr(square, n, limbs);
	if (square[square_limbs - 1] == 0)
		square_limbs--;
	paillier_mont_init(&pk->n2, square, square_limbs, scratch + 2 * limbs);
}

/* ---- ciphertexts ---- */

paillier_result
paillier_check(const paillier_public *pk, const mp_limb_t *c, mp_limb_t *scratch)
{
	int			limbs = pk->n2.limbs;
	mp_limb_t  *rest = scratch;
	mp_limb_t  *quotient = scratch + pk->limbs;

	if (mpn_zero_p(c, limbs))
		return PAILLIER_ERR_ZERO;
	if (mpn_cmp(c, pk->n2.m, limbs) >= 0)
		return PAILLIER_ERR_TOO_LARGE;
	mpn_tdiv_qr(quotient, rest, 0, c, limbs, pk->n, pk->limbs);
	if (rest[0] <= 1 && (pk->limbs == 1 || mpn_zero_p(rest + 1, pk->limbs - 1)))
		return rest[0] == 0 ? PAILLIER_ERR_NOT_UNIT : PAILLIER_ERR_UNBLINDED;
	return PAILLIER_OK;
}

void
paillier_add(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	paillier_mont_mul(&pk->n2, out, a, b, scratch);
	paillier_mont_enter(&pk->n2, out, out, scratch);
	paillier_mont_canonical_var(&pk->n2, out, scratch);
}

/*
 * An inverse modulo n, half as long, is lifted to one modulo n²: if
 * c·u = 1 + k·n then c·u·(2 - c·u) = (1 + k·n)(1 - k·n) = 1 mod n².
 */
paillier_result
paillier_negate_var(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c, mp_limb_t *scratch)
{
	int			limbs = pk->limbs;
	int			limbs2 = pk->n2.limbs;
	mp_limb_t  *product = scratch;	/* 2·limbs2 */
	mp_limb_t  *c_mont = product + 2 * limbs2;
	mp_limb_t  *u = c_mont + limbs2;	/* limbs2 */
	mp_limb_t  *t = u + limbs2; /* limbs2 */
	mp_limb_t  *gcd = t + limbs2 + 1;	/* limbs + 1 */
	mp_limb_t  *cofactor = gcd + limbs + 1; /* limbs + 1 */
	mp_size_t	cofactor_size;
	mp_size_t	gcd_size;

	if (mpn_zero_p(c, limbs2))
		return PAILLIER_ERR_NOT_UNIT;
	mpn_copyi(t, c, limbs2);
	mpn_copyi(u, pk->n, limbs);
	gcd_size = mpn_gcdext(gcd, cofactor, &cofactor_size, t, limbs2, u, limbs);
	if (gcd_size != 1 || gcd[0] != 1)
		return PAILLIER_ERR_NOT_UNIT;

	mpn_zero(u, limbs2);
	if (cofactor_size < 0)
	{
		mpn_zero(cofactor - cofactor_size, limbs + cofactor_size);
		mpn_sub_n(u, pk->n, cofactor, limbs);
	}
	else
		mpn_copyi(u, cofactor, cofactor_size);

	paillier_mont_enter(&pk->n2, c_mont, c, product);
	paillier_mont_mul(&pk->n2, t, c_mont, u, product);
	paillier_mont_canonical_var(&pk->n2, t, product);

	/* t := 2 - t mod n²; t is not 0, being 1 mod n */
	mpn_sub_n(t, pk->n2.m, t, limbs2);
	if (mpn_add_1(t, t, limbs2, 2))
		mpn_sub_n(t, t, pk->n2.m, limbs2);
	paillier_mont_canonical_var(&pk->n2, t, product);

	paillier_mont_enter(&pk->n2, u, u, product);
	paillier_mont_mul(&pk->n2, out, u, t, product);
	paillier_mont_canonical_var(&pk->n2, out, product);
	return PAILLIER_OK;
}

/* out = 1 + k·n for k = ±mag mod n */
static void
encode(const paillier_public *pk, mp_limb_t *out, bool negative, const mp_limb_t *mag, mp_limb_t *scratch)
{
	int			limbs = pk->limbs;
	mp_limb_t  *product = scratch;	/* 2·limbs */
	mp_limb_t  *k = product + 2 * limbs;

	/* both residues are made and one is chosen, whatever the sign */
	mpn_sub_n(k, pk->n, mag, limbs);
	for (int i = 0; i < limbs; i++)
		k[i] ^= (k[i] ^ mag[i]) & ((mp_limb_t) negative - 1);
	mpn_mul_n(product, k, pk->n, limbs);
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

	encode(pk, encoded, negative, mag, rest);
	paillier_add(pk, out, c, encoded, rest);
}

paillier_result
paillier_mul_plain_var(const paillier_public *pk, mp_limb_t *out, const mp_limb_t *c, bool negative,
					   const mp_limb_t *mag, int limbs, mp_limb_t *scratch)
{
	mp_limb_t  *base = scratch;
	mp_limb_t  *rest = scratch + pk->n2.limbs;

	if (negative)
	{
		paillier_result result = paillier_negate_var(pk, base, c, rest);

		if (result != PAILLIER_OK)
			return result;
		c = base;
	}
	paillier_mont_enter(&pk->n2, base, c, rest);
	paillier_mont_pow(&pk->n2, base, base, mag, limbs, rest);
	paillier_mont_leave(&pk->n2, out, base, rest);
	return PAILLIER_OK;
}

/* ---- blinding and encryption ---- */

paillier_result
paillier_random_below(mp_limb_t *out, const mp_limb_t *n, int limbs, paillier_random random, void *state)
{
	mp_limb_t	mask = ~(mp_limb_t) 0 >> __builtin_clzl(n[limbs - 1]);

	do
	{
		if (random(state, out, limbs * sizeof(mp_limb_t)) != 0)
			return PAILLIER_ERR_RANDOM;
		out[limbs - 1] &= mask;
	} while (mpn_zero_p(out, limbs) || mpn_cmp(out, n, limbs) >= 0);
	return PAILLIER_OK;
}

/* Bits of the exponent a, and the columns that cover them. */
static int
exponent_bits(const paillier_public *pk)
{
	return pk->bits / 2;
}

static int
comb_columns(const paillier_public *pk)
{
	int			per_column = PAILLIER_COMB_TEETH * PAILLIER_COMB_BLOCKS;

	return (exponent_bits(pk) + per_column - 1) / per_column;
}

size_t
paillier_blinder_table(const paillier_public *pk)
{
	return pk->djn ? ((size_t) PAILLIER_COMB_BLOCKS << PAILLIER_COMB_TEETH) * pk->n2.limbs : 0;
}

/* out = h_s·R for h = -x² mod n and a random x */
static paillier_result
comb_base(const paillier_public *pk, mp_limb_t *out, paillier_random random, void *state, mp_limb_t *scratch)
{
	int			limbs = pk->limbs;
	mp_limb_t  *square = scratch;	/* 2·limbs */
	mp_limb_t  *quotient = square + 2 * limbs;	/* limbs + 1 */
	paillier_result result = paillier_random_below(out, pk->n, limbs, random, state);

	if (result != PAILLIER_OK)
		return result;
	mpn_sqr(square, out, limbs);
	mpn_tdiv_qr(quotient, out, 0, square, 2 * limbs, pk->n, limbs);
	mpn_sub_n(out, pk->n, out, limbs);
	mpn_zero(out + limbs, pk->n2.limbs - limbs);
	paillier_mont_enter(&pk->n2, out, out, scratch);
	paillier_mont_pow(&pk->n2, out, out, pk->n, limbs, scratch);
	return PAILLIER_OK;
}

paillier_result
paillier_blinder_init(paillier_blinder *blinder, const paillier_public *pk, mp_limb_t *table, paillier_random random,
					  void *state, mp_limb_t *scratch)
{
	int			limbs = pk->n2.limbs;
	mp_limb_t  *power = scratch;	/* h_s^(2^s) for a growing s */
	mp_limb_t  *rest = scratch + limbs;
	paillier_result result;

	blinder->pk = pk;
	blinder->columns = comb_columns(pk);
	blinder->table = pk->djn ? table : NULL;
	if (blinder->table == NULL)
		return PAILLIER_OK;

	result = comb_base(pk, power, random, state, rest);
	if (result != PAILLIER_OK)
		return result;

#define ENTRY(block, e) (table + (((size_t) (block) << PAILLIER_COMB_TEETH) + (e)) * limbs)
	for (int tooth = 0; tooth < PAILLIER_COMB_TEETH; tooth++)
		for (int block = 0; block < PAILLIER_COMB_BLOCKS; block++)
		{
			int			first = 1 << tooth;

			mpn_copyi(ENTRY(block, 0), pk->n2.one, limbs);
			mpn_copyi(ENTRY(block, first), power, limbs);
			for (int e = 1; e < first; e++)
				paillier_mont_mul(&pk->n2, ENTRY(block, first + e), power, ENTRY(block, e), rest);
			for (int i = 0; i < blinder->columns; i++)
				paillier_mont_sqr(&pk->n2, power, power, rest);
		}
#undef ENTRY
	return PAILLIER_OK;
}

/* out = h_s^a·R */
static paillier_result
blind_short(const paillier_blinder *blinder, mp_limb_t *out, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = &blinder->pk->n2;
	int			bits = exponent_bits(blinder->pk);
	int			row = blinder->columns * PAILLIER_COMB_BLOCKS;
	mp_limb_t	a[PAILLIER_MAX_N_LIMBS / 2 + 1];

	if (random(state, a, (bits + 63) / 64 * sizeof(mp_limb_t)) != 0)
		return PAILLIER_ERR_RANDOM;

	mpn_copyi(out, n2->one, n2->limbs);
	for (int column = blinder->columns - 1; column >= 0; column--)
	{
		if (column != blinder->columns - 1)
			paillier_mont_sqr(n2, out, out, scratch);
		for (int block = 0; block < PAILLIER_COMB_BLOCKS; block++)
		{
			size_t		e = 0;

			for (int tooth = 0; tooth < PAILLIER_COMB_TEETH; tooth++)
			{
				int			i = tooth * row + block * blinder->columns + column;

				if (i < bits)
					e |= (a[i / 64] >> (i % 64) & 1) << tooth;
			}
			e += (size_t) block << PAILLIER_COMB_TEETH;
			paillier_mont_mul(n2, out, out, blinder->table + e * n2->limbs, scratch);
		}
	}
	explicit_bzero(a, sizeof(a));
	return PAILLIER_OK;
}

/* out = r^n·R */
static paillier_result
blind_uniform(const paillier_blinder *blinder, mp_limb_t *out, paillier_random random, void *state,
			  mp_limb_t *scratch)
{
	const paillier_public *pk = blinder->pk;
	paillier_result result = paillier_random_below(out, pk->n, pk->limbs, random, state);

	if (result != PAILLIER_OK)
		return result;
	mpn_zero(out + pk->limbs, pk->n2.limbs - pk->limbs);
	paillier_mont_enter(&pk->n2, out, out, scratch);
	paillier_mont_pow(&pk->n2, out, out, pk->n, pk->limbs, scratch);
	return PAILLIER_OK;
}

paillier_result
paillier_rerandomize(const paillier_blinder *blinder, mp_limb_t *out, const mp_limb_t *c, paillier_random random,
					 void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = &blinder->pk->n2;
	mp_limb_t  *factor = scratch;
	mp_limb_t  *rest = scratch + n2->limbs;
	paillier_result result;

	if (blinder->table != NULL)
		result = blind_short(blinder, factor, random, state, rest);
	else
		result = blind_uniform(blinder, factor, random, state, rest);
	if (result == PAILLIER_OK)
	{
		paillier_mont_mul(n2, out, c, factor, rest);
		paillier_mont_canonical_var(n2, out, rest);
	}
	else
		mpn_zero(out, n2->limbs);	/* out may be c, and c not blinded yet */
	explicit_bzero(scratch, PAILLIER_SCRATCH(n2->limbs) * sizeof(mp_limb_t));
	return result;
}

paillier_result
paillier_encrypt(const paillier_blinder *blinder, mp_limb_t *out, bool negative, const mp_limb_t *mag,
				 paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_public *pk = blinder->pk;

	if (mpn_cmp(mag, pk->half, pk->limbs) > 0)
		return PAILLIER_ERR_RANGE;
	encode(pk, out, negative, mag, scratch);
	return paillier_rerandomize(blinder, out, out, random, state, scratch);
}
