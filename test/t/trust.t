#!/usr/bin/env bash
# trust.t
#	What roles try that have no right to it: to see other collectors' meters, to
#	hold up the roll-up, to be taken for a role that was dropped, to take part in
#	an installation.  And an extension that goes away under a session.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
own_server "max_prepared_transactions = 5"
fresh trust_test 'paillier_metering CASCADE'
sql "ALTER DATABASE trust_test SET paillier.min_key_bits = 128; ALTER DATABASE trust_test SET jit = off"
psql -Xq -v ON_ERROR_STOP=1 -f "$(dirname "${BASH_SOURCE[0]}")/metering.psql"

PYTHONPATH=$(dirname "${BASH_SOURCE[0]}") PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
from client import Session, failure, finish, is_, ok, sqlstate

admin = Session()
admin.run('''
    CREATE ROLE mine LOGIN; CREATE ROLE other LOGIN; CREATE ROLE operator LOGIN; CREATE ROLE nobody LOGIN;
        CREATE ROLE guest LOGIN;
    GRANT SELECT ON pipeline_key TO PUBLIC;
    GRANT CREATE ON SCHEMA public TO PUBLIC;
''')


def begin():
    admin.run('''SELECT begin_metering($$backup_interval = '0'$$);
        SELECT metering.grant_access(r::name, 'collector') FROM unnest(ARRAY['mine', 'other']) r;
        SELECT metering.grant_access('operator', 'operator');
        INSERT INTO metering.meter (meter_id, region, collector) VALUES ('m1', 'r', 'mine'), ('m2', 'r', 'other'),
            ('m3', 'r', NULL)''')


begin()
mine, operator, nobody = Session(user='mine'), Session(user='operator'), Session(user='nobody')
INSERT = 'INSERT INTO metering.reading VALUES ($1, $2, encrypted($3))'
h = admin.one("SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z')")
send = lambda meter, session=mine: sqlstate(session.rows, INSERT, meter, h, 1)

energy = admin.one('SELECT encrypted(1)')

# ---- a collector sees its own meters, whatever its conditions do ----

is_(admin.one("SELECT send('m.', $1, $1::timestamptz + interval '3 hours')", h), '108',
    'three meters of three collectors')
admin.run("DELETE FROM metering.reading WHERE read_at = $$%s$$::timestamptz + interval '5 min'" % h)
admin.run("CALL metering.rollup($$%s$$::timestamptz + interval '3 hours')" % h)
mine.run('''CREATE FUNCTION public.peek(meter_id text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
    $$ BEGIN RAISE NOTICE 'seen %', meter_id; RETURN true; END $$''')
for view in ('gap', 'acknowledged'):
    mine.notices.clear()
    rows = mine.rows(f'SELECT DISTINCT meter_id FROM metering.{view} WHERE public.peek(meter_id) ORDER BY 1')
    is_((rows, sorted(set(mine.notices))), ([('m1',), ('m3',)], ['seen m1', 'seen m3']),
        f'{view} shows a cheap condition no more than its reader')
mine.run('SET enable_seqscan = off; SET enable_bitmapscan = off')
for view in ('gap', 'acknowledged'):
    for condition in ("= '{}'", ">= '{}'", "LIKE '{}%%'", "~ '^{}'", "IN ('{}')"):
        plans = [mine.rows('EXPLAIN (ANALYZE, TIMING off, SUMMARY off, COSTS on) SELECT meter_id FROM metering.%s '
            'WHERE meter_id %s' % (view, condition.format(meter)))
                 for meter in ('m2', 'm2x')]
        is_(*[str(plan).replace(meter, 'm') for plan, meter in zip(plans, ('m2', 'm2x'))],
            f'the plan of {view} with {condition} does not tell whether there is such a meter')
mine.run('RESET ALL')
errors = [failure(mine.rows, INSERT, meter, h, 1) for meter in ('m2', 'm9')]
is_(*[(e.sqlstate, e.message.replace(m, 'x'), e.detail, e.hint) for e, m in zip(errors, ('m2', 'm9'))],
    'at the door another collector\'s meter is like one that does not exist')
