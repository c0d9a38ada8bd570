"""Server-sent events as a client sees them: the beginning, what follows, the end, and who may look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from exports_app import lifecycle, live, services
from exports_app.api import events, hub, moments
from exports_app.choices import EventKind, Status
from exports_app.models import ApiKey, ExportJob
from exports_app.plan import Request
from tests.api_keys.making import make_key
from tests.event_streams import in_thread, open_stream, run
from workers import run as worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(alice: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_key(alice)}"}


def make_job(owner: User, **values: Any) -> ExportJob:
    """A queued job as a request leaves it."""
    job = ExportJob.objects.create(owner=owner, resource="customers", format="csv", file_name="c.csv", **values)
    lifecycle.record_event(job.pk, EventKind.QUEUED, {})
    return job


def path_of(job: ExportJob) -> str:
    return f"/api/v1/exports/{job.pk}/events/"


def polled(owner: User, job: ExportJob) -> dict[str, Any]:
    client = APIClient()
    client.force_authenticate(owner)
    answer: dict[str, Any] = client.get(f"/api/v1/exports/{job.pk}/status/").json()
    return answer


def without_frame(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("type", "at")}


def claim() -> ExportJob:
    job = lifecycle.claim_next("exports", "test")
    assert job is not None
    return job


def test_a_stream_tells_an_export_from_the_queue_to_the_file(alice: User, token: dict[str, str]) -> None:
    call_command("load_samples", rows=50, verbosity=0)
    job, _ = services.request_export(alice, Request(resource="customers", limit=20))

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            assert stream.status == 200
            assert stream.headers["content-type"] == "text/event-stream"
            assert (stream.headers["cache-control"], stream.headers["x-accel-buffering"]) == ("no-store", "no")
            first = await stream.next()
            assert stream.body.startswith(b"retry: 2000\n\n")
            assert (first.type, first.status, first.data["progress"]["queue_position"]) == ("snapshot", "queued", 1)
            assert await in_thread(lambda: worker.run_next("exports")) is None
            seen = [first, *await stream.rest()]
            told = [(each.type, each.status) for each in seen if each.type != "progress"]
            assert told == [("snapshot", "queued"), ("status", "running"), ("done", "completed")]
            assert [each.data["type"] for each in seen] == [each.type for each in seen]
            numbers = [int(each.id or 0) for each in seen]
            assert numbers == sorted(numbers)
            assert without_frame(seen[-1].data) == await in_thread(lambda: polled(alice, job))
            assert set(seen[-1].data) - set(without_frame(seen[-1].data)) == {"type", "at"}

    run(main)


def test_progress_comes_as_it_is_published_without_a_word_in_the_row(alice: User, token: dict[str, str]) -> None:
    make_job(alice, estimated_rows=1_000, estimate_exact=True)
    job = claim()

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            await stream.next()
            reporter = live.Reporter(job.pk, job.claim)
            await in_thread(lambda: reporter.report(rows=250, bytes=5_000, rows_per_second=125.0))
            progress = (await stream.past("progress")).data["progress"]
            assert (progress["percent"], progress["rows"], progress["eta_seconds"]) == (25.0, 250, 6.0)
            await in_thread(lambda: live.Reporter(job.pk, job.claim - 1).report(rows=9, bytes=9, rows_per_second=9.0))
            await in_thread(lambda: live.Reporter(job.pk, job.claim).report(rows=500, bytes=1, rows_per_second=125.0))
            assert (await stream.past("progress")).data["progress"]["rows"] == 500  # nothing of the replaced run

    run(main)


def test_who_comes_back_hears_what_was_missed_in_order(alice: User, token: dict[str, str]) -> None:
    job = make_job(alice)

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            seen = (await stream.next()).id
        taken = await in_thread(claim)
        away = {"code": "storage_unavailable", "detail": "The file storage is away.", "counts": True}
        await in_thread(lambda: lifecycle.retry_later(taken, delay=0.0, **away))  # type: ignore[arg-type]
        again = await in_thread(claim)
        async with open_stream(path_of(job), {**token, "Last-Event-ID": str(seen)}) as stream:
            told = [await stream.next() for _ in range(4)]
            assert [(each.type, each.status) for each in told] == [
                ("snapshot", "running"),
                ("status", "running"),
                ("retry", "queued"),
                ("status", "running"),
            ]
            assert told[2].data["error"] == {"code": "storage_unavailable", "detail": "The file storage is away."}
            assert told[0].id is None  # cut off here, it asks for the same again
            assert [int(each.id or 0) > int(seen or 0) for each in told[1:]] == [True, True, True]
            assert without_frame(told[-1].data) == await in_thread(lambda: polled(alice, job))
            await in_thread(lambda: lifecycle.fail(again, code="internal", detail="Something broke."))
            assert [(each.type, each.status) for each in await stream.rest()][-1] == ("done", "failed")

    run(main)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_the_stream_of_an_ended_export_is_a_snapshot_and_done(
    alice: User, token: dict[str, str], status: Status
) -> None:
    proof: dict[str, Any] = {"row_count": 1, "file_size": 1, "completed_at": "2026-01-01T00:00:00Z"}
    job = make_job(alice, status=status, error_code="internal" if status == Status.FAILED else "", **proof)

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            assert [(each.type, each.status) for each in await stream.rest()] == [
                ("snapshot", status),
                ("done", status),
            ]
            assert stream.ended

    run(main)


def test_places_in_the_queue_move_without_a_word(alice: User, bob: User, token: dict[str, str]) -> None:
    first, second = make_job(alice), make_job(alice)

    async def main() -> None:
        async with open_stream(path_of(second), token) as stream:
            assert (await stream.next()).data["progress"]["queue_position"] == 2
            await in_thread(lambda: lifecycle.cancel(first.pk))
            assert (await stream.next()).data["progress"]["queue_position"] == 1

    run(main)


def test_without_redis_the_rows_are_read_and_once_it_is_back_it_is_heard(
    alice: User, token: dict[str, str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, real = make_job(alice), settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nobody answers there
    monkeypatch.setattr(live, "announce", lambda job_id, event_id: None)

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            assert (await stream.next()).type == "snapshot"
            assert not hub.of_this_loop().hears_redis
            taken = await in_thread(claim)
            assert (await stream.past("status")).status == "running"
            settings.REDIS_URL = real
            report = live.Reporter(taken.pk, taken.claim).report
            while not hub.of_this_loop().hears_redis:
                await asyncio.sleep(0.05)
            await in_thread(lambda: report(rows=77, bytes=770, rows_per_second=7.0))
            assert (await stream.past("progress")).data["progress"]["rows"] == 77

    run(main)


def test_a_stream_needs_what_the_export_needs(alice: User, bob: User, charlie: User, token: dict[str, str]) -> None:
    job = make_job(bob)

    async def refusal(path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, Any, dict[str, str]]:
        async with open_stream(path, headers, method) as stream:
            await stream.until(lambda each: each.ended)
            return stream.status, json.loads(stream.body)["code"], stream.headers

    async def main() -> None:
        for path in (path_of(job), "/api/v1/exports/events/"):
            status, code, headers = await refusal(path, {})
            assert (status, code, headers["www-authenticate"]) == (401, "not_authenticated", "Bearer")
            wrong = {"Authorization": "Bearer exp_wrong"}
            assert (await refusal(path, wrong))[:2] == (401, "not_authenticated")
            assert (await refusal(path, token, "POST"))[:2] == (405, "method_not_allowed")
        assert (await refusal(path_of(job), token))[:2] == (404, "not_found")
        strange = {**token, "Last-Event-ID": "last"}
        assert (await refusal("/api/v1/exports/events/", strange))[:2] == (400, "invalid")
        await in_thread(lambda: job.shared_with.add(alice))
        async with open_stream(path_of(job), token) as stream:
            assert (await stream.next()).type == "snapshot"

    run(main)


def test_a_session_opens_a_stream_as_well(alice: User, client: Client) -> None:
    job = make_job(alice)
    client.force_login(alice)
    cookie = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}

    async def main() -> None:
        async with open_stream(path_of(job), cookie) as stream:
            assert (await stream.next()).type == "snapshot"

    run(main)


def withdraw_token(alice: User, job: ExportJob) -> None:
    ApiKey.objects.all().delete()


def deactivate(alice: User, job: ExportJob) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def unshare(alice: User, job: ExportJob) -> None:
    job.shared_with.clear()


@pytest.mark.parametrize("withdraw", [withdraw_token, deactivate, unshare])
def test_access_withdrawn_ends_the_stream(
    alice: User,
    bob: User,
    token: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    withdraw: Callable[[User, ExportJob], None],
) -> None:
    monkeypatch.setattr(events, "ACCESS_SECONDS", 0.2)
    job = make_job(bob)
    job.shared_with.add(alice)

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            await stream.next()
            await in_thread(lambda: withdraw(alice, job))
            await stream.until(lambda each: each.ended)
            assert b"done" not in stream.body

    run(main)


def test_a_silent_stream_is_kept_open_by_comments(
    alice: User, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.1)
    job = make_job(alice)

    async def main() -> None:
        async with open_stream(path_of(job), token) as stream:
            await stream.until(lambda each: each.body.count(b": still here\n\n") >= 3)

    run(main)


def test_many_streams_read_the_rows_together_and_hold_no_connection(
    alice: User, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(alice)
    reads: list[int] = []
    real = moments.read

    def counted(job_ids: Any, *, since: int) -> Any:
        reads.append(len(list(job_ids)))
        return real(job_ids, since=since)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            ready = [asyncio.Event() for _ in range(20)]
            told: list[str] = []

            async def follow(number: int) -> None:
                async with open_stream(path_of(job), token) as stream:
                    await stream.next()
                    ready[number].set()
                    told.append((await stream.rest())[-1].status)

            for number in range(20):
                group.create_task(follow(number))
            for each in ready:
                await each.wait()
            monkeypatch.setattr(moments, "read", counted)
            await in_thread(lambda: lifecycle.cancel(job.pk))
        assert told == ["cancelled"] * 20
        assert sum(reads) <= 5  # not one per stream

    run(main)


def test_one_user_opens_twenty_streams_and_others_theirs(alice: User, bob: User, token: dict[str, str]) -> None:
    job = make_job(alice)
    job.shared_with.add(bob)
    bobs = {"Authorization": f"Bearer {make_key(bob)}"}

    async def main() -> None:
        async with AsyncExitStack() as streams:
            for _ in range(20):
                stream = await streams.enter_async_context(open_stream(path_of(job), token))
                await stream.next()
            async with open_stream("/api/v1/exports/events/", token) as refused:
                await refused.until(lambda each: each.ended)
            assert (refused.status, refused.headers["retry-after"]) == (429, "30")
            assert json.loads(refused.body)["detail"].startswith("You have 20 event streams open")
            async with open_stream(path_of(job), bobs) as other:
                assert (await other.next()).type == "snapshot"
        async with open_stream(path_of(job), token) as again:
            assert (await again.next()).type == "snapshot"

    run(main)


def test_the_stream_of_the_list_tells_of_every_active_export_that_i_may_see(
    alice: User, bob: User, token: dict[str, str]
) -> None:
    mine, shared, hidden = make_job(alice), make_job(bob), make_job(bob)
    shared.shared_with.add(alice)

    async def main() -> None:
        async with open_stream("/api/v1/exports/events/", token) as stream:
            first = [await stream.next(), await stream.next()]
            assert {each.data["id"] for each in first} == {str(mine.pk), str(shared.pk)}
            assert [each.type for each in first] == ["snapshot", "snapshot"]
            await in_thread(lambda: lifecycle.cancel(hidden.pk))
            await in_thread(lambda: lifecycle.cancel(mine.pk))
            ended = await stream.past("done")
            assert (ended.data["id"], ended.status, ended.id) == (str(mine.pk), "cancelled", None)
            added = await in_thread(lambda: make_job(alice))
            assert (await stream.past("status")).data["id"] == str(added.pk)
            assert not stream.ended
            assert str(hidden.pk).encode() not in stream.body

    run(main)


def test_a_redis_that_swallows_everything_costs_a_run_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    calls: list[str] = []

    class Silent:
        def publish(self, *_: Any) -> None:
            calls.append("publish")
            raise redis.TimeoutError

    monkeypatch.setattr(live, "_client", Silent)
    monkeypatch.setattr(live, "_line", live._Line())
    monkeypatch.setattr(live, "PROGRESS_SECONDS", 0.0)
    reporter = live.Reporter(ExportJob().pk, 1)
    for rows in range(1_000):
        reporter.report(rows=rows, bytes=rows, rows_per_second=None)
    assert calls == ["publish"]


def test_progress_goes_out_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    now = 100.0
    monkeypatch.setattr(live._line, "send", lambda job_id, message: sent.append(message))
    monkeypatch.setattr("exports_app.live.time", SimpleNamespace(monotonic=lambda: now))
    reporter = live.Reporter(ExportJob().pk, 7)
    for step in range(100):
        now = 100.0 + step / 100
        reporter.report(rows=step, bytes=step, rows_per_second=1.0)
    assert [message["rows"] for message in sent] == [0, 25, 50, 75]
    assert {message["claim"] for message in sent} == {7}
