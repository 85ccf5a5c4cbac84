/*
 * bound.c
 *		Upper bounds of plaintexts: floating point that rounds up, or down where
 *		that is said.
 */
#include "bound.h"

#define TOP_BIT (UINT64_C(1) << 63)

static int
leading_zeros(uint64_t x)
{
	return __builtin_clzll(x);
}

/*
 * The canonical bound of (hi·2^64 + lo)·2^exponent, plus one unit in the last
 * place where bits are lost.
 */
static paillier_bound
round_up(uint64_t hi, uint64_t lo, uint32_t exponent)
{
	paillier_bound b = {lo, exponent};

	if (hi != 0)
	{
		int			shift = 64 - leading_zeros(hi); /* 1 … 64 */
		uint64_t	lost = shift == 64 ? lo : lo << (64 - shift);

		b.mantissa = shift == 64 ? hi : hi << (64 - shift) | lo >> shift;
		b.exponent += shift;
		if (lost != 0 && ++b.mantissa == 0)
		{
			b.mantissa = TOP_BIT;
			b.exponent++;
		}
	}
	else if (lo == 0)
		b.exponent = 0;
	else
	{
		uint32_t	shift = leading_zeros(lo);

		if (shift > b.exponent)
			shift = b.exponent;
		b.mantissa <<= shift;
		b.exponent -= shift;
	}
	return b;
}

/*
 * The same without the unit: the bits that are lost are dropped, so that the
 * result is at most (hi·2^64 + lo)·2^exponent.  With hi = 0 nothing is lost.
 */
static paillier_bound
round_down(uint64_t hi, uint64_t lo, uint32_t exponent)
{
	int			shift;

	if (hi == 0)
		return round_up(0, lo, exponent);
	shift = 64 - leading_zeros(hi); /* 1 … 64 */
	return (paillier_bound) {shift == 64 ? hi : hi << (64 - shift) | lo >> shift, exponent + shift};
}

paillier_bound
paillier_bound_from_width(int width)
{
	return round_up(0, 1, width - 1);
}

paillier_bound
paillier_bound_from_limbs(const mp_limb_t *mag, int limbs)
{
	uint64_t	hi;
	uint64_t	lo;

	while (limbs > 0 && mag[limbs - 1] == 0)
		limbs--;
	if (limbs == 0)
		return (paillier_bound) {0, 0};
	if (limbs == 1)
		return (paillier_bound) {mag[0], 0};
	hi = mag[limbs - 1];
	lo = mag[limbs - 2];

	/* limbs below the two highest can only force a rounding up */
	for (int i = limbs - 3; i >= 0; i--)
		if (mag[i] != 0)
		{
			lo |= 1;
			break;
		}
	return round_up(hi, lo, 64 * (limbs - 2));
}

paillier_bound
paillier_bound_from_limbs_down(const mp_limb_t *mag, int limbs)
{
	while (limbs > 0 && mag[limbs - 1] == 0)
		limbs--;
	if (limbs == 0)
		return (paillier_bound) {0, 0};
	if (limbs == 1)
		return (paillier_bound) {mag[0], 0};

	/* limbs below the two highest are dropped, too */
	return round_down(mag[limbs - 1], mag[limbs - 2], 64 * (limbs - 2));
}

paillier_bound
paillier_bound_below(const mp_limb_t *mag, int limbs)
{
	int			zeros;
	uint64_t	high;

	while (mag[limbs - 1] == 0)
		limbs--;
	zeros = leading_zeros(mag[limbs - 1]);
	high = mag[limbs - 1] << zeros;
	if (zeros > 0)
		high |= mag[limbs - 2] >> (64 - zeros);
	return (paillier_bound) {high & ~(uint64_t) UINT32_MAX, 64 * (limbs - 1) - zeros};
}

