/*
 * mont_ifma1.c
 *		The kernel for processors with AVX-512 IFMA: one residue at a time.
 *
 * The digits of one number lie in the lanes of vectors.  One operand of a
 * product is there in copies that are moved up by 0 to 7 lanes, the other is
 * broadcast digit by digit.  No digit waits for the one before: quotients are
 * products with -1/n, of which only the columns below S are needed, and of the
 * products with n that they clear the columns below S with, only those above.
 */
#include <string.h>

#include "mont_ifma.h"

#ifdef __x86_64__

IFMA_BEGIN

/* ---- digits and limbs ---- */

/*
 * Eight digits are 416 bits, or 52 bytes: digits 8j … 8j + 7 of the number
 * {limbs, size} / 2^shift come from the 64 bytes at shift/8 + 52·j, of which the
 * last may lie beyond it.
 */
ALWAYS_INLINE void
split(mp_limb_t *digits, int vectors, const mp_limb_t *limbs, int size, int shift)
{
	const vector start = ADD(_mm512_setr_epi64(0, 52, 104, 156, 208, 260, 312, 364), ALL(shift % 8));
	const vector low_word = _mm512_srli_epi64(start, 6);
	const vector high_word = ADD(low_word, ALL(1));
	const vector right = _mm512_and_si512(start, ALL(63));
	const vector left = _mm512_sub_epi64(ALL(64), right);
	const vector mask = ALL(DIGIT_MASK);
	const char *bytes = (const char *) limbs + shift / 8;
	int			rest = 8 * size - shift / 8;

	for (int j = 0; j < vectors; j++, bytes += 52, rest -= 52)
	{
		__mmask64	inside = rest >= 64 ? ~(__mmask64) 0 : rest <= 0 ? 0 : ((__mmask64) 1 << rest) - 1;
		vector		x = _mm512_maskz_loadu_epi8(inside, bytes);

		x = _mm512_or_si512(_mm512_srlv_epi64(_mm512_permutexvar_epi64(low_word, x), right),
							_mm512_sllv_epi64(_mm512_permutexvar_epi64(high_word, x), left));
		PUT(digits + LANES * j, _mm512_and_si512(x, mask));
	}
}

/* {limbs, size} = the number of digits in so many vectors, whose bits beyond that are zero. */
ALWAYS_INLINE void
unite(mp_limb_t *limbs, int size, const vector *digits, int vectors)
{
	/* bits 64·w … of seven words: from the digit that bit is in, and the two above it */
	const vector first = _mm512_setr_epi64(0, 1, 2, 3, 4, 6, 7, 7);
	const vector right = _mm512_setr_epi64(0, 12, 24, 36, 48, 8, 20, 64);
	const vector left = _mm512_sub_epi64(ALL(DIGIT_BITS), right);
	const vector left_next = ADD(left, ALL(DIGIT_BITS));
	char	   *bytes = (char *) limbs;
	int			rest = 8 * size;

	for (int j = 0; j < vectors && rest > 0; j++, bytes += 52, rest -= 52)
	{
		__mmask64	inside = rest >= 52 ? ((__mmask64) 1 << 52) - 1 : ((__mmask64) 1 << rest) - 1;
		vector		x = _mm512_srlv_epi64(_mm512_permutexvar_epi64(first, digits[j]), right);
		vector		next = _mm512_maskz_permutexvar_epi64(0x3f, ADD(first, ALL(1)), digits[j]);
		vector		after = _mm512_maskz_permutexvar_epi64(0x1f, ADD(first, ALL(2)), digits[j]);

		x = _mm512_or_si512(x, _mm512_sllv_epi64(next, left));
		x = _mm512_or_si512(x, _mm512_sllv_epi64(after, left_next));
		_mm512_mask_storeu_epi8(bytes, inside, x);
	}
	if (rest > 0)
		memset(bytes, 0, rest);
}

/* ---- columns ---- */

/*
 * Numbers of H digits fill `vectors` vectors; where H is not a multiple of 8 the
 * last is half full.
 */
typedef struct shape
{
	int			vectors;
	bool		half;
} shape;

ALWAYS_INLINE int
digits_in(const shape s)
{
	return LANES * s.vectors - (s.half ? LANES / 2 : 0);
}

ALWAYS_INLINE vector
get_vector(const mp_limb_t *digits, int j, const shape s)
{
	return s.half && j == s.vectors - 1 ? _mm512_maskz_loadu_epi64(0x0f, digits + LANES * j) : GET(digits + LANES * j);
}

ALWAYS_INLINE void
put_number(mp_limb_t *digits, const vector *x, const shape s)
{
	for (int j = 0; j < s.vectors - s.half; j++)
		PUT(digits + LANES * j, x[j]);
	if (s.half)
		_mm512_mask_storeu_epi64(digits + LANES * (s.vectors - 1), 0x0f, x[s.vectors - 1]);
}

