/*
 * cli_keygen.c
 *		The commands keygen, public and id.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static void
write_line(cli_output *output, char *text, size_t len)
{
	text[len++] = '\n';
	cli_output_write(output, text, len);
}

/* Before minutes are spent on a key that could not be written. */
static void
check_absent(const char *path)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && lstat(path, &st) == 0)
		cli_fail("%s exists already and is not overwritten", path);
}

static void
make_key(paillier_private *key, int bits)
{
	int			limbs = (bits / 2 + 63) / 64;
	mp_limb_t  *scratch = cli_alloc(paillier_private_scratch(bits) * sizeof(mp_limb_t));
	mp_limb_t  *p = cli_alloc(limbs * sizeof(mp_limb_t));
	mp_limb_t  *q = cli_alloc(limbs * sizeof(mp_limb_t));
	paillier_result result = paillier_keygen(p, q, bits, cli_random, NULL, scratch);

	if (result == PAILLIER_OK)
		result = paillier_private_init(key, paillier_kernel_best(), p, limbs, q, limbs, true, scratch);
	if (result != PAILLIER_OK)
		cli_fail("%s", paillier_strerror(result));
	cli_free(q);
	cli_free(p);
	cli_free(scratch);
}

void
cli_keygen(const cli_options *options)
{
	paillier_private *key = cli_alloc(sizeof(*key));
	uint8_t		id[PAILLIER_KEY_ID_LENGTH];
	char		id_text[PAILLIER_KEY_ID_HEX + 1];
	char	   *text;
	size_t		len;
	cli_output	output;

	if (options->out == NULL)
		cli_usage_error("option --out is missing: where to write the private key");
	if (options->bits < options->min_bits || options->bits > PAILLIER_MAX_BITS || options->bits % 2 != 0)
		cli_usage_error("option --bits needs an even number from %d to %d", options->min_bits, PAILLIER_MAX_BITS);
	check_absent(options->out);

	make_key(key, options->bits);
	cli_key_id(id, &key->pub);
	text = cli_alloc(PAILLIER_JWK_PRIVATE_ROOM(key->p.limbs + key->q.limbs) + 1);
	len = paillier_jwk_write_private(text, key->p.p, key->p.limbs, key->q.p, key->q.limbs, key->pub.n,
									 key->pub.limbs, key->pub.djn, id);
	cli_output_create(&output, options->out, 0600);
	cli_key_warn_if_readable(output.fd, output.name);	/* standard output, that is: the shell made the file */
	write_line(&output, text, len);
	cli_output_sync(&output, options->out);
	cli_output_close(&output);
	paillier_key_id_write(id_text, id);
	fprintf(stderr, "key id: %s\n", id_text);
}

void
cli_public(const cli_options *options)
{
	const cli_key *key = cli_key_read(options->file, options->min_bits);
	const paillier_public *pub = &key->key.pub;
	char	   *text = cli_alloc(PAILLIER_JWK_PUBLIC_ROOM(pub->limbs) + 1);
	size_t		len = paillier_jwk_write_public(text, pub->n, pub->limbs, pub->djn, key->id);
	cli_output	output;

	cli_output_create(&output, options->out, 0666);
	write_line(&output, text, len);
	cli_output_close(&output);
}

void
cli_id(const cli_options *options)
{
	const cli_key *key = cli_key_read(options->file, options->min_bits);
	char		text[PAILLIER_KEY_ID_HEX + 2];

	paillier_key_id_write(text, key->id);
	cli_print(strcat(text, "\n"));
}
