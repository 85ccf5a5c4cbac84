/*
 * test_batch.c
 *		Decryption of many ciphertexts together: the same results as one by one, with
 *		forgeries of all kinds anywhere among them.
 *
 * What a ciphertext decrypts to is known from how it was made.  Packs are also
 * tried with primes that are too short for them in use, for the sake of very many
 * trials.  The environment variable BATCH_TRIALS is the number of random trials
 * with primes of 128 bits; there are fewer with longer ones.
 */
#include "paillier_batch.h"
#include "scheme.h"

#define MOST		420
#define POOL		64
#define LANES		8

/* ---- a batch, and what must come of it ---- */

typedef struct sample
{
	mpz_t		c;
	mpz_t		m;				/* the plaintext nearest to zero, if it has one */
	mpz_t		limit;			/* what the bound allows */
	paillier_bound bound;
	paillier_result want;		/* when the plaintext lies within its bound, PAILLIER_OK */
} sample;

typedef struct batch
{
	fixture		f;
	mpz_t		pool[POOL];		/* encryptions of 0 */
	paillier_batch_rules rules;
	int			pack_bits;
	int			count;
	sample		sample[MOST];
	int			random_calls;	/* of the last decryption */
} batch;

static void
batch_init(batch *b, const mpz_t p, const mpz_t q, paillier_batch_rules rules)
{
	fixture_init(&b->f, p, q, TEXTBOOK);
	b->rules = rules;
	b->pack_bits = bits_of(p) - rules.margin;
	for (int i = 0; i < POOL; i++)
	{
		mpz_init(b->pool[i]);
		random_unit(&b->f, b->pool[i]);
		mpz_powm(b->pool[i], b->pool[i], b->f.n, b->f.n2);
	}
	for (int i = 0; i < MOST; i++)
		mpz_inits(b->sample[i].c, b->sample[i].m, b->sample[i].limit, NULL);
}

static void
batch_clear(batch *b)
{
	for (int i = 0; i < POOL; i++)
		mpz_clear(b->pool[i]);
	for (int i = 0; i < MOST; i++)
		mpz_clears(b->sample[i].c, b->sample[i].m, b->sample[i].limit, NULL);
	fixture_clear(&b->f);
}

static void
encrypt_sample(batch *b, sample *s)
{
	mpz_t		factor;

	mpz_init(factor);
	mpz_mul(factor, b->pool[random_int(POOL)], b->pool[random_int(POOL)]);
	mpz_mod(factor, factor, b->f.n2);
	reference_encrypt(&b->f, s->c, s->m, factor);
	center(&b->f, s->m);
	s->want = PAILLIER_OK;
	mpz_clear(factor);
}

/* A bound for which a slot of so many bits is needed. */
static void
choose_bound(sample *s, int slot_bits)
{
	mp_limb_t	limb = slot_bits == 1 ? 0 : (mp_limb_t) 1 << 63;
	int			unused = slot_bits >= 65 ? 0 : 65 - slot_bits;

	if (slot_bits > 1 && random_int(2) == 0)
		limb |= random64();
	if (slot_bits > 1 && random_int(3) == 0)
		limb = UINT64_MAX;
	s->bound = (paillier_bound) {limb == 0 ? 0 : limb >> unused, slot_bits > 65 ? slot_bits - 65 : 0};
	mpz_import(s->limit, 1, -1, 8, 0, 0, &s->bound.mantissa);
	mpz_mul_2exp(s->limit, s->limit, s->bound.exponent);
}

/* At the limit, above all. */
static void
choose_value(sample *s)
{
	mpz_set(s->m, s->limit);
	switch (random_int(4))
	{
		case 0:
			mpz_set_ui(s->m, 0);
			break;
		case 1:
			mpz_add_ui(s->m, s->m, 1);
			random_mpz_below(s->m, s->m);
			break;
	}
	if (random_int(2) == 0)
		mpz_neg(s->m, s->m);
}

