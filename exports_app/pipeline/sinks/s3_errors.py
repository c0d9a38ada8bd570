"""What the errors of S3 and its client mean to a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from exports_app.pipeline import scarcity
from exports_app.pipeline.errors import AccessDenied, PipelineError, StorageUnavailable, UnequalParts, UploadLost
from exports_app.pipeline.sinks.s3_codes import ACTIONS, meaning

ONE_SIZE = re.compile(r"same (length|size)", re.IGNORECASE)
"""In the message of an ``InvalidPart`` of Cloudflare's R2, the only store known to demand it."""

REFUSALS = ("AccessDenied", "403")
"""Codes that a missing right is answered with; HEAD has no other than its status."""

CLIENT_ERRORS: tuple[tuple[type[Exception], type[PipelineError]], ...] = (
    # Most special first.
    (exceptions.NoCredentialsError, AccessDenied),
    (exceptions.PartialCredentialsError, AccessDenied),
    (exceptions.CredentialRetrievalError, StorageUnavailable),
    (exceptions.HTTPClientError, StorageUnavailable),  # connection refused, reset, closed, timed out
    (exceptions.ConnectionError, StorageUnavailable),
    (ResponseParserError, StorageUnavailable),  # a proxy's page or half an answer
)


def translate(error: Exception) -> PipelineError | None:
    """The pipeline's error for one of S3's; None for what only a bug explains."""
    if not isinstance(error, ClientError) and (lacking := scarcity.lack(error)) is not None:
        return lacking  # the client takes it for a connection that failed
    if isinstance(error, ClientError):
        kind, detail = _answered(error)
    else:
        kind = next((kind for cause, kind in CLIENT_ERRORS if isinstance(error, cause)), None)
        detail = type(error).__name__
    return kind(f"{kind.__doc__} ({detail})") if kind else None


def _answered(error: ClientError) -> tuple[type[PipelineError] | None, str]:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = meaning(error.operation_name, code, status)
    if kind is UploadLost and ONE_SIZE.search(str(error.response.get("Error", {}).get("Message", ""))):
        kind = UnequalParts
    action = ACTIONS.get(error.operation_name) if code in REFUSALS else None
    return kind, f"{error.operation_name}: {code or status}" + (f", {action} is missing" if action else "")


@contextmanager
def s3_errors() -> Iterator[None]:
    """Errors of S3 leave the block as the pipeline's; what only a bug explains passes as it is."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error
