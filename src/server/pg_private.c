/*
 * pg_private.c
 *		Everything in the server that touches a private key, once pg_jwk.c has
 *		taken its JSON apart: the type paillier_private_key, key generation,
 *		decryption, of which pg_decrypt.c makes the functions of SQL.
 *
 * A private key exists here only while a query uses it.  What this file
 * allocates for one is overwritten when it is done with it, as are plaintexts and
 * the scratch they were made in; a prepared key is kept for the calls of one query
 * and overwritten with the memory context of that query, whether it ends well or
 * not.  Arguments and results are the server's: they are left as they are.  No message
 * shows any part of a key.
 */
#include "pg_paillier.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "jwk.h"
#include "paillier_batch.h"

#define PRIVATE_KEY_VERSION 1

/* paillier_private_key: the factors p and q, one behind the other */
typedef struct PaillierPrivateKey
{
	int32		vl_len_;
	uint8		version;
	uint8		djn;
	uint16		p_limbs;
	uint8		id[PAILLIER_KEY_ID_LENGTH];
	mp_limb_t	factors[FLEXIBLE_ARRAY_MEMBER];
} PaillierPrivateKey;

#define PRIVATE_KEY_SIZE(limbs)		(offsetof(PaillierPrivateKey, factors) + (limbs) * sizeof(mp_limb_t))
#define PRIVATE_KEY_LIMBS(key)		((int) ((VARSIZE(key) - offsetof(PaillierPrivateKey, factors)) / sizeof(mp_limb_t)))
#define PG_GETARG_PRIVATE_KEY(i)	((PaillierPrivateKey *) PG_DETOAST_DATUM(PG_GETARG_DATUM(i)))

/* Asked for every candidate and every test of a prime: here a cancelled query stops them. */
static int
interruptible_random(void *state, void *out, size_t len)
{
	if (QueryCancelPending || ProcDiePending)
		return -1;
	return paillier_server_random(state, out, len);
}

/* A key and scratch to work on it: overwritten when it is closed. */
typedef struct Workspace
{
	paillier_private *key;
	mp_limb_t  *scratch;
	size_t		scratch_size;
} Workspace;

static void
workspace_open(Workspace *work, size_t limbs)
{
	work->scratch_size = limbs * sizeof(mp_limb_t);
	work->scratch = palloc(work->scratch_size);
	work->key = palloc(sizeof(paillier_private));
}

static void
workspace_close(Workspace *work)
{
	explicit_bzero(work->scratch, work->scratch_size);
	explicit_bzero(work->key, sizeof(paillier_private));
	pfree(work->scratch);
	pfree(work->key);
}

/* ---- prepared keys ---- */

/*
 * Preparing a key takes about as long as a decryption, so the calls of one
 * query share it.  Each has a memory context of its own, a child of the
 * query's.  The list stays short: the key that was not used for longest makes
 * room, so that a query with more keys than this in turn prepares them again and
 * again, in the same memory.
 */
#define MAX_PREPARED 8

typedef struct PaillierPreparedKey
{
	struct PaillierPreparedKey *next;	/* used before this one */
	MemoryContext context;		/* its own */
	MemoryContextCallback callback;
	PaillierPrivateKey *value;
	paillier_private key;
	size_t		scratch_size;
	mp_limb_t  *scratch;
} PreparedKey;

/* The one that was used last comes first. */
static PreparedKey *prepared_keys = NULL;

static void
unlink_prepared(PreparedKey *prepared)
{
	for (PreparedKey **link = &prepared_keys; *link != NULL; link = &(*link)->next)
		if (*link == prepared)
		{
			*link = prepared->next;
			return;
		}
}

/* Its memory goes away, with the query or before: forget the key. */
static void
forget_prepared(void *arg)
{
	PreparedKey *prepared = arg;

	unlink_prepared(prepared);
	explicit_bzero(prepared->value, VARSIZE(prepared->value));
	explicit_bzero(&prepared->key, sizeof(prepared->key));
	explicit_bzero(prepared->scratch, prepared->scratch_size);
}

