/*
 * cli_decrypt.c
 *		The command decrypt.
 */
#include <string.h>

#include "cli.h"

typedef struct decryption
{
	const cli_key **keys;
	int			nkeys;
	cli_selection selection;
} decryption;

#define MAX_TEXT PAILLIER_BASE64_LENGTH(PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS))

/* What a thread has of its own. */
typedef struct worker
{
	uint8_t		wire[PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS)];
	paillier_header header;
	mp_limb_t	c[PAILLIER_MAX_CIPHERTEXT_LIMBS];
	bool		negative;
	mp_limb_t	mag[PAILLIER_MAX_N_LIMBS];
	char		text[PAILLIER_DECIMAL_ROOM];
	mp_limb_t	scratch[];
} worker;

static const cli_key *
find_key(const decryption *d, const uint8_t *id)
{
	for (int i = 0; i < d->nkeys; i++)
		if (memcmp(d->keys[i]->id, id, PAILLIER_KEY_ID_LENGTH) == 0)
			return d->keys[i];
	return NULL;
}

/*
 * Whether a field that nobody has named holds a ciphertext: its header is one
 * that we would write, or it has the id of a key at hand.  A damaged ciphertext
 * thus does not pass for text, unless both are damaged or the header is no
 * longer base64url.
 */
static bool
is_ciphertext(const decryption *d, worker *w, const char *text, size_t len)
{
	/* header and one limb, which end with a character; no ciphertext is as short */
	const size_t sample = PAILLIER_WIRE_LENGTH(1);
	paillier_result result;

	if (len < PAILLIER_BASE64_LENGTH(sample) ||
		!paillier_base64_decode(w->wire, text, PAILLIER_BASE64_LENGTH(sample)))
		return false;
	result = paillier_wire_read(&w->header, w->c, w->wire, sample);
	return (result != PAILLIER_ERR_VERSION && result != PAILLIER_ERR_HEADER) ||
		find_key(d, w->header.key_id) != NULL;
}

static paillier_result
read_ciphertext(worker *w, int *limbs, const char *text, size_t len)
{
	if (len > MAX_TEXT)
		return PAILLIER_ERR_LENGTH;
	if (!paillier_base64_decode(w->wire, text, len))
		return PAILLIER_ERR_BASE64;
	*limbs = paillier_wire_limbs(PAILLIER_BASE64_DECODED(len));
	if (*limbs == 0)
		return PAILLIER_ERR_LENGTH;
	return paillier_wire_read(&w->header, w->c, w->wire, PAILLIER_BASE64_DECODED(len));
}

/* Decrypt field i into w->text.  Returns its length, or 0 when the batch has failed. */
static size_t
decrypt_field(const decryption *d, worker *w, cli_batch *batch, int i)
{
	const cli_field *field = cli_batch_field(batch, i);
	const cli_key *key;
	paillier_bound bound;
	int			limbs;
	paillier_result result = read_ciphertext(w, &limbs, cli_field_text(batch, field), field->len);

	if (result != PAILLIER_OK)
	{
		cli_batch_fail(batch, i, "invalid ciphertext: %s", paillier_strerror(result));
		return 0;
	}
	key = find_key(d, w->header.key_id);
	if (key == NULL)
	{
		char		id[PAILLIER_KEY_ID_HEX + 1];

		paillier_key_id_write(id, w->header.key_id);
		cli_batch_fail(batch, i, "ciphertext is under key %s, which was not given", id);
		return 0;
	}
	if (limbs != key->key.pub.n2.limbs)
		result = PAILLIER_ERR_LENGTH;
	else
		result = paillier_decrypt(&key->key, &w->negative, w->mag, w->c, w->scratch);
	if (result != PAILLIER_OK)
	{
		cli_batch_fail(batch, i, "invalid ciphertext: %s", paillier_strerror(result));
		return 0;
	}
	bound = paillier_bound_unpack(w->header.bound_mantissa, w->header.bound_exponent);
	if (!paillier_bound_covers(bound, w->mag, key->key.pub.limbs))
	{
		cli_batch_fail(batch, i, "%s", paillier_strerror(PAILLIER_ERR_BOUND));
		return 0;
	}
	return paillier_decimal_write(w->text, w->negative, w->mag, key->key.pub.limbs, w->header.scale);
}

/* False when the field cannot be decrypted. */
static bool
write_field(const decryption *d, worker *w, cli_batch *batch, int i)
{
	const cli_field *field = cli_batch_field(batch, i);
	const char *text = cli_field_text(batch, field);
	size_t		len = field->len;
	int			column = i % batch->columns;

	if (d->selection.column[column] && !field->null &&
		(d->selection.by_user || is_ciphertext(d, w, text, len)))
	{
		text = w->text;
		len = decrypt_field(d, w, batch, i);
		if (len == 0)
			return false;
	}
	cli_write_field(&batch->out, CLI_CSV, column, batch->columns, text, len, field->null);
	return true;
}

static void
decrypt_batch(const void *context, void *own, cli_batch *batch)
{
	const decryption *d = context;
	worker	   *w = own;
	size_t		complete = 0;

	for (int i = 0; i < batch->rows * batch->columns && !atomic_load(&d->selection.cancelled); i++)
	{
		if (!write_field(d, w, batch, i))
			break;
		if ((i + 1) % batch->columns == 0)
		{
			complete = batch->out.len;
			batch->rows_out++;
		}
	}
	batch->out.len = complete;
	explicit_bzero(w->mag, sizeof(w->mag));
	explicit_bzero(w->text, sizeof(w->text));
}

/* ---- the command ---- */

/* Room for decryption under the largest key, and for every key's factors. */
static size_t
read_keys(decryption *d, const cli_options *options)
{
	size_t		scratch = 0;

	if (options->nkeys == 0)
		cli_usage_error("option --key is missing: the private key to decrypt with");
	d->keys = cli_alloc(options->nkeys * sizeof(*d->keys));
	for (int i = 0; i < options->nkeys; i++)
	{
		const cli_key *key = cli_key_read(options->keys[i], options->min_bits);
		size_t		need = paillier_private_scratch(64 * (key->key.p.limbs + key->key.q.limbs));

		if (!key->is_private)
			cli_fail("%s: this is a public key, and decryption needs the private one",
					 cli_input_name(options->keys[i]));
		if (scratch < need)
			scratch = need;
		d->keys[d->nkeys++] = key;
	}
	return scratch;
}

void
cli_decrypt(const cli_options *options)
{
	decryption *d = cli_alloc(sizeof(*d));
	void	  **workers = cli_alloc(options->jobs * sizeof(void *));
	size_t		scratch = read_keys(d, options);
	cli_task	task = {
		.options = options,
		.input = CLI_COPY,
		.output = CLI_CSV,
		.copy_header = true,
		.process = decrypt_batch,
		.context = d,
		.workers = workers
	};

	for (int i = 0; i < options->jobs; i++)
		workers[i] = cli_alloc(sizeof(worker) + scratch * sizeof(mp_limb_t));
	cli_crypt(&task, &d->selection);
}
