/*
 * mont.h
 *		Montgomery arithmetic modulo an odd number: the only place that
 *		multiplies modulo n², p² or any other modulus of the scheme.
 *
 * Residues modulo m are held in a form that belongs to the kernel in use:
 * arrays of `words` 64-bit words, digits of 64 bits (generic) or of 52 bits
 * (avx512ifma), little-endian.  R = 2^radix_bits depends on the kernel too.  A
 * number x is in Montgomery form when the residue stands for x·R.
 *
 * A residue may exceed m (by less than R allows); paillier_mont_store() gives
 * the unique number below m.  Everything that is written takes and gives
 * residues, unless it says limbs: plain numbers of `limbs` limbs.
 *
 * Nothing here branches on, or indexes memory by, the value of a residue; the
 * time of paillier_mont_pow() depends on its exponent, which is public wherever
 * it is used.  (GMP's multiplication, in the generic kernel, may choose between
 * a few operation orders inside Toom-Cook steps by the sign of a difference.)
 */
#ifndef PAILLIER_MONT_H
#define PAILLIER_MONT_H

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>

/* n² of the largest key, 8192 bits, in limbs and in 52-bit digits (a multiple of 8) */
#define PAILLIER_MAX_LIMBS	256
#define PAILLIER_MAX_WORDS	320

typedef struct paillier_kernel paillier_kernel;

/*
 * A prepared modulus.  Its memory must not move: it holds arrays that kernels
 * align for themselves.
 */
typedef struct paillier_mont
{
	const paillier_kernel *kernel;
	int			limbs;			/* of m */
	int			words;			/* of a residue */
	int			radix_bits;		/* R = 2^radix_bits */
	mp_limb_t	neg_inv;		/* -1/m modulo the base of the digits */
	mp_limb_t	m[PAILLIER_MAX_LIMBS];	/* limbs */
	mp_limb_t	one[PAILLIER_MAX_WORDS];	/* R mod m: 1 in Montgomery form */
	mp_limb_t	r2[PAILLIER_MAX_WORDS]; /* R² mod m */
	/* the kernel's own; avx512ifma: the modulus, or a multiple of it, in digits, and moved by 0 to 7 digits */
	mp_limb_t	digits[PAILLIER_MAX_WORDS];
	mp_limb_t	shifted[8 * (PAILLIER_MAX_WORDS + 8) + 8];
} paillier_mont;

/* ---- kernels ---- */

/*
 * What a kernel must do; scratch is that of the wrappers below.  "Eight" forms
 * work on eight residues at once, in an order of the kernel's own.
 */
struct paillier_kernel
{
	const char *name;
	int			digit_bits;
	bool		(*available) (void);
	int			(*words) (int bits, bool only_eight);	/* of a residue for a modulus of so many bits */
	void		(*init) (paillier_mont *ctx, mp_limb_t *scratch);	/* the kernel's part of ctx */
	void		(*load) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs);
	void		(*join) (const paillier_mont *ctx, mp_limb_t *number, const mp_limb_t *a);	/* limbs + 2 of them */
	void		(*mul) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
						mp_limb_t *scratch);
	void		(*sqr) (const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);
	void		(*select) (mp_limb_t *out, const mp_limb_t *table, int size, int index);	/* entry of 16, all of which are read */
	void		(*gather8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues);
	void		(*scatter8) (int words, mp_limb_t *const *residues, const mp_limb_t *a8);	/* on any processor */
	void		(*mul8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
						 mp_limb_t *scratch);
	void		(*sqr8) (const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch);
};

extern const paillier_kernel paillier_kernel_generic;
extern const paillier_kernel paillier_kernel_avx512ifma;

/* The fastest kernel that the processor has. */
extern const paillier_kernel *paillier_kernel_best(void);

/* The kernel of that name where the processor has it, NULL otherwise. */
extern const paillier_kernel *paillier_kernel_named(const char *name);

/* ---- one residue ---- */

/*
 * Limbs of scratch that each function below may overwrite, for the words of a
 * residue; for the eight forms and for powers.
 */
#define PAILLIER_MONT_SCRATCH(words)		(10 * (words) + 96)
#define PAILLIER_MONT_SCRATCH8(words)		(34 * (words) + 96)
#define PAILLIER_MONT_POW_SCRATCH(words)	(33 * (words) + PAILLIER_MONT_SCRATCH(words))

/* Words of a residue in any kernel, for a modulus of so many limbs: what to reserve. */
#define PAILLIER_MONT_WORDS(limbs)			((64 * (limbs) + 54 + 415) / 416 * 8)

/* -1/m modulo 2^64 for an odd m. */
extern mp_limb_t paillier_mont_negative_inverse(mp_limb_t m);

/*
 * Prepare ctx for the odd modulus {m, limbs}, the most significant limb not
 * zero.  With only_eight the functions on one residue but load, store_var and
 * those below them are given up for fewer digits, where the kernel can.
 */
extern void paillier_mont_init(paillier_mont *ctx, const paillier_kernel *kernel, bool only_eight, const mp_limb_t *m,
							   int limbs, mp_limb_t *scratch);

/* out = the number {limbs} < 2^(64·limbs). */
extern void paillier_mont_load(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *limbs);

/* limbs = a mod m, below m.  Variable time: for values that are public. */
extern void paillier_mont_store_var(const paillier_mont *ctx, mp_limb_t *limbs, const mp_limb_t *a, mp_limb_t *scratch);

/* The same in constant time. */
extern void paillier_mont_store_sec(const paillier_mont *ctx, mp_limb_t *limbs, const mp_limb_t *a, mp_limb_t *scratch);

/* out = a·b/R.  out may be a or b. */
extern void paillier_mont_mul(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, const mp_limb_t *b,
							  mp_limb_t *scratch);

/* out = a²/R.  out may be a. */
extern void paillier_mont_sqr(const paillier_mont *ctx, mp_limb_t *out, const mp_limb_t *a, mp_limb_t *scratch);

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
