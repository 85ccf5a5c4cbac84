/*
 * mont_plain.c
 *		What kernels without vectors share.
 */
#include "mont_plain.h"

void
paillier_plain_select(mp_limb_t *out, const mp_limb_t *table, int size, int index)
{
	mpn_sec_tabselect(out, table, size, 16, index);
}

void
paillier_plain_gather8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *residues)
{
	for (int i = 0; i < 8; i++)
		mpn_copyi(out8 + i * ctx->words, residues[i], ctx->words);
}

void
paillier_plain_scatter8(int words, mp_limb_t *const *residues, const mp_limb_t *a8)
{
	for (int i = 0; i < 8; i++)
		mpn_copyi(residues[i], a8 + i * words, words);
}

void
paillier_plain_load8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *const *limbs, mp_limb_t *scratch)
{
	for (int i = 0; i < 8; i++)
		ctx->kernel->load(ctx, out8 + i * ctx->words, limbs[i], scratch);
}

void
paillier_plain_mul8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, const mp_limb_t *b8,
					mp_limb_t *scratch)
{
	for (int i = 0; i < 8; i++)
		ctx->kernel->mul(ctx, out8 + i * ctx->words, a8 + i * ctx->words, b8 + i * ctx->words, scratch);
}

void
paillier_plain_sqr8(const paillier_mont *ctx, mp_limb_t *out8, const mp_limb_t *a8, mp_limb_t *scratch)
{
	for (int i = 0; i < 8; i++)
		ctx->kernel->sqr(ctx, out8 + i * ctx->words, a8 + i * ctx->words, scratch);
}
