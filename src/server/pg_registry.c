/*
 * pg_registry.c
 *		The registry of keys: the table paillier_key.
 *
 * The table is found by the schema of the function that asks, and read by a scan
 * of its primary key, without SQL.  No name is resolved by a search path, no
 * operator is looked up, and no privilege is asked for: public keys are no
 * secret.  Keys are written by SQL, with the rights of the caller, that calls no
 * function and no operator.  The extension may be dropped while a statement that
 * uses it runs, so that every answer of the catalogs may be "no such thing".
 */
#include "pg_paillier.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#define TABLE "paillier_key"

/* Columns of the table. */
#define KEY_ID		1
#define PUBLIC_KEY	2

static bool
column_is(TupleDesc desc, AttrNumber number, const char *name)
{
	Form_pg_attribute column;

	if (desc->natts < number)
		return false;
	column = TupleDescAttr(desc, number - 1);
	return !column->attisdropped && strcmp(NameStr(column->attname), name) == 0;
}

/* Whether a table of the registry's name can be read as the registry. */
static bool
is_registry(Relation table)
{
	TupleDesc	desc = RelationGetDescr(table);

	return table->rd_rel->relkind == RELKIND_RELATION &&
		column_is(desc, KEY_ID, "key_id") && TupleDescAttr(desc, KEY_ID - 1)->atttypid == TEXTOID &&
		column_is(desc, PUBLIC_KEY, "public_key") && TupleDescAttr(desc, PUBLIC_KEY - 1)->attlen == -1;
}

static void raise_no_registry(void) pg_attribute_noreturn();

static void
raise_no_registry(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("key registry does not exist"),
			 errdetail("The table paillier_key of the extension paillier is not there any more."),
			 errhint("Run the statement again when the extension has been created again.")));
}

/* The table, locked against being dropped. */
static Relation
open_registry(Oid schema, LOCKMODE lock)
{
	Oid			oid = OidIsValid(schema) ? get_relname_relid(TABLE, schema) : InvalidOid;
	Relation	table = OidIsValid(oid) ? try_relation_open(oid, lock) : NULL;

	if (table == NULL || !is_registry(table))
		raise_no_registry();
	return table;
}

/* ---- reading ---- */

/* The index of the primary key, where that is the registry's. */
static Oid
registry_index(Relation table)
{
	Bitmapset  *columns = RelationGetIndexAttrBitmap(table, INDEX_ATTR_BITMAP_PRIMARY_KEY);

	if (!bms_is_member(KEY_ID - FirstLowInvalidHeapAttributeNumber, columns))
		return InvalidOid;
	return table->rd_pkindex;
}

/* The public key of the row with this id, palloc'd; NULL where there is none. */
static PaillierPublicKey *
find_row(Relation table, const uint8 *id)
{
	TupleDesc	desc = RelationGetDescr(table);
	Oid			index = registry_index(table);
	PaillierPublicKey *found = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	/* output functions may run without an active snapshot; parallel workers have the leader's */
	Snapshot	snapshot = RegisterSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());

	ScanKeyEntryInitialize(&key, 0, KEY_ID, BTEqualStrategyNumber, InvalidOid,
						   TupleDescAttr(desc, KEY_ID - 1)->attcollation, F_TEXTEQ,
						   CStringGetTextDatum(paillier_key_id_text(id)));
	scan = systable_beginscan(table, index, OidIsValid(index), snapshot, 1, &key);
	while (found == NULL && HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		value = heap_getattr(row, PUBLIC_KEY, desc, &isnull);

		if (!isnull)
			found = (PaillierPublicKey *) PG_DETOAST_DATUM_COPY(value);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return found;
}

PaillierPublicKey *
paillier_registry_find(Oid schema, const uint8 *id)
{
	Relation	table = open_registry(schema, AccessShareLock);
	PaillierPublicKey *found = find_row(table, id);

	/* the value is a copy: nobody who wants to drop the table has to wait for our transaction */
	relation_close(table, AccessShareLock);
	return found != NULL && paillier_public_key_has_id(found, id) ? found : NULL;
}

/* ---- writing ---- */

/* Insert the key, or update its row; a name that is NULL leaves the old one. */
static void
write_row(Relation table, PaillierPublicKey *key, Datum name, bool name_is_null)
{
	char	   *schema = get_namespace_name(RelationGetNamespace(table));
	Oid			types[] = {TEXTOID, TupleDescAttr(RelationGetDescr(table), PUBLIC_KEY - 1)->atttypid, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(paillier_key_id_text(key->id)), PointerGetDatum(key), name};
	char		nulls[] = {' ', ' ', name_is_null ? 'n' : ' '};
	char	   *query;

	if (schema == NULL)
		raise_no_registry();
	query = psprintf("INSERT INTO %s AS k (key_id, public_key, name) VALUES ($1, $2, $3) "
					 "ON CONFLICT (key_id) DO UPDATE SET public_key = EXCLUDED.public_key, "
					 "name = COALESCE(EXCLUDED.name, k.name)",
					 quote_qualified_identifier(schema, TABLE));
	SPI_connect();
	if (SPI_execute_with_args(query, 3, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write to the key registry");
	SPI_finish();
}

PG_FUNCTION_INFO_V1(paillier_registry_add);

/* paillier_register_key(paillier_public_key, name text) -> text; NULL gives NULL */
Datum
paillier_registry_add(PG_FUNCTION_ARGS)
{
	PaillierPublicKey *key;
	Relation	table;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	key = PG_GETARG_PUBLIC_KEY(0);

	/* here, and not by the table: a restore fills that, too */
	paillier_check_key_bits(paillier_public_key_bits(key));
	table = open_registry(get_func_namespace(fcinfo->flinfo->fn_oid), RowExclusiveLock);
	write_row(table, key, PG_GETARG_DATUM(1), PG_ARGISNULL(1));
	relation_close(table, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(paillier_key_id_text(key->id)));
}
