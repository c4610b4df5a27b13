-- Answers: what people ask of the history, as views; those over a span of time also as functions of it.
-- Counted are assets on the register that are expected somewhere (neither ordered nor retired nor disposed).

CREATE VIEW tallyman.expected_asset AS
SELECT a.id AS asset, a.name, a.class, a.home_zone, z.site, a.lifecycle, a.part_of,
       c.criticality, coalesce(c.ghost_after, interval '1 day') AS sensed_within,
       coalesce(c.utilisation, 'movement') AS utilisation, c.utilisation_point, c.needs
FROM tallyman.asset a
LEFT JOIN tallyman.zone z ON z.name = a.home_zone
LEFT JOIN tallyman.asset_class c ON c.name = a.class
WHERE a.lifecycle NOT IN ('ordered', 'retired', 'disposed');
COMMENT ON VIEW tallyman.expected_asset IS 'Assets that should be somewhere, with what their class and home zone say of them.';

-- ---- Who had it last? ------------------------------------------------------------------------------

CREATE VIEW tallyman.last_holder AS
SELECT a.id AS asset, a.name, o.holder, p.name AS holder_name, p.team,
       o.observed_at AS checked_out_at, o.due_back, i.observed_at AS checked_in_at, i.how
FROM tallyman.asset a
CROSS JOIN LATERAL (
  SELECT e.holder, e.due_back, e.observed_at, e.seq FROM tallyman.location_event e
  WHERE e.subject = 'asset:' || a.id AND e.kind = 'checked-out'
  ORDER BY e.observed_at DESC, e.seq DESC LIMIT 1) o
LEFT JOIN LATERAL (
  SELECT e.observed_at, e.body ->> 'how' AS how FROM tallyman.location_event e
  WHERE e.subject = 'asset:' || a.id AND e.kind = 'checked-in' AND e.observed_at >= o.observed_at
  ORDER BY e.observed_at, e.seq LIMIT 1) i ON true
LEFT JOIN tallyman.person p ON p.id = o.holder;
COMMENT ON VIEW tallyman.last_holder IS 'Who had it last: the latest checkout of each asset; checked_in_at is null while it is out.';

-- ---- Utilised or idle? ------------------------------------------------------------------------------

CREATE FUNCTION tallyman.asset_use(since timestamptz)
RETURNS TABLE (asset text, class text, site text, used boolean) LANGUAGE sql STABLE AS $$
  SELECT x.asset, x.class, x.site,
    CASE x.utilisation
      WHEN 'custody' THEN
        EXISTS (SELECT FROM tallyman.asset_current c WHERE c.asset = x.asset AND c.holder IS NOT NULL)
        OR EXISTS (SELECT FROM tallyman.location_event e WHERE e.subject = 'asset:' || x.asset
                     AND e.observed_at >= since AND e.kind IN ('checked-out', 'checked-in'))
      WHEN 'sensor' THEN
        EXISTS (SELECT FROM tallyman.sample s WHERE s.subject = 'asset:' || x.asset AND s.observed_at >= since
                  AND s.point = x.utilisation_point AND s.value <> 0)
      ELSE
        EXISTS (SELECT FROM tallyman.location_event e WHERE e.subject = 'asset:' || x.asset
                  AND e.observed_at >= since AND e.kind IN ('passage', 'geofence'))
        OR (SELECT count(DISTINCT e.zone) > 1 FROM tallyman.location_event e WHERE e.subject = 'asset:' || x.asset
              AND e.observed_at >= since AND e.kind = 'presence')
        OR EXISTS (SELECT FROM tallyman.fix f WHERE f.subject = 'asset:' || x.asset AND f.observed_at >= since
                     AND f.speed_mps > 1)
    END
  FROM tallyman.expected_asset x $$;
COMMENT ON FUNCTION tallyman.asset_use IS 'Whether each asset was in use since then, by what its class says use is: movement (a passage, a geofence, another zone, driving), custody, or a sensor''s point that is not zero.';

CREATE FUNCTION tallyman.utilisation_over(span interval)
RETURNS TABLE (class text, site text, assets bigint, utilised bigint, idle bigint, utilised_share numeric)
LANGUAGE sql STABLE AS $$
  SELECT u.class, u.site, count(*), count(*) FILTER (WHERE u.used), count(*) FILTER (WHERE NOT u.used),
    round(count(*) FILTER (WHERE u.used) / count(*)::numeric, 4)
  FROM tallyman.asset_use(now() - span) u GROUP BY u.class, u.site ORDER BY u.class, u.site $$;
COMMENT ON FUNCTION tallyman.utilisation_over IS 'Utilised versus idle assets by class and home site over a span up to now.';
CREATE VIEW tallyman.utilisation AS SELECT * FROM tallyman.utilisation_over(interval '30 days');
COMMENT ON VIEW tallyman.utilisation IS 'Utilised versus idle assets by class and home site, over 30 days.';

