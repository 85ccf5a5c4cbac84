/*
 * cli_rows.c
 *		Reading rows of text: CSV as RFC 4180 has it, and the text format of
 *		PostgreSQL's COPY.
 *
 * Both are read strictly.  In CSV an empty field without quotes is NULL, in
 * COPY's text format \N is.
 */
#include <string.h>

#include "cli.h"

#define END (-1)				/* of the input; or an error, see reader->failed */

/* Lines that are looked at for the number of columns: those of rows, and empty ones between. */
#define GUESS_LINES 32

/* ---- bytes ---- */

#define FAIL(reader, ...) \
	((reader)->failed ? END : ((reader)->failed = true, cli_error_set(&(reader)->error, __VA_ARGS__), END))

static inline int
peek(cli_reader *reader)
{
	if (reader->next == reader->buffer.len && !cli_reader_fill(reader))
		return END;
	return (unsigned char) reader->buffer.data[reader->next];
}

/* The next byte of the row. */
static inline int
take(cli_reader *reader)
{
	int			c = peek(reader);

	if (c == END)
		return END;
	reader->next++;
	if (++reader->row_bytes > reader->max_row)
		return FAIL(reader, reader->line, 0, "row is longer than %ld bytes", reader->max_row);
	reader->line += c == '\n';
	return c;
}

/* ---- fields ---- */

/* The row that is being read. */
typedef struct row
{
	cli_reader *reader;
	cli_batch  *batch;
	int			columns;
	bool		marker;			/* begins with \. */
	cli_field	field;			/* the current one */
	size_t		offset;			/* of the byte or escape of COPY that is read */
	long		line;
} row;

static int
fail_field(row *r, const char *what)
{
	return FAIL(r->reader, r->field.line, r->columns + 1, "%s", what);
}

static void
begin_field(row *r)
{
	r->field.start = r->batch->text.len;
	r->field.line = r->reader->line;
	r->field.null = false;
}

static void
end_field(row *r)
{
	r->field.len = r->batch->text.len - r->field.start;
	if (r->columns == r->reader->max_columns)
	{
		FAIL(r->reader, r->field.line, 0, "row has more than %d columns", r->reader->max_columns);
		return;
	}
	cli_append(&r->batch->fields, &r->field, sizeof(r->field));
	r->columns++;
}

/* What follows a carriage return must be the line's end. */
static int
after_return(row *r)
{
	if (peek(r->reader) != '\n')
		return fail_field(r, "carriage return inside a line");
	return take(r->reader);
}

/* PostgreSQL has no text with a zero byte. */
static int
add_byte(row *r, int c)
{
	if (c == 0)
		return fail_field(r, "zero byte");
	cli_append_byte(&r->batch->text, c);
	return c;
}

/* ---- CSV ---- */

/* Behind the opening quote.  Returns what ended the field, as the next does. */
static int
read_quoted(row *r)
{
	for (;;)
	{
		int			c = take(r->reader);

		if (c == '"')
		{
			c = take(r->reader);
			if (c == '\r')
				c = after_return(r);
			if (c == r->reader->delimiter || c == '\n' || c == END)
				return c;
			if (c != '"')
				return fail_field(r, "text behind the closing quote of a field");
		}
		else if (c == END)
			return fail_field(r, "quoted field does not end");
		if (add_byte(r, c) == END)
			return END;
	}
}

/*
 * Nobody has said what separates fields.  In a file that is separated by something
 * else a comma may be that of a decimal number, and its digits a field.
 */
static int
fail_guard(row *r, int c)
{
	return FAIL(r->reader, r->field.line, r->columns + 1,
				c == '\t' ? "tab in a field without quotes: name what separates fields by --delimiter" :
				"\"%c\" in a field without quotes: name what separates fields by --delimiter", c);
}

static int
read_unquoted(row *r)
{
	for (;;)
	{
		int			c = take(r->reader);

		if (c == '\r')
			c = after_return(r);
		if (c == r->reader->delimiter || c == '\n' || c == END)
		{
			r->field.null = r->batch->text.len == r->field.start;
			return c;
		}
		if (c == '"')
			return fail_field(r, "quote inside a field without quotes");
		if (r->reader->guard && (c == ';' || c == '\t' || c == '|'))
			return fail_guard(r, c);
		if (add_byte(r, c) == END)
			return END;
	}
}

