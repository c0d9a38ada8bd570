"""Everything that can end or interrupt a run, as classes.

The docstring of a class is the sentence that users read, ``advice`` what an operator can do, ``code`` the value
in the API. ``terminal``: another try would end the same way. ``outage``: something is away; it is waited for
without using an attempt.
"""

from __future__ import annotations

from typing import ClassVar


class PipelineError(Exception):
    """The export could not be made."""

    code: ClassVar[str] = "internal"
    terminal: ClassVar[bool] = True
    outage: ClassVar[bool] = False
    free: ClassVar[bool] = False
    """Whether the next run follows at once and uses no attempt, since something was learnt that it will heed."""
    runs: ClassVar[int | None] = None
    """Runs in all that may end with it; None: as many as the job has attempts."""
    advice: ClassVar[str] = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class TooManyRows(PipelineError):
    """The export has more rows than are allowed for this data."""

    code = "too_many_rows"
    advice = "The owner narrows the filters, or Resource.max_rows is raised."


class MemoryLimit(PipelineError):
    """The export needed more memory than a worker may use."""

    code = "memory_limit"
    advice = "Look for single values of many megabytes, lower EXPORTS_PART_SIZE, or raise EXPORT_MEMORY_SOFT_LIMIT_MB."


class NoRoom(PipelineError):
    """The worker had no room for another thread, process or open file."""

    code = "memory_limit"
    terminal = False
    advice = "Raise pids_limit, ulimit -u, ulimit -n or the memory of the worker, or lower its concurrency."


class PermissionLost(PipelineError):
    """The permission to export this data was withdrawn."""

    code = "permission_lost"
    advice = "Grant the permission again and retry the export."


class ResourceGone(PipelineError):
    """This data can no longer be exported: it was removed from the site."""

    code = "resource_gone"
    advice = "The resource is not registered any more; deploy it again or let the export go."


class ColumnGone(PipelineError):
    """A column of this export no longer exists."""

    code = "column_gone"
    advice = "The resource changed since the request; the owner asks for the export again."


class RequestOutdated(PipelineError):
    """This export asks for something that the data no longer offers."""

    code = "request_outdated"
    advice = "A filter, option, parameter or format was changed or removed; the owner asks for the export again."

    @classmethod
    def of(cls, what: str) -> RequestOutdated:
        """``what``: the sentence that a new request of the same would be refused with."""
        return cls(f"This export asks for something that the data no longer offers: {what}")


class FormatLimit(PipelineError):
    """The data does not fit into the chosen file format."""

    code = "format_limit"
    advice = "Another format holds it; for cells of XLSX that are too long, truncate_cells=true does."


class BadQuery(PipelineError):
    """The database refused the query behind this export."""

    code = "bad_query"
    advice = "The traceback on the job names PostgreSQL's reason; mend the resource's queryset or expression."


class BadKey(PipelineError):
    """The rows cannot be put into a safe order: a value of the key is empty or occurs twice."""

    code = "bad_key"
    advice = "Give the resource a key that is unique and never NULL."


class BadColumn(PipelineError):
    """A column of this export could not be computed."""

    code = "bad_query"
    advice = "The detail names the row and the column; mend what computes or decodes its values."


class AccessDenied(PipelineError):
    """The file storage refused the export."""

    code = "access_denied"
    advice = "manage.py export_storage_rules --check says what is missing; look at credentials, bucket and quota."


class Misconfigured(AccessDenied):
    """The file storage is not set up as exports need it."""

    advice = "The detail names the store's error: compare bucket, region, endpoint and encryption with the settings."


class PartsRefused(AccessDenied):
    """The file storage takes parts of one size only."""

    advice = "Set EXPORTS_S3_EQUAL_PARTS to auto or on."


class TooLarge(AccessDenied):
    """The file is larger than the file storage takes."""

    advice = "10,000 parts of one size must hold it: raise EXPORTS_PART_SIZE, or narrow the filters."


class TimeLimit(PipelineError):
    """The export took longer than a file of this format may take."""

    code = "time_limit"
    advice = "Formats that cannot resume run in one piece; narrow the filters or choose csv."


class WorkerLost(PipelineError):
    """The worker that made this export stopped again and again."""

    code = "worker_lost"
    advice = "Look for memory kills on the worker's machine at the times in the job's events."


class SwitchedOff(PipelineError):
    """Exports were switched off."""

    code = "switched_off"
    advice = "Nothing is wrong with the export: retry it once ENABLE_EXPORTS is 1 again."


class DatabaseUnavailable(PipelineError):
    """The database could not be reached."""

    code = "database_unavailable"
    terminal = False
    outage = True
    advice = "See whether the source database is up and reachable from the workers."


class DatabaseBusy(PipelineError):
    """The database could not answer in time."""

    code = "database_unavailable"
    terminal = False
    advice = "A statement timed out, was cancelled or met a lock; see pg_stat_activity on the source."


class StorageUnavailable(PipelineError):
    """The file storage could not be reached."""

    code = "storage_unavailable"
    terminal = False
    outage = True
    advice = "See whether the S3 endpoint is up and reachable from the workers."


class UploadLost(PipelineError):
    """The unfinished file was removed from the storage."""

    code = "storage_unavailable"
    terminal = False
    advice = "The run starts over by itself; a lifecycle rule that aborts uploads too early would explain it."


class Mismatch(UploadLost):
    """The stored file was not what was written."""

    advice = "The file was deleted and the run starts over by itself; look at the storage's health."


class UnequalParts(UploadLost):
    """The file storage takes parts of one size only, which was not known."""

    free = True
    advice = "The run starts over by itself, and this storage gets equal parts from now on."


class Incomplete(UploadLost):
    """The rows of the file are not the rows that the database counts."""

    code = "incomplete"
    runs = 2
    advice = (
        "The rows written and an independent count of the same moment differ, also when the export started over. "
        "Do not use the file's data; look for a queryset whose rows change from one statement to the next, "
        "such as one that uses random() or a volatile function, and report what is left."
    )


def every() -> list[type[PipelineError]]:
    """All classes of this module, in its order."""
    return [each for each in globals().values() if isinstance(each, type) and issubclass(each, PipelineError)]
