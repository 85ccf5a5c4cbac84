/* clang -std=gnu11 -O1 -g -fsanitize=memory -fsanitize-recover=memory ...: see the Makefile */
/*
 * constant_time_ifma.c
 *		Whether the time and the memory accesses of the kernel avx512ifma depend
 *		on what is secret: residues, exponents and private keys are poisoned, and
 *		MemorySanitizer reports every branch and every address that is computed
 *		from them.  (Valgrind, which does this for the generic kernel in
 *		constant_time.c, does not know this kernel's instructions.)
 *
 * GMP is not compiled by clang, so that nothing is known of what it does:
 *
 *	-	Functions that copy and set, and sums and differences, which are in constant
 *		time by their documentation, are written out here: poison passes through.
 *	-	Of those of mpn_sec_… the real one is called, and where an input is
 *		poisoned its whole output is.  What happens within them is not seen here: constant_time.c looks
 *		at it.  The same holds of mpn_addmul_1, which prepares a modulus.
 *	-	mpn_sizeinbase tells the size of a modulus, which is public.
 *
 * Of a batch it may be known which comparisons failed.
 *
 * All of them are wrapped by the linker.  A function of GMP that is not wrapped
 * does not see poison, and what it writes stays clean: a check after each step
 * that its result is poisoned finds those.
 *
 * With the argument "leak" the program does what the core must not do, and fails
 * if that goes unnoticed.
 */
#include <sanitizer/msan_interface.h>
#include <unistd.h>

#include "paillier_plan.h"
#include "reference.h"

#define SECRET(a, limbs)	__msan_poison(a, (limbs) * sizeof(mp_limb_t))
#define PUBLIC(a, limbs)	__msan_unpoison(a, (limbs) * sizeof(mp_limb_t))

const char *__msan_default_options(void);

/* Only what is poisoned here is secret, not what nobody has written. */
const char *
__msan_default_options(void)
{
	return "poison_in_malloc=0:poison_in_free=0";
}

/* ---- reports: counted, and the first of a step shown ---- */

/* Volatile: the compiler does not know, before it adds them, where reports may come from. */
static volatile long reports;

void		__real___msan_warning_with_origin(uint32_t origin);
void		__wrap___msan_warning_with_origin(uint32_t origin);
void		__wrap___msan_maybe_warning_1(uint8_t shadow, uint32_t origin);
void		__wrap___msan_maybe_warning_2(uint16_t shadow, uint32_t origin);
void		__wrap___msan_maybe_warning_4(uint32_t shadow, uint32_t origin);
void		__wrap___msan_maybe_warning_8(uint64_t shadow, uint32_t origin);

void
__wrap___msan_warning_with_origin(uint32_t origin)
{
	if (reports++ == 0)
		__real___msan_warning_with_origin(origin);
}

#define MAYBE(size, type) \
	void __wrap___msan_maybe_warning_##size(type shadow, uint32_t origin) \
	{ \
		__msan_unpoison(&shadow, sizeof(shadow)); \
		if (shadow != 0) \
			__wrap___msan_warning_with_origin(origin); \
	}
MAYBE(1, uint8_t)
MAYBE(2, uint16_t)
MAYBE(4, uint32_t)
MAYBE(8, uint64_t)

/* ---- functions of GMP ---- */

static bool preparing_key;

void		__wrap___gmpn_copyi(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs);
void		__wrap___gmpn_zero(mp_limb_t *out, mp_size_t limbs);
mp_limb_t	__wrap___gmpn_add_n(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_size_t limbs);
mp_limb_t	__wrap___gmpn_sub_n(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_size_t limbs);
mp_limb_t	__wrap___gmpn_cnd_add_n(mp_limb_t condition, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
									mp_size_t limbs);
mp_limb_t	__wrap___gmpn_cnd_sub_n(mp_limb_t condition, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
									mp_size_t limbs);
void		__wrap___gmpn_com(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs);
size_t		__real___gmpn_sizeinbase(const mp_limb_t *a, mp_size_t limbs, int base);
size_t		__wrap___gmpn_sizeinbase(const mp_limb_t *a, mp_size_t limbs, int base);
mp_limb_t	__real___gmpn_addmul_1(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs, mp_limb_t b);
mp_limb_t	__wrap___gmpn_addmul_1(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs, mp_limb_t b);
mp_limb_t	__real___gmpn_sec_div_qr(mp_limb_t *q, mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d,
									 mp_size_t d_limbs, mp_limb_t *scratch);
