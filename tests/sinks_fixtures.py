"""The four places a file can go to, and parts to put there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from exports_app.pipeline.parts import MIN_PART_SIZE
from exports_app.pipeline.sinks.local import LocalStore
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.sinks.s3 import S3Store, client_config
from exports_app.pipeline.types import Part, Sink, Store, StoredPart, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SESSION = boto3.Session(region_name="us-east-1")  # one for all: it reads the service's description only once
CI = os.environ.get("CI") == "true"
S3_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "EXPORTS_S3_BUCKET")


@dataclass
class Place:
    """A store, and a look at what is in it that does not go through the store."""

    store: Store
    read: Callable[[str], bytes | None]
    leftovers: Callable[[], list[str]]
    """Everything there, finished or not."""
    key: str = "exports/alice/job.1.csv"
    uploads: list[str] = field(default_factory=list)
    """Ids that were announced."""

    def upload(self) -> Upload:
        return Upload(key=self.key, token=secrets.token_hex(16))

    def open(self, upload: Upload, after: Sequence[StoredPart] = ()) -> Sink:
        return self.store.open(upload, content_type="text/csv", on_upload=self.uploads.append, after=after)

    def known(self, upload: Upload) -> Upload:
        """The upload as it is on record by now."""
        return Upload(key=upload.key, token=upload.token, id=self.uploads[-1] if self.uploads else None)


@dataclass
class Bucket(Place):
    """A place in S3; ``calls`` stands between client and store."""

    client: S3Client = field(kw_only=True)
    name: str = field(kw_only=True)
    calls: Calls = field(kw_only=True)
    options: dict[str, Any] = field(kw_only=True)
    """What another client needs."""


class Calls:
    """Faults and waits around the calls to S3."""

    def __init__(self, client: S3Client) -> None:
        self._events = client.meta.events

    def before(self, operation: str, act: Callable[[int], Any]) -> None:
        """Let ``act`` run before the call; it gets the part's number. What it returns is the answer."""
        self._events.register(
            f"before-call.s3.{operation}",
            lambda params, **_: act(int(params["query_string"].get("partNumber", 0))),
        )

    def given(self, operation: str, act: Callable[..., None]) -> None:
        """Let ``act`` change the parameters of the call."""
        self._events.register(f"provide-client-params.s3.{operation}", act)

    def after(self, operation: str, act: Callable[[dict[str, Any]], None]) -> None:
        """Let ``act`` see the answer, change it, or lose it by raising."""
        self._events.register(f"after-call.s3.{operation}", lambda parsed, **_: act(parsed))


def answer(code: str, status: int) -> tuple[Any, dict[str, Any]]:
    """An error as S3 gives it."""
    parsed = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return SimpleNamespace(status_code=status), parsed


@contextmanager
def memory_place(_: Path) -> Iterator[Place]:
    store = MemoryStore()
    yield Place(store, store.objects.get, lambda: [*store.objects, *store.uploads])


@contextmanager
def local_place(folder: Path) -> Iterator[Place]:
    def read(key: str) -> bytes | None:
        path = folder / key
        return path.read_bytes() if path.exists() else None

    yield Place(LocalStore(folder), read, lambda: [path.name for path in folder.rglob("*") if path.is_file()])


@contextmanager
def moto_place(_: Path) -> Iterator[Bucket]:
    # Named, because the environment may name another one.
    options = {
        "endpoint_url": "https://s3.us-east-1.amazonaws.com",
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
    }
    with mock_aws():
        place = bucket_place("exports", options)
        place.client.create_bucket(Bucket="exports")
        yield place


@contextmanager
def s3_place(_: Path) -> Iterator[Bucket]:
    missing = [name for name in S3_VARIABLES if not os.environ.get(name)]
    if missing:
        reason = f"no S3 service: {', '.join(missing)} not set"
        pytest.fail(reason) if CI else pytest.skip(reason)
    place = bucket_place(os.environ["EXPORTS_S3_BUCKET"], {"endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"]})
    yield place
    place.client.close()
    client = make_client(**place.options)  # one without the test's faults
    for upload in ["", *place.uploads]:
        S3Store(client, place.name).discard(Upload(key=place.key, token="", id=upload or None))
    client.close()


