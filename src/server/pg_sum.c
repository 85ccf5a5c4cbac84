/*
 * pg_sum.c
 *		sum(paillier_ciphertext): the functions of the aggregate.
 *
 * A row costs one Montgomery multiplication of the running product with the
 * ciphertext as it stands, which loses a factor R; the state counts the lost
 * factors and the final function puts them back at once.
 *
 * Eight rows at once take half the time: those of a large group (pg_sum_wide.c) or
 * of many small ones (pg_sum_batch.c).
 *
 * Rows with weights are multiplied by weight, eight at once in a large group
 * (pg_sum_buckets.c); the final function raises the products to them.  What is taken away has a negative weight, and the final
 * function divides: no row ever costs an inversion or, unless its weight is
 * very long, a power.
 */
#include "pg_sum.h"

/* ---- adding and taking away ---- */

/*
 * The state an aggregate's function may change: its own, or a copy where the
 * function was called by itself.
 */
static PaillierSum *
sum_writable(FunctionCallInfo fcinfo, int arg)
{
	if (AggCheckCallContext(fcinfo, NULL))
		return (PaillierSum *) PG_DETOAST_DATUM(PG_GETARG_DATUM(arg));
	return (PaillierSum *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(arg));
}

/* An empty sum of the row's key, scale and slots. */
static PaillierSum *
sum_start(const SumRow *row, bool moving)
{
	PaillierSum *sum = moving ? paillier_sum_queue(row->key)
		: paillier_sum_alloc(row->key, TERM_WORDS(row->key->pub.n2.words));

	paillier_sum_set_scale(sum, row->scale, row->digits);
	sum->slot_bits = row->ct->header.slot_bits;
	sum->slots = row->ct->header.slots;
	return sum;
}

/* Multiply the row into a narrow sum, or divide it by the row. */
static PaillierSum *
sum_multiply(PaillierSum *sum, const SumRow *row, bool divide)
{
	mp_limb_t	residue[PAILLIER_MAX_WORDS];
	int64		weight;

	if (paillier_sum_row_weight(row, &weight))
	{
		if (weight == 0)
			return sum;
		paillier_mont_load(&row->key->pub.n2, residue, row->ct->c, paillier_scratch(row->key));
	}
	else
	{
		weight = row->factor.negative ? -1 : 1;
		paillier_sum_row_power(row, residue);
	}
	return paillier_sum_multiply(row->key, sum, divide ? -weight : weight, residue, 0);
}

/* Multiply the row into a sum with buckets; where these become too many it is narrow again. */
static PaillierSum *
sum_pour(PaillierSum *sum, const SumRow *row, MemoryContext memory)
{
	int64		weight;

	if (!paillier_sum_row_weight(row, &weight))
	{
		mp_limb_t	residue[PAILLIER_MAX_WORDS];
		mp_limb_t	c[PAILLIER_MAX_LIMBS];

		paillier_sum_row_power(row, residue);
		paillier_mont_store_var(&row->key->pub.n2, c, residue, paillier_scratch(row->key));
		if (paillier_sum_buckets_multiply(row->key, &sum, row->factor.negative ? -1 : 1, c, memory))
			return sum;
	}
	else if (weight == 0 || paillier_sum_buckets_multiply(row->key, &sum, weight, row->ct->c, memory))
		return sum;
	return paillier_sum_narrow(row->key, sum);
}

/* An error for a row that cannot be in one sum with those before it. */
static inline void
check_row(const PaillierSum *sum, const SumRow *row)
{
	paillier_check_same_key(sum->key_id, row->key->id);
	paillier_check_same_slots(sum->slot_bits, sum->slots, row->ct->header.slot_bits, row->ct->header.slots);
}

/* Whether rows may wait for the state: it is one product of few rows, and stays that. */
static bool
can_wait(const PaillierKey *key, PaillierSum *sum)
{
	return sum->form == SUM_NARROW && sum->rows < MANY_ROWS - 1 && paillier_sum_native(key, sum) &&
		paillier_sum_is_product(sum) && paillier_sum_term(sum, 0)->lost < MANY_ROWS;
}

/* What stands before the number of a ciphertext in a heap page, about: headers, and a column or two. */
#define ROW_HEADER_SIZE 64

