-- A return that is told after its overdue return was alerted, and was in time, was not overdue; and that alert was restored as soon
-- as it fired.

CREATE OR REPLACE FUNCTION tallyman.holdings_over(span interval)
RETURNS TABLE (asset text, holder text, began text, held_from timestamptz, due_back timestamptz, ended text,
               held_until timestamptz, was_overdue boolean)
LANGUAGE sql STABLE AS $$
  SELECT e.asset, e.holder, e.kind, coalesce((e.body ->> 'checked_out_at')::timestamptz, e.observed_at), e.due_back,
    n.kind, n.observed_at,
    EXISTS (SELECT FROM tallyman.alert_event t WHERE t.rule = 'overdue-return' AND t.about = e.asset
              AND t.transition = 'fired' AND (t.recorded_at, t.seq) > (e.recorded_at, e.seq)
              AND (n.seq IS NULL OR (t.recorded_at, t.seq) < (n.recorded_at, n.seq))
              AND NOT (n.seq IS NOT NULL AND n.kind = 'checked-in' AND n.observed_at <= t.observed_at))
  FROM tallyman.location_event e
  LEFT JOIN LATERAL (
    SELECT b.kind, b.observed_at, b.recorded_at, b.seq FROM tallyman.location_event b
    WHERE b.subject = e.subject AND b.kind IN ('checked-out', 'handed-over', 'checked-in')
      AND (b.recorded_at, b.seq) > (e.recorded_at, e.seq)
    ORDER BY b.recorded_at, b.seq LIMIT 1) n ON true
  WHERE e.kind IN ('checked-out', 'handed-over') AND e.observed_at >= now() - span $$;
COMMENT ON FUNCTION tallyman.holdings_over IS 'Who had what from when to when, of all that was checked out or handed over in a span up to now; ended says by what (null while they have it), and was_overdue whether an overdue return was alerted meanwhile, and no return told later that was in time.';

CREATE OR REPLACE FUNCTION tallyman.checkouts_over(span interval)
RETURNS TABLE (asset text, holder text, checked_out_at timestamptz, due_back timestamptz,
               checked_in_at timestamptz, was_overdue boolean)
LANGUAGE sql STABLE AS $$
  SELECT e.asset, e.holder, coalesce((e.body ->> 'checked_out_at')::timestamptz, e.observed_at), d.due_back,
    CASE WHEN i.kind = 'checked-in' THEN i.observed_at END,
    EXISTS (SELECT FROM tallyman.alert_event t WHERE t.rule = 'overdue-return' AND t.about = e.asset
              AND t.transition = 'fired' AND (t.recorded_at, t.seq) > (e.recorded_at, e.seq)
              AND (i.seq IS NULL OR (t.recorded_at, t.seq) < (i.recorded_at, i.seq))
              AND NOT (i.seq IS NOT NULL AND i.kind = 'checked-in' AND i.observed_at <= t.observed_at))
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
COMMENT ON FUNCTION tallyman.checkouts_over IS 'Every checkout that began in a span up to now, by who took it: until when (as the last hand-over says), when it ended, and whether an overdue return was alerted, and no return told later that was in time.';

CREATE OR REPLACE FUNCTION tallyman.alert_response_over(span interval)
RETURNS TABLE (rule text, site text, incidents bigint, acknowledged bigint, restored bigint,
               mean_time_to_acknowledge interval, mean_time_to_restore interval)
LANGUAGE sql STABLE AS $$
  SELECT f.rule, f.site, count(*), count(a.at), count(r.at), avg(a.at - f.at), avg(r.at - f.at)
  FROM (SELECT t.incident, t.rule, t.site, min(t.observed_at) AS at FROM tallyman.alert_event t
        WHERE t.transition = 'fired' AND t.observed_at >= now() - span GROUP BY 1, 2, 3) f
  LEFT JOIN LATERAL (SELECT min(t.observed_at) AS at FROM tallyman.alert_event t
    WHERE t.incident = f.incident AND t.transition = 'acknowledged' AND t.observed_at >= f.at) a ON true
  LEFT JOIN LATERAL (SELECT greatest(min(t.observed_at), f.at) AS at FROM tallyman.alert_event t
    WHERE t.incident = f.incident AND t.transition = 'resolved' HAVING count(*) > 0) r ON true
  GROUP BY f.rule, f.site ORDER BY f.rule, f.site $$;
