"""Stores with the answers of others: the real one behind a proxy."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.core.files.storage import storages

from chaos.answers import Store, serving
from chaos.moto_store import Moto
from exports_app import s3, services
from exports_app.models import ExportJob
from exports_app.pipeline.sinks.s3 import S3Store
from exports_app.pipeline.types import Upload
from tests.sinks_fixtures import Bucket, bucket_place, make_client


def behind(kind: type[Store]) -> Store:
    """A proxy of this kind for the store of the environment."""
    parts = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"])
    return kind(parts.hostname or "", parts.port or 80)


@contextmanager
def place(store: Store) -> Iterator[Bucket]:
    """The bucket as a client of ``store`` has it; empty afterwards."""
    with serving(store) as address:
        found = bucket_place(os.environ["EXPORTS_S3_BUCKET"], {"endpoint_url": address})
        if isinstance(store, Moto):
            found.client.create_bucket(Bucket=found.name)
        yield found
        found.client.close()
    client = make_client(endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
    for upload in ["", *found.uploads]:
        S3Store(client, found.name).discard(Upload(key=found.key, token=secrets.token_hex(4), id=upload or None))
    client.close()


@contextmanager
def site(store: Store, settings: Any) -> Iterator[None]:
    """The whole engine keeps its files in ``store``; what they were is removed afterwards."""
    with serving(store) as address, site_at(address, settings):
        yield


@contextmanager
def site_at(address: str, settings: Any, **others: Any) -> Iterator[None]:
    """The same at an address where a store is; ``others``: options of the storage, such as keys."""
    exports = settings.STORAGES["exports"]
    options = {**exports["OPTIONS"], "endpoint_url": address, **others}
    settings.STORAGES = {**settings.STORAGES, "exports": {**exports, "OPTIONS": options}}
    s3.quick_client.cache_clear()
    there: Any = storages["exports"]
    assert there.endpoint_url == address
    yield
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)
    for client in (there.connection.meta.client, s3.brief_client(there), s3.quick_client(there)):
        client.close()
