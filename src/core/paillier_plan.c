/*
 * paillier_plan.c
 *		Which ciphertexts of a batch go into which pack.
 */
#include <string.h>

#include "paillier_plan.h"

#define LANES PAILLIER_LANES

int
paillier_pack_bits(const paillier_batch_rules *rules, const paillier_private *key)
{
	int			bits = mpn_sizeinbase(key->p.p, key->p.limbs, 2);

	if (bits < rules->prime_bits || (int) mpn_sizeinbase(key->q.p, key->q.limbs, 2) != bits)
		return 0;
	return bits - rules->margin;
}

/* Bits of the slot of an item that goes into a pack, otherwise 0. */
static int
slot_of(const paillier_plan *plan, int i)
{
	int			bits = paillier_slot_bits(plan->item[i].bound);

	return plan->item[i].result == PAILLIER_PENDING && bits <= plan->pack_bits ? bits : 0;
}

int
paillier_plan_count(const paillier_plan *plan, int count)
{
	int			packed = 0;

	for (int i = 0; i < count; i++)
		packed += slot_of(plan, i) > 0;
	return packed;
}

/* Sort by counting: next[bits] is the next place for a slot of so many bits. */
static int
sort_items(paillier_plan *plan, int count, int *next)
{
	int			places = 0;

	memset(next, 0, (plan->pack_bits + 1) * sizeof(int));
	for (int i = 0; i < count; i++)
		next[slot_of(plan, i)]++;
	for (int bits = 1; bits <= plan->pack_bits; bits++)
	{
		int			same = next[bits];

		next[bits] = places;
		places += same;
	}
	for (int i = 0; i < count; i++)
		if (slot_of(plan, i) > 0)
			plan->place[next[slot_of(plan, i)]++] = i;
	return places;
}

void
paillier_plan_make(paillier_plan *plan, int count, int *scratch)
{
	int			places = sort_items(plan, count, scratch);

	plan->steps = 0;
	for (int i = 0; i < places; i += LANES)
	{
		/* the last of a step needs the longest slot */
		int			last = i + LANES <= places ? i + LANES - 1 : places - 1;

		plan->slot_bits[plan->steps++] = slot_of(plan, plan->place[last]);
	}
	for (int i = places; i < LANES * plan->steps; i++)
		plan->place[i] = -1;
}

int
paillier_plan_row(const paillier_plan *plan, int first)
{
	int			steps = 0;
	int			bits = 0;

	while (first + steps < plan->steps && steps < PAILLIER_ROW_STEPS &&
		   bits + plan->slot_bits[first + steps] <= plan->pack_bits)
		bits += plan->slot_bits[first + steps++];
	return steps;
}

bool
paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong)
{
	for (int step = first; step < first + steps; step++)
		for (int lane = 0; lane < LANES; lane++)
		{
			paillier_bounded *item = paillier_plan_item(plan, step, lane);

			if (item != NULL && (wrong >> lane & 1) == 0)
				item->result = PAILLIER_OK;
		}
	return wrong == 0;
}
