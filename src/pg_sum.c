/*
 * pg_sum.c
 *		sum(paillier_ciphertext) and its state, the type paillier_sum.
 *
 * A row costs one Montgomery multiplication of the running product with the
 * ciphertext as it stands, which loses a factor R; the state counts the lost
 * factors and the final function puts them back at once.
 *
 * What is taken away (rows that leave a window frame, rows of negative weight)
 * is multiplied into a second product, by which the final function divides:
 * no row ever costs an inversion.
 *
 * The state is one flat value, changed in place while an aggregate owns it, so
 * that it moves freely between processes and machines.
 */
#include "pg_paillier.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

#define SUM_VERSION 1

typedef struct PaillierSum
{
	int32		vl_len_;
	uint8		version;
	uint8		scale;
	uint8		divided;		/* there is a divisor behind the product */
	uint8		reserved;
	uint64		rows;			/* ciphertexts in the sum; none: the sum is NULL */
	uint64		rows_at_scale;	/* of these, the ones that brought this scale */
	uint64		product_lost;
	uint64		divisor_lost;
	uint64		bound_mantissa;
	uint32		bound_exponent;
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
	uint32		padding;
	mp_limb_t	product[FLEXIBLE_ARRAY_MEMBER];
} PaillierSum;

StaticAssertDecl(offsetof(PaillierSum, product) == 72, "a sum has a header of 72 bytes");

#define SUM_SIZE(limbs)		(offsetof(PaillierSum, product) + (limbs) * sizeof(mp_limb_t))
#define SUM_LIMBS(sum)		((int) ((VARSIZE(sum) - offsetof(PaillierSum, product)) / sizeof(mp_limb_t) / (1 + (sum)->divided)))

static paillier_bound
sum_bound(const PaillierSum *sum)
{
	return (paillier_bound) {sum->bound_mantissa, sum->bound_exponent};
}

static void
set_bound(PaillierSum *sum, const PaillierKey *key, paillier_bound bound)
{
	paillier_check_bound(key, bound);
	sum->bound_mantissa = bound.mantissa;
	sum->bound_exponent = bound.exponent;
}

static mp_limb_t *
divisor(PaillierSum *sum)
{
	return sum->product + SUM_LIMBS(sum);
}

/* ---- making and growing states ---- */

static PaillierSum *
sum_alloc(const uint8 *key_id, int limbs, int scale, bool divided)
{
	PaillierSum *sum = palloc0(SUM_SIZE(limbs * (1 + divided)));

	SET_VARSIZE(sum, SUM_SIZE(limbs * (1 + divided)));
	sum->version = SUM_VERSION;
	sum->scale = scale;
	sum->divided = divided;
	memcpy(sum->key_id, key_id, PAILLIER_KEY_ID_LENGTH);
	return sum;
}

/* The state with room for a divisor, which is 1: the same one, or a larger copy. */
static PaillierSum *
sum_divided(PaillierSum *sum)
{
	PaillierSum *wide;
	int			limbs = SUM_LIMBS(sum);

	if (sum->divided)
		return sum;
	wide = palloc0(SUM_SIZE(2 * limbs));
	memcpy(wide, sum, VARSIZE(sum));
	SET_VARSIZE(wide, SUM_SIZE(2 * limbs));
	wide->divided = true;
	wide->product[limbs] = 1;
	return wide;
}

/* A state from outside may name another key, or be of a length that does not fit its own. */
static void
sum_check_key(const PaillierSum *sum, const PaillierKey *key)
{
	paillier_check_same_key(sum->key_id, key->id);
	if (SUM_LIMBS(sum) != key->pub.n2.limbs)
		paillier_raise(PAILLIER_ERR_LENGTH, "sum");
}

static PaillierKey *
sum_key(FunctionCallInfo fcinfo, const PaillierSum *sum)
{
	PaillierKey *key = paillier_key_lookup(fcinfo, sum->key_id);

	sum_check_key(sum, key);
	return key;
}

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

/* ---- arithmetic on products ---- */

