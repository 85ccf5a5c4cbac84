/*
 * key.c
 *		Keys from the members of JSON Web Keys, both kinds: a key that is read is
 *		consistent, and what is written of it reads the same.
 *
 * Input: a byte of flags, then kty, alg, n, p, q and lambda, each up to a zero
 * byte.  Integers are cut to 384 bits, for the time that tests for primes take.
 */
#include "fuzz.h"
#include "jwk.h"

#define MEMBERS 6
#define MAX_MEMBER 64

static mp_limb_t *scratch;

/* The same bytes for the same input. */
static int
repeatable_random(void *state, void *out, size_t len)
{
	uint64_t   *x = state;

	for (uint8_t *byte = out; len > 0; len--)
	{
		*x = *x * UINT64_C(6364136223846793005) + 1442695040888963407;
		*byte++ = *x >> 56;
	}
	return 0;
}

static void
take_members(char members[MEMBERS][MAX_MEMBER + 1], fuzz_input *in)
{
	for (int i = 0; i < MEMBERS; i++)
	{
		int			len = 0;
		int			c;

		while (in->left > 0 && (c = fuzz_take(in, 1)) != 0)
			if (len < MAX_MEMBER)
				members[i][len++] = c;
		members[i][len] = '\0';
	}
}

/* The text between a member's name, with its quotes and colon, and the next quote. */
static void
copy_member(char *out, size_t room, const char *text, const char *name)
{
	const char *begin = strstr(text, name);
	size_t		len;

	REQUIRE(begin != NULL);
	begin += strlen(name);
	len = strcspn(begin, "\"");
	REQUIRE(len < room);
	memcpy(out, begin, len);
	out[len] = '\0';
}

static void
require_number(const mp_limb_t *a, int limbs, const char *text)
{
	mp_limb_t	again[PAILLIER_MAX_N_LIMBS];
	int			used;

	REQUIRE(paillier_jwk_integer(again, PAILLIER_MAX_N_LIMBS, &used, text) == PAILLIER_OK);
	REQUIRE(used == limbs && mpn_cmp(a, again, limbs) == 0);
}

static void
check_public(const paillier_jwk *jwk, int min_bits)
{
	static paillier_public pub;
	char		text[PAILLIER_JWK_PUBLIC_ROOM(PAILLIER_MAX_N_LIMBS)];
	char		n[2 * MAX_MEMBER];
	uint8_t		id[PAILLIER_KEY_ID_LENGTH] = {0};
	mpz_t		x;

	if (paillier_jwk_read_public(&pub, paillier_kernel_best(), jwk, min_bits, scratch) != PAILLIER_OK)
		return;
	mpz_init(x);
	fuzz_mpz(x, pub.n, pub.limbs);
	REQUIRE((int) mpz_sizeinbase(x, 2) == pub.bits && pub.bits >= min_bits);
	REQUIRE(mpz_odd_p(x) && !mpz_perfect_square_p(x));
	require_number(pub.n, pub.limbs, jwk->n);
	mpz_clear(x);

	REQUIRE(paillier_jwk_write_public(text, pub.n, pub.limbs, pub.djn, id) == strlen(text));
	copy_member(n, sizeof(n), text, "\"n\":\"");
	require_number(pub.n, pub.limbs, n);
}

static void
check_factors(const paillier_private *key)
{
	mpz_t		n,
				p,
				q;

	mpz_inits(n, p, q, NULL);
	fuzz_mpz(n, key->pub.n, key->pub.limbs);
	fuzz_mpz(p, key->p.p, key->p.limbs);
	fuzz_mpz(q, key->q.p, key->q.limbs);
	REQUIRE(mpz_probab_prime_p(p, 10) && mpz_probab_prime_p(q, 10) && mpz_cmp(p, q) != 0);
	mpz_mul(p, p, q);
	REQUIRE(mpz_cmp(p, n) == 0);
	mpz_clears(n, p, q, NULL);
}

static void
check_private(const paillier_jwk *jwk, const paillier_jwk *pub, int min_bits)
{
	static paillier_private key;
	char		text[PAILLIER_JWK_PRIVATE_ROOM(2 * PAILLIER_MAX_N_LIMBS)];
	char		member[2 * MAX_MEMBER];
	uint8_t		id[PAILLIER_KEY_ID_LENGTH] = {0};
	uint64_t	state = 1;

	if (paillier_jwk_read_private(&key, paillier_kernel_best(), jwk, pub, min_bits, repeatable_random, &state,
								  scratch) != PAILLIER_OK)
		return;
	check_factors(&key);
	REQUIRE(paillier_jwk_write_private(text, key.p.p, key.p.limbs, key.q.p, key.q.limbs, key.pub.n, key.pub.limbs,
									   key.pub.djn, id) == strlen(text));
	copy_member(member, sizeof(member), text, "\"p\":\"");
	require_number(key.p.p, key.p.limbs, member);
	copy_member(member, sizeof(member), text, "\"q\":\"");
	require_number(key.q.p, key.q.limbs, member);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_input	in = {data, size};
	int			flags = fuzz_take(&in, 1);
	int			min_bits = flags & 1 ? 256 : PAILLIER_MIN_BITS;
	char		members[MEMBERS][MAX_MEMBER + 1];
	paillier_jwk jwk = {.kty = members[0], .djn = flags & 2};
	paillier_jwk pub = {.kty = members[0], .alg = members[1], .n = members[2], .djn = flags & 2};

	if (scratch == NULL)
		scratch = fuzz_limbs(paillier_jwk_scratch());
	take_members(members, &in);
	if (flags & 4)
		jwk.lambda = members[5];
	else
	{
		jwk.p = members[3];
		jwk.q = members[4];
	}
	if (flags & 8)
		pub.n = NULL;
	if (flags & 16)
		jwk.q = NULL;
	check_public(&pub, min_bits);
	check_private(&jwk, &pub, min_bits);
	return 0;
}
