/*
 * cli_zone.c
 *		Time zones, by the C library.
 *
 * The library knows one zone at a time, and takes a name that it does not know for
 * UTC.  So the name is looked up in the system's database first, and then the
 * changes of the zone's offset are found once and kept.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define DATABASE "/usr/share/zoneinfo"

/* No zone has changed its offset twice in so short a time. */
#define STEP (6 * 3600)

struct cli_zone
{
	int			changes;
	int64_t    *since;			/* from each of these times on ... */
	int		   *offset;			/* ... so many seconds east of UTC */
	int			last;			/* the one that was asked for last */
};

/* ---- the system's database ---- */

/* Names are paths below the database; those of right/ count leap seconds. */
static bool
is_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";

	return *name != '\0' && *name != '/' && strlen(name) < 100 && name[strspn(name, letters)] == '\0' &&
		strncmp(name, "right/", 6) != 0;
}

static bool
is_zone_file(const char *path)
{
	char		magic[4] = "";
	int			fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	bool		good = fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "TZif", 4) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static void
select_zone(const char *name)
{
	const char *directory = getenv("TZDIR");
	char		path[4096];
	char		zone[128];

	if (directory == NULL || *directory == '\0')
		directory = DATABASE;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (!is_name(name) || !is_zone_file(path))
		cli_usage_error("there is no time zone \"%s\" in %s", name, directory);
	snprintf(zone, sizeof(zone), ":%s", name);
	if (setenv("TZ", zone, 1) != 0)
		cli_fail("out of memory");
	tzset();
}

/* ---- its changes ---- */

static int
selected_offset(int64_t t)
{
	time_t		time = t;
	struct tm	local;

	if (localtime_r(&time, &local) == NULL)
		cli_fail("the time zone is not known for all times");
	return local.tm_gmtoff;
}

/* The first time after `before` and up to `after` with the offset of `after`. */
static int64_t
find_change(int64_t before, int64_t after, int offset)
{
	while (after - before > 1)
	{
		int64_t		middle = before + (after - before) / 2;

		if (selected_offset(middle) == offset)
			after = middle;
		else
			before = middle;
	}
	return after;
}

static void
append_change(cli_buffer *since, cli_buffer *offsets, int64_t t, int offset)
{
	cli_append(since, &t, sizeof(t));
	cli_append(offsets, &offset, sizeof(offset));
}

cli_zone *
cli_zone_read(const char *name)
{
	cli_zone   *zone = cli_alloc(sizeof(*zone));
	bool		is_utc = strcmp(name, "UTC") == 0;
	cli_buffer	since = {0};
	cli_buffer	offsets = {0};
	int			offset = 0;

	if (!is_utc)
	{
		select_zone(name);
		offset = selected_offset(CLI_FIRST_TIME - STEP);
	}
	append_change(&since, &offsets, INT64_MIN, offset);
	for (int64_t t = CLI_FIRST_TIME; !is_utc && t < CLI_END_TIME + STEP; t += STEP)
	{
		int			next = selected_offset(t);

		if (next != offset)
			append_change(&since, &offsets, find_change(t - STEP, t, next), next);
		offset = next;
	}
	if (since.out_of_memory || offsets.out_of_memory)
		cli_fail("out of memory");
	zone->changes = since.len / sizeof(int64_t);
	zone->since = (int64_t *) since.data;
	zone->offset = (int *) offsets.data;
	return zone;
}

int
cli_zone_offset(cli_zone *zone, int64_t t)
{
	int			low = 0;
	int			high = zone->changes;

	if (zone->since[zone->last] <= t && (zone->last == zone->changes - 1 || t < zone->since[zone->last + 1]))
		return zone->offset[zone->last];
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (zone->since[middle] <= t)
			low = middle;
		else
			high = middle;
	}
	zone->last = low;
	return zone->offset[low];
}

int
cli_zone_utc(cli_zone *zone, int64_t local, int64_t utc[2])
{
	/* no offset is a day, and no zone changes it twice in two days */
	int			before = cli_zone_offset(zone, local - 86400);
	int			after = cli_zone_offset(zone, local + 86400);
	int			count = 0;

	if (cli_zone_offset(zone, local - before) == before)
		utc[count++] = local - before;
	if (after != before && cli_zone_offset(zone, local - after) == after)
		utc[count++] = local - after;
	return count;
}
