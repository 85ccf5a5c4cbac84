/*
 * mont_ifma.h
 *		What the files of the kernel avx512ifma share: vectors, and what is kept of
 *		a modulus.
 *
 * IFMA multiplies the low 52 bits of two 64-bit lanes and adds the low or the
 * high half of the product to a third.  Sums of halves therefore have 12 bits
 * of room before a carry must be taken.
 *
 * A residue modulo n² is a pair of numbers of H digits, x0 + x1·n.  With S =
 * 2^(52·H) and a quotient q0 that makes x0·y0 + q0·n a multiple of S, say S·z0,
 *
 *		(x0 + x1·n)(y0 + y1·n)/S = z0 + n·(x1·y0 + x0·y1 - q0)/S  mod n²,
 *
 * where the last fraction is again reduced modulo n: z1 = (x1·y0 + x0·y1 - q0 +
 * q1·n)/S, which is not negative because q0 is below S.  This takes three
 * products and two reductions of H digits: five times H² multiplications of
 * digits, where a product and a reduction of 2·H digits take eight times H².
 *
 * A ciphertext c becomes a pair by a division by n, as Barrett's: x1 = ⌊⌊c/2^w⌋·
 * ⌊2^w·S/n⌋/S⌋ for w = bits of n - 2, and x0 = c - x1·n, of which the lowest H
 * digits suffice.  Both products are needed by half only, together H².
 *
 * Bounds: n < S/2^14, or S/2^18 for more than 40 digits.  x1 is computed
 * without the columns below S, which hold less than 2·H of its units, and the
 * roundings of both factors take away less than one more:
 * x0 < (2·H + 4)·n =: B·n.  For c < 4·n², x1 < 5·n.  If x0, y0 < B·n and x1, y1 < 5·n
 * then z0 < B²·n²/S + n < 2·n, because B² is below 2^13, or 2^17, and
 * z1 < 10·B·n²/S + n < 2·n, to which one product alone adds n.
 */
#ifndef PAILLIER_MONT_IFMA_H
#define PAILLIER_MONT_IFMA_H

#include <stdint.h>

#include "mont.h"

#define FORMAT_PAIRS	2		/* two numbers in digits of 52 bits; eight stand in vectors of the same digit */
#define DIGIT_BITS	52
#define LANES		8

/* On any processor: what another one made can be read. */
extern void paillier_ifma_scatter8(int words, mp_limb_t *const *residues, const mp_limb_t *a8);

#ifdef __x86_64__

#include <immintrin.h>

#define DIGIT_MASK	((UINT64_C(1) << DIGIT_BITS) - 1)
#define MAX_VECTORS 20			/* of a number for the largest modulus */

_Static_assert(2 * LANES * MAX_VECTORS <= PAILLIER_MAX_WORDS, "residues fit");
_Static_assert(6 * LANES * MAX_VECTORS + 4 * 64 * (MAX_VECTORS + 1) + 7 <= PAILLIER_MONT_OWN,
			   "what is kept of a modulus fits");

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* The target stands in the files, so that no compiler flags are needed. */
#ifdef __clang__
#define IFMA_BEGIN \
	_Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi2,bmi2\"))), apply_to = function)")
#define IFMA_END	_Pragma("clang attribute pop")
#else
#define IFMA_BEGIN \
	_Pragma("GCC push_options") _Pragma("GCC target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi2,bmi2\")")
#define IFMA_END	_Pragma("GCC pop_options")
#endif

/* ---- what is kept of a modulus ---- */

typedef enum Constant
{
	ROOT,						/* n */
	INVERSE,					/* -1/n mod S */
	MINUS,						/* S - n */
	RECIPROCAL,					/* ⌊2^w·S/n⌋ */
	BACKWARD,					/* n, the highest digit first … */
	BACKWARD_NEXT				/* … and from the second highest on */
} Constant;

ALWAYS_INLINE mp_limb_t *
aligned(const mp_limb_t *p)
{
	return (mp_limb_t *) (((uintptr_t) p + 63) & ~(uintptr_t) 63);
}

/* The digits of a constant, zeros behind them up to a whole vector. */
ALWAYS_INLINE mp_limb_t *
constant_digits(const paillier_mont *ctx, Constant which)
{
	return aligned(ctx->own) + which * MAX_VECTORS * LANES;
}

/* The first four are kept in shifted copies, too. */
ALWAYS_INLINE mp_limb_t *
constant_copies(const paillier_mont *ctx, Constant which)
{
	return aligned(ctx->own) + (6 * LANES * MAX_VECTORS) + which * 64 * (MAX_VECTORS + 1);
}

ALWAYS_INLINE int
digits_of(const paillier_mont *ctx)
{
	return ctx->words / 2;
}

/* Vectors of a number; where digits are not a multiple of 8 the last is half full. */
ALWAYS_INLINE int
vectors_of(const paillier_mont *ctx)
{
	return (digits_of(ctx) + LANES / 2) / LANES;
}

/* w, of the division */
ALWAYS_INLINE int
division_shift(const paillier_mont *ctx)
{
	return mpn_sizeinbase(ctx->root, ctx->root_limbs, 2) - 2;
}

/* ---- vectors ---- */

typedef __m512i vector;

#define LO(sum, a, b)	_mm512_madd52lo_epu64(sum, a, b)
#define HI(sum, a, b)	_mm512_madd52hi_epu64(sum, a, b)
#define ADD(a, b)		_mm512_add_epi64(a, b)
#define ZERO			_mm512_setzero_si512()

/* x | (a & b): one instruction, but of those that MemorySanitizer knows, two. */
#define OR_AND(x, a, b) _mm512_ternarylogic_epi64(x, a, b, 0xf8)
#ifdef __has_feature
#if __has_feature(memory_sanitizer)
#undef OR_AND
#define OR_AND(x, a, b) _mm512_or_si512(x, _mm512_and_si512(a, b))
#endif
#endif

#define ALL(x)			_mm512_set1_epi64((long long) (x))

/* Memory of the caller's is aligned to 8 bytes; ours within it to 64. */
#define GET(p)			_mm512_loadu_si512(p)
#define PUT(p, x)		_mm512_storeu_si512(p, x)

/* ---- one residue (mont_ifma1.c) ---- */

extern void paillier_ifma_load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch);
extern void paillier_ifma_remainder(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *limbs,
									mp_limb_t *scratch);
extern void paillier_ifma_join(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a, mp_limb_t *scratch);
extern void paillier_ifma_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
							  mp_limb_t *scratch);
extern void paillier_ifma_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);
extern void paillier_ifma_select(mp_limb_t *out, const mp_limb_t *table, int size, int index);

/* Keep the number {limbs, size} modulo S as a constant. */
extern void paillier_ifma_set_constant(paillier_mont *ctx, Constant which, const mp_limb_t *limbs, int size);

/* ---- eight residues (mont_ifma8.c) ---- */

extern void paillier_ifma_load8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *limbs,
								mp_limb_t *scratch);
extern void paillier_ifma_gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues);
extern void paillier_ifma_mul8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
							   mp_limb_t *scratch);
extern void paillier_ifma_sqr8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch);

#endif							/* __x86_64__ */

#endif
