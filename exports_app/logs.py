"""How events are logged: structlog's as Django's ``LOGGING`` has it. What logs takes ``log`` from here."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from copy import copy
from typing import Any

import structlog
from django.conf import settings as django_settings

from exports_app.masking import masked_under
from exports_app.traces import said, trace

Event = MutableMapping[str, Any]


def tell_exceptions(logger: Any, name: str, event: Event) -> Event:
    """A structlog processor: exceptions become their type and frames. Their sentences are for tracebacks of jobs.

    With ``DEBUG`` they are shown: who reads the log at a desk is who wrote the code.
    """
    everything = django_settings.DEBUG
    if (given := event.pop("exc_info", None)) and (error := _exception(given)) is not None:
        event["exception"] = trace(error, everything=everything)
        event["event"] = _retold(event.get("event"), error, everything)
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = said(value, everything=everything)
    return event


def hide_secrets(logger: Any, name: str, event: Event) -> Event:
    """A structlog processor: what opens something by itself is not for whoever reads the log."""
    for key, value in event.items():
        if key not in UNTOUCHED:
            event[key] = masked_under(key, value)
    return event


UNTOUCHED = frozenset({"_record", "_from_structlog", "level", "logger", "timestamp"})


def _retold(sentence: Any, error: BaseException, everything: bool) -> Any:
    """The event's own sentence, where it repeats what the exception says, as Celery's do."""
    if isinstance(sentence, str):
        for text in (repr(error), str(error)):
            if len(text) >= SHORTEST:
                sentence = sentence.replace(text, said(error, everything=everything))
    return sentence


SHORTEST = 4
"""Characters of a text that is looked for; shorter ones are part of other words."""


def _exception(given: Any) -> BaseException | None:
    """The exception of an ``exc_info``, in any of its forms."""
    if isinstance(given, BaseException):
        return given
    found = (given if isinstance(given, tuple) else sys.exc_info())[1]
    return found if isinstance(found, BaseException) else None


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    tell_exceptions,
    hide_secrets,
]
"""Done before any formatter, so that those of a project print nothing else."""

structlog.configure(
    processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

log = structlog.get_logger("exports")


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Also for exceptions that a plain record has among its arguments."""

    def format(self, record: logging.LogRecord) -> str:
        given = record.args
        if isinstance(given, tuple) and any(isinstance(each, BaseException) for each in given):
            record = copy(record)
            everything = django_settings.DEBUG
            record.args = tuple(
                said(each, everything=everything) if isinstance(each, BaseException) else each for each in given
            )
        return super().format(record)


def formatter(*, json: bool) -> logging.Formatter:
    """Lines of structlog's events and of plain records alike, as JSON or for a reader."""
    # A pretty traceback takes seconds of CPU, and shows passwords among its local variables.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    return _Formatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer() if json else plain,
        ],
    )
