#!/usr/bin/env bash
# binary.t
#	Damaged binary values and files, read by COPY (FORMAT binary): flipped bytes,
#	values and files cut at every length, lengths that lie.  Each is refused with
#	an error or read as what the bytes say, and the backend lives through all of
#	them.  The scale, the bound and the key id of a ciphertext have no
#	redundancy, and the ciphertext itself is a number like any other: such damage
#	is seen, if at all, where the value is used.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server
fresh binary_test paillier
export PGOPTIONS='-c paillier.min_key_bits=128'
make_keys
chmod 777 "$scratch"

sql - >/dev/null <<-EOF
	SELECT paillier_register_key(public) FROM key_pair;
	CREATE TABLE paillier_ciphertext_copy (value paillier_ciphertext);
	CREATE TABLE paillier_public_key_copy (value paillier_public_key);
	CREATE TABLE paillier_private_key_copy (value paillier_private_key);
	CREATE TABLE paillier_sum_copy (value paillier_sum);

	-- Read bytes as a value of a type: a file of one bytea differs from that of one value in nothing.
	CREATE FUNCTION read(type text, bytes bytea) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		EXECUTE format('COPY (SELECT %L::bytea) TO %L (FORMAT binary)', bytes, '$scratch/value');
		EXECUTE format('TRUNCATE %I', type || '_copy');
		EXECUTE format('COPY %I FROM %L (FORMAT binary)', type || '_copy', '$scratch/value');
		RETURN 'read';
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END \$\$;

	-- Read bytes and show what became of them, by an expression on the value; else the SQLSTATE.
	CREATE FUNCTION outcome(type text, bytes bytea, expression text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		result text := read(type, bytes);
	BEGIN
		IF result = 'read' THEN
			EXECUTE format('SELECT (%s)::text FROM %I', COALESCE(expression, type || '_send(value)'),
				type || '_copy') INTO result;
		END IF;
		RETURN result;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END \$\$;

	-- The total of one ciphertext, and of a state with itself, decrypted.
	CREATE FUNCTION total(ct paillier_ciphertext) RETURNS numeric LANGUAGE sql AS
		\$\$ SELECT paillier_decrypt(sum, private) FROM (SELECT sum(c) FROM (SELECT ct OFFSET 0) s(c)) t, key_pair
			WHERE name = 'small' \$\$;
	CREATE FUNCTION total(state paillier_sum) RETURNS numeric LANGUAGE sql AS
		\$\$ SELECT paillier_decrypt(paillier_sum_final(paillier_sum_combine(state, state)), private) FROM key_pair
			WHERE name = 'small' \$\$;

	CREATE TABLE sample AS
	SELECT 'paillier_ciphertext' AS type, paillier_ciphertext_send(ct) AS bytes
		FROM (SELECT paillier_encrypt(42, public, 1) FROM key_pair WHERE name = 'small') s(ct)
	UNION ALL SELECT 'paillier_public_key', paillier_public_key_send(public) FROM key_pair WHERE name = 'small'
	UNION ALL SELECT 'paillier_private_key', paillier_private_key_send(private) FROM key_pair WHERE name = 'small'
	UNION ALL SELECT 'paillier_sum', paillier_sum_send(paillier_sum_accum(paillier_sum_accum(NULL, ct), ct, -3))
		FROM (SELECT paillier_encrypt(42, public, 1) FROM key_pair WHERE name = 'small') s(ct);
EOF

# In one backend, which has to be the same at the end: prints the rows of a query, and that.
same_backend() {
	psql -XAtq -F ' ' -v ON_ERROR_STOP=1 <<-EOF 2>&1
		SELECT pg_backend_pid() AS first \\gset
		$1;
		SELECT 'same backend' WHERE pg_backend_pid() = :first;
	EOF
}

is "$(sql 'SELECT type, length(bytes) FROM sample ORDER BY type')" "paillier_ciphertext|$((28 + 64))
paillier_private_key|$((4 + 32))
paillier_public_key|$((2 + 32))
paillier_sum|$((52 + 2 * (8 + 64)))" "the lengths are as documented"
is "$(sql 'SELECT count(*) FROM sample WHERE outcome(type, bytes) IS DISTINCT FROM bytes::text')" 0 \
	"what is not damaged is read"

# every byte from FROM to TO of a type's value, with each MASK: flipped TYPE FROM TO MASK ... for use as a table of (i,
# damaged)
flipped() {
	local type=$1 from=$2 to=$3
	shift 3
	echo "(SELECT i, mask, set_byte(bytes, i, get_byte(bytes, i) # mask) AS damaged
		FROM sample, generate_series($from, $to - 1) i, unnest(ARRAY[$(IFS=,; echo "$*")]) mask WHERE type = '$type') f"
}

