/*
 * codec_jwk.c
 *		JSON Web Keys, in the form python-paillier reads and writes.
 *
 * Reading the JSON itself is left to the caller, who has a JSON parser.
 */
#include <string.h>

#include "codec.h"

/* 8 bytes a limb, and as many again for leading zeros nobody needs */
#define MAX_INTEGER_BYTES (16 * PAILLIER_MAX_CIPHERTEXT_LIMBS)

static bool
is(const char *member, const char *value)
{
	return member != NULL && strcmp(member, value) == 0;
}

paillier_result
paillier_jwk_check_public(const paillier_jwk *jwk)
{
	return is(jwk->kty, "DAJ") && is(jwk->alg, "PAI-GN1") && jwk->n != NULL ? PAILLIER_OK : PAILLIER_ERR_JWK;
}

/* Factors, or lambda from which they follow. */
paillier_result
paillier_jwk_check_private(const paillier_jwk *jwk, const paillier_jwk *pub)
{
	if (!is(jwk->kty, "DAJ") || !((jwk->p != NULL && jwk->q != NULL) || jwk->lambda != NULL))
		return PAILLIER_ERR_JWK;
	return paillier_jwk_check_public(pub);
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
		explicit_bzero(bytes, sizeof(bytes));
		return PAILLIER_ERR_BASE64;
	}
	fits = paillier_be_read(a, limbs, bytes, PAILLIER_BASE64_DECODED(len));
	explicit_bzero(bytes, sizeof(bytes));
	if (!fits)
		return PAILLIER_ERR_KEY_SIZE;
	while (limbs > 1 && a[limbs - 1] == 0)
		limbs--;
	*used = limbs;
	return PAILLIER_OK;
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
	explicit_bzero(bytes, sizeof(bytes));
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
