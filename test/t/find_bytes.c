/*
 * find_bytes.c
 *		Look for many short byte strings in many files at once, at any offset.
 *
 *	find_bytes PATTERNS PLACE ...
 *
 * A line of PATTERNS is "kind id hex": 16 bytes of something, in some form.
 * Every file in and below the places is searched.  For each kind of which
 * anything was found a line "kind found/all file ..." is printed, counting ids.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIDTH 16
#define MAX_KINDS 64
#define FILTER_BITS 24

typedef struct Pattern
{
	unsigned char bytes[WIDTH];
	int			kind;
	int			id;
	int			next;			/* of the same hash; 0 ends the chain */
} Pattern;

typedef struct Kind
{
	char		name[32];
	int			ids;
	unsigned char *found;		/* by id */
	char	   *files;
	const char *last_file;
} Kind;

static Pattern *patterns;
static int	number = 0;
static Kind kinds[MAX_KINDS];
static int	kind_number = 0;
static int *first;				/* by hash; 0 is none */
static uint8_t *filter;

static uint32_t
hash(const unsigned char *bytes)
{
	uint64_t	word;

	memcpy(&word, bytes, sizeof(word));
	return (word * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - FILTER_BITS);
}

static int
kind_of(const char *name)
{
	for (int i = 0; i < kind_number; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	if (kind_number == MAX_KINDS)
		exit(2);
	snprintf(kinds[kind_number].name, sizeof(kinds[0].name), "%s", name);
	kinds[kind_number].files = strdup("");
	return kind_number++;
}

static void
read_patterns(const char *name)
{
	FILE	   *file = fopen(name, "r");
	char		kind[32];
	char		hex[2 * WIDTH + 1];
	int			id;
	int			room = 0;

	if (file == NULL)
		exit(2);
	first = calloc((size_t) 1 << FILTER_BITS, sizeof(int));
	filter = calloc((size_t) 1 << (FILTER_BITS - 3), 1);
	number = 1;
	while (fscanf(file, "%31s %d %32s", kind, &id, hex) == 3)
	{
		Pattern    *p;
		uint32_t	h;

		if (number >= room)
		{
			room = 2 * room + 1024;
			patterns = realloc(patterns, room * sizeof(Pattern));
		}
		p = &patterns[number];
		for (int i = 0; i < WIDTH; i++)
			if (sscanf(hex + 2 * i, "%2hhx", &p->bytes[i]) != 1)
				exit(2);
		p->kind = kind_of(kind);
		p->id = id;
		if (id >= kinds[p->kind].ids)
			kinds[p->kind].ids = id + 1;
		h = hash(p->bytes);
		p->next = first[h];
		first[h] = number++;
		filter[h >> 3] |= 1 << (h & 7);
	}
	if (!feof(file) || number == 1)
		exit(2);
	fclose(file);
	for (int i = 0; i < kind_number; i++)
		kinds[i].found = calloc(kinds[i].ids, 1);
}

static void
note(const Pattern *p, const char *name)
{
	Kind	   *kind = &kinds[p->kind];

	kind->found[p->id] = 1;
	if (kind->last_file != name)
	{
		char	   *longer;

		if (strlen(kind->files) < 2000 && asprintf(&longer, "%s %s", kind->files, name) > 0)
			kind->files = longer;
		kind->last_file = name;
	}
}

static int
search(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	int			fd;
	const unsigned char *data;
	const char *name;

	(void) ftw;
	if (type != FTW_F || !S_ISREG(status->st_mode) || status->st_size < WIDTH)
		return 0;
	fd = open(path, O_RDONLY);
	data = fd < 0 ? MAP_FAILED : mmap(NULL, status->st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (fd < 0 && errno == ENOENT)
		return 0;				/* gone since the directory was read */
	if (data == MAP_FAILED)
	{
		fprintf(stderr, "find_bytes: cannot read %s\n", path);
		exit(2);
	}
	name = strdup(path);
	for (off_t i = 0; i + WIDTH <= status->st_size; i++)
	{
		uint32_t	h = hash(data + i);

		if (filter[h >> 3] & (1 << (h & 7)))
			for (int p = first[h]; p != 0; p = patterns[p].next)
				if (memcmp(data + i, patterns[p].bytes, WIDTH) == 0)
					note(&patterns[p], name);
	}
	munmap((void *) data, status->st_size);
	close(fd);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	read_patterns(argv[1]);
	for (int i = 2; i < argc; i++)
		if (nftw(argv[i], search, 16, FTW_PHYS) != 0)
		{
			fprintf(stderr, "find_bytes: cannot search %s\n", argv[i]);
			return 2;
		}
	for (int k = 0; k < kind_number; k++)
	{
		int			found = 0;

		for (int i = 0; i < kinds[k].ids; i++)
			found += kinds[k].found[i];
		if (found > 0)
			printf("%s %d/%d%s\n", kinds[k].name, found, kinds[k].ids, kinds[k].files);
	}
	return 0;
}
