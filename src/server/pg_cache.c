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

#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * The cache is emptied when it holds so many keys.  A key takes from 80 kB (a
 * modulus of 2048 bits that is only summed under) to 45 MB (8192 bits, with a
 * large table to encrypt).
 */
#define MAX_CACHED_KEYS 64

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

static void
cache_empty(void)
{
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
	key->memory = cache_context;
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
		key->pub.djn = false;
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
		paillier_raise(PAILLIER_ERR_KEY_LENGTH, THING_CIPHERTEXT);
	if (unlikely(!below(ct->c, key->pub.n2.m, key->pub.n2.limbs)))
		paillier_raise(PAILLIER_ERR_TOO_LARGE, THING_CIPHERTEXT);
	return key;
}
