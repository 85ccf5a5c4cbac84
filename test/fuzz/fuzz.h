/*
 * fuzz.h
 *		What the fuzz targets share.
 *
 * A target is one file with LLVMFuzzerTestOneInput().  It is built with the core
 * under AddressSanitizer and UndefinedBehaviorSanitizer, and it compares what it
 * calls with something simple: a GMP number, or the input itself.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the input, taken from the front ---- */

typedef struct fuzz_input
{
	const uint8_t *next;
	size_t		left;
} fuzz_input;

/* Zero where the input is used up. */
static inline uint64_t
fuzz_take(fuzz_input *in, int bytes)
{
	uint64_t	x = 0;

	for (; bytes > 0; bytes--)
	{
		x = x << 8 | (in->left > 0 ? *in->next : 0);
		if (in->left > 0)
			in->next++, in->left--;
	}
	return x;
}

/* ---- memory of exactly this size, so that the sanitizer sees what lies beyond ---- */

static inline void *
fuzz_alloc(size_t len)
{
	void	   *memory = malloc(len > 0 ? len : 1);

	REQUIRE(memory != NULL);
	return memory;
}

static inline mp_limb_t *
fuzz_limbs(size_t limbs)
{
	return fuzz_alloc(limbs * sizeof(mp_limb_t));
}

/* x = {a, limbs} */
static inline void
fuzz_mpz(mpz_t x, const mp_limb_t *a, int limbs)
{
	mpz_import(x, limbs, -1, sizeof(mp_limb_t), 0, 0, a);
}

#endif
