/*
 * kernel.c
 *		The project's multiplication kernels by themselves, and what the
 *		processor's multiplier allows at most.
 *
 *	kernel BITS SECONDS [scheme]
 *
 * Prints "MEASURE <tab> products (or rows, or values) a second" for keys of BITS:
 *
 *	KERNEL/one		one product after the other, each of the one before
 *	KERNEL/square	one square after the other
 *	KERNEL/eight	eight products at once
 *	KERNEL/rows		from ciphertexts in limbs, in the cache, to eight running products
 *	floor			schoolbook multiplication and Montgomery's reduction modulo n² at the
 *					rate at which this processor issues independent IFMA
 *					multiplications, and nothing else
 *	scalar_floor	the same as a pair of numbers, five times H² multiplications for the
 *					H words of n, at the rate of the processor's 64-bit multiplier
 *
 * and, with `scheme`, KERNEL/encrypt and KERNEL/decrypt: arrays of eight, blinding
 * factors from a table.
 *
 * Kernels are those of the table, and `pairs`, with which `generic` encrypts and
 * decrypts.  `generic` itself is GMP's multiplication and a reduction, as it was
 * for everything.
 *
 * The floor is that of the digits: 2·D² multiplications of two halves each for
 * D = bits of n² / 52 digits, eight products to a vector.  A kernel that makes
 * use of n can do better.
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "paillier_private.h"

#define LANES	8
#define ROWS	(4 * LANES)

static gmp_randstate_t random_state;
static paillier_mont ctx;
static mp_limb_t scratch[PAILLIER_MONT_POW8_SCRATCH(PAILLIER_MAX_WORDS)];
static mp_limb_t rows[ROWS][PAILLIER_MAX_LIMBS];
static mp_limb_t residues[LANES][PAILLIER_MAX_WORDS];
static mp_limb_t a8[LANES * PAILLIER_MAX_WORDS + 8] __attribute__((aligned(64)));
static mp_limb_t b8[LANES * PAILLIER_MAX_WORDS + 8] __attribute__((aligned(64)));

static void
one(void)
{
	paillier_mont_mul(&ctx, residues[0], residues[0], residues[1], scratch);
}

static void
square(void)
{
	paillier_mont_sqr(&ctx, residues[0], residues[0], scratch);
}

static void
eight(void)
{
	ctx.kernel->mul8(&ctx, a8, a8, b8, scratch);
}

static void
all_rows(void)
{
	const mp_limb_t *row[LANES];

	for (int at = 0; at < ROWS; at += LANES)
	{
		for (int i = 0; i < LANES; i++)
			row[i] = rows[at + i];
		ctx.kernel->load8(&ctx, b8, row, scratch);
		ctx.kernel->mul8(&ctx, a8, a8, b8, scratch);
	}
}

#ifdef __x86_64__

/* 1,600 independent multiplications of eight lanes */
__attribute__((target("avx512f,avx512ifma")))
static void
multiplications(void)
{
	for (int i = 0; i < 100; i++)
		__asm__ volatile(
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm0\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm1\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm2\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm3\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm4\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm5\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm6\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm7\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm8\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm9\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm10\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm11\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm12\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm13\n\t"
			"vpmadd52luq %%zmm16, %%zmm17, %%zmm14\n\tvpmadd52huq %%zmm16, %%zmm17, %%zmm15"
			::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			"xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

/* 1,600 independent multiplications of 64 bits */
static void
scalar_multiplications(void)
{
	for (int i = 0; i < 200; i++)
		__asm__ volatile(
			"movq %%rbx, %%rax\n\tmulq %%rcx\n\tmovq %%rbx, %%rax\n\tmulq %%rcx\n\t"
			"movq %%rbx, %%rax\n\tmulq %%rcx\n\tmovq %%rbx, %%rax\n\tmulq %%rcx\n\t"
			"movq %%rbx, %%rax\n\tmulq %%rcx\n\tmovq %%rbx, %%rax\n\tmulq %%rcx\n\t"
			"movq %%rbx, %%rax\n\tmulq %%rcx\n\tmovq %%rbx, %%rax\n\tmulq %%rcx"
			::: "rax", "rdx", "cc");
}

static void
print_floor(int bits, double seconds)
{
	double		words = bits / 64;
	double		digits = (2 * bits + 51) / 52;

	if (paillier_kernel_named("avx512ifma") != NULL)
		printf("floor\t%.6g\n", rate(multiplications, 100, seconds) * 1600 * LANES / (4 * digits * digits));
	printf("scalar_floor\t%.6g\n", rate(scalar_multiplications, 100, seconds) * 1600 / (5 * words * words));
}

#else

static void
print_floor(int bits, double seconds)
{
}

#endif

static void
measure(const paillier_kernel *kernel, int bits, double seconds)
{
	const char *name;
	int			limbs = bits / 64;
	mp_limb_t	n[PAILLIER_MAX_LIMBS / 2];
	const mp_limb_t *row[LANES];

	if (kernel == NULL)
		return;
	name = kernel->name;
	mpn_random(n, limbs);
	n[0] |= 1;
	n[limbs - 1] |= (mp_limb_t) 1 << 63;
	paillier_mont_init(&ctx, kernel, n, limbs, scratch);
	for (int i = 0; i < ROWS; i++)
	{
		mpn_random(rows[i], ctx.limbs);
		rows[i][ctx.limbs - 1] >>= 2;	/* below n² */
	}
	for (int i = 0; i < LANES; i++)
	{
		paillier_mont_load(&ctx, residues[i], rows[i], scratch);
		row[i] = rows[i];
	}
	kernel->load8(&ctx, a8, row, scratch);
	kernel->load8(&ctx, b8, row, scratch);
	printf("%s/one\t%.6g\n", name, rate(one, 100, seconds));
	printf("%s/square\t%.6g\n", name, rate(square, 100, seconds));
	printf("%s/eight\t%.6g\n", name, rate(eight, 100, seconds) * LANES);
	printf("%s/rows\t%.6g\n", name, rate(all_rows, 100, seconds) * ROWS);
}

/* ---- the scheme ---- */

static paillier_private *key;
static mp_limb_t *key_scratch;
static paillier_blinder blinder;
static mp_limb_t ciphertexts[LANES][PAILLIER_MAX_LIMBS];
static mp_limb_t plaintexts[LANES][PAILLIER_MAX_N_LIMBS];

static int
read_random(void *state, void *out, size_t len)
{
	(void) state;
	for (size_t i = 0; i < len; i++)
		((unsigned char *) out)[i] = gmp_urandomb_ui(random_state, 8);
	return 0;
}

static void
encrypt(void)
{
	mp_limb_t  *c[LANES];
	paillier_plaintext m[LANES];

	for (int i = 0; i < LANES; i++)
	{
		c[i] = ciphertexts[i];
		m[i] = (paillier_plaintext) {i % 2 != 0, plaintexts[i]};
	}
	if (paillier_encrypt(&blinder, c, m, LANES, read_random, NULL, key_scratch) != PAILLIER_OK)
		exit(1);
}

static void
decrypt(void)
{
	const mp_limb_t *c[LANES];
	mp_limb_t	mag[LANES][PAILLIER_MAX_N_LIMBS];
	paillier_decrypted out[LANES];

	for (int i = 0; i < LANES; i++)
	{
		c[i] = ciphertexts[i];
		out[i].mag = mag[i];
	}
	paillier_decrypt(key, out, c, LANES, key_scratch);
	for (int i = 0; i < LANES; i++)
		if (out[i].result != PAILLIER_OK || mpn_cmp(mag[i], plaintexts[i], key->pub.limbs) != 0)
		{
			fprintf(stderr, "kernel: decryption is wrong\n");
			exit(1);
		}
}

/* A prime ≡ 3 mod 4 with both of its highest bits set. */
static void
random_prime(mpz_t prime, int bits)
{
	do
	{
		mpz_urandomb(prime, random_state, bits);
		mpz_setbit(prime, bits - 1);
		mpz_setbit(prime, bits - 2);
		mpz_nextprime(prime, prime);
	} while (mpz_fdiv_ui(prime, 4) != 3);
}

static void
measure_scheme(int bits, double seconds)
{
	const paillier_kernel *kernel;
	mp_limb_t	p[PAILLIER_MAX_N_LIMBS];
	mp_limb_t	q[PAILLIER_MAX_N_LIMBS];
	mp_limb_t  *table;
	mpz_t		prime;

	gmp_randinit_default(random_state);
	key = malloc(sizeof(paillier_private));
	key_scratch = malloc((paillier_private_scratch(bits) + PAILLIER_BLIND_SCRATCH(bits / 32)) * sizeof(mp_limb_t));
	mpz_init(prime);
	random_prime(prime, bits / 2);
	mpz_export(p, NULL, -1, sizeof(mp_limb_t), 0, 0, prime);
	random_prime(prime, bits / 2);
	mpz_export(q, NULL, -1, sizeof(mp_limb_t), 0, 0, prime);
	mpz_clear(prime);
	for (int i = 0; i < LANES; i++)
		plaintexts[i][0] = 1000 * i + 1;
	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
	{
		int			limbs = (bits / 2 + 63) / 64;

		if (!kernel->available())
			continue;
		if (paillier_private_init(key, kernel, p, limbs, q, limbs, true, key_scratch) != PAILLIER_OK)
			exit(1);
		table = malloc(paillier_blinder_table(&key->pub, &paillier_comb_small) * sizeof(mp_limb_t));
		if (paillier_blinder_init(&blinder, &key->pub, &paillier_comb_small, table, read_random, NULL,
								  key_scratch) != PAILLIER_OK)
			exit(1);
		printf("%s/encrypt\t%.6g\n", kernel->name, rate(encrypt, 1, seconds) * LANES);
		printf("%s/decrypt\t%.6g\n", kernel->name, rate(decrypt, 1, seconds) * LANES);
		free(table);
	}
}

int
main(int argc, char **argv)
{
	int			bits;

	if (argc < 3 || argc > 4 || (bits = atoi(argv[1])) < 512 || bits > 8192 || bits % 64 != 0)
	{
		fprintf(stderr, "usage: kernel BITS SECONDS [scheme]\n");
		return 1;
	}
	if (argc == 4)
	{
		measure_scheme(bits, atof(argv[2]));
		return 0;
	}
	measure(paillier_kernel_named("avx512ifma"), bits, atof(argv[2]));
	measure(paillier_kernel_named("generic"), bits, atof(argv[2]));
	measure(&paillier_kernel_pairs, bits, atof(argv[2]));
	print_floor(bits, atof(argv[2]));
	return 0;
}
