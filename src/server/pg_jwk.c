/*
 * pg_jwk.c
 *		JSON Web Keys by way of the server's jsonb.
 *
 * The text may be a private key: it must not reach an error message, and what
 * was copied out of it is overwritten.
 */
#include "pg_paillier.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

/* No key of 8192 bits comes near this. */
#define MAX_JWK_LENGTH 65536

/*
 * jsonb_in, with its errors replaced: they quote the line they stumbled over.  To
 * catch them takes no subtransaction: jsonb_in holds nothing but memory.  Cancelled
 * queries and a lack of memory are errors as ever.
 */
static Jsonb *
parse_quietly(const char *text, PaillierThing thing)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum json = (Datum) 0;

	PG_TRY();
	{
		json = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		int			code = geterrcode();

		if (ERRCODE_TO_CATEGORY(code) == ERRCODE_OPERATOR_INTERVENTION ||
			ERRCODE_TO_CATEGORY(code) == ERRCODE_INSUFFICIENT_RESOURCES)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		paillier_raise(PAILLIER_ERR_JWK, thing);
	}
	PG_END_TRY();
	return DatumGetJsonbP(json);
}

static JsonbValue *
member(JsonbContainer *object, const char *name)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), NULL);
}

/* A string member as a palloc'd C string; NULL where there is none. */
static const char *
string_member(JsonbContainer *object, const char *name)
{
	JsonbValue *value = member(object, name);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
read_members(JsonbContainer *object, paillier_jwk *jwk)
{
	JsonbValue *djn = member(object, "djn");

	jwk->kty = string_member(object, "kty");
	jwk->alg = string_member(object, "alg");
	jwk->n = string_member(object, "n");
	jwk->p = string_member(object, "p");
	jwk->q = string_member(object, "q");
	jwk->lambda = string_member(object, "lambda");
	jwk->djn = djn != NULL && djn->type == jbvBool && djn->val.boolean;
}

static void
wipe(const char *text)
{
	if (text != NULL)
	{
		explicit_bzero(unconstify(char *, text), strlen(text));
		pfree(unconstify(char *, text));
	}
}

void
paillier_jwk_wipe(paillier_jwk *jwk)
{
	wipe(jwk->kty);
	wipe(jwk->alg);
	wipe(jwk->n);
	wipe(jwk->p);
	wipe(jwk->q);
	wipe(jwk->lambda);
	memset(jwk, 0, sizeof(*jwk));
}

void
paillier_jwk_parse(const char *text, size_t len, paillier_jwk *jwk, paillier_jwk *pub)
{
	PaillierThing thing = pub != NULL ? THING_PRIVATE_KEY : THING_PUBLIC_KEY;
	Jsonb	   *json;
	bool		complete;

	if (len > MAX_JWK_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 pub != NULL ? errmsg("private key of %zu bytes is too long", len) :
				 errmsg("public key of %zu bytes is too long", len),
				 errdetail("Keys have at most %d bytes.", MAX_JWK_LENGTH)));
	json = parse_quietly(text, thing);
	memset(jwk, 0, sizeof(*jwk));
	complete = JB_ROOT_IS_OBJECT(json);
	if (complete)
		read_members(&json->root, jwk);
	if (complete && pub != NULL)
	{
		JsonbValue *value = member(&json->root, "pub");

		complete = value != NULL && value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
		if (complete)
			read_members(value->val.binary.data, pub);
	}
	explicit_bzero(json, VARSIZE(json));
	pfree(json);
	if (!complete)
	{
		paillier_jwk_wipe(jwk);
		paillier_raise(PAILLIER_ERR_JWK, thing);
	}
}
