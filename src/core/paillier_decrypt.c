/*
 * paillier_decrypt.c
 *		Decryption by Chinese remainders, one ciphertext at a time or eight.
 */
#include "paillier_private.h"

#define LANES 8

/* ---- powers: x = base^(p-1) mod p², in 2·limbs limbs of p, for residues in Montgomery form ---- */

static mp_bitcnt_t
exponent_bits(const paillier_prime *prime)
{
	return mpn_sizeinbase(prime->p, prime->limbs, 2);
}

void
paillier_power(const paillier_prime *prime, mp_limb_t *x, mp_limb_t *base, mp_limb_t *scratch)
{
	const paillier_mont *square = &prime->mont;

	paillier_mont_pow_sec(square, base, base, prime->exponent, exponent_bits(prime), scratch);
	paillier_mont_leave(square, base, base, scratch);
	x[2 * prime->limbs - 1] = 0;
	paillier_mont_store_sec(square, x, base, scratch);
}

void
paillier_power8(const paillier_prime *prime, mp_limb_t *const *x, mp_limb_t *base8, mp_limb_t *scratch)
{
	const paillier_mont *square = &prime->mont;
	const paillier_kernel *kernel = square->kernel;
	mp_limb_t  *other8 = scratch;
	mp_limb_t  *rest = other8 + LANES * square->words;
	mp_limb_t  *residues[LANES];
	const mp_limb_t *units[LANES];

	paillier_mont_pow8_sec(square, base8, base8, prime->exponent, exponent_bits(prime), scratch);
	for (int i = 0; i < LANES; i++)
	{
		residues[i] = other8 + i * square->words;
		units[i] = square->unit;
	}
	kernel->gather8(square, other8, units);
	kernel->mul8(square, base8, base8, other8, rest);
	kernel->scatter8(square->words, residues, base8);
	for (int i = 0; i < LANES; i++)
	{
		x[i][2 * prime->limbs - 1] = 0;
		paillier_mont_store_sec(square, x[i], residues[i], rest);
	}
}

/* The same for a ciphertext, and for eight. */
static void
power(const paillier_private *key, const paillier_prime *prime, mp_limb_t *x, const mp_limb_t *c, mp_limb_t *scratch)
{
	const paillier_mont *square = &prime->mont;
	int			limbs2 = key->pub.n2.limbs;
	mp_limb_t  *base = scratch;
	mp_limb_t  *rest = base + square->words;

	mpn_copyi(rest, c, limbs2);
	mpn_sec_div_r(rest, limbs2, square->m, square->limbs, rest + limbs2);
	paillier_mont_load(square, base, rest, rest + square->limbs);
	paillier_mont_enter(square, base, base, rest);
	paillier_power(prime, x, base, rest);
}

static void
power8(const paillier_private *key, const paillier_prime *prime, mp_limb_t *const *x, const mp_limb_t *const *c,
	   mp_limb_t *scratch)
{
	const paillier_mont *square = &prime->mont;
	const paillier_kernel *kernel = square->kernel;
	int			limbs2 = key->pub.n2.limbs;
	mp_limb_t  *base8 = scratch;
	mp_limb_t  *other8 = base8 + LANES * square->words;
	mp_limb_t  *rest = other8 + LANES * square->words;
	mp_limb_t  *reduced[LANES];
	const mp_limb_t *same[LANES];

	for (int i = 0; i < LANES; i++)
	{
		reduced[i] = other8 + i * square->words;
		mpn_copyi(rest, c[i], limbs2);
		mpn_sec_div_r(rest, limbs2, square->m, square->limbs, rest + limbs2);
		mpn_copyi(reduced[i], rest, square->limbs);
		same[i] = square->r2;
	}
	kernel->load8(square, base8, (const mp_limb_t *const *) reduced, rest);
	kernel->gather8(square, other8, same);
	kernel->mul8(square, base8, base8, other8, rest);
	paillier_power8(prime, x, base8, rest);
}

/* ---- from powers to the plaintext ---- */

