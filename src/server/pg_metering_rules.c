/*
 * pg_metering_rules.c
 *		What the door of staging knows of settings and meters.
 *
 * The door asks for every reading that enters, so the answers are cached in the
 * backend.  Triggers on the tables behind them announce changes as invalidations of
 * those relations, which empty the cache in every backend; what is loaded again is
 * read with a fresh snapshot.  Roles are cached by name and looked up again when any
 * role has changed.
 */
#include "pg_metering.h"
#include "pg_table.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* A role that meters belong to. */
typedef struct Collector
{
	NameData	name;			/* hash key */
	Oid			role;			/* InvalidOid: there is no such role … */
	uint64		seen;			/* … as of this state of all roles */
} Collector;

#define MAX_METER_ID 64

typedef struct CachedMeter
{
	char		id[MAX_METER_ID];	/* hash key, zero-padded */
	MeteringMeter meter;
	Collector  *collector;		/* NULL: any collector may send its readings */
} CachedMeter;

/* Meters that are remembered; beyond it the cache starts afresh.  About 25 MB. */
#define MAX_METERS 250000

static MemoryContext rules_context = NULL;
static MeteringRules *rules = NULL;
static HTAB *meters = NULL;
static HTAB *collectors = NULL;

/* The tables whose changes matter, and a count of these changes. */
static Oid	setting_table = InvalidOid;
static Oid	setting_history_table = InvalidOid;
static Oid	meter_table = InvalidOid;
static uint64 changes = 0;

/* A count of the changes of roles. */
static uint64 role_changes = 1;

static void
forget_tables(Datum arg pg_attribute_unused(), Oid relid)
{
	if (relid != InvalidOid && relid != setting_table && relid != setting_history_table && relid != meter_table)
		return;
	rules = NULL;
	meters = NULL;
	changes++;
}

static void
forget_roles(Datum arg pg_attribute_unused(), int cacheid pg_attribute_unused(), uint32 hashvalue pg_attribute_unused())
{
	role_changes++;
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

static HTAB *
make_table(const char *name, Size key_size, Size entry_size)
{
	HASHCTL		info = {0};

	info.keysize = key_size;
	info.entrysize = entry_size;
	info.hcxt = rules_context;
	return hash_create(name, 256, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* An empty cache where there is none, or one that is full or out of date. */
static void
open_cache(Oid function)
{
	static bool registered = false;
	Oid			schema;

	if (meters != NULL && hash_get_num_entries(meters) < MAX_METERS)
		return;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_tables, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, forget_roles, (Datum) 0);
		registered = true;
	}
	if (rules_context == NULL)
		rules_context = AllocSetContextCreate(TopMemoryContext, "paillier metering", ALLOCSET_DEFAULT_SIZES);
	rules = NULL;
	meters = NULL;
	collectors = NULL;
	MemoryContextReset(rules_context);
	schema = get_func_namespace(function);
	setting_table = get_relname_relid("setting", schema);
	setting_history_table = get_relname_relid("setting_history", schema);
	meter_table = get_relname_relid("meter", schema);
	collectors = make_table("paillier metering collectors", sizeof(NameData), sizeof(Collector));
	meters = make_table("paillier metering meters", MAX_METER_ID, sizeof(CachedMeter));
}

/* ---- settings ---- */

static int64
column_int(PaillierTableScan *scan, const char *column)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static TimestampTz
column_time(PaillierTableScan *scan, const char *column, TimestampTz otherwise)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, column, &isnull);

	return isnull ? otherwise : DatumGetTimestampTz(value);
}

/* An interval in microseconds, months and years as EXTRACT(epoch FROM …) takes them. */
static int64
column_interval(PaillierTableScan *scan, const char *column)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, column, &isnull);
	const Interval *interval = DatumGetIntervalP(value);
	int64		quarter_days;

	if (isnull)
		return 0;
	quarter_days = (int64) (4 * DAYS_PER_YEAR) * (interval->month / MONTHS_PER_YEAR) +
		(int64) (4 * DAYS_PER_MONTH) * (interval->month % MONTHS_PER_YEAR) + (int64) 4 * interval->day;
	return quarter_days * (USECS_PER_DAY / 4) + interval->time;
}

/* The key and interval of a row of setting or setting_history. */
static void
read_period(MeteringPeriod *period, PaillierTableScan *scan, TimestampTz until)
{
	bool		isnull;
	Datum		key_id = paillier_table_column(scan, "key_id", &isnull);

	period->until = until;
	period->interval = Max(column_interval(scan, "reading_interval"), USECS_PER_SEC);
	period->has_key = !isnull && paillier_key_id_read(period->key_id, VARDATA_ANY(DatumGetTextPP(key_id)),
													  VARSIZE_ANY_EXHDR(DatumGetTextPP(key_id)));
}

static int
compare_periods(const void *a, const void *b)
{
	TimestampTz x = ((const MeteringPeriod *) a)->until;
	TimestampTz y = ((const MeteringPeriod *) b)->until;

	return x < y ? -1 : x > y;
}

