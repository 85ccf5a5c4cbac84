/*
 * cli_register.c
 *		What is read of rows in their order: times, and registers of meters that
 *		have none of their own.
 *
 * The readings of a meter are added up.  Where a bill window begins, what has been
 * counted so far is a register.  A series of registers begins with 0, at the start of
 * a complete window, and ends where a reading is missing.  So a register is known when
 * its reading is: nothing is kept of a meter but its sum.
 */
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* Readings and registers lie below this: no sum of two overflows, and every key takes them. */
#define LIMIT ((__int128) 1 << 100)

#define SUM_LIMBS 2

typedef struct meter
{
	const char *name;
	size_t		len;
	int64_t		next;			/* where the next reading begins, if none is missing */
	bool		counting;		/* readings since `begin` are in the sum */
	bool		open;			/* the series has registers */
	int64_t		begin;			/* of the series: the start of a window */
	__int128	sum;			/* in units of the scale */
	long		pending;		/* readings in the sum that are in no register yet */
} meter;

struct cli_ledger
{
	const cli_options *options;
	const cli_selection *columns;
	cli_zone   *zone;			/* of times without an offset; NULL: none */
	cli_zone   *bill_zone;		/* of bill windows */
	void	   *meters;			/* a tree, by name */
	meter	   *last;			/* the meter of the row before */
	long		uncounted;		/* readings that are in no register */
};

cli_ledger *
cli_ledger_new(const cli_options *options, const cli_selection *columns)
{
	cli_ledger *ledger = cli_alloc(sizeof(*ledger));

	ledger->options = options;
	ledger->columns = columns;
	if (options->zone != NULL)
		ledger->zone = cli_zone_read(options->zone);
	if (options->bill_key != NULL)
		ledger->bill_zone = cli_zone_read(options->bill_zone);
	return ledger;
}

/* ---- meters ---- */

static int
compare_meters(const void *a, const void *b)
{
	const meter *x = a;
	const meter *y = b;
	int			difference = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);

	return difference != 0 ? difference : (x->len > y->len) - (x->len < y->len);
}

/* A balanced tree, so that no choice of names makes it slow. */
static meter *
find_meter(cli_ledger *ledger, const char *name, size_t len)
{
	meter		wanted = {.name = name, .len = len, .next = INT64_MIN};
	meter	  **found;

	if (ledger->last != NULL && compare_meters(ledger->last, &wanted) == 0)
		return ledger->last;
	found = tfind(&wanted, &ledger->meters, compare_meters);
	if (found == NULL)
	{
		meter	   *new = cli_alloc(sizeof(*new) + len);

		*new = wanted;
		new->name = (char *) (new + 1);
		memcpy(new + 1, name, len);
		found = tsearch(new, &ledger->meters, compare_meters);
		if (found == NULL)
			cli_fail("out of memory");
	}
	return ledger->last = *found;
}

/* ---- bill windows ---- */

/* As metering.window_label(): hours with the same label form a window. */
static int64_t
window_label(cli_ledger *ledger, int64_t hour)
{
	int64_t		local = hour + cli_zone_offset(ledger->bill_zone, hour) + 14 * 86400;
	int64_t		day = local / 86400;

	return 24 * day + local % 86400 / 3600 / ledger->options->window;
}

static bool
is_window_start(cli_ledger *ledger, int64_t t)
{
	return t % 3600 == 0 && window_label(ledger, t) != window_label(ledger, t - 3600);
}

/* ---- registers ---- */

static void
add_field(cli_batch *batch, const char *text, size_t len)
{
	cli_field	field = {.start = batch->text.len, .len = len, .line = 1};

	cli_append(&batch->text, text, len);
	cli_append(&batch->fields, &field, sizeof(field));
}

static size_t
write_sum(const cli_ledger *ledger, char *out, __int128 sum)
{
	unsigned __int128 size = sum < 0 ? -sum : sum;
	mp_limb_t	mag[SUM_LIMBS] = {(mp_limb_t) size, (mp_limb_t) (size >> 64)};

	return paillier_decimal_write(out, sum < 0, mag, SUM_LIMBS, ledger->options->scale);
}

/* The register of a meter at a time, to those that the readings of the batch yield. */
static void
add_register(const cli_ledger *ledger, cli_batch *registers, const meter *m, int64_t t, __int128 sum)
{
	int			line = cli_batch_lines(registers);
	char		time[CLI_TIME_ROOM];
	char		text[PAILLIER_DECIMAL_ROOM];

	cli_time_write(time, t);
	/* in the order of a row of metering.register_read */
	add_field(registers, time, strlen(time));
	add_field(registers, m->name, m->len);

	/* no two series of a meter begin at the same time, in whatever run */
	cli_time_write(time, m->begin);
	add_field(registers, time, strlen(time));
	add_field(registers, text, write_sum(ledger, text, sum));
	paillier_wipe(text, sizeof(text));
	cli_append(&registers->row_lines, &line, sizeof(line));
	cli_append(&registers->lines, &(cli_line) {.line = 1}, sizeof(cli_line));
	registers->columns = CLI_REGISTER_FIELDS;
	registers->rows++;
}

