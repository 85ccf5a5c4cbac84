-- These parts search pg_catalog only and qualify every other name.  @paillier@ stands
-- for the schema of the extension paillier, where others may create objects.  Calls
-- into it pass all arguments, with exactly the declared types, so that no function of
-- others matches them better.

-- The functions below run as their owner and trust the objects of this schema.  So the
-- schema must be empty at first, and no other role has any right on it.
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
				HINT = 'Rename or drop the schema, or give it to a superuser by ALTER SCHEMA metering OWNER TO.';
	END IF;
	SELECT pg_describe_object(d.classid, d.objid, 0) INTO intruder
	FROM pg_depend d
	WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema.oid AND d.classid NOT IN ('pg_extension'::regclass, 'pg_default_acl'::regclass)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'schema "metering" is not empty'
			USING ERRCODE = 'duplicate_object', DETAIL = format('It holds %s.', intruder),
				HINT = 'Drop or move its objects: the extension needs the schema for itself.';
	END IF;
	FOR grantee IN
		SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
		FROM aclexplode(schema.nspacl) AS a WHERE a.grantee <> schema.nspowner
	LOOP
		EXECUTE format('REVOKE ALL ON SCHEMA metering FROM %s', grantee);
	END LOOP;
	-- What an install script leaves is no matter of dumps.  The schema is not part of
	-- the extension: dumps must hold all rights on it.
	DELETE FROM pg_init_privs p WHERE p.classoid = 'pg_namespace'::regclass AND p.objoid = schema.oid;
END
$$;
