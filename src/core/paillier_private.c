/*
 * paillier_private.c
 *		Private keys: making and checking them.
 */
#include <string.h>

#include "paillier_private.h"

#define LANES 8

/* Miller-Rabin rounds; each lets a composite pass with probability below 1/4. */
#define KEYGEN_ROUNDS	32
#define CHECK_ROUNDS	16

/*
 * GMP's own needs and those of powers modulo a square, for factors that share
 * the limbs of n, and room for eight powers modulo each square.
 */
size_t
paillier_private_scratch(int bits)
{
	int			limbs = (bits + 63) / 64 + 1;
	size_t		most = mpn_sec_powm_itch(2 * limbs, 64 * (mp_bitcnt_t) limbs, 2 * limbs);
	size_t		other = mpn_sec_div_qr_itch(2 * limbs, limbs);

	if (most < other)
		most = other;
	other = mpn_sec_invert_itch(limbs);
	if (most < other)
		most = other;
	other = PAILLIER_MONT_POW8_SCRATCH(PAILLIER_MONT_WORDS(2 * limbs)) + 17 * PAILLIER_MONT_WORDS(2 * limbs);
	if (most < other)
		most = other;
	return most + 2 * LANES * 2 * (size_t) limbs + 16 * (size_t) limbs + 16;
}

/* ---- primes ---- */

/* Comparisons that do not branch on the limbs. */
static bool
equal_1(const mp_limb_t *a, int limbs, mp_limb_t value)
{
	mp_limb_t	difference = a[0] ^ value;

	for (int i = 1; i < limbs; i++)
		difference |= a[i];
	return difference == 0;
}

