/*
 * pg_sum_convert.c
 *		Sums from one form to another, and from the residues of one kernel to
 *		those of another.
 */
#include "pg_sum.h"

#include "miscadmin.h"

/* A kernel that reads the residues of the state. */
static const paillier_kernel *
maker_of(const PaillierSum *sum)
{
	const paillier_kernel *maker = paillier_kernel_of_format(sum->format);

	if (maker == NULL)
		paillier_raise(PAILLIER_ERR_VERSION, THING_SUM);
	return maker;
}

/*
 * A residue of any kernel, with R^lost missing for the R of that kernel: as a
 * residue of this key's kernel.
 */
static void
convert_residue(PaillierKey *key, mp_limb_t *out, const PaillierSum *sum, const mp_limb_t *residue, uint64 lost)
{
	const paillier_mont *n2 = &key->pub.n2;
	const paillier_kernel *maker = maker_of(sum);
	mp_limb_t  *scratch = paillier_scratch(key);
	mp_limb_t	power[PAILLIER_MAX_WORDS] = {2};
	mp_limb_t	exponent[2];

	paillier_mont_import_var(n2, out, maker, residue, sum->words, scratch);
	exponent[1] = mpn_mul_1(exponent, &(mp_limb_t) {lost}, 1, paillier_kernel_radix_bits(maker, sum->words));
	paillier_mont_enter(n2, power, power, scratch);
	paillier_mont_pow(n2, power, power, exponent, 2, scratch);
	paillier_mont_mul(n2, out, out, power, scratch);
}

/* Multiply a residue of the state into a narrow one of the key's kernel. */
static PaillierSum *
take_residue(PaillierKey *key, PaillierSum *copy, int64 weight, const PaillierSum *sum, const mp_limb_t *residue,
			 uint64 lost)
{
	mp_limb_t	converted[PAILLIER_MAX_WORDS];

	if (paillier_sum_native(key, sum))
		return paillier_sum_multiply(key, copy, weight, residue, lost);
	convert_residue(key, converted, sum, residue, lost);
	return paillier_sum_multiply(key, copy, weight, converted, 0);
}

static PaillierSum *
take_terms(PaillierKey *key, PaillierSum *copy, PaillierSum *sum)
{
	for (int i = 0; i < sum->count; i++)
	{
		const SumTerm *term = paillier_sum_term(sum, i);

		copy = take_residue(key, copy, term->weight, sum, term->product, term->lost);
	}
	return copy;
}

/* The eight products, and the ciphertexts that wait. */
static PaillierSum *
take_wide(PaillierKey *key, PaillierSum *copy, const PaillierSum *sum)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *products = palloc(LANES * sum->words * sizeof(mp_limb_t));
	uint64		lost = paillier_sum_wide_products(maker_of(sum), products, sum);
	mp_limb_t	residue[PAILLIER_MAX_WORDS];

	for (int i = 0; i < LANES; i++)
		copy = take_residue(key, copy, 1, sum, products + i * sum->words, i == 0 ? lost : 0);
	pfree(products);
	for (int i = 0; i < sum->count; i++)
	{
		paillier_mont_load(n2, residue, paillier_sum_wide_waiting(sum, i, n2->limbs), paillier_scratch(key));
		copy = paillier_sum_multiply(key, copy, 1, residue, 0);
	}
	return copy;
}

static PaillierSum *
take_queue(PaillierKey *key, PaillierSum *copy, PaillierSum *sum)
{
	const mp_limb_t *part[2];
	uint64		lost;
	int			parts = paillier_sum_parts(sum, part, &lost);

	for (int i = 0; i < parts; i++)
		copy = take_residue(key, copy, 1, sum, part[i], i == 0 ? lost : 0);
	return copy;
}

/* Join the terms of one sign, which stand one behind the other, and multiply the narrow state by them. */
static PaillierSum *
take_joined(PaillierKey *key, PaillierSum *copy, mp_limb_t *terms, int count, bool negative)
{
	SumTerm   **heap = palloc(count * sizeof(SumTerm *));
	SumTerm    *joined;
	int			size = 0;

	for (int i = 0; i < count; i++)
	{
		SumTerm    *term = (SumTerm *) (terms + i * TERM_WORDS(copy->words));

		if (term->weight != 0 && (term->weight < 0) == negative)
			heap[size++] = term;
	}
	joined = paillier_sum_join(key, heap, size);
	if (joined != NULL)
		copy = paillier_sum_multiply(key, copy, joined->weight, joined->product, joined->lost);
	pfree(heap);
	return copy;
}

/* The buckets, and the ciphertexts that wait. */
static PaillierSum *
take_buckets(PaillierKey *key, PaillierSum *copy, const PaillierSum *sum)
{
	const paillier_mont *n2 = &key->pub.n2;
	bool		native = paillier_sum_native(key, sum);
	int			used = paillier_sum_buckets_count(sum);
	int			count = used + sum->count;
	mp_limb_t  *terms = palloc(count * TERM_WORDS(n2->words) * sizeof(mp_limb_t));

	for (int i = 0; i < count; i++)
	{
		SumTerm    *term = (SumTerm *) (terms + i * TERM_WORDS(n2->words));
		const SumTerm *from = i < used ? paillier_sum_bucket(sum, i) : NULL;

		CHECK_FOR_INTERRUPTS();
		if (from == NULL)
		{
			const mp_limb_t *c = paillier_sum_buckets_waiting(sum, i - used, n2->limbs, &term->weight);

			term->lost = 0;
			paillier_mont_load(n2, term->product, c, paillier_scratch(key));
		}
		else if (native)
			memcpy(term, from, TERM_WORDS(n2->words) * sizeof(mp_limb_t));
		else
		{
			term->weight = from->weight;
			term->lost = 0;
			convert_residue(key, term->product, sum, from->product, from->lost);
		}
	}
	copy = take_joined(key, copy, terms, count, false);
	copy = take_joined(key, copy, terms, count, true);
	pfree(terms);
	return copy;
}

PaillierSum *
paillier_sum_narrow(PaillierKey *key, PaillierSum *sum)
{
	const paillier_mont *n2 = &key->pub.n2;
	PaillierSum *copy;

	if (sum->form == SUM_NARROW && paillier_sum_native(key, sum))
		return sum;
	if (sum->format == PAILLIER_FORMAT_LIMBS && sum->words != n2->limbs && sum->count > 0)
		paillier_raise(PAILLIER_ERR_KEY_LENGTH, THING_SUM);
	copy = paillier_sum_resize(sum, (sum->form == SUM_NARROW ? sum->count : 1) * TERM_WORDS(n2->words));
	copy->form = SUM_NARROW;
	copy->format = n2->kernel->format;
	copy->words = n2->words;
	copy->count = 0;
	if (sum->form == SUM_WIDE)
		return take_wide(key, copy, sum);
	if (sum->form == SUM_QUEUE)
		return take_queue(key, copy, sum);
	if (sum->form == SUM_BUCKETS)
		return take_buckets(key, copy, sum);
	return take_terms(key, copy, sum);
}

PaillierSum *
paillier_sum_widen(const PaillierKey *key, PaillierSum *sum)
{
	const SumTerm *term = paillier_sum_term(sum, 0);

	return paillier_sum_wide(key, sum, term->product, term->lost);
}