/* The reading of a meter from t on, for which nothing stands in the way. */
static void
count_reading(cli_ledger *ledger, cli_batch *batch, meter *m, int64_t t, __int128 energy)
{
	ledger->uncounted++;
	if (t != m->next)
		m->counting = m->open = false;
	m->next = t + ledger->options->interval;
	if (!m->counting && is_window_start(ledger, t))
	{
		m->counting = true;
		m->begin = t;
		m->sum = 0;
		m->pending = 0;
	}
	if (!m->counting)
		return;
	m->sum += energy;
	m->pending++;
	if (!is_window_start(ledger, m->next))
		return;
	if (!m->open)
		add_register(ledger, batch->registers, m, m->begin, 0);
	add_register(ledger, batch->registers, m, m->next, m->sum);
	m->open = true;
	ledger->uncounted -= m->pending;
	m->pending = 0;
}

/* ---- rows ---- */

static cli_field *
row_field(cli_batch *batch, int i)
{
	return (cli_field *) batch->fields.data + i;
}

/* The time in field i, in UTC. */
static bool
read_time(cli_ledger *ledger, cli_batch *batch, int i, const meter *m, int64_t *t)
{
	const cli_field *field = cli_batch_field(batch, i);
	int64_t		utc[2];
	bool		local;
	int			count;

	if (field->null)
		cli_batch_fail(batch, i, "time is missing");
	else if (!cli_time_read(t, &local, cli_field_text(batch, field), field->len))
		cli_batch_fail(batch, i, "time is not of the form 2026-01-31T23:30:00Z, 2026-01-31 23:30+02:00 or, with --zone, "
					   "2026-01-31 23:30");
	else if (!local)
		return true;
	else if (ledger->zone == NULL)
		cli_batch_fail(batch, i, "time has no offset from UTC: name its time zone by --zone");
	else if ((count = cli_zone_utc(ledger->zone, *t, utc)) == 0)
		cli_batch_fail(batch, i, "there is no such time in the time zone: clocks are set forward over it");
	else if (count == 1 || (m != NULL && m->next == utc[0]))
	{
		*t = utc[0];
		return true;
	}
	else if (m != NULL && m->next == utc[1])
	{
		*t = utc[1];
		return true;
	}
	else
		cli_batch_fail(batch, i, m == NULL ?
					   "time occurs twice, when clocks are set back: name the column of the meter by --meter" :
					   "time occurs twice, when clocks are set back, and does not follow the reading before");
	return false;
}

/* The energy in field i, in units of the scale. */
static bool
read_energy(const cli_ledger *ledger, cli_batch *batch, int i, __int128 *energy)
{
	const cli_field *field = cli_batch_field(batch, i);
	int			scale = ledger->options->scale;
	mp_limb_t	mag[SUM_LIMBS] = {0};
	bool		negative;
	paillier_result result;

	if (field->null)
	{
		cli_batch_fail(batch, i, "energy is missing");
		return false;
	}
	result = paillier_decimal_read(&negative, mag, SUM_LIMBS, &scale, cli_field_text(batch, field), field->len);
	if (result == PAILLIER_ERR_RANGE || (result == PAILLIER_OK && mag[1] >= (mp_limb_t) (LIMIT >> 64)))
		cli_batch_fail(batch, i, "energy is too large to be added up");
	else if (result != PAILLIER_OK)
		cli_batch_fail(batch, i, "invalid number: %s", paillier_strerror(result));
	else
	{
		*energy = (__int128) ((unsigned __int128) mag[1] << 64 | mag[0]) * (negative ? -1 : 1);
		return true;
	}
	return false;
}

/* Whether the reading of a meter may be counted; `first` is the first field of its row. */
static bool
check_reading(const cli_ledger *ledger, cli_batch *batch, int first, const meter *m, int64_t t, __int128 energy)
{
	int			time = first + ledger->columns->time - 1;
	int			interval = ledger->options->interval;

	if (t % interval != 0)
		cli_batch_fail(batch, time, "time is no whole multiple of the reading interval (%d min) in UTC: see --interval",
					   interval / 60);
	else if (t == m->next - interval)
		cli_batch_fail(batch, time, "second reading of its meter for this time");
	else if (t < m->next)
		cli_batch_fail(batch, time, "reading comes before one that its meter has had already: sort the rows by time");
	else if (m->sum + energy >= LIMIT || m->sum + energy <= -LIMIT)
		cli_batch_fail(batch, first + ledger->columns->energy - 1, "energy is too large to be added up");
	else
		return true;
	return false;
}

void
cli_ledger_take_row(cli_ledger *ledger, cli_batch *batch, int row)
{
	const cli_selection *columns = ledger->columns;
	int			first = row * batch->columns;
	cli_field  *time = row_field(batch, first + columns->time - 1);
	bool		counts = ledger->bill_zone != NULL;
	meter	   *m = NULL;
	char		text[CLI_TIME_ROOM];
	__int128	energy = 0;
	int64_t		t;

	if (columns->meter > 0)
	{
		const cli_field *name = row_field(batch, first + columns->meter - 1);

		if (name->len == 0)
		{
			cli_batch_fail(batch, first + columns->meter - 1, "meter is missing");
			return;
		}
		m = find_meter(ledger, cli_field_text(batch, name), name->len);
	}
	if (!read_time(ledger, batch, first + columns->time - 1, m, &t))
		return;
	if (counts && (!read_energy(ledger, batch, first + columns->energy - 1, &energy) ||
				   !check_reading(ledger, batch, first, m, t, energy)))
		return;
	if (counts)
		count_reading(ledger, batch, m, t, energy);
	else if (m != NULL)
		m->next = t + ledger->options->interval;
	cli_time_write(text, t);
	time->start = batch->text.len;
	time->len = strlen(text);
	cli_append(&batch->text, text, time->len);
}

long
cli_ledger_uncounted(const cli_ledger *ledger)
{
	return ledger->uncounted;
}
