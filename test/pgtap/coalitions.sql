-- coalitions.sql
--	Who can learn what, by the rows that exist and the rights on them: doc/security.md.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

SELECT date_trunc('day', now()) - interval '4 days' AS h \gset
CREATE ROLE learn_analyst;
CREATE ROLE learn_biller;
CREATE ROLE learn_operator;
CREATE ROLE learn_collector;
CREATE ROLE learn_monitor;

-- The tables, and for a role the tables and views that it may read, in which there are ciphertexts, with the
-- names of their keys.
CREATE FUNCTION ciphertexts(reader name DEFAULT NULL) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	keys text;
BEGIN
	FOR c IN
		SELECT r.oid::regclass AS relation, a.attname AS name FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid
		WHERE r.relnamespace = 'metering'::regnamespace AND a.atttypid = 'paillier_ciphertext'::regtype AND NOT r.relispartition
			AND CASE WHEN reader IS NULL THEN r.relkind IN ('r', 'p') ELSE r.relkind IN ('r', 'p', 'v')
				AND has_column_privilege(reader, r.oid, a.attnum, 'SELECT') END
		ORDER BY r.relname, a.attname
	LOOP
		EXECUTE format('SELECT string_agg(DISTINCT k.name, $1 ORDER BY k.name) FROM %s x JOIN pipeline_key k ON k.id = paillier_key_id(x.%I)',
			c.relation, c.name) INTO keys USING ' ';
		IF keys IS NOT NULL THEN
			RETURN NEXT format('%s.%s: %s', c.relation, c.name, keys);
		END IF;
	END LOOP;
END $$;
CREATE FUNCTION fleet(two boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM begin_metering($q$reading_interval = '1 hour', backup_interval = '0', min_meters = 3$q$);
	IF two THEN
		UPDATE metering.setting SET bill_key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
	END IF;
	SET CONSTRAINTS ALL IMMEDIATE;	-- before the first reading
	INSERT INTO metering.tariff VALUES ('t');
	INSERT INTO metering.rate VALUES ('t', '00:00', 0.1);
	PERFORM metering.grant_access('learn_' || l, l) FROM unnest('{analyst,biller,operator,collector,monitor}'::text[]) l;
	PERFORM add_meters('m', 4, 'one', 't'), add_meters('s', 2, 'small', 't');
	PERFORM send('.*', date_trunc('day', now()) - interval '4 days', date_trunc('day', now()) - interval '90 hours');
END $$;

-- ---- two keys ----

SELECT fleet(true) \g /dev/null
INSERT INTO metering.register_read SELECT t, m, '', encrypted(EXTRACT(hour FROM t)::numeric, 'second')
FROM generate_series(:'h'::timestamptz, :'h'::timestamptz + interval '6 hours', '2 hours') t, unnest('{m1,m2}'::text[]) m;
SELECT is(ARRAY(SELECT ciphertexts()), '{metering.reading.energy: first,metering.register_read.register: second}'::text[],
	'administrator before the purge: readings under the key of regions only, registers under that of bills only');
CALL metering.rollup(:'h'::timestamptz + interval '7 hours');
SELECT is(ARRAY(SELECT ciphertexts()), '{metering.region_hour.total: first,metering.register_read.register: second}'::text[],
	'administrator after it, and a thief of backups: regional totals and registers, even with both keys');
SELECT is_empty('SELECT FROM metering.region_hour WHERE total IS NOT NULL AND meters < 3', 'no total of a small region');
SELECT is_empty('SELECT FROM metering.register_read r WHERE NOT EXISTS (SELECT FROM metering.window_grid w
	WHERE w.window_start = r.read_at)', 'no register within a window');
SELECT is((SELECT count(*) FROM metering.key_use a JOIN metering.key_use b ON a.key_id = b.key_id AND a.channel <> b.channel), 0::bigint,
	'no key opens both');
SELECT unalike(x, '%second%', 'an analyst: nothing under the key of bills: ' || x) FROM ciphertexts('learn_analyst') x;
SELECT unalike(x, '%first%', 'a biller: nothing under the key of regions: ' || x) FROM ciphertexts('learn_biller') x;
SELECT isnt_empty(format('SELECT ciphertexts(%L)', r), r || ' reads something') FROM unnest('{learn_analyst,learn_biller}'::text[]) r;
SELECT is_empty(format('SELECT ciphertexts(%L)', 'learn_' || r), r || ': no ciphertext')
	FROM unnest('{operator,collector,monitor}'::text[]) r;
SELECT is(decrypted(r.total) - (SELECT sum(value) FROM sent WHERE meter_id IN ('m1', 'm2') AND read_at = r.hour),
	(SELECT sum(value) FROM sent WHERE meter_id IN ('m3', 'm4') AND read_at = r.hour),
	'an analyst with two friendly meters: the total of the others') FROM metering.region_hour r WHERE region = 'one' AND hour = :'h';
SELECT is_empty('SELECT FROM metering.partial UNION ALL SELECT FROM metering.bill_window UNION ALL SELECT FROM metering.hour_meter',
	'nothing is added up for one meter');

-- ---- one key ----

SELECT fleet(false) \g /dev/null
CALL metering.rollup(:'h'::timestamptz + interval '7 hours');
SELECT is(ARRAY(SELECT ciphertexts()), '{metering.bill_window.total: first,metering.region_hour.total: first}'::text[],
	'one key, after the purge: regional totals and bill windows under the same key');
SELECT unalike(x, '%bill%', 'an analyst: no bills: ' || x) FROM ciphertexts('learn_analyst') x;
SELECT unalike(x, '%region%', 'a biller: no regions: ' || x) FROM ciphertexts('learn_biller') x;
SELECT is_empty(format('SELECT ciphertexts(%L)', 'learn_' || r), r || ': no ciphertext')
	FROM unnest('{operator,collector,monitor}'::text[]) r;
SELECT is_empty('SELECT FROM metering.bill_window WHERE total IS NOT NULL AND readings < 2', 'no total of one reading');

DROP OWNED BY learn_analyst, learn_biller, learn_operator, learn_collector, learn_monitor;
DROP ROLE learn_analyst, learn_biller, learn_operator, learn_collector, learn_monitor;

SELECT * FROM finish();
