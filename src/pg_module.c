/*
 * pg_module.c
 *		The loadable module: magic block, settings, randomness, the kernel in use.
 */
#include "pg_paillier.h"

#include "utils/builtins.h"

PG_MODULE_MAGIC_EXT(.name = "paillier", .version = "1.0");

int			paillier_min_key_bits;

enum
{
	KERNEL_AUTO,
	KERNEL_GENERIC
};

static int	kernel;

static const struct config_enum_entry kernels[] = {
	{"auto", KERNEL_AUTO, false},
	{"generic", KERNEL_GENERIC, false},
	{NULL, 0, false}
};

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomIntVariable("paillier.min_key_bits",
							"Sets the smallest key size that is accepted.",
							"Keys with a shorter modulus are refused, whether made here or imported.",
							&paillier_min_key_bits, 2048, PAILLIER_MIN_BITS, PAILLIER_MAX_BITS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("paillier.kernel",
							 "Selects the implementation of modular multiplication.",
							 "\"auto\" takes the fastest that the processor has.",
							 &kernel, KERNEL_AUTO, kernels, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("paillier");
}

int
paillier_server_random(void *state, void *out, size_t len)
{
	return pg_strong_random(out, len) ? 0 : -1;
}

PG_FUNCTION_INFO_V1(paillier_kernel);

Datum
paillier_kernel(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text("generic"));
}
