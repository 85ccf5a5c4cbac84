/*
 * constant_time.c
 *		Whether the time and the memory accesses of decryption depend on the
 *		private key: its limbs are marked as undefined, so that Memcheck reports
 *		every branch and every address that is computed from them.  (The idea is
 *		Adam Langley's, the use in a test suite libsecp256k1's.)
 *
 * What may be known is marked as defined again where it comes into being, in
 * functions of GMP that are wrapped by the linker: the sizes of the primes and
 * of their squares, the remainder that tells whether a ciphertext is a unit (it
 * is 1 for all of them), and, while a key is prepared, n and whether the factors
 * have inverses.  Of a batch it may be known which comparisons failed.
 *
 * All of this is with the generic kernel and its kernel for powers: Valgrind does
 * not know the instructions of the other, which constant_time_ifma.c looks at.
 * Decryption of eight ciphertexts at once, which pays with vectors only, runs here
 * on top of it too.
 *
 * One function depends on how it is compiled, mpn_sub_1: as gcc inlines it
 * from gmp.h (-O1 and above) it is silent for odd numbers.  Valgrind before 3.20
 * reads the debugging information of clang only with -gdwarf-4.
 *
 * With the argument "leak" the program does what the core must not do, and
 * fails if that goes unnoticed.
 */
#include <valgrind/memcheck.h>

#include "paillier_plan.h"
#include "reference.h"

#define SECRET(a, limbs)	(void) VALGRIND_MAKE_MEM_UNDEFINED(a, (limbs) * sizeof(mp_limb_t))
#define PUBLIC(a, limbs)	(void) VALGRIND_MAKE_MEM_DEFINED(a, (limbs) * sizeof(mp_limb_t))
#define PUBLIC_VALUE(x)		(void) VALGRIND_MAKE_MEM_DEFINED(&(x), sizeof(x))

/* ---- what may be known ---- */

static bool preparing_key;

size_t		__real___gmpn_sizeinbase(const mp_limb_t *a, mp_size_t limbs, int base);
size_t		__wrap___gmpn_sizeinbase(const mp_limb_t *a, mp_size_t limbs, int base);
mp_limb_t	__real___gmpn_sec_div_qr(mp_limb_t *q, mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d,
									 mp_size_t d_limbs, mp_limb_t *scratch);
mp_limb_t	__wrap___gmpn_sec_div_qr(mp_limb_t *q, mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d,
									 mp_size_t d_limbs, mp_limb_t *scratch);
void		__real___gmpn_sec_mul(mp_limb_t *out, const mp_limb_t *a, mp_size_t a_limbs, const mp_limb_t *b,
								  mp_size_t b_limbs, mp_limb_t *scratch);
void		__wrap___gmpn_sec_mul(mp_limb_t *out, const mp_limb_t *a, mp_size_t a_limbs, const mp_limb_t *b,
								  mp_size_t b_limbs, mp_limb_t *scratch);
int			__real___gmpn_sec_invert(mp_limb_t *out, mp_limb_t *a, const mp_limb_t *m, mp_size_t limbs,
									 mp_bitcnt_t bits, mp_limb_t *scratch);
int			__wrap___gmpn_sec_invert(mp_limb_t *out, mp_limb_t *a, const mp_limb_t *m, mp_size_t limbs,
									 mp_bitcnt_t bits, mp_limb_t *scratch);

size_t
__wrap___gmpn_sizeinbase(const mp_limb_t *a, mp_size_t limbs, int base)
{
	mp_limb_t	highest = a[limbs - 1];

	if (base != 2)
		abort();
	PUBLIC_VALUE(highest);
	return 64 * (limbs - 1) + __real___gmpn_sizeinbase(&highest, 1, 2);
}

mp_limb_t
__wrap___gmpn_sec_div_qr(mp_limb_t *q, mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d, mp_size_t d_limbs,
						 mp_limb_t *scratch)
{
	mp_limb_t	highest = __real___gmpn_sec_div_qr(q, n, n_limbs, d, d_limbs, scratch);

	PUBLIC(n, d_limbs);
	return highest;
}

