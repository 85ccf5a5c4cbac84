/*
 * cli_key.c
 *		Key files: JSON Web Keys in the form that python-paillier writes.
 *
 * The JSON library is made to use memory that is wiped, as everything here that
 * holds a private key is.  No message shows any part of a key file.
 */
#include <errno.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* No key of 8192 bits comes near this. */
#define MAX_KEY_FILE 65536

/* ---- the file ---- */

static void
read_file(cli_buffer *text, int fd, const char *name)
{
	if (!cli_buffer_reserve(text, MAX_KEY_FILE + 1))
		cli_fail("out of memory");
	while (text->len <= MAX_KEY_FILE)
	{
		ssize_t		got = read(fd, text->data + text->len, MAX_KEY_FILE + 1 - text->len);

		if (got < 0 && errno != EINTR)
			cli_fail("%s: %s", name, strerror(errno));
		if (got == 0)
			break;
		if (got > 0)
			text->len += got;
	}
	if (text->len > MAX_KEY_FILE)
		cli_fail("%s: too long for a key: more than %d bytes", name, MAX_KEY_FILE);
	if (text->len == 0)
		cli_fail("%s: file is empty", name);
}

void
cli_key_warn_if_readable(int fd, const char *name)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		cli_warn("%s: private key is open to group or others (mode %04o): chmod 600 it", name,
				 (unsigned) st.st_mode & 07777);
}

/* ---- JSON ---- */

/* The library's own messages quote the text: this one tells the line only. */
static json_t *
parse_json(const cli_buffer *text, const char *name)
{
	json_error_t error;
	json_t	   *json;

	json_set_alloc_funcs(cli_try_alloc, cli_free);
	json = json_loadb(text->data, text->len, 0, &error);
	if (json == NULL)
	{
		int			line = error.line;

		paillier_wipe(&error, sizeof(error));
		cli_fail("%s: line %d: not valid JSON", name, line);
	}
	if (!json_is_object(json))
		cli_fail("%s: invalid key: %s", name, paillier_strerror(PAILLIER_ERR_JWK));
	return json;
}

/* The strings stay the JSON object's. */
static void
read_members(paillier_jwk *jwk, const json_t *json)
{
	jwk->kty = json_string_value(json_object_get(json, "kty"));
	jwk->alg = json_string_value(json_object_get(json, "alg"));
	jwk->n = json_string_value(json_object_get(json, "n"));
	jwk->djn = json_is_true(json_object_get(json, "djn"));
	jwk->p = json_string_value(json_object_get(json, "p"));
	jwk->q = json_string_value(json_object_get(json, "q"));
	jwk->lambda = json_string_value(json_object_get(json, "lambda"));
}

/* ---- keys ---- */

void
cli_key_id(uint8_t *id, const paillier_public *pub)
{
	uint8_t		bytes[8 * PAILLIER_MAX_N_LIMBS];
	uint8_t		digest[SHA256_DIGEST_LENGTH];
	size_t		len = paillier_be_length(pub->n, pub->limbs);

	paillier_be_write(bytes, len, pub->n, pub->limbs);
	SHA256(bytes, len, digest);
	memcpy(id, digest, PAILLIER_KEY_ID_LENGTH);
}

cli_key *
cli_key_read(const char *path, int min_bits)
{
	const char *name = cli_input_name(path);
	int			fd = cli_input_open(path);
	cli_key    *key = cli_alloc(sizeof(*key));
	mp_limb_t  *scratch = cli_alloc(paillier_jwk_scratch() * sizeof(mp_limb_t));
	cli_buffer	text = {0};
	json_t	   *json;
	json_t	   *inner;
	paillier_jwk jwk;
	paillier_jwk pub;
	paillier_result result;

	read_file(&text, fd, name);
	json = parse_json(&text, name);
	read_members(&jwk, json);
	inner = json_object_get(json, "pub");
	key->is_private = json_is_object(inner);
	if (key->is_private)
	{
		cli_key_warn_if_readable(fd, name);
		read_members(&pub, inner);
		result = paillier_jwk_read_private(&key->key, paillier_kernel_best(), &jwk, &pub, min_bits, cli_random, NULL,
										   scratch);
	}
	else
		result = paillier_jwk_read_public(&key->key.pub, paillier_kernel_best(), &jwk, min_bits, scratch);
	if (result == PAILLIER_ERR_KEY_SIZE)
		cli_fail("%s: invalid %s key: %s: %d to %d bits (see --min-bits)", name,
				 key->is_private ? "private" : "public", paillier_strerror(result), min_bits, PAILLIER_MAX_BITS);
	if (result != PAILLIER_OK)
		cli_fail("%s: invalid %s key: %s", name, key->is_private ? "private" : "public", paillier_strerror(result));
	cli_key_id(key->id, &key->key.pub);

	json_decref(json);
	cli_free(text.data);
	cli_free(scratch);
	if (fd != STDIN_FILENO)
		close(fd);
	return key;
}
