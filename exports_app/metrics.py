"""The figures of ``/metrics``: counters kept in PostgreSQL, gauges read from the jobs when asked.

Web and workers are many processes and their children come and go, so no process can keep a counter by itself. One is
raised in the transaction of the move that it counts, as its last statement: a move that was lost in a race is not
counted, and a counter's row is locked only for the commit. Every label is of a closed set.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from django.db import DatabaseError, InterfaceError, connection
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from exports_app.choices import Queue
from exports_app.logs import log
from exports_app.models import ExportCounter, ExportJob
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.formats import FORMATS
from exports_app.resources import registry

Series = tuple[str, str]
"""Name of a counter, and its labels as JSON with sorted keys."""
Outcome = Literal["completed", "failed", "cancelled"]
Alert = Literal["failure_rate", "incomplete", "memory_limit", "worker_lost"]

OTHER = "other"
"""Label of a resource or format that is not registered any more."""
CODES = sorted({each.code for each in pipeline_errors.every()})
ALERTS: tuple[Alert, ...] = ("failure_rate", "incomplete", "memory_limit", "worker_lost")

DURATION_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0)
"""Upper ends in seconds, of a whole export."""
CHUNK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper ends in seconds, of reading and rendering one chunk."""
HISTOGRAMS = {
    "exports_duration_seconds": ("From the first run's start to the proven file.", DURATION_BUCKETS),
    "exports_chunk_seconds": ("Reading and rendering one chunk of rows.", CHUNK_BUCKETS),
}
INFINITY = "+Inf"

ADD = """
INSERT INTO exports_app_exportcounter (name, labels, value)
SELECT * FROM unnest(%s::text[], %s::text[], %s::float8[])
    ON CONFLICT (name, labels) DO UPDATE SET value = exports_app_exportcounter.value + EXCLUDED.value
"""
QUEUES = """
SELECT queue, status, count(*)
  FROM exports_app_exportjob
 WHERE status IN ('queued', 'running')
 GROUP BY queue, status
"""
OLDEST = """
SELECT COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - COALESCE(asked.at, job.created_at))), 0)
  FROM (SELECT id, created_at FROM exports_app_exportjob WHERE status = 'queued' ORDER BY created_at LIMIT 100) AS job
  LEFT JOIN LATERAL (SELECT max(at) AS at
                       FROM exports_app_exportevent
                      WHERE job_id = job.id AND kind = 'queued') AS asked ON true
"""
"""Since a person last asked for it: a job of last week that is started again has not waited for a week."""
REFUSED = """
SELECT (SELECT count(*) FROM exports_app_exportjob WHERE discard_failures > 0)
     + (SELECT count(*) FROM exports_app_exporttombstone WHERE discard_failures > 0)
"""


# Counting


def job_ended(job: ExportJob, outcome: Outcome, *, code: str = "") -> None:
    """A job has reached its end. To be called as the last statement of the transaction that moved it there."""
    values = {_series("exports_jobs_total", resource=_resource(job), format=_format(job), outcome=outcome): 1.0}
    if outcome == "failed":
        values[_series("exports_failures_total", code=_code(code))] = 1
    if outcome == "completed":
        done = ExportJob.objects.values_list("row_count", "file_size", "started_at", "completed_at").get(pk=job.pk)
        rows, size, started, ended = done
        values[_series("exports_rows_total")] = rows or 0
        values[_series("exports_bytes_total")] = size or 0
        values |= _observed(
            "exports_duration_seconds", [(ended - started).total_seconds()] if started and ended else []
        )
    _add(values)


def job_retried(code: str) -> None:
    """A job goes back into its queue because of ``code``; within the transaction that puts it there."""
    _add({_series("exports_retries_total", code=_code(code)): 1})


def chunks_read(seconds: Iterable[float]) -> None:
    """All the chunks of one run at once. Figures that cannot be kept now are not worth an error."""
    try:
        _add(_observed("exports_chunk_seconds", seconds))
    except (DatabaseError, InterfaceError) as error:
        log.warning("export.metrics.lost", error=type(error).__name__)


def alert_raised(alert: Alert) -> None:
    """The operators were told of something."""
    _add({_series("exports_alerts_total", alert=alert): 1})