/* Both values whole: who knows only an id must not be served. */
static bool
same_private_key(const PaillierPrivateKey *a, const PaillierPrivateKey *b)
{
	size_t		size = VARSIZE(a);
	uint8		difference = 0;

	if (size != VARSIZE(b))
		return false;
	for (size_t i = 0; i < size; i++)
		difference |= ((const uint8 *) a)[i] ^ ((const uint8 *) b)[i];
	return difference == 0;
}

/* The prepared key of a value; NULL where there is none.  Where the list is full its last entry goes. */
static PreparedKey *
find_prepared(const PaillierPrivateKey *value)
{
	PreparedKey *prepared;
	int			count = 0;

	for (prepared = prepared_keys; prepared != NULL; prepared = prepared->next)
	{
		if (same_private_key(prepared->value, value))
			return prepared;
		if (++count == MAX_PREPARED)
		{
			MemoryContextDelete(prepared->context);
			break;
		}
	}
	return NULL;
}

/* A copy of the value in a context of its own, not prepared yet. */
static PreparedKey *
new_prepared(MemoryContext parent, const PaillierPrivateKey *value)
{
	MemoryContext context = AllocSetContextCreate(parent, "paillier private key", ALLOCSET_SMALL_SIZES);
	PreparedKey *prepared = MemoryContextAllocZero(context, sizeof(PreparedKey));

	prepared->context = context;
	prepared->scratch_size = paillier_private_scratch(64 * PRIVATE_KEY_LIMBS(value)) * sizeof(mp_limb_t);
	prepared->scratch = MemoryContextAllocZero(context, prepared->scratch_size);
	prepared->value = MemoryContextAlloc(context, VARSIZE(value));
	memcpy(prepared->value, value, VARSIZE(value));
	prepared->callback.func = forget_prepared;
	prepared->callback.arg = prepared;
	MemoryContextRegisterResetCallback(context, &prepared->callback);
	return prepared;
}

static void
prepare(PreparedKey *prepared)
{
	PaillierPrivateKey *value = prepared->value;
	const mp_limb_t *q = value->factors + value->p_limbs;
	paillier_result result = paillier_private_init(&prepared->key, paillier_kernel_in_use, value->factors,
												   value->p_limbs, q, PRIVATE_KEY_LIMBS(value) - value->p_limbs,
												   value->djn, prepared->scratch);

	if (result != PAILLIER_OK)
	{
		MemoryContextDelete(prepared->context);
		paillier_raise(result, THING_PRIVATE_KEY);
	}
}

/* Overwrite and free what PG_GETARG_PRIVATE_KEY(i) gave, where it is a copy. */
static void
wipe_copy(FunctionCallInfo fcinfo, int i, PaillierPrivateKey *value)
{
	if ((Pointer) value == DatumGetPointer(PG_GETARG_DATUM(i)))
		return;
	explicit_bzero(value, VARSIZE(value));
	pfree(value);
}

/* The private key that is argument i, prepared. */
static PreparedKey *
get_prepared(FunctionCallInfo fcinfo, int i)
{
	PaillierPrivateKey *value = PG_GETARG_PRIVATE_KEY(i);
	PreparedKey *prepared = find_prepared(value);
	bool		found = prepared != NULL;

	if (!found)
		prepared = new_prepared(fcinfo->flinfo->fn_mcxt, value);
	wipe_copy(fcinfo, i, value);
	if (found)
		unlink_prepared(prepared);
	else
		prepare(prepared);
	prepared->next = prepared_keys;
	prepared_keys = prepared;
	return prepared;
}

/* The same for a use that the size of the key must allow. */
static PreparedKey *
get_usable(FunctionCallInfo fcinfo, int i)
{
	PreparedKey *prepared = get_prepared(fcinfo, i);

	paillier_check_key_bits(prepared->key.pub.bits);
	return prepared;
}

/* ---- the type ---- */