void
__wrap___gmpn_sec_mul(mp_limb_t *out, const mp_limb_t *a, mp_size_t a_limbs, const mp_limb_t *b, mp_size_t b_limbs,
					  mp_limb_t *scratch)
{
	__real___gmpn_sec_mul(out, a, a_limbs, b, b_limbs, scratch);
	if (preparing_key)
		PUBLIC(out, a_limbs + b_limbs);
}

int
__wrap___gmpn_sec_invert(mp_limb_t *out, mp_limb_t *a, const mp_limb_t *m, mp_size_t limbs, mp_bitcnt_t bits,
						 mp_limb_t *scratch)
{
	int			exists = __real___gmpn_sec_invert(out, a, m, limbs, bits, scratch);

	PUBLIC_VALUE(exists);
	return exists;
}

/* What is wrong in a batch shows in its results. */
bool		__real_paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong);
bool		__wrap_paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong);
paillier_result __real_paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch);
paillier_result __wrap_paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch);

bool
__wrap_paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong)
{
	PUBLIC_VALUE(wrong);
	return __real_paillier_plan_accept(plan, first, steps, wrong);
}

paillier_result
__wrap_paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch)
{
	paillier_result result = __real_paillier_slot_check(bound, mag, limbs, scratch);

	PUBLIC_VALUE(result);
	return result;
}

/* ---- keys ---- */

typedef struct factors
{
	mp_limb_t  *p;
	mp_limb_t  *q;
	int			p_limbs;
	int			q_limbs;
	int			bits;			/* of n, at most */
} factors;

static factors
factors_of(const mpz_t p, const mpz_t q)
{
	return (factors) {
		new_limbs_of(mpz_size(p), p), new_limbs_of(mpz_size(q), q), mpz_size(p), mpz_size(q),
		mpz_sizeinbase(p, 2) + mpz_sizeinbase(q, 2)
	};
}

/*
 * Primes by size; the largest are 2^1088 - 89 and 2^1087 + 35, which need no
 * search.
 *
 * No number here is a multiple of 4 limbs long: for those Memcheck takes the
 * carry out of mpn_add_n and mpn_sub_n to be defined, whatever the operands.
 */
static factors
choose_factors(int p_bits, int q_bits)
{
	factors		f;
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	if (p_bits == 1088)
	{
		mpz_setbit(p, 1088);
		mpz_sub_ui(p, p, 89);
		mpz_setbit(q, 1087);
		mpz_add_ui(q, q, 35);
	}
	else
	{
		random_prime_mpz(p, p_bits);
		random_prime_mpz(q, q_bits);
	}
	f = factors_of(p, q);
	mpz_clears(p, q, NULL);
	return f;
}

static void
factors_clear(factors *f)
{
	free(f->p);
	free(f->q);
}

static void
mark_modulus(paillier_mont *ctx)
{
	SECRET(ctx->m, ctx->limbs);
	SECRET(ctx->root, ctx->root_limbs);
	SECRET(&ctx->neg_inv, 1);
	SECRET(ctx->own, PAILLIER_MONT_OWN);
	SECRET(ctx->unit, ctx->words);
	SECRET(ctx->one, ctx->words);
	SECRET(ctx->r2, ctx->words);
}

static void
mark_prime(paillier_prime *prime)
{
	SECRET(prime->p, prime->limbs);
	SECRET(prime->exponent, prime->limbs);
	SECRET(prime->h, prime->limbs);
	mark_modulus(&prime->mont);
}

/* How many ciphertexts are decrypted at once, where there are eight. */
typedef enum step
{
	BY_ONE,
	BY_EIGHT
} step;

static const char *const step_names[] = {"one by one", "eight at once"};

/* Longer ones take a while, and differ in nothing. */
#define MAX_BITS_BY_EIGHT 480

/* The size of the square of a prime may be known. */
static void
init_with_public_size(paillier_mont *ctx, mp_limb_t *scratch)
{
	PUBLIC_VALUE(ctx->limbs);
	paillier_kernel_pairs.init(ctx, scratch);
}

