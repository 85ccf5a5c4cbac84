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
 * A sum of very many rows becomes wide: eight running products, and rows that
 * wait until there are eight of them.
 *
 * The state is one flat value, changed in place while an aggregate owns it, so
 * that it moves freely between processes and machines.
 */
#include "pg_paillier.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

#define SUM_VERSION 1

#define LANES 8

/* Rows from which a sum is wide: it takes eight times the memory then. */
#define WIDE_FROM 1024

/*
 * Behind the header stand, in residues of the kernel that made the state: the
 * product, and the divisor if there is one; or, in a wide state, eight products
 * in the kernel's own order, and seven ciphertexts in limbs that may be waiting.
 */
typedef struct PaillierSum
{
	int32		vl_len_;
	uint8		version;
	uint8		scale;
	uint8		divided;		/* there is a divisor */
	uint8		wide;
	uint8		waiting;		/* ciphertexts, in a wide state */
	uint8		digit_bits;		/* of residues */
	uint16		words;			/* of a residue */
	uint32		bound_exponent;
	uint64		rows;			/* ciphertexts in the sum; none: the sum is NULL */
	uint64		rows_at_scale;	/* of these, the ones that brought this scale */
	uint64		product_lost;
	uint64		divisor_lost;
	uint64		bound_mantissa;
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
	mp_limb_t	product[FLEXIBLE_ARRAY_MEMBER];
} PaillierSum;

StaticAssertDecl(offsetof(PaillierSum, product) == 72, "a sum has a header of 72 bytes");

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
	return sum->product + sum->words;
}

/* ---- making and converting states ---- */

static PaillierSum *
sum_alloc(const uint8 *key_id, int digit_bits, int words, int body_words)
{
	Size		size = offsetof(PaillierSum, product) + body_words * sizeof(mp_limb_t);
	PaillierSum *sum = palloc0(size);

	SET_VARSIZE(sum, size);
	sum->version = SUM_VERSION;
	sum->digit_bits = digit_bits;
	sum->words = words;
	memcpy(sum->key_id, key_id, PAILLIER_KEY_ID_LENGTH);
	return sum;
}

/* A copy of the header with a body of another size, which is zero. */
static PaillierSum *
sum_resize(const PaillierSum *sum, int body_words)
{
	PaillierSum *copy = sum_alloc(sum->key_id, sum->digit_bits, sum->words, body_words);
	int32		vl_len = copy->vl_len_;

	memcpy(copy, sum, offsetof(PaillierSum, product));
	copy->vl_len_ = vl_len;
	return copy;
}

/* The state with room for a divisor, which is 1: the same one, or a larger copy. */
static PaillierSum *
sum_divided(PaillierSum *sum)
{
	PaillierSum *copy;

	if (sum->divided)
		return sum;
	copy = sum_resize(sum, 2 * sum->words);
	mpn_copyi(copy->product, sum->product, sum->words);
	copy->divided = true;
	divisor(copy)[0] = 1;
	return copy;
}

/*
 * A number of digits of `digit_bits`, as any kernel leaves it, with R^lost
 * missing for an R of words·digit_bits bits: as a residue of this key's kernel.
 */
static void
convert_residue(PaillierKey *key, mp_limb_t *out, const mp_limb_t *digits, int words, int digit_bits, uint64 lost)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *scratch = paillier_scratch(key);
	int			size = words * digit_bits / 64 + 2;
	mp_limb_t	number[PAILLIER_MAX_WORDS + 2] = {0};
	mp_limb_t	limbs[PAILLIER_MAX_LIMBS];
	mp_limb_t	power[PAILLIER_MAX_WORDS] = {2};
	mp_limb_t	exponent[2];

	for (int i = words - 1; i >= 0; i--)
	{
		(void) mpn_lshift(number, number, size, digit_bits / 2);
		(void) mpn_lshift(number, number, size, digit_bits / 2);
		(void) mpn_add_1(number, number, size, digits[i]);
	}
	mpn_tdiv_qr(scratch, limbs, 0, number, size, n2->m, n2->limbs);
	paillier_mont_load(n2, out, limbs);

	exponent[1] = mpn_mul_1(exponent, &(mp_limb_t) {lost}, 1, words * digit_bits);
	paillier_mont_enter(n2, power, power, scratch);
	paillier_mont_pow(n2, power, power, exponent, 2, scratch);
	paillier_mont_mul(n2, out, out, power, scratch);
}