static PaillierPrivateKey *
make_value(const paillier_private *key)
{
	int			limbs = key->p.limbs + key->q.limbs;
	PaillierPrivateKey *value = palloc0(PRIVATE_KEY_SIZE(limbs));

	SET_VARSIZE(value, PRIVATE_KEY_SIZE(limbs));
	value->version = PRIVATE_KEY_VERSION;
	value->djn = key->pub.djn;
	value->p_limbs = key->p.limbs;
	paillier_modulus_id(value->id, key->pub.n, key->pub.limbs);
	mpn_copyi(value->factors, key->p.p, key->p.limbs);
	mpn_copyi(value->factors + key->p.limbs, key->q.p, key->q.limbs);
	return value;
}

PG_FUNCTION_INFO_V1(paillier_private_key_in);

/* paillier_private_key_in(cstring): from a JSON Web Key, with p and q or with lambda */
Datum
paillier_private_key_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	Workspace	work;
	PaillierPrivateKey *value = NULL;
	paillier_jwk jwk;
	paillier_jwk pub;
	paillier_result result;

	paillier_jwk_parse(text, strlen(text), &jwk, &pub);
	workspace_open(&work, paillier_jwk_scratch());
	result = paillier_jwk_read_private(work.key, paillier_kernel_in_use, &jwk, &pub, PAILLIER_MIN_BITS,
									   interruptible_random, NULL, work.scratch);
	paillier_jwk_wipe(&jwk);
	paillier_jwk_wipe(&pub);
	if (result == PAILLIER_OK)
		value = make_value(work.key);
	workspace_close(&work);
	CHECK_FOR_INTERRUPTS();
	paillier_require(result, THING_PRIVATE_KEY);
	PG_RETURN_POINTER(value);
}

PG_FUNCTION_INFO_V1(paillier_private_key_out);

Datum
paillier_private_key_out(PG_FUNCTION_ARGS)
{
	PreparedKey *prepared = get_prepared(fcinfo, 0);
	paillier_private *key = &prepared->key;
	char	   *text = palloc(PAILLIER_JWK_PRIVATE_ROOM(key->p.limbs + key->q.limbs));

	paillier_jwk_write_private(text, key->p.p, key->p.limbs, key->q.p, key->q.limbs, key->pub.n, key->pub.limbs,
							   key->pub.djn, prepared->value->id);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(paillier_private_key_recv);

/* Version, mark, bytes of p in 2 bytes, then p and q in minimal big-endian bytes. */
Datum
paillier_private_key_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(buf);
	int			djn = pq_getmsgbyte(buf);
	int			p_len = pq_getmsgint(buf, 2);
	int			q_len = buf->len - buf->cursor - p_len;
	const uint8 *bytes;
	Workspace	work;
	mp_limb_t  *p;
	mp_limb_t  *q;
	PaillierPrivateKey *value = NULL;
	paillier_result result = PAILLIER_ERR_KEY_SIZE;

	if (version != PRIVATE_KEY_VERSION)
		paillier_raise_parse(PAILLIER_ERR_VERSION, THING_PRIVATE_KEY, ERRCODE_INVALID_BINARY_REPRESENTATION);
	if (djn > 1 || p_len == 0 || q_len <= 0)
		paillier_raise_parse(PAILLIER_ERR_HEADER, THING_PRIVATE_KEY, ERRCODE_INVALID_BINARY_REPRESENTATION);
	bytes = (const uint8 *) pq_getmsgbytes(buf, p_len + q_len);
	if (bytes[0] == 0 || bytes[p_len] == 0)
		paillier_raise_parse(PAILLIER_ERR_HEADER, THING_PRIVATE_KEY, ERRCODE_INVALID_BINARY_REPRESENTATION);

	workspace_open(&work, paillier_jwk_scratch());
	p = work.scratch;
	q = p + PAILLIER_MAX_N_LIMBS;
	if (paillier_be_read(p, PAILLIER_MAX_N_LIMBS, bytes, p_len) &&
		paillier_be_read(q, PAILLIER_MAX_N_LIMBS, bytes + p_len, q_len))
		result = paillier_private_import(work.key, paillier_kernel_in_use, p, (p_len + 7) / 8, q, (q_len + 7) / 8, djn,
										 PAILLIER_MIN_BITS, interruptible_random, NULL,
										 q + PAILLIER_MAX_N_LIMBS);
	if (result == PAILLIER_OK)
		value = make_value(work.key);
	workspace_close(&work);
	CHECK_FOR_INTERRUPTS();
	paillier_require(result, THING_PRIVATE_KEY);
	PG_RETURN_POINTER(value);
}

