/*
 * pg_sum_wide.c
 *		Wide sums: very many rows without weights, eight at a time.
 *
 * Eight products stand in the kernel's own order.  Ciphertexts wait, as they
 * came, until there are eight: then each product is multiplied by one of them,
 * which takes half the time of eight products one by one.
 */
#include "pg_sum.h"

typedef struct Wide
{
	uint64		lost;			/* factors R of all eight products together */
	uint64		up;				/* words from `room` to the products, which begin on a cache line */
	mp_limb_t	room[FLEXIBLE_ARRAY_MEMBER];	/* the products, and at most seven ciphertexts in limbs */
} Wide;

/* Words of the products, with room to move them up. */
#define PRODUCT_WORDS(words)	(LINE_WORDS - 1 + LANES * (words))

#define WIDE_WORDS(words, limbs) \
	(offsetof(Wide, room) / sizeof(mp_limb_t) + PRODUCT_WORDS(words) + (LANES - 1) * (limbs))

static mp_limb_t *
waiting(PaillierSum *sum, int i, int limbs)
{
	return ((Wide *) sum->body)->room + PRODUCT_WORDS(sum->words) + i * limbs;
}

PaillierSum *
paillier_sum_wide(const PaillierKey *key, const PaillierSum *sum, const mp_limb_t *residue, uint64 lost)
{
	const paillier_mont *n2 = &key->pub.n2;
	PaillierSum *copy = paillier_sum_resize(sum, WIDE_WORDS(n2->words, n2->limbs));
	Wide	   *wide = (Wide *) copy->body;
	mp_limb_t	unit[PAILLIER_MAX_WORDS] = {1};
	const mp_limb_t *lanes[LANES];

	copy->form = SUM_WIDE;
	copy->count = 0;
	wide->lost = lost;

	/* the other seven are the number 1 */
	lanes[0] = residue;
	for (int i = 1; i < LANES; i++)
		lanes[i] = unit;
	n2->kernel->gather8(n2, wide->room, lanes);
	return copy;
}

/* The products, back on a cache line where the sum was moved. */
static mp_limb_t *
align_products(PaillierSum *sum)
{
	Wide	   *wide = (Wide *) sum->body;
	uint64		up = paillier_on_line(wide->room) - wide->room;

	if (unlikely(wide->up != up))
	{
		memmove(wide->room + up, wide->room + wide->up, LANES * sum->words * sizeof(mp_limb_t));
		wide->up = up;
	}
	return wide->room + up;
}

void
paillier_sum_wide_multiply(const PaillierKey *key, PaillierSum *sum, const mp_limb_t *c)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *rows8;
	mp_limb_t  *products;
	const mp_limb_t *row[LANES];

	if (sum->count < LANES - 1)
	{
		mpn_copyi(waiting(sum, sum->count++, n2->limbs), c, n2->limbs);
		return;
	}
	for (int i = 0; i < LANES - 1; i++)
		row[i] = waiting(sum, i, n2->limbs);
	row[LANES - 1] = c;
	rows8 = paillier_on_line(paillier_scratch(key));
	n2->kernel->load8(n2, rows8, row, rows8 + LANES * n2->words);
	products = align_products(sum);
	n2->kernel->mul8(n2, products, products, rows8, rows8 + LANES * n2->words);
	((Wide *) sum->body)->lost += LANES;
	sum->count = 0;
}

uint64
paillier_sum_wide_products(const paillier_kernel *maker, mp_limb_t *out8, const PaillierSum *sum)
{
	const Wide *wide = (const Wide *) sum->body;
	mp_limb_t  *lane[LANES];

	for (int i = 0; i < LANES; i++)
		lane[i] = out8 + i * sum->words;
	maker->scatter8(sum->words, lane, wide->room + wide->up);
	return wide->lost;
}

const mp_limb_t *
paillier_sum_wide_waiting(const PaillierSum *sum, int i, int limbs)
{
	return waiting((PaillierSum *) sum, i, limbs);
}
