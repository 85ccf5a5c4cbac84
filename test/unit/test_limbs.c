/*
 * test_limbs.c
 *		Products of numbers in limbs, of all lengths, against mpz_mul.
 */
#include "mont_limbs.h"
#include "reference.h"

#define MAX_SIZE 130

/* Random bits, runs of zeros and ones, nothing but ones, zero, or ones in one half. */
static void
choose_number(mp_limb_t *a, int size, int kind)
{
	random_limbs(a, size);
	for (int i = 0; i < size; i++)
		switch (kind)
		{
			case 1:
				a[i] = random_int(3) == 0 ? a[i] : random_int(2) == 0 ? 0 : ~(mp_limb_t) 0;
				break;
			case 2:
				a[i] = ~(mp_limb_t) 0;
				break;
			case 3:
				a[i] = 0;
				break;
			case 4:
				a[i] = i < (size + 1) / 2 ? ~(mp_limb_t) 0 : 0;
				break;
			case 5:
				a[i] = i < (size + 1) / 2 ? 0 : ~(mp_limb_t) 0;
				break;
		}
}

#define KINDS 6

static void
check_products(int size, int kind_a, int kind_b)
{
	guarded		scratch = guarded_new(PAILLIER_LIMBS_SCRATCH(size));
	guarded		out = guarded_new(2 * size);
	guarded		low = guarded_new(size);
	mp_limb_t  *a = new_unaligned(size);
	mp_limb_t  *b = new_unaligned(size);
	mpz_t		x,
				y,
				product;

	mpz_inits(x, y, product, NULL);
	choose_number(a, size, kind_a);
	choose_number(b, size, kind_b);
	mpz_from_limbs(x, a, size);
	mpz_from_limbs(y, b, size);

	mpz_mul(product, x, y);
	paillier_limbs_mul(out.a, a, b, size, scratch.a);
	check_limbs(out.a, 2 * size, product, "a product of %d limbs, kinds %d and %d", size, kind_a, kind_b);
	check(guarded_intact(&scratch) && guarded_intact(&out), "mul overran its scratch or output");
	guarded_fill(&scratch);
	mpz_fdiv_r_2exp(product, product, 64 * size);
	paillier_limbs_mul_low(low.a, a, b, size, scratch.a);
	check_limbs(low.a, size, product, "the low half of a product of %d limbs, kinds %d and %d", size, kind_a, kind_b);
	check(guarded_intact(&scratch) && guarded_intact(&low), "mul_low overran its scratch or output");
	guarded_fill(&scratch);
	mpz_mul(product, x, x);
	paillier_limbs_sqr(out.a, a, size, scratch.a);
	check_limbs(out.a, 2 * size, product, "a square of %d limbs, kind %d", size, kind_a);
	check(guarded_intact(&scratch) && guarded_intact(&out), "sqr overran its scratch or output");
	check_limbs(a, size, x, "an operand was changed");
	check_limbs(b, size, y, "an operand was changed");

	mpz_clears(x, y, product, NULL);
	free_unaligned(a);
	free_unaligned(b);
	guarded_free(&scratch);
	guarded_free(&out);
	guarded_free(&low);
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	group_begin("products, low halves of products, and squares of 1 to %d limbs", MAX_SIZE);
	for (int size = 1; size <= MAX_SIZE; size++)
		for (int kind = 0; kind < KINDS * KINDS; kind++)
			for (int times = kind < 2 * KINDS ? 4 : 1; times > 0; times--)
				check_products(size, kind / KINDS, kind % KINDS);
	group_end();
	return tap_done();
}