/* Values within bounds whose slots need so many bits, or of all lengths, some of them longer than a pack. */
static void
choose_batch(batch *b, int count, int slot_bits)
{
	int			longest = b->pack_bits + 4 < bits_of(b->f.n) - 2 ? b->pack_bits + 4 : bits_of(b->f.n) - 2;

	b->count = count;
	for (int i = 0; i < count; i++)
	{
		sample	   *s = &b->sample[i];
		int			mixed = random_int(8) > 0 ? 1 + random_int(40) : 1 + random_int(longest);

		choose_bound(s, slot_bits > 0 ? slot_bits : mixed < longest ? mixed : longest);
		choose_value(s);
		encrypt_sample(b, s);
	}
}

/* ---- decryption ---- */

static paillier_result
wanted(const sample *s)
{
	if (s->want == PAILLIER_OK && mpz_cmpabs(s->m, s->limit) > 0)
		return PAILLIER_ERR_BOUND;
	return s->want;
}

static void
check_result(const batch *b, int i, const paillier_bounded *got, const char *what)
{
	const sample *s = &b->sample[i];
	mpz_t		m;

	check_int(got->result, wanted(s), "%s: result of %d of %d", what, i, b->count);
	mpz_init(m);
	mpz_from_limbs(m, got->mag, b->f.pk->limbs);
	if (got->result == PAILLIER_OK)
	{
		check(!got->negative || mpz_sgn(m) != 0, "%s: negative zero", what);
		if (got->negative)
			mpz_neg(m, m);
		check_mpz(m, s->m, "%s: value %d of %d", what, i, b->count);
	}
	else
		check(mpz_sgn(m) == 0, "%s: something is left of a value that is refused", what);
	mpz_clear(m);
}

typedef struct stopper
{
	random_source source;
	int			calls;			/* of go_on() */
	int			stop_at;		/* -1: never */
} stopper;

static int
read_random(void *state, void *out, size_t len)
{
	return random_source_read(&((stopper *) state)->source, out, len);
}

static bool
go_on(void *state)
{
	stopper    *s = state;

	return s->calls++ != s->stop_at;
}

/* Decrypt in memory of just the documented size; false when it was stopped. */
static bool
decrypt_batch(batch *b, stopper *s, const char *what)
{
	paillier_bounded *item = allocate(b->count * sizeof(*item));
	guarded		mag = guarded_new((size_t) b->count * b->f.pk->limbs);
	guarded		scratch = guarded_new(paillier_batch_scratch_by(&b->rules, b->f.key, b->count));
	paillier_host host = {read_random, go_on, s};
	bool		done;

	for (int i = 0; i < b->count; i++)
		item[i] = (paillier_bounded) {
			.c = new_limbs_of(b->f.pk->n2.limbs, b->sample[i].c),
			.bound = b->sample[i].bound,
			.mag = mag.a + (size_t) i * b->f.pk->limbs
		};
	done = paillier_batch_decrypt_by(&b->rules, b->f.key, item, b->count, &host, scratch.a);
	b->random_calls = s->source.calls;
	check(guarded_intact(&scratch), "%s: scratch is overrun", what);
	check(guarded_intact(&mag), "%s: outputs are overrun", what);
	for (int i = 0; i < b->count; i++)
	{
		if (done)
			check_result(b, i, &item[i], what);
		free((void *) item[i].c);
	}
	guarded_free(&scratch);
	guarded_free(&mag);
	free(item);
	return done;
}

#define STOPPER ((stopper) {.source = RANDOM_SOURCE, .stop_at = -1})

/* A batch without forgeries is decrypted at once, others are looked at pack by pack. */
static void
check_batch(batch *b, const char *what)
{
	stopper		s = STOPPER;
	bool		right = true;

	check(decrypt_batch(b, &s, what), "%s: stopped", what);
	for (int i = 0; i < b->count; i++)
		right &= wanted(&b->sample[i]) == PAILLIER_OK;
	if (right)
		check(b->random_calls == 0 || b->random_calls == 2, "%s: refused though all is right", what);
}

