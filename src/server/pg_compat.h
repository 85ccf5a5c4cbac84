/*
 * pg_compat.h
 *		Differences between PostgreSQL 13 and 18, all of them.
 */
#ifndef PG_COMPAT_H
#define PG_COMPAT_H

#include "postgres.h"

#include "utils/guc.h"
#include "utils/numeric.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

#if PG_VERSION_NUM < 160000
#define table_counts(relation) ((relation)->pgstat_info->t_counts)
#else
#define table_counts(relation) ((relation)->pgstat_info->counts)
#endif

#if PG_VERSION_NUM < 140000
#define numeric_is_inf(num) false
#endif

#ifndef pg_attribute_noreturn	/* from 18 on */
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

#if PG_VERSION_NUM < 180000
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

#endif
