"""What an earlier run has left, and how much of it another run can go on behind."""

from __future__ import annotations

from dataclasses import replace

from exports_app import lifecycle
from exports_app.logs import log
from exports_app.models import ExportJob, ExportPart
from exports_app.pipeline.errors import UploadLost
from exports_app.pipeline.loop import TABLES
from exports_app.pipeline.parts import are_equal
from exports_app.pipeline.sources.counting import Uncounted
from exports_app.pipeline.types import Progress, Receipt, Store, StoredPart
from exports_app.plan import Plan


def good_parts(
    job: ExportJob, store: Store, *, resumable: bool, equal: bool
) -> tuple[list[StoredPart], Receipt | None]:
    """The recorded parts that are still there, and proof of the object where they were made one already.

    Without their tails. No parts: start over. ``equal``: the store takes parts of one size only.
    """
    if not job.upload_number:
        return [], None
    parts = [stored_part(row) for row in ExportPart.objects.filter(job=job).defer("tail")]
    if not parts or not (resumable or parts[-1].last):
        return [], None
    upload = job.upload()
    try:
        good = store.verify(upload, parts)
    except UploadLost:
        good = []
    if len(good) < len(parts) and (receipt := store.finished(upload, parts)):
        return parts, receipt  # the upload was completed, and only the word of it got lost
    if len(good) < len(parts) and not resumable:
        return [], None
    while good and good[-1].inner:
        good.pop()
    if equal and not are_equal(good):
        return [], None  # no object could be made of them
    if good and len(good) < len(parts):
        lifecycle.keep_parts(job, len(good))
    return good, None


def with_tail(job: ExportJob, parts: list[StoredPart]) -> list[StoredPart]:
    """The same parts; the last one knows what begins the next."""
    tails = ExportPart.objects.filter(job=job, number=len(parts)).values_list("tail", flat=True)
    return [*parts[:-1], replace(parts[-1], tail=bytes(tails.get()))] if parts else []


def confirmed(job: ExportJob, plan: Plan, parts: list[StoredPart]) -> tuple[list[StoredPart], str]:
    """The parts whose rows an independent count has confirmed or confirms now; and why it could not, if so.

    Rows that a run stored after its last count are counted as they are today. Where that differs, which a change of
    the data explains as well as a fault does, they are written again.
    """
    end = parts[-1]
    if end.last or end.cursor is None or end.rows == job.rows_counted:
        return parts, ""
    known = next((part for part in reversed(parts) if part.rows == job.rows_counted and not part.inner), None)
    counted, after = (known.rows, known.cursor) if known else (0, None)
    try:
        found = plan.count_stored(after, end.cursor, tuple(job.last_key) if job.last_key else None)
    except Uncounted as why:
        return parts, str(why)
    if counted + found == end.rows:
        lifecycle.renew(job, rows_counted=end.rows)
        return parts, ""
    log.warning("export.parts.unconfirmed", rows=end.rows - counted, counted=found)
    kept = known.number if known else 0
    lifecycle.keep_parts(job, kept)
    return parts[:kept], ""


def finished(last: StoredPart, receipt: Receipt) -> Progress:
    """The report of a run that found every byte stored and only completed the object."""
    warnings = tuple(last.state.get("warnings", ()))
    return Progress(
        rows=last.rows,
        tables=tuple(last.state.get(TABLES, ())),
        bytes=receipt.size,
        receipt=receipt,
        crc32=last.crc32,
        warnings=warnings,
    )


def stored_part(row: ExportPart) -> StoredPart:
    """A checkpoint row as the pipeline knows it."""
    return StoredPart(
        number=row.number,
        etag=row.etag,
        offset=row.offset,
        size=row.size,
        rows=row.rows,
        cursor=tuple(row.cursor) if row.cursor is not None else None,
        crc32=row.crc32,
        state=row.state,
        inner=row.inner,
        last=row.last,
    )
