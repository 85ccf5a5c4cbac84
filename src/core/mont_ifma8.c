/*
 * mont_ifma8.c
 *		The kernel for processors with AVX-512 IFMA: eight residues at once, one to
 *		a lane.
 *
 * Vectors hold the same digit of eight numbers: x0 in the first H vectors, x1 in
 * the others.  Products go by columns, four at a time: what falls into them is
 * added up in registers, so that there is one load for each five or so
 * multiplications, and then gives four digits of the quotients or of the result.
 */
#include "mont_ifma.h"

#ifdef __x86_64__

IFMA_BEGIN

/* ---- eight numbers to and from vectors ---- */

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

/* Word i of all eight at out8[8·i], for {a[0 … 7], count}. */
ALWAYS_INLINE void
gather(mp_limb_t *out8, const mp_limb_t *const *a, int count)
{
	for (int i = 0; i < count; i += LANES)
	{
		__mmask8	inside = count - i < LANES ? (1 << (count - i)) - 1 : 0xff;
		vector		x[8];

#pragma GCC unroll 8
		for (int lane = 0; lane < LANES; lane++)
			x[lane] = _mm512_maskz_loadu_epi64(inside, a[lane] + i);
		transpose(x);
#pragma GCC unroll 8
		for (int j = 0; j < LANES; j++)
			if (inside >> j & 1)
				PUT(out8 + LANES * (i + j), x[j]);
	}
}

void
paillier_ifma_gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues)
{
	gather(out8, residues, ctx->words);
}

/* The words of a residue are a multiple of eight. */
static void
scatter(int words, mp_limb_t *const *residues, const mp_limb_t *a8)
{
	for (int i = 0; i < words; i += LANES)
	{
		vector		x[8];

#pragma GCC unroll 8
		for (int j = 0; j < LANES; j++)
			x[j] = GET(a8 + LANES * (i + j));
		transpose(x);
#pragma GCC unroll 8
		for (int lane = 0; lane < LANES; lane++)
			PUT(residues[lane] + i, x[lane]);
	}
}

/* ---- columns ---- */

/* Sums of low and of high halves for four columns, apart, so that more of them can be worked on at once. */
typedef struct columns
{
	vector		low[4];
	vector		high[4];
} columns;

ALWAYS_INLINE columns
no_columns(void)
{
	return (columns) {{ZERO, ZERO, ZERO, ZERO}, {ZERO, ZERO, ZERO, ZERO}};
}

/*
 * Add to them the halves of products of four digits of b with those of a that fall
 * into them: a_0 … a_7, of which a_4 is for the lowest of the columns.
 */
ALWAYS_INLINE void
add_to_columns(columns *sum, const vector *a, const vector *b)
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
#pragma GCC unroll 4
		for (int c = 0; c < 4; c++)
			sum->low[c] = LO(sum->low[c], a[4 + c - i], b[i]);
#pragma GCC unroll 4
		for (int c = 0; c < 4; c++)
			sum->high[c] = HI(sum->high[c], a[3 + c - i], b[i]);
	}
}

/* The same where there is only a_4 … a_7, or a_0 … a_3. */
ALWAYS_INLINE void
begin_columns(columns *sum, const vector *a, const vector *b)
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
#pragma GCC unroll 4
		for (int c = i; c < 4; c++)
			sum->low[c] = LO(sum->low[c], a[c - i], b[i]);
#pragma GCC unroll 4
		for (int c = i + 1; c < 4; c++)
			sum->high[c] = HI(sum->high[c], a[c - i - 1], b[i]);
	}
}

ALWAYS_INLINE void
end_columns(columns *sum, const vector *a, const vector *b)
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
#pragma GCC unroll 4
		for (int c = 0; c < i; c++)
			sum->low[c] = LO(sum->low[c], a[4 + c - i], b[i]);
#pragma GCC unroll 4
		for (int c = 0; c <= i; c++)
			sum->high[c] = HI(sum->high[c], a[3 + c - i], b[i]);
	}
}

ALWAYS_INLINE void
get_all(vector *window, const mp_limb_t *n, const int count)
{
#pragma GCC unroll 8
	for (int i = 0; i < count; i++)
		window[i] = ALL(n[i]);
}

