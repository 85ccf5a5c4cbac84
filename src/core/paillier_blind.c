/*
 * paillier_blind.c
 *		Blinding factors, and what they are for: encryption, re-randomisation.
 */
#include <string.h>

#include "paillier.h"

#define LANES 8

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

/* A random number in [1, n), as a residue in Montgomery form. */
static paillier_result
random_residue(const paillier_public *pk, mp_limb_t *out, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(pk);
	mp_limb_t  *r = scratch;	/* limbs of n² */
	paillier_result result = paillier_random_below(r, pk->n, pk->limbs, random, state);

	if (result != PAILLIER_OK)
		return result;
	mpn_zero(r + pk->limbs, n2->limbs - pk->limbs);
	paillier_mont_load(n2, out, r, r + n2->limbs);
	paillier_mont_enter(n2, out, out, r + n2->limbs);
	return PAILLIER_OK;
}

/* ---- the comb ---- */

const paillier_comb paillier_comb_small = {.teeth = 8, .blocks = 16};
const paillier_comb paillier_comb_large = {.teeth = 11, .blocks = 8};

/* Bits of the exponent a, and the columns that cover them. */
static int
exponent_bits(const paillier_public *pk)
{
	return pk->bits / 2;
}

static int
comb_columns(const paillier_public *pk, const paillier_comb *comb)
{
	int			per_column = comb->teeth * comb->blocks;

	return (exponent_bits(pk) + per_column - 1) / per_column;
}

size_t
paillier_blinder_table(const paillier_public *pk, const paillier_comb *comb)
{
	return pk->djn ? ((size_t) comb->blocks << comb->teeth) * paillier_powers(pk)->words : 0;
}

/* out = h_s·R for h = -x² mod n and a random x */
static paillier_result
comb_base(const paillier_public *pk, mp_limb_t *out, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(pk);
	int			limbs = pk->limbs;
	mp_limb_t  *h = scratch;	/* limbs of n² */
	mp_limb_t  *square = h + n2->limbs; /* 2·limbs */
	mp_limb_t  *quotient = square + 2 * limbs;	/* limbs + 1 */
	paillier_result result = paillier_random_below(h, pk->n, limbs, random, state);

	if (result != PAILLIER_OK)
		return result;
	mpn_sqr(square, h, limbs);
	mpn_tdiv_qr(quotient, h, 0, square, 2 * limbs, pk->n, limbs);
	mpn_sub_n(h, pk->n, h, limbs);
	mpn_zero(h + limbs, n2->limbs - limbs);
	paillier_mont_load(n2, out, h, h + n2->limbs);
	paillier_mont_enter(n2, out, out, scratch);
	paillier_mont_pow(n2, out, out, pk->n, limbs, scratch);
	return PAILLIER_OK;
}

static mp_limb_t *
comb_entry(const paillier_blinder *blinder, mp_limb_t *table, int block, int e)
{
	return table + (((size_t) block << blinder->comb.teeth) + e) * paillier_powers(blinder->pk)->words;
}

paillier_result
paillier_blinder_init(paillier_blinder *blinder, const paillier_public *pk, const paillier_comb *comb, mp_limb_t *table,
					  paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(pk);
	mp_limb_t  *power = scratch;	/* h_s^(2^s) for a growing s */
	mp_limb_t  *rest = scratch + n2->words;
	paillier_result result;

	blinder->pk = pk;
	blinder->comb = *comb;
	blinder->columns = comb_columns(pk, comb);
	blinder->table = pk->djn ? table : NULL;
	if (blinder->table == NULL)
		return PAILLIER_OK;

	result = comb_base(pk, power, random, state, rest);
	if (result != PAILLIER_OK)
		return result;
	for (int tooth = 0; tooth < comb->teeth; tooth++)
		for (int block = 0; block < comb->blocks; block++)
		{
			int			first = 1 << tooth;

			mpn_copyi(comb_entry(blinder, table, block, 0), n2->one, n2->words);
			mpn_copyi(comb_entry(blinder, table, block, first), power, n2->words);
			for (int e = 1; e < first; e++)
				paillier_mont_mul(n2, comb_entry(blinder, table, block, first + e), power,
								  comb_entry(blinder, table, block, e), rest);
			for (int i = 0; i < blinder->columns; i++)
				paillier_mont_sqr(n2, power, power, rest);
		}
	return PAILLIER_OK;
}

/* A short exponent. */
typedef struct exponent
{
	mp_limb_t	a[PAILLIER_MAX_N_LIMBS / 2 + 1];
} exponent;

static paillier_result
random_exponents(const paillier_public *pk, exponent *e, int count, paillier_random random, void *state)
{
	for (int i = 0; i < count; i++)
		if (random(state, e[i].a, (exponent_bits(pk) + 63) / 64 * sizeof(mp_limb_t)) != 0)
			return PAILLIER_ERR_RANDOM;
	return PAILLIER_OK;
}

