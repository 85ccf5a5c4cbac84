/*
 * cli_time.c
 *		Times as ISO 8601 has them, a part of the forms that PostgreSQL reads.
 *
 * A form that could mean two things, as 10/11/2026, is none of them.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* Days from 1970-01-01 to a day of the Gregorian calendar: years begin in March here. */
static int64_t
day_number(int year, int month, int day)
{
	int64_t		y = month <= 2 ? year - 1 : year;
	int64_t		days = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

	return 365 * y + y / 4 - y / 100 + y / 400 + days - 719468;
}

static int
month_length(int year, int month)
{
	static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return length[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* What is left of the text. */
typedef struct rest
{
	const char *text;
	size_t		len;
	bool		good;			/* as far as it was read */
} rest;

static bool
next_is(const rest *r, const char *characters)
{
	return r->len > 0 && r->text[0] != '\0' && strchr(characters, r->text[0]) != NULL;
}

static char
take(rest *r, const char *characters)
{
	if (!r->good || !next_is(r, characters))
	{
		r->good = false;
		return '\0';
	}
	r->len--;
	return *r->text++;
}

static int
take_number(rest *r, int digits, int least, int most)
{
	int			value = 0;

	for (int i = 0; i < digits; i++)
		value = 10 * value + take(r, "0123456789") - '0';
	r->good = r->good && value >= least && value <= most;
	return value;
}

/* Z, +02, +0200 or +02:00 */
static int
take_offset(rest *r)
{
	int			sign;
	int			seconds;

	if (next_is(r, "Zz"))
	{
		take(r, "Zz");
		return 0;
	}
	sign = take(r, "+-") == '-' ? -1 : 1;
	seconds = 3600 * take_number(r, 2, 0, 15);
	if (r->len > 0)
	{
		if (next_is(r, ":"))
			take(r, ":");
		seconds += 60 * take_number(r, 2, 0, 59);
	}
	return sign * seconds;
}

/* Seconds, and a fraction of nothing but zeros. */
static int
take_seconds(rest *r)
{
	int			seconds;

	if (!next_is(r, ":"))
		return 0;
	take(r, ":");
	seconds = take_number(r, 2, 0, 59);
	if (next_is(r, "."))
	{
		take(r, ".");
		do
			take(r, "0");
		while (next_is(r, "0"));
	}
	return seconds;
}

bool
cli_time_read(int64_t *t, bool *local, const char *text, size_t len)
{
	rest		r = {text, len, true};
	int			year = take_number(&r, 4, CLI_FIRST_YEAR, CLI_END_YEAR - 1);
	int			month = (take(&r, "-"), take_number(&r, 2, 1, 12));
	int			day = (take(&r, "-"), take_number(&r, 2, 1, 31));
	int			hour = (take(&r, " Tt"), take_number(&r, 2, 0, 23));
	int			minute = (take(&r, ":"), take_number(&r, 2, 0, 59));
	int			second = take_seconds(&r);

	if (!r.good || day > month_length(year, month))
		return false;
	*t = 86400 * day_number(year, month, day) + 3600 * hour + 60 * minute + second;
	*local = r.len == 0;
	if (*local)
		return true;
	if (next_is(&r, " "))
		take(&r, " ");
	*t -= take_offset(&r);
	return r.good && r.len == 0;
}

void
cli_time_write(char out[CLI_TIME_ROOM], int64_t t)
{
	int64_t		days = t / 86400;
	int			seconds = t % 86400;
	int64_t		n;
	int			year;
	int			month;

	if (seconds < 0)
	{
		seconds += 86400;
		days--;
	}
	/* a year too many at first, for which the day lies in no year before it */
	year = 1970 + days / 365 + 1;
	while (day_number(year, 1, 1) > days)
		year--;
	n = days - day_number(year, 1, 1);
	for (month = 1; n >= month_length(year, month); month++)
		n -= month_length(year, month);
	snprintf(out, CLI_TIME_ROOM, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, (int) n + 1, seconds / 3600,
			 seconds / 60 % 60, seconds % 60);
}
