/*
 * cli_encrypt.c
 *		The command encrypt.
 */
#include <string.h>

#include "cli.h"

/* Values that are encrypted in one step: a vector kernel takes eight. */
#define LANES 8

typedef struct encryption
{
	const cli_options *options;
	const cli_key *key;
	paillier_blinder blinder;
	cli_selection selection;
} encryption;

/* A number on its way to a ciphertext. */
typedef struct value
{
	int			field;			/* in the batch */
	bool		negative;
	mp_limb_t	mag[PAILLIER_MAX_N_LIMBS];
	paillier_header header;
	mp_limb_t	c[PAILLIER_MAX_CIPHERTEXT_LIMBS];
} value;

/* What a thread has of its own. */
typedef struct worker
{
	value		values[LANES];
	uint8_t		wire[PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS)];
	char		text[PAILLIER_BASE64_LENGTH(PAILLIER_WIRE_LENGTH(PAILLIER_MAX_CIPHERTEXT_LIMBS))];
	mp_limb_t	scratch[];
} worker;

static paillier_result
read_value(const encryption *e, value *v, const char *text, size_t len)
{
	const paillier_public *pub = &e->key->key.pub;
	int			scale = e->options->scale;
	paillier_bound bound;
	paillier_result result = paillier_decimal_read(&v->negative, v->mag, pub->limbs, &scale, text, len);

	if (result != PAILLIER_OK)
		return result;
	if (!paillier_bound_declare(&bound, pub->limit, e->options->width, v->mag, pub->limbs))
		return PAILLIER_ERR_RANGE;
	memset(&v->header, 0, sizeof(v->header));
	v->header.version = PAILLIER_WIRE_VERSION;
	v->header.scale = scale;
	paillier_bound_pack(bound, &v->header.bound_mantissa, &v->header.bound_exponent);
	memcpy(v->header.key_id, e->key->id, PAILLIER_KEY_ID_LENGTH);
	return PAILLIER_OK;
}

/* The inner loop: an array of values, one key. */
static paillier_result
encrypt_values(const paillier_blinder *blinder, value *values, int count, mp_limb_t *scratch)
{
	paillier_plaintext plain[LANES];
	mp_limb_t  *c[LANES];

	for (int i = 0; i < count; i++)
	{
		plain[i] = (paillier_plaintext) {values[i].negative, values[i].mag};
		c[i] = values[i].c;
	}
	return paillier_encrypt(blinder, c, plain, count, cli_random, NULL, scratch);
}

static void
write_ciphertext(cli_batch *batch, int *next, const value *v, int limbs, worker *w)
{
	size_t		len;

	if (v->field >= batch->end || cli_batch_failed(batch, v->field))
		return;
	cli_batch_copy(batch, CLI_COPY, next, v->field);
	paillier_wire_write(w->wire, &v->header, v->c, limbs);
	len = paillier_base64_encode(w->text, w->wire, PAILLIER_WIRE_LENGTH(limbs));
	cli_batch_write(batch, CLI_COPY, (*next)++, w->text, len, false);
}

/* Read up to LANES values from field *i on; the row of one that cannot be read has failed. */
static int
gather(const encryption *e, worker *w, cli_batch *batch, int *i)
{
	int			count = 0;

	for (; *i < batch->end && count < LANES; ++*i)
	{
		const cli_field *field = cli_batch_field(batch, *i);
		paillier_result result;

		if (!e->selection.column[*i % batch->columns] || field->null || cli_batch_failed(batch, *i))
			continue;
		w->values[count].field = *i;
		result = read_value(e, &w->values[count], cli_field_text(batch, field), field->len);
		if (result != PAILLIER_OK)
			cli_batch_fail(batch, *i, "invalid number: %s", paillier_strerror(result));
		else
			count++;
	}
	return count;
}

static void
encrypt_batch(const void *context, void *own, cli_batch *batch)
{
	const encryption *e = context;
	worker	   *w = own;
	int			limbs = e->key->key.pub.n2.limbs;
	int			next = 0;		/* field to write */
	int			i = 0;			/* field to read */

	cli_batch_begin(batch);
	while (i < batch->end && !atomic_load(&e->selection.cancelled))
	{
		int			count = gather(e, w, batch, &i);
		paillier_result result = encrypt_values(&e->blinder, w->values, count, w->scratch);

		/* no random numbers: not the fault of a row */
		if (result != PAILLIER_OK)
		{
			batch->keep_going = false;
			cli_batch_fail(batch, w->values[0].field, "%s", paillier_strerror(result));
		}
		for (int j = 0; j < count; j++)
			write_ciphertext(batch, &next, &w->values[j], limbs, w);
		cli_batch_copy(batch, CLI_COPY, &next, i < batch->end ? i : batch->end);
	}
	batch->out.len = batch->complete;
	paillier_wipe(w->values, sizeof(w->values));
}

/* ---- the command ---- */

static const cli_key *
read_key(const cli_options *options)
{
	const cli_key *key;

	if (options->nkeys != 1)
		cli_usage_error("option --key is needed once: the public key to encrypt under");
	key = cli_key_read(options->keys[0], options->min_bits);
	if (key->is_private)
		cli_warn("%s: this is a private key, where the public one is enough", options->keys[0]);
	if (paillier_bound_cmp(paillier_bound_from_width(options->width), key->key.pub.limit) > 0)
		cli_usage_error("a width of %d bits does not fit a key of %d bits", options->width, key->key.pub.bits);
	return key;
}

static void
make_blinder(paillier_blinder *blinder, const paillier_public *pub, mp_limb_t *scratch)
{
	size_t		limbs = paillier_blinder_table(pub, &paillier_comb_large);
	mp_limb_t  *table = limbs > 0 ? cli_alloc(limbs * sizeof(mp_limb_t)) : NULL;
	paillier_result result = paillier_blinder_init(blinder, pub, &paillier_comb_large, table, cli_random, NULL,
												   scratch);

	if (result != PAILLIER_OK)
		cli_fail("%s", paillier_strerror(result));
}

void
cli_encrypt(const cli_options *options)
{
	encryption *e = cli_alloc(sizeof(*e));
	void	  **workers = cli_alloc(options->jobs * sizeof(void *));
	cli_task	task = {
		.options = options,
		.input = CLI_CSV,
		.output = CLI_COPY,
		.last_column = true,
		.batch_rows = 32,
		.batch_fields = 256,
		.batch_bytes = 256 * 1024,
		.process = encrypt_batch,
		.context = e,
		.workers = workers
	};

	e->options = options;
	e->key = read_key(options);
	for (int i = 0; i < options->jobs; i++)
		workers[i] = cli_alloc(sizeof(worker) +
							   PAILLIER_BLIND_SCRATCH(e->key->key.pub.n2.limbs) * sizeof(mp_limb_t));
	make_blinder(&e->blinder, &e->key->key.pub, ((worker *) workers[0])->scratch);
	cli_crypt(&task, &e->selection);
}