-- ---- Custody ----------------------------------------------------------------------------------------

CREATE FUNCTION tallyman.checkouts_over(span interval)
RETURNS TABLE (asset text, holder text, checked_out_at timestamptz, due_back timestamptz,
               checked_in_at timestamptz, was_overdue boolean)
LANGUAGE sql STABLE AS $$
  SELECT e.asset, e.holder, e.observed_at, e.due_back, i.observed_at,
    EXISTS (SELECT FROM tallyman.alert_event t WHERE t.rule = 'overdue-return' AND t.about = e.asset
              AND t.transition = 'fired' AND t.observed_at >= e.observed_at
              AND (i.observed_at IS NULL OR t.observed_at <= i.observed_at))
  FROM tallyman.location_event e
  LEFT JOIN LATERAL (
    SELECT b.observed_at FROM tallyman.location_event b
    WHERE b.subject = e.subject AND b.kind = 'checked-in' AND b.observed_at >= e.observed_at
    ORDER BY b.observed_at LIMIT 1) i ON true
  WHERE e.kind = 'checked-out' AND e.observed_at >= now() - span $$;
COMMENT ON FUNCTION tallyman.checkouts_over IS 'Every checkout that began in a span up to now: when it ended, and whether an overdue return was alerted.';

CREATE FUNCTION tallyman.repeat_offenders_over(span interval)
RETURNS TABLE (holder text, holder_name text, team text, checkouts bigint, overdue bigint, overdue_share numeric)
LANGUAGE sql STABLE AS $$
  SELECT c.holder, min(p.name), min(p.team), count(*), count(*) FILTER (WHERE c.was_overdue),
    round(count(*) FILTER (WHERE c.was_overdue) / count(*)::numeric, 4)
  FROM tallyman.checkouts_over(span) c LEFT JOIN tallyman.person p ON p.id = c.holder
  GROUP BY c.holder HAVING count(*) FILTER (WHERE c.was_overdue) >= 2
  ORDER BY 5 DESC, 6 DESC, 1 $$;
COMMENT ON FUNCTION tallyman.repeat_offenders_over IS 'Holders with two or more overdue returns among the checkouts of a span up to now, the worst first.';
CREATE VIEW tallyman.repeat_offender AS SELECT * FROM tallyman.repeat_offenders_over(interval '90 days');
COMMENT ON VIEW tallyman.repeat_offender IS 'Holders with two or more overdue returns, over 90 days.';

CREATE FUNCTION tallyman.unreturned_over(span interval)
RETURNS TABLE (site text, home_zone text, checkouts bigint, returned bigint, still_out bigint, past_due bigint,
               unreturned_share numeric)
LANGUAGE sql STABLE AS $$
  SELECT z.site, a.home_zone, count(*), count(c.checked_in_at), count(*) - count(c.checked_in_at),
    count(*) FILTER (WHERE c.checked_in_at IS NULL AND c.due_back < now()),
    round((count(*) - count(c.checked_in_at)) / count(*)::numeric, 4)
  FROM tallyman.checkouts_over(span) c
  LEFT JOIN tallyman.asset a ON a.id = c.asset LEFT JOIN tallyman.zone z ON z.name = a.home_zone
  GROUP BY z.site, a.home_zone ORDER BY 7 DESC, 1, 2 $$;
COMMENT ON FUNCTION tallyman.unreturned_over IS 'Places that check out and do not return: checkouts of a span up to now by the home zone of what was taken.';
CREATE VIEW tallyman.unreturned AS SELECT * FROM tallyman.unreturned_over(interval '90 days');
COMMENT ON VIEW tallyman.unreturned IS 'Places that check out and do not return, by home zone, over 90 days.';

-- ---- Ready? -----------------------------------------------------------------------------------------

CREATE FUNCTION tallyman.readiness_at(moment timestamptz)
RETURNS TABLE (asset text, name text, class text, site text, home_zone text, ready boolean, reasons text[])
LANGUAGE sql STABLE AS $$
  SELECT x.asset, x.name, x.class, x.site, x.home_zone, cardinality(r.reasons) = 0, r.reasons
  FROM tallyman.expected_asset x
  LEFT JOIN tallyman.asset_current c ON c.asset = x.asset
  CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
      CASE WHEN x.lifecycle <> 'in-service' THEN x.lifecycle END,
      CASE WHEN c.holder IS NOT NULL AND c.due_back IS NULL THEN 'checked out to ' || c.holder || ', no due date' END,
      CASE WHEN c.holder IS NOT NULL AND c.due_back < now() THEN 'checked out to ' || c.holder || ', past due' END,
      CASE WHEN c.holder IS NOT NULL AND c.due_back >= now() AND c.due_back > moment
        THEN 'checked out to ' || c.holder || ' until later' END]
    || ARRAY(SELECT DISTINCT 'alert ' || t.rule FROM tallyman.alert_current t
         WHERE t.state = 'firing' AND (
           (t.about = x.asset AND t.rule IN ('ghost', 'overdue-inspection', 'kit-incomplete'))
           OR (t.rule = 'condition' AND EXISTS (SELECT FROM tallyman.sensor s WHERE s.asset = x.asset
                 AND s.valid_from <= now() AND now() < s.valid_to AND starts_with(t.about, s.device || '/'))))
         ORDER BY 1)
    || ARRAY(SELECT 'kit lacks ' || n FROM unnest(x.needs) n WHERE NOT EXISTS (
         SELECT FROM tallyman.expected_asset part WHERE part.part_of = x.asset AND part.class = n) ORDER BY 1),
    NULL) AS reasons) r $$;
