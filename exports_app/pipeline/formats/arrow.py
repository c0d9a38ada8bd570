"""From lines of CSV to Arrow's columns to a Parquet file that is written front to back."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from typing import Any

# Arrow's allocator shall take memory as it needs it and give it back at once: a worker then grows by 93 MB for 1M rows
# of 12 columns, else by 106, and with the C library's allocator by 132. It costs a tenth of the worker's CPU.
os.environ.setdefault("MIMALLOC_ARENA_EAGER_COMMIT", "0")
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")

import pyarrow as pa
from pyarrow import csv, parquet

from exports_app.pipeline import errors
from exports_app.pipeline.formats.labels import element_kind
from exports_app.pipeline.formats.parquet import is_list
from exports_app.pipeline.types import Chunk, Field, Kind, Options

ROW_GROUP_BYTES = 8 * 1_048_576
"""Of CSV. A row group is in memory as a whole; readers skip and share out work by row groups."""
COMPRESSION_LEVEL = 1
"""zstd 3 takes half as long again for 6 % less."""
MAX_DISTINCT = 0.2
"""Share of different values in the first chunk up to which a column gets a dictionary. One that does not repay is
given up by Arrow only after a MiB of it: with dictionaries everywhere, ours was 11 % larger and took half as long
again to write."""
DURATION = (22, 6)
"""Digits and scale that hold every interval of PostgreSQL in seconds."""
DECIMAL_DIGITS = 38
"""More make DuckDB read a double, and polars nothing."""
BOM = b"\xef\xbb\xbf"

_SCALARS = {
    Kind.INTEGER: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.DURATION: pa.decimal128(*DURATION),
    Kind.BINARY: pa.binary(),
}


def column_type(field: Field, options: Options) -> pa.DataType:
    """Arrow's type of a column; the table stands in ``parquet.py``."""
    if is_list(field):
        return pa.list_(_scalar_type(field, element_kind(field, options) or Kind.TEXT, options))
    return _scalar_type(field, field.kind, options)


def _scalar_type(field: Field, kind: Kind, options: Options) -> pa.DataType:
    if kind is Kind.DATETIME:
        return pa.timestamp("us", tz=None if field.naive else options.timezone or "UTC")
    if kind is Kind.DECIMAL and not options.decimal_strings:
        return _decimal_type(field.max_digits, field.decimal_places)
    return _SCALARS.get(kind, pa.string())


def _decimal_type(digits: int | None, places: int | None) -> pa.DataType:
    if places is None or max(places, digits or 0) > DECIMAL_DIGITS:
        return pa.string()
    return pa.decimal128(digits or DECIMAL_DIGITS, places)


class TableReader:
    """Turns chunks into tables. Raises ``errors.FormatLimit`` for a value that its column's type cannot hold."""

    def __init__(self, fields: Sequence[Field], options: Options) -> None:
        self._fields = fields
        self.schema = pa.schema([(field.name, column_type(field, options)) for field in fields])
        self._converted = [n for n, kind in enumerate(self.schema.types) if not _is_read_by_csv(kind)]
        self._read_types = [pa.string() if n in self._converted else kind for n, kind in enumerate(self.schema.types)]

    def read(self, data: bytes) -> pa.Table:
        """The rows of a chunk, which is never empty."""
        try:
            columns = _read_csv(data, self._read_types).columns
        except pa.ArrowInvalid as error:
            raise self._limit(error) from error
        if self._converted:
            self._convert(columns)
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _convert(self, columns: list[pa.ChunkedArray]) -> None:
        from exports_app.pipeline.formats.arrow_texts import convert  # 9 MB that most exports do not need

        for n in self._converted:
            try:
                columns[n] = convert(columns[n], self.schema.types[n])
            except pa.ArrowInvalid as error:
                raise self._misfit(n) from error

    def repetitive_columns(self, data: bytes) -> list[str]:
        """Paths of the columns whose values come back so often in ``data`` that a dictionary of them repays."""
        sample = _read_csv(data, [pa.dictionary(pa.int32(), pa.string())] * len(self._fields))
        most = MAX_DISTINCT * len(sample)
        return [
            f"{field.name}.list.element" if is_list(field) else field.name
            for field, column in zip(self._fields, sample.columns, strict=True)
            if field.kind is not Kind.BOOLEAN and sum(len(chunk.dictionary) for chunk in column.chunks) <= most
        ]

    def _limit(self, error: Exception) -> Exception:
        """What Arrow refused as our error; what has no column is no value's fault."""
        found = re.match(r"In CSV column #(\d+)", str(error))
        return self._misfit(int(found[1])) if found else error

    def _misfit(self, column: int) -> errors.FormatLimit:
        name, kind = self._fields[column].name, self.schema.types[column]
        way_out = ", ask for decimal_strings" if "decimal" in str(kind) else ""
        return errors.FormatLimit(
            f"The column {name} has a value that Parquet's {kind} cannot hold. "
            f"Choose another format{way_out} or leave the column out."
        )


def _read_csv(data: bytes, types: Sequence[pa.DataType]) -> pa.Table:
    """Columns of these types. Named by number: a column's own name is anything, and messages have numbers."""
    names = [str(n) for n in range(len(types))]
    if data.startswith(BOM):
        data = BOM + data  # Arrow takes one away
    return csv.read_csv(
        pa.BufferReader(data),
        # One block: Arrow looks for the ends of rows in the first, and refuses rows longer than a block.
        read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["true"],
            false_values=["false"],
        ),
    )


def _is_read_by_csv(kind: pa.DataType) -> bool:
    return not (pa.types.is_list(kind) or pa.types.is_binary(kind))


class ParquetEncoder:
    """Gathers chunks into row groups. There is no state: a file that was cut short starts over."""

    def __init__(self, fields: Sequence[Field], options: Options) -> None:
        self._reader = TableReader(fields, options)
        self._file = _Outlet()
        self._writer: parquet.ParquetWriter | None = None
        self._tables: list[pa.Table] = []
        self._pending = 0  # bytes of CSV in them

    def start(self) -> bytes:
        return b""  # which columns get a dictionary is seen in the first chunk

    def write(self, chunk: Chunk) -> bytes:
        if not chunk.rows:
            return b""
        if self._writer is None:
            self._writer = self._open(self._reader.repetitive_columns(chunk.data))
        self._tables.append(self._reader.read(chunk.data))
        self._pending += len(chunk.data)
        if self._pending >= ROW_GROUP_BYTES:
            self._end_row_group(self._writer)
        return self._file.take()

    def cut(self) -> bytes:
        return b""

    def finish(self, rows: int) -> bytes:
        writer = self._writer or self._open([])
        self._end_row_group(writer)
        writer.close()
        return self._file.take()

    def state(self) -> dict[str, Any]:
        return {}

    def room(self) -> int | None:
        return None

    def _end_row_group(self, writer: parquet.ParquetWriter) -> None:
        if not self._tables:
            return
        table = pa.concat_tables(self._tables)
        writer.write_table(table, row_group_size=len(table))
        self._tables.clear()
        self._pending = 0

    def _open(self, dictionaries: list[str]) -> parquet.ParquetWriter:
        return parquet.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            self._reader.schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=dictionaries,
        )


class _Outlet(io.RawIOBase):
    """A write-only file whose content is fetched piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
