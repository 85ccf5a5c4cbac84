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

static void
check_finite(Numeric value)
{
	if (numeric_is_nan(value) || numeric_is_inf(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s has no encrypted form",
						DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value))))));
}

static void
raise_too_many_digits(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("number has too many decimal digits"),
			 errdetail("Numbers that are added or multiplied have at most %d digits after the point.",
					   PAILLIER_MAX_SCALE),
			 errhint("Round the number first.")));
}

void
paillier_integer_from_numeric(PaillierInteger *out, Numeric value, int scale, int limbs)
{
	char	   *text;
	paillier_result result;

	check_finite(value);
	out->scale = scale;
	out->limbs = limbs;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value)));
	result = paillier_decimal_read(&out->negative, out->mag, limbs, &out->scale, text, strlen(text));
	explicit_bzero(text, strlen(text));
	pfree(text);
	if (result != PAILLIER_OK)
		explicit_bzero(out->mag, limbs * sizeof(mp_limb_t));
	if (result == PAILLIER_ERR_SCALE && scale < 0)
		raise_too_many_digits();
	paillier_require(result, THING_NUMBER);
}

/* mag := mag·factor + digit; error where it exceeds the limbs. */
static void
append_digit(PaillierInteger *out, mp_limb_t factor, mp_limb_t digit, int limbs)
{
	mp_limb_t	carry = mpn_mul_1(out->mag, out->mag, out->limbs, factor);

	carry += mpn_add_1(out->mag, out->mag, out->limbs, digit);
	if (carry == 0)
		return;
	if (out->limbs == limbs)
		paillier_raise(PAILLIER_ERR_RANGE, THING_NUMBER);
	out->mag[out->limbs++] = carry;
}

/* Number i, of 16 bits, of the binary form of numeric. */
static int
wire_number(const bytea *wire, int i)
{
	const uint8 *bytes = (const uint8 *) VARDATA(wire) + 2 * i;

	return bytes[0] << 8 | bytes[1];
}

/*
 * From the binary form, which takes less time than the text: the number of digits
 * to the base 10,000, the exponent of the first of them, the sign, the scale, the
 * digits.  The last digit is not 0.
 */
void
paillier_factor_from_numeric(PaillierInteger *out, int *zeros, Numeric value, int limbs)
{
	bytea	   *wire;
	int			digits;
	int			low;			/* exponent of the last digit */
	int			scale;

	check_finite(value);
	wire = DatumGetByteaP(DirectFunctionCall1(numeric_send, NumericGetDatum(value)));
	digits = wire_number(wire, 0);
	low = (int16) wire_number(wire, 1) - digits + 1;
	out->negative = wire_number(wire, 2) != 0;
	scale = wire_number(wire, 3);
	if (scale > PAILLIER_MAX_SCALE)
		raise_too_many_digits();

	out->scale = digits == 0 || low >= 0 ? 0 : -4 * low;
	out->limbs = 1;
	out->mag[0] = 0;
	for (int i = 0; i < digits; i++)
	{
		mp_limb_t	digit = wire_number(wire, 4 + i);
		mp_limb_t	factor = 10000;

		for (; i == digits - 1 && out->scale > 0 && digit % 10 == 0; digit /= 10, factor /= 10)
			out->scale--;
		append_digit(out, factor, digit, limbs);
	}
	for (; digits > 0 && low > 0; low--)
		append_digit(out, 10000, 0, limbs);
	*zeros = scale - out->scale;
	pfree(wire);
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
