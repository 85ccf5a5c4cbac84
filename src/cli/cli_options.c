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
	OPTION_DELIMITER,
	OPTION_DECIMAL,
	OPTION_TIME,
	OPTION_METER,
	OPTION_ZONE,
	OPTION_INTERVAL,
	OPTION_BILL_KEY,
	OPTION_REGISTERS,
	OPTION_BILL_ZONE,
	OPTION_WINDOW,
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
	{{"delimiter", required_argument, NULL, OPTION_DELIMITER}, CLI_ENCRYPT},
	{{"decimal", required_argument, NULL, OPTION_DECIMAL}, CLI_ENCRYPT},
	{{"time", required_argument, NULL, OPTION_TIME}, CLI_ENCRYPT},
	{{"meter", required_argument, NULL, OPTION_METER}, CLI_ENCRYPT},
	{{"zone", required_argument, NULL, OPTION_ZONE}, CLI_ENCRYPT},
	{{"interval", required_argument, NULL, OPTION_INTERVAL}, CLI_ENCRYPT},
	{{"bill-key", required_argument, NULL, OPTION_BILL_KEY}, CLI_ENCRYPT},
	{{"registers", required_argument, NULL, OPTION_REGISTERS}, CLI_ENCRYPT},
	{{"bill-zone", required_argument, NULL, OPTION_BILL_ZONE}, CLI_ENCRYPT},
	{{"window", required_argument, NULL, OPTION_WINDOW}, CLI_ENCRYPT},
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
column(const char *option, const char *text)
{
	if (*text == '\0')
		cli_usage_error("option --%s needs the number or the name of a column", option);
	if (text[strspn(text, "0123456789")] == '\0')
		return (cli_column) {.number = number(option, text, 1, CLI_MAX_COLUMNS)};
	return (cli_column) {.name = text};
}

static bool
is_given(const cli_column *column)
{
	return column->number > 0 || column->name != NULL;
}

static char
delimiter(const char *text)
{
	if (strcmp(text, "tab") == 0)
		return '\t';
	if (strlen(text) != 1 || strchr(",;|\t", *text) == NULL)
		cli_usage_error("option --delimiter needs one of ',' ';' '|' or tab");
	return *text;
}

static char
decimal(const char *text)
{
	if (strcmp(text, ".") != 0 && strcmp(text, ",") != 0)
		cli_usage_error("option --decimal needs '.' or ','");
	return *text;
}

/* Lengths that the settings of metering take, as they are written there; in minutes. */
typedef struct length
{
	const char *text;
	int			minutes;
} length;

static const length intervals[] = {
	{"1 min", 1}, {"2 min", 2}, {"3 min", 3}, {"4 min", 4}, {"5 min", 5}, {"6 min", 6}, {"10 min", 10}, {"12 min", 12},
	{"15 min", 15}, {"20 min", 20}, {"30 min", 30}, {"1 hour", 60}, {NULL, 0}
};

static const length windows[] = {
	{"1 hour", 60}, {"2 hours", 120}, {"4 hours", 240}, {"6 hours", 360}, {"12 hours", 720}, {"24 hours", 1440}, {NULL, 0}
};

static int
minutes(const char *option, const length *lengths, const char *text)
{
	char		list[200] = "";

	for (const length *l = lengths; l->text != NULL; l++)
	{
		if (strcmp(text, l->text) == 0)
			return l->minutes;
		strcat(strcat(list, *list == '\0' ? "'" : ", '"), l->text);
		strcat(list, "'");
	}
	cli_usage_error("option --%s needs one of %s", option, list);
}

/* What the rows of CSV are like, and what is made of their readings. */
static void
set_rows(cli_options *options, int option, const char *value)
{
	switch (option)
	{
		case OPTION_DELIMITER:
			options->delimiter = delimiter(value);
			break;
		case OPTION_DECIMAL:
			options->decimal = decimal(value);
			break;
		case OPTION_TIME:
			options->time = column("time", value);
			break;
		case OPTION_METER:
			options->meter = column("meter", value);
			break;
		case OPTION_ZONE:
			options->zone = value;
			break;
		case OPTION_INTERVAL:
			options->interval = 60 * minutes("interval", intervals, value);
			break;
		case OPTION_BILL_KEY:
			options->bill_key = value;
			break;
		case OPTION_REGISTERS:
			options->registers = value;
			break;
		case OPTION_BILL_ZONE:
			options->bill_zone = value;
			break;
		case OPTION_WINDOW:
			options->window = minutes("window", windows, value) / 60;
			break;
	}
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
			options->columns[options->ncolumns++] = column("column", value);
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
		default:
			set_rows(options, option, value);
	}
}

/* What says how the rows of meters are read needs their times, or is about registers. */
static void
check_times(cli_options *options)
{
	const struct
	{
		const char *option;
		bool		given;
		bool		bills;			/* about registers */
	}			known[] = {
		{"meter", is_given(&options->meter), false},
		{"zone", options->zone != NULL, false},
		{"interval", options->interval != 0, false},
		{"registers", options->registers != NULL, true},
		{"bill-zone", options->bill_zone != NULL, true},
		{"window", options->window != 0, true},
	};

	options->timed = options->bill_key != NULL || is_given(&options->time);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].given && (known[i].bills ? options->bill_key == NULL : !options->timed))
			cli_usage_error("option --%s needs --%s", known[i].option, known[i].bills ? "bill-key" : "time");
	if (options->interval == 0)
		options->interval = 5 * 60;
	if (options->bill_key == NULL)
		return;
	if (options->registers == NULL || strcmp(options->registers, "-") == 0)
		cli_usage_error("option --bill-key needs --registers and the name of a file for them");
	if (!is_given(&options->time))
		options->time.number = 2;
	if (!is_given(&options->meter))
		options->meter.number = 1;
	if (options->bill_zone == NULL)
		options->bill_zone = options->zone != NULL ? options->zone : "UTC";
	if (options->window == 0)
		options->window = 2;
}

static void
check_name(const cli_options *options, const cli_column *column)
{
	if (column->name != NULL && !options->header)
		cli_usage_error("column \"%s\" is given by name, which needs --header", column->name);
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
		check_name(options, &options->columns[i]);
	check_name(options, &options->time);
	check_name(options, &options->meter);
	check_times(options);
	for (int i = 0; i < options->nkeys; i++)
		if (strcmp(options->keys[i], "-") == 0 && (i > 0 || strcmp(options->file, "-") == 0))
			cli_usage_error("standard input cannot be read twice");
	if (options->bill_key != NULL && strcmp(options->bill_key, "-") == 0)
		cli_usage_error("option --bill-key needs the name of a file");
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
