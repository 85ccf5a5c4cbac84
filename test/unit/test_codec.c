/*
 * test_codec.c
 *		Bytes, base64url, ciphertexts and key ids, against naive encoders and decoders
 *		on strings and mpz_t, and against all kinds of malformed input; decimal numbers
 *		are in test_decimal.c.
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
	check_int(got, paillier_header_check(&header), "header byte %d is %d, was %d: header_check", position, byte,
			  before);
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
	test_result_texts();

	mpz_clears(x, expected, NULL);
	return tap_done();
}
