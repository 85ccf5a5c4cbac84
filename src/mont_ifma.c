/*
 * mont_ifma.c
 *		The kernel for processors with AVX-512 IFMA: digits of 52 bits, eight to
 *		a vector.
 *
 * IFMA multiplies the low 52 bits of two 64-bit lanes and adds the low or the
 * high half of the product to a third.  Sums of halves therefore have 12 bits
 * of room before a carry must be taken.
 *
 * Two shapes:
 *
 *	-	eight products at once, one to a lane (mul8, sqr8): vectors of the same
 *		digit of eight numbers.  Nothing but multiplications and five memory
 *		accesses for sixteen of them; this is as fast as the multiplier allows.
 *	-	one product (mul): the digits of one operand and of the modulus are
 *		spread over vectors, the other operand and the quotient are broadcast
 *		digit by digit.
 *
 * Montgomery reduction with R = 2^(52·D) for D digits and R > 4·M: for a, b < 2M
 * the result (a·b + q·M)/R with q < R is below (4M² + R·M)/R < 2M, so that no
 * result is ever subtracted from.  M is the modulus m or, where one product is
 * wanted, the multiple of m that is -1 modulo 2^52: then a quotient digit is the
 * low digit of the sum as it stands.
 */
#include "mont.h"

#define DIGIT_BITS	52
#define LANES		8

/* Eight numbers at once: digit i of all of them stands in words 8·i … 8·i + 7. */
static void
scatter8(int words, mp_limb_t *const *residues, const mp_limb_t *a8)
{
	for (int i = 0; i < words; i++)
		for (int lane = 0; lane < LANES; lane++)
			residues[lane][i] = a8[LANES * i + lane];
}

#ifdef __x86_64__

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* The target stands here, so that no compiler flags are needed. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define DIGIT_MASK	((UINT64_C(1) << DIGIT_BITS) - 1)
#define MAX_VECTORS (PAILLIER_MAX_WORDS / LANES)

typedef __m512i vector;
typedef unsigned __int128 wide;

#define LO(sum, a, b)	_mm512_madd52lo_epu64(sum, a, b)
#define HI(sum, a, b)	_mm512_madd52hi_epu64(sum, a, b)
#define ADD(a, b)		_mm512_add_epi64(a, b)
#define ZERO			_mm512_setzero_si512()
#define ALL(x)			_mm512_set1_epi64((long long) (x))

/* Memory of the caller's is aligned to 8 bytes; ours within it to 64. */
ALWAYS_INLINE vector
get(const mp_limb_t *p)
{
	return _mm512_loadu_si512(p);
}

ALWAYS_INLINE void
put(mp_limb_t *p, vector x)
{
	_mm512_storeu_si512(p, x);
}

ALWAYS_INLINE mp_limb_t *
aligned(const mp_limb_t *p)
{
	return (mp_limb_t *) (((uintptr_t) p + 63) & ~(uintptr_t) 63);
}

static bool
available(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("bmi2");
}

/*
 * Two bits above M for R > 4M.  The multiple of m is up to 52 bits longer, and
 * one product wants whole vectors; eight products want groups of four digits,
 * two at least.
 */
static int
words(int bits, bool only_eight)
{
	int			groups = (bits + 2 + 4 * DIGIT_BITS - 1) / (4 * DIGIT_BITS);

	if (only_eight)
		return groups < 2 ? 2 * 4 : groups * 4;
	return (bits + 2 + DIGIT_BITS + LANES * DIGIT_BITS - 1) / (LANES * DIGIT_BITS) * LANES;
}

/* ---- digits and limbs ---- */

/* {limbs, size} in digits, `words` of them. */
static void
split(mp_limb_t *out, int words, const mp_limb_t *limbs, int size)
{
	for (int i = 0, at = 0; i < words; i++, at += DIGIT_BITS)
	{
		int			limb = at / 64;
		int			shift = at % 64;
		mp_limb_t	digit = limb < size ? limbs[limb] >> shift : 0;

		if (shift > 64 - DIGIT_BITS && limb + 1 < size)
			digit |= limbs[limb + 1] << (64 - shift);
		out[i] = digit & DIGIT_MASK;
	}
}

