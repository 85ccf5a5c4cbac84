/*
 * cli.h
 *		The program `paillier`: keys, encryption and decryption for those who
 *		hold keys or readings outside the database.
 *
 *		cli_main	dispatch
 *		cli_help	the texts of --help
 *		cli_options	the command line
 *		cli_system	messages, exit, memory that is wiped
 *		cli_random	random numbers of the system
 *		cli_file	files that are written
 *		cli_key		reading key files
 *		cli_keygen	the commands keygen, public, id
 *		cli_reader	the bytes of the input
 *		cli_rows	rows of them: CSV and the text format of COPY
 *		cli_time	times in them
 *		cli_zone	time zones
 *		cli_register	registers that their readings add up to
 *		cli_write	writing them
 *		cli_failed	lines that fail, and those that are left out for it
 *		cli_pool	worker threads
 *		cli_crypt	rows from a file through the workers to a file
 *		cli_encrypt	the command encrypt
 *		cli_decrypt	the command decrypt
 */
#ifndef PAILLIER_CLI_H
#define PAILLIER_CLI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "codec.h"
#include "jwk.h"
#include "paillier_private.h"

#define CLI_VERSION "1.0"

enum
{
	CLI_SUCCESS = 0,
	CLI_FAILURE = 1,			/* data, input or output; or some lines failed */
	CLI_USAGE = 2				/* the command line */
};

#define CLI_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* ---- cli_system.c ---- */

/* The command that messages name; NULL before it is known. */
extern const char *cli_command;

/* Safe standard descriptors, no core dumps, no tracing, no SIGPIPE. */
extern void cli_begin(void);

/* Wipe what cli_alloc() gave, and exit.  Only for the main thread. */
extern void cli_exit(int status) __attribute__((noreturn));

/* Called by cli_exit() before it wipes. */
extern void cli_before_exit(void (*stop) (void *), void *arg);

/* A message of one line; the first two do not return.  Only for the main thread. */
extern void cli_fail(const char *format,...) CLI_PRINTF(1, 2) __attribute__((noreturn));
extern void cli_usage_error(const char *format,...) CLI_PRINTF(1, 2) __attribute__((noreturn));
extern void cli_warn(const char *format,...) CLI_PRINTF(1, 2);

/*
 * Zeroed memory that is overwritten by cli_free() and by cli_exit().  Out of
 * memory cli_try_alloc() returns NULL and cli_alloc() exits.
 */
extern void *cli_try_alloc(size_t size);
extern void *cli_alloc(size_t size);
extern void cli_free(void *memory);

/* Bytes that grow in such memory. */
typedef struct cli_buffer
{
	char	   *data;
	size_t		len;
	size_t		room;
	bool		out_of_memory;	/* what was appended since is lost */
} cli_buffer;

extern bool cli_buffer_reserve(cli_buffer *buffer, size_t more);
extern void cli_append(cli_buffer *buffer, const void *bytes, size_t len);

static inline void
cli_append_byte(cli_buffer *buffer, char byte)
{
	if (buffer->len < buffer->room || cli_buffer_reserve(buffer, 1))
		buffer->data[buffer->len++] = byte;
}

/* ---- cli_random.c ---- */

/* A paillier_random: the system's generator. */
extern int	cli_random(void *state, void *out, size_t len);

/* ---- cli_options.c ---- */

/* A column as the user named it: by number, or with number 0 by name. */
typedef struct cli_column
{
	int			number;
	const char *name;
} cli_column;

typedef struct cli_options
{
	int			bits;
	int			min_bits;
	const char *out;			/* NULL: standard output */
	const char *file;			/* "-": standard input */
	const char **keys;
	int			nkeys;
	cli_column *columns;
	int			ncolumns;
	bool		header;
	bool		quiet;
	bool		keep_going;
	const char *failed;			/* NULL: standard error */
	int			scale;
	int			width;
	int			jobs;

	/* of CSV; 0: not named */
	char		delimiter;
	char		decimal;

	/* with times in the rows */
	bool		timed;
	cli_column	time;
	cli_column	meter;			/* neither number nor name: none */
	const char *zone;			/* of times without an offset; NULL: there are none */
	int			interval;		/* between two readings, in seconds */

	/* with registers */
	const char *bill_key;		/* NULL: none are made */
	const char *registers;		/* where they are written */
	const char *bill_zone;		/* of bill windows */
	int			window;			/* a bill window, in hours */
} cli_options;

enum
{
	CLI_KEYGEN = 1,
	CLI_PUBLIC = 2,
	CLI_ID = 4,
	CLI_ENCRYPT = 8,
	CLI_DECRYPT = 16
};

/* Read the arguments behind the command; `command` is one of the above. */
extern void cli_options_read(cli_options *options, int command, int argc, char **argv);