mp_limb_t	__wrap___gmpn_sec_div_qr(mp_limb_t *q, mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d,
									 mp_size_t d_limbs, mp_limb_t *scratch);
void		__real___gmpn_sec_div_r(mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d, mp_size_t d_limbs,
									mp_limb_t *scratch);
void		__wrap___gmpn_sec_div_r(mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d, mp_size_t d_limbs,
									mp_limb_t *scratch);
void		__real___gmpn_sec_mul(mp_limb_t *out, const mp_limb_t *a, mp_size_t a_limbs, const mp_limb_t *b,
								  mp_size_t b_limbs, mp_limb_t *scratch);
void		__wrap___gmpn_sec_mul(mp_limb_t *out, const mp_limb_t *a, mp_size_t a_limbs, const mp_limb_t *b,
								  mp_size_t b_limbs, mp_limb_t *scratch);
void		__real___gmpn_sec_sqr(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs, mp_limb_t *scratch);
void		__wrap___gmpn_sec_sqr(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs, mp_limb_t *scratch);
int			__real___gmpn_sec_invert(mp_limb_t *out, mp_limb_t *a, const mp_limb_t *m, mp_size_t limbs,
									 mp_bitcnt_t bits, mp_limb_t *scratch);
int			__wrap___gmpn_sec_invert(mp_limb_t *out, mp_limb_t *a, const mp_limb_t *m, mp_size_t limbs,
									 mp_bitcnt_t bits, mp_limb_t *scratch);

static bool
secret(const mp_limb_t *a, mp_size_t limbs)
{
	return __msan_test_shadow(a, limbs * sizeof(mp_limb_t)) >= 0;
}

static void
mark(bool as_secret, mp_limb_t *out, mp_size_t limbs)
{
	if (as_secret)
		SECRET(out, limbs);
	else
		PUBLIC(out, limbs);
}

/* Not memmove(), which the sanitizer would look into. */
void
__wrap___gmpn_copyi(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs)
{
	for (mp_size_t i = 0; i < limbs; i++)
		out[i] = a[i];
}

void
__wrap___gmpn_zero(mp_limb_t *out, mp_size_t limbs)
{
	for (mp_size_t i = 0; i < limbs; i++)
		out[i] = 0;
}

void
__wrap___gmpn_com(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs)
{
	for (mp_size_t i = 0; i < limbs; i++)
		out[i] = ~a[i];
}

mp_limb_t
__wrap___gmpn_add_n(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_size_t limbs)
{
	unsigned __int128 sum = 0;

	for (mp_size_t i = 0; i < limbs; i++)
	{
		sum += (unsigned __int128) a[i] + b[i];
		out[i] = sum;
		sum >>= 64;
	}
	return sum;
}

mp_limb_t
__wrap___gmpn_sub_n(mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_size_t limbs)
{
	unsigned __int128 difference = 0;

	for (mp_size_t i = 0; i < limbs; i++)
	{
		difference = (unsigned __int128) a[i] - b[i] - (mp_limb_t) difference;
		out[i] = difference;
		difference = (difference >> 64) & 1;
	}
	return difference;
}

mp_limb_t
__wrap___gmpn_cnd_add_n(mp_limb_t condition, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_size_t limbs)
{
	mp_limb_t	mask = -condition;	/* 0 or 1 here */
	unsigned __int128 sum = 0;

	for (mp_size_t i = 0; i < limbs; i++)
	{
		sum += (unsigned __int128) a[i] + (b[i] & mask);
		out[i] = sum;
		sum >>= 64;
	}
	return sum;
}

mp_limb_t
__wrap___gmpn_cnd_sub_n(mp_limb_t condition, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_size_t limbs)
{
	mp_limb_t	mask = -condition;	/* 0 or 1 here */
	unsigned __int128 difference = 0;

	for (mp_size_t i = 0; i < limbs; i++)
	{
		difference = (unsigned __int128) a[i] - (b[i] & mask) - (mp_limb_t) difference;
		out[i] = difference;
		difference = (difference >> 64) & 1;
	}
	return difference;
}

