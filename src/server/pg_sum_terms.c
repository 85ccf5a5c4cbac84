/*
 * pg_sum_terms.c
 *		Narrow sums: `count` terms, the ciphertexts of the rows of one weight,
 *		multiplied.
 *
 * A sum without weights has one term of weight 1; one of weight -1 takes what
 * leaves a window.
 */
#include "pg_sum.h"

#include "common/int.h"
#include "miscadmin.h"

/* ---- one term ---- */

/* The term of a weight, NULL where there is none. */
static SumTerm *
find_term(PaillierSum *sum, int64 weight)
{
	for (int i = 0; i < sum->count; i++)
		if (paillier_sum_term(sum, i)->weight == weight)
			return paillier_sum_term(sum, i);
	return NULL;
}

/* What a term stands for without its weight, raised to k, in Montgomery form. */
static void
power_of_term(PaillierKey *key, mp_limb_t *out, const SumTerm *term, const mp_limb_t *k, int limbs)
{
	paillier_key_enter(key, out, term->product, term->lost);
	if (limbs > 1 || k[0] != 1)
		paillier_mont_pow(&key->pub.n2, out, out, k, limbs, paillier_scratch(key));
}

void
paillier_sum_term_multiply(PaillierKey *key, SumTerm *term, const mp_limb_t *residue, uint64 lost)
{
	const paillier_mont *n2 = &key->pub.n2;

	paillier_mont_mul(n2, term->product, term->product, residue, paillier_scratch(key));
	term->lost += lost + 1;
	if (unlikely(term->lost >> 62 != 0))
	{
		/* terms multiplied into each other add up what they have lost: no count overflows */
		paillier_key_enter(key, term->product, term->product, term->lost);
		paillier_mont_leave(n2, term->product, term->product, paillier_scratch(key));
		term->lost = 0;
	}
}

static uint64
magnitude(const SumTerm *term)
{
	return term->weight < 0 ? -(uint64) term->weight : (uint64) term->weight;
}

static void
remove_term(PaillierSum *sum, SumTerm *term)
{
	memmove(term, paillier_sum_term(sum, --sum->count), TERM_WORDS(sum->words) * sizeof(mp_limb_t));
}

/* ---- many terms into one ---- */

/* Move term i down the heap, in which none is larger than the one above it. */
static void
sift(SumTerm **heap, int count, int i)
{
	SumTerm    *term = heap[i];

	for (int child; (child = 2 * i + 1) < count; i = child)
	{
		if (child + 1 < count && magnitude(heap[child + 1]) > magnitude(heap[child]))
			child++;
		if (magnitude(heap[child]) <= magnitude(term))
			break;
		heap[i] = heap[child];
	}
	heap[i] = term;
}

/*
 * Lower the largest weight: by a^v·b^w = a^(v - k·w)·(b·a^k)^w for the two largest
 * weights v >= w and k = v/w, as Bos and Coster do.  Among many terms k is nearly
 * always 1.
 */
static void
lower_largest(PaillierKey *key, SumTerm *largest, SumTerm *second)
{
	mp_limb_t	k = magnitude(largest) / magnitude(second);

	if (k == 1)
		paillier_sum_term_multiply(key, second, largest->product, largest->lost);
	else
	{
		mp_limb_t	power[PAILLIER_MAX_WORDS];

		power_of_term(key, power, largest, &k, 1);
		paillier_mont_mul(&key->pub.n2, second->product, second->product, power, paillier_scratch(key));
	}
	largest->weight -= (int64) k * second->weight;
}

SumTerm *
paillier_sum_join(PaillierKey *key, SumTerm **terms, int count)
{
	for (int i = count / 2; i-- > 0;)
		sift(terms, count, i);
	while (count > 1)
	{
		int			second = count > 2 && magnitude(terms[2]) > magnitude(terms[1]) ? 2 : 1;

		CHECK_FOR_INTERRUPTS();
		lower_largest(key, terms[0], terms[second]);
		if (terms[0]->weight == 0)
			terms[0] = terms[--count];
		sift(terms, count, 0);
	}
	return count == 0 ? NULL : terms[0];
}

/* Make one term of all that have one sign. */
static void
join_terms(PaillierKey *key, PaillierSum *sum, bool negative)
{
	SumTerm    *terms[MAX_TERMS];
	int			count = 0;

	for (int i = 0; i < sum->count; i++)
		if ((paillier_sum_term(sum, i)->weight < 0) == negative)
			terms[count++] = paillier_sum_term(sum, i);
	(void) paillier_sum_join(key, terms, count);
	for (int i = sum->count; i-- > 0;)
		if (paillier_sum_term(sum, i)->weight == 0)
			remove_term(sum, paillier_sum_term(sum, i));
}

