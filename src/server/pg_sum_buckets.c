/*
 * pg_sum_buckets.c
 *		Sums of very many rows with weights, eight at a time.
 *
 * A bucket is the product of rows of one weight.  Ciphertexts wait, as they came,
 * until there are eight: then each is multiplied into a bucket of its own, at
 * once.  Rows of one weight need several buckets for that; these are its copies.
 *
 * Where there are more weights than room for buckets, weights are split into
 * digits of `width` bits.  A row is multiplied into a bucket for each digit that
 * is not 0: the weight of that bucket is the digit where it stands.  Weights of 16
 * bits take two products a row, and 510 buckets.
 *
 * So all that a state says is that its total is the product of all buckets to the
 * power of their weights, however it came to them.  To join k buckets takes about
 * 2k multiplications (paillier_sum_join), at the end.
 */
#include "pg_sum.h"

#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct Buckets
{
	uint16		room;			/* for so many buckets, a power of two */
	uint16		used;
	uint16		weights;		/* of these, ones that are no copies */
	uint16		width;			/* of digits; 0: weights are not split */
	int64		waiting[LANES]; /* the weights of ciphertexts that wait, or what of them is still to be done */

	/*
	 * 2·room numbers by a hash of the weight, 0 or 1 + a bucket; `room` numbers, 0 or
	 * 1 + the next copy of a bucket; the buckets; eight ciphertexts in limbs
	 */
	mp_limb_t	rest[FLEXIBLE_ARRAY_MEMBER];
} Buckets;

/* At most so many, and at first: about as large as a state of few rows may be that has MAX_TERMS. */
#define MAX_BUCKETS 1024
#define FIRST_BUCKETS 32

#define INDEX_WORDS(room)	(3 * (room) * sizeof(uint16) / sizeof(mp_limb_t))

#define BUCKETS_WORDS(words, limbs, room) \
	(offsetof(Buckets, rest) / sizeof(mp_limb_t) + INDEX_WORDS(room) + (room) * TERM_WORDS(words) + LANES * (limbs))

/* A quarter of the room is for copies. */
#define MOST_WEIGHTS(room)	((room) / 4 * 3)

/* Use the 8-lane product from this many rows on. */
#define ENOUGH_FOR_EIGHT 4

static Buckets *
buckets_of(const PaillierSum *sum)
{
	return (Buckets *) sum->body;
}

static SumTerm *
bucket(const PaillierSum *sum, int i)
{
	Buckets    *buckets = buckets_of(sum);

	return (SumTerm *) (buckets->rest + INDEX_WORDS(buckets->room) + i * TERM_WORDS(sum->words));
}

static mp_limb_t *
waiting(const PaillierSum *sum, int i, int limbs)
{
	return (mp_limb_t *) bucket(sum, buckets_of(sum)->room) + i * limbs;
}

/* ---- buckets by weight ---- */

/* Where the number of a weight's first bucket stands, or will stand. */
static uint16 *
find(const PaillierSum *sum, int64 weight)
{
	Buckets    *buckets = buckets_of(sum);
	uint16	   *index = (uint16 *) buckets->rest;
	int			mask = 2 * buckets->room - 1;
	int			i = ((uint64) weight * UINT64CONST(0x9E3779B97F4A7C15)) >> (63 - __builtin_ctz(buckets->room));

	while (index[i] != 0 && bucket(sum, index[i] - 1)->weight != weight)
		i = (i + 1) & mask;
	return &index[i];
}

static uint16 *
next_copy(const PaillierSum *sum, int i)
{
	Buckets    *buckets = buckets_of(sum);

	return (uint16 *) buckets->rest + 2 * buckets->room + i;
}

/* Put bucket i into the index, as the first of its weight or behind the first. */
static void
enter_bucket(PaillierSum *sum, int i)
{
	uint16	   *place = find(sum, bucket(sum, i)->weight);

	if (*place == 0)
	{
		*place = i + 1;
		*next_copy(sum, i) = 0;
		buckets_of(sum)->weights++;
		return;
	}
	*next_copy(sum, i) = *next_copy(sum, *place - 1);
	*next_copy(sum, *place - 1) = i + 1;
}

static void
clear_index(PaillierSum *sum)
{
	Buckets    *buckets = buckets_of(sum);

	mpn_zero(buckets->rest, INDEX_WORDS(buckets->room));
	buckets->weights = 0;
}

/* A new bucket, of no rows: the number 1. */
static SumTerm *
add_bucket(PaillierSum *sum, int64 weight)
{
	int			i = buckets_of(sum)->used++;
	SumTerm    *new = bucket(sum, i);

	new->weight = weight;
	new->lost = 0;
	mpn_zero(new->product, sum->words);
	new->product[0] = 1;
	enter_bucket(sum, i);
	return new;
}

