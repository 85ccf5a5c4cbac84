/*
 * cli_rows.c
 *		Rows of text: CSV as RFC 4180 has it, and the text format of PostgreSQL's
 *		COPY.
 *
 * Both are read strictly, and written as PostgreSQL writes them.  In CSV an
 * empty field without quotes is NULL, in COPY's text format \N is.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define READ_SIZE 65536

#define END (-1)				/* of the input; or an error, see reader->failed */

void
cli_error_set(cli_error *error, long line, int column, const char *format,...)
{
	va_list		args;

	error->line = line;
	error->column = column;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
}

/* ---- batches ---- */

void
cli_batch_reset(cli_batch *batch)
{
	batch->text.len = 0;
	batch->fields.len = 0;
	batch->out.len = 0;
	batch->columns = 0;
	batch->rows = 0;
	batch->rows_out = 0;
	batch->failed = false;
}

/* ---- bytes ---- */

void
cli_reader_init(cli_reader *reader, int fd, cli_format format)
{
	memset(reader, 0, sizeof(*reader));
	reader->fd = fd;
	reader->format = format;
	reader->buffer = cli_alloc(READ_SIZE);
	reader->line = 1;
}

#define FAIL(reader, ...) \
	((reader)->failed ? END : ((reader)->failed = true, cli_error_set(&(reader)->error, __VA_ARGS__), END))

static bool
fill(cli_reader *reader)
{
	ssize_t		got;

	if (reader->eof || reader->failed)
		return false;
	do
		got = read(reader->fd, reader->buffer, READ_SIZE);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		FAIL(reader, 0, 0, "%s", strerror(errno));
	reader->eof = got <= 0;
	reader->next = 0;
	reader->end = got > 0 ? got : 0;
	return got > 0;
}

static inline int
peek(cli_reader *reader)
{
	if (reader->next == reader->end && !fill(reader))
		return END;
	return (unsigned char) reader->buffer[reader->next];
}

/* The next byte of the row. */
static inline int
take(cli_reader *reader)
{
	int			c = peek(reader);

	if (c == END)
		return END;
	reader->next++;
	if (++reader->row_bytes > CLI_MAX_ROW)
		return FAIL(reader, reader->line, 0, "row is longer than %d bytes", CLI_MAX_ROW);
	reader->line += c == '\n';
	return c;
}

bool
cli_reader_ready(cli_reader *reader)
{
	struct pollfd input = {reader->fd, POLLIN, 0};

	return reader->next < reader->end || reader->eof || poll(&input, 1, 0) != 0;
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
	if (r->columns == CLI_MAX_COLUMNS)
		FAIL(r->reader, r->field.line, 0, "row has more than %d columns", CLI_MAX_COLUMNS);
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
			if (c == ',' || c == '\n' || c == END)
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

static int
read_unquoted(row *r)
{
	for (;;)
	{
		int			c = take(r->reader);

		if (c == '\r')
			c = after_return(r);
		if (c == ',' || c == '\n' || c == END)
		{
			r->field.null = r->batch->text.len == r->field.start;
			return c;
		}
		if (c == '"')
			return fail_field(r, "quote inside a field without quotes");
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
		int			c = take(r->reader);
		bool		first = r->batch->text.len == start;

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

/* A byte order mark at the start, as spreadsheets write it. */
static void
skip_mark(cli_reader *reader)
{
	static const char mark[] = "\xEF\xBB\xBF";

	if (reader->format == CLI_CSV && peek(reader) == (unsigned char) mark[0] &&
		reader->end - reader->next >= 3 && memcmp(reader->buffer + reader->next, mark, 3) == 0)
		reader->next += 3;
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
	if (r->batch->text.out_of_memory || r->batch->fields.out_of_memory)
		FAIL(reader, line, 0, "out of memory");
}

bool
cli_read_row(cli_reader *reader, cli_batch *batch)
{
	row			r = {.reader = reader, .batch = batch};
	size_t		text_len = batch->text.len;
	size_t		fields_len = batch->fields.len;
	long		line = reader->line;
	int			separator = reader->format == CLI_CSV ? ',' : '\t';
	int			c;

	if (reader->columns == 0)
		skip_mark(reader);
	if (peek(reader) == END)
		return false;
	reader->row_bytes = 0;
	do
	{
		begin_field(&r);
		c = reader->format == CLI_CSV ? read_csv_field(&r) : read_copy_field(&r);
		end_field(&r);
	} while (c == separator && !reader->failed);
	if (!reader->failed)
		check_row(&r, line);
	if (reader->failed || is_end_marker(&r))
	{
		batch->text.len = text_len;
		batch->fields.len = fields_len;
		return false;
	}
	batch->columns = reader->columns;
	batch->rows++;
	return true;
}

/* ---- writing ---- */

static void
write_copy_text(cli_buffer *out, const char *text, size_t len)
{
	static const char letters[] = "btnvfr"; /* of the bytes 8 to 13 */

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		if (c >= '\b' && c <= '\r')
		{
			cli_append_byte(out, '\\');
			c = letters[c - '\b'];
		}
		else if (c == '\\')
			cli_append_byte(out, '\\');
		cli_append_byte(out, c);
	}
}

/*
 * Quotes go round what would read differently without them: separators, an
 * empty text, and the line \. that ends the data for some versions of COPY.
 */
static void
write_csv_text(cli_buffer *out, const char *text, size_t len)
{
	bool		quotes = len == 0 || (len == 2 && memcmp(text, "\\.", 2) == 0);

	for (size_t i = 0; i < len && !quotes; i++)
		quotes = text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
	if (!quotes)
	{
		cli_append(out, text, len);
		return;
	}
	cli_append_byte(out, '"');
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '"')
			cli_append_byte(out, '"');
		cli_append_byte(out, text[i]);
	}
	cli_append_byte(out, '"');
}

void
cli_write_field(cli_buffer *out, cli_format format, int column, int columns, const char *text, size_t len, bool null)
{
	if (column > 0)
		cli_append_byte(out, format == CLI_CSV ? ',' : '\t');
	if (format == CLI_COPY && null)
		cli_append(out, "\\N", 2);
	else if (format == CLI_COPY)
		write_copy_text(out, text, len);
	else if (!null)
		write_csv_text(out, text, len);
	if (column == columns - 1)
		cli_append_byte(out, '\n');
}