/*
 * Copies of a number moved up by 0 to 7 lanes: copy s of vector j stands at
 * copies[(8·j + s)·8], for j = 0 … vectors.  A move by 8 is copy 0 of vector j - 1.
 */
ALWAYS_INLINE void
make_copies(mp_limb_t *copies, const mp_limb_t *digits, const shape s)
{
	vector		before = ZERO;

	for (int j = 0; j <= s.vectors; j++)
	{
		vector		here = j < s.vectors ? get_vector(digits, j, s) : ZERO;
		vector	   *copy = (vector *) (copies + 64 * j);

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

/* Broadcast digits of a number. */
typedef struct eight
{
	vector		digit[8];
} eight;

ALWAYS_INLINE eight
broadcast(const mp_limb_t *digits, const int count)
{
	eight		all;

#pragma GCC unroll 8
	for (int s = 0; s < count; s++)
		all.digit[s] = ALL(digits[s]);
	return all;
}

/*
 * sum + what `count` digits, 4 or 8, of one number times the other contribute to
 * a vector of columns, the other in copies: low halves of copy s, high halves,
 * which count one column further up, of copy s + 1.  The first vector has nothing
 * below it.
 */
ALWAYS_INLINE vector
add_column(vector sum, const mp_limb_t *copies, bool first, const eight *by, const int count)
{
	const vector *copy = (const vector *) copies;
	vector		high = ZERO;

#pragma GCC unroll 8
	for (int s = 0; s < count; s++)
	{
		sum = LO(sum, copy[s], by->digit[s]);
		if (s < 7)
			high = HI(high, copy[s + 1], by->digit[s]);
		else if (!first)
			high = HI(high, copy[-8], by->digit[7]);
	}
	return ADD(sum, high);
}

/* Vectors from … to - 1 of columns: sum[0] is vector `from`.  The digits of b are those of a whole number. */
ALWAYS_INLINE void
add_product(vector *sum, const int from, const int to, const mp_limb_t *copies, const mp_limb_t *b, const shape s)
{
	for (int k = 0; k < s.vectors; k++)
	{
		const int	count = s.half && k == s.vectors - 1 ? 4 : 8;
		eight		by = broadcast(b + LANES * k, count);

		for (int j = from > k ? from - k : 0; j <= s.vectors; j++)
			if (j + k < to)
				sum[j + k - from] = add_column(sum[j + k - from], copies + 64 * j, j == 0, &by, count);
	}
}

/*
 * Columns (each below 2^63) to digits.  Returns, in lane 0, what is carried out.
 *
 * After one round of carries a lane is at most 2^52 + 2^11, so that it passes on
 * a carry of 1 or none; which lanes get one is found by adding, as numbers with
 * a bit a lane, those that make a carry to those that pass one on.
 */
ALWAYS_INLINE vector
carry(vector *sum, const int vectors)
{
	const vector mask = ALL(DIGIT_MASK);
	vector		before = ZERO;
	unsigned	bit = 0;

	for (int j = 0; j < vectors; j++)
	{
		vector		high = _mm512_srli_epi64(sum[j], DIGIT_BITS);
		vector		x = ADD(_mm512_and_si512(sum[j], mask), _mm512_alignr_epi64(high, before, 7));
		unsigned	makes = _mm512_cmpgt_epu64_mask(x, mask);
		unsigned	passes = _mm512_cmpeq_epi64_mask(x, mask);
		unsigned	total = ((makes << 1) | bit) + passes;

		before = high;
		bit = total >> 8;
		x = _mm512_mask_add_epi64(x, (__mmask8) (total ^ passes), x, ALL(1));
		sum[j] = _mm512_and_si512(x, mask);
	}
	return _mm512_mask_add_epi64(ZERO, 1, _mm512_alignr_epi64(ZERO, before, 7), ALL(bit));
}

/* Where the columns from S on begin within the vectors of a product: in this vector, lane 4 if half. */
#define HIGH(s)			((s).vectors - (s).half)

/* Vector j of the columns from S on, for `high` the vectors from HIGH on. */
ALWAYS_INLINE vector
high_vector(const vector *high, int j, const shape s)
{
	return s.half ? _mm512_alignr_epi64(high[j + 1], high[j], 4) : high[j];
}

/* ---- products ---- */

/*
 * What the columns below S of t + q·n, which make a multiple of S, carry into the
 * one above them.  All of it goes through column H - 1: what that holds, and what
 * is carried into it, which is less than 2^52 and makes it a multiple of 2^52.
 */
ALWAYS_INLINE vector
carry_of_multiple(const paillier_mont *ctx, const vector *t, const vector *q, const shape s)
{
	const mp_limb_t *n = constant_digits(ctx, BACKWARD);
	const mp_limb_t *next = constant_digits(ctx, BACKWARD_NEXT);
	const int	last = s.vectors - 1;
	vector		sum = _mm512_maskz_mov_epi64(s.half ? 0x08 : 0x80, t[last]);
	vector		high = ZERO;
	mp_limb_t	column;

	for (int j = 0; j < s.vectors; j++)
	{
		sum = LO(sum, q[j], GET(n + LANES * j));
		high = HI(high, q[j], GET(next + LANES * j));
	}
	column = _mm512_reduce_add_epi64(ADD(sum, high));
	return _mm512_zextsi128_si512(_mm_cvtsi64_si128((column + DIGIT_MASK) >> DIGIT_BITS));
}

/* q = -t/n mod S, for digits t. */
ALWAYS_INLINE void
find_quotient(const paillier_mont *ctx, vector *q, const vector *t, const shape s)
{
	for (int j = 0; j < s.vectors; j++)
		q[j] = ZERO;
	add_product(q, 0, s.vectors, constant_copies(ctx, INVERSE), (const mp_limb_t *) t, s);
	(void) carry(q, s.vectors);
}

/*
 * out = (t + q·n)/S; where t has an excess of S, which takes 1 away from the
 * result, plus n.  t is destroyed, z is room for the columns.
 */
ALWAYS_INLINE void
reduce(const paillier_mont *ctx, mp_limb_t *out, vector *t, const vector *q, vector *z, const shape s,
	   const bool excess)
{
	vector		up = carry_of_multiple(ctx, t, q, s);

	add_product(t + HIGH(s), HIGH(s), 2 * s.vectors, constant_copies(ctx, ROOT), (const mp_limb_t *) q, s);
	if (excess)
		up = _mm512_sub_epi64(up, _mm512_maskz_mov_epi64(1, ALL(1)));
	for (int j = 0; j < s.vectors; j++)
	{
		z[j] = ADD(high_vector(t + HIGH(s), j, s), j == 0 ? up : ZERO);
		if (excess)
			z[j] = ADD(z[j], GET(constant_digits(ctx, ROOT) + LANES * j));
	}
	(void) carry(z, s.vectors);
	put_number(out, z, s);
}

/*
 * out = a·b/S.  In a square x1·x0 + x0·x1 is one product, doubled.
 *
 * The second quotient is that of t1 - q0, which is computed as t1 + (S - 1 - q0)
 * + 1 - S.  Since the S that is taken away may make column H negative, n is added
 * from there on: its lowest digit is not 0.
 */
ALWAYS_INLINE void
multiply(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch,
		 const shape s, const bool square)
{
	const int	digits = digits_in(s);
	mp_limb_t  *copies = aligned(scratch);
	vector	   *t0 = (vector *) (copies + 64 * (s.vectors + 1));
	vector	   *t1 = t0 + 2 * s.vectors;
	vector	   *q0 = t1 + 2 * s.vectors;
	vector	   *q1 = q0 + s.vectors;
	vector	   *z = q1 + s.vectors;

	for (int j = 0; j < 2 * s.vectors; j++)
		t0[j] = t1[j] = ZERO;
	make_copies(copies, a, s);
	add_product(t0, 0, 2 * s.vectors, copies, b, s);
	add_product(t1, 0, 2 * s.vectors, copies, b + digits, s);
	t0[s.vectors] = ADD(t0[s.vectors], carry(t0, s.vectors));
	if (square)
		for (int j = 0; j < 2 * s.vectors; j++)
			t1[j] = ADD(t1[j], t1[j]);
	else
	{
		make_copies(copies, a + digits, s);
		add_product(t1, 0, 2 * s.vectors, copies, b, s);
	}
	find_quotient(ctx, q0, t0, s);

	/* t1 := t1 - q0 + S */
	t1[0] = ADD(t1[0], _mm512_maskz_mov_epi64(1, ALL(1)));
	for (int j = 0; j < s.vectors; j++)
		t1[j] = _mm512_mask_add_epi64(t1[j], s.half && j == s.vectors - 1 ? 0x0f : 0xff, t1[j],
									  _mm512_xor_si512(q0[j], ALL(DIGIT_MASK)));
	t1[s.vectors] = ADD(t1[s.vectors], carry(t1, s.vectors));
	find_quotient(ctx, q1, t1, s);

	reduce(ctx, out, t0, q0, z, s, false);
	reduce(ctx, out + digits, t1, q1, z, s, true);
}

/* x0 = c - x1·n and x1, the quotient. */
ALWAYS_INLINE void
divide(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch, const shape s)
{
	mp_limb_t  *high = aligned(scratch);
	vector	   *x0 = (vector *) (high + LANES * s.vectors);
	vector	   *x1 = x0 + s.vectors;
	vector	   *t = x1 + s.vectors; /* one more */

	split(high, s.vectors, limbs, ctx->limbs, division_shift(ctx));
	split((mp_limb_t *) x0, s.vectors, limbs, ctx->limbs, 0);
	for (int j = 0; j <= s.vectors; j++)
		t[j] = ZERO;
	add_product(t, HIGH(s), 2 * s.vectors, constant_copies(ctx, RECIPROCAL), high, s);
	for (int j = 0; j < s.vectors; j++)
		x1[j] = high_vector(t, j, s);
	(void) carry(x1, s.vectors);
	add_product(x0, 0, s.vectors, constant_copies(ctx, MINUS), (const mp_limb_t *) x1, s);
	(void) carry(x0, s.vectors);
	put_number(out, x0, s);
	put_number(out + digits_in(s), x1, s);
}

/* {number, limbs + 2} = x0 + x1·n */
ALWAYS_INLINE void
evaluate(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a, mp_limb_t *scratch, const shape s)
{
	vector	   *t = (vector *) aligned(scratch);

	for (int j = 0; j < 2 * s.vectors; j++)
		t[j] = j < s.vectors ? get_vector(a, j, s) : ZERO;
	add_product(t, 0, 2 * s.vectors, constant_copies(ctx, ROOT), a + digits_in(s), s);
	(void) carry(t, 2 * s.vectors);
	unite(number, ctx->limbs + 2, t, 2 * s.vectors);
}

/* ---- the functions of the kernel ---- */

ALWAYS_INLINE shape
shape_of(const paillier_mont *ctx)
{
	int			digits = digits_of(ctx);

	return (shape) {vectors_of(ctx), digits % LANES != 0};
}

/* Keys of 2048, 3072 and 4096 bits, and the factors of those of 2048, have code of their own. */
#define BY_SHAPE(ctx, call) \
	do { \
		switch (digits_of(ctx)) \
		{ \
			case 20: { const shape s = {3, true}; call; break; } \
			case 40: { const shape s = {5, false}; call; break; } \
			case 60: { const shape s = {8, true}; call; break; } \
			case 80: { const shape s = {10, false}; call; break; } \
			default: { const shape s = shape_of(ctx); call; } \
		} \
	} while (0)

void
paillier_ifma_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b, mp_limb_t *scratch)
{
	BY_SHAPE(ctx, multiply(ctx, out, a, b, scratch, s, false));
}

void
paillier_ifma_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch)
{
	BY_SHAPE(ctx, multiply(ctx, out, a, a, scratch, s, true));
}

