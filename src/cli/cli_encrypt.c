/*
 * cli_encrypt.c
 *		The command encrypt.
 */
#include <string.h>

#include "cli.h"

/* Values that are encrypted in one step: a vector kernel takes eight. */
#define LANES 8

/* What is encrypted under one key. */
typedef struct encryption
{
	const cli_options *options;
	const cli_key *key;
	paillier_blinder blinder;
	const bool *column;			/* which columns */
	const atomic_bool *cancelled;
} encryption;

/* The rows of the input, and the registers that they add up to. */
typedef struct job
{
	encryption	readings;
	encryption	registers;
	cli_selection selection;
	bool		register_column[CLI_REGISTER_FIELDS];
	cli_ledger *ledger;			/* NULL: nothing depends on the order of rows */
} job;

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

		if (!e->column[*i % batch->columns] || field->null || cli_batch_failed(batch, *i))
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
encrypt_rows(const encryption *e, worker *w, cli_batch *batch)
{
	int			limbs = e->key->key.pub.n2.limbs;
	int			next = 0;		/* field to write */
	int			i = 0;			/* field to read */

	while (i < batch->end && !atomic_load(e->cancelled))
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

static void
encrypt_batch(const void *context, void *own, cli_batch *batch)
{
	const job  *j = context;

	encrypt_rows(&j->readings, own, batch);
	if (batch->registers != NULL)
		encrypt_rows(&j->registers, own, batch->registers);
}

/* ---- before that, in the order of the rows ---- */

/*
 * Numbers as the decimal reader takes them.  One that may be a part of another, or
 * may have another meaning for whoever wrote it, is refused: nobody would notice.
 */
static void
prepare_number(const job *j, cli_batch *batch, int i)
{
	const cli_options *options = j->readings.options;
	const cli_field *field = cli_batch_field(batch, i);
	char	   *text = batch->text.data + field->start;
	char	   *comma = field->len > 0 ? memchr(text, ',', field->len) : NULL;
	bool		point = field->len > 0 && memchr(text, '.', field->len) != NULL;

	if (options->decimal == ',' && point)
		cli_batch_fail(batch, i, "number has a point, but --decimal says that a comma comes before decimals");
	else if (options->decimal == ',' && comma != NULL)
		*comma = '.';
	else if (comma != NULL)
		cli_batch_fail(batch, i, "number has a comma: if it comes before decimals, say --decimal ','");
	else if (point && options->decimal == '\0' && options->delimiter == ';')
		cli_batch_fail(batch, i, "number has a point: if it comes before decimals, say --decimal '.'");
	else if (!j->selection.by_user && options->delimiter == '\0' && batch->columns > 1 && field->len > 1 &&
			 text[0] == '0' && text[1] >= '0' && text[1] <= '9')
		cli_batch_fail(batch, i, "number begins with 0: if it is what follows a decimal comma, name what separates "
					   "fields by --delimiter, otherwise name the column by --column");
}

static void
prepare_batch(const void *context, cli_batch *batch)
{
	const job  *j = context;

	if (j->registers.key != NULL && batch->registers == NULL)
		batch->registers = cli_alloc(sizeof(cli_batch));
	for (int row = 0; row < batch->rows && row * batch->columns < batch->end; row++)
	{
		for (int i = row * batch->columns; i < (row + 1) * batch->columns; i++)
			if (j->selection.column[i % batch->columns] && !cli_batch_field(batch, i)->null)
				prepare_number(j, batch, i);
		if (j->ledger != NULL && !cli_batch_failed(batch, row * batch->columns))
			cli_ledger_take_row(j->ledger, batch, row);
	}
	if (batch->registers != NULL)
		cli_batch_begin(batch->registers);
}

/* ---- the command ---- */

static const cli_key *
read_key(const cli_options *options, const char *path)
{
	const cli_key *key = cli_key_read(path, options->min_bits);

	if (key->is_private)
		cli_warn("%s: this is a private key, where the public one is enough", path);
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

static void
begin(encryption *e, const job *j, const cli_key *key, const bool *column, mp_limb_t *scratch)
{
	*e = (encryption) {
		.options = j->readings.options,
		.key = key,
		.column = column,
		.cancelled = &j->selection.cancelled
	};
	make_blinder(&e->blinder, &key->key.pub, scratch);
}

/* Scratch for either key */
static void **
make_workers(int jobs, int limbs)
{
	void	  **workers = cli_alloc(jobs * sizeof(void *));

	for (int i = 0; i < jobs; i++)
		workers[i] = cli_alloc(sizeof(worker) + PAILLIER_BLIND_SCRATCH(limbs) * sizeof(mp_limb_t));
	return workers;
}

/* What is lost to whoever bills by the registers. */
static void
warn_of_uncounted(const cli_ledger *ledger)
{
	long		count = cli_ledger_uncounted(ledger);

	if (count > 0)
		cli_warn("%ld reading%s in no register, because %s bill window is not complete", count,
				 count == 1 ? " is" : "s are", count == 1 ? "its" : "their");
}

void
cli_encrypt(const cli_options *options)
{
	job		   *j = cli_alloc(sizeof(*j));
	const cli_key *key;
	const cli_key *bill_key = NULL;
	int			limbs;
	cli_task	task = {
		.options = options,
		.input = CLI_CSV,
		.output = CLI_COPY,
		.last_column = true,
		.batch_rows = 32,
		.batch_fields = 256,
		.batch_bytes = 256 * 1024,
		.prepare = prepare_batch,
		.process = encrypt_batch,
		.context = j
	};

	if (options->nkeys != 1)
		cli_usage_error("option --key is needed once: the public key to encrypt under");
	key = read_key(options, options->keys[0]);
	limbs = key->key.pub.n2.limbs;
	if (options->bill_key != NULL)
		bill_key = read_key(options, options->bill_key);
	if (bill_key != NULL && memcmp(key->id, bill_key->id, sizeof(key->id)) == 0)
		cli_usage_error("--key and --bill-key are the same key: who holds it could decrypt both");
	if (bill_key != NULL && bill_key->key.pub.n2.limbs > limbs)
		limbs = bill_key->key.pub.n2.limbs;
	task.workers = make_workers(options->jobs, limbs);
	j->readings.options = options;
	if (options->timed)
		j->ledger = cli_ledger_new(options, &j->selection);
	begin(&j->readings, j, key, j->selection.column, ((worker *) task.workers[0])->scratch);
	j->register_column[CLI_REGISTER_FIELDS - 1] = true;
	if (bill_key != NULL)
		begin(&j->registers, j, bill_key, j->register_column, ((worker *) task.workers[0])->scratch);
	cli_crypt(&task, &j->selection);
	if (bill_key != NULL)
		warn_of_uncounted(j->ledger);
}
