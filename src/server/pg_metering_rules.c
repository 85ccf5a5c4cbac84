/*
 * pg_metering_rules.c
 *		What the door of staging knows of settings and meters.
 *
 * The door asks for every reading that enters, so the answers are cached in the
 * backend.  Triggers on the tables behind them announce changes as invalidations of
 * those relations; what is loaded again is read with a fresh snapshot.  A change of
 * settings empties the cache.  Changes of meters are listed in metering.meter_change,
 * from which each session reads what it has not seen yet, and drops these meters only.
 * Roles are cached by name and looked up again when any role has changed.
 */
#include "pg_metering.h"
#include "pg_table.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
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
	const char *id;				/* hash key; the string lies in the cache's memory */
	MeteringMeter meter;
	Collector  *collector;		/* NULL: any collector may send its readings */
	uint32		hash;
	char		status;
} CachedMeter;

#define SH_PREFIX meters
#define SH_ELEMENT_TYPE CachedMeter
#define SH_KEY_TYPE const char *
#define SH_KEY id
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key), (int) strlen(key))
#define SH_EQUAL(table, a, b) (strcmp(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Meters that are remembered; beyond it the cache starts afresh.  About 85 bytes each. */
#define MAX_METERS 2000000

static MemoryContext rules_context = NULL;
static MeteringRules *rules = NULL;
static meters_hash *meters = NULL;
static int	meters_stored = 0;	/* ids in the cache's memory, also of meters that were dropped since */
static HTAB *collectors = NULL;

/* The tables whose changes matter, and a count of these changes. */
static Oid	setting_table = InvalidOid;
static Oid	setting_history_table = InvalidOid;
static Oid	meter_table = InvalidOid;
static Oid	meter_change_table = InvalidOid;
static uint64 changes = 0;

/* The changes of meters that this session knows of, and whether there may be newer ones. */
static int64 seen_version = 0;
static bool meters_changed = false;

/* A count of the changes of roles. */
static uint64 role_changes = 1;

static void
forget_tables(Datum arg pg_attribute_unused(), Oid relid)
{
	if (relid == meter_change_table && relid != InvalidOid)
	{
		meters_changed = true;
		changes++;
		return;
	}
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

/* Whether the present transaction has changed settings or meters. */
static bool own_changes = false;

/* Changes that are rolled back were never there: what was read meanwhile is not valid. */
static void
forget_own_changes(void)
{
	if (!own_changes)
		return;
	rules = NULL;
	meters = NULL;
	seen_version = 0;
	changes++;
}

static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_ABORT)
		forget_own_changes();
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		own_changes = false;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id pg_attribute_unused(),
					  SubTransactionId parent pg_attribute_unused(), void *arg pg_attribute_unused())
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_own_changes();
}

/* Note that the present transaction changes settings or meters. */
static void
note_own_changes(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		registered = true;
	}
	own_changes = true;
}

PG_FUNCTION_INFO_V1(paillier_metering_announce);

/*
 * Trigger function: tell every backend that the table has changed; with an argument
 * only this one, where the others need not know.
 */
