"""What crosses the borders of the pipeline: columns, chunks, cursors, parts."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

Cursor = tuple[str, ...]
"""Key of a row, each value as PostgreSQL's text under DateStyle ISO, moments with an offset."""


class Kind(StrEnum):
    """What a column holds; decides how it looks in each format."""

    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    DURATION = "duration"
    UUID = "uuid"
    JSON = "json"
    ARRAY = "array"
    CHOICE = "choice"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of the file, as the formats see it."""

    name: str
    """Key in JSON and Parquet; unique within the file."""
    label: str
    """Header in CSV and XLSX."""
    kind: Kind
    element: Kind | None = None
    """Kind of an array's elements, or of a choice's stored value (None: text)."""
    choices: tuple[tuple[str, str], ...] = ()
    """Stored value, as ``labels.choice_key`` has it, and label of a choice; of an array, of its elements."""
    null_label: str | None = None
    """Label of NULL, where the choices have one."""
    nested: bool = False
    """Whether an array's elements are arrays; ``element`` is then what the innermost hold."""
    json_path: bool = False
    """Whether a value of JSON was reached by a path: a string stands as its text, a ``null`` as NULL."""
    range_type: str | None = None
    """PostgreSQL's name of a text's type (an array's elements' type) where that is a range or a multirange."""
    trimmed: bool = False
    """Whether a number has as many decimals as a division gave it: zeros at their end say nothing."""
    untyped: bool = False
    """Whether nothing says what the column holds, which is then taken for text."""
    max_digits: int | None = None
    decimal_places: int | None = None
    guarded: bool = True
    """False: text that is known to be safe in a spreadsheet is never prefixed."""
    naive: bool = False
    """Moments without a time zone: no offset is written, and none that is asked for is applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the file shall look; which of them a format heeds is in its ``Format.options``."""

    delimiter: str = ","
    bom: bool = False
    header: bool = True
    line_ending: str = "lf"
    row_count_footer: bool = False
    escape_formulas: bool | None = None
    """None: as the format has it (on for csv, off elsewhere)."""
    choice_labels: bool = False
    decimal_strings: bool = False
    truncate_cells: bool = False
    locale: str | None = None
    timezone: str | None = None
    date_format: str | None = None
    decimal_separator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows in a row, already encoded by the format."""

    data: bytes
    rows: int
    cursor: Cursor
    """Key of the last row; where the next chunk begins."""
    sheet: int = 0
    """Which table of a workbook with several the rows belong to; never less than the chunk's before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlRows:
    """How PostgreSQL renders one row of a query whose columns are named ``c1 … cn``.

    The row goes through ``COPY … TO STDOUT``, one message a row; the source appends the key as a last field and
    cuts it off again. With ``escaped`` the row is one text column whose value has no control character, so that
    COPY's text format changes nothing but ``\\`` (doubled), which is undone for the whole chunk at once.
    """

    expressions: tuple[str, ...]
    copy_options: str
    delimiter: bytes
    """Stands before the key; never within the key."""
    joint: bytes
    """Between two rows."""
    end: bytes
    """After the last row of a chunk."""
    escaped: bool = False
    removed: bytes = b""
    """What the source takes out of the rows: a delimiter that only held pieces of a row together."""
    null: bytes = b""
    """What ``copy_options`` have for NULL."""


RowRenderer = Callable[[Sequence[Sequence[Any]]], bytes]
"""Rows of Python values to the same bytes that ``SqlRows`` gives for a chunk of them."""


class Source(Protocol):
    """Rows in key order. Pulled, so that a format can say how many rows it still has room for."""

    def read(self, limit: int) -> Chunk | None:
        """The next rows, ``limit`` at most; None after the last one."""

    def close(self) -> None: ...


class Encoder(Protocol):
    """The container around the rows, from the first byte to the last. One per run; chunks come in order."""

    def start(self) -> bytes:
        """What stands before the first row. Not called when the run goes on from a ``state``."""

    def write(self, chunk: Chunk) -> bytes: ...

    def cut(self) -> bytes:
        """End a part here: all rows so far are out, and ``state()`` is enough to go on with another encoder."""

    def finish(self, rows: int) -> bytes:
        """What stands after the last row; ``rows``: how many the whole file has."""

    def state(self) -> dict[str, Any]:
        """JSON that lets another process go on right behind the last ``cut()``."""

    def room(self) -> int | None:
        """Rows that the next chunk may have at most; None: any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table of a workbook."""

    title: str
    fields: Sequence[Field]


