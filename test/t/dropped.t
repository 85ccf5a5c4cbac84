#!/usr/bin/env bash
# dropped.t
#	The owner drops the extension while sessions of others are inside a statement
#	that then looks a key up: an error for each of them, and no session ends.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
own_server

PYTHONPATH=$(dirname "${BASH_SOURCE[0]}") PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
from client import Session, diag, failure, finish, is_, ok, sqlstate

GATE = 4711

admin = Session()
admin.run('CREATE ROLE stranger LOGIN')
started = admin.one('SELECT pg_postmaster_start_time()')


def create(schema):
    """The extension in a schema, a key that is registered there, and values under it, as texts."""
    admin.run(f'CREATE SCHEMA IF NOT EXISTS {schema}; GRANT USAGE ON SCHEMA {schema} TO stranger')
    admin.run(f"SET search_path = {schema}; CREATE EXTENSION paillier SCHEMA {schema}; SET paillier.min_key_bits = 128")
    admin.run('SELECT paillier_register_key(paillier_public_key(paillier_keygen(256)))')
    row = admin.rows("""
        SELECT ct, paillier_sum_accum(NULL, ct) AS state, key_id, paillier_bytes(ct), public_key
        FROM (SELECT key_id, public_key, paillier_encrypt(5, public_key) AS ct FROM paillier_key OFFSET 0) s""")[0]
    return dict(zip(('ct', 'state', 'id', 'bytes', 'public'), row))


# Every way to look a key up; `value` is the row that comes when the extension is gone.
USES = ['sum(ct)', 'sum(ct, 2)', 'ct + ct', 'ct - ct', '- ct', 'ct + 1', 'ct - 1', 'ct * 2', '2 * ct',
    'paillier_rerandomize(ct)',
        'paillier_valid(ct)', 'paillier_ciphertext(bytes, id)', 'paillier_sum_accum(NULL, ct)',
            'paillier_sum_final(state)',
        'paillier_sum_combine(state, state)', 'paillier_sum_accum_inv(state, ct)', 'state::text',
            'paillier_sum_send(state)',
        # the key is below the limit of these sessions: only one that is registered may be used
        'paillier_encrypt(1, public)']


def statement(use, value, gate):
    """The use, in a query whose row comes when the gate opens; the size of a table makes it see what happened."""
    return f"""SELECT ({use}) IS NULL FROM (SELECT '{value['ct']}'::paillier_ciphertext AS ct,
        '{value['state']}'::paillier_sum AS state,
        '{value['id']}'::text AS id, '{value['bytes']}'::bytea AS bytes,
        '{value['public']}'::paillier_public_key AS public, pg_advisory_lock_shared({gate}),
            pg_relation_size('pg_class') OFFSET 0) s"""


def wait_for(count):
    for _ in range(600):
        if int(admin.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'")) == count:
            return
        admin.run('SELECT pg_sleep(0.05)')
    diag('sessions do not wait')


def dropped_within(schema, drop, what):
    value = create(schema)
    admin.run(f'SELECT pg_advisory_lock({GATE})')
    strangers = {use: Session(user='stranger') for use in USES}
    for use, session in strangers.items():
        session.run(f"SET search_path = {schema}; SET jit = off")
        session.start(statement(use, value, GATE))
    block = Session(user='stranger')
    block.run(f'SET search_path = {schema}')
    block.start(f"""DO $$ DECLARE a paillier_ciphertext := '{value['ct']}'; BEGIN
        PERFORM pg_advisory_lock_shared({GATE}); PERFORM pg_relation_size('pg_class'); PERFORM paillier_valid(a);
            END $$""")
    cursor = Session(user='stranger')
    cursor.run(f"SET search_path = {schema}; BEGIN")
    cursor.run(f"DECLARE c CURSOR FOR SELECT ct * i IS NULL FROM (SELECT '{value['ct']}'::paillier_ciphertext AS ct, "
        f"generate_series(1, 5) AS i OFFSET 0) s")
    wait_for(len(USES) + 1)
    admin.run(drop)
    admin.run(f'SELECT pg_advisory_unlock({GATE})')
    for use, session in strangers.items():
        error = failure(session.finish)
        is_((error and error.sqlstate, error and error.message), ('42P01', 'key registry does not exist'),
            f'{what}: {use}')
    ok(failure(block.finish) is not None, f'{what}: a block of PL/pgSQL fails')
    cursor.run("SELECT pg_relation_size('pg_class')")
    is_(sqlstate(cursor.run, 'FETCH c'), '42P01', f'{what}: a cursor that is open')
    is_([session.pid for session in [*strangers.values(), block]
        if session.one('SELECT pg_backend_pid()') != str(session.pid)], [],
        f'{what}: every session goes on')
    for session in [*strangers.values(), block, cursor]:
        session.close()
    is_(admin.one('SELECT pg_postmaster_start_time()'), started, f'{what}: the server goes on')


dropped_within('box', 'DROP EXTENSION paillier; DROP SCHEMA box', 'dropped with its schema')
dropped_within('crypto', 'DROP EXTENSION paillier', 'dropped, its schema is still there')
admin.run('DROP SCHEMA crypto')
dropped_within('again', 'DROP EXTENSION paillier; CREATE EXTENSION paillier SCHEMA again', 'dropped and created again')

is_(admin.one("SELECT count(*) FROM again.paillier_key"), '0', 'the new registry is empty')
finish()
PYTHON
