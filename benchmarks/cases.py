"""One case in a process of its own: ``python -m benchmarks.cases NAME ROWS`` prints seconds and memory as JSON.

Seconds are those of the work, without the interpreter's start and the loading of libraries; memory is the process's
peak, and by how much that is above what it had before the case's libraries were loaded: what a worker grows by.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.table import fields, plain_select, query

NULL = "/dev/null"
Case = Callable[[int], int | None]
"""Takes the number of rows; gives the bytes of the file where it counts them."""


def ours(format_name: str, *, gzip: bool = False, s3: bool = False, **options_given: Any) -> Case:
    """The engine's own path: source, encoder, loop, sink."""
    from exports_app.pipeline import loop
    from exports_app.pipeline.formats import get_format
    from exports_app.pipeline.formats.gzip import GzipEncoder
    from exports_app.pipeline.parts import part_size
    from exports_app.pipeline.sinks.stream import StreamSink
    from exports_app.pipeline.sources.counting import RowCounter
    from exports_app.pipeline.sources.sql import SqlSource
    from exports_app.pipeline.types import Options

    format_, options = get_format(format_name), Options(**options_given)
    encoder = format_.encoder(fields(), options, None)
    store = bucket() if s3 else None

    def run(rows: int) -> int:
        connect = partial(psycopg.connect, os.environ["DATABASE_URL"])
        source = SqlSource(connect(), query(rows), format_.sql(fields(), options), connect=connect)
        counter = RowCounter(source.countable(), [None])
        used = GzipEncoder(encoder) if gzip else encoder
        with Path(NULL).open("wb") as file, store() if store else StreamSink(file) as sink:
            for progress in loop.run(source, used, sink, part_size=part_size, verify=counter.verify):
                assert progress.rows <= rows
            assert progress.rows == rows
        counter.close()
        assert counter.verified
        return progress.bytes

    return run


def bucket() -> Callable[[], Any]:
    """Opens a sink in the stack's S3."""
    import boto3

    from exports_app.pipeline.sinks.s3 import S3Store, client_config
    from exports_app.pipeline.types import Upload

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], config=client_config())
    store = S3Store(client, os.environ["EXPORTS_S3_BUCKET"])
    token = secrets.token_hex(8)
    upload = Upload(key=f"bench/{token}", token=token)
    return lambda: store.open(upload, content_type="text/csv", on_upload=lambda _: None)


def psycopg_csv(rows: int) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor("bench") as cursor:
        cursor.itersize = 10_000
        cursor.execute(plain_select(rows).encode())
        with Path(NULL).open("w") as file:
            csv.writer(file).writerows(cursor)


def django_rows() -> Any:
    """The table as a model."""
    import dj_database_url
    import django
    from django.conf import settings

    settings.configure(DATABASES={"default": dj_database_url.config()}, INSTALLED_APPS=["import_export"], USE_TZ=True)
    django.setup()
    from benchmarks.model import Bench

    return Bench


def values_list(model: Any) -> Case:
    def run(rows: int) -> None:
        with Path(NULL).open("w") as file:
            writer = csv.writer(file)
            found = model.objects.filter(pk__lte=rows).order_by("pk").values_list()
            writer.writerows(found.iterator(chunk_size=10_000))

    return run


def import_export(model: Any, kind: str) -> Case:
    from import_export import resources

    def run(rows: int) -> None:
        made = resources.modelresource_factory(model)().export(model.objects.filter(pk__lte=rows).order_by("pk"))
        content = made.export(kind)
        Path(NULL).write_bytes(content if isinstance(content, bytes) else content.encode())

    return run


def plain_rows(rows: int) -> Any:
    """Rows for the workbook writers, with the values they can hold."""
    connection = psycopg.connect(os.environ["DATABASE_URL"])
    select = plain_select(rows).replace("code,", "code::text,").replace("booked_at,", "booked_at AT TIME ZONE 'UTC',")
    cursor = connection.cursor("bench")
    cursor.itersize = 10_000
    cursor.execute(select.encode())
    return cursor


def openpyxl_rows(rows: int) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in plain_rows(rows):
        sheet.append(row)
    book.save(NULL)


def xlsxwriter_rows(rows: int) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook("bench.xlsx", {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"})
    sheet = book.add_worksheet()
    for number, row in enumerate(plain_rows(rows)):
        sheet.write_row(number, 0, row)
    book.close()
    Path("bench.xlsx").unlink()


def adbc_csv(rows: int) -> None:
    import pyarrow
    from adbc_driver_postgresql import dbapi
    from pyarrow import csv as arrow_csv

    with dbapi.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(plain_select(rows).replace("code,", "code::text,"))
        reader = cursor.fetch_record_batch()
        # numeric comes as an opaque type over text, which the writer does not know
        kinds = [getattr(kind, "storage_type", kind) for kind in reader.schema.types]
        schema = pyarrow.schema(zip(reader.schema.names, kinds, strict=True))
        with arrow_csv.CSVWriter(NULL, schema) as writer:
            for batch in reader:
                columns = [getattr(column, "storage", column) for column in batch.columns]
                writer.write_batch(pyarrow.RecordBatch.from_arrays(columns, schema=schema))


def polars_parquet(rows: int) -> None:
    import polars

    frame = polars.read_database_uri(plain_select(rows), os.environ["DATABASE_URL"], engine="adbc")
    frame.write_parquet(NULL)


CASES: dict[str, Callable[[], Case]] = {
    "csv": lambda: ours("csv"),
    "csv, guard off": lambda: ours("csv", escape_formulas=False),
    "csv.gz": lambda: ours("csv", gzip=True),
    "csv, German": lambda: ours("csv", locale="de", timezone="Europe/Berlin", delimiter=";"),
    "ndjson": lambda: ours("ndjson"),
    "ndjson.gz": lambda: ours("ndjson", gzip=True),
    "json": lambda: ours("json"),
    "json.gz": lambda: ours("json", gzip=True),
    "xlsx": lambda: ours("xlsx"),
    "parquet": lambda: ours("parquet"),
    "csv to S3": lambda: ours("csv", s3=True),
    "csv.gz to S3": lambda: ours("csv", gzip=True, s3=True),
    "xlsx to S3": lambda: ours("xlsx", s3=True),
    "psycopg rows + csv.writer": lambda: psycopg_csv,
    "Django values_list + csv.writer": lambda: values_list(django_rows()),
    "django-import-export csv": lambda: import_export(django_rows(), "csv"),
    "django-import-export xlsx": lambda: import_export(django_rows(), "xlsx"),
    "openpyxl write-only": lambda: openpyxl_rows,
    "XlsxWriter constant_memory": lambda: xlsxwriter_rows,
    "ADBC + pyarrow csv": lambda: adbc_csv,
    "polars (ADBC) parquet": lambda: polars_parquet,
}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    name, rows = sys.argv[1], int(sys.argv[2])
    idle = peak_mb()
    run = CASES[name]()
    if name != "polars (ADBC) parquet" and not name.startswith("django"):
        run(1)  # everything is loaded before the clock starts
        run = CASES[name]() if "Django" not in name else run
    began = time.perf_counter()
    size = run(rows)
    seconds = time.perf_counter() - began
    found = {"seconds": seconds, "peak_mb": peak_mb(), "growth_mb": peak_mb() - idle}
    print(json.dumps(found | {"file_mb": size and size / 1e6}))


if __name__ == "__main__":
    main()
