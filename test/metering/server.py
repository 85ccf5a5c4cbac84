"""The server of a simulation: a database, the sessions of the parties, crashes."""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 't'))

from client import Error, Session  # noqa: E402

ROLES = {'collector': 'collector', 'operator': 'operator'}  # role -> access level


class Server:
    """The sessions of the parties, and the server's crashes."""

    def __init__(self, database):
        self.database = database
        maintenance = Session(database='postgres')
        maintenance.run(f'DROP DATABASE IF EXISTS {database} WITH (FORCE)')
        maintenance.run(f'CREATE DATABASE {database}')
        for role in ROLES:
            maintenance.run(f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        maintenance.close()
        self.admin = Session(database=database)
        self.admin.run('SET client_min_messages = error')
        self.admin.run('CREATE EXTENSION paillier_metering CASCADE')
        for role, level in ROLES.items():
            self.admin.run(f"SELECT metering.grant_access('{role}', '{level}')")
        self.admin.run("""
            CREATE SCHEMA fleet;
            CREATE TABLE fleet.key AS
                WITH pair AS MATERIALIZED (SELECT name,
                    paillier_keygen(256) AS private FROM unnest('{a,b,c,x,y,z,stranger}'::text[]) AS name)
                SELECT name, private, paillier_public_key(private) AS public,
                    paillier_key_id(private) AS key_id FROM pair;
            SELECT paillier_register_key(public, name) FROM fleet.key""")
        self.admin.close()
        self.connect()

    def connect(self):
        self.admin = self._session(None)
        self.collector = self._session('collector')
        self.operator, self.second_operator = self._session('operator'), self._session('operator')

    def _session(self, role):
        """Where sessions wait for each other that should not, an error ends it."""
        return Session(role, self.database, '-c statement_timeout=120s')

    def close(self):
        for session in (self.admin, self.collector, self.operator, self.second_operator):
            session.close()

    def drop(self):
        self.close()
        maintenance = Session(database='postgres')
        maintenance.run(f'DROP DATABASE {self.database} WITH (FORCE)')
        maintenance.close()

    def _control(self, commands):
        subprocess.run(['bash', '-c', f'. "$0"; CLUSTER=$1; {commands}', os.path.join(HERE, '..', 'cluster.sh'),
            os.environ['CLUSTER']],
                       check=True, stdout=subprocess.DEVNULL)
        self.close()
        self.connect()

    def crash(self):
        # Where nobody reaps it at once, the dead postmaster would still count as running.  After a kill amid a TRUNCATE
        # of an unlogged table PostgreSQL may have to be started twice: "could not create file …: File exists".
        self._control('cluster_kill; rm -f "$CLUSTER"/data/postmaster.pid "$CLUSTER"/.s.PGSQL.*.lock;'
                      ' cluster_restart 2>/dev/null || cluster_restart')

    def crash_by_process(self, process):
        """The death of one process makes the server throw out everybody and recover as from a crash."""
        os.kill(process, signal.SIGKILL)
        self.admin_gone()
        while True:
            try:
                self.close()
                self.connect()
                return
            except Error:
                time.sleep(0.02)

    def admin_gone(self):
        """Wait until the server has thrown out the session of the administrator."""
        try:
            while True:
                self.admin.run('SELECT 1')
                time.sleep(0.01)
        except Error:
            pass

    def restart(self):
        self._control('cluster_ctl -m fast restart')
