/*
 * pg_ciphertext.c
 *		The type paillier_ciphertext: I/O, construction from raw numbers, checks.
 */
#include "pg_paillier.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

static PaillierCiphertext *
alloc_ciphertext(int limbs)
{
	PaillierCiphertext *ct = palloc(CIPHERTEXT_SIZE(limbs));

	SET_VARSIZE(ct, CIPHERTEXT_SIZE(limbs));
	return ct;
}

PaillierCiphertext *
paillier_ciphertext_make(const PaillierKey *key, int scale, paillier_bound bound)
{
	PaillierCiphertext *ct = alloc_ciphertext(key->pub.n2.limbs);

	memset(&ct->header, 0, sizeof(ct->header));
	ct->header.version = PAILLIER_WIRE_VERSION;
	ct->header.scale = paillier_check_scale(scale);
	paillier_check_bound(key, bound);
	paillier_bound_pack(bound, &ct->header.bound_mantissa, &ct->header.bound_exponent);
	memcpy(ct->header.key_id, key->id, PAILLIER_KEY_ID_LENGTH);
	return ct;
}

paillier_bound
paillier_ciphertext_bound(const PaillierCiphertext *ct)
{
	return paillier_bound_unpack(ct->header.bound_mantissa, ct->header.bound_exponent);
}

/* ---- checks of arguments ---- */

int
paillier_check_scale(int64 scale)
{
	if (scale < 0 || scale > PAILLIER_MAX_SCALE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("scale " INT64_FORMAT " is out of range", scale),
				 errdetail("A scale is the number of decimal digits after the point, from 0 to %d.",
						   PAILLIER_MAX_SCALE)));
	return (int) scale;
}

void
paillier_check_bound(const PaillierKey *key, paillier_bound bound)
{
	if (unlikely(paillier_bound_cmp(bound, key->pub.limit) > 0))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("result might exceed the range of the key"),
				 errdetail("By the declared widths the magnitude may reach " UINT64_FORMAT " * 2^%u; "
						   "plaintexts stay below half of the modulus of %d bits.",
						   bound.mantissa, bound.exponent, key->pub.bits),
				 errhint("Declare narrower widths or smaller scales where values are encrypted, "
						 "or use a larger key.")));
}

void
paillier_check_same_key(const uint8 *a, const uint8 *b)
{
	if (unlikely(memcmp(a, b, PAILLIER_KEY_ID_LENGTH) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot add ciphertexts under different keys"),
				 errdetail("One is under key %s, another under key %s.",
						   paillier_key_id_text(a), paillier_key_id_text(b)),
				 errhint("Group by paillier_key_id() to add the ciphertexts of each key.")));
}

void
paillier_check_same_slots(int a_bits, int a_slots, int b_bits, int b_slots)
{
	if (unlikely(a_bits != b_bits || a_slots != b_slots))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot add ciphertexts whose slots differ"),
				 errdetail("One has %d slots of %d bits, another %d slots of %d bits.",
						   a_slots, a_bits, b_slots, b_bits)));
}

void
paillier_check_width(int width)
{
	if (width < 1 || width > PAILLIER_MAX_BITS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("width of %d bits is out of range", width),
				 errdetail("A width is the size of a signed number in bits, from 1 to %d.", PAILLIER_MAX_BITS)));
}

/* ---- I/O ---- */

static PaillierCiphertext *
read_wire(const uint8 *bytes, size_t len, int parse_sqlstate)
{
	int			limbs = paillier_wire_limbs(len);
	PaillierCiphertext *ct;
	paillier_result result;

	if (limbs == 0)
		paillier_raise_parse(PAILLIER_ERR_LENGTH, THING_CIPHERTEXT, parse_sqlstate);
	ct = alloc_ciphertext(limbs);
	result = paillier_wire_read(&ct->header, ct->c, bytes, len);
	if (result != PAILLIER_OK)
		paillier_raise_parse(result, THING_CIPHERTEXT, parse_sqlstate);
	return ct;
}

/* The longest text of a ciphertext, to refuse more before it is decoded. */
#define MAX_TEXT_LENGTH PAILLIER_BASE64_LENGTH(PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS))

PG_FUNCTION_INFO_V1(paillier_ciphertext_in);

/* paillier_ciphertext_in(cstring): base64url of the wire form */
Datum
paillier_ciphertext_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	size_t		len = strlen(text);
	uint8		bytes[PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS)];

	if (len > MAX_TEXT_LENGTH)
		paillier_raise(PAILLIER_ERR_LENGTH, THING_CIPHERTEXT);
	if (!paillier_base64_decode(bytes, text, len))
		paillier_raise(PAILLIER_ERR_BASE64, THING_CIPHERTEXT);
	PG_RETURN_POINTER(read_wire(bytes, PAILLIER_BASE64_DECODED(len), ERRCODE_INVALID_TEXT_REPRESENTATION));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_out);

