"""Which error of S3 means what: each of its documented table, and others by their status."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from exports_app.pipeline.errors import (
    AccessDenied,
    Misconfigured,
    PipelineError,
    StorageUnavailable,
    UnequalParts,
    UploadLost,
)
from exports_app.pipeline.sinks import s3_codes
from exports_app.pipeline.sinks.s3_errors import translate


def meaning(code: str, status: int, operation: str = "PutObject", message: str = "") -> type[PipelineError] | None:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    translated = translate(ClientError(answer, operation))
    return type(translated) if translated else None


AWAY = [
    ("BadDigest", 400), ("ConditionalRequestConflict", 409), ("ConnectionClosedByRequester", 400),
    ("IncompleteBody", 400), ("InternalError", 500), ("InternalError", 200), ("OperationAborted", 409),
    ("RequestTimeout", 400), ("RequestTimeTooSkewed", 403), ("ResponseInterrupted", 400),
    ("RestoreAlreadyInProgress", 409), ("ServiceUnavailable", 503), ("SlowDown", 503), ("Throttling", 400),
    ("ThrottlingException", 400), ("TooManyRequests", 429), ("KMS.ThrottlingException", 400),
    ("XAmzContentSHA256Mismatch", 400),
]  # fmt: skip
DENIED = [
    ("AccessDenied", 403), ("AccountProblem", 403), ("AllAccessDisabled", 403), ("EntityTooLarge", 400),
    ("ExpiredToken", 400), ("InvalidAccessKeyId", 403), ("InvalidObjectState", 403), ("InvalidPayer", 403),
    ("InvalidSecurity", 403), ("InvalidToken", 400), ("MissingAuthenticationToken", 403), ("NotSignedUp", 403),
    ("QuotaExceeded", 403), ("SignatureDoesNotMatch", 403), ("TokenRefreshRequired", 400), ("Unauthorized", 401),
    ("UnauthorizedAccess", 400), ("UnauthorizedAccessError", 403), ("UnexpectedIPError", 403),
    ("XMinioStorageFull", 507),
]  # fmt: skip
SET_UP_WRONGLY = [
    ("AccessControlListNotSupported", 400), ("AuthorizationHeaderMalformed", 400), ("CredentialsNotSupported", 400),
    ("EndpointNotFound", 400), ("EntityTooSmall", 400), ("IllegalLocationConstraintException", 400),
    ("IncorrectEndpoint", 400), ("InvalidArgument", 400), ("InvalidBucketName", 400), ("InvalidBucketState", 409),
    ("InvalidEncryptionAlgorithmError", 400), ("InvalidHostHeader", 400), ("InvalidRegion", 403),
    ("InvalidRequest", 400), ("InvalidStorageClass", 400), ("KMS.DisabledException", 400),
    ("KMS.KMSInvalidStateException", 400), ("KMS.NotFoundException", 400), ("MethodNotAllowed", 405),
    ("NoSuchBucket", 404), ("NotImplemented", 501), ("PermanentRedirect", 301), ("Redirect", 307),
    ("TemporaryRedirect", 307), ("UnsupportedArgument", 400), ("UnsupportedSignature", 400),
]  # fmt: skip
OURS = [
    ("BucketNotEmpty", 409), ("InvalidDigest", 400), ("InvalidRange", 416), ("InvalidURI", 400),
    ("KeyTooLongError", 400), ("MalformedXML", 400), ("MetadataTooLarge", 400), ("MissingContentLength", 411),
    ("MissingRequestBodyError", 400), ("NoSuchKey", 404), ("NoSuchVersion", 404), ("NotModified", 304),
    ("PreconditionFailed", 412), ("404", 404),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status"), AWAY)
def test_an_outage_is_waited_out(code: str, status: int) -> None:
    assert meaning(code, status) is StorageUnavailable


@pytest.mark.parametrize(("code", "status"), DENIED)
def test_a_refusal_ends_the_export(code: str, status: int) -> None:
    assert meaning(code, status) is AccessDenied


@pytest.mark.parametrize(("code", "status"), SET_UP_WRONGLY)
def test_what_an_operator_set_up_wrongly_is_said_to_be_so(code: str, status: int) -> None:
    assert meaning(code, status) is Misconfigured


@pytest.mark.parametrize(("code", "status"), OURS)
def test_what_only_a_bug_explains_is_left_as_it_is(code: str, status: int) -> None:
    assert meaning(code, status) is None


@pytest.mark.parametrize(("code", "status"), [("InvalidPart", 400), ("InvalidPartOrder", 400), ("NoSuchUpload", 404)])
def test_an_upload_that_is_not_what_was_recorded_is_lost(code: str, status: int) -> None:
    assert meaning(code, status, "CompleteMultipartUpload") is UploadLost


@pytest.mark.parametrize("call", ["UploadPart", "ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"])
@pytest.mark.parametrize("code", ["NoSuchUpload", "NoSuchKey", "NotFound", "404", ""])
def test_any_404_of_an_upload_means_that_it_is_gone(call: str, code: str) -> None:
    assert meaning(code, 404, call) is UploadLost


@pytest.mark.parametrize("call", ["UploadPart", "CreateMultipartUpload"])
def test_a_bucket_that_is_not_there_is_no_lost_upload(call: str) -> None:
    assert meaning("NoSuchBucket", 404, call) is Misconfigured


@pytest.mark.parametrize("message", ["All non-trailing parts must have the same length.", "… have the same size."])
def test_a_store_that_wants_equal_parts_is_told_from_one_that_lost_one(message: str) -> None:
    assert meaning("InvalidPart", 400, "CompleteMultipartUpload", message) is UnequalParts
    lost = "One or more of the specified parts could not be found."
    assert meaning("InvalidPart", 400, "CompleteMultipartUpload", lost) is UploadLost


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, Misconfigured),
        (400, Misconfigured),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, Misconfigured),
        (405, Misconfigured),
        (408, StorageUnavailable),
        (409, StorageUnavailable),
        (412, Misconfigured),
        (429, StorageUnavailable),
        (500, StorageUnavailable),
        (501, Misconfigured),
        (503, StorageUnavailable),
        (507, AccessDenied),
        (599, StorageUnavailable),
    ],
)
def test_a_code_that_nobody_knows_goes_by_the_status(status: int, expected: type[PipelineError]) -> None:
    assert meaning("SomethingNew", status) is expected


def test_no_code_means_two_things() -> None:
    groups = [s3_codes.AWAY, s3_codes.DENIED, s3_codes.SET_UP_WRONGLY, s3_codes.GONE, s3_codes.OURS]
    assert sum(len(group.split()) for group in groups) == len(s3_codes.CODES)
