/*
 * pg_table.h
 *		Rows of the extensions' own tables, read without a query.
 *
 * A query resolves names, by the search path of whoever happens to run it, and
 * checks rights.  Here neither matters: the table is found by its schema's number
 * and its name, a column by its name and its type.  The extension may be dropped
 * or altered while a statement that uses it runs: then what is missing is an error.
 */
#ifndef PG_TABLE_H
#define PG_TABLE_H

#include "postgres.h"

#include "access/htup.h"
#include "executor/instrument.h"
#include "pgstat.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct PaillierTableScan
{
	Relation	table;
	struct SysScanDescData *scan;
	Snapshot	snapshot;
	HeapTuple	row;
	bool		hidden;			/* from the statistics, by what they were before the scan: */
	PgStat_TableCounts table_counts;
	PgStat_TableCounts index_counts;
	BufferUsage buffers;
} PaillierTableScan;

/* The table, locked; NULL where there is none. */
extern Relation paillier_table_open(Oid schema, const char *name, LOCKMODE lock);

/*
 * Begin to read a table as it is now: all rows, or with `key` not NULL those whose
 * first column of the primary key, a text, is `key`.  What was committed before the
 * call is seen.  The scan does not show in the statistics: everybody sees those of
 * their own transaction, which would tell whether there is a row.
 *
 * MUST be ended by paillier_table_end(), or by an error.
 */
extern void paillier_table_begin(PaillierTableScan *scan, Oid schema, const char *table, text *key);

/* The same as the query sees it, counted like other scans; `table` is open with an AccessShareLock. */
extern void paillier_table_begin_in_query(PaillierTableScan *scan, Relation table, text *key);

/* The next row; false after the last one. */
extern bool paillier_table_next(PaillierTableScan *scan);

/* A column of the row, valid until the next call; an error where the table has none of that name and type. */
extern Datum paillier_table_column(PaillierTableScan *scan, const char *column, Oid type, bool *isnull);

/* Release the table, and its lock. */
extern void paillier_table_end(PaillierTableScan *scan);

#endif
