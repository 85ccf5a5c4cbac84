/*
 * decimal.c
 *		Decimal text to integers and back, beside GMP's numbers.
 *
 * Input: the limbs, the scale (255 and a set bit: that of the text), the text.
 */
#include "codec.h"
#include "fuzz.h"

/* What a text stands for: digits without the point, and how many are behind it. */
typedef struct reading
{
	bool		valid;
	bool		negative;
	int			decimals;
	char	   *digits;
} reading;

static reading
reference_read(const char *text, size_t len)
{
	reading		r = {.digits = fuzz_alloc(len + 1)};
	size_t		i = len > 0 && (text[0] == '-' || text[0] == '+');
	int			count = 0;
	int			points = 0;

	r.negative = i > 0 && text[0] == '-';
	r.valid = true;
	for (; i < len; i++)
	{
		if (text[i] == '.')
			points++;
		else if (text[i] >= '0' && text[i] <= '9')
		{
			r.digits[count++] = text[i];
			r.decimals += points > 0;
		}
		else
			r.valid = false;
	}
	r.digits[count] = '\0';
	r.valid = r.valid && points <= 1 && count > 0;
	return r;
}

/* Digits beyond the scale, which must be zeros, are cut off. */
static bool
cut_to_scale(reading *r, int scale)
{
	size_t		len = strlen(r->digits);

	for (; r->decimals > scale; r->decimals--)
		if (r->digits[--len] != '0')
			return false;
	r->digits[len] = '\0';
	return true;
}

static paillier_result
expected_result(mpz_t value, reading *r, int scale, int limbs)
{
	mpz_t		power;

	if (!r->valid)
		return PAILLIER_ERR_NUMBER;
	if (!cut_to_scale(r, scale))
		return PAILLIER_ERR_SCALE;
	mpz_init(power);
	mpz_set_str(value, r->digits[0] == '\0' ? "0" : r->digits, 10);
	mpz_ui_pow_ui(power, 10, scale - r->decimals);
	mpz_mul(value, value, power);
	mpz_clear(power);
	return mpz_sizeinbase(value, 2) > 64 * (size_t) limbs ? PAILLIER_ERR_RANGE : PAILLIER_OK;
}

/* Text of the number, by GMP: sign, digits, at least one before the point. */
static void
check_written(const char *written, size_t len, const mpz_t value, bool negative, int scale)
{
	char	   *digits = mpz_get_str(NULL, 10, value);
	size_t		count = strlen(digits);
	size_t		total = count > (size_t) scale ? count : (size_t) scale + 1;

	REQUIRE(len == strlen(written) && len < PAILLIER_DECIMAL_ROOM);
	REQUIRE(negative == (*written == '-'));
	written += negative;
	REQUIRE(len == total + negative + (scale > 0));
	for (size_t i = 0; i < total; i++)
	{
		if (scale > 0 && i == total - scale)
			REQUIRE(*written++ == '.');
		REQUIRE(*written++ == (i < total - count ? '0' : digits[i - (total - count)]));
	}
	free(digits);
}

static void
check_round_trip(bool negative, const mp_limb_t *mag, int limbs, int scale, const mpz_t value)
{
	char	   *text = fuzz_alloc(PAILLIER_DECIMAL_ROOM);
	mp_limb_t  *copy = fuzz_limbs(limbs);
	bool		negative_again;
	int			scale_again = -1;
	size_t		len;

	mpn_copyi(copy, mag, limbs);
	len = paillier_decimal_write(text, negative, copy, limbs, scale);
	check_written(text, len, value, negative, scale);
	REQUIRE(paillier_decimal_read(&negative_again, copy, limbs, &scale_again, text, len) == PAILLIER_OK);
	REQUIRE(scale_again == scale && negative_again == negative && mpn_cmp(copy, mag, limbs) == 0);
	free(copy);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_input	in = {data, size};
	int			limbs = 1 + fuzz_take(&in, 1) % 128;
	bool		scale_of_text = fuzz_take(&in, 1) & 1;
	int			scale = fuzz_take(&in, 1);
	int			used = scale_of_text ? -1 : scale;
	mp_limb_t  *mag = fuzz_limbs(limbs);
	const char *text = (const char *) in.next;
	reading		r = reference_read(text, in.left);
	bool		negative;
	paillier_result result = paillier_decimal_read(&negative, mag, limbs, &used, text, in.left);
	paillier_result expected;
	mpz_t		value;

	mpz_init(value);
	if (scale_of_text)
		scale = r.decimals;
	expected = scale > PAILLIER_MAX_SCALE ? PAILLIER_ERR_SCALE : expected_result(value, &r, scale, limbs);

	/* of several errors in one text either may be told */
	if (!r.valid)
		REQUIRE(result == PAILLIER_ERR_NUMBER || result == PAILLIER_ERR_SCALE);
	else
		REQUIRE(result == expected);
	if (result == PAILLIER_OK)
	{
		mpz_t		got;

		mpz_init(got);
		fuzz_mpz(got, mag, limbs);
		REQUIRE(mpz_cmp(got, value) == 0);
		REQUIRE(used == scale);
		REQUIRE(negative == (r.negative && mpz_sgn(value) != 0));
		check_round_trip(negative, mag, limbs, scale, value);
		mpz_clear(got);
	}
	mpz_clear(value);
	free(mag);
	free(r.digits);
	return 0;
}
