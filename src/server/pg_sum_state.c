/*
 * pg_sum_state.c
 *		States of sums, whatever their form.
 */
#include "pg_sum_state.h"

static PaillierSum *
make_state(Size body_words)
{
	Size		size = offsetof(PaillierSum, body) + body_words * sizeof(mp_limb_t);
	PaillierSum *sum = palloc0(size);

	SET_VARSIZE(sum, size);
	return sum;
}

PaillierSum *
paillier_sum_alloc(const PaillierKey *key, Size body_words)
{
	PaillierSum *sum = make_state(body_words);

	sum->version = SUM_VERSION;
	if (key != NULL)
	{
		sum->format = key->pub.n2.kernel->format;
		sum->words = key->pub.n2.words;
		memcpy(sum->key_id, key->id, PAILLIER_KEY_ID_LENGTH);
	}
	return sum;
}

PaillierSum *
paillier_sum_resize(const PaillierSum *sum, Size body_words)
{
	PaillierSum *copy = make_state(body_words);
	int32		vl_len = copy->vl_len_;

	memcpy(copy, sum, offsetof(PaillierSum, body));
	copy->vl_len_ = vl_len;
	return copy;
}

void
paillier_sum_set_scale(PaillierSum *sum, int scale, int digits)
{
	if (scale > sum->scale)
		sum->rows_at_scale = 0;
	sum->scale = scale;
	sum->zeros = scale - digits;
}

void
paillier_sum_set_bound(PaillierSum *sum, const PaillierKey *key, paillier_bound bound)
{
	paillier_check_bound(key, bound);
	sum->bound_mantissa = bound.mantissa;
	sum->bound_exponent = bound.exponent;
}
