/*
 * pg_arithmetic.c
 *		Encryption, re-randomisation and the operators on ciphertexts.
 */
#include "pg_paillier.h"

#include "utils/builtins.h"

/* ---- encryption ---- */

/* A key below the limit may be used where it is registered: that was allowed once. */
static void
check_usable(FunctionCallInfo fcinfo, const PaillierPublicKey *value)
{
	int			bits = paillier_public_key_bits(value);

	if (unlikely(bits < paillier_min_key_bits) && paillier_key_find(fcinfo, value->id) == NULL)
		paillier_check_key_bits(bits);
}

static PaillierCiphertext *
encrypt_integer(PaillierKey *key, const PaillierInteger *value, int width)
{
	paillier_plaintext plain = {.negative = value->negative, .mag = value->mag};
	paillier_bound bound;
	PaillierCiphertext *ct;

	if (!paillier_bound_declare(&bound, key->pub.limit, width, value->mag, value->limbs))
		paillier_raise(PAILLIER_ERR_RANGE, THING_NUMBER);
	ct = paillier_ciphertext_make(key, value->scale, bound);
	paillier_require(paillier_key_encrypt(key, ct->c, &plain), THING_NUMBER);
	return ct;
}

PG_FUNCTION_INFO_V1(paillier_encrypt_number);

/* paillier_encrypt(numeric, paillier_public_key, scale int, width int) -> paillier_ciphertext */
Datum
paillier_encrypt_number(PG_FUNCTION_ARGS)
{
	Numeric		number = PG_GETARG_NUMERIC(0);
	PaillierPublicKey *public_key = PG_GETARG_PUBLIC_KEY(1);
	int			scale = paillier_check_scale(PG_GETARG_INT32(2));
	int32		width = PG_GETARG_INT32(3);
	PaillierKey *key;
	PaillierInteger value;
	PaillierCiphertext *volatile ct = NULL;

	paillier_check_width(width);
	check_usable(fcinfo, public_key);
	key = paillier_key_of(public_key);
	paillier_integer_from_numeric(&value, number, scale, key->pub.limbs);
	PG_TRY();
	{
		ct = encrypt_integer(key, &value, width);
	}
	PG_FINALLY();
	{
		explicit_bzero(&value, sizeof(value));
	}
	PG_END_TRY();
	PG_RETURN_POINTER(ct);
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_rerandomize);

/* paillier_rerandomize(paillier_ciphertext) -> paillier_ciphertext */
Datum
paillier_ciphertext_rerandomize(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	PaillierKey *key = paillier_key_of_ciphertext(fcinfo, ct);
	PaillierCiphertext *out = paillier_ciphertext_make(key, ct->header.scale, paillier_ciphertext_bound(ct));

	mpn_copyi(out->c, ct->c, key->pub.n2.limbs);
	paillier_require(paillier_key_rerandomize(key, out->c), THING_CIPHERTEXT);
	PG_RETURN_POINTER(out);
}

/* ---- operators ---- */

/* ct·factor: value and bound; the scale grows by that of the factor. */
static PaillierCiphertext *
multiply(PaillierKey *key, const PaillierCiphertext *ct, const PaillierInteger *factor)
{
	paillier_bound bound = paillier_bound_mul(paillier_ciphertext_bound(ct),
											  paillier_bound_from_limbs(factor->mag, factor->limbs));
	PaillierCiphertext *out = paillier_ciphertext_make(key, ct->header.scale + factor->scale, bound);

	paillier_require(paillier_mul_plain_var(&key->pub, out->c, ct->c, factor->negative, factor->mag, factor->limbs,
											paillier_scratch(key)), THING_CIPHERTEXT);
	return out;
}

/* The same value at a larger scale. */
static const PaillierCiphertext *
rescale(PaillierKey *key, const PaillierCiphertext *ct, int scale)
{
	PaillierInteger factor;

	if (ct->header.scale >= scale)
		return ct;
	paillier_power_of_ten(&factor, scale - ct->header.scale);
	factor.scale = scale - ct->header.scale;
	return multiply(key, ct, &factor);
}

static PaillierCiphertext *
negate(PaillierKey *key, const PaillierCiphertext *ct)
{
	PaillierCiphertext *out = paillier_ciphertext_make(key, ct->header.scale, paillier_ciphertext_bound(ct));

	paillier_require(paillier_negate_var(&key->pub, out->c, ct->c, paillier_scratch(key)), THING_CIPHERTEXT);
	return out;
}