/* A digit of a quotient, which clears column c of four, where `up` comes in; the digits before it are known. */
ALWAYS_INLINE vector
quotient_digit(const columns *sum, vector *up, const vector *q, int c, const mp_limb_t *n, vector neg_inv)
{
	vector		column = ADD(sum->low[c], sum->high[c]);
	vector		digit;

#pragma GCC unroll 4
	for (int i = 0; i < c; i++)
	{
		column = LO(column, ALL(n[c - i]), q[i]);
		column = HI(column, ALL(n[c - i - 1]), q[i]);
	}
	column = ADD(column, *up);
	digit = LO(ZERO, column, neg_inv);
	*up = _mm512_srai_epi64(LO(column, ALL(n[0]), digit), DIGIT_BITS);
	return digit;
}

/* Four digits of both quotients. */
ALWAYS_INLINE void
find_quotients(const paillier_mont *ctx, vector *q0, vector *q1, vector *up, const columns *sum)
{
	const mp_limb_t *n = constant_digits(ctx, ROOT);
	const vector neg_inv = ALL(ctx->neg_inv);
	vector		digit0[4];
	vector		digit1[4];

#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
	{
		digit0[c] = quotient_digit(&sum[0], &up[0], digit0, c, n, neg_inv);
		up[1] = _mm512_sub_epi64(up[1], digit0[c]);
		digit1[c] = quotient_digit(&sum[1], &up[1], digit1, c, n, neg_inv);
		q0[c] = digit0[c];
		q1[c] = digit1[c];
	}
}

/* Four columns, where `up` comes in, to digits; they may be negative as long as the number is not. */
ALWAYS_INLINE void
carry_columns(mp_limb_t *out8, vector *up, const columns *sum)
{
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
	{
		vector		column = ADD(ADD(sum->low[c], sum->high[c]), *up);

		PUT(out8 + LANES * c, _mm512_and_si512(column, ALL(DIGIT_MASK)));
		*up = _mm512_srai_epi64(column, DIGIT_BITS);
	}
}

/* The last step for four columns: digits of the quotients, or of the result. */
ALWAYS_INLINE void
end_step(const paillier_mont *ctx, mp_limb_t *out8, vector *q0, vector *q1, int column, vector *up, const columns *sum)
{
	const int	above = column - digits_of(ctx);

	if (above < 0)
		find_quotients(ctx, q0 + column, q1 + column, up, sum);
	else
	{
		carry_columns(out8 + LANES * above, &up[0], &sum[0]);
		carry_columns(out8 + LANES * column, &up[1], &sum[1]);
	}
}

/* ---- products ---- */

/*
 * Four columns of a²: the products of different digits once, doubled, and the
 * squares of digits.  Four digits meet themselves in the columns of twice their
 * place, and in the four above.
 */
ALWAYS_INLINE void
square_columns(columns *sum, const vector *a, int column, int digits)
{
	const int	above = column - digits;
	const int	up = column % 8;	/* 0 or 4 */
	const vector *x = a + (column - up) / 2;

	if (above >= 0 && above < digits - 4)
		end_columns(sum, a + digits - 4, a + above);
	for (int row = above < 0 ? 0 : above + 4; 2 * row + 4 < column; row += 4)
		add_to_columns(sum, a + column - row - 4, a + row);
	if (up != 0 && above < digits - 4)
		begin_columns(sum, x + 4, x);
	if (up == 0)
	{
		sum->low[1] = LO(sum->low[1], x[1], x[0]);
		sum->high[2] = HI(sum->high[2], x[1], x[0]);
		sum->low[2] = LO(sum->low[2], x[2], x[0]);
		sum->high[3] = HI(sum->high[3], x[2], x[0]);
		sum->low[3] = LO(LO(sum->low[3], x[3], x[0]), x[2], x[1]);
	}
	else
	{
		sum->high[0] = HI(HI(sum->high[0], x[3], x[0]), x[2], x[1]);
		sum->low[0] = LO(sum->low[0], x[3], x[1]);
		sum->high[1] = HI(sum->high[1], x[3], x[1]);
		sum->low[1] = LO(sum->low[1], x[3], x[2]);
		sum->high[2] = HI(sum->high[2], x[3], x[2]);
	}
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
	{
		sum->low[c] = ADD(sum->low[c], sum->low[c]);
		sum->high[c] = ADD(sum->high[c], sum->high[c]);
	}
#pragma GCC unroll 2
	for (int i = 0; i < 2; i++)
	{
		vector		digit = x[up / 2 + i];

		sum->low[2 * i] = LO(sum->low[2 * i], digit, digit);
		sum->high[2 * i + 1] = HI(sum->high[2 * i + 1], digit, digit);
	}
}