/* ---- cli_help.c ---- */

extern const char cli_help_program[];
extern const char cli_help_keygen[];
extern const char cli_help_public[];
extern const char cli_help_id[];
extern const char cli_help_encrypt[];
extern const char cli_help_decrypt[];

/* ---- cli_file.c ---- */

typedef struct cli_output
{
	int			fd;
	const char *name;			/* for messages */
	bool		created;		/* remove it when it cannot be written */
} cli_output;

/* How a file that is read is called in messages; "-" is standard input. */
extern const char *cli_input_name(const char *path);

/* Open a file to read, or standard input for "-". */
extern int	cli_input_open(const char *path);

/* A new file: never one that exists.  NULL and "-" are standard output. */
extern void cli_output_create(cli_output *output, const char *path, mode_t mode);

/*
 * A new file or one that is overwritten, but never one of those that the options
 * name as input, nor one of the other outputs, up to a NULL.
 */
extern void cli_output_open(cli_output *output, const char *path, const cli_options *options,
							const cli_output *const *others, mode_t mode);

/* These fail as cli_fail() does; without a word where a reader has gone away. */
extern void cli_output_write(cli_output *output, const void *bytes, size_t len);
extern void cli_output_sync(cli_output *output, const char *path);
extern void cli_output_close(cli_output *output);

/* All that a command has to say on standard output. */
extern void cli_print(const char *text);

/* ---- cli_key.c ---- */

typedef struct cli_key
{
	bool		is_private;
	uint8_t		id[PAILLIER_KEY_ID_LENGTH];
	paillier_private key;		/* of a public key only key.pub is set */
} cli_key;

/* Read and check a key of either kind. */
extern cli_key *cli_key_read(const char *path, int min_bits);

/* A warning for the file of a private key that others can open. */
extern void cli_key_warn_if_readable(int fd, const char *name);

extern void cli_key_id(uint8_t *id, const paillier_public *pub);

/* ---- cli_keygen.c ---- */

extern void cli_keygen(const cli_options *options);
extern void cli_public(const cli_options *options);
extern void cli_id(const cli_options *options);

/* ---- cli_reader.c, cli_rows.c ---- */

#define CLI_MAX_ROW			(1024 * 1024)	/* bytes */
#define CLI_MAX_COLUMNS		1664	/* PostgreSQL's limit for the result of a query */

/* A batch takes no further row beyond this, or beyond what the task says. */
#define CLI_BATCH_LINES		1024	/* rows, and lines that are none */

typedef enum cli_format
{
	CLI_CSV,
	CLI_COPY
} cli_format;

/* Where and what; line 0 and column 0 are not shown. */
typedef struct cli_error
{
	long		line;
	int			column;			/* from 1 */
	char		message[200];
} cli_error;

typedef struct cli_field
{
	size_t		start;			/* in the batch's text */
	size_t		len;
	long		line;			/* on which it begins */
	bool		null;
} cli_field;

/* A line of the input: a row, or what is none. */
typedef struct cli_line
{
	long		line;			/* on which it begins */
	size_t		start;			/* as it came, in the batch's raw: with keep_going only */
	size_t		len;
	bool		empty;			/* no row, and no failure */
	bool		failed;
	cli_error	error;
} cli_line;

/* Some rows on their way: the fields as they were read, the text to write. */
typedef struct cli_batch
{
	cli_buffer	text;
	cli_buffer	fields;			/* array of cli_field, `columns` to a row */
	cli_buffer	lines;			/* array of cli_line: the rows, and lines that cannot be read */
	cli_buffer	row_lines;		/* array of int: the rows among the lines */
	cli_buffer	raw;
	int			columns;
	int			rows;
	bool		certain[CLI_MAX_COLUMNS];	/* columns of ciphertexts, though nobody named them */
	struct cli_batch *registers;	/* rows that these add up to, for another file; NULL: none ever */

	/* the workers' */
	bool		keep_going;		/* rows that fail are left out, and do not end the batch */
	int			end;			/* fields that are worked on */
	cli_buffer	out;
	size_t		complete;		/* of out: whole rows */
	int			rows_out;
} cli_batch;

extern void cli_error_set(cli_error *error, long line, int column, const char *format,...) CLI_PRINTF(4, 5);

extern void cli_batch_reset(cli_batch *batch);

static inline cli_line *
cli_batch_line(const cli_batch *batch, int i)
{
	return (cli_line *) batch->lines.data + i;
}

static inline cli_line *
cli_batch_row_line(const cli_batch *batch, int row)
{
	return cli_batch_line(batch, ((const int *) batch->row_lines.data)[row]);
}

static inline int
cli_batch_lines(const cli_batch *batch)
{
	return batch->lines.len / sizeof(cli_line);
}

