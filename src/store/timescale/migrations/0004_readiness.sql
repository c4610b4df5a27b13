-- Whether an asset may go out, as the daemon says it; the answer of what is ready builds on it.

ALTER TABLE tallyman.asset_current ADD COLUMN ready boolean, ADD COLUMN not_ready jsonb, ADD COLUMN ready_at timestamptz;
COMMENT ON COLUMN tallyman.asset_current.ready IS 'Whether it may go out; null where the daemon has not said so yet.';
COMMENT ON COLUMN tallyman.asset_current.not_ready IS 'Every reason why it may not: an array of objects that name the reason.';
COMMENT ON COLUMN tallyman.asset_current.ready_at IS 'Since when that is so.';

CREATE OR REPLACE FUNCTION tallyman.readiness_at(moment timestamptz)
RETURNS TABLE (asset text, name text, class text, site text, home_zone text, ready boolean, reasons text[])
LANGUAGE sql STABLE AS $$
  SELECT x.asset, x.name, x.class, x.site, x.home_zone, cardinality(r.reasons) = 0, r.reasons
  FROM tallyman.expected_asset x
  LEFT JOIN tallyman.asset_current c ON c.asset = x.asset
  CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
      CASE WHEN c.holder IS NOT NULL AND c.due_back IS NULL THEN 'checked out to ' || c.holder || ', no due date' END,
      CASE WHEN c.holder IS NOT NULL AND c.due_back < now() THEN 'checked out to ' || c.holder || ', past due' END,
      CASE WHEN c.holder IS NOT NULL AND c.due_back >= now() AND c.due_back > moment
        THEN 'checked out to ' || c.holder || ' until later' END,
      CASE WHEN c.ready IS NULL AND x.lifecycle <> 'in-service' THEN x.lifecycle END]
    || ARRAY(SELECT u ->> 'reason' || coalesce(' ' || coalesce(u ->> 'why', u ->> 'class', u ->> 'limit', u ->> 'device'), '')
         FROM jsonb_array_elements(c.not_ready) u WHERE NOT c.ready ORDER BY 1)
    || ARRAY(SELECT DISTINCT 'alert ' || t.rule FROM tallyman.alert_current t
         WHERE t.state = 'firing' AND (
           (t.about = x.asset AND (t.rule = 'ghost'
             OR (c.ready IS NULL AND t.rule IN ('overdue-inspection', 'kit-incomplete'))))
           OR (c.ready IS NULL AND t.rule = 'condition' AND EXISTS (SELECT FROM tallyman.sensor s WHERE s.asset = x.asset
                 AND s.valid_from <= now() AND now() < s.valid_to AND starts_with(t.about, s.device || '/'))))
         ORDER BY 1)
    || ARRAY(SELECT 'kit lacks ' || n FROM unnest(x.needs) n WHERE c.ready IS NULL AND NOT EXISTS (
         SELECT FROM tallyman.expected_asset part WHERE part.part_of = x.asset AND part.class = n) ORDER BY 1),
    NULL) AS reasons) r $$;
COMMENT ON FUNCTION tallyman.readiness_at IS 'What will be ready at that moment as things stand, and of what will not be, every reason: what the daemon says (its lifecycle, alerts and kit where it has said nothing yet), a checkout, a ghost.';