COMMENT ON FUNCTION tallyman.readiness_at IS 'What will be ready at that moment as things stand, and of what will not be, every reason: its lifecycle, a checkout, an alert that fires, a kit that lacks a part.';

CREATE VIEW tallyman.ready_tomorrow AS
SELECT s.name AS at_site, t.at, r.asset, r.name, r.class, r.home_zone, r.ready, r.reasons
FROM tallyman.site s
CROSS JOIN LATERAL (SELECT ((now() AT TIME ZONE s.timezone)::date + 1 + time '06:00') AT TIME ZONE s.timezone AS at) t
CROSS JOIN LATERAL tallyman.readiness_at(t.at) r
WHERE r.site = s.name;
COMMENT ON VIEW tallyman.ready_tomorrow IS 'What is ready for 06:00 tomorrow by its home site''s clock, and why the rest is not.';

-- ---- Does the register match what is there? ---------------------------------------------------------

CREATE VIEW tallyman.register_sensed AS
SELECT x.class, x.site, count(*) AS assets,
       count(*) FILTER (WHERE c.sensed_at >= now() - x.sensed_within) AS sensed,
       round(count(*) FILTER (WHERE c.sensed_at >= now() - x.sensed_within) / count(*)::numeric, 4) AS sensed_share
FROM tallyman.expected_asset x LEFT JOIN tallyman.asset_current c ON c.asset = x.asset
GROUP BY x.class, x.site;
COMMENT ON VIEW tallyman.register_sensed IS 'Share of the register that was sensed within its class''s interval (ghost_after, else a day), by class and home site.';

CREATE VIEW tallyman.ghost_share AS
SELECT x.class, x.site, count(*) AS assets,
       count(*) FILTER (WHERE g.asset IS NOT NULL) AS ghosts,
       round(count(*) FILTER (WHERE g.asset IS NOT NULL) / count(*)::numeric, 4) AS ghost_share
FROM tallyman.expected_asset x
LEFT JOIN (SELECT DISTINCT about AS asset FROM tallyman.alert_current WHERE rule = 'ghost' AND state = 'firing') g
  ON g.asset = x.asset
GROUP BY x.class, x.site;
COMMENT ON VIEW tallyman.ghost_share IS 'Share of the register that is a ghost now, by class and home site.';

-- ---- How fast do we respond? ------------------------------------------------------------------------

CREATE FUNCTION tallyman.alert_response_over(span interval)
RETURNS TABLE (rule text, site text, incidents bigint, acknowledged bigint, restored bigint,
               mean_time_to_acknowledge interval, mean_time_to_restore interval)
LANGUAGE sql STABLE AS $$
  SELECT f.rule, f.site, count(*), count(a.at), count(r.at), avg(a.at - f.at), avg(r.at - f.at)
  FROM (SELECT t.incident, t.rule, t.site, min(t.observed_at) AS at FROM tallyman.alert_event t
        WHERE t.transition = 'fired' AND t.observed_at >= now() - span GROUP BY 1, 2, 3) f
  LEFT JOIN LATERAL (SELECT min(t.observed_at) AS at FROM tallyman.alert_event t
    WHERE t.incident = f.incident AND t.transition = 'acknowledged' AND t.observed_at >= f.at) a ON true
  LEFT JOIN LATERAL (SELECT min(t.observed_at) AS at FROM tallyman.alert_event t
    WHERE t.incident = f.incident AND t.transition = 'resolved' AND t.observed_at >= f.at) r ON true
  GROUP BY f.rule, f.site ORDER BY f.rule, f.site $$;
COMMENT ON FUNCTION tallyman.alert_response_over IS 'Mean time from firing to acknowledgement and to the end, of the incidents that began to fire in a span up to now.';
CREATE VIEW tallyman.alert_response AS SELECT * FROM tallyman.alert_response_over(interval '30 days');
COMMENT ON VIEW tallyman.alert_response IS 'Mean time to acknowledge and to restore by rule and site, over 30 days.';
CREATE INDEX alert_event_incident ON tallyman.alert_event (incident);
CREATE INDEX alert_event_about ON tallyman.alert_event (about, observed_at) WHERE transition = 'fired';
