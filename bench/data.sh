# data.sh
#	Keys, ciphertexts and tables for the measurements.  Sourced by run.
#
#	Ciphertexts are made by the program; tables repeat a few thousand different
#	ones, which sums cannot tell from as many different ones.

distinct=4096

# A key pair of so many bits, registered: make_key BITS
make_key() {
	[ ! -f "$work/private.$1.json" ] || return 0
	paillier keygen --bits "$1" --min-bits 1024 --out "$work/private.$1.json" 2>/dev/null
	paillier public "$work/private.$1.json" --min-bits 1024 >"$work/public.$1.json"
	sql -c "SELECT paillier_register_key('$(cat "$work/public.$1.json")', '$1 bits')" >/dev/null
}

# 1 … NUMBER encrypted, as rows for COPY: encrypt BITS NUMBER [JOBS]
encrypt() {
	seq "$2" | paillier encrypt --quiet --min-bits 1024 --jobs "${3:-$(nproc)}" --key \
		"$work/public.$1.json" >"$work/encrypted.$1"
}

decrypt() {
	paillier decrypt --quiet --min-bits 1024 --jobs "${2:-$(nproc)}" --key "$work/private.$1.json" \
		<(head -n "$3" "$work/encrypted.$1") >"$work/decrypted"
	seq "$3" | cmp -s - "$work/decrypted" || { echo "bench: decryption is wrong" >&2; return 1; }
}

# Table distinct_BITS (j, ct) with the values 1 … NUMBER
load_distinct() {
	sql <<-EOF
		CREATE UNLOGGED TABLE distinct_$1 (j int GENERATED ALWAYS AS IDENTITY, ct paillier_ciphertext);
		\\copy distinct_$1 (ct) FROM '$work/encrypted.$1'
		VACUUM (ANALYZE, FREEZE) distinct_$1;
	EOF
}

# Fill a table from one with a column j, over and over: repeat TABLE SOURCE ROWS "COLUMN, ...", with `i` for
# the number of the row
repeat() {
	sql <<-EOF
		DO \$\$
		DECLARE
			done int := 0;
			number int := (SELECT count(*) FROM $2);
		BEGIN
			WHILE done < $3 LOOP
				INSERT INTO $1 SELECT $4 FROM (SELECT done + j - 1 AS i, * FROM $2 WHERE done + j <= $3) row ORDER BY i;
				done := done + number;
			END LOOP;
		END
		\$\$;
		VACUUM (ANALYZE, FREEZE) $1;
	EOF
}

# Tables cipher_BITS (i, meter, ct) and mpz_BITS (i, meter, c) of the same ciphertexts,
# twelve of each meter, far apart, and pgmp's aggregates over the latter:
# make_tables BITS ROWS
make_tables() {
	make_key "$1"
	encrypt "$1" $distinct
	load_distinct "$1"
	sql <<-EOF
		CREATE UNLOGGED TABLE cipher_$1 (i int, meter int, ct paillier_ciphertext);
		CREATE UNLOGGED TABLE mpz_$1 (i int, meter int, c mpz);
		CREATE UNLOGGED TABLE mpz_distinct_$1 AS
			SELECT j, mpz(encode(paillier_bytes(ct), 'hex'), 16) AS c FROM distinct_$1;
		DO \$\$
		DECLARE
			n  mpz := (SELECT mpz(encode(decode(rpad(translate(public_key::text::json->>'n', '-_', '+/'),
				(length(public_key::text::json->>'n') + 3) / 4 * 4, '='), 'base64'), 'hex'), 16)
				FROM paillier_key WHERE name = '$1 bits');
			n2 text := (n * n)::text;
		BEGIN
			EXECUTE format('CREATE FUNCTION mpz_mul_plpgsql_$1(a mpz,
				b mpz) RETURNS mpz LANGUAGE plpgsql IMMUTABLE STRICT
				PARALLEL SAFE AS \$f\$ BEGIN RETURN a * b %% %L::mpz; END \$f\$', n2);
			EXECUTE format('CREATE FUNCTION mpz_mul_sql_$1(a mpz, b mpz) RETURNS mpz LANGUAGE sql IMMUTABLE STRICT
				PARALLEL SAFE AS \$f\$ SELECT a * b %% %L::mpz \$f\$', n2);
			EXECUTE format('CREATE FUNCTION mpz_mul_weighted_$1(a mpz, b mpz,
				w mpz) RETURNS mpz LANGUAGE plpgsql IMMUTABLE
				PARALLEL SAFE AS \$f\$ BEGIN RETURN a * powm(b, w, %L::mpz) %% %L::mpz; END \$f\$', n2, n2);
			EXECUTE format('CREATE FUNCTION numeric_mul_$1(a numeric,
				b numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE STRICT
				PARALLEL SAFE AS \$f\$ BEGIN RETURN mod(a * b, %s); END \$f\$', n2);
		END
		\$\$;
		CREATE AGGREGATE mpz_plpgsql_$1(mpz) (SFUNC = mpz_mul_plpgsql_$1, STYPE = mpz);
		CREATE AGGREGATE mpz_sql_$1(mpz) (SFUNC = mpz_mul_sql_$1, STYPE = mpz);
		CREATE AGGREGATE mpz_weighted_$1(mpz, mpz) (SFUNC = mpz_mul_weighted_$1, STYPE = mpz, INITCOND = '1');
		CREATE AGGREGATE numeric_$1(numeric) (SFUNC = numeric_mul_$1, STYPE = numeric);
	EOF
	repeat cipher_$1 distinct_$1 "$2" "i, i % $(($2 / 12)), ct"
	repeat mpz_$1 mpz_distinct_$1 "$2" "i, i % $(($2 / 12)), c"
	[ "$(sql -c "SELECT mpz(encode(paillier_bytes((SELECT sum(ct) FROM cipher_$1)), 'hex'), 16) =
		(SELECT mpz_sql_$1(c) FROM mpz_$1)")" = t ] ||
		{ echo "bench: the sums of paillier and pgmp differ" >&2; return 1; }
}