/* The generic kernel. */
static const paillier_kernel *
kernel_for(step by)
{
	static paillier_kernel generic;
	static paillier_kernel pairs;

	pairs = paillier_kernel_pairs;
	pairs.init = init_with_public_size;
	pairs.powers = &pairs;
	if (by == BY_EIGHT)
		pairs.enough_for_eight = 8;
	generic = paillier_kernel_generic;
	generic.powers = &pairs;
	return &generic;
}

static void
check_no_errors(unsigned before, const char *what)
{
	check_int(VALGRIND_COUNT_ERRORS - before, 0, "errors reported in %s", what);
}

/* ---- decryption ---- */

/* A step of eight, and one more. */
#define CIPHERTEXTS 9

typedef struct ciphertexts
{
	mp_limb_t	m[CIPHERTEXTS][PAILLIER_MAX_N_LIMBS];
	mp_limb_t	c[CIPHERTEXTS][PAILLIER_MAX_LIMBS];
} ciphertexts;

/* Encryptions of negative numbers. */
static void
encrypt_some(const paillier_public *pk, ciphertexts *some)
{
	mp_limb_t  *scratch = new_limbs(PAILLIER_BLIND_SCRATCH(pk->n2.limbs));
	mp_limb_t  *out[CIPHERTEXTS];
	paillier_plaintext m[CIPHERTEXTS];
	random_source source = RANDOM_SOURCE;
	paillier_blinder blinder;

	check_int(paillier_blinder_init(&blinder, pk, &paillier_comb_small, NULL, random_source_read, &source, scratch),
			  PAILLIER_OK, "blinder_init");
	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		mpn_zero(some->m[i], pk->limbs);
		random_limbs(some->m[i], pk->limbs - 1);
		m[i] = (paillier_plaintext) {true, some->m[i]};
		out[i] = some->c[i];
	}
	check_int(paillier_encrypt(&blinder, out, m, CIPHERTEXTS, random_source_read, &source, scratch), PAILLIER_OK,
			  "encrypt");
	free(scratch);
}

/* Decrypt them, with everything secret that belongs to p or q. */
static void
check_decrypt(paillier_private *key, const ciphertexts *some, mp_limb_t *scratch)
{
	mp_limb_t	mag[CIPHERTEXTS][PAILLIER_MAX_N_LIMBS];
	const mp_limb_t *c[CIPHERTEXTS];
	paillier_decrypted out[CIPHERTEXTS];
	unsigned	before = VALGRIND_COUNT_ERRORS;

	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		c[i] = some->c[i];
		out[i].mag = mag[i];
	}
	mark_prime(&key->p);
	mark_prime(&key->q);
	paillier_decrypt(key, out, c, CIPHERTEXTS, scratch);
	check_no_errors(before, "decrypt");

	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		PUBLIC_VALUE(out[i].result);
		PUBLIC_VALUE(out[i].negative);
		PUBLIC(mag[i], key->pub.limbs);
		check_int(out[i].result, PAILLIER_OK, "decrypt");
		check(out[i].negative && mpn_cmp(mag[i], some->m[i], key->pub.limbs) == 0, "decrypt gives another plaintext");
	}
}

static void
test_decrypt(int p_bits, int q_bits, step by)
{
	factors		f = choose_factors(p_bits, q_bits);
	mp_limb_t  *scratch = new_limbs(paillier_private_scratch(f.bits));
	paillier_private *key = allocate(sizeof(paillier_private));
	ciphertexts *some = allocate(sizeof(ciphertexts));

	group_begin("decryption with primes of %d and %d bits, %s", p_bits, q_bits, step_names[by]);
	check_int(paillier_private_init(key, kernel_for(by), f.p, f.p_limbs, f.q, f.q_limbs, false, scratch),
			  PAILLIER_OK, "private_init");
	encrypt_some(&key->pub, some);
	check_decrypt(key, some, scratch);
	group_end();

	free(some);
	free(key);
	free(scratch);
	factors_clear(&f);
}

