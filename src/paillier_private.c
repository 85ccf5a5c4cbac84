/*
 * paillier_private.c
 *		Private keys and decryption.
 */
#include <string.h>

#include "paillier_private.h"

/* Miller-Rabin rounds; each lets a composite pass with probability below 1/4. */
#define KEYGEN_ROUNDS	32
#define CHECK_ROUNDS	16

/*
 * The largest of GMP's own needs, for factors that share `limbs` limbs: powers
 * modulo a square, of a base as long as n².
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
	other = PAILLIER_SCRATCH(2 * limbs);
	if (most < other)
		most = other;
	return most + 16 * (size_t) limbs + 16;
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

paillier_result
paillier_keygen(mp_limb_t *p, mp_limb_t *q, int bits, paillier_random random, void *state, mp_limb_t *scratch)
{
	int			limbs = (bits / 2 + 63) / 64;
	mp_limb_t  *p_half = scratch;
	mp_limb_t  *q_half = p_half + limbs;
	mp_limb_t  *gcd = q_half + limbs;
	paillier_result result = random_prime(p, bits / 2, random, state, scratch);

	while (result == PAILLIER_OK)
	{
		int			q_limbs = limbs;

		result = random_prime(q, bits / 2, random, state, scratch);
		if (result != PAILLIER_OK)
			break;

		/* p ≡ q ≡ 3 mod 4: (p - 1)/2 and (q - 1)/2 are odd */
		mpn_rshift(p_half, p, limbs, 1);
		mpn_rshift(q_half, q, limbs, 1);
		while (q_half[q_limbs - 1] == 0)
			q_limbs--;

		/* equal primes have a gcd of (p - 1)/2, which is not 1 either */
		if (mpn_gcd(gcd, p_half, limbs, q_half, q_limbs) == 1 && gcd[0] == 1)
			break;
	}
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
prime_init(paillier_prime *prime, const mp_limb_t *p, int limbs, const mp_limb_t *q, int q_limbs, mp_limb_t *scratch)
{
	int			wide = limbs > q_limbs ? limbs : q_limbs;
	mp_limb_t  *rest = scratch + wide;

	prime->limbs = limbs;
	mpn_copyi(prime->p, p, limbs);
	mpn_copyi(prime->exponent, p, limbs);
	prime->exponent[0]--;		/* p is odd */
	mpn_sec_sqr(prime->square, p, limbs, rest);
	prime->square_limbs = 2 * limbs - (prime->square[2 * limbs - 1] == 0);

	mpn_copyi(scratch, q, q_limbs);
	mpn_zero(scratch + q_limbs, wide - q_limbs);
	mpn_sec_div_r(scratch, wide, p, limbs, rest);
	mpn_sub_n(scratch, p, scratch, limbs);
	return mpn_sec_invert(prime->h, scratch, p, limbs, 2 * 64 * (mp_bitcnt_t) limbs, rest);
}

paillier_result
paillier_private_init(paillier_private *key, const mp_limb_t *p, int p_limbs, const mp_limb_t *q, int q_limbs,
					  bool djn, mp_limb_t *scratch)
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
	if (n_limbs > PAILLIER_MAX_N_LIMBS)
		return PAILLIER_ERR_KEY_SIZE;
	paillier_public_init(&key->pub, n, n_limbs, djn, rest);
	if (!prime_init(&key->p, p, p_limbs, q, q_limbs, scratch) ||
		!prime_init(&key->q, q, q_limbs, p, p_limbs, scratch))
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
paillier_private_import(paillier_private *key, const mp_limb_t *p, int p_limbs, const mp_limb_t *q, int q_limbs,
						bool djn, int min_bits, paillier_random random, void *state, mp_limb_t *scratch)
{
	paillier_result result = paillier_private_init(key, p, p_limbs, q, q_limbs, djn, scratch);

	return result != PAILLIER_OK ? result : private_check(key, min_bits, random, state, scratch);
}

/* ---- decryption ---- */

/*
 * out = m mod p = L(c^(p-1) mod p²)·h mod p with L(x) = (x - 1)/p, in p's limbs.
 * False where c has the factor p: then x is not 1 mod p.
 */
