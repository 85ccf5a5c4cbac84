/*
 * pg_sum.h
 *		sum(paillier_ciphertext) in layers.  Each calls only those above it here:
 *
 *		pg_sum_state.c		what all forms of a state have in common
 *		pg_sum_row.c		a row that a state takes
 *		pg_sum_terms.c, pg_sum_wide.c, pg_sum_window.c, pg_sum_buckets.c	the forms
 *		pg_sum_convert.c	from one form, or one kernel, to another
 *		pg_sum_batch.c		many groups at once
 *		pg_sum_io.c			input and output of states
 *		pg_sum.c			the functions of the aggregate
 *
 * The functions of SQL look a key up, once; all others are given it.
 */
#ifndef PG_SUM_H
#define PG_SUM_H

#include "pg_sum_state.h"

/* ---- rows (pg_sum_row.c) ---- */

/*
 * What a row brings, or takes away when it leaves: a ciphertext times a factor.
 * The bound of a row that comes is rounded up at every step, that of one that
 * leaves is rounded down: no less may stay than is there.
 */
typedef struct SumRow
{
	PaillierKey *key;
	const PaillierCiphertext *ct;
	bool		leaves;
	int			scale;			/* of the product as numeric has it … */
	int			digits;			/* … and with this factor */
	paillier_bound bound;
	PaillierInteger factor;		/* its scale counts for nothing */
} SumRow;

/* A row with the factor 1. */
extern void paillier_sum_row_init(SumRow *row, PaillierKey *key, const PaillierCiphertext *ct, bool leaves);

/* What one aggregate of one query remembers of weights. */
typedef struct SumWeights SumWeights;

extern SumWeights *paillier_sum_weights(FunctionCallInfo fcinfo);

/* Make a weight the factor, without the zeros at its end: a numeric, which may have a short header. */
extern void paillier_sum_row_weigh(SumRow *row, SumWeights *weights, struct varlena *weight);

/* Bring the row to more digits: the factor grows. */
extern void paillier_sum_row_rescale(SumRow *row, int digits);

/* The factor where it can be the weight of a term; false for larger ones. */
extern bool paillier_sum_row_weight(const SumRow *row, int64 *weight);

/* out = the ciphertext to the power of the factor's magnitude. */
extern void paillier_sum_row_power(const SumRow *row, mp_limb_t *out);

/* Whether the row is a ciphertext times 1. */
static inline bool
paillier_sum_row_is_plain(const SumRow *row)
{
	return row->factor.limbs == 1 && row->factor.mag[0] == 1 && !row->factor.negative;
}

/* ---- narrow states (pg_sum_terms.c) ---- */

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

/* Whether a narrow state is one product without a weight. */
static inline bool
paillier_sum_is_product(PaillierSum *sum)
{
	return sum->count == 1 && paillier_sum_term(sum, 0)->weight == 1;
}

/* Multiply a narrow state by (residue·R^lost)^weight, in place where there is room. */
extern PaillierSum *paillier_sum_multiply(PaillierKey *key, PaillierSum *sum, int64 weight, const mp_limb_t *residue,
										  uint64 lost);

/* Bring a narrow state to more digits, and a larger scale where it has fewer. */
extern void paillier_sum_rescale(PaillierKey *key, PaillierSum *sum, int digits);

/* Multiply residue·R^lost into a term, whose weight stays. */
extern void paillier_sum_term_multiply(PaillierKey *key, SumTerm *term, const mp_limb_t *residue, uint64 lost);

/*
 * Make one term, which is returned, of `count` terms of one sign, and set the
 * weights of the others to 0; NULL where there are none.  The array is destroyed.
 * The more terms there are, the fewer multiplications each of them takes: weights
 * of b bits about b/log2(count).
 */
extern SumTerm *paillier_sum_join(PaillierKey *key, SumTerm **terms, int count);

/* limbs = what a narrow state stands for, below n² */
extern void paillier_sum_total(PaillierKey *key, mp_limb_t *limbs, const PaillierSum *sum);

/* ---- wide states (pg_sum_wide.c) ---- */

