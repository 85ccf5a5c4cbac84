/*
 * cli_random.c
 *		Random numbers of the system: by getrandom(2) or getentropy(2), and from
 *		/dev/urandom where the C library or the running kernel lacks them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#if PAILLIER_RANDOM != PAILLIER_RANDOM_DEVICE && !defined(__OpenBSD__)
#include <sys/random.h>
#endif

/* Up to len bytes: how many, or -1 with errno, ENOSYS where there is only the device. */
static ssize_t
call_system(void *out, size_t len)
{
#if PAILLIER_RANDOM == PAILLIER_RANDOM_GETRANDOM
	return getrandom(out, len, 0);
#elif PAILLIER_RANDOM == PAILLIER_RANDOM_GETENTROPY
	if (len > 256)
		len = 256;				/* it gives no more */
	return getentropy(out, len) == 0 ? (ssize_t) len : -1;
#else
	(void) out;
	(void) len;
	errno = ENOSYS;
	return -1;
#endif
}

/* Wait until the system has gathered what random numbers are made of: /dev/urandom does not. */
static void
wait_for_entropy(void)
{
	struct pollfd ready = {.fd = open("/dev/random", O_RDONLY | O_CLOEXEC), .events = POLLIN};

	if (ready.fd < 0)
		return;
	while (poll(&ready, 1, -1) < 0 && errno == EINTR)
		;
	close(ready.fd);
}

/* /dev/urandom itself, not a file in its place; or -1. */
static int
open_device(void)
{
	int			fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode)))
	{
		close(fd);
		fd = -1;
	}
	return fd;
}

static int
read_device(char *out, size_t len)
{
	int			fd;

	wait_for_entropy();
	fd = open_device();
	if (fd < 0)
		return -1;
	while (len > 0)
	{
		ssize_t		got = read(fd, out, len);

		if (got == 0 || (got < 0 && errno != EINTR))
			break;
		if (got > 0)
		{
			out += got;
			len -= got;
		}
	}
	close(fd);
	return len == 0 ? 0 : -1;
}

int
cli_random(void *state, void *out, size_t len)
{
	char	   *next = out;

	(void) state;
	while (len > 0)
	{
		ssize_t		got = call_system(next, len);

		if (got < 0 && errno == ENOSYS)
			return read_device(next, len);
		if (got < 0 && errno != EINTR)
			return -1;
		if (got > 0)
		{
			next += got;
			len -= got;
		}
	}
	return 0;
}
