/* cc -std=gnu11 -Isrc test/unit/test_codec.c src/codec.c src/bound.c src/result.c -lgmp */
/*
 * test_codec.c
 *		Every representation outside memory, against naive encoders and decoders
 *		on strings and mpz_t, and against all kinds of malformed input.
 */
#include "bound.h"
#include "codec.h"
#include "reference.h"

static mpz_t x,
			expected;

/* ---- big-endian integers ---- */

static void
check_be_write(int limbs, size_t len)
{
	mp_limb_t  *a = new_limbs(limbs);
	uint8_t    *out = allocate(len);

	random_limbs(a, limbs);
	mpz_from_limbs(expected, a, limbs);
	mpz_fdiv_r_2exp(expected, expected, 8 * len);
	paillier_be_write(out, len, a, limbs);
	mpz_import(x, len, 1, 1, 1, 0, out);
	check_mpz(x, expected, "be_write of %d limbs to %zu bytes", limbs, len);
	free(a);
	free(out);
}

static void
check_be_read(int limbs, size_t len)
{
	mp_limb_t  *a = new_limbs(limbs);
	uint8_t    *in = allocate(len);
	size_t		zeros = random_int(len + 1);
	bool		fits;

	random_bytes(in, len);
	if (random_int(2))
		memset(in, 0, zeros);
	mpz_import(expected, len, 1, 1, 1, 0, in);
	fits = mpz_sizeinbase(expected, 2) <= (size_t) (64 * limbs) || mpz_sgn(expected) == 0;
	check_int(paillier_be_read(a, limbs, in, len), fits, "be_read of %zu bytes into %d limbs", len, limbs);
	if (fits)
		check_limbs(a, limbs, expected, "be_read of %zu bytes into %d limbs", len, limbs);
	free(a);
	free(in);
}

static void
test_big_endian(void)
{
	group_begin("big-endian integers of all lengths, both ways");
	for (int limbs = 0; limbs <= 6; limbs++)
		for (size_t len = 0; len <= 60; len++)
			for (int i = 0; i < 4; i++)
			{
				check_be_write(limbs, len);
				check_be_read(limbs, len);
			}
	group_end();

	group_begin("be_length");
	for (int bits = 0; bits <= 520; bits++)
	{
		int			limbs = bits / 64 + 1 + random_int(3);
		mp_limb_t  *a;

		random_mpz(x, bits > 0 ? bits - 1 : 0);
		if (bits > 0)
			mpz_setbit(x, bits - 1);
		a = new_limbs_of(limbs, x);
		check_int(paillier_be_length(a, limbs), (bits + 7) / 8, "%d bits", bits);
		free(a);
	}
	check_int(paillier_be_length(NULL, 0), 0, "no limbs");
	group_end();
}

