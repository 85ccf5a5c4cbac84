/*
 * control.c
 *		Errors made on purpose: a test that looks for such errors must see them.
 *		Built and loaded by test/instrumented only.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(control_assertion);
PG_FUNCTION_INFO_V1(control_overrun);
PG_FUNCTION_INFO_V1(control_internal);
PG_FUNCTION_INFO_V1(control_shift);
PG_FUNCTION_INFO_V1(control_overflow);
PG_FUNCTION_INFO_V1(control_alignment);
PG_FUNCTION_INFO_V1(control_freed);
PG_FUNCTION_INFO_V1(control_undefined);

/* An assertion that does not hold. */
Datum
control_assertion(PG_FUNCTION_ARGS)
{
	Assert(PG_GETARG_INT32(0) < 0);
	PG_RETURN_INT32(0);
}

/* A byte behind the end of what was allocated. */
Datum
control_overrun(PG_FUNCTION_ARGS)
{
	volatile char *bytes = palloc(10);

	bytes[9 + PG_GETARG_INT32(0)] = 0;
	PG_RETURN_INT32(0);
}

/* An error that is none of the user's. */
Datum
control_internal(PG_FUNCTION_ARGS)
{
	elog(ERROR, "error made on purpose");
	PG_RETURN_INT32(0);
}

/* A shift by more than the width. */
Datum
control_shift(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(1 << (PG_GETARG_INT32(0) + 31));
}

/* Signed numbers that overflow. */
Datum
control_overflow(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_INT32_MAX + PG_GETARG_INT32(0));
}

/* A number at an odd address. */
Datum
control_alignment(PG_FUNCTION_ARGS)
{
	char	   *bytes = palloc0(16);

	PG_RETURN_INT32(*(int32 *) (bytes + PG_GETARG_INT32(0)));
}

/* Memory that was given back. */
Datum
control_freed(PG_FUNCTION_ARGS)
{
	volatile int32 *number = palloc0(sizeof(int32));

	pfree((void *) number);
	PG_RETURN_INT32(*number + PG_GETARG_INT32(0));
}

/* A decision by memory that nobody has written. */
Datum
control_undefined(PG_FUNCTION_ARGS)
{
	volatile int32 *number = palloc(sizeof(int32));

	PG_RETURN_INT32(*number == PG_GETARG_INT32(0) ? 1 : 2);
}
