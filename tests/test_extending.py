"""The walk through a new format in docs/extending.md, taken as it stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from django.contrib.auth.models import Group, User

from exports_app.pipeline import formats
from exports_app.resources import Resource, register, registry
from tests.jobs import finish, read_object
from tests.rendering import render, render_python

DOCUMENT = Path(__file__).parent.parent / "docs" / "extending.md"


@pytest.fixture
def markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's file and its line in the registry."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    source = next(block for block in blocks if "MarkdownEncoder" in block)
    module = ModuleType("example_markdown")
    exec(compile(source, str(DOCUMENT), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(formats.FORMATS, "markdown", module.__name__)


@pytest.fixture
def groups(transactional_db: None) -> Iterator[None]:
    register("groups")(type("Groups", (Resource,), {"model": Group}))
    Group.objects.create(name="a|b\\c\td")
    Group.objects.create(name="")
    yield
    registry.unregister("groups")


def test_a_new_format_is_one_file_and_one_line(alice: User, groups: None, markdown: None) -> None:
    job = finish(alice, resource="groups", format="markdown", columns=["name"])
    assert job.file_name.endswith(".md")
    assert read_object(job) == b"| Name |\n|---|\n| a/b\\c d |\n|  |\n"


def test_its_two_renderings_agree(markdown: None) -> None:
    from exports_app.pipeline.types import Field, Kind

    fields = [Field(name="t", label="T", kind=Kind.TEXT), Field(name="n", label="N", kind=Kind.INTEGER)]
    rows = [("x\ny|z", 1), (None, None), ("é \\ 😀", -3)]
    query = "SELECT t, n, k FROM (VALUES (1, E'x\\ny|z', 1), (2, NULL, NULL), (3, E'é \\\\ 😀', -3)) AS v(k, t, n)"
    assert render("markdown", fields, query) == render_python("markdown", fields, rows)
