-- sum_batch.sql
--	sum(paillier_ciphertext) in hash aggregates, where rows of different groups
--	wait for each other, against sum(numeric).

\ir fixture.psql

-- ---- keys that leave the cache while a row waits: in new sessions, with nothing in the cache ----

CREATE TABLE key_row AS
	SELECT i AS key, i::numeric AS amount, public_key, paillier_encrypt(i, public_key) AS ct
	FROM generate_series(1, 128) i, LATERAL (SELECT paillier_public_key(paillier_keygen(128 + i - i))) k(public_key);
SELECT count(paillier_register_key(public_key)) AS x FROM key_row \gset
UPDATE key_row SET public_key = k.public_key, ct = paillier_encrypt(amount, k.public_key) FROM fixture_key k WHERE (key, k.name) IN ((1, 'small'), (128, 'medium'));

-- Use the keys in between.
CREATE FUNCTION use_keys() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM ct + ct FROM key_row WHERE key BETWEEN 2 AND 127 ORDER BY key;
	RETURN true;
END $$;

-- Three rows under the first key, of which one waits, and two under the last one, the second in such a group.  The cache is
-- emptied when it holds 64 keys: by 65, that is, and when 65 to 128 are in it by the one of the row that waits.
CREATE FUNCTION keys_in_between(last_group int) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT sum(ct), sum(amount) FROM (SELECT grp, (SELECT ct FROM key_row r WHERE r.key = v.key) AS ct, (SELECT amount FROM key_row r WHERE r.key = v.key) AS amount
		FROM (VALUES (1, 1, false), (1, 1, false), (2, 128, true), (%s, 128, false), (1, 1, false)) v(grp, key, others) WHERE NOT others OR use_keys() OFFSET 0) s GROUP BY grp', last_group)
$$;
\connect -
LOAD 'paillier';
SET enable_sort = off;
SELECT keys_in_between(2) AS groups, keys_in_between(1) AS mixed \gset
CREATE TABLE group_total (total, expected) AS :groups;
\connect -
LOAD 'paillier';
SET paillier.min_key_bits = 128;
SET client_min_messages = warning;
SET jit = off;
SET enable_sort = off;
SELECT no_plan();
SELECT throws_ok(:'mixed', '22000', NULL, 'different keys in one group are refused, with many others in between');
SELECT totals_are('SELECT total, expected FROM group_total', 2, 'groups of different keys, with many others in between');
SELECT ok(plan_has(:'groups', '"Strategy": "Hashed"'), 'by a plan that hashes');

SELECT * FROM finish();
