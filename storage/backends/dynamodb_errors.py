"""Every error of the AWS SDK in the words of `storage.errors`. Only codes are repeated: a message may hold what was signed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from storage.backends.dynamodb_items import Item
from storage.backends.service import Outrun, Unanswered
from storage.errors import BackendRejected, BackendUnavailable, Throttled

THROTTLED: Final = frozenset(
    {
        "ContinuousBackupsUnavailableException",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Of calls and, in other words, of the items of a cancelled transaction. None of them was applied."""
_OUTRUN: Final = frozenset(
    {"ConditionalCheckFailed", "DuplicateItem", "TransactionConflict", "TransactionConflictException"}
)
_NOT_SIGNED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NO_TABLE: Final = frozenset({"ResourceNotFoundException", "TableNotFoundException"})
_ASSUME_ROLE: Final = "AssumeRole"
_PREPARE: Final = "Run `python manage.py routes prepare`."


class ConditionFailed(Exception):
    """The condition of a write did not hold. `found` is the item as it was then, None where there was none."""

    def __init__(self, found: Item | None) -> None:
        super().__init__("condition failed")
        self.found = found


class TableMissing(BackendRejected):
    """The route's table does not exist."""


class TableExists(BackendRejected):
    """A table to be created exists already, or is being created."""


class RequestInvalid(BackendRejected):
    """DynamoDB refused what was asked as invalid, such as a sum of too many digits; nothing was done."""


def translated(error: Exception) -> Exception:
    """Return what to raise for an error of the SDK: one of `storage.errors`, ConditionFailed or Outrun."""
    from botocore import exceptions as sdk  # noqa: PLC0415 - at first use

    if isinstance(error, sdk.ClientError):
        return _of_answer(error.response, error.operation_name)
    if isinstance(error, sdk.BotoCoreError):
        return _of_sdk(error)
    return Unanswered("What answered is not DynamoDB.", fix="Check the endpoint, and proxies on the way.")


def _of_sdk(error: Exception) -> Exception:
    """Translate what went wrong on this side, or on the way."""
    from botocore import exceptions as sdk  # noqa: PLC0415 - at first use

    match error:
        case sdk.EndpointConnectionError() | sdk.ConnectTimeoutError() | sdk.ProxyConnectionError():
            return BackendUnavailable(
                "DynamoDB cannot be reached.", fix="Check the region, the endpoint and the network."
            )
        case sdk.SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return BackendRejected(
                "The endpoint's certificate is not trusted.", fix="Check the endpoint, or add its CA."
            )
        case sdk.HTTPClientError() | sdk.ConnectionError() | sdk.IncompleteReadError() | sdk.ChecksumError():
            return Unanswered("DynamoDB did not answer in time.")
        case (
            sdk.NoCredentialsError()
            | sdk.PartialCredentialsError()
            | sdk.CredentialRetrievalError()
            | sdk.MetadataRetrievalError()
            | sdk.TokenRetrievalError()
            | sdk.SSOError()
        ):
            return BackendRejected(
                f"There are no AWS credentials here ({type(error).__name__}).",
                fix="Give the route an access key, or the server a role.",
            )
    return BackendRejected(f"The AWS SDK refused the call ({type(error).__name__}).", fix="Check the route's config.")


def is_safe_to_show(error: Exception) -> bool:
    """Whether the SDK's own text holds no secret and no data: AWS repeats what was signed, a helper program what it printed."""
    from botocore import exceptions as sdk  # noqa: PLC0415 - at first use

    if isinstance(error, sdk.ClientError):
        return error.response.get("Error", {}).get("Code") not in _NOT_SIGNED
    return isinstance(error, sdk.HTTPClientError | sdk.ConnectionError)


def _of_answer(response: Mapping[str, Any], operation: str) -> Exception:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(response.get("Item"))
    if code == "TransactionCanceledException":
        return _of_reasons([reason.get("Code", "None") for reason in response.get("CancellationReasons", [])])
    if code in _OUTRUN:
        return Outrun("a transaction is changing the document")
    if code in THROTTLED:
        return Throttled(f"DynamoDB asks to wait ({code}).")
    if status >= 500:
        return Unanswered(f"DynamoDB failed ({code}).")
    return _refusal(code, operation)


def _of_reasons(codes: Sequence[str]) -> Exception:
    if _OUTRUN.intersection(codes):
        return Outrun("a condition of a transaction did not hold")
    throttled = THROTTLED.intersection(codes)
    if throttled:
        return Throttled(f"DynamoDB asks to wait ({min(throttled)}).")
    told = ", ".join(sorted(set(codes) - {"None"})) or "no reason given"
    return RequestInvalid(f"DynamoDB cancelled the atomic write ({told}).")


def _refusal(code: str, operation: str) -> BackendRejected:
    if operation == _ASSUME_ROLE:
        return BackendRejected(
            f"The role cannot be assumed ({code}).", fix="Check role_arn, external_id and its trust policy."
        )
    if code in _NO_TABLE:
        return TableMissing("The DynamoDB table does not exist.", fix=_PREPARE)
    if code == "ResourceInUseException":
        return TableExists("The DynamoDB table is being changed.", fix="Try again when it is active.")
    if code in _NOT_SIGNED:
        return BackendRejected(
            f"AWS does not accept the credentials ({code}).", fix="Check the route's keys, and the server's clock."
        )
    if code in _DENIED:
        return BackendRejected(
            f"AWS does not allow {operation} ({code}).",
            fix=f"Allow dynamodb:{operation} on the table in the IAM policy.",
        )
    return RequestInvalid(f"DynamoDB refused {operation} ({code}).", fix=f"The table may be another's. {_PREPARE}")
