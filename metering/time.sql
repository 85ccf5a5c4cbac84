CREATE FUNCTION metering.utc_hour(t timestamptz) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'paillier_metering_utc_hour' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.utc_hour(timestamptz) IS 'the start of the UTC hour that t lies in';

CREATE FUNCTION metering.slots() RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_slots' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.slots() IS 'number of partitions of the staging ring; the hours t and t + slots() hours share a partition';

CREATE FUNCTION metering.slot(t timestamptz) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_slot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.slot(timestamptz) IS 'the partition of the staging ring that holds the hour of t: hour number modulo slots()';

-- What is kept for months lies in a ring of partitions by month, so that it can be
-- forgotten by TRUNCATE.
CREATE FUNCTION metering.month_slots() RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_month_slots' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.month_slots() IS 'number of partitions of metering.bill_window; months that are so many apart share a partition';

CREATE FUNCTION metering.month_slot(t timestamptz) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_month_slot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.month_slot(timestamptz) IS 'the partition of metering.bill_window that holds the UTC month of t: month number modulo month_slots()';

-- Sets of readings of one meter are bitmaps: an array of one number for each hour of a
-- bill window, in which bit i stands for the reading at minute i.

CREATE FUNCTION metering.minute_bit(read_at timestamptz) RETURNS bigint
	AS 'MODULE_PATHNAME', 'paillier_metering_minute_bit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.minute_bit(timestamptz) IS 'the bit of a reading in the number of its hour: bit i for minute i';

CREATE FUNCTION metering.bits(minutes bigint) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_bits' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.bits(bigint) IS 'number of readings in one hour of a bitmap';

CREATE FUNCTION metering.hour_minutes(place int, minutes bigint) RETURNS bigint[]
	AS 'MODULE_PATHNAME', 'paillier_metering_hour_minutes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.hour_minutes(int, bigint) IS 'the bitmap of readings of one hour of a window; place is 1 for its first hour';

CREATE FUNCTION metering.union_minutes(a bigint[], b bigint[]) RETURNS bigint[]
	AS 'MODULE_PATHNAME', 'paillier_metering_union_minutes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.union_minutes(bigint[], bigint[]) IS 'the readings that are in either of two bitmaps';

CREATE AGGREGATE metering.union_minutes(bigint[]) (
	SFUNC = metering.union_minutes, STYPE = bigint[], INITCOND = '{}', COMBINEFUNC = metering.union_minutes, PARALLEL = SAFE);

COMMENT ON AGGREGATE metering.union_minutes(bigint[]) IS 'the readings that are in any of the bitmaps';

CREATE FUNCTION metering.missing_minutes(expected bigint[], received bigint[]) RETURNS bigint[]
	AS 'MODULE_PATHNAME', 'paillier_metering_missing_minutes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.missing_minutes(bigint[], bigint[]) IS 'the readings that are in the first bitmap and not in the second one';

CREATE FUNCTION metering.count_minutes(bitmap bigint[]) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_count_minutes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.count_minutes(bigint[]) IS 'number of readings in a bitmap';

CREATE FUNCTION metering.expected_minutes(active tstzrange, starts timestamptz, ends timestamptz, minutes int)
	RETURNS bigint[]
	AS 'MODULE_PATHNAME', 'paillier_metering_expected_minutes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.expected_minutes(tstzrange, timestamptz, timestamptz, int) IS 'the readings that a meter with an active range should send from starts, a full hour, up to ends, if it is read every so many minutes';

CREATE FUNCTION metering.minutes(length interval) RETURNS int
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (EXTRACT(epoch FROM length) / 60)::int $$;

COMMENT ON FUNCTION metering.minutes(interval) IS 'an interval in minutes';

-- Hours with the same label, under the same settings, form a bill window.  The label
-- is a local time in the zone of the settings.  A window over a change of daylight
-- saving time has one hour more or less.
CREATE FUNCTION metering.window_label(hour timestamptz, zone text, bill_window interval) RETURNS timestamp
	LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT date_trunc('day', hour AT TIME ZONE zone)
			+ bill_window * floor(EXTRACT(hour FROM hour AT TIME ZONE zone)
				/ (EXTRACT(epoch FROM bill_window) / 3600))::double precision
	$$;

COMMENT ON FUNCTION metering.window_label(timestamptz, text, interval) IS 'local time that names the bill window of an hour';