/* ---- a batch ---- */

/* Four steps, the last of one; their values are of 40 bits. */
#define BATCH_COUNT 25

typedef struct batch
{
	paillier_private key;
	mp_limb_t	m[BATCH_COUNT][PAILLIER_MAX_N_LIMBS];
	mp_limb_t	c[BATCH_COUNT][PAILLIER_MAX_LIMBS];
	mp_limb_t	mag[BATCH_COUNT][PAILLIER_MAX_N_LIMBS];
	paillier_bounded item[BATCH_COUNT];
} batch;

static void
encrypt_batch(batch *b)
{
	const paillier_public *pk = &b->key.pub;
	mp_limb_t  *scratch = new_limbs(PAILLIER_BLIND_SCRATCH(pk->n2.limbs));
	mp_limb_t  *out[BATCH_COUNT];
	paillier_plaintext m[BATCH_COUNT];
	random_source source = RANDOM_SOURCE;
	paillier_blinder blinder;

	check_int(paillier_blinder_init(&blinder, pk, &paillier_comb_small, NULL, random_source_read, &source, scratch),
			  PAILLIER_OK, "blinder_init");
	for (int i = 0; i < BATCH_COUNT; i++)
	{
		mpn_zero(b->m[i], pk->limbs);
		b->m[i][0] = random64() >> 24;
		m[i] = (paillier_plaintext) {i % 2 != 0, b->m[i]};
		out[i] = b->c[i];
		b->item[i] = (paillier_bounded) {
			.c = b->c[i], .bound = paillier_bound_from_width(41 + i % 3), .mag = b->mag[i]
		};
	}
	check_int(paillier_encrypt(&blinder, out, m, BATCH_COUNT, random_source_read, &source, scratch), PAILLIER_OK,
			  "encrypt");
	free(scratch);
}

/* All of it, where item `forged` is outside its bound; none is for -1. */
static void
check_batch(batch *b, int forged)
{
	const paillier_batch_rules rules = {.least = 1, .prime_bits = 300, .margin = 128};
	random_source source = RANDOM_SOURCE;
	paillier_host host = {.random = random_source_read, .state = &source};
	mp_limb_t  *scratch = new_limbs(paillier_batch_scratch_by(&rules, &b->key, BATCH_COUNT));
	unsigned	before = VALGRIND_COUNT_ERRORS;

	if (forged >= 0)
		b->item[forged].bound = paillier_bound_from_width(1);
	check(paillier_batch_decrypt_by(&rules, &b->key, b->item, BATCH_COUNT, &host, scratch), "batch_decrypt");
	check_no_errors(before, "batch_decrypt");
	check(forged < 0 ? source.calls == 2 : source.calls > 2, "random numbers are asked for %d times", source.calls);
	for (int i = 0; i < BATCH_COUNT; i++)
	{
		PUBLIC_VALUE(b->item[i]);
		PUBLIC(b->mag[i], b->key.pub.limbs);
		check_int(b->item[i].result, i == forged ? PAILLIER_ERR_BOUND : PAILLIER_OK, "result %d", i);
		check(i == forged ||
			  (b->item[i].negative == (i % 2 != 0) && mpn_cmp(b->mag[i], b->m[i], b->key.pub.limbs) == 0),
			  "value %d is another one", i);
	}
	free(scratch);
}

static void
test_batch(int bits)
{
	factors		f = choose_factors(bits, bits);
	mp_limb_t  *scratch = new_limbs(paillier_private_scratch(f.bits));
	batch	   *b = allocate(sizeof(batch));

	group_begin("decryption in a batch with primes of %d bits", bits);
	check_int(paillier_private_init(&b->key, kernel_for(BY_ONE), f.p, f.p_limbs, f.q, f.q_limbs, false, scratch),
			  PAILLIER_OK, "private_init");
	encrypt_batch(b);
	mark_prime(&b->key.p);
	mark_prime(&b->key.q);
	check_batch(b, -1);
	check_batch(b, 12);
	group_end();

	free(b);
	free(scratch);
	factors_clear(&f);
}

