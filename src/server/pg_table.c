/*
 * pg_table.c
 *		Rows of the extensions' own tables, read without a query.
 */
#include "pg_compat.h"
#include "pg_table.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* The table with an AccessShareLock, or an error that says what is missing. */
static Relation
open_table(Oid schema, const char *name)
{
	Oid			oid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
	Relation	table = OidIsValid(oid) ? try_relation_open(oid, AccessShareLock) : NULL;

	if (table == NULL || table->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of the extension does not exist", name),
				 errhint("The extension has been dropped or altered: create it again.")));
	return table;
}

/* The number of a column, or an error. */
static AttrNumber
column_number(Relation table, const char *name)
{
	TupleDesc	desc = RelationGetDescr(table);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i + 1;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table \"%s\" of the extension does not exist", name,
					RelationGetRelationName(table)),
			 errhint("The extension has been dropped or altered: create it again.")));
}

/* The primary key's index and its first column, or an error. */
static Oid
primary_key(Relation table, AttrNumber *column)
{
	Relation	index;

	list_free(RelationGetIndexList(table));
	if (!OidIsValid(table->rd_pkindex))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" of the extension has no primary key", RelationGetRelationName(table)),
				 errhint("The extension has been altered: create it again.")));
	index = relation_open(table->rd_pkindex, AccessShareLock);
	*column = index->rd_index->indkey.values[0];
	relation_close(index, AccessShareLock);
	return table->rd_pkindex;
}

/*
 * A snapshot that sees what is committed by now.  Within a parallel operation none
 * can be taken: there that of the query must do.
 */
static Snapshot
snapshot_now(void)
{
	if (IsInParallelMode())
		return RegisterSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());
	return RegisterSnapshot(GetLatestSnapshot());
}

/* The counts of a relation, all zero as long as nothing is counted. */
static void
keep_counts(PgStat_TableCounts *counts, Relation relation)
{
	memset(counts, 0, sizeof(*counts));
	if (relation->pgstat_info != NULL)
		*counts = table_counts(relation);
}

static void
restore_counts(Relation relation, const PgStat_TableCounts *counts)
{
	if (relation->pgstat_info != NULL)
		table_counts(relation) = *counts;
}

void
paillier_table_begin(PaillierTableScan *scan, Oid schema, const char *table, text *key)
{
	ScanKeyData scan_key;
	AttrNumber	column;
	Oid			index = InvalidOid;

	scan->row = NULL;
	scan->table = open_table(schema, table);
	if (key != NULL)
	{
		index = primary_key(scan->table, &column);
		ScanKeyEntryInitialize(&scan_key, 0, column, BTEqualStrategyNumber, InvalidOid,
							   TupleDescAttr(RelationGetDescr(scan->table), column - 1)->attcollation, F_TEXTEQ,
							   PointerGetDatum(key));
	}
	keep_counts(&scan->table_counts, scan->table);
	if (OidIsValid(index))
	{
		Relation	opened = relation_open(index, AccessShareLock);

		keep_counts(&scan->index_counts, opened);
		relation_close(opened, AccessShareLock);
	}
	scan->snapshot = snapshot_now();
	scan->scan = systable_beginscan(scan->table, index, key != NULL, scan->snapshot, key != NULL ? 1 : 0, &scan_key);
}

bool
paillier_table_next(PaillierTableScan *scan)
{
	scan->row = systable_getnext(scan->scan);
	return HeapTupleIsValid(scan->row);
}

Datum
paillier_table_column(PaillierTableScan *scan, const char *column, bool *isnull)
{
	return heap_getattr(scan->row, column_number(scan->table, column), RelationGetDescr(scan->table), isnull);
}

void
paillier_table_end(PaillierTableScan *scan)
{
	restore_counts(scan->table, &scan->table_counts);
	if (scan->scan->irel != NULL)
		restore_counts(scan->scan->irel, &scan->index_counts);
	systable_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	relation_close(scan->table, AccessShareLock);
}
