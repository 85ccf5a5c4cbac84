/*
 * pg_metering_time.c
 *		Time arithmetic on readings: UTC hours, the ring of staging, bitmaps of an hour.
 */
#include "pg_metering.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/* floor(t / unit), also before 2000 */
static int64
floor_div(int64 t, int64 unit)
{
	return t / unit - (t % unit < 0);
}

TimestampTz
paillier_utc_hour(TimestampTz t)
{
	if (TIMESTAMP_NOT_FINITE(t))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time must be finite")));
	return floor_div(t, USECS_PER_HOUR) * USECS_PER_HOUR;
}

PG_FUNCTION_INFO_V1(paillier_metering_utc_hour);

/* metering.utc_hour(timestamptz) -> timestamptz */
Datum
paillier_metering_utc_hour(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(paillier_utc_hour(PG_GETARG_TIMESTAMPTZ(0)));
}

PG_FUNCTION_INFO_V1(paillier_metering_slot);

/* metering.slot(timestamptz) -> int: the place in the ring of the hour that t lies in */
Datum
paillier_metering_slot(PG_FUNCTION_ARGS)
{
	int64		hour = paillier_utc_hour(PG_GETARG_TIMESTAMPTZ(0)) / USECS_PER_HOUR;

	PG_RETURN_INT32((int32) (hour - floor_div(hour, STAGING_SLOTS) * STAGING_SLOTS));
}

PG_FUNCTION_INFO_V1(paillier_metering_slots);

/* metering.slots() -> int: the size of the ring */
Datum
paillier_metering_slots(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_INT32(STAGING_SLOTS);
}

PG_FUNCTION_INFO_V1(paillier_metering_month_slots);

/* metering.month_slots() -> int: the number of partitions of what is kept by month */
Datum
paillier_metering_month_slots(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_INT32(MONTH_SLOTS);
}

PG_FUNCTION_INFO_V1(paillier_metering_month_slot);

/* metering.month_slot(timestamptz) -> int: the partition of the UTC month that t lies in */
Datum
paillier_metering_month_slot(PG_FUNCTION_ARGS)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int64		month;

	if (timestamp2tm(paillier_utc_hour(PG_GETARG_TIMESTAMPTZ(0)), NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	month = (int64) tm.tm_year * MONTHS_PER_YEAR + tm.tm_mon - 1;
	PG_RETURN_INT32((int32) (month - floor_div(month, MONTH_SLOTS) * MONTH_SLOTS));
}

/*
 * Sets of readings of one meter are bitmaps of minutes: an array of one bigint for
 * each hour of the bill window, in which bit i stands for the reading at minute i.
 * So a bitmap means the same whatever the reading interval is.
 */

PG_FUNCTION_INFO_V1(paillier_metering_minute_bit);

/* metering.minute_bit(timestamptz) -> bigint: 1 << minute of the hour */
Datum
paillier_metering_minute_bit(PG_FUNCTION_ARGS)
{
	TimestampTz read_at = PG_GETARG_TIMESTAMPTZ(0);

	PG_RETURN_INT64(INT64CONST(1) << ((read_at - paillier_utc_hour(read_at)) / USECS_PER_MINUTE));
}

PG_FUNCTION_INFO_V1(paillier_metering_bits);

/* metering.bits(bigint) -> int: how many bits are set */
Datum
paillier_metering_bits(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pg_popcount64((uint64) PG_GETARG_INT64(0)));
}

/* The hours of a bitmap, and their number; an error if it is no bitmap. */
static const int64 *
bitmap_hours(ArrayType *bitmap, int *hours)
{
	*hours = ArrayGetNItems(ARR_NDIM(bitmap), ARR_DIMS(bitmap));
	if (ARR_NDIM(bitmap) > 1 || ARR_HASNULL(bitmap) || *hours > WINDOW_HOURS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("array is not a bitmap of minutes"),
				 errdetail("A bitmap has one number for each of at most %d hours.", WINDOW_HOURS)));
	return (const int64 *) ARR_DATA_PTR(bitmap);
}