PG_FUNCTION_INFO_V1(paillier_private_key_send);

Datum
paillier_private_key_send(PG_FUNCTION_ARGS)
{
	PaillierPrivateKey *value = PG_GETARG_PRIVATE_KEY(0);
	const mp_limb_t *p = value->factors;
	const mp_limb_t *q = p + value->p_limbs;
	int			q_limbs = PRIVATE_KEY_LIMBS(value) - value->p_limbs;
	size_t		p_len = paillier_be_length(p, value->p_limbs);
	size_t		q_len = paillier_be_length(q, q_limbs);
	bytea	   *out = palloc(VARHDRSZ + 4 + p_len + q_len);
	uint8	   *bytes = (uint8 *) VARDATA(out);

	SET_VARSIZE(out, VARHDRSZ + 4 + p_len + q_len);
	bytes[0] = value->version;
	bytes[1] = value->djn;
	bytes[2] = p_len >> 8;
	bytes[3] = p_len;
	paillier_be_write(bytes + 4, p_len, p, value->p_limbs);
	paillier_be_write(bytes + 4 + p_len, q_len, q, q_limbs);
	wipe_copy(fcinfo, 0, value);
	PG_RETURN_BYTEA_P(out);
}

/* ---- functions ---- */

PG_FUNCTION_INFO_V1(paillier_keygen_bits);

/* paillier_keygen(bits int) -> paillier_private_key */
Datum
paillier_keygen_bits(PG_FUNCTION_ARGS)
{
	int32		bits = PG_GETARG_INT32(0);
	int			limbs = (bits / 2 + 63) / 64;
	Workspace	work;
	mp_limb_t  *p;
	mp_limb_t  *q;
	PaillierPrivateKey *value = NULL;
	paillier_result result;

	paillier_check_key_bits(bits);
	if (bits % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key size of %d bits is not even", bits),
				 errdetail("Both primes have half of the bits.")));

	workspace_open(&work, paillier_private_scratch(bits) + 2 * limbs);
	p = work.scratch;
	q = p + limbs;
	result = paillier_keygen(p, q, bits, interruptible_random, NULL, q + limbs);
	if (result == PAILLIER_OK)
		result = paillier_private_init(work.key, paillier_kernel_in_use, p, limbs, q, limbs, true, q + limbs);
	if (result == PAILLIER_OK)
		value = make_value(work.key);
	workspace_close(&work);
	CHECK_FOR_INTERRUPTS();
	paillier_require(result, THING_PRIVATE_KEY);
	PG_RETURN_POINTER(value);
}

PG_FUNCTION_INFO_V1(paillier_private_key_public);

/* paillier_public_key(paillier_private_key) -> paillier_public_key */
Datum
paillier_private_key_public(PG_FUNCTION_ARGS)
{
	paillier_private *key = &get_usable(fcinfo, 0)->key;

	PG_RETURN_POINTER(paillier_public_key_make(key->pub.n, key->pub.limbs, key->pub.djn));
}

PG_FUNCTION_INFO_V1(paillier_private_key_id);

