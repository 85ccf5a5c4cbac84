/*
 * platform.c
 *		Wiping memory, by what the C library has for it.
 */
#ifndef __STDC_WANT_LIB_EXT1__
#define __STDC_WANT_LIB_EXT1__ 1	/* memset_s */
#endif

#include <string.h>

#include "platform.h"

void
paillier_wipe(void *memory, size_t size)
{
#if PAILLIER_WIPE == PAILLIER_WIPE_EXPLICIT_BZERO
	explicit_bzero(memory, size);
#elif PAILLIER_WIPE == PAILLIER_WIPE_MEMSET_S
	(void) memset_s(memory, size, 0, size);
#else
	volatile unsigned char *byte = memory;

	while (size-- > 0)
		*byte++ = 0;

	/* the compiler must not give the memory to something else before that */
	__asm__ volatile("" : : "r"(memory) : "memory");
#endif
}
