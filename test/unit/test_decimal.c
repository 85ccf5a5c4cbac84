/*
 * test_decimal.c
 *		Decimal numbers to integers of a scale and back, against a naive reader on
 *		strings and mpz_t.
 */
#include "codec.h"
#include "reference.h"

static mpz_t x,
			expected;

/* Whether the text is [+-]digits with at most one point before, between or after them. */
static bool
reference_is_decimal(const char *text)
{
	int			points = 0;
	int			digits = 0;

	if (*text == '+' || *text == '-')
		text++;
	for (; *text != '\0'; text++)
		if (*text == '.')
			points++;
		else if (*text >= '0' && *text <= '9')
			digits++;
		else
			return false;
	return digits > 0 && points <= 1;
}

/*
 * Read as a naive program would: digits beyond the scale cut off if they are
 * zeros, zeros appended up to the scale, and mpz_set_str.
 */
static paillier_result
reference_decimal(mpz_t number, bool *negative, int *scale, int limbs, const char *text)
{
	const char *point = strchr(text, '.');
	int			decimals = point != NULL ? (int) strlen(point + 1) : 0;
	char	   *digits = allocate(strlen(text) + PAILLIER_MAX_SCALE + 2);
	int			count = 0;
	paillier_result result = PAILLIER_OK;

	if (!reference_is_decimal(text))
	{
		free(digits);
		return PAILLIER_ERR_NUMBER;
	}
	for (const char *c = text; *c != '\0'; c++)
		if (*c >= '0' && *c <= '9')
			digits[count++] = *c;
	if (*scale < 0)
	{
		if (decimals > PAILLIER_MAX_SCALE)
			result = PAILLIER_ERR_SCALE;
		else
			*scale = decimals;
	}
	for (; result == PAILLIER_OK && decimals > *scale; decimals--)
		if (digits[--count] != '0')
			result = PAILLIER_ERR_SCALE;
	for (; decimals < *scale; decimals++)
		digits[count++] = '0';
	digits[count] = '\0';
	if (result == PAILLIER_OK)
	{
		mpz_set_str(number, count > 0 ? digits : "0", 10);
		if (mpz_sizeinbase(number, 2) > (size_t) (64 * limbs))
			result = PAILLIER_ERR_RANGE;
		*negative = *text == '-' && mpz_sgn(number) != 0;
	}
	free(digits);
	return result;
}

/* Where a text is no number and has too many digits besides, either answer will do. */
static void
check_decimal_read(const char *text, int scale, int limbs)
{
	size_t		len = strlen(text);
	char	   *exact = allocate(len);	/* without a terminator to stop at */
	mp_limb_t  *mag = new_limbs(limbs);
	int			want_scale = scale;
	int			got_scale = scale;
	bool		want_negative = false;
	bool		got_negative = false;
	paillier_result want = reference_decimal(expected, &want_negative, &want_scale, limbs, text);
	paillier_result got;

	memcpy(exact, text, len);
	got = paillier_decimal_read(&got_negative, mag, limbs, &got_scale, exact, len);
	if (want != PAILLIER_ERR_NUMBER || got != PAILLIER_ERR_SCALE)
		check_int(got, want, "result of \"%s\", scale %d, %d limbs", text, scale, limbs);
	if (want == PAILLIER_OK && got == PAILLIER_OK)
	{
		check_limbs(mag, limbs, expected, "\"%s\", scale %d, %d limbs", text, scale, limbs);
		check_int(got_scale, want_scale, "scale of \"%s\", scale %d", text, scale);
		check_int(got_negative, want_negative, "sign of \"%s\"", text);
	}
	free(mag);
	free(exact);
}

static const int scales[] = {-1, 0, 1, 6, 18, 19, 20, 38, 255};

