/*
 * result.c
 *		Texts of the result codes.
 */
#include "result.h"

static const char *const texts[PAILLIER_RESULTS] = {
	[PAILLIER_OK] = "success",
	[PAILLIER_ERR_BASE64] = "not base64url text without padding",
	[PAILLIER_ERR_LENGTH] = "length is not valid",
	[PAILLIER_ERR_VERSION] = "format version is not supported",
	[PAILLIER_ERR_HEADER] = "header has invalid fields",
	[PAILLIER_ERR_NUMBER] = "not a decimal number",
	[PAILLIER_ERR_JWK] = "not a JSON Web Key of a Paillier key (\"kty\":\"DAJ\", \"alg\":\"PAI-GN1\")",
	[PAILLIER_ERR_KEY_SIZE] = "key size is out of range",
	[PAILLIER_ERR_MODULUS_EVEN] = "modulus or a factor of it is even",
	[PAILLIER_ERR_MODULUS_SQUARE] = "modulus is a perfect square",
	[PAILLIER_ERR_MODULUS_FACTOR] = "modulus has a small factor",
	[PAILLIER_ERR_PRIMES_EQUAL] = "both primes are the same",
	[PAILLIER_ERR_PRIMES_UNBALANCED] = "one prime is too small",
	[PAILLIER_ERR_COMPOSITE] = "a factor of the modulus is not prime",
	[PAILLIER_ERR_TOTIENT] = "modulus and its totient have a common factor",
	[PAILLIER_ERR_PRIVATE_MISMATCH] = "private and public parts do not belong together",
	[PAILLIER_ERR_ZERO] = "ciphertext is zero",
	[PAILLIER_ERR_TOO_LARGE] = "ciphertext is not below the square of the modulus",
	[PAILLIER_ERR_KEY_LENGTH] = "length does not fit the key",
	[PAILLIER_ERR_NOT_UNIT] = "ciphertext has a factor in common with the modulus",
	[PAILLIER_ERR_UNBLINDED] = "ciphertext is not blinded: it is readable without a key",
	[PAILLIER_ERR_SCALE] = "value has more decimal digits than the scale allows",
	[PAILLIER_ERR_RANGE] = "value is too large for the key",
	[PAILLIER_ERR_BOUND] = "decrypted value lies outside the declared bound",
	[PAILLIER_ERR_RANDOM] = "no random numbers from the operating system",
};

const char *
paillier_strerror(paillier_result result)
{
	return texts[result];
}
