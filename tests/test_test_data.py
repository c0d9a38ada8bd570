"""Rows that Python makes: the same for the same seed, however the file is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from mimesis import Locale
from rest_framework.test import APIClient

from exports_app.models import ExportJob
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.types import Upload
from exports_app.plan import Plan, Request, make_plan
from exportsite.samples.test_data import LOCALES
from tests.jobs import finish, read_object

SCHEMA = {
    "fields": [
        {"name": "number", "type": "integer", "min": -5, "max": 5},
        {"name": "who", "type": "full_name"},
        {"name": "tier", "type": "choice", "values": ["a", "b"], "null_ratio": 0.5},
        {"name": "at", "type": "datetime"},
    ]
}


def plan(user: User, **parameters: Any) -> Plan:
    given = {"rows": 2_500, "seed": 7, "schema": SCHEMA} | parameters
    return make_plan(Request(resource="test_data", parameters=given), user)


def write(plan: Plan, *, part_size: int = 1 << 30, stop_after: int | None = None) -> bytes:
    """The file; with ``stop_after``, the run ends after so many parts and another goes on."""
    store = MemoryStore()
    upload = Upload(key="k", token="t", id="u")
    parts: list[Any] = []
    while True:
        after = parts[-1] if parts else None
        with store.open(upload, content_type="text/csv", on_upload=lambda _: None, after=parts) as sink:
            source = plan.open_source(after=after.cursor if after else None)
            steps = plan.write(source, sink, part_size=lambda _: part_size, after=after)
            for progress in steps:
                parts += progress.parts
                if progress.receipt is not None:
                    return store.objects["k"]
                if stop_after is not None and progress.part_ended and len(parts) == stop_after:
                    stop_after = None
                    sink.detach()
                    steps.close()
                    break


def test_the_first_rows_of_seed_7(alice: User) -> None:
    lines = write(plan(alice)).decode().split("\n")
    assert lines[0] == "Row,number,who,tier,at"
    assert lines[1:3] == [
        "1,4,Sunni Bean,a,2025-09-23T21:40:00.998503+00:00",
        "2,4,Loida Alford,,2025-11-09T05:37:43.34907+00:00",
    ]


def test_the_same_seed_gives_the_same_bytes_however_they_are_cut(alice: User) -> None:
    whole = write(plan(alice))
    assert write(plan(alice)) == whole
    assert write(plan(alice), part_size=10_000) == whole
    assert write(plan(alice), part_size=10_000, stop_after=3) == whole


@pytest.mark.parametrize("other", [{"seed": 8}, {"locale": "de"}, {"schema": {"fields": SCHEMA["fields"][:3]}}])
def test_another_seed_schema_or_language_gives_other_bytes(alice: User, other: Any) -> None:
    assert write(plan(alice, rows=10, **other)) != write(plan(alice, rows=10))


def test_every_language_is_known_to_the_library_that_makes_the_rows() -> None:
    assert set(LOCALES) <= {locale.value for locale in Locale}


def test_more_rows_begin_with_the_same_ones(alice: User) -> None:
    assert write(plan(alice, rows=2_500)).startswith(write(plan(alice, rows=1_700)))


@pytest.mark.django_db(transaction=True)
def test_the_job_keeps_who_asked_and_why(alice: User) -> None:
    prompt = {"ticket": "QA-12", "text": "Some customers with odd names"}
    job = finish(alice, resource="test_data", parameters={"rows": 3, "prompt": prompt}, columns=["row"])
    assert read_object(job) == b"Row\n1\n2\n3\n"
    assert job.context == {"requester": "alice", "prompt": prompt}
    assert (job.parameters["seed"], job.parameters["rows"], job.estimated_rows, job.estimate_exact) == (1, 3, 3, True)
    assert [field["name"] for field in job.parameters["schema"]["fields"]][:2] == ["id", "name"]


@pytest.mark.parametrize(
    ("parameters", "where", "sentence"),
    [
        ({"seeds": 1}, "seeds", "Unknown parameter seeds. Did you mean seed?"),
        ({"seed": "x"}, "seed", "A valid integer is required."),
        ({"rows": 0}, "rows", "Ensure this value is greater than or equal to 1."),
        ({"locale": "tlh"}, "locale", '"tlh" is not a valid choice.'),
        ({"schema": {"fields": []}}, "schema.fields.non_field_errors", "This list may not be empty."),
        ({"schema": {"fields": [{"name": "a", "type": "magic"}]}}, "schema.fields.0.type", '"magic" is not a valid'),
        ({"schema": {"fields": [{"name": "row", "type": "word"}]}}, "schema.fields", "The name row is taken."),
        ({"schema": {"fields": [{"name": "c", "type": "choice"}]}}, "schema.fields.0.values", "A choice needs its val"),
    ],
)
def test_parameters_that_do_not_fit_are_named(api: APIClient, parameters: Any, where: str, sentence: str) -> None:
    response = api.post("/api/v1/exports/", {"resource": "test_data", "parameters": parameters})
    nested: Any = response.json()["errors"]["parameters"]
    for name in where.split("."):
        nested = nested[int(name)] if isinstance(nested, list) else nested[name]
    assert response.status_code == 400
    assert str(nested[0]).startswith(sentence)
    assert ExportJob.objects.count() == 0


@pytest.mark.parametrize("text", ["a\ud800", "a\x00b"])
@pytest.mark.parametrize("field", ["filters", "shared_with", "columns", "options"])
def test_text_that_no_database_stores_is_refused(api: APIClient, text: str, field: str) -> None:
    values = {"filters": {"country_code": text}, "shared_with": [text], "columns": [{"name": "id", "label": text}]}
    body = {"resource": "customers", field: values.get(field, {"delimiter": text})}
    response = api.generic("POST", "/api/v1/exports/", json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert response.json()["errors"][field][0].startswith("The text holds a NUL character")
