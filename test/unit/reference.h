/*
 * reference.h
 *		What the unit tests share: random inputs that can be repeated, numbers
 *		as GMP's mpz_t beside arrays of limbs, and memory with guards around it.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <gmp.h>
#include <string.h>

#include "tap.h"

#define LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* ---- random inputs ---- */

#define DEFAULT_SEED 20240607

static uint64_t random_state;

/* Take the seed from the command line. */
static inline void
tap_begin(int argc, char **argv)
{
	tap.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : DEFAULT_SEED;
	random_state = tap.seed;
	printf("# seed %" PRIu64 "\n", tap.seed);
}

/* Steele, Lea and Flood's SplitMix64 */
static inline uint64_t
random64(void)
{
	uint64_t	x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* 0 <= result < limit, as good as uniform */
static inline int
random_int(int limit)
{
	return random64() % (uint64_t) limit;
}

static inline void
random_bytes(void *out, size_t len)
{
	for (uint8_t *byte = out; len > 0; len--)
		*byte++ = random64() >> 56;
}

static inline void
random_limbs(mp_limb_t *a, size_t limbs)
{
	for (size_t i = 0; i < limbs; i++)
		a[i] = random64();
}

/* Uniform with at most the given bits. */
static inline void
random_mpz(mpz_t x, int bits)
{
	mp_limb_t  *a = mpz_limbs_write(x, bits / 64 + 1);

	random_limbs(a, bits / 64 + 1);
	mpz_limbs_finish(x, bits / 64 + 1);
	mpz_fdiv_r_2exp(x, x, bits);
}

static inline void
random_odd(mpz_t x, int bits)
{
	random_mpz(x, bits);
	mpz_setbit(x, bits - 1);
	mpz_setbit(x, 0);
}

/* 0 <= x < limit, as good as uniform */
static inline void
random_mpz_below(mpz_t x, const mpz_t limit)
{
	random_mpz(x, mpz_sizeinbase(limit, 2) + 64);
	mpz_mod(x, x, limit);
}

/* A prime of exactly the given bits, its two highest set. */
static inline void
random_prime_mpz(mpz_t p, int bits)
{
	do
	{
		random_mpz(p, bits);
		mpz_setbit(p, bits - 1);
		mpz_setbit(p, bits - 2);
		mpz_nextprime(p, p);
	} while ((int) mpz_sizeinbase(p, 2) != bits);
}

/* ---- memory ---- */

/* Full of rubbish, the same in every run. */
static inline void *
allocate(size_t len)
{
	void	   *memory = len <= PTRDIFF_MAX ? malloc(len > 0 ? len : 1) : NULL;

	if (memory == NULL)
		abort();
	memset(memory, 0xa5, len > 0 ? len : 1);
	return memory;
}

static inline mp_limb_t *
new_limbs(size_t limbs)
{
	return allocate(limbs * sizeof(mp_limb_t));
}

/* Where new_unaligned() puts its limbs, in words behind a multiple of 64 bytes; -1: now here, now there. */
static int	memory_offset = -1;

/* Limbs at some multiple of 8 bytes, right before the end of the memory they are in. */
static inline mp_limb_t *
new_unaligned(size_t limbs)
{
	static uint32_t turn;
	size_t		offset = memory_offset;
	size_t		len;
	void	   *memory;

	turn = turn * 1664525 + 1013904223;
	if (memory_offset < 0)
		offset = turn >> 29;
	len = (offset + limbs) * sizeof(mp_limb_t);
	if (posix_memalign(&memory, 64, len > 0 ? len : 1) != 0)
		abort();
	memset(memory, 0xa5, len);
	return (mp_limb_t *) memory + offset;
}

static inline void
free_unaligned(void *a)
{
	free((void *) ((uintptr_t) a & ~(uintptr_t) 63));
}

/*
 * Limbs full of rubbish between two fences; writing on a fence is noticed.
 * They stand at any multiple of 8 bytes.
 */
typedef struct guarded
{
	mp_limb_t  *a;
	size_t		limbs;
} guarded;

#define FENCE		32
#define RUBBISH		UINT64_C(0xdeadbeefcafef00d)

static inline void
guarded_fill(const guarded *g)
{
	for (size_t i = 0; i < g->limbs + 2 * FENCE; i++)
		g->a[(ptrdiff_t) i - FENCE] = RUBBISH + i;
}

static inline guarded
guarded_new(size_t limbs)
{
	guarded		g = {new_unaligned(limbs + 2 * FENCE) + FENCE, limbs};

	guarded_fill(&g);
	return g;
}

static inline bool
guarded_intact(const guarded *g)
{
	for (size_t i = 0; i < FENCE; i++)
		if (g->a[(ptrdiff_t) i - FENCE] != RUBBISH + i ||
			g->a[g->limbs + i] != RUBBISH + FENCE + g->limbs + i)
			return false;
	return true;
}

/* Whether nothing is left of what was written but zeros. */
static inline bool
guarded_wiped(const guarded *g)
{
	for (size_t i = 0; i < g->limbs; i++)
		if (g->a[i] != 0 && g->a[i] != RUBBISH + FENCE + i)
			return false;
	return true;
}

static inline void
guarded_free(guarded *g)
{
	free_unaligned(g->a - FENCE);
}

/* ---- numbers ---- */

static inline void
mpz_from_limbs(mpz_t x, const mp_limb_t *a, int limbs)
{
	mpz_import(x, limbs, -1, sizeof(mp_limb_t), 0, 0, a);
}

/* x >= 0 must fit. */
static inline void
mpz_to_limbs(mp_limb_t *a, int limbs, const mpz_t x)
{
	if (mpz_size(x) > (size_t) limbs)
		abort();
	mpn_zero(a, limbs);
	mpn_copyi(a, mpz_limbs_read(x), mpz_size(x));
}

/* The limbs of x in memory of just this size. */
static inline mp_limb_t *
new_limbs_of(int limbs, const mpz_t x)
{
	mp_limb_t  *a = new_limbs(limbs);

	mpz_to_limbs(a, limbs, x);
	return a;
}

static inline PRINTF_LIKE(3, 0) bool
vcheck_mpz(const mpz_t got, const mpz_t expected, const char *what, va_list args)
{
	char	   *values;

	if (!check_fails_first(mpz_cmp(got, expected) == 0))
		return false;
	gmp_asprintf(&values, "# expected: %Zd\n# got:      %Zd\n", expected, got);
	describe_failure(values, what, args);
	free(values);
	return true;
}

static inline PRINTF_LIKE(3, 4) bool
check_mpz(const mpz_t got, const mpz_t expected, const char *what, ...)
{
	va_list		args;
	bool		described;

	va_start(args, what);
	described = vcheck_mpz(got, expected, what, args);
	va_end(args);
	return described;
}

static inline PRINTF_LIKE(4, 5) bool
check_limbs(const mp_limb_t *got, int limbs, const mpz_t expected, const char *what, ...)
{
	mpz_t		x;
	va_list		args;
	bool		described;

	mpz_init(x);
	mpz_from_limbs(x, got, limbs);
	va_start(args, what);
	described = vcheck_mpz(x, expected, what, args);
	va_end(args);
	mpz_clear(x);
	return described;
}

/* ---- a source of random bytes for the functions under test ---- */

typedef struct random_source
{
	int			calls;			/* so far */
	int			fail_at;		/* this call fails; -1: none */
	int			fixed;			/* all bytes are this one; -1: random */
	uint8_t		last[1024];		/* what the last call gave */
	size_t		last_len;
} random_source;

#define RANDOM_SOURCE ((random_source) {.fail_at = -1, .fixed = -1})

static inline int
random_source_read(void *state, void *out, size_t len)
{
	random_source *source = state;

	if (source->calls++ == source->fail_at)
		return -1;
	if (source->fixed >= 0)
		memset(out, source->fixed, len);
	else
		random_bytes(out, len);
	source->last_len = len <= sizeof(source->last) ? len : 0;
	memcpy(source->last, out, source->last_len);
	return 0;
}

#endif