/*
 * Prefetch the rows to come: a sum takes a row faster than memory brings it, and no
 * processor expects them, because a heap page is read downwards: it is filled from
 * its end, so that the next row but one stands below this one.  The next page of a
 * table is, as a rule, the next one in shared buffers.
 *
 * The executor does not tell an aggregate where its rows come from, so this guesses
 * a sequential scan.  A wrong guess costs a few loads that nobody waits for: a
 * prefetch reads nothing into the program and cannot fault, whatever the address.
 * Measured at 2048 bits: without this function a sum over a table takes 15 % longer,
 * and one by groups 10 %; over an index in random order, where every guess is wrong,
 * it takes 5 % less.
 */
static inline void
fetch_ahead(const SumRow *row)
{
	const Size	size = row->key->pub.n2.limbs * sizeof(mp_limb_t) + ROW_HEADER_SIZE;
	const uintptr_t start = (uintptr_t) row->ct->c - ROW_HEADER_SIZE;

	for (Size i = 0; i <= size; i += LINE_SIZE)
	{
		__builtin_prefetch((const void *) (start - 2 * size + i), 0, 3);
		__builtin_prefetch((const void *) (start + BLCKSZ + i), 0, 2);
	}
}

/* Bring sum and row to the same digits; a sum that is not narrow has as many as the row. */
static void
align_digits(PaillierSum *sum, SumRow *row)
{
	if (row->digits > paillier_sum_digits(sum))
		paillier_sum_rescale(row->key, sum, row->digits);
	else if (row->digits < paillier_sum_digits(sum))
		paillier_sum_row_rescale(row, paillier_sum_digits(sum));
}

/* Whether a state can take a row as it is. */
static bool
can_take(const PaillierSum *sum, const SumRow *row)
{
	if (!paillier_sum_native(row->key, sum) || row->digits > paillier_sum_digits(sum))
		return false;
	switch ((SumForm) sum->form)
	{
		case SUM_WIDE:
			return paillier_sum_row_is_plain(row) && row->digits == paillier_sum_digits(sum);
		case SUM_QUEUE:
			return !row->factor.negative && sum->rows < MAX_QUEUE;
		default:
			return true;
	}
}

/* Multiply the row into a sum that can take it. */
static PaillierSum *
sum_take(PaillierSum *sum, const SumRow *row, MemoryContext memory)
{
	mp_limb_t	residue[PAILLIER_MAX_WORDS];

	switch ((SumForm) sum->form)
	{
		case SUM_WIDE:
			paillier_sum_wide_multiply(row->key, sum, row->ct->c);
			return sum;
		case SUM_QUEUE:
			paillier_sum_row_power(row, residue);
			return paillier_sum_push(row->key, sum, residue);
		case SUM_BUCKETS:
			return sum_pour(sum, row, memory);
		default:
			return sum_multiply(sum, row, false);
	}
}

/*
 * Give a sum of many rows, whenever these have doubled or `again`, the form that
 * takes further ones fastest.  Only where the aggregate has a memory for its states
 * is that one with buckets: it takes long to be looked at, which a window does for
 * each row.
 */
static PaillierSum *
sum_grow(PaillierKey *key, PaillierSum *sum, bool again, MemoryContext memory)
{
	if (sum->rows < MANY_ROWS || (!again && (sum->rows & (sum->rows - 1)) != 0))
		return sum;
	if (sum->form == SUM_BUCKETS)
		return paillier_sum_buckets_grow(key, sum, memory);
	if (sum->form != SUM_NARROW)
		return sum;
	if (paillier_sum_is_product(sum))
		return paillier_sum_widen(key, sum);
	return memory != NULL ? paillier_sum_buckets(key, sum, memory) : sum;
}

static void
check_rows(uint64 rows)
{
	if (rows > PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("sums claim to have too many rows")));
}

/* sum + row, in place where there is room; `moving` where the row will be taken out again */
static PaillierSum *
sum_add(FunctionCallInfo fcinfo, PaillierSum *sum, SumRow *row, bool moving, SumBatch *batch, MemoryContext memory)
{
	PaillierKey *key = row->key;
	bool		ours = sum != NULL && sum->rows > 0;	/* its place in memory is final */
	bool		again = false;

	if (!moving)				/* the rows of a window come from the executor's own memory */
		fetch_ahead(row);
	if (sum == NULL || sum->rows == 0)
		sum = sum_start(row, moving);
	check_row(sum, row);
	check_rows(sum->rows + 1);
	if (batch != NULL && ours && row->scale == sum->scale && sum->zeros == 0 && can_wait(key, sum))
	{
		paillier_sum_set_bound(sum, key, paillier_bound_add(paillier_sum_bound(sum), row->bound));
		sum->rows_at_scale++;
		sum->rows++;
		paillier_sum_defer(fcinfo, batch, key, sum, row->ct->c);
		return sum;
	}
	paillier_sum_settle(key, sum);
	if (!can_take(sum, row))
	{
		again = sum->form != SUM_NARROW && paillier_sum_native(key, sum);
		sum = paillier_sum_narrow(key, sum);
	}
	align_digits(sum, row);
	paillier_sum_set_scale(sum, Max(sum->scale, row->scale), paillier_sum_digits(sum));
	if (row->scale == sum->scale)
		sum->rows_at_scale++;

	sum = sum_take(sum, row, memory);
	paillier_sum_set_bound(sum, key, paillier_bound_add(paillier_sum_bound(sum), row->bound));
	sum->rows++;
	return moving ? sum : sum_grow(key, sum, again, memory);
}