static bool
equal(const mp_limb_t *a, const mp_limb_t *b, int limbs)
{
	mp_limb_t	difference = 0;

	for (int i = 0; i < limbs; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/*
 * Miller-Rabin with random bases for an odd p: with p - 1 = 2^s·d, the base b
 * proves p composite unless b^d = 1 or b^(2^i·d) = -1 for some i < s.
 * *prime tells; a result other than PAILLIER_OK says that it could not.
 */
static paillier_result
is_prime(bool *prime, const mp_limb_t *p, int limbs, int rounds, paillier_random random, void *state,
		 mp_limb_t *scratch)
{
	mp_limb_t  *minus_one = scratch;	/* p - 1 */
	mp_limb_t  *d = minus_one + limbs;
	mp_limb_t  *b = d + limbs;
	mp_limb_t  *square = b + limbs; /* 2·limbs */
	mp_limb_t  *rest = square + 2 * limbs;
	int			s = mpn_scan1(p, 1);
	int			bits = mpn_sizeinbase(p, limbs, 2);

	mpn_sub_1(minus_one, p, limbs, 1);
	mpn_copyi(d, minus_one + s / 64, limbs - s / 64);
	mpn_zero(d + limbs - s / 64, s / 64);
	if (s % 64 != 0)
		mpn_rshift(d, d, limbs, s % 64);

	*prime = false;
	for (int round = 0; round < rounds; round++)
	{
		bool		passed;
		paillier_result result = paillier_random_below(b, p, limbs, random, state);

		if (result != PAILLIER_OK)
			return result;
		mpn_sec_powm(square, b, limbs, d, bits - s, p, limbs, rest);
		mpn_copyi(b, square, limbs);
		passed = equal_1(b, limbs, 1) || equal(b, minus_one, limbs);
		for (int i = 1; i < s && !passed; i++)
		{
			mpn_sec_sqr(square, b, limbs, rest);
			mpn_sec_div_r(square, 2 * limbs, p, limbs, rest);
			mpn_copyi(b, square, limbs);
			passed = equal(b, minus_one, limbs);
		}
		if (!passed)
			return PAILLIER_OK;
	}
	*prime = true;
	return PAILLIER_OK;
}

/* A random prime ≡ 3 mod 4 with its two highest bits set. */
static paillier_result
random_prime(mp_limb_t *p, int bits, paillier_random random, void *state, mp_limb_t *scratch)
{
	int			limbs = (bits + 63) / 64;
	bool		prime = false;

	while (!prime)
	{
		paillier_result result;

		if (random(state, p, limbs * sizeof(mp_limb_t)) != 0)
			return PAILLIER_ERR_RANDOM;
		p[limbs - 1] &= ~(mp_limb_t) 0 >> (64 * limbs - bits);
		for (int i = bits - 2; i < bits; i++)
			p[i / 64] |= (mp_limb_t) 1 << (i % 64);
		p[0] |= 3;
		if (paillier_has_small_factor(p, limbs))
			continue;
		result = is_prime(&prime, p, limbs, 1, random, state, scratch);
		if (result == PAILLIER_OK && prime)
			result = is_prime(&prime, p, limbs, KEYGEN_ROUNDS, random, state, scratch);
		if (result != PAILLIER_OK)
			return result;
	}
	return PAILLIER_OK;
}

/*
 * Whether p ≡ q ≡ 3 mod 4 and gcd(p - 1, q - 1) = 2: what makes short blinding
 * exponents safe.
 */
static bool
independent_primes_var(const mp_limb_t *p, int p_limbs, const mp_limb_t *q, int q_limbs, mp_limb_t *scratch)
{
	mp_limb_t  *p_half = scratch;
	mp_limb_t  *q_half = p_half + p_limbs;
	mp_limb_t  *gcd = q_half + q_limbs;
	mp_size_t	size;

	if ((p[0] & q[0] & 3) != 3)
		return false;

	/* (p - 1)/2 and (q - 1)/2 are odd: their gcd must be 1; equal primes have one of (p - 1)/2 */
	mpn_rshift(p_half, p, p_limbs, 1);
	mpn_rshift(q_half, q, q_limbs, 1);
	while (p_half[p_limbs - 1] == 0)
		p_limbs--;
	while (q_half[q_limbs - 1] == 0)
		q_limbs--;
	size = p_limbs >= q_limbs ? mpn_gcd(gcd, p_half, p_limbs, q_half, q_limbs)
		: mpn_gcd(gcd, q_half, q_limbs, p_half, p_limbs);
	return size == 1 && gcd[0] == 1;
}

paillier_result
paillier_keygen(mp_limb_t *p, mp_limb_t *q, int bits, paillier_random random, void *state, mp_limb_t *scratch)
{
	int			limbs = (bits / 2 + 63) / 64;
	paillier_result result = random_prime(p, bits / 2, random, state, scratch);

	if (result != PAILLIER_OK)
		return result;
	do
		result = random_prime(q, bits / 2, random, state, scratch);
	while (result == PAILLIER_OK && !independent_primes_var(p, limbs, q, limbs, scratch));
	return result;
}

/* ---- private keys ---- */

/*
 * p + q = n - lambda + 1 =: s, and p, q = (s ± √(s² - 4n))/2.
 */
paillier_result
paillier_factor_lambda_var(mp_limb_t *p, int *p_limbs, mp_limb_t *q, int *q_limbs, const mp_limb_t *lambda,
						   const mp_limb_t *n, int n_limbs, mp_limb_t *scratch)
{
	mp_limb_t  *sum = scratch;	/* n_limbs */
	mp_limb_t  *square = sum + n_limbs; /* 2·n_limbs */
	mp_limb_t  *four_n = square + 2 * n_limbs;	/* 2·n_limbs */
	mp_limb_t  *root = four_n + 2 * n_limbs;	/* n_limbs */
	int			square_limbs = 2 * n_limbs;

	if (mpn_sub_n(sum, n, lambda, n_limbs) || mpn_add_1(sum, sum, n_limbs, 1))
		return PAILLIER_ERR_PRIVATE_MISMATCH;
	mpn_sqr(square, sum, n_limbs);
	mpn_zero(four_n, square_limbs);
	four_n[n_limbs] = mpn_lshift(four_n, n, n_limbs, 2);
	if (mpn_sub_n(square, square, four_n, square_limbs))
		return PAILLIER_ERR_PRIVATE_MISMATCH;
	while (square_limbs > 0 && square[square_limbs - 1] == 0)
		square_limbs--;
	if (square_limbs == 0)
		return PAILLIER_ERR_PRIMES_EQUAL;
	mpn_zero(root, n_limbs);
	if (mpn_sqrtrem(root, NULL, square, square_limbs) != 0)
		return PAILLIER_ERR_PRIVATE_MISMATCH;

	/* wrong inputs give wrong factors: their product is compared by the caller */
	mpn_sub_n(q, sum, root, n_limbs);
	mpn_add_n(p, sum, root, n_limbs);
	mpn_rshift(p, p, n_limbs, 1);
	mpn_rshift(q, q, n_limbs, 1);
	for (*p_limbs = n_limbs; *p_limbs > 0 && p[*p_limbs - 1] == 0;)
		--*p_limbs;
	for (*q_limbs = n_limbs; *q_limbs > 0 && q[*q_limbs - 1] == 0;)
		--*q_limbs;
	return *p_limbs > 0 && *q_limbs > 0 ? PAILLIER_OK : PAILLIER_ERR_PRIVATE_MISMATCH;
}

/*
 * Fill in prime for the factor p of n = p·q.  With g = n + 1 the usual
 * h = L(g^(p-1) mod p²)^-1 is (-q)^-1 mod p.  False where q has no inverse.
 */
static bool
prime_init(paillier_prime *prime, const paillier_kernel *kernel, const mp_limb_t *p, int limbs, const mp_limb_t *q,
		   int q_limbs, mp_limb_t *scratch)
{
	int			wide = limbs > q_limbs ? limbs : q_limbs;
	mp_limb_t  *rest = scratch + wide;

	prime->limbs = limbs;
	mpn_copyi(prime->p, p, limbs);
	mpn_copyi(prime->exponent, p, limbs);
	prime->exponent[0]--;		/* p is odd */
	mpn_sec_sqr(prime->square, p, limbs, rest);
	prime->square_limbs = 2 * limbs - (prime->square[2 * limbs - 1] == 0);
	paillier_mont_init(&prime->mont, kernel->secret != NULL ? kernel->secret : kernel, p, limbs, scratch);

	mpn_copyi(scratch, q, q_limbs);
	mpn_zero(scratch + q_limbs, wide - q_limbs);
	mpn_sec_div_r(scratch, wide, p, limbs, rest);
	mpn_sub_n(scratch, p, scratch, limbs);
	return mpn_sec_invert(prime->h, scratch, p, limbs, 2 * 64 * (mp_bitcnt_t) limbs, rest);
}

paillier_result
paillier_private_init(paillier_private *key, const paillier_kernel *kernel, const mp_limb_t *p, int p_limbs,
					  const mp_limb_t *q, int q_limbs, bool djn, mp_limb_t *scratch)
{
	mp_limb_t  *n = scratch;	/* p_limbs + q_limbs */
	mp_limb_t  *rest = n + p_limbs + q_limbs;
	int			n_limbs = p_limbs + q_limbs;

	if (p_limbs > PAILLIER_MAX_N_LIMBS || q_limbs > PAILLIER_MAX_N_LIMBS)
		return PAILLIER_ERR_KEY_SIZE;
	if ((p[0] & q[0] & 1) == 0)
		return PAILLIER_ERR_MODULUS_EVEN;
	if (p_limbs == q_limbs && equal(p, q, p_limbs))
		return PAILLIER_ERR_PRIMES_EQUAL;

	if (p_limbs >= q_limbs)
		mpn_sec_mul(n, p, p_limbs, q, q_limbs, rest);
	else
		mpn_sec_mul(n, q, q_limbs, p, p_limbs, rest);
	n_limbs -= n[n_limbs - 1] == 0;
	if (n_limbs > PAILLIER_MAX_N_LIMBS || mpn_sizeinbase(n, n_limbs, 2) < PAILLIER_MIN_BITS)
		return PAILLIER_ERR_KEY_SIZE;
	paillier_public_init(&key->pub, kernel, n, n_limbs, djn, rest);
	if (!prime_init(&key->p, kernel, p, p_limbs, q, q_limbs, scratch) ||
		!prime_init(&key->q, kernel, q, q_limbs, p, p_limbs, scratch))
		return PAILLIER_ERR_TOTIENT;
	return PAILLIER_OK;
}

/* Whether p divides q - 1: variable time, for keys from outside. */
static bool
divides_totient_var(const paillier_prime *p, const paillier_prime *q, mp_limb_t *scratch)
{
	if (q->limbs < p->limbs)
		return false;
	mpn_tdiv_qr(scratch + p->limbs, scratch, 0, q->exponent, q->limbs, p->p, p->limbs);
	return mpn_zero_p(scratch, p->limbs);
}

static paillier_result
private_check(const paillier_private *key, int min_bits, paillier_random random, void *state, mp_limb_t *scratch)
{
	const paillier_prime *const primes[] = {&key->p, &key->q};
	paillier_result result = paillier_public_check(key->pub.n, key->pub.limbs, min_bits);

	for (int i = 0; i < 2 && result == PAILLIER_OK; i++)
	{
		const paillier_prime *prime = primes[i];
		bool		is = false;

		if ((int) mpn_sizeinbase(prime->p, prime->limbs, 2) < key->pub.bits / 4)
			return PAILLIER_ERR_PRIMES_UNBALANCED;
		result = is_prime(&is, prime->p, prime->limbs, CHECK_ROUNDS, random, state, scratch);
		if (result == PAILLIER_OK && !is)
			result = PAILLIER_ERR_COMPOSITE;
	}
	if (result == PAILLIER_OK &&
		(divides_totient_var(&key->p, &key->q, scratch) || divides_totient_var(&key->q, &key->p, scratch)))
		result = PAILLIER_ERR_TOTIENT;
	return result;
}

paillier_result
paillier_private_import(paillier_private *key, const paillier_kernel *kernel, const mp_limb_t *p, int p_limbs,
						const mp_limb_t *q, int q_limbs, bool djn, int min_bits, paillier_random random,
						void *state, mp_limb_t *scratch)
{
	paillier_result result = paillier_private_init(key, kernel, p, p_limbs, q, q_limbs, djn, scratch);

	if (result == PAILLIER_OK)
		result = private_check(key, min_bits, random, state, scratch);
	if (result == PAILLIER_OK && djn)
		key->pub.djn = independent_primes_var(p, p_limbs, q, q_limbs, scratch);
	return result;
}
