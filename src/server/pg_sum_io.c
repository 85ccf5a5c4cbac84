/*
 * pg_sum_io.c
 *		I/O of paillier_sum.
 *
 * The wire form: version, scale, digits of it that the terms leave out, bits of a
 * slot, slots, number of terms, two times rows, the bound, the key id, then the
 * terms: weight, and product in limbs of n² with nothing lost; all big-endian.  A
 * sum of no rows, or of nothing but zeros, has no terms.
 */
#include "pg_sum.h"

#include "libpq/pqformat.h"

#define SUM_WIRE_HEADER (1 + 1 + 1 + 2 + 2 + 1 + 8 + 8 + 8 + 4 + PAILLIER_KEY_ID_LENGTH)

static void
send_term(StringInfo buf, PaillierKey *key, const SumTerm *term)
{
	int			limbs = key->pub.n2.limbs;
	mp_limb_t	number[PAILLIER_MAX_LIMBS];
	uint8		bytes[8 * PAILLIER_MAX_LIMBS];

	paillier_key_restore(key, number, term->product, term->lost);
	paillier_be_write(bytes, 8 * limbs, number, limbs);
	pq_sendint64(buf, term->weight);
	pq_sendbytes(buf, (char *) bytes, 8 * limbs);
}

/* The wire form of the state that is argument 0. */
static bytea *
sum_serialize(FunctionCallInfo fcinfo)
{
	PaillierSum *sum = (PaillierSum *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	PaillierKey *key = NULL;
	int			count = 0;
	StringInfoData buf;

	if (sum->rows > 0)
	{
		key = paillier_key_lookup(fcinfo, sum->key_id);
		paillier_sum_settle(key, sum);
		sum = paillier_sum_narrow(key, sum);
		count = sum->count;
	}
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, sum->version);
	pq_sendbyte(&buf, sum->scale);
	pq_sendbyte(&buf, sum->zeros);
	pq_sendint16(&buf, sum->slot_bits);
	pq_sendint16(&buf, sum->slots);
	pq_sendbyte(&buf, count);
	pq_sendint64(&buf, sum->rows);
	pq_sendint64(&buf, sum->rows_at_scale);
	pq_sendint64(&buf, sum->bound_mantissa);
	pq_sendint32(&buf, sum->bound_exponent);
	pq_sendbytes(&buf, (char *) sum->key_id, PAILLIER_KEY_ID_LENGTH);
	for (int i = 0; i < count; i++)
		send_term(&buf, key, paillier_sum_term(sum, i));
	return pq_endtypsend(&buf);
}

/*
 * Read the header into `header`, all of which is there; false where it is not one that
 * we would write.  No state has slots yet.
 */
static bool
read_header(PaillierSum *header, StringInfo buf)
{
	header->scale = pq_getmsgbyte(buf);
	header->zeros = pq_getmsgbyte(buf);
	header->slot_bits = pq_getmsgint(buf, 2);
	header->slots = pq_getmsgint(buf, 2);
	header->count = pq_getmsgbyte(buf);
	header->rows = pq_getmsgint64(buf);
	header->rows_at_scale = pq_getmsgint64(buf);
	header->bound_mantissa = pq_getmsgint64(buf);
	header->bound_exponent = pq_getmsgint(buf, 4);
	memcpy(header->key_id, pq_getmsgbytes(buf, PAILLIER_KEY_ID_LENGTH), PAILLIER_KEY_ID_LENGTH);
	return header->slot_bits == 0 && header->slots == 0 &&
		header->count <= MAX_TERMS && (header->rows > 0 || header->count == 0) && header->rows <= PG_INT64_MAX &&
		header->rows_at_scale <= header->rows && header->zeros <= header->scale &&
		header->bound_exponent <= PAILLIER_BOUND_MAX_EXPONENT &&
		(header->bound_exponent == 0 || header->bound_mantissa >> 63 != 0);
}

/*
 * Products from outside are plain limbs: residues of one format, which kernels of
 * others convert when they meet them.
 */
static PaillierSum *
sum_deserialize(StringInfo buf, int parse_sqlstate)
{
	int			len = buf->len - buf->cursor;
	int			limbs;
	PaillierSum header = {0};
	PaillierSum *sum;

	if (len < SUM_WIRE_HEADER)
		paillier_raise_parse(PAILLIER_ERR_LENGTH, THING_SUM, parse_sqlstate);
	header.version = pq_getmsgbyte(buf);
	if (header.version != SUM_VERSION)
		paillier_raise_parse(PAILLIER_ERR_VERSION, THING_SUM, parse_sqlstate);
	if (!read_header(&header, buf))
		paillier_raise_parse(PAILLIER_ERR_HEADER, THING_SUM, parse_sqlstate);

	len -= SUM_WIRE_HEADER;
	limbs = header.count == 0 ? 0 : len / 8 / header.count - 1;
	if (limbs > PAILLIER_MAX_LIMBS || len != 8 * (limbs + 1) * header.count || (header.count > 0 && limbs < 1))
		paillier_raise_parse(PAILLIER_ERR_LENGTH, THING_SUM, parse_sqlstate);
	header.format = PAILLIER_FORMAT_LIMBS;
	header.words = limbs;
	sum = paillier_sum_resize(&header, header.count * TERM_WORDS(limbs));
	for (int i = 0; i < header.count; i++)
	{
		SumTerm    *term = paillier_sum_term(sum, i);

		term->weight = pq_getmsgint64(buf);
		if (term->weight == 0 || term->weight == PG_INT64_MIN)
			paillier_raise_parse(PAILLIER_ERR_HEADER, THING_SUM, parse_sqlstate);
		(void) paillier_be_read(term->product, limbs, (const uint8 *) pq_getmsgbytes(buf, 8 * limbs), 8 * limbs);
	}
	return sum;
}

#define MAX_SUM_WIRE (SUM_WIRE_HEADER + MAX_TERMS * 8 * (1 + PAILLIER_MAX_LIMBS))

PG_FUNCTION_INFO_V1(paillier_sum_in);

/* paillier_sum_in(cstring): base64url of the wire form */
Datum
paillier_sum_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	size_t		len = strlen(text);
	StringInfoData buf;

	if (len > PAILLIER_BASE64_LENGTH(MAX_SUM_WIRE))
		paillier_raise(PAILLIER_ERR_LENGTH, THING_SUM);
	initStringInfo(&buf);
	enlargeStringInfo(&buf, PAILLIER_BASE64_DECODED(len));
	if (!paillier_base64_decode((uint8 *) buf.data, text, len))
		paillier_raise(PAILLIER_ERR_BASE64, THING_SUM);
	buf.len = PAILLIER_BASE64_DECODED(len);
	PG_RETURN_POINTER(sum_deserialize(&buf, ERRCODE_INVALID_TEXT_REPRESENTATION));
}

PG_FUNCTION_INFO_V1(paillier_sum_out);

Datum
paillier_sum_out(PG_FUNCTION_ARGS)
{
	bytea	   *wire = sum_serialize(fcinfo);
	size_t		len = VARSIZE(wire) - VARHDRSZ;
	char	   *text = palloc(PAILLIER_BASE64_LENGTH(len) + 1);

	text[paillier_base64_encode(text, (uint8 *) VARDATA(wire), len)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(paillier_sum_recv);

Datum
paillier_sum_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(sum_deserialize((StringInfo) PG_GETARG_POINTER(0), ERRCODE_INVALID_BINARY_REPRESENTATION));
}

PG_FUNCTION_INFO_V1(paillier_sum_send);

Datum
paillier_sum_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(sum_serialize(fcinfo));
}
