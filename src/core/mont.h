/*
 * mont.h
 *		Montgomery arithmetic modulo the square of an odd number: the only place
 *		that multiplies modulo n², p² or q².
 *
 * The modulus is m = n² for an odd root n >= 3.  Residues modulo m are arrays of
 * `words` 64-bit words in the format of the kernel in use: one number x, or two
 * numbers, half of the words each, for x0 + x1·n.  A number has `count` digits,
 * one a word, the lowest first, and R = 2^(count·digit_bits).  (The residues of a
 * kernel for powers may be others.)  A number x is in Montgomery form when the
 * residue stands for x·R.
 *
 * A residue may exceed m (by less than R allows); paillier_mont_store_var() and
 * paillier_mont_store_sec() give the unique number below m.  Everything that is
 * written takes and gives residues, unless it says limbs: plain numbers of
 * `limbs` limbs.
 *
 * But for the functions whose names end in _var nothing here branches on, or
 * indexes memory by, the value of a residue; the time of paillier_mont_pow()
 * depends on its exponent, which is public wherever it is used.  (GMP's
 * multiplication, in the generic kernel, may choose between a few operation
 * orders inside Toom-Cook steps by the sign of a difference.  Its kernel for
 * powers does not, and this is the one that sees secrets.)
 */
#ifndef PAILLIER_MONT_H
#define PAILLIER_MONT_H

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>

#include "mont_kernels.h"
#include "platform.h"

/* ---- sizes: the largest that a kernel needs ---- */

#define PAILLIER_LARGER(a, b)	((a) > (b) ? (a) : (b))
#define PAILLIER_ENTRY_WORDS(name, words, own, scratch, scratch8, rest)	PAILLIER_LARGER(words, rest)
#define PAILLIER_ENTRY_OWN(name, words, own, scratch, scratch8, rest)	PAILLIER_LARGER(own, rest)
#define PAILLIER_ENTRY_SCRATCH(name, words, own, scratch, scratch8, rest)	PAILLIER_LARGER(scratch, rest)
#define PAILLIER_ENTRY_SCRATCH8(name, words, own, scratch, scratch8, rest)	PAILLIER_LARGER(scratch8, rest)

/* Words of a residue, for a modulus m of so many limbs: what to reserve. */
#define PAILLIER_MONT_WORDS(limbs)	PAILLIER_ALL_KERNELS(PAILLIER_ENTRY_WORDS, limbs, 0)

/* n² of the largest key, 8192 bits, in limbs; a residue modulo it; what a kernel keeps of it */
#define PAILLIER_MAX_LIMBS	256

enum
{
	PAILLIER_MAX_WORDS = PAILLIER_MONT_WORDS(PAILLIER_MAX_LIMBS),
	PAILLIER_MONT_OWN = PAILLIER_ALL_KERNELS(PAILLIER_ENTRY_OWN, PAILLIER_MAX_LIMBS, 0),
	PAILLIER_SCRATCH_RESIDUES = PAILLIER_ALL_KERNELS(PAILLIER_ENTRY_SCRATCH, PAILLIER_MAX_LIMBS, 0),
	PAILLIER_SCRATCH8_RESIDUES = PAILLIER_ALL_KERNELS(PAILLIER_ENTRY_SCRATCH8, PAILLIER_MAX_LIMBS, 0)
};

/*
 * Limbs of scratch that each function below may overwrite, for the words of a
 * residue; for the eight forms and for powers.
 */
#define PAILLIER_MONT_SCRATCH(words)		(PAILLIER_SCRATCH_RESIDUES * (words) + 512)
#define PAILLIER_MONT_SCRATCH8(words)		(PAILLIER_SCRATCH8_RESIDUES * (words) + 512)
#define PAILLIER_MONT_POW_SCRATCH(words)	(33 * (words) + PAILLIER_MONT_SCRATCH(words))

typedef struct paillier_kernel paillier_kernel;

/*
 * A prepared modulus.  Its memory must not move: it holds arrays that kernels
 * align for themselves.
 */
typedef struct paillier_mont
{
	const paillier_kernel *kernel;
	int			limbs;			/* of m */
	int			root_limbs;		/* of n */
	int			words;			/* of a residue */
	int			radix_bits;		/* R = 2^radix_bits */
	mp_limb_t	neg_inv;		/* -1/n or -1/m modulo the base of the digits */
	mp_limb_t	m[PAILLIER_MAX_LIMBS];	/* limbs */
	mp_limb_t	root[PAILLIER_MAX_LIMBS / 2];	/* n, root_limbs */
	mp_limb_t	unit[PAILLIER_MAX_WORDS];	/* 1 */
	mp_limb_t	one[PAILLIER_MAX_WORDS];	/* R mod m: 1 in Montgomery form */
	mp_limb_t	r2[PAILLIER_MAX_WORDS]; /* R² mod m */
	mp_limb_t	own[PAILLIER_MONT_OWN]; /* the kernel's */
} paillier_mont;

/* ---- kernels ---- */

/*
 * What a kernel is and must do; scratch is that of the wrappers below.  "Eight"
 * forms work on eight residues at once, in an order of the kernel's own.
 *
 * The format says how digits make residues and in which order eight of them
 * stand: two kernels with the same number read each other's.  It is stored with
 * residues.  A number MUST NOT change its meaning.
 */
#define PAILLIER_FORMAT_LIMBS	1	/* one number in limbs; eight stand one behind the other */

