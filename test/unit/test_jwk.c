/*
 * test_jwk.c
 *		JSON Web Keys: their integers, the texts written, and what is read as a key.
 */
#include "jwk.h"
#include "kernels.h"

static mpz_t x,
			expected;

static const paillier_kernel *kernel;	/* that keys are read for */
static mp_limb_t *scratch;
static paillier_public *public_key;
static paillier_private *private_key;

static int
source_read(void *state, void *out, size_t len)
{
	(void) state;
	random_bytes(out, len);
	return 0;
}

static char *
base64_text(const uint8_t *bytes, size_t len)
{
	char	   *text = allocate(2 * len + 1);

	text[paillier_base64_encode(text, bytes, len)] = '\0';
	return text;
}

static void
check_jwk_integer(int limbs, size_t zero_bytes, size_t value_bytes)
{
	size_t		len = zero_bytes + value_bytes;
	uint8_t    *bytes = allocate(len);
	mp_limb_t  *a = new_limbs(limbs);
	int			used = -1;
	char	   *text;
	paillier_result want = PAILLIER_OK;

	random_bytes(bytes, len);
	memset(bytes, 0, zero_bytes);
	if (value_bytes > 0 && bytes[zero_bytes] == 0)
		bytes[zero_bytes] = 1;
	text = base64_text(bytes, len);
	mpz_import(expected, len, 1, 1, 1, 0, bytes);
	if (len == 0)
		want = PAILLIER_ERR_JWK;
	else if (len > 16 * PAILLIER_MAX_CIPHERTEXT_LIMBS || value_bytes > 8 * (size_t) limbs)
		want = PAILLIER_ERR_KEY_SIZE;
	check_int(paillier_jwk_integer(a, limbs, &used, text), want, "%zu + %zu bytes into %d limbs", zero_bytes,
			  value_bytes, limbs);
	if (want == PAILLIER_OK)
	{
		check_limbs(a, limbs, expected, "%zu + %zu bytes into %d limbs", zero_bytes, value_bytes, limbs);
		check_int(used, value_bytes == 0 ? 1 : (value_bytes + 7) / 8, "limbs used by %zu bytes", value_bytes);
	}
	free(bytes);
	free(a);
	free(text);
}

static void
check_jwk_integer_result(const char *text, paillier_result want, const char *what)
{
	mp_limb_t	a[2];
	int			used;

	check_int(paillier_jwk_integer(a, 2, &used, text), want, "%s", what);
}

static void
test_jwk_integer(void)
{
	char	   *long_text = allocate(100001);

	group_begin("integers of JSON Web Keys");
	for (int limbs = 1; limbs <= 5; limbs++)
		for (size_t zero_bytes = 0; zero_bytes <= 20; zero_bytes++)
			for (size_t value_bytes = 0; value_bytes <= 48; value_bytes++)
				check_jwk_integer(limbs, zero_bytes, value_bytes);
	check_jwk_integer(256, 0, 2048);
	check_jwk_integer(256, 2048, 2048);
	check_jwk_integer(256, 0, 2049);
	check_jwk_integer(128, 1, 1024);
	for (size_t zero_bytes = 2049; zero_bytes <= 2060; zero_bytes++)
		check_jwk_integer(256, zero_bytes, 2048);

	check_jwk_integer_result(NULL, PAILLIER_ERR_JWK, "absent");
	check_jwk_integer_result("", PAILLIER_ERR_JWK, "empty");
	check_jwk_integer_result("AQAB=", PAILLIER_ERR_BASE64, "padding");
	check_jwk_integer_result("AQAB\n", PAILLIER_ERR_BASE64, "line feed");
	check_jwk_integer_result("AQ+B", PAILLIER_ERR_BASE64, "alphabet of plain base64");
	check_jwk_integer_result("A", PAILLIER_ERR_BASE64, "one character");
	check_jwk_integer_result("AB", PAILLIER_ERR_BASE64, "unused bits");
	memset(long_text, 'A', 100000);
	long_text[100000] = '\0';
	check_jwk_integer_result(long_text, PAILLIER_ERR_KEY_SIZE, "100,000 characters");
	group_end();
	free(long_text);
}

/* The text between `"name":"` and the next quote, in the writable text; NULL where there is none. */
static char *
member(char *text, const char *name)
{
	char		opening[40];
	char	   *start;

	snprintf(opening, sizeof(opening), "\"%s\":\"", name);
	start = strstr(text, opening);
	return start != NULL ? strndup(start + strlen(opening), strcspn(start + strlen(opening), "\"")) : NULL;
}

