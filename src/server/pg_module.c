/*
 * pg_module.c
 *		The loadable module: magic block, settings, randomness, the kernel in use.
 */
#include "pg_paillier.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC_EXT(.name = "paillier", .version = "1.0");

int			paillier_min_key_bits;

const paillier_kernel *paillier_kernel_in_use;

/* paillier.kernel: 0 for the fastest kernel that the processor has, or the place of a kernel in the table, from 1 on */
static int	kernel_setting;

static const paillier_kernel *
kernel_of_setting(int value)
{
	if (value == 0)
		return paillier_kernel_best();
	return paillier_kernel_named(paillier_kernel_at(value - 1)->name);
}

/* The values that the setting may have, which stay. */
static const struct config_enum_entry *
kernel_settings(void)
{
	struct config_enum_entry *entry;
	int			kernels = 0;

	while (paillier_kernel_at(kernels) != NULL)
		kernels++;
	entry = MemoryContextAllocZero(TopMemoryContext, (kernels + 2) * sizeof(struct config_enum_entry));
	entry[0].name = "auto";
	for (int i = 1; i <= kernels; i++)
	{
		/* first the one that runs on any processor */
		entry[i].name = paillier_kernel_at(kernels - i)->name;
		entry[i].val = kernels - i + 1;
	}
	return entry;
}

static bool
check_kernel(int *newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	if (kernel_of_setting(*newval) != NULL)
		return true;
	GUC_check_errdetail("This processor lacks the instructions for it.");
	return false;
}

static void
assign_kernel(int newval, void *extra pg_attribute_unused())
{
	paillier_kernel_in_use = kernel_of_setting(newval);
}

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomIntVariable("paillier.min_key_bits",
							"Sets the smallest size of keys that are made, registered or used.",
							"Shorter keys can be read and stored; "
							"under one that is registered ciphertexts are made and added.",
							&paillier_min_key_bits, 2048, PAILLIER_MIN_BITS, PAILLIER_MAX_BITS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("paillier.kernel",
							 "Selects the implementation of modular multiplication.",
							 "\"auto\" takes the fastest that the processor has.",
							 &kernel_setting, 0, kernel_settings(), PGC_USERSET, 0, check_kernel, assign_kernel, NULL);
	MarkGUCPrefixReserved("paillier");
}

int
paillier_server_random(void *state pg_attribute_unused(), void *out, size_t len)
{
	return pg_strong_random(out, len) ? 0 : -1;
}

PG_FUNCTION_INFO_V1(paillier_kernel_name);

/* paillier_kernel() -> text */
Datum
paillier_kernel_name(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(paillier_kernel_in_use->name));
}