# every beginning of a type's value
cut_short() {
	echo "(SELECT i, substr(bytes, 1, i) AS damaged FROM sample, generate_series(0, length(bytes) - 1) i
		WHERE type = '$1') f"
}

# ---- ciphertexts ----

# Byte 0 is the version, 1 the scale, 2 to 5 the slots, 6 and 7 the exponent of the bound, at most 0x3fff; 8 to 11 its
# mantissa with the highest bit set; then comes the key id.
header=$(flipped paillier_ciphertext 0 28 1 128 255)
is "$(same_backend "SELECT i, mask, outcome FROM $header, outcome('paillier_ciphertext', damaged) WHERE outcome <> CASE
	WHEN i IN (0, 2, 3, 4, 5) OR i IN (6, 8) AND mask >= 128 THEN '22P03' ELSE damaged::text END")" "same backend" \
		"each byte of the header: refused where that can be told, else read as it stands"
is "$(same_backend "SELECT outcome, count(*) FROM $header,
	outcome('paillier_ciphertext', damaged, 'total(value)') WHERE i >= 12 GROUP BY 1")" "42704 48
same backend" "a changed key id: the key is not registered"
is "$(same_backend "SELECT outcome, count(*) FROM $header,
	outcome('paillier_ciphertext', damaged, 'total(value)') WHERE i BETWEEN 6 AND 11 GROUP BY 1 ORDER BY 1")" "22003 1
