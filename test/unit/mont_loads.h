/*
 * mont_loads.h
 *		Numbers in limbs to residues, one by one and eight at once: a kernel may
 *		have to divide by n, so that numbers around multiples of n matter.
 */
#ifndef MONT_LOADS_H
#define MONT_LOADS_H

#include <sys/mman.h>
#include <unistd.h>

#include "mont_checks.h"

#define FACTORS	14
#define NUMBERS	64

/* Factors of n whose products are below 4·m: k < 4·n. */
static inline void
choose_factors(const field *f, mpz_t *k)
{
	mpz_t		end;

	mpz_init(end);
	mpz_mul_2exp(end, f->root, 2);
	for (int i = 0; i < FACTORS; i++)
		mpz_init(k[i]);
	mpz_set_ui(k[0], 1);
	mpz_set_ui(k[1], 2);
	mpz_fdiv_q_2exp(k[2], f->root, 1);
	mpz_sub_ui(k[3], f->root, 1);
	mpz_set(k[4], f->root);
	mpz_add_ui(k[5], f->root, 1);
	mpz_sub_ui(k[6], end, 1);
	mpz_sub(k[7], end, f->root);
	all_ones(k[8], mpz_sizeinbase(f->root, 2) + 1);
	mpz_setbit(k[9], mpz_sizeinbase(f->root, 2) - 1);
	random_mpz_below(k[10], f->root);
	random_mpz_below(k[11], end);
	random_runs(k[12], end, 52);
	random_runs(k[13], f->root, 52);
	mpz_clear(end);
}

/* Numbers below 4·m that fit the limbs of m; what is none of them comes back modulo m. */
static inline void
choose_numbers(const field *f, mpz_t *x)
{
	mpz_t		k[FACTORS];
	mpz_t		end;
	int			count = 7;

	mpz_init(end);
	mpz_mul_2exp(end, f->m, 2);
	for (int i = 0; i < NUMBERS; i++)
		mpz_init(x[i]);
	mpz_set_ui(x[1], 1);
	mpz_sub_ui(x[2], f->m, 1);
	mpz_sub_ui(x[3], end, 1);
	mpz_sub_ui(x[4], end, 2);
	all_ones(x[5], 64 * mpz_size(f->m));
	random_runs(x[6], end, 64);

	choose_factors(f, k);
	for (int i = 0; i < FACTORS; i++)
	{
		for (int j = 0; j < 3; j++, count++)
		{
			mpz_mul(x[count], k[i], f->root);
			mpz_add_ui(x[count], x[count], j);
			mpz_sub_ui(x[count], x[count], 1);
		}
		mpz_clear(k[i]);
	}
	for (; count < NUMBERS; count++)
		random_mpz_below(x[count], count % 2 == 0 ? f->m : end);

	for (int i = 0; i < NUMBERS; i++)
		if (mpz_sgn(x[i]) < 0 || mpz_cmp(x[i], end) >= 0 || mpz_size(x[i]) > mpz_size(f->m))
			mpz_mod(x[i], x[i], f->m);
	mpz_clear(end);
}

