/*
 * codec.c
 *		Integers, base64url, the wire form of ciphertexts, key ids and decimal
 *		numbers.
 */
#include <string.h>

#include "bound.h"
#include "codec.h"

/* ---- big-endian integers ---- */

static int
significant(const mp_limb_t *a, int limbs)
{
	while (limbs > 0 && a[limbs - 1] == 0)
		limbs--;
	return limbs;
}

size_t
paillier_be_length(const mp_limb_t *a, int limbs)
{
	limbs = significant(a, limbs);
	return limbs == 0 ? 0 : (mpn_sizeinbase(a, limbs, 2) + 7) / 8;
}

/* Written out, compilers make one instruction of each of these. */
static void
be64_write(uint8_t *out, mp_limb_t x)
{
	out[0] = x >> 56;
	out[1] = x >> 48;
	out[2] = x >> 40;
	out[3] = x >> 32;
	out[4] = x >> 24;
	out[5] = x >> 16;
	out[6] = x >> 8;
	out[7] = x;
}

static mp_limb_t
be64_read(const uint8_t *in)
{
	return (mp_limb_t) in[0] << 56 | (mp_limb_t) in[1] << 48 | (mp_limb_t) in[2] << 40 | (mp_limb_t) in[3] << 32 |
		(mp_limb_t) in[4] << 24 | (mp_limb_t) in[5] << 16 | (mp_limb_t) in[6] << 8 | (mp_limb_t) in[7];
}

void
paillier_be_write(uint8_t *out, size_t len, const mp_limb_t *a, int limbs)
{
	int			i = 0;

	for (; len >= 8; len -= 8, i++)
		be64_write(out + len - 8, i < limbs ? a[i] : 0);
	for (mp_limb_t x = i < limbs ? a[i] : 0; len > 0; x >>= 8)
		out[--len] = (uint8_t) x;
}

bool
paillier_be_read(mp_limb_t *a, int limbs, const uint8_t *in, size_t len)
{
	int			i = 0;
	mp_limb_t	x = 0;

	while (len > 0 && *in == 0)
		in++, len--;
	if (len > 8 * (size_t) limbs)
		return false;
	for (; len >= 8; len -= 8)
		a[i++] = be64_read(in + len - 8);
	for (size_t j = 0; j < len; j++)
		x = x << 8 | in[j];
	if (len > 0)
		a[i++] = x;
	mpn_zero(a + i, limbs - i);
	return true;
}

/* ---- base64url ---- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of each character plus one; 0 for those outside the alphabet. */
static const uint8_t base64_values[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
	['-'] = 63,
	['_'] = 64,
};

size_t
paillier_base64_encode(char *out, const uint8_t *in, size_t len)
{
	char	   *start = out;

	for (; len >= 3; len -= 3, in += 3)
	{
		uint32_t	x = (uint32_t) in[0] << 16 | in[1] << 8 | in[2];

		*out++ = base64_digits[x >> 18];
		*out++ = base64_digits[x >> 12 & 63];
		*out++ = base64_digits[x >> 6 & 63];
		*out++ = base64_digits[x & 63];
	}
	if (len > 0)
	{
		uint32_t	x = (uint32_t) in[0] << 16 | (len > 1 ? in[1] << 8 : 0);

		*out++ = base64_digits[x >> 18];
		*out++ = base64_digits[x >> 12 & 63];
		if (len > 1)
			*out++ = base64_digits[x >> 6 & 63];
	}
	return out - start;
}