Datum
paillier_metering_announce(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	note_own_changes();
	if (((TriggerData *) fcinfo->context)->tg_trigger->tgnargs == 0)
		CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/*
 * Read the changes of meters that this session has not seen.  Returns false if they
 * concern all meters, or if older ones are not listed any more.
 */
static bool
read_changes(Oid schema)
{
	PaillierTableScan scan;
	int64		oldest = PG_INT64_MAX;
	int64		newest = seen_version;
	bool		single = true;

	meters_changed = false;
	paillier_table_begin(&scan, schema, "meter_change", NULL);
	while (paillier_table_next(&scan))
	{
		bool		isnull;
		int64		version = DatumGetInt64(paillier_table_column(&scan, "version", INT8OID, &isnull));
		Datum		id = paillier_table_column(&scan, "meter_id", TEXTOID, &isnull);

		oldest = Min(oldest, version);
		newest = Max(newest, version);
		if (version <= seen_version)
			continue;
		if (isnull)
			single = false;
		else if (meters != NULL)
			meters_delete(meters, TextDatumGetCString(id));
	}
	paillier_table_end(&scan);
	if (newest > seen_version && oldest > seen_version + 1)
		single = false;
	seen_version = newest;
	return single;
}

/* An empty cache. */
static void
make_cache(Oid schema)
{
	HASHCTL		info = {0};

	if (rules_context == NULL)
	{
		CacheRegisterRelcacheCallback(forget_tables, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, forget_roles, (Datum) 0);
		rules_context = AllocSetContextCreate(TopMemoryContext, "paillier metering", ALLOCSET_DEFAULT_SIZES);
	}
	rules = NULL;
	meters = NULL;
	collectors = NULL;
	MemoryContextReset(rules_context);
	setting_table = get_relname_relid("setting", schema);
	setting_history_table = get_relname_relid("setting_history", schema);
	meter_table = get_relname_relid("meter", schema);
	if (meter_change_table != get_relname_relid("meter_change", schema))
		seen_version = 0;		/* another extension of that name, or the first */
	meter_change_table = get_relname_relid("meter_change", schema);
	info.keysize = sizeof(NameData);
	info.entrysize = sizeof(Collector);
	info.hcxt = rules_context;
	collectors = hash_create("paillier metering collectors", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	meters = meters_create(rules_context, 256, NULL);
	meters_stored = 0;
}

/* The cache, without what has changed; an empty one where there is none, or where it is full. */
static void
open_cache(Oid function)
{
	Oid			schema;

	if (meters != NULL && !meters_changed && meters_stored < MAX_METERS)
		return;
	schema = get_func_namespace(function);
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (meters == NULL || meters_stored >= MAX_METERS)
			make_cache(schema);
		if (!read_changes(schema))
			meters = NULL;
	} while (meters == NULL || meters_changed);
}

/* ---- settings ---- */

static int64
column_int(PaillierTableScan *scan, const char *column)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, column, INT4OID, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static TimestampTz
column_time(PaillierTableScan *scan, const char *column, TimestampTz otherwise)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, column, TIMESTAMPTZOID, &isnull);

	return isnull ? otherwise : DatumGetTimestampTz(value);
}

/* An interval in microseconds, months and years as EXTRACT(epoch FROM …) takes them. */
static int64
column_interval(PaillierTableScan *scan, const char *column)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, column, INTERVALOID, &isnull);
	const Interval *interval;
	int64		quarter_days;

	if (isnull)
		return 0;
	interval = DatumGetIntervalP(value);
	quarter_days = (int64) (4 * DAYS_PER_YEAR) * (interval->month / MONTHS_PER_YEAR) +
		(int64) (4 * DAYS_PER_MONTH) * (interval->month % MONTHS_PER_YEAR) + (int64) 4 * interval->day;
	return quarter_days * (USECS_PER_DAY / 4) + interval->time;
}

static void
column_key(MeteringKey *key, PaillierTableScan *scan, const char *column)
{
	bool		isnull;
	Datum		id = paillier_table_column(scan, column, TEXTOID, &isnull);

	key->set = !isnull && paillier_key_id_read(key->id, VARDATA_ANY(DatumGetTextPP(id)),
											   VARSIZE_ANY_EXHDR(DatumGetTextPP(id)));
}