/* Load x, and take the residue for a factor. */
static inline void
check_load(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(f->words);
	mp_limb_t  *in = new_number(mpz_size(f->m), x);
	residue		r;
	mpz_t		expected;

	residue_init(&r);
	mpz_init(expected);
	mpz_set(r.number[0], x);
	mpz_mod(expected, x, f->m);
	paillier_mont_load(f->ctx, out.a, in, scratch.a);
	check_residue(f, out.a, OPERAND, expected, "load", &r, NULL);
	check_number(f, in, x, "load changed its input", x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "load overran its scratch or output");

	mpz_mul(expected, x, f->r);
	mpz_mod(expected, expected, f->m);
	paillier_mont_enter(f->ctx, out.a, out.a, scratch.a);
	check_residue(f, out.a, RESULT, expected, "load and enter", &r, NULL);
	residue_clear(&r);
	mpz_clear(expected);
	free_unaligned(in);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* x mod n, where the kernel has a way. */
static inline void
check_remainder(const field *f, const mpz_t x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	guarded		out = guarded_new(mpz_size(f->root));
	mp_limb_t  *in = new_number(mpz_size(f->m), x);
	bool		done = paillier_mont_remainder_var(f->ctx, out.a, in, scratch.a);
	mpz_t		expected;

	mpz_init(expected);
	mpz_mod(expected, x, f->root);
	check(done == (f->kernel->digit_bits == 52), "remainder_var says %d", done);
	if (done && check_limbs(out.a, mpz_size(f->root), expected, "remainder_var"))
		gmp_printf("# of %Zd\n# modulo %Zd\n", x, f->root);
	check_number(f, in, x, "remainder_var changed its input", x);
	check(guarded_intact(&scratch) && guarded_intact(&out), "remainder_var overran its scratch or output");
	mpz_clear(expected);
	free_unaligned(in);
	guarded_free(&out);
	guarded_free(&scratch);
}

/* Load eight numbers, which are then factors of eight operands. */
static inline void
check_load8(const field *f, const mpz_t *x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH8(f->words));
	guarded		out8 = guarded_new(LANES * f->words);
	mp_limb_t  *in[LANES];
	guarded		lane[LANES];
	residue		r[LANES];
	const residue *loaded[LANES];
	const residue *y[LANES];
	mp_limb_t  *b8;
	mpz_t		expected;

	mpz_init(expected);
	for (int i = 0; i < LANES; i++)
		in[i] = new_number(mpz_size(f->m), x[i]);
	f->kernel->load8(f->ctx, out8.a, (const mp_limb_t *const *) in, scratch.a);
	check(guarded_intact(&scratch) && guarded_intact(&out8), "load8 overran its scratch or output");
	scatter_guarded(f, lane, out8.a);
	for (int i = 0; i < LANES; i++)
	{
		residue_init(&r[i]);
		mpz_set(r[i].number[0], x[i]);
		mpz_set(r[i].value, x[i]);
		loaded[i] = &r[i];
		mpz_mod(expected, x[i], f->m);
		check_residue(f, lane[i].a, OPERAND, expected, "load8", &r[i], NULL);
		check_number(f, in[i], x[i], "load8 changed its input", x[i]);
		guarded_free(&lane[i]);
		free_unaligned(in[i]);
	}

	choose_eight(f, y, 6);
	b8 = new_eight(f, y);
	guarded_fill(&scratch);
	f->kernel->mul8(f->ctx, b8, b8, out8.a, scratch.a);
	check_products8(f, b8, loaded, y, "load8 and mul8");
	for (int i = 0; i < LANES; i++)
		residue_clear(&r[i]);
	mpz_clear(expected);
	free_unaligned(b8);
	guarded_free(&out8);
	guarded_free(&scratch);
}

/* Sums of products, as a number of two halves becomes a residue: x·R + the next one. */
static inline void
check_add8(const field *f, const mpz_t *x)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH8(f->words));
	guarded		sum8 = guarded_new(LANES * f->words);
	mp_limb_t  *a8 = new_unaligned(LANES * f->words);
	mp_limb_t  *b8 = new_unaligned(LANES * f->words);
	mp_limb_t  *constant8 = new_unaligned(LANES * f->words);
	mp_limb_t  *in[LANES];
	const mp_limb_t *next[LANES];
	const mp_limb_t *constant[LANES];
	guarded		lane[LANES];
	mpz_t		expected;

	mpz_init(expected);
	for (int i = 0; i < LANES; i++)
		in[i] = new_number(mpz_size(f->m), x[i]);
	for (int i = 0; i < LANES; i++)
	{
		next[i] = in[(i + 1) % LANES];
		constant[i] = f->ctx->r2;
	}
	f->kernel->load8(f->ctx, a8, (const mp_limb_t *const *) in, scratch.a);
	f->kernel->gather8(f->ctx, constant8, constant);
	f->kernel->mul8(f->ctx, a8, a8, constant8, scratch.a);
	for (int i = 0; i < LANES; i++)
		constant[i] = f->ctx->one;
	f->kernel->load8(f->ctx, b8, next, scratch.a);
	f->kernel->gather8(f->ctx, constant8, constant);
	f->kernel->mul8(f->ctx, b8, b8, constant8, scratch.a);
	guarded_fill(&scratch);
	paillier_mont_add8(f->ctx, sum8.a, a8, b8, scratch.a);
	check(guarded_intact(&scratch) && guarded_intact(&sum8), "add8 overran its scratch or output");
	paillier_mont_add8(f->ctx, a8, a8, b8, scratch.a);
	check(mpn_cmp(a8, sum8.a, LANES * f->words) == 0, "add8 into its first operand");

	scatter_guarded(f, lane, sum8.a);
	for (int i = 0; i < LANES; i++)
	{
		residue		r;

		residue_init(&r);
		mpz_set(r.number[0], x[i]);
		mpz_mul(expected, x[i], f->r);
		mpz_add(expected, expected, x[(i + 1) % LANES]);
		mpz_mod(expected, expected, f->m);
		check_residue(f, lane[i].a, OPERAND, expected, "add8", &r, NULL);
		residue_clear(&r);
		guarded_free(&lane[i]);
		free_unaligned(in[i]);
	}
	mpz_clear(expected);
	free_unaligned(a8);
	free_unaligned(b8);
	free_unaligned(constant8);
	guarded_free(&sum8);
	guarded_free(&scratch);
}

