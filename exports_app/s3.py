"""The S3 half of the storage. Imported only where a file is touched: boto3 takes half a second to load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, update_wrapper
from typing import Any
from urllib.parse import quote

import boto3
from botocore.auth import SIGV4_TIMESTAMP, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from exports_app import clock, conf
from exports_app.pipeline.sinks.s3 import S3Store, client_config

FORBIDDEN = 403
PREFIX = "exports/"
"""Of all keys."""
QUICK_SECONDS = 1
BRIEF_SECONDS = 5
"""What a call may take that changes something while a person waits."""


class once:
    """Cache what is made of a storage; one thread makes it while the others wait.

    Made by each of fifty first requests, a tenth of a second of the processor each time, most would be too late.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._made, self._lock = cache(make), threading.Lock()
        self.cache_clear = self._made.cache_clear
        update_wrapper(self, make)

    def __call__(self, storage: Any) -> Any:
        with self._lock:
            return self._made(storage)


class ExportsS3Storage(S3Storage):  # type: ignore[misc]  # django-storages ships no types
    """django-storages' storage with the client settings that exports need (SigV4, time-outs, retries)."""

    def get_default_settings(self) -> dict[str, Any]:
        return {**super().get_default_settings(), "client_config": client_config(), "signature_version": "s3v4"}


def store(storage: Any, *, client: Any = None) -> S3Store:
    """The storage's bucket as the pipeline writes to it, by its own client or another."""
    return S3Store(client or storage.connection.meta.client, storage.bucket_name, parameters=storage.object_parameters)


def presigned_url(storage: Any, key: str, *, disposition: str, content_type: str, seconds: int) -> str:
    """A SigV4 link to an object on the host that browsers reach, valid for ``seconds``.

    Signed without the rest of a client's call, which takes several times as long: a list of exports has many links.
    """
    client = _public_client(storage)
    request = AWSRequest(
        method="GET",
        url=_public_bucket(storage) + quote(key),
        params={"response-content-disposition": disposition, "response-content-type": content_type},
    )
    signer = _Signer(client._get_credentials(), "s3", client.meta.region_name, expires=seconds)
    signer.add_auth(request)
    return str(request.url)


class _Signer(S3SigV4QueryAuth):
    """botocore's, by the database's clock."""

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        request.context["timestamp"] = clock.now().strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # the stubs leave it out


@once
def _public_bucket(storage: Any) -> str:
    """Where the bucket's objects are for browsers, as the client's addressing style has it; ends with a slash."""
    link = _public_client(storage).generate_presigned_url("get_object", {"Bucket": storage.bucket_name, "Key": "key"})
    return str(link).partition("?")[0].removesuffix("key")


@once
def _public_client(storage: Any) -> Any:
    """A client that signs for the public host; it sends nothing itself."""
    return _client(storage, conf.settings.S3_PUBLIC_ENDPOINT_URL or storage.endpoint_url)


def prepare(storage: Any) -> None:
    """Make the clients that answer requests. Where there are no keys yet, each link says so when it is asked for."""
    with suppress(BotoCoreError):
        _public_bucket(storage)
    quick_client(storage)


def check(storage: Any) -> None:
    """Raises botocore's errors where the bucket does not answer, or not to our keys, within a second or two."""
    look_at_bucket(quick_client(storage), storage.bucket_name)


def look_at_bucket(client: Any, bucket: str) -> None:
    """By ``HeadBucket``, or by a list of one object, which some policies allow without it; its refusal has a code."""
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != FORBIDDEN:
            raise
        client.list_objects_v2(Bucket=bucket, Prefix=PREFIX, MaxKeys=1)


def trial_client(storage: Any) -> Any:
    """One that does not try twice, for its caller to close: a process that forks later leaves no connection open."""
    return _once_trying(storage, BRIEF_SECONDS)


@once
def quick_client(storage: Any) -> Any:
    """A client that does not try twice."""
    return _once_trying(storage, QUICK_SECONDS)


@once
def brief_client(storage: Any) -> Any:
    """The same for what takes longer."""
    return _once_trying(storage, BRIEF_SECONDS)


def _once_trying(storage: Any, seconds: float) -> Any:
    return _client(
        storage,
        storage.endpoint_url,
        connect_timeout=QUICK_SECONDS,
        read_timeout=seconds,
        retries={"total_max_attempts": 1},
    )


def _client(storage: Any, endpoint_url: str | None, **config: Any) -> Any:
    """A client with the storage's keys."""
    keys = storage.connection.meta.client._get_credentials()
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=storage.region_name,
        aws_access_key_id=keys.access_key if keys else None,
        aws_secret_access_key=keys.secret_key if keys else None,
        aws_session_token=keys.token if keys else None,
        config=client_config(**config),
    )
