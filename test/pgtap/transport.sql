-- transport.sql
--	Values and totals stay what they are on every way a database moves them:
--	files, statements, functions, views, TOAST, and states of sums between
--	processes.

\ir fixture.psql
SELECT no_plan();

-- the largest key there is, made by paillier_keygen(8192)
INSERT INTO fixture_key
	VALUES ('largest',
	'{"kty":"DAJ","key_ops":["decrypt"],"p":"7owsf2mtN63dGP12dNVhNADhbiYUUMujt_F-RIagbvbHo0FDyV8pvNLK_b3vLALmMWOkYKbbuv'
	'ETL8QrRcLf4UZhgozaC8qnDdQP9rhnIrXI35COVbj7M2Oa4o5aEYEBsizF4YL40PNqpCzzRzaBEwiHiIox441AabHwWt5_1jnw1243G8TQf-sUbMu-'
	'zMMM0xqYf7JYUXnxOQLqMQlysf_yy37m2xTrooEXxTOjWtYyK-YOghiluw5pgWmW1RRiUa9VR3XgYvraSiLVFbkxER16OYf-Hw4jQaaPajHtQzFPV3'
	'Zjad3BQy6V5hb8KQ-D4xGqy3yNUOAOHSoCu0FPicGn3HIJwSMMo7a9xpt4YBAS-LrIJBvNCxU1jeI_-1c6yCPmWjlbv71HKAF6Oue25oltFirr74H8'
	'hyOa5D64jGnoMNuF5Z71GAhWbER4f3xxxMaVeMAl7129kn4-GEC6AmVujjhwvrc68VAocePIYc2g_nITf_4KvnFN43rYcHXbRwZkSDyfqx8XbHtCtm'
	'g0oaPX1wUvbAnh-QqxLQ3w7nNki3rBZpFcevwtCWGSyE92ThhbEfL9BVaTwvuGzC7NH10soCYOWQY5DATPbZW6fZDUW68YODV5C6v7ytzGkxW8wKnA'
	'IFrGoqRupQyjLVz-x9HBTAWdNwvXn6aUKaBXlzM","q":"-TWytySdgL0BP9HBvtKgA8Uu8uBZJdIZd-A4yRjz4_9jgSgFjdpwRhVQEkpEDLNVCiG7'
	'07lzJ0Jk1QCm6zUs4l2EF552mH7e3wqbaZf6I89489uNADhvtypHpm2Ce-uYfyuUSfAum53NIux9tHYUdmZZTlj_TgkpbwC8sgD4XrrItu6UJoSEFM'
	'TaDnrUEH69wO1HxAg_SJYXNT_n4_GB2JaKltIj50j8Ma421ry3FqcGrmzLY41MTHXXm7ZRV3jlt4UGhduSmf4HtuSmwbfm8c6MQioaCNb61astSwda'
	'VVCxZCxEFP4xWBg3PDcM4Y4KrIiLITPTZ14qZ5gtczI8hfOG8RGSgAXl2N9tPlBTahnk-CJAlung4pFKeR53qAGZQ5BouC4XpNw5JrCw6Oql0aCJkZ'
	'8caV-KVLwKJ4ftrQs31aOT4L-LHx9grAKpR-K33-2kKSV2AtUd00q6tapS3IPOMj-oxkGXQ9Au6koc8dbKo4Ubu4100fljQS6-d8u_5ETPeHIGUSlh'
	'MSF4CH1P4i6M6zp5XPEgUl-hpEwwpGMiLg1ifwuFryVYefT4cxketVIezJHK9EiMYtR7U1Mt54Ct6uIyDp07c-d2Rb_2qbtpjqoIiamHi4SY9ZgNuo'
	'UJBdd_pg40TvM8L-oRDVRto77-6DEECpKNkmJxJ47I92s","pub":{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],'
	'"n":"6Dhg1UNtPMMIfIPQxEr7zxLXjWzVdUUASR8YEm8Xxtgo69YWu81GLgOQJ0nA9sMYQniUwC3kdd_9fSQc8FhZal7LKM3cK9DLP9eW6Z3uUGG1F'
	'uQDYIdiQ4RS7gE6dCnLrbVZWG10HEpftIiY6JQyxQPi94BDx4-KPivlAzhypPcHsN94WENeqSrW5sM3zdujg-7GrlhUyfiTQNdGimyFz5ta9KPOAV-'
	'sfgXJjlotjjAvoadyRQN3LNTQi8xYUNwQTcAm-rwEYqN8eTnwMoZVmQbWD9oIFMHkEwYTlL5JEOh-wBSQCdigp0XO8I0mwK7cQ-53eofAee42RwUSL'
	'FyKtshBEOtBea3_cLi_UtpAhYXnG0k8N5mwifILjcDOaxWBjzcS5vyGVVUsyhROrJtQkUAxjx2axATYhdoq_eSER2Kn-VGmHbBXmAkjIGOYYAu8n0I'
	'xMSsA51LkZ1_imxgWJym0I1KwxglfhUxnHr0PTa9c90NTxHSiak88IcqK4ykbasa7_OX6owcOhtROrko8SSFqlEm8UHUeKhJmvEHyvwUlALPzkqQL3'
	'VSBjMWLozxNYYCiqhC3Q8-Vuo0UxTBiXcE0witxJGml_ZPtdMHvLQs4Jo7MKwXhsiAW8KwYxJ0GLHFtnMvGZFXKst_tfOhMHz3PQlqwIBu0THQ2Jj_'
	'959Axvaca2onMGthSwF7aXASjhwQ-nzUlHnKmQ21m2JgpOOLAYQUqknnZeQ-K-fNpCzMoEKNhhojbqPIYkCxoDHTi7NYZwdna35Kb7RwwBlzLwcUSu'
	'4h38E2npGxW83VZ13MUR4QGLHDAaf4k9cHNwjJ6_nuc70wckANELEoriLP3tIjB5EfXaqc2WpSqqhJP4JCz_PZ7rs2Bt2KgyNl_9NteFHu1hSmctir'
	'ui6XmFacPWoZaKtGz5McgAZ_9uy3v1B6X8PZUjU-KMRubrRdQcxV5d35REuutQf60InHIRdeqQXfam3IiRpDC1iRcNo4kQqPVaIlba3Qt2SgO3W6LO'
	'ae2eYMAidEjpmT74NmGzioU0b8T1Uv_MXOs21o0Jk4EzDx24p8mQ6pa-qFmqGOkfwcn5XsJ94U-zvmyEH5tyX9sqepWsuEtFFTfWq8VaAqH2gsk_Ip'
	'-VrSyP-qTNPbVOjqOXwBSiFDxgKQBWgJJ0OX7KpiJVR6xSAk__tEwqeTjJG5f0H4-Ka6UKcZBMMcPulyydsj84tRFkrQqEQp6o3nWvU_4aLFRr3V0P'
	'1aKdjb4d2fkyagUbLfY1KQDV2Iv_UYymH5TxjkVe9x_O549cso70EOT_M7wUA53nMK-LMpUU6uywpPtE9URTqYZ3TH6TIOqvrXJHPURw3RZpX0r8VZ'
	'nUQ","djn":true,"kid":"888a83a76795e27c2462c002987fe35a"},"kid":"888a83a76795e27c2462c002987fe35a"}');