/*
 * Eight digits are 416 bits, or 52 bytes: the vector of digits 8j … 8j + 7 comes
 * from the 64 bytes at 52·j, of which the last may lie beyond the number.
 */
static void
load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs)
{
	/* digit d starts in word 52·d/64 of the eight, at bit 52·d mod 64 */
	const vector low_word = _mm512_setr_epi64(0, 0, 1, 2, 3, 4, 4, 5);
	const vector high_word = _mm512_setr_epi64(1, 1, 2, 3, 4, 5, 5, 6);
	const vector right = _mm512_setr_epi64(0, 52, 40, 28, 16, 4, 56, 44);
	const vector left = _mm512_setr_epi64(64, 12, 24, 36, 48, 60, 8, 20);
	const vector mask = ALL(DIGIT_MASK);
	const char *bytes = (const char *) limbs;
	int			rest = 8 * ctx->limbs;

	for (int i = 0; i < ctx->words; i += LANES, bytes += 52, rest -= 52)
	{
		__mmask64	inside = rest >= 64 ? ~(__mmask64) 0 : rest <= 0 ? 0 : ((__mmask64) 1 << rest) - 1;
		vector		x = _mm512_maskz_loadu_epi8(inside, bytes);
		vector		digits = _mm512_and_si512(_mm512_or_si512(_mm512_srlv_epi64(_mm512_permutexvar_epi64(low_word, x), right),
															  _mm512_sllv_epi64(_mm512_permutexvar_epi64(high_word, x), left)),
											  mask);

		if (i + LANES <= ctx->words)
			put(out + i, digits);
		else
			_mm512_mask_storeu_epi64(out + i, (__mmask8) ((1 << (ctx->words - i)) - 1), digits);
	}
}

/* A residue is below 2M, which is at most 53 bits longer than m. */
static void
join(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a)
{
	int			size = ctx->limbs + 2;

	mpn_zero(number, size);
	for (int i = 0, at = 0; i < ctx->words && at / 64 < size; i++, at += DIGIT_BITS)
	{
		number[at / 64] |= a[i] << (at % 64);
		if (at % 64 > 64 - DIGIT_BITS && at / 64 + 1 < size)
			number[at / 64 + 1] |= a[i] >> (64 - at % 64);
	}
}

/*
 * Copies of a number moved up by 0 to 7 lanes: copy s of vector j stands at
 * shifted[(8·j + s)·8], for j = 0 … vectors.  A move by 8 is copy 0 of vector j - 1.
 */
ALWAYS_INLINE void
shift_copies(mp_limb_t *shifted, const mp_limb_t *digits, int vectors)
{
	vector		before = ZERO;

	for (int j = 0; j <= vectors; j++)
	{
		vector		here = j < vectors ? get(digits + LANES * j) : ZERO;
		vector	   *copy = (vector *) (shifted + 64 * j);

		copy[0] = here;
		copy[1] = _mm512_alignr_epi64(here, before, 7);
		copy[2] = _mm512_alignr_epi64(here, before, 6);
		copy[3] = _mm512_alignr_epi64(here, before, 5);
		copy[4] = _mm512_alignr_epi64(here, before, 4);
		copy[5] = _mm512_alignr_epi64(here, before, 3);
		copy[6] = _mm512_alignr_epi64(here, before, 2);
		copy[7] = _mm512_alignr_epi64(here, before, 1);
		before = here;
	}
}