22P03 4
42.0 13
same backend" "a changed bound: no other total"
is "$(same_backend "SELECT outcome::numeric = 420 / 10::numeric ^ (1 # mask), count(*) FROM $header,
	outcome('paillier_ciphertext', damaged, 'total(value)') WHERE i = 1 GROUP BY 1")" "t 3
same backend" "a changed scale: another number, which nothing can tell"
is "$(same_backend "SELECT outcome IN ('22003', '22000'), count(*) FROM $(flipped paillier_ciphertext 28 92 1 64 255),
	outcome('paillier_ciphertext', damaged, 'total(value)') GROUP BY 1")" "t 192
same backend" "each byte of the number: none that a ciphertext may be, or a plaintext that the bound does not allow"
is "$(same_backend "SELECT i, outcome FROM $(cut_short paillier_ciphertext),
	outcome('paillier_ciphertext', damaged, 'paillier_valid(value)') WHERE outcome <> CASE
	WHEN i > 28 AND i % 8 = 28 % 8 THEN 'false' ELSE '22P03' END")" "same backend" \
		"cut at every length: refused, or not valid for its key"
is "$(same_backend "SELECT outcome, count(*) FROM $(cut_short paillier_ciphertext),
	outcome('paillier_ciphertext', damaged, 'total(value)') GROUP BY 1 ORDER BY 1")" "22000 7
22P03 85
same backend" "and never added"
is "$(same_backend "SELECT length, read, valid FROM sample, unnest(ARRAY[93, 99, 100, 2076, 2084, 1000000]) length,
	LATERAL (SELECT bytes || decode(repeat('11', length - 92), 'hex') AS longer) s, read(type, longer),
		outcome(type, longer, 'paillier_valid(value)') valid WHERE type = 'paillier_ciphertext' ORDER BY 1")" \
	"93 22P03 22P03
99 22P03 22P03
100 read false
2076 read false
2084 22P03 22P03
1000000 22P03 22P03
same backend" "longer ones"
is "$(same_backend "SELECT what, read, total FROM sample, (VALUES ('ones', 'ff'), ('zero', '00')) v(what, digits),
	LATERAL (SELECT substr(bytes, 1, 28) || decode(repeat(digits, 64), 'hex') AS number) s, read(type, number),
		outcome(type, number, 'total(value)') total WHERE type = 'paillier_ciphertext' ORDER BY 1")" \
	"ones read 22000
zero 22000 22000
same backend" "numbers that no ciphertext is"

# ---- keys ----

for type in paillier_public_key paillier_private_key; do
	size=$(sql "SELECT length(bytes) FROM sample WHERE type = '$type'")
	bits=$(flipped $type 0 "$size" 1 2 4 8 16 32 64 128)
	is "$(same_backend "SELECT i, mask, outcome FROM $bits,
		outcome('$type', damaged) WHERE NOT (outcome IN ('22P03', '22000', '22023') OR outcome = damaged::text
		OR '$type' = 'paillier_private_key' AND (i, mask) = (1, 1)
			AND outcome = overlay(damaged PLACING '\\x00' FROM 2)::text)")" "same backend" \
		"$type: each flipped bit is refused, or makes another key; a mark that the primes do not bear out is dropped"
	is "$(same_backend "SELECT DISTINCT outcome FROM $bits,
		outcome('$type', damaged) WHERE i = 0 OR i = 1 AND mask > 1")" "22P03
same backend" "$type: another version, or a mark that is neither 0 nor 1"
	is "$(same_backend "SELECT i, mask FROM $bits,
		outcome('$type', damaged, 'paillier_key_id(value)') WHERE i > 3
		AND outcome = paillier_key_id('$small_key'::paillier_private_key)")" "same backend" \
		"$type: another key has another id"
	is "$(same_backend "SELECT i, outcome FROM $(cut_short $type),
		outcome('$type', damaged) WHERE NOT (outcome IN ('08P01', '22P03', '22000', '22023')
		OR outcome = damaged::text)")" "same backend" \
		"$type: cut at every length: refused, or another key"
	is "$(same_backend "SELECT what, read FROM sample,
		LATERAL (VALUES (1, 'empty', ''::bytea), (2, '3000 bytes more', bytes || decode(repeat('11', 3000), 'hex')),
		(3, 'a leading zero', overlay(bytes PLACING '\\x00' FROM CASE '$type' WHEN 'paillier_public_key' THEN 3
		ELSE 5 END))) v(i, what, damaged),
		read(type, damaged) WHERE type = '$type' ORDER BY i")" "empty 08P01
3000 bytes more 22023
a leading zero 22P03
same backend" "$type: of no length that a key has"
done

# ---- states of sums ----

# Byte 0 is the version, 1 the scale, 2 the digits that the terms leave out, 3 to 6 the slots, 7 the number of terms;
# then come the numbers of rows (8, 16), the bound (24, 32) and the key id (36).
header=$(flipped paillier_sum 0 52 1 128 255)
is "$(same_backend "SELECT i, mask, outcome FROM $header,
	outcome('paillier_sum', damaged, 'total(value)') WHERE outcome !~ CASE
	WHEN i BETWEEN 3 AND 6 THEN '^22P03$'		-- slots, which there are none of yet
	WHEN i IN (0, 7) THEN '^(22P0[23]|22000)$'	-- the version; or terms, which the length contradicts
	WHEN i = 1 THEN '^-'						-- the scale: another number
	WHEN i = 2 THEN '^(-1680\\.0|22P03)$'		-- digits that the terms leave out: at most as many as the scale has
	WHEN i < 24 THEN '^(-168\\.0|22P03)$'		-- the numbers of rows do not count
	WHEN i < 36 THEN '^(-168\\.0|22P03|22003)$'	-- the bound: no other total
	ELSE '^42704$' END")" "same backend" \
	"paillier_sum: each byte of the header: an error, the same total, or another scale"
# Two terms: a weight (52, 124), and a product.
for product in 60 132; do
	is "$(same_backend "SELECT outcome IN ('22003', '22000'),
		count(*) FROM $(flipped paillier_sum $product $((product + 64)) 1 128),
		outcome('paillier_sum', damaged, 'total(value)') GROUP BY 1")" "t 128
same backend" "paillier_sum: each byte of the product at $product: a plaintext that the bound does not allow"
done
is "$(same_backend "SELECT i, mask, outcome
	FROM (SELECT * FROM $(flipped paillier_sum 52 60 1 128 255) UNION ALL SELECT *
	FROM $(flipped paillier_sum 124 132 1 128 255)) w, outcome('paillier_sum', damaged, 'total(value)')
	WHERE outcome !~ '^(-?[0-9]+\\.[0-9]|22P03|22003)$' OR outcome = '-168.0'")" "same backend" \
		"paillier_sum: each byte of the weights: an error, or another total"
is "$(same_backend "SELECT DISTINCT outcome FROM $(cut_short paillier_sum),
	outcome('paillier_sum', damaged, 'total(value)') WHERE outcome NOT IN ('22P03', '22000')")" "same backend" \
	"paillier_sum: cut at every length: refused, or of no use"

# ---- the file round the value ----

# A file of COPY has a signature (11 bytes), flags (4), the length of an extension (4), then the number of columns (2)
# and
# the length of the value (4) before the value, and -1 (2) at its end.
row=19
before=25
sql "COPY (SELECT bytes FROM sample WHERE type = 'paillier_ciphertext') TO '$scratch/file' (FORMAT binary)"
total=$(stat -c %s "$scratch/file")
is "$total" $((before + 92 + 2)) "a file of one ciphertext"

# bytes of the file as hexadecimal digits, and the other way round
digits=$(od -An -v -tx1 "$scratch/file" | tr -d ' \n')
write() {
	printf "$(sed 's/../\\x&/g' <<<"$1")" >"$scratch/damaged/$2"
}

# Copy each file of $scratch/damaged in one backend; prints its name and the SQLSTATE, or the value, or "nothing" where
# no row was read.
load() {
	local file
	for file in $(ls -v "$scratch/damaged"); do
		cat <<-EOF
			TRUNCATE paillier_ciphertext_copy;
			COPY paillier_ciphertext_copy FROM '$scratch/damaged/$file' (FORMAT binary);
			\\if :ERROR
			\\echo $file :SQLSTATE
			\\else
			SELECT '$file ' || COALESCE((SELECT COALESCE(encode(paillier_ciphertext_send(value), 'hex'), 'null')
				FROM paillier_ciphertext_copy), 'nothing');
			\\endif
		EOF
	done | psql -XAtq -v ON_ERROR_STOP=0 2>/dev/null
	rm -r "$scratch/damaged"
}
value=${digits:2 * before:184}

mkdir "$scratch/damaged"
for ((i = 0; i < before; i++)); do
	for mask in 01 80 ff; do write "${digits:0:2 * i}$(printf '%02x' \
		$((0x${digits:2 * i:2} ^ 0x$mask)))${digits:2 * i + 2}" "${i}_$mask"; done
done
result=$(load)
is "$(wc -l <<<"$result") $(grep -vE " (22P0[34]|54000|$value)\$" <<<"$result")" "75 " \
	"each byte of the frame: an error, or the same value"

mkdir "$scratch/damaged"
for ((i = 0; i < total; i++)); do head -c "$i" "$scratch/file" >"$scratch/damaged/$i"; done
expected=$(for ((i = 0; i < total; i++)); do
	if [ $i = $row ] || [ $i = $((row + 1)) ]; then
		echo "$i nothing"
	elif [ $i -lt $((before + 92)) ]; then
		echo "$i 22P04"
	else
		echo "$i $value"
	fi
done)
is "$(load)" "$expected" "the file cut at every length: an error unless it ends between rows"

mkdir "$scratch/damaged"
for length in 0 1 27 28 91 93 1000 65536 2147483647 -2 -2147483648; do
	write "${digits:0:2 * (before - 4)}$(printf '%08x' $((length & 0xffffffff)))${digits:2 * before}" "$length"
done
result=$(load)
is "$(wc -l <<<"$result") $(grep -vE ' (22P0[34]|54000)$' <<<"$result")" "11 " "lengths that lie: errors"
mkdir "$scratch/damaged"
write "${digits:0:2 * (before - 4)}ffffffff${digits:2 * total - 4}" -1
is "$(load)" "-1 null" "a length of -1 is NULL"
is "$(sql "SELECT outcome(type, bytes, 'total(value)') FROM sample WHERE type = 'paillier_ciphertext'")" 42.0 \
	"the file that was not damaged still gives the number"

finish