static void
check_member(char *text, const char *name, const char *want)
{
	char	   *got = member(text, name);

	check(got != NULL && strcmp(got, want) == 0, "member %s is %s, not %s", name, got != NULL ? got : "absent", want);
	free(got);
}

static void
check_integer_member(char *text, const char *name, const mpz_t want)
{
	mp_limb_t	a[PAILLIER_MAX_CIPHERTEXT_LIMBS];
	char	   *got = member(text, name);
	int			used = 0;

	check_int(paillier_jwk_integer(a, LENGTH(a), &used, got), PAILLIER_OK, "member %s", name);
	check_limbs(a, used, want, "member %s", name);
	check_int(used, mpz_size(want), "limbs of member %s", name);
	free(got);
}

/* Balanced brackets and an even number of quotes are as much JSON as is looked for here. */
static void
check_json_shape(const char *text, size_t len)
{
	int			depth = 0;
	int			quotes = 0;

	check_int(strlen(text), len, "length told and written");
	for (const char *c = text; *c != '\0'; c++)
	{
		depth += (*c == '{' || *c == '[') - (*c == '}' || *c == ']');
		quotes += *c == '"';
		check(depth > 0 || c[1] == '\0', "text after the end: %s", text);
	}
	check(depth == 0 && quotes % 2 == 0, "not JSON: %s", text);
}

static void
check_jwk_writers(int p_bits, int q_bits, bool djn)
{
	uint8_t		id[PAILLIER_KEY_ID_LENGTH];
	char		kid[PAILLIER_KEY_ID_HEX + 1];
	int			limbs;
	mpz_t		p,
				q,
				n;
	mp_limb_t  *factors[2];
	mp_limb_t  *modulus;
	char	   *public_text;
	char	   *private_text;

	mpz_inits(p, q, n, NULL);
	random_mpz(p, p_bits);
	mpz_setbit(p, p_bits - 1);
	random_mpz(q, q_bits);
	mpz_setbit(q, q_bits - 1);
	mpz_mul(n, p, q);
	limbs = mpz_size(n);
	factors[0] = new_limbs_of(mpz_size(p), p);
	factors[1] = new_limbs_of(mpz_size(q), q);
	modulus = new_limbs_of(limbs, n);
	random_bytes(id, sizeof(id));
	for (int i = 0; i < PAILLIER_KEY_ID_LENGTH; i++)
		sprintf(kid + 2 * i, "%02x", id[i]);

	public_text = allocate(PAILLIER_JWK_PUBLIC_ROOM(limbs));
	check_json_shape(public_text, paillier_jwk_write_public(public_text, modulus, limbs, djn, id));
	check_member(public_text, "kty", "DAJ");
	check_member(public_text, "alg", "PAI-GN1");
	check_member(public_text, "kid", kid);
	check_integer_member(public_text, "n", n);
	check_int(strstr(public_text, "\"djn\":true") != NULL, djn, "djn: %s", public_text);

	private_text = allocate(PAILLIER_JWK_PRIVATE_ROOM(limbs));
	check_json_shape(private_text, paillier_jwk_write_private(private_text, factors[0], mpz_size(p), factors[1],
															  mpz_size(q), modulus, limbs, djn, id));
	check_member(private_text, "kty", "DAJ");
	check_integer_member(private_text, "p", p);
	check_integer_member(private_text, "q", q);
	check_integer_member(private_text, "n", n);
	check(strstr(private_text, public_text) != NULL, "the public key is not part of %s", private_text);

	free(public_text);
	free(private_text);
	free(factors[0]);
	free(factors[1]);
	free(modulus);
	mpz_clears(p, q, n, NULL);
}

static void
test_jwk_writers(void)
{
	static const int sizes[][2] = {
		{64, 64}, {65, 65}, {63, 65}, {33, 95}, {1024, 1024}, {1536, 1536}, {500, 1548}, {4096, 4096}, {2049, 6143},
		{4095, 4097}, {1, 8191}
	};

	group_begin("JSON Web Keys written fit their room and are read back");
	for (int i = 0; i < LENGTH(sizes); i++)
		for (int djn = 0; djn <= 1; djn++)
		{
			check_jwk_writers(sizes[i][0], sizes[i][1], djn);
			check_jwk_writers(sizes[i][1], sizes[i][0], djn);
		}
	group_end();
}

/* What reading makes of members: ERR_JWK or, since 1 is no modulus, an error of the key. */
static bool
read_public(const paillier_jwk *pub)
{
	return paillier_jwk_read_public(public_key, kernel, pub, PAILLIER_MIN_BITS, scratch) != PAILLIER_ERR_JWK;
}

