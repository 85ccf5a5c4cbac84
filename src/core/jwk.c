/*
 * jwk.c
 *		JSON Web Keys.
 */
#include <string.h>

#include "jwk.h"

/* 8 bytes a limb, and as many again for leading zeros nobody needs */
#define MAX_INTEGER_BYTES (16 * PAILLIER_MAX_CIPHERTEXT_LIMBS)

static bool
is(const char *member, const char *value)
{
	return member != NULL && strcmp(member, value) == 0;
}

paillier_result
paillier_jwk_integer(mp_limb_t *a, int limbs, int *used, const char *text)
{
	uint8_t		bytes[MAX_INTEGER_BYTES];
	size_t		len;
	bool		fits;

	if (text == NULL)
		return PAILLIER_ERR_JWK;
	len = strlen(text);
	if (len == 0)
		return PAILLIER_ERR_JWK;
	if (PAILLIER_BASE64_DECODED(len) > sizeof(bytes))
		return PAILLIER_ERR_KEY_SIZE;
	if (!paillier_base64_decode(bytes, text, len))
	{
		paillier_wipe(bytes, sizeof(bytes));
		return PAILLIER_ERR_BASE64;
	}
	fits = paillier_be_read(a, limbs, bytes, PAILLIER_BASE64_DECODED(len));
	paillier_wipe(bytes, sizeof(bytes));
	if (!fits)
		return PAILLIER_ERR_KEY_SIZE;
	while (limbs > 1 && a[limbs - 1] == 0)
		limbs--;
	*used = limbs;
	return PAILLIER_OK;
}

size_t
paillier_jwk_scratch(void)
{
	return paillier_private_scratch(2 * PAILLIER_MAX_BITS) + 4 * PAILLIER_MAX_N_LIMBS;
}

static bool
is_public(const paillier_jwk *jwk)
{
	return is(jwk->kty, "DAJ") && is(jwk->alg, "PAI-GN1") && jwk->n != NULL;
}

paillier_result
paillier_jwk_read_public(paillier_public *pub, const paillier_kernel *kernel, const paillier_jwk *jwk, int min_bits,
						 mp_limb_t *scratch)
{
	mp_limb_t  *n = scratch;
	int			limbs;
	paillier_result result;

	if (!is_public(jwk))
		return PAILLIER_ERR_JWK;
	result = paillier_jwk_integer(n, PAILLIER_MAX_N_LIMBS, &limbs, jwk->n);
	if (result == PAILLIER_OK)
		result = paillier_public_check(n, limbs, min_bits);
	if (result == PAILLIER_OK)
		paillier_public_init(pub, kernel, n, limbs, jwk->djn, scratch + PAILLIER_MAX_N_LIMBS);
	return result;
}

/* p and q as they are given, or from lambda, which takes the place behind them in scratch. */
static paillier_result
read_factors(mp_limb_t *p, int *p_limbs, mp_limb_t *q, int *q_limbs, const paillier_jwk *jwk, const mp_limb_t *n,
			 int limbs, mp_limb_t *scratch)
{
	mp_limb_t  *lambda = scratch;
	int			used;
	paillier_result result;

	if (jwk->p != NULL && jwk->q != NULL)
	{
		result = paillier_jwk_integer(p, PAILLIER_MAX_N_LIMBS, p_limbs, jwk->p);
		return result != PAILLIER_OK ? result : paillier_jwk_integer(q, PAILLIER_MAX_N_LIMBS, q_limbs, jwk->q);
	}
	result = paillier_jwk_integer(lambda, limbs, &used, jwk->lambda);
	if (result == PAILLIER_OK)
		result = paillier_factor_lambda_var(p, p_limbs, q, q_limbs, lambda, n, limbs, scratch + limbs);
	return result;
}

paillier_result
paillier_jwk_read_private(paillier_private *key, const paillier_kernel *kernel, const paillier_jwk *jwk,
						  const paillier_jwk *pub, int min_bits, paillier_random random, void *state,
						  mp_limb_t *scratch)
{
	mp_limb_t  *n = scratch;
	mp_limb_t  *p = n + PAILLIER_MAX_N_LIMBS;
	mp_limb_t  *q = p + PAILLIER_MAX_N_LIMBS;
	mp_limb_t  *rest = q + PAILLIER_MAX_N_LIMBS;
	int			n_limbs;
	int			p_limbs;
	int			q_limbs;
	paillier_result result;

	if (!is_public(pub) || !is(jwk->kty, "DAJ") || !((jwk->p != NULL && jwk->q != NULL) || jwk->lambda != NULL))
		return PAILLIER_ERR_JWK;
	result = paillier_jwk_integer(n, PAILLIER_MAX_N_LIMBS, &n_limbs, pub->n);
	if (result == PAILLIER_OK)
		result = paillier_public_check(n, n_limbs, min_bits);
	if (result == PAILLIER_OK)
		result = read_factors(p, &p_limbs, q, &q_limbs, jwk, n, n_limbs, rest);
	if (result == PAILLIER_OK)
		result = paillier_private_import(key, kernel, p, p_limbs, q, q_limbs, pub->djn, min_bits, random,
										 state, rest);
	if (result == PAILLIER_OK && (n_limbs != key->pub.limbs || mpn_cmp(n, key->pub.n, n_limbs) != 0))
		result = PAILLIER_ERR_PRIVATE_MISMATCH;
	return result;
}

static char *
append(char *out, const char *text)
{
	size_t		len = strlen(text);

	memcpy(out, text, len + 1);
	return out + len;
}

static char *
append_integer(char *out, const mp_limb_t *a, int limbs)
{
	uint8_t		bytes[8 * PAILLIER_MAX_CIPHERTEXT_LIMBS];
	size_t		len = paillier_be_length(a, limbs);

	paillier_be_write(bytes, len, a, limbs);
	out += paillier_base64_encode(out, bytes, len);
	paillier_wipe(bytes, sizeof(bytes));
	return out;
}

static char *
append_public(char *out, const mp_limb_t *n, int limbs, bool djn, const uint8_t *id)
{
	char		kid[PAILLIER_KEY_ID_HEX + 1];

	paillier_key_id_write(kid, id);
	out = append(out, "{\"kty\":\"DAJ\",\"alg\":\"PAI-GN1\",\"key_ops\":[\"encrypt\"],\"n\":\"");
	out = append_integer(out, n, limbs);
	out = append(out, djn ? "\",\"djn\":true,\"kid\":\"" : "\",\"kid\":\"");
	out = append(out, kid);
	return append(out, "\"}");
}

size_t
paillier_jwk_write_public(char *out, const mp_limb_t *n, int limbs, bool djn, const uint8_t *id)
{
	return append_public(out, n, limbs, djn, id) - out;
}

size_t
paillier_jwk_write_private(char *out, const mp_limb_t *p, int p_limbs, const mp_limb_t *q, int q_limbs,
						   const mp_limb_t *n, int limbs, bool djn, const uint8_t *id)
{
	char	   *start = out;
	char		kid[PAILLIER_KEY_ID_HEX + 1];

	paillier_key_id_write(kid, id);
	out = append(out, "{\"kty\":\"DAJ\",\"key_ops\":[\"decrypt\"],\"p\":\"");
	out = append_integer(out, p, p_limbs);
	out = append(out, "\",\"q\":\"");
	out = append_integer(out, q, q_limbs);
	out = append(out, "\",\"pub\":");
	out = append_public(out, n, limbs, djn, id);
	out = append(out, ",\"kid\":\"");
	out = append(out, kid);
	return append(out, "\"}") - start;
}
