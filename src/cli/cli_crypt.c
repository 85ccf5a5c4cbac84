/*
 * cli_crypt.c
 *		What encryption and decryption share: rows from a file through the
 *		workers to a file, in order and in bounded memory.
 *
 * The first error in the order of the rows ends the run, wherever it was found:
 * the rows before it are written, complete, and nothing behind them.  With
 * --keep-going a line that fails is left out.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* Rows that are looked at before any is written, unless they have to be waited for. */
#define FIRST_ROWS 3

/* A column is recognised by so many values at most. */
#define FIRST_VALUES 32

/* ---- progress ---- */

typedef struct progress
{
	bool		shown;
	long		rows;
	struct timespec begin;
	double		last;			/* seconds since then */
} progress;

static double
seconds_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - begin->tv_sec + 1e-9 * (now.tv_nsec - begin->tv_nsec);
}

/* For a human who does not already see the rows. */
static void
progress_begin(progress *p, const cli_options *options, const cli_output *output)
{
	memset(p, 0, sizeof(*p));
	clock_gettime(CLOCK_MONOTONIC, &p->begin);
	p->shown = !options->quiet && isatty(STDERR_FILENO) && !isatty(output->fd);
}

static void
progress_show(progress *p, const char *end)
{
	double		seconds = seconds_since(&p->begin);

	if (!p->shown || (*end == '\0' && seconds < p->last + 1))
		return;
	p->last = seconds;
	fprintf(stderr, "\r%ld rows, %.0f rows/s\033[K%s", p->rows, seconds > 0 ? p->rows / seconds : 0.0, end);
	fflush(stderr);
}

/* ---- the run ---- */

typedef struct run
{
	const cli_task *task;
	cli_selection *selection;
	const char *name;			/* of the input */
	cli_reader	reader;
	cli_output	output;
	cli_output	registers;
	cli_failures failures;
	cli_pool	pool;
	progress	progress;
	cli_batch	header;
	bool		resolved;		/* the columns are chosen */
	int			batch_rows;
	long		rows;			/* that were read, before the batch that is filled */

	/* for each column, until it is recognised or has FIRST_VALUES */
	bool		certain[CLI_MAX_COLUMNS];
	int			values[CLI_MAX_COLUMNS];
	int			ciphertexts[CLI_MAX_COLUMNS];
} run;

static void
stop_workers(void *arg)
{
	run		   *r = arg;

	atomic_store(&r->selection->cancelled, true);
	cli_pool_stop(&r->pool);
}

static void fail_at(run *r, const cli_error *error) __attribute__((noreturn));

static void
fail_at(run *r, const cli_error *error)
{
	char		text[1024];

	if (r->progress.shown && r->progress.last > 0)
		fputc('\n', stderr);
	cli_error_text(text, sizeof(text), r->name, error);
	cli_fail("%s", text);
}

/* ---- columns ---- */

static int
find_column(run *r, const cli_column *column)
{
	int			columns = r->reader.columns;
	int			found = 0;

	if (column->number > columns)
		cli_fail("%s: there is no column %d: rows have %d", r->name, column->number, columns);
	if (column->number > 0)
		return column->number;
	for (int i = 0; i < columns; i++)
	{
		const cli_field *field = cli_batch_field(&r->header, i);

		if (field->len != strlen(column->name) ||
			memcmp(cli_field_text(&r->header, field), column->name, field->len) != 0)
			continue;
		if (found != 0)
			cli_fail("%s: line 1: there are several columns \"%s\"", r->name, column->name);
		found = i + 1;
	}
	if (found == 0)
		cli_fail("%s: line 1: there is no column \"%s\"", r->name, column->name);
	return found;
}