static void
test_decimal_syntax(void)
{
	static const char *const texts[] = {
		"", "+", "-", ".", "+.", "-.", "1.", ".5", "-.5", "+1.", "..", "1..", "1.2.3", "1e3", "1E3", "1.5e-2", " 1",
		"1 ", "- 1", "\t1", "1\n", "--1", "++1", "+-1", "1-", "1+", "0x1", "0X1", "1_000", "1,000", "1,5", "NaN", "nan",
		"inf", "Infinity", "-Infinity", "0", "-0", "+0", "0.0", "-0.0", "-0.00000000000000000000000", "00", "007",
		"-007.50", "1.0", "1.10", "1.000000", "1.0000000", "1.0000001", "1.0000010", "0.5",
		"123456789012345678901234567890", "1\xc2\xa0", "\xd9\xa1", "1/2", "1:", "$1", "1\x80", "a", "1a"
	};

	group_begin("decimal syntax: accepted and refused texts at all scales");
	for (int i = 0; i < LENGTH(texts); i++)
		for (int j = 0; j < LENGTH(scales); j++)
			check_decimal_read(texts[i], scales[j], 16);
	group_end();
}

/* A number with some of everything; with `mutate` one character is replaced or put in. */
static void
random_decimal_text(char *out, int max_digits, bool mutate)
{
	static const char intruders[] = "0123456789+-. eExX_,\t\n\x80/:";
	int			digits = random_int(max_digits + 1);
	int			point = random_int(2 * max_digits);
	int			zeros = random_int(4) == 0 ? random_int(30) : 0;
	int			len = 0;

	if (random_int(2))
		out[len++] = "+-"[random_int(2)];
	for (int i = 0; i <= digits + zeros; i++)
	{
		if (i == point)
			out[len++] = '.';
		if (i < digits)
			out[len++] = random_int(3) == 0 ? '0' : '0' + random_int(10);
		else if (i < digits + zeros)
			out[len++] = '0';
	}
	out[len] = '\0';
	if (mutate)
	{
		int			position = random_int(len + 1);

		if (position == len || random_int(2))
		{
			memmove(out + position + 1, out + position, len - position + 1);
			len++;
		}
		out[position] = intruders[random_int(sizeof(intruders) - 1)];
	}
}

static void
test_decimal_random(void)
{
	static const int limb_counts[] = {1, 2, 3, 4, 8, 16};
	char		text[200];

	for (int mutate = 0; mutate <= 1; mutate++)
	{
		group_begin("decimal texts, %s", mutate ? "random with one wrong character" : "random");
		for (int i = 0; i < 10000; i++)
		{
			random_decimal_text(text, random_int(80) + 1, mutate);
			check_decimal_read(text, scales[random_int(LENGTH(scales))], limb_counts[random_int(LENGTH(limb_counts))]);
		}
		group_end();
	}
}

/* number·10^-scale, by moving digits about */
static char *
decimal_text(const mpz_t number, bool negative, int scale)
{
	char	   *digits = mpz_get_str(NULL, 10, number);
	int			len = strlen(digits);
	char	   *text = allocate(len + scale + 4);
	char	   *out = text;

	if (negative)
		*out++ = '-';
	if (len <= scale)
		*out++ = '0';
	for (int i = 0; i < len - scale; i++)
		*out++ = digits[i];
	if (scale > 0)
	{
		*out++ = '.';
		for (int i = len; i < scale; i++)
			*out++ = '0';
		out = stpcpy(out, digits + (len > scale ? len - scale : 0));
	}
	*out = '\0';
	free(digits);
	return text;
}

/* The largest magnitudes that fit, and the smallest that do not. */
static void
check_decimal_range(int limbs, int scale)
{
	mpz_t		number;

	mpz_init(number);
	mpz_setbit(number, 64 * limbs);
	mpz_sub_ui(number, number, 1);
	for (int i = 0; i < 3; i++)
	{
		char	   *text = decimal_text(number, random_int(2), scale);

		check_decimal_read(text, scale, limbs);
		check_decimal_read(text, -1, limbs);
		free(text);
		mpz_add_ui(number, number, 1);
	}

	/* whole numbers around the limit, for which zeros are appended */
	mpz_ui_pow_ui(x, 10, scale);
	mpz_set_ui(number, 0);
	mpz_setbit(number, 64 * limbs);
	mpz_fdiv_q(number, number, x);
	for (int i = 0; i < 2; i++)
	{
		char	   *text = mpz_get_str(NULL, 10, number);

		check_decimal_read(text, scale, limbs);
		free(text);
		mpz_add_ui(number, number, 1);
	}
	mpz_clear(number);
}

