/*
 * cli_options.c
 *		The command line.
 */
#define _GNU_SOURCE				/* sched_getaffinity */

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define MAX_JOBS 256

enum
{
	OPTION_BITS = 1,
	OPTION_MIN_BITS,
	OPTION_OUT,
	OPTION_KEY,
	OPTION_COLUMN,
	OPTION_HEADER,
	OPTION_SCALE,
	OPTION_WIDTH,
	OPTION_JOBS,
	OPTION_QUIET,
	OPTION_KEEP_GOING,
	OPTION_FAILED,
	OPTION_HELP
};

#define CRYPT (CLI_ENCRYPT | CLI_DECRYPT)
#define ALL (CLI_KEYGEN | CLI_PUBLIC | CLI_ID | CRYPT)

static const struct
{
	struct option option;
	int			commands;
}			all_options[] = {
	{{"bits", required_argument, NULL, OPTION_BITS}, CLI_KEYGEN},
	{{"min-bits", required_argument, NULL, OPTION_MIN_BITS}, ALL},
	{{"out", required_argument, NULL, OPTION_OUT}, CLI_KEYGEN | CLI_PUBLIC | CRYPT},
	{{"key", required_argument, NULL, OPTION_KEY}, CRYPT},
	{{"column", required_argument, NULL, OPTION_COLUMN}, CRYPT},
	{{"header", no_argument, NULL, OPTION_HEADER}, CRYPT},
	{{"scale", required_argument, NULL, OPTION_SCALE}, CLI_ENCRYPT},
	{{"width", required_argument, NULL, OPTION_WIDTH}, CLI_ENCRYPT},
	{{"jobs", required_argument, NULL, OPTION_JOBS}, CRYPT},
	{{"quiet", no_argument, NULL, OPTION_QUIET}, CRYPT},
	{{"keep-going", no_argument, NULL, OPTION_KEEP_GOING}, CRYPT},
	{{"failed", required_argument, NULL, OPTION_FAILED}, CRYPT},
	{{"help", no_argument, NULL, OPTION_HELP}, ALL},
};

#define OPTIONS ((int) (sizeof(all_options) / sizeof(all_options[0])))

static const struct
{
	int			command;
	const char *help;
}			helps[] = {
	{CLI_KEYGEN, cli_help_keygen},
	{CLI_PUBLIC, cli_help_public},
	{CLI_ID, cli_help_id},
	{CLI_ENCRYPT, cli_help_encrypt},
	{CLI_DECRYPT, cli_help_decrypt},
};

static void
show_help(int command)
{
	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++)
		if (helps[i].command == command)
			cli_print(helps[i].help);
	cli_exit(CLI_SUCCESS);
}

/* The processors that this process may use. */
static int
default_jobs(void)
{
	int			jobs = sysconf(_SC_NPROCESSORS_ONLN);

#ifdef __linux__
	cpu_set_t	set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		jobs = CPU_COUNT(&set);
#endif
	return jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs;
}

static int
number(const char *option, const char *text, int least, int most)
{
	char	   *end;
	long		value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
		cli_usage_error("option --%s needs a number from %d to %d", option, least, most);
	return (int) value;
}

static cli_column
column(const char *text)
{
	if (*text == '\0')
		cli_usage_error("option --column needs the number or the name of a column");
	if (text[strspn(text, "0123456789")] == '\0')
		return (cli_column) {.number = number("column", text, 1, CLI_MAX_COLUMNS)};
	return (cli_column) {.name = text};
}

static void
set(cli_options *options, int option, const char *value)
{
	switch (option)
	{
		case OPTION_BITS:
			options->bits = number("bits", value, PAILLIER_MIN_BITS, PAILLIER_MAX_BITS);
			break;
		case OPTION_MIN_BITS:
			options->min_bits = number("min-bits", value, PAILLIER_MIN_BITS, PAILLIER_MAX_BITS);
			break;
		case OPTION_OUT:
			options->out = value;
			break;
		case OPTION_KEY:
			options->keys[options->nkeys++] = value;
			break;
		case OPTION_COLUMN:
			options->columns[options->ncolumns++] = column(value);
			break;
		case OPTION_HEADER:
			options->header = true;
			break;
		case OPTION_SCALE:
			options->scale = number("scale", value, 0, PAILLIER_MAX_SCALE);
			break;
		case OPTION_WIDTH:
			options->width = number("width", value, 1, PAILLIER_MAX_BITS);
			break;
		case OPTION_JOBS:
			options->jobs = number("jobs", value, 1, MAX_JOBS);
			break;
		case OPTION_QUIET:
			options->quiet = true;
			break;
		case OPTION_KEEP_GOING:
			options->keep_going = true;
			break;
		case OPTION_FAILED:
			options->failed = value;
			break;
	}
}

static void
read_files(cli_options *options, int command, int count, char **files)
{
	int			most = command == CLI_KEYGEN ? 0 : 1;
	bool		crypt = (command & CRYPT) != 0;

	if (count > most)
		cli_usage_error("argument \"%s\" is one too many", files[most]);
	if (count > 0)
		options->file = files[0];
	else if (crypt)
		options->file = "-";
	else if (command != CLI_KEYGEN)
		cli_usage_error("the key file is missing");

	if (options->failed != NULL && !options->keep_going)
		cli_usage_error("option --failed needs --keep-going");
	if (options->failed != NULL && strcmp(options->failed, "-") == 0)
		cli_usage_error("option --failed needs the name of a file");
	for (int i = 0; i < options->ncolumns; i++)
		if (options->columns[i].name != NULL && !options->header)
			cli_usage_error("column \"%s\" is given by name, which needs --header", options->columns[i].name);
	for (int i = 0; i < options->nkeys; i++)
		if (strcmp(options->keys[i], "-") == 0 && (i > 0 || strcmp(options->file, "-") == 0))
			cli_usage_error("standard input cannot be read twice");
}

void
cli_options_read(cli_options *options, int command, int argc, char **argv)
{
	struct option known[OPTIONS + 1];
	int			count = 0;
	int			c;

	*options = (cli_options) {.bits = 3072, .min_bits = 2048, .width = 64, .jobs = default_jobs()};
	options->keys = cli_alloc(argc * sizeof(*options->keys));
	options->columns = cli_alloc(argc * sizeof(*options->columns));
	for (int i = 0; i < OPTIONS; i++)
		if (all_options[i].commands & command)
			known[count++] = all_options[i].option;
	known[count] = (struct option) {0};

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", known, NULL)) != -1)
	{
		if (c == 'h' || c == OPTION_HELP)
			show_help(command);
		else if (c == ':')
			cli_usage_error("option %s needs a value", argv[optind - 1]);
		else if (c == '?')
			cli_usage_error("there is no option %s", argv[optind - 1]);
		else
			set(options, c, optarg);
	}
	read_files(options, command, argc - optind, argv + optind);
}
