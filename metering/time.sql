CREATE FUNCTION metering.utc_hour(t timestamptz) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'paillier_metering_utc_hour' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.utc_hour(timestamptz) IS 'the start of the UTC hour that t lies in';

CREATE FUNCTION metering.slots() RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_slots' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.slots() IS 'number of partitions of the staging ring; the hours t and t + slots() hours share a partition';

CREATE FUNCTION metering.slot(t timestamptz) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_slot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.slot(timestamptz) IS 'the partition of the staging ring that holds the hour of t: hour number modulo slots()';

CREATE FUNCTION metering.reading_bit(read_at timestamptz, minutes int) RETURNS bigint
	AS 'MODULE_PATHNAME', 'paillier_metering_reading_bit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.reading_bit(timestamptz, int) IS 'the bit of a reading in the bitmap of its hour, if a meter is read every so many minutes';

CREATE FUNCTION metering.bits(received bigint) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_bits' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION metering.bits(bigint) IS 'number of readings in the bitmap of an hour';

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
