/*
 * cli_write.c
 *		Fields as CSV and as COPY's text format have them, the way PostgreSQL
 *		writes them.
 */
#include <string.h>

#include "cli.h"

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
 * empty text, the line \. that ends the data for some versions of COPY, and what
 * would pass for a byte order mark.
 */
static void
write_csv_text(cli_buffer *out, const char *text, size_t len)
{
	bool		quotes = len == 0 || (len == 2 && memcmp(text, "\\.", 2) == 0) ||
		(len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0);

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