/* The compiler must not load operands over this, for which it would have to store sums away. */
#define NOT_AHEAD __asm__ volatile("" ::: "memory")

/*
 * out = a·b/S, four columns at a time, from the lowest up: those of x0 = a0·b0 +
 * q0·n and of x1 = a1·b0 + a0·b1 - q0 + q1·n.  In a square a0·b0 is that of b0, and
 * a0 is twice that, so that a0·b1 is all of the second.
 *
 * What a column needs of the operands stands at or above the digit that it gives:
 * the output may be an operand.
 *
 * Bounds: a column of x1 gets six halves from each digit of b0, b1 and the
 * quotients, at most 6·160·2^52, and a carry: below 2^62.
 */
ALWAYS_INLINE void
multiply(const paillier_mont *ctx, mp_limb_t *out8, const vector *a0, const vector *a1, const vector *b0,
		 const vector *b1, vector *q0, const bool square)
{
	const int	digits = digits_of(ctx);
	const mp_limb_t *n = constant_digits(ctx, ROOT);
	vector	   *q1 = q0 + digits;
	vector		up[2] = {ZERO, ZERO};

	for (int column = 0; column < 2 * digits; column += 4)
	{
		const int	above = column - digits;
		columns		sum[2];
		vector		window[8];

		sum[0] = no_columns();
		sum[1] = no_columns();
		if (square)
			square_columns(&sum[0], b0, column, digits);
		if (above < 0)
		{
			if (!square)
			{
				begin_columns(&sum[0], a0, b0 + column);
				begin_columns(&sum[1], a1, b0 + column);
			}
			begin_columns(&sum[1], a0, b1 + column);
		}
		else
		{
			if (!square)
			{
				end_columns(&sum[0], a0 + digits - 4, b0 + above);
				end_columns(&sum[1], a1 + digits - 4, b0 + above);
			}
			end_columns(&sum[1], a0 + digits - 4, b1 + above);
			get_all(window, n + digits - 4, 4);
			end_columns(&sum[0], window, q0 + above);
			end_columns(&sum[1], window, q1 + above);
		}
		for (int row = above < 0 ? 0 : above + 4; row < column && row < digits; row += 4)
		{
			const int	from = column - row - 4;

			if (!square)
			{
				add_to_columns(&sum[0], a0 + from, b0 + row);
				NOT_AHEAD;
				add_to_columns(&sum[1], a1 + from, b0 + row);
				NOT_AHEAD;
			}
			add_to_columns(&sum[1], a0 + from, b1 + row);
			NOT_AHEAD;
			get_all(window, n + from, 8);
			add_to_columns(&sum[0], window, q0 + row);
			add_to_columns(&sum[1], window, q1 + row);
		}
		end_step(ctx, out8, q0, q1, column, up, sum);
	}
}

/* Where vectors stand on cache lines: a8, or a copy of it, for what is read many times. */
ALWAYS_INLINE const vector *
on_lines(const mp_limb_t *a8, vector *copy, int count)
{
	if ((uintptr_t) a8 % sizeof(vector) == 0)
		return (const vector *) a8;
	for (int i = 0; i < count; i++)
		copy[i] = GET(a8 + LANES * i);
	return copy;
}

void
paillier_ifma_mul8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
				   mp_limb_t *scratch)
{
	const int	digits = digits_of(ctx);
	vector	   *q = (vector *) aligned(scratch);
	const vector *a = on_lines(a8, q + 2 * digits, 2 * digits);
	const vector *b = on_lines(b8, q + 4 * digits, 2 * digits);

	multiply(ctx, out8, a, a + digits, b, b + digits, q, false);
}

void
paillier_ifma_sqr8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch)
{
	const int	digits = digits_of(ctx);
	vector	   *q = (vector *) aligned(scratch);
	vector	   *twice = q + 2 * digits;
	const vector *a = on_lines(a8, twice + digits, 2 * digits);
	vector		up = ZERO;

	for (int i = 0; i < digits; i++)
	{
		vector		sum = ADD(ADD(a[i], a[i]), up);

		twice[i] = _mm512_and_si512(sum, ALL(DIGIT_MASK));
		up = _mm512_srli_epi64(sum, DIGIT_BITS);
	}
	multiply(ctx, out8, twice, NULL, a, a + digits, q, true);
}

