-- paillier 1.0: ciphertexts that can be added, and their sum

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION paillier" to load this file. \quit

-- ---- types and their I/O ----

CREATE TYPE paillier_public_key;

CREATE FUNCTION paillier_public_key_in(cstring) RETURNS paillier_public_key
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_public_key_in(cstring) IS 'I/O';

CREATE FUNCTION paillier_public_key_out(paillier_public_key) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_public_key_out(paillier_public_key) IS 'I/O';

CREATE FUNCTION paillier_public_key_recv(internal) RETURNS paillier_public_key
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_public_key_recv(internal) IS 'I/O';

CREATE FUNCTION paillier_public_key_send(paillier_public_key) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_public_key_send(paillier_public_key) IS 'I/O';

CREATE TYPE paillier_public_key (
	INPUT     = paillier_public_key_in,
	OUTPUT    = paillier_public_key_out,
	RECEIVE   = paillier_public_key_recv,
	SEND      = paillier_public_key_send,
	ALIGNMENT = double,
	STORAGE   = external
);

COMMENT ON TYPE paillier_public_key IS 'public key of the Paillier cryptosystem; its text is a JSON Web Key';

-- No function that takes or makes a private key is IMMUTABLE: postgres_fdw would
-- send the key to another server, and the planner would put the key, or what it
-- decrypts, into a plan that can be printed.

CREATE TYPE paillier_private_key;

CREATE FUNCTION paillier_private_key_in(cstring) RETURNS paillier_private_key
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_private_key_in(cstring) IS 'I/O';

CREATE FUNCTION paillier_private_key_out(paillier_private_key) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_private_key_out(paillier_private_key) IS 'I/O';

CREATE FUNCTION paillier_private_key_recv(internal) RETURNS paillier_private_key
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_private_key_recv(internal) IS 'I/O';

CREATE FUNCTION paillier_private_key_send(paillier_private_key) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_private_key_send(paillier_private_key) IS 'I/O';

CREATE TYPE paillier_private_key (
	INPUT     = paillier_private_key_in,
	OUTPUT    = paillier_private_key_out,
	RECEIVE   = paillier_private_key_recv,
	SEND      = paillier_private_key_send,
	ALIGNMENT = double,
	STORAGE   = external
);

COMMENT ON TYPE paillier_private_key IS 'private key of the Paillier cryptosystem; its text is a JSON Web Key; pass it as a parameter and do not store it';

CREATE TYPE paillier_ciphertext;

CREATE FUNCTION paillier_ciphertext_in(cstring) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_ciphertext_in(cstring) IS 'I/O';

CREATE FUNCTION paillier_ciphertext_out(paillier_ciphertext) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_ciphertext_out(paillier_ciphertext) IS 'I/O';

CREATE FUNCTION paillier_ciphertext_recv(internal) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_ciphertext_recv(internal) IS 'I/O';

CREATE FUNCTION paillier_ciphertext_send(paillier_ciphertext) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_ciphertext_send(paillier_ciphertext) IS 'I/O';

-- EXTERNAL, for nothing compresses a ciphertext; 8 bytes of alignment, for its limbs
-- are multiplied where they stand
CREATE TYPE paillier_ciphertext (
	INPUT     = paillier_ciphertext_in,
	OUTPUT    = paillier_ciphertext_out,
	RECEIVE   = paillier_ciphertext_recv,
	SEND      = paillier_ciphertext_send,
	ALIGNMENT = double,
	STORAGE   = external
);

COMMENT ON TYPE paillier_ciphertext IS 'number encrypted under a Paillier key; such numbers can be added without decryption';

-- output is STABLE: it looks the key up in the registry

CREATE TYPE paillier_sum;

CREATE FUNCTION paillier_sum_in(cstring) RETURNS paillier_sum
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_sum_in(cstring) IS 'I/O';

CREATE FUNCTION paillier_sum_out(paillier_sum) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_sum_out(paillier_sum) IS 'I/O';

CREATE FUNCTION paillier_sum_recv(internal) RETURNS paillier_sum
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_sum_recv(internal) IS 'I/O';

CREATE FUNCTION paillier_sum_send(paillier_sum) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_sum_send(paillier_sum) IS 'I/O';