static void
init(paillier_mont *ctx, mp_limb_t *scratch)
{
	int			size = ctx->limbs;
	mp_limb_t  *multiple = scratch;

	/* m·(-1/m mod 2^52) is -1 modulo 2^52 */
	mpn_copyi(multiple, ctx->m, size);
	if (ctx->words % LANES == 0 && ctx->words == words(mpn_sizeinbase(ctx->m, size, 2), false))
	{
		multiple[size] = mpn_mul_1(multiple, ctx->m, size, ctx->neg_inv);
		size += multiple[size] != 0;
		ctx->neg_inv = 1;
	}
	split(ctx->digits, ctx->words, multiple, size);
	if (ctx->neg_inv == 1)
		shift_copies(aligned(ctx->shifted), ctx->digits, ctx->words / LANES);
}

/* ---- one product ---- */

/* Broadcast digits 0 … 7 of a number. */
typedef struct eight
{
	vector		digit[8];
} eight;

ALWAYS_INLINE eight
broadcast(const mp_limb_t *digits)
{
	eight		all;

#pragma GCC unroll 8
	for (int s = 0; s < 8; s++)
		all.digit[s] = ALL(digits[s]);
	return all;
}

/*
 * sum + what eight digits of one number times the other contribute to a vector
 * of columns, the other in shifted copies: low halves of copy s, high halves,
 * which count one column further up, of copy s + 1.  The first vector has
 * nothing below it.
 */
ALWAYS_INLINE vector
multiply_column(vector sum, const mp_limb_t *copies, bool first, eight by)
{
	const vector *copy = (const vector *) copies;
	vector		high = ZERO;

#pragma GCC unroll 8
	for (int s = 0; s < 8; s++)
	{
		sum = LO(sum, copy[s], by.digit[s]);
		if (s > 0)
			high = HI(high, copy[s], by.digit[s - 1]);
	}
	if (!first)
		high = HI(high, copy[-8], by.digit[7]);
	return ADD(sum, high);
}

/* Two chains of each half instead of one: for what others wait for. */
ALWAYS_INLINE vector
multiply_column_quickly(const mp_limb_t *copies, bool first, const mp_limb_t *by)
{
	const vector *copy = (const vector *) copies;
	vector		low[2] = {ZERO, ZERO};
	vector		high[2] = {ZERO, ZERO};

#pragma GCC unroll 8
	for (int s = 0; s < 8; s++)
	{
		low[s & 1] = LO(low[s & 1], copy[s], ALL(by[s]));
		if (s > 0)
			high[s & 1] = HI(high[s & 1], copy[s], ALL(by[s - 1]));
	}
	if (!first)
		high[0] = HI(high[0], copy[-8], ALL(by[7]));
	return ADD(ADD(low[0], low[1]), ADD(high[0], high[1]));
}

/*
 * Columns (each below 2^63) to digits.  After one round of carries a lane is
 * at most 2^52 + 2^11, so that it passes on a carry of 1 or none; which lanes get
 * one is found by adding, as numbers with a bit a lane, those that make a carry
 * to those that pass one on.
 */
ALWAYS_INLINE void
carry_digits(mp_limb_t *out, vector *sum, int vectors)
{
	const vector mask = ALL(DIGIT_MASK);
	vector		before = ZERO;
	unsigned	carry = 0;

#pragma GCC unroll 16
	for (int j = 0; j < vectors; j++)
	{
		vector		high = _mm512_srli_epi64(sum[j], DIGIT_BITS);
		vector		x = ADD(_mm512_and_si512(sum[j], mask), _mm512_alignr_epi64(high, before, 7));
		unsigned	makes = _mm512_cmpgt_epu64_mask(x, mask);
		unsigned	passes = _mm512_cmpeq_epi64_mask(x, mask);
		unsigned	total = ((makes << 1) | carry) + passes;

		before = high;
		carry = total >> 8;
		x = _mm512_mask_add_epi64(x, (__mmask8) (total ^ passes), x, ALL(1));
		put(out + LANES * j, _mm512_and_si512(x, mask));
	}
}

/* The order of instructions below is meant: nothing moves over this. */
#define IN_ORDER __asm__ volatile("" ::: "memory")

