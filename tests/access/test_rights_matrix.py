"""Who gets what of a file that is there: scopes of keys, each permission, receivers, and those who were something once.

Of a csv of one table and of a workbook of two; ``rights_matrix`` has the tables, ``world`` the people.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
import requests
from django.db.models.signals import post_save

from exports_app import storage
from exports_app.models import ExportJob
from tests import matrices
from tests.access.rights_matrix import TABLES
from tests.access.test_matrix import answer_to
from tests.access.world import CAST, FORMATS, TRACEBACK, Person, Visit, World, declared

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/exports_app"
Told = Callable[[ExportJob, Any], str]


@pytest.fixture
def silence() -> Iterator[None]:
    """No log: some thousand lines, most of them of refusals."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def world(db: None, silence: None) -> Iterator[World]:
    with declared():
        yield World()
    for job in ExportJob.objects.exclude(file_key=""):
        storage.store().discard_all([job.upload()], seek=True)


# What an answer tells of the export


def by_api(job: ExportJob, told: dict[str, Any]) -> str:
    names = [each["name"] for each in told["columns"]]
    sheets = [each["resource"] for each in told["sheets"]]
    if not told["file_name"]:
        assert (told["resource"], names, sheets, told["snapshots"]) == ("", [], [], [])
        assert (told["row_count"], told["file_size"], told["crc32"], told["download_url"]) == (None,) * 4
        return "state"
    assert told["row_count"] == 2
    return how_much(job, names, bool(sheets), bool(told["snapshots"]))


def by_page(job: ExportJob, html: str) -> str:
    names = re.findall(r'<li title="(\w+)">', html)
    if "groups-" not in html:
        assert (names, "Groups" in html, "Abilities" in html) == ([], False, False)
        return "state"
    return how_much(job, names, "Rows of Abilities" in html, "proof-snapshot" in html)


def how_much(job: ExportJob, names: list[str], has_sheet: bool, has_moments: bool) -> str:
    if (names, has_sheet, has_moments) == (["id", "name"], job.format == "xlsx", True):
        return "all"
    return "part" if names else "bare"


def in_list(job: ExportJob, answer: Any) -> str:
    found = [each for each in answer.json()["results"] if each["id"] == str(job.pk)]
    return by_api(job, found[0]) if found else "no"


def in_home(job: ExportJob, answer: Any) -> str:
    title = re.search(rf'id="open-{job.pk}">([^<]+)<', answer.content.decode())
    return "no" if title is None else {"Groups": "named", "An export": "state"}[title[1]]


def detail(job: ExportJob, answer: Any) -> str:
    return by_api(job, answer.json())


def status(job: ExportJob, answer: Any) -> str:
    told = answer.json()
    return "state" if told["row_count"] is None else str(told["progress"]["total_rows"])


def page(job: ExportJob, answer: Any) -> str:
    return by_page(job, answer.content.decode())


def preset(job: ExportJob, answer: Any) -> str:
    return {2: "all", 1: "part", 0: "bare"}[len(answer.json()["columns"])]


def named(job: ExportJob, answer: Any) -> str:
    return "yes" if str(job.pk) in answer.content.decode() else "no"


def trace(job: ExportJob, answer: Any) -> str:
    return "trace" if TRACEBACK in answer.content.decode() else "yes"


def runs(job: ExportJob, answer: Any) -> str:
    return "yes" if 'class="field-resource">groups<' in answer.content.decode() else "no"


# What is asked for

LOOKS: dict[str, tuple[str, Told | None]] = {
    "list": ("GET /api/v1/exports/", in_list),
    "home": ("GET /exports/?scope=all&page=99", in_home),
    "detail": ("GET /api/v1/exports/{job}/", detail),
    "status": ("GET /api/v1/exports/{job}/status/", status),
    "events": ("GET /api/v1/exports/{job}/events/", None),
    "page": ("GET /exports/{job}/", page),
    "preset": ("GET /api/v1/presets/{preset}/", preset),
    "runs": ("GET /api/v1/exports/performance/", named),
    "admin": (f"GET {ADMIN}/exportjob/", named),
    "change": (f"GET {ADMIN}/exportjob/{{job}}/change/", trace),
    "figures": (f"GET {ADMIN}/exportperformance/", runs),
}
ACTS: dict[str, tuple[str, Any]] = {
    "file": ("GET /api/v1/exports/{job}/download/", None),
    "page": ("GET /exports/{job}/download/", None),
    "token": ("POST /api/v1/exports/{job}/token/", None),
    "link": ("POST /exports/{job}/links/", None),
    "old": ("GET /api/v1/exports/{job}/download/?token={link}", None),
    "share": ("POST /exports/{job}/share/", {"username": "superuser"}),
    "unshare": ("POST /exports/{job}/unshare/", {"username": "receiver"}),
    "leave": ("POST /api/v1/exports/{job}/leave/", None),
    "use": ("POST /api/v1/exports/", None),
    "drop": ("POST /api/v1/presets/{preset}/leave/", None),
    "delete": ("DELETE /api/v1/exports/{job}/", None),
}