counts = []
for meter in ('m2', 'm9', 'm1'):
    mine.run('BEGIN; SAVEPOINT s')
    failure(mine.rows, 'SELECT metering.accept($1, $2, $3)', meter, h, energy)
    mine.run('ROLLBACK TO s')
    counts.append(mine.rows("SELECT relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch FROM "
        "pg_stat_xact_all_tables "
                            "WHERE schemaname = 'metering' AND relname IN ('meter', 'setting') ORDER BY 1"))
    mine.run('ROLLBACK')
is_(counts[0], counts[1], 'statistics of one\'s own transaction do not tell either')
is_(counts[2], counts[1], 'nor that the door has read anything')
admin.run("UPDATE metering.meter SET active = tstzrange(now(), NULL) WHERE meter_id = 'm2'")
is_(failure(mine.rows, INSERT, 'm2', h, 1).sqlstate, '23503', 'also when it is not active')

# ---- roles that come and go ----

guest = Session(user='guest')
admin.run("SELECT metering.grant_access('guest', 'collector'); UPDATE metering.meter SET collector = 'later' WHERE "
    "meter_id = 'm3'")
is_(send('m3', guest), '23503', 'a collector that does not exist yet')
admin.run('CREATE ROLE later; GRANT later TO guest')
is_(send('m3', guest), 'none', 'is known as soon as there is one')
admin.run('DROP ROLE later')
is_(send('m3', guest), '23503', 'and not when it is gone')
admin.run('CREATE ROLE later')
is_(send('m3', guest), '23503', 'another role of that name is another role')
admin.run('GRANT later TO guest')
is_(send('m3', guest), 'none', 'whose members may send')
admin.run('ALTER ROLE later RENAME TO sooner')
is_(send('m3', guest), '23503', 'a role that is renamed is the collector no more')
admin.run('ALTER ROLE sooner RENAME TO later')
is_(send('m3', guest), 'none', 'until it is called so again')

# ---- who has no rights holds nothing up ----

nobody.run('BEGIN; CREATE TEMP TABLE mine (i int); CREATE TEMP VIEW v AS SELECT 1')
is_(admin.rows("SELECT relation::regclass, mode FROM pg_locks WHERE pid = $1 AND relation IN (SELECT oid FROM pg_class "
    "WHERE relnamespace = 'metering'::regnamespace)", nobody.pid),
    [], 'a session that has made a table holds no lock on anything of metering')
for table in ('meter', 'rate', 'region'):
    nobody.run(f'SELECT pg_advisory_lock({admin.one(f"SELECT $$metering.{table}$$::regclass::oid")})')
operator.run("SET statement_timeout = '10s'")
is_(sqlstate(operator.run, "INSERT INTO metering.meter (meter_id, region) VALUES ('m5', 'r')"), 'none',
    'nor does it stop an operator by advisory locks: meters')
is_(sqlstate(operator.run, "INSERT INTO metering.tariff VALUES ('t'); INSERT INTO metering.rate (tariff, price) VALUES "
    "('t', 1)"), 'none', 'rates')
is_(sqlstate(operator.run, "INSERT INTO metering.tariff VALUES ('u'); UPDATE metering.tariff SET tariff = 'v' WHERE "
    "tariff = 'u'; DELETE FROM metering.tariff WHERE tariff = 'v'"),
    'none', 'a tariff that no meter has is taken away by whoever made it')
is_(sqlstate(admin.run, "INSERT INTO metering.region VALUES ('a', 'b')"), 'none', 'regions')
admin.run("SELECT send('m1', '%s'::timestamptz + interval '3 hours', '%s'::timestamptz + interval '4 hours')" % (h, h))
operator.run(f"CALL metering.rollup('{h}'::timestamptz + interval '4 hours 30 min')")
is_(admin.one("SELECT sealed_until - $1 FROM metering.progress", h), '04:00:00', 'nor the roll-up')
nobody.run('ROLLBACK; SELECT pg_advisory_unlock_all()')
admin.run("CREATE ROLE analyst LOGIN; SELECT metering.grant_access('analyst', 'analyst')")
analyst = Session(user='analyst')
analyst.run("BEGIN; INSERT INTO metering.region VALUES ('c', 'd'); INSERT INTO metering.forecast_model VALUES ('m', "
    "'n')")
