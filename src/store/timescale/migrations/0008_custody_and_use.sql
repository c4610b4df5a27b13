-- Answers follow hand-overs, and what use is: the daemon says when an asset is in use (kind `used`).
--
-- Custody is read in the order in which it was recorded: a return that a reader had held back was observed
-- before the checkout that it ends was told.

CREATE INDEX location_event_custody ON tallyman.location_event (subject, recorded_at, seq)
  WHERE kind IN ('checked-out', 'handed-over', 'checked-in');
CREATE INDEX location_event_used ON tallyman.location_event (subject, observed_at DESC) WHERE kind = 'used';

-- ---- Who had it last? ------------------------------------------------------------------------------

CREATE OR REPLACE VIEW tallyman.last_holder AS
SELECT a.id AS asset, a.name, l.holder, p.name AS holder_name, p.team,
       coalesce((coalesce(l.body -> 'checkout', l.body) ->> 'checked_out_at')::timestamptz, l.observed_at) AS checked_out_at,
       l.due_back,
       CASE WHEN l.kind = 'checked-in' THEN l.observed_at END AS checked_in_at,
       CASE WHEN l.kind = 'checked-in' THEN l.body ->> 'how' END AS how
FROM tallyman.asset a
CROSS JOIN LATERAL (
  SELECT e.kind, e.holder, e.due_back, e.observed_at, e.body FROM tallyman.location_event e
  WHERE e.subject = 'asset:' || a.id AND e.kind IN ('checked-out', 'handed-over', 'checked-in')
  ORDER BY e.recorded_at DESC, e.seq DESC LIMIT 1) l
LEFT JOIN tallyman.person p ON p.id = l.holder;
COMMENT ON VIEW tallyman.last_holder IS 'Who had it last, of each asset that anybody ever had: by checkout, or handed over. checked_in_at is null while it is out.';

-- ---- Utilised or idle? ------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tallyman.asset_use(since timestamptz)
RETURNS TABLE (asset text, class text, site text, used boolean) LANGUAGE sql STABLE AS $$
  SELECT x.asset, x.class, x.site,
    CASE x.utilisation
      WHEN 'custody' THEN
        EXISTS (SELECT FROM tallyman.asset_current c WHERE c.asset = x.asset AND c.holder IS NOT NULL)
        OR EXISTS (SELECT FROM tallyman.location_event e WHERE e.subject = 'asset:' || x.asset
                     AND e.observed_at >= since AND e.kind IN ('checked-out', 'handed-over', 'checked-in'))
      ELSE
        EXISTS (SELECT FROM tallyman.location_event e WHERE e.subject = 'asset:' || x.asset
                  AND e.observed_at >= since AND e.kind = 'used')
    END
  FROM tallyman.expected_asset x $$;
COMMENT ON FUNCTION tallyman.asset_use IS 'Whether each asset was in use since then, by what its class says use is: movement (a passage, a geofence, another zone, driving), custody, or a sensor''s point that is not zero. Movement and sensors are told by the daemon, as events of kind used.';

-- ---- Custody ----------------------------------------------------------------------------------------

CREATE FUNCTION tallyman.holdings_over(span interval)
RETURNS TABLE (asset text, holder text, began text, held_from timestamptz, due_back timestamptz, ended text,
               held_until timestamptz, was_overdue boolean)
LANGUAGE sql STABLE AS $$
  SELECT e.asset, e.holder, e.kind, coalesce((e.body ->> 'checked_out_at')::timestamptz, e.observed_at), e.due_back,
    n.kind, n.observed_at,
    EXISTS (SELECT FROM tallyman.alert_event t WHERE t.rule = 'overdue-return' AND t.about = e.asset
              AND t.transition = 'fired' AND (t.recorded_at, t.seq) > (e.recorded_at, e.seq)
              AND (n.seq IS NULL OR (t.recorded_at, t.seq) < (n.recorded_at, n.seq)))
  FROM tallyman.location_event e
  LEFT JOIN LATERAL (
    SELECT b.kind, b.observed_at, b.recorded_at, b.seq FROM tallyman.location_event b
    WHERE b.subject = e.subject AND b.kind IN ('checked-out', 'handed-over', 'checked-in')
      AND (b.recorded_at, b.seq) > (e.recorded_at, e.seq)
    ORDER BY b.recorded_at, b.seq LIMIT 1) n ON true
  WHERE e.kind IN ('checked-out', 'handed-over') AND e.observed_at >= now() - span $$;