static bool
read_private(const paillier_jwk *jwk, const paillier_jwk *pub)
{
	return paillier_jwk_read_private(private_key, kernel, jwk, pub, PAILLIER_MIN_BITS, source_read, NULL, scratch) !=
		PAILLIER_ERR_JWK;
}

static void
check_jwk_members(bool has_n, bool has_p, bool has_q, bool has_lambda)
{
	paillier_jwk pub = {.kty = "DAJ", .alg = "PAI-GN1", .n = has_n ? "AQ" : NULL};
	paillier_jwk jwk = {
		.kty = "DAJ", .p = has_p ? "AQ" : NULL, .q = has_q ? "AQ" : NULL, .lambda = has_lambda ? "AQ" : NULL
	};
	bool		factors = (has_p && has_q) || has_lambda;

	check_int(read_public(&pub), has_n, "public with n %d", has_n);
	check_int(read_private(&jwk, &pub), has_n && factors, "private with n %d, p %d, q %d, lambda %d", has_n, has_p,
			  has_q, has_lambda);
}

static void
check_jwk_marks(const char *kty, const char *alg, bool right)
{
	paillier_jwk pub = {.kty = kty, .alg = alg, .n = "AQ"};
	paillier_jwk jwk = {.kty = "DAJ", .lambda = "AQ"};

	check_int(read_public(&pub), right, "kty %s, alg %s", kty, alg);
	check_int(read_private(&jwk, &pub), right, "private around kty %s, alg %s", kty, alg);
}

static void
test_jwk_members(void)
{
	static const char *const wrong[] = {NULL, "", "daj", "DAJ ", "RSA", "PAI-GN", "PAI-GN1 ", "pai-gn1"};
	paillier_jwk pub = {.kty = "DAJ", .alg = "PAI-GN1", .n = "AQ"};

	group_begin("%s: members that make a JSON Web Key", kernel->name);
	for (int set = 0; set < 16; set++)
		check_jwk_members(set & 1, set & 2, set & 4, set & 8);
	check_jwk_marks("DAJ", "PAI-GN1", true);
	for (int i = 0; i < LENGTH(wrong); i++)
	{
		paillier_jwk jwk = {.kty = wrong[i], .lambda = "AQ"};

		check_jwk_marks(wrong[i], "PAI-GN1", false);
		check_jwk_marks("DAJ", wrong[i], false);
		check_int(read_private(&jwk, &pub), false, "private with kty %s", wrong[i]);
	}
	group_end();
}

/* ---- a known key ---- */

/* The example key of python-paillier's documentation, in both private forms. */
static const char *const known_n = "haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k";
static const char *const known_lambda = "haFTvA70KcI5XXReJUlQWRQdYHxaUS8baGQGug9dewA";
static const char *const known_p = "wcnMgG7bLvC_7P9fype5mQ";
static const char *const known_q = "sIeGYNEcNGzpHymiA_wTIQ";

static void
check_known(const char *p, const char *q, const char *lambda, const char *n, int min_bits, paillier_result want)
{
	paillier_jwk pub = {.kty = "DAJ", .alg = "PAI-GN1", .n = n, .djn = true};
	paillier_jwk jwk = {.kty = "DAJ", .p = p, .q = q, .lambda = lambda};
	char		text[PAILLIER_JWK_PRIVATE_ROOM(4)];
	uint8_t		id[PAILLIER_KEY_ID_LENGTH] = {0};
	paillier_result result = paillier_jwk_read_private(private_key, kernel, &jwk, &pub, min_bits, source_read, NULL,
													   scratch);

	check_int(result, want, "p %s, q %s, lambda %s, n %s", p, q, lambda, n);
	if (result != PAILLIER_OK)
		return;
	check_int(private_key->pub.djn, false, "the mark, which does not go with primes that are 1 modulo 4");
	paillier_jwk_write_private(text, private_key->p.p, private_key->p.limbs, private_key->q.p, private_key->q.limbs,
							   private_key->pub.n, private_key->pub.limbs, true, id);
	check_member(text, "p", known_p);
	check_member(text, "q", known_q);
	check_member(text, "n", known_n);
}

