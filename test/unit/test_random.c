/*
 * test_random.c
 *		Random numbers: how they are made, when they run out, and blinding factors
 *		that are made ahead.
 */
#include "scheme_encryption.h"

/* ---- random numbers ---- */

static void
test_random_below(void)
{
	random_source source = RANDOM_SOURCE;
	int			counts[6] = {0};
	mpz_t		n;

	mpz_init(n);
	group_begin("random_below: in range, and even");
	for (int i = 0; i < 20000; i++)
	{
		mp_limb_t	limit = 6;
		mp_limb_t	got;

		check_int(paillier_random_below(&got, &limit, 1, random_source_read, &source), PAILLIER_OK, "result");
		if (!check(got >= 1 && got < 6, "%" PRIu64 " below 6", got) && got < 6)
			counts[got]++;
	}
	for (int i = 1; i < 6; i++)
		check(counts[i] > 3600 && counts[i] < 4400, "%d came %d times in 20,000", i, counts[i]);
	for (int i = 0; i < 1000; i++)
	{
		int			limbs = 1 + random_int(5);
		mp_limb_t  *limit;
		mp_limb_t  *got = new_limbs(limbs);

		random_mpz(n, 64 * (limbs - 1) + 1 + random_int(64));
		mpz_setbit(n, 64 * (limbs - 1) + 1);
		limit = new_limbs_of(limbs, n);
		check_int(paillier_random_below(got, limit, limbs, random_source_read, &source), PAILLIER_OK, "result");
		check(!mpn_zero_p(got, limbs) && mpn_cmp(got, limit, limbs) < 0, "out of range");
		free(limit);
		free(got);
	}
	group_end();
	mpz_clear(n);
}

/* The operations that ask for random bytes. */
typedef enum asking
{
	ASK_BELOW,
	ASK_KEYGEN,
	ASK_CHECK,
	ASK_BLINDER,
	ASK_ENCRYPT_SHORT,
	ASK_ENCRYPT,
	ASK_RERANDOMIZE,
	ASKINGS
} asking;

static paillier_result
ask(asking what, fixture *f, fixture *textbook)
{
	mp_limb_t	out[8] = {1};
	mp_limb_t	other[8];
	mp_limb_t  *c = out;
	paillier_plaintext m = {false, f->pk->half};
	paillier_blinder blinder;

	switch (what)
	{
		case ASK_BELOW:
			return paillier_random_below(out, f->pk->n, f->pk->limbs, random_source_read, &f->source);
		case ASK_KEYGEN:
			return paillier_keygen(out, other, 128, random_source_read, &f->source, private_scratch_of(f));
		case ASK_CHECK:
			return import_again(f, 128);
		case ASK_BLINDER:
			return paillier_blinder_init(&blinder, f->pk, &paillier_comb_small, f->table.a, random_source_read,
										 &f->source, scratch_of(f));
		case ASK_ENCRYPT_SHORT:
			return paillier_encrypt(&f->blinder, &c, &m, 1, random_source_read, &f->source, blind_scratch_of(f));
		case ASK_ENCRYPT:
			return paillier_encrypt(&textbook->blinder, &c, &m, 1, random_source_read, &f->source, blind_scratch_of(f));
		default:
			return paillier_rerandomize(&f->blinder, &c, 1, random_source_read, &f->source, blind_scratch_of(f));
	}
}

/* With a new key of 128 bits. */
static void
fixture_generate(fixture *f, blinding kind)
{
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	generate(p, q, 128);
	fixture_init(f, p, q, kind);
	mpz_clears(p, q, NULL);
}

/*
 * Factors made ahead are those of an array of eight, from the last to the first;
 * each is wiped, and after the eighth there are eight new ones.
 */
