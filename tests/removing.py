"""A storage that refuses to remove some files or is away, counted calls to it, and time that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError
from django.contrib.auth.models import User

from exports_app import removals, s3, storage
from exports_app.models import ExportJob, ExportTombstone
from tests.sinks_fixtures import refused

LONG_AGO = "2020-01-01T00:00:00Z"


@contextmanager
def denied(key: str) -> Iterator[None]:
    """The storage removes this one neither alone nor among others."""

    def one(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == key:
            said: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(said, "DeleteObject")

    def many(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        left = [each for each in params["Delete"]["Objects"] if each["Key"] != key]
        context["denied"] = len(left) < len(params["Delete"]["Objects"])
        params["Delete"]["Objects"] = left

    def told(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if context["denied"]:
            parsed.setdefault("Errors", []).append({"Key": key, "Code": "AccessDenied"})

    with (
        _hooked("provide-client-params.s3.DeleteObject", one),
        _hooked("provide-client-params.s3.DeleteObjects", many),
        _hooked("after-call.s3.DeleteObjects", told),
    ):
        yield


@contextmanager
def away() -> Iterator[list[str]]:
    """The storage removes nothing, as nobody answers there; gives the calls that were tried."""
    tried: list[str] = []

    def nobody(model: Any, **_: Any) -> None:
        tried.append(model.name)
        raise refused()

    with ExitStack() as stack:
        for call in ("DeleteObject", "DeleteObjects", "AbortMultipartUpload"):
            stack.enter_context(_hooked(f"provide-client-params.s3.{call}", nobody))
        try:
            yield tried
        finally:
            removals._away_until = 0.0


@contextmanager
def counted_calls() -> Iterator[list[str]]:
    """Names of the calls that are made meanwhile."""
    names: list[str] = []
    with _hooked("before-call.s3", lambda model, **_: names.append(model.name)):
        yield names


def make_backlog(user: User, number: int) -> None:
    """Exports of the past, their time over, each with a small file."""
    done = {"row_count": 1, "file_size": 1, "completed_at": LONG_AGO, "expires_at": LONG_AGO, "status": "completed"}
    common = {"owner": user, "resource": "customers", "format": "csv", "tables": [], **done}
    keys = [f"exports/{user.pk}/{uuid4()}.1.csv" for _ in range(number)]
    ExportJob.objects.bulk_create([ExportJob(**common, file_key=key) for key in keys], batch_size=1_000)
    exports: Any = storage.exports_storage()
    client, name = exports.connection.meta.client, exports.bucket_name
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda key: client.put_object(Bucket=name, Key=key, Body=b"x"), keys):
            pass


def make_due() -> None:
    """Whatever was set aside is tried again."""
    ExportJob.objects.update(discard_due_at=None)
    ExportTombstone.objects.update(discard_due_at=None)


@contextmanager
def _hooked(event: str, act: Callable[..., Any]) -> Iterator[None]:
    """On the clients of the upkeep and of requests."""
    exports: Any = storage.exports_storage()
    events = [client.meta.events for client in (exports.connection.meta.client, s3.brief_client(exports))]
    for each in events:
        each.register(event, act)
    try:
        yield
    finally:
        for each in events:
            each.unregister(event, act)