/* product := product^factor, nothing lost any more */
static void
power_product(PaillierKey *key, mp_limb_t *product, uint64 *lost, const PaillierInteger *factor)
{
	paillier_key_restore(key, product, *lost);
	*lost = 0;
	paillier_require(paillier_mul_plain_var(&key->pub, product, product, false, factor->mag, factor->limbs,
											paillier_scratch(key)), "sum");
}

/* Bring the sum to a larger scale. */
static void
sum_rescale(PaillierKey *key, PaillierSum *sum, int scale)
{
	PaillierInteger factor;

	paillier_power_of_ten(&factor, scale - sum->scale);
	set_bound(sum, key, paillier_bound_mul(sum_bound(sum), paillier_bound_from_limbs(factor.mag, factor.limbs)));
	power_product(key, sum->product, &sum->product_lost, &factor);
	if (sum->divided)
		power_product(key, divisor(sum), &sum->divisor_lost, &factor);
	sum->scale = scale;
	sum->rows_at_scale = 0;
}

/*
 * product := product·c^factor.  Without a factor c enters as it stands and a
 * factor R is lost; a power comes in Montgomery form and loses nothing.
 */
static void
multiply_product(PaillierKey *key, mp_limb_t *product, uint64 *lost, const mp_limb_t *c,
				 const PaillierInteger *factor)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *scratch = paillier_scratch(key);

	if (factor == NULL)
	{
		paillier_mont_mul(n2, product, product, c, scratch);
		++*lost;
	}
	else
	{
		mp_limb_t	power[PAILLIER_MAX_LIMBS];

		paillier_mont_enter(n2, power, c, scratch);
		paillier_mont_pow(n2, power, power, factor->mag, factor->limbs, scratch);
		paillier_mont_mul(n2, product, product, power, scratch);
	}
}

/* ---- rows ---- */

/*
 * What a row brings: a ciphertext and the factor to raise it by, NULL for 1.
 */
typedef struct Row
{
	PaillierKey *key;
	const PaillierCiphertext *ct;
	int			scale;
	paillier_bound bound;
	const PaillierInteger *factor;
	PaillierInteger weight;
} Row;

static bool
is_one(const PaillierInteger *factor)
{
	return factor->mag[0] == 1 && (factor->limbs == 1 || mpn_zero_p(factor->mag + 1, factor->limbs - 1));
}

static void
row_init(Row *row, FunctionCallInfo fcinfo, const PaillierCiphertext *ct)
{
	row->key = paillier_key_of_ciphertext(fcinfo, ct);
	row->ct = ct;
	row->scale = ct->header.scale;
	row->bound = paillier_ciphertext_bound(ct);
	row->factor = NULL;
	row->weight.negative = false;
}

/* Take the weight's magnitude and scale; its sign stays in row->weight. */
static void
row_weigh(Row *row, Numeric weight)
{
	paillier_integer_from_numeric(&row->weight, weight, -1, row->key->pub.limbs);
	row->scale = paillier_check_scale(row->scale + row->weight.scale);
	row->bound = paillier_bound_mul(row->bound, paillier_bound_from_limbs(row->weight.mag, row->weight.limbs));
	row->factor = is_one(&row->weight) ? NULL : &row->weight;
}

/* Bring the row to the larger scale of the sum it goes into. */
static void
row_rescale(Row *row, int scale)
{
	PaillierInteger ten;

	paillier_power_of_ten(&ten, scale - row->scale);
	row->bound = paillier_bound_mul(row->bound, paillier_bound_from_limbs(ten.mag, ten.limbs));
	paillier_check_bound(row->key, row->bound);
	if (row->factor == NULL)
	{
		bool		negative = row->weight.negative;

		row->weight = ten;
		row->weight.negative = negative;
		row->factor = &row->weight;
	}
	else
	{
		/* the product stays within the limbs of n: its bound has been checked */
		for (int i = row->scale; i < scale; i++)
			if (mpn_mul_1(row->weight.mag, row->weight.mag, row->weight.limbs, 10) != 0)
				paillier_raise(PAILLIER_ERR_RANGE, "weight");
	}
	row->scale = scale;
}