/* An array of hours. */
static Datum
bitmap_datum(const int64 *hour, int hours)
{
	Datum		element[WINDOW_HOURS];

	for (int i = 0; i < hours; i++)
		element[i] = Int64GetDatum(hour[i]);
	return PointerGetDatum(construct_array(element, hours, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(paillier_metering_hour_minutes);

/* metering.hour_minutes(place int, bits bigint) -> bigint[]: the bitmap with these bits in one hour, from 1 on */
Datum
paillier_metering_hour_minutes(PG_FUNCTION_ARGS)
{
	int32		place = PG_GETARG_INT32(0);
	int64		hour[WINDOW_HOURS] = {0};

	if (place < 1 || place > WINDOW_HOURS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a bill window has no hour %d", place),
				 errhint("Its hours are numbered from 1 to at most %d.", WINDOW_HOURS)));
	hour[place - 1] = PG_GETARG_INT64(1);
	PG_RETURN_DATUM(bitmap_datum(hour, place));
}

PG_FUNCTION_INFO_V1(paillier_metering_union_minutes);

/* metering.union_minutes(bigint[], bigint[]) -> bigint[]: the readings in either bitmap */
Datum
paillier_metering_union_minutes(PG_FUNCTION_ARGS)
{
	int64		hour[WINDOW_HOURS] = {0};
	int			most = 0;

	for (int k = 0; k < 2; k++)
	{
		int			hours;
		const int64 *other = bitmap_hours(PG_GETARG_ARRAYTYPE_P(k), &hours);

		for (int i = 0; i < hours; i++)
			hour[i] |= other[i];
		most = Max(most, hours);
	}
	PG_RETURN_DATUM(bitmap_datum(hour, most));
}

PG_FUNCTION_INFO_V1(paillier_metering_missing_minutes);

/* metering.missing_minutes(expected bigint[], received bigint[]) -> bigint[]: the readings in the first bitmap only */
Datum
paillier_metering_missing_minutes(PG_FUNCTION_ARGS)
{
	int			hours;
	int			received_hours;
	const int64 *expected = bitmap_hours(PG_GETARG_ARRAYTYPE_P(0), &hours);
	const int64 *received = bitmap_hours(PG_GETARG_ARRAYTYPE_P(1), &received_hours);
	int64		hour[WINDOW_HOURS];

	for (int i = 0; i < hours; i++)
		hour[i] = expected[i] & ~(i < received_hours ? received[i] : 0);
	PG_RETURN_DATUM(bitmap_datum(hour, hours));
}

PG_FUNCTION_INFO_V1(paillier_metering_count_minutes);

/* metering.count_minutes(bigint[]) -> int: the number of readings in a bitmap */
Datum
paillier_metering_count_minutes(PG_FUNCTION_ARGS)
{
	int			hours;
	const int64 *hour = bitmap_hours(PG_GETARG_ARRAYTYPE_P(0), &hours);
	int32		count = 0;

	for (int i = 0; i < hours; i++)
		count += pg_popcount64((uint64) hour[i]);
	PG_RETURN_INT32(count);
}

PG_FUNCTION_INFO_V1(paillier_metering_expected_minutes);

/*
 * metering.expected_minutes(active tstzrange, starts timestamptz, ends timestamptz, minutes int) -> bigint[]
 *
 * The readings of a meter that is read every so many minutes, from starts, which is a
 * full hour, up to ends, as far as they start in its active range.
 */
Datum
paillier_metering_expected_minutes(PG_FUNCTION_ARGS)
{
	MeteringMeter meter;
	TimestampTz starts = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz ends = PG_GETARG_TIMESTAMPTZ(2);
	int32		minutes = PG_GETARG_INT32(3);
	int64		hour[WINDOW_HOURS] = {0};
	int64		length;
	bool		active;

	if (minutes < 1 || minutes > 60)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reading interval of %d minutes is out of range", minutes)));
	if (TIMESTAMP_NOT_FINITE(ends) || starts != paillier_utc_hour(starts) || ends < starts ||
		pg_sub_s64_overflow(ends, starts, &length) || length > WINDOW_HOURS * USECS_PER_HOUR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("readings up to %s cannot be counted", timestamptz_to_str(ends)),
				 errhint("A range begins with a full hour and has at most %d hours.", WINDOW_HOURS)));
	active = paillier_metering_active(PG_GETARG_DATUM(0), &meter);
	for (int64 at = 0; active && at < length; at += minutes * USECS_PER_MINUTE)
		if (starts + at >= meter.from && starts + at < meter.until)
			hour[at / USECS_PER_HOUR] |= INT64CONST(1) << (at % USECS_PER_HOUR / USECS_PER_MINUTE);
	PG_RETURN_DATUM(bitmap_datum(hour, (int) ((length + USECS_PER_HOUR - 1) / USECS_PER_HOUR)));
}