/* The keys and interval of a row of setting or setting_history. */
static void
read_period(MeteringPeriod *period, PaillierTableScan *scan, TimestampTz until)
{
	period->until = until;
	period->interval = Max(column_interval(scan, "reading_interval"), USECS_PER_SEC);
	column_key(&period->key, scan, "key_id");
	column_key(&period->bill_key, scan, "bill_key_id");
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

bool
paillier_metering_active(Datum active, MeteringMeter *meter)
{
	RangeType  *range = DatumGetRangeTypeP(active);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(lookup_type_cache(RangeTypeGetOid(range), TYPECACHE_RANGE_INFO), range, &lower, &upper, &empty);
	meter->from = !empty && !lower.infinite ? DatumGetTimestampTz(lower.val) : DT_NOBEGIN;
	meter->until = !empty && !upper.infinite ? DatumGetTimestampTz(upper.val) : DT_NOEND;
	return !empty;
}

/* Read the active range of a meter; an empty one has neither begin nor end. */
static void
read_active(MeteringMeter *meter, PaillierTableScan *scan)
{
	bool		isnull;
	Datum		value = paillier_table_column(scan, "active", TSTZRANGEOID, &isnull);

	meter->from = DT_NOBEGIN;
	meter->until = DT_NOEND;
	if (!isnull)
		paillier_metering_active(value, meter);
}

/* An interval in minutes; 0 for NULL. */
static int32
column_minutes(PaillierTableScan *scan, const char *column)
{
	return (int32) (column_interval(scan, column) / USECS_PER_MINUTE);
}

/* Read since when a meter has its present interval. */
static void
read_interval_since(MeteringMeter *meter, Oid schema, const char *id)
{
	PaillierTableScan scan;

	meter->interval_since = DT_NOBEGIN;
	paillier_table_begin(&scan, schema, "interval_history", cstring_to_text(id));
	while (paillier_table_next(&scan))
		meter->interval_since = Max(meter->interval_since, column_time(&scan, "until", DT_NOBEGIN));
	paillier_table_end(&scan);
}

int64
paillier_metering_interval(Oid function, text *id, const MeteringMeter *meter, TimestampTz read_at)
{
	int32		minutes = meter->minutes;
	TimestampTz holds_until = DT_NOEND;
	PaillierTableScan scan;

	if (read_at < meter->interval_since)
	{
		/* rare: an earlier interval, which nobody remembers */
		paillier_table_begin(&scan, get_func_namespace(function), "interval_history", id);
		while (paillier_table_next(&scan))
		{
			TimestampTz until = column_time(&scan, "until", DT_NOBEGIN);

			if (read_at < until && until < holds_until)
			{
				holds_until = until;
				minutes = column_minutes(&scan, "reading_interval");
			}
		}
		paillier_table_end(&scan);
	}
	return minutes * USECS_PER_MINUTE;
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

/* A meter of the cache; false where it has none of that id. */
static bool
find_cached(const char *id, CachedMeter *meter)
{
	CachedMeter *entry = meters_lookup(meters, id);

	if (entry != NULL)
		*meter = *entry;
	return entry != NULL;
}

/* Put a meter into the cache. */
static void
store_meter(const char *id, const MeteringMeter *meter, Name collector)
{
	CachedMeter *entry;
	bool		found;

	entry = meters_insert(meters, MemoryContextStrdup(rules_context, id), &found);
	entry->meter = *meter;
	entry->collector = collector != NULL ? find_collector(collector) : NULL;
	meters_stored++;
}

/* Read a meter into the cache; false where there is none. */
static bool
load_meter(Oid function, const char *id)
{
	bool		loaded = false;

	while (!loaded)
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
		paillier_table_begin(&scan, get_func_namespace(function), "meter", cstring_to_text(id));
		found = paillier_table_next(&scan);
		if (found)
		{
			bool		isnull;
			Datum		collector = paillier_table_column(&scan, "collector", NAMEOID, &isnull);

			restricted = !isnull;
			if (restricted)
				namestrcpy(&name, NameStr(*DatumGetName(collector)));
			read_active(&meter, &scan);
			meter.minutes = column_minutes(&scan, "reading_interval");
		}
		paillier_table_end(&scan);
		if (found)
			read_interval_since(&meter, get_func_namespace(function), id);
		if (before != changes)
			continue;
		if (!found)
			return false;
		store_meter(id, &meter, restricted ? &name : NULL);
		loaded = true;
	}
	return true;
}

bool
paillier_metering_find_meter(Oid function, text *id, MeteringMeter *meter)
{
	char		key[MAX_METER_ID] = {0};
	int			len = VARSIZE_ANY_EXHDR(id);
	CachedMeter cached;

	if (len >= MAX_METER_ID)
		return false;
	memcpy(key, VARDATA_ANY(id), len);
	open_cache(function);
	if (!find_cached(key, &cached) && !(load_meter(function, key) && find_cached(key, &cached)))
		return false;
	if (cached.collector != NULL && !is_collector(cached.collector))
	{
		/* asking again takes as long as for an id that does not exist */
		meters_delete(meters, key);
		return false;
	}
	*meter = cached.meter;
	return true;
}
