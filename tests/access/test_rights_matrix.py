"""Who gets what of a file that is there: scopes of keys, each permission, receivers, and those who were something once.

For a csv of one table and a workbook of two; see ``rights_matrix`` for the tables and ``world`` for the people.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from exports_app import orphans
from exports_app.models import ExportJob
from tests.access.rights_matrix import DONE, SEEN, rows
from tests.access.test_matrix import answer_to
from tests.access.world import CAST, TRACEBACK, Person, World, declared

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/exports_app/"


@pytest.fixture(params=["csv", "xlsx"])
def world(request: pytest.FixtureRequest, db: None) -> Iterator[World]:
    with declared():
        yield World(request.param)
        for job in ExportJob.objects.exclude(file_key=""):
            orphans.discard_all(job.upload())


def ask(person: Person, line: str, body: Any = None) -> Any:
    path = line.split()[1].format(job=person.job.pk, preset=person.preset.pk, link=person.link)
    return answer_to(person.cookies, line, path, body, person.headers)


# What an answer tells


def told_by_api(told: dict[str, Any], format: str) -> str:
    """Of an export: all that there is, a part, figures without what they are of, the state alone."""
    names = [each["name"] for each in told["columns"]]
    sheets = [each["resource"] for each in told["sheets"]]
    if not told["file_name"]:
        assert (told["resource"], names, sheets, told["snapshots"]) == ("", [], [], [])
        assert (told["row_count"], told["file_size"], told["crc32"], told["download_url"]) == (None,) * 4
        return "state"
    assert told["row_count"] == 2
    assert told["progress"]["total_rows"] >= 2
    whole = (["id", "name"], ["abilities"] if format == "xlsx" else [], 1)
    if (names, sheets, len(told["snapshots"])) == whole:
        return "whole"
    return "part" if names else "figures"


def told_by_page(html: str, format: str) -> str:
    """The same of the page."""
    names = re.findall(r'<li title="(\w+)">', html)
    if "groups-" not in html:
        assert (names, "Groups" in html, "Abilities" in html) == ([], False, False)
        return "state"
    whole = (["id", "name"], format == "xlsx", True)
    if (names, "Rows of Abilities" in html, "proof-snapshot" in html) == whole:
        return "whole"
    return "part" if names else "figures"


def in_list(person: Person, format: str, answer: Any) -> str:
    found = [each for each in answer.json()["results"] if each["id"] == str(person.job.pk)]
    return told_by_api(found[0], format) if found else "none"


def in_home(person: Person, format: str, answer: Any) -> str:
    html = answer.content.decode()
    if f'data-id="{person.job.pk}"' not in html:
        return "none"
    return "named" if f'id="open-{person.job.pk}">Groups<' in html else "state"


def detail(person: Person, format: str, answer: Any) -> str:
    return told_by_api(answer.json(), format)


def status(person: Person, format: str, answer: Any) -> str:
    return "state" if answer.json()["row_count"] is None else "figures"


def page(person: Person, format: str, answer: Any) -> str:
    return told_by_page(answer.content.decode(), format)


def preset(person: Person, format: str, answer: Any) -> str:
    return {2: "whole", 1: "part", 0: "bare"}[len(answer.json()["columns"])]


def figures(person: Person, format: str, answer: Any) -> str:
    return "shown" if str(person.job.pk) in answer.content.decode() else "none"


def runs(person: Person, format: str, answer: Any) -> str:
    return "shown" if "groups" in answer.content.decode() else "none"


def change_page(person: Person, format: str, answer: Any) -> str:
    return "trace" if TRACEBACK in answer.content.decode() else "shown"


def used(person: Person, format: str, answer: Any) -> str:
    """How many tables the new export has."""
    return f"{answer.status_code}:{answer.json().get('tables', '')}"


Reading = Callable[[Person, str, Any], str]
LOOKS: dict[str, tuple[str, Reading | None]] = {
    "list": ("GET /api/v1/exports/", in_list),
    "home": ("GET /exports/?scope=all", in_home),
    "detail": ("GET /api/v1/exports/{job}/", detail),
    "status": ("GET /api/v1/exports/{job}/status/", status),
    "events": ("GET /api/v1/exports/{job}/events/", None),
    "page": ("GET /exports/{job}/", page),
    "progress": ("GET /exports/{job}/progress/", page),
    "preset": ("GET /api/v1/presets/{preset}/", preset),
    "figures": ("GET /api/v1/exports/performance/", figures),
    "metrics": ("GET /metrics", None),
    "admin": (f"GET {ADMIN}exportjob/", figures),
    "one": (f"GET {ADMIN}exportjob/{{job}}/change/", change_page),
    "runs": (f"GET {ADMIN}exportperformance/", runs),
}
ACTS: dict[str, tuple[str, Any]] = {
    "file": ("GET /api/v1/exports/{job}/download/", None),
    "page": ("GET /exports/{job}/download/", None),
    "token": ("POST /api/v1/exports/{job}/token/", None),
    "link": ("POST /exports/{job}/links/", None),
    "old": ("GET /api/v1/exports/{job}/download/?token={link}", None),
    "fetched": ("GET /api/v1/exports/{job}/downloads/", None),
    "end": ("DELETE /api/v1/exports/{job}/token/", None),
    "share": ("POST /exports/{job}/share/", {"username": "superuser"}),
    "unshare": ("POST /exports/{job}/unshare/", {"username": "receiver"}),
    "leave": ("POST /api/v1/exports/{job}/leave/", None),
    "cancel": ("POST /api/v1/exports/{job}/cancel/", None),
    "retry": ("POST /api/v1/exports/{job}/retry/", None),
    "use": ("POST /api/v1/exports/", "preset"),
    "drop": ("POST /api/v1/presets/{preset}/leave/", None),
    "delete": ("DELETE /api/v1/exports/{job}/", None),
}


def look(person: Person, format: str, name: str) -> str:
    line, reading = LOOKS[name]
    answer = ask(person, line)
    return reading(person, format, answer) if reading and answer.status_code == 200 else str(answer.status_code)


def act(person: Person, name: str) -> str:
    """The status; a file that is given out is the one that was made."""
    line, body = ACTS[name]
    if name == "old" and not person.link:
        return "-"
    answer = ask(person, line, {"preset": str(person.preset.pk)} if body == "preset" else body)
    if name in ("file", "page", "old") and answer.status_code == 302 and "/login/" not in answer["Location"]:
        body = requests.get(answer["Location"], timeout=10).content
        assert f"{zlib.crc32(body):08x}" == person.job.crc32
        return "file"
    if name == "use" and answer.status_code == 202:
        return f"{len(answer.json()['id']) and 202}"
    return str(answer.status_code)


def test_print(world: World) -> None:
    people = {name: make(world, name) for name, make in CAST.items()}
    print(world.format, " ".join(LOOKS))
    for name, each in people.items():
        print(f"{name:30}", " ".join(f"{look(each, world.format, way):7}" for way in LOOKS))
    print(world.format, " ".join(ACTS))
    for name, each in people.items():
        print(f"{name:30}", " ".join(f"{act(each, way):7}" for way in list(ACTS)[:-1]))
    for name, each in people.items():
        print(f"{name:30}", act(each, "delete"))
