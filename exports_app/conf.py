"""Typed settings of the engine: names, types and defaults in one place.

``conf.settings.CHUNK_ROWS`` is Django's ``EXPORTS_CHUNK_ROWS`` where the project sets it, else the default here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from django.conf import settings as django_settings

MIB = 1_048_576


PERIODS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many in a period."""

    count: int
    period: str

    @property
    def seconds(self) -> int:
        """Of the period."""
        return PERIODS[self.period]


def parse_rate(text: str) -> Rate | None:
    """``10/hour`` and the like; None for the empty text: no limit. Raises ``ValueError`` for anything else."""
    if not text:
        return None
    found = re.fullmatch(rf"([1-9]\d{{0,8}})/({'|'.join(PERIODS)})", text)
    if found is None:
        raise ValueError(
            f"EXPORTS_RATE is {text!r}. Give a number of 1 or more and a period, such as 10/hour "
            f"({', '.join(PERIODS)}), or leave it empty for no limit."
        )
    return Rate(count=int(found[1]), period=found[2])


EQUAL_PARTS = ("auto", "on", "off")


def bad_equal_parts(choice: str) -> str:
    """What to say of another value of ``EXPORTS_S3_EQUAL_PARTS``."""
    return f"EXPORTS_S3_EQUAL_PARTS is {choice!r}. Set it to {', '.join(EQUAL_PARTS[:-1])} or {EQUAL_PARTS[-1]}."


class ExportsSettings:
    """Each attribute is the default of the Django setting ``EXPORTS_<NAME>``."""

    ENABLED: bool = True
    """False answers 503 everywhere and ends running jobs (environment: ``ENABLE_EXPORTS=0``)."""
    SITE_URL: str = "http://localhost:8000"
    """Address that people reach the site by, without a slash at its end: links in mails begin with it."""
    ACCESS: str = "exports_app.access.Access"
    """Class that says who may do what; a project's own is a subclass of it."""
    STORAGE: str = "exports"
    """Name in ``STORAGES`` of the storage that holds the files."""
    SOURCE_DATABASE_URL: str = ""
    """Where rows of the default database are read from, for example a replica; empty: there."""
    SOURCE_DATABASE_URLS: Mapping[str, str] = MappingProxyType({})
    """The same for any alias of ``DATABASES``."""
    S3_PUBLIC_ENDPOINT_URL: str = ""
    """Host that browsers reach the bucket by; empty: the storage's own endpoint."""
    CHECK_STORAGE: bool = True
    """A worker tries its rights at the storage when it starts, and does not without them."""
    S3_EQUAL_PARTS: str = "auto"
    """Whether all parts of a file but the last have exactly one size (``on``, ``off``), as some stores demand.

    ``auto``: as the store turned out to want it.
    """
    MAX_ACTIVE: int = 5
    """Queued and running jobs a user may have at once."""
    RATE: str = "10/hour"
    """Exports a user may start in a period (``N/second|minute|hour|day``); empty: no limit."""
    FILE_TTL: int = 86_400
    """Seconds a finished file lives."""
    JOB_DAYS: int = 90
    """Rows of ended exports stay so long, for limits and audit."""
    ADDRESS_DAYS: int = 30
    """So long is kept from which address a file was fetched, or a key used."""
    TOKEN_DAYS: int = 30
    """After the end of a one-time token, or of an API key, it is so long known why it does not work."""
    PERFORMANCE_DAYS: int = 30
    """Figures of runs, and what was sent to webhooks as tests and to operators."""
    CLEAR_SESSIONS: bool = False
    """The upkeep also removes sessions of Django that have ended; on where no job of the project's does."""
    LEASE_SECONDS: int = 30
    """Seconds after which a worker that says nothing has lost its job."""
    SWEEP_SECONDS: int = 15
    """Seconds between two looks for lost jobs."""
    SLICE_SECONDS: int = 600
    """Seconds of work per message; a job that needs more is continued by another message."""
    OUTAGE_SECONDS: int = 900
    """Seconds that a database or storage may be away before its jobs fail."""
    PART_SIZE: int = 8 * MIB
    """Bytes of an S3 part; grows with the part's number so that 10,000 parts always suffice."""
    CHUNK_ROWS: int = 10_000
    """Rows read by one statement, before it is adapted to their size."""
    DIRECT_MAX_ROWS: int = 10_000
    """Below so many rows, a download is built at once."""
    STREAM_MAX_ROWS: int = 100_000
    """Up to so many rows, a download is streamed; above, it is a job. Also the border of the large queue."""
    SOURCE_MAX_RUNNING: int = 8
    """Jobs that may read from the source database at once."""
    STATEMENT_TIMEOUT: int = 60
    """Seconds one chunk's statement may take."""
    MAX_ATTEMPTS: int = 3
    """Runs of a job that fails in a way that may pass."""
    MEMORY_SOFT_LIMIT_MB: int = 768
    """A run whose process has more ends with ``memory_limit``; 0: no limit. Above what a child is replaced at."""
    MEMORY_HARD_LIMIT_MB: int = 1_536
    """What a worker's child may take beyond what it has at its start; the kernel keeps it. 0: no limit."""
    KEY_DAYS: int = 365
    """Days that an API key lives at most."""
    METRICS_TOKEN: str = ""
    """Bearer token that opens ``/metrics``; empty: operators only (and everybody with ``DEBUG``)."""
    PUBLIC_SCHEMA: bool = False
    """Everybody may read the API's schema and its page; otherwise people who signed in."""

    WEBHOOK_ALLOW_PRIVATE: bool = False
    """Webhooks may lead to private addresses and to http://; with DEBUG alone."""

    def __getattribute__(self, name: str) -> Any:
        if name == "ENABLED":
            return getattr(django_settings, "ENABLE_EXPORTS", ExportsSettings.ENABLED)
        if name.isupper():
            return getattr(django_settings, f"EXPORTS_{name}", getattr(ExportsSettings, name))
        return super().__getattribute__(name)


settings = ExportsSettings()


def log_formatter(json: bool) -> logging.Formatter:
    """Formatter for Django's ``LOGGING``: structlog events and plain records alike, as JSON or for a reader."""
    return _LateFormatter(json=json)


class _LateFormatter(logging.Formatter):
    """structlog loads with the first line: it takes longer than Django's own start, and most commands log nothing."""

    def __init__(self, *, json: bool) -> None:
        super().__init__()
        self._json = json

    @cached_property
    def _formatter(self) -> logging.Formatter:
        from exports_app import logs

        return logs.formatter(json=self._json)

    def format(self, record: logging.LogRecord) -> str:
        return self._formatter.format(record)
