/*
 * batch.c
 *		Decryption of many totals under one key by the core, beside decryption one by
 *		one.
 *
 *	batch BITS SECONDS
 *
 * Prints "MEASURE <tab> ciphertexts a second" for a new key of BITS:
 *
 *	KERNEL/one				one by one, eight at a time
 *	KERNEL/GROUP/SLOT		GROUP ciphertexts together, whose bounds need slots of SLOT bits
 *
 * Every value that is decrypted is compared with the one that was encrypted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "measure.h"
#include "paillier_batch.h"

#define MOST 4096

static paillier_private *key;
static paillier_bounded item[MOST];
static mp_limb_t *value[MOST];
static bool negative[MOST];
static mp_limb_t *scratch;
static int	group;
static bool one_by_one;

static void *
memory(size_t limbs)
{
	void	   *p = calloc(limbs + 1, sizeof(mp_limb_t));

	if (p == NULL)
	{
		fprintf(stderr, "batch: out of memory\n");
		exit(1);
	}
	return p;
}

static int
system_random(void *state, void *out, size_t len)
{
	(void) state;
	for (size_t i = 0; i < len; i += 256)
	{
		size_t		part = len - i < 256 ? len - i : 256;

		if (getrandom((char *) out + i, part, 0) != (ssize_t) part)
			return -1;
	}
	return 0;
}

static const paillier_host host = {.random = system_random};

static void
decrypt(void)
{
	static const paillier_batch_rules never = {.least = MOST + 1, .prime_bits = 256, .margin = 128};

	(void) paillier_batch_decrypt_by(one_by_one ? &never : &paillier_batch_usual, key, item, group, &host, scratch);
	for (int i = 0; i < group; i++)
		if (item[i].result != PAILLIER_OK || item[i].negative != negative[i] ||
			mpn_cmp(item[i].mag, value[i], key->pub.limbs) != 0)
		{
			fprintf(stderr, "batch: wrong value\n");
			exit(1);
		}
}

/* Values of 46 bits and a sign. */
static void
encrypt(int bits, const paillier_kernel *kernel, const mp_limb_t *p, const mp_limb_t *q)
{
	paillier_blinder blinder;
	mp_limb_t  *table;
	mp_limb_t  *room;

	key = memory(sizeof(*key) / sizeof(mp_limb_t));
	room = memory(paillier_private_scratch(bits) + PAILLIER_BLIND_SCRATCH(PAILLIER_MAX_LIMBS));
	if (paillier_private_init(key, kernel, p, bits / 128, q, bits / 128, true, room) != PAILLIER_OK)
		exit(1);
	table = memory(paillier_blinder_table(&key->pub, &paillier_comb_small));
	if (paillier_blinder_init(&blinder, &key->pub, &paillier_comb_small, table, system_random, NULL, room) !=
		PAILLIER_OK)
		exit(1);
	for (int i = 0; i < MOST; i++)
	{
		mp_limb_t  *c = memory(key->pub.n2.limbs);
		paillier_plaintext plain;

		value[i] = memory(key->pub.limbs);
		system_random(NULL, value[i], sizeof(mp_limb_t));
		negative[i] = value[i][0] & 1;
		value[i][0] >>= 18;
		plain = (paillier_plaintext) {negative[i], value[i]};
		if (paillier_encrypt(&blinder, &c, &plain, 1, system_random, NULL, room) != PAILLIER_OK)
			exit(1);
		item[i].c = c;
		item[i].mag = memory(key->pub.limbs);
	}
	free(table);
	free(room);
	scratch = memory(paillier_batch_scratch(key, MOST));
}

static void
measure_group(const char *name, int count, int slot, double seconds)
{
	group = count;
	one_by_one = slot == 0;
	for (int i = 0; i < MOST; i++)
		item[i].bound = paillier_bound_from_width(slot == 0 ? 64 : slot - 1);
	printf("%s/", name);
	if (one_by_one)
		printf("one");
	else
		printf("%d/%d", count, slot);
	printf("\t%.6g\n", rate(decrypt, 1, seconds) * count);
	fflush(stdout);
}

static void
measure(const char *name, int bits, double seconds, const mp_limb_t *p, const mp_limb_t *q)
{
	static const int groups[] = {12, 16, 40, 1000, 4096};
	const paillier_kernel *kernel = paillier_kernel_named(name);

	if (kernel == NULL)
		return;
	encrypt(bits, kernel, p, q);
	for (int round = 0; round < 1; round++)
	{
		measure_group(name, 256, 0, seconds);
		for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
			measure_group(name, groups[i], 80, seconds);
		measure_group(name, 4096, 48, seconds);
		measure_group(name, 4096, 66, seconds);
	}
}

int
main(int argc, char **argv)
{
	static mp_limb_t p[PAILLIER_MAX_N_LIMBS];
	static mp_limb_t q[PAILLIER_MAX_N_LIMBS];
	int			bits;

	if (argc != 3 || (bits = atoi(argv[1])) < 512 || bits > 8192 || bits % 128 != 0)
	{
		fprintf(stderr, "usage: batch BITS SECONDS\n");
		return 1;
	}
	if (paillier_keygen(p, q, bits, system_random, NULL, memory(paillier_private_scratch(bits))) != PAILLIER_OK)
		return 1;
	measure("avx512ifma", bits, atof(argv[2]), p, q);
	measure("generic", bits, atof(argv[2]), p, q);
	return 0;
}