/*
 * A part of the vectors' work on a block: columns 2 … vectors times the
 * quotient digits in *by, which moves them down, then columns 1 … vectors times
 * the digits of b.  In the first block there is no quotient yet.
 */
ALWAYS_INLINE void
multiply_share(vector *sum, const int vectors, bool reduce, eight *by, const mp_limb_t *copies, const mp_limb_t *m,
			   const mp_limb_t *b, const int from, const int to)
{
#pragma GCC unroll 32
	for (int part = from; part < to; part++)
	{
		if (part < vectors - 1)
		{
			if (reduce)
				sum[part + 1] = multiply_column(sum[part + 2], m + 64 * (part + 2), false, *by);
		}
		else
		{
			int			j = part - vectors + 2;

			if (j == 1)
			{
				sum[vectors] = ZERO;
				*by = broadcast(b);
			}
			sum[j] = multiply_column(sum[j], copies + 64 * j, false, *by);
		}
	}
}

/*
 * out = a·b/R for M ≡ -1 mod 2^52, in blocks of eight digits of b.
 *
 * A block k adds a·b_k to the columns, then q_k·M so that the eight lowest
 * columns vanish, and moves the columns down by a vector.  q_k follows from the
 * eight lowest columns alone, by ordinary arithmetic, digit by digit: with M_0 =
 * 2^52 - 1 the digit q_i is that of column i, and adding q_i·M_0 to the column
 * carries (column >> 52) + q_i on.  This takes about as long as half of the
 * multiplications of a block, so the loop is turned: while q_k is being found the
 * vectors multiply by q_(k-1) and then by b_k.  Their work is laid out between
 * the steps for q_k, because the processor looks ahead by some hundred
 * instructions only.
 *
 * Bounds: a column gets 32 halves of products a block while it moves down
 * through all vectors, at most 41·2^57 < 2^62.4.  Columns 1 to 6 of q_k gather up
 * to 7 whole products of 104 bits; in column 7 the high halves are left to the
 * vectors.
 */
ALWAYS_INLINE void
multiply(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch,
		 const int vectors)
{
	const mp_limb_t *m = aligned(ctx->shifted);
	const mp_limb_t *n = ctx->digits;
	mp_limb_t  *copies = aligned(scratch);
	const int	parts = 2 * vectors - 1;
	vector		sum[MAX_VECTORS + 1];
	mp_limb_t	lowest[8] __attribute__((aligned(64)));
	mp_limb_t	q[8] __attribute__((aligned(64))) = {0};
	mp_limb_t	carry = 0;
	eight		by;

	shift_copies(copies, a, vectors);
#pragma GCC unroll 16
	for (int j = 0; j <= vectors; j++)
		sum[j] = ZERO;

	for (int k = 0; k < vectors; k++)
	{
		wide		column[7];
		mp_limb_t	column7;
		vector		low = multiply_column_quickly(copies, true, b + LANES * k);

		if (k > 0)
		{
			low = ADD(low, ADD(sum[1], multiply_column_quickly(m + 64, false, q)));
			by = broadcast(q);
		}
		_mm512_store_si512(lowest, low);
#pragma GCC unroll 8
		for (int i = 0; i < 7; i++)
			column[i] = lowest[i];
		column7 = lowest[7];
		column[0] += carry;

#pragma GCC unroll 9
		for (int i = 0; i <= 8; i++)
		{
			multiply_share(sum, vectors, k > 0, &by, copies, m, b + LANES * k, parts * i / 10,
						   i < 8 ? parts * (i + 1) / 10 : parts);
			IN_ORDER;
			if (i == 8)
				break;
			if (i < 7)
			{
				mp_limb_t	digit = (mp_limb_t) column[i] & DIGIT_MASK;
				mp_limb_t	up = (mp_limb_t) (column[i] >> 64) << (64 - DIGIT_BITS) | (mp_limb_t) column[i] >> DIGIT_BITS;

				q[i] = digit;
				if (i < 6)
					column[i + 1] += up + digit;
				else
					column7 += up + digit;
#pragma GCC unroll 8
				for (int j = i + 1; j < 7; j++)
					column[j] += (wide) n[j - i] * digit;
				column7 += n[7 - i] * digit & DIGIT_MASK;
			}
			else
			{
				q[7] = column7 & DIGIT_MASK;
				carry = (column7 >> DIGIT_BITS) + (q[7] != 0);
			}
			IN_ORDER;
		}
	}

	by = broadcast(q);
#pragma GCC unroll 16
	for (int j = 1; j <= vectors; j++)
		sum[j - 1] = multiply_column(sum[j], m + 64 * j, false, by);
	sum[0] = ADD(sum[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long) carry)));
	carry_digits(out, sum, vectors);
}