static PaillierCiphertext *
add(PaillierKey *key, const PaillierCiphertext *a, const PaillierCiphertext *b)
{
	int			scale = Max(a->header.scale, b->header.scale);
	PaillierCiphertext *out;

	a = rescale(key, a, scale);
	b = rescale(key, b, scale);
	out = paillier_ciphertext_make(key, scale, paillier_bound_add(paillier_ciphertext_bound(a),
																  paillier_ciphertext_bound(b)));
	paillier_add(&key->pub, out->c, a->c, b->c, paillier_scratch(key));
	return out;
}

static PaillierCiphertext *
add_number(PaillierKey *key, const PaillierCiphertext *ct, PaillierInteger *number)
{
	int			scale = Max(ct->header.scale, number->scale);
	PaillierCiphertext *out;

	ct = rescale(key, ct, scale);
	out = paillier_ciphertext_make(key, scale,
								   paillier_bound_add(paillier_ciphertext_bound(ct),
													  paillier_bound_from_limbs(number->mag, number->limbs)));
	paillier_add_plain(&key->pub, out->c, ct->c, number->negative, number->mag, paillier_scratch(key));
	return out;
}

/* The second operand as an integer at the larger of both scales. */
static void
number_operand(PaillierInteger *number, Numeric value, const PaillierKey *key, const PaillierCiphertext *ct)
{
	paillier_integer_from_numeric(number, value, -1, key->pub.limbs);
	if (number->scale < ct->header.scale)
		paillier_integer_from_numeric(number, value, ct->header.scale, key->pub.limbs);
}

/* Both operands of an addition, checked; the key they share. */
static PaillierKey *
pair_key(FunctionCallInfo fcinfo, const PaillierCiphertext *a, const PaillierCiphertext *b)
{
	paillier_check_same_key(a->header.key_id, b->header.key_id);
	(void) paillier_key_of_ciphertext(fcinfo, a);
	return paillier_key_of_ciphertext(fcinfo, b);
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_add);

Datum
paillier_ciphertext_add(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *a = PG_GETARG_CIPHERTEXT(0);
	PaillierCiphertext *b = PG_GETARG_CIPHERTEXT(1);

	PG_RETURN_POINTER(add(pair_key(fcinfo, a, b), a, b));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_sub);

Datum
paillier_ciphertext_sub(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *a = PG_GETARG_CIPHERTEXT(0);
	PaillierCiphertext *b = PG_GETARG_CIPHERTEXT(1);
	PaillierKey *key = pair_key(fcinfo, a, b);

	PG_RETURN_POINTER(add(key, a, negate(key, b)));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_neg);

Datum
paillier_ciphertext_neg(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);

	PG_RETURN_POINTER(negate(paillier_key_of_ciphertext(fcinfo, ct), ct));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_add_numeric);

Datum
paillier_ciphertext_add_numeric(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	PaillierKey *key = paillier_key_of_ciphertext(fcinfo, ct);
	PaillierInteger number;

	number_operand(&number, PG_GETARG_NUMERIC(1), key, ct);
	PG_RETURN_POINTER(add_number(key, ct, &number));
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_sub_numeric);

Datum
paillier_ciphertext_sub_numeric(PG_FUNCTION_ARGS)
{
	PaillierCiphertext *ct = PG_GETARG_CIPHERTEXT(0);
	PaillierKey *key = paillier_key_of_ciphertext(fcinfo, ct);
	PaillierInteger number;

	number_operand(&number, PG_GETARG_NUMERIC(1), key, ct);
	number.negative = !number.negative;
	PG_RETURN_POINTER(add_number(key, ct, &number));
}

static PaillierCiphertext *
multiply_numeric(FunctionCallInfo fcinfo, const PaillierCiphertext *ct, Numeric value)
{
	PaillierKey *key = paillier_key_of_ciphertext(fcinfo, ct);
	PaillierInteger factor;

	paillier_integer_from_numeric(&factor, value, -1, key->pub.limbs);
	return multiply(key, ct, &factor);
}

PG_FUNCTION_INFO_V1(paillier_ciphertext_mul_numeric);

Datum
paillier_ciphertext_mul_numeric(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(multiply_numeric(fcinfo, PG_GETARG_CIPHERTEXT(0), PG_GETARG_NUMERIC(1)));
}

PG_FUNCTION_INFO_V1(paillier_numeric_mul_ciphertext);

Datum
paillier_numeric_mul_ciphertext(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(multiply_numeric(fcinfo, PG_GETARG_CIPHERTEXT(1), PG_GETARG_NUMERIC(0)));
}