/*
 * sum - row, for a row that was added before.  NULL when the scale of what
 * remains is not known any more: the caller then adds it up again.
 */
static PaillierSum *
sum_subtract(PaillierSum *sum, SumRow *row)
{
	bool		at_scale = row->scale == sum->scale;

	if (sum->rows == 0 || row->scale > sum->scale || sum->rows_at_scale == (at_scale ? 0 : sum->rows))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot remove from a sum what was not added")));
	check_row(sum, row);
	if (at_scale && --sum->rows_at_scale == 0 && sum->rows > 1)
		return NULL;
	if (sum->form != SUM_QUEUE || !can_take(sum, row))
		sum = paillier_sum_narrow(row->key, sum);
	align_digits(sum, row);
	sum->rows--;
	if (sum->form == SUM_QUEUE)
		paillier_sum_pop(row->key, sum);
	else
		sum = sum_multiply(sum, row, true);
	paillier_sum_set_bound(sum, row->key, paillier_bound_sub(paillier_sum_bound(sum), row->bound));
	return sum;
}

PG_FUNCTION_INFO_V1(paillier_sum_final);

typedef enum Motion
{
	STAYS,						/* the row is added for good */
	ENTERS,						/* it enters a moving frame … */
	LEAVES						/* … and leaves it */
} Motion;

/* Settle rows that wait under another key: before ours is looked up, for any look-up may empty the cache. */
static void
settle_other_key(FunctionCallInfo fcinfo, SumBatch *batch, const uint8 *key_id)
{
	const uint8 *waiting = paillier_sum_batch_key(batch);

	if (waiting != NULL && memcmp(waiting, key_id, PAILLIER_KEY_ID_LENGTH) != 0)
		paillier_sum_settle_batch(paillier_key_lookup(fcinfo, waiting), batch);
}

/*
 * The functions that move a row in or out: not strict, because the state
 * starts as NULL and NULL rows are passed over.
 */
static Datum
transition(FunctionCallInfo fcinfo, bool weighted, Motion motion)
{
	bool		skip = PG_ARGISNULL(1) || (weighted && PG_ARGISNULL(2));
	PaillierSum *sum = PG_ARGISNULL(0) ? NULL : sum_writable(fcinfo, 0);
	MemoryContext memory = NULL;
	int			context = AggCheckCallContext(fcinfo, &memory);
	bool		moving = motion == ENTERS && context == AGG_CONTEXT_WINDOW;
	SumBatch   *batch = motion == STAYS && !weighted && !skip ? paillier_sum_batch(fcinfo, paillier_sum_final) : NULL;
	SumRow		row;

	if (!skip)
	{
		const PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(1);

		if (batch != NULL)
			settle_other_key(fcinfo, batch, ct->header.key_id);
		paillier_sum_row_init(&row, paillier_key_of_ciphertext(fcinfo, ct), ct, motion == LEAVES);
		if (weighted)
			paillier_sum_row_weigh(&row, paillier_sum_weights(fcinfo), PG_GETARG_VARLENA_PP(2));

		/* a queue takes a row to the power of its factor, and must not lose that form for want of digits */
		if (motion != STAYS && row.digits < row.scale)
			paillier_sum_row_rescale(&row, row.scale);
		if (motion != LEAVES)
			sum = sum_add(fcinfo, sum, &row, moving, batch, context == AGG_CONTEXT_AGGREGATE ? memory : NULL);
		else if (sum != NULL)
			sum = sum_subtract(sum, &row);
	}

	/* a window's state may become NULL by an inverse function only: that has it added up again */
	if (sum == NULL && moving)
		sum = paillier_sum_alloc(NULL, 0);
	if (sum == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(sum);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum);

/* paillier_sum_accum(paillier_sum, paillier_ciphertext) -> paillier_sum */
Datum
paillier_sum_accum(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, false, STAYS);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_moving);

