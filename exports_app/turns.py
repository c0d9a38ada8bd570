"""Whose turn it is in a queue: one order, by which jobs are claimed and by which their position is shown.

The n-th due job of an owner who has m running ones is of round m + n; within a round, the owner who was served longest
ago comes first, so that one with fifty exports never blocks one with one. ``ExportTurn`` has a row for each owner, with
what that takes, kept by a trigger; so who is next is the head of an index, however many wait.

A job that waits for its next attempt is not due: ``WAKE`` makes it so once its time has come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from exports_app.choices import Queue

COUNTS: Mapping[str, str] = {Queue.SMALL: "small", Queue.LARGE: "large"}
"""The column of ``ExportTurn`` that counts an owner's due jobs of a queue."""
EXACT_PLACES = 250
"""Of an owner's jobs in front of one, or behind it, up to which they are counted; between, the place is estimated."""
LAST_PLACE = 10_000
"""``EXPORTS_SOURCE_MAX_RUNNING`` beyond it is as good as none."""

# Moments are compared with statement_timestamp(): clock_timestamp() may change between two rows, so no index serves it.
BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;"
AS_EVER = (
    "; SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_bitmapscan TO DEFAULT; SET LOCAL enable_sort TO DEFAULT"
)
"""The planner goes by statistics, which are of another time: a queue fills faster than autovacuum looks."""

ASKED_AT = "timezone('UTC', created_at)"
"""When a job was asked for, as only the index of due jobs has it: by another one the planner would come upon all those
that have ended."""

OTHER_AT = "timezone('UTC', other.created_at)"

WAKE = """
UPDATE exports_app_exportjob SET next_attempt_at = NULL
 WHERE id = ANY (ARRAY(
              SELECT id FROM exports_app_exportjob
               WHERE status = 'queued' AND next_attempt_at <= statement_timestamp()
               ORDER BY next_attempt_at LIMIT 100 FOR UPDATE SKIP LOCKED));
"""

MAKE_PLACES = """
INSERT INTO exports_app_exportslot (number) SELECT generate_series(1, %(all)s) ON CONFLICT DO NOTHING
"""


def _claim(count: str) -> str:
    """The next job gets a free place among the first ``most``, unless ``all`` places are taken.

    A place that is taken says by whom, so that who looks for one need not wait for who takes one.
    """
    return f"""
WITH place AS MATERIALIZED (
     SELECT number FROM exports_app_exportslot
      WHERE job_id IS NULL AND number <= %(most)s
        AND (SELECT count(*) FROM exports_app_exportslot WHERE job_id IS NOT NULL) < %(all)s
      ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED),
     next AS (
     SELECT job.id
       FROM place
      CROSS JOIN exports_app_exportturn AS turn
      CROSS JOIN LATERAL (
            SELECT id FROM exports_app_exportjob
             WHERE queue = %(queue)s AND owner_id = turn.owner_id AND status = 'queued' AND next_attempt_at IS NULL
             ORDER BY {ASKED_AT}, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS job
      WHERE turn.{count} > 0
      ORDER BY turn.running, turn.served_at, turn.owner_id
      LIMIT 1),
     taken AS (
     UPDATE exports_app_exportjob
        SET status = 'running',
            claim = claim + 1,
            worker = %(worker)s,
            lease_expires_at = clock_timestamp() + %(lease)s * interval '1 second',
            next_attempt_at = NULL,
            started_at = COALESCE(started_at, clock_timestamp())
      WHERE id = (SELECT id FROM next)
  RETURNING id)
UPDATE exports_app_exportslot SET job_id = (SELECT id FROM taken)
 WHERE number = (SELECT number FROM place) AND EXISTS (SELECT FROM taken) RETURNING job_id
"""  # noqa: S608 - constants of this module


CLAIM = {queue: _claim(count) for queue, count in COUNTS.items()}