/* In the kernel for powers the sum of any two operands is one again. */
static inline void
check_add(const field *f, const residue *x, const residue *y)
{
	guarded		scratch = guarded_new(PAILLIER_MONT_SCRATCH(f->words));
	mp_limb_t  *a = new_residue(f, x);
	mp_limb_t  *b = new_residue(f, y);
	mpz_t		expected;

	mpz_init(expected);
	mpz_add(expected, x->value, y->value);
	mpz_mod(expected, expected, f->m);
	f->kernel->add(f->ctx, a, a, b, scratch.a);
	check_residue(f, a, OPERAND, expected, "add", x, y);
	check_unchanged(f, b, y);
	check(guarded_intact(&scratch), "add overran its scratch");
	mpz_clear(expected);
	free_unaligned(a);
	free_unaligned(b);
	guarded_free(&scratch);
}

static inline void
check_loads(const field *f)
{
	mpz_t		x[NUMBERS];

	choose_numbers(f, x);
	for (int i = 0; i < NUMBERS; i++)
	{
		check_load(f, x[i]);
		check_remainder(f, x[i]);
	}
	for (int i = 0; i < NUMBERS; i += LANES)
	{
		check_load8(f, (const mpz_t *) &x[i]);
		check_add8(f, (const mpz_t *) &x[i]);
	}
	for (int i = 0; i < OPERANDS && f->shifted; i++)
		for (int j = 0; j < OPERANDS; j++)
			check_add(f, &f->operands[i], &f->operands[j]);
	for (int i = 0; i < NUMBERS; i++)
		mpz_clear(x[i]);
}

/* ---- the ends of memory ---- */

/* Numbers right before and right behind memory that nobody may read. */
static inline void
check_load_places(const paillier_kernel *kernel, const mpz_t root, mp_limb_t *begin, mp_limb_t *end)
{
	field		f;
	mp_limb_t  *scratch;
	mp_limb_t  *out8;

	field_init(&f, kernel, root);
	scratch = new_unaligned(PAILLIER_MONT_SCRATCH8(f.words));
	out8 = new_unaligned(LANES * f.words);
	for (int i = 0; i < 2; i++)
	{
		mp_limb_t  *place = i == 0 ? begin : end - mpz_size(f.m);
		const mp_limb_t *places[] = {place, place, place, place, place, place, place, place};
		guarded		lane[LANES];
		residue		r;

		residue_init(&r);
		random_mpz_below(r.value, f.m);
		mpz_set(r.number[0], r.value);
		mpz_to_limbs(place, mpz_size(f.m), r.value);
		paillier_mont_load(f.ctx, out8, place, scratch);
		check_residue(&f, out8, OPERAND, r.value, "load", &r, NULL);
		f.kernel->load8(f.ctx, out8, places, scratch);
		scatter_guarded(&f, lane, out8);
		for (int j = 0; j < LANES; j++)
		{
			check_residue(&f, lane[j].a, OPERAND, r.value, "load8", &r, NULL);
			guarded_free(&lane[j]);
		}
		residue_clear(&r);
	}
	free_unaligned(scratch);
	free_unaligned(out8);
	field_clear(&f);
}

static inline void
test_load_bounds(const paillier_kernel *kernel)
{
	size_t		page = sysconf(_SC_PAGESIZE);
	uint8_t    *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mpz_t		root;

	mpz_init(root);
	group_begin("%s: loading reads nothing but its number", kernel->name);
	if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0 ||
		mprotect(memory + 2 * page, page, PROT_NONE) != 0)
		abort();
	for (int limbs = 1; limbs <= PAILLIER_MAX_LIMBS; limbs += limbs < 70 ? 1 : 31)
	{
		random_odd(root, limbs == 1 ? 30 : 32 * limbs - random_int(32));
		check_load_places(kernel, root, (mp_limb_t *) (memory + page), (mp_limb_t *) (memory + 2 * page));
	}
	munmap(memory, 3 * page);
	group_end();
	mpz_clear(root);
}

#endif