COMMENT ON FUNCTION tallyman.holdings_over IS 'Who had what from when to when, of all that was checked out or handed over in a span up to now; ended says by what (null while they have it), and was_overdue whether an overdue return was alerted meanwhile.';

CREATE OR REPLACE FUNCTION tallyman.checkouts_over(span interval)
RETURNS TABLE (asset text, holder text, checked_out_at timestamptz, due_back timestamptz,
               checked_in_at timestamptz, was_overdue boolean)
LANGUAGE sql STABLE AS $$
  SELECT e.asset, e.holder, coalesce((e.body ->> 'checked_out_at')::timestamptz, e.observed_at), d.due_back,
    CASE WHEN i.kind = 'checked-in' THEN i.observed_at END,
    EXISTS (SELECT FROM tallyman.alert_event t WHERE t.rule = 'overdue-return' AND t.about = e.asset
              AND t.transition = 'fired' AND (t.recorded_at, t.seq) > (e.recorded_at, e.seq)
              AND (i.seq IS NULL OR (t.recorded_at, t.seq) < (i.recorded_at, i.seq)))
  FROM tallyman.location_event e
  LEFT JOIN LATERAL (
    SELECT b.kind, b.observed_at, b.recorded_at, b.seq FROM tallyman.location_event b
    WHERE b.subject = e.subject AND b.kind IN ('checked-out', 'checked-in')
      AND b.kind IN ('checked-out', 'handed-over', 'checked-in')
      AND (b.recorded_at, b.seq) > (e.recorded_at, e.seq)
    ORDER BY b.recorded_at, b.seq LIMIT 1) i ON true
  CROSS JOIN LATERAL (
    SELECT h.due_back FROM tallyman.location_event h
    WHERE h.subject = e.subject AND h.kind IN ('checked-out', 'handed-over')
      AND h.kind IN ('checked-out', 'handed-over', 'checked-in')
      AND (h.recorded_at, h.seq) >= (e.recorded_at, e.seq)
      AND (i.seq IS NULL OR (h.recorded_at, h.seq) < (i.recorded_at, i.seq))
    ORDER BY h.recorded_at DESC, h.seq DESC LIMIT 1) d
  WHERE e.kind = 'checked-out' AND e.observed_at >= now() - span $$;
COMMENT ON FUNCTION tallyman.checkouts_over IS 'Every checkout that began in a span up to now, by who took it: until when (as the last hand-over says), when it ended, and whether an overdue return was alerted.';

CREATE OR REPLACE FUNCTION tallyman.repeat_offenders_over(span interval)
RETURNS TABLE (holder text, holder_name text, team text, checkouts bigint, overdue bigint, overdue_share numeric)
LANGUAGE sql STABLE AS $$
  SELECT h.holder, min(p.name), min(p.team), count(*), count(*) FILTER (WHERE h.was_overdue),
    round(count(*) FILTER (WHERE h.was_overdue) / count(*)::numeric, 4)
  FROM tallyman.holdings_over(span) h LEFT JOIN tallyman.person p ON p.id = h.holder
  GROUP BY h.holder HAVING count(*) FILTER (WHERE h.was_overdue) >= 2
  ORDER BY 5 DESC, 6 DESC, 1 $$;
COMMENT ON FUNCTION tallyman.repeat_offenders_over IS 'Holders with two or more overdue returns among what they checked out, or was handed over to them, in a span up to now, the worst first.';
