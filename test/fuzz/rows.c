/*
 * rows.c
 *		The program's reader of CSV and of COPY's text format: what it reads is
 *		the same however the bytes come in, and survives being written.
 *
 * read(2) is wrapped by the linker and gives the input in pieces.
 *
 * With keep_going every line of the input is a row or one that failed, in their
 * order.  Where rows that fail run over each other's lines, what is read is what a
 * reader reads that begins anew with every line.
 *
 * Input: a byte for the format, one for the size of the pieces, the text.
 */
#include "cli.h"
#include "fuzz.h"

/* ---- the input in pieces ---- */

static fuzz_input source;
static size_t piece;

ssize_t		__wrap_read(int fd, void *out, size_t len);

ssize_t
__wrap_read(int fd, void *out, size_t len)
{
	REQUIRE(fd == -1);
	if (len > piece)
		len = piece;
	if (len > source.left)
		len = source.left;
	if (len == 0)
		return 0;
	memcpy(out, source.next, len);
	source.next += len;
	source.left -= len;
	return len;
}

/* ---- all rows of a text ---- */

typedef struct rows
{
	cli_batch	batch;
	bool		failed;
	cli_error	error;
} rows;

static void
check_fields(const cli_batch *batch)
{
	size_t		end = 0;

	REQUIRE(!batch->text.out_of_memory && !batch->fields.out_of_memory);
	REQUIRE(batch->fields.len == batch->rows * batch->columns * sizeof(cli_field));
	for (int i = 0; i < batch->rows * batch->columns; i++)
	{
		const cli_field *field = cli_batch_field(batch, i);

		REQUIRE(field->start == end && field->line >= 1);
		REQUIRE(memchr(cli_field_text(batch, field), 0, field->len) == NULL);
		end += field->len;
	}
	REQUIRE(end == batch->text.len);
}

static rows
read_rows(const uint8_t *text, size_t len, cli_format format, size_t pieces)
{
	cli_reader	reader;
	rows		r = {0};

	source = (fuzz_input) {text, len};
	piece = pieces;
	cli_reader_init(&reader, -1, format, false);
	while (cli_read_row(&reader, &r.batch))
		continue;
	check_fields(&r.batch);
	r.failed = reader.failed;
	r.error = reader.error;
	cli_free(reader.buffer.data);
	return r;
}

static void
free_rows(rows *r)
{
	cli_free(r->batch.text.data);
	cli_free(r->batch.fields.data);
	cli_free(r->batch.lines.data);
	cli_free(r->batch.row_lines.data);
	cli_free(r->batch.raw.data);
	cli_free(r->batch.out.data);
}

static void
require_same_rows(const cli_batch *a, const cli_batch *b)
{
	REQUIRE(a->rows == b->rows && (a->rows == 0 || a->columns == b->columns));
	for (int i = 0; i < a->rows * a->columns; i++)
	{
		const cli_field *x = cli_batch_field(a, i);
		const cli_field *y = cli_batch_field(b, i);

		REQUIRE(x->null == y->null && (x->null || x->len == y->len));
		REQUIRE(x->null || memcmp(cli_field_text(a, x), cli_field_text(b, y), x->len) == 0);
	}
}

static void
require_same_error(const rows *a, const rows *b)
{
	REQUIRE(a->failed == b->failed);
	if (a->failed)
		REQUIRE(a->error.line == b->error.line && a->error.column == b->error.column &&
				strcmp(a->error.message, b->error.message) == 0);
}

/* Write the rows, and read them again. */
static void
check_written(rows *r, cli_format format)
{
	cli_batch  *batch = &r->batch;
	rows		again;

	for (int i = 0; i < batch->rows * batch->columns; i++)
	{
		const cli_field *field = cli_batch_field(batch, i);

		cli_write_field(&batch->out, format, i % batch->columns, batch->columns, cli_field_text(batch, field),
						field->len, field->null);
	}
	again = read_rows((uint8_t *) batch->out.data, batch->out.len, format, SIZE_MAX);
	REQUIRE(!again.failed);
	require_same_rows(batch, &again.batch);
	free_rows(&again);
}

/* ---- going on behind errors ---- */

/* Small limits, which short inputs reach. */
#define MAX_ROW 48
#define MAX_COLUMNS 5

typedef struct limits
{
	long		row;
	int			columns;
	bool		guess;			/* the number of columns, which depends on the pieces */
	bool		anew;			/* every line is read from its beginning */
} limits;

static const limits usual = {CLI_MAX_ROW, CLI_MAX_COLUMNS, false, false};
static const limits small = {MAX_ROW, MAX_COLUMNS, true, false};
static const limits small_anew = {MAX_ROW, MAX_COLUMNS, true, true};

