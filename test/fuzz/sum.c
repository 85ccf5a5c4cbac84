/*
 * sum.c
 *		The wire form of paillier_sum, text and binary: src/server/pg_sum_io.c as
 *		the server compiles it, on top of the few functions of PostgreSQL that it
 *		calls.  What is read is sent again as it came.
 *
 * Symbols of other functions of the server stay unresolved: to call one of them
 * is a finding.
 *
 * Input: a byte, odd for text; the wire form, or its base64url.
 */
#include "pg_sum.h"

#include <setjmp.h>

#include "libpq/pqformat.h"

#include "fuzz.h"

/* PostgreSQL 16 takes bytes as void pointers. */
#if PG_VERSION_NUM >= 160000
typedef const void *Bytes;
#else
typedef const char *Bytes;
#endif

extern Datum paillier_sum_in(PG_FUNCTION_ARGS);
extern Datum paillier_sum_out(PG_FUNCTION_ARGS);
extern Datum paillier_sum_recv(PG_FUNCTION_ARGS);
extern Datum paillier_sum_send(PG_FUNCTION_ARGS);

/* ---- memory: all that one input allocates is freed behind it ---- */

#define MAX_PIECES 64

static void *pieces[MAX_PIECES];
static int	piece_count;

void *
palloc(Size size)
{
	REQUIRE(size < 0x3fffffff && piece_count < MAX_PIECES);
	return pieces[piece_count++] = fuzz_alloc(size);
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *memory)
{
	for (int i = 0; i < piece_count; i++)
		if (pieces[i] == memory)
		{
			free(memory);
			pieces[i] = pieces[--piece_count];
			return;
		}
	REQUIRE(!"pfree of what was not allocated");
}

static void
free_all(void)
{
	while (piece_count > 0)
		free(pieces[--piece_count]);
}

/* ---- strings ---- */

void
initStringInfo(StringInfo str)
{
	*str = (StringInfoData) {.data = palloc(1024), .maxlen = 1024};
}

void
enlargeStringInfo(StringInfo str, int needed)
{
	char	   *old = str->data;

	if (str->len + needed < str->maxlen)
		return;
	str->maxlen = 2 * (str->len + needed + 1);
	str->data = palloc(str->maxlen);
	memcpy(str->data, old, str->len);
	pfree(old);
}

void
appendBinaryStringInfo(StringInfo str, Bytes data, int len)
{
	enlargeStringInfo(str, len);
	memcpy(str->data + str->len, data, len);
	str->len += len;
}

/* ---- messages; to read beyond one must have been prevented before ---- */

const char *
pq_getmsgbytes(StringInfo msg, int len)
{
	const char *bytes = msg->data + msg->cursor;

	REQUIRE(len >= 0 && len <= msg->len - msg->cursor);
	msg->cursor += len;
	return bytes;
}

static uint64
get_integer(StringInfo msg, int len)
{
	const char *bytes = pq_getmsgbytes(msg, len);
	uint64		x = 0;

	for (int i = 0; i < len; i++)
		x = x << 8 | (uint8) bytes[i];
	return x;
}

int
pq_getmsgbyte(StringInfo msg)
{
	return get_integer(msg, 1);
}

unsigned int
pq_getmsgint(StringInfo msg, int len)
{
	return get_integer(msg, len);
}

int64
pq_getmsgint64(StringInfo msg)
{
	return get_integer(msg, 8);
}

void
pq_begintypsend(StringInfo buf)
{
	initStringInfo(buf);
	appendBinaryStringInfo(buf, "\0\0\0\0", VARHDRSZ);
}

void
pq_sendbytes(StringInfo buf, Bytes data, int len)
{
	appendBinaryStringInfo(buf, data, len);
}