/* Multiply into the bucket of a weight, which there is room for. */
static void
pour(PaillierKey *key, PaillierSum *sum, int64 weight, const SumTerm *from)
{
	uint16		place = *find(sum, weight);

	if (place != 0)
		paillier_sum_term_multiply(key, bucket(sum, place - 1), from->product, from->lost);
	else
	{
		SumTerm    *new = add_bucket(sum, weight);

		new->lost = from->lost;
		mpn_copyi(new->product, from->product, sum->words);
	}
}

/* Multiply copies together. */
static void
merge_copies(PaillierKey *key, PaillierSum *sum)
{
	Buckets    *buckets = buckets_of(sum);
	int			used = buckets->used;

	clear_index(sum);
	buckets->used = 0;
	for (int i = 0; i < used; i++)
	{
		SumTerm    *from = bucket(sum, i);
		uint16		place = *find(sum, from->weight);

		CHECK_FOR_INTERRUPTS();
		if (place != 0)
			paillier_sum_term_multiply(key, bucket(sum, place - 1), from->product, from->lost);
		else
		{
			memmove(bucket(sum, buckets->used), from, TERM_WORDS(sum->words) * sizeof(mp_limb_t));
			enter_bucket(sum, buckets->used++);
		}
	}
}

/* ---- digits ---- */

static uint64
magnitude(int64 weight)
{
	return weight < 0 ? -(uint64) weight : (uint64) weight;
}

/* The lowest digit of a weight that is not 0, where it stands. */
static int64
lowest_part(int width, int64 weight)
{
	uint64		part = magnitude(weight);

	if (width == 0)
		return weight;
	part &= ((UINT64CONST(1) << width) - 1) << (__builtin_ctzll(part) / width * width);
	return weight < 0 ? -(int64) part : (int64) part;
}

/* Different parts of weights of up to so many bits. */
static int
parts_of(int bits, int width)
{
	return bits / width * ((1 << width) - 1) + (1 << bits % width) - 1;
}

/* The bits of the longest weight, and whether there are weights of each sign. */
static int
survey(const PaillierSum *sum, int *signs)
{
	const Buckets *buckets = buckets_of(sum);
	uint64		all[2] = {0, 0};

	for (int i = 0; i < buckets->used; i++)
		all[bucket(sum, i)->weight < 0] |= magnitude(bucket(sum, i)->weight);
	for (int i = 0; i < sum->count; i++)
		all[buckets->waiting[i] < 0] |= magnitude(buckets->waiting[i]);
	*signs = (all[0] != 0) + (all[1] != 0);
	return 64 - __builtin_clzll(all[0] | all[1]);
}

/* The width of the fewest digits for which the room is enough; 0 where there is none. */
static int
choose_width(const PaillierSum *sum, int room)
{
	int			signs;
	int			bits = survey(sum, &signs);

	for (int digits = 1; digits <= bits; digits++)
	{
		int			width = (bits + digits - 1) / digits;

		if (width < 16 && signs * parts_of(bits, width) <= MOST_WEIGHTS(room))
			return width;
	}
	return 0;
}

/* A copy in which all weights are split into digits of a width. */
static PaillierSum *
split(PaillierKey *key, PaillierSum *sum, int width)
{
	PaillierSum *copy = paillier_sum_resize(sum, paillier_sum_room(sum));
	Buckets    *buckets = buckets_of(copy);
	int			limbs = key->pub.n2.limbs;

	*buckets = *buckets_of(sum);
	buckets->used = 0;
	buckets->weights = 0;
	buckets->width = width;
	for (int i = 0; i < buckets_of(sum)->used; i++)
	{
		const SumTerm *from = bucket(sum, i);
		int64		part;

		CHECK_FOR_INTERRUPTS();
		for (int64 weight = from->weight; weight != 0; weight -= part)
		{
			part = lowest_part(width, weight);
			pour(key, copy, part, from);
		}
	}
	mpn_copyi(waiting(copy, 0, limbs), waiting(sum, 0, limbs), LANES * limbs);
	return copy;
}

/* ---- room ---- */

/*
 * Whether a state may have more buckets than the first: it stands for as many rows,
 * twice, and all states of the aggregate stay within half of work_mem.
 */
static bool
may_have(const PaillierSum *sum, int limbs, int room, MemoryContext memory)
{
	Size		size = BUCKETS_WORDS(sum->words, limbs, room) * sizeof(mp_limb_t);

	return room <= MAX_BUCKETS && (uint64) room <= sum->rows / 2 && memory != NULL &&
		MemoryContextMemAllocated(memory, true) + size - VARSIZE(sum) <= (Size) work_mem * 1024 / 2;
}