/* ---- base64url, by way of a text of bits ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t
reference_encode(char *out, const uint8_t *in, size_t len)
{
	size_t		characters = 0;

	for (size_t bit = 0; bit < 8 * len; bit += 6, characters++)
	{
		int			digit = 0;

		for (size_t i = bit; i < bit + 6; i++)
			digit = 2 * digit + (i < 8 * len ? in[i / 8] >> (7 - i % 8) & 1 : 0);
		out[characters] = alphabet[digit];
	}
	return characters;
}

static bool
reference_decode(uint8_t *out, const char *in, size_t len)
{
	size_t		bytes = 6 * len / 8;

	memset(out, 0, bytes);
	for (size_t bit = 0; bit < 6 * len; bit++)
	{
		const char *digit = in[bit / 6] != '\0' ? strchr(alphabet, in[bit / 6]) : NULL;
		bool		set = digit != NULL && ((digit - alphabet) >> (5 - bit % 6) & 1) != 0;

		if (digit == NULL || (bit >= 8 * bytes && set))
			return false;
		if (set)
			out[bit / 8] |= 1 << (7 - bit % 8);
	}
	return len % 4 != 1;
}

static void
check_base64_decode(const char *in, size_t len)
{
	size_t		bytes = PAILLIER_BASE64_DECODED(len);
	uint8_t    *got = allocate(bytes);
	uint8_t    *want = allocate(bytes);
	bool		valid = reference_decode(want, in, len);

	check_int(paillier_base64_decode(got, in, len), valid, "decoding \"%.*s\"", (int) len, in);
	check_int(bytes, 6 * len / 8, "decoded length of %zu characters", len);
	if (valid)
		check(memcmp(got, want, bytes) == 0, "decoding \"%.*s\" gives wrong bytes", (int) len, in);
	free(got);
	free(want);
}

static void
test_base64_round_trips(void)
{
	group_begin("base64url of 0 to 200 bytes against a naive encoder, and back");
	for (size_t len = 0; len <= 200; len++)
	{
		size_t		characters = PAILLIER_BASE64_LENGTH(len);
		uint8_t    *in = allocate(len);
		char	   *got = allocate(characters);
		char	   *want = allocate(characters);

		random_bytes(in, len);
		check_int(characters, reference_encode(want, in, len), "length of %zu bytes", len);
		check_int(paillier_base64_encode(got, in, len), characters, "characters written for %zu bytes", len);
		check(memcmp(got, want, characters) == 0, "encoding %zu bytes gives %.*s, not %.*s", len, (int) characters, got,
			  (int) characters, want);
		check_base64_decode(got, characters);
		free(in);
		free(got);
		free(want);
	}
	group_end();
}

static void
test_base64_malformed(void)
{
	group_begin("base64url: all byte values at all positions, unused bits, impossible lengths");
	for (size_t len = 1; len <= 12; len++)
		for (size_t position = 0; position < len; position++)
			for (int byte = 0; byte < 256; byte++)
			{
				char	   *in = allocate(len);

				for (size_t i = 0; i < len; i++)
					in[i] = alphabet[random_int(4) == 0 ? 0 : random_int(64)];
				if (len % 4 != 0 && random_int(2))
					in[len - 1] = 'A';	/* no unused bits but those of the intruder */
				in[position] = (char) byte;
				check_base64_decode(in, len);
				free(in);
			}
	group_end();
}

/* ---- ciphertexts ---- */

static void
set_be(uint8_t *out, uint64_t number, int len)
{
	while (len-- > 0)
	{
		out[len] = number;
		number >>= 8;
	}
}

/* The wire form as it is documented, field by field. */
static void
reference_wire(uint8_t *out, const paillier_header *header, const mpz_t c, int limbs)
{
	size_t		len;
	uint8_t    *bytes = mpz_export(NULL, &len, 1, 1, 1, 0, c);

	set_be(out, header->version, 1);
	set_be(out + 1, header->scale, 1);
	set_be(out + 2, header->slot_bits, 2);
	set_be(out + 4, header->slots, 2);
	set_be(out + 6, header->bound_exponent, 2);
	set_be(out + 8, header->bound_mantissa, 4);
	memcpy(out + 12, header->key_id, 16);
	memset(out + 28, 0, 8 * limbs);
	if (bytes != NULL)
		memcpy(out + 28 + 8 * limbs - len, bytes, len);
	free(bytes);
}

static paillier_header
random_header(void)
{
	paillier_header header = {.version = PAILLIER_WIRE_VERSION, .scale = random_int(256)};

	header.bound_mantissa = random64() >> (32 + random_int(32));
	if (random_int(2))
	{
		header.bound_mantissa |= UINT32_C(1) << 31;
		header.bound_exponent = random_int(PAILLIER_BOUND_MAX_EXPONENT + 1);
	}
	random_bytes(header.key_id, sizeof(header.key_id));
	return header;
}