/* A state with the header of `sum` that stands for residue·R^lost, of the key's kernel. */
extern PaillierSum *paillier_sum_wide(const PaillierKey *key, const PaillierSum *sum, const mp_limb_t *residue,
									  uint64 lost);

/* Multiply a wide state of the key's kernel by a ciphertext, in place. */
extern void paillier_sum_wide_multiply(const PaillierKey *key, PaillierSum *sum, const mp_limb_t *c);

/*
 * A wide state stands for the product of eight residues, R^lost and sum->count
 * ciphertexts.  out8 = the residues, one behind the other, in the format of
 * `maker`, which is that of the state; returns `lost`.
 */
extern uint64 paillier_sum_wide_products(const paillier_kernel *maker, mp_limb_t *out8, const PaillierSum *sum);

/* Ciphertext i of them, {limbs}. */
extern const mp_limb_t *paillier_sum_wide_waiting(const PaillierSum *sum, int i, int limbs);

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

/* ---- buckets (pg_sum_buckets.c) ---- */

/*
 * A copy of a narrow state of the key's kernel that has buckets, or the state where
 * it has too many terms for the first of them and there may be no more; `memory` is
 * where the aggregate keeps its states.
 */
extern PaillierSum *paillier_sum_buckets(const PaillierKey *key, PaillierSum *sum, MemoryContext memory);

/*
 * Multiply a state with buckets, of the key's kernel, by ciphertext^weight, in place
 * where there is room; the weight is neither 0 nor the least of all.  False where the
 * weights need more room than there may be: the state is right, but MUST NOT be
 * multiplied again.
 */
extern bool paillier_sum_buckets_multiply(PaillierKey *key, PaillierSum **sum, int64 weight, const mp_limb_t *c,
										  MemoryContext memory);

/* Give a state with buckets more of them, now that it has more rows, where that saves multiplications. */
extern PaillierSum *paillier_sum_buckets_grow(const PaillierKey *key, PaillierSum *sum, MemoryContext memory);

/*
 * A state with buckets stands for the product of `paillier_sum_buckets_count` terms
 * and of sum->count ciphertexts with weights, which may be 0.
 */
extern int	paillier_sum_buckets_count(const PaillierSum *sum);
extern const SumTerm *paillier_sum_bucket(const PaillierSum *sum, int i);
extern const mp_limb_t *paillier_sum_buckets_waiting(const PaillierSum *sum, int i, int limbs, int64 *weight);

/* ---- from one form to another (pg_sum_convert.c) ---- */

/* The state in the narrow form of the key's kernel: the same one or a copy. */
extern PaillierSum *paillier_sum_narrow(PaillierKey *key, PaillierSum *sum);

/* A copy of a narrow state that is one product, of the key's kernel, in the wide form. */
extern PaillierSum *paillier_sum_widen(const PaillierKey *key, PaillierSum *sum);

/* ---- many groups at once (pg_sum_batch.c) ---- */

/*
 * The rows that wait, of up to eight groups, for one aggregate of one query; NULL
 * where its states might be seen by somebody else.  `final` is the final function
 * of sum().
 */
typedef struct SumBatch SumBatch;

extern SumBatch *paillier_sum_batch(FunctionCallInfo fcinfo, PGFunction final);

/* The id of the key of all rows that wait; NULL where none do. */
extern const uint8 *paillier_sum_batch_key(const SumBatch *batch);

/* Multiply what waits into its states. */
extern void paillier_sum_settle_batch(PaillierKey *key, SumBatch *batch);

/*
 * Let a ciphertext wait to be multiplied into a narrow state that is one product
 * of the key's kernel, and whose place in memory is final.  No row under another
 * key MUST wait.
 */
extern void paillier_sum_defer(FunctionCallInfo fcinfo, SumBatch *batch, PaillierKey *key, PaillierSum *sum,
							   const mp_limb_t *c);

/* Multiply what waits for the state into it: to be called before a state is looked at. */
extern void paillier_sum_settle_pending(PaillierKey *key, PaillierSum *sum);

static inline void
paillier_sum_settle(PaillierKey *key, PaillierSum *sum)
{
	if (unlikely(sum->pending))
		paillier_sum_settle_pending(key, sum);
}

#endif
