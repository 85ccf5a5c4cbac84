/*
 * pg_sum.h
 *		sum(paillier_ciphertext) in layers.  Each calls only those above it here:
 *
 *		pg_sum_state.c		what all forms of a state have in common
 *		pg_sum_terms.c, pg_sum_wide.c, pg_sum_window.c	the forms
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

/* Bring a narrow state to a larger scale. */
extern void paillier_sum_rescale(PaillierKey *key, PaillierSum *sum, int scale);

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
