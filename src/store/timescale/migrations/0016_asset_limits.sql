-- What sensors on one asset may say, where that is not what its class says.

ALTER TABLE tallyman.asset ADD COLUMN limits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(limits) = 'array');
COMMENT ON COLUMN tallyman.asset.limits IS 'Limits of the points of its sensors that have none of their own, in place of all of its class; as asset_class.limits. Empty: as its class has it.';

CREATE OR REPLACE FUNCTION tallyman.as_record(r tallyman.asset) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'asset', 'id', r.id, 'class', r.class, 'name', r.name,
    'home_zone', r.home_zone, 'lifecycle', r.lifecycle, 'part_of', r.part_of, 'number', r.number,
    'owner', r.owner, 'cost_centre', r.cost_centre, 'acquired_on', r.acquired_on,
    'warranty_until', r.warranty_until, 'retired_on', r.retired_on,
    'limits', nullif(r.limits, '[]'),
    'attributes', (SELECT jsonb_object_agg(key, value #>> '{}') FROM jsonb_each(r.attributes)
      WHERE jsonb_typeof(value) <> 'null'))) $$;
