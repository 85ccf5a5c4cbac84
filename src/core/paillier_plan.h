/*
 * paillier_plan.h
 *		Which ciphertexts of a batch go into which pack.  All of this is public.
 *
 * Ciphertexts are sorted by the bits of their slots.  Eight of them are a step, a
 * ciphertext in each lane; the last step is filled up with encryptions of 0.  A row
 * is as many steps as fit: its first step is the lowest slot in each of eight packs.
 */
#ifndef PAILLIER_PLAN_H
#define PAILLIER_PLAN_H

#include "paillier_combine.h"
#include "paillier_slots.h"

/* Steps of a row: more would gain little. */
#define PAILLIER_ROW_STEPS 32

/* The result of what has none yet. */
#define PAILLIER_PENDING PAILLIER_RESULTS

typedef struct paillier_plan
{
	paillier_bounded *item;
	int			pack_bits;		/* of all slots of a pack, at most */
	int			steps;
	int		   *place;			/* items by index, PAILLIER_LANES for each step; -1: an encryption of 0 */
	int		   *slot_bits;		/* of each step */
} paillier_plan;

/* Bits of a pack under the key; 0 where there are to be no packs. */
extern int	paillier_pack_bits(const paillier_batch_rules *rules, const paillier_private *key);

/* How many of the items that are pending fit into packs. */
extern int	paillier_plan_count(const paillier_plan *plan, int count);

/* Plan for those of count items; scratch has pack_bits + 1 entries. */
extern void paillier_plan_make(paillier_plan *plan, int count, int *scratch);

/* The steps of the row that begins with this one. */
extern int	paillier_plan_row(const paillier_plan *plan, int first);

/* NULL for an encryption of 0. */
static inline paillier_bounded *
paillier_plan_item(const paillier_plan *plan, int step, int lane)
{
	int			i = plan->place[PAILLIER_LANES * step + lane];

	return i < 0 ? NULL : &plan->item[i];
}

/*
 * The values are right in those lanes of the steps whose bit in `wrong` is 0: their
 * result is PAILLIER_OK.  True when these are all lanes.  What is wrong may be known.
 */
extern bool paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong);

#endif
