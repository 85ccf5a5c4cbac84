/*
 * jwk.h
 *		Keys as JSON Web Keys, in the form python-paillier reads and writes.
 *
 * Reading the JSON itself is left to the caller, who has a JSON parser.
 */
#ifndef PAILLIER_JWK_H
#define PAILLIER_JWK_H

#include "codec.h"
#include "paillier_private.h"

/* The members a JSON reader found in one object; NULL where absent or not a string. */
typedef struct paillier_jwk
{
	const char *kty;
	const char *alg;
	const char *n;
	bool		djn;			/* the mark of keys made here */
	const char *p;
	const char *q;
	const char *lambda;
} paillier_jwk;

/* Limbs of scratch for reading a key. */
extern size_t paillier_jwk_scratch(void);

/*
 * The public key in an object, checked by paillier_public_check();
 * PAILLIER_ERR_JWK where the members are not those of a public key.
 */
extern paillier_result paillier_jwk_read_public(paillier_public *pub, const paillier_kernel *kernel,
												const paillier_jwk *jwk, int min_bits, mp_limb_t *scratch);

/*
 * The private key in an object around the public key `pub`, with p and q or,
 * in the older form, lambda; checked by paillier_private_import().
 */
extern paillier_result paillier_jwk_read_private(paillier_private *key, const paillier_kernel *kernel,
												 const paillier_jwk *jwk, const paillier_jwk *pub, int min_bits,
												 paillier_random random, void *state, mp_limb_t *scratch);

/*
 * One integer member, at most `limbs` limbs; the rest is set to zero and
 * *used tells the limbs that are significant (1 for zero).
 */
extern paillier_result paillier_jwk_integer(mp_limb_t *a, int limbs, int *used, const char *text);

/* Room for the text of a key of the given number of limbs, terminator included. */
#define PAILLIER_JWK_PUBLIC_ROOM(n_limbs)	(160 + 11 * (size_t) (n_limbs))
#define PAILLIER_JWK_PRIVATE_ROOM(n_limbs)	(320 + 34 * (size_t) (n_limbs))

/* Both return the length of the text without its terminator. */
extern size_t paillier_jwk_write_public(char *out, const mp_limb_t *n, int limbs, bool djn, const uint8_t *id);
extern size_t paillier_jwk_write_private(char *out, const mp_limb_t *p, int p_limbs, const mp_limb_t *q, int q_limbs,
										 const mp_limb_t *n, int limbs, bool djn, const uint8_t *id);

#endif