/* The columns of time and meter are none that is encrypted. */
static void
resolve_time(run *r)
{
	const cli_options *options = r->task->options;
	cli_selection *s = r->selection;

	s->time = find_column(r, &options->time);
	if (options->meter.number > 0 || options->meter.name != NULL)
		s->meter = find_column(r, &options->meter);
	if (!s->by_user && r->reader.columns > 3)
		cli_fail("%s: rows have %d columns: name the one to encrypt by --column", r->name, r->reader.columns);
	if (s->column[s->time - 1])
		cli_fail("%s: column %d is that of the time and cannot be encrypted: see --time", r->name, s->time);
	if (s->meter == s->time || (s->meter > 0 && s->column[s->meter - 1]))
		cli_fail("%s: column %d is that of the meter and cannot be another one too: see --meter", r->name, s->meter);
	if (options->bill_key != NULL && s->count != 1)
		cli_fail("%s: registers can be made of one column, and %d are encrypted", r->name, s->count);
}

/* With the first row at hand. */
static void
resolve_columns(run *r)
{
	const cli_options *options = r->task->options;
	cli_selection *s = r->selection;
	int			columns = r->reader.columns;

	for (int i = 0; i < options->ncolumns; i++)
		s->column[find_column(r, &options->columns[i]) - 1] = true;
	s->by_user = options->ncolumns > 0;
	if (!s->by_user)
		for (int i = r->task->last_column ? columns - 1 : 0; i < columns; i++)
			s->column[i] = true;
	for (int i = columns - 1; i >= 0; i--)
		if (s->column[i])
		{
			s->count++;
			s->energy = i + 1;
		}
	if (options->timed)
		resolve_time(r);

	r->batch_rows = r->task->batch_fields / s->count;
	if (r->batch_rows > r->task->batch_rows)
		r->batch_rows = r->task->batch_rows;
	if (r->batch_rows < 1)
		r->batch_rows = 1;
	r->resolved = true;
}

static void
read_header(run *r)
{
	cli_batch  *header = &r->header;

	if (!cli_read_row(&r->reader, header))
	{
		if (r->reader.failed)
			fail_at(r, &r->reader.error);
		return;
	}
	resolve_columns(r);
	if (!r->task->copy_header)
		return;
	for (int i = 0; i < header->columns; i++)
	{
		const cli_field *field = cli_batch_field(header, i);

		cli_write_field(&header->out, r->task->output, i, header->columns, cli_field_text(header, field), field->len,
						field->null);
	}
	if (header->out.out_of_memory)
		cli_fail("out of memory");
	cli_output_write(&r->output, header->out.data, header->out.len);
}

/* Count the values of columns that are not recognised yet. */
static void
count_values(run *r, const cli_batch *batch)
{
	for (int i = 0; i < batch->rows * batch->columns; i++)
	{
		int			column = i % batch->columns;

		if (r->certain[column] || r->values[column] >= FIRST_VALUES || cli_batch_field(batch, i)->null ||
			cli_batch_field(batch, i)->len == 0)
			continue;
		r->values[column]++;
		r->ciphertexts[column] += r->task->recognise(r->task->context, batch, i);
	}
}

/*
 * A column where half of the first values or more are ciphertexts holds nothing
 * else, and what is none is damaged.
 */
static void
recognise_columns(run *r, cli_batch *batch)
{
	r->rows += batch->rows;
	if (r->task->recognise == NULL || r->selection->by_user)
		return;
	count_values(r, batch);
	for (int i = 0; i < batch->columns; i++)
	{
		if (r->ciphertexts[i] > 0 && 2 * r->ciphertexts[i] >= r->values[i])
			r->certain[i] = true;
		batch->certain[i] = r->certain[i];
	}
}

/* ---- rows ---- */

static bool
has_room(const run *r, const cli_batch *batch)
{
	size_t		len = batch->text.len + batch->raw.len;

	if (cli_batch_lines(batch) >= CLI_BATCH_LINES)
		return false;
	if (r->rows + batch->rows < FIRST_ROWS && len < 2 * FIRST_ROWS * CLI_MAX_ROW)
		return true;
	return batch->rows < r->batch_rows && len < r->task->batch_bytes;
}

/*
 * Fill the batch up to its limits, or to where the input would have to be waited
 * for.  False when there is nothing more to read.
 */