/* Whether one by one all is the same. */
static void
check_one_by_one(const batch *b, const char *what)
{
	for (int i = 0; i < b->count; i++)
	{
		mpz_t		m;
		paillier_result result;

		mpz_init(m);
		result = decrypt(&b->f, m, b->sample[i].c);
		if (result == PAILLIER_OK && mpz_cmpabs(m, b->sample[i].limit) > 0)
			result = PAILLIER_ERR_BOUND;
		check_int(result, wanted(&b->sample[i]), "%s: result of %d one by one", what, i);
		if (result == PAILLIER_OK)
			check_mpz(m, b->sample[i].m, "%s: value %d one by one", what, i);
		mpz_clear(m);
	}
}

/* ---- forgeries ---- */

/* A random number of random length, either sign. */
static void
random_signed(mpz_t x, int bits)
{
	random_mpz(x, 1 + random_int(bits));
	mpz_add_ui(x, x, 1);
	if (random_int(2) == 0)
		mpz_neg(x, x);
}

static int
slot_of(const sample *s)
{
	return bits_of(s->limit) + 1;
}

/* Another sample of the batch: in the next step, or in another lane of the same. */
static sample *
same_lane(batch *b, int i)
{
	return &b->sample[i + LANES < b->count ? i + LANES : i >= LANES ? i - LANES : (i + 1) % b->count];
}

static sample *
same_step(batch *b, int i)
{
	int			other = i / LANES * LANES + (i + 1 + random_int(LANES - 1)) % LANES;

	return &b->sample[other < b->count ? other : i > 0 ? i - 1 : b->count - 1];
}

static void
add_to(batch *b, sample *s, const mpz_t x)
{
	mpz_add(s->m, s->m, x);
	encrypt_sample(b, s);
}

/* m += x here, m -= x there */
static void
move(batch *b, sample *from, sample *to, mpz_t x)
{
	add_to(b, to, x);
	mpz_neg(x, x);
	add_to(b, from, x);
}

static void
one_over(batch *b, int i, mpz_t x)
{
	sample	   *s = &b->sample[i];

	mpz_add_ui(x, s->limit, 1);
	if (random_int(2) == 0)
		mpz_neg(x, x);
	mpz_set(s->m, x);
	encrypt_sample(b, s);
}

static void
next_slot(batch *b, int i, mpz_t x)
{
	mpz_set_si(x, random_int(2) == 0 ? 1 + random_int(8) : -1 - random_int(8));
	mpz_mul_2exp(x, x, slot_of(&b->sample[i]));
	add_to(b, &b->sample[i], x);
}

static void
other_slots(batch *b, int i, mpz_t x)
{
	random_signed(x, bits_of(b->f.p));
	mpz_mul_2exp(x, x, slot_of(&b->sample[i]) * (1 + random_int(5)));
	add_to(b, &b->sample[i], x);
}

static void
half_of_n(batch *b, int i, mpz_t x)
{
	mpz_sub_ui(x, b->f.half, random_int(4));
	if (random_int(2) == 0)
		mpz_neg(x, x);
	mpz_set(b->sample[i].m, x);
	encrypt_sample(b, &b->sample[i]);
}

static void
anything(batch *b, int i, mpz_t x)
{
	random_mpz_below(x, b->f.n);
	add_to(b, &b->sample[i], x);
}

/* The pack is that of the right values. */
static void
same_pack(batch *b, int i, mpz_t x)
{
	sample	   *s = &b->sample[i];
	sample	   *next = same_lane(b, i);

	random_signed(x, slot_of(s) + 8);
	mpz_sub(next->m, next->m, x);
	encrypt_sample(b, next);
	mpz_mul_2exp(x, x, slot_of(s));
	add_to(b, s, x);
}

/* A vector that packs to 0 modulo n, in a lane: its first component makes up for the others. */
static void
null_vector(batch *b, int i, mpz_t x)
{
	mpz_t		sum;
	int			shift = 0;

	mpz_init(sum);
	for (int j = i % LANES; j < b->count; j += LANES)
	{
		if (j > i % LANES)
		{
			random_mpz_below(x, b->f.n);
			add_to(b, &b->sample[j], x);
			mpz_mul_2exp(x, x, shift);
			mpz_sub(sum, sum, x);
		}
		shift += slot_of(&b->sample[j]);
	}
	add_to(b, &b->sample[i % LANES], sum);
	mpz_clear(sum);
}

