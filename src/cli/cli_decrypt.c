/*
 * cli_decrypt.c
 *		The command decrypt.
 */
#define _GNU_SOURCE				/* memmem() */
#include <string.h>

#include "cli.h"
#include "paillier_batch.h"

/* The key id stands behind 12 bytes of a ciphertext.  So many characters of it are no coincidence. */
#define ID_OFFSET PAILLIER_BASE64_LENGTH(12)
#define ID_SAMPLE 12
#define ID_TEXT PAILLIER_BASE64_LENGTH(PAILLIER_KEY_ID_LENGTH)

typedef struct decryption
{
	const cli_key **keys;
	char		(*ids)[ID_TEXT];	/* of the keys, as they stand in a ciphertext */
	int			nkeys;
	cli_selection selection;
} decryption;

#define MAX_TEXT PAILLIER_BASE64_LENGTH(PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS))

/* A ciphertext on its way to a number. */
typedef struct number
{
	int			field;
	const cli_key *key;
	paillier_header header;
	mp_limb_t	c[PAILLIER_MAX_CIPHERTEXT_LIMBS];
	mp_limb_t	mag[PAILLIER_MAX_N_LIMBS];
} number;

/* Ciphertexts under one key are decrypted so many at a time, and batches are as long. */
#define TOGETHER	1024
#define BATCH_BYTES	(1024 * 1024)

/* What a thread has of its own. */
typedef struct worker
{
	number		numbers[TOGETHER];
	paillier_bounded items[TOGETHER];
	uint8_t		wire[PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS)];
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
 * Whether the text has the id of a key at hand in its place, or nearer to the
 * beginning because of characters that were lost.  So it may be cut off, or have
 * anything for a header.
 */
static bool
has_key_id(const decryption *d, const char *text, size_t len)
{
	if (len > ID_OFFSET + ID_SAMPLE)
		len = ID_OFFSET + ID_SAMPLE;
	for (int i = 0; i < d->nkeys; i++)
		if (memmem(text, len, d->ids[i], ID_SAMPLE) != NULL)
			return true;
	return false;
}

/*
 * Whether a field that nobody has named holds a ciphertext: its header is one
 * that we would write, or it has the id of a key at hand.  A damaged ciphertext
 * thus does not pass for text, unless both are damaged.
 */
static bool
is_ciphertext(const decryption *d, const char *text, size_t len)
{
	/* header and one limb, which end with a character; no ciphertext is as short */
	uint8_t		wire[PAILLIER_WIRE_LENGTH(1)];
	paillier_header header;
	mp_limb_t	limb;
	paillier_result result;

	for (; len > 0 && strchr(" \t\r\n", *text) != NULL; text++)
		len--;
	if (has_key_id(d, text, len))
		return true;
	if (len < PAILLIER_BASE64_LENGTH(sizeof(wire)) ||
		!paillier_base64_decode(wire, text, PAILLIER_BASE64_LENGTH(sizeof(wire))))
		return false;
	result = paillier_wire_read(&header, &limb, wire, sizeof(wire));
	return (result != PAILLIER_ERR_VERSION && result != PAILLIER_ERR_HEADER) || find_key(d, header.key_id) != NULL;
}

static paillier_result
read_ciphertext(worker *w, number *n, int *limbs, const char *text, size_t len)
{
	if (len > MAX_TEXT)
		return PAILLIER_ERR_LENGTH;
	if (!paillier_base64_decode(w->wire, text, len))
		return PAILLIER_ERR_BASE64;
	*limbs = paillier_wire_limbs(PAILLIER_BASE64_DECODED(len));
	if (*limbs == 0)
		return PAILLIER_ERR_LENGTH;
	return paillier_wire_read(&n->header, n->c, w->wire, PAILLIER_BASE64_DECODED(len));
}

/* Read field i, which holds a ciphertext.  False when its row has failed. */
static bool
read_number(const decryption *d, worker *w, number *n, cli_batch *batch, int i)
{
	const cli_field *field = cli_batch_field(batch, i);
	int			limbs;
	paillier_result result = read_ciphertext(w, n, &limbs, cli_field_text(batch, field), field->len);

	n->field = i;
	n->key = result == PAILLIER_OK ? find_key(d, n->header.key_id) : NULL;
	if (n->key != NULL && limbs != n->key->key.pub.n2.limbs)
		result = PAILLIER_ERR_KEY_LENGTH;
	if (result != PAILLIER_OK)
		cli_batch_fail(batch, i, "invalid ciphertext: %s", paillier_strerror(result));
	else if (n->key == NULL)
	{
		char		id[PAILLIER_KEY_ID_HEX + 1];

		paillier_key_id_write(id, n->header.key_id);
		cli_batch_fail(batch, i, "ciphertext is under key %s, which was not given", id);
		return false;
	}
	return result == PAILLIER_OK;
}

