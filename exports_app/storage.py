"""Where the files live: Django's own setting ``STORAGES["exports"]``, and what we need of it beyond Django."""

from __future__ import annotations

import os
from urllib.parse import quote

from django.core.files.storage import FileSystemStorage, Storage, storages

from exports_app import conf
from exports_app.pipeline.sinks.local import LocalStore
from exports_app.pipeline.types import Store

LINK_SECONDS = 900
"""A download link lives 15 minutes; it is made afresh at each read."""


def exports_storage() -> Storage:
    """The storage that holds the files."""
    return storages[conf.settings.STORAGE]


def store() -> Store:
    """The storage as the pipeline writes to it."""
    storage = exports_storage()
    if isinstance(storage, FileSystemStorage):
        return LocalStore(storage.location)
    from exports_app import s3  # boto3 is heavy, and half of the commands touch no file

    return s3.store(storage)


def prepare_check() -> None:
    """What takes a second or two once in a process: loading the storage's client."""
    storage = exports_storage()
    if not isinstance(storage, FileSystemStorage):
        from exports_app import s3  # as above

        s3.quick_client(storage)


def check() -> None:
    """Raises what the storage's client raises where files cannot be stored now."""
    storage = exports_storage()
    if not isinstance(storage, FileSystemStorage):
        from exports_app import s3  # as above

        s3.check(storage)
    elif not os.access(storage.location, os.W_OK) and os.path.exists(storage.location):
        raise PermissionError(storage.location)


def download_url(key: str, file_name: str, content_type: str, seconds: int = LINK_SECONDS) -> str | None:
    """A link that needs no login, valid for ``seconds``; None where the storage makes none by itself."""
    storage = exports_storage()
    if isinstance(storage, FileSystemStorage):
        return None
    from exports_app import s3  # as above

    disposition = content_disposition(file_name)
    return s3.presigned_url(storage, key, disposition=disposition, content_type=content_type, seconds=seconds)


def content_disposition(file_name: str) -> str:
    """``attachment`` with the name as ASCII and, where it has more, as RFC 5987 says."""
    plain = "".join(c for c in file_name if c.isprintable() and c not in '"\\')
    ascii_name = plain.encode("ascii", "replace").decode().replace("?", "_")
    extended = f"; filename*=UTF-8''{quote(plain)}" if ascii_name != plain else ""
    return f'attachment; filename="{ascii_name}"{extended}'