size_t
__wrap___gmpn_sizeinbase(const mp_limb_t *a, mp_size_t limbs, int base)
{
	mp_limb_t	highest = a[limbs - 1];

	if (base != 2)
		abort();
	PUBLIC(&highest, 1);
	return 64 * (limbs - 1) + __real___gmpn_sizeinbase(&highest, 1, 2);
}

mp_limb_t
__wrap___gmpn_addmul_1(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs, mp_limb_t b)
{
	bool		of_secret = secret(out, limbs) || secret(a, limbs) || secret(&b, 1);
	mp_limb_t	carry;

	PUBLIC(&b, 1);
	carry = __real___gmpn_addmul_1(out, a, limbs, b);
	mark(of_secret, out, limbs);
	mark(of_secret, &carry, 1);
	return carry;
}

/* The remainder tells whether a ciphertext is a unit: it is 1 for all of them. */
mp_limb_t
__wrap___gmpn_sec_div_qr(mp_limb_t *q, mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d, mp_size_t d_limbs,
						 mp_limb_t *scratch)
{
	bool		of_secret = secret(n, n_limbs) || secret(d, d_limbs);
	mp_limb_t	highest = __real___gmpn_sec_div_qr(q, n, n_limbs, d, d_limbs, scratch);

	mark(of_secret, q, n_limbs - d_limbs);
	mark(of_secret, &highest, 1);
	PUBLIC(n, d_limbs);
	return highest;
}

void
__wrap___gmpn_sec_div_r(mp_limb_t *n, mp_size_t n_limbs, const mp_limb_t *d, mp_size_t d_limbs, mp_limb_t *scratch)
{
	bool		of_secret = secret(n, n_limbs) || secret(d, d_limbs);

	__real___gmpn_sec_div_r(n, n_limbs, d, d_limbs, scratch);
	mark(of_secret, n, d_limbs);
}

/* While a key is prepared the product is n. */
void
__wrap___gmpn_sec_mul(mp_limb_t *out, const mp_limb_t *a, mp_size_t a_limbs, const mp_limb_t *b, mp_size_t b_limbs,
					  mp_limb_t *scratch)
{
	bool		of_secret = secret(a, a_limbs) || secret(b, b_limbs);

	__real___gmpn_sec_mul(out, a, a_limbs, b, b_limbs, scratch);
	mark(of_secret && !preparing_key, out, a_limbs + b_limbs);
}

/* The size of the square of a prime may be known. */
void
__wrap___gmpn_sec_sqr(mp_limb_t *out, const mp_limb_t *a, mp_size_t limbs, mp_limb_t *scratch)
{
	bool		of_secret = secret(a, limbs);
	mp_limb_t	highest;

	__real___gmpn_sec_sqr(out, a, limbs, scratch);
	mark(of_secret, out, 2 * limbs);
	if (!of_secret)
		return;
	highest = out[2 * limbs - 1];
	PUBLIC(&highest, 1);
	if (highest == 0)
		PUBLIC(out + 2 * limbs - 1, 1);
	else
	{
		/* that it is not zero may be known: one bit that is set */
		mp_limb_t	shadow = ~(highest & -highest);

		__msan_partial_poison(out + 2 * limbs - 1, &shadow, sizeof(shadow));
	}
}

int
__wrap___gmpn_sec_invert(mp_limb_t *out, mp_limb_t *a, const mp_limb_t *m, mp_size_t limbs, mp_bitcnt_t bits,
						 mp_limb_t *scratch)
{
	bool		of_secret = secret(a, limbs) || secret(m, limbs);
	int			exists = __real___gmpn_sec_invert(out, a, m, limbs, bits, scratch);

	mark(of_secret, out, limbs);
	return exists;
}

/* What is wrong in a batch shows in its results. */
bool		__real_paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong);
bool		__wrap_paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong);
paillier_result __real_paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch);
paillier_result __wrap_paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch);

static bool secrets_were_compared;

bool
__wrap_paillier_plan_accept(const paillier_plan *plan, int first, int steps, mp_limb_t wrong)
{
	secrets_were_compared |= secret(&wrong, 1);
	PUBLIC(&wrong, 1);
	return __real_paillier_plan_accept(plan, first, steps, wrong);
}

