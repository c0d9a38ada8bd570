"""Uploads that are to go, one by one, where a storage has no call for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exports_app.pipeline.errors import StorageUnavailable
from exports_app.pipeline.types import Discarded, Upload

OUTAGES = 2
"""Uploads in a row for which the storage did not answer; then it is taken to be away."""


def discard_each(discard: Callable[[Upload], object], uploads: Sequence[Upload]) -> Discarded:
    """Each by itself, until all were tried or the storage is away."""
    done, outages = Discarded(), 0
    for upload in uploads:
        try:
            discard(upload)
        except Exception as error:  # whatever is wrong with this one, the others can go
            done.left[upload.key] = error
            outages = outages + 1 if isinstance(error, StorageUnavailable) else 0
            if outages == OUTAGES:
                break
        else:
            done.gone.append(upload.key)
            outages = 0
    return done