bool
paillier_base64_decode(uint8_t *out, const char *text, size_t len)
{
	const uint8_t *in = (const uint8_t *) text;
	uint32_t	valid = 1;		/* stays 1 while every value + 1 is at least 1 */
	uint32_t	x = 0;

	for (; len >= 4; len -= 4, in += 4)
	{
		uint32_t	a = base64_values[in[0]];
		uint32_t	b = base64_values[in[1]];
		uint32_t	c = base64_values[in[2]];
		uint32_t	d = base64_values[in[3]];

		valid &= a != 0 && b != 0 && c != 0 && d != 0;
		x = ((a - 1) & 63) << 18 | ((b - 1) & 63) << 12 | ((c - 1) & 63) << 6 | ((d - 1) & 63);
		*out++ = x >> 16;
		*out++ = x >> 8;
		*out++ = x;
	}
	if (!valid || len == 1)
		return false;
	if (len == 0)
		return true;

	x = 0;
	for (size_t i = 0; i < len; i++)
	{
		if (base64_values[in[i]] == 0)
			return false;
		x = x << 6 | (base64_values[in[i]] - 1);
	}
	if (len == 2)
	{
		*out = x >> 4;
		return (x & 15) == 0;
	}
	out[0] = x >> 10;
	out[1] = x >> 2;
	return (x & 3) == 0;
}

/* ---- ciphertexts ---- */

void
paillier_wire_write(uint8_t *out, const paillier_header *header, const mp_limb_t *c, int limbs)
{
	out[0] = header->version;
	out[1] = header->scale;
	out[2] = header->slot_bits >> 8;
	out[3] = header->slot_bits;
	out[4] = header->slots >> 8;
	out[5] = header->slots;
	out[6] = header->bound_exponent >> 8;
	out[7] = header->bound_exponent;
	for (int i = 0; i < 4; i++)
		out[8 + i] = header->bound_mantissa >> (24 - 8 * i);
	memcpy(out + 12, header->key_id, PAILLIER_KEY_ID_LENGTH);
	paillier_be_write(out + PAILLIER_WIRE_HEADER, 8 * (size_t) limbs, c, limbs);
}

int
paillier_wire_limbs(size_t len)
{
	if (len <= PAILLIER_WIRE_HEADER || (len - PAILLIER_WIRE_HEADER) % 8 != 0 ||
		(len - PAILLIER_WIRE_HEADER) / 8 > PAILLIER_MAX_CIPHERTEXT_LIMBS)
		return 0;
	return (len - PAILLIER_WIRE_HEADER) / 8;
}

paillier_result
paillier_wire_read(paillier_header *header, mp_limb_t *c, const uint8_t *in, size_t len)
{
	int			limbs = paillier_wire_limbs(len);
	paillier_result result;

	header->version = in[0];
	header->scale = in[1];
	header->slot_bits = in[2] << 8 | in[3];
	header->slots = in[4] << 8 | in[5];
	header->bound_exponent = in[6] << 8 | in[7];
	header->bound_mantissa = (uint32_t) in[8] << 24 | in[9] << 16 | in[10] << 8 | in[11];
	memcpy(header->key_id, in + 12, PAILLIER_KEY_ID_LENGTH);
	result = paillier_header_check(header);
	if (result != PAILLIER_OK)
		return result;
	(void) paillier_be_read(c, limbs, in + PAILLIER_WIRE_HEADER, len - PAILLIER_WIRE_HEADER);
	return significant(c, limbs) == 0 ? PAILLIER_ERR_ZERO : PAILLIER_OK;
}

paillier_result
paillier_header_check(const paillier_header *header)
{
	if (header->version != PAILLIER_WIRE_VERSION)
		return PAILLIER_ERR_VERSION;
	if (header->slot_bits != 0 || header->slots != 0 ||
		!paillier_bound_packed_valid(header->bound_mantissa, header->bound_exponent))
		return PAILLIER_ERR_HEADER;
	return PAILLIER_OK;
}

/* ---- key ids ---- */

void
paillier_key_id_write(char *out, const uint8_t *id)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < PAILLIER_KEY_ID_LENGTH; i++)
	{
		*out++ = digits[id[i] >> 4];
		*out++ = digits[id[i] & 15];
	}
	*out = '\0';
}

