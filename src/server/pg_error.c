/*
 * pg_error.c
 *		From result codes of the core to errors of the server.
 */
#include "pg_paillier.h"

static int
sqlstate(paillier_result result, int parse_sqlstate)
{
	switch (result)
	{
		case PAILLIER_ERR_BASE64:
		case PAILLIER_ERR_LENGTH:
		case PAILLIER_ERR_VERSION:
		case PAILLIER_ERR_HEADER:
		case PAILLIER_ERR_NUMBER:
		case PAILLIER_ERR_JWK:
			return parse_sqlstate;
		case PAILLIER_ERR_SCALE:
		case PAILLIER_ERR_RANGE:
		case PAILLIER_ERR_BOUND:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		case PAILLIER_ERR_KEY_SIZE:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case PAILLIER_ERR_RANDOM:
			return ERRCODE_INTERNAL_ERROR;
		default:
			return ERRCODE_DATA_EXCEPTION;
	}
}

/* What to do next, where there is something; NULL otherwise. */
static const char *
hint(paillier_result result)
{
	switch (result)
	{
		case PAILLIER_ERR_SCALE:
			return "Declare a larger scale, or round the value first.";
		case PAILLIER_ERR_RANGE:
			return "Use a larger key, or a smaller scale.";
		case PAILLIER_ERR_BOUND:
			return "The ciphertext was damaged or forged, or declared with too small a width.";
		case PAILLIER_ERR_VERSION:
			return "It may come from a newer version of the extension.";
		case PAILLIER_ERR_NOT_UNIT:
		case PAILLIER_ERR_UNBLINDED:
			return "Use paillier_valid() to find and refuse such values where they enter.";
		default:
			return NULL;
	}
}

void
paillier_raise_parse(paillier_result result, const char *what, int parse_sqlstate)
{
	const char *advice = hint(result);

	if (result == PAILLIER_ERR_KEY_SIZE)
		ereport(ERROR,
				(errcode(sqlstate(result, parse_sqlstate)),
				 errmsg("invalid %s: %s", what, paillier_strerror(result)),
				 errdetail("Keys must have %d to %d bits.", PAILLIER_MIN_BITS, PAILLIER_MAX_BITS)));
	ereport(ERROR,
			(errcode(sqlstate(result, parse_sqlstate)),
			 errmsg("invalid %s: %s", what, paillier_strerror(result)),
			 advice ? errhint("%s", advice) : 0));
}

void
paillier_raise(paillier_result result, const char *what)
{
	paillier_raise_parse(result, what, ERRCODE_INVALID_TEXT_REPRESENTATION);
}

char *
paillier_key_id_text(const uint8 *id)
{
	char	   *text = palloc(PAILLIER_KEY_ID_HEX + 1);

	paillier_key_id_write(text, id);
	return text;
}