CREATE TYPE paillier_sum (
	INPUT     = paillier_sum_in,
	OUTPUT    = paillier_sum_out,
	RECEIVE   = paillier_sum_recv,
	SEND      = paillier_sum_send,
	ALIGNMENT = double,
	STORAGE   = external
);

COMMENT ON TYPE paillier_sum IS 'state of sum(paillier_ciphertext)';

-- ---- the key registry ----

CREATE TABLE @extschema@.paillier_key (
	key_id        pg_catalog.text PRIMARY KEY,
	public_key    @extschema@.paillier_public_key NOT NULL,
	name          pg_catalog.text,
	registered_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()
);

COMMENT ON TABLE @extschema@.paillier_key IS 'public keys whose ciphertexts this database works with; filled by paillier_register_key()';
COMMENT ON COLUMN @extschema@.paillier_key.key_id IS 'first 16 bytes of SHA-256 of the modulus, in hexadecimal';
COMMENT ON COLUMN @extschema@.paillier_key.public_key IS 'the key';
COMMENT ON COLUMN @extschema@.paillier_key.name IS 'a name for people';
COMMENT ON COLUMN @extschema@.paillier_key.registered_at IS 'when the key was registered';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.paillier_key', '');

-- revoke all that default privileges of the installing role have granted
DO LANGUAGE plpgsql $$
DECLARE
	grantee pg_catalog.text;
BEGIN
	FOR grantee IN
		SELECT CASE WHEN a.grantee OPERATOR(pg_catalog.=) '0'::pg_catalog.oid THEN 'PUBLIC'
			ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text) END
		FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS a
		WHERE c.oid OPERATOR(pg_catalog.=) '@extschema@.paillier_key'::pg_catalog.regclass::pg_catalog.oid
			AND a.grantee OPERATOR(pg_catalog.<>) c.relowner
	LOOP
		EXECUTE 'REVOKE ALL ON @extschema@.paillier_key FROM ' OPERATOR(pg_catalog.||) grantee
			OPERATOR(pg_catalog.||) ' CASCADE';
	END LOOP;
END $$;

-- every role that adds ciphertexts reads it; public keys are not secret
GRANT SELECT ON @extschema@.paillier_key TO PUBLIC;

-- ---- public functions ----

CREATE FUNCTION paillier_keygen(bits int DEFAULT 3072) RETURNS paillier_private_key
	AS 'MODULE_PATHNAME', 'paillier_keygen_bits' LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION paillier_keygen(int) IS 'makes a private key whose modulus has the given number of bits (even, from paillier.min_key_bits to 8192)';

CREATE FUNCTION paillier_public_key(key paillier_private_key) RETURNS paillier_public_key
	AS 'MODULE_PATHNAME', 'paillier_private_key_public' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION paillier_public_key(paillier_private_key) IS 'the public key that belongs to a private key';

CREATE FUNCTION paillier_key_id(key paillier_public_key) RETURNS text
	AS 'MODULE_PATHNAME', 'paillier_public_key_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_key_id(paillier_public_key) IS 'the id of a key: 32 hexadecimal digits of a digest of its modulus';

CREATE FUNCTION paillier_key_id(key paillier_private_key) RETURNS text
	AS 'MODULE_PATHNAME', 'paillier_private_key_id' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_key_id(paillier_private_key) IS 'the id of the public key that belongs to a private key';

CREATE FUNCTION paillier_key_id(ct paillier_ciphertext) RETURNS text
	AS 'MODULE_PATHNAME', 'paillier_ciphertext_key_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_key_id(paillier_ciphertext) IS 'the id of the key that a ciphertext is encrypted under';

ALTER TABLE @extschema@.paillier_key
	ADD CHECK (key_id OPERATOR(pg_catalog.=) @extschema@.paillier_key_id(public_key));