/* ---- preparing a key ---- */

/*
 * All bits are secret but two: that the factors are odd, and one in which they
 * differ, which is what paillier_private_init() looks at.
 */
static void
mark_factors(const factors *f)
{
	int			middle = (f->p_limbs < f->q_limbs ? f->p_limbs : f->q_limbs) / 2;
	mp_limb_t	difference = f->p[middle] ^ f->q[middle];
	mp_limb_t	secret[PAILLIER_MAX_N_LIMBS];

	memset(secret, 0xff, sizeof(secret));
	secret[0] &= ~(mp_limb_t) 1;
	secret[middle] &= ~(difference & -difference);
	(void) VALGRIND_SET_VBITS(f->p, secret, f->p_limbs * sizeof(mp_limb_t));
	(void) VALGRIND_SET_VBITS(f->q, secret, f->q_limbs * sizeof(mp_limb_t));
}

static void
test_private_init(int p_bits, int q_bits)
{
	factors		f = choose_factors(p_bits, q_bits);
	mp_limb_t  *scratch = new_limbs(paillier_private_scratch(f.bits));
	paillier_private *key = allocate(sizeof(paillier_private));
	paillier_result result;
	unsigned	before = VALGRIND_COUNT_ERRORS;

	group_begin("preparing a key with primes of %d and %d bits", p_bits, q_bits);
	mark_factors(&f);
	preparing_key = true;
	result = paillier_private_init(key, kernel_for(BY_ONE), f.p, f.p_limbs, f.q, f.q_limbs, false, scratch);
	preparing_key = false;
	check_no_errors(before, "private_init");
	PUBLIC_VALUE(result);
	check_int(result, PAILLIER_OK, "private_init");
	group_end();

	free(key);
	free(scratch);
	factors_clear(&f);
}

/* ---- Montgomery arithmetic: secret residues, and exponents ---- */

/*
 * Too few for GMP's Toom-Cook steps, in the generic kernel; and enough for halves
 * of numbers, and for reduction by products, in that for powers.  No multiples of 4.
 */
#define FEW_LIMBS	7
#define MANY_LIMBS	58
#define MANY_WORDS	(2 * MANY_LIMBS)

static paillier_mont *
random_modulus(const paillier_kernel *kernel, int limbs, mp_limb_t *scratch)
{
	mp_limb_t	root[MANY_LIMBS];
	paillier_mont *ctx = allocate(sizeof(paillier_mont));

	random_limbs(root, limbs);
	root[0] |= 1;
	root[limbs - 1] |= (mp_limb_t) 1 << 63;
	paillier_mont_init(ctx, kernel, root, limbs, scratch);
	return ctx;
}

static void
test_mont(const paillier_kernel *kernel, int limbs)
{
	static mp_limb_t scratch[PAILLIER_MONT_POW_SCRATCH(MANY_WORDS)];
	mp_limb_t	a[MANY_WORDS];
	mp_limb_t	b[MANY_WORDS];
	mp_limb_t	x[MANY_WORDS];
	mp_limb_t	e[4];
	paillier_mont *ctx = random_modulus(kernel, limbs, scratch);
	unsigned	before;

	group_begin("Montgomery arithmetic on secret residues: %s, %d limbs", kernel->name, 2 * limbs);
	random_limbs(a, 2 * limbs);
	random_limbs(b, 2 * limbs);
	random_limbs(e, 4);
	before = VALGRIND_COUNT_ERRORS;
	SECRET(a, 2 * limbs);
	SECRET(b, 2 * limbs);
	paillier_mont_load(ctx, x, a, scratch);
	paillier_mont_enter(ctx, x, x, scratch);
	paillier_mont_mul(ctx, b, x, b, scratch);
	paillier_mont_sqr(ctx, b, b, scratch);
	paillier_mont_pow(ctx, b, b, e, 4, scratch);
	SECRET(e, 4);
	paillier_mont_pow_sec(ctx, b, b, e, 250, scratch);
	paillier_mont_leave(ctx, b, b, scratch);
	paillier_mont_store_sec(ctx, b, b, scratch);
	check_no_errors(before, "mont");
	group_end();
	free(ctx);
}

