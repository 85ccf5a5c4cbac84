/*
 * tap.h
 *		Test results in the Test Anything Protocol.
 *
 * A group of checks is one line of the result.  The first check of a group
 * that fails is described, the others are only counted.
 */
#ifndef TAP_H
#define TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static struct
{
	uint64_t	seed;			/* of the random inputs, for the messages */
	int			groups;
	int			failed_groups;
	long		checks;			/* of the current group */
	long		failures;
	char		name[200];
}			tap;

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

static inline PRINTF_LIKE(1, 2) void
group_begin(const char *name, ...)
{
	va_list		args;

	va_start(args, name);
	vsnprintf(tap.name, sizeof(tap.name), name, args);
	va_end(args);
	tap.checks = 0;
	tap.failures = 0;
}

static inline void
group_end(void)
{
	bool		passed = tap.failures == 0 && tap.checks > 0;

	if (!passed)
	{
		printf("# %ld of %ld checks failed; seed %" PRIu64 "\n", tap.failures, tap.checks, tap.seed);
		tap.failed_groups++;
	}
	printf("%sok %d - %s\n", passed ? "" : "not ", ++tap.groups, tap.name);
	fflush(stdout);
}

/* Count a check; true when it is the group's first to fail, for the caller to describe. */
static inline bool
check_fails_first(bool pass)
{
	tap.checks++;
	return !pass && tap.failures++ == 0;
}

static inline PRINTF_LIKE(2, 0) void
describe_failure(const char *expected_and_got, const char *what, va_list args)
{
	printf("# failed in \"%s\": ", tap.name);
	vprintf(what, args);
	printf("\n%s", expected_and_got);
}

/*
 * The checks return true when they have described a failure, so that the caller
 * can print the inputs after it.
 */
static inline PRINTF_LIKE(2, 3) bool
check(bool pass, const char *what, ...)
{
	va_list		args;

	if (!check_fails_first(pass))
		return false;
	va_start(args, what);
	describe_failure("", what, args);
	va_end(args);
	return true;
}

static inline PRINTF_LIKE(3, 4) bool
check_int(long long got, long long expected, const char *what, ...)
{
	char		values[100];
	va_list		args;

	if (!check_fails_first(got == expected))
		return false;
	snprintf(values, sizeof(values), "# expected: %lld\n# got:      %lld\n", expected, got);
	va_start(args, what);
	describe_failure(values, what, args);
	va_end(args);
	return true;
}

/* A check that is a line of its own. */
static inline void
ok(bool pass, const char *name)
{
	group_begin("%s", name);
	check(pass, "the condition does not hold");
	group_end();
}

static inline void
is_int(long long got, long long expected, const char *name)
{
	group_begin("%s", name);
	check_int(got, expected, "wrong number");
	group_end();
}

/* A line for what this machine cannot do. */
static inline PRINTF_LIKE(2, 3) void
skip(const char *reason, const char *name, ...)
{
	va_list		args;

	printf("ok %d - ", ++tap.groups);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf(" # SKIP %s\n", reason);
}

/* Print the plan; returns the exit status of the program. */
static inline int
tap_done(void)
{
	printf("1..%d\n", tap.groups);
	if (tap.failed_groups > 0)
		printf("# %d of %d failed; seed %" PRIu64 "\n", tap.failed_groups, tap.groups, tap.seed);
	return tap.failed_groups == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