/* A copy with more room. */
static PaillierSum *
enlarge(const PaillierSum *sum, int limbs, int room)
{
	PaillierSum *copy = paillier_sum_resize(sum, BUCKETS_WORDS(sum->words, limbs, room));
	Buckets    *buckets = buckets_of(copy);

	*buckets = *buckets_of(sum);
	buckets->room = room;
	buckets->weights = 0;
	mpn_copyi((mp_limb_t *) bucket(copy, 0), (mp_limb_t *) bucket(sum, 0), buckets->used * TERM_WORDS(sum->words));
	mpn_copyi(waiting(copy, 0, limbs), waiting(sum, 0, limbs), LANES * limbs);
	for (int i = 0; i < buckets->used; i++)
		enter_bucket(copy, i);
	return copy;
}

/* Make room for another weight; false where there can be none. */
static bool
make_room(PaillierKey *key, PaillierSum **sum, MemoryContext memory)
{
	int			room = buckets_of(*sum)->room;
	int			width = choose_width(*sum, room);

	/* a state whose weights are split gets more room by paillier_sum_buckets_grow() */
	if ((width == 0 || buckets_of(*sum)->width == 0) && may_have(*sum, key->pub.n2.limbs, 2 * room, memory))
	{
		*sum = enlarge(*sum, key->pub.n2.limbs, 2 * room);
		return true;
	}
	if (width != 0)
		*sum = split(key, *sum, width);
	return width != 0;
}

/* Make room for another copy. */
static void
make_room_for_copy(PaillierKey *key, PaillierSum **sum, bool merge, MemoryContext memory)
{
	const Buckets *buckets = buckets_of(*sum);

	/* with two copies each it is rare that eight rows of many weights need three of one */
	if (buckets->room < Min(LANES * buckets->weights, 2 * buckets->weights + 4 * LANES) &&
		may_have(*sum, key->pub.n2.limbs, 2 * buckets->room, memory))
		*sum = enlarge(*sum, key->pub.n2.limbs, 2 * buckets->room);
	else if (merge)
		merge_copies(key, *sum);
}

PaillierSum *
paillier_sum_buckets(const PaillierKey *key, PaillierSum *sum, MemoryContext memory)
{
	const paillier_mont *n2 = &key->pub.n2;
	int			room = FIRST_BUCKETS;
	PaillierSum *copy;

	if (sum->count > MOST_WEIGHTS(room))
	{
		room *= 2;
		if (!may_have(sum, n2->limbs, room, memory))
			return sum;
	}
	copy = paillier_sum_resize(sum, BUCKETS_WORDS(n2->words, n2->limbs, room));
	copy->form = SUM_BUCKETS;
	copy->count = 0;
	buckets_of(copy)->room = room;
	buckets_of(copy)->used = sum->count;
	for (int i = 0; i < sum->count; i++)
	{
		memcpy(bucket(copy, i), paillier_sum_term(sum, i), TERM_WORDS(n2->words) * sizeof(mp_limb_t));
		enter_bucket(copy, i);
	}
	return copy;
}

PaillierSum *
paillier_sum_buckets_grow(const PaillierKey *key, PaillierSum *sum, MemoryContext memory)
{
	Buckets    *buckets = buckets_of(sum);
	int			limbs = key->pub.n2.limbs;
	int			room = buckets->room;
	int			width;
	int			signs;
	int			bits;

	if (buckets->width == 0)
		return sum;
	while (may_have(sum, limbs, 2 * room, memory))
		room *= 2;
	bits = survey(sum, &signs);
	width = choose_width(sum, room);
	if (room == buckets->room || width == 0 ||
		(bits + width - 1) / width >= (bits + buckets->width - 1) / buckets->width)
		return sum;
	sum = enlarge(sum, limbs, room);
	buckets_of(sum)->width = width;
	return sum;
}

/* ---- eight rows ---- */

/* Eight rows on their way into buckets. */
typedef struct Pass
{
	SumTerm    *into[LANES];	/* NULL: not in this pass */
	int			wanted;			/* rows that are not done yet … */
	int			count;			/* … and those of this pass */
	bool		crowded;		/* there was no room for a weight … */
	bool		full;			/* … or for a copy */
} Pass;

static bool
is_taken(const Pass *pass, const SumTerm *term)
{
	for (int lane = 0; lane < LANES; lane++)
		if (pass->into[lane] == term)
			return true;
	return false;
}

/* A bucket of a weight that is in no other lane; NULL where there is no room. */
static SumTerm *
free_bucket(Pass *pass, PaillierSum *sum, int64 weight)
{
	const Buckets *buckets = buckets_of(sum);
	int			i = *find(sum, weight);

	if (i == 0 && buckets->weights >= MOST_WEIGHTS(buckets->room))
	{
		pass->crowded = true;
		return NULL;
	}
	for (; i != 0; i = *next_copy(sum, i - 1))
		if (!is_taken(pass, bucket(sum, i - 1)))
			return bucket(sum, i - 1);
	if (buckets->used == buckets->room)
	{
		pass->full = true;
		return NULL;
	}
	return add_bucket(sum, weight);
}