PaillierSum *
paillier_sum_multiply(PaillierKey *key, PaillierSum *sum, int64 weight, const mp_limb_t *residue, uint64 lost)
{
	SumTerm    *term = find_term(sum, weight);

	if (term != NULL)
	{
		paillier_sum_term_multiply(key, term, residue, lost);
		return sum;
	}
	if (sum->count >= (sum->rows < MANY_ROWS ? FEW_TERMS : MAX_TERMS))
	{
		join_terms(key, sum, false);
		join_terms(key, sum, true);
	}
	if (paillier_sum_room(sum) < (sum->count + 1) * TERM_WORDS(sum->words))
	{
		PaillierSum *larger = paillier_sum_resize(sum, (sum->count + 1) * TERM_WORDS(sum->words));

		mpn_copyi(larger->body, sum->body, sum->count * TERM_WORDS(sum->words));
		sum = larger;
	}
	term = paillier_sum_term(sum, sum->count++);
	term->weight = weight;
	term->lost = lost;
	mpn_copyi(term->product, residue, sum->words);
	return sum;
}

/* The weights grow; a term whose weight would grow too large is powered instead. */
void
paillier_sum_rescale(PaillierKey *key, PaillierSum *sum, int digits)
{
	PaillierInteger factor;
	bool		short_factor;

	paillier_power_of_ten(&factor, digits - paillier_sum_digits(sum));
	paillier_sum_set_bound(sum, key, paillier_bound_mul(paillier_sum_bound(sum),
														paillier_bound_from_limbs(factor.mag, factor.limbs)));
	short_factor = factor.mag[0] <= PG_INT64_MAX && (factor.limbs == 1 || mpn_zero_p(factor.mag + 1, factor.limbs - 1));
	for (int i = 0; i < sum->count; i++)
	{
		SumTerm    *term = paillier_sum_term(sum, i);
		int64		weight;

		if (short_factor && !pg_mul_s64_overflow(term->weight, factor.mag[0], &weight) && weight != PG_INT64_MIN)
		{
			term->weight = weight;
			continue;
		}
		power_of_term(key, term->product, term, factor.mag, factor.limbs);
		paillier_mont_leave(&key->pub.n2, term->product, term->product, paillier_scratch(key));
		term->lost = 0;
	}
	paillier_sum_set_scale(sum, Max(sum->scale, digits), digits);
}

/* ---- the total ---- */

/* limbs = the terms of one sign with their weights' magnitudes, which become one term; 1 where there are none. */
static void
total_of_sign(PaillierKey *key, mp_limb_t *limbs, PaillierSum *sum, bool negative)
{
	mp_limb_t	power[PAILLIER_MAX_WORDS];

	join_terms(key, sum, negative);
	for (int i = 0; i < sum->count; i++)
	{
		SumTerm    *term = paillier_sum_term(sum, i);

		if ((term->weight < 0) != negative)
			continue;
		if (magnitude(term) == 1)
			paillier_key_restore(key, limbs, term->product, term->lost);
		else
		{
			power_of_term(key, power, term, &(mp_limb_t) {magnitude(term)}, 1);
			paillier_mont_leave(&key->pub.n2, power, power, paillier_scratch(key));
			paillier_mont_store_var(&key->pub.n2, limbs, power, paillier_scratch(key));
		}
		return;
	}
	mpn_zero(limbs, key->pub.n2.limbs);
	limbs[0] = 1;
}

void
paillier_sum_total(PaillierKey *key, mp_limb_t *limbs, const PaillierSum *sum)
{
	PaillierSum *copy = palloc(VARSIZE(sum));

	memcpy(copy, sum, VARSIZE(sum));
	total_of_sign(key, limbs, copy, false);
	for (int i = 0; i < copy->count; i++)
		if (paillier_sum_term(copy, i)->weight < 0)
		{
			mp_limb_t	quotient[PAILLIER_MAX_LIMBS];

			total_of_sign(key, quotient, copy, true);
			paillier_require(paillier_negate_var(&key->pub, quotient, quotient, paillier_scratch(key)),
							 THING_SUMMAND);
			paillier_add(&key->pub, limbs, limbs, quotient, paillier_scratch(key));
			break;
		}
	pfree(copy);
}