/* The sizes of keys of 2048, 3072 and 4096 bits are compiled for themselves. */
static void
mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	switch (ctx->words / LANES)
	{
		case 10:
			multiply(ctx, out, a, b, scratch, 10);
			break;
		case 15:
			multiply(ctx, out, a, b, scratch, 15);
			break;
		default:
			multiply(ctx, out, a, b, scratch, ctx->words / LANES);
	}
}

static void
sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	mul(ctx, out, a, a, scratch);
}

/* ---- selection ---- */

/* Of each vector all sixteen are read, and those of the others are masked away. */
static void
select_entry(mp_limb_t *out, const mp_limb_t *table, int size, int index)
{
	vector		chosen[16];

#pragma GCC unroll 16
	for (int entry = 0; entry < 16; entry++)
		chosen[entry] = _mm512_movm_epi64(_mm512_cmpeq_epi64_mask(ALL(index), ALL(entry)));
	for (int i = 0; i < size; i += LANES)
	{
		vector		x = ZERO;

		/* x | (entry & chosen) */
#pragma GCC unroll 16
		for (int entry = 0; entry < 16; entry++)
			x = _mm512_ternarylogic_epi64(x, get(table + entry * size + i), chosen[entry], 0xf8);
		put(out + i, x);
	}
}

/* ---- eight products ---- */

/* Transpose 8 × 8 words, by 1, 2 and 4 places. */
ALWAYS_INLINE void
transpose(vector *x)
{
	vector		y[8];

#pragma GCC unroll 4
	for (int i = 0; i < 8; i += 2)
	{
		y[i] = _mm512_unpacklo_epi64(x[i], x[i + 1]);
		y[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 1]);
	}
#pragma GCC unroll 2
	for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
		for (int j = 0; j < 2; j++)
		{
			const vector low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
			const vector high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);

			x[i + j] = _mm512_permutex2var_epi64(y[i + j], low, y[i + j + 2]);
			x[i + j + 2] = _mm512_permutex2var_epi64(y[i + j], high, y[i + j + 2]);
		}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		y[i] = _mm512_shuffle_i64x2(x[i], x[i + 4], 0x44);
		y[i + 4] = _mm512_shuffle_i64x2(x[i], x[i + 4], 0xee);
	}
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		x[i] = y[i];
}

static void
gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues)
{
	int			i;

	for (i = 0; i + LANES <= ctx->words; i += LANES)
	{
		vector		x[8];

#pragma GCC unroll 8
		for (int lane = 0; lane < LANES; lane++)
			x[lane] = get(residues[lane] + i);
		transpose(x);
#pragma GCC unroll 8
		for (int lane = 0; lane < LANES; lane++)
			put(out8 + LANES * (i + lane), x[lane]);
	}
	for (; i < ctx->words; i++)
		for (int lane = 0; lane < LANES; lane++)
			out8[LANES * i + lane] = residues[lane][i];
}

/* Four digits of eight numbers. */
typedef struct four
{
	vector		digit[4];
} four;

