/*
 * pg_cache.c
 *		The per-backend cache of moduli, with the registry behind it.
 *
 * Ciphertexts name their key by id.  The table paillier_key knows the modulus;
 * it is asked once per backend and key.  An id is a digest of the modulus, so a
 * cached key can never be wrong; a key that is taken out of the registry stays
 * usable in the backends that have it.
 */
#include "pg_paillier.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * The cache is emptied when it holds so many keys.  A key takes from 80 kB (a
 * modulus of 2048 bits that is only summed under) to 45 MB (8192 bits, with a
 * large table to encrypt).
 */
#define MAX_CACHED_KEYS 64

/* Blinding factors made the slow way before a table pays. */
#define FACTORS_BEFORE_TABLE 2
#define FACTORS_BEFORE_LARGE_TABLE 2000

/* Factors made one by one, in a transaction, before eight are made ahead. */
#define FACTORS_ONE_BY_ONE 8

typedef struct CacheEntry
{
	uint8		id[PAILLIER_KEY_ID_LENGTH]; /* hash key */
	PaillierKey *key;
} CacheEntry;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static mp_limb_t *scratch = NULL;
static int	scratch_n2_limbs = 0;

/* The kernel that all of it is made for. */
static const paillier_kernel *cache_kernel = NULL;

/* The key of the last look-up: rows of one group follow each other. */
static PaillierKey *last_key = NULL;

/* Factors that were made ahead outlive neither the transaction nor the cache. */
static void
forget_factors(void)
{
	HASH_SEQ_STATUS keys;
	CacheEntry *entry;

	if (cache == NULL)
		return;
	hash_seq_init(&keys, cache);
	while ((entry = hash_seq_search(&keys)) != NULL)
	{
		entry->key->blinded_now = 0;
		if (entry->key->stock.left > 0)
			paillier_stock_wipe(&entry->key->stock);
	}
}

static void
cache_empty(void)
{
	forget_factors();
	if (cache_context != NULL)
		MemoryContextDelete(cache_context);
	cache_context = NULL;
	cache = NULL;
	scratch = NULL;
	scratch_n2_limbs = 0;
	last_key = NULL;
}

static void
cache_create(void)
{
	HASHCTL		info = {0};

	cache_kernel = paillier_kernel_in_use;
	cache_context = AllocSetContextCreate(TopMemoryContext, "paillier keys", ALLOCSET_DEFAULT_SIZES);
	info.keysize = PAILLIER_KEY_ID_LENGTH;
	info.entrysize = sizeof(CacheEntry);
	info.hcxt = cache_context;
	cache = hash_create("paillier keys", 16, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static PaillierKey *
cache_find(const uint8 *id)
{
	CacheEntry *entry;

	if (unlikely(cache_kernel != paillier_kernel_in_use))
		cache_empty();
	if (last_key != NULL && memcmp(last_key->id, id, PAILLIER_KEY_ID_LENGTH) == 0)
		return last_key;
	if (cache == NULL)
		return NULL;
	entry = hash_search(cache, id, HASH_FIND, NULL);
	if (entry == NULL)
		return NULL;
	last_key = entry->key;
	return last_key;
}

mp_limb_t *
paillier_scratch(const PaillierKey *key)
{
	if (key->pub.n2.limbs > scratch_n2_limbs)
	{
		if (scratch != NULL)
			pfree(scratch);
		scratch = NULL;
		scratch_n2_limbs = 0;
		scratch = MemoryContextAlloc(cache_context, PAILLIER_BLIND_SCRATCH(key->pub.n2.limbs) * sizeof(mp_limb_t));
		scratch_n2_limbs = key->pub.n2.limbs;
	}
	return scratch;
}

/* Prepare the modulus; the entry becomes visible when it is complete. */
static PaillierKey *
cache_add(const PaillierPublicKey *value)
{
	int			limbs = PUBLIC_KEY_LIMBS(value);
	PaillierKey *key;
	CacheEntry *entry;
	mp_limb_t  *tmp = palloc(PAILLIER_SCRATCH(2 * limbs) * sizeof(mp_limb_t));
	bool		found;

	if (cache != NULL && hash_get_num_entries(cache) >= MAX_CACHED_KEYS)
		cache_empty();
	if (cache == NULL)
		cache_create();
	key = MemoryContextAllocZero(cache_context, sizeof(PaillierKey));
	memcpy(key->id, value->id, PAILLIER_KEY_ID_LENGTH);
	paillier_public_init(&key->pub, paillier_kernel_in_use, value->n, limbs, value->djn, tmp);
	pfree(tmp);
	entry = hash_search(cache, value->id, HASH_ENTER, &found);
	entry->key = key;
	last_key = key;
	return key;
}

PaillierKey *
paillier_key_of(const PaillierPublicKey *value)
{
	PaillierKey *key = cache_find(value->id);

	if (key == NULL)
		return cache_add(value);

	/* the mark of keys made here is not part of the id: believe it only if nobody denies it */
	if (!value->djn)
	{
		key->pub.djn = false;
		key->blinder.table = NULL;
		if (key->stock.left > 0)
			paillier_stock_wipe(&key->stock);
	}
	return key;
}

/* ---- the registry ---- */

PaillierKey *
paillier_key_cached(const uint8 *id)
{
	PaillierKey *key = cache_find(id);

	return likely(key != NULL && key->registered) ? key : NULL;
}

/* The key from the registry; NULL where it is not there. */
static PaillierKey *
find_registered(Oid schema, const uint8 *id)
{
	PaillierPublicKey *value = paillier_registry_find(schema, id);
	PaillierKey *key;

	if (value == NULL)
		return NULL;
	key = paillier_key_of(value);
	key->registered = true;
	pfree(value);
	return key;
}

PaillierKey *
paillier_key_load(Oid schema, const uint8 *id)
{
	PaillierKey *key = find_registered(schema, id);

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("key %s is not registered", paillier_key_id_text(id)),
				 errhint("Register the public key with paillier_register_key().")));
	return key;
}

