/*
 * paillier_batch.h
 *		Decryption of many ciphertexts under one key, for the price of a few.
 *
 * Small values are packed: modulo p², Π c_i^(2^(s_i)) is a ciphertext of
 * Σ m_i·2^(s_i), so that one power decrypts all values whose slots of b_i bits fit
 * below p.  A value outside its bound would spill into other slots.  Therefore a
 * combination of all with random factors r_i is decrypted, too, modulo p and modulo
 * q, and compared with Σ r_i·v_i for the values v_i that were unpacked.  A set of
 * values that are not all right passes with a probability below 2^-62: r_i = ρ·σ
 * for nonzero ρ and σ of 64 random bits, ρ for the eight ciphertexts of a step and
 * σ for those at the same place of all steps.
 *
 * Nothing is given out before.  Where the comparison fails, it is repeated for the
 * values of each pack alone, and those of packs that fail are decrypted one by
 * one.  Results are those of paillier_decrypt() and a look at the bound.
 *
 * What is done depends on the ciphertexts, on their bounds and on the sizes of the
 * primes.  It also depends on whether a comparison failed, that is whether there is
 * a value outside its bound, or no ciphertext, and on where: which the results show.
 * All checks of a comparison end in one bit.
 *
 * Bits of a pack stay away from p by a margin of 128: close to p, the question
 * whether a value from outside fits into the pack would compare it with p.
 */
#ifndef PAILLIER_BATCH_H
#define PAILLIER_BATCH_H

#include "paillier_private.h"

/* One of many: ciphertext and bound, the result, and the plaintext as sign and {mag, key->pub.limbs}. */
typedef struct paillier_bounded
{
	const mp_limb_t *c;
	paillier_bound bound;
	paillier_result result;
	bool		negative;
	mp_limb_t  *mag;			/* the caller's; zero where the result is not PAILLIER_OK */
} paillier_bounded;

/* What the caller lends. */
typedef struct paillier_host
{
	paillier_random random;		/* when it fails, all are decrypted one by one */

	/* Called every few milliseconds, at most eight decryptions: false ends the work; or it does not return. */
	bool		(*go_on) (void *state);
	void	   *state;			/* for both */
} paillier_host;

/*
 * Limbs of scratch to decrypt so many, which the caller wipes: for fewer than
 * paillier_batch_usual.least what paillier_private_scratch() asks for.
 */
extern size_t paillier_batch_scratch(const paillier_private *key, int count);

/*
 * Decrypt item[0 … count - 1].  Results are those of paillier_decrypt(), or
 * PAILLIER_ERR_BOUND for a value outside its bound.  False when the host did not
 * want to go on: then there are no results.
 */
extern bool paillier_batch_decrypt(const paillier_private *key, paillier_bounded *item, int count,
								   const paillier_host *host, mp_limb_t *scratch);

/* ---- for tests ---- */

/* When to pack. */
typedef struct paillier_batch_rules
{
	int			least;			/* ciphertexts; fewer are decrypted one by one */
	int			prime_bits;		/* of both primes, at least */
	int			margin;			/* bits between a pack and p, 2 at least */
} paillier_batch_rules;

extern const paillier_batch_rules paillier_batch_usual;

extern size_t paillier_batch_scratch_by(const paillier_batch_rules *rules, const paillier_private *key, int count);
extern bool paillier_batch_decrypt_by(const paillier_batch_rules *rules, const paillier_private *key,
									  paillier_bounded *item, int count, const paillier_host *host,
									  mp_limb_t *scratch);

#endif