ALWAYS_INLINE four
get_four(const mp_limb_t *a8)
{
	four		x;

#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		x.digit[i] = get(a8 + LANES * i);
	return x;
}

/* Where vectors stand on cache lines: a8, or a copy of it, for what is read many times. */
ALWAYS_INLINE const mp_limb_t *
on_lines(const mp_limb_t *a8, mp_limb_t *copy, int digits)
{
	if ((uintptr_t) a8 % sizeof(vector) == 0)
		return a8;
	for (int i = 0; i < LANES * digits; i += LANES)
		put(copy + i, get(a8 + i));
	return copy;
}

/*
 * The digits that columns j … j + columns - 1 take: a_(j-4) … a_(j+columns-1), of
 * eight numbers, or of the modulus in all lanes.
 */
ALWAYS_INLINE void
get_window(vector *window, const mp_limb_t *a8, const mp_limb_t *n, int j, const int columns)
{
#pragma GCC unroll 12
	for (int i = 0; i < columns + 4; i++)
		window[i] = a8 != NULL ? get(a8 + LANES * (j - 4 + i)) : ALL(n[j - 4 + i]);
}

/*
 * The eight halves of products that fall into each of some columns: low halves of
 * a_(j+c)·b_0, a_(j+c-1)·b_1, …, high halves of a_(j+c-1)·b_0, a_(j+c-2)·b_1, ….
 * Column by column, because the sum of each waits for itself: eight keep both
 * multipliers busy.
 */
ALWAYS_INLINE void
add_columns(vector *sum, const vector *window, four by, const int columns)
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
#pragma GCC unroll 8
		for (int c = 0; c < columns; c++)
			sum[c] = LO(sum[c], window[4 + c - i], by.digit[i]);
#pragma GCC unroll 8
		for (int c = 0; c < columns; c++)
			sum[c] = HI(sum[c], window[3 + c - i], by.digit[i]);
	}
}

/* The same for column c of the first four, of which only a part exists, and so many digits of b. */
ALWAYS_INLINE vector
add_first_columns(vector sum, const vector *a, four by, int c, int digits)
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		if (i < digits && c - i >= 0)
			sum = LO(sum, a[c - i], by.digit[i]);
		if (i < digits && c - i >= 1)
			sum = HI(sum, a[c - i - 1], by.digit[i]);
	}
	return sum;
}

/* The four columns above the highest digits of a. */
ALWAYS_INLINE void
add_last_columns(vector *sum, const vector *highest, four by)
{
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
#pragma GCC unroll 4
		for (int i = c; i < 4; i++)
		{
			if (i > c)
				sum[c] = LO(sum[c], highest[4 + c - i], by.digit[i]);
			sum[c] = HI(sum[c], highest[3 + c - i], by.digit[i]);
		}
}

/*
 * Quotient digit c of four, which clears column c; low[c] is that column without
 * what the digits before add to it.  A digit waits for the one before, so other
 * work is laid between them.
 */
typedef struct quotient
{
	four		digits;
	vector		low[4];
	vector		carry;
} quotient;

ALWAYS_INLINE void
quotient_digit(quotient *q, int c, const mp_limb_t *n, vector neg_inv)
{
	vector		m[4];
	vector		sum;

#pragma GCC unroll 4
	for (int i = 0; i <= c; i++)
		m[i] = ALL(n[i]);
	sum = add_first_columns(q->low[c], m, q->digits, c, c);
	if (c > 0)
		sum = ADD(sum, q->carry);
	q->digits.digit[c] = LO(ZERO, sum, neg_inv);
	q->carry = _mm512_srli_epi64(LO(sum, m[0], q->digits.digit[c]), DIGIT_BITS);
}

/* Columns to digits, one carry after the other. */
ALWAYS_INLINE void
carry_columns(mp_limb_t *out8, const vector *t, int words)
{
	const vector mask = ALL(DIGIT_MASK);
	vector		carry = ZERO;

	for (int i = 0; i < words; i++)
	{
		vector		sum = ADD(t[i], carry);

		put(out8 + LANES * i, _mm512_and_si512(sum, mask));
		carry = _mm512_srli_epi64(sum, DIGIT_BITS);
	}
}