paillier_result
__wrap_paillier_slot_check(paillier_bound bound, const mp_limb_t *mag, int limbs, mp_limb_t *scratch)
{
	paillier_result result = __real_paillier_slot_check(bound, mag, limbs, scratch);

	__msan_unpoison(&result, sizeof(result));
	return result;
}

/* ---- steps ---- */

static const paillier_kernel *const kernel = &paillier_kernel_avx512ifma;

static void
step_begin(void)
{
	reports = 0;
}

/* No report, and the result is a secret: what depends on secrets must not have become clean on the way. */
static void
step_end(const char *what, const mp_limb_t *result, int limbs)
{
	check_int(reports, 0, "reports in %s", what);
	for (int i = 0; i < limbs; i++)
		check(__msan_test_shadow(result + i, sizeof(mp_limb_t)) >= 0, "word %d of %s is not poisoned", i, what);
}

#define STEP(call, result, limbs) \
	do { \
		step_begin(); \
		call; \
		step_end(#call, result, limbs); \
	} while (0)

/* 64-byte lines, as callers give them */
static mp_limb_t *
new_words(size_t words)
{
	mp_limb_t  *memory = aligned_alloc(64, (words * sizeof(mp_limb_t) + 63) / 64 * 64);

	if (memory == NULL)
		abort();
	memset(memory, 0, words * sizeof(mp_limb_t));
	return memory;
}

/* ---- Montgomery arithmetic ---- */

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

typedef struct operands
{
	mp_limb_t  *a;				/* a residue */
	mp_limb_t  *b;
	mp_limb_t  *x;
	mp_limb_t  *limbs;			/* a number */
	mp_limb_t  *a8;
	mp_limb_t  *x8;
	mp_limb_t  *e;
	mp_limb_t  *scratch;
	mp_limb_t  *lane[8];
} operands;

#define EXPONENT_BITS 61

static operands
new_operands(const paillier_mont *ctx)
{
	int			words = ctx->words;
	operands	o = {
		new_words(words), new_words(words), new_words(words), new_words(ctx->limbs + 2), new_words(8 * words),
		new_words(8 * words), new_words(1), new_words(PAILLIER_MONT_POW8_SCRATCH(words)), {NULL}
	};

	random_limbs(o.limbs, ctx->limbs - 1);
	random_limbs(o.e, 1);
	o.e[0] >>= 64 - EXPONENT_BITS;
	paillier_mont_load(ctx, o.a, o.limbs, o.scratch);
	paillier_mont_sqr(ctx, o.b, o.a, o.scratch);
	for (int i = 0; i < 8; i++)
		o.lane[i] = new_words(words);
	SECRET(o.a, words);
	SECRET(o.b, words);
	SECRET(o.limbs, ctx->limbs);
	SECRET(o.e, 1);
	return o;
}

static void
free_operands(operands *o)
{
	free(o->a);
	free(o->b);
	free(o->x);
	free(o->limbs);
	free(o->a8);
	free(o->x8);
	free(o->e);
	free(o->scratch);
	for (int i = 0; i < 8; i++)
		free(o->lane[i]);
}

static void
test_one(const paillier_mont *ctx, operands *o)
{
	STEP(paillier_mont_load(ctx, o->x, o->limbs, o->scratch), o->x, ctx->words);
	STEP(paillier_mont_enter(ctx, o->x, o->a, o->scratch), o->x, ctx->words);
	STEP(paillier_mont_mul(ctx, o->x, o->a, o->b, o->scratch), o->x, ctx->words);
	STEP(paillier_mont_sqr(ctx, o->x, o->a, o->scratch), o->x, ctx->words);
	STEP(paillier_mont_pow_sec(ctx, o->x, o->a, o->e, EXPONENT_BITS, o->scratch), o->x, ctx->words);
	STEP(paillier_mont_leave(ctx, o->x, o->a, o->scratch), o->x, ctx->words);
	STEP(paillier_mont_store_sec(ctx, o->x, o->a, o->scratch), o->x, ctx->limbs);
}

static void
test_eight(const paillier_mont *ctx, operands *o)
{
	const mp_limb_t *residues[8];
	const mp_limb_t *numbers[8];
	int			words8 = 8 * ctx->words;

	for (int i = 0; i < 8; i++)
	{
		residues[i] = o->a;
		numbers[i] = o->limbs;
	}
	STEP(kernel->gather8(ctx, o->a8, residues), o->a8, words8);
	STEP(kernel->load8(ctx, o->x8, numbers, o->scratch), o->x8, words8);
	STEP(kernel->mul8(ctx, o->x8, o->x8, o->a8, o->scratch), o->x8, words8);
	STEP(kernel->sqr8(ctx, o->x8, o->x8, o->scratch), o->x8, words8);
	STEP(paillier_mont_pow8_sec(ctx, o->x8, o->a8, o->e, EXPONENT_BITS, o->scratch), o->x8, words8);
	STEP(kernel->scatter8(ctx->words, o->lane, o->x8), o->lane[7], ctx->words);
}

static void
test_mont(int bits)
{
	paillier_mont *ctx = allocate(sizeof(*ctx));
	int			limbs = (bits + 63) / 64;
	mp_limb_t  *root = new_words(limbs);
	mp_limb_t  *scratch = new_words(PAILLIER_MONT_POW8_SCRATCH(PAILLIER_MAX_WORDS));
	operands	o;

	group_begin("Montgomery arithmetic on secret residues, with a secret root of %d bits", bits);
	random_limbs(root, limbs);
	root[limbs - 1] &= ~(mp_limb_t) 0 >> (64 * limbs - bits);
	root[limbs - 1] |= (mp_limb_t) 1 << ((bits - 1) % 64);
	root[0] |= 1;
	preparing_key = true;
	paillier_mont_init(ctx, kernel, root, limbs, scratch);
	preparing_key = false;
	__msan_unpoison(ctx, sizeof(*ctx));
	o = new_operands(ctx);
	mark_modulus(ctx);
	test_one(ctx, &o);
	test_eight(ctx, &o);
	group_end();

	free_operands(&o);
	free(scratch);
	free(root);
	free(ctx);
}

/* ---- private keys ---- */

/* A step of eight, and one more. */
#define CIPHERTEXTS 9

static void
mark_prime(paillier_prime *prime)
{
	SECRET(prime->p, prime->limbs);
	SECRET(prime->exponent, prime->limbs);
	SECRET(prime->h, prime->limbs);
	mark_modulus(&prime->mont);
}

/* All bits but two: that the factors are odd, and one in which they differ. */
static void
mark_factors(mp_limb_t *p, mp_limb_t *q, int limbs)
{
	mp_limb_t	shadow[PAILLIER_MAX_N_LIMBS];
	mp_limb_t	difference = p[limbs / 2] ^ q[limbs / 2];

	memset(shadow, 0xff, sizeof(shadow));
	shadow[0] &= ~(mp_limb_t) 1;
	shadow[limbs / 2] &= ~(difference & -difference);
	__msan_partial_poison(p, shadow, limbs * sizeof(mp_limb_t));
	__msan_partial_poison(q, shadow, limbs * sizeof(mp_limb_t));
}

static void
prepare_key(paillier_private *key, int bits, mp_limb_t *scratch)
{
	int			limbs = (bits / 2 + 63) / 64;
	mp_limb_t  *p = new_words(limbs);
	mp_limb_t  *q = new_words(limbs);
	random_source source = RANDOM_SOURCE;
	paillier_result result;

	check_int(paillier_keygen(p, q, bits, random_source_read, &source, scratch), PAILLIER_OK, "keygen");
	PUBLIC(p, limbs);
	PUBLIC(q, limbs);
	mark_factors(p, q, limbs);
	step_begin();
	preparing_key = true;
	result = paillier_private_init(key, kernel, p, limbs, q, limbs, false, scratch);
	preparing_key = false;
	step_end("private_init", key->p.p, 1);
	check_int(result, PAILLIER_OK, "private_init");
	free(q);
	free(p);
}

/* The same for the tests: nothing of a key is secret while its ciphertexts are made. */
static void
encrypt_some(const paillier_public *pk, mp_limb_t (*c)[PAILLIER_MAX_LIMBS], mp_limb_t (*m)[PAILLIER_MAX_N_LIMBS])
{
	mp_limb_t  *scratch = new_words(PAILLIER_BLIND_SCRATCH(pk->n2.limbs));
	random_source source = RANDOM_SOURCE;
	paillier_blinder blinder;

	check_int(paillier_blinder_init(&blinder, pk, &paillier_comb_small, NULL, random_source_read, &source, scratch),
			  PAILLIER_OK, "blinder_init");
	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		mp_limb_t  *out = c[i];
		paillier_plaintext plain = {true, m[i]};

		mpn_zero(m[i], pk->limbs);
		random_limbs(m[i], pk->limbs - 1);
		check_int(paillier_encrypt(&blinder, &out, &plain, 1, random_source_read, &source, scratch), PAILLIER_OK,
				  "encrypt");
		PUBLIC(out, pk->n2.limbs);
	}
	free(scratch);
}