static inline const cli_field *
cli_batch_field(const cli_batch *batch, int i)
{
	return (const cli_field *) batch->fields.data + i;
}

static inline const char *
cli_field_text(const cli_batch *batch, const cli_field *field)
{
	return field->len > 0 ? batch->text.data + field->start : "";
}

/* Where in a row of COPY reading stopped: before a byte or an escape. */
typedef struct cli_stop
{
	size_t		offset;			/* from the row's beginning; 0: nowhere */
	long		line;
	int			columns;		/* that ended before */
	long		field_line;		/* on which the field begins */
} cli_stop;

typedef struct cli_reader
{
	int			fd;
	cli_format	format;
	char		delimiter;		/* of CSV */
	bool		guard;			/* refuse other characters that may be meant as delimiters */
	bool		keep_going;		/* behind rows that cannot be read */
	cli_buffer	buffer;
	size_t		next;			/* of the bytes in buffer */
	size_t		held;			/* where the row begins that is kept in it */
	bool		begun;
	bool		eof;
	bool		guessing;		/* what is read will be read again */
	long		line;			/* from 1 */
	long		row_line;		/* on which the current row begins */
	long		row_bytes;
	long		max_row;		/* bytes */
	int			max_columns;
	bool		row_complete;	/* it was read to its end */
	bool		empty;			/* it is an empty line of CSV */
	cli_stop	stop;			/* where the current row failed */
	cli_stop	ahead;			/* how far the next row was read, as part of one that failed */
	int			columns;		/* of every row; 0 before the first */
	bool		failed;
	bool		fatal;			/* not for what is in the row */
	cli_error	error;
} cli_reader;

extern void cli_reader_init(cli_reader *reader, int fd, cli_format format, bool keep_going);

/* More bytes behind those that are held: false at the end and, with reader->failed, on an error. */
extern bool cli_reader_fill(cli_reader *reader);

/* An error that is none of the row, and that nothing follows.  Returns false. */
extern bool cli_reader_fail(cli_reader *reader, const char *what);

/* A line for the batch, with `len` of the bytes that are held where they may be wanted. */
extern void cli_reader_add_line(const cli_reader *reader, cli_batch *batch, cli_line *line, size_t len);

/*
 * Append the next row to the batch, or pass over an empty line where rows have
 * several columns: false at the end and, with reader->failed, on an error.
 */
extern bool cli_read_row(cli_reader *reader, cli_batch *batch);

/* After an error: append the line to the batch's and go on behind it.  False where that cannot be. */
extern bool cli_reader_recover(cli_reader *reader, cli_batch *batch);

/* Before the first row, where one that fails is not the end: how many columns rows have. */
extern void cli_reader_guess_columns(cli_reader *reader);

/* Whether reading would not have to wait. */
extern bool cli_reader_ready(cli_reader *reader);

/* ---- cli_write.c ---- */

/* One field to a file of the format, with the separator before it or the line's end behind it. */
extern void cli_write_field(cli_buffer *out, cli_format format, int column, int columns, const char *text, size_t len,
							bool null);

/* ---- cli_pool.c ---- */

/* Make batch->out of the batch's rows; `worker` is the thread's own. */
typedef void (*cli_process) (const void *context, void *worker, cli_batch *batch);

/*
 * A ring of batches.  The main thread fills, submits and collects them, in
 * this order; the workers take them in between.
 */
typedef struct cli_pool
{
	pthread_mutex_t lock;
	pthread_cond_t work;		/* a batch was submitted, or stop */
	pthread_cond_t finished;	/* a batch is done */
	cli_process process;
	const void *context;
	int			slots;
	cli_batch  *batches;
	bool	   *done;
	long		submitted;		/* counts of batches so far */
	long		taken;
	long		collected;
	bool		stop;
	int			threads;
	pthread_t  *thread;
	struct cli_pool_start *start;
} cli_pool;

extern void cli_pool_start(cli_pool *pool, int jobs, cli_process process, const void *context, void **workers);

/* An empty batch to fill; NULL while all are under way. */
extern cli_batch *cli_pool_next(cli_pool *pool);
extern void cli_pool_submit(cli_pool *pool);

/* Whether there is anything to collect. */
extern bool cli_pool_busy(const cli_pool *pool);

/* Wait for the oldest batch that is under way; it stays the caller's until the next call. */
extern cli_batch *cli_pool_collect(cli_pool *pool);

extern void cli_pool_stop(cli_pool *pool);

/* ---- cli_crypt.c ---- */

