"""Whose turn it is in a queue: one order, by which jobs are claimed and by which their position is shown."""

from __future__ import annotations

WAITING = """
SELECT job.id,
       job.queue,
       job.created_at,
       served.at AS served,
       COALESCE(load.running, 0)
       + row_number() OVER (PARTITION BY job.queue, job.owner_id ORDER BY job.created_at, job.id) AS round
  FROM exports_app_exportjob AS job
  LEFT JOIN (SELECT owner_id, count(*) AS running
               FROM exports_app_exportjob
              WHERE status = 'running'
              GROUP BY owner_id) AS load USING (owner_id)
  LEFT JOIN (SELECT owner_id,
                    GREATEST((SELECT max(started_at)
                                FROM exports_app_exportjob AS begun
                               WHERE begun.owner_id = waiting.owner_id),
                             (SELECT max(lease_expires_at)
                                FROM exports_app_exportjob AS held
                               WHERE held.owner_id = waiting.owner_id
                                 AND held.status IN ('queued', 'running'))) AS at
               FROM (SELECT DISTINCT owner_id FROM exports_app_exportjob WHERE status = 'queued') AS waiting
            ) AS served USING (owner_id)
 WHERE job.status = 'queued'
   AND job.queue = ANY(%(queues)s)
   AND (job.next_attempt_at IS NULL OR job.next_attempt_at <= clock_timestamp())
"""
"""Due jobs of some queues. The n-th of an owner who has m running ones is of round m + n; within a round, the owner
who was served longest ago comes first, so that one with fifty exports never blocks one with one. When an owner was
last served is found by index, whatever the number of jobs they ever had."""

TURN = "turn.round, turn.served NULLS FIRST, turn.created_at, turn.id"

CLAIM = f"""
UPDATE exports_app_exportjob
   SET status = 'running',
       claim = claim + 1,
       worker = %(worker)s,
       lease_expires_at = clock_timestamp() + %(lease)s * interval '1 second',
       next_attempt_at = NULL,
       started_at = COALESCE(started_at, clock_timestamp())
 WHERE id = (
       SELECT job.id
         FROM exports_app_exportjob AS job
         JOIN ({WAITING}) AS turn USING (id)
        WHERE job.status = 'queued'
          AND (SELECT count(*) FROM exports_app_exportjob WHERE status = 'running' AND strategy = 'background')
              < %(most)s
        ORDER BY {TURN}
        LIMIT 1
          FOR UPDATE OF job SKIP LOCKED)
RETURNING id
"""  # noqa: S608 - constants of this module

POSITIONS = f"""
SELECT id, place
  FROM (SELECT id, row_number() OVER (PARTITION BY queue ORDER BY {TURN}) AS place FROM ({WAITING}) AS turn) AS line
 WHERE id = ANY(%(jobs)s)
"""  # noqa: S608 - constants of this module

RING = """
WITH due AS (
     SELECT id
       FROM exports_app_exportjob
      WHERE status = 'queued'
        AND (next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp())
        AND (rung_at IS NULL OR rung_at <= clock_timestamp() - %(quiet)s * interval '1 second')
      ORDER BY id
        FOR UPDATE SKIP LOCKED)
UPDATE exports_app_exportjob AS job
   SET rung_at = clock_timestamp()
  FROM due
 WHERE job.id = due.id
RETURNING job.queue
"""
"""Two sweeps at once share the jobs between them."""

LOST = """
SELECT id
  FROM exports_app_exportjob
 WHERE status = 'running'
   AND lease_expires_at < clock_timestamp()
   AND (pg_postmaster_start_time() < clock_timestamp() - %(lease)s * interval '1 second'
        OR lease_expires_at < pg_postmaster_start_time() - interval '1 hour')
 ORDER BY lease_expires_at
 LIMIT 100
"""
"""Nobody could renew a lease while the database was away, so it gives everybody the time of one lease at its start."""
