"""How much one user may ask for, and how large a request may be."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db.models import F
from rest_framework.test import APIClient

from exports_app import conf, services
from exports_app.access import SYSTEM
from exports_app.models import ExportJob
from tests.conftest import OPERATE, VIEW_SAMPLES, make_user

pytestmark = pytest.mark.django_db

EXPORTS = "/api/v1/exports/"


@pytest.fixture(autouse=True)
def two_an_hour(settings: Any) -> None:
    settings.EXPORTS_RATE = "2/hour"
    settings.EXPORTS_MAX_ACTIVE = 0


def ask(api: APIClient, **headers: str) -> Any:
    return api.post(EXPORTS, {"resource": "customers"}, headers=headers)


def age(job: str, seconds: float) -> None:
    ExportJob.objects.filter(pk=job).update(created_at=F("created_at") - timedelta(seconds=seconds))


def test_the_third_export_within_an_hour_is_told_when_it_may_come(api: APIClient) -> None:
    first = ask(api).json()["id"]
    assert ask(api).status_code == 202
    age(first, 3_000)
    refused = ask(api)
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert refused.json()["detail"] == "You asked for 2 exports within one hour, which is all that is allowed."
    assert 595 <= int(refused["Retry-After"]) <= 600
    assert ExportJob.objects.count() == 2
    age(first, int(refused["Retry-After"]))
    assert ask(api).status_code == 202


def test_where_the_limit_was_lowered_enough_must_leave_the_period(api: APIClient, settings: Any) -> None:
    settings.EXPORTS_RATE = "3/hour"
    oldest, second, third = (ask(api).json()["id"] for _ in range(3))
    for job, seconds in ((oldest, 3_000), (second, 2_000), (third, 1_000)):
        age(job, seconds)
    settings.EXPORTS_RATE = "1/hour"
    assert 2_595 <= int(ask(api)["Retry-After"]) <= 2_600  # when the third leaves


def test_deleted_exports_count(api: APIClient) -> None:
    for _ in range(2):
        assert api.delete(ask(api).json()["links"]["self"]).status_code == 204
    assert ask(api).status_code == 429


def test_repeats_of_an_idempotency_key_do_not_count(api: APIClient) -> None:
    assert [ask(api, idempotency_key="k").status_code for _ in range(4)] == [202, 200, 200, 200]
    assert ask(api).status_code == 202
    assert ask(api).status_code == 429
    assert ask(api, idempotency_key="k").status_code == 200


def test_what_was_refused_does_not_count(api: APIClient) -> None:
    for _ in range(3):
        assert api.post(EXPORTS, {"resource": "nothing"}).status_code == 400
    assert ask(api).status_code == 202


def test_each_user_has_a_count_of_their_own(api: APIClient, bob: User) -> None:
    assert [ask(api).status_code for _ in range(3)] == [202, 202, 429]
    api.force_authenticate(bob)
    assert ask(api).status_code == 202


@pytest.mark.parametrize(("permissions", "limited"), [(("unlimited",), False), (OPERATE, True)])
def test_a_permission_exempts_from_the_limits_and_staff_is_not_exempt(
    api: APIClient, permissions: tuple[str, ...], limited: bool
) -> None:
    api.force_authenticate(make_user("dora", permissions=(*VIEW_SAMPLES, *permissions), is_staff=True))
    assert [ask(api).status_code for _ in range(3)] == [202, 202, 429 if limited else 202]


def test_a_retry_counts_as_a_request(api: APIClient) -> None:
    links = [ask(api).json()["links"] for _ in range(2)]
    assert [api.post(each["cancel"]).status_code for each in links] == [200, 200]
    refused = api.post(f"{links[0]['self']}retry/")
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")


def test_each_retry_counts_towards_the_next_request(api: APIClient) -> None:
    links = ask(api).json()["links"]
    answers = []
    for _ in range(3):
        assert api.post(links["cancel"]).status_code in (200, 409)
        answers.append(api.post(f"{links['self']}retry/").status_code)
    assert answers == [200, 429, 429]
    assert ask(api).status_code == 429


def test_an_empty_rate_is_no_limit(api: APIClient, settings: Any) -> None:
    settings.EXPORTS_RATE = ""
    assert {ask(api).status_code for _ in range(12)} == {202}


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [("5/second", 5, 1), ("1/minute", 1, 60), ("10/hour", 10, 3_600), ("200/day", 200, 86_400)],
)
def test_a_rate_is_a_number_in_a_period(text: str, count: int, seconds: int) -> None:
    rate = conf.parse_rate(text)
    assert rate is not None
    assert (rate.count, rate.seconds) == (count, seconds)


@pytest.mark.parametrize("text", ["10", "0/hour", "-1/hour", "10/week", "ten/hour", "10 / hour", "10/hour\n"])
def test_a_rate_that_is_none_is_refused_by_name(text: str, settings: Any) -> None:
    with pytest.raises(ValueError, match=r"EXPORTS_RATE is '.*'\. Give a number of 1 or more and a period"):
        conf.parse_rate(text)
    settings.EXPORTS_RATE = text
    assert [problem.id for problem in run_checks(tags=["exports"])] == ["exports.E010"]


def test_a_site_with_a_wrong_rate_does_not_start() -> None:
    started = subprocess.run(
        [sys.executable, "-c", "import exportsite.settings"],
        env=os.environ | {"EXPORTS_RATE": "10/week"},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 1
    assert "EXPORTS_RATE is '10/week'." in started.stderr


def test_active_exports_are_counted_apart(api: APIClient, settings: Any) -> None:
    settings.EXPORTS_MAX_ACTIVE = 1
    job = ask(api).json()
    assert ask(api).json()["detail"].startswith("You have 1 exports queued or running; 1 are allowed at once.")
    services.cancel_export(ExportJob.objects.get(pk=job["id"]), by=SYSTEM)
    assert ask(api).status_code == 202


def test_a_retry_is_one_more_active_export(api: APIClient, settings: Any) -> None:
    settings.EXPORTS_RATE, settings.EXPORTS_MAX_ACTIVE = "", 1
    first = ask(api).json()["links"]
    assert api.post(first["cancel"]).status_code == 200
    second = ask(api).json()["links"]
    refused = api.post(f"{first['self']}retry/")
    assert (refused.status_code, refused["Retry-After"]) == (429, "10")
    assert api.get(first["self"]).json()["status"] == "cancelled"
    assert api.post(second["cancel"]).status_code == 200
    assert api.post(f"{first['self']}retry/").status_code == 200
    api.force_authenticate(make_user("dora", permissions=(*OPERATE, "unlimited")))
    assert api.post(f"{second['self']}retry/").status_code == 200


def test_a_body_past_the_limit_is_refused_unread(api: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    fitting = '{"resource": "customers"}'.ljust(1_000)
    assert api.post(EXPORTS, fitting, content_type="application/json").status_code == 202
    refused = api.post(EXPORTS, fitting + " ", content_type="application/json")
    assert (refused.status_code, refused.json()) == (
        413,
        {"code": "too_large", "detail": "The request has more than 1,000 bytes."},
    )
    assert ExportJob.objects.count() == 1


def test_a_page_has_200_exports_at_most(api: APIClient, alice: User) -> None:
    ExportJob.objects.bulk_create([ExportJob(owner=alice, resource="customers", format="csv") for _ in range(201)])
    assert len(api.get(f"{EXPORTS}?page_size=1000").json()["results"]) == 200
