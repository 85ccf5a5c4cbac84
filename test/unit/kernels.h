/*
 * kernels.h
 *		The kernels that tests run with.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "mont.h"
#include "reference.h"

static const paillier_kernel *const kernels[] = {&paillier_kernel_generic, &paillier_kernel_avx512ifma};

/* Run the tests with each kernel that the processor has; a line tells of the others. */
static inline void
with_each_kernel(void (*tests) (const paillier_kernel *kernel))
{
	for (int i = 0; i < LENGTH(kernels); i++)
		if (kernels[i]->available())
			tests(kernels[i]);
		else
			skip("this processor does not have it", "kernel %s", kernels[i]->name);
}

#endif