static void
test_known_key(void)
{
	group_begin("%s: a known key in both private forms, and with parts that do not fit", kernel->name);
	check_known(known_p, known_q, NULL, known_n, 256, PAILLIER_OK);
	check_known(NULL, NULL, known_lambda, known_n, 256, PAILLIER_OK);
	check_known(known_p, NULL, known_lambda, known_n, 256, PAILLIER_OK);
	check_known(known_p, known_q, "AQ", known_n, 256, PAILLIER_OK);
	check_known(known_p, known_q, NULL, known_n, 257, PAILLIER_ERR_KEY_SIZE);
	check_known(NULL, NULL, known_lambda, known_n, 2048, PAILLIER_ERR_KEY_SIZE);
	check_known(known_p, known_p, NULL, known_n, 256, PAILLIER_ERR_PRIMES_EQUAL);
	check_known(known_p, known_q, NULL, known_lambda, 256, PAILLIER_ERR_MODULUS_EVEN);
	check_known(NULL, NULL, known_n, known_n, 256, PAILLIER_ERR_PRIVATE_MISMATCH);
	check_known(NULL, NULL, "AQ", known_n, 256, PAILLIER_ERR_PRIVATE_MISMATCH);
	check_known(known_p, "sIeGYNEcNGzpHymiA_wTIw", NULL, known_n, 256, PAILLIER_ERR_PRIVATE_MISMATCH);
	check_known(known_p, "sIeGYNEcNGzpHymiA_wTLQ", NULL, known_n, 256, PAILLIER_ERR_COMPOSITE);
	check_known(known_p, "*", NULL, known_n, 256, PAILLIER_ERR_BASE64);
	check_known(known_p, "AQ", NULL, known_n, 128, PAILLIER_ERR_PRIMES_UNBALANCED);
	group_end();
}

/* ---- keys made here ---- */

/* The texts of a key of p and q, read again. */
static void
check_read_again(const mp_limb_t *p, const mp_limb_t *q, int limbs, const mpz_t n, bool djn)
{
	mp_limb_t  *modulus = new_limbs_of(mpz_size(n), n);
	char	   *text = allocate(PAILLIER_JWK_PRIVATE_ROOM(mpz_size(n)));
	uint8_t		id[PAILLIER_KEY_ID_LENGTH] = {0};
	paillier_jwk pub = {.kty = "DAJ", .alg = "PAI-GN1", .djn = djn};
	paillier_jwk jwk = {.kty = "DAJ"};
	char	   *texts[3];

	paillier_jwk_write_private(text, p, limbs, q, limbs, modulus, mpz_size(n), djn, id);
	pub.n = texts[0] = member(text, "n");
	jwk.p = texts[1] = member(text, "p");
	jwk.q = texts[2] = member(text, "q");
	check_int(paillier_jwk_read_public(public_key, kernel, &pub, PAILLIER_MIN_BITS, scratch), PAILLIER_OK, "public");
	check_limbs(public_key->n, public_key->limbs, n, "n of the public key");
	check_int(public_key->djn, djn, "the mark of the public key");
	check(public_key->n2.kernel == kernel, "the public key is prepared for another kernel");

	check_int(paillier_jwk_read_private(private_key, kernel, &jwk, &pub, PAILLIER_MIN_BITS, source_read, NULL, scratch),
			  PAILLIER_OK, "private");
	check_limbs(private_key->pub.n, private_key->pub.limbs, n, "n of the private key");
	check_int(private_key->pub.djn, djn, "the mark of the private key");
	check(private_key->pub.n2.kernel == kernel, "the private key is prepared for another kernel");
	for (int i = 0; i < LENGTH(texts); i++)
		free(texts[i]);
	free(text);
	free(modulus);
}

static void
test_generated_keys(void)
{
	static const int sizes[] = {128, 250, 256, 512};
	mp_limb_t	p[4];
	mp_limb_t	q[4];
	mpz_t		n,
				factor;

	mpz_inits(n, factor, NULL);
	group_begin("%s: keys made here, written and read", kernel->name);
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		int			limbs = (sizes[i] / 2 + 63) / 64;

		check_int(paillier_keygen(p, q, sizes[i], source_read, NULL, scratch), PAILLIER_OK, "keygen of %d bits",
				  sizes[i]);
		mpz_from_limbs(n, p, limbs);
		mpz_from_limbs(factor, q, limbs);
		mpz_mul(n, n, factor);
		check_read_again(p, q, limbs, n, true);
		check_read_again(p, q, limbs, n, false);
	}
	group_end();
	mpz_clears(n, factor, NULL);
}

static void
test_reading(const paillier_kernel *kernel_to_test)
{
	kernel = kernel_to_test;
	test_jwk_members();
	test_known_key();
	test_generated_keys();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	mpz_inits(x, expected, NULL);
	scratch = allocate(paillier_jwk_scratch() * sizeof(mp_limb_t));
	public_key = allocate(sizeof(*public_key));
	private_key = allocate(sizeof(*private_key));

	test_jwk_integer();
	test_jwk_writers();
	with_each_kernel(test_reading);

	free(private_key);
	free(public_key);
	free(scratch);
	mpz_clears(x, expected, NULL);
	return tap_done();
}