static void
test_private(int bits)
{
	paillier_private *key = allocate(sizeof(*key));
	mp_limb_t  *scratch = new_words(paillier_private_scratch(bits));
	mp_limb_t	(*c)[PAILLIER_MAX_LIMBS] = allocate(CIPHERTEXTS * sizeof(*c));
	mp_limb_t	(*m)[PAILLIER_MAX_N_LIMBS] = allocate(CIPHERTEXTS * sizeof(*m));
	mp_limb_t	(*mag)[PAILLIER_MAX_N_LIMBS] = allocate(CIPHERTEXTS * sizeof(*mag));
	const mp_limb_t *in[CIPHERTEXTS];
	paillier_decrypted out[CIPHERTEXTS];

	group_begin("a key of %d bits, prepared, and ciphertexts decrypted", bits);
	prepare_key(key, bits, scratch);
	__msan_unpoison(key, sizeof(*key));
	encrypt_some(&key->pub, c, m);
	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		in[i] = c[i];
		out[i].mag = mag[i];
	}
	mark_prime(&key->p);
	mark_prime(&key->q);
	step_begin();
	paillier_decrypt(key, out, in, CIPHERTEXTS, scratch);
	check_int(reports, 0, "reports in decrypt");
	for (int i = 0; i < CIPHERTEXTS; i++)
	{
		check_int(out[i].result, PAILLIER_OK, "decrypt");
		check(__msan_test_shadow(mag[i], key->pub.limbs * sizeof(mp_limb_t)) == 0, "plaintext %d is not poisoned", i);
		__msan_unpoison(&out[i], sizeof(out[i]));
		PUBLIC(mag[i], key->pub.limbs);
		check(out[i].negative && mpn_cmp(mag[i], m[i], key->pub.limbs) == 0, "plaintext %d is another one", i);
	}
	group_end();

	free(mag);
	free(m);
	free(c);
	free(scratch);
	free(key);
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

