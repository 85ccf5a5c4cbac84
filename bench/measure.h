/*
 * measure.h
 *		How often a second some work can be done.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <time.h>

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* After one round that does not count; the clock is read every `times` times. */
static double
rate(void (*work) (void), int times, double seconds)
{
	double		began;
	double		passed;
	long		done = 0;

	work();
	began = now();
	do
	{
		for (int i = 0; i < times; i++)
			work();
		done += times;
		passed = now() - began;
	} while (passed < seconds);
	return done / passed;
}

#endif
