/*
 * pg_metering.c
 *		What the metering pipeline needs to be fast: time arithmetic on readings
 *		and the check at the door of the staging table.
 *
 * The check runs for every reading that enters, so what it knows of settings
 * and meters is cached in the backend.  Triggers on the tables behind it
 * announce changes as invalidations of those relations, which empty the cache
 * in every backend; what is loaded again is read with a fresh snapshot.
 */
#include "pg_paillier.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* The ring of staging partitions; the install script makes as many. */
#define SLOTS 48

/* ---- time ---- */

/* floor(t / unit), also before 2000 */
static int64
floor_div(int64 t, int64 unit)
{
	return t / unit - (t % unit < 0);
}

static TimestampTz
utc_hour(TimestampTz t)
{
	if (TIMESTAMP_NOT_FINITE(t))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time must be finite")));
	return floor_div(t, USECS_PER_HOUR) * USECS_PER_HOUR;
}

PG_FUNCTION_INFO_V1(paillier_metering_utc_hour);

/* metering.utc_hour(timestamptz) -> timestamptz */
Datum
paillier_metering_utc_hour(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(utc_hour(PG_GETARG_TIMESTAMPTZ(0)));
}

PG_FUNCTION_INFO_V1(paillier_metering_slot);

/* metering.slot(timestamptz) -> int: the place in the ring of the hour that t lies in */
Datum
paillier_metering_slot(PG_FUNCTION_ARGS)
{
	int64		hour = utc_hour(PG_GETARG_TIMESTAMPTZ(0)) / USECS_PER_HOUR;

	PG_RETURN_INT32((int32) (hour - floor_div(hour, SLOTS) * SLOTS));
}

PG_FUNCTION_INFO_V1(paillier_metering_reading_bit);

/* metering.reading_bit(read_at timestamptz, minutes int) -> bigint: 1 << place of the reading in its hour */
Datum
paillier_metering_reading_bit(PG_FUNCTION_ARGS)
{
	TimestampTz read_at = PG_GETARG_TIMESTAMPTZ(0);
	int32		minutes = PG_GETARG_INT32(1);

	if (minutes < 1 || minutes > 60)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reading interval of %d minutes is out of range", minutes)));
	PG_RETURN_INT64(INT64CONST(1) << ((read_at - utc_hour(read_at)) / (minutes * USECS_PER_MINUTE)));
}

/* ---- what the door knows ---- */

/* Key and interval of a stretch of time that ends at `until`. */
typedef struct Regime
{
	TimestampTz until;
	int64		interval;		/* microseconds between readings */
	bool		has_key;
	uint8		key_id[PAILLIER_KEY_ID_LENGTH];
} Regime;

/* metering.setting as of now, and the regimes that went before, in order of time */
typedef struct Rules
{
	int			scale;
	paillier_bound bound;
	int64		retention;
	int64		tolerance;
	TimestampTz starts_at;
	int			regimes;
	Regime	   *regime;
} Rules;

#define MAX_METER_ID 64

typedef struct Meter
{
	char		id[MAX_METER_ID];	/* hash key, zero-padded */
	TimestampTz from;			/* active from … */
	TimestampTz until;			/* … up to, exclusive */
	bool		restricted;		/* only to one collector … */
	Oid			collector;		/* … this one */
} Meter;

/* Meters that are remembered; beyond it the cache starts afresh.  About 25 MB. */
#define MAX_METERS 250000

static MemoryContext door_context = NULL;
static Rules *rules = NULL;
static HTAB *meters = NULL;

/* The tables whose changes matter, and a count of these changes. */
static Oid	setting_table = InvalidOid;
static Oid	setting_past_table = InvalidOid;
static Oid	meter_table = InvalidOid;
static uint64 changes = 0;

static void
forget(Datum arg, Oid relid)
{
	if (relid != InvalidOid && relid != setting_table && relid != setting_past_table && relid != meter_table)
		return;
	rules = NULL;
	meters = NULL;
	changes++;
}

PG_FUNCTION_INFO_V1(paillier_metering_announce);