for statement in ("INSERT INTO metering.meter (meter_id, region) VALUES ('m6', 'r')",
        "UPDATE metering.rate SET price = 2", "UPDATE metering.setting SET grace = grace",
                  f"CALL metering.rollup('{h}'::timestamptz + interval '4 hours 30 min')"):
    is_(sqlstate(operator.run, statement), 'none', f'an analyst who stays in a transaction does not stop '
        f'{statement[:30]}')
analyst.run('ROLLBACK')
is_(sqlstate(operator.run, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM metering.next_step(now())"), '25000',
    'steps do not run by an old snapshot')
operator.run('ROLLBACK')

# ---- what an installation finds ----

INSTALL = 'DROP EXTENSION paillier_metering; CREATE EXTENSION paillier_metering'
grants = '''SELECT count(*) FROM (
        SELECT aclexplode(relacl) AS a, relowner AS owner FROM pg_class WHERE relnamespace = 'metering'::regnamespace
        UNION ALL SELECT aclexplode(proacl), proowner FROM pg_proc WHERE pronamespace = 'metering'::regnamespace) g
    WHERE (a).grantee <> owner'''
admin.run('''ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, other;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO other;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO other; GRANT CREATE ON SCHEMA metering TO other''')
admin.run('''CREATE ROLE "my-App"; CREATE ROLE """my-App"""; CREATE ROLE "é ""';--";
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "my-App", "é ""';--";
        GRANT CREATE ON SCHEMA metering TO "my-App"''')
admin.run(INSTALL)
is_(admin.one("SELECT count(*) FROM pg_init_privs WHERE classoid = 'pg_namespace'::regclass AND objoid = "
    "'metering'::regnamespace"), '0',
    'a dump holds the rights on the schema')
is_(admin.one("""SELECT has_schema_privilege('my-App', 'metering', 'CREATE')"""), 'f',
    'a role whose name needs quotes keeps no right')
is_(admin.one(grants), '0', 'default privileges of the installing role give nobody anything')
is_(admin.one("SELECT has_schema_privilege('other', 'metering', 'CREATE')"), 'f', 'nor may anybody add to the schema')
ok('objects in schema public, which queries may use' in admin.one('SELECT problems FROM metering.health'),
    'health tells that others may create objects beside those of paillier')
is_(admin.rows('SELECT problems FROM metering.health WHERE problems::text ~ $$staging|metering: REVOKE$$'), [],
    'health has nothing to say of it')
for statement, problem in [('GRANT SELECT ON metering.reading_07 TO other', 'staging'),
        ('GRANT SELECT (total) ON metering.partial TO other', 'staging'),
                           ('GRANT TRIGGER ON metering.reading TO PUBLIC', 'staging'),
                               ('GRANT pg_read_all_data TO other', 'staging'),
                           ('GRANT CREATE ON SCHEMA metering TO other', 'schema metering')]:
    admin.run('BEGIN; ' + statement)
    told = admin.one('SELECT array_to_string(problems, $$;$$) FROM metering.health')
    ok('REVOKE' in told and problem in told, f'health tells of {statement}', told)
    admin.run('ROLLBACK')
# whoever turns the guard off is told, and stops nobody else
admin.run('BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL client_min_messages = error; CREATE '
    'PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root); '
    'ALTER TABLE metering.reading_07 SET LOGGED; SET LOCAL session_replication_role = origin')
told = admin.one('SELECT array_to_string(problems, $$;$$) FROM metering.health')
ok('staging is published' in told and '1 staging tables are logged' in told,
    'health tells of staging that is published or logged', told)
is_(sqlstate(admin.run, 'CREATE TABLE unconcerned (i int); ALTER TABLE unconcerned ADD j int; CREATE TEMP TABLE '
    'fleeting AS SELECT 1'), 'none', 'tables of others are made all the same')
is_(sqlstate(admin.run, 'ALTER TABLE metering.reading_08 SET LOGGED'), '55000', 'staging is still guarded')
admin.run('ROLLBACK')
admin.run('BEGIN; GRANT INSERT ON metering.reading TO other')
is_(admin.rows('SELECT problems FROM metering.health WHERE problems::text ~ $$staging$$'), [],
    'sending readings is no problem')
admin.run('ROLLBACK')
admin.run('''ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC, other, "my-App", "é ""';--";
    ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM other;
    ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM other; DROP EXTENSION paillier_metering;
        DROP SCHEMA metering''')
for prepare, code, message in [
        ('CREATE SCHEMA metering AUTHORIZATION other', '42501', 'schema "metering" belongs to role "other"'),
        ('CREATE SCHEMA metering; CREATE FUNCTION metering.utc_hour(timestamp) RETURNS int LANGUAGE sql AS $$ SELECT 1 '
            '$$', '42710', 'schema "metering" is not empty'),
        ('CREATE SCHEMA metering; CREATE TABLE metering.t ()', '42710', 'schema "metering" is not empty'),
        ('CREATE SCHEMA metering; CREATE DOMAIN metering.text AS int', '42710', 'schema "metering" is not empty'),
        ('CREATE SCHEMA metering; CREATE OPERATOR metering.+ (leftarg = int, rightarg = bigint, function = int48pl)',
            '42710', 'schema "metering" is not empty')]:
    admin.run('BEGIN; ' + prepare)
    error = failure(admin.run, 'CREATE EXTENSION paillier_metering')
    is_((error.sqlstate, error.message) if error else None, (code, message), prepare)
    admin.run('ROLLBACK')
for options in ('FOR ALL TABLES WITH (publish_via_partition_root)',):
    admin.run(f'BEGIN; SET LOCAL client_min_messages = error; CREATE PUBLICATION everything {options}')
    is_(sqlstate(admin.run, 'CREATE EXTENSION paillier_metering'), '55000',
        f'a publication {options} that was there before')
    admin.run('ROLLBACK')
is_(sqlstate(admin.run, 'BEGIN; CREATE SCHEMA metering; GRANT USAGE ON SCHEMA metering TO other; SET LOCAL ROLE other; '
    'ALTER DEFAULT PRIVILEGES IN SCHEMA metering GRANT SELECT ON TABLES TO other; '
    'RESET ROLE; CREATE EXTENSION paillier_metering; ROLLBACK'), 'none',
        'default privileges of others for the schema do no harm')
is_(sqlstate(admin.run, 'BEGIN; CREATE SCHEMA metering; CREATE EXTENSION paillier_metering; ROLLBACK'), 'none',
    'an empty schema will do')

# ---- the extension goes away under a session ----

admin.run('CREATE EXTENSION paillier_metering')
begin()
mine = Session(user='mine')
energy, guard = admin.one('SELECT encrypted(1)'), admin.one("SELECT pg_postmaster_start_time()")
is_(send('m1'), 'none', 'a session that has sent')
mine.run('''CREATE FUNCTION pg_temp.send_later(at timestamptz, energy text) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(1.5);
        EXECUTE format('INSERT INTO metering.reading VALUES (''m1'', %L, %L)', at, energy);
        RETURN 'none';
    EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
    END $$''')
for statement in ('DROP EXTENSION paillier_metering', 'DROP EXTENSION paillier CASCADE'):
    mine.start('SELECT pg_temp.send_later($1, $2)', h, energy)
    admin.run("SELECT pg_sleep(0.3)")
    admin.run('BEGIN; ' + statement)
    admin.run('COMMIT' if statement.endswith('CASCADE') else 'ROLLBACK')
    answer = mine.finish()[0][0]
    expected = ('42P01', '3F000', '42704') if statement.endswith('CASCADE') else ('none',)
    ok(answer in expected, f'{statement} in the middle of a statement: {answer}')
is_(admin.one('SELECT pg_postmaster_start_time()'), guard, 'and the server goes on')
finish()
PYTHON