/* Room for one period more, in the memory of the cache. */
static MeteringPeriod *
add_period(MeteringRules *loaded)
{
	int			n = loaded->periods++;

	if (n == 0)
		loaded->period = MemoryContextAlloc(rules_context, sizeof(MeteringPeriod));
	else
		loaded->period = repalloc(loaded->period, (n + 1) * sizeof(MeteringPeriod));
	return &loaded->period[n];
}

static MeteringRules *
read_rules(Oid schema)
{
	MeteringRules *loaded = MemoryContextAllocZero(rules_context, sizeof(MeteringRules));
	PaillierTableScan scan;

	paillier_table_begin(&scan, schema, "setting_history", NULL);
	while (paillier_table_next(&scan))
		read_period(add_period(loaded), &scan, column_time(&scan, "until", DT_NOEND));
	paillier_table_end(&scan);
	if (loaded->periods > 0)
		qsort(loaded->period, loaded->periods, sizeof(MeteringPeriod), compare_periods);

	paillier_table_begin(&scan, schema, "setting", NULL);
	if (!paillier_table_next(&scan))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("metering has no settings"),
				 errhint("Insert a row into metering.setting.")));
	loaded->scale = (int) column_int(&scan, "scale");
	loaded->bound = paillier_bound_from_width((int) Max(column_int(&scan, "width"), 1));
	loaded->retention = column_interval(&scan, "retention");
	loaded->tolerance = column_interval(&scan, "clock_tolerance");
	loaded->starts_at = column_time(&scan, "starts_at", DT_NOBEGIN);
	read_period(add_period(loaded), &scan, DT_NOEND);
	paillier_table_end(&scan);
	return loaded;
}

const MeteringRules *
paillier_metering_rules(Oid function)
{
	/*
	 * A statement that needs no new locks would not hear of changes by itself:
	 * a prepared INSERT in a transaction that has them all, a long COPY.
	 */
	AcceptInvalidationMessages();

	/* once more where a change was announced meanwhile */
	while (rules == NULL)
	{
		uint64		before;
		MeteringRules *loaded;

		CHECK_FOR_INTERRUPTS();
		open_cache(function);
		before = changes;
		loaded = read_rules(get_func_namespace(function));
		if (before == changes)
			rules = loaded;
	}
	return rules;
}

/* ---- meters ---- */

/* Read the active range of a meter; an empty one has neither begin nor end. */
static void
read_active(MeteringMeter *meter, PaillierTableScan *scan)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, "active", &isnull);
	RangeType  *range = isnull ? NULL : DatumGetRangeTypeP(value);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	meter->from = DT_NOBEGIN;
	meter->until = DT_NOEND;
	if (range == NULL)
		return;
	range_deserialize(lookup_type_cache(RangeTypeGetOid(range), TYPECACHE_RANGE_INFO), range, &lower, &upper, &empty);
	if (!lower.infinite)
		meter->from = DatumGetTimestampTz(lower.val);
	if (!upper.infinite)
		meter->until = DatumGetTimestampTz(upper.val);
}

static Collector *
find_collector(Name name)
{
	NameData	key;
	Collector  *collector;
	bool		found;

	namestrcpy(&key, NameStr(*name));
	collector = hash_search(collectors, &key, HASH_ENTER, &found);
	if (!found)
		collector->seen = 0;
	return collector;
}

/* Whether the current user is the collector, or has its rights. */
static bool
is_collector(Collector *collector)
{
	if (collector->seen != role_changes)
	{
		uint64		seen = role_changes;

		collector->role = get_role_oid(NameStr(collector->name), true);
		collector->seen = seen;
	}
	return has_privs_of_role(GetUserId(), collector->role);
}

/* Read a meter into the cache; NULL where there is none. */
static CachedMeter *
load_meter(Oid function, const char *key, text *id)
{
	CachedMeter *entry = NULL;

	while (entry == NULL)
	{
		PaillierTableScan scan;
		uint64		before;
		MeteringMeter meter;
		NameData	name;
		bool		restricted = false;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		open_cache(function);
		before = changes;
		paillier_table_begin(&scan, get_func_namespace(function), "meter", id);
		found = paillier_table_next(&scan);
		if (found)
		{
			bool		isnull;
			Datum		collector = paillier_table_column(&scan, "collector", &isnull);

			restricted = !isnull;
			if (restricted)
				namestrcpy(&name, NameStr(*DatumGetName(collector)));
			read_active(&meter, &scan);
		}
		paillier_table_end(&scan);
		if (before != changes)
			continue;
		if (!found)
			return NULL;
		entry = hash_search(meters, key, HASH_ENTER, NULL);
		entry->meter = meter;
		entry->collector = restricted ? find_collector(&name) : NULL;
	}
	return entry;
}

bool
paillier_metering_find_meter(Oid function, text *id, MeteringMeter *meter)
{
	char		key[MAX_METER_ID] = {0};
	int			len = VARSIZE_ANY_EXHDR(id);
	CachedMeter *entry;

	if (len >= MAX_METER_ID)
		return false;
	memcpy(key, VARDATA_ANY(id), len);
	open_cache(function);
	entry = hash_search(meters, key, HASH_FIND, NULL);
	if (entry == NULL)
		entry = load_meter(function, key, id);
	if (entry == NULL || (entry->collector != NULL && !is_collector(entry->collector)))
		return false;
	*meter = entry->meter;
	return true;
}