/* Trigger function: tell every backend that the table has changed. */
Datum
paillier_metering_announce(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/* An empty cache where there is none, or one that is full or out of date. */
static void
open_cache(FunctionCallInfo fcinfo)
{
	static bool registered = false;
	Oid			schema;
	HASHCTL		info = {0};

	if (meters != NULL && hash_get_num_entries(meters) < MAX_METERS)
		return;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		registered = true;
	}
	if (door_context == NULL)
		door_context = AllocSetContextCreate(TopMemoryContext, "paillier metering", ALLOCSET_DEFAULT_SIZES);
	rules = NULL;
	meters = NULL;
	MemoryContextReset(door_context);
	schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	setting_table = get_relname_relid("setting", schema);
	setting_past_table = get_relname_relid("setting_past", schema);
	meter_table = get_relname_relid("meter", schema);
	info.keysize = MAX_METER_ID;
	info.entrysize = sizeof(Meter);
	info.hcxt = door_context;
	meters = hash_create("paillier metering", 1024, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * The two queries below run as the extension's owner, so that a collector needs
 * no right to read its tables, and with a fresh snapshot, so that what is
 * cached is no older than the last announcement.
 */
typedef struct OwnQuery
{
	const char *text;			/* %1$s stands for the extension's schema */
	int			arguments;		/* of type text */
	SPIPlanPtr	plan;
	Oid			user;
	int			security;
} OwnQuery;

static OwnQuery rules_query = {
	"SELECT s.scale::pg_catalog.int8, s.width::pg_catalog.int8,"
	" (EXTRACT(epoch FROM s.retention) * 1000000)::pg_catalog.int8,"
	" (EXTRACT(epoch FROM s.clock_tolerance) * 1000000)::pg_catalog.int8,"
	" s.starts_at, r.until,"
	" (EXTRACT(epoch FROM r.reading_interval) * 1000000)::pg_catalog.int8, r.key_id"
	" FROM %1$s.setting s CROSS JOIN %1$s.regime r ORDER BY r.until",
	0
};

static OwnQuery meter_query = {
	"SELECT COALESCE(pg_catalog.lower(active), '-infinity'), COALESCE(pg_catalog.upper(active), 'infinity'),"
	" collector::pg_catalog.text"
	" FROM %1$s.meter WHERE meter_id OPERATOR(pg_catalog.=) $1",
	1
};

/* Run the query; the caller reads the rows and calls end_query(). */
static void
begin_query(OwnQuery *query, FunctionCallInfo fcinfo, Datum argument)
{
	HeapTuple	proc = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	Oid			argtypes[] = {TEXTOID};
	Oid			owner;
	Oid			schema;

	if (!HeapTupleIsValid(proc))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	owner = ((Form_pg_proc) GETSTRUCT(proc))->proowner;
	schema = ((Form_pg_proc) GETSTRUCT(proc))->pronamespace;
	ReleaseSysCache(proc);

	GetUserIdAndSecContext(&query->user, &query->security);
	SetUserIdAndSecContext(owner, query->security | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (query->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(psprintf(query->text, quote_identifier(get_namespace_name(schema))),
									   query->arguments, argtypes);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare a query of the metering extension");
		query->plan = plan;
	}
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute_plan(query->plan, &argument, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of the metering extension");
}

static void
end_query(OwnQuery *query)
{
	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(query->user, query->security);
}

/* A column of a row of the query that runs. */
static Datum
column(uint64 row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, isnull);
}

static int64
column_int64(uint64 row, int number, int64 otherwise)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

static bool
read_key_id(uint8 *id, uint64 row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return !isnull && paillier_key_id_read(id, VARDATA_ANY(DatumGetTextPP(value)),
										   VARSIZE_ANY_EXHDR(DatumGetTextPP(value)));
}

/* Settings and regimes, read again as long as they change under our hands. */
static void
load_rules(FunctionCallInfo fcinfo)
{
	Rules	   *loaded;
	uint64		before;

	do
	{
		open_cache(fcinfo);
		before = changes;
		begin_query(&rules_query, fcinfo, (Datum) 0);
		loaded = MemoryContextAllocZero(door_context, sizeof(Rules));
		loaded->regime = MemoryContextAllocZero(door_context, SPI_processed * sizeof(Regime));
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			Regime	   *regime = &loaded->regime[loaded->regimes++];

			loaded->scale = (int) column_int64(i, 1, 0);
			loaded->bound = paillier_bound_from_width((int) column_int64(i, 2, 1));
			loaded->retention = column_int64(i, 3, 0);
			loaded->tolerance = column_int64(i, 4, 0);
			loaded->starts_at = column_int64(i, 5, DT_NOBEGIN);
			regime->until = column_int64(i, 6, DT_NOEND);
			regime->interval = column_int64(i, 7, USECS_PER_HOUR);
			regime->has_key = read_key_id(regime->key_id, i, 8);
		}
		end_query(&rules_query);
	} while (changes != before);
	if (loaded->regimes == 0)
		elog(ERROR, "the metering extension has lost its settings");
	rules = loaded;
}

/* Read a meter; it is cached unless something changed meanwhile.  False where there is none. */
static bool
load_meter(Meter *meter, FunctionCallInfo fcinfo, text *id)
{
	bool		found;
	uint64		before = changes;

	begin_query(&meter_query, fcinfo, PointerGetDatum(id));
	found = SPI_processed == 1;
	if (found)
	{
		bool		isnull;
		Datum		collector = column(0, 3, &isnull);

		meter->from = column_int64(0, 1, DT_NOBEGIN);
		meter->until = column_int64(0, 2, DT_NOEND);
		meter->collector = isnull ? InvalidOid : get_role_oid(TextDatumGetCString(collector), true);
		meter->restricted = !isnull;
	}
	end_query(&meter_query);
	if (found && before == changes)
	{
		open_cache(fcinfo);
		*(Meter *) hash_search(meters, meter->id, HASH_ENTER, NULL) = *meter;
	}
	return found;
}

/* ---- the door ---- */

static void
refuse_time(TimestampTz read_at, const char *reason, const char *advice)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("reading at %s %s", timestamptz_to_str(read_at), reason),
			 advice ? errhint("%s", advice) : 0));
}

