/*
 * pg_key.c
 *		The type paillier_public_key and key ids.
 */
#include "pg_paillier.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

#define PUBLIC_KEY_VERSION 1

void
paillier_modulus_id(uint8 *id, const mp_limb_t *n, int limbs)
{
	size_t		len = paillier_be_length(n, limbs);
	bytea	   *bytes = palloc(VARHDRSZ + len);
	bytea	   *hash;

	SET_VARSIZE(bytes, VARHDRSZ + len);
	paillier_be_write((uint8 *) VARDATA(bytes), len, n, limbs);
	hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(bytes)));
	memcpy(id, VARDATA_ANY(hash), PAILLIER_KEY_ID_LENGTH);
	pfree(hash);
	pfree(bytes);
}

PaillierPublicKey *
paillier_public_key_make(const mp_limb_t *n, int limbs, bool djn)
{
	PaillierPublicKey *key = palloc0(PUBLIC_KEY_SIZE(limbs));

	SET_VARSIZE(key, PUBLIC_KEY_SIZE(limbs));
	key->version = PUBLIC_KEY_VERSION;
	key->djn = djn;
	paillier_modulus_id(key->id, n, limbs);
	mpn_copyi(key->n, n, limbs);
	return key;
}

bool
paillier_public_key_has_id(const PaillierPublicKey *value, const uint8 *id)
{
	int			limbs = PUBLIC_KEY_LIMBS(value);
	uint8		digest[PAILLIER_KEY_ID_LENGTH];

	if (VARSIZE(value) < PUBLIC_KEY_SIZE(1) || VARSIZE(value) != PUBLIC_KEY_SIZE(limbs) ||
		value->version != PUBLIC_KEY_VERSION || limbs > PAILLIER_MAX_N_LIMBS || value->n[limbs - 1] == 0 ||
		paillier_public_check(value->n, limbs, PAILLIER_MIN_BITS) != PAILLIER_OK)
		return false;
	paillier_modulus_id(digest, value->n, limbs);
	return memcmp(digest, id, PAILLIER_KEY_ID_LENGTH) == 0 && memcmp(value->id, id, PAILLIER_KEY_ID_LENGTH) == 0;
}

int
paillier_public_key_bits(const PaillierPublicKey *key)
{
	return mpn_sizeinbase(key->n, PUBLIC_KEY_LIMBS(key), 2);
}

void
paillier_check_key_bits(int bits)
{
	if (bits < paillier_min_key_bits || bits > PAILLIER_MAX_BITS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key size of %d bits is out of range", bits),
				 errdetail("Keys must have %d to %d bits.", paillier_min_key_bits, PAILLIER_MAX_BITS),
				 errhint("A superuser can lower paillier.min_key_bits for tests and old data.")));
}

PG_FUNCTION_INFO_V1(paillier_public_key_in);

/* paillier_public_key_in(cstring): from a JSON Web Key */
Datum
paillier_public_key_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	paillier_public *pub = palloc(sizeof(paillier_public));
	mp_limb_t  *scratch = palloc(paillier_jwk_scratch() * sizeof(mp_limb_t));
	paillier_jwk jwk;

	paillier_jwk_parse(text, strlen(text), &jwk, NULL);
	if (jwk.n == NULL && (jwk.p != NULL || jwk.lambda != NULL))
	{
		/* an untyped literal is cast: paillier_public_key('…') does not call the function of that name */
		paillier_jwk_wipe(&jwk);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid public key: this is a private key"),
				 errhint("Cast it to paillier_private_key first: paillier_public_key(key::paillier_private_key).")));
	}
	paillier_require(paillier_jwk_read_public(pub, paillier_kernel_in_use, &jwk, PAILLIER_MIN_BITS, scratch),
					 THING_PUBLIC_KEY);
	PG_RETURN_POINTER(paillier_public_key_make(pub->n, pub->limbs, pub->djn));
}

PG_FUNCTION_INFO_V1(paillier_public_key_out);

Datum
paillier_public_key_out(PG_FUNCTION_ARGS)
{
	PaillierPublicKey *key = PG_GETARG_PUBLIC_KEY(0);
	int			limbs = PUBLIC_KEY_LIMBS(key);
	char	   *text = palloc(PAILLIER_JWK_PUBLIC_ROOM(limbs));

	paillier_jwk_write_public(text, key->n, limbs, key->djn, key->id);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(paillier_public_key_recv);

/* Version, mark, n in minimal big-endian bytes. */
Datum
paillier_public_key_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(buf);
	int			djn = pq_getmsgbyte(buf);
	int			len = buf->len - buf->cursor;
	const uint8 *bytes = (const uint8 *) pq_getmsgbytes(buf, len);
	mp_limb_t	n[PAILLIER_MAX_N_LIMBS];
	int			limbs = (len + 7) / 8;

	if (version != PUBLIC_KEY_VERSION)
		paillier_raise_parse(PAILLIER_ERR_VERSION, THING_PUBLIC_KEY, ERRCODE_INVALID_BINARY_REPRESENTATION);
	if (djn > 1 || len == 0 || bytes[0] == 0)
		paillier_raise_parse(PAILLIER_ERR_HEADER, THING_PUBLIC_KEY, ERRCODE_INVALID_BINARY_REPRESENTATION);
	if (!paillier_be_read(n, Min(limbs, PAILLIER_MAX_N_LIMBS), bytes, len))
		paillier_raise(PAILLIER_ERR_KEY_SIZE, THING_PUBLIC_KEY);
	paillier_require(paillier_public_check(n, limbs, PAILLIER_MIN_BITS), THING_PUBLIC_KEY);
	PG_RETURN_POINTER(paillier_public_key_make(n, limbs, djn));
}

PG_FUNCTION_INFO_V1(paillier_public_key_send);

Datum
paillier_public_key_send(PG_FUNCTION_ARGS)
{
	PaillierPublicKey *key = PG_GETARG_PUBLIC_KEY(0);
	int			limbs = PUBLIC_KEY_LIMBS(key);
	size_t		len = paillier_be_length(key->n, limbs);
	bytea	   *out = palloc(VARHDRSZ + 2 + len);
	uint8	   *bytes = (uint8 *) VARDATA(out);

	SET_VARSIZE(out, VARHDRSZ + 2 + len);
	bytes[0] = key->version;
	bytes[1] = key->djn;
	paillier_be_write(bytes + 2, len, key->n, limbs);
	PG_RETURN_BYTEA_P(out);
}

PG_FUNCTION_INFO_V1(paillier_public_key_id);

Datum
paillier_public_key_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(paillier_key_id_text(PG_GETARG_PUBLIC_KEY(0)->id)));
}
