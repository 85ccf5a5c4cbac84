/*
 * pg_metering.h
 *		What the files of the metering pipeline share: time, and what the door of
 *		staging knows of settings and meters.
 */
#ifndef PG_METERING_H
#define PG_METERING_H

#include "pg_paillier.h"

#include "datatype/timestamp.h"

/* The ring of staging partitions; the install script asks for it by metering.slots(). */
#define STAGING_SLOTS 48

/* The ring of partitions by month; metering.month_slots(). */
#define MONTH_SLOTS 24

/* The most hours of a bill window: 24, and one over a change of daylight saving time. */
#define WINDOW_HOURS 48

/* The start of the UTC hour of a time; an error where the time is not finite. */
extern TimestampTz paillier_utc_hour(TimestampTz t);

/* ---- settings and meters (pg_metering_rules.c) ---- */

/* A key of the settings, which may not be set. */
typedef struct MeteringKey
{
	bool		set;
	uint8		id[PAILLIER_KEY_ID_LENGTH];
} MeteringKey;

/* Keys and interval of a stretch of time that ends at `until`. */
typedef struct MeteringPeriod
{
	TimestampTz until;
	int64		interval;		/* microseconds between readings */
	MeteringKey key;			/* of readings */
	MeteringKey bill_key;		/* of registers, where there are two keys */
} MeteringPeriod;

/* metering.setting as of now, and the periods of metering.setting_history before, in order of time */
typedef struct MeteringRules
{
	int			scale;
	paillier_bound bound;
	int64		retention;
	int64		tolerance;
	TimestampTz starts_at;
	int			periods;
	MeteringPeriod *period;		/* the last one has no end */
} MeteringRules;

typedef struct MeteringMeter
{
	TimestampTz from;			/* active from … */
	TimestampTz until;			/* … up to, exclusive */
	TimestampTz interval_since; /* since when it has its present interval */
	int32		minutes;		/* between readings; 0: those of the settings */
} MeteringMeter;

/* Microseconds between readings of a meter at a time; 0 if the settings say it. */
extern int64 paillier_metering_interval(Oid function, text *id, const MeteringMeter *meter, TimestampTz read_at);

/* Take an active range, a tstzrange, apart; false if it is empty. */
extern bool paillier_metering_active(Datum active, MeteringMeter *meter);

/*
 * The rules in force, by what is committed now.  They are valid until
 * the next call of this or of paillier_metering_find_meter().  `function` is one of
 * the extension, and says by its schema where the tables are.
 */
extern const MeteringRules *paillier_metering_rules(Oid function);

/*
 * A meter that the current user may send readings of: false where there is none of
 * that id, or where it is another collector's.
 */
extern bool paillier_metering_find_meter(Oid function, text *id, MeteringMeter *meter);

#endif
