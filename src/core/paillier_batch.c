/*
 * paillier_batch.c
 *		Decryption of many ciphertexts under one key, by packing.
 *
 * First all rows are packed, decrypted and unpacked, then all steps are combined with
 * random factors, modulo the squares of both primes.
 */
#include "paillier_plan.h"

#define LANES PAILLIER_LANES

const paillier_batch_rules paillier_batch_usual = {.least = 12, .prime_bits = 256, .margin = 128};

typedef struct batch
{
	const paillier_private *key;
	const paillier_host *host;
	paillier_plan plan;
	mp_limb_t  *factor;			/* of each step, random */
	mp_limb_t	lane_factor[LANES];
	mp_limb_t  *wrong;			/* of each row, at its first step: a bit for each lane */
	mp_limb_t  *filler;			/* a ciphertext */
	paillier_side side[2];		/* modulo p² values are packed, and combined; modulo q² combined */
	paillier_buckets buckets;
	mp_limb_t  *acc8;
	mp_limb_t  *step8;
	mp_limb_t  *x[LANES];		/* powers, and plaintexts modulo a prime */
	int			sum_limbs;
	mp_limb_t  *sum[LANES];		/* Σ factor·(v + offset) */
	mp_limb_t  *offset_sum;		/* Σ factor·offset */
	mp_limb_t  *total;			/* both times the factors of the lanes, for all of them */
	mp_limb_t  *offset_total;
	mp_limb_t  *rest;
} batch;

/* ---- memory ---- */

typedef enum part
{
	SIDE_P, SIDE_Q, BUCKETS, ACC8, STEP8,	/* eights, on cache lines */
	PLACES, SLOT_BITS, FACTORS, WRONG, FILLER_LIMBS, POWERS, SUMS, REST,
	PARTS
} part;

static int
longer_prime(const paillier_private *key)
{
	return key->p.limbs > key->q.limbs ? key->p.limbs : key->q.limbs;
}

/* Fill in the limbs of all parts. */
static void
measure(size_t *size, const paillier_private *key, int count)
{
	int			limbs = longer_prime(key);
	size_t		steps = (count + LANES - 1) / LANES;
	size_t		few = paillier_buckets_memory(paillier_buckets_width(1), limbs);
	size_t		many = paillier_buckets_memory(paillier_buckets_width(steps), limbs);

	size[SIDE_P] = size[SIDE_Q] = paillier_side_memory(limbs);
	size[BUCKETS] = few > many ? few : many;
	size[ACC8] = size[STEP8] = LANES * (size_t) PAILLIER_MONT_WORDS(2 * limbs);
	size[PLACES] = LANES * steps;
	size[SLOT_BITS] = size[FACTORS] = size[WRONG] = steps;
	size[FILLER_LIMBS] = key->pub.n2.limbs;
	size[POWERS] = LANES * (2 * (size_t) limbs + 1);	/* one limb more, for slots */

	/* a sum of products of a number below p, a factor and a lane's factor */
	size[SUMS] = (LANES + 3) * ((size_t) limbs + 4);
	size[REST] = paillier_private_scratch(2 * 64 * limbs);
}

size_t
paillier_batch_scratch_by(const paillier_batch_rules *rules, const paillier_private *key, int count)
{
	size_t		size[PARTS];
	size_t		sum = 2 * 7;	/* two parts begin on a cache line */

	if (count < rules->least)
		return paillier_private_scratch(64 * (key->p.limbs + key->q.limbs));
	measure(size, key, count);
	for (part i = 0; i < PARTS; i++)
		sum += size[i];
	return sum;
}

size_t
paillier_batch_scratch(const paillier_private *key, int count)
{
	return paillier_batch_scratch_by(&paillier_batch_usual, key, count);
}

