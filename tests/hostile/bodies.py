"""Bodies of up to 1 MiB, made to cost much: each is a request that anybody who signed in may send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

MIB = 1_048_576
NEAR = "registered_at"
"""A name that every unknown one below is like, so that the nearest known one is long looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One request, and the status that it gets."""

    name: str
    path: str
    body: bytes
    status: int = 400
    content_type: str = "application/json"


def filled(begin: str, item: Callable[[int], str], end: str) -> bytes:
    """``begin``, as many items with commas between them as fit into 1 MiB, and ``end``."""
    room, items = MIB - len(begin) - len(end), []
    for number in count():
        text = item(number)
        room -= len(text) + 1
        if room < 0:
            break
        items.append(text)
    return (begin + ",".join(items) + end).encode()


def _within(field: str, opening: str, item: Callable[[int], str], closing: str, **more: Any) -> bytes:
    start = json.dumps({"resource": "customers", **more})[:-1]
    return filled(f'{start}, "{field}": {opening}', item, f"{closing}}}")


def _names(number: int) -> str:
    return f'"{NEAR[:-5]}{number}"'


def _pairs(number: int) -> str:
    return f'"{NEAR[:-5]}{number}":1'


EXPORTS, PRESETS, WEBHOOKS = "/api/v1/exports/", "/api/v1/presets/", "/api/v1/webhooks/"
LONG = "x" * (MIB - 200)


def _export(name: str, body: bytes) -> Hostile:
    return Hostile(name=name, path=EXPORTS, body=body)


def _many() -> Iterator[Hostile]:
    """A great deal of one thing."""
    yield _export("unknown fields", filled("{", _pairs, "}"))
    yield _export("columns that are empty objects", _within("columns", "[", lambda _: "{}", "]"))
    yield _export("unknown columns", _within("columns", "[", _names, "]"))
    yield _export("columns that are numbers", _within("columns", "[", lambda _: "1", "]"))
    yield _export("the same column", _within("columns", "[", lambda _: '"id"', "]"))
    yield _export("unknown filters", _within("filters", "{", _pairs, "}"))
    yield _export("values of one filter", _within("filters", '{"country_code": [', lambda n: f'"{n}"', "]}"))
    yield _export("a filter of empty objects", _within("filters", '{"country_code": [', lambda _: "{}", "]}"))
    yield _export(
        "values of a filter of rows",
        filled('{"resource": "transactions", "filters": {"account": [', lambda n: f'"A{n}"', "]}}"),
    )
    yield _export("ids", _within("ids", "[", str, "]"))
    yield _export("ids that are empty lists", _within("ids", "[", lambda _: "[]", "]"))
    yield _export("unknown options", _within("options", "{", _pairs, "}"))
    yield _export("unknown sheets", _within("sheets", "[", _names, "]"))
    yield _export("people to share with", _within("shared_with", "[", _names, "]"))
    yield _export("unknown parameters", _within("parameters", "{", _pairs, "}"))


def _long() -> Iterator[Hostile]:
    """One thing that is deep, long, or no text."""
    yield _export("lists in lists", b"[" * MIB)
    yield _export("objects in objects", b'{"a":' * (MIB // 5))
    yield _export("empty lists", filled("[", lambda _: "[]", "]"))
    yield _export("empty objects below a name", filled('{"a": [', lambda _: "{}", "]}"))
    yield _export("one long name", json.dumps({LONG: 1}).encode())
    yield _export("a long resource", json.dumps({"resource": LONG}).encode())
    yield _export("a long column", json.dumps({"resource": "customers", "columns": [LONG]}).encode())
    yield _export(
        "a long label", json.dumps({"resource": "customers", "columns": [{"name": "id", "label": LONG}]}).encode()
    )
    yield _export("a long filter", json.dumps({"resource": "customers", "filters": {"country_code": LONG}}).encode())
    yield _export("a long option", json.dumps({"resource": "customers", "options": {"timezone": LONG}}).encode())
    yield _export("a long number", b'{"resource": "customers", "limit": ' + b"9" * (MIB - 100) + b"}")
    yield _export("NUL characters", _within("options", '{"timezone": "', lambda _: "\\u0000", '"}'))
    yield _export("half surrogate pairs", _within("columns", "[", lambda _: '"\\ud800"', "]"))
    yield _export("no JSON", b"x" * MIB)


def _elsewhere() -> Iterator[Hostile]:
    """To other paths."""
    yield Hostile(
        name="unknown columns of an estimate",
        path="/api/v1/resources/customers/estimate/",
        body=filled('{"columns": [', _names, "]}"),
    )
    yield Hostile(
        name="a preset of unknown filters",
        path=PRESETS,
        body=filled('{"name": "x", "resource": "customers", "filters": {', _pairs, "}}"),
        status=413,
    )
    yield Hostile(name="a preset with a long name", path=PRESETS, body=json.dumps({"name": LONG}).encode(), status=413)
    yield Hostile(
        name="a webhook with a long address",
        path=WEBHOOKS,
        body=json.dumps({"url": f"https://example.com/{LONG}", "events": ["export.completed"]}).encode(),
        status=413,
    )
    yield Hostile(
        name="a webhook of many events",
        path=WEBHOOKS,
        body=filled('{"url": "https://example.com/", "events": [', lambda _: '"x"', "]}"),
        status=413,
    )


FORM = "application/x-www-form-urlencoded"
NEW = "/exports/new/customers/"


def _forms() -> Iterator[Hostile]:
    def form(name: str, path: str, body: bytes, status: int = 400) -> Hostile:
        return Hostile(name=name, path=path, body=body, status=status, content_type=FORM)

    yield form("a form of many fields", NEW, b"a=1&" * (MIB // 4))
    yield form("a form with long values", NEW, b"&".join(b"columns=" + b"x" * 1_030 for _ in range(999)))
    yield form("a form with one long value", NEW, b"format=" + b"x" * (MIB - 7))
    yield form("a form with a long search", NEW, b"format=csv&country_code=" + b"x" * (MIB - 30))
    yield form("a preview of many columns", f"{NEW}preview/", b"&".join(b"columns=%d" % n for n in range(999)), 200)
    yield form("a preview with a long value", f"{NEW}preview/", b"format=" + b"x" * (MIB - 7))


BODIES = [*_many(), *_long(), *_elsewhere(), *_forms()]
