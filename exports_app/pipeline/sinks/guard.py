"""What every sink does when its ``with`` block is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from exports_app.pipeline.errors import PipelineError


class Guard(ABC):
    """Aborts on the way out of the ``with`` block unless completed, detached or aborted before."""

    settled = False

    @abstractmethod
    def abort(self) -> None:
        """Leave nothing behind."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.settled:
            return
        try:
            self.abort()
        except PipelineError as failure:
            if error is None:
                raise
            # What went wrong first is what the caller must see; the upkeep finds the leftovers.
            error.add_note(f"The unfinished file could not be removed: {failure}")