PaillierKey *
paillier_key_find(FunctionCallInfo fcinfo, const uint8 *id)
{
	PaillierKey *key = paillier_key_cached(id);

	return key != NULL ? key : find_registered(get_func_namespace(fcinfo->flinfo->fn_oid), id);
}

PaillierKey *
paillier_key_lookup(FunctionCallInfo fcinfo, const uint8 *id)
{
	PaillierKey *key = paillier_key_cached(id);

	return key != NULL ? key : paillier_key_load(get_func_namespace(fcinfo->flinfo->fn_oid), id);
}

/* The highest limb decides nearly always. */
static bool
below(const mp_limb_t *c, const mp_limb_t *n2, int limbs)
{
	return likely(c[limbs - 1] < n2[limbs - 1]) || mpn_cmp(c, n2, limbs) < 0;
}

PaillierKey *
paillier_key_of_ciphertext(FunctionCallInfo fcinfo, const PaillierCiphertext *ct)
{
	PaillierKey *key = paillier_key_lookup(fcinfo, ct->header.key_id);

	if (unlikely(CIPHERTEXT_LIMBS(ct) != key->pub.n2.limbs))
		paillier_raise(PAILLIER_ERR_KEY_LENGTH, "ciphertext");
	if (unlikely(!below(ct->c, key->pub.n2.m, key->pub.n2.limbs)))
		paillier_raise(PAILLIER_ERR_TOO_LARGE, "ciphertext");
	return key;
}

/* ---- what is made of a key on demand ---- */

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
		mp_limb_t  *level = MemoryContextAlloc(cache_context, 31 * n2->words * sizeof(mp_limb_t));
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

static void
set_blinder(PaillierKey *key, const paillier_comb *comb)
{
	size_t		size = paillier_blinder_table(&key->pub, comb) * sizeof(mp_limb_t);
	mp_limb_t  *table = MemoryContextAllocHuge(cache_context, size);
	mp_limb_t  *before = key->blinder.table;
	paillier_blinder with_table;

	paillier_require(paillier_blinder_init(&with_table, &key->pub, comb, table, paillier_server_random, NULL,
										   paillier_scratch(key)), "blinding table");
	key->blinder = with_table;
	if (before != NULL)
		pfree(before);
}

/* The key's source of blinding factors, with a table once it pays, and a larger one. */
static const paillier_blinder *
key_blinder(PaillierKey *key)
{
	uint64		before = key->blinded++;

	if (before == 0)
		(void) paillier_blinder_init(&key->blinder, &key->pub, &paillier_comb_small, NULL, paillier_server_random, NULL,
									 NULL);
	if (key->pub.djn && before == FACTORS_BEFORE_TABLE)
		set_blinder(key, &paillier_comb_small);
	if (key->pub.djn && before == FACTORS_BEFORE_LARGE_TABLE)
		set_blinder(key, &paillier_comb_large);
	return &key->blinder;
}

static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PARALLEL_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		forget_factors();
}

/* Where factors are made ahead for the key; NULL as long as a transaction needs few of them. */
static paillier_stock *
key_stock(PaillierKey *key)
{
	static bool registered = false;

	if (key->blinded_now++ < FACTORS_ONE_BY_ONE)
		return NULL;
	if (!registered)
		RegisterXactCallback(at_transaction_end, NULL);
	registered = true;
	if (key->stock.factors == NULL)
		key->stock.factors = MemoryContextAlloc(cache_context, PAILLIER_STOCK(key->pub.n2.words) * sizeof(mp_limb_t));
	key->stock.blinder = &key->blinder;
	return &key->stock;
}

paillier_result
paillier_key_encrypt(PaillierKey *key, mp_limb_t *c, const paillier_plaintext *m)
{
	const paillier_blinder *blinder = key_blinder(key);
	paillier_stock *stock = key_stock(key);

	if (stock != NULL)
		return paillier_encrypt_from(stock, c, m, paillier_server_random, NULL, paillier_scratch(key));
	return paillier_encrypt(blinder, &c, m, 1, paillier_server_random, NULL, paillier_scratch(key));
}

paillier_result
paillier_key_rerandomize(PaillierKey *key, mp_limb_t *c)
{
	const paillier_blinder *blinder = key_blinder(key);
	paillier_stock *stock = key_stock(key);

	if (stock != NULL)
		return paillier_rerandomize_from(stock, c, paillier_server_random, NULL, paillier_scratch(key));
	return paillier_rerandomize(blinder, &c, 1, paillier_server_random, NULL, paillier_scratch(key));
}