Datum
paillier_sum_accum_moving(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, false, ENTERS);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_inv);

Datum
paillier_sum_accum_inv(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, false, LEAVES);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_weighted);

/* paillier_sum_accum(paillier_sum, paillier_ciphertext, numeric) -> paillier_sum */
Datum
paillier_sum_accum_weighted(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, true, STAYS);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_weighted_moving);

Datum
paillier_sum_accum_weighted_moving(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, true, ENTERS);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_weighted_inv);

Datum
paillier_sum_accum_weighted_inv(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, true, LEAVES);
}

/* ---- combining ---- */

static PaillierSum *
sum_combine(PaillierKey *key, PaillierSum *a, PaillierSum *b)
{
	int			scale = Max(a->scale, b->scale);
	int			digits = Max(paillier_sum_digits(a), paillier_sum_digits(b));

	if (paillier_sum_digits(a) < digits)
		paillier_sum_rescale(key, a, digits);
	if (paillier_sum_digits(b) < digits)
		paillier_sum_rescale(key, b, digits);
	paillier_sum_set_scale(a, scale, digits);
	paillier_sum_set_scale(b, scale, digits);
	a->rows += b->rows;
	check_rows(a->rows);
	a->rows_at_scale += b->rows_at_scale;
	for (int i = 0; i < b->count; i++)
	{
		const SumTerm *term = paillier_sum_term(b, i);

		a = paillier_sum_multiply(key, a, term->weight, term->product, term->lost);
	}
	paillier_sum_set_bound(a, key, paillier_bound_add(paillier_sum_bound(a), paillier_sum_bound(b)));
	return a;
}

PG_FUNCTION_INFO_V1(paillier_sum_combine);

/* paillier_sum_combine(paillier_sum, paillier_sum) -> paillier_sum; not strict: NULL is the empty sum */
Datum
paillier_sum_combine(PG_FUNCTION_ARGS)
{
	PaillierSum *a = PG_ARGISNULL(0) ? NULL : sum_writable(fcinfo, 0);
	PaillierSum *b = PG_ARGISNULL(1) ? NULL : (PaillierSum *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(1));
	PaillierKey *key;

	if (b == NULL || b->rows == 0)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL || a->rows == 0)
		PG_RETURN_POINTER(b);
	key = paillier_key_lookup(fcinfo, a->key_id);
	paillier_check_same_key(b->key_id, key->id);
	paillier_check_same_slots(a->slot_bits, a->slots, b->slot_bits, b->slots);
	paillier_sum_settle(key, a);
	paillier_sum_settle(key, b);
	PG_RETURN_POINTER(sum_combine(key, paillier_sum_narrow(key, a), paillier_sum_narrow(key, b)));
}

/* ---- the result ---- */

/* paillier_sum_final(paillier_sum) -> paillier_ciphertext; leaves the state as it is */
Datum
paillier_sum_final(PG_FUNCTION_ARGS)
{
	PaillierSum *sum;
	PaillierKey *key;
	PaillierCiphertext *out;
	PaillierInteger zeros;
	paillier_bound bound;
	paillier_result result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	sum = (PaillierSum *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	if (sum->rows == 0)
		PG_RETURN_NULL();
	key = paillier_key_lookup(fcinfo, sum->key_id);
	paillier_sum_settle(key, sum);
	sum = paillier_sum_narrow(key, sum);
	paillier_power_of_ten(&zeros, sum->zeros);
	bound = paillier_bound_mul(paillier_sum_bound(sum), paillier_bound_from_limbs(zeros.mag, zeros.limbs));
	out = paillier_ciphertext_make(key, sum->scale, bound);
	out->header.slot_bits = sum->slot_bits;
	out->header.slots = sum->slots;
	paillier_sum_total(key, out->c, sum);
	if (sum->zeros > 0)
		paillier_require(paillier_mul_plain_var(&key->pub, out->c, out->c, false, zeros.mag, zeros.limbs,
												paillier_scratch(key)), THING_SUMMAND);

	/* 1 mod n is a sum of nothing but zero weights; 0 mod n is the work of a forged summand */
	result = paillier_check(&key->pub, out->c, paillier_scratch(key));
	if (result != PAILLIER_ERR_UNBLINDED)
		paillier_require(result == PAILLIER_ERR_ZERO ? PAILLIER_ERR_NOT_UNIT : result, THING_SUMMAND);
	PG_RETURN_POINTER(out);
}
