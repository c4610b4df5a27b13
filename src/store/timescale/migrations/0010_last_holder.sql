-- An id that went from the register and was given again is another thing: who had the former one did not have it.

CREATE OR REPLACE VIEW tallyman.last_holder AS
SELECT a.id AS asset, a.name, l.holder, p.name AS holder_name, p.team,
       coalesce((coalesce(l.body -> 'checkout', l.body) ->> 'checked_out_at')::timestamptz, l.observed_at) AS checked_out_at,
       l.due_back,
       CASE WHEN l.kind = 'checked-in' THEN l.observed_at END AS checked_in_at,
       CASE WHEN l.kind = 'checked-in' THEN l.body ->> 'how' END AS how
FROM tallyman.asset a
CROSS JOIN LATERAL (
  SELECT e.subject, e.kind, e.holder, e.due_back, e.observed_at, e.recorded_at, e.seq, e.body
  FROM tallyman.location_event e
  WHERE e.subject = 'asset:' || a.id AND e.kind IN ('checked-out', 'handed-over', 'checked-in')
  ORDER BY e.recorded_at DESC, e.seq DESC LIMIT 1) l
LEFT JOIN tallyman.person p ON p.id = l.holder
WHERE NOT EXISTS (
  SELECT FROM tallyman.command_log r
  WHERE r.subject = l.subject AND r.kind = 'register' AND r.body ->> 'table' = 'asset' AND r.body ->> 'after' IS NULL
    AND (r.recorded_at, r.seq) > (l.recorded_at, l.seq));
COMMENT ON VIEW tallyman.last_holder IS 'Who had it last, of each asset on the register that anybody had since it is there: by checkout, or handed over. checked_in_at is null while it is out.';
