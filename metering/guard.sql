-- Publications of whole schemas exist from PostgreSQL 15 on.
CREATE FUNCTION metering.schema_is_published() RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF current_setting('server_version_num')::int < 150000 THEN
		RETURN false;
	END IF;
	RETURN EXISTS (SELECT FROM pg_publication_namespace p WHERE p.pnnspid = 'metering'::regnamespace);
END
$$;

COMMENT ON FUNCTION metering.schema_is_published() IS 'true if a publication contains all tables of the schema metering';

-- Keeps staging out of the WAL and of publications.  It runs for commands of every
-- role, also of roles without rights on metering: so it runs as its owner.  It reads
-- catalogs only, because a lock would last until the end of the caller's transaction.
CREATE FUNCTION metering.guard_staging() RETURNS event_trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	offender text;
BEGIN
	SELECT c.relname INTO offender
	FROM metering.staging_relations() s JOIN pg_class c ON c.oid = s.staging_table WHERE s.persistence <> 'u';
	IF FOUND THEN
		RAISE EXCEPTION '% must stay unlogged', offender
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A logged table would leave readings in the WAL, in replicas and in backups.';
	END IF;
	IF EXISTS (SELECT FROM pg_publication p WHERE p.puballtables AND p.pubviaroot)
		OR EXISTS (SELECT FROM pg_publication_rel p
			WHERE p.prrelid IN (SELECT s.staging_table FROM metering.staging_relations() s)
				OR p.prrelid = (SELECT c.oid FROM pg_class c
					WHERE c.relnamespace = 'metering'::regnamespace AND c.relname = 'reading'))
		OR metering.schema_is_published() THEN
		RAISE EXCEPTION 'metering.reading must not be published'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A subscriber would get a copy of staged readings.',
				HINT = 'Publish single tables, such as metering.region_hour.';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.guard_staging() IS 'refuses commands that would let readings leave staging';

CREATE EVENT TRIGGER paillier_metering_guard ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE PUBLICATION', 'ALTER PUBLICATION')
	EXECUTE FUNCTION metering.guard_staging();

COMMENT ON EVENT TRIGGER paillier_metering_guard IS 'keeps staging out of the WAL and of publications';