PLACES = {"memory": memory_place, "local": local_place, "moto": moto_place, "s3": s3_place}


def make_client(*, attempts: int = 1, **options: Any) -> S3Client:
    """A client as the product makes it, but one that does not try again by itself."""
    retries = {"mode": "standard", "total_max_attempts": attempts}
    return SESSION.client("s3", config=client_config(retries=retries), **options)


def bucket_place(name: str, options: dict[str, Any]) -> Bucket:
    client = make_client(**options)
    key = f"exports/{secrets.token_hex(4)}/job.1.csv"

    def read(key: str) -> bytes | None:
        try:
            return client.get_object(Bucket=name, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None

    def leftovers() -> list[str]:
        # With the key as prefix: SeaweedFS lists no uploads without one.
        objects = client.list_objects_v2(Bucket=name, Prefix=key).get("Contents", [])
        uploads = client.list_multipart_uploads(Bucket=name, Prefix=key).get("Uploads", [])
        return [found["Key"] for found in objects] + [found["UploadId"] for found in uploads]

    store = S3Store(client, name)
    return Bucket(store, read, leftovers, key, client=client, name=name, calls=Calls(client), options=options)


def make_parts(*sizes: int) -> list[Part]:
    """Parts of these sizes, each of its own byte."""
    parts: list[Part] = []
    crc = offset = 0
    for number, size in enumerate(sizes, start=1):
        data = bytes([number]) * size
        crc = crc32(data, crc)
        parts.append(
            Part(
                number=number,
                data=data,
                rows=number * 10,
                cursor=(str(number * 10),),
                crc32=crc,
                offset=offset,
                state={"row": number * 10},
            )
        )
        offset += size
    return parts


THREE = make_parts(MIN_PART_SIZE, MIN_PART_SIZE + 1, 7)
LATE = b"late" * (MIN_PART_SIZE // 4)


@pytest.fixture(name="bucket", params=["moto", "s3"])
def each_bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket that is made up, and a real one."""
    with PLACES[request.param](tmp_path) as bucket:
        assert isinstance(bucket, Bucket)
        yield bucket


def left_off(place: Place, parts: Sequence[Part]) -> tuple[Upload, Sequence[StoredPart]]:
    """An upload with these parts, as another attempt finds it, and what is on record of them."""
    upload = place.upload()
    with place.open(upload) as sink:
        put_all(sink, parts)
        recorded = sink.detach()
    return place.known(upload), recorded


def put_all(sink: Sink, parts: Sequence[Part], *, last: int = 3) -> None:
    """Hand these parts over; ``last``: number of the file's last."""
    for part in parts:
        sink.put(part, last=part.number == last)


def whole(parts: Sequence[Part]) -> bytes:
    return b"".join(part.data for part in parts)


def raises(error: Exception) -> Callable[[Any], None]:
    """A fault for ``Calls``."""

    def act(_: Any) -> None:
        raise error

    return act


def once(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    left = [act]
    return lambda argument: left.pop()(argument) if left else None


def once_for(number: int, act: Callable[[int], Any]) -> Callable[[int], Any]:
    first = once(act)
    return lambda part: first(part) if part == number else None


def lost() -> ReadTimeoutError:
    """The answer did not come."""
    return ReadTimeoutError(endpoint_url="http://store")


def refused() -> EndpointConnectionError:
    """The call did not get there."""
    return EndpointConnectionError(endpoint_url="http://store")


def complete(sink: Sink, parts: Sequence[Part]) -> None:
    """A whole run of the sink."""
    with sink:
        put_all(sink, parts, last=len(parts))
        sink.complete()


def replace_part(bucket: Bucket, upload: Upload, number: int) -> str:
    """What a writer does who does not know that the job is another's by now; gives the ETag."""
    sent = bucket.client.upload_part(
        Bucket=bucket.name, Key=upload.key, UploadId=str(upload.id), PartNumber=number, Body=LATE
    )
    return sent["ETag"].strip('"')
