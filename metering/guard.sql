-- A publication of all tables contains staging if it publishes by way of the
-- partitioned table.  Publications of whole schemas exist from PostgreSQL 15 on.
CREATE FUNCTION metering.staging_is_published() RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_publication p WHERE p.puballtables AND p.pubviaroot)
		OR EXISTS (SELECT FROM pg_publication_rel p
			WHERE p.prrelid IN (SELECT s.staging_table FROM metering.staging_relations() s)) THEN
		RETURN true;
	END IF;
	IF current_setting('server_version_num')::int < 150000 THEN
		RETURN false;
	END IF;
	RETURN EXISTS (SELECT FROM pg_publication_namespace p WHERE p.pnnspid = 'metering'::regnamespace);
END
$$;

COMMENT ON FUNCTION metering.staging_is_published() IS 'true if a publication would send staged readings to its subscribers';

CREATE FUNCTION metering.refuse_publication() RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF metering.staging_is_published() THEN
		RAISE EXCEPTION 'metering.reading must not be published'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A subscriber would get a copy of staged readings.',
				HINT = 'Publish single tables, such as metering.region_hour, or all without publish_via_partition_root.';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.refuse_publication() IS 'raises an error if staging is published';

-- Keeps staging out of the WAL and of publications.  It runs for commands of every
-- role, also of roles without rights on metering: so it runs as its owner.  Commands
-- that do not concern staging pass.  It reads catalogs only, because a lock would last
-- until the end of the caller's transaction.
CREATE FUNCTION metering.guard_staging() RETURNS event_trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	offender text;
BEGIN
	IF TG_TAG IN ('CREATE PUBLICATION', 'ALTER PUBLICATION') THEN
		PERFORM metering.refuse_publication();
		RETURN;
	END IF;
	IF TG_TAG = 'ALTER TABLE' AND EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c
			WHERE c.classid = 'pg_class'::regclass AND c.objid IN ('metering.setting'::regclass, 'metering.progress'::regclass)) THEN
		PERFORM metering.drop_initial_rows();
	END IF;
	IF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c JOIN metering.staging_relations() s
			ON s.staging_table = c.objid WHERE c.classid = 'pg_class'::regclass) THEN
		RETURN;
	END IF;
	SELECT c.relname INTO offender
	FROM metering.staging_relations() s JOIN pg_class c ON c.oid = s.staging_table
	WHERE s.kind <> 'p' AND s.persistence <> 'u';
	IF FOUND THEN
		RAISE EXCEPTION '% must stay unlogged', offender
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A logged table would leave readings in the WAL, in replicas and in backups.';
	END IF;
	PERFORM metering.refuse_publication();
END
$$;

COMMENT ON FUNCTION metering.guard_staging() IS 'refuses commands that would let readings leave staging';

-- such a publication may exist already
DO $$ BEGIN PERFORM metering.refuse_publication(); END $$;

CREATE EVENT TRIGGER paillier_metering_guard ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE PUBLICATION', 'ALTER PUBLICATION')
	EXECUTE FUNCTION metering.guard_staging();

COMMENT ON EVENT TRIGGER paillier_metering_guard IS 'keeps staging out of the WAL and of publications';