/* paillier_key_id(paillier_private_key) -> text; of a key of any size, for constraints may call it in a restore */
Datum
paillier_private_key_id(PG_FUNCTION_ARGS)
{
	PaillierPrivateKey *value = PG_GETARG_PRIVATE_KEY(0);
	char	   *id = paillier_key_id_text(value->id);

	wipe_copy(fcinfo, 0, value);
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

/* ---- decryption ---- */

void
paillier_decryption_begin(PaillierDecryption *batch, FunctionCallInfo fcinfo, int i, bool try)
{
	memset(batch, 0, sizeof(*batch));
	batch->key = get_usable(fcinfo, i);
	memcpy(batch->key_id, batch->key->value->id, PAILLIER_KEY_ID_LENGTH);
	batch->try = try;
}

/* What decryption makes, overwritten at its end. */
typedef struct Plaintexts
{
	paillier_bounded *item;		/* of ciphertexts that have the length of the key */
	int			count;
	size_t		mags_size;
	mp_limb_t  *mags;
	size_t		scratch_size;
	mp_limb_t  *scratch;
	PaillierInteger number;
} Plaintexts;

static void
plaintexts_open(Plaintexts *plain, const PaillierDecryption *batch)
{
	const paillier_private *key = &batch->key->key;
	int			limbs = key->pub.limbs;

	plain->count = 0;
	plain->item = palloc(batch->count * sizeof(paillier_bounded));
	plain->mags_size = (size_t) batch->count * limbs * sizeof(mp_limb_t);
	plain->mags = palloc(plain->mags_size);
	for (int i = 0; i < batch->count; i++)
		if (CIPHERTEXT_LIMBS(batch->ct[i]) == key->pub.n2.limbs)
		{
			plain->item[plain->count] = (paillier_bounded) {
				.c = batch->ct[i]->c,
				.bound = paillier_ciphertext_bound(batch->ct[i]),
				.mag = plain->mags + (size_t) plain->count * limbs
			};
			plain->count++;
		}

	/* a few make do with the scratch of the key */
	plain->scratch_size = batch->key->scratch_size;
	plain->scratch = batch->key->scratch;
	if (plain->count >= paillier_batch_usual.least)
	{
		plain->scratch_size = paillier_batch_scratch(key, plain->count) * sizeof(mp_limb_t);
		plain->scratch = palloc(plain->scratch_size);
	}
}

static void
plaintexts_close(Plaintexts *plain, const PaillierDecryption *batch)
{
	explicit_bzero(&plain->number, sizeof(plain->number));
	explicit_bzero(plain->mags, plain->mags_size);
	explicit_bzero(plain->scratch, plain->scratch_size);
	if (plain->scratch != batch->key->scratch)
		pfree(plain->scratch);
	pfree(plain->mags);
	pfree(plain->item);
}

/* Between steps of a batch: a cancelled query does not return from here. */
static bool
look_for_interrupts(void *state pg_attribute_unused())
{
	CHECK_FOR_INTERRUPTS();
	return true;
}

/* The value of ciphertext i; item is NULL where that has not the length of the key. */
static void
take_plain(PaillierDecryption *batch, int i, const paillier_bounded *item, PaillierInteger *number)
{
	paillier_result result = item == NULL ? PAILLIER_ERR_KEY_LENGTH : item->result;

	batch->out[i] = NULL;
	if (result == PAILLIER_OK)
	{
		number->negative = item->negative;
		number->scale = batch->ct[i]->header.scale;
		number->limbs = batch->key->key.pub.limbs;
		mpn_copyi(number->mag, item->mag, number->limbs);
		batch->out[i] = paillier_integer_to_numeric(number);
	}
	else if (!batch->try)
		paillier_raise(result, result == PAILLIER_ERR_BOUND ? THING_PLAINTEXT : THING_CIPHERTEXT);
}

void
paillier_decrypt_together(PaillierDecryption *batch)
{
	const paillier_host host = {.random = paillier_server_random, .go_on = look_for_interrupts};
	Plaintexts	plain;

	plaintexts_open(&plain, batch);
	PG_TRY();
	{
		const paillier_bounded *next = plain.item;
		int			limbs2 = batch->key->key.pub.n2.limbs;

		(void) paillier_batch_decrypt(&batch->key->key, plain.item, plain.count, &host, plain.scratch);
		for (int i = 0; i < batch->count; i++)
			take_plain(batch, i, CIPHERTEXT_LIMBS(batch->ct[i]) == limbs2 ? next++ : NULL, &plain.number);
	}
	PG_FINALLY();
	{
		plaintexts_close(&plain, batch);
	}
	PG_END_TRY();
}
