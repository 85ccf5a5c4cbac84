/*
 * pg_table.h
 *		Rows of the extensions' own tables, read without a query.
 *
 * A query resolves names, by the search path of whoever happens to run it, and
 * checks rights.  Here neither matters: the table is found by its schema's number
 * and its name, and read as it is now.
 *
 * Nor does the scan show in the statistics: everybody sees those of their own
 * transaction, which would tell whether there is a row.
 */
#ifndef PG_TABLE_H
#define PG_TABLE_H

#include "postgres.h"

#include "access/htup.h"
#include "pgstat.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct PaillierTableScan
{
	Relation	table;
	struct SysScanDescData *scan;
	Snapshot	snapshot;
	HeapTuple	row;
	PgStat_TableCounts table_counts;	/* of statistics, before the scan */
	PgStat_TableCounts index_counts;
} PaillierTableScan;

/*
 * Begin to read a table: all rows, or with `key` not NULL those whose first column
 * of the primary key, a text, is `key`.  What was committed before the call is seen.
 * An error where there is no such table: its extension is gone, or half made.
 *
 * MUST be ended by paillier_table_end(), or by an error.
 */
extern void paillier_table_begin(PaillierTableScan *scan, Oid schema, const char *table, text *key);

/* The next row; false after the last one. */
extern bool paillier_table_next(PaillierTableScan *scan);

/* A column of the row, valid until the next call. */
extern Datum paillier_table_column(PaillierTableScan *scan, const char *column, bool *isnull);

extern void paillier_table_end(PaillierTableScan *scan);

#endif
