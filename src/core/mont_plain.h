/*
 * mont_plain.h
 *		What kernels without vectors share: entries of a table, and eight residues one
 *		after the other.
 */
#ifndef MONT_PLAIN_H
#define MONT_PLAIN_H

#include "mont.h"

/* Entry `index` of a table of 16, in constant time. */
extern void paillier_plain_select(mp_limb_t *out, const mp_limb_t *table, int size, int index);

/* Eight residues lie behind each other; a step of eight is the kernel's own, eight times. */
extern void paillier_plain_gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues);
extern void paillier_plain_scatter8(int words, mp_limb_t *const *residues, const mp_limb_t *a8);
extern void paillier_plain_load8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *limbs,
								 mp_limb_t *scratch);
extern void paillier_plain_mul8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
								mp_limb_t *scratch);
extern void paillier_plain_sqr8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch);

#endif