/* An empty sum of the row's key and scale: products of 1. */
static PaillierSum *
sum_start(const Row *row)
{
	PaillierSum *sum = sum_alloc(row->key->id, row->key->pub.n2.limbs, row->scale, row->weight.negative);

	sum->product[0] = 1;
	if (sum->divided)
		divisor(sum)[0] = 1;
	return sum;
}

/* Multiply the row into the product, or into the divisor. */
static PaillierSum *
sum_multiply(PaillierSum *sum, const Row *row, bool divide)
{
	if (!divide)
	{
		multiply_product(row->key, sum->product, &sum->product_lost, row->ct->c, row->factor);
		return sum;
	}
	sum = sum_divided(sum);
	multiply_product(row->key, divisor(sum), &sum->divisor_lost, row->ct->c, row->factor);
	return sum;
}

/* sum + row, in place where there is room */
static PaillierSum *
sum_add(PaillierSum *sum, Row *row)
{
	if (sum == NULL || sum->rows == 0)
		sum = sum_start(row);
	sum_check_key(sum, row->key);
	if (row->scale > sum->scale)
		sum_rescale(row->key, sum, row->scale);
	if (row->scale == sum->scale)
		sum->rows_at_scale++;
	else
		row_rescale(row, sum->scale);

	/* a first row without a weight is the product */
	if (sum->rows++ == 0 && row->factor == NULL && !row->weight.negative)
		mpn_copyi(sum->product, row->ct->c, row->key->pub.n2.limbs);
	else
		sum = sum_multiply(sum, row, row->weight.negative);
	set_bound(sum, row->key, paillier_bound_add(sum_bound(sum), row->bound));
	return sum;
}

/*
 * sum - row, for a row that was added before.  NULL when the scale of what
 * remains is not known any more: the caller then adds it up again.
 */
static PaillierSum *
sum_subtract(PaillierSum *sum, Row *row)
{
	sum_check_key(sum, row->key);
	if (sum->rows == 0 || row->scale > sum->scale)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot remove from a sum what was not added")));
	if (row->scale < sum->scale)
		row_rescale(row, sum->scale);
	else if (--sum->rows_at_scale == 0 && sum->rows > 1)
		return NULL;
	sum->rows--;
	sum = sum_multiply(sum, row, !row->weight.negative);
	set_bound(sum, row->key, paillier_bound_sub(sum_bound(sum), row->bound));
	return sum;
}

/*
 * The functions that move a row in or out: not strict, because the state
 * starts as NULL and NULL rows are passed over.
 */
static Datum
transition(FunctionCallInfo fcinfo, bool weighted, bool inverse)
{
	bool		skip = PG_ARGISNULL(1) || (weighted && PG_ARGISNULL(2));
	PaillierSum *sum = PG_ARGISNULL(0) ? NULL : sum_writable(fcinfo, 0);
	Row			row;

	if (!skip)
	{
		row_init(&row, fcinfo, PG_GETARG_CIPHERTEXT(1));
		if (weighted)
			row_weigh(&row, PG_GETARG_NUMERIC(2));
		if (!inverse)
			sum = sum_add(sum, &row);
		else if (sum != NULL)
			sum = sum_subtract(sum, &row);
	}
	if (sum == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(sum);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum);

/* paillier_sum_accum(paillier_sum, paillier_ciphertext) -> paillier_sum */
Datum
paillier_sum_accum(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, false, false);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_inv);

Datum
paillier_sum_accum_inv(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, false, true);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_weighted);

/* paillier_sum_accum(paillier_sum, paillier_ciphertext, numeric) -> paillier_sum */
Datum
paillier_sum_accum_weighted(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, true, false);
}

PG_FUNCTION_INFO_V1(paillier_sum_accum_weighted_inv);

Datum
paillier_sum_accum_weighted_inv(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, true, true);
}

/* ---- combining ---- */

