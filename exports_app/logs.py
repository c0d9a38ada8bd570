"""How events are logged: structlog's as Django's ``LOGGING`` has it. What logs takes ``log`` from here."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRETS = re.compile(r"([?&](?:token|signature|X-Amz-Signature)=|\bexk_)[^&\s\"']+")
"""What opens a file by itself, as it stands in an address; and API keys."""

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

structlog.configure(
    processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

log = structlog.get_logger("exports")


def formatter(*, json: bool) -> logging.Formatter:
    """Lines of structlog's events and of plain records alike, as JSON or for a reader."""
    last: list[Any] = (
        [structlog.processors.format_exc_info, hide_links, structlog.processors.JSONRenderer()]
        if json
        # A pretty traceback takes seconds of CPU, and shows passwords among its local variables.
        else [
            hide_links,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def hide_links(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: one-time tokens and signatures in addresses are not for whoever reads the log."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = SECRETS.sub(r"\1***", value)
    return event
