/*
 * pg_blind.c
 *		Encryption and re-randomisation under a key of the cache: where blinding
 *		factors come from.
 *
 * A table of powers makes a factor fast, and costs as much as many factors: it is
 * made once they are many.  In a transaction that needs many factors they are
 * made eight at a time, ahead of their use.  What was made ahead is secret, and is
 * overwritten at the end of the transaction, or with the key.
 */
#include "pg_paillier.h"

#include "access/xact.h"
#include "utils/memutils.h"

/* Blinding factors made the slow way before a table pays. */
#define FACTORS_BEFORE_TABLE 2
#define FACTORS_BEFORE_LARGE_TABLE 2000

/* Factors made one by one, in a transaction, before eight are made ahead. */
#define FACTORS_ONE_BY_ONE 8

/* What a key that is blinded under has beside it; it goes with the key. */
struct PaillierBlinding
{
	struct PaillierBlinding *next;	/* all of this backend's */
	MemoryContextCallback callback;
	bool		djn;			/* of the key, when factors were made for it last */
	uint64		made;			/* factors */
	uint64		made_now;		/* of these, in this transaction */
	paillier_blinder blinder;
	paillier_stock stock;
};

static struct PaillierBlinding *blindings = NULL;

static void
wipe_stock(struct PaillierBlinding *blinding)
{
	if (blinding->stock.left > 0)
		paillier_stock_wipe(&blinding->stock);
}

/* Factors that were made ahead do not outlive their transaction … */
static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	for (struct PaillierBlinding *blinding = blindings; blinding != NULL; blinding = blinding->next)
	{
		blinding->made_now = 0;
		wipe_stock(blinding);
	}
}

/* … nor their key, whose memory goes away. */
static void
forget_blinding(void *arg)
{
	wipe_stock(arg);
	for (struct PaillierBlinding **link = &blindings; *link != NULL; link = &(*link)->next)
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
}

/* Begin to blind under a key, without a table. */
static void
begin_blinding(PaillierKey *key)
{
	static bool registered = false;
	struct PaillierBlinding *blinding = MemoryContextAllocZero(key->memory, sizeof(struct PaillierBlinding));

	if (!registered)
		RegisterXactCallback(at_transaction_end, NULL);
	registered = true;
	(void) paillier_blinder_init(&blinding->blinder, &key->pub, &paillier_comb_small, NULL, paillier_server_random,
								 NULL, NULL);
	blinding->djn = key->pub.djn;
	blinding->callback.func = forget_blinding;
	blinding->callback.arg = blinding;
	MemoryContextRegisterResetCallback(key->memory, &blinding->callback);
	blinding->next = blindings;
	blindings = blinding;
	key->blinding = blinding;
}

/* Make a table, in place of a smaller one. */
static void
set_table(PaillierKey *key, const paillier_comb *comb)
{
	paillier_blinder *blinder = &key->blinding->blinder;
	size_t		size = paillier_blinder_table(&key->pub, comb) * sizeof(mp_limb_t);
	mp_limb_t  *table = MemoryContextAllocHuge(key->memory, size);
	mp_limb_t  *before = blinder->table;
	paillier_blinder with_table;

	paillier_require(paillier_blinder_init(&with_table, &key->pub, comb, table, paillier_server_random, NULL,
										   paillier_scratch(key)), THING_BLINDING_TABLE);
	*blinder = with_table;
	if (before != NULL)
		pfree(before);
}

/* The key's source of blinding factors, with a table once it pays, and a larger one. */
static struct PaillierBlinding *
key_blinding(PaillierKey *key)
{
	struct PaillierBlinding *blinding;
	uint64		before;

	if (key->blinding == NULL)
		begin_blinding(key);
	blinding = key->blinding;
	if (blinding->djn != key->pub.djn)
	{
		/* the mark was denied meanwhile: what was made by it is not used any more */
		blinding->djn = key->pub.djn;
		blinding->blinder.table = NULL;
		wipe_stock(blinding);
	}
	before = blinding->made++;
	if (key->pub.djn && before == FACTORS_BEFORE_TABLE)
		set_table(key, &paillier_comb_small);
	if (key->pub.djn && before == FACTORS_BEFORE_LARGE_TABLE)
		set_table(key, &paillier_comb_large);
	return blinding;
}

/* Where factors are made ahead for the key; NULL as long as a transaction needs few of them. */
static paillier_stock *
key_stock(PaillierKey *key, struct PaillierBlinding *blinding)
{
	paillier_stock *stock = &blinding->stock;

	if (blinding->made_now++ < FACTORS_ONE_BY_ONE)
		return NULL;
	if (stock->factors == NULL)
		stock->factors = MemoryContextAlloc(key->memory, PAILLIER_STOCK(key->pub.n2.limbs) * sizeof(mp_limb_t));
	stock->blinder = &blinding->blinder;
	return stock;
}

paillier_result
paillier_key_encrypt(PaillierKey *key, mp_limb_t *c, const paillier_plaintext *m)
{
	struct PaillierBlinding *blinding = key_blinding(key);
	paillier_stock *stock = key_stock(key, blinding);

	if (stock != NULL)
		return paillier_encrypt_from(stock, c, m, paillier_server_random, NULL, paillier_scratch(key));
	return paillier_encrypt(&blinding->blinder, &c, m, 1, paillier_server_random, NULL, paillier_scratch(key));
}

paillier_result
paillier_key_rerandomize(PaillierKey *key, mp_limb_t *c)
{
	struct PaillierBlinding *blinding = key_blinding(key);
	paillier_stock *stock = key_stock(key, blinding);

	if (stock != NULL)
		return paillier_rerandomize_from(stock, c, paillier_server_random, NULL, paillier_scratch(key));
	return paillier_rerandomize(&blinding->blinder, &c, 1, paillier_server_random, NULL, paillier_scratch(key));
}
