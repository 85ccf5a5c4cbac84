/*
 * kernels.h
 *		The kernels that tests run with.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "mont.h"
#include "reference.h"

static inline int
kernel_count(void)
{
	int			count = 0;

	while (paillier_kernel_at(count) != NULL)
		count++;
	return count;
}

/* The last of the table, which runs on any processor. */
static inline const paillier_kernel *
portable_kernel(void)
{
	return paillier_kernel_at(kernel_count() - 1);
}

/* Run the tests with each kernel that the processor has; a line tells of the others. */
static inline void
with_each_kernel(void (*tests) (const paillier_kernel *kernel))
{
	const paillier_kernel *kernel;

	for (int i = 0; (kernel = paillier_kernel_at(i)) != NULL; i++)
		if (kernel->available())
			tests(kernel);
		else
			skip("this processor does not have it", "kernel %s", kernel->name);
}

#endif