static bool
fill_batch(run *r, cli_batch *batch)
{
	cli_reader *reader = &r->reader;
	bool		more = true;

	batch->keep_going = reader->keep_going;
	do
	{
		if (reader->columns == 0 && batch->keep_going)
			cli_reader_guess_columns(reader);
		if (!cli_read_row(reader, batch))
			more = reader->failed && cli_reader_recover(reader, batch);
		else if (!r->resolved)
			resolve_columns(r);
	} while (more && has_room(r, batch) && cli_reader_ready(reader));
	if (batch->lines.out_of_memory || batch->row_lines.out_of_memory || batch->raw.out_of_memory)
		cli_fail("out of memory");
	recognise_columns(r, batch);
	cli_batch_begin(batch);
	if (r->task->prepare != NULL)
		r->task->prepare(r->task->context, batch);
	return more;
}

static void
write_registers(run *r, const cli_batch *registers)
{
	if (registers->out.out_of_memory)
		cli_fail("out of memory");
	cli_output_write(&r->registers, registers->out.data, registers->out.len);
	for (int i = 0; i < cli_batch_lines(registers); i++)
		if (cli_batch_line(registers, i)->failed)
			cli_fail("%s", cli_batch_line(registers, i)->error.message);
}

/* A failure in a batch that was not to be gone on with behind it. */
static void
check_stopped(run *r, const cli_batch *batch)
{
	if (batch->keep_going)
		return;
	for (int i = 0; i < cli_batch_lines(batch); i++)
		if (cli_batch_line(batch, i)->failed)
			fail_at(r, &cli_batch_line(batch, i)->error);
}

static void
write_batch(run *r)
{
	cli_batch  *batch = cli_pool_collect(&r->pool);

	if (batch->out.out_of_memory)
		cli_fail("out of memory");
	cli_output_write(&r->output, batch->out.data, batch->out.len);
	if (batch->registers != NULL)
		write_registers(r, batch->registers);
	r->progress.rows += batch->rows_out;
	check_stopped(r, batch);
	cli_failures_write(&r->failures, batch);
	progress_show(&r->progress, "");
}

/*
 * As long as there is input and room, read; else write what is done.  Before
 * reading could have to wait, everything that was read is written.
 */
static void
run_rows(run *r)
{
	bool		more = true;

	while (more || cli_pool_busy(&r->pool))
	{
		cli_batch  *batch = more ? cli_pool_next(&r->pool) : NULL;

		if (batch == NULL || (cli_pool_busy(&r->pool) && !cli_reader_ready(&r->reader)))
		{
			write_batch(r);
			continue;
		}
		more = fill_batch(r, batch);
		if (cli_batch_lines(batch) > 0)
			cli_pool_submit(&r->pool);
	}
	if (r->reader.failed)
		fail_at(r, &r->reader.error);
}

static void
open_files(run *r)
{
	const cli_options *options = r->task->options;
	const cli_output *others[3] = {NULL};
	int			count = 0;

	cli_reader_init(&r->reader, cli_input_open(options->file), r->task->input, options->keep_going);
	if (options->delimiter != '\0')
		r->reader.delimiter = options->delimiter;
	else
		r->reader.guard = true;
	cli_output_open(&r->output, options->out, options, others, r->task->output == CLI_CSV ? 0600 : 0666);
	others[count++] = &r->output;
	if (options->registers != NULL)
	{
		cli_output_open(&r->registers, options->registers, options, others, 0666);
		others[count++] = &r->registers;
	}
	cli_failures_open(&r->failures, options, others);
}

void
cli_crypt(const cli_task *task, cli_selection *selection)
{
	const cli_options *options = task->options;
	run		   *r = cli_alloc(sizeof(*r));

	r->task = task;
	r->selection = selection;
	r->name = cli_input_name(options->file);
	r->batch_rows = task->batch_rows;
	open_files(r);
	progress_begin(&r->progress, options, &r->output);
	cli_pool_start(&r->pool, options->jobs, task->process, task->context, task->workers);
	cli_before_exit(stop_workers, r);
	if (options->header)
		read_header(r);
	run_rows(r);
	cli_output_close(&r->output);
	if (options->registers != NULL)
		cli_output_close(&r->registers);
	cli_failures_close(&r->failures);
	progress_show(&r->progress, "\n");
	if (r->failures.count > 0)
		cli_fail("%s: %ld of %ld lines failed", r->name, r->failures.count, r->failures.count + r->progress.rows);
}
