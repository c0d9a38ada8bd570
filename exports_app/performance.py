"""How fast exports were, for who runs them and for estimates."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Sequence

from exports_app.models import ExportJob, ExportPerformance


def record(job: ExportJob, *, rows: int, size: int, seconds: float, chunk_seconds: Sequence[float]) -> None:
    """Keep the figures of a run that finished its file; ``size``: bytes that it wrote."""
    chunks = sorted(each * 1000 for each in chunk_seconds)
    cuts = statistics.quantiles(chunks, n=20, method="inclusive") if len(chunks) > 1 else chunks * 19
    ExportPerformance.objects.create(
        job=job,
        owner=job.owner,
        resource=job.resource,
        format=job.format,
        strategy=job.strategy,
        rows=rows,
        bytes=size,
        seconds=seconds,
        chunk_p50_ms=cuts[9] if cuts else None,
        chunk_p95_ms=cuts[18] if cuts else None,
        chunk_max_ms=chunks[-1] if chunks else None,
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
