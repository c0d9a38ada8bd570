"""Where the files live: Django's own setting ``STORAGES["exports"]``, and what we need of it beyond Django."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import UUID

from django.core.files.storage import FileSystemStorage, Storage, storages
from django.core.signing import SignatureExpired, Signer, TimestampSigner, b62_decode, b62_encode
from django.urls import reverse

from exports_app import clock, conf
from exports_app.pipeline.sinks.local import LocalStore
from exports_app.pipeline.types import Store

AMAZON = "https://s3.amazonaws.com"
LINK_SECONDS = 900
"""A download link lives 15 minutes; it is made afresh at each read."""


def exports_storage() -> Storage:
    """The storage that holds the files."""
    return storages[conf.settings.STORAGE]


def store(*, brief: bool = False) -> Store:
    """The storage as the pipeline writes to it; ``brief``: it gives up within seconds, as somebody waits."""
    storage = exports_storage()
    if isinstance(storage, FileSystemStorage):
        return LocalStore(storage.location)
    from exports_app import s3  # boto3 is heavy, and half of the commands touch no file

    return s3.store(storage, client=s3.brief_client(storage) if brief else None)


def prepare() -> None:
    """Load the storage's clients ahead of the first request, once in a process. Nothing is asked of the storage."""
    storage = exports_storage()
    if not isinstance(storage, FileSystemStorage):
        from exports_app import s3  # as above

        s3.prepare(storage)


def check() -> None:
    """Raises what the storage's client raises where files cannot be stored now."""
    storage = exports_storage()
    if not isinstance(storage, FileSystemStorage):
        from exports_app import s3  # as above

        s3.check(storage)
    elif not os.access(storage.location, os.W_OK) and os.path.exists(storage.location):
        raise PermissionError(storage.location)


def is_local() -> bool:
    """Whether the files are this machine's own, which the site itself hands out."""
    return isinstance(exports_storage(), FileSystemStorage)


def name() -> str:
    """Which storage it is: the folder, or address and bucket."""
    exports: Any = exports_storage()
    if isinstance(exports, FileSystemStorage):
        return str(exports.location)
    return f"{(exports.endpoint_url or AMAZON).rstrip('/')}/{exports.bucket_name}"


def presigned_url(key: str, file_name: str, content_type: str, seconds: int = LINK_SECONDS) -> str:
    """A link to S3 that needs no login, valid for ``seconds``."""
    from exports_app import s3  # as above

    disposition = content_disposition(file_name)
    return s3.presigned_url(exports_storage(), key, disposition=disposition, content_type=content_type, seconds=seconds)


def signed_url(job_id: UUID, user_id: object, file_name: str) -> str:
    """The same for a local file: a link to this site with the right of one user, valid for ``LINK_SECONDS``.

    It names the export, never a path: what is read is what the export's row says then.
    """
    path = reverse("exports:file", args=[job_id, file_name])
    return f"{conf.settings.SITE_URL}{path}?signature={_signer(job_id).sign_object(str(user_id))}"


def signed_for(job_id: UUID, signature: str) -> str:
    """Id of the user whose right such a link has. Raises ``SignatureExpired``, a ``BadSignature``."""
    return str(_signer(job_id).unsign_object(signature, max_age=LINK_SECONDS))


def open_local(key: str) -> BinaryIO:
    """A local file to read. Raises ``FileNotFoundError``."""
    return exports_storage().open(key, "rb").file  # type: ignore[return-value]  # Django wraps it


def _signer(job_id: UUID) -> _Signer:
    return _Signer(salt=f"exports.file.{job_id}", sep=".")


class _Signer(TimestampSigner):
    """Django's, by the database's clock: another process may look at the time than the one that signed."""

    def timestamp(self) -> str:
        """Of now."""
        return b62_encode(int(clock.now().timestamp()))

    def unsign(self, value: str, max_age: int | timedelta | None = None) -> str:
        """What was signed. Raises ``SignatureExpired`` where that is longer ago, else a ``BadSignature``."""
        signed, _, at = Signer.unsign(self, value).rpartition(self.sep)
        age = clock.now().timestamp() - b62_decode(at)
        longest = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
        if longest is not None and age > longest:
            raise SignatureExpired(f"Signature age {age} > {longest} seconds")
        return signed


def content_disposition(file_name: str) -> str:
    """``attachment`` with the name as ASCII and, where it has more, as RFC 5987 says."""
    plain = "".join(c for c in file_name if c.isprintable() and c not in '"\\')
    ascii_name = plain.encode("ascii", "replace").decode().replace("?", "_")
    extended = f"; filename*=UTF-8''{quote(plain)}" if ascii_name != plain else ""
    return f'attachment; filename="{ascii_name}"{extended}'