int
paillier_hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
paillier_key_id_read(uint8_t *id, const char *in, size_t len)
{
	if (len != PAILLIER_KEY_ID_HEX)
		return false;
	for (int i = 0; i < PAILLIER_KEY_ID_LENGTH; i++)
	{
		int			high = paillier_hex_digit(in[2 * i]);
		int			low = paillier_hex_digit(in[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id[i] = high << 4 | low;
	}
	return true;
}

/* ---- decimal numbers ---- */

/* Powers of ten that fit a limb: a limb's worth of digits is handled at once. */
#define LIMB_DIGITS 19

static const mp_limb_t power_of_ten[LIMB_DIGITS + 1] = {
	1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u, 10000000000u,
	100000000000u, 1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u, 10000000000000000u,
	100000000000000000u, 1000000000000000000u, 10000000000000000000u
};

/* mag := mag·10^count + chunk; false when it does not fit. */
static bool
append_digits(mp_limb_t *mag, int limbs, mp_limb_t chunk, int count)
{
	mp_limb_t	carry = mpn_mul_1(mag, mag, limbs, power_of_ten[count]);

	return (carry | mpn_add_1(mag, mag, limbs, chunk)) == 0;
}

paillier_result
paillier_decimal_read(bool *negative, mp_limb_t *mag, int limbs, int *scale, const char *text, size_t len)
{
	const char *end = text + len;
	mp_limb_t	chunk = 0;
	int			count = 0;		/* digits in chunk */
	int			decimals = 0;	/* digits after the point, those dropped not counted */
	bool		digits = false;
	bool		point = false;
	bool		fits = true;

	*negative = false;
	if (text < end && (*text == '-' || *text == '+'))
		*negative = *text++ == '-';
	mpn_zero(mag, limbs);

	for (; text < end; text++)
	{
		if (*text == '.' && !point)
		{
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return PAILLIER_ERR_NUMBER;
		digits = true;
		if (point && decimals == (*scale < 0 ? PAILLIER_MAX_SCALE : *scale))
		{
			if (*text != '0' || *scale < 0)
				return PAILLIER_ERR_SCALE;
			continue;
		}
		decimals += point;
		chunk = 10 * chunk + (*text - '0');
		if (++count == LIMB_DIGITS && fits)
		{
			fits = append_digits(mag, limbs, chunk, count);
			chunk = count = 0;
		}
		else if (!fits)
			chunk = count = 0;
	}
	if (!digits)
		return PAILLIER_ERR_NUMBER;
	if (*scale < 0)
		*scale = decimals;

	/* what the text leaves out of the scale are zeros */
	fits = fits && append_digits(mag, limbs, chunk, count);
	for (int missing = *scale - decimals; missing > 0 && fits; missing -= LIMB_DIGITS)
		fits = append_digits(mag, limbs, 0, missing < LIMB_DIGITS ? missing : LIMB_DIGITS);
	if (!fits)
		return PAILLIER_ERR_RANGE;
	if (significant(mag, limbs) == 0)
		*negative = false;
	return PAILLIER_OK;
}

size_t
paillier_decimal_write(char *out, bool negative, mp_limb_t *mag, int limbs, int scale)
{
	char	   *start = out;
	char		reversed[PAILLIER_DECIMAL_ROOM];
	int			count = 0;

	limbs = significant(mag, limbs);
	while (limbs > 0)
	{
		mp_limb_t	chunk = mpn_divrem_1(mag, 0, mag, limbs, power_of_ten[LIMB_DIGITS]);

		limbs = significant(mag, limbs);
		for (int i = 0; i < LIMB_DIGITS && (limbs > 0 || chunk > 0); i++, chunk /= 10)
			reversed[count++] = '0' + chunk % 10;
	}
	while (count <= scale)
		reversed[count++] = '0';

	if (negative)
		*out++ = '-';
	while (count > 0)
	{
		if (count == scale)
			*out++ = '.';
		*out++ = reversed[--count];
	}
	*out = '\0';
	paillier_wipe(reversed, sizeof(reversed));
	return out - start;
}