static void
check_stock(fixture *f)
{
	uint64_t	state = random_state;
	int			words = paillier_powers(f->pk)->words;
	guarded		factors = guarded_new(PAILLIER_STOCK(f->pk->n2.limbs));
	paillier_stock stock = {&f->blinder, 0, factors.a};
	mp_limb_t  *out = new_limbs(f->pk->n2.limbs);
	mp_limb_t  *mag = new_limbs(f->pk->limbs);
	mpz_t		expected[MAX_COUNT];
	mpz_t		c;

	mpz_init(c);
	init_array(expected);
	for (int i = 0; i < 16; i++)
		mpz_set_si(expected[i], 7 * (i % 8 - 3));
	check_int(encrypt_array(f, expected[0], expected[0], 16), PAILLIER_OK, "encrypt");
	check_all_differ(expected, 16);
	random_state = state;
	for (int i = 0; i < 16; i++)
	{
		int			place = i / 8 * 8 + 7 - i % 8;
		int			number = 7 * (place % 8 - 3);
		paillier_plaintext m = {number < 0, mag};

		mpn_zero(mag, f->pk->limbs);
		mag[0] = number < 0 ? -number : number;
		check_int(paillier_encrypt_from(&stock, out, &m, random_source_read, &f->source, blind_scratch_of(f)),
				  PAILLIER_OK, "encrypt_from");
		fences_hold(f, "encrypt_from");
		check(guarded_wiped(&f->blind_scratch), "encrypt_from leaves something in its scratch");
		check(guarded_intact(&factors), "encrypt_from overran the factors");
		check_int(stock.left, 7 - i % 8, "factors that are left");
		check(mpn_zero_p(factors.a + stock.left * words, words), "a used factor is still there");
		mpz_from_limbs(c, out, f->pk->n2.limbs);
		check_mpz(c, expected[place], "encrypt_from");
		if (i == 11)
			check(!mpn_zero_p(factors.a, words), "factors to come are not there");
	}

	/* what is not used is wiped on demand; a plaintext out of range and random numbers that fail use none up */
	random_limbs(out, f->pk->n2.limbs);
	check_int(paillier_rerandomize_from(&stock, out, random_source_read, &f->source, blind_scratch_of(f)), PAILLIER_OK,
			  "rerandomize_from");
	mpn_copyi(mag, f->pk->half, f->pk->limbs);
	mpn_add_1(mag, mag, f->pk->limbs, 1);
	check_int(paillier_encrypt_from(&stock, out, &(paillier_plaintext) {false, mag}, random_source_read, &f->source,
									blind_scratch_of(f)), PAILLIER_ERR_RANGE, "encrypt_from out of range");
	check_int(stock.left, 7, "factors left after a refusal");
	paillier_stock_wipe(&stock);
	check_int(stock.left, 0, "factors left after wiping");
	check(mpn_zero_p(factors.a, 8 * words), "factors left in memory");
	f->source.fail_at = f->source.calls;
	check_int(paillier_rerandomize_from(&stock, out, random_source_read, &f->source, blind_scratch_of(f)),
			  PAILLIER_ERR_RANDOM, "rerandomize_from without random numbers");
	check(mpn_zero_p(out, f->pk->n2.limbs), "a ciphertext that is not blinded");
	check(guarded_wiped(&f->blind_scratch), "rerandomize_from leaves something in its scratch");
	check_int(stock.left, 0, "factors from nowhere");

	mpz_clear(c);
	clear_array(expected);
	free(out);
	free(mag);
	guarded_free(&factors);
}

static void
test_stock(void)
{
	for (blinding kind = TEXTBOOK; kind <= SHORT; kind++)
	{
		fixture		f;

		group_begin("%s, %s: factors made ahead", kernel->name, blinding_names[kind]);
		fixture_generate(&f, kind);
		check_stock(&f);
		fixture_clear(&f);
		group_end();
	}
}

static void
test_random_failures(void)
{
	static const char *const names[] = {
		"random_below", "keygen", "private_check", "blinder_init", "encrypt, h_s^a", "encrypt, r^n", "rerandomize"
	};
	fixture		f,
				textbook;
	mpz_t		p,
				q;

	mpz_inits(p, q, NULL);
	random_prime_mpz(p, 64);
	random_prime_mpz(q, 64);
	for (asking what = 0; what < ASKINGS; what++)
	{
		uint64_t	state = random_state;
		paillier_result result = PAILLIER_ERR_RANDOM;

		group_begin("%s, %s: the k-th call for random bytes fails, for all k", kernel->name, names[what]);
		fixture_init(&f, p, q, SHORT);
		fixture_init(&textbook, p, q, TEXTBOOK);
		for (int k = 0; result != PAILLIER_OK && k < 2000; k++)
		{
			random_state = state;
			f.source = RANDOM_SOURCE;
			f.source.fail_at = k;
			result = ask(what, &f, &textbook);
			fences_hold(&f, names[what]);
			if (result != PAILLIER_OK)
			{
				check_int(result, PAILLIER_ERR_RANDOM, "call %d", k);
				check_int(f.source.calls, k + 1, "goes on after call %d", k);
			}
		}
		check_int(result, PAILLIER_OK, "without a failure");
		fixture_clear(&f);
		fixture_clear(&textbook);
		group_end();
	}
	mpz_clears(p, q, NULL);
}

static void
test_interruptions(void)
{
	for (blinding kind = TEXTBOOK; kind <= SHORT; kind++)
	{
		fixture		f;

		group_begin("%s, %s: arrays when random bytes run out", kernel->name, blinding_names[kind]);
		fixture_generate(&f, kind);
		for (int i = 0; i < LENGTH(array_counts); i++)
			for (int rerandomize = 0; rerandomize <= 1; rerandomize++)
				check_interruptions(&f, array_counts[i], rerandomize);
		fixture_clear(&f);
		group_end();
	}
}

static void
test_kernel(const paillier_kernel *kernel_to_test)
{
	kernel = kernel_to_test;
	test_random_failures();
	test_stock();
	test_interruptions();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_random_below();
	with_each_kernel(test_kernel);
	return tap_done();
}