static void
lay_out(batch *b, int count, mp_limb_t *scratch)
{
	size_t		size[PARTS];
	mp_limb_t  *begin[PARTS];

	measure(size, b->key, count);
	scratch = paillier_on_line(scratch);
	for (part i = 0; i < PARTS; scratch += size[i++])
		begin[i] = scratch;
	paillier_side_init(&b->side[0], &b->key->p, begin[SIDE_P], begin[REST]);
	paillier_side_init(&b->side[1], &b->key->q, begin[SIDE_Q], begin[REST]);
	b->buckets.bucket = begin[BUCKETS];
	b->acc8 = begin[ACC8];
	b->step8 = begin[STEP8];
	b->plan.place = (int *) begin[PLACES];
	b->plan.slot_bits = (int *) begin[SLOT_BITS];
	b->factor = begin[FACTORS];
	b->wrong = begin[WRONG];
	b->filler = begin[FILLER_LIMBS];
	mpn_zero(b->filler, size[FILLER_LIMBS]);
	b->filler[0] = 1;
	b->sum_limbs = size[SUMS] / (LANES + 3);
	for (int i = 0; i < LANES; i++)
	{
		b->x[i] = begin[POWERS] + i * (size[POWERS] / LANES);
		b->sum[i] = begin[SUMS] + i * b->sum_limbs;
	}
	b->offset_sum = b->sum[LANES - 1] + b->sum_limbs;
	b->total = b->offset_sum + b->sum_limbs;
	b->offset_total = b->total + b->sum_limbs;
	b->rest = paillier_on_line(begin[REST]);
}

/* ---- what a batch asks of its host ---- */

/* Eight ciphertexts in Montgomery form to step8; false when the host does not want to go on. */
static bool
enter_step(batch *b, const paillier_side *side, int step)
{
	const mp_limb_t *c[LANES];

	if (b->host->go_on != NULL && !b->host->go_on(b->host->state))
		return false;
	for (int lane = 0; lane < LANES; lane++)
	{
		const paillier_bounded *item = paillier_plan_item(&b->plan, step, lane);

		c[lane] = item == NULL ? b->filler : item->c;
	}
	paillier_side_enter(side, b->step8, c, b->key->pub.n2.limbs, b->rest);
	return true;
}

/* Random numbers, none of which is 0; false when there are none. */
static bool
draw(const batch *b, mp_limb_t *out, int count)
{
	if (b->host->random(b->host->state, out, count * sizeof(mp_limb_t)) != 0)
		return false;
	for (int i = 0; i < count; i++)
		if (out[i] == 0)
			return false;
	return true;
}

/* ---- packs ---- */

/* 1 for what is not 0, in constant time */
static mp_limb_t
is_not_zero(mp_limb_t x)
{
	return (x | -x) >> 63;
}

/* The values of the pack in one lane, x modulo p; not 0 when they cannot be right. */
static mp_limb_t
unpack(const batch *b, mp_limb_t *x, int lane, int first, int steps)
{
	paillier_bounded *item[PAILLIER_ROW_STEPS];

	for (int i = 0; i < steps; i++)
		item[i] = paillier_plan_item(&b->plan, first + i, lane);
	return paillier_slots_read(b->side[0].prime, item, b->plan.slot_bits + first, steps, b->key->pub.limbs, x, b->rest);
}

/* Pack a row, decrypt it modulo p and unpack it. */
static bool
decrypt_row(batch *b, int first, int steps)
{
	const paillier_side *side = &b->side[0];

	for (int step = first + steps - 1; step >= first; step--)
	{
		if (!enter_step(b, side, step))
			return false;
		if (step == first + steps - 1)
			mpn_copyi(b->acc8, b->step8, LANES * side->prime->mont.words);
		else
			paillier_side_shift_multiply(side, b->acc8, b->plan.slot_bits[step], b->step8, b->rest);
	}
	paillier_power8(side->prime, b->x, b->acc8, b->rest);
	b->wrong[first] = 0;
	for (int lane = 0; lane < LANES; lane++)
	{
		mp_limb_t	unit = paillier_plaintext_mod_prime(side->prime, b->x[lane], b->rest);
		mp_limb_t	wrong = unpack(b, b->x[lane], lane, first, steps);

		b->wrong[first] |= (is_not_zero(wrong) | (unit ^ 1)) << lane;
	}
	return true;
}

/* ---- combinations with random factors ---- */

/* {sum, limbs} += {a, a_limbs}·factor, in constant time */
static void
add_product(mp_limb_t *sum, int limbs, const mp_limb_t *a, int a_limbs, mp_limb_t factor)
{
	mp_limb_t	carry = mpn_addmul_1(sum, a, a_limbs, factor);

	for (int i = a_limbs; i < limbs; i++)
	{
		sum[i] += carry;
		carry = sum[i] < carry;
	}
}