static bool
is_native(const PaillierKey *key, const PaillierSum *sum)
{
	return sum->digit_bits == key->pub.n2.kernel->digit_bits && sum->words == key->pub.n2.words;
}

/*
 * A state whose products are one each, in the form of the key's kernel: the
 * same one or a copy.
 */
static PaillierSum *
sum_narrow(PaillierKey *key, PaillierSum *sum)
{
	const paillier_mont *n2 = &key->pub.n2;
	const paillier_kernel *maker = sum->digit_bits == paillier_kernel_generic.digit_bits ? &paillier_kernel_generic
		: &paillier_kernel_avx512ifma;
	bool		native = is_native(key, sum);
	int			lanes = sum->wide ? LANES : 1;
	mp_limb_t  *lane[LANES];
	mp_limb_t	residue[PAILLIER_MAX_WORDS];
	PaillierSum *copy;

	if (native && !sum->wide)
		return sum;
	if (maker == &paillier_kernel_generic && sum->words != n2->limbs)
		paillier_raise(PAILLIER_ERR_KEY_LENGTH, "sum");
	copy = sum_resize(sum, (1 + sum->divided) * n2->words);
	copy->digit_bits = n2->kernel->digit_bits;
	copy->words = n2->words;
	copy->wide = false;
	copy->waiting = 0;
	copy->product_lost = native ? sum->product_lost : 0;
	lane[0] = palloc(lanes * sum->words * sizeof(mp_limb_t));
	for (int i = 1; i < lanes; i++)
		lane[i] = lane[i - 1] + sum->words;
	if (sum->wide)
		maker->scatter8(sum->words, lane, sum->product);
	else
		mpn_copyi(lane[0], sum->product, sum->words);

	for (int i = 0; i < lanes + sum->waiting; i++)
	{
		if (i >= lanes)
			paillier_mont_load(n2, residue, sum->product + LANES * sum->words + (i - lanes) * n2->limbs);
		else if (native)
			mpn_copyi(residue, lane[i], n2->words);
		else
			convert_residue(key, residue, lane[i], sum->words, sum->digit_bits, i == 0 ? sum->product_lost : 0);
		if (i == 0)
			mpn_copyi(copy->product, residue, n2->words);
		else
		{
			paillier_mont_mul(n2, copy->product, copy->product, residue, paillier_scratch(key));
			copy->product_lost++;
		}
	}
	if (sum->divided)
	{
		convert_residue(key, divisor(copy), divisor(sum), sum->words, sum->digit_bits, sum->divisor_lost);
		copy->divisor_lost = 0;
	}
	pfree(lane[0]);
	return copy;
}

/* The state with eight products: what there is, and seven times 1. */
static PaillierSum *
sum_widen(PaillierKey *key, const PaillierSum *sum)
{
	const paillier_mont *n2 = &key->pub.n2;
	PaillierSum *copy = sum_resize(sum, LANES * n2->words + (LANES - 1) * n2->limbs);
	mp_limb_t	unit[PAILLIER_MAX_WORDS] = {1};
	const mp_limb_t *lanes[LANES];

	copy->wide = true;
	lanes[0] = sum->product;
	for (int i = 1; i < LANES; i++)
		lanes[i] = unit;
	n2->kernel->gather8(n2, copy->product, lanes);
	return copy;
}

/* The same with a check that the state belongs to the key. */
static PaillierSum *
sum_of_key(PaillierKey *key, PaillierSum *sum)
{
	paillier_check_same_key(sum->key_id, key->id);
	return sum_narrow(key, sum);
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
	mp_limb_t	limbs[PAILLIER_MAX_LIMBS];

	paillier_key_restore(key, limbs, product, *lost);
	*lost = 0;
	paillier_require(paillier_mul_plain_var(&key->pub, limbs, limbs, false, factor->mag, factor->limbs,
											paillier_scratch(key)), "sum");
	paillier_mont_load(&key->pub.n2, product, limbs);
}