static void
twins(batch *b, int i, mpz_t x)
{
	sample	   *s = &b->sample[i];
	sample	   *other = random_int(2) == 0 ? same_lane(b, i) : same_step(b, i);

	mpz_set_ui(x, 1);
	mpz_mul_2exp(x, x, slot_of(s) + 2);
	add_to(b, s, x);
	mpz_set(other->c, s->c);
	mpz_set(other->m, s->m);
	other->want = s->want;
}

static void
opposite_in_lane(batch *b, int i, mpz_t x)
{
	random_signed(x, slot_of(&b->sample[i]) + 5);
	mpz_mul_2exp(x, x, slot_of(&b->sample[i]));
	move(b, &b->sample[i], same_lane(b, i), x);
}

static void
opposite_in_step(batch *b, int i, mpz_t x)
{
	random_signed(x, slot_of(&b->sample[i]) + 5);
	mpz_mul_2exp(x, x, slot_of(&b->sample[i]));
	move(b, &b->sample[i], same_step(b, i), x);
}

/* What a check with the same factor for all lanes does not see. */
static void
limb_in_step(batch *b, int i, mpz_t x)
{
	mpz_set_ui(x, 1);
	mpz_mul_2exp(x, x, 64);
	move(b, &b->sample[i], same_step(b, i), x);
}

static void
limb_in_lane(batch *b, int i, mpz_t x)
{
	mpz_set_ui(x, 1);
	mpz_mul_2exp(x, x, 64);
	move(b, &b->sample[i], same_lane(b, i), x);
}

/* Right modulo p, or modulo q. */
static void
multiple_of(batch *b, int i, mpz_t x, const mpz_t prime, const mpz_t other)
{
	mpz_set(x, prime);
	if (random_int(2) == 0)
	{
		random_mpz_below(x, other);
		mpz_mul(x, x, prime);
	}
	else if (random_int(2) == 0)
		mpz_neg(x, x);
	add_to(b, &b->sample[i], x);
}

static void
multiple_of_p(batch *b, int i, mpz_t x)
{
	multiple_of(b, i, x, b->f.p, b->f.q);
}

static void
multiple_of_q(batch *b, int i, mpz_t x)
{
	multiple_of(b, i, x, b->f.q, b->f.p);
}

/* Right modulo the square of one prime, anything modulo that of the other: c + k·prime². */
static void
half_right(batch *b, int i, mpz_t x, const mpz_t prime)
{
	sample	   *s = &b->sample[i];

	encrypt_sample(b, s);
	do
	{
		random_mpz_below(x, b->f.n2);
		mpz_mul(x, x, prime);
		mpz_mul(x, x, prime);
		mpz_add(x, x, s->c);
		mpz_mod(x, x, b->f.n2);
		mpz_gcd(s->m, x, b->f.n);
	} while (mpz_cmp_ui(s->m, 1) != 0);
	mpz_set(s->c, x);
	reference_decrypt(&b->f, s->m, s->c);
}

static void
right_modulo_p(batch *b, int i, mpz_t x)
{
	half_right(b, i, x, b->f.p);
}

static void
right_modulo_q(batch *b, int i, mpz_t x)
{
	half_right(b, i, x, b->f.q);
}

/* No ciphertext: a multiple of a factor of n. */
static void
no_unit(batch *b, sample *s, mpz_t x, const mpz_t factor)
{
	mpz_tdiv_q(x, b->f.n2, factor);
	random_mpz_below(x, x);
	mpz_mul(s->c, x, factor);
	s->want = mpz_sgn(s->c) == 0 ? PAILLIER_ERR_ZERO : PAILLIER_ERR_NOT_UNIT;
}

static void
no_unit_n(batch *b, int i, mpz_t x)
{
	no_unit(b, &b->sample[i], x, b->f.n);
}

static void
no_unit_p(batch *b, int i, mpz_t x)
{
	no_unit(b, &b->sample[i], x, b->f.p);
}

