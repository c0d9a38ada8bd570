"""What each error of S3's documented table means to a run; those of other stores are beside them.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from exports_app.pipeline.errors import AccessDenied, Misconfigured, PipelineError, StorageUnavailable, UploadLost

Meaning = type[PipelineError] | None
"""None: only a bug of ours explains it, or the caller knows what it means."""

AWAY = """
    BadDigest ConditionalRequestConflict ConnectionClosedByRequester IncompleteBody InternalError OperationAborted
    RequestTimeout RequestTimeTooSkewed ResponseInterrupted RestoreAlreadyInProgress ServiceUnavailable SlowDown
    XAmzContentSHA256Mismatch
    Throttling ThrottlingException TooManyRequests KMS.ThrottlingException
"""
"""Away, overloaded, or the bytes were damaged on their way: the same call may well succeed later. A clock that was just
woken up (RequestTimeTooSkewed) is set right soon."""

DENIED = """
    AccessDenied AccountProblem AllAccessDisabled ExpiredToken InvalidAccessKeyId InvalidObjectState InvalidPayer
    InvalidSecurity InvalidToken MissingAuthenticationToken NotSignedUp SignatureDoesNotMatch TokenRefreshRequired
    UnauthorizedAccess UnauthorizedAccessError UnexpectedIPError
    EntityTooLarge QuotaExceeded TooManyBuckets
    Unauthorized XMinioAdminBucketQuotaExceeded XMinioStorageFull ObjectLocked WORMProtected
"""
"""The storage refuses the keys, or the file for its size."""

SET_UP_WRONGLY = """
    AccessControlListNotSupported AuthorizationHeaderMalformed AuthorizationQueryParametersError
    CredentialsNotSupported EndpointNotFound EntityTooSmall IllegalLocationConstraintException
    IllegalVersioningConfigurationException IncorrectEndpoint InvalidAccessPoint InvalidAccessPointAliasError
    InvalidAddressingHeader InvalidArgument InvalidBucketAclWithObjectOwnership InvalidBucketName
    InvalidBucketOwnerAWSAccountID InvalidBucketState InvalidEncryptionAlgorithmError InvalidHostHeader
    InvalidHttpMethod InvalidLocationConstraint InvalidRegion InvalidRequest InvalidSessionException InvalidSignature
    InvalidStorageClass KMS.DisabledException KMS.InvalidKeyUsageException KMS.KMSInvalidStateException
    KMS.NotFoundException MethodNotAllowed MissingSecurityHeader NoSuchAccessPoint NoSuchBucket NotImplemented
    ObjectLockConfigurationNotFoundError PermanentRedirect Redirect ServerSideEncryptionConfigurationNotFoundError
    TemporaryRedirect UnsupportedArgument UnsupportedSignature
"""
"""Bucket, region, endpoint, encryption or storage class are not what the settings say, or not what files need. A store
whose smallest part is larger than ours says EntityTooSmall."""

GONE = "InvalidPart InvalidPartOrder NoSuchUpload"
"""The upload is not what was recorded: start over with a new one."""

OURS = """
    AccessPointAlreadyOwnedByYou AmbiguousGrantByEmailAddress BucketAlreadyExists BucketAlreadyOwnedByYou
    BucketHasAccessPointsAttached BucketNotEmpty ClientTokenConflict CrossLocationLoggingProhibited
    DeviceNotActiveError IncorrectNumberOfFilesInPostRequest InlineDataTooLarge InvalidDigest InvalidPolicyDocument
    InvalidRange InvalidSOAPRequest InvalidTag InvalidTargetBucketForLogging InvalidURI KeyTooLongError
    MalformedACLError MalformedPolicy MalformedPOSTRequest MalformedXML MaxMessageLengthExceeded
    MaxPostPreDataLengthExceededError MetadataTooLarge MissingAttachment MissingContentLength
    MissingRequestBodyError MissingSecurityElement NoLoggingStatusForKey NoSuchAsyncRequest NoSuchBucketPolicy
    NoSuchCORSConfiguration NoSuchKey NoSuchLifecycleConfiguration NoSuchMultiRegionAccessPoint
    NoSuchObjectLockConfiguration NoSuchTagSet NoSuchVersion NoSuchWebsiteConfiguration NotDeviceOwnerError
    NotModified NoTransformationDefined OwnershipControlsNotFoundError PreconditionFailed
    RequestHeaderSectionTooLarge RequestIsNotMultiPartContent RequestTorrentOfBucketError TokenCodeInvalidError
    TooManyAccessPoints TooManyMultiRegionAccessPointregionsError TooManyMultiRegionAccessPoints UnexpectedContent
    UnresolvableGrantByEmailAddress UserKeyMustBeSpecified
    404
"""
"""Wrong requests, calls that are never made, and what is asked for to know that it is not there."""

CODES: dict[str, Meaning] = {
    **dict.fromkeys(AWAY.split(), StorageUnavailable),
    **dict.fromkeys(DENIED.split(), AccessDenied),
    **dict.fromkeys(SET_UP_WRONGLY.split(), Misconfigured),
    **dict.fromkeys(GONE.split(), UploadLost),
    **dict.fromkeys(OURS.split(), None),
}

OF_UPLOADS = frozenset({"UploadPart", "ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"})
"""Calls whose 404 means that the upload is gone, whatever the code: Ceph lists its parts as ``NoSuchKey``."""

ACTIONS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
    "PutObject": "s3:PutObject",
    "UploadPart": "s3:PutObject",
}
"""What a policy has to allow for each call."""

STATUSES: dict[int, Meaning] = {
    401: AccessDenied,
    403: AccessDenied,
    408: StorageUnavailable,
    409: StorageUnavailable,
    425: StorageUnavailable,
    429: StorageUnavailable,
    501: Misconfigured,
    507: AccessDenied,  # the store is full
}
"""For codes that are not in the table, and answers without one (HEAD)."""


def meaning(operation: str, code: str, status: int) -> Meaning:
    """What an answer means. Codes that nobody knows go by the status: 5xx is an outage, the rest is refused."""
    if status == 404 and operation in OF_UPLOADS and code != "NoSuchBucket":
        return UploadLost
    if code in CODES:
        return CODES[code]
    if status in STATUSES:
        return STATUSES[status]
    return StorageUnavailable if status >= 500 else Misconfigured