/* The regime that holds at a time; the last one has no end. */
static const Regime *
regime_at(TimestampTz t)
{
	int			i = 0;

	while (i < rules->regimes - 1 && t >= rules->regime[i].until)
		i++;
	return &rules->regime[i];
}

static void
check_time(TimestampTz read_at, const Regime *regime)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	/* hours are whole multiples of every interval, so the grid is that of the hour */
	if ((read_at - utc_hour(read_at)) % regime->interval != 0)
		refuse_time(read_at, "is not on the grid of the reading interval",
					"A reading is dated by the start of its interval.");
	if (read_at + regime->interval > now + rules->tolerance)
		refuse_time(read_at, "lies in the future", "Send a reading when its interval has ended.");
	if (read_at < now - rules->retention)
		refuse_time(read_at, "is older than the retention of readings", NULL);
	if (read_at < rules->starts_at)
		refuse_time(read_at, "lies before the start of metering", NULL);
}

static void
check_meter(text *id, TimestampTz read_at, FunctionCallInfo fcinfo)
{
	Meter		key = {0};
	const Meter *meter;
	int			len = VARSIZE_ANY_EXHDR(id);

	if (len < MAX_METER_ID)
		memcpy(key.id, VARDATA_ANY(id), len);
	open_cache(fcinfo);
	meter = hash_search(meters, key.id, HASH_FIND, NULL);
	if (meter == NULL && len < MAX_METER_ID && load_meter(&key, fcinfo, id))
		meter = &key;
	if (meter == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("meter \"%s\" is not registered", text_to_cstring(id)),
				 errhint("Add it to metering.meter first.")));
	if (read_at < meter->from || read_at >= meter->until)
		refuse_time(read_at, "lies outside the active range of its meter", NULL);
	if (meter->restricted && !has_privs_of_role(GetUserId(), meter->collector))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("meter \"%s\" belongs to another collector", text_to_cstring(id))));
}

/*
 * A reading must be under the key of its hour; when the key has changed since,
 * the present one will do as well.  Scale and width are fixed, so that no
 * reading can make a total of many overflow or expensive.
 */