Datum
paillier_ciphertext_out(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	int			limbs = CIPHERTEXT_LIMBS(ct);
	uint8		bytes[PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS)];
	char	   *text = palloc(PAILLIER_BASE64_LENGTH(PAILLIER_WIRE_LENGTH(limbs)) + 1);

	paillier_wire_write(bytes, &ct->header, ct->c, limbs);
	text[paillier_base64_encode(text, bytes, PAILLIER_WIRE_LENGTH(limbs))] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_recv);

Datum
paillier_ciphertext_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			len = buf->len - buf->cursor;

	PG_RETURN_POINTER(read_wire((const uint8 *) pq_getmsgbytes(buf, len), len,
								ERRCODE_INVALID_BINARY_REPRESENTATION));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_send);

Datum
paillier_ciphertext_send(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	int			limbs = CIPHERTEXT_LIMBS(ct);
	bytea	   *out = palloc(VARHDRSZ + PAILLIER_WIRE_LENGTH(limbs));

	SET_VARSIZE(out, VARHDRSZ + PAILLIER_WIRE_LENGTH(limbs));
	paillier_wire_write((uint8 *) VARDATA(out), &ct->header, ct->c, limbs);
	PG_RETURN_BYTEA_P(out);
}

/* ---- functions ---- */

/* What is much longer than an id may be a private key that came by mistake: it is not shown. */
static void
refuse_key_id(const text *id)
{
	int			len = VARSIZE_ANY_EXHDR(id);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 len <= 2 * PAILLIER_KEY_ID_HEX ? errmsg("invalid key id: \"%s\"", text_to_cstring(id)) :
			 errmsg("invalid key id of %d bytes", len),
			 errdetail("A key id has %d hexadecimal digits.", PAILLIER_KEY_ID_HEX)));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_raw);

/* paillier_ciphertext(bytea, key_id text, scale int, width int) -> paillier_ciphertext */
Datum
paillier_ciphertext_raw(PG_FUNCTION_ARGS)
{
	bytea	   *raw = PG_GETARG_BYTEA_PP(0);
	text	   *id_text = PG_GETARG_TEXT_PP(1);
	int32		scale = PG_GETARG_INT32(2);
	int32		width = PG_GETARG_INT32(3);
	uint8		id[PAILLIER_KEY_ID_LENGTH];
	PaillierKey *key;
	PaillierCiphertext *ct;

	if (!paillier_key_id_read(id, VARDATA_ANY(id_text), VARSIZE_ANY_EXHDR(id_text)))
		refuse_key_id(id_text);
	paillier_check_width(width);
	key = paillier_key_lookup(fcinfo, id);
	ct = paillier_ciphertext_make(key, scale, paillier_bound_from_width(width));
	if (!paillier_be_read(ct->c, key->pub.n2.limbs, (const uint8 *) VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw)))
		paillier_raise(PAILLIER_ERR_TOO_LARGE, THING_CIPHERTEXT);
	paillier_require(paillier_check(&key->pub, ct->c, paillier_scratch(key)), THING_CIPHERTEXT);
	PG_RETURN_POINTER(ct);
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_bytes);

/* paillier_bytes(paillier_ciphertext) -> bytea: c, big-endian, 8 bytes a limb of n² */
Datum
paillier_ciphertext_bytes(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	int			limbs = CIPHERTEXT_LIMBS(ct);
	bytea	   *out = palloc(VARHDRSZ + limbs * sizeof(mp_limb_t));

	SET_VARSIZE(out, VARHDRSZ + limbs * sizeof(mp_limb_t));
	paillier_be_write((uint8 *) VARDATA(out), limbs * sizeof(mp_limb_t), ct->c, limbs);
	PG_RETURN_BYTEA_P(out);
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_key_id);

/* paillier_key_id(paillier_ciphertext) -> text */
Datum
paillier_ciphertext_key_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(paillier_key_id_text(PG_GETARG_CIPHERTEXT(0)->header.key_id)));
}

/* Limbs of a ciphertext under the smallest key. */
#define MIN_CIPHERTEXT_LIMBS ((2 * PAILLIER_MIN_BITS - 1 + 63) / 64)

PG_FUNCTION_INFO_V1(paillier_ciphertext_valid);

/*
 * paillier_valid(paillier_ciphertext) -> boolean: NULL where the key is not
 * registered, so that a constraint by it holds while a dump is restored; false
 * for what is invalid under any key.
 */
Datum
paillier_ciphertext_valid(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	int			limbs = CIPHERTEXT_LIMBS(ct);
	PaillierKey *key;

	if (limbs < MIN_CIPHERTEXT_LIMBS || (ct->c[0] <= 1 && mpn_zero_p(ct->c + 1, limbs - 1)))
		PG_RETURN_BOOL(false);
	key = paillier_key_find(fcinfo, ct->header.key_id);
	if (key == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(limbs == key->pub.n2.limbs &&
				   paillier_check(&key->pub, ct->c, paillier_scratch(key)) == PAILLIER_OK);
}
