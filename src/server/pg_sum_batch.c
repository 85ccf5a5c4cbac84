/*
 * pg_sum_batch.c
 *		Sums of many groups: a row of each of eight groups at a time.
 *
 * One product alone takes nearly twice as long as each of eight at once.  Where a
 * hash aggregate has many groups the rows of up to eight of them wait here, and
 * their states only say so.  Whoever wants to see a state settles it first.
 *
 * That cannot be asked of code that is not ours.  Rows wait only where no other
 * code sees a state: in an aggregate that is neither split between processes nor
 * shared with another one, and whose final function is that of sum().  States
 * go with the aggregate's memory; a callback then forgets what waited for them.
 */
#include "pg_sum.h"

#include "catalog/pg_aggregate.h"
#include "nodes/execnodes.h"
#include "nodes/primnodes.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Use the 8-lane product from this many rows on. */
#define ENOUGH_FOR_EIGHT 5

/* Rows of one group that may wait. */
#define LANE_ROWS 16

typedef struct Lane
{
	PaillierSum *sum;			/* its member `pending` is the number of the lane, from 1 on */
	int			rows;
} Lane;

struct SumBatch
{
	bool		usable;
	struct SumBatch *next;		/* all of this backend's */
	bool		watching;		/* we shall hear when the states go */
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
	const paillier_kernel *kernel;
	int			limbs;			/* of a ciphertext */
	int			count;			/* lanes in use */
	Lane		lane[LANES];
	mp_limb_t  *rows;			/* LANE_ROWS ciphertexts for each lane, with room for … */
	int			room;			/* … so many limbs each */
};

static SumBatch *batches = NULL;

/* ---- which aggregates ---- */

static bool
ends_with(Oid aggregate, PGFunction final)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	FmgrInfo	info;
	Oid			function;

	if (!HeapTupleIsValid(tuple))
		return false;
	function = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggfinalfn;
	ReleaseSysCache(tuple);

	/* it may have been dropped meanwhile, with its extension */
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		return false;
	fmgr_info(function, &info);
	return info.fn_addr == final;
}

static bool
is_private(FunctionCallInfo fcinfo, PGFunction final)
{
	Aggref	   *aggref;

	if (AggCheckCallContext(fcinfo, NULL) != AGG_CONTEXT_AGGREGATE || !IsA(fcinfo->context, AggState) ||
		((AggState *) fcinfo->context)->aggstrategy != AGG_HASHED)
		return false;
	aggref = AggGetAggref(fcinfo);
	return aggref != NULL && aggref->aggsplit == AGGSPLIT_SIMPLE && !AggStateIsShared(fcinfo) &&
		ends_with(aggref->aggfnoid, final);
}

/* ---- memory that goes ---- */

/* The batch, with the query. */
static void
forget_batch(void *arg)
{
	for (SumBatch **link = &batches; *link != NULL; link = &(*link)->next)
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
}

/* The states. */
static void
forget_states(void *arg)
{
	SumBatch   *batch = arg;

	batch->count = 0;
	batch->watching = false;
}

static void
call_when_reset(MemoryContext context, MemoryContextCallbackFunction function, SumBatch *batch)
{
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	callback->func = function;
	callback->arg = batch;
	MemoryContextRegisterResetCallback(context, callback);
}

SumBatch *
paillier_sum_batch(FunctionCallInfo fcinfo, PGFunction final)
{
	SumBatch   *batch = fcinfo->flinfo->fn_extra;

	if (likely(batch != NULL))
		return batch->usable ? batch : NULL;
	batch = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SumBatch));
	batch->usable = is_private(fcinfo, final);
	if (batch->usable)
	{
		call_when_reset(fcinfo->flinfo->fn_mcxt, forget_batch, batch);
		batch->next = batches;
		batches = batch;
	}
	fcinfo->flinfo->fn_extra = batch;
	return batch->usable ? batch : NULL;
}

/* ---- rows that wait ---- */

/* The modulus as the states need it; *own is to be freed where it is not the cache's. */
static const paillier_mont *
modulus_of(const PaillierKey *key, const SumBatch *batch, paillier_public **own)
{
	mp_limb_t  *scratch;

	*own = NULL;
	if (likely(key->pub.n2.kernel == batch->kernel))
		return &key->pub.n2;

	/* paillier.kernel was changed while the query ran */
	scratch = palloc(PAILLIER_SCRATCH(key->pub.n2.limbs) * sizeof(mp_limb_t));
	*own = palloc(sizeof(paillier_public));
	paillier_public_init(*own, batch->kernel, key->pub.n, key->pub.limbs, key->pub.djn, scratch);
	pfree(scratch);
	return &(*own)->n2;
}

static mp_limb_t *
row_of(const SumBatch *batch, int lane, int i)
{
	return batch->rows + (lane * LANE_ROWS + i) * batch->limbs;
}

static mp_limb_t *
product_of(const SumBatch *batch, int lane)
{
	return paillier_sum_term(batch->lane[lane].sum, 0)->product;
}

