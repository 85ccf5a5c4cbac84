/*
 * pg_radix.c
 *		Powers of R modulo n², by which the factors are put back that products
 *		have lost.
 */
#include "pg_paillier.h"

/*
 * The table by which lost factors are put back: Montgomery multiplication by
 * R^(d·32^i + 1) multiplies by R^(d·32^i), for d = 1 … 31.  The next level
 * starts where the product of the first and the last entry of this one is.
 */
static const mp_limb_t *
power_of_radix(PaillierKey *key, int i, int d)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *tmp = paillier_scratch(key);

	for (; key->powers <= i; key->powers++)
	{
		mp_limb_t  *level = MemoryContextAlloc(key->memory, 31 * n2->words * sizeof(mp_limb_t));
		mp_limb_t  *before = key->powers == 0 ? NULL : key->power[key->powers - 1];

		if (before == NULL)
			mpn_copyi(level, n2->r2, n2->words);
		else
			paillier_mont_mul(n2, level, before, before + 30 * n2->words, tmp);
		for (int entry = 1; entry < 31; entry++)
			paillier_mont_mul(n2, level + entry * n2->words, level + (entry - 1) * n2->words, level, tmp);
		key->power[key->powers] = level;
	}
	return key->power[i] + (d - 1) * n2->words;
}

/* out = a·R^lost */
static void
multiply_by_radix(PaillierKey *key, mp_limb_t *out, const mp_limb_t *a, uint64 lost)
{
	const paillier_mont *n2 = &key->pub.n2;

	mpn_copyi(out, a, n2->words);
	for (int i = 0; lost != 0; i++, lost >>= 5)
		if ((lost & 31) != 0)
			paillier_mont_mul(n2, out, out, power_of_radix(key, i, lost & 31), paillier_scratch(key));
}

void
paillier_key_restore(PaillierKey *key, mp_limb_t *limbs, const mp_limb_t *a, uint64 lost)
{
	mp_limb_t	residue[PAILLIER_MAX_WORDS];

	multiply_by_radix(key, residue, a, lost);
	paillier_mont_store_var(&key->pub.n2, limbs, residue, paillier_scratch(key));
}

void
paillier_key_enter(PaillierKey *key, mp_limb_t *out, const mp_limb_t *a, uint64 lost)
{
	multiply_by_radix(key, out, a, lost + 1);
}
