CREATE TABLE metering.region (
	region text PRIMARY KEY,
	parent text NOT NULL
);

COMMENT ON TABLE metering.region IS 'which region is a part of which other region';
COMMENT ON COLUMN metering.region.region IS 'a region of meters, or a region that has parts itself';
COMMENT ON COLUMN metering.region.parent IS 'the region that it is a part of';

SELECT pg_catalog.pg_extension_config_dump('metering.region', '');

-- The lock lets one writer in at a time: two concurrent changes, each without a cycle,
-- could make a cycle together.
CREATE FUNCTION metering.refuse_cycle() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	LOCK TABLE metering.region_turn IN EXCLUSIVE MODE;
	IF EXISTS (
		WITH RECURSIVE above AS (
			SELECT NEW.parent AS region
			UNION
			SELECT r.parent FROM metering.region r JOIN above USING (region) WHERE r.region <> NEW.region
		)
		SELECT FROM above WHERE region = NEW.region) THEN
		RAISE EXCEPTION 'region "%" cannot be part of "%"', NEW.region, NEW.parent
			USING ERRCODE = 'check_violation', DETAIL = 'That would make it a part of itself.';
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.refuse_cycle() IS 'refuses to make a region a part of itself';

CREATE TRIGGER refuse_cycle BEFORE INSERT OR UPDATE ON metering.region
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_cycle();

CREATE VIEW metering.region_part AS
	WITH RECURSIVE below AS (
		SELECT region AS whole, region AS part FROM metering.region
		UNION
		SELECT parent, parent FROM metering.region
		UNION
		SELECT b.whole, r.region FROM below b JOIN metering.region r ON r.parent = b.part
	)
	SELECT whole, part FROM below;

COMMENT ON VIEW metering.region_part IS 'every region of the tree with all of its parts: itself, its parts, and their parts';

-- Parts without a total are not in the sum.  So it is a sum of released totals only:
-- if they are subtracted, nothing is left.
CREATE VIEW metering.region_tree_load AS
	SELECT p.whole AS region, h.hour, @paillier@.sum(h.total) AS total,
		sum(h.meters) FILTER (WHERE h.total IS NOT NULL) AS meters,
		sum(h.readings) FILTER (WHERE h.total IS NOT NULL) AS readings,
		sum(h.expected) FILTER (WHERE h.total IS NOT NULL) AS expected,
		count(h.total)::int AS parts, (count(*) - count(h.total))::int AS parts_suppressed, h.key_id
	FROM metering.region_part p JOIN metering.region_total h ON h.region = p.part
	GROUP BY p.whole, h.hour, h.key_id
	HAVING count(h.total) > 0;

COMMENT ON VIEW metering.region_tree_load IS 'encrypted energy of each region of the tree and UTC hour, its parts included';
COMMENT ON COLUMN metering.region_tree_load.total IS 'sum of the totals of all parts that have a total';
COMMENT ON COLUMN metering.region_tree_load.meters IS 'meters in the total';
COMMENT ON COLUMN metering.region_tree_load.readings IS 'readings in the total';
COMMENT ON COLUMN metering.region_tree_load.expected IS 'readings that should be in the total';
COMMENT ON COLUMN metering.region_tree_load.parts IS 'regions in the total';
COMMENT ON COLUMN metering.region_tree_load.parts_suppressed IS 'regions without a total, because too few meters contributed or the total is void';