/* The products of four digits of a and b go into the columns that give the quotient. */
ALWAYS_INLINE void
multiply_low(quotient *q, const mp_limb_t *a8, const mp_limb_t *b8)
{
	four		a = get_four(a8);
	four		b = get_four(b8);

#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
		q->low[c] = add_first_columns(q->low[c], a.digit, b, c, 4);
}

/* Columns j … j + columns - 1 of a sweep. */
ALWAYS_INLINE void
sweep_columns(vector *out, const vector *t, const mp_limb_t *a8, const mp_limb_t *n, four b, four q, int j,
			  const int columns)
{
	vector		sum[8];
	vector		window[12];

#pragma GCC unroll 8
	for (int c = 0; c < columns; c++)
		sum[c] = t[j + c];
	if (a8 != NULL)
	{
		get_window(window, a8, NULL, j, columns);
		add_columns(sum, window, b, columns);
	}
	get_window(window, NULL, n, j, columns);
	add_columns(sum, window, q, columns);
#pragma GCC unroll 8
	for (int c = 0; c < columns; c++)
		out[j + c] = sum[c];
}

/*
 * Out of columns t make columns out, from the fourth on: add four digits of the
 * quotient times M, and of b times a unless a8 is NULL.
 *
 * The digits of the quotient are a chain of dependent multiplications.  Those of
 * the next sweep are found as soon as the columns that they depend on are there,
 * between other columns, which keep the multipliers busy.
 */
ALWAYS_INLINE void
sweep(const paillier_mont *ctx, vector *out, vector *t, const mp_limb_t *a8, const mp_limb_t *b8,
	  const mp_limb_t *next_b8, quotient *next)
{
	const int	digits = ctx->words;
	const mp_limb_t *n = ctx->digits;
	const vector neg_inv = ALL(ctx->neg_inv);
	const four	q = next->digits;
	four		b = q;
	vector		highest[4];
	int			j = 8;

	if (a8 != NULL)
		b = get_four(b8);
	t[4] = ADD(t[4], next->carry);
	sweep_columns(out, t, a8, n, b, q, 4, 4);
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
		next->low[c] = out[4 + c];
	if (a8 != NULL)
		multiply_low(next, a8, next_b8);
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
	{
		if (j + 8 <= digits)
		{
			sweep_columns(out, t, a8, n, b, q, j, 8);
			j += 8;
		}
		quotient_digit(next, c, n, neg_inv);
	}
	for (; j + 8 <= digits; j += 8)
		sweep_columns(out, t, a8, n, b, q, j, 8);
	if (j < digits)
		sweep_columns(out, t, a8, n, b, q, j, 4);

#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
		out[digits + c] = t[digits + c];
	if (a8 != NULL)
		add_last_columns(out + digits, get_four(a8 + LANES * (digits - 4)).digit, b);
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		highest[i] = ALL(n[digits - 4 + i]);
	add_last_columns(out + digits, highest, q);
}

/* The quotient of the first sweep. */
ALWAYS_INLINE void
first_quotient(const paillier_mont *ctx, quotient *first)
{
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
		quotient_digit(first, c, ctx->digits, ALL(ctx->neg_inv));
}

/*
 * Four digits of b a sweep: their products go into the columns together with
 * those of four quotient digits, and the columns move down by four.
 *
 * Bounds: a column gets 16 halves a sweep over at most 80 sweeps, and a carry:
 * below 2^62.4.
 */