@runtime_checkable
class Warns(Protocol):
    """An encoder that can say what the file does not hold as the data have it."""

    def warnings(self) -> list[str]:
        """Sentences for the job's owner; complete once all rows are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How the bytes of one file format look. Capabilities are data, asked before an export is accepted."""

    name: str
    extension: str
    content_type: str
    sql: Callable[[Sequence[Field], Options], SqlRows]
    python: Callable[[Sequence[Field], Options], RowRenderer]
    encoder: Callable[..., Encoder]
    """Fields, options, and the state to go on from (None: from the start)."""
    options: frozenset[str] = frozenset()
    """Names of the options it heeds; others are refused when asked for."""
    kinds: frozenset[Kind] = frozenset(Kind)
    """Kinds it can hold."""
    text: bool = True
    """Text can be gzipped; other containers compress by themselves."""
    resumable: bool = True
    sheets: bool = False
    """Whether it can hold several tables; its encoder then takes ``sheets`` as well."""
    max_columns: int | None = None
    sheet_rows: int | None = None
    """Rows of one sheet at most; more go on in further ones."""
    cell_units: int | None = None
    """UTF-16 units of one cell at most."""
    labelled: bool = False
    """Whether labels head its columns, as people read them; others have the names, for programs."""
    guards_formulas: bool = False
    """Whether the formula guard is on where a request does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of the file and all that is needed to go on behind it."""

    number: int
    """From 1, without gaps."""
    data: bytes = field(repr=False)
    rows: int
    """Rows of the file up to the end of this part."""
    cursor: Cursor | None
    """Key of the last of them; None: no row yet."""
    crc32: int
    """CRC-32 of all bytes up to the end of this part."""
    offset: int
    """Bytes of the file before this part."""
    state: dict[str, Any]
    tail: bytes = field(default=b"", repr=False)
    """Bytes behind this part that ``rows``, ``cursor`` and ``state`` are beyond already: they begin the next part."""
    inner: bool = False
    """No run can go on behind it: a longer piece was cut into parts of one size, and this is not the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A part that the sink has; what a checkpoint row holds."""

    number: int
    etag: str
    offset: int
    size: int
    rows: int
    cursor: Cursor | None
    crc32: int
    state: dict[str, Any]
    tail: bytes = field(default=b"", repr=False)
    inner: bool = False
    last: bool = False
    """Nothing comes behind it: another attempt only has to complete."""

    @property
    def end(self) -> int:
        """Bytes of the file up to the end of this part."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the storage proved about the finished object."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What must be on record before the first part, so that another attempt can go on or clean up."""

    key: str
    """Name of the object; no two uploads share one."""
    token: str
    """Random, and told to nobody; whoever has it knows the upload again by its ``mark``."""
    id: str | None = None
    """The store's name for the open multipart upload, once there is one."""

    @property
    def mark(self) -> str:
        """What stands in the object's metadata, which everybody who downloads it sees: a digest that gives no token."""
        return hmac.digest(self.token.encode(), self.key.encode(), "sha256").hex()


class Sink(Protocol):
    """A write-only object: whole after ``complete()``, kept after ``detach()``, otherwise never there.

    Leaving the ``with`` block before one of them aborts.
    """

    def put(self, part: Part, *, last: bool) -> None:
        """Hand over the next part; may return before it is stored, blocks while too many are on their way.

        Every part but the ``last`` has the size that the storage asks for: at least so many bytes or, with equal
        parts, exactly so many, which the last one does not exceed. A part that failed on its way
        raises here or in the next call of any other method but ``detach`` and ``abort``.
        """

    def stored(self) -> Sequence[StoredPart]:
        """Parts stored since the last call: the unbroken run only, in order."""

    def flush(self) -> None:
        """Wait for the parts on their way, so that ``stored()`` has them all before ``complete()``."""

    def complete(self) -> Receipt:
        """Wait for every part, make the object, and prove it."""

    def detach(self, timeout: float | None = None) -> Sequence[StoredPart]:
        """Leave the upload as it is for another attempt; gives the parts stored since ``stored()``.

        Waits ``timeout`` seconds at most for those on their way.
        """

    def abort(self) -> None:
        """Leave nothing behind; after ``complete()`` this deletes the object."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """Where objects live. What a worker needs to begin, take over, finish or give up an upload."""

    def open(
        self,
        upload: Upload,
        *,
        content_type: str,
        on_upload: Callable[[str], None],
        after: Sequence[StoredPart] = (),
    ) -> Sink:
        """A sink that stands behind ``after``.

        ``on_upload`` gets the id of a new multipart upload, in the caller's thread, before any part is sent;
        what it raises undoes the upload.
        """

    def verify(self, upload: Upload, parts: Sequence[StoredPart]) -> list[StoredPart]:
        """The longest run of recorded ``parts`` that are still there as recorded.

        ``UploadLost`` if the upload itself is gone.
        """

    def finished(self, upload: Upload, parts: Sequence[StoredPart]) -> Receipt | None:
        """Proof that an earlier attempt made the object of exactly these parts; None: it did not."""

    def discard(self, upload: Upload) -> bool:
        """Delete the upload and the object, whatever there is of them. Only for who owns the job.

        Gives whether the storage keeps what was deleted as a version of before.
        """

    def discard_all(self, uploads: Sequence[Upload], *, seek: bool = False) -> Discarded:
        """The same of many, in as few calls as the storage allows; one that cannot be removed holds up no other.

        ``seek``: also unfinished uploads of these keys whose id nobody knows.
        """


@dataclass(slots=True)
class Discarded:
    """What became of uploads that were to go. Those that it does not name were not tried: the storage is away."""

    gone: list[str] = field(default_factory=list)
    """Keys."""
    left: dict[str, Exception] = field(default_factory=dict)
    """Why it is still there, by key."""
    versions: int = 0
    """Of how many the storage keeps what was deleted as a version of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A fact that the loop reports; the caller decides what to record."""

    rows: int
    bytes: int
    """Encoded so far, stored or on its way."""
    tables: tuple[int, ...] = ()
    """Rows of each table of a workbook with several, as far as there are any; in sum ``rows``."""
    parts: tuple[StoredPart, ...] = ()
    """Newly stored."""
    part_ended: bool = False
    """The last chunk filled a part: a run that stops now loses nothing."""
    chunk_rows: int = 0
    chunk_seconds: float = 0.0
    """Seconds it took to read the last chunk."""
    receipt: Receipt | None = None
    """Only in the last report."""
    crc32: int = 0
    warnings: tuple[str, ...] = ()
    """What the encoder has to say so far; the last report has all of it."""
