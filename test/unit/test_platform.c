/*
 * test_platform.c
 *		Wiping memory and random numbers: by what this C library has, and by
 *		what is used where a library or a kernel lacks it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform.h"
#include "reference.h"

/* ---- all ways, from the same sources ---- */

/* A library that has memset_s(), as macOS. */
static int
memset_s(void *memory, size_t room, int byte, size_t size)
{
	if (size > room)
		return EOVERFLOW;
	memset(memory, byte, size);
	return 0;
}

#undef PAILLIER_WIPE
#define PAILLIER_WIPE PAILLIER_WIPE_MEMSET_S
#define paillier_wipe wipe_by_memset_s
#include "../../src/core/platform.c"

#undef PAILLIER_WIPE
#undef paillier_wipe
#define PAILLIER_WIPE PAILLIER_WIPE_VOLATILE
#define paillier_wipe wipe_by_volatile
#include "../../src/core/platform.c"
#undef paillier_wipe

/* What the system does when it is asked for random numbers. */
static struct
{
	bool		lacks_call;		/* ENOSYS */
	bool		refuses_call;	/* another error */
	bool		no_device;
	bool		file_for_device;
	int			end;			/* of the device, after so many bytes; -1: none */
	int			calls;			/* interruptions, pieces */
}			the_system;

static ssize_t
some_bytes(void *out, size_t len)
{
	if (the_system.calls++ % 3 == 1)
	{
		errno = EINTR;
		return -1;
	}
	if (len > 7)
		len = 1 + the_system.calls % 7;
	random_bytes(out, len);
	return len;
}

static ssize_t
call(void *out, size_t len)
{
	if (the_system.lacks_call || the_system.refuses_call)
	{
		errno = the_system.lacks_call ? ENOSYS : EPERM;
		return -1;
	}
	return some_bytes(out, len);
}

static ssize_t
test_getrandom(void *out, size_t len, unsigned flags)
{
	check_int(flags, 0, "flags");
	return call(out, len);
}

static int
test_getentropy(void *out, size_t len)
{
	ssize_t		got;

	check(len <= 256, "%d bytes of getentropy", (int) len);
	for (size_t done = 0; done < len; done += got > 0 ? got : 0)
	{
		got = call((char *) out + done, len - done);
		if (got < 0 && errno != EINTR)
			return -1;
	}
	return 0;
}

static int
test_open(const char *name, int flags)
{
	check(flags == (O_RDONLY | O_CLOEXEC), "flags %d", flags);
	if (the_system.no_device)
	{
		errno = ENOENT;
		return -1;
	}
	return open(the_system.file_for_device ? "/proc/self/exe" : name, flags);
}

static ssize_t
test_read(int fd, void *out, size_t len)
{
	ssize_t		got;

	check(fcntl(fd, F_GETFD) >= 0, "read from no descriptor");
	if (the_system.end == 0)
		return 0;
	got = some_bytes(out, len);
	if (the_system.end > 0 && got > the_system.end)
		got = the_system.end;
	if (the_system.end > 0 && got > 0)
		the_system.end -= got;
	return got;
}

#define open test_open
#define read test_read
#define getrandom test_getrandom
#define getentropy test_getentropy
#define call_system call_getrandom
#define wait_for_entropy wait_after_getrandom
#define open_device open_after_getrandom
#define read_device read_after_getrandom
#define cli_random random_by_getrandom
#undef PAILLIER_RANDOM
#define PAILLIER_RANDOM PAILLIER_RANDOM_GETRANDOM
#include "../../src/cli/cli_random.c"

#undef call_system
#undef wait_for_entropy
#undef open_device
#undef read_device
#undef cli_random
#define call_system call_getentropy
#define wait_for_entropy wait_after_getentropy
#define open_device open_after_getentropy
#define read_device read_after_getentropy
#define cli_random random_by_getentropy
#undef PAILLIER_RANDOM
#define PAILLIER_RANDOM PAILLIER_RANDOM_GETENTROPY
#include "../../src/cli/cli_random.c"

#undef call_system
#undef wait_for_entropy
#undef open_device
#undef read_device
#undef cli_random
#define cli_random random_by_device
#undef PAILLIER_RANDOM
#define PAILLIER_RANDOM PAILLIER_RANDOM_DEVICE
#include "../../src/cli/cli_random.c"
#undef cli_random
#undef open
#undef read

/* ---- wiping ---- */

static void
test_wipe(const char *name, void (*wipe) (void *, size_t))
{
	uint8_t		bytes[300];

	group_begin("memory wiped by %s", name);
	for (int start = 0; start < 9; start++)
		for (int size = 0; size < 280; size++)
		{
			memset(bytes, 0xa5, sizeof(bytes));
			wipe(bytes + start, size);
			for (int i = 0; i < LENGTH(bytes); i++)
				check_int(bytes[i], i >= start && i < start + size ? 0 : 0xa5, "byte %d of %d from %d", i, size, start);
		}
	group_end();
}

/* ---- random numbers ---- */

typedef int (*random_function) (void *, void *, size_t);

/* The numbers are those that the system gives, and all of them. */
static void
check_bytes(random_function function, int len)
{
	uint8_t		bytes[3000];
	int			zeros = 0;

	memset(bytes, 0, sizeof(bytes));
	check_int(function(NULL, bytes + 1, len), 0, "result for %d bytes", len);
	for (int i = 1; i <= len; i++)
		zeros += bytes[i] == 0;
	check(zeros < 10 + len / 64, "%d of %d bytes are not set", zeros, len);
	check(bytes[0] == 0 && bytes[len + 1] == 0, "%d bytes overran", len);
}

static void
check_lengths(random_function function)
{
	static const int lengths[] = {0, 1, 2, 7, 8, 31, 255, 256, 257, 512, 513, 2900};

	for (int i = 0; i < LENGTH(lengths); i++)
		check_bytes(function, lengths[i]);
}

static int
open_descriptors(void)
{
	int			count = 0;

	for (int fd = 0; fd < 100; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
test_random(const char *name, random_function function, bool has_call)
{
	uint8_t		bytes[100];
	int			before = open_descriptors();

	memset(&the_system, 0, sizeof(the_system));
	the_system.end = -1;
	group_begin("random numbers by %s, in pieces and interrupted", name);
	check_lengths(function);
	the_system.lacks_call = true;
	check_lengths(function);
	group_end();

	group_begin("random numbers by %s: failures", name);
	the_system.end = 99;
	check(function(NULL, bytes, sizeof(bytes)) != 0, "a device that ends");
	the_system.end = 100;
	check(function(NULL, bytes, sizeof(bytes)) == 0, "a device that ends behind");
	the_system.end = -1;
	the_system.no_device = true;
	check(function(NULL, bytes, 1) != 0, "no device");
	the_system.no_device = false;
	the_system.file_for_device = true;
	check(function(NULL, bytes, 1) != 0, "a file in the device's place");
	the_system.file_for_device = false;
	the_system.lacks_call = false;
	the_system.refuses_call = true;
	check((function(NULL, bytes, 1) != 0) == has_call, "a call that fails");
	check_int(open_descriptors(), before, "open descriptors");
	group_end();
}

int
main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_wipe("this C library", paillier_wipe);
	test_wipe("memset_s", wipe_by_memset_s);
	test_wipe("volatile stores", wipe_by_volatile);
	test_random("getrandom", random_by_getrandom, true);
	test_random("getentropy", random_by_getentropy, true);
	test_random("the device", random_by_device, false);
	return tap_done();
}