def _add(values: Mapping[Series, float]) -> None:
    if not values:
        return
    ordered = sorted(values.items())  # one order for all, so that two of us never wait for each other
    names = [name for (name, _), _ in ordered]
    labels = [labels for (_, labels), _ in ordered]
    amounts = [float(amount) for _, amount in ordered]
    with connection.cursor() as cursor:
        cursor.execute(ADD, [names, labels, amounts])


def _series(name: str, **labels: str) -> Series:
    return name, json.dumps(labels, sort_keys=True)


def _observed(name: str, seconds: Iterable[float]) -> dict[Series, float]:
    """Each value in the bucket it falls into; the sums up to each are made when they are read."""
    ends = HISTOGRAMS[name][1]
    values: defaultdict[Series, float] = defaultdict(float)
    for each in seconds:
        place = bisect_left(ends, each)
        values[_series(f"{name}_bucket", le=str(ends[place]) if place < len(ends) else INFINITY)] += 1
        values[_series(f"{name}_sum")] += each
    return dict(values)


def _resource(job: ExportJob) -> str:
    return job.resource if registry.get(job.resource) else OTHER


def _format(job: ExportJob) -> str:
    return job.format if job.format in FORMATS else OTHER


def _code(code: str) -> str:
    return code if code in CODES else PipelineError.code


# Reading


def page() -> bytes:
    """All figures in Prometheus' text format, by four queries."""
    registry_ = CollectorRegistry()
    registry_.register(Figures())
    return generate_latest(registry_)


class Figures:
    """Prometheus' collector of everything here."""

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not read the figures twice to know their names."""
        return []

    def collect(self) -> Iterator[Metric]:
        rows = ExportCounter.objects.values_list("name", "labels", "value")
        stored = {(name, labels): value for name, labels, value in rows}
        yield self._jobs(stored)
        yield _plain(stored, "exports_rows_total", "Rows of completed exports.")
        yield _plain(stored, "exports_bytes_total", "Bytes of completed exports' files.")
        yield _by(stored, "exports_retries_total", "Runs put back for another attempt.", "code", CODES)
        yield _by(stored, "exports_failures_total", "Exports that failed for good.", "code", CODES)
        yield _by(stored, "exports_alerts_total", "Times that the operators were told.", "alert", ALERTS)
        for name, (text, ends) in HISTOGRAMS.items():
            yield _histogram(stored, name, text, ends)
        yield from self._queues()

    def _jobs(self, stored: Mapping[Series, float]) -> Metric:
        names = ("resource", "format", "outcome")
        family = CounterMetricFamily("exports_jobs_total", "Exports that ended.", labels=names)
        for (name, labels), value in stored.items():
            if name == "exports_jobs_total":
                known = json.loads(labels)
                family.add_metric([known[each] for each in names], value)
        return family

    def _queues(self) -> Iterator[Metric]:
        with connection.cursor() as cursor:
            cursor.execute(QUEUES)
            counts = {(queue, status): count for queue, status, count in cursor.fetchall()}
            cursor.execute(OLDEST)
            oldest = float(cursor.fetchone()[0])
            cursor.execute(REFUSED)
            refused = int(cursor.fetchone()[0])
        depth = GaugeMetricFamily("exports_queue_depth", "Exports that wait, by queue.", labels=["queue"])
        for queue in Queue.values:
            depth.add_metric([queue], counts.get((queue, "queued"), 0))
        yield depth
        yield GaugeMetricFamily("exports_oldest_queued_seconds", "Age of the export that waits longest.", value=oldest)
        running = sum(count for (_, status), count in counts.items() if status == "running")
        yield GaugeMetricFamily("exports_running", "Exports that are running.", value=running)
        text = "Files that the storage refused to remove so far; each is tried again."
        yield GaugeMetricFamily("exports_refused_removals", text, value=refused)


def _plain(stored: Mapping[Series, float], name: str, text: str) -> Metric:
    return CounterMetricFamily(name, text, value=stored.get(_series(name), 0))


def _by(stored: Mapping[Series, float], name: str, text: str, label: str, values: Iterable[str]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for each in values:
        family.add_metric([each], stored.get(_series(name, **{label: each}), 0))
    return family


def _histogram(stored: Mapping[Series, float], name: str, text: str, ends: Iterable[float]) -> Metric:
    buckets: list[tuple[str, float]] = []
    total = 0.0
    for end in (*map(str, ends), INFINITY):
        total += stored.get(_series(f"{name}_bucket", le=end), 0)
        buckets.append((end, total))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=stored.get(_series(f"{name}_sum"), 0))