static void
check_header(const paillier_header *header, const Regime *regime)
{
	const Regime *present = &rules->regime[rules->regimes - 1];

	if (!present->has_key)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("metering has no key yet"),
				 errhint("Register a public key and put its id into metering.setting.")));
	if (!regime->has_key)
		regime = present;
	if (memcmp(header->key_id, regime->key_id, PAILLIER_KEY_ID_LENGTH) != 0 &&
		memcmp(header->key_id, present->key_id, PAILLIER_KEY_ID_LENGTH) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("reading is under key %s", paillier_key_id_text(header->key_id)),
				 errdetail("The key of its hour is %s.", paillier_key_id_text(regime->key_id))));
	if (header->scale != rules->scale)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("reading has scale %d", header->scale),
				 errdetail("Readings here have scale %d.", rules->scale),
				 errhint("Encrypt it with the scale of metering.setting.")));
	if (paillier_bound_cmp(paillier_bound_unpack(header->bound_mantissa, header->bound_exponent), rules->bound) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("reading is declared wider than the width of metering.setting"),
				 errhint("Encrypt it with that width or a smaller one.")));
}

/* The registry is in the schema of the ciphertext's type. */
static Oid
type_schema(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return schema;
}

static void
check_ciphertext(const PaillierCiphertext *energy, FunctionCallInfo fcinfo)
{
	PaillierKey *key = paillier_key_cached(energy->header.key_id);

	if (key == NULL)
		key = paillier_key_load(type_schema(get_fn_expr_argtype(fcinfo->flinfo, 2)), energy->header.key_id);
	if (CIPHERTEXT_LIMBS(energy) != key->pub.n2.limbs)
		paillier_raise(PAILLIER_ERR_KEY_LENGTH, "ciphertext");
	paillier_require(paillier_check(&key->pub, energy->c, paillier_scratch(key)), "ciphertext");
}

/* Readings come back from reading_spare, accepted once: see put_back(). */
static bool coming_back = false;

/*
 * A statement that needs no new locks, such as a prepared INSERT in a
 * transaction that has them all, would not hear of changes by itself.
 */
static void
hear_of_changes(void)
{
	static TimestampTz heard = 0;

	if (heard != GetCurrentStatementStartTimestamp())
	{
		AcceptInvalidationMessages();
		heard = GetCurrentStatementStartTimestamp();
	}
}

PG_FUNCTION_INFO_V1(paillier_metering_accept);

/*
 * metering.accept(meter_id text, read_at timestamptz, energy paillier_ciphertext) -> boolean
 *
 * True for a reading that may enter the staging table, an error that says why
 * for any other.
 */
Datum
paillier_metering_accept(PG_FUNCTION_ARGS)
{
	text	   *meter_id = PG_GETARG_TEXT_PP(0);
	TimestampTz read_at = PG_GETARG_TIMESTAMPTZ(1);
	PaillierCiphertext *energy = PG_GETARG_CIPHERTEXT(2);
	const Regime *regime;

	if (coming_back)
		PG_RETURN_BOOL(true);
	hear_of_changes();
	if (rules == NULL)
		load_rules(fcinfo);
	regime = regime_at(read_at);
	check_time(read_at, regime);
	check_header(&energy->header, regime);
	check_ciphertext(energy, fcinfo);
	check_meter(meter_id, read_at, fcinfo);
	PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(paillier_metering_put_back);

/* metering.put_back(partition regclass) -> void: from reading_spare, past the door */
Datum
paillier_metering_put_back(PG_FUNCTION_ARGS)
{
	Oid			partition = PG_GETARG_OID(0);
	const char *schema = quote_identifier(get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)));
	char	   *name = get_rel_name(partition);
	char	   *command;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("partition %u does not exist", partition)));
	command = psprintf("INSERT INTO %s.%s SELECT * FROM %s.reading_spare", schema, quote_identifier(name), schema);
	SPI_connect();
	coming_back = true;
	PG_TRY();
	{
		if (SPI_execute(command, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not put readings back");
	}
	PG_FINALLY();
	{
		coming_back = false;
	}
	PG_END_TRY();
	SPI_finish();
	PG_RETURN_VOID();
}
