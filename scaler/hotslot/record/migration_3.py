"""Version 3: what a job's owner asked of hotslot, as one of the ``words``; NULL for nothing."""

from __future__ import annotations

_ASKED = "ALTER TABLE leases ADD COLUMN asked_id INTEGER REFERENCES words (id)"

LEASE_LOG = """
CREATE VIEW lease_log AS
SELECT l.id, o.host, o.scheduler, l.job_id, l.run, worker.text AS worker, l.cpus,
  CASE l.phase WHEN 0 THEN 'pending' WHEN 1 THEN 'starting' WHEN 2 THEN 'running'
    WHEN 3 THEN 'suspended' WHEN 4 THEN 'ending' ELSE 'ended' END AS phase,
  o.user, o.account, o.partition, name.text AS name,
  coalesce(l.array_job_id, '') AS array_job_id, coalesce(l.array_task_id, '') AS array_task_id,
  coalesce(l.het_job_id, '') AS het_job_id,
  coalesce(l.array_job_id, l.het_job_id, l.job_id) AS family, l.is_first,
  (l.opened_ms - l.submitted_before_ms) / 1000.0 AS submitted_at,
  (l.opened_ms + l.started_after_ms) / 1000.0 AS started_at,
  (l.opened_ms + l.ended_after_ms) / 1000.0 AS ended_at,
  l.time_limit_ms / 1000.0 AS time_limit_s, exit.text AS exit_code, outcome.text AS outcome,
  coalesce(asked.text, '') AS asked,
  l.opened_ms / 1000.0 AS opened_at, l.closed_ms / 1000.0 AS closed_at,
  CASE l.close_reason WHEN 0 THEN 'ended' WHEN 1 THEN 'requeued' WHEN 2 THEN 'lost'
    WHEN 3 THEN 'replaced' END AS close_reason,
  l.life_ms / 1000.0 AS life_s,
  coalesce(l.requested_core_ms, l.cpus * l.life_ms) / 1000.0 AS requested_core_s,
  l.held_core_ms / 1000.0 AS held_core_s, l.used_core_ms / 1000.0 AS used_core_s,
  l.waited_core_ms / 1000.0 AS waited_core_s, l.borrowed_core_ms / 1000.0 AS borrowed_core_s,
  max(0, coalesce(l.requested_core_ms, l.cpus * l.life_ms) - l.held_core_ms
    + l.borrowed_core_ms) / 1000.0 AS returned_core_s,
  l.saturated_ms / 1000.0 AS saturated_s, l.peak_mcores / 1000.0 AS peak_cores,
  l.lost_samples, l.applied, l.refused, l.timed_out, l.failed, l.vm_gone,
  l.plug_median_ms / 1000.0 AS plug_median_s, l.plug_max_ms / 1000.0 AS plug_max_s,
  l.unplug_median_ms / 1000.0 AS unplug_median_s, l.unplug_max_ms / 1000.0 AS unplug_max_s,
  l.thinned, l.opened_ms, l.closed_ms
FROM leases AS l
JOIN owners AS o ON o.id = l.owner_id
JOIN words AS worker ON worker.id = l.worker_id
JOIN words AS name ON name.id = l.name_id
JOIN words AS exit ON exit.id = l.exit_id
JOIN words AS outcome ON outcome.id = l.outcome_id
LEFT JOIN words AS asked ON asked.id = l.asked_id"""

STATEMENTS = (_ASKED, "DROP VIEW lease_log", LEASE_LOG)