static rows
read_on(const uint8_t *text, size_t len, cli_format format, size_t pieces, limits l)
{
	cli_reader	reader;
	rows		r = {0};

	source = (fuzz_input) {text, len};
	piece = pieces;
	cli_reader_init(&reader, -1, format, true);
	reader.max_row = l.row;
	reader.max_columns = l.columns;
	do
	{
		if (l.anew)
			reader.ahead.offset = 0;
		if (l.guess && reader.columns == 0)
			cli_reader_guess_columns(&reader);
		while (cli_read_row(&reader, &r.batch))
			continue;
	} while (reader.failed && cli_reader_recover(&reader, &r.batch));
	check_fields(&r.batch);
	r.failed = reader.failed;
	REQUIRE(!r.failed || reader.fatal);
	REQUIRE(r.failed || source.left == 0 || format == CLI_COPY);
	cli_free(reader.buffer.data);
	return r;
}

/* The lines are the input: only ends of lines stand between them, and a marker that ends the data behind them. */
static void
check_lines(const rows *r, const uint8_t *text, size_t len, cli_format format)
{
	const cli_batch *batch = &r->batch;
	const uint8_t *end = text + len;
	long		last = 0;
	int			good = 0;

	if (format == CLI_CSV && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (int i = 0; i < cli_batch_lines(batch); i++)
	{
		const cli_line *line = cli_batch_line(batch, i);

		REQUIRE(line->line > last);
		last = line->line;
		good += !line->failed && !line->empty;
		REQUIRE(line->len <= (size_t) (end - text));
		REQUIRE(line->len == 0 || memcmp(text, batch->raw.data + line->start, line->len) == 0);
		text += line->len;
		while (line->failed && line->len >= MAX_ROW - 1 && text < end && *text != '\n')
			text++;
		text += text < end && *text == '\r';
		text += text < end && *text == '\n';
	}
	REQUIRE(good == batch->rows);
	REQUIRE(text == end || r->failed || (format == CLI_COPY && *text == '\\' && end - text <= 6));
}

static void
require_same_lines(const cli_batch *a, const cli_batch *b)
{
	REQUIRE(cli_batch_lines(a) == cli_batch_lines(b));
	for (int i = 0; i < cli_batch_lines(a); i++)
	{
		const cli_line *x = cli_batch_line(a, i);
		const cli_line *y = cli_batch_line(b, i);

		REQUIRE(x->line == y->line && x->failed == y->failed && x->len == y->len);
		REQUIRE(x->len == 0 || memcmp(a->raw.data + x->start, b->raw.data + y->start, x->len) == 0);
		if (x->failed)
			REQUIRE(x->error.line == y->error.line && x->error.column == y->error.column &&
					strcmp(x->error.message, y->error.message) == 0);
	}
}

/* Rows that run over each other, read once and read anew. */
static void
check_ahead(const uint8_t *text, size_t len, cli_format format, size_t pieces)
{
	rows		anew = read_on(text, len, format, pieces, small_anew);
	rows		ahead = read_on(text, len, format, pieces, small);

	require_same_rows(&anew.batch, &ahead.batch);
	require_same_lines(&anew.batch, &ahead.batch);
	check_lines(&ahead, text, len, format);
	free_rows(&anew);
	free_rows(&ahead);
}

static void
check_keep_going(const rows *strict, const uint8_t *text, size_t len, cli_format format, size_t pieces)
{
	rows		whole = read_on(text, len, format, SIZE_MAX, usual);
	rows		parts = read_on(text, len, format, pieces, usual);

	require_same_rows(&whole.batch, &parts.batch);
	require_same_lines(&whole.batch, &parts.batch);
	if (!strict->failed)
		REQUIRE(whole.batch.rows == strict->batch.rows);
	check_lines(&whole, text, len, format);
	check_lines(&parts, text, len, format);
	free_rows(&whole);
	free_rows(&parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_input	in = {data, size};
	cli_format	format = fuzz_take(&in, 1) & 1 ? CLI_COPY : CLI_CSV;
	size_t		pieces = 1 + fuzz_take(&in, 1) % 16;
	rows		whole = read_rows(in.next, in.left, format, SIZE_MAX);
	rows		parts = read_rows(in.next, in.left, format, pieces);

	require_same_rows(&whole.batch, &parts.batch);
	require_same_error(&whole, &parts);
	check_keep_going(&whole, in.next, in.left, format, pieces);
	check_ahead(in.next, in.left, format, pieces);
	check_written(&whole, CLI_CSV);
	whole.batch.out.len = 0;
	check_written(&whole, CLI_COPY);
	free_rows(&whole);
	free_rows(&parts);
	return 0;
}