static bool
recognise(const void *context, const cli_batch *batch, int i)
{
	const cli_field *field = cli_batch_field(batch, i);

	return is_ciphertext(context, cli_field_text(batch, field), field->len);
}

static bool
is_selected(const decryption *d, const cli_batch *batch, int i)
{
	const cli_field *field = cli_batch_field(batch, i);
	int			column = i % batch->columns;

	if (!d->selection.column[column] || field->null)
		return false;
	return d->selection.by_user || (batch->certain[column] && field->len > 0) || recognise(d, batch, i);
}

/* Read up to TOGETHER ciphertexts under one key from field *i on. */
static int
gather(const decryption *d, worker *w, cli_batch *batch, int *i)
{
	int			count = 0;

	for (; *i < batch->end && count < TOGETHER; ++*i)
	{
		number	   *n = &w->numbers[count];

		if (cli_batch_failed(batch, *i) || !is_selected(d, batch, *i) || !read_number(d, w, n, batch, *i))
			continue;
		if (n->key != w->numbers[0].key)
			break;				/* this one is read again, as the first of the next */
		count++;
	}
	return count;
}

static paillier_bound
bound_of(const number *n)
{
	return paillier_bound_unpack(n->header.bound_mantissa, n->header.bound_exponent);
}

static bool
go_on(void *state)
{
	const decryption *d = state;

	return !atomic_load(&d->selection.cancelled);
}

/* The inner loop: an array of ciphertexts, one key.  False when the run is cancelled. */
static bool
decrypt_numbers(const decryption *d, worker *w, int count)
{
	const paillier_host host = {.random = cli_random, .go_on = go_on, .state = (void *) d};

	for (int i = 0; i < count; i++)
	{
		number	   *n = &w->numbers[i];

		w->items[i] = (paillier_bounded) {.c = n->c, .bound = bound_of(n), .mag = n->mag};
	}
	return count == 0 || paillier_batch_decrypt(&w->numbers[0].key->key, w->items, count, &host, w->scratch);
}

/* Its row fails where it was no ciphertext, or its plaintext is no number that it may hold. */
static void
write_number(worker *w, cli_batch *batch, int *next, number *n, const paillier_bounded *plain)
{
	size_t		len;

	if (n->field >= batch->end || cli_batch_failed(batch, n->field))
		return;
	if (plain->result == PAILLIER_ERR_BOUND)
		cli_batch_fail(batch, n->field, "%s", paillier_strerror(plain->result));
	else if (plain->result != PAILLIER_OK)
		cli_batch_fail(batch, n->field, "invalid ciphertext: %s", paillier_strerror(plain->result));
	else
	{
		cli_batch_copy(batch, CLI_CSV, next, n->field);
		len = paillier_decimal_write(w->text, plain->negative, n->mag, n->key->key.pub.limbs, n->header.scale);
		cli_batch_write(batch, CLI_CSV, (*next)++, w->text, len, false);
	}
}

static void
decrypt_batch(const void *context, void *own, cli_batch *batch)
{
	const decryption *d = context;
	worker	   *w = own;
	int			next = 0;		/* field to write */
	int			i = 0;			/* field to read */

	while (i < batch->end && !atomic_load(&d->selection.cancelled))
	{
		int			count = gather(d, w, batch, &i);

		if (!decrypt_numbers(d, w, count))
			break;
		for (int j = 0; j < count; j++)
			write_number(w, batch, &next, &w->numbers[j], &w->items[j]);
		cli_batch_copy(batch, CLI_CSV, &next, i < batch->end ? i : batch->end);
	}
	batch->out.len = batch->complete;
	paillier_wipe(w->numbers, sizeof(w->numbers));
	paillier_wipe(w->text, sizeof(w->text));
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
	d->ids = cli_alloc(options->nkeys * sizeof(*d->ids));
	for (int i = 0; i < options->nkeys; i++)
	{
		const cli_key *key = cli_key_read(options->keys[i], options->min_bits);
		size_t		need;

		if (!key->is_private)
			cli_fail("%s: this is a public key, and decryption needs the private one",
					 cli_input_name(options->keys[i]));
		need = paillier_batch_scratch(&key->key, TOGETHER);
		if (scratch < need)
			scratch = need;
		paillier_base64_encode(d->ids[d->nkeys], key->id, PAILLIER_KEY_ID_LENGTH);
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
		.batch_rows = TOGETHER,
		.batch_fields = TOGETHER,
		.batch_bytes = BATCH_BYTES,
		.process = decrypt_batch,
		.recognise = recognise,
		.context = d,
		.workers = workers
	};

	for (int i = 0; i < options->jobs; i++)
		workers[i] = cli_alloc(sizeof(worker) + scratch * sizeof(mp_limb_t));
	cli_crypt(&task, &d->selection);
}