static void
test_mont8(const paillier_kernel *kernel)
{
	static mp_limb_t scratch[PAILLIER_MONT_POW8_SCRATCH(2 * FEW_LIMBS)];
	mp_limb_t	a[8 * 2 * FEW_LIMBS];
	mp_limb_t	a8[8 * 2 * FEW_LIMBS];
	mp_limb_t	e[4];
	const mp_limb_t *numbers[8];
	paillier_mont *ctx = random_modulus(kernel, FEW_LIMBS, scratch);
	unsigned	before = VALGRIND_COUNT_ERRORS;

	group_begin("eight powers of secret residues with a secret exponent: %s", kernel->name);
	random_limbs(a, 8 * 2 * FEW_LIMBS);
	random_limbs(e, 4);
	SECRET(a, 8 * 2 * FEW_LIMBS);
	SECRET(e, 4);
	for (int i = 0; i < 8; i++)
		numbers[i] = a + i * 2 * FEW_LIMBS;
	ctx->kernel->load8(ctx, a8, numbers, scratch);
	paillier_mont_pow8_sec(ctx, a8, a8, e, 250, scratch);
	check_no_errors(before, "pow8_sec");
	group_end();
	free(ctx);
}

/* ---- what must be noticed ---- */

/* Stops at the first difference. */
static __attribute__((noinline)) int
leaky_compare(const mp_limb_t *a, const mp_limb_t *b, int limbs)
{
	while (limbs-- > 0)
		if (a[limbs] != b[limbs])
			return a[limbs] > b[limbs] ? 1 : -1;
	return 0;
}

static __attribute__((noinline)) int
leaky_lookup(const volatile int *table, mp_limb_t index)
{
	return table[index & 15];
}

static void
test_leaks(void)
{
	const int	table[16] = {0};
	mp_limb_t	secret[4] = {1, 2, 3, 4};
	mp_limb_t	known[4] = {1, 2, 3, 4};
	unsigned	before = VALGRIND_COUNT_ERRORS;
	int			result;

	SECRET(secret, 4);
	result = leaky_compare(secret, known, 4);
	PUBLIC_VALUE(result);
	ok(VALGRIND_COUNT_ERRORS > before, "a comparison that stops early is reported");

	before = VALGRIND_COUNT_ERRORS;
	result = leaky_lookup(table, secret[0]);
	PUBLIC_VALUE(result);
	ok(VALGRIND_COUNT_ERRORS > before, "a look-up by a secret is reported");
}

int
main(int argc, char **argv)
{
	static const int sizes[][2] = {{64, 64}, {320, 320}, {300, 300}, {96, 190}, {190, 96}, {1088, 1088}};
	bool		leak = argc > 1 && strcmp(argv[1], "leak") == 0;

	if (!RUNNING_ON_VALGRIND)
	{
		printf("Bail out! Not running under Valgrind\n");
		return EXIT_FAILURE;
	}
	tap_begin(leak ? 1 : argc, argv);
	if (leak)
	{
		test_leaks();
		return tap_done();
	}
	for (int i = 0; i < LENGTH(sizes); i++)
	{
		test_decrypt(sizes[i][0], sizes[i][1], BY_ONE);
		if (sizes[i][0] <= MAX_BITS_BY_EIGHT)
			test_decrypt(sizes[i][0], sizes[i][1], BY_EIGHT);
		test_private_init(sizes[i][0], sizes[i][1]);
	}
	test_batch(320);
	test_batch(300);
	test_mont(&paillier_kernel_generic, FEW_LIMBS);
	test_mont(&paillier_kernel_pairs, FEW_LIMBS);
	test_mont(&paillier_kernel_pairs, MANY_LIMBS);
	test_mont8(&paillier_kernel_generic);
	test_mont8(&paillier_kernel_pairs);
	return tap_done();
}