SELECT count(paillier_register_key(public_key, name)) AS x FROM fixture_key WHERE name = 'largest' \gset

SELECT setseed(0.7) IS NULL AS x \gset
CREATE TABLE reading (id int, key_name text, region int, amount numeric, weight numeric, ct paillier_ciphertext);
INSERT INTO reading (id, key_name, region, amount, weight)
SELECT i, (ARRAY['python', 'small', 'medium', 'uneven'])[1 + i % 4], i % 9,
	CASE WHEN random() < 0.9 THEN random_number(trunc(random() * 7)::int) END,
	(trunc(random() * 2000 - 1000)::text || 'e-' || trunc(random() * 3)::text)::numeric
FROM generate_series(1, 4000) i;
UPDATE reading SET ct = paillier_encrypt(amount, public_key(key_name), scale(amount));
ANALYZE reading;

-- The file a test copies through, beside the data directory.
CREATE FUNCTION file(name text) RETURNS text LANGUAGE sql AS
	$$ SELECT format('%s/../%s_%s', current_setting('data_directory'), current_database(), name) $$;

-- Copy a table to a file and back into another.
CREATE FUNCTION copy_through(source text, target text, options text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (LIKE %I)', target, source);
	EXECUTE format('COPY %I TO %L (%s)', source, file(target), options);
	EXECUTE format('COPY %I FROM %L (%s)', target, file(target), options);
END $$;

-- ---- files ----

SELECT lives_ok($$ SELECT copy_through('reading', 'copy_text', 'FORMAT text') $$, 'COPY as text');
SELECT totals_are('SELECT ct, amount FROM copy_text', 4000, 'values after COPY as text');
SELECT lives_ok($$ SELECT copy_through('reading', 'copy_csv', $csv$FORMAT csv, DELIMITER '-'$csv$) $$, 'COPY as CSV');
SELECT totals_are('SELECT ct, amount FROM copy_csv', 4000, 'values after COPY as CSV');
SELECT lives_ok($$ SELECT copy_through('reading', 'copy_binary', 'FORMAT binary') $$, 'COPY as binary');
SELECT totals_are('SELECT ct, amount FROM copy_binary', 4000, 'values after COPY as binary');
SELECT totals_are('SELECT sum(ct, weight), sum(amount * weight) FROM copy_binary GROUP BY key_name', 4,
	'totals after COPY as binary');
SELECT is((SELECT count(*) FROM reading r JOIN copy_text t USING (id) JOIN copy_csv c USING (id)
	JOIN copy_binary b USING (id)
	WHERE r.ct IS NOT NULL AND (t.ct::text, c.ct::text, b.ct::text) = (r.ct::text, r.ct::text, r.ct::text)),
	(SELECT count(ct) FROM reading), 'nothing changed on the way');

CREATE TABLE key_source AS SELECT name, public_key, private_key FROM fixture_key;
SELECT lives_ok($$ SELECT copy_through('key_source', 'key_text', 'FORMAT text') $$, 'COPY keys as text');
SELECT lives_ok($$ SELECT copy_through('key_source', 'key_binary', 'FORMAT binary') $$, 'COPY keys as binary');
SELECT is((SELECT count(*) FROM key_source k JOIN key_text t USING (name) JOIN key_binary b USING (name)
	WHERE t.public_key::text = k.public_key::text AND t.private_key::text = k.private_key::text
		AND b.public_key::text = k.public_key::text AND b.private_key::text = k.private_key::text), 6::bigint,
			'keys survive both');
CREATE TABLE public_source AS SELECT public_key FROM fixture_key WHERE name = 'small';
CREATE TABLE private_source AS SELECT private_key FROM fixture_key WHERE name = 'small';
SET paillier.min_key_bits = 257;
SELECT lives_ok(format($$ SELECT copy_through('%1$s_source', '%1$s_%2$s', 'FORMAT %2$s') $$, half, form),
	format('a %s key below the limit is read as %s', half, form))
FROM unnest(ARRAY['public', 'private']) half, unnest(ARRAY['text', 'binary']) form;
SELECT is((SELECT count(DISTINCT public_key::text) || ' ' || count(*)
	FROM (TABLE public_source UNION ALL TABLE public_text UNION ALL TABLE public_binary) s), '1 3', 'and is the same');
SELECT is((SELECT count(DISTINCT private_key::text) || ' ' || count(*)
	FROM (TABLE private_source UNION ALL TABLE private_text UNION ALL TABLE private_binary) s), '1 3',
	'private ones, too');
SET paillier.min_key_bits = 128;

-- ---- statements, functions, views ----

PREPARE total(text, numeric) AS SELECT sum(ct, $2), sum(amount * $2) FROM reading WHERE key_name = $1;
SET plan_cache_mode = force_generic_plan;
CREATE TABLE prepared (total, expected) AS EXECUTE total('small', -2.5);
CREATE TABLE prepared_again (total, expected) AS EXECUTE total('medium', 3);
SET plan_cache_mode = force_custom_plan;
CREATE TABLE prepared_custom (total, expected) AS EXECUTE total('uneven', 0.01);
RESET plan_cache_mode;
SELECT totals_are('TABLE prepared UNION ALL TABLE prepared_again UNION ALL TABLE prepared_custom', 3,
	'sums in prepared statements');
-- ciphertexts as parameters, as text
PREPARE store(paillier_ciphertext, numeric) AS INSERT INTO prepared VALUES ($1 + 1, $2 + 1);
SELECT format('EXECUTE store(%L, %s)', ct, amount) FROM reading WHERE amount IS NOT NULL AND id <= 100 \gexec
SELECT totals_are('SELECT * FROM prepared', 80, 'ciphertexts as parameters');

CREATE FUNCTION add_up(name text) RETURNS paillier_ciphertext LANGUAGE plpgsql AS $$
DECLARE
	total paillier_ciphertext;
	row reading;
BEGIN
	FOR row IN SELECT * FROM reading WHERE key_name = name AND amount IS NOT NULL LOOP
		total := COALESCE(total + row.ct, row.ct);
	END LOOP;
	RETURN total;
END $$;
SELECT totals_are('SELECT add_up(name), (SELECT sum(amount) FROM reading WHERE key_name = name) FROM fixture_key', 4,
	'a loop in PL/pgSQL');
CREATE FUNCTION sum_of(name text) RETURNS paillier_ciphertext LANGUAGE plpgsql AS $$
DECLARE
	total paillier_ciphertext;
BEGIN
	SELECT sum(ct) INTO STRICT total FROM reading WHERE key_name = name;
	RETURN total;
END $$;
SELECT totals_are('SELECT sum_of(name), (SELECT sum(amount) FROM reading WHERE key_name = name) FROM fixture_key', 4,
	'a sum in PL/pgSQL');

CREATE VIEW by_region AS SELECT key_name, region, sum(ct) AS total,
	sum(amount) AS expected FROM reading GROUP BY key_name, region;
SELECT totals_are('SELECT total, expected FROM by_region', 36, 'a view');
SELECT totals_are('SELECT sum(total), sum(expected) FROM by_region GROUP BY key_name', 4, 'sums over a view');
CREATE MATERIALIZED VIEW by_region_stored AS SELECT * FROM by_region;
REFRESH MATERIALIZED VIEW by_region_stored;
SELECT totals_are('SELECT total, expected FROM by_region_stored', 36, 'a materialized view');
SELECT totals_are('WITH t AS MATERIALIZED (SELECT key_name, sum(ct) AS total,
	sum(amount) AS expected FROM reading GROUP BY key_name, region) SELECT sum(total),
	sum(expected) FROM t GROUP BY key_name', 4, 'a CTE');
SELECT totals_are('WITH RECURSIVE t(i, total, expected)
	AS (SELECT 1, ct, amount FROM reading WHERE id = 8 UNION ALL SELECT i + 1, total + ct, expected + amount FROM t,
	reading WHERE id = 8 AND i < 50) SELECT total, expected FROM t', 50,
	'a recursive CTE');

-- ---- containers ----

SELECT totals_are('SELECT sum(ct), sum(amount) FROM (SELECT key_name, unnest(array_agg(ct ORDER BY id)) AS ct,
	unnest(array_agg(amount ORDER BY id)) AS amount FROM reading GROUP BY key_name) s GROUP BY key_name', 4, 'arrays');
SELECT totals_are('SELECT (ct::text[]::paillier_ciphertext[])[2],
	amount FROM (SELECT ARRAY[NULL, ct] AS ct, amount FROM reading) s', 4000, 'arrays as text');
SELECT totals_are('SELECT (r::text::reading).ct, amount FROM reading r', 4000, 'rows as text');
SELECT totals_are('SELECT (jsonb_populate_record(NULL::reading, to_jsonb(r))).ct, amount FROM reading r', 4000,
	'rows as JSON');
CREATE DOMAIN valid_ciphertext AS paillier_ciphertext CHECK (paillier_valid(VALUE));
SELECT totals_are('SELECT ct::valid_ciphertext, amount FROM reading', 4000, 'a domain');
SELECT throws_ok('SELECT (ct * 0)::valid_ciphertext FROM reading WHERE ct IS NOT NULL', '23514', NULL,
	'a domain that checks validity');
CREATE TYPE pair AS (ct paillier_ciphertext, amount numeric);
CREATE TABLE composite AS SELECT (ct, amount)::pair AS pair FROM reading;
SELECT totals_are('SELECT (pair).ct, (pair).amount FROM composite', 4000, 'a composite type');

-- ---- held cursors, and output when no statement runs ----

BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT ct FROM reading WHERE id = 8;
COMMIT;
FETCH held \gset
SELECT totals_are(format('SELECT %L::paillier_ciphertext, amount FROM reading WHERE id = 8', :'ct'), 1,
	'a held cursor');
CLOSE held;

-- ---- states of sums ----

-- what a server does that adds in parts elsewhere and ships the parts
CREATE AGGREGATE part_of_sum(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum, PARALLEL = SAFE);
CREATE AGGREGATE part_of_sum(paillier_ciphertext, numeric) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	PARALLEL = SAFE);
CREATE AGGREGATE sum_of_parts(paillier_sum) (SFUNC = paillier_sum_combine, STYPE = paillier_sum,
	FINALFUNC = paillier_sum_final, PARALLEL = SAFE);

CREATE TABLE state AS
SELECT key_name, region, id % 4 AS part, part_of_sum(ct) AS plain, part_of_sum(ct, weight) AS weighted,
	sum(amount) AS expected, sum(amount * weight) AS expected_weighted
FROM reading GROUP BY key_name, region, part;
INSERT INTO state (key_name, region) SELECT name, 0 FROM fixture_key;

SELECT totals_are('SELECT paillier_sum_final(plain), expected FROM state', 36, 'states end as totals');
SELECT totals_are('SELECT paillier_sum_final(weighted), expected_weighted FROM state', 36, 'weighted states too');
SELECT totals_are(format('SELECT sum_of_parts(%s), sum(%s) FROM state GROUP BY key_name', state, expected), 4,
	format('%s are combined, %s', state, what))
FROM (VALUES ('plain', 'expected', 'plain'), ('weighted', 'expected_weighted', 'weighted')) v(base, expected, what),
	unnest(ARRAY[base, base || '::text::paillier_sum', format('%s ORDER BY region DESC, part', base)]) state;
SELECT totals_are('SELECT paillier_sum_final(paillier_sum_combine(a.plain, b.weighted)),
	a.expected + b.expected_weighted FROM state a JOIN state b USING (key_name) WHERE a.plain IS NOT NULL
	AND b.plain IS NOT NULL', 200,
	'every two states of a key');
SELECT lives_ok($$ SELECT copy_through('state', 'state_text', 'FORMAT text') $$, 'COPY states as text');
SELECT lives_ok($$ SELECT copy_through('state', 'state_binary', 'FORMAT binary') $$, 'COPY states as binary');
SELECT totals_are(format('SELECT sum_of_parts(%s), sum(%s) FROM %s GROUP BY key_name', state, expected, source), 4,
	format('%s from %s', state, source))
FROM (VALUES ('plain', 'expected'), ('weighted', 'expected_weighted')) v(state, expected),
	unnest(ARRAY['state_text', 'state_binary']) source;
SELECT totals_are('SELECT paillier_sum_final(paillier_sum_combine(paillier_sum_accum(t.plain, r.ct), b.plain)),
	t.expected + amount + b.expected FROM state_text t JOIN state_binary b USING (key_name, region, part)
	JOIN reading r USING (key_name) WHERE amount IS NOT NULL AND id <= 40', 200,
	'states that came back are added to');
SELECT is((SELECT count(*) FROM state s JOIN state_binary b USING (key_name, region, part)
	WHERE s.plain::text <> b.plain::text OR s.weighted::text <> b.weighted::text), 0::bigint,
	'nothing changed on the way');
SELECT throws_ok('SELECT sum_of_parts(plain) FROM state', '22000', NULL, 'states of several keys are not combined');
SELECT is((SELECT count(*) FROM (SELECT sum_of_parts(plain) AS total FROM state WHERE plain IS NULL) s
	WHERE total IS NULL), 1::bigint, 'nothing but empty parts give NULL');

-- ---- slots ----

-- No input gives values with slots yet.  These are made of the bytes that a value has in memory.
CREATE TYPE memory;
CREATE FUNCTION memory_in(cstring) RETURNS memory AS 'byteain' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION memory_out(memory) RETURNS cstring AS 'byteaout' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE memory (INPUT = memory_in, OUTPUT = memory_out, ALIGNMENT = double, STORAGE = external);
CREATE CAST (paillier_ciphertext AS memory) WITHOUT FUNCTION;
CREATE CAST (memory AS paillier_ciphertext) WITHOUT FUNCTION;
CREATE CAST (paillier_sum AS memory) WITHOUT FUNCTION;
CREATE FUNCTION bytes_of(memory) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT $1::text::bytea $$;
-- a ciphertext, as it is in memory on a little-endian machine, with `slots` of 64 bits
CREATE FUNCTION slotted(ct paillier_ciphertext, slots int) RETURNS paillier_ciphertext LANGUAGE sql IMMUTABLE AS
	$$ SELECT overlay(bytes_of(ct::memory) PLACING '\x4000'::bytea || set_byte('\x0000', 0, slots)
		FROM 3)::text::memory::paillier_ciphertext $$;
CREATE FUNCTION slots_of(ct paillier_ciphertext) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT substr(bytes_of(ct::memory), 3, 4)::text $$;
CREATE TABLE slotted AS
SELECT i, slots, CASE WHEN slots > 0 THEN slotted(ct, slots) ELSE ct END AS ct
FROM (SELECT paillier_encrypt(7, public_key('small')) AS ct OFFSET 0) s, generate_series(1, 1100) i,
	unnest(ARRAY[0, 2, 3]) slots;
ANALYZE slotted;
CREATE TABLE slotted_state AS
SELECT slots, part_of_sum(ct) AS plain, part_of_sum(ct, 5) AS weighted FROM slotted WHERE i <= 10 GROUP BY slots;

SELECT is((SELECT string_agg(slots_of(total), ' ' ORDER BY slots)
	FROM (SELECT slots, sum(ct) AS total FROM slotted WHERE i <= n GROUP BY slots) s),
	'\x00000000 \x40000200 \x40000300', format('a sum of %s rows has their slots', n))
FROM unnest(ARRAY[1, 100, 1100]) n;
SELECT is((SELECT string_agg(DISTINCT slots_of(total), ' ')
	FROM (SELECT sum(ct) OVER (ORDER BY i ROWS 9 PRECEDING) AS total FROM slotted WHERE slots = 2) s), '\x40000200',
	'a sliding sum, too');
SELECT is((SELECT string_agg(slots_of(paillier_sum_final(paillier_sum_combine(plain, weighted))), ' ' ORDER BY slots)
	FROM slotted_state), '\x00000000 \x40000200 \x40000300', 'and combined states');
SELECT throws_ok(query, '22000', 'cannot add ciphertexts whose slots differ', what) FROM (VALUES
	('SELECT sum(ct) FROM slotted', 'a sum of rows whose slots differ'),
	('SELECT sum(ct) FROM slotted WHERE slots > 0', 'in number'),
	('SELECT sum(ct) FROM slotted WHERE i <= 3', 'a sum of few of them'),
	('SELECT sum(ct, 3) FROM slotted', 'a weighted sum'),
	('SELECT count(s) FROM (SELECT sum(ct) AS s FROM slotted GROUP BY i) t', 'groups'),
	('SELECT count(s) FROM (SELECT sum(ct) OVER (ORDER BY i ROWS 4 PRECEDING) AS s FROM slotted) t', 'a sliding sum'),
	('SELECT paillier_sum_accum(plain, ct) FROM slotted_state s JOIN slotted r ON s.slots < r.slots',
		'a row and a state'),
	('SELECT paillier_sum_accum(plain, ct, 2) FROM slotted_state s JOIN slotted r ON s.slots < r.slots',
		'a weighted row and a state'),
	('SELECT paillier_sum_accum_inv(plain, ct) FROM slotted_state s JOIN slotted r ON s.slots > r.slots',
		'a row that leaves'),
	('SELECT paillier_sum_accum_inv(plain, ct, 5) FROM slotted_state s JOIN slotted r ON s.slots > r.slots',
		'a weighted row that leaves'),
	('SELECT paillier_sum_combine(a.plain, b.plain) FROM slotted_state a JOIN slotted_state b ON a.slots < b.slots',
		'states'),
	('SELECT sum_of_parts(weighted) FROM slotted_state', 'an aggregate of states')) v(query, what);
SELECT throws_ok(format('SELECT %s::text::%s FROM slotted_state JOIN slotted USING (slots) WHERE slots = 2', value,
	type), '22P02', NULL, format('a %s with slots is not read', type))
FROM (VALUES ('ct', 'paillier_ciphertext'), ('plain', 'paillier_sum'), ('weighted', 'paillier_sum')) v(value, type);
SELECT is((SELECT substr(paillier_sum_send(plain), 4, 4)::text || ' ' || substr(bytes_of(plain::memory), 9, 4)::text
	FROM slotted_state WHERE slots = 3), '\x00400003 \x40000300', 'where they stand in a state');

-- ---- TOAST: keys of 8192 bits, and rows that are too wide for a page ----

CREATE TABLE large (id int, amount numeric, ct paillier_ciphertext);
INSERT INTO large SELECT i, amount, paillier_encrypt(amount, public_key('largest'), scale(amount))
FROM generate_series(1, 5) i, LATERAL (SELECT (i * 1000003 - 3000000)::numeric / (ARRAY[1, 10, 100])[1 + i % 3]) a(x),
	LATERAL (SELECT trim_scale(round(x, 2))) b(amount);
INSERT INTO large VALUES (6, NULL, NULL);
SELECT ok((SELECT bool_and(pg_column_size(ct) > 2048) FROM large WHERE ct IS NOT NULL)
	AND pg_relation_size(reltoastrelid) > 5 * 2048, 'values of 2 kB are kept in the TOAST table')
FROM pg_class WHERE oid = 'large'::regclass;
SELECT totals_are('SELECT ct, amount FROM large', 6, 'toasted values');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM large', 1, 'a sum of toasted values');
SELECT totals_are('SELECT sum(ct, 0.5 - id % 2), sum(amount * (0.5 - id % 2)) FROM large', 1,
	'a weighted sum of toasted values');
SELECT totals_are('SELECT sum(ct) OVER w, sum(amount) OVER w FROM large WINDOW w AS (ORDER BY id ROWS 1 PRECEDING)', 6,
	'a sliding sum of toasted values');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM large GROUP BY id % 2', 2, 'toasted values in groups');
CREATE TABLE large_state AS SELECT id % 2 AS part, part_of_sum(ct, CASE WHEN id > 3 THEN -1 ELSE 2 END) AS state,
	sum(amount * CASE WHEN id > 3 THEN -1 ELSE 2 END) AS expected FROM large GROUP BY part;
SELECT ok(pg_relation_size(reltoastrelid) > 2 * 4096, 'states in the TOAST table') FROM pg_class
	WHERE oid = 'large_state'::regclass;
SELECT totals_are('SELECT sum_of_parts(state), sum(expected) FROM large_state', 1, 'toasted states are combined');
SELECT totals_are('SELECT paillier_sum_final(state), expected FROM large_state', 2, 'toasted states end as totals');

CREATE TABLE wide (id int, amount numeric, a paillier_ciphertext, b paillier_ciphertext, c paillier_ciphertext,
	d paillier_ciphertext);
INSERT INTO wide SELECT i, i, paillier_encrypt(i, key), paillier_encrypt(-i, key), paillier_encrypt(i, key, 3),
	paillier_encrypt(i / 4.0, key, 2)
FROM generate_series(1, 50) i, public_key('usual') key;
SELECT ok(pg_relation_size(reltoastrelid) > 0, 'wide rows keep ciphertexts of 544 bytes in the TOAST table')
	FROM pg_class WHERE oid = 'wide'::regclass;
SELECT totals_are('SELECT sum(a) + sum(b, 3) - sum(c) + sum(d, -4), round(sum(amount) * -4, 3) FROM wide', 1,
	'sums over wide rows');
SELECT totals_are('SELECT a - b + c * 2 - d, round(amount * 4 - amount / 4, 3) FROM wide', 50,
	'operators over wide rows');

SELECT * FROM finish();
