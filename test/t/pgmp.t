#!/usr/bin/env bash
# pgmp.t
#	The extension pgmp replaces GMP's allocator for the whole backend when it is
#	loaded.  Both in one backend, whichever came first, compute what they should.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server
fresh pgmp_test pgmp paillier
export PGOPTIONS='-c paillier.min_key_bits=128'
make_keys
sql "SELECT paillier_register_key(public) FROM key_pair" >/dev/null

# Statements of each, with the results that are right; an error between them unwinds what is under way.
pgmp_work='SELECT mpz_text FROM (SELECT (2::mpz ^ 200 + fac(30))::text AS mpz_text) s;
SELECT gcd(fac(40), 3::mpz ^ 50), powm(3::mpz, 2::mpz ^ 100, 1000000007::mpz);
SELECT sum(i::mpz * fac(i)) = fac(101) - 1 FROM generate_series(1, 100) i;
SELECT (1::mpq / 3::mpq + 1::mpq / 6::mpq)::text;'
pgmp_right="$(sql "SELECT trunc(2::numeric ^ 200) + factorial(30);
	SELECT gcd(factorial(40), trunc(3::numeric ^ 50)), :power;
	SELECT true;
	SELECT '1/2'" -v "power=$(sql 'WITH RECURSIVE p(i, x) AS
		(SELECT 0, 3::numeric UNION ALL SELECT i + 1, x * x % 1000000007 FROM p WHERE i < 100) SELECT max(x) FILTER
		(WHERE i = 100) FROM p')")"
paillier_work="SELECT paillier_decrypt(sum(ct), max(private::text)::paillier_private_key),
	paillier_decrypt(sum(ct, -0.5), max(private::text)::paillier_private_key)
FROM (SELECT paillier_encrypt(i, public) AS ct, private, name FROM key_pair, generate_series(1, 30) i) s GROUP BY name;
SELECT paillier_decrypt(paillier_encrypt(-12345, paillier_public_key(k)), k)
	FROM (SELECT paillier_keygen(256) AS k OFFSET 0) s;
SELECT paillier_decrypt(a * 3 - b + 7, private)
	FROM (SELECT paillier_encrypt(5, public) AS a, paillier_encrypt(1, public) AS b, private FROM key_pair OFFSET 0) s;"
paillier_right='465|-232.5
465|-232.5
-12345
21
21'
# errors in the middle of work of either, and in a query of both
errors="SELECT 1::mpz / 0::mpz;
SELECT sum(CASE WHEN i < 50 THEN paillier_encrypt(i, public) ELSE paillier_encrypt(0.5, public) END) FROM key_pair,
	generate_series(1, 60) i WHERE name = 'small';
SELECT paillier_keygen(127);
SELECT paillier_decrypt(paillier_encrypt(i, public), private), fac(i) / (5 - i)::mpz FROM key_pair,
	generate_series(1, 9) i;"

is "$(sql "$pgmp_work")" "$pgmp_right" "pgmp alone"
is "$(sql "$paillier_work")" "$paillier_right" "paillier alone"

# both STATEMENTS RESULT NAME: in one backend, which has to live to the end; errors are passed over
both() {
	local result
	result=$(psql -XAtq -v ON_ERROR_STOP=0 2>"$scratch/errors" <<<"SELECT pg_backend_pid() AS first \\gset
	$1
	SELECT pg_backend_pid() = :first;")
	is "$result" "$2
t" "$3"
}
both "$pgmp_work $paillier_work $pgmp_work $paillier_work" "$pgmp_right
$paillier_right
$pgmp_right
$paillier_right" "pgmp first, then in turn"
both "$paillier_work $pgmp_work $paillier_work $pgmp_work" "$paillier_right
$pgmp_right
$paillier_right
$pgmp_right" "paillier first, then in turn"
both "$paillier_work $errors $pgmp_work $errors $paillier_work" "$paillier_right
$pgmp_right
$paillier_right" "with errors between, paillier first"
is "$(grep -c ERROR "$scratch/errors")" 8 "all of the errors were thrown"
both "$pgmp_work $errors $paillier_work $errors $pgmp_work" "$pgmp_right
$paillier_right
$pgmp_right" "with errors between, pgmp first"
is "$(grep -c ERROR "$scratch/errors")" 8 "all of them again"
both "BEGIN; $paillier_work SAVEPOINT s; SELECT 1::mpz / 0::mpz; ROLLBACK TO s;
	$pgmp_work SAVEPOINT t; SELECT paillier_keygen(0); ROLLBACK TO t;
	$paillier_work ROLLBACK; $pgmp_work" "$paillier_right
$pgmp_right
$paillier_right
$pgmp_right" "in one transaction, with subtransactions that fail"

# in one query, row by row
both "SELECT count(*), bool_and(paillier_decrypt(paillier_encrypt(i, public), private) = i), sum(i::mpz) FROM key_pair,
	generate_series(1, 200) i WHERE name = 'small';
SELECT bool_and((paillier_decrypt(ct, private)::text::mpz * 2::mpz)::text = (2 * i)::text)
	FROM (SELECT i, paillier_encrypt(i, public) AS ct, private FROM key_pair, generate_series(1, 100) i OFFSET 0) s;
SELECT bool_and(fac(20 + i % 3)::text::numeric = paillier_decrypt(ct, private))
	FROM (SELECT i, private, paillier_encrypt(fac(20 + i % 3)::text::numeric, public, 0, 128) AS ct FROM key_pair,
	generate_series(1, 100) i OFFSET 0) s;" "200|t|20100
t
t" "row by row"

# states of both aggregates at once, over groups
both "SELECT count(*), bool_and(paillier_decrypt(total, private)::text = plain::text)
	FROM (SELECT i % 10, sum(paillier_encrypt(i, public)) AS total, sum(i::mpz) AS plain FROM key_pair,
	generate_series(1, 500) i WHERE name = 'small' GROUP BY 1) s, key_pair WHERE name = 'small';" "10|t" \
	"both sums in groups"

# a query that was cancelled in the middle of making a key
both "SET statement_timeout = 30; SELECT count(paillier_keygen(8192)) FROM generate_series(1, 100);
	RESET statement_timeout; $pgmp_work $paillier_work" "$pgmp_right
$paillier_right" "after a key generation that was cancelled"

# preloaded, in either order
for libraries in pgmp,paillier paillier,pgmp; do
	export PGOPTIONS="-c paillier.min_key_bits=128 -c session_preload_libraries=$libraries"
	both "$paillier_work $pgmp_work $errors $paillier_work $pgmp_work" "$paillier_right
$pgmp_right
$paillier_right
$pgmp_right" "preloaded: $libraries"
done

finish
