-- How the counts went, over time.

CREATE VIEW tallyman.audit_accuracy AS
SELECT a.node, a.body #>> '{audit,id}' AS audit, a.observed_at AS ended_at, a.given_by AS closed_by,
  ARRAY(SELECT jsonb_array_elements_text(a.body #> '{audit,zones}')) AS zones,
  f.expected, f.found, f.missing, f.elsewhere, f.unexpected,
  round(f.found / nullif(f.expected - f.elsewhere, 0)::numeric, 4) AS accuracy
FROM tallyman.command_log a
CROSS JOIN LATERAL jsonb_to_record(a.body #> '{audit,figures}')
  AS f(expected bigint, found bigint, missing bigint, elsewhere bigint, unexpected bigint)
WHERE a.kind = 'audit' AND a.body ->> 'change' = 'closed';
COMMENT ON VIEW tallyman.audit_accuracy IS 'Audits that were closed: of what had to be there, how much was. accuracy is null where nothing had to.';