/* Bring a narrow sum to a larger scale. */
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
	mp_limb_t	residue[PAILLIER_MAX_WORDS];

	paillier_mont_load(n2, residue, c);
	if (factor == NULL)
		++*lost;
	else
	{
		paillier_mont_enter(n2, residue, residue, scratch);
		paillier_mont_pow(n2, residue, residue, factor->mag, factor->limbs, scratch);
	}
	paillier_mont_mul(n2, product, product, residue, scratch);
}

/* A ciphertext into a wide sum: it waits, or goes into the eight products with those that have waited. */
static void
multiply_wide(PaillierKey *key, PaillierSum *sum, const mp_limb_t *c)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *waiting = sum->product + LANES * n2->words;
	mp_limb_t  *rows8 = paillier_scratch(key);
	mp_limb_t  *rows = rows8 + LANES * n2->words;
	mp_limb_t  *rest = rows + LANES * n2->words;
	const mp_limb_t *row[LANES];

	if (sum->waiting < LANES - 1)
	{
		mpn_copyi(waiting + sum->waiting++ * n2->limbs, c, n2->limbs);
		return;
	}
	for (int i = 0; i < LANES; i++)
	{
		paillier_mont_load(n2, rows + i * n2->words, i < LANES - 1 ? waiting + i * n2->limbs : c);
		row[i] = rows + i * n2->words;
	}
	n2->kernel->gather8(n2, rows8, row);
	n2->kernel->mul8(n2, sum->product, sum->product, rows8, rest);
	sum->product_lost += LANES;
	sum->waiting = 0;
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
	const paillier_mont *n2 = &row->key->pub.n2;
	PaillierSum *sum = sum_alloc(row->key->id, n2->kernel->digit_bits, n2->words,
								 (1 + row->weight.negative) * n2->words);

	sum->scale = row->scale;
	sum->divided = row->weight.negative;
	sum->product[0] = 1;
	if (sum->divided)
		divisor(sum)[0] = 1;
	return sum;
}

/* Multiply the row into the product, or into the divisor, of a narrow sum. */
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
	PaillierKey *key = row->key;
	bool		plain = row->factor == NULL && !row->weight.negative;

	if (sum == NULL || sum->rows == 0)
		sum = sum_start(row);
	paillier_check_same_key(sum->key_id, key->id);
	if (!sum->wide || !plain || row->scale != sum->scale || !is_native(key, sum))
		sum = sum_narrow(key, sum);
	if (row->scale > sum->scale)
		sum_rescale(key, sum, row->scale);
	if (row->scale == sum->scale)
		sum->rows_at_scale++;
	else
		row_rescale(row, sum->scale);

	if (sum->wide)
		multiply_wide(key, sum, row->ct->c);
	else if (plain && sum->rows == 0)
		paillier_mont_load(&key->pub.n2, sum->product, row->ct->c);
	else
		sum = sum_multiply(sum, row, row->weight.negative);
	set_bound(sum, key, paillier_bound_add(sum_bound(sum), row->bound));
	if (++sum->rows == WIDE_FROM && !sum->wide && !sum->divided)
		sum = sum_widen(key, sum);
	return sum;
}

/*
 * sum - row, for a row that was added before.  NULL when the scale of what
 * remains is not known any more: the caller then adds it up again.
 */
