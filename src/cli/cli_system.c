/*
 * cli_system.c
 *		What every command needs of the system: messages, an orderly exit,
 *		memory that is wiped.
 *
 * Out of reach of the wiping are copies in the kernel (pipes, the page cache of
 * files that are read or written), registers, and what GMP and the C library
 * leave on the stack.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "cli.h"

const char *cli_command = NULL;

static void (*exit_hook) (void *) = NULL;
static void *exit_hook_arg = NULL;

/* ---- begin and end ---- */

/*
 * With a standard descriptor closed, the next file that is opened would take
 * its place: a message could end up in a key file.  /dev/null opened for
 * reading keeps the place, and writing to it still fails.
 */
static void
hold_standard_descriptors(void)
{
	int			fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void
cli_begin(void)
{
	struct rlimit none = {0, 0};

	hold_standard_descriptors();

	/* keys and plaintexts stay out of core files and of other processes' sight */
	(void) setrlimit(RLIMIT_CORE, &none);
#ifdef __linux__
	(void) prctl(PR_SET_DUMPABLE, 0);
#endif

	/* writing reports these as errors instead */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

void
cli_before_exit(void (*stop) (void *), void *arg)
{
	exit_hook = stop;
	exit_hook_arg = arg;
}

/* ---- messages ---- */

static void
message(const char *kind, const char *format, va_list args)
{
	char		text[1024];

	vsnprintf(text, sizeof(text), format, args);
	if (cli_command != NULL)
		fprintf(stderr, "paillier: %s: %s%s\n", cli_command, kind, text);
	else
		fprintf(stderr, "paillier: %s%s\n", kind, text);
}

void
cli_fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	message("", format, args);
	va_end(args);
	cli_exit(CLI_FAILURE);
}

void
cli_usage_error(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	message("", format, args);
	va_end(args);
	fprintf(stderr, "Try 'paillier %s%s--help'.\n", cli_command != NULL ? cli_command : "",
			cli_command != NULL ? " " : "");
	cli_exit(CLI_USAGE);
}

void
cli_warn(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	message("warning: ", format, args);
	va_end(args);
}

/* ---- memory ---- */

/* In front of every piece; all pieces are linked, so that the exit finds them. */
typedef struct piece
{
	_Alignas(max_align_t) struct piece *next;
	struct piece *previous;
	size_t		size;			/* behind this header */
} piece;

static pthread_mutex_t pieces_lock = PTHREAD_MUTEX_INITIALIZER;
static piece *pieces = NULL;

void *
cli_try_alloc(size_t size)
{
	piece	   *new = calloc(1, sizeof(piece) + size);

	if (new == NULL)
		return NULL;
	new->size = size;
	pthread_mutex_lock(&pieces_lock);
	new->next = pieces;
	if (pieces != NULL)
		pieces->previous = new;
	pieces = new;
	pthread_mutex_unlock(&pieces_lock);
	return new + 1;
}

void *
cli_alloc(size_t size)
{
	void	   *memory = cli_try_alloc(size);

	if (memory == NULL)
		cli_fail("out of memory");
	return memory;
}

void
cli_free(void *memory)
{
	piece	   *old = memory;

	if (memory == NULL)
		return;
	old--;
	pthread_mutex_lock(&pieces_lock);
	if (old->next != NULL)
		old->next->previous = old->previous;
	if (old->previous != NULL)
		old->previous->next = old->next;
	else
		pieces = old->next;
	pthread_mutex_unlock(&pieces_lock);
	paillier_wipe(old + 1, old->size);
	free(old);
}

void
cli_exit(int status)
{
	void		(*hook) (void *) = exit_hook;

	exit_hook = NULL;
	if (hook != NULL)
		hook(exit_hook_arg);
	while (pieces != NULL)
		cli_free(pieces + 1);
	exit(status);
}

/* Not by realloc(), which would leave a copy behind. */
bool
cli_buffer_reserve(cli_buffer *buffer, size_t more)
{
	size_t		room = buffer->room < 256 ? 256 : buffer->room;
	char	   *data;

	if (buffer->out_of_memory)
		return false;
	if (more <= buffer->room - buffer->len)
		return true;
	while (room - buffer->len < more)
		room *= 2;
	data = cli_try_alloc(room);
	if (data == NULL)
	{
		buffer->out_of_memory = true;
		return false;
	}
	if (buffer->len > 0)
		memcpy(data, buffer->data, buffer->len);
	cli_free(buffer->data);
	buffer->data = data;
	buffer->room = room;
	return true;
}

void
cli_append(cli_buffer *buffer, const void *bytes, size_t len)
{
	if (len == 0 || !cli_buffer_reserve(buffer, len))
		return;
	memcpy(buffer->data + buffer->len, bytes, len);
	buffer->len += len;
}