static void
test_decimal_range(void)
{
	static const int limb_counts[] = {2, 3, 4, 5, 8, 16, 31, 32, 64, 127, 128};

	group_begin("decimal numbers: the largest that fits, and one more");
	for (int i = 0; i < LENGTH(limb_counts); i++)
		for (int j = 1; j < LENGTH(scales); j++)
			check_decimal_range(limb_counts[i], scales[j]);
	group_end();
}

static void
test_decimal_long(void)
{
	static const char *const prefixes[] = {"", "-", "0.", "-1."};
	char		text[5100];

	group_begin("decimal numbers of 5,000 digits");
	for (int kind = 0; kind < 3; kind++)
		for (int i = 0; i < LENGTH(prefixes); i++)
			for (int j = 0; j < LENGTH(scales); j++)
			{
				char	   *out = stpcpy(text, prefixes[i]);

				/* zeros; zeros and a last digit; random digits */
				for (int digit = 0; digit < 5000; digit++)
					*out++ = kind == 2 ? '0' + random_int(10) : kind == 1 && digit == 4999 ? '7' : '0';
				*out = '\0';
				check_decimal_read(text, scales[j], 2);
				check_decimal_read(text, scales[j], 128);
			}
	group_end();
}

static void
check_decimal_write(const mpz_t number, bool negative, int limbs, int scale)
{
	mp_limb_t  *mag = new_limbs_of(limbs, number);
	char	   *want = decimal_text(number, negative, scale);
	char	   *got = allocate(PAILLIER_DECIMAL_ROOM);
	size_t		len;

	memset(got, '#', PAILLIER_DECIMAL_ROOM);
	len = paillier_decimal_write(got, negative, mag, limbs, scale);
	check_int(len, strlen(want), "length of %s", want);
	if (check(strnlen(got, PAILLIER_DECIMAL_ROOM) == len && strcmp(got, want) == 0, "writing a number of %d limbs",
			  limbs))
		printf("# expected: %s\n# got:      %.*s\n", want, (int) len, got);
	check(len + 1 == PAILLIER_DECIMAL_ROOM || got[len + 1] == '#', "wrote after the terminator of %s", want);

	/* and back, with the scale told and not told */
	check_decimal_read(want, scale, limbs > 0 ? limbs : 1);
	check_decimal_read(want, -1, limbs > 0 ? limbs : 1);
	free(mag);
	free(want);
	free(got);
}

static void
test_decimal_write(void)
{
	mpz_t		number;

	mpz_init(number);
	group_begin("decimal_write against mpz_get_str, and back");
	for (int i = 0; i < 3000; i++)
	{
		int			limbs = 1 + random_int(random_int(20) == 0 ? 128 : 8);

		random_mpz(number, random_int(64 * limbs + 1));
		check_decimal_write(number, mpz_sgn(number) != 0 && random_int(2), limbs, random_int(PAILLIER_MAX_SCALE + 1));
	}
	for (int scale = 0; scale <= PAILLIER_MAX_SCALE; scale++)
	{
		mpz_set_ui(number, 0);
		check_decimal_write(number, false, 2, scale);
		check_decimal_write(number, false, 0, scale);
		mpz_ui_pow_ui(number, 10, scale);
		check_decimal_write(number, true, 128, scale);
		mpz_sub_ui(number, number, 1);
		check_decimal_write(number, false, 128, scale);
	}
	for (int limbs = 1; limbs <= 128; limbs++)
	{
		mpz_set_ui(number, 0);
		mpz_setbit(number, 64 * limbs);
		mpz_sub_ui(number, number, 1);
		check_decimal_write(number, true, limbs, scales[1 + limbs % (LENGTH(scales) - 1)]);
	}
	group_end();
	mpz_clear(number);
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	mpz_inits(x, expected, NULL);

	test_decimal_syntax();
	test_decimal_random();
	test_decimal_range();
	test_decimal_long();
	test_decimal_write();

	mpz_clears(x, expected, NULL);
	return tap_done();
}