/* Row i of all `count` lanes. */
static void
multiply_all(const paillier_mont *n2, const SumBatch *batch, const int *lane, int count, int i, mp_limb_t *scratch)
{
	const paillier_kernel *kernel = n2->kernel;
	mp_limb_t  *products8 = paillier_on_line(scratch);
	mp_limb_t  *rows8 = products8 + LANES * n2->words;
	mp_limb_t  *rest = rows8 + LANES * n2->words;
	mp_limb_t  *unused = rest + PAILLIER_MONT_SCRATCH8(n2->words);
	mp_limb_t  *product[LANES];
	const mp_limb_t *row[LANES];

	mpn_zero(unused, n2->words);
	for (int k = 0; k < LANES; k++)
	{
		product[k] = k < count ? product_of(batch, lane[k]) : unused;
		row[k] = row_of(batch, lane[k < count ? k : 0], i);
	}
	kernel->gather8(n2, products8, (const mp_limb_t *const *) product);
	kernel->load8(n2, rows8, row, rest);
	kernel->mul8(n2, products8, products8, rows8, rest);
	kernel->scatter8(n2->words, product, products8);
}

static void
multiply_each(const paillier_mont *n2, const SumBatch *batch, const int *lane, int count, int i, mp_limb_t *scratch)
{
	mp_limb_t  *residue = scratch;
	mp_limb_t  *rest = residue + n2->words;

	for (int k = 0; k < count; k++)
	{
		mp_limb_t  *product = product_of(batch, lane[k]);

		paillier_mont_load(n2, residue, row_of(batch, lane[k], i), rest);
		paillier_mont_mul(n2, product, product, residue, rest);
	}
}

const uint8 *
paillier_sum_batch_key(const SumBatch *batch)
{
	return batch->count > 0 ? batch->key_id : NULL;
}

void
paillier_sum_settle_batch(PaillierKey *key, SumBatch *batch)
{
	paillier_public *own;
	const paillier_mont *n2 = modulus_of(key, batch, &own);
	mp_limb_t  *scratch = paillier_scratch(key);
	int			lane[LANES];
	int			count = batch->count;

	for (int i = 0; count > 0; i++)
	{
		count = 0;
		for (int k = 0; k < batch->count; k++)
			if (batch->lane[k].rows > i)
				lane[count++] = k;
		if (count >= ENOUGH_FOR_EIGHT)
			multiply_all(n2, batch, lane, count, i, scratch);
		else
			multiply_each(n2, batch, lane, count, i, scratch);
	}
	for (int k = 0; k < batch->count; k++)
	{
		paillier_sum_term(batch->lane[k].sum, 0)->lost += batch->lane[k].rows;
		batch->lane[k].sum->pending = 0;
	}
	batch->count = 0;
	if (own != NULL)
		pfree(own);
}

void
paillier_sum_settle_pending(PaillierKey *key, PaillierSum *sum)
{
	for (SumBatch *batch = batches; batch != NULL && sum->pending; batch = batch->next)
		if (sum->pending <= batch->count && batch->lane[sum->pending - 1].sum == sum)
			paillier_sum_settle_batch(key, batch);
	if (sum->pending)
		elog(ERROR, "rows of a sum were lost");
}

/* Settle a batch of another kernel, or one that has no room for a row of the state. */
static void
make_room(SumBatch *batch, PaillierKey *key, const PaillierSum *sum)
{
	bool		full = sum->pending ? batch->lane[sum->pending - 1].rows == LANE_ROWS : batch->count == LANES;

	if (batch->count > 0 && (full || batch->kernel != paillier_kernel_in_use))
		paillier_sum_settle_batch(key, batch);
}

/* Begin a batch of rows under a key. */
static void
begin_batch(FunctionCallInfo fcinfo, SumBatch *batch, const PaillierKey *key)
{
	const paillier_mont *n2 = &key->pub.n2;

	if (!batch->watching)
	{
		MemoryContext context;

		(void) AggCheckCallContext(fcinfo, &context);
		call_when_reset(context, forget_states, batch);
		batch->watching = true;
	}
	if (batch->room < n2->limbs)
	{
		/* few keys, if more than one: what is too small goes with the query */
		batch->rows = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt,
										 LANES * LANE_ROWS * n2->limbs * sizeof(mp_limb_t));
		batch->room = n2->limbs;
	}
	batch->limbs = n2->limbs;
	batch->kernel = n2->kernel;
	memcpy(batch->key_id, key->id, PAILLIER_KEY_ID_LENGTH);
}

void
paillier_sum_defer(FunctionCallInfo fcinfo, SumBatch *batch, PaillierKey *key, PaillierSum *sum, const mp_limb_t *c)
{
	Lane	   *lane;

	Assert(batch->count == 0 || memcmp(batch->key_id, key->id, PAILLIER_KEY_ID_LENGTH) == 0);
	make_room(batch, key, sum);
	if (batch->count == 0)
		begin_batch(fcinfo, batch, key);
	if (!sum->pending)
	{
		batch->lane[batch->count] = (Lane) {sum, 0};
		sum->pending = ++batch->count;
		/* the states of a hash table lie apart: this one has come into the cache when its rows are multiplied */
		for (int i = 0; i < sum->words; i += LINE_WORDS)
			__builtin_prefetch(paillier_sum_term(sum, 0)->product + i, 1);
	}
	lane = &batch->lane[sum->pending - 1];
	mpn_copyi(row_of(batch, sum->pending - 1, lane->rows++), c, batch->limbs);
}