/* a·b with what both have lost, and R by this multiplication */
static void
combine_products(PaillierKey *key, mp_limb_t *a, uint64 *a_lost, const mp_limb_t *b, uint64 b_lost)
{
	paillier_mont_mul(&key->pub.n2, a, a, b, paillier_scratch(key));
	*a_lost += b_lost + 1;
}

static PaillierSum *
sum_combine(PaillierKey *key, PaillierSum *a, PaillierSum *b)
{
	if (a->scale < b->scale)
		sum_rescale(key, a, b->scale);
	else if (a->scale > b->scale)
		sum_rescale(key, b, a->scale);
	combine_products(key, a->product, &a->product_lost, b->product, b->product_lost);
	if (b->divided)
	{
		a = sum_divided(a);
		combine_products(key, divisor(a), &a->divisor_lost, divisor(b), b->divisor_lost);
	}
	set_bound(a, key, paillier_bound_add(sum_bound(a), sum_bound(b)));
	a->rows += b->rows;
	a->rows_at_scale += b->rows_at_scale;
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
	key = sum_key(fcinfo, a);
	sum_check_key(b, key);
	PG_RETURN_POINTER(sum_combine(key, a, b));
}

/* ---- the result ---- */

PG_FUNCTION_INFO_V1(paillier_sum_final);

/* paillier_sum_final(paillier_sum) -> paillier_ciphertext; leaves the state as it is */
Datum
paillier_sum_final(PG_FUNCTION_ARGS)
{
	PaillierSum *sum;
	PaillierKey *key;
	PaillierCiphertext *out;
	paillier_result result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	sum = (PaillierSum *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	if (sum->rows == 0)
		PG_RETURN_NULL();
	key = sum_key(fcinfo, sum);
	out = paillier_ciphertext_make(key, sum->scale, sum_bound(sum));
	mpn_copyi(out->c, sum->product, key->pub.n2.limbs);
	paillier_key_restore(key, out->c, sum->product_lost);
	if (sum->divided)
	{
		mp_limb_t	quotient[PAILLIER_MAX_LIMBS];

		mpn_copyi(quotient, divisor(sum), key->pub.n2.limbs);
		paillier_key_restore(key, quotient, sum->divisor_lost);
		paillier_require(paillier_negate_var(&key->pub, quotient, quotient, paillier_scratch(key)), "ciphertext in sum");
		paillier_add(&key->pub, out->c, out->c, quotient, paillier_scratch(key));
	}

	/* 1 mod n is a sum of nothing but zero weights; 0 mod n is the work of a forged summand */
	result = paillier_check(&key->pub, out->c, paillier_scratch(key));
	if (result != PAILLIER_ERR_UNBLINDED)
		paillier_require(result == PAILLIER_ERR_ZERO ? PAILLIER_ERR_NOT_UNIT : result, "ciphertext in sum");
	PG_RETURN_POINTER(out);
}

/* ---- I/O of the state ---- */

/*
 * The wire form: version, scale, divided, two times rows, the bound, the key
 * id, then product and divisor with nothing lost, all big-endian.
 */
#define SUM_WIRE_HEADER (1 + 1 + 1 + 8 + 8 + 8 + 4 + PAILLIER_KEY_ID_LENGTH)

static bytea *
sum_serialize(FunctionCallInfo fcinfo, const PaillierSum *value)
{
	PaillierKey *key = sum_key(fcinfo, value);
	PaillierSum *sum = palloc(VARSIZE(value));
	StringInfoData buf;
	uint8		bytes[8 * PAILLIER_MAX_LIMBS];
	int			limbs = key->pub.n2.limbs;

	memcpy(sum, value, VARSIZE(value));
	paillier_key_restore(key, sum->product, sum->product_lost);
	if (sum->divided)
		paillier_key_restore(key, divisor(sum), sum->divisor_lost);

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, sum->version);
	pq_sendbyte(&buf, sum->scale);
	pq_sendbyte(&buf, sum->divided);
	pq_sendint64(&buf, sum->rows);
	pq_sendint64(&buf, sum->rows_at_scale);
	pq_sendint64(&buf, sum->bound_mantissa);
	pq_sendint32(&buf, sum->bound_exponent);
	pq_sendbytes(&buf, (char *) sum->key_id, PAILLIER_KEY_ID_LENGTH);
	for (int i = 0; i <= sum->divided; i++)
	{
		paillier_be_write(bytes, 8 * limbs, sum->product + i * limbs, limbs);
		pq_sendbytes(&buf, (char *) bytes, 8 * limbs);
	}
	pfree(sum);
	return pq_endtypsend(&buf);
}

