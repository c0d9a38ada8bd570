"""Other stores of files: the embedded one behind a proxy with their answers, or moto."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from chaos.answers import Ceph, Denying, EqualParts, ForeignEtags, Store, serving
from chaos.moto_store import Moto
from chaos.rooms.base import Inside, Room
from exports_app.pipeline.sinks.s3 import client_config

ROWS = 120_000  # two parts and a rest


@contextmanager
def _behind(kind: Callable[[str, int], Store], _: Path) -> Iterator[Inside]:
    parts = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"])
    store = kind(parts.hostname or "", parts.port or 80)
    with serving(store) as address:
        _have_bucket(address)
        yield Inside(environment={"AWS_ENDPOINT_URL_S3": address}, there=store)


def _have_bucket(address: str) -> None:
    client = boto3.client("s3", endpoint_url=address, config=client_config())
    try:
        client.head_bucket(Bucket=os.environ["EXPORTS_S3_BUCKET"])
    except ClientError:
        client.create_bucket(Bucket=os.environ["EXPORTS_S3_BUCKET"])
    finally:
        client.close()


def _open(kind: Callable[[str, int], Store]) -> Callable[[Path], AbstractContextManager[Inside]]:
    return partial(_behind, kind)


def _room(name: str, what: str, kind: Callable[[str, int], Store], faults: str = "chaos.files_on_stores") -> Room:
    return Room(name=name, what=what, open=_open(kind), faults=(faults,), rows=ROWS, minutes=3)


ROOMS = [
    _room("seaweedfs", "the embedded store behind a proxy that changes nothing", Store),
    _room("moto", "moto, which stands in for Amazon's S3", Moto),
    _room("equal-parts", "parts of one size, as Cloudflare R2 demands them", EqualParts),
    _room("ceph", "Ceph's answers about uploads that have ended", Ceph),
    _room("etags", "ETags that look like MD5s and are none", ForeignEtags),
    _room("denied", "each call refused in turn", Denying, "chaos.denied_calls"),
]