static void
check_wire(int limbs)
{
	size_t		len = PAILLIER_WIRE_LENGTH(limbs);
	uint8_t    *got = allocate(len);
	uint8_t    *want = allocate(len);
	paillier_header header = random_header();
	paillier_header again;
	mp_limb_t  *c;
	mp_limb_t  *c_again = new_limbs(limbs);

	random_mpz(x, random_int(3) == 0 ? 1 + random_int(64 * limbs) : 64 * limbs);
	mpz_setbit(x, 0);
	c = new_limbs_of(limbs, x);
	memset(&again, 0xa5, sizeof(again));

	reference_wire(want, &header, x, limbs);
	paillier_wire_write(got, &header, c, limbs);
	check(memcmp(got, want, len) == 0, "%d limbs: wrong bytes", limbs);
	check_int(paillier_wire_limbs(len), limbs, "limbs of %zu bytes", len);
	check_int(paillier_wire_read(&again, c_again, got, len), PAILLIER_OK, "%d limbs: refused", limbs);
	check_limbs(c_again, limbs, x, "%d limbs: ciphertext read back", limbs);
	check(memcmp(&again, &header, sizeof(header)) == 0, "%d limbs: header read back", limbs);

	memset(got + PAILLIER_WIRE_HEADER, 0, len - PAILLIER_WIRE_HEADER);
	check_int(paillier_wire_read(&again, c_again, got, len), PAILLIER_ERR_ZERO, "%d limbs of zero", limbs);

	free(got);
	free(want);
	free(c);
	free(c_again);
}

static void
test_wire(void)
{
	group_begin("wire form of 1 to 256 limbs, both ways; zero refused");
	for (int limbs = 1; limbs <= PAILLIER_MAX_CIPHERTEXT_LIMBS; limbs++)
		check_wire(limbs);
	group_end();

	group_begin("wire lengths: only a header and 1 to 256 limbs");
	for (size_t len = 0; len <= 2200; len++)
	{
		int			limbs = 0;

		for (int i = 1; i <= 256; i++)
			if (len == 28 + 8 * (size_t) i)
				limbs = i;
		check_int(paillier_wire_limbs(len), limbs, "%zu bytes", len);
	}
	check_int(paillier_wire_limbs(SIZE_MAX), 0, "SIZE_MAX");
	check_int(paillier_wire_limbs(28 + 8 * ((size_t) 1 << 32) + 8), 0, "more limbs than an int counts");
	group_end();
}

/* The documentation of paillier_header, from the bytes. */
static paillier_result
reference_header_check(const uint8_t *wire)
{
	bool		packed = wire[2] != 0 || wire[3] != 0 || wire[4] != 0 || wire[5] != 0;
	int			exponent = 256 * wire[6] + wire[7];

	if (wire[0] != 1)
		return PAILLIER_ERR_VERSION;
	if (packed || exponent > PAILLIER_BOUND_MAX_EXPONENT || (exponent > 0 && wire[8] < 0x80))
		return PAILLIER_ERR_HEADER;
	return PAILLIER_OK;
}

static void
check_mutated_header(uint8_t *wire, size_t len, int position, int byte)
{
	paillier_header header;
	mp_limb_t	c[2];
	uint8_t		again[PAILLIER_WIRE_LENGTH(2)];
	paillier_result got;
	uint8_t		before = wire[position];

	wire[position] = byte;
	got = paillier_wire_read(&header, c, wire, len);
	check_int(got, reference_header_check(wire), "header byte %d is %d, was %d", position, byte, before);
	check_int(got, paillier_header_check(&header), "header byte %d is %d, was %d: header_check", position, byte, before);
	if (got == PAILLIER_OK)
	{
		paillier_wire_write(again, &header, c, 2);
		check(memcmp(again, wire, len) == 0, "header byte %d is %d: written otherwise", position, byte);
	}
	wire[position] = before;
}

static void
test_mutated_headers(void)
{
	uint8_t		wire[PAILLIER_WIRE_LENGTH(2)];
	mp_limb_t	c[2] = {1, 2};

	group_begin("every header byte with every value");
	for (int i = 0; i < 20; i++)
	{
		paillier_header header = random_header();

		paillier_wire_write(wire, &header, c, 2);
		for (int position = 0; position < PAILLIER_WIRE_HEADER; position++)
			for (int byte = 0; byte < 256; byte++)
				check_mutated_header(wire, sizeof(wire), position, byte);
	}
	group_end();
}