def _places(count: str) -> str:
    """Of some jobs their owners' turns, and how many of the owner stand between each and the one before it.

    Then those who wait, owners alike together: running, waiting, and behind how many of the owners above they were
    served. What is beyond the last job asked about tells no two owners apart.
    """
    others = """FROM exports_app_exportjob AS other
             WHERE other.queue = %(queue)s AND other.owner_id = mine.owner_id
               AND other.status = 'queued' AND other.next_attempt_at IS NULL"""
    return f"""
WITH asked AS MATERIALIZED (  -- found by their ids, not among all that are due
     SELECT id, owner_id, {ASKED_AT} AS asked_at, queue, status, next_attempt_at
       FROM exports_app_exportjob WHERE id = ANY(%(jobs)s)),
     ranks AS MATERIALIZED (
     SELECT mine.id, mine.owner_id, mine.asked_at, turn.running, turn.served_at, turn.{count} AS waiting,
            front.jobs AS front, behind.jobs AS behind
       FROM (SELECT id, owner_id, asked_at,
                    COALESCE(lag(asked_at) OVER line, '-infinity') AS last_at,
                    COALESCE(lag(id) OVER line, '00000000-0000-0000-0000-000000000000') AS last_id
               FROM asked
              WHERE queue = %(queue)s AND status = 'queued' AND next_attempt_at IS NULL
             WINDOW line AS (PARTITION BY owner_id ORDER BY asked_at, id)) AS mine
       JOIN exports_app_exportturn AS turn ON turn.owner_id = mine.owner_id
      CROSS JOIN LATERAL (
            SELECT count(*) AS jobs FROM (
                 SELECT {others}
                    AND ({OTHER_AT}, other.id) > (mine.last_at, mine.last_id)
                    AND ({OTHER_AT}, other.id) <= (mine.asked_at, mine.id)
                  ORDER BY {OTHER_AT} DESC, other.id DESC LIMIT {EXACT_PLACES}) AS counted) AS front
      CROSS JOIN LATERAL (
            SELECT count(*) AS jobs FROM (
                 SELECT {others}
                    AND front.jobs = {EXACT_PLACES} AND ({OTHER_AT}, other.id) > (mine.asked_at, mine.id)
                  ORDER BY {OTHER_AT}, other.id LIMIT {EXACT_PLACES}) AS counted) AS behind),
     moments AS MATERIALIZED (
     SELECT array_agg(DISTINCT served_at) AS served, max(running + waiting) AS last FROM ranks)
(SELECT id, owner_id, running, served_at, waiting, front, behind, 0::bigint
   FROM ranks ORDER BY owner_id, asked_at, id)
UNION ALL
SELECT NULL, NULL, running, NULL, LEAST({count}, last), width_bucket(served_at, served), NULL, count(*)
  FROM exports_app_exportturn, moments
 WHERE {count} > 0 AND served IS NOT NULL
 GROUP BY 3, 5, 6
"""  # noqa: S608 - constants of this module


PLACES = {queue: _places(count) for queue, count in COUNTS.items()}

RING = """
WITH line AS MATERIALIZED (
     SELECT queue, %(most)s - (
            SELECT count(*) FROM (
                 SELECT FROM exports_app_exportjob
                  WHERE queue = each.queue AND status = 'queued' AND next_attempt_at IS NULL
                    AND rung_at > statement_timestamp() - %(quiet)s * interval '1 second'
                  ORDER BY rung_at LIMIT %(most)s) AS lately) AS bells
       FROM unnest(%(queues)s::text[]) AS each(queue)),
     fresh AS (
     SELECT job.id FROM line CROSS JOIN LATERAL (
            SELECT id FROM exports_app_exportjob
             WHERE queue = line.queue AND status = 'queued' AND next_attempt_at IS NULL AND rung_at IS NULL
             ORDER BY rung_at LIMIT line.bells FOR UPDATE SKIP LOCKED) AS job),
     old AS (
     SELECT job.id FROM line CROSS JOIN LATERAL (
            SELECT id FROM exports_app_exportjob
             WHERE queue = line.queue AND status = 'queued' AND next_attempt_at IS NULL
               AND rung_at <= statement_timestamp() - %(quiet)s * interval '1 second'
             ORDER BY rung_at LIMIT line.bells FOR UPDATE SKIP LOCKED) AS job)
UPDATE exports_app_exportjob AS job
   SET rung_at = statement_timestamp()
 WHERE job.id = ANY (ARRAY(SELECT id FROM fresh UNION ALL SELECT id FROM old))
RETURNING job.queue
"""
"""Of each queue as many jobs as it lacks bells: each run rings for the next one. Two sweeps at once share the jobs."""

LOST = """
WITH sweep AS (
     INSERT INTO exports_app_exportsweep AS row (id, began_at, last_at) VALUES (1, 'epoch', clock_timestamp())
         ON CONFLICT (id) DO UPDATE
        SET last_at = clock_timestamp(),
            began_at = CASE WHEN row.last_at < clock_timestamp() - %(gap)s * interval '1 second'
                            THEN clock_timestamp() ELSE row.began_at END
  RETURNING greatest(began_at, pg_postmaster_start_time()) AS back_at)
SELECT id
  FROM exports_app_exportjob, sweep
 WHERE status = 'running'
   AND lease_expires_at < clock_timestamp()
   AND (back_at < clock_timestamp() - %(lease)s * interval '1 second'
        OR lease_expires_at < back_at - interval '1 hour')
 ORDER BY lease_expires_at
 LIMIT 100
"""
"""Nobody could renew a lease while the database was away, so everybody has the time of one lease once it is back.

It was away where it started since, and where no sweep came by for so long as it takes a lease to end: a standby that
was promoted, a pooler that was gone and a disk that was full did not start anew.
"""
GAP_SHARE, GAP_SWEEPS = 5 / 6, 2
"""Of a lease, the rest being used before it is renewed; of the usual time between sweeps. The longer one is a gap."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One owner's jobs that are asked about, as ``RANKS`` has them."""

    job_id: UUID
    owner_id: Any
    running: int
    served_at: datetime
    waiting: int
    front: int
    behind: int