static PaillierSum *
sum_subtract(PaillierSum *sum, Row *row)
{
	if (sum->rows == 0 || row->scale > sum->scale)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("cannot remove from a sum what was not added")));
	sum = sum_of_key(row->key, sum);
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

	/* a window's state may become NULL by an inverse function only: that has it added up again */
	if (sum == NULL && !inverse && AggCheckCallContext(fcinfo, NULL) == AGG_CONTEXT_WINDOW)
		sum = sum_alloc((const uint8[PAILLIER_KEY_ID_LENGTH]) {0}, 0, 0, 0);
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
	key = paillier_key_lookup(fcinfo, a->key_id);
	PG_RETURN_POINTER(sum_combine(key, sum_narrow(key, a), sum_of_key(key, b)));
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
	key = paillier_key_lookup(fcinfo, sum->key_id);
	sum = sum_narrow(key, sum);
	out = paillier_ciphertext_make(key, sum->scale, sum_bound(sum));
	paillier_key_restore(key, out->c, sum->product, sum->product_lost);
	if (sum->divided)
	{
		mp_limb_t	quotient[PAILLIER_MAX_LIMBS];

		paillier_key_restore(key, quotient, divisor(sum), sum->divisor_lost);
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
 * id, then product and divisor in limbs of n² with nothing lost, all
 * big-endian.  A sum of no rows has no products.
 */
#define SUM_WIRE_HEADER (1 + 1 + 1 + 8 + 8 + 8 + 4 + PAILLIER_KEY_ID_LENGTH)

static void
send_product(StringInfo buf, PaillierKey *key, const mp_limb_t *product, uint64 lost)
{
	int			limbs = key->pub.n2.limbs;
	mp_limb_t	number[PAILLIER_MAX_LIMBS];
	uint8		bytes[8 * PAILLIER_MAX_LIMBS];

	paillier_key_restore(key, number, product, lost);
	paillier_be_write(bytes, 8 * limbs, number, limbs);
	pq_sendbytes(buf, (char *) bytes, 8 * limbs);
}

static bytea *
sum_serialize(FunctionCallInfo fcinfo, PaillierSum *sum)
{
	PaillierKey *key = NULL;
	StringInfoData buf;

	if (sum->rows > 0)
	{
		key = paillier_key_lookup(fcinfo, sum->key_id);
		sum = sum_narrow(key, sum);
	}
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, sum->version);
	pq_sendbyte(&buf, sum->scale);
	pq_sendbyte(&buf, sum->divided);
	pq_sendint64(&buf, sum->rows);
	pq_sendint64(&buf, sum->rows_at_scale);
	pq_sendint64(&buf, sum->bound_mantissa);
	pq_sendint32(&buf, sum->bound_exponent);
	pq_sendbytes(&buf, (char *) sum->key_id, PAILLIER_KEY_ID_LENGTH);
	if (key != NULL)
	{
		send_product(&buf, key, sum->product, sum->product_lost);
		if (sum->divided)
			send_product(&buf, key, divisor(sum), sum->divisor_lost);
	}
	return pq_endtypsend(&buf);
}

/*
 * Products from outside are plain limbs: residues of the generic kernel, which
 * others convert when they meet them.
 */
static PaillierSum *
sum_deserialize(StringInfo buf, int parse_sqlstate)
{
	int			len = buf->len - buf->cursor;
	int			version;
	int			limbs;
	PaillierSum header = {0};
	PaillierSum *sum;

	if (len < SUM_WIRE_HEADER)
		paillier_raise_parse(PAILLIER_ERR_LENGTH, "sum", parse_sqlstate);
	version = pq_getmsgbyte(buf);
	header.scale = pq_getmsgbyte(buf);
	header.divided = pq_getmsgbyte(buf);
	header.rows = pq_getmsgint64(buf);
	header.rows_at_scale = pq_getmsgint64(buf);
	header.bound_mantissa = pq_getmsgint64(buf);
	header.bound_exponent = pq_getmsgint(buf, 4);
	memcpy(header.key_id, pq_getmsgbytes(buf, PAILLIER_KEY_ID_LENGTH), PAILLIER_KEY_ID_LENGTH);
	if (version != SUM_VERSION)
		paillier_raise_parse(PAILLIER_ERR_VERSION, "sum", parse_sqlstate);
	if (header.divided > 1 || header.rows_at_scale > header.rows ||
		header.bound_exponent > PAILLIER_BOUND_MAX_EXPONENT ||
		(header.bound_exponent != 0 && header.bound_mantissa >> 63 == 0))
		paillier_raise_parse(PAILLIER_ERR_HEADER, "sum", parse_sqlstate);

	len -= SUM_WIRE_HEADER;
	limbs = len / 8 / (1 + header.divided);
	if (limbs > PAILLIER_MAX_LIMBS || len != 8 * limbs * (1 + header.divided) || (limbs == 0) != (header.rows == 0))
		paillier_raise_parse(PAILLIER_ERR_LENGTH, "sum", parse_sqlstate);
	header.version = SUM_VERSION;
	header.digit_bits = paillier_kernel_generic.digit_bits;
	header.words = limbs;
	sum = sum_resize(&header, (1 + header.divided) * limbs);
	for (int i = 0; i <= header.divided && limbs > 0; i++)
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
