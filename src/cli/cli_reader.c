/*
 * cli_reader.c
 *		The bytes of the input.  Behind a row that cannot be read they are gone
 *		through again: with keep_going the row that is being read is held.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* Bytes to read at once; few of them where the reader is tested. */
#ifndef READ_SIZE
#define READ_SIZE 65536
#endif

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
	batch->lines.len = 0;
	batch->row_lines.len = 0;
	batch->raw.len = 0;
	batch->out.len = 0;
	batch->columns = 0;
	batch->rows = 0;
	batch->rows_out = 0;
	if (batch->registers != NULL)
		cli_batch_reset(batch->registers);
}

/* ---- bytes ---- */

void
cli_reader_init(cli_reader *reader, int fd, cli_format format, bool keep_going)
{
	memset(reader, 0, sizeof(*reader));
	reader->fd = fd;
	reader->format = format;
	reader->keep_going = keep_going;
	reader->line = 1;
	reader->delimiter = ',';
	reader->max_row = CLI_MAX_ROW;
	reader->max_columns = CLI_MAX_COLUMNS;
}

bool
cli_reader_fail(cli_reader *reader, const char *what)
{
	if (!reader->failed)
		cli_error_set(&reader->error, 0, 0, "%s", what);
	reader->failed = reader->fatal = true;
	return false;
}

/*
 * Forget the bytes before those that are held.  No more bytes are moved than are
 * forgotten, so that every byte is moved once on average.
 */
static void
free_front(cli_reader *reader)
{
	cli_buffer *buffer = &reader->buffer;
	size_t		len = buffer->len - reader->held;

	if (reader->held < len)
		return;
	if (len > 0)
		memmove(buffer->data, buffer->data + reader->held, len);
	buffer->len = len;
	reader->next -= reader->held;
	reader->held = 0;
}

bool
cli_reader_fill(cli_reader *reader)
{
	cli_buffer *buffer = &reader->buffer;
	ssize_t		got;

	if (reader->eof || reader->failed)
		return false;
	if (!reader->keep_going)
		reader->held = reader->next;
	free_front(reader);
	if (!cli_buffer_reserve(buffer, READ_SIZE))
		return cli_reader_fail(reader, "out of memory");
	do
		got = read(reader->fd, buffer->data + buffer->len, READ_SIZE);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return cli_reader_fail(reader, strerror(errno));
	reader->eof = got == 0;
	buffer->len += got;
	return got > 0;
}

bool
cli_reader_ready(cli_reader *reader)
{
	struct pollfd input = {reader->fd, POLLIN, 0};

	return reader->next < reader->buffer.len || reader->eof || poll(&input, 1, 0) != 0;
}

/* ---- lines as they came ---- */

static const char *
held_text(const cli_reader *reader)
{
	return reader->buffer.data + reader->held;
}

void
cli_reader_add_line(const cli_reader *reader, cli_batch *batch, cli_line *line, size_t len)
{
	line->start = batch->raw.len;
	if (reader->keep_going)
	{
		const char *text = held_text(reader);

		if (len > 0 && text[len - 1] == '\n')
			len--;
		if (len > 0 && text[len - 1] == '\r')
			len--;
		line->len = len;
		cli_append(&batch->raw, text, len);
	}
	cli_append(&batch->lines, line, sizeof(*line));
}

/* ---- behind a row that is none ---- */

/*
 * Find the end of the line on which the row begins, and go behind it; *len is at
 * most that of the longest row.  False for a line that is too long to be held.
 */
static bool
end_of_line(cli_reader *reader, size_t *len)
{
	size_t		seen = 0;
	const char *end;

	for (;;)
	{
		*len = reader->buffer.len - reader->held;
		end = memchr(held_text(reader) + seen, '\n', *len - seen);
		if (end != NULL)
			break;
		seen = *len;
		reader->next = reader->buffer.len;
		if (*len > (size_t) reader->max_row)
		{
			*len = reader->max_row;
			return false;
		}
		if (!cli_reader_fill(reader))
			return true;
	}
	*len = end - held_text(reader);
	reader->next = reader->held + *len + 1;
	if (*len > (size_t) reader->max_row)
		*len = reader->max_row;
	return true;
}

/* Read a line to its end, and forget it. */
static void
skip_line(cli_reader *reader)
{
	const char *end;

	do
	{
		reader->held = reader->next = reader->buffer.len;
		if (!cli_reader_fill(reader))
			return;
		end = memchr(held_text(reader), '\n', reader->buffer.len);
	} while (end == NULL);
	reader->next = end + 1 - held_text(reader);
}

/*
 * The row failed behind its first line, so the next row begins with bytes that
 * were read as part of it.  A line break inside a row follows a backslash, and
 * what follows the break is read as at the beginning of a row.  So reading need
 * not begin anew: where the next row ends, or fails, is decided from the stop on.
 */
static void
keep_ahead(cli_reader *reader)
{
	const cli_stop *stop = &reader->stop;
	const char *text = held_text(reader);
	size_t		len = reader->next - reader->held;
	int			columns = stop->columns;
	long		line = reader->row_line + 1;

	if (stop->offset <= len)
		return;
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '\\')
			i++;
		else if (text[i] == '\t')
			columns--;
	}
	reader->ahead = (cli_stop) {stop->offset - len, stop->line, columns,
								stop->field_line > line ? stop->field_line : line};
}

/*
 * A row with the wrong number of fields is left out as a whole.  Of others
 * nobody knows where they end: a quote that stays open runs over good lines.
 * They are read again from their second line on.
 */
bool
cli_reader_recover(cli_reader *reader, cli_batch *batch)
{
	cli_line	line = {.line = reader->row_line, .failed = true, .error = reader->error};
	size_t		len = reader->next - reader->held;
	bool		ended = true;

	if (!reader->keep_going || reader->fatal)
		return false;
	reader->failed = false;
	reader->ahead.offset = 0;
	if (!reader->row_complete)
	{
		ended = end_of_line(reader, &len);
		reader->line = reader->row_line + 1;
		keep_ahead(reader);
	}
	cli_reader_add_line(reader, batch, &line, len);
	if (!ended)
		skip_line(reader);
	return !reader->failed;
}
