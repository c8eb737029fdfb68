"""Every refusal of S3 in the words of `storage.errors`. Only codes are repeated: a message may hold what was signed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from xml.etree import ElementTree as ET

from storage.backends.aws_errors import THROTTLED, access_refusal, is_safe_to_show
from storage.backends.service import Unanswered
from storage.errors import BackendRejected, BackendUnavailable, Throttled, ValueTooLarge

SERVICE: Final = "S3"
_ACTIONS: Final = {
    "GetObject": "s3:GetObject and s3:ListBucket",
    "HeadObject": "s3:GetObject and s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "CreateBucket": "s3:CreateBucket",
}
"""What else a caller needs is s3:PutObject and, to copy, s3:GetObject. Without ListBucket S3 refuses what is not there."""
_THROTTLED: Final = THROTTLED | {"SlowDown", "SlowDownRead", "SlowDownWrite"}
"""None of them was done."""
_DAMAGED: Final = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"})
"""The bytes did not arrive as they were sent. None was stored."""
_CONTENDED: Final = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_REGION_HEADER: Final = "x-amz-bucket-region"
_MOVED: Final = frozenset({301, 307})
_WRONG_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"}
)


class Place(Protocol):
    """Which bucket was asked for, and where."""

    @property
    def bucket(self) -> str: ...
    @property
    def region(self) -> str: ...


class NotThere(Exception):
    """There is no such object."""


class ConditionFailed(Exception):
    """The condition of a request did not hold; nothing was done."""


class BeyondTheEnd(Exception):
    """The range lies outside the object."""


class BucketMissing(BackendRejected):
    """The route's bucket does not exist."""


class BucketIsThere(BackendRejected):
    """The bucket to be created is the account's own already."""


class Contended(BackendUnavailable):
    """Another write of the same object was under way; nothing was done."""


class UploadGone(BackendUnavailable):
    """The parts of an upload were removed, by a sweep or another program, before it ended."""


def not_of_s3() -> Unanswered:
    """Something else answered: a proxy, another server."""
    return Unanswered(f"What answered is not {SERVICE}.", fix="Check the endpoint, and proxies on the way.")


_BY_STATUS: Final[Mapping[int, Callable[[], Exception]]] = {0: not_of_s3, 412: ConditionFailed, 416: BeyondTheEnd}
_BY_CODE: Final[Mapping[str, Callable[[], Exception]]] = {"PreconditionFailed": ConditionFailed}
"""Has no status of its own inside an answer of success, which S3 begins while it still works."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none of success. `code` is empty where S3 sends no body: to HEAD."""

    operation: str
    status: int
    code: str
    message: str
    headers: Mapping[str, str]

    def raised(self, place: Place) -> Exception:
        """Return what to raise, with the SDK's own form of the refusal as its cause."""
        told = _told(self, place)
        cause = self._as_the_sdk_has_it()
        told.__cause__ = cause if is_safe_to_show(cause) else None
        told.__suppress_context__ = True
        return told

    def _as_the_sdk_has_it(self) -> Exception:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - at first use

        answer: dict[str, Any] = {
            "Error": {"Code": self.code or str(self.status), "Message": self.message},
            "ResponseMetadata": {"HTTPStatusCode": self.status, "HTTPHeaders": dict(self.headers)},
        }
        error: Exception = ClientError(answer, self.operation)
        return error


def refusal_in(operation: str, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read a refusal. One whose body is no error of S3 has no code, such as a proxy's page, and the status 0."""
    if not body and "x-amz-request-id" in headers:
        return Refusal(operation, status, "", "", headers)
    try:
        root = ET.fromstring(body)  # noqa: S314 - no more is read of it than the SDK reads, with the same parser
    except ET.ParseError:
        return Refusal(operation, 0, "", "", headers)
    code, message = (root.findtext(name) or "" for name in ("Code", "Message"))
    return Refusal(operation, status if root.tag == "Error" else 0, code, message, headers)


def _told(refusal: Refusal, place: Place) -> Exception:
    code, status, bucket = refusal.code, refusal.status, place.bucket
    simple = _BY_STATUS.get(status) or _BY_CODE.get(code)
    if simple is not None:
        return simple()
    if code == "NoSuchBucket":
        return BucketMissing(
            f"There is no bucket {bucket}.", fix="Correct the route's bucket, or run `python manage.py routes prepare`."
        )
    if code == "BucketAlreadyOwnedByYou":
        return BucketIsThere(f"The bucket {bucket} exists.")
    if code == "NoSuchUpload":
        return UploadGone("The upload was removed before it ended.")
    if status == 404:
        return NotThere()
    return _unavailable(code, status) or _refusal(refusal, place)


def _unavailable(code: str, status: int) -> Exception | None:
    if code in _THROTTLED:
        return Throttled(f"S3 asks to wait ({code}).")
    if code in _CONTENDED:
        return Contended(f"Another write of the object is under way ({code}).")
    if code in _DAMAGED:
        return BackendUnavailable(f"The bytes did not arrive at S3 whole ({code}).")
    if status >= 500:
        return Unanswered(f"S3 failed ({code or status}).")
    return None


def _refusal(refusal: Refusal, place: Place) -> Exception:
    bucket = place.bucket
    code = refusal.code or ("AccessDenied" if refusal.status == 403 else "")
    home = refusal.headers.get(_REGION_HEADER)
    elsewhere = home not in {None, place.region} and not refusal.code  # HEAD has no body to say so
    if refusal.status in _MOVED or code in _WRONG_REGION or elsewhere:
        return BackendRejected(
            f"The bucket {bucket} lies in another region" + (f": {home}." if home else "."),
            fix=f"Set the route's region to {home}." if home else "Correct the route's region.",
        )
    operation = refusal.operation
    action = _ACTIONS.get(operation, "s3:PutObject and s3:GetObject")
    denied = access_refusal(code, operation, action=action, resource=f"the bucket {bucket}")
    if denied:
        return denied
    if code == "BucketAlreadyExists":
        return BackendRejected(f"The bucket {bucket} belongs to somebody else.", fix="Choose another name.")
    if code == "EntityTooLarge":
        return ValueTooLarge("The object is larger than S3 allows.")
    return BackendRejected(
        f"S3 refused {operation} ({code or refusal.status}).", fix="Check the bucket's policy and the route's config."
    )
