/*
 * kernel.c
 *		The project's multiplication kernels by themselves, and what the
 *		processor's multiplier allows at most.
 *
 *	kernel BITS SECONDS
 *
 * Prints "MEASURE <tab> products (or rows) a second" for keys of BITS:
 *
 *	KERNEL/one		one product after the other, each of the one before
 *	KERNEL/eight	eight products at once
 *	KERNEL/rows		from ciphertexts in limbs, in the cache, to eight running products
 *	floor			schoolbook multiplication and Montgomery's reduction modulo n² at the
 *					rate at which this processor issues independent IFMA
 *					multiplications, and nothing else
 *
 * The floor is that of the digits: 2·D² multiplications of two halves each for
 * D = bits of n² / 52 digits, eight products to a vector.  A kernel that makes
 * use of n can do better.
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "mont.h"

#define LANES	8
#define ROWS	(4 * LANES)

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

static void
print_floor(int bits, double seconds)
{
	double		digits = (2 * bits + 51) / 52;

	if (paillier_kernel_named("avx512ifma") != NULL)
		printf("floor\t%.6g\n", rate(multiplications, 100, seconds) * 1600 * LANES / (4 * digits * digits));
}

#else

static void
print_floor(int bits, double seconds)
{
}

#endif

static void
measure(const char *name, int bits, double seconds)
{
	const paillier_kernel *kernel = paillier_kernel_named(name);
	int			limbs = bits / 64;
	mp_limb_t	n[PAILLIER_MAX_LIMBS / 2];
	const mp_limb_t *row[LANES];

	if (kernel == NULL)
		return;
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
	printf("%s/eight\t%.6g\n", name, rate(eight, 100, seconds) * LANES);
	printf("%s/rows\t%.6g\n", name, rate(all_rows, 100, seconds) * ROWS);
}

int
main(int argc, char **argv)
{
	int			bits;

	if (argc != 3 || (bits = atoi(argv[1])) < 512 || bits > 8192 || bits % 64 != 0)
	{
		fprintf(stderr, "usage: kernel BITS SECONDS\n");
		return 1;
	}
	measure("avx512ifma", bits, atof(argv[2]));
	measure("generic", bits, atof(argv[2]));
	print_floor(bits, atof(argv[2]));
	return 0;
}