paillier_bound
paillier_bound_add(paillier_bound a, paillier_bound b)
{
	uint32_t	shift;
	uint64_t	sum;
	uint64_t	lost;

	if (a.exponent < b.exponent)
	{
		paillier_bound t = a;

		a = b;
		b = t;
	}
	shift = a.exponent - b.exponent;
	lost = shift == 0 ? 0 : shift >= 64 ? b.mantissa : b.mantissa << (64 - shift);
	sum = a.mantissa + (shift >= 64 ? 0 : b.mantissa >> shift);
	if (sum < a.mantissa)
	{
		/* the sum is 2^64 + sum; a lost bit survives as the lowest one */
		return round_up(1, sum | (lost != 0), a.exponent);
	}
	if (lost != 0 && ++sum == 0)
		return round_up(1, 0, a.exponent);
	return round_up(0, sum, a.exponent);
}

paillier_bound
paillier_bound_sub(paillier_bound a, paillier_bound b)
{
	uint32_t	shift;

	if (paillier_bound_cmp(a, b) <= 0)
		return (paillier_bound) {0, 0};

	/*
	 * b's lost bits are dropped, which takes away less: the result rounds up.  With
	 * a >= Σ e_i for the exact bounds e_i of all summands, and b <= e_1, it is at
	 * least a - b >= Σ e_i - e_1.  Where a <= b, Σ e_i <= a <= b <= e_1, so that the
	 * others are 0.
	 */
	shift = a.exponent - b.exponent;
	return round_up(0, a.mantissa - (shift >= 64 ? 0 : b.mantissa >> shift), a.exponent);
}

paillier_bound
paillier_bound_mul(paillier_bound a, paillier_bound b)
{
	unsigned __int128 product = (unsigned __int128) a.mantissa * b.mantissa;

	return round_up(product >> 64, product, a.exponent + b.exponent);
}

paillier_bound
paillier_bound_mul_down(paillier_bound a, paillier_bound b)
{
	unsigned __int128 product = (unsigned __int128) a.mantissa * b.mantissa;

	return round_down(product >> 64, product, a.exponent + b.exponent);
}

int
paillier_bound_cmp(paillier_bound a, paillier_bound b)
{
	if (a.exponent != b.exponent)
		return a.exponent < b.exponent ? -1 : 1;
	return a.mantissa < b.mantissa ? -1 : a.mantissa > b.mantissa;
}

bool
paillier_bound_covers(paillier_bound b, const mp_limb_t *mag, int limbs)
{
	/* an integer is <= b exactly when it rounds up to <= b: b is representable */
	return paillier_bound_cmp(paillier_bound_from_limbs(mag, limbs), b) <= 0;
}

bool
paillier_bound_declare(paillier_bound *bound, paillier_bound limit, int width, const mp_limb_t *mag, int limbs)
{
	*bound = paillier_bound_from_width(width);
	if (!paillier_bound_covers(*bound, mag, limbs))
	{
		/* a bit for the sign, and up to the next multiple */
		while (mag[limbs - 1] == 0)
			limbs--;
		*bound = paillier_bound_from_width((mpn_sizeinbase(mag, limbs, 2) + 64) / 64 * 64);
		if (paillier_bound_cmp(*bound, limit) > 0)
			*bound = limit;
	}
	return paillier_bound_covers(*bound, mag, limbs);
}

void
paillier_bound_pack(paillier_bound b, uint32_t *mantissa, uint16_t *exponent)
{
	if (b.mantissa >> 32 != 0)
	{
		int			shift = 32 - leading_zeros(b.mantissa);
		uint64_t	m = b.mantissa >> shift;

		if (m << shift != b.mantissa && ++m >> 32 != 0)
		{
			m >>= 1;
			shift++;
		}
		b.mantissa = m;
		b.exponent += shift;
	}
	*mantissa = b.mantissa;
	*exponent = b.exponent;
}

paillier_bound
paillier_bound_unpack(uint32_t mantissa, uint16_t exponent)
{
	return round_up(0, mantissa, exponent);
}

bool
paillier_bound_packed_valid(uint32_t mantissa, uint16_t exponent)
{
	return exponent == 0 || (mantissa >> 31 == 1 && exponent <= PAILLIER_BOUND_MAX_EXPONENT);
}
