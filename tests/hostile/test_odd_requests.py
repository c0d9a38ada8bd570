"""Requests that no page makes: odd methods, headers, names and addresses, each of which could tell or do too much."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from exports_app import downloads, services, storage
from exports_app.choices import EventKind, Status
from exports_app.models import ExportEvent, ExportJob, ExportPreset
from tests.api_keys.making import bearer, make_key
from tests.conftest import make_user
from tests.event_streams import open_stream, run
from tests.jobs import finish, make_job, request
from tests.rights.test_tables_of_a_file import As

pytestmark = pytest.mark.django_db(transaction=True)
NOBODYS = uuid.UUID("0199f0a2-6b1e-4a6e-9f4c-0d7a3c1b2e55")


@pytest.fixture
def as_user() -> As:
    def client(user: User) -> APIClient:
        made = APIClient()
        made.force_authenticate(User.objects.get(pk=user.pk))
        return made

    return client


@pytest.fixture
def foreign(bob: User) -> ExportJob:
    """Bob's, of which Alice may know nothing."""
    return make_job(bob, request_id="req-of-bob", idempotency_key="key-of-bob", ids=[4711])


def paths(resolver: URLResolver | None = None, prefix: str = "/") -> list[str]:
    """Every address of the site's own with ids in it, as Django knows them."""
    found: list[str] = []
    for each in (resolver or get_resolver()).url_patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver) and "admin" not in path:
            found += paths(each, path)
        elif isinstance(each, URLPattern) and "<uuid:id>" in path:
            found.append(path.replace("<str:name>", "x.csv"))
    return found


RANDOM = re.compile(r"[\w+/=-]{22,}")
"""Ids of requests and exports, nonces, tokens of forms."""


def answered(client: Any, method: str, path: str, job_id: uuid.UUID, **extra: Any) -> tuple[int, list[str]]:
    """Status, headers and body, without what is random in every answer."""
    answer = client.generic(method, path.replace("<uuid:id>", str(job_id)), **extra)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    headers = sorted(f"{name}: {value}" for name, value in answer.items() if name not in {"Content-Length", "Expires"})
    return answer.status_code, [RANDOM.sub("X", line) for line in (*headers, *body.decode().splitlines())]


def same(client: Any, method: str, path: str, job: ExportJob, **extra: Any) -> bool:
    """Whether a foreign export is answered as one that does not exist."""
    foreign, nobodys = (answered(client, method, path, each, **extra) for each in (job.pk, NOBODYS))
    assert foreign == nobodys, path
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"])
def test_no_method_tells_a_foreign_export_from_none(alice: User, foreign: ExportJob, method: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    found = paths()
    assert len(found) > 20
    assert all(same(client, method, path, foreign) for path in found)
    foreign.refresh_from_db()
    assert (foreign.status, foreign.deleted_at) == (Status.QUEUED, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"},
        {"HTTP_X_METHOD_OVERRIDE": "DELETE"},
        {"HTTP_X_HTTP_METHOD": "DELETE"},
        {"HTTP_X_ORIGINAL_URL": "/admin/", "HTTP_X_REWRITE_URL": "/admin/"},
        {"HTTP_X_FORWARDED_USER": "admin", "HTTP_REMOTE_USER": "admin", "HTTP_X_REMOTE_USER": "admin"},
    ],
    ids=lambda each: str(min(each)),
)
def test_no_header_makes_a_request_another(api: APIClient, alice: User, headers: dict[str, str]) -> None:
    job = make_job(alice)
    answer = api.post(f"/api/v1/exports/{job.pk}/", {"_method": "DELETE"}, **headers)  # type: ignore[arg-type]
    assert answer.status_code == 405
    answer = api.get(f"/api/v1/exports/{job.pk}/?_method=DELETE", **headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["owner"]) == (200, "alice")
    assert Client().get("/api/v1/exports/", **headers).status_code == 401  # type: ignore[arg-type]
    job.refresh_from_db()
    assert job.deleted_at is None


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_IF_MATCH": "*"},
        {"HTTP_IF_MODIFIED_SINCE": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
    ids=lambda each: str(min(each)),
)
def test_no_condition_tells_a_foreign_export_from_none(
    alice: User, foreign: ExportJob, headers: dict[str, str]
) -> None:
    client = Client()
    client.force_login(alice)
    for path in ("", "status/", "download/", "events/"):
        assert same(client, "GET", f"/api/v1/exports/<uuid:id>/{path}", foreign, **headers)