static int
read_csv_field(row *r)
{
	if (peek(r->reader) != '"')
		return read_unquoted(r);
	(void) take(r->reader);
	return read_quoted(r);
}

/* ---- COPY ---- */

static bool
is_octal(int c)
{
	return c >= '0' && c <= '7';
}

/* Behind a backslash: the byte that is meant. */
static int
read_escape(row *r)
{
	static const char letters[] = "bfnrtv";
	static const char meanings[] = "\b\f\n\r\t\v";
	int			c = take(r->reader);
	const char *letter;

	if (c == END)
		return fail_field(r, "backslash at the end of the data");
	if (is_octal(c))
	{
		int			value = c - '0';

		for (int i = 1; i < 3 && is_octal(peek(r->reader)); i++)
			value = 8 * value + take(r->reader) - '0';
		return value & 255;
	}
	if (c == 'x' && paillier_hex_digit(peek(r->reader)) >= 0)
	{
		int			value = paillier_hex_digit(take(r->reader));

		if (paillier_hex_digit(peek(r->reader)) >= 0)
			value = 16 * value + paillier_hex_digit(take(r->reader));
		return value;
	}
	letter = c == 0 ? NULL : strchr(letters, c);
	return letter != NULL ? meanings[letter - letters] : c;
}

static int
read_copy_field(row *r)
{
	size_t		start = r->batch->text.len;
	bool		null = false;

	for (;;)
	{
		bool		first = r->batch->text.len == start;
		int			c;

		r->offset = r->reader->next - r->reader->held;
		r->line = r->reader->line;
		c = take(r->reader);
		if (c == '\r')
			c = after_return(r);
		if (c == '\t' || c == '\n' || c == END)
		{
			r->field.null = null && r->batch->text.len == start + 1;
			return c;
		}
		if (c == '\\')
		{
			int			next = peek(r->reader);

			null |= first && next == 'N';
			r->marker |= first && next == '.' && r->columns == 0;
			c = read_escape(r);
			if (c == END)
				return END;
		}
		if (add_byte(r, c) == END)
			return END;
	}
}

/* ---- rows ---- */

/* Whether the input begins with these bytes, which may come one by one. */
static bool
begins_with(cli_reader *reader, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (reader->next + i == reader->buffer.len && !cli_reader_fill(reader))
			return false;
		if (reader->buffer.data[reader->next + i] != bytes[i])
			return false;
	}
	return true;
}

/* A byte order mark, as spreadsheets write it, is skipped; the other format of COPY is not read. */
static void
begin_input(cli_reader *reader)
{
	static const char mark[] = "\xEF\xBB\xBF";
	static const char binary[] = "PGCOPY\n\377\r\n";

	if (reader->begun)
		return;
	reader->begun = true;
	if (reader->format == CLI_CSV && begins_with(reader, mark, 3))
		reader->next += 3;
	if (begins_with(reader, "\xFF\xFE", 2) || begins_with(reader, "\xFE\xFF", 2))
		cli_reader_fail(reader, "this is UTF-16, and text is read as UTF-8");
	if (reader->format == CLI_COPY && begins_with(reader, binary, sizeof(binary)))
		cli_reader_fail(reader, "this is COPY's binary format, and rows are read in its text format");
}

/* Whether the row was the line \. that may end COPY's data. */
static bool
is_end_marker(const row *r)
{
	return r->marker && r->columns == 1 && r->field.len == 1;
}

/* The fields that were read are a row: check their number. */
static void
check_row(const row *r, long line)
{
	cli_reader *reader = r->reader;

	if (is_end_marker(r))
	{
		reader->row_bytes = 0;
		if (peek(reader) != END)
			FAIL(reader, reader->line, 0, "data behind the end-of-data marker");
		return;
	}
	if (reader->columns == 0)
		reader->columns = r->columns;
	if (r->columns != reader->columns)
		FAIL(reader, line, 0, "row has %d column%s, the first row has %d", r->columns, r->columns == 1 ? "" : "s",
			 reader->columns);
}