/* As encrypt_some() does; the plaintexts are short. */
static void
encrypt_batch(batch *b)
{
	mp_limb_t  *scratch = new_words(PAILLIER_BLIND_SCRATCH(b->key.pub.n2.limbs));
	random_source source = RANDOM_SOURCE;
	paillier_blinder blinder;

	check_int(paillier_blinder_init(&blinder, &b->key.pub, &paillier_comb_small, NULL, random_source_read, &source,
									scratch), PAILLIER_OK, "blinder_init");
	for (int i = 0; i < BATCH_COUNT; i++)
	{
		mp_limb_t  *out = b->c[i];
		paillier_plaintext plain = {i % 2 != 0, b->m[i]};

		mpn_zero(b->m[i], b->key.pub.limbs);
		b->m[i][0] = random64() >> 24;
		check_int(paillier_encrypt(&blinder, &out, &plain, 1, random_source_read, &source, scratch), PAILLIER_OK,
				  "encrypt");
		PUBLIC(out, b->key.pub.n2.limbs);
		b->item[i] = (paillier_bounded) {
			.c = out, .bound = paillier_bound_from_width(41 + i % 3), .mag = b->mag[i]
		};
	}
	free(scratch);
}

/* All of it, where item `forged` is outside its bound; none is for -1. */
static void
check_batch(batch *b, int forged)
{
	random_source source = RANDOM_SOURCE;
	paillier_host host = {.random = random_source_read, .state = &source};
	mp_limb_t  *scratch = new_words(paillier_batch_scratch(&b->key, BATCH_COUNT));

	if (forged >= 0)
		b->item[forged].bound = paillier_bound_from_width(1);
	secrets_were_compared = false;
	step_begin();
	check(paillier_batch_decrypt(&b->key, b->item, BATCH_COUNT, &host, scratch), "batch_decrypt");
	check_int(reports, 0, "reports in batch_decrypt");
	check(secrets_were_compared, "what is compared is not poisoned");
	check(forged < 0 ? source.calls == 2 : source.calls > 2, "random numbers are asked for %d times", source.calls);
	for (int i = 0; i < BATCH_COUNT; i++)
	{
		check(i == forged || secret(b->mag[i], b->key.pub.limbs), "plaintext %d is not poisoned", i);
		__msan_unpoison(&b->item[i], sizeof(b->item[i]));
		PUBLIC(b->mag[i], b->key.pub.limbs);
		check_int(b->item[i].result, i == forged ? PAILLIER_ERR_BOUND : PAILLIER_OK, "result %d", i);
		check(i == forged ||
			  (b->item[i].negative == (i % 2 != 0) && mpn_cmp(b->mag[i], b->m[i], b->key.pub.limbs) == 0),
			  "plaintext %d is another one", i);
	}
	free(scratch);
}

