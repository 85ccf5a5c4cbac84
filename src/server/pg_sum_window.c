/*
 * pg_sum_window.c
 *		The sum over a moving frame, without a division.
 *
 * Rows enter a frame at its end and leave it at its front.  The queue holds two
 * runs of residues:
 *
 *		front … split	products of a row and all behind it up to the split
 *		split … end		rows as they came, the product of which is kept, too
 *
 * so that the total is the first of the products times that of the rows.  When
 * the first run is used up, the rows of the second become the next one.  A row
 * costs a multiplication when it comes, one when it becomes a product, and one
 * for the total.
 */
#include "pg_sum.h"

typedef struct Queue
{
	uint64		front;
	uint64		split;
	uint64		end;
	mp_limb_t	residues[FLEXIBLE_ARRAY_MEMBER];	/* the product of the second run, then the queue */
} Queue;

#define QUEUE_WORDS(words, room)	(offsetof(Queue, residues) / sizeof(mp_limb_t) + (1 + (room)) * (Size) (words))

#define FIRST_ROOM 16

static Queue *
queue_of(PaillierSum *sum)
{
	return (Queue *) sum->body;
}

/* Residues that the state has room for. */
static uint64
queue_room(const PaillierSum *sum)
{
	return (paillier_sum_room(sum) - offsetof(Queue, residues) / sizeof(mp_limb_t)) / sum->words - 1;
}

static mp_limb_t *
place(PaillierSum *sum, uint64 i)
{
	return queue_of(sum)->residues + (1 + i) * sum->words;
}

PaillierSum *
paillier_sum_queue(const PaillierKey *key)
{
	PaillierSum *sum = paillier_sum_alloc(key, QUEUE_WORDS(key->pub.n2.words, FIRST_ROOM));

	sum->form = SUM_QUEUE;
	return sum;
}

/* Room for a row: what has left is overwritten, or the state grows. */
static PaillierSum *
make_room(PaillierSum *sum)
{
	Queue	   *queue = queue_of(sum);
	uint64		room = queue_room(sum);
	uint64		front = queue->front;
	PaillierSum *larger = sum;

	if (queue->end < room)
		return sum;
	if (front < room / 2)
		larger = paillier_sum_resize(sum, QUEUE_WORDS(sum->words, 2 * room));
	memmove(queue_of(larger)->residues, queue->residues, sum->words * sizeof(mp_limb_t));
	memmove(place(larger, 0), place(sum, front), (queue->end - front) * sum->words * sizeof(mp_limb_t));
	queue_of(larger)->front = 0;
	queue_of(larger)->split = queue->split - front;
	queue_of(larger)->end = queue->end - front;
	return larger;
}

PaillierSum *
paillier_sum_push(PaillierKey *key, PaillierSum *sum, const mp_limb_t *residue)
{
	Queue	   *queue;

	sum = make_room(sum);
	queue = queue_of(sum);
	mpn_copyi(place(sum, queue->end), residue, sum->words);
	if (queue->split == queue->end++)
		mpn_copyi(queue->residues, residue, sum->words);
	else
		paillier_mont_mul(&key->pub.n2, queue->residues, queue->residues, residue, paillier_scratch(key));
	return sum;
}

void
paillier_sum_pop(PaillierKey *key, PaillierSum *sum)
{
	Queue	   *queue = queue_of(sum);

	if (queue->front == queue->split)
	{
		for (uint64 i = queue->end - 1; i-- > queue->split;)
			paillier_mont_mul(&key->pub.n2, place(sum, i), place(sum, i), place(sum, i + 1), paillier_scratch(key));
		queue->split = queue->end;
	}
	queue->front++;
}

int
paillier_sum_parts(PaillierSum *sum, const mp_limb_t *part[2], uint64 *lost)
{
	Queue	   *queue = queue_of(sum);
	int			parts = 0;

	/* each run loses a factor by every multiplication */
	*lost = 0;
	if (queue->front < queue->split)
	{
		part[parts++] = place(sum, queue->front);
		*lost += queue->split - queue->front - 1;
	}
	if (queue->split < queue->end)
	{
		part[parts++] = queue->residues;
		*lost += queue->end - queue->split - 1;
	}
	return parts;
}
