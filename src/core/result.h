/*
 * result.h
 *		Result codes of the core, and their texts: one table for server and
 *		program alike.
 */
#ifndef PAILLIER_RESULT_H
#define PAILLIER_RESULT_H

typedef enum paillier_result
{
	PAILLIER_OK = 0,
	/* encodings */
	PAILLIER_ERR_BASE64,
	PAILLIER_ERR_LENGTH,
	PAILLIER_ERR_VERSION,
	PAILLIER_ERR_HEADER,
	PAILLIER_ERR_NUMBER,
	PAILLIER_ERR_JWK,
	/* keys */
	PAILLIER_ERR_KEY_SIZE,
	PAILLIER_ERR_MODULUS_EVEN,
	PAILLIER_ERR_MODULUS_SQUARE,
	PAILLIER_ERR_MODULUS_FACTOR,
	PAILLIER_ERR_PRIMES_EQUAL,
	PAILLIER_ERR_PRIMES_UNBALANCED,
	PAILLIER_ERR_COMPOSITE,
	PAILLIER_ERR_TOTIENT,
	PAILLIER_ERR_PRIVATE_MISMATCH,
	/* ciphertexts */
	PAILLIER_ERR_ZERO,
	PAILLIER_ERR_TOO_LARGE,
	PAILLIER_ERR_KEY_LENGTH,
	PAILLIER_ERR_NOT_UNIT,
	PAILLIER_ERR_UNBLINDED,
	/* plaintexts */
	PAILLIER_ERR_SCALE,
	PAILLIER_ERR_RANGE,
	PAILLIER_ERR_BOUND,
	/* surroundings */
	PAILLIER_ERR_RANDOM,
	PAILLIER_RESULTS
} paillier_result;

/* What a code means, in lower case and without a full stop. */
extern const char *paillier_strerror(paillier_result result);

#endif