/* Of the steps from `first` on: those of the values that were unpacked. */
static void
add_up(batch *b, int first, int steps)
{
	mp_limb_t  *offset = b->rest;
	mp_limb_t  *u = offset + b->sum_limbs;

	mpn_zero(b->sum[0], LANES * b->sum_limbs);
	mpn_zero(b->offset_sum, b->sum_limbs);
	for (int step = first; step < first + steps; step++)
	{
		int			limbs = paillier_slot_limbs(b->plan.slot_bits[step]);

		paillier_slot_offset(offset, b->plan.slot_bits[step]);
		add_product(b->offset_sum, b->sum_limbs, offset, limbs, b->factor[step]);
		for (int lane = 0; lane < LANES; lane++)
		{
			paillier_slot_write(u, paillier_plan_item(&b->plan, step, lane), offset, b->plan.slot_bits[step]);
			add_product(b->sum[lane], b->sum_limbs, u, limbs, b->factor[step]);
		}
	}
}

/* acc8 = the products of powers of the ciphertexts. */
static bool
combine(batch *b, const paillier_side *side, int first, int steps)
{
	paillier_buckets_init(&b->buckets, paillier_buckets_width(steps), b->buckets.bucket);
	for (int step = first; step < first + steps; step++)
	{
		if (!enter_step(b, side, step))
			return false;
		paillier_buckets_add(side, &b->buckets, b->step8, b->factor[step], b->rest);
	}
	paillier_buckets_close(side, b->acc8, &b->buckets, b->rest);
	return true;
}

/*
 * 0 when the power x decrypts to sum - offset_sum modulo the prime, otherwise 1.  x
 * is destroyed.
 */
static mp_limb_t
compare(const batch *b, const paillier_side *side, mp_limb_t *x, const mp_limb_t *sum, const mp_limb_t *offset_sum)
{
	const paillier_prime *prime = side->prime;
	mp_limb_t  *values = b->rest;	/* sum_limbs */
	mp_limb_t  *plain = values + b->sum_limbs;	/* sum_limbs */
	mp_limb_t  *rest = plain + b->sum_limbs;
	mp_limb_t	unit = paillier_plaintext_mod_prime(prime, x, b->rest);
	mp_limb_t	difference = 0;

	mpn_copyi(values, sum, b->sum_limbs);
	mpn_sec_div_r(values, b->sum_limbs, prime->p, prime->limbs, rest);
	mpn_zero(plain, b->sum_limbs);
	mpn_copyi(plain, x, prime->limbs);
	(void) mpn_add_n(plain, plain, offset_sum, b->sum_limbs);
	mpn_sec_div_r(plain, b->sum_limbs, prime->p, prime->limbs, rest);
	for (int i = 0; i < prime->limbs; i++)
		difference |= values[i] ^ plain[i];
	return is_not_zero(difference) | (unit ^ 1);
}

/* *wrong = 0 when the values of all packs are right, otherwise 1. */
static bool
check_all(batch *b, mp_limb_t *wrong)
{
	*wrong = 0;
	for (int first = 0; first < b->plan.steps; first += paillier_plan_row(&b->plan, first))
		*wrong |= is_not_zero(b->wrong[first]);

	add_up(b, 0, b->plan.steps);
	mpn_zero(b->total, b->sum_limbs);
	mpn_zero(b->offset_total, b->sum_limbs);
	for (int lane = 0; lane < LANES; lane++)
	{
		(void) mpn_addmul_1(b->total, b->sum[lane], b->sum_limbs, b->lane_factor[lane]);
		(void) mpn_addmul_1(b->offset_total, b->offset_sum, b->sum_limbs, b->lane_factor[lane]);
	}
	for (int i = 0; i < 2; i++)
	{
		const paillier_side *side = &b->side[i];

		if (!combine(b, side, 0, b->plan.steps))
			return false;
		paillier_side_fold(side, b->step8, b->acc8, b->lane_factor, b->rest);
		paillier_power(side->prime, b->x[0], b->step8, b->rest);
		*wrong |= compare(b, side, b->x[0], b->total, b->offset_total);
	}
	return true;
}

