/*
 * cli_file.c
 *		Opening files, and writing them so that no error goes unnoticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

const char *
cli_input_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

int
cli_input_open(const char *path)
{
	int			fd;

	if (strcmp(path, "-") == 0)
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		cli_fail("%s: %s", path, strerror(errno));
	return fd;
}

static bool
to_standard_output(cli_output *output, const char *path)
{
	if (path != NULL && strcmp(path, "-") != 0)
		return false;
	*output = (cli_output) {.fd = STDOUT_FILENO, .name = "standard output"};
	return true;
}

void
cli_output_create(cli_output *output, const char *path, mode_t mode)
{
	if (to_standard_output(output, path))
		return;
	*output = (cli_output) {.name = path, .created = true};
	output->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY | O_CLOEXEC, mode);
	if (output->fd < 0 && errno == EEXIST)
		cli_fail("%s exists already and is not overwritten", path);
	if (output->fd < 0)
		cli_fail("%s: %s", path, strerror(errno));
}

static bool
is_file(const struct stat *file, int fd, const char *path)
{
	struct stat other;

	return (path == NULL || strcmp(path, "-") == 0 ? fstat(fd, &other) : stat(path, &other)) == 0 &&
		other.st_dev == file->st_dev && other.st_ino == file->st_ino;
}

/* To overwrite what is about to be read, or a key, would lose it. */
static void
check_not_read(const cli_output *output, const struct stat *file, const char *path)
{
	if (is_file(file, STDIN_FILENO, path))
		cli_fail("%s is an input and cannot be the output too", output->name);
}

void
cli_output_open(cli_output *output, const char *path, const cli_options *options, const cli_output *const *others,
				mode_t mode)
{
	struct stat file;

	if (to_standard_output(output, path))
		return;
	*output = (cli_output) {.name = path};
	output->fd = open(path, O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC, mode);
	if (output->fd < 0 || fstat(output->fd, &file) != 0)
		cli_fail("%s: %s", output->name, strerror(errno));
	if (!S_ISREG(file.st_mode))
		return;
	check_not_read(output, &file, options->file);
	for (int i = 0; i < options->nkeys; i++)
		check_not_read(output, &file, options->keys[i]);
	if (options->bill_key != NULL)
		check_not_read(output, &file, options->bill_key);
	for (; *others != NULL; others++)
		if (is_file(&file, (*others)->fd, NULL))
			cli_fail("%s cannot be two outputs", output->name);
	if (ftruncate(output->fd, 0) != 0)
		cli_fail("%s: %s", output->name, strerror(errno));
}

static void fail_to_write(const cli_output *output) __attribute__((noreturn));

/* A reader that has seen enough is no error to report. */
static void
fail_to_write(const cli_output *output)
{
	int			error = errno;

	if (output->created)
		(void) unlink(output->name);
	if (error == EPIPE)
		cli_exit(CLI_FAILURE);
	cli_fail("%s: %s", output->name, strerror(error));
}

void
cli_output_write(cli_output *output, const void *bytes, size_t len)
{
	const char *next = bytes;

	while (len > 0)
	{
		ssize_t		written = write(output->fd, next, len);

		if (written < 0 && errno != EINTR)
			fail_to_write(output);
		if (written > 0)
		{
			next += written;
			len -= written;
		}
	}
}

/* The file, and the directory with its name, on disk; a pipe needs neither. */
void
cli_output_sync(cli_output *output, const char *path)
{
	cli_buffer	copy = {0};
	int			directory;

	if (!output->created)
		return;
	if (fsync(output->fd) != 0)
		fail_to_write(output);
	cli_append(&copy, path, strlen(path) + 1);
	if (copy.out_of_memory)
		return;
	directory = open(dirname(copy.data), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory >= 0)
	{
		(void) fsync(directory);
		close(directory);
	}
	cli_free(copy.data);
}

/* Some file systems report only here that a write has failed. */
void
cli_output_close(cli_output *output)
{
	if (close(output->fd) != 0 && errno != EINTR)
		fail_to_write(output);
}

void
cli_print(const char *text)
{
	cli_output	output;

	cli_output_create(&output, NULL, 0);
	cli_output_write(&output, text, strlen(text));
	cli_output_close(&output);
}