bool
paillier_plaintext_mod_prime(const paillier_prime *prime, mp_limb_t *x, mp_limb_t *scratch)
{
	int			limbs = prime->limbs;
	mp_limb_t  *quotient = scratch; /* limbs */
	mp_limb_t  *rest = quotient + limbs;
	mp_limb_t	difference;

	(void) mpn_sec_div_qr(quotient, x, 2 * limbs, prime->p, limbs, rest);
	difference = x[0] ^ 1;
	for (int i = 1; i < limbs; i++)
		difference |= x[i];
	mpn_sec_mul(x, quotient, limbs, prime->h, limbs, rest);
	mpn_sec_div_r(x, 2 * limbs, prime->p, limbs, rest);
	return difference == 0;
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

/* Both powers, which are destroyed, to the plaintext. */
static void
finish(const paillier_private *key, paillier_decrypted *out, mp_limb_t *x_p, mp_limb_t *x_q, mp_limb_t *scratch)
{
	const paillier_public *pk = &key->pub;
	mp_limb_t  *m = scratch;	/* pk->limbs */
	mp_limb_t  *minus = m + pk->limbs;	/* pk->limbs */
	mp_limb_t  *rest = minus + pk->limbs;
	bool		unit_p = paillier_plaintext_mod_prime(&key->p, x_p, rest);
	bool		unit_q = paillier_plaintext_mod_prime(&key->q, x_q, rest);
	bool		unit = (int) unit_p & (int) unit_q;	/* neither alone decides what is done */
	mp_limb_t	above;

	out->result = unit ? PAILLIER_OK : PAILLIER_ERR_NOT_UNIT;
	if (!unit)
		return;
	combine(key, m, x_p, x_q, rest);

	/* above half of n stands what is negative: -(n - m) */
	above = mpn_sub_n(minus, pk->half, m, pk->limbs);
	mpn_sub_n(minus, pk->n, m, pk->limbs);
	for (int i = 0; i < pk->limbs; i++)
		out->mag[i] = m[i] ^ ((m[i] ^ minus[i]) & -above);
	out->negative = above != 0;
}

/* ---- ciphertexts ---- */

paillier_result
paillier_check_range(const paillier_public *pk, const mp_limb_t *c)
{
	if (mpn_zero_p(c, pk->n2.limbs))
		return PAILLIER_ERR_ZERO;
	return mpn_cmp(c, pk->n2.m, pk->n2.limbs) >= 0 ? PAILLIER_ERR_TOO_LARGE : PAILLIER_OK;
}

/* Up to eight that have passed the check. */
static void
decrypt_lanes(const paillier_private *key, paillier_decrypted *const *out, const mp_limb_t **c, int count,
			  mp_limb_t *scratch)
{
	mp_limb_t  *x_p[LANES];
	mp_limb_t  *x_q[LANES];
	mp_limb_t  *rest = scratch;

	for (int i = 0; i < LANES; i++)
	{
		x_p[i] = rest;
		x_q[i] = x_p[i] + 2 * key->p.limbs;
		rest = x_q[i] + 2 * key->q.limbs;
	}
	if (count >= key->p.mont.kernel->enough_for_eight)
	{
		for (int i = count; i < LANES; i++)
			c[i] = c[0];
		power8(key, &key->p, x_p, c, rest);
		power8(key, &key->q, x_q, c, rest);
	}
	else
		for (int i = 0; i < count; i++)
		{
			power(key, &key->p, x_p[i], c[i], rest);
			power(key, &key->q, x_q[i], c[i], rest);
		}
	for (int i = 0; i < count; i++)
		finish(key, out[i], x_p[i], x_q[i], rest);
}

void
paillier_decrypt(const paillier_private *key, paillier_decrypted *out, const mp_limb_t *const *c, int count,
				 mp_limb_t *scratch)
{
	paillier_decrypted *valid[LANES];
	const mp_limb_t *lane[LANES];
	int			lanes = 0;

	for (int i = 0; i < count; i++)
	{
		out[i].result = paillier_check_range(&key->pub, c[i]);
		if (out[i].result == PAILLIER_OK)
		{
			valid[lanes] = &out[i];
			lane[lanes++] = c[i];
		}
		if (lanes == LANES || (lanes > 0 && i == count - 1))
		{
			decrypt_lanes(key, valid, lane, lanes, scratch);
			lanes = 0;
		}
	}
}
