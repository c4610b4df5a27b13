-- What vehicles carry, and at which doors they stand.

ALTER TABLE tallyman.asset_class ADD COLUMN vehicle boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tallyman.asset_class.vehicle IS 'It carries others: what passes out at a door where it stands is in it.';

CREATE OR REPLACE FUNCTION tallyman.as_record(r tallyman.asset_class) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('table', 'class', 'name', r.name, 'criticality', r.criticality,
    'ghost_after', extract(epoch FROM r.ghost_after),
    'ghost_after_in_maintenance', extract(epoch FROM r.ghost_after_in_maintenance),
    'overdue_grace', extract(epoch FROM r.overdue_grace),
    'tracker_silent_after', extract(epoch FROM r.tracker_silent_after),
    'low_battery_percent', r.low_battery_percent,
    'idle_after', extract(epoch FROM r.idle_after),
    'utilisation', CASE r.utilisation WHEN 'sensor' THEN jsonb_build_object('sensor', r.utilisation_point)
      ELSE to_jsonb(r.utilisation) END,
    'inspect_every', extract(epoch FROM r.inspect_every),
    'inspect_on_return', r.inspect_on_return, 'returns', r.returns, 'handover', r.handover,
    'needs_checkout', r.needs_checkout, 'vehicle', r.vehicle, 'allowed_zones', to_jsonb(r.allowed_zones),
    'needs', to_jsonb(r.needs), 'audit_every', extract(epoch FROM r.audit_every), 'limits', r.limits)) $$;

ALTER TABLE tallyman.location_event ADD COLUMN vehicle text;
COMMENT ON COLUMN tallyman.location_event.vehicle IS 'What the asset was loaded into, or unloaded from.';
CREATE INDEX location_event_vehicle ON tallyman.location_event (vehicle, observed_at DESC) WHERE (vehicle IS NOT NULL);

ALTER TABLE tallyman.asset_current ADD COLUMN vehicle text, ADD COLUMN vehicle_at timestamptz;
COMMENT ON COLUMN tallyman.asset_current.vehicle IS 'What it is in: it is where that is. NULL: in none.';
COMMENT ON COLUMN tallyman.asset_current.vehicle_at IS 'When it was loaded or unloaded last.';
CREATE INDEX asset_current_vehicle ON tallyman.asset_current (vehicle) WHERE (vehicle IS NOT NULL);

-- A vehicle may be in another one (a cage on a truck on a ferry): the outermost says where it is.
CREATE VIEW tallyman.whereabouts AS
  WITH RECURSIVE carried AS (
    SELECT asset, asset AS carrier, 0 AS depth, ARRAY[]::text[] AS vehicles, vehicle FROM tallyman.asset_current
    UNION ALL
    SELECT c.asset, v.asset, c.depth + 1, c.vehicles || v.asset, v.vehicle
    FROM carried c JOIN tallyman.asset_current v ON v.asset = c.vehicle
    WHERE c.depth < 8 AND NOT v.asset = ANY (c.vehicles) AND v.asset <> c.asset
  ), outermost AS (
    SELECT DISTINCT ON (asset) asset, carrier, vehicles FROM carried ORDER BY asset, depth DESC
  )
  SELECT a.asset, a.vehicle, a.vehicle_at, o.vehicles, w.site, w.zone, w.located_at, w.lat, w.lon, w.accuracy_m,
    w.positioned_at
  FROM tallyman.asset_current a JOIN outermost o USING (asset) JOIN tallyman.asset_current w ON w.asset = o.carrier;
COMMENT ON VIEW tallyman.whereabouts IS 'Where each asset is; what is in a vehicle is where that is (vehicles: from the nearest to the outermost).';
