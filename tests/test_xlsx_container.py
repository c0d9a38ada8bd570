"""The workbook around the rows: sheets, parts that end anywhere, the archive itself."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from exports_app.pipeline import loop
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.formats import xlsx as xlsx_format
from exports_app.pipeline.formats.xlsx_parts import sheet_title
from exports_app.pipeline.formats.xlsx_zip import ZipStream
from exports_app.pipeline.sinks.memory import MemorySink
from exports_app.pipeline.types import Chunk, Field, Kind, Options, Progress, Sheet
from tests.rendering import render, render_python

ID = Field(name="id", label="Id", kind=Kind.INTEGER)
TEXT = Field(name="text", label="Text", kind=Kind.TEXT)
FIELDS = [ID, TEXT]
TWENTY_ROWS = "SELECT n, 'row ' || n || repeat('-', n), n FROM generate_series(1, 20) AS n"

Rows = Sequence[Sequence[Any]]


@pytest.fixture
def small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worksheets of eight rows, the header included."""
    monkeypatch.setattr(xlsx_format, "MAX_ROWS", 8)


def sheets_of(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    """Every worksheet by its title, in order, as openpyxl reads it."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}


def chunk(fields: Sequence[Field], rows: Rows, sheet: int = 0) -> Chunk:
    data = get_format("xlsx").python(fields, Options())(rows)
    return Chunk(data=data, rows=len(rows), cursor=("1",), sheet=sheet)


def workbook(tables: Sequence[tuple[Sheet, Rows]], *, skip_empty: bool = True) -> bytes:
    """A workbook of several tables, each in one chunk; none for a table without rows."""
    encoder = xlsx_format.XlsxEncoder(tables[0][0].fields, Options(), sheets=[sheet for sheet, _ in tables])
    pieces = [encoder.start()]
    for number, (sheet, rows) in enumerate(tables):
        if rows or not skip_empty:
            pieces.append(encoder.write(chunk(sheet.fields, rows, number)))
    return b"".join([*pieces, encoder.finish(sum(len(rows) for _, rows in tables))])


# Sheets


@pytest.mark.usefixtures("small_sheets")
def test_rows_past_the_end_of_a_sheet_go_on_in_the_next_with_a_header() -> None:
    sheets = sheets_of(render("xlsx", [ID], "SELECT n, n FROM generate_series(1, 20) AS n", chunk_rows=3))

    assert sheets == {
        "Export": [("Id",), *[(n,) for n in range(1, 8)]],
        "Export 2": [("Id",), *[(n,) for n in range(8, 15)]],
        "Export 3": [("Id",), *[(n,) for n in range(15, 21)]],
    }


@pytest.mark.usefixtures("small_sheets")
def test_a_full_last_sheet_is_followed_by_none() -> None:
    assert list(sheets_of(render("xlsx", [ID], "SELECT n, n FROM generate_series(1, 14) AS n"))) == [
        "Export",
        "Export 2",
    ]


@pytest.mark.usefixtures("small_sheets")
def test_a_chunk_that_does_not_fit_is_shared_between_sheets() -> None:
    rows = [(n, "x") for n in range(20)]

    assert render_python("xlsx", FIELDS, rows, chunk_rows=20) == render_python("xlsx", FIELDS, rows, chunk_rows=7)


@pytest.mark.usefixtures("small_sheets")
def test_the_encoder_says_how_many_rows_still_fit() -> None:
    encoder = xlsx_format.XlsxEncoder([ID], Options())
    encoder.start()
    rooms = []
    for count in (3, 4, 1):
        rooms.append(encoder.room())
        encoder.write(chunk([ID], [(1,)] * count))

    assert [*rooms, encoder.room()] == [7, 4, 7, 6]


@pytest.mark.usefixtures("small_sheets")
def test_each_sheet_filters_its_own_rows() -> None:
    data = render("xlsx", FIELDS, TWENTY_ROWS)

    book = openpyxl.load_workbook(io.BytesIO(data))

    assert [sheet.auto_filter.ref for sheet in book.worksheets] == ["A1:B8", "A1:B8", "A1:B7"]
    assert all(sheet.freeze_panes == "A2" for sheet in book.worksheets)


def test_related_tables_get_sheets_of_their_own() -> None:
    tables: list[tuple[Sheet, Rows]] = [
        (Sheet(title="Trades", fields=FIELDS), [(1, "a"), (2, "b")]),
        (Sheet(title="Tags", fields=[TEXT]), [("x",)]),
    ]

    data = workbook(tables)

    assert sheets_of(data) == {"Trades": [("Id", "Text"), (1, "a"), (2, "b")], "Tags": [("Text",), ("x",)]}
    assert CalamineWorkbook.from_filelike(io.BytesIO(data)).sheet_names == ["Trades", "Tags"]


@pytest.mark.parametrize("skip_empty", [True, False])
def test_tables_without_rows_have_a_header(skip_empty: bool) -> None:
    tables: list[tuple[Sheet, Rows]] = [
        (Sheet(title="First", fields=[ID]), []),
        (Sheet(title="Second", fields=[TEXT]), []),
        (Sheet(title="Third", fields=[ID]), [(3,)]),
        (Sheet(title="Fourth", fields=[TEXT]), []),
    ]

    assert sheets_of(workbook(tables, skip_empty=skip_empty)) == {
        "First": [("Id",)],
        "Second": [("Text",)],
        "Third": [("Id",), (3,)],
        "Fourth": [("Text",)],
    }


@pytest.mark.usefixtures("small_sheets")
def test_a_table_that_goes_on_in_a_further_sheet_takes_no_other_tables_title() -> None:
    tables: list[tuple[Sheet, Rows]] = [
        (Sheet(title="Trades", fields=[ID]), [(n,) for n in range(8)]),
        (Sheet(title="trades 2", fields=[ID]), []),
        (Sheet(title="TRADES", fields=[ID]), [(n,) for n in range(15)]),
    ]

    assert list(sheets_of(workbook(tables))) == [
        *("Trades", "Trades 4", "trades 2"),
        *("TRADES 3", "TRADES 3 2", "TRADES 3 3"),
    ]


@pytest.mark.parametrize(
    ("wanted", "title"),
    [
        ("Trades", "Trades"),
        ("a/b\\c:d*e?f[g]h", "a b c d e f g h"),
        ("  \t'quoted'\n", "quoted"),
        ("", "Export"),
        ("///", "Export"),
        ("History", "History 1"),
        ("x" * 40, "x" * 31),
        ("🙂" * 20, "🙂" * 15),  # 31 UTF-16 units, never half a character
        ("Straße, 日本", "Straße, 日本"),
    ],
)
def test_titles_are_what_excel_takes(wanted: str, title: str) -> None:
    assert sheet_title(wanted, ()) == title


def test_titles_that_differ_only_in_case_or_past_their_end_are_numbered() -> None:
    assert sheet_title("TAGS", ["tags"]) == "TAGS 2"
    assert sheet_title("x" * 40, ["x" * 31, "x" * 29 + " 2"]) == "x" * 29 + " 3"


# Parts that end anywhere


@pytest.mark.usefixtures("small_sheets")
@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 7])
def test_a_file_written_by_many_runs_is_the_same_bytes(chunk_rows: int) -> None:
    whole = render("xlsx", FIELDS, TWENTY_ROWS, chunk_rows=chunk_rows, part_size=1)
    resumed = render("xlsx", FIELDS, TWENTY_ROWS, chunk_rows=chunk_rows, part_size=1, resumed=True)

    assert resumed == whole
    assert sheets_of(whole) == sheets_of(render("xlsx", FIELDS, TWENTY_ROWS))
    assert zipfile.ZipFile(io.BytesIO(resumed)).testzip() is None


def test_a_run_that_goes_on_needs_nothing_but_json() -> None:
    tables = (Sheet(title="A", fields=[ID]), Sheet(title="B", fields=[TEXT]))
    first = xlsx_format.XlsxEncoder([ID], Options(), sheets=tables)
    begun = first.start() + first.write(chunk([ID], [(1,)])) + first.cut()
    state = first.state()

    second = xlsx_format.XlsxEncoder([ID], Options(), state, sheets=tables)
    more = second.write(chunk([ID], [(2,)])) + second.write(chunk([TEXT], [("x",)], 1)) + second.cut()
    third = xlsx_format.XlsxEncoder([ID], Options(), second.state(), sheets=tables)
    data = begun + more + third.write(chunk([TEXT], [("y",)], 1)) + third.finish(4)

    assert sheets_of(data) == {"A": [("Id",), (1,), (2,)], "B": [("Text",), ("x",), ("y",)]}
    assert state == {
        "zip": state["zip"],
        "sheets": [{"title": "A", "table": 0, "rows": 2}],
        "truncated": 0,
    }
    assert state["zip"]["offset"] == len(begun)


def test_cells_that_an_earlier_run_cut_are_counted_on() -> None:
    options = Options(truncate_cells=True)
    long = chunk([TEXT], [("x" * 40_000,)])
    first = xlsx_format.XlsxEncoder([TEXT], options)
    first.start()
    first.write(long)
    first.cut()

    second = xlsx_format.XlsxEncoder([TEXT], options, first.state())
    second.write(long)

    assert second.warnings() == [
        "2 cells were longer than a cell of an XLSX file can be, and cut at 32,767 characters."
    ]


def test_the_last_report_and_the_last_part_carry_the_warnings() -> None:
    encoder = xlsx_format.XlsxEncoder([TEXT], Options(truncate_cells=True))
    sink = MemorySink()
    with sink:
        reports = list(loop.run(OneChunk("x" * 40_000), encoder, sink, part_size=lambda _: 1 << 30))

    sentence = "1 cell was longer than a cell of an XLSX file can be, and cut at 32,767 characters."
    assert [report.warnings for report in reports][-1] == (sentence,)
    assert last_part(reports).state == {"warnings": [sentence]}


class OneChunk:
    """A source of one row with one text."""

    def __init__(self, text: str) -> None:
        self._chunk: Chunk | None = chunk([TEXT], [(text,)])

    def read(self, limit: int) -> Chunk | None:
        given, self._chunk = self._chunk, None
        return given

    def close(self) -> None:
        pass


def last_part(reports: Sequence[Progress]) -> Any:
    return [part for report in reports for part in report.parts][-1]


# The archive


def test_the_archive_is_whole_to_other_readers() -> None:
    stream = ZipStream()
    data = stream.add("a.txt", b"short") + stream.begin("b.txt")
    data += b"".join(stream.write(b"line %d\n" % n) for n in range(1000)) + stream.end() + stream.finish()

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read("a.txt") == b"short"
        assert archive.read("b.txt") == b"".join(b"line %d\n" % n for n in range(1000))
        assert [entry.date_time for entry in archive.infolist()] == [(1980, 1, 1, 0, 0, 0)] * 2
    assert len(data) == stream.offset


def test_the_same_rows_give_the_same_bytes() -> None:
    assert render("xlsx", FIELDS, TWENTY_ROWS) == render("xlsx", FIELDS, TWENTY_ROWS)


def test_a_streamed_file_has_its_sizes_and_crc_behind_it() -> None:
    stream = ZipStream()
    head = stream.begin("a.txt")
    body = stream.write(b"x" * 100)
    end = stream.end()

    assert struct.unpack("<4sLLL", end[-16:]) == (
        *(b"PK\x07\x08", zlib.crc32(b"x" * 100)),
        *(len(body) + len(end) - 16, 100),
    )
    assert head[6:8] == b"\x08\x00"


def test_an_archive_past_4_gib_is_read_by_others() -> None:
    # 5 GiB are said to be there already, as after a cut: no test needs to write them
    opened = {"name": "big.xml", "offset": 0, "streamed": True, "crc32": 7, "size": 5 << 30, "packed": 5 << 30}
    stream = ZipStream.resume({"entries": [], "offset": 5 << 30, "open": opened})
    end = stream.end()
    data = end + stream.add("small.xml", b"behind") + stream.finish()

    assert struct.unpack("<4sLQQ", end[-24:]) == (b"PK\x07\x08", 7, (5 << 30) + len(end) - 24, 5 << 30)
    with zipfile.ZipFile(Tail(data, 5 << 30)) as archive:
        assert archive.getinfo("big.xml").file_size == 5 << 30
        assert archive.getinfo("small.xml").header_offset == (5 << 30) + len(end)
        assert archive.read("small.xml") == b"behind"


def test_zip64_is_not_declared_without_need() -> None:
    data = render("xlsx", FIELDS, TWENTY_ROWS)

    assert b"PK\x06\x06" not in data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.extract_version for entry in archive.infolist()} == {20}


class Tail(io.BytesIO):
    """The end of a long file; its beginning is never looked at."""

    def __init__(self, data: bytes, skipped: int) -> None:
        super().__init__(data)
        self._skipped = skipped

    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset - self._skipped if whence == 0 else offset, whence) + self._skipped

    def tell(self) -> int:
        return super().tell() + self._skipped
