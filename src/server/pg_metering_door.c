/*
 * pg_metering_door.c
 *		The check at the door of the staging table.
 *
 * It runs for every reading that enters, with the rights of whoever sends it; what
 * it asks the database it asks without a query (pg_metering_rules.c).
 */
#include "pg_metering.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* The period that a time lies in; the last one has no end. */
static const MeteringPeriod *
period_at(const MeteringRules *rules, TimestampTz t)
{
	int			i = 0;

	while (i < rules->periods - 1 && t >= rules->period[i].until)
		i++;
	return &rules->period[i];
}

/* What comes in: messages name it. */
typedef enum Channel
{
	READING,
	REGISTER
} Channel;

static const char *const channel_name[] = {"reading", "register"};

/*
 * The longest interval that can begin so many microseconds behind a full hour, in minutes; 0
 * if none can.  Intervals are whole minutes that divide an hour.
 */
static int
fitting_interval(int64 behind)
{
	for (int minutes = MINS_PER_HOUR; minutes > 0; minutes--)
		if (MINS_PER_HOUR % minutes == 0 && behind % (minutes * USECS_PER_MINUTE) == 0)
			return minutes;
	return 0;
}

/* Local hours of India begin at half past of UTC: whoever sends them learns which intervals would do. */
static void
refuse_off_grid(Channel channel, TimestampTz read_at, int64 interval)
{
	int64		behind = read_at - paillier_utc_hour(read_at);
	int			minutes = interval / USECS_PER_MINUTE;
	int			fitting = fitting_interval(behind);

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("%s at %s is not on the grid of the reading interval", channel_name[channel],
					timestamptz_to_str(read_at)),
			 fitting > 0 ?
			 errdetail("Intervals are counted from full hours of UTC: one of %d min cannot begin at minute %d of an hour, "
					   "one of %d min can.", minutes, (int) (behind / USECS_PER_MINUTE), fitting) :
			 errdetail("Intervals are counted from full hours of UTC: one of %d min begins at a full minute.", minutes),
			 errhint("A reading is dated by the start of its interval.")));
}

/* A reading is complete when its interval has ended, a register as soon as it is read. */
static void
check_time(const MeteringRules *rules, int64 interval, Channel channel, TimestampTz read_at)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	/* hours are whole multiples of every interval, so the grid is that of the hour */
	if ((read_at - paillier_utc_hour(read_at)) % interval != 0)
		refuse_off_grid(channel, read_at, interval);
	if (read_at + (channel == READING ? interval : 0) > now + rules->tolerance)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s at %s lies in the future", channel_name[channel], timestamptz_to_str(read_at)),
				 channel == READING ? errhint("Send a reading when its interval has ended.") : 0));
	if (read_at < now - rules->retention)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s at %s is older than the retention of readings", channel_name[channel],
						timestamptz_to_str(read_at))));
	if (read_at < rules->starts_at)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s at %s lies before the start of metering", channel_name[channel],
						timestamptz_to_str(read_at))));
}

/*
 * Whether there is a meter of that id at all is nothing for a collector that it
 * does not belong to: the answer is the same.
 */
static void
check_meter(bool found, const MeteringMeter *meter, text *id, Channel channel, TimestampTz read_at)
{
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("meter \"%s\" is not registered", text_to_cstring(id)),
				 errdetail("There is no such meter for this collector."),
				 errhint("Add it to metering.meter first.")));
	if (read_at < meter->from || read_at >= meter->until + (channel == REGISTER && meter->until != DT_NOEND))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s at %s lies outside the active range of its meter", channel_name[channel],
						timestamptz_to_str(read_at))));
}

static bool
is_under(const paillier_header *header, const MeteringKey *key)
{
	return key->set && memcmp(header->key_id, key->id, PAILLIER_KEY_ID_LENGTH) == 0;
}

/* The key of a period for a channel: while there is one key, it is that of readings. */
static const MeteringKey *
channel_key(const MeteringPeriod *period, Channel channel)
{
	return channel == REGISTER && period->bill_key.set ? &period->bill_key : &period->key;
}

/*
 * With one key a reading must be under the key of its hour; when the key has changed
 * since, the present one will do as well, because a bill takes both.  With two keys it
 * must be under that of its hour, because a regional total takes no other.  A register
 * may end a series under the key that was in use before it.
 */
static void
check_key(const MeteringRules *rules, Channel channel, TimestampTz read_at, const paillier_header *header)
{
	const MeteringPeriod *present = &rules->period[rules->periods - 1];
	const MeteringPeriod *period = period_at(rules, read_at);

	if (!present->key.set)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("metering has no key yet"),
				 errhint("Register a public key and put its id into metering.setting.")));
	if (!period->key.set)
		period = present;
	if (is_under(header, channel_key(period, channel)))
		return;
	if (channel == REGISTER && is_under(header, channel_key(period_at(rules, read_at - 1), channel)))
		return;
	if (is_under(header, channel_key(present, channel)) && !period->bill_key.set && !present->bill_key.set)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("%s is under key %s", channel_name[channel], paillier_key_id_text(header->key_id)),
			 channel == READING ?
			 errdetail("The key of its hour is %s.", paillier_key_id_text(period->key.id)) :
			 errdetail("The key of registers at its time is %s.",
					   paillier_key_id_text(channel_key(period, channel)->id))));
}

