/*
 * pg_sum_state.h
 *		The type paillier_sum: the state of sum(paillier_ciphertext).
 *
 * The state is one flat value, changed in place while an aggregate owns it, so
 * that it moves freely between processes and machines.  This is what all of its
 * forms have in common; pg_sum.h has the forms.
 */
#ifndef PG_SUM_STATE_H
#define PG_SUM_STATE_H

#include "pg_paillier.h"

#define SUM_VERSION 2

typedef enum SumForm
{
	SUM_NARROW,					/* few products and their weights (pg_sum_terms.c) */
	SUM_WIDE,					/* eight products of very many rows (pg_sum_wide.c) */
	SUM_QUEUE,					/* the rows of a window's frame (pg_sum_window.c) */
	SUM_BUCKETS					/* products of very many rows for many weights (pg_sum_buckets.c) */
} SumForm;

typedef struct PaillierSum
{
	int32		vl_len_;
	uint8		version;
	uint8		scale;			/* of the result */
	uint8		form;
	uint8		format;			/* of residues: that of the kernel that made them */
	uint16		words;			/* of a residue */
	uint8		count;			/* in the body: terms, or ciphertexts that wait */
	uint8		pending;		/* rows wait in a batch (pg_sum_batch.c) */
	uint16		slot_bits;		/* as in the header of the ciphertexts */
	uint16		slots;
	uint32		bound_exponent;
	uint8		zeros;			/* digits of the scale that the body leaves out: the total times 10^zeros is the result */
	uint8		reserved[3];	/* zero */
	uint64		rows;			/* ciphertexts in the sum; none: the sum is NULL */
	uint64		rows_at_scale;	/* of these, the ones that brought this scale */
	uint64		bound_mantissa; /* of what the body stands for */
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
	mp_limb_t	body[FLEXIBLE_ARRAY_MEMBER];
} PaillierSum;

StaticAssertDecl(offsetof(PaillierSum, body) == 64, "a sum has a header of 64 bytes");

/* Rows from which a sum is wide, or may have many terms, or buckets. */
#define MANY_ROWS 1024

/* Words that there is room for behind the header. */
static inline Size
paillier_sum_room(const PaillierSum *sum)
{
	return (VARSIZE(sum) - offsetof(PaillierSum, body)) / sizeof(mp_limb_t);
}

/* Decimal digits after the point of what the body stands for. */
static inline int
paillier_sum_digits(const PaillierSum *sum)
{
	return sum->scale - sum->zeros;
}

static inline paillier_bound
paillier_sum_bound(const PaillierSum *sum)
{
	return (paillier_bound) {sum->bound_mantissa, sum->bound_exponent};
}

/* Whether residues of the state are those of the key's kernel. */
static inline bool
paillier_sum_native(const PaillierKey *key, const PaillierSum *sum)
{
	return sum->format == key->pub.n2.kernel->format && sum->words == key->pub.n2.words;
}

/* A state of no rows for residues of the key's kernel, the body of which is zero; without a key, one of no key. */
extern PaillierSum *paillier_sum_alloc(const PaillierKey *key, Size body_words);

/* A copy of the header with a body of another size, which is zero. */
extern PaillierSum *paillier_sum_resize(const PaillierSum *sum, Size body_words);

/* Set the scale, which never gets smaller, and the digits of what the body stands for. */
extern void paillier_sum_set_scale(PaillierSum *sum, int scale, int digits);

extern void paillier_sum_set_bound(PaillierSum *sum, const PaillierKey *key, paillier_bound bound);

/* ---- eight numbers at once ---- */

#define LANES 8

/* Where eight numbers stand, cache lines begin. */
#define LINE_SIZE 64
#define LINE_WORDS (LINE_SIZE / (int) sizeof(mp_limb_t))

static inline mp_limb_t *
paillier_on_line(mp_limb_t *p)
{
	return (mp_limb_t *) TYPEALIGN(LINE_SIZE, p);
}

#endif