/* ---- ciphertexts to pairs ---- */

/* `digits` digits of eight numbers from bit `at` on, with more bits above them, which multiplications do not see. */
ALWAYS_INLINE void
split(vector *out, int digits, const vector *limbs8, int at)
{
	for (int i = 0; i < digits; i++, at += DIGIT_BITS)
		out[i] = _mm512_shrdv_epi64(limbs8[at / 64], limbs8[at / 64 + 1], ALL(at % 64));
}

/*
 * Rows from … to - 4 of a times n, of which the digit at n[row] is for the lowest
 * column; two sets of sums for speed.
 */
ALWAYS_INLINE void
add_rows(columns *sum, const vector *a8, int from, int to, const mp_limb_t *n)
{
	columns		other = no_columns();
	vector		window[8];

	for (int row = from; row < to; row += 8)
	{
		get_all(window, n - row - 4, 8);
		add_to_columns(sum, window, a8 + row);
		if (row + 4 < to)
		{
			get_all(window, n - row - 8, 8);
			add_to_columns(&other, window, a8 + row + 4);
		}
	}
#pragma GCC unroll 4
	for (int c = 0; c < 4; c++)
	{
		sum->low[c] = ADD(sum->low[c], other.low[c]);
		sum->high[c] = ADD(sum->high[c], other.high[c]);
	}
}

/* out = the digits of t + a·n below S; there may be more bits above the digits of t. */
ALWAYS_INLINE void
add_low_product(mp_limb_t *out8, const vector *t, const vector *a8, const mp_limb_t *n, int digits)
{
	vector		up = ZERO;

	for (int column = 0; column < digits; column += 4)
	{
		columns		sum;
		vector		window[4];

#pragma GCC unroll 4
		for (int c = 0; c < 4; c++)
		{
			sum.low[c] = _mm512_and_si512(t[column + c], ALL(DIGIT_MASK));
			sum.high[c] = ZERO;
		}
		get_all(window, n, 4);
		begin_columns(&sum, window, a8 + column);
		add_rows(&sum, a8, 0, column, n + column);
		carry_columns(out8 + LANES * column, &up, &sum);
	}
}

/* out = the columns of a·n from S on, as digits. */
ALWAYS_INLINE void
high_product(mp_limb_t *out8, const vector *a8, const mp_limb_t *n, int digits)
{
	vector		up = ZERO;

	for (int above = 0; above < digits; above += 4)
	{
		columns		sum = no_columns();
		vector		window[4];

		get_all(window, n + digits - 4, 4);
		end_columns(&sum, window, a8 + above);
		add_rows(&sum, a8, above + 4, digits, n + digits + above);
		carry_columns(out8 + LANES * above, &up, &sum);
	}
}

void
paillier_ifma_load8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *limbs, mp_limb_t *scratch)
{
	const int	digits = digits_of(ctx);
	const int	shift = division_shift(ctx);
	const int	end = (shift + digits * DIGIT_BITS) / 64 + 2;
	vector	   *limbs8 = (vector *) aligned(scratch);
	vector	   *high = limbs8 + end;
	vector	   *t = high + digits;
	vector	   *x1 = t + digits;

	gather((mp_limb_t *) limbs8, limbs, ctx->limbs);
	for (int i = ctx->limbs; i < end; i++)
		limbs8[i] = ZERO;
	split(high, digits, limbs8, shift);
	high_product((mp_limb_t *) x1, high, constant_digits(ctx, RECIPROCAL), digits);
	split(t, digits, limbs8, 0);
	add_low_product(out8, t, x1, constant_digits(ctx, MINUS), digits);
	for (int i = 0; i < digits; i++)
		PUT(out8 + LANES * (digits + i), x1[i]);
}

IFMA_END

#endif

/* Outside of the target, all of whose instructions the compiler may use within it. */
void
paillier_ifma_scatter8(int words, mp_limb_t *const *residues, const mp_limb_t *a8)
{
#ifdef __x86_64__
	if (paillier_kernel_avx512ifma.available() && words % LANES == 0)
	{
		scatter(words, residues, a8);
		return;
	}
#endif
	for (int i = 0; i < words; i++)
		for (int lane = 0; lane < LANES; lane++)
			residues[lane][i] = a8[LANES * i + lane];
}