/* From within a field to the end of the row. */
static void
read_fields(row *r)
{
	cli_reader *reader = r->reader;
	int			separator = reader->format == CLI_CSV ? reader->delimiter : '\t';

	for (;;)
	{
		int			c = reader->format == CLI_CSV ? read_csv_field(r) : read_copy_field(r);

		if (!reader->failed)
			end_field(r);
		if (c != separator || reader->failed)
			break;
		begin_field(r);
	}
	reader->stop = (cli_stop) {r->offset, r->line, r->columns, r->field.line};
}

/*
 * Whether the row can be read.  Where its beginning was read as part of a row
 * that failed, this takes no second reading of it: many lines that run over each
 * other are read in linear time.
 */
static bool
check_ahead(cli_reader *reader, cli_batch *batch)
{
	const cli_stop *ahead = &reader->ahead;
	row			r = {.reader = reader, .batch = batch, .columns = ahead->columns};

	if (ahead->offset == 0 || reader->next != reader->held)
		return true;
	reader->next += ahead->offset;
	reader->line = ahead->line;
	reader->row_bytes = ahead->offset;
	begin_field(&r);
	r.field.line = ahead->field_line;
	read_fields(&r);
	if (reader->failed)
		return false;
	reader->next = reader->held;
	reader->line = reader->row_line;
	reader->row_bytes = 0;
	return true;
}

/* The row is one of the batch's; an empty line is none. */
static void
add_row(cli_reader *reader, cli_batch *batch, bool empty)
{
	int			line = cli_batch_lines(batch);

	cli_reader_add_line(reader, batch, &(cli_line) {.line = reader->row_line, .empty = empty},
						reader->next - reader->held);
	if (empty)
		return;
	cli_append(&batch->row_lines, &line, sizeof(line));
	batch->columns = reader->columns;
	batch->rows++;
}

bool
cli_read_row(cli_reader *reader, cli_batch *batch)
{
	row			r = {.reader = reader, .batch = batch};
	size_t		text_len = batch->text.len;
	size_t		fields_len = batch->fields.len;
	bool		skip;

	begin_input(reader);
	if (!reader->guessing)
		reader->held = reader->next;
	if (peek(reader) == END)
		return false;
	reader->row_line = reader->line;
	reader->row_bytes = 0;
	reader->row_complete = false;
	if (check_ahead(reader, batch))
	{
		batch->text.len = text_len;
		batch->fields.len = fields_len;
		begin_field(&r);
		read_fields(&r);
		reader->row_complete = !reader->failed;
	}
	reader->empty = reader->format == CLI_CSV && r.columns == 1 && r.field.null && reader->row_complete;
	skip = reader->empty && reader->columns > 1;
	if (!reader->failed && !skip)
		check_row(&r, reader->row_line);
	if (batch->text.out_of_memory || batch->fields.out_of_memory)
		cli_reader_fail(reader, "out of memory");
	if (reader->failed || skip || is_end_marker(&r))
	{
		batch->text.len = text_len;
		batch->fields.len = fields_len;
	}
	if (reader->failed || is_end_marker(&r))
		return false;
	add_row(reader, batch, skip);
	if (!reader->guessing)
		reader->ahead.offset = 0;
	return true;
}

/*
 * The number of columns is that of the first row; but not where the second and
 * the third agree on another one.  What would have to be waited for is not
 * looked at.
 */
void
cli_reader_guess_columns(cli_reader *reader)
{
	cli_batch	batch = {0};
	long		line = reader->line;
	int			columns[3] = {0};
	int			rows = 0;

	begin_input(reader);
	reader->held = reader->next;
	reader->guessing = true;
	for (int lines = 0; lines < GUESS_LINES && rows < 3 && (rows == 0 || cli_reader_ready(reader)); lines++)
	{
		reader->columns = 0;
		if (!cli_read_row(reader, &batch))
			break;
		if (rows == 0 || !reader->empty)
			columns[rows++] = reader->columns;
	}
	reader->guessing = false;
	reader->columns = rows == 3 && columns[1] == columns[2] ? columns[1] : columns[0];
	reader->failed = reader->fatal;
	reader->next = reader->held;
	reader->line = line;
	cli_free(batch.text.data);
	cli_free(batch.fields.data);
	cli_free(batch.lines.data);
	cli_free(batch.row_lines.data);
	cli_free(batch.raw.data);
}
