CREATE VIEW metering.region_load AS
	SELECT region, hour, total, meters, readings, expected, key_id FROM metering.region_total WHERE total IS NOT NULL;

COMMENT ON VIEW metering.region_load IS 'encrypted energy of each region and UTC hour with enough meters; decrypt total with paillier_decrypt()';
COMMENT ON COLUMN metering.region_load.total IS 'encrypted energy of the hour; total / meters is the mean of one meter';
COMMENT ON COLUMN metering.region_load.meters IS 'meters that contributed';
COMMENT ON COLUMN metering.region_load.readings IS 'readings in the total';
COMMENT ON COLUMN metering.region_load.expected IS 'readings that the meters of the region should have sent: readings / expected is the coverage';

--
-- All that follows is computed from the totals in region_hour, each of at least
-- min_meters meters, and from nothing finer.  So every sum or difference of results is
-- a combination of these totals.  Only views run as their owner here.  Ciphertexts
-- under two keys are never added: each key has a row.

-- Days, weeks and months.  Each view lists the periods first, and reads the hours of a
-- period by an index: so a condition on the period, or on the region, reads only its
-- hours.  A clock may change at midnight: so the range of hours is wider than the
-- period, and each hour is looked at.
DO $do$
DECLARE
	unit text;
BEGIN
	FOREACH unit IN ARRAY ARRAY['day', 'week', 'month'] LOOP
		EXECUTE format($sql$
			CREATE VIEW metering.region_%1$s AS
				SELECT h.region, p.%1$s, @paillier@.sum(h.total) AS total, count(h.total)::int AS hours,
					(count(*) - count(h.total))::int AS hours_suppressed,
					COALESCE(sum(h.meters) FILTER (WHERE h.total IS NOT NULL), 0) AS meter_hours,
					COALESCE(sum(h.readings) FILTER (WHERE h.total IS NOT NULL), 0) AS readings,
					COALESCE(sum(h.expected) FILTER (WHERE h.total IS NOT NULL), 0) AS expected, h.key_id
				FROM (
					SELECT d.starts::date AS %1$s, d.starts, s.zone, d.starts AT TIME ZONE s.zone - interval '3 hours' AS since,
						(d.starts + interval '1 %1$s') AT TIME ZONE s.zone + interval '3 hours' AS until
					FROM (SELECT * FROM metering.setting LIMIT 1) AS s
					CROSS JOIN LATERAL (SELECT min(x.hour) AS first, max(x.hour) AS last FROM metering.region_hour x) AS x
					CROSS JOIN LATERAL generate_series(date_trunc('%1$s', x.first AT TIME ZONE s.zone), x.last AT TIME ZONE s.zone,
						interval '1 %1$s') AS d (starts)) AS p
				JOIN metering.region_total h ON h.hour >= p.since AND h.hour < p.until
					AND date_trunc('%1$s', h.hour AT TIME ZONE p.zone) = p.starts
				GROUP BY h.region, p.%1$s, h.key_id
				HAVING count(h.total) > 0;

			COMMENT ON VIEW metering.region_%1$s IS 'encrypted energy of each region and %1$s; decrypt total with @paillier@.paillier_decrypt()';
			COMMENT ON COLUMN metering.region_%1$s.%1$s IS 'its first day, in the time zone of the settings';
			COMMENT ON COLUMN metering.region_%1$s.total IS 'encrypted energy of the hours that have a total; total / meter_hours is the mean of one meter and hour';
			COMMENT ON COLUMN metering.region_%1$s.hours IS 'hours in the total';
			COMMENT ON COLUMN metering.region_%1$s.hours_suppressed IS 'hours without a total, because too few meters contributed or the total is void';
			COMMENT ON COLUMN metering.region_%1$s.meter_hours IS 'meters that contributed, added up over the hours';
			COMMENT ON COLUMN metering.region_%1$s.readings IS 'readings in the total';
			COMMENT ON COLUMN metering.region_%1$s.expected IS 'readings that should be in the total';
			$sql$, unit);
	END LOOP;
END
$do$;

CREATE VIEW metering.region_week_profile AS
	SELECT h.region, EXTRACT(isodow FROM h.hour AT TIME ZONE s.zone)::int AS weekday,
		EXTRACT(hour FROM h.hour AT TIME ZONE s.zone)::int AS hour_of_day,
		@paillier@.sum(h.total) AS total, count(*)::int AS hours, sum(h.meters) AS meter_hours, h.key_id
	FROM metering.region_load h
	CROSS JOIN (SELECT * FROM metering.setting LIMIT 1) AS s
	GROUP BY h.region, weekday, hour_of_day, h.key_id;

COMMENT ON VIEW metering.region_week_profile IS 'encrypted load of each region by hour of the week: total / hours is the mean';
COMMENT ON COLUMN metering.region_week_profile.weekday IS '1 for Monday to 7 for Sunday, in the time zone of the settings';
COMMENT ON COLUMN metering.region_week_profile.hour_of_day IS '0 to 23, in the time zone of the settings';
COMMENT ON COLUMN metering.region_week_profile.total IS 'encrypted energy of all such hours';
COMMENT ON COLUMN metering.region_week_profile.hours IS 'hours in the total';
COMMENT ON COLUMN metering.region_week_profile.meter_hours IS 'meters that contributed, added up over the hours';

CREATE VIEW metering.region_profile AS
	SELECT region, hour_of_day, @paillier@.sum(total) AS total, sum(hours)::int AS hours, sum(meter_hours) AS meter_hours, key_id
	FROM metering.region_week_profile GROUP BY region, hour_of_day, key_id;

COMMENT ON VIEW metering.region_profile IS 'encrypted load of each region by hour of the day: total / hours is the mean';
COMMENT ON COLUMN metering.region_profile.hour_of_day IS '0 to 23, in the time zone of the settings';
COMMENT ON COLUMN metering.region_profile.total IS 'encrypted energy of all such hours';
COMMENT ON COLUMN metering.region_profile.hours IS 'hours in the total';
COMMENT ON COLUMN metering.region_profile.meter_hours IS 'meters that contributed, added up over the hours';
