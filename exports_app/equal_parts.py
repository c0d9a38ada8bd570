"""Whether the storage takes parts of one size only, as Cloudflare R2 does; found out once, and then known to all."""

from __future__ import annotations

from urllib.parse import urlsplit

from exports_app import conf, storage
from exports_app.logs import log
from exports_app.models import ExportStore

KNOWN_HOSTS = (".r2.cloudflarestorage.com",)
"""Ends of hosts whose documentation says so."""


def wanted() -> bool:
    """Whether every part but the last gets exactly one size. Without files in S3 it makes no difference."""
    choice = conf.settings.S3_EQUAL_PARTS
    if storage.is_local() or choice == "off":
        return False
    name = storage.name()
    host = urlsplit(name).hostname or ""
    return (
        choice == "on" or host.endswith(KNOWN_HOSTS) or ExportStore.objects.filter(name=name, equal_parts=True).exists()
    )


def found_out() -> bool:
    """Remember that the storage refused others; False: the settings say that it shall get others all the same."""
    if conf.settings.S3_EQUAL_PARTS == "off":
        return False
    name = storage.name()
    ExportStore.objects.update_or_create(name=name, defaults={"equal_parts": True})
    log.warning("export.store.equal_parts", store=name)
    return True
