-- What sensors on an asset of a class may say.

ALTER TABLE tallyman.asset_class ADD COLUMN limits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(limits) = 'array');
COMMENT ON COLUMN tallyman.asset_class.limits IS 'Limits of the sensor points on its assets that have none of their own: [{"point": "temperature", "name": "hot", "high": 80, "deadband": 2, "on_delay": 60, "off_delay": 60, "severity": "critical"}]; high or low, delays in seconds.';

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
    'needs_checkout', r.needs_checkout, 'allowed_zones', to_jsonb(r.allowed_zones),
    'needs', to_jsonb(r.needs), 'audit_every', extract(epoch FROM r.audit_every), 'limits', r.limits)) $$;