/* Add to the row's wrong lanes those whose values are not right. */
static bool
check_row(batch *b, int first, int steps)
{
	add_up(b, first, steps);
	for (int i = 0; i < 2; i++)
	{
		const paillier_side *side = &b->side[i];

		if (!combine(b, side, first, steps))
			return false;
		paillier_power8(side->prime, b->x, b->acc8, b->rest);
		for (int lane = 0; lane < LANES; lane++)
			b->wrong[first] |= compare(b, side, b->x[lane], b->sum[lane], b->offset_sum) << lane;
	}
	return true;
}

/* ---- all together ---- */

/*
 * Something was wrong: look for packs that are right.  A row of one step costs as
 * much to look at as to decrypt one by one.
 */
static bool
accept_rows(batch *b)
{
	int			steps;

	for (int first = 0; first < b->plan.steps; first += steps)
	{
		steps = paillier_plan_row(&b->plan, first);
		if (steps == 1 || !draw(b, b->factor + first, steps))
			continue;
		if (!check_row(b, first, steps))
			return false;
		(void) paillier_plan_accept(&b->plan, first, steps, b->wrong[first]);
	}
	return true;
}

static bool
decrypt_packs(batch *b)
{
	mp_limb_t	wrong;
	int			steps;

	for (int first = 0; first < b->plan.steps; first += steps)
	{
		steps = paillier_plan_row(&b->plan, first);
		if (!decrypt_row(b, first, steps))
			return false;
	}
	if (!check_all(b, &wrong))
		return false;
	return paillier_plan_accept(&b->plan, 0, b->plan.steps, -wrong) || accept_rows(b);
}

/* Up to eight of those that have no result, one by one. */
static void
decrypt_some(const paillier_private *key, paillier_bounded *const *item, int count, mp_limb_t *scratch)
{
	const mp_limb_t *c[LANES];
	paillier_decrypted out[LANES] = {0};

	for (int i = 0; i < count; i++)
	{
		c[i] = item[i]->c;
		out[i].mag = item[i]->mag;
	}
	paillier_decrypt(key, out, c, count, scratch);
	for (int i = 0; i < count; i++)
	{
		item[i]->result = out[i].result;
		item[i]->negative = out[i].negative;
		if (out[i].result == PAILLIER_OK)
			item[i]->result = paillier_slot_check(item[i]->bound, out[i].mag, key->pub.limbs, scratch);
		if (item[i]->result != PAILLIER_OK)
			paillier_wipe(item[i]->mag, key->pub.limbs * sizeof(mp_limb_t));
	}
}

static bool
decrypt_pending(const paillier_private *key, paillier_bounded *item, int count, const paillier_host *host,
				mp_limb_t *scratch)
{
	paillier_bounded *some[LANES];
	int			lanes = 0;

	for (int i = 0; i < count; i++)
	{
		if (item[i].result == PAILLIER_PENDING)
			some[lanes++] = &item[i];
		if (lanes == LANES || (lanes > 0 && i == count - 1))
		{
			if (host->go_on != NULL && !host->go_on(host->state))
				return false;
			decrypt_some(key, some, lanes, scratch);
			lanes = 0;
		}
	}
	return true;
}

bool
paillier_batch_decrypt_by(const paillier_batch_rules *rules, const paillier_private *key, paillier_bounded *item,
						  int count, const paillier_host *host, mp_limb_t *scratch)
{
	batch		b = {.key = key, .host = host, .plan = {.item = item, .pack_bits = paillier_pack_bits(rules, key)}};

	for (int i = 0; i < count; i++)
	{
		item[i].result = paillier_check_range(&key->pub, item[i].c);
		if (item[i].result == PAILLIER_OK)
			item[i].result = PAILLIER_PENDING;
		else
			mpn_zero(item[i].mag, key->pub.limbs);
	}
	if (paillier_plan_count(&b.plan, count) >= rules->least)
	{
		lay_out(&b, count, scratch);
		paillier_plan_make(&b.plan, count, (int *) b.rest);
		if (draw(&b, b.factor, b.plan.steps) && draw(&b, b.lane_factor, LANES) && !decrypt_packs(&b))
			return false;
	}
	return decrypt_pending(key, item, count, host, scratch);
}

bool
paillier_batch_decrypt(const paillier_private *key, paillier_bounded *item, int count, const paillier_host *host,
					   mp_limb_t *scratch)
{
	return paillier_batch_decrypt_by(&paillier_batch_usual, key, item, count, host, scratch);
}
