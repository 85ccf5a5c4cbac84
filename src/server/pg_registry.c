/*
 * pg_registry.c
 *		The registry of keys: the table paillier_key, read without SQL.
 *
 * The table is found by the schema of the function that asks, and read by a scan
 * of its primary key.  No name in it is resolved by a search path, no operator is
 * looked up, and no privilege is asked for: public keys are no secret.  The
 * extension may be dropped while a statement that uses it runs, so that every
 * answer of the catalogs may be "no such thing".
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
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

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

/* The table, locked against being dropped. */
static Relation
open_registry(Oid schema)
{
	Oid			oid = OidIsValid(schema) ? get_relname_relid("paillier_key", schema) : InvalidOid;
	Relation	table = OidIsValid(oid) ? try_relation_open(oid, AccessShareLock) : NULL;

	if (table == NULL || !is_registry(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("key registry does not exist"),
				 errdetail("The table paillier_key of the extension paillier is not there any more."),
				 errhint("Run the statement again when the extension has been created again.")));
	return table;
}

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
	Relation	table = open_registry(schema);
	PaillierPublicKey *found = find_row(table, id);

	/* the value is a copy: nobody who wants to drop the table has to wait for our transaction */
	relation_close(table, AccessShareLock);
	return found != NULL && paillier_public_key_has_id(found, id) ? found : NULL;
}