static void
no_unit_q(batch *b, int i, mpz_t x)
{
	no_unit(b, &b->sample[i], x, b->f.q);
}

static void
no_units(batch *b, int i, mpz_t x)
{
	no_unit(b, &b->sample[i], x, b->f.n);
	no_unit(b, random_int(2) == 0 ? same_lane(b, i) : same_step(b, i), x, b->f.n);
}

/* 0 modulo p² and modulo q² 1, an encryption of 0, among encryptions of 0 where all sums are 0 as well. */
static void
no_unit_among_zeros(batch *b, int i, mpz_t x, const mpz_t p, const mpz_t q)
{
	for (int j = 0; j < b->count; j++)
	{
		mpz_set_ui(b->sample[j].m, 0);
		encrypt_sample(b, &b->sample[j]);
	}
	mpz_mul(b->sample[i].m, p, p);
	mpz_mul(x, q, q);
	mpz_invert(x, b->sample[i].m, x);
	mpz_mul(b->sample[i].c, x, b->sample[i].m);
	b->sample[i].want = PAILLIER_ERR_NOT_UNIT;
}

static void
zero_modulo_p(batch *b, int i, mpz_t x)
{
	no_unit_among_zeros(b, i, x, b->f.p, b->f.q);
}

static void
zero_modulo_q(batch *b, int i, mpz_t x)
{
	no_unit_among_zeros(b, i, x, b->f.q, b->f.p);
}

/* -1 is the n-th power of -1: nothing is wrong. */
static void
minus(batch *b, int i, mpz_t x)
{
	encrypt_sample(b, &b->sample[i]);
	mpz_sub(x, b->f.n2, b->sample[i].c);
	mpz_set(b->sample[i].c, x);
}

static void
zero(batch *b, int i, mpz_t x)
{
	(void) x;
	mpz_set_ui(b->sample[i].c, 0);
	b->sample[i].want = PAILLIER_ERR_ZERO;
}

static void
too_large(batch *b, int i, mpz_t x)
{
	(void) x;
	mpz_set(b->sample[i].c, b->f.n2);
	b->sample[i].want = PAILLIER_ERR_TOO_LARGE;
}

static void
all_of_them(batch *b, int i, mpz_t x)
{
	(void) i;
	for (int j = 0; j < b->count; j++)
		other_slots(b, j, x);
}

static const struct
{
	const char *name;
	void		(*forge) (batch *b, int i, mpz_t x);
}			kinds[] = {
	{"one over the bound", one_over},
	{"a multiple of the next slot", next_slot},
	{"something in other slots", other_slots},
	{"half of n", half_of_n},
	{"anything", anything},
	{"the same pack", same_pack},
	{"a vector that packs to 0", null_vector},
	{"twins", twins},
	{"opposites in a lane", opposite_in_lane},
	{"opposites in a step", opposite_in_step},
	{"2^64 and -2^64 in a step", limb_in_step},
	{"2^64 and -2^64 in a lane", limb_in_lane},
	{"right modulo p", multiple_of_p},
	{"right modulo q", multiple_of_q},
	{"a ciphertext right modulo p²", right_modulo_p},
	{"a ciphertext right modulo q²", right_modulo_q},
	{"a multiple of n", no_unit_n},
	{"a multiple of p", no_unit_p},
	{"a multiple of q", no_unit_q},
	{"two multiples of n", no_units},
	{"0 modulo p² among zeros", zero_modulo_p},
	{"0 modulo q² among zeros", zero_modulo_q},
	{"-c", minus},
	{"0", zero},
	{"n²", too_large},
	{"all forged", all_of_them},
};

static void
forge(batch *b, int kind, int i)
{
	mpz_t		x;

	mpz_init(x);
	kinds[kind].forge(b, i, x);
	mpz_clear(x);
}

/* ---- tests ---- */

#define USUAL_TRIALS 60

static long
trials(void)
{
	const char *text = getenv("BATCH_TRIALS");

	return text != NULL && atol(text) > 0 ? atol(text) : USUAL_TRIALS;
}

