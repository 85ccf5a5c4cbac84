/*
 * pg_registry.c
 *		The registry of keys: the table paillier_key.
 *
 * The table is found by the schema of the function that asks, and read by its
 * primary key, without SQL (pg_table.c).  No privilege is asked for: public keys
 * are no secret.  Keys are written by SQL, with the rights of the caller, that
 * calls no function and no operator.  The extension may be dropped while a
 * statement that uses it runs, so that every answer of the catalogs may be "no
 * such thing".
 */
#include "pg_paillier.h"
#include "pg_table.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define TABLE "paillier_key"

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
	Relation	table = paillier_table_open(schema, TABLE, lock);

	if (table == NULL)
		raise_no_registry();
	return table;
}

/* The type paillier_public_key of the table's schema. */
static Oid
public_key_type(Relation table)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("paillier_public_key"),
									   ObjectIdGetDatum(RelationGetNamespace(table)));

	if (!OidIsValid(type))
		raise_no_registry();
	return type;
}

/* ---- reading ---- */

PaillierPublicKey *
paillier_registry_find(Oid schema, const uint8 *id)
{
	Relation	table = open_registry(schema, AccessShareLock);
	Oid			type = public_key_type(table);
	PaillierPublicKey *found = NULL;
	PaillierTableScan scan;

	paillier_table_begin_in_query(&scan, table, cstring_to_text(paillier_key_id_text(id)));
	while (found == NULL && paillier_table_next(&scan))
	{
		bool		isnull;
		Datum		value = paillier_table_column(&scan, "public_key", type, &isnull);

		if (!isnull)
			found = (PaillierPublicKey *) PG_DETOAST_DATUM_COPY(value);
	}

	/* the value is a copy: nobody who wants to drop the table has to wait for our transaction */
	paillier_table_end(&scan);
	return found != NULL && paillier_public_key_has_id(found, id) ? found : NULL;
}

/* ---- writing ---- */

/* Insert the key, or update its row; a name that is NULL leaves the old one. */
static void
write_row(Relation table, PaillierPublicKey *key, Datum name, bool name_is_null)
{
	char	   *schema = get_namespace_name(RelationGetNamespace(table));
	Oid			types[] = {TEXTOID, public_key_type(table), TEXTOID};
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
