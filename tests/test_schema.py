"""The API against its own schema: schemathesis makes up requests, and no answer may be an error or off the schema.

A few for each endpoint and a few sequences, always the same ones. `make fuzz` asks the whole stack, workers included,
for longer; `SCHEMA_EXAMPLES=200` asks more here.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

import tests.schema_hooks  # noqa: F401 - registers itself
from tests.api_keys.making import make_key

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "3"))
"""Requests for each endpoint, and sequences of requests."""
CONFIG = Path(__file__).parents[1] / "schemathesis.toml"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@pytest.fixture
def described(alice: User, bob: User, settings: Any, live_server: LiveServer) -> Any:
    """The schema as the site serves it, with Alice's token for whoever needs one."""
    settings.EXPORTS_MAX_ACTIVE, settings.EXPORTS_RATE, settings.EXPORTS_METRICS_TOKEN = 0, "", "scrape-me"
    call_command("load_samples", rows=20, verbosity=0)
    token = make_key(alice)
    with CONFIG.open("rb") as file:
        config = tomllib.load(file) | {
            "seed": 20_261_122,
            "continue-on-failure": True,
            "headers": {"Authorization": f"Bearer {token}"},
            "generation": {"max-examples": EXAMPLES},
            "phases": {"coverage": {"enabled": EXAMPLES > 50}},  # thousands of requests by itself
        }
    return schemathesis.openapi.from_url(
        f"{live_server.url}/api/schema/",
        config=SchemathesisConfig.from_dict(config),
        headers={"Authorization": f"Bearer {token}"},
    )


def test_no_answer_is_an_error_or_off_the_schema(described: Any) -> None:
    asked: set[str] = set()
    failures: list[str] = []
    for event in from_schema(described).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures.append(str(event))
        if isinstance(event, events.ScenarioFinished):
            asked |= {case.value.operation.label for case in event.recorder.cases.values()}
            failures += wrong(event)
    assert not failures, "\n\n".join(failures)
    every = {result.ok().label for result in described.get_all_operations()}
    assert asked == {label for label in every if not label.endswith("/events/")}


def wrong(event: events.ScenarioFinished) -> Iterator[str]:
    """What a scenario found, with the request that shows it."""
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.status == Status.FAILURE and check.failure_info is not None:
                found = check.failure_info
                yield f"{check.name}: {found.failure.title}\n{found.failure.message}\n{found.code_sample}"