/* The entry that an exponent selects for a column and a block. */
static const mp_limb_t *
comb_select(const paillier_blinder *blinder, const exponent *a, int column, int block)
{
	int			bits = exponent_bits(blinder->pk);
	int			row = blinder->columns * blinder->comb.blocks;
	int			i = block * blinder->columns + column;
	int			e = 0;

	for (int tooth = 0; tooth < blinder->comb.teeth && i < bits; tooth++, i += row)
		e |= (a->a[i / 64] >> (i % 64) & 1) << tooth;
	return comb_entry(blinder, blinder->table, block, e);
}

/* ---- factors, in Montgomery form ---- */

/* out = h_s^a */
static paillier_result
short_factor(const paillier_blinder *blinder, mp_limb_t *out, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(blinder->pk);
	exponent	a;

	if (random_exponents(blinder->pk, &a, 1, random, state) != PAILLIER_OK)
		return PAILLIER_ERR_RANDOM;
	mpn_copyi(out, comb_select(blinder, &a, blinder->columns - 1, 0), n2->words);
	for (int column = blinder->columns - 1; column >= 0; column--)
	{
		bool		first = column == blinder->columns - 1;

		if (!first)
			paillier_mont_sqr(n2, out, out, scratch);
		for (int block = first; block < blinder->comb.blocks; block++)
			paillier_mont_mul(n2, out, out, comb_select(blinder, &a, column, block), scratch);
	}
	paillier_wipe(&a, sizeof(a));
	return PAILLIER_OK;
}

/* The same for eight exponents at once. */
static paillier_result
short_factors8(const paillier_blinder *blinder, mp_limb_t *out8, paillier_random random, void *state,
			   mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(blinder->pk);
	const paillier_kernel *kernel = n2->kernel;
	mp_limb_t  *entries8 = scratch;
	mp_limb_t  *rest = entries8 + LANES * n2->words;
	const mp_limb_t *entries[LANES];
	exponent	a[LANES];

	if (random_exponents(blinder->pk, a, LANES, random, state) != PAILLIER_OK)
		return PAILLIER_ERR_RANDOM;
	for (int column = blinder->columns - 1; column >= 0; column--)
	{
		bool		first = column == blinder->columns - 1;

		if (!first)
			kernel->sqr8(n2, out8, out8, rest);
		for (int block = 0; block < blinder->comb.blocks; block++)
		{
			for (int i = 0; i < LANES; i++)
				entries[i] = comb_select(blinder, &a[i], column, block);
			if (first && block == 0)
			{
				kernel->gather8(n2, out8, entries);
				continue;
			}
			kernel->gather8(n2, entries8, entries);
			kernel->mul8(n2, out8, out8, entries8, rest);
		}
	}
	paillier_wipe(a, sizeof(a));
	return PAILLIER_OK;
}

/* out = r^n */
static paillier_result
uniform_factor(const paillier_blinder *blinder, mp_limb_t *out, paillier_random random, void *state,
			   mp_limb_t *scratch)
{
	const paillier_public *pk = blinder->pk;
	paillier_result result = random_residue(pk, out, random, state, scratch);

	if (result == PAILLIER_OK)
		paillier_mont_pow(paillier_powers(pk), out, out, pk->n, pk->limbs, scratch);
	return result;
}

static paillier_result
uniform_factors8(const paillier_blinder *blinder, mp_limb_t *out8, paillier_random random, void *state,
				 mp_limb_t *scratch)
{
	const paillier_public *pk = blinder->pk;
	const paillier_mont *n2 = paillier_powers(pk);
	const mp_limb_t *residues[LANES];
	mp_limb_t  *rest = scratch + LANES * n2->words;

	for (int i = 0; i < LANES; i++)
	{
		mp_limb_t  *r = scratch + i * n2->words;

		if (random_residue(pk, r, random, state, rest) != PAILLIER_OK)
			return PAILLIER_ERR_RANDOM;
		residues[i] = r;
	}
	n2->kernel->gather8(n2, out8, residues);
	paillier_mont_pow8_sec(n2, out8, out8, pk->n, pk->bits, rest);
	return PAILLIER_OK;
}

/* ---- their use ---- */

/* c := c·factor */
static void
apply(const paillier_mont *n2, mp_limb_t *c, const mp_limb_t *factor, mp_limb_t *scratch)
{
	mp_limb_t  *x = scratch;
	mp_limb_t  *rest = x + n2->words;

	paillier_mont_load(n2, x, c, rest);
	paillier_mont_mul(n2, x, x, factor, rest);
	paillier_mont_store_var(n2, c, x, rest);
}

static paillier_result
blind(const paillier_blinder *blinder, mp_limb_t *c, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(blinder->pk);
	mp_limb_t  *factor = scratch;
	mp_limb_t  *rest = factor + n2->words;
	paillier_result result = blinder->table != NULL ? short_factor(blinder, factor, random, state, rest)
		: uniform_factor(blinder, factor, random, state, rest);

	if (result == PAILLIER_OK)
		apply(n2, c, factor, rest);
	return result;
}

/* Eight factors in the kernel's order. */
static paillier_result
factors8(const paillier_blinder *blinder, mp_limb_t *out8, paillier_random random, void *state, mp_limb_t *scratch)
{
	return blinder->table != NULL ? short_factors8(blinder, out8, random, state, scratch)
		: uniform_factors8(blinder, out8, random, state, scratch);
}