/* What is done in a short run, or in a long one. */
static int
by_trials(int few, int many)
{
	return trials() > USUAL_TRIALS ? many : few;
}

static void
test_positions(batch *b, int count, int slot_bits, int stride)
{
	for (int kind = 0; kind < LENGTH(kinds); kind++)
	{
		group_begin("%s, key of %d bits, %d ciphertexts, slots of %d bits: %s", kernel->name, b->f.pk->bits, count,
					slot_bits, kinds[kind].name);
		for (int i = 0; i < count; i += stride)
		{
			choose_batch(b, count, slot_bits);
			forge(b, kind, i);
			check_batch(b, kinds[kind].name);
			if (i == 0)
				check_one_by_one(b, kinds[kind].name);
		}
		choose_batch(b, count, slot_bits);
		forge(b, kind, count - 1);
		check_batch(b, kinds[kind].name);
		group_end();
	}
}

/* None, one or two forgeries among samples of equal or of all bounds. */
static void
test_random(batch *b, long trials, int most)
{
	group_begin("%s, key of %d bits: %ld batches with random forgeries", kernel->name, b->f.pk->bits, trials);
	for (long i = 0; i < trials; i++)
	{
		int			slots = 2 + random_int(6);
		int			slot_bits = random_int(3) == 0 ? 0 : 1 + random_int(b->pack_bits / slots);
		int			forgeries = random_int(8) == 0 ? 0 : 1 + random_int(2);
		const char *what = "nothing forged";

		choose_batch(b, 1 + random_int(most), slot_bits);
		for (int j = 0; j < forgeries; j++)
		{
			int			kind = random_int(LENGTH(kinds));
			int			at = random_int(4);

			forge(b, kind, at == 0 ? 0 : at == 1 ? b->count - 1 : random_int(b->count));
			what = kinds[kind].name;
		}
		check_batch(b, what);
		if (i % 64 == 0)
			check_one_by_one(b, what);
	}
	group_end();
}

/* With right values, and how often random numbers are asked for: never where there are no packs. */
static void
check_honest(batch *b, int count, int slot_bits, int random_calls)
{
	stopper		s = STOPPER;

	choose_batch(b, count, slot_bits);
	check(decrypt_batch(b, &s, "right values"), "stopped");
	check_int(b->random_calls, random_calls, "calls for random numbers, %d ciphertexts, slots of %d bits", count,
			  slot_bits);
}

static void
test_sizes(batch *b)
{
	group_begin("%s, key of %d bits: slots and numbers of all sizes", kernel->name, b->f.pk->bits);
	for (int slot_bits = 1; slot_bits <= b->pack_bits; slot_bits += by_trials(slot_bits < 2 ? 1 : 21, 1))
		check_honest(b, 1 + random_int(40), slot_bits, 2);
	check_honest(b, 9, b->pack_bits, 2);
	check_honest(b, 9, b->pack_bits + 1, 0);
	for (int count = 1; count <= 40; count += by_trials(4, 1))
		check_honest(b, count, 12, 2);
	check_honest(b, 255, 12, 2);
	check_honest(b, 257, 12, 2);
	check_honest(b, MOST, 12, 2);
	group_end();
}

/* Many steps, for all ways to combine them, and a forgery among them. */
static void
test_many(batch *b)
{
	static const int counts[] = {8 * 31, 8 * 32, 8 * 52, MOST};

	group_begin("%s, key of %d bits: many ciphertexts", kernel->name, b->f.pk->bits);
	for (int i = 0; i < LENGTH(counts); i++)
		for (int kind = i; kind < LENGTH(kinds); kind += by_trials(9, 1))
		{
			choose_batch(b, counts[i], kind % 2 == 0 ? 16 : 0);
			forge(b, kind, random_int(b->count));
			check_batch(b, kinds[kind].name);
		}
	group_end();
}