static PaillierSum *
sum_deserialize(StringInfo buf, int parse_sqlstate)
{
	int			len = buf->len - buf->cursor;
	int			version;
	int			scale;
	int			divided;
	int			limbs;
	PaillierSum header;
	PaillierSum *sum;

	if (len < SUM_WIRE_HEADER)
		paillier_raise_parse(PAILLIER_ERR_LENGTH, "sum", parse_sqlstate);
	version = pq_getmsgbyte(buf);
	scale = pq_getmsgbyte(buf);
	divided = pq_getmsgbyte(buf);
	header.rows = pq_getmsgint64(buf);
	header.rows_at_scale = pq_getmsgint64(buf);
	header.bound_mantissa = pq_getmsgint64(buf);
	header.bound_exponent = pq_getmsgint(buf, 4);
	memcpy(header.key_id, pq_getmsgbytes(buf, PAILLIER_KEY_ID_LENGTH), PAILLIER_KEY_ID_LENGTH);
	if (version != SUM_VERSION)
		paillier_raise_parse(PAILLIER_ERR_VERSION, "sum", parse_sqlstate);
	if (divided > 1 || header.rows_at_scale > header.rows ||
		header.bound_exponent > PAILLIER_BOUND_MAX_EXPONENT ||
		(header.bound_exponent != 0 && header.bound_mantissa >> 63 == 0))
		paillier_raise_parse(PAILLIER_ERR_HEADER, "sum", parse_sqlstate);

	len -= SUM_WIRE_HEADER;
	limbs = len / 8 / (1 + divided);
	if (limbs == 0 || limbs > PAILLIER_MAX_LIMBS || len != 8 * limbs * (1 + divided))
		paillier_raise_parse(PAILLIER_ERR_LENGTH, "sum", parse_sqlstate);
	sum = sum_alloc(header.key_id, limbs, scale, divided);
	sum->rows = header.rows;
	sum->rows_at_scale = header.rows_at_scale;
	sum->bound_mantissa = header.bound_mantissa;
	sum->bound_exponent = header.bound_exponent;
	for (int i = 0; i <= divided; i++)
		(void) paillier_be_read(sum->product + i * limbs, limbs, (const uint8 *) pq_getmsgbytes(buf, 8 * limbs),
								8 * limbs);
	return sum;
}

#define MAX_SUM_WIRE (SUM_WIRE_HEADER + 2 * 8 * PAILLIER_MAX_LIMBS)

PG_FUNCTION_INFO_V1(paillier_sum_in);

/* paillier_sum_in(cstring): base64url of the wire form */
Datum
paillier_sum_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	size_t		len = strlen(text);
	StringInfoData buf;

	if (len > PAILLIER_BASE64_LENGTH(MAX_SUM_WIRE))
		paillier_raise(PAILLIER_ERR_LENGTH, "sum");
	initStringInfo(&buf);
	enlargeStringInfo(&buf, PAILLIER_BASE64_DECODED(len));
	if (!paillier_base64_decode((uint8 *) buf.data, text, len))
		paillier_raise(PAILLIER_ERR_BASE64, "sum");
	buf.len = PAILLIER_BASE64_DECODED(len);
	PG_RETURN_POINTER(sum_deserialize(&buf, ERRCODE_INVALID_TEXT_REPRESENTATION));
}

PG_FUNCTION_INFO_V1(paillier_sum_out);

Datum
paillier_sum_out(PG_FUNCTION_ARGS)
{
	bytea	   *wire = sum_serialize(fcinfo, (PaillierSum *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0)));
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
	PG_RETURN_BYTEA_P(sum_serialize(fcinfo, (PaillierSum *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0))));
}