/* Scale and width are fixed, so that no reading can make a total of many overflow or expensive. */
static void
check_header(const MeteringRules *rules, Channel channel, const paillier_header *header)
{
	if (header->scale != rules->scale)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has scale %d", channel_name[channel], header->scale),
				 errdetail("Readings here have scale %d.", rules->scale),
				 errhint("Encrypt it with the scale of metering.setting.")));
	if (paillier_bound_cmp(paillier_bound_unpack(header->bound_mantissa, header->bound_exponent), rules->bound) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s is declared wider than the width of metering.setting", channel_name[channel]),
				 errhint("Encrypt it with that width or a smaller one.")));
}

/*
 * The schema of the registry: that of the type of the function's third argument, a
 * ciphertext.  InvalidOid where function or type are gone.
 */
static Oid
registry_schema(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			type = InvalidOid;
	Oid			schema = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_proc accept = (Form_pg_proc) GETSTRUCT(tuple);

		if (accept->pronargs >= 3)
			type = accept->proargtypes.values[2];
		ReleaseSysCache(tuple);
	}
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (HeapTupleIsValid(tuple))
	{
		schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
		ReleaseSysCache(tuple);
	}
	return schema;
}

static void
check_ciphertext(Oid function, const PaillierCiphertext *energy)
{
	PaillierKey *key = paillier_key_cached(energy->header.key_id);

	if (key == NULL)
		key = paillier_key_load(registry_schema(function), energy->header.key_id);
	if (CIPHERTEXT_LIMBS(energy) != key->pub.n2.limbs)
		paillier_raise(PAILLIER_ERR_KEY_LENGTH, THING_CIPHERTEXT);
	paillier_require(paillier_check(&key->pub, energy->c, paillier_scratch(key)), THING_CIPHERTEXT);
}

/* Whether the present transaction has sent readings. */
static bool door_ran = false;

/* A prepared transaction would keep staging locked for as long as somebody likes. */
static void
refuse_prepare(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_PRE_PREPARE && door_ran)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a transaction that has sent readings cannot be prepared"),
				 errhint("Use COMMIT.")));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		door_ran = false;
}

/* Note that the transaction sends readings. */
static void
note_transaction(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(refuse_prepare, NULL);
	registered = true;
	door_ran = true;
}

/* Readings come back from reading_kept, accepted once: see restore_kept_readings(). */
static bool coming_back = false;

/* An error that says why a reading or a register is not accepted. */
static void
check_entry(FunctionCallInfo fcinfo, Channel channel)
{
	TimestampTz read_at = PG_GETARG_TIMESTAMPTZ(1);
	PaillierCiphertext *energy = PG_GETARG_CIPHERTEXT(2);
	Oid			function = fcinfo->flinfo->fn_oid;
	text	   *meter_id = PG_GETARG_TEXT_PP(0);
	const MeteringRules *rules;
	MeteringMeter meter;
	bool		found;
	int64		interval = 0;

	note_transaction();
	(void) paillier_metering_rules(function);	/* hears of changes, also of meters */
	found = paillier_metering_find_meter(function, meter_id, &meter);
	if (found)
		interval = paillier_metering_interval(function, meter_id, &meter, read_at);
	rules = paillier_metering_rules(function);
	if (interval == 0)
		interval = period_at(rules, read_at)->interval;
	check_time(rules, interval, channel, read_at);
	check_key(rules, channel, read_at, &energy->header);
	check_header(rules, channel, &energy->header);
	check_ciphertext(function, energy);
	check_meter(found, &meter, meter_id, channel, read_at);
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
	if (!coming_back)
		check_entry(fcinfo, READING);
	PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(paillier_metering_accept_register);

/*
 * metering.accept_register(meter_id text, read_at timestamptz, register paillier_ciphertext) -> boolean
 *
 * The same for a register.
 */
Datum
paillier_metering_accept_register(PG_FUNCTION_ARGS)
{
	check_entry(fcinfo, REGISTER);
	PG_RETURN_BOOL(true);
}

/* The qualified name of a table, for a statement. */
static char *
table_name(Oid table)
{
	char	   *schema = get_namespace_name(get_rel_namespace(table));
	char	   *name = get_rel_name(table);

	if (schema == NULL || name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %u does not exist", table)));
	return quote_qualified_identifier(schema, name);
}

PG_FUNCTION_INFO_V1(paillier_metering_restore_kept_readings);

/* metering.restore_kept_readings(partition regclass) -> void: from reading_kept, past the door */
Datum
paillier_metering_restore_kept_readings(PG_FUNCTION_ARGS)
{
	Oid			schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	char	   *command = psprintf("INSERT INTO %s SELECT * FROM %s", table_name(PG_GETARG_OID(0)),
								   table_name(get_relname_relid("reading_kept", schema)));

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