static void
test_batch(int bits)
{
	batch	   *b = allocate(sizeof(*b));
	mp_limb_t  *scratch = new_words(paillier_private_scratch(bits));

	group_begin("a batch under a key of %d bits", bits);
	prepare_key(&b->key, bits, scratch);
	__msan_unpoison(b, sizeof(*b));
	encrypt_batch(b);
	mark_prime(&b->key.p);
	mark_prime(&b->key.q);
	check_batch(b, -1);
	check_batch(b, 12);
	group_end();

	free(scratch);
	free(b);
}

/* ---- what must be noticed ---- */

/* Stops at the first limb that is not zero. */
static __attribute__((noinline)) int
leaky_size(const mp_limb_t *a, int limbs)
{
	while (limbs > 0 && a[limbs - 1] == 0)
		limbs--;
	return limbs;
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
	paillier_mont *ctx = allocate(sizeof(*ctx));
	mp_limb_t	root[4] = {1, 2, 3, 4};
	mp_limb_t  *scratch = new_words(PAILLIER_MONT_POW8_SCRATCH(PAILLIER_MAX_WORDS));
	operands	o;
	volatile int size;

	paillier_mont_init(ctx, kernel, root, 4, scratch);
	__msan_unpoison(ctx, sizeof(*ctx));
	o = new_operands(ctx);
	mark_modulus(ctx);
	paillier_mont_mul(ctx, o.x, o.a, o.b, scratch);

	step_begin();
	size = leaky_size(o.x, ctx->words);
	ok(reports > 0, "a branch on a digit of a product is reported");
	step_begin();
	size = leaky_lookup(table, o.x[0]);
	ok(reports > 0, "a look-up by a digit of a product is reported");
	step_begin();
	paillier_mont_pow(ctx, o.x, o.a, o.e, 1, scratch);
	ok(reports > 0, "the power that is for public exponents is reported for a secret one");
	(void) size;
	free_operands(&o);
	free(scratch);
	free(ctx);
}

int
main(int argc, char **argv)
{
	static const int roots[] = {256, 512, 1000, 1024, 1536, 2048, 2049, 3072, 4096};
	static const int keys[] = {256, 512, 1024, 2048, 3072};
	static const int batches[] = {600, 1024, 2048};
	bool		leak = argc > 1 && strcmp(argv[1], "leak") == 0;
	int			status;

	tap_begin(leak ? 1 : argc, argv);
	if (!kernel->available())
		skip("this processor does not have it", "constant time of kernel %s", kernel->name);
	else if (leak)
		test_leaks();
	else
	{
		for (int i = 0; i < LENGTH(roots); i++)
			test_mont(roots[i]);
		for (int i = 0; i < LENGTH(keys); i++)
			test_private(keys[i]);
		for (int i = 0; i < LENGTH(batches); i++)
			test_batch(batches[i]);
	}
	status = tap_done();
	if (leak)
	{
		/* the sanitizer's own end would make a failure of the reports that are wanted */
		fflush(stdout);
		_exit(status);
	}
	return status;
}