static paillier_result
blind8(const paillier_blinder *blinder, mp_limb_t *const *c, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(blinder->pk);
	mp_limb_t  *factors = scratch;
	mp_limb_t  *x8 = factors + LANES * n2->words;
	mp_limb_t  *x = x8 + LANES * n2->words;
	mp_limb_t  *rest = x + LANES * n2->words;
	mp_limb_t  *residues[LANES];
	paillier_result result = factors8(blinder, factors, random, state, x8);

	if (result != PAILLIER_OK)
		return result;
	for (int i = 0; i < LANES; i++)
		residues[i] = x + i * n2->words;
	n2->kernel->load8(n2, x8, (const mp_limb_t *const *) c, rest);
	n2->kernel->mul8(n2, x8, x8, factors, rest);
	n2->kernel->scatter8(n2->words, residues, x8);
	for (int i = 0; i < LANES; i++)
		paillier_mont_store_var(n2, c[i], residues[i], rest);
	return PAILLIER_OK;
}

paillier_result
paillier_rerandomize(const paillier_blinder *blinder, mp_limb_t *const *c, int count, paillier_random random,
					 void *state, mp_limb_t *scratch)
{
	int			limbs = blinder->pk->n2.limbs;
	paillier_result result = PAILLIER_OK;
	int			done = 0;

	while (result == PAILLIER_OK && done < count)
	{
		bool		eight = count - done >= LANES;

		result = eight ? blind8(blinder, c + done, random, state, scratch)
			: blind(blinder, c[done], random, state, scratch);
		if (result == PAILLIER_OK)
			done += eight ? LANES : 1;
	}

	/* nothing leaves here that is not blinded */
	for (; done < count; done++)
		mpn_zero(c[done], limbs);
	paillier_wipe(scratch, sizeof(mp_limb_t) *
				  (count >= LANES ? PAILLIER_BLIND_SCRATCH(limbs) : PAILLIER_SCRATCH(limbs)));
	return result;
}

/* The ciphertexts of plaintexts before they are blinded; none where one is out of range. */
static paillier_result
encode_all(const paillier_public *pk, mp_limb_t *const *out, const paillier_plaintext *m, int count, mp_limb_t *scratch)
{
	for (int i = 0; i < count; i++)
		if (mpn_cmp(m[i].mag, pk->half, pk->limbs) > 0)
			return PAILLIER_ERR_RANGE;
	for (int i = 0; i < count; i++)
		paillier_encode(pk, out[i], m[i].negative, m[i].mag, scratch);
	return PAILLIER_OK;
}

paillier_result
paillier_encrypt(const paillier_blinder *blinder, mp_limb_t *const *out, const paillier_plaintext *m, int count,
				 paillier_random random, void *state, mp_limb_t *scratch)
{
	paillier_result result = encode_all(blinder->pk, out, m, count, scratch);

	return result == PAILLIER_OK ? paillier_rerandomize(blinder, out, count, random, state, scratch) : result;
}

/* ---- factors made ahead ---- */

static paillier_result
fill_stock(paillier_stock *stock, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(stock->blinder->pk);
	mp_limb_t  *factor8 = scratch;
	mp_limb_t  *factor[LANES];
	paillier_result result = factors8(stock->blinder, factor8, random, state, factor8 + LANES * n2->words);

	if (result != PAILLIER_OK)
		return result;
	for (int i = 0; i < LANES; i++)
		factor[i] = stock->factors + i * n2->words;
	n2->kernel->scatter8(n2->words, factor, factor8);
	stock->left = LANES;
	return PAILLIER_OK;
}

paillier_result
paillier_rerandomize_from(paillier_stock *stock, mp_limb_t *c, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_mont *n2 = paillier_powers(stock->blinder->pk);
	size_t		used = PAILLIER_SCRATCH(n2->limbs);
	paillier_result result = PAILLIER_OK;
	mp_limb_t  *factor;

	if (stock->left == 0)
	{
		used = PAILLIER_BLIND_SCRATCH(n2->limbs);
		result = fill_stock(stock, random, state, scratch);
	}
	if (result == PAILLIER_OK)
	{
		factor = stock->factors + --stock->left * n2->words;
		apply(n2, c, factor, scratch);
		paillier_wipe(factor, n2->words * sizeof(mp_limb_t));
	}
	else
		mpn_zero(c, n2->limbs);
	paillier_wipe(scratch, used * sizeof(mp_limb_t));
	return result;
}

paillier_result
paillier_encrypt_from(paillier_stock *stock, mp_limb_t *out, const paillier_plaintext *m, paillier_random random,
					  void *state, mp_limb_t *scratch)
{
	paillier_result result = encode_all(stock->blinder->pk, &out, m, 1, scratch);

	return result == PAILLIER_OK ? paillier_rerandomize_from(stock, out, random, state, scratch) : result;
}

void
paillier_stock_wipe(paillier_stock *stock)
{
	paillier_wipe(stock->factors, PAILLIER_STOCK(stock->blinder->pk->n2.limbs) * sizeof(mp_limb_t));
	stock->left = 0;
}