static bool
decrypt_mod_prime(const paillier_private *key, const paillier_prime *prime, mp_limb_t *out, const mp_limb_t *c,
				  mp_limb_t *scratch)
{
	int			limbs = prime->limbs;
	mp_limb_t  *x = scratch;	/* 2·limbs */
	mp_limb_t  *quotient = x + 2 * limbs;	/* limbs */
	mp_limb_t  *rest = quotient + limbs;
	bool		unit;

	x[2 * limbs - 1] = 0;
	mpn_sec_powm(x, c, key->pub.n2.limbs, prime->exponent, mpn_sizeinbase(prime->p, limbs, 2), prime->square,
				 prime->square_limbs, rest);
	(void) mpn_sec_div_qr(quotient, x, 2 * limbs, prime->p, limbs, rest);
	unit = equal_1(x, limbs, 1);
	mpn_sec_mul(x, quotient, limbs, prime->h, limbs, rest);
	mpn_sec_div_r(x, 2 * limbs, prime->p, limbs, rest);
	mpn_copyi(out, x, limbs);
	return unit;
}

/*
 * Chinese remainders: m = m_q + q·((m_p - m_q)·q^-1 mod p), where
 * q^-1 = -h_p mod p, so the inner difference is taken the other way round.
 */
static void
combine(const paillier_private *key, mp_limb_t *m, const mp_limb_t *m_p, const mp_limb_t *m_q, mp_limb_t *scratch)
{
	const paillier_prime *p = &key->p;
	const paillier_prime *q = &key->q;
	int			wide = p->limbs > q->limbs ? p->limbs : q->limbs;
	int			total = p->limbs + q->limbs;
	mp_limb_t  *difference = scratch;	/* wide */
	mp_limb_t  *product = difference + wide;	/* 2·wide */
	mp_limb_t  *rest = product + 2 * wide;
	mp_limb_t	borrow;

	mpn_zero(difference, wide);
	mpn_copyi(difference, m_q, q->limbs);
	mpn_sec_div_r(difference, wide, p->p, p->limbs, rest);
	borrow = mpn_sub_n(difference, difference, m_p, p->limbs);
	mpn_cnd_add_n(borrow, difference, difference, p->p, p->limbs);

	mpn_sec_mul(product, difference, p->limbs, p->h, p->limbs, rest);
	mpn_sec_div_r(product, 2 * p->limbs, p->p, p->limbs, rest);
	mpn_copyi(difference, product, p->limbs);

	if (p->limbs >= q->limbs)
		mpn_sec_mul(product, difference, p->limbs, q->p, q->limbs, rest);
	else
		mpn_sec_mul(product, q->p, q->limbs, difference, p->limbs, rest);
	mpn_zero(rest, total);
	mpn_copyi(rest, m_q, q->limbs);
	mpn_add_n(product, product, rest, total);
	mpn_copyi(m, product, key->pub.limbs);
}

paillier_result
paillier_decrypt(const paillier_private *key, bool *negative, mp_limb_t *mag, const mp_limb_t *c, mp_limb_t *scratch)
{
	const paillier_public *pk = &key->pub;
	mp_limb_t  *m_p = scratch;
	mp_limb_t  *m_q = m_p + key->p.limbs;
	mp_limb_t  *m = m_q + key->q.limbs; /* pk->limbs */
	mp_limb_t  *minus = m + pk->limbs;	/* pk->limbs */
	mp_limb_t  *rest = minus + pk->limbs;
	mp_limb_t	above;
	bool		unit;

	if (mpn_zero_p(c, pk->n2.limbs))
		return PAILLIER_ERR_ZERO;
	if (mpn_cmp(c, pk->n2.m, pk->n2.limbs) >= 0)
		return PAILLIER_ERR_TOO_LARGE;

	unit = decrypt_mod_prime(key, &key->p, m_p, c, rest);
	unit &= decrypt_mod_prime(key, &key->q, m_q, c, rest);
	if (!unit)
		return PAILLIER_ERR_NOT_UNIT;
	combine(key, m, m_p, m_q, rest);

	/* above half of n stands what is negative: -(n - m) */
	above = mpn_sub_n(minus, pk->half, m, pk->limbs);
	mpn_sub_n(minus, pk->n, m, pk->limbs);
	for (int i = 0; i < pk->limbs; i++)
		mag[i] = m[i] ^ ((m[i] ^ minus[i]) & -above);
	*negative = above != 0;
	return PAILLIER_OK;
}