-- runs as its caller, who needs INSERT and UPDATE on paillier_key
CREATE FUNCTION paillier_register_key(key paillier_public_key, name text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'paillier_registry_add' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION paillier_register_key(paillier_public_key, text) IS 'registers a public key in this database, or renames it; returns its id';

CREATE FUNCTION paillier_encrypt(value numeric, key paillier_public_key, scale int DEFAULT 0, width int DEFAULT 64) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME', 'paillier_encrypt_number' LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 2000;

COMMENT ON FUNCTION paillier_encrypt(numeric, paillier_public_key, int, int) IS 'encrypts a number with at most scale digits after the point; its declared width is width bits, or more if the number needs more';

CREATE FUNCTION paillier_decrypt(ct paillier_ciphertext, key paillier_private_key) RETURNS numeric
	AS 'MODULE_PATHNAME', 'paillier_decrypt_number' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION paillier_decrypt(paillier_ciphertext, paillier_private_key) IS 'decrypts a number; fails if it is outside its declared bound';

-- a name of its own: as an overload it would make untyped literals ambiguous
CREATE FUNCTION paillier_decrypt_array(cts paillier_ciphertext[], key paillier_private_key) RETURNS numeric[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION paillier_decrypt_array(paillier_ciphertext[], paillier_private_key) IS 'decrypts an array of numbers, faster than one by one; NULL elements stay NULL';

CREATE FUNCTION paillier_try_decrypt(ct paillier_ciphertext, key paillier_private_key) RETURNS numeric
	AS 'MODULE_PATHNAME', 'paillier_try_decrypt_number' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION paillier_try_decrypt(paillier_ciphertext, paillier_private_key) IS 'decrypts a number; NULL if it is outside its declared bound, or if the ciphertext is not valid under its key';

CREATE FUNCTION paillier_try_decrypt_array(cts paillier_ciphertext[], key paillier_private_key) RETURNS numeric[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION paillier_try_decrypt_array(paillier_ciphertext[], paillier_private_key) IS 'decrypts an array of numbers; an element is NULL if paillier_try_decrypt() gives NULL for it';

CREATE FUNCTION paillier_ciphertext(c bytea, key_id text, scale int DEFAULT 0, width int DEFAULT 64) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME', 'paillier_ciphertext_raw' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_ciphertext(bytea, text, int, int) IS 'makes a ciphertext of the big-endian bytes of c, which other software encrypted under a registered key';

CREATE FUNCTION paillier_bytes(ct paillier_ciphertext) RETURNS bytea
	AS 'MODULE_PATHNAME', 'paillier_ciphertext_bytes' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_bytes(paillier_ciphertext) IS 'the number c of a ciphertext as big-endian bytes';

CREATE FUNCTION paillier_valid(ct paillier_ciphertext) RETURNS boolean
	AS 'MODULE_PATHNAME', 'paillier_ciphertext_valid' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_valid(paillier_ciphertext) IS 'whether a ciphertext may enter a sum: it is below the square of the modulus, invertible and blinded; NULL if its key is not registered';

CREATE FUNCTION paillier_rerandomize(ct paillier_ciphertext) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME', 'paillier_ciphertext_rerandomize' LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 2000;

COMMENT ON FUNCTION paillier_rerandomize(paillier_ciphertext) IS 'makes another ciphertext of the same number; without the private key nobody can link it to the first';

CREATE FUNCTION paillier_kernel() RETURNS text
	AS 'MODULE_PATHNAME', 'paillier_kernel_name' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION paillier_kernel() IS 'name of the multiplication kernel in use';

-- ---- private functions: operators and the aggregate ----

CREATE FUNCTION paillier_ciphertext_add(paillier_ciphertext, paillier_ciphertext) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_ciphertext_add(paillier_ciphertext, paillier_ciphertext) IS 'implementation of + operator';

CREATE FUNCTION paillier_ciphertext_sub(paillier_ciphertext, paillier_ciphertext) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION paillier_ciphertext_sub(paillier_ciphertext, paillier_ciphertext) IS 'implementation of - operator';

CREATE FUNCTION paillier_ciphertext_neg(paillier_ciphertext) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION paillier_ciphertext_neg(paillier_ciphertext) IS 'implementation of - operator';

CREATE FUNCTION paillier_ciphertext_add_numeric(paillier_ciphertext, numeric) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 200;

COMMENT ON FUNCTION paillier_ciphertext_add_numeric(paillier_ciphertext, numeric) IS 'implementation of + operator';

CREATE FUNCTION paillier_ciphertext_sub_numeric(paillier_ciphertext, numeric) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 200;

COMMENT ON FUNCTION paillier_ciphertext_sub_numeric(paillier_ciphertext, numeric) IS 'implementation of - operator';

CREATE FUNCTION paillier_ciphertext_mul_numeric(paillier_ciphertext, numeric) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION paillier_ciphertext_mul_numeric(paillier_ciphertext, numeric) IS 'implementation of * operator';

CREATE FUNCTION paillier_numeric_mul_ciphertext(numeric, paillier_ciphertext) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION paillier_numeric_mul_ciphertext(numeric, paillier_ciphertext) IS 'implementation of * operator';

-- not STRICT: the state starts as NULL, and NULL rows are ignored

CREATE FUNCTION paillier_sum_accum(paillier_sum, paillier_ciphertext) RETURNS paillier_sum
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_sum_accum(paillier_sum, paillier_ciphertext) IS 'sum(paillier_ciphertext): adds a row';

CREATE FUNCTION paillier_sum_accum_moving(paillier_sum, paillier_ciphertext) RETURNS paillier_sum
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_sum_accum_moving(paillier_sum, paillier_ciphertext) IS 'sum(paillier_ciphertext): adds a row to a moving window frame';

CREATE FUNCTION paillier_sum_accum_inv(paillier_sum, paillier_ciphertext) RETURNS paillier_sum
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_sum_accum_inv(paillier_sum, paillier_ciphertext) IS 'sum(paillier_ciphertext): removes a row that leaves the window frame';

CREATE FUNCTION paillier_sum_accum(paillier_sum, paillier_ciphertext, numeric) RETURNS paillier_sum
	AS 'MODULE_PATHNAME', 'paillier_sum_accum_weighted' LANGUAGE C STABLE PARALLEL SAFE COST 500;

COMMENT ON FUNCTION paillier_sum_accum(paillier_sum, paillier_ciphertext, numeric) IS 'sum(paillier_ciphertext, numeric): adds a row times its weight';

CREATE FUNCTION paillier_sum_accum_moving(paillier_sum, paillier_ciphertext, numeric) RETURNS paillier_sum
	AS 'MODULE_PATHNAME', 'paillier_sum_accum_weighted_moving' LANGUAGE C STABLE PARALLEL SAFE COST 500;

COMMENT ON FUNCTION paillier_sum_accum_moving(paillier_sum, paillier_ciphertext, numeric) IS 'sum(paillier_ciphertext, numeric): adds a row times its weight to a moving window frame';

CREATE FUNCTION paillier_sum_accum_inv(paillier_sum, paillier_ciphertext, numeric) RETURNS paillier_sum
	AS 'MODULE_PATHNAME', 'paillier_sum_accum_weighted_inv' LANGUAGE C STABLE PARALLEL SAFE COST 500;

COMMENT ON FUNCTION paillier_sum_accum_inv(paillier_sum, paillier_ciphertext, numeric) IS 'sum(paillier_ciphertext, numeric): removes a weighted row that leaves the window frame';

CREATE FUNCTION paillier_sum_combine(paillier_sum, paillier_sum) RETURNS paillier_sum
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100;

COMMENT ON FUNCTION paillier_sum_combine(paillier_sum, paillier_sum) IS 'sum(paillier_ciphertext): adds two sums';

CREATE FUNCTION paillier_sum_final(paillier_sum) RETURNS paillier_ciphertext
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION paillier_sum_final(paillier_sum) IS 'sum(paillier_ciphertext): the result of a sum';

-- ---- aggregates ----

-- SSPACE is the state of a group of few rows under a key of 2048 bits, of which a
-- hash table may hold millions.  A state that has taken 1024 rows takes 9 kB, and
-- stands for 500 kB of rows, so that it still is the cheapest plan by far to hash
-- them; weights add up to 32 products, 20 kB, and in groups of 1024 rows up to 1024
-- products, 0.7 MB, as far as half of work_mem goes for all groups.  What all states
-- really take is counted by the executor, which spills rows of further groups when
-- it is too much.
-- MSSPACE is the queue of a window's frame of 16 rows.

CREATE AGGREGATE sum(paillier_ciphertext) (
	SFUNC       = paillier_sum_accum,
	STYPE       = paillier_sum,
	COMBINEFUNC = paillier_sum_combine,
	FINALFUNC   = paillier_sum_final,
	MSFUNC      = paillier_sum_accum_moving,
	MINVFUNC    = paillier_sum_accum_inv,
	MSTYPE      = paillier_sum,
	MFINALFUNC  = paillier_sum_final,
	SSPACE      = 720,
	MSSPACE     = 12000,
	PARALLEL    = SAFE
);

COMMENT ON AGGREGATE sum(paillier_ciphertext) IS 'encrypted sum of encrypted numbers under one key; NULL rows are ignored; NULL if no row is left';

CREATE AGGREGATE sum(paillier_ciphertext, weight numeric) (
	SFUNC       = paillier_sum_accum,
	STYPE       = paillier_sum,
	COMBINEFUNC = paillier_sum_combine,
	FINALFUNC   = paillier_sum_final,
	MSFUNC      = paillier_sum_accum_moving,
	MINVFUNC    = paillier_sum_accum_inv,
	MSTYPE      = paillier_sum,
	MFINALFUNC  = paillier_sum_final,
	SSPACE      = 720,
	MSSPACE     = 12000,
	PARALLEL    = SAFE
);

COMMENT ON AGGREGATE sum(paillier_ciphertext, numeric) IS 'encrypted sum of encrypted numbers times public weights; rows with a NULL are ignored; NULL if no row is left';

-- ---- operators ----

-- There is no equality and no order: two ciphertexts of one number differ, and
-- nothing tells without the private key that they are of one number.  So there is
-- no operator class either, and DISTINCT, GROUP BY, joins and unique indexes on a
-- ciphertext are errors instead of answers without a meaning.

CREATE OPERATOR + (
	LEFTARG = paillier_ciphertext,
	RIGHTARG = paillier_ciphertext,
	FUNCTION = paillier_ciphertext_add,
	COMMUTATOR = +
);

COMMENT ON OPERATOR + (paillier_ciphertext, paillier_ciphertext) IS 'add';

CREATE OPERATOR - (
	LEFTARG = paillier_ciphertext,
	RIGHTARG = paillier_ciphertext,
	FUNCTION = paillier_ciphertext_sub
);

COMMENT ON OPERATOR - (paillier_ciphertext, paillier_ciphertext) IS 'subtract';

CREATE OPERATOR - (
	RIGHTARG = paillier_ciphertext,
	FUNCTION = paillier_ciphertext_neg
);

COMMENT ON OPERATOR - (NONE, paillier_ciphertext) IS 'negate';

CREATE OPERATOR + (
	LEFTARG = paillier_ciphertext,
	RIGHTARG = numeric,
	FUNCTION = paillier_ciphertext_add_numeric
);

COMMENT ON OPERATOR + (paillier_ciphertext, numeric) IS 'add';

CREATE OPERATOR - (
	LEFTARG = paillier_ciphertext,
	RIGHTARG = numeric,
	FUNCTION = paillier_ciphertext_sub_numeric
);

COMMENT ON OPERATOR - (paillier_ciphertext, numeric) IS 'subtract';

CREATE OPERATOR * (
	LEFTARG = paillier_ciphertext,
	RIGHTARG = numeric,
	FUNCTION = paillier_ciphertext_mul_numeric,
	COMMUTATOR = *
);

COMMENT ON OPERATOR * (paillier_ciphertext, numeric) IS 'multiply by a public number';

CREATE OPERATOR * (
	LEFTARG = numeric,
	RIGHTARG = paillier_ciphertext,
	FUNCTION = paillier_numeric_mul_ciphertext,
	COMMUTATOR = *
);

COMMENT ON OPERATOR * (numeric, paillier_ciphertext) IS 'multiply by a public number';

-- ---- the schema ----

-- The extensions never use an object of others in place of one of these objects.
-- But a query of a user may, if that object matches its arguments better.
DO LANGUAGE plpgsql $$
DECLARE
	schema pg_catalog.pg_namespace;
BEGIN
	SELECT n.* INTO schema FROM pg_catalog.pg_namespace AS n
	WHERE pg_catalog.quote_ident(n.nspname::pg_catalog.text) OPERATOR(pg_catalog.=) '@extschema@';
	IF EXISTS (SELECT FROM pg_catalog.aclexplode(schema.nspacl) AS a
		WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE' AND a.grantee OPERATOR(pg_catalog.<>) schema.nspowner) THEN
		RAISE WARNING 'other roles may create objects in schema %, which queries may use in place of those of the extension',
				pg_catalog.quote_ident(schema.nspname::pg_catalog.text)
			USING HINT = 'Revoke CREATE on that schema, or create the extension in a schema of its own.';
	END IF;
END $$;