/* Find buckets for as many lanes as possible, and take their weights from what is to be done. */
static void
choose_buckets(Pass *pass, PaillierSum *sum)
{
	Buckets    *buckets = buckets_of(sum);

	memset(pass, 0, sizeof(Pass));
	for (int lane = 0; lane < LANES; lane++)
	{
		if (buckets->waiting[lane] == 0)
			continue;
		pass->wanted++;
		pass->into[lane] = free_bucket(pass, sum, lowest_part(buckets->width, buckets->waiting[lane]));
		if (pass->into[lane] == NULL)
			continue;
		pass->count++;
		buckets->waiting[lane] -= pass->into[lane]->weight;
	}
}

/* All lanes, with the rows in lanes at rows8. */
static void
multiply_all(const paillier_mont *n2, const Pass *pass, const mp_limb_t *rows8, mp_limb_t *scratch)
{
	mp_limb_t  *products8 = scratch;
	mp_limb_t  *rest = products8 + LANES * n2->words;
	mp_limb_t  *unused = rest + PAILLIER_MONT_SCRATCH8(n2->words);
	mp_limb_t  *product[LANES];

	mpn_zero(unused, n2->words);
	for (int lane = 0; lane < LANES; lane++)
		product[lane] = pass->into[lane] != NULL ? pass->into[lane]->product : unused;
	n2->kernel->gather8(n2, products8, (const mp_limb_t *const *) product);
	n2->kernel->mul8(n2, products8, products8, rows8, rest);
	n2->kernel->scatter8(n2->words, product, products8);
}

static void
multiply_each(const paillier_mont *n2, const Pass *pass, const PaillierSum *sum, mp_limb_t *scratch)
{
	mp_limb_t  *residue = scratch;
	mp_limb_t  *rest = residue + n2->words;

	for (int lane = 0; lane < LANES; lane++)
		if (pass->into[lane] != NULL)
		{
			mp_limb_t  *product = pass->into[lane]->product;

			paillier_mont_load(n2, residue, waiting(sum, lane, n2->limbs), rest);
			paillier_mont_mul(n2, product, product, residue, rest);
		}
}

/* Multiply eight rows into their buckets; false where there can be no room for their weights. */
static bool
take_rows(PaillierKey *key, PaillierSum **sum, MemoryContext memory)
{
	const paillier_mont *n2 = &key->pub.n2;
	mp_limb_t  *rows8 = paillier_on_line(paillier_scratch(key));
	mp_limb_t  *rest = rows8 + LANES * n2->words;
	const mp_limb_t *row[LANES];
	bool		loaded = false;
	Pass		pass;

	for (;;)
	{
		choose_buckets(&pass, *sum);
		if (pass.wanted == 0)
			return true;
		if (pass.count >= ENOUGH_FOR_EIGHT)
		{
			for (int lane = 0; lane < LANES; lane++)
				row[lane] = waiting(*sum, lane, n2->limbs);
			if (!loaded)
				n2->kernel->load8(n2, rows8, row, rest);
			loaded = true;
			multiply_all(n2, &pass, rows8, rest);
		}
		else
			multiply_each(n2, &pass, *sum, rest);
		for (int lane = 0; lane < LANES; lane++)
			if (pass.into[lane] != NULL)
				pass.into[lane]->lost++;

		if (pass.crowded || pass.full)
			loaded = false;		/* what makes room uses scratch, too */
		if (pass.crowded)
		{
			if (!make_room(key, sum, memory))
				return false;
		}
		else if (pass.full)
			make_room_for_copy(key, sum, 2 * pass.count < pass.wanted, memory);
	}
}

bool
paillier_sum_buckets_multiply(PaillierKey *key, PaillierSum **sum, int64 weight, const mp_limb_t *c,
							  MemoryContext memory)
{
	int			limbs = key->pub.n2.limbs;

	buckets_of(*sum)->waiting[(*sum)->count] = weight;
	mpn_copyi(waiting(*sum, (*sum)->count, limbs), c, limbs);
	if (++(*sum)->count < LANES)
		return true;
	if (!take_rows(key, sum, memory))
		return false;
	(*sum)->count = 0;
	return true;
}

/* ---- what a state stands for ---- */

int
paillier_sum_buckets_count(const PaillierSum *sum)
{
	return buckets_of(sum)->used;
}

const SumTerm *
paillier_sum_bucket(const PaillierSum *sum, int i)
{
	return bucket(sum, i);
}

const mp_limb_t *
paillier_sum_buckets_waiting(const PaillierSum *sum, int i, int limbs, int64 *weight)
{
	*weight = buckets_of(sum)->waiting[i];
	return waiting(sum, i, limbs);
}
