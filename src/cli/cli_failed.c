/*
 * cli_failed.c
 *		Rows that fail: what is written without them, and where they are told.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ---- in a batch ---- */

void
cli_batch_begin(cli_batch *batch)
{
	batch->end = batch->rows * batch->columns;
	batch->out.len = 0;
	batch->complete = 0;
	batch->rows_out = 0;
}

/* Fields of one row may be found wrong in any order: the first of them is told. */
void
cli_batch_fail(cli_batch *batch, int i, const char *format,...)
{
	int			row = i / batch->columns;
	int			column = i % batch->columns + 1;
	cli_line   *line = cli_batch_row_line(batch, row);
	va_list		args;
	char		message[sizeof(line->error.message)];

	if (!batch->keep_going && batch->end > row * batch->columns)
		batch->end = row * batch->columns;
	if (line->failed && line->error.column <= column)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	line->failed = true;
	cli_error_set(&line->error, cli_batch_field(batch, i)->line, column, "%s", message);
}

bool
cli_batch_failed(const cli_batch *batch, int i)
{
	return cli_batch_row_line(batch, i / batch->columns)->failed;
}

void
cli_batch_write(cli_batch *batch, cli_format format, int i, const char *text, size_t len, bool null)
{
	cli_write_field(&batch->out, format, i % batch->columns, batch->columns, text, len, null);
	if ((i + 1) % batch->columns == 0)
	{
		batch->complete = batch->out.len;
		batch->rows_out++;
	}
}

void
cli_batch_copy(cli_batch *batch, cli_format format, int *next, int end)
{
	while (*next < end)
	{
		const cli_field *field = cli_batch_field(batch, *next);

		if (cli_batch_failed(batch, *next))
		{
			batch->out.len = batch->complete;
			*next += batch->columns - *next % batch->columns;
			continue;
		}
		cli_batch_write(batch, format, *next, cli_field_text(batch, field), field->len, field->null);
		++*next;
	}
}

/* ---- where they are told ---- */

void
cli_failures_open(cli_failures *failures, const cli_options *options, const cli_output *const *others)
{
	failures->input = cli_input_name(options->file);
	failures->to_file = options->failed != NULL;
	if (failures->to_file)
		cli_output_open(&failures->output, options->failed, options, others, 0600);
}

void
cli_error_text(char *out, size_t room, const char *input, const cli_error *error)
{
	if (error->line == 0)
		snprintf(out, room, "%s: %s", input, error->message);
	else if (error->column == 0)
		snprintf(out, room, "%s: line %ld: %s", input, error->line, error->message);
	else
		snprintf(out, room, "%s: line %ld, column %d: %s", input, error->line, error->column, error->message);
}

/* A row of CSV: the line, the column, the reason, the text as it came. */
static void
append_line(cli_buffer *out, const cli_batch *batch, const cli_line *line)
{
	const cli_error *error = &line->error;
	char		number[2][24];

	snprintf(number[0], sizeof(number[0]), "%ld", line->line);
	snprintf(number[1], sizeof(number[1]), "%d", error->column);
	cli_write_field(out, CLI_CSV, 0, 4, number[0], strlen(number[0]), false);
	cli_write_field(out, CLI_CSV, 1, 4, number[1], strlen(number[1]), error->column == 0);
	cli_write_field(out, CLI_CSV, 2, 4, error->message, strlen(error->message), false);
	cli_write_field(out, CLI_CSV, 3, 4, line->len > 0 ? batch->raw.data + line->start : "", line->len, false);
}

void
cli_failures_write(cli_failures *failures, const cli_batch *batch)
{
	for (int i = 0; i < cli_batch_lines(batch); i++)
	{
		const cli_line *line = cli_batch_line(batch, i);

		if (!line->failed)
			continue;
		failures->count++;
		if (failures->to_file)
			append_line(&failures->text, batch, line);
		else
		{
			char		text[1024];

			cli_error_text(text, sizeof(text), failures->input, &line->error);
			cli_warn("%s", text);
		}
	}
	if (failures->text.out_of_memory)
		cli_fail("out of memory");
	if (failures->to_file)
		cli_output_write(&failures->output, failures->text.data, failures->text.len);
	failures->text.len = 0;
}

void
cli_failures_close(cli_failures *failures)
{
	if (failures->to_file)
		cli_output_close(&failures->output);
}