def claim(queue: str, worker: str, *, lease: float, most: int, all_places: int) -> UUID | None:
    """Take the job whose turn it is; None: none is due, or as many run as may. In a transaction of the caller's.

    ``lease`` in seconds; ``most``: the last place that this queue may take, of ``all_places``.
    """
    values: dict[str, Any] = {"queue": queue, "worker": worker, "lease": lease}
    values |= {"most": min(most, LAST_PLACE), "all": min(all_places, LAST_PLACE)}
    with connection.cursor() as cursor:
        if _places_seen < values["all"]:
            _makes_places(cursor, values["all"])
            transaction.on_commit(partial(_saw_places, values["all"]))
        rows = _by_index(cursor, CLAIM[queue], values)
        if not rows and _makes_places(cursor, values["all"]):
            rows = _by_index(cursor, CLAIM[queue], values)
    return rows[0][0] if rows else None


_places_seen = 0
"""By this process, which looks before its first claim: by a look behind it, one who makes them at the same time would
have come in between, and the claim would have found nothing to take."""


def _saw_places(every: int) -> None:
    """They are there for other threads too: not before the transaction that made them has ended."""
    global _places_seen
    _places_seen = every


def _makes_places(cursor: Any, every: int) -> bool:
    """Whether there were fewer than there may be; waits for who makes them."""
    cursor.execute("SELECT count(*) FROM exports_app_exportslot")
    if cursor.fetchone()[0] >= every:
        return False
    cursor.execute(MAKE_PLACES, {"all": every})
    return True


def places(queue: str, jobs: Sequence[UUID]) -> dict[UUID, int]:
    """Place in this queue, from 1, of those of the jobs that are due."""
    with connection.cursor() as cursor:
        rows = _by_index(cursor, PLACES[queue], {"queue": queue, "jobs": list(jobs)})
    lines = [_Line(*row[:-1]) for row in rows if row[0] is not None]
    others = [(running, waiting, behind, owners) for _, _, running, _, waiting, behind, _, owners in rows if owners]
    ranks = _ranks(lines)
    moments = sorted({line.served_at for line in lines})
    found = {}
    for line in lines:
        at, round_ = moments.index(line.served_at), line.running + ranks[line.job_id]
        found[line.job_id] = 1 + sum(
            owners * _before(round_, running, waiting, is_first=(-running, behind) <= (-line.running, at))
            for running, waiting, behind, owners in others
        )
    return found


def _before(round_: int, running: int, waiting: int, *, is_first: bool) -> int:
    """How many jobs of an owner come before one of this round; ``is_first``: that of the same round too.

    Who has more running is served less often until then, so that they come first in a round that both have a job of.
    """
    return min(max(round_ - 1 - running, 0), waiting) + (is_first and running < round_ <= running + waiting)


def _ranks(lines: Sequence[_Line]) -> dict[UUID, int]:
    """Which of its owner's due jobs each is, from 1; estimated where more than can be counted stand on both sides."""
    ranks: dict[UUID, int] = {}
    owner, rank = None, 0
    for line in lines:
        rank = 0 if line.owner_id != owner else rank
        owner = line.owner_id
        if line.front < EXACT_PLACES:
            rank += line.front
        elif line.behind < EXACT_PLACES:
            rank = max(rank + EXACT_PLACES, line.waiting - line.behind)
        else:
            rank = max(rank + EXACT_PLACES, (rank + line.waiting) // 2)
        ranks[line.job_id] = rank
    return ranks


def ring(quiet: float, most: int) -> Counter[str]:
    """How many due jobs of each queue, up to ``most``, have not been rung for in ``quiet`` seconds; marks them rung."""
    with connection.cursor() as cursor:
        rows = _by_index(cursor, RING, {"queues": list(COUNTS), "quiet": quiet, "most": most})
    return Counter(queue for (queue,) in rows)


def lost(*, lease: float, sweep: float) -> list[UUID]:
    """Running jobs whose lease, of so many seconds, has ended although it could be renewed; ``sweep``: between two."""
    gap = max(lease * GAP_SHARE, sweep * GAP_SWEEPS)
    with connection.cursor() as cursor:
        cursor.execute(LOST, {"lease": lease, "gap": gap})
        return [job for (job,) in cursor.fetchall()]


def _by_index(cursor: Any, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement, behind ``WAKE`` unless it only looks, by the indexes that are made for it.

    All goes to the database at once, in one transaction.
    """
    wake = "" if statement in PLACES.values() else WAKE
    # Composed here, since a server that binds parameters (``server_side_binding``) takes one statement at a time.
    whole: Any = connection.ops
    cursor.execute(str(whole.compose_sql(f"{BY_INDEX}{wake}{statement}{AS_EVER}", values)))
    rows: list[tuple[Any, ...]] = []
    while True:
        if cursor.description is not None:
            rows = cursor.fetchall()
        if not cursor.nextset():
            return rows