bytea *
pq_endtypsend(StringInfo buf)
{
	SET_VARSIZE(buf->data, buf->len);
	return (bytea *) buf->data;
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

/* ---- errors ---- */

static jmp_buf refused;

void
paillier_raise_parse(paillier_result result, PaillierThing thing, int parse_sqlstate)
{
	REQUIRE(result > PAILLIER_OK && result < PAILLIER_RESULTS);
	REQUIRE(thing == THING_SUM && parse_sqlstate != 0);
	longjmp(refused, 1);
}

void
paillier_raise(paillier_result result, PaillierThing thing)
{
	paillier_raise_parse(result, thing, ERRCODE_INVALID_TEXT_REPRESENTATION);
}

/* ---- states and keys: the limbs that were read are those of the key ---- */

static PaillierKey key;

PaillierSum *
paillier_sum_resize(const PaillierSum *sum, Size body_words)
{
	Size		size = offsetof(PaillierSum, body) + body_words * sizeof(mp_limb_t);
	PaillierSum *copy = palloc0(size);

	memcpy(copy, sum, offsetof(PaillierSum, body));
	SET_VARSIZE(copy, size);
	return copy;
}

PaillierKey *
paillier_key_lookup(FunctionCallInfo fcinfo, const uint8 *id)
{
	return &key;
}

PaillierSum *
paillier_sum_narrow(PaillierKey *of, PaillierSum *sum)
{
	REQUIRE(sum->form == SUM_NARROW && of == &key);
	return sum;
}

void
paillier_key_restore(PaillierKey *of, mp_limb_t *limbs, const mp_limb_t *a, uint64 lost)
{
	REQUIRE(lost == 0);
	memcpy(limbs, a, of->pub.n2.limbs * sizeof(mp_limb_t));
}

/* ---- the functions under test ---- */

static Datum
call(Datum (*function) (FunctionCallInfo), Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);

	memset(fcinfo, 0, SizeForFunctionCallInfo(1));
	fcinfo->nargs = 1;
	fcinfo->args[0].value = argument;
	return function(fcinfo);
}

/* What the server takes for granted of a state. */
static void
check_sum(PaillierSum *sum)
{
	REQUIRE(sum->version == SUM_VERSION && sum->form == SUM_NARROW && !sum->pending && sum->zeros <= sum->scale);
	REQUIRE(sum->format == PAILLIER_FORMAT_LIMBS && sum->slot_bits == 0 && sum->slots == 0);
	REQUIRE(sum->count <= MAX_TERMS && sum->rows <= PG_INT64_MAX && sum->rows_at_scale <= sum->rows);
	REQUIRE(sum->rows > 0 || sum->count == 0);
	REQUIRE(sum->words <= PAILLIER_MAX_LIMBS && (sum->words > 0 || sum->count == 0));
	REQUIRE(VARSIZE(sum) == offsetof(PaillierSum, body) + sum->count * TERM_WORDS(sum->words) * sizeof(mp_limb_t));
	for (int i = 0; i < sum->count; i++)
		REQUIRE(paillier_sum_term(sum, i)->weight != 0 && paillier_sum_term(sum, i)->weight != PG_INT64_MIN);
	key.pub.n2.limbs = sum->words;
}

static void
check_binary(const uint8_t *data, size_t size)
{
	StringInfoData buf = {.data = (char *) data, .len = size, .maxlen = size};
	PaillierSum *sum = (PaillierSum *) DatumGetPointer(call(paillier_sum_recv, PointerGetDatum(&buf)));
	bytea	   *again;

	check_sum(sum);
	REQUIRE(buf.cursor == buf.len);
	again = (bytea *) DatumGetPointer(call(paillier_sum_send, PointerGetDatum(sum)));
	REQUIRE(VARSIZE(again) - VARHDRSZ == size);
	REQUIRE(memcmp(VARDATA(again), data, size) == 0);
}

static void
check_text(const uint8_t *data, size_t size)
{
	char	   *text = palloc(size + 1);
	PaillierSum *sum;

	memcpy(text, data, size);
	text[size] = '\0';
	sum = (PaillierSum *) DatumGetPointer(call(paillier_sum_in, CStringGetDatum(text)));
	check_sum(sum);
	REQUIRE(strcmp(DatumGetCString(call(paillier_sum_out, PointerGetDatum(sum))), text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && setjmp(refused) == 0)
	{
		if (data[0] & 1)
			check_text(data + 1, size - 1);
		else
			check_binary(data + 1, size - 1);
	}
	free_all();
	return 0;
}
