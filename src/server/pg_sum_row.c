/*
 * pg_sum_row.c
 *		A row of a sum: a ciphertext and its public factor.
 *
 * A weight like 1.2500000000000000, as a division of numeric gives it, is the
 * factor 125 of two digits: its zeros would make the factor longer, and cost
 * multiplications.  The scale of the result counts them nevertheless.
 */
#include "pg_sum.h"

void
paillier_sum_row_init(SumRow *row, PaillierKey *key, const PaillierCiphertext *ct, bool leaves)
{
	row->key = key;
	row->ct = ct;
	row->leaves = leaves;
	row->scale = ct->header.scale;
	row->digits = row->scale;
	row->bound = paillier_ciphertext_bound(ct);
	row->factor.negative = false;
	row->factor.limbs = 1;
	row->factor.mag[0] = 1;
}

/* The bound of the row times a factor. */
static void
bound_times(SumRow *row, const PaillierInteger *factor)
{
	if (row->leaves)
		row->bound = paillier_bound_mul_down(row->bound, paillier_bound_from_limbs_down(factor->mag, factor->limbs));
	else
		row->bound = paillier_bound_mul(row->bound, paillier_bound_from_limbs(factor->mag, factor->limbs));
}

/* ---- weights ---- */

/* A numeric of few bytes, and what it is. */
typedef struct KnownWeight
{
	uint64		bytes[2];
	uint64		size;			/* of these; 0: no weight */
	mp_limb_t	mag;
	bool		negative;
	uint8		scale;
	uint8		zeros;
} KnownWeight;

/* Weights that were met, by a hash of their bytes: tariffs are few, and met again. */
#define KNOWN_WEIGHTS 64

struct SumWeights
{
	KnownWeight known[KNOWN_WEIGHTS];
};

SumWeights *
paillier_sum_weights(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SumWeights));
	return fcinfo->flinfo->fn_extra;
}

/* Read the factor and, from `known` where it is there, the zeros. */
static int
read_factor(SumRow *row, SumWeights *weights, struct varlena *weight)
{
	PaillierInteger *factor = &row->factor;
	KnownWeight key = {.size = VARSIZE_ANY_EXHDR(weight)};
	KnownWeight *known;
	uint64		hash;
	int			zeros;

	if (key.size > sizeof(key.bytes))
	{
		paillier_factor_from_numeric(factor, &zeros, DatumGetNumeric(PointerGetDatum(weight)), row->key->pub.limbs);
		return zeros;
	}
	memcpy(key.bytes, VARDATA_ANY(weight), key.size);
	hash = ((key.bytes[0] ^ key.bytes[1]) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32;
	known = &weights->known[hash % KNOWN_WEIGHTS];
	if (known->bytes[0] != key.bytes[0] || known->bytes[1] != key.bytes[1] || known->size != key.size)
	{
		paillier_factor_from_numeric(factor, &zeros, DatumGetNumeric(PointerGetDatum(weight)), row->key->pub.limbs);
		if (factor->limbs > 1)
			return zeros;
		key.mag = factor->mag[0];
		key.negative = factor->negative;
		key.scale = factor->scale;
		key.zeros = zeros;
		*known = key;
	}
	factor->mag[0] = known->mag;
	factor->limbs = 1;
	factor->negative = known->negative;
	factor->scale = known->scale;
	return known->zeros;
}

void
paillier_sum_row_weigh(SumRow *row, SumWeights *weights, struct varlena *weight)
{
	int			zeros = read_factor(row, weights, weight);

	row->digits += row->factor.scale;
	row->scale = paillier_check_scale(row->digits + zeros);
	bound_times(row, &row->factor);
}

/* ---- factors ---- */

void
paillier_sum_row_rescale(SumRow *row, int digits)
{
	PaillierInteger *factor = &row->factor;
	PaillierInteger ten;

	paillier_power_of_ten(&ten, digits - row->digits);
	bound_times(row, &ten);
	paillier_check_bound(row->key, row->bound);
	for (; row->digits < digits; row->digits++)
	{
		mp_limb_t	carry = mpn_mul_1(factor->mag, factor->mag, factor->limbs, 10);

		if (carry == 0)
			continue;

		/* the bound has been checked: only a bound of 0 lets the factor grow so long */
		if (factor->limbs == row->key->pub.limbs)
			paillier_raise(PAILLIER_ERR_RANGE, THING_WEIGHT);
		factor->mag[factor->limbs++] = carry;
	}
}

bool
paillier_sum_row_weight(const SumRow *row, int64 *weight)
{
	if (row->factor.limbs > 1 || row->factor.mag[0] > PG_INT64_MAX)
		return false;
	*weight = row->factor.negative ? -(int64) row->factor.mag[0] : (int64) row->factor.mag[0];
	return true;
}

void
paillier_sum_row_power(const SumRow *row, mp_limb_t *out)
{
	const paillier_mont *n2 = &row->key->pub.n2;
	mp_limb_t  *scratch = paillier_scratch(row->key);

	paillier_mont_load(n2, out, row->ct->c, scratch);
	if (row->factor.limbs == 1 && row->factor.mag[0] == 1)
		return;
	paillier_mont_enter(n2, out, out, scratch);
	paillier_mont_pow(n2, out, out, row->factor.mag, row->factor.limbs, scratch);
	paillier_mont_leave(n2, out, out, scratch);
}
