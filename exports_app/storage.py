"""Where the files live: Django's own setting ``STORAGES["exports"]``, and what we need of it beyond Django."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

import boto3
from django.core.files.storage import FileSystemStorage, Storage, storages
from storages.backends.s3 import S3Storage

from exports_app import conf
from exports_app.pipeline.sinks.local import LocalStore
from exports_app.pipeline.sinks.s3 import S3Store, client_config
from exports_app.pipeline.types import Store

LINK_SECONDS = 900
"""A download link lives 15 minutes; it is made afresh at each read."""


class ExportsS3Storage(S3Storage):  # type: ignore[misc]  # django-storages ships no types
    """django-storages' storage with the client settings that exports need (SigV4, time-outs, retries)."""

    def get_default_settings(self) -> dict[str, Any]:
        return {**super().get_default_settings(), "client_config": client_config(), "signature_version": "s3v4"}


def exports_storage() -> Storage:
    """The storage that holds the files."""
    return storages[conf.settings.STORAGE]


def store() -> Store:
    """The storage as the pipeline writes to it."""
    storage: Any = exports_storage()
    if isinstance(storage, FileSystemStorage):
        return LocalStore(storage.location)
    return S3Store(storage.connection.meta.client, storage.bucket_name, parameters=storage.object_parameters)


def delete(key: str) -> None:
    """Remove a file; one that is not there is no error."""
    if key:
        exports_storage().delete(key)


def download_url(key: str, file_name: str, content_type: str, seconds: int = LINK_SECONDS) -> str | None:
    """A link that needs no login, valid for ``seconds``; None where the storage makes none by itself."""
    storage = exports_storage()
    if isinstance(storage, FileSystemStorage):
        return None
    return str(
        _public_client().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": storage.bucket_name,  # type: ignore[attr-defined]  # django-storages
                "Key": key,
                "ResponseContentDisposition": content_disposition(file_name),
                "ResponseContentType": content_type,
            },
            ExpiresIn=seconds,
        )
    )


def content_disposition(file_name: str) -> str:
    """``attachment`` with the name as ASCII and, where it has more, as RFC 5987 says."""
    plain = "".join(c for c in file_name if c.isprintable() and c not in '"\\')
    ascii_name = plain.encode("ascii", "replace").decode().replace("?", "_")
    extended = f"; filename*=UTF-8''{quote(plain)}" if ascii_name != plain else ""
    return f'attachment; filename="{ascii_name}"{extended}'


@cache
def _public_client() -> Any:
    """A client that signs for the host that browsers reach; it sends nothing itself."""
    storage: Any = exports_storage()
    endpoint = conf.settings.S3_PUBLIC_ENDPOINT_URL or storage.endpoint_url
    credentials: Callable[[], Any] = storage.connection.meta.client._get_credentials
    keys = credentials()
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=storage.region_name,
        aws_access_key_id=keys.access_key if keys else None,
        aws_secret_access_key=keys.secret_key if keys else None,
        aws_session_token=keys.token if keys else None,
        config=client_config(),
    )
