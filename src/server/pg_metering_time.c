/*
 * pg_metering_time.c
 *		Time arithmetic on readings: UTC hours, the ring of staging, bitmaps of an hour.
 */
#include "pg_metering.h"

#include "port/pg_bitutils.h"
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

PG_FUNCTION_INFO_V1(paillier_metering_reading_bit);

/* metering.reading_bit(read_at timestamptz, minutes int) -> bigint: 1 << place of the reading in its hour */
Datum
paillier_metering_reading_bit(PG_FUNCTION_ARGS)
{
	TimestampTz read_at = PG_GETARG_TIMESTAMPTZ(0);
	int32		minutes = PG_GETARG_INT32(1);

	if (minutes < 1 || minutes > 60)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reading interval of %d minutes is out of range", minutes)));
	PG_RETURN_INT64(INT64CONST(1) << ((read_at - paillier_utc_hour(read_at)) / (minutes * USECS_PER_MINUTE)));
}

PG_FUNCTION_INFO_V1(paillier_metering_bits);

/* metering.bits(bigint) -> int: how many bits are set */
Datum
paillier_metering_bits(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pg_popcount64((uint64) PG_GETARG_INT64(0)));
}
