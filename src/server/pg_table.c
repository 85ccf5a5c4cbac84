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
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

Relation
paillier_table_open(Oid schema, const char *name, LOCKMODE lock)
{
	Oid			oid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
	Relation	table = OidIsValid(oid) ? try_relation_open(oid, lock) : NULL;

	if (table != NULL && table->rd_rel->relkind != RELKIND_RELATION)
	{
		relation_close(table, lock);
		return NULL;
	}
	return table;
}

/* A column must have a type, or what is read of it would be taken for something else. */
static void
check_type(Relation table, AttrNumber column, Oid type)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), column - 1);

	if (attribute->atttypid != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" of the extension has another type",
						NameStr(attribute->attname), RelationGetRelationName(table)),
				 errhint("The extension has been altered: create it again.")));
}

/* The number of a column, or an error. */
static AttrNumber
column_number(Relation table, const char *name, Oid type)
{
	TupleDesc	desc = RelationGetDescr(table);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
		{
			check_type(table, i + 1, type);
			return i + 1;
		}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table \"%s\" of the extension does not exist", name,
					RelationGetRelationName(table)),
			 errhint("The extension has been dropped or altered: create it again.")));
}

/* The primary key's index and its first column, a text, or an error. */
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
	check_type(table, *column, TEXTOID);
	return table->rd_pkindex;
}

/* That of the query; output functions may run without one, and parallel workers have the leader's. */
static Snapshot
snapshot_of_query(void)
{
	return RegisterSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());
}

/*
 * A snapshot that sees what is committed by now.  Within a parallel operation none
 * can be taken: there that of the query must do.
 */
static Snapshot
snapshot_now(void)
{
	if (IsInParallelMode())
		return snapshot_of_query();
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

/* Keep the statistics of the table and its index as they are before the scan. */
static void
hide(PaillierTableScan *scan, Oid index)
{
	scan->buffers = pgBufferUsage;
	keep_counts(&scan->table_counts, scan->table);
	if (OidIsValid(index))
	{
		Relation	opened = relation_open(index, AccessShareLock);

		keep_counts(&scan->index_counts, opened);
		relation_close(opened, AccessShareLock);
	}
}

/*
 * systable_beginscan() serves tables that are none of the catalogs as well: it looks
 * at the heap and a btree index by the given snapshot, and needs no executor.
 */
static void
begin_scan(PaillierTableScan *scan, Relation table, text *key, bool hidden)
{
	ScanKeyData scan_key;
	AttrNumber	column;
	Oid			index = InvalidOid;

	scan->row = NULL;
	scan->table = table;
	scan->hidden = hidden;
	if (key != NULL)
	{
		index = primary_key(table, &column);
		ScanKeyEntryInitialize(&scan_key, 0, column, BTEqualStrategyNumber, InvalidOid,
							   TupleDescAttr(RelationGetDescr(table), column - 1)->attcollation, F_TEXTEQ,
							   PointerGetDatum(key));
	}
	if (hidden)
		hide(scan, index);
	scan->snapshot = hidden ? snapshot_now() : snapshot_of_query();
	scan->scan = systable_beginscan(table, index, key != NULL, scan->snapshot, key != NULL ? 1 : 0, &scan_key);
}

void
paillier_table_begin(PaillierTableScan *scan, Oid schema, const char *name, text *key)
{
	Relation	table = paillier_table_open(schema, name, AccessShareLock);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of the extension does not exist", name),
				 errhint("The extension has been dropped or altered: create it again.")));
	begin_scan(scan, table, key, true);
}

void
paillier_table_begin_in_query(PaillierTableScan *scan, Relation table, text *key)
{
	begin_scan(scan, table, key, false);
}

bool
paillier_table_next(PaillierTableScan *scan)
{
	scan->row = systable_getnext(scan->scan);
	return HeapTupleIsValid(scan->row);
}

Datum
paillier_table_column(PaillierTableScan *scan, const char *column, Oid type, bool *isnull)
{
	return heap_getattr(scan->row, column_number(scan->table, column, type), RelationGetDescr(scan->table), isnull);
}

void
paillier_table_end(PaillierTableScan *scan)
{
	if (scan->hidden)
	{
		pgBufferUsage = scan->buffers;
		restore_counts(scan->table, &scan->table_counts);
	}
	if (scan->hidden && scan->scan->irel != NULL)
		restore_counts(scan->scan->irel, &scan->index_counts);
	systable_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	relation_close(scan->table, AccessShareLock);
}
