/*
 * pg_numeric.c
 *		Between the server's numeric and the integers of the core.
 *
 * By way of decimal text: the numeric type keeps its digits to itself.  The
 * numbers may be plaintexts, so that what is made of them here is overwritten;
 * the numeric values are the server's.
 */
#include "pg_paillier.h"

#include "utils/builtins.h"

void
paillier_integer_from_numeric(PaillierInteger *out, Numeric value, int scale, int limbs)
{
	char	   *text;
	paillier_result result;

	if (numeric_is_nan(value) || numeric_is_inf(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s has no encrypted form",
						DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value))))));
	out->scale = scale;
	out->limbs = limbs;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value)));
	result = paillier_decimal_read(&out->negative, out->mag, limbs, &out->scale, text, strlen(text));
	explicit_bzero(text, strlen(text));
	pfree(text);
	if (result != PAILLIER_OK)
		explicit_bzero(out->mag, limbs * sizeof(mp_limb_t));
	if (result == PAILLIER_ERR_SCALE && scale < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number has too many decimal digits"),
				 errdetail("Numbers that are added or multiplied have at most %d digits after the point.",
						   PAILLIER_MAX_SCALE),
				 errhint("Round the number first.")));
	paillier_require(result, THING_NUMBER);
}

Numeric
paillier_integer_to_numeric(PaillierInteger *in)
{
	char		text[PAILLIER_DECIMAL_ROOM];
	size_t		length = paillier_decimal_write(text, in->negative, in->mag, in->limbs, in->scale);
	Datum		number = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
											 Int32GetDatum(-1));

	explicit_bzero(text, length);
	return DatumGetNumeric(number);
}

void
paillier_power_of_ten(PaillierInteger *out, int power)
{
	int			limbs = (power * 10 + 3 * 64) / (3 * 64) + 1;	/* 10 < 2^(10/3 + …): rounded up */

	out->negative = false;
	out->scale = 0;
	out->limbs = limbs;
	mpn_zero(out->mag, limbs);
	out->mag[0] = 1;
	while (power-- > 0)
		mpn_mul_1(out->mag, out->mag, limbs, 10);
}
