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

/*
 * Whole messages, one for each thing that is read or computed.  The reason behind the
 * colon is one of the core's texts, which the program prints too.
 */
static int
message(PaillierThing thing, const char *reason)
{
	switch (thing)
	{
		case THING_CIPHERTEXT:
			return errmsg("invalid ciphertext: %s", reason);
		case THING_SUMMAND:
			return errmsg("invalid ciphertext in sum: %s", reason);
		case THING_SUM:
			return errmsg("invalid sum: %s", reason);
		case THING_PUBLIC_KEY:
			return errmsg("invalid public key: %s", reason);
		case THING_PRIVATE_KEY:
			return errmsg("invalid private key: %s", reason);
		case THING_NUMBER:
			return errmsg("invalid number: %s", reason);
		case THING_WEIGHT:
			return errmsg("invalid weight: %s", reason);
		case THING_PLAINTEXT:
			return errmsg("invalid plaintext: %s", reason);
		case THING_BLINDING_TABLE:
			return errmsg("invalid blinding table: %s", reason);
	}
	return 0;
}

/* The limits, where they say why. */
static int
detail(paillier_result result)
{
	if (result == PAILLIER_ERR_KEY_SIZE)
		return errdetail("Keys must have %d to %d bits.", PAILLIER_MIN_BITS, PAILLIER_MAX_BITS);
	return 0;
}

/* What to do next, where there is something. */
static int
hint(paillier_result result)
{
	switch (result)
	{
		case PAILLIER_ERR_SCALE:
			return errhint("Declare a larger scale, or round the value first.");
		case PAILLIER_ERR_RANGE:
			return errhint("Use a larger key, or a smaller scale.");
		case PAILLIER_ERR_BOUND:
			return errhint("The ciphertext was damaged or forged, or declared with too small a width.");
		case PAILLIER_ERR_VERSION:
			return errhint("It may come from a newer version of the extension.");
		case PAILLIER_ERR_NOT_UNIT:
		case PAILLIER_ERR_UNBLINDED:
			return errhint("Use paillier_valid() to find and refuse such values where they enter.");
		default:
			return 0;
	}
}

void
paillier_raise_parse(paillier_result result, PaillierThing thing, int parse_sqlstate)
{
	ereport(ERROR,
			(errcode(sqlstate(result, parse_sqlstate)),
			 message(thing, _(paillier_strerror(result))),
			 detail(result),
			 hint(result)));
}

void
paillier_raise(paillier_result result, PaillierThing thing)
{
	paillier_raise_parse(result, thing, ERRCODE_INVALID_TEXT_REPRESENTATION);
}

char *
paillier_key_id_text(const uint8 *id)
{
	char	   *text = palloc(PAILLIER_KEY_ID_HEX + 1);

	paillier_key_id_write(text, id);
	return text;
}