struct paillier_kernel
{
	const char *name;
	int			format;
	int			digit_bits;		/* even */
	int			numbers;		/* in a residue: 1 or 2 */
	bool		nearly_reduced; /* join() gives a few times m at most */
	int			enough_for_eight;	/* so many residues take longer one by one than eight at once */
	const paillier_kernel *powers;	/* the fastest where products are factors again, as in powers; or this one */
	bool		(*available) (void);
	void		(*init) (paillier_mont *ctx, mp_limb_t *scratch);	/* words, radix_bits, neg_inv, own */
	void		(*load) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch);

	/* the remainder modulo n, to which a few n may be added, in root_limbs + 1; or NULL */
	void		(*remainder) (const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *limbs, mp_limb_t *scratch);

	/* the number that a residue stands for, in limbs + 2 */
	void		(*join) (const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a, mp_limb_t *scratch);
	void		(*mul) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
						mp_limb_t *scratch);
	void		(*sqr) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

	/* a + b for what paillier_mont_add8() takes; out may be a */
	void		(*add) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
						mp_limb_t *scratch);

	/* an entry of 16, all of which are read */
	void		(*select) (mp_limb_t *out, const mp_limb_t *table, int size, int index);
	void		(*load8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *limbs, mp_limb_t *scratch);
	void		(*gather8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues);
	void		(*scatter8) (int words, mp_limb_t *const *residues, const mp_limb_t *a8);	/* on any processor */
	void		(*mul8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
						 mp_limb_t *scratch);
	void		(*sqr8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch);
};

#define PAILLIER_ENTRY_DECLARATION(name, words, own, scratch, scratch8, rest) \
	extern const paillier_kernel paillier_kernel_##name; rest

PAILLIER_ALL_KERNELS(PAILLIER_ENTRY_DECLARATION, PAILLIER_MAX_LIMBS,)

/* The kernels of the table by index, from 0 on; NULL behind the last. */
extern const paillier_kernel *paillier_kernel_at(int index);

/* The fastest kernel that the processor has. */
extern const paillier_kernel *paillier_kernel_best(void);

/* The kernel of that name where the processor has it, NULL otherwise. */
extern const paillier_kernel *paillier_kernel_named(const char *name);

/* A kernel of that format, whether the processor has it or not; NULL for a number that none has. */
extern const paillier_kernel *paillier_kernel_of_format(int format);

/* log2 R for residues of so many words. */
static inline int
paillier_kernel_radix_bits(const paillier_kernel *kernel, int words)
{
	return words / kernel->numbers * kernel->digit_bits;
}

/* ---- one residue ---- */

/* -1/m modulo 2^64 for an odd m. */
extern mp_limb_t paillier_mont_negative_inverse(mp_limb_t m);

/* Prepare ctx for m = n², {n, limbs} with the most significant limb not zero; in constant time, n may be a prime. */
extern void paillier_mont_init(paillier_mont *ctx, const paillier_kernel *kernel, const mp_limb_t *n, int limbs,
							   mp_limb_t *scratch);

/* out = the number {limbs} < 4·m. */
extern void paillier_mont_load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs, mp_limb_t *scratch);

/* limbs = a mod m, below m.  Variable time: for values that are public. */
extern void paillier_mont_store_var(const paillier_mont *ctx, mp_limb_t *limbs, const mp_limb_t *a, mp_limb_t *scratch);

/* The same in constant time. */
extern void paillier_mont_store_sec(const paillier_mont *ctx, mp_limb_t *limbs, const mp_limb_t *a, mp_limb_t *scratch);

/*
 * out = the number {limbs} < 4·m mod n, below n, in root_limbs; false where the
 * kernel has no fast way, and nothing is done.  Variable time.
 */
extern bool paillier_mont_remainder_var(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs,
										mp_limb_t *scratch);

/*
 * out = what a residue of the same modulus stands for, in the format of `maker`,
 * which this processor need not have.  Variable time.
 */
extern void paillier_mont_import_var(const paillier_mont *ctx, mp_limb_t *out, const paillier_kernel *maker,
									 const mp_limb_t *residue, int words, mp_limb_t *scratch);

/* out = a·b/R.  out may be a or b. */
extern void paillier_mont_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
							  mp_limb_t *scratch);

/* out = a²/R.  out may be a. */
extern void paillier_mont_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

/*
 * out8 = a8 + b8, for two that mul8() of the kernel gave from numbers below 4·m and
 * the constants of ctx or products.  out8 may be a8.
 */
extern void paillier_mont_add8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
							   mp_limb_t *scratch);

/* out = a·R: into Montgomery form.  out may be a. */
extern void paillier_mont_enter(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

/* out = a/R: out of Montgomery form.  out may be a. */
extern void paillier_mont_leave(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

/*
 * out = base^e in Montgomery form, base in Montgomery form, e >= 0 of elimbs
 * limbs (leading zero limbs allowed).  The time depends on e, not on base.
 * out may be base.  Scratch: PAILLIER_MONT_POW_SCRATCH.
 */
extern void paillier_mont_pow(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *base, const mp_limb_t *e,
							  int elimbs, mp_limb_t *scratch);

/*
 * out = base^e, and out8[i] = base8[i]^e for all eight, in Montgomery form;
 * neither the time nor the memory accesses depend on e, but on ebits >= 1, its
 * length.  The output may be the base.  Scratch: PAILLIER_MONT_POW_SCRATCH,
 * PAILLIER_MONT_POW8_SCRATCH.
 */
#define PAILLIER_MONT_POW8_SCRATCH(words)	(18 * 8 * (words) + 8 + PAILLIER_MONT_SCRATCH8(words))

extern void paillier_mont_pow_sec(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *base, const mp_limb_t *e,
								  int ebits, mp_limb_t *scratch);
extern void paillier_mont_pow8_sec(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *base8,
								   const mp_limb_t *e, int ebits, mp_limb_t *scratch);

#endif
