-- The parts trust no name: nothing but pg_catalog is searched while they run, and
-- all else is qualified.  @paillier@ stands for the schema of the extension
-- paillier, where others may create objects: what is called there is called with
-- exactly its argument types, and with all arguments.

-- The functions below run as their owner and rely on the objects of this schema:
-- it must have been empty, and nobody else has any right to it.
DO $$
DECLARE
	schema   pg_namespace;
	grantee  text;
	intruder text;
BEGIN
	SELECT * INTO schema FROM pg_namespace n WHERE n.nspname = 'metering';
	IF NOT (SELECT r.rolsuper OR r.rolname = current_user FROM pg_roles r WHERE r.oid = schema.nspowner) THEN
		RAISE EXCEPTION 'schema "metering" belongs to role "%"', pg_get_userbyid(schema.nspowner)
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Rename or drop it, or make a superuser its owner by ALTER SCHEMA metering OWNER TO.';
	END IF;
	SELECT pg_describe_object(d.classid, d.objid, 0) INTO intruder
	FROM pg_depend d
	WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema.oid AND d.classid NOT IN ('pg_extension'::regclass, 'pg_default_acl'::regclass)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'schema "metering" is not empty'
			USING ERRCODE = 'duplicate_object', DETAIL = format('It holds %s.', intruder),
				HINT = 'Drop or move what is in it: the extension takes the schema for itself.';
	END IF;
	FOR grantee IN
		SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
		FROM aclexplode(schema.nspacl) AS a WHERE a.grantee <> schema.nspowner
	LOOP
		EXECUTE format('REVOKE ALL ON SCHEMA metering FROM %s', grantee);
	END LOOP;
END
$$;
