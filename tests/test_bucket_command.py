"""``manage.py create_export_bucket``, on a real store."""

from __future__ import annotations

from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from django.core.management import call_command

from exports_app import storage
from tests.jobs import bucket


def run() -> str:
    out = StringIO()
    call_command("create_export_bucket", stdout=out)
    return out.getvalue()


def with_bucket(settings: Any, **options: Any) -> None:
    exports = settings.STORAGES["exports"]
    settings.STORAGES = settings.STORAGES | {"exports": exports | {"OPTIONS": exports["OPTIONS"] | options}}


def test_the_bucket_is_made_once(settings: Any) -> None:
    name = f"made-{uuid4().hex}"
    with_bucket(settings, bucket_name=name)
    assert run() == f"The bucket {name} is made.\n"
    try:
        assert run() == f"The bucket {name} is there.\n"
        storage.check()
    finally:
        bucket().delete()


def test_a_store_that_refuses_is_no_success(settings: Any) -> None:
    with_bucket(settings, bucket_name="exports", secret_key="wrong")
    with pytest.raises(ClientError):
        run()


def test_a_folder_needs_none(settings: Any, tmp_path: Any) -> None:
    local = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = settings.STORAGES | {"exports": local}
    assert run() == "Files are kept in a folder, which is made with the first of them.\n"