def test_the_mark_of_one_persons_answer_is_no_answer_to_another(alice: User, bob: User, as_user: As) -> None:
    job = make_job(alice)
    mark = as_user(alice).get(f"/api/v1/exports/{job.pk}/").headers.get("ETag", '"none"')
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/", HTTP_IF_NONE_MATCH=mark).status_code == 404
    own = as_user(bob).get("/api/v1/exports/").headers.get("ETag", '"none"')
    assert as_user(alice).get("/api/v1/exports/", HTTP_IF_NONE_MATCH=own).status_code == 200


@pytest.mark.parametrize("query", ["format=api", "format=html", "format=admin", "format=xml"])
def test_no_browsable_api_is_asked_for_by_query(api: APIClient, alice: User, query: str) -> None:
    job = make_job(alice)
    for path in ("resources/", f"exports/{job.pk}/", "presets/"):
        answer = api.get(f"/api/v1/{path}?{query}")
        assert "html" not in answer.headers["Content-Type"], path


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*;q=0", "text/html,*/*", "../../etc/passwd"])
def test_no_wanted_type_brings_another_page(api: APIClient, alice: User, accept: str) -> None:
    make_job(alice)
    answer = api.get("/api/v1/exports/", HTTP_ACCEPT=accept)
    assert answer.status_code in (200, 406)
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "query", ["ordering=filters", "order_by=owner__password", "sort=-ids", "o=1", "fields=owner", "owner=1"]
)
def test_a_list_is_ordered_and_narrowed_by_nothing_hidden(api: APIClient, alice: User, query: str) -> None:
    make_job(alice)
    for path in ("exports/", "presets/", "webhooks/", "exports/performance/"):
        assert api.get(f"/api/v1/{path}?{query}").status_code == 400, path


@pytest.mark.parametrize(
    "given", ["a\r\nSet-Cookie: x=1", "<script>alert(1)</script>", "x" * 5_000, "\u202e", "req-of-bob"]
)
def test_a_request_id_comes_back_as_no_more_than_a_name(
    api: APIClient, alice: User, foreign: ExportJob, given: str
) -> None:
    answer = api.get("/api/v1/exports/", HTTP_X_REQUEST_ID=given)
    told = answer.headers.get("X-Request-ID", "")
    assert len(told) <= 200
    assert not set("\r\n<>") & set(told)
    assert "Set-Cookie" not in str(answer.headers)
    assert answer.json()["results"] == []


def test_an_id_of_anothers_preset_is_as_good_as_none(alice: User, bob: User, as_user: As) -> None:
    preset = ExportPreset.objects.create(owner=bob, name="Secret", resource="customers", columns=["id"])

    def told(preset_id: Any) -> list[tuple[int, str]]:
        api = as_user(alice)
        path = f"/api/v1/presets/{preset_id}/"
        answers = [
            api.get(path),
            api.patch(path, {"name": "Mine"}, format="json"),
            api.delete(path),
            api.post(f"{path}leave/"),
            api.post("/api/v1/exports/", {"preset": str(preset_id)}, format="json"),
        ]
        return [(each.status_code, each.content.decode().replace(str(preset_id), "ID")) for each in answers]

    assert told(preset.pk) == told(NOBODYS)
    preset.refresh_from_db()
    assert preset.name == "Secret"


def test_an_idempotency_key_is_each_persons_own(alice: User, bob: User) -> None:
    extras = services.Extras(idempotency_key="same")
    his, _ = services.request_export(bob, request(limit=1), extras)
    hers, is_new = services.request_export(alice, request(limit=2), extras)
    assert (is_new, hers.owner_id, hers.pk == his.pk) == (True, alice.pk, False)


def test_a_stream_behind_anothers_last_event_is_ones_own(alice: User, bob: User, foreign: ExportJob) -> None:
    mine = make_job(alice)
    for _ in range(3):
        ExportEvent.objects.create(job=foreign, kind=EventKind.RETRY, data={"detail": "SECRET", "code": "x"})
    last = ExportEvent.objects.create(job=foreign, kind=EventKind.RETRY, data={"detail": "SECRET"}).pk
    told, mine_alone = list[str](), bearer(alice)

    async def main() -> None:
        async with open_stream("/api/v1/exports/events/", {**mine_alone, "last-event-id": "-1"}) as refused:
            assert refused.status == 400
        for known in (0, last - 3, last):
            headers = {**mine_alone, "last-event-id": str(known)}
            async with open_stream("/api/v1/exports/events/", headers) as stream:
                told.append((await stream.next()).data["id"])

    run(main)
    assert set(told) == {str(mine.pk)}


NAMES = ["ali\u0441e", "alice ", "ALICE", "alice\u200b", "\uff41lice", "alice\x00", "alice%00", "alice' OR 1=1 --"]
"""Like Alice's, and not hers: Cyrillic, spaces, other case, zero width, full width."""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_anothers_is_not_theirs(bob: User, alice: User, as_user: As, name: str) -> None:
    job = make_job(bob)
    body = {"resource": "customers", "shared_with": [name], "limit": 1}
    answer = as_user(bob).post("/api/v1/exports/", body, format="json")
    if answer.status_code == 202:  # a field trims what surrounds a name, which is then hers
        assert name.strip() == "alice"
    else:
        assert answer.status_code == 400
        assert ExportJob.shared_with.through.objects.count() == 0
    assert job.shared_with.count() == 0


@pytest.mark.parametrize("query", ["token={}", "key={}", "api_key={}", "access_token={}", "Authorization=Bearer%20{}"])
def test_no_key_is_taken_from_an_address(alice: User, query: str) -> None:
    secret = make_key(alice)
    assert Client().get(f"/api/v1/exports/?{query.format(secret)}").status_code == 401
    client = Client()
    client.cookies["Authorization"] = f"Bearer {secret}"
    assert client.get("/api/v1/exports/").status_code == 401


def test_a_session_from_before_the_sign_in_is_not_the_one_after(alice: User) -> None:
    client = Client()
    session = client.session
    session["planted"] = "by another"
    session.save()
    planted = session.session_key
    assert client.post("/login/", {"username": "alice", "password": "alice"}).status_code == 302
    assert client.session.session_key != planted
    other = Client()
    other.cookies["sessionid"] = str(planted)
    assert other.get("/exports/").status_code == 302


FAR = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
]


@pytest.mark.parametrize("target", FAR)
def test_nothing_leads_off_the_site(alice: User, target: str) -> None:
    client = Client()
    answer = client.post("/login/", {"username": "alice", "password": "alice", "next": target})
    assert "evil" not in answer.headers["Location"]
    assert "javascript" not in answer.headers["Location"]
    job = make_job(alice)
    for path in (f"/exports/{job.pk}/cancel/", f"/exports/{job.pk}/delete/"):
        answer = client.post(path, {"next": target}, HTTP_REFERER=target, HTTP_HX_CURRENT_URL=target)
        told = f"{answer.headers.get('Location', '')} {answer.headers.get('HX-Redirect', '')}"
        assert "evil" not in told
        assert "javascript" not in told


@pytest.mark.parametrize("name", ["a\r\nX: 1.csv", 'a";x="b.csv', "../../etc/passwd", "a\x00.csv", "\u202ecsv.exe"])
def test_a_files_name_stays_a_name_in_its_header(name: str) -> None:
    header = storage.content_disposition(name)
    assert not set("\r\n\x00") & set(header)
    assert header.isascii()
    assert re.fullmatch(
        r"attachment; filename(=\"[^\"\\]*\"|\*=utf-8''[\w.%~-]*)(; filename\*=utf-8''[\w.%~-]*)?", header, re.I
    )


@pytest.mark.parametrize(
    "path",
    [
        "/exports/%2e%2e/admin/",
        "/exports/..%2fadmin/",
        "/exports/%252e%252e/admin/",
        "/api/v1/exports/..;/..;/admin/",
        "/api/v1//exports/",
        "/api/v1/exports/%00/",
        "/static/..%2f..%2fmanage.py",
        "/static/%252e%252e/manage.py",
        "/exports/new/..%2f..%2f..%2fetc%2fpasswd/",
    ],
)
def test_an_address_that_is_written_otherwise_opens_nothing(alice: User, path: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    answer = client.get(path)
    assert answer.status_code in (302, 400, 404)
    assert "Django" not in (b"" if answer.streaming else answer.content).decode()


def test_a_range_of_a_link_takes_the_link_whole(alice: User) -> None:
    job = finish(alice, resource="customers", limit=1)
    link = downloads.make_token(job, alice)
    path = f"/api/v1/exports/{job.pk}/download/"
    answers = [Client().get(path, {"token": link.token}, HTTP_RANGE="bytes=0-0") for _ in range(2)]
    assert [each.status_code for each in answers] == [302, 403]
    services.discard_file(job)


def test_staff_see_no_history_of_what_they_may_not_view(client: Client, foreign: ExportJob) -> None:
    client.force_login(make_user("staff", is_staff=True))
    for path in ("history/", "change/", "delete/", ""):
        for job_id in (foreign.pk, NOBODYS):
            answer = client.get(f"/admin/exports_app/exportjob/{job_id}/{path}", follow=True)
            assert "customers" not in answer.content.decode()