void
paillier_ifma_load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch)
{
	BY_SHAPE(ctx, divide(ctx, out, limbs, scratch, s));
}

void
paillier_ifma_remainder(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *limbs, mp_limb_t *scratch)
{
	const shape s = shape_of(ctx);
	mp_limb_t  *pair = scratch;
	vector	   *x0 = (vector *) aligned(pair + ctx->words);

	paillier_ifma_load(ctx, pair, limbs, (mp_limb_t *) x0);
	for (int j = 0; j < s.vectors; j++)
		x0[j] = get_vector(pair, j, s);
	unite(number, ctx->root_limbs + 1, x0, s.vectors);
}

void
paillier_ifma_join(const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a, mp_limb_t *scratch)
{
	BY_SHAPE(ctx, evaluate(ctx, number, a, scratch, s));
}

/* Of each vector all sixteen are read, and those of the others are masked away. */
void
paillier_ifma_select(mp_limb_t *out, const mp_limb_t *table, int size, int index)
{
	vector		chosen[16];

#pragma GCC unroll 16
	for (int entry = 0; entry < 16; entry++)
		chosen[entry] = _mm512_movm_epi64(_mm512_cmpeq_epi64_mask(ALL(index), ALL(entry)));
	for (int i = 0; i < size; i += LANES)
	{
		vector		x = ZERO;

#pragma GCC unroll 16
		for (int entry = 0; entry < 16; entry++)
			x = OR_AND(x, GET(table + entry * size + i), chosen[entry]);
		PUT(out + i, x);
	}
}

/* ---- constants ---- */

void
paillier_ifma_set_constant(paillier_mont *ctx, Constant which, const mp_limb_t *limbs, int size)
{
	mp_limb_t  *digits = constant_digits(ctx, which);
	int			vectors = vectors_of(ctx);

	split(digits, vectors, limbs, size, 0);
	if (digits_of(ctx) % LANES != 0)
		mpn_zero(digits + digits_of(ctx), 4);
	make_copies(constant_copies(ctx, which), digits, (shape) {vectors, false});
}

IFMA_END

#endif
