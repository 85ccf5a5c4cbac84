/*
 * codec.h
 *		Representations outside memory: big-endian integers, base64url, the
 *		ciphertext's wire form, decimal text.
 *
 * Decoders accept exactly what the encoders write (plus what is said beside
 * them), check every length before they read, and return a result code.
 */
#ifndef PAILLIER_CODEC_H
#define PAILLIER_CODEC_H

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"
#include "result.h"

/* ---- big-endian integers ---- */

/* Bytes of {a, limbs} without leading zeros; 0 for zero. */
extern size_t paillier_be_length(const mp_limb_t *a, int limbs);

/* Write the low `len` bytes of {a, limbs}, most significant first. */
extern void paillier_be_write(uint8_t *out, size_t len, const mp_limb_t *a, int limbs);

/*
 * Read a big-endian integer into exactly `limbs` limbs.  Leading zero bytes
 * are allowed; false when the value does not fit.
 */
extern bool paillier_be_read(mp_limb_t *a, int limbs, const uint8_t *in, size_t len);

/* ---- base64url without padding (RFC 4648, section 5) ---- */

#define PAILLIER_BASE64_LENGTH(len)		(((len) * 4 + 2) / 3)
#define PAILLIER_BASE64_DECODED(len)	((len) / 4 * 3 + (len) % 4 * 3 / 4)

/* Returns the characters written, PAILLIER_BASE64_LENGTH(len); no terminator. */
extern size_t paillier_base64_encode(char *out, const uint8_t *in, size_t len);

/*
 * Decode to PAILLIER_BASE64_DECODED(len) bytes.  False for a length of 1 mod 4,
 * a character outside the alphabet, or unused bits that are not zero.
 */
extern bool paillier_base64_decode(uint8_t *out, const char *in, size_t len);

/* ---- ciphertexts ---- */

/* n² of the largest key, 8192 bits */
#define PAILLIER_MAX_CIPHERTEXT_LIMBS 256

#define PAILLIER_WIRE_VERSION	1
#define PAILLIER_KEY_ID_LENGTH	16

/*
 * What is known of a ciphertext without any key.  In memory in host order; on
 * the wire the same fields in the same order, big-endian, followed by the
 * ciphertext, big-endian, in 8 bytes for each limb of n².
 */
typedef struct paillier_header
{
	uint8_t		version;
	uint8_t		scale;			/* decimal digits after the point */
	uint16_t	slot_bits;		/* 0: one number.  Packed slots are not */
	uint16_t	slots;			/* supported yet: both must be 0. */
	uint16_t	bound_exponent; /* |plaintext| <= mantissa·2^exponent */
	uint32_t	bound_mantissa;
	uint8_t		key_id[PAILLIER_KEY_ID_LENGTH];
} paillier_header;

#define PAILLIER_WIRE_HEADER	28
#define PAILLIER_WIRE_LENGTH(limbs) (PAILLIER_WIRE_HEADER + 8 * (size_t) (limbs))

/* Write PAILLIER_WIRE_LENGTH(limbs) bytes. */
extern void paillier_wire_write(uint8_t *out, const paillier_header *header, const mp_limb_t *c, int limbs);

/* Limbs of the ciphertext in a wire form of `len` bytes; 0 when no ciphertext has this length. */
extern int	paillier_wire_limbs(size_t len);

/*
 * Read and check header and ciphertext; `len` must be one for which
 * paillier_wire_limbs() is not 0, and c have room for that many limbs.
 */
extern paillier_result paillier_wire_read(paillier_header *header, mp_limb_t *c, const uint8_t *in, size_t len);

/* Whether a header that came from outside is one that we would write. */
extern paillier_result paillier_header_check(const paillier_header *header);

/* ---- key ids ---- */

/* The value of a hexadecimal digit of either case; -1 for anything else. */
extern int	paillier_hex_digit(int c);

#define PAILLIER_KEY_ID_HEX		(2 * PAILLIER_KEY_ID_LENGTH)

/* Writes PAILLIER_KEY_ID_HEX digits and a terminator. */
extern void paillier_key_id_write(char *out, const uint8_t *id);

/* Reads exactly PAILLIER_KEY_ID_HEX digits of either case. */
extern bool paillier_key_id_read(uint8_t *id, const char *in, size_t len);

/* ---- decimal numbers ---- */

#define PAILLIER_MAX_SCALE		255

/* Room for any plaintext of the largest key at the largest scale. */
#define PAILLIER_DECIMAL_ROOM	2800

/*
 * Read decimal text, a sign, digits and a point among, before or behind them,
 * as an integer of units 10^-scale: sign and {mag, limbs}, limbs >= 1.  With *scale < 0 the scale is that of the
 * text, and is returned.
 *		PAILLIER_ERR_NUMBER	not such a text
 *		PAILLIER_ERR_SCALE	a digit other than 0 beyond the scale, or a scale above the largest
 *		PAILLIER_ERR_RANGE	does not fit the limbs
 */
extern paillier_result paillier_decimal_read(bool *negative, mp_limb_t *mag, int limbs, int *scale, const char *text,
											 size_t len);

/*
 * Write the number with its terminator, at most PAILLIER_DECIMAL_ROOM bytes;
 * {mag, limbs} is destroyed.  Returns the length without the terminator.
 */
extern size_t paillier_decimal_write(char *out, bool negative, mp_limb_t *mag, int limbs, int scale);

#endif