/* What a command does with rows. */
typedef struct cli_task
{
	const cli_options *options;
	cli_format	input;
	cli_format	output;
	bool		last_column;	/* without --column: the last one, not all */
	bool		copy_header;

	/* a batch takes no further row beyond so many rows, fields to work on, or bytes */
	int			batch_rows;
	int			batch_fields;
	size_t		batch_bytes;

	/* in the order of the rows, before the workers; NULL where there is nothing to prepare */
	void		(*prepare) (const void *context, cli_batch *batch);
	cli_process process;

	/* whether field i holds a ciphertext; NULL where columns need not be recognised */
	bool		(*recognise) (const void *context, const cli_batch *batch, int i);
	const void *context;
	void	  **workers;		/* options->jobs of them */
} cli_task;

/* State that the workers read. */
typedef struct cli_selection
{
	bool		column[CLI_MAX_COLUMNS];
	bool		by_user;
	int			count;
	int			time;			/* columns from 1; 0: none */
	int			meter;
	int			energy;			/* the first one of `column` */
	atomic_bool cancelled;
} cli_selection;

/* Run all rows of the input through the task. */
extern void cli_crypt(const cli_task *task, cli_selection *selection);

/* ---- cli_failed.c ---- */

/* Before anything is done with the rows: none has failed, nothing is written. */
extern void cli_batch_begin(cli_batch *batch);

/*
 * The row of field i has failed, which is written no more: with keep_going that
 * row alone, otherwise all from it on.
 */
extern void cli_batch_fail(cli_batch *batch, int i, const char *format,...) CLI_PRINTF(3, 4);

/* Whether field i, below batch->end, belongs to a row that has failed. */
extern bool cli_batch_failed(const cli_batch *batch, int i);

/* Field i to batch->out, for which all before it have to be there. */
extern void cli_batch_write(cli_batch *batch, cli_format format, int i, const char *text, size_t len, bool null);

/* Fields *next to end - 1 as they are, but for rows that have failed, of which nothing remains. */
extern void cli_batch_copy(cli_batch *batch, cli_format format, int *next, int end);

/* What becomes of lines that fail: a file of them, or messages. */
typedef struct cli_failures
{
	const char *input;			/* the name of the input */
	bool		to_file;
	cli_output	output;
	cli_buffer	text;
	long		count;
} cli_failures;

extern void cli_failures_open(cli_failures *failures, const cli_options *options, const cli_output *const *others);

/* "standard input: line 3, column 2: what is wrong" */
extern void cli_error_text(char *out, size_t room, const char *input, const cli_error *error);

/* All lines of the batch that failed, in their order. */
extern void cli_failures_write(cli_failures *failures, const cli_batch *batch);
extern void cli_failures_close(cli_failures *failures);

/* ---- cli_time.c ---- */

#define CLI_TIME_ROOM 32		/* bytes of a time, with the terminator */

/* Times of other years are none of a meter. */
#define CLI_FIRST_YEAR	1970
#define CLI_END_YEAR	2100
#define CLI_FIRST_TIME	INT64_C(0)
#define CLI_END_TIME	INT64_C(4102444800)

/*
 * Read a time as seconds since 1970, or where it has no offset, those of the local
 * clock: then *local is set.  False for any other text.
 */
extern bool cli_time_read(int64_t *t, bool *local, const char *text, size_t len);

/* Write a time in UTC: 2026-01-31T23:30:00Z */
extern void cli_time_write(char out[CLI_TIME_ROOM], int64_t t);

/* ---- cli_zone.c ---- */

typedef struct cli_zone cli_zone;

/* The rules of a time zone for the years above; a usage error for one that the system does not know. */
extern cli_zone *cli_zone_read(const char *name);

/* Seconds that local time is ahead of UTC. */
extern int	cli_zone_offset(cli_zone *zone, int64_t t);

/* The times, in order, at which local clocks show `local`: none, one or two.  Returns their number. */
extern int	cli_zone_utc(cli_zone *zone, int64_t local, int64_t utc[2]);

/* ---- cli_register.c ---- */

/* Fields of a register: its time, meter and series, and as the last one its value. */
#define CLI_REGISTER_FIELDS 4

/* What is kept of the meters. */
typedef struct cli_ledger cli_ledger;

/* The columns may be chosen later, before the first row. */
extern cli_ledger *cli_ledger_new(const cli_options *options, const cli_selection *columns);

/*
 * Read the time of a row and write it in UTC; with registers, count its reading, and
 * append the registers that it completes to batch->registers.  The row fails where
 * that cannot be.  Only for the main thread, row by row.
 */
extern void cli_ledger_take_row(cli_ledger *ledger, cli_batch *batch, int row);

/* How many readings are in no register, so far. */
extern long cli_ledger_uncounted(const cli_ledger *ledger);

/* ---- cli_encrypt.c, cli_decrypt.c ---- */

extern void cli_encrypt(const cli_options *options);
extern void cli_decrypt(const cli_options *options);

#endif