static void
test_host(batch *b)
{
	stopper		s = STOPPER;
	int			calls;

	group_begin("%s, key of %d bits: stopped, and without random numbers", kernel->name, b->f.pk->bits);
	choose_batch(b, 33, 12);
	forge(b, 1, 20);
	check(decrypt_batch(b, &s, "a forgery"), "stopped");
	calls = s.calls;
	check(calls > 2 * 5 + 2 * 5 + 1, "go_on() is called %d times", calls);
	for (int i = 0; i <= calls; i += i + 20 < calls ? by_trials(17, 1) : 1)
	{
		s = STOPPER;
		s.stop_at = i;
		check(decrypt_batch(b, &s, "a forgery") == (i == calls), "stopped at %d of %d", i, calls);
	}
	for (int i = 0; i < 4; i++)
	{
		s = STOPPER;
		s.source.fail_at = i;
		check(decrypt_batch(b, &s, "no random numbers"), "stopped");
		s = STOPPER;
		s.source.fixed = i == 0 ? 0 : 255;
		check(decrypt_batch(b, &s, "the same random numbers"), "stopped");
	}
	group_end();
}

/* Of keys in use: from which number on, and for which primes, there are packs. */
static void
test_usual(const mpz_t p, const mpz_t q, int calls)
{
	batch	   *b = allocate(sizeof(*b));
	int			least = paillier_batch_usual.least;

	group_begin("%s, primes of %d and %d bits: when there are packs", kernel->name, bits_of(p), bits_of(q));
	batch_init(b, p, q, paillier_batch_usual);
	check_honest(b, least - 1, 20, 0);
	check_honest(b, least, 20, calls);
	check_honest(b, 40, 0, calls);
	if (calls > 0)
	{
		choose_batch(b, 40, 20);
		forge(b, 1, 13);
		check_batch(b, "a forgery");
		check(b->random_calls > 2, "the forgery is not noticed");
	}
	batch_clear(b);
	group_end();
	free(b);
}

/* Primes by size. */
static mpz_t primes[9][2];
static const int prime_bits[][2] = {{65, 65}, {128, 128}, {255, 255}, {256, 256}, {256, 257}, {300, 300}, {512, 512},
									{1024, 1024}, {1536, 1536}};

static void
with_key(int i, paillier_batch_rules rules, void (*test) (batch *b))
{
	batch	   *b = allocate(sizeof(*b));

	batch_init(b, primes[i][0], primes[i][1], rules);
	test(b);
	batch_clear(b);
	free(b);
}

static void
test_smallest(batch *b)
{
	test_sizes(b);
	test_random(b, trials() / 4, 30);
}

static void
test_small(batch *b)
{
	test_sizes(b);
	test_positions(b, 40, 20, by_trials(13, 1));
	test_positions(b, 29, 100, by_trials(28, 1));
	test_many(b);
	test_host(b);
	test_random(b, trials(), 30);
}

static void
test_medium(batch *b)
{
	test_random(b, trials() / 20, 50);
}

static void
test_large(batch *b)
{
	test_random(b, 1 + trials() / 200, 40);
}

static void
test_kernel(const paillier_kernel *kernel_to_test)
{
	const paillier_batch_rules short_primes = {.least = 1, .prime_bits = 65, .margin = 12};
	const paillier_batch_rules closest = {.least = 1, .prime_bits = 65, .margin = 2};

	kernel = kernel_to_test;
	with_key(0, closest, test_smallest);
	with_key(1, short_primes, test_small);
	with_key(5, short_primes, test_medium);
	with_key(6, paillier_batch_usual, test_medium);
	with_key(7, paillier_batch_usual, test_large);
	with_key(8, paillier_batch_usual, test_large);
	for (int i = 1; i < 7; i++)
		test_usual(primes[i][0], primes[i][1], i == 3 || i > 4 ? 2 : 0);
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	for (int i = 0; i < LENGTH(primes); i++)
		for (int j = 0; j < 2; j++)
		{
			mpz_init(primes[i][j]);
			random_prime_mpz(primes[i][j], prime_bits[i][j]);
		}
	with_each_kernel(test_kernel);
	for (int i = 0; i < LENGTH(primes); i++)
		mpz_clears(primes[i][0], primes[i][1], NULL);
	return tap_done();
}