static void
mul8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8, mp_limb_t *scratch)
{
	const int	digits = ctx->words;
	vector	   *t = (vector *) aligned(scratch) + 4;
	quotient	next = {.low = {ZERO, ZERO, ZERO, ZERO}};

	a8 = on_lines(a8, (mp_limb_t *) (t + digits + 4), digits);
	for (int i = 0; i < digits + 4; i++)
		t[i] = ZERO;
	multiply_low(&next, a8, b8);
	first_quotient(ctx, &next);
	for (int row = 0; row < digits; row += 4)
		sweep(ctx, t - 4, t, a8, b8 + LANES * row, b8 + LANES * (row + 4 < digits ? row + 4 : 0), &next);
	carry_columns(out8, t, digits);
}

/* t = a² in 2·D columns: the products of different digits once, doubled, and the squares of digits. */
ALWAYS_INLINE void
square_columns(vector *t, const mp_limb_t *a8, const int digits)
{
	for (int row = 0; row < digits; row += 4)
	{
		four		a = get_four(a8 + LANES * row);
		vector		sum[8] = {ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO};

#pragma GCC unroll 4
		for (int j = 1; j < 4; j++)
#pragma GCC unroll 4
			for (int i = 0; i < j; i++)
			{
				sum[i + j] = LO(sum[i + j], a.digit[j], a.digit[i]);
				sum[i + j + 1] = HI(sum[i + j + 1], a.digit[j], a.digit[i]);
			}
#pragma GCC unroll 8
		for (int c = 0; c < 8; c++)
			t[2 * row + c] = sum[c];
	}
	for (int row = 0; row + 4 < digits; row += 4)
	{
		four		b = get_four(a8 + LANES * row);
		four		above = get_four(a8 + LANES * (row + 4));
		vector		window[12];
		int			j;

#pragma GCC unroll 4
		for (int c = 0; c < 4; c++)
			t[2 * row + 4 + c] = add_first_columns(t[2 * row + 4 + c], above.digit, b, c, 4);
		for (j = row + 8; j + 8 <= digits; j += 8)
		{
			get_window(window, a8, NULL, j, 8);
			add_columns(t + row + j, window, b, 8);
		}
		if (j < digits)
		{
			get_window(window, a8, NULL, j, 4);
			add_columns(t + row + j, window, b, 4);
		}
		add_last_columns(t + row + digits, get_four(a8 + LANES * (digits - 4)).digit, b);
	}
	for (int i = 0; i < digits; i++)
	{
		vector		x = get(a8 + LANES * i);

		t[2 * i] = LO(ADD(t[2 * i], t[2 * i]), x, x);
		t[2 * i + 1] = HI(ADD(t[2 * i + 1], t[2 * i + 1]), x, x);
	}
}

/*
 * The square, then the sweeps of mul8 for the quotient alone, over columns that
 * stand still.
 *
 * Bounds: doubled columns stay below those of mul8, 2·D halves each.
 */
static void
sqr8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch)
{
	const int	digits = ctx->words;
	vector	   *t = (vector *) aligned(scratch);
	quotient	next;

	square_columns(t, on_lines(a8, (mp_limb_t *) (t + 2 * digits), digits), digits);
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
		next.low[c] = t[c];
	first_quotient(ctx, &next);
	for (int row = 0; row < digits; row += 4)
		sweep(ctx, t + row, t + row, NULL, NULL, NULL, &next);
	carry_columns(out8, t + digits, digits);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const paillier_kernel paillier_kernel_avx512ifma = {
	.name = "avx512ifma",
	.digit_bits = DIGIT_BITS,
	.available = available,
	.words = words,
	.init = init,
	.load = load,
	.join = join,
	.mul = mul,
	.sqr = sqr,
	.select = select_entry,
	.gather8 = gather8,
	.scatter8 = scatter8,
	.mul8 = mul8,
	.sqr8 = sqr8,
};

#else							/* other processors */

static bool
available(void)
{
	return false;
}

const paillier_kernel paillier_kernel_avx512ifma = {
	.name = "avx512ifma",
	.digit_bits = DIGIT_BITS,
	.available = available,
	.scatter8 = scatter8,
};

#endif