/* ---- key ids ---- */

static void
test_key_ids(void)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	uint8_t		id[PAILLIER_KEY_ID_LENGTH];
	uint8_t		again[PAILLIER_KEY_ID_LENGTH];
	char		text[PAILLIER_KEY_ID_HEX + 1];
	char		want[PAILLIER_KEY_ID_HEX + 1];

	group_begin("key ids: both ways, either case, all byte values, wrong lengths");
	for (int i = 0; i < 1000; i++)
	{
		random_bytes(id, sizeof(id));
		for (int j = 0; j < PAILLIER_KEY_ID_LENGTH; j++)
			sprintf(want + 2 * j, "%02x", id[j]);
		paillier_key_id_write(text, id);
		check(strcmp(text, want) == 0, "%s, not %s", text, want);
		for (int j = 0; j < PAILLIER_KEY_ID_HEX; j++)
			if (text[j] >= 'a' && random_int(2))
				text[j] -= 'a' - 'A';
		check(paillier_key_id_read(again, text, PAILLIER_KEY_ID_HEX), "%s refused", text);
		check(memcmp(id, again, sizeof(id)) == 0, "%s read wrongly", text);
	}
	for (int position = 0; position < PAILLIER_KEY_ID_HEX; position++)
		for (int byte = 0; byte < 256; byte++)
		{
			char		before = text[position];

			text[position] = (char) byte;
			check_int(paillier_key_id_read(again, text, PAILLIER_KEY_ID_HEX), byte != 0 && strchr(digits, byte) != NULL,
					  "byte %d at %d", byte, position);
			text[position] = before;
		}
	for (size_t len = 0; len <= 70; len++)
		if (len != PAILLIER_KEY_ID_HEX)
		{
			char	   *digits_only = allocate(len);

			memset(digits_only, '0', len);
			check(!paillier_key_id_read(again, digits_only, len), "length %zu", len);
			free(digits_only);
		}
	group_end();
}

/* ---- decimal numbers ---- */

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
		"", "+", "-", ".", "+.", "-.", "1.", ".5", "-.5", "+1.", "..", "1..", "1.2.3", "1e3", "1E3", "1.5e-2", " 1", "1 ",
		"- 1", "\t1", "1\n", "--1", "++1", "+-1", "1-", "1+", "0x1", "0X1", "1_000", "1,000", "1,5", "NaN", "nan", "inf",
		"Infinity", "-Infinity", "0", "-0", "+0", "0.0", "-0.0", "-0.00000000000000000000000", "00", "007", "-007.50",
		"1.0", "1.10", "1.000000", "1.0000000", "1.0000001", "1.0000010", "0.5", "123456789012345678901234567890",
		"1\xc2\xa0", "\xd9\xa1", "1/2", "1:", "$1", "1\x80", "a", "1a"
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
	if (check(strnlen(got, PAILLIER_DECIMAL_ROOM) == len && strcmp(got, want) == 0, "writing a number of %d limbs", limbs))
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

/* ---- texts of the result codes ---- */

static void
test_result_texts(void)
{
	group_begin("every result code has a text of its own");
	for (int i = 0; i < PAILLIER_RESULTS; i++)
	{
		const char *text = paillier_strerror(i);

		if (check(text != NULL && *text != '\0', "code %d has none", i) || text == NULL)
			continue;
		check(text[strlen(text) - 1] != '.', "full stop: %s", text);
		for (int j = 0; j < i; j++)
			check(strcmp(text, paillier_strerror(j)) != 0, "codes %d and %d: %s", j, i, text);
	}
	group_end();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	mpz_inits(x, expected, NULL);

	test_big_endian();
	test_base64_round_trips();
	test_base64_malformed();
	test_wire();
	test_mutated_headers();
	test_key_ids();
	test_decimal_syntax();
	test_decimal_random();
	test_decimal_range();
	test_decimal_long();
	test_decimal_write();
	test_result_texts();

	mpz_clears(x, expected, NULL);
	return tap_done();
}
