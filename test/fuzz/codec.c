/*
 * codec.c
 *		The wire form of ciphertexts, base64url, big-endian integers and key ids:
 *		what is read is written back as it came, and everything else is refused.
 */
#include "codec.h"
#include "fuzz.h"

/* ---- base64url ---- */

static int
digit_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *found = c == '\0' ? NULL : strchr(digits, c);

	return found == NULL ? -1 : (int) (found - digits);
}

/* Bit by bit. */
static bool
reference_decode(uint8_t *out, const char *text, size_t len)
{
	unsigned	bits = 0;
	int			count = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (digit_value(text[i]) < 0)
			return false;
		bits = bits << 6 | digit_value(text[i]);
		count += 6;
		if (count >= 8)
		{
			count -= 8;
			*out++ = bits >> count;
			bits &= (1u << count) - 1;
		}
	}
	return count < 6 && bits == 0;
}

static void
check_base64(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	size_t		len = PAILLIER_BASE64_DECODED(size);
	uint8_t    *bytes = fuzz_alloc(len);
	uint8_t    *expected = fuzz_alloc(len);
	char	   *again = fuzz_alloc(PAILLIER_BASE64_LENGTH(len));
	bool		valid = paillier_base64_decode(bytes, text, size);

	REQUIRE(valid == reference_decode(expected, text, size));
	if (valid)
	{
		REQUIRE(memcmp(bytes, expected, len) == 0);
		REQUIRE(paillier_base64_encode(again, bytes, len) == size);
		REQUIRE(memcmp(again, text, size) == 0);
	}
	free(bytes);
	free(expected);
	free(again);

	/* any bytes there and back */
	len = PAILLIER_BASE64_LENGTH(size);
	again = fuzz_alloc(len);
	bytes = fuzz_alloc(size);
	REQUIRE(paillier_base64_encode(again, data, size) == len);
	REQUIRE(PAILLIER_BASE64_DECODED(len) == size);
	REQUIRE(paillier_base64_decode(bytes, again, len));
	REQUIRE(memcmp(bytes, data, size) == 0);
	free(bytes);
	free(again);
}

/* ---- ciphertexts ---- */

static void
check_wire(const uint8_t *data, size_t size)
{
	int			limbs = paillier_wire_limbs(size);
	paillier_header header;
	mp_limb_t  *c;
	uint8_t    *again;
	paillier_result result;

	REQUIRE(limbs >= 0 && limbs <= PAILLIER_MAX_CIPHERTEXT_LIMBS);
	if (limbs == 0)
		return;
	REQUIRE(PAILLIER_WIRE_LENGTH(limbs) == size);
	c = fuzz_limbs(limbs);
	again = fuzz_alloc(size);
	result = paillier_wire_read(&header, c, data, size);
	if (result == PAILLIER_OK)
	{
		REQUIRE(!mpn_zero_p(c, limbs));
		paillier_wire_write(again, &header, c, limbs);
		REQUIRE(memcmp(again, data, size) == 0);
	}
	else
		REQUIRE(result == PAILLIER_ERR_VERSION || result == PAILLIER_ERR_HEADER || result == PAILLIER_ERR_ZERO);
	free(again);
	free(c);
}

/* As server and program read a ciphertext. */
static void
check_text(const uint8_t *data, size_t size)
{
	size_t		len = PAILLIER_BASE64_DECODED(size);
	uint8_t    *bytes = fuzz_alloc(len);

	if (paillier_base64_decode(bytes, (const char *) data, size))
		check_wire(bytes, len);
	free(bytes);
}

/* ---- integers and key ids ---- */

static void
check_integer(const uint8_t *data, size_t size)
{
	int			limbs = size == 0 ? 1 : 1 + data[0] % 8;
	mp_limb_t  *a = fuzz_limbs(limbs);
	uint8_t    *again = fuzz_alloc(size);
	size_t		zeros = 0;

	while (zeros < size && data[zeros] == 0)
		zeros++;
	REQUIRE(paillier_be_read(a, limbs, data, size) == (size - zeros <= 8 * (size_t) limbs));
	if (size - zeros <= 8 * (size_t) limbs)
	{
		REQUIRE(paillier_be_length(a, limbs) == size - zeros);
		paillier_be_write(again, size, a, limbs);
		REQUIRE(memcmp(again, data, size) == 0);
	}
	free(again);
	free(a);
}

static void
check_key_id(const uint8_t *data, size_t size)
{
	uint8_t		id[PAILLIER_KEY_ID_LENGTH];
	char		again[PAILLIER_KEY_ID_HEX + 1];

	if (!paillier_key_id_read(id, (const char *) data, size))
		return;
	REQUIRE(size == PAILLIER_KEY_ID_HEX);
	paillier_key_id_write(again, id);
	for (size_t i = 0; i < size; i++)
		REQUIRE(again[i] == data[i] || (data[i] >= 'A' && data[i] <= 'F' && again[i] == data[i] + 'a' - 'A'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_base64(data, size);
	check_wire(data, size);
	check_text(data, size);
	check_integer(data, size);
	check_key_id(data, size);
	return 0;
}
