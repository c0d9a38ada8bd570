"""How large the parts of a run's file are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exports_app import conf, previews
from exports_app.models import ExportJob
from exports_app.pipeline.parts import equal_part_size, part_size
from exports_app.pipeline.types import StoredPart
from exports_app.plan import Plan


def sizes(plan: Plan, job: ExportJob, parts: Sequence[StoredPart], *, equal: bool) -> Callable[[int], int]:
    """Bytes of part *n*; ``parts``: those behind which the run goes on.

    ``equal``: one size for all, that of the first one where there is one.
    """
    base = conf.settings.PART_SIZE
    if not equal:
        return lambda number: part_size(number, base)
    size = parts[0].size if parts else equal_part_size(previews.file_size(plan, job.estimated_rows), base)
    return lambda number: size
