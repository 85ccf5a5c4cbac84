/*
 * pg_sum.h
 *		The type paillier_sum: the state of sum(paillier_ciphertext).
 *
 * The state is one flat value, changed in place while an aggregate owns it, so
 * that it moves freely between processes and machines.  It has one of three
 * forms; all numbers in it are residues of the kernel that made it.
 */
#ifndef PG_SUM_H
#define PG_SUM_H

#include "pg_paillier.h"

#define SUM_VERSION 1

#define LANES 8

typedef enum SumForm
{
	/*
	 * `count` terms: the ciphertexts of the rows of one weight, multiplied.  A
	 * sum without weights has one term of weight 1; one of weight -1 takes what
	 * leaves a window.
	 */
	SUM_NARROW,

	/*
	 * For a sum of very many rows without weights: the lost factors, eight
	 * products in the kernel's own order, and `count` of at most seven
	 * ciphertexts, in limbs, that wait until there are eight.
	 */
	SUM_WIDE,

	/* The rows of a window's frame (pg_sum_window.c). */
	SUM_QUEUE
} SumForm;

typedef struct PaillierSum
{
	int32		vl_len_;
	uint8		version;
	uint8		scale;
	uint8		form;
	uint8		format;			/* of residues */
	uint16		words;			/* of a residue */
	uint8		count;
	uint8		pending;		/* rows wait in a batch (pg_sum_batch.c) */
	uint32		bound_exponent;
	uint64		rows;			/* ciphertexts in the sum; none: the sum is NULL */
	uint64		rows_at_scale;	/* of these, the ones that brought this scale */
	uint64		bound_mantissa;
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
	mp_limb_t	body[FLEXIBLE_ARRAY_MEMBER];
} PaillierSum;

StaticAssertDecl(offsetof(PaillierSum, body) == 56, "a sum has a header of 56 bytes");

/*
 * (product·R^lost)^weight: the product of ciphertexts as they stand, with a
 * factor R lost by each multiplication.
 */
typedef struct SumTerm
{
	int64		weight;			/* neither 0 nor the least of all */
	uint64		lost;
	mp_limb_t	product[FLEXIBLE_ARRAY_MEMBER];
} SumTerm;

#define TERM_WORDS(words)	(offsetof(SumTerm, product) / sizeof(mp_limb_t) + (words))

static inline SumTerm *
paillier_sum_term(PaillierSum *sum, int i)
{
	return (SumTerm *) (sum->body + i * TERM_WORDS(sum->words));
}

/*
 * Terms of a narrow sum.  One of few rows stays small; many rows of many
 * different weights take fewer multiplications the more terms there are.
 */
#define FEW_TERMS 8
#define MAX_TERMS 32

/* Rows from which a sum is wide, or may have many terms. */
#define MANY_ROWS 1024

/*
 * The body of a wide sum: the lost factors; by how many words the products are
 * moved up, so that they stand on a cache line; the products; the ciphertexts
 * that wait.
 */
#define LINE_SIZE 64
#define LINE_WORDS (LINE_SIZE / (int) sizeof(mp_limb_t))
#define WIDE_WORDS(words, limbs)	(2 + LINE_WORDS - 1 + LANES * (words) + (LANES - 1) * (limbs))

static inline mp_limb_t *
paillier_on_line(mp_limb_t *p)
{
	return (mp_limb_t *) TYPEALIGN(LINE_SIZE, p);
}

static inline mp_limb_t *
paillier_sum_products(PaillierSum *sum)
{
	return sum->body + 2 + sum->body[1];
}

static inline mp_limb_t *
paillier_sum_waiting(PaillierSum *sum, int limbs, int i)
{
	return sum->body + 2 + LINE_WORDS - 1 + LANES * sum->words + i * limbs;
}

static inline paillier_bound
paillier_sum_bound(const PaillierSum *sum)
{
	return (paillier_bound) {sum->bound_mantissa, sum->bound_exponent};
}

static inline bool
paillier_sum_native(const PaillierKey *key, const PaillierSum *sum)
{
	return sum->format == key->pub.n2.kernel->format && sum->words == key->pub.n2.words;
}

/* ---- states (pg_sum_state.c) ---- */

/* A state of no rows, the body of which is zero. */
extern PaillierSum *paillier_sum_alloc(const uint8 *key_id, int format, int words, Size body_words);

/* A copy of the header with a body of another size, which is zero. */
extern PaillierSum *paillier_sum_resize(const PaillierSum *sum, Size body_words);

extern void paillier_sum_set_bound(PaillierSum *sum, const PaillierKey *key, paillier_bound bound);

/* The state in the narrow form of the key's kernel: the same one or a copy. */
extern PaillierSum *paillier_sum_narrow(PaillierKey *key, PaillierSum *sum);

/* A copy of a narrow state of one term of weight 1 in the wide form. */
extern PaillierSum *paillier_sum_widen(PaillierKey *key, PaillierSum *sum);

/* Bring a narrow state to a larger scale. */
extern void paillier_sum_rescale(PaillierKey *key, PaillierSum *sum, int scale);

/* A narrow state times (residue·R^lost)^weight, in place where there is room. */
extern PaillierSum *paillier_sum_multiply(PaillierKey *key, PaillierSum *sum, int64 weight, const mp_limb_t *residue,
										  uint64 lost);

/* limbs = what a narrow state stands for, below n² */
extern void paillier_sum_total(PaillierKey *key, mp_limb_t *limbs, const PaillierSum *sum);

/* The final function of sum(). */
extern Datum paillier_sum_final(PG_FUNCTION_ARGS);

/* ---- many groups at once (pg_sum_batch.c) ---- */

/*
 * The rows that wait, of up to eight groups, for one aggregate of one query; NULL
 * where its states might be seen by somebody else.
 */
typedef struct SumBatch SumBatch;

extern SumBatch *paillier_sum_batch(FunctionCallInfo fcinfo);

/* Let a ciphertext wait to be multiplied into the only term of a narrow state, whose place in memory is final. */
extern void paillier_sum_defer(FunctionCallInfo fcinfo, SumBatch *batch, PaillierSum *sum, const mp_limb_t *c);

/* Multiply what waits for the state into it: to be called before a state is looked at. */
extern void paillier_sum_settle(FunctionCallInfo fcinfo, PaillierSum *sum);

/* ---- windows (pg_sum_window.c) ---- */

/* Rows of a queue: a longer frame is summed up again no faster than it is divided. */
#define MAX_QUEUE 1024

/* An empty queue. */
extern PaillierSum *paillier_sum_queue(const PaillierKey *key);

/* Add a row behind the others, in place where there is room. */
extern PaillierSum *paillier_sum_push(PaillierKey *key, PaillierSum *sum, const mp_limb_t *residue);

/* Remove the first row. */
extern void paillier_sum_pop(PaillierKey *key, PaillierSum *sum);

/*
 * The product of all rows is that of one or two residues and R^lost: the number
 * of them, 0 for no rows.
 */
extern int	paillier_sum_parts(PaillierSum *sum, const mp_limb_t *part[2], uint64 *lost);

#endif