def ask(person: Person, line: str, visit: Visit, body: Any = None) -> Any:
    path = line.split()[1].format(job=visit.job.pk, preset=visit.preset.pk, link=visit.link)
    return answer_to(person.cookies, line, path, body, person.headers)


def is_closed(person: Person, line: str) -> bool:
    """No key opens a page: that is tested once, below."""
    return person.headers is not None and "/api/" not in line


def look(person: Person, way: str) -> dict[str, str]:
    """By format; what is no path of one export is asked for once."""
    line, told = LOOKS[way]
    if is_closed(person, line):
        return dict.fromkeys(person.visits, "-")
    if "{" in line:
        answers = {each: ask(person, line, visit) for each, visit in person.visits.items()}
    else:
        answers = dict.fromkeys(person.visits, ask(person, line, person.visits["csv"]))
    return {
        each: told(person.visits[each].job, answer) if told and answer.status_code == 200 else str(answer.status_code)
        for each, answer in answers.items()
    }


def act(person: Person, way: str) -> dict[str, str]:
    """By format."""
    line, body = ACTS[way]
    if is_closed(person, line):
        return dict.fromkeys(person.visits, "-")
    do = {"use": use, "old": follow}.get(way, partial(fetch, line=line, body=body))
    return {each: do(person, visit) for each, visit in person.visits.items()}


def fetch(person: Person, visit: Visit, *, line: str, body: Any = None) -> str:
    """The status; where it leads to a file, that is the one that was made."""
    answer = ask(person, line, visit, body)
    if "X-Amz-Signature" not in answer.get("Location", ""):
        return str(answer.status_code)
    file = requests.get(answer["Location"], timeout=10).content
    assert (len(file), f"{zlib.crc32(file):08x}") == (visit.job.file_size, visit.job.crc32)
    return "file"


def follow(person: Person, visit: Visit) -> str:
    """Use a link as whoever was given it: it needs no login."""
    return fetch(Person({}), visit, line=ACTS["old"][0]) if visit.link else "-"


def use(person: Person, visit: Visit) -> str:
    """Ask for an export by the preset; behind the status, how many tables it has."""
    made: list[ExportJob] = []

    def note(instance: ExportJob, **_: Any) -> None:
        made.append(instance)

    post_save.connect(note, sender=ExportJob)
    try:
        answer = ask(person, ACTS["use"][0], visit, {"preset": str(visit.preset.pk)})
    finally:
        post_save.disconnect(note, sender=ExportJob)
    return ":".join([str(answer.status_code), *(str(len(each.tables or ())) for each in made)])


def rendered(ways: Iterable[str], cells: dict[str, dict[str, dict[str, str]]], format: str) -> str:
    lines = [" " * 31 + " ".join(f"{way:5}" for way in ways)]
    lines += [
        f"{name:31}" + " ".join(f"{row[way][format]:{max(5, len(way))}}" for way in ways) for name, row in cells.items()
    ]
    return "\n".join(line.rstrip() for line in lines)


def of(people: Iterable[str], table: str) -> str:
    """The heading of a table and the lines of these people."""
    heading, *lines = table.strip("\n").splitlines()
    return "\n".join([heading, *(line for line in lines if line[:31].strip() in people)])


def test_who_gets_what_of_a_file(world: World) -> None:
    chosen = matrices.part("tests/access/test_rights_matrix.py::test_who_gets_what_of_a_file", CAST)
    people = {name: CAST[name](world, name) for name in chosen}
    seen = {name: {way: look(each, way) for way in LOOKS} for name, each in people.items()}
    done = {name: {way: act(each, way) for way in ACTS if way != "delete"} for name, each in people.items()}
    for name, each in people.items():  # last, since the storage takes no deletion back
        done[name]["delete"] = act(each, "delete")
    found = {each: (rendered(LOOKS, seen, each), rendered(ACTS, done, each)) for each in FORMATS}
    for format in FORMATS:
        assert found[format] == tuple(of(people, table) for table in TABLES[format])


def test_a_key_opens_no_page(world: World) -> None:
    person = CAST["key: all"](world, "key")
    for line in [each[0] for each in (*LOOKS.values(), *ACTS.values())]:
        if "/api/" not in line:
            answer = ask(person, line, person.visits["csv"])
            assert (answer.status_code, "/login/" in answer["Location"]) == (302, True), line
