"""Every error of the AWS SDK in the words of `storage.errors`. Only codes are repeated: a message may hold what was signed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from storage.backends import aws_errors
from storage.backends.aws_errors import access_refusal, of_sdk
from storage.backends.dynamodb_items import Item
from storage.backends.service import Outrun, Unanswered
from storage.errors import BackendRejected, Throttled

THROTTLED: Final = aws_errors.THROTTLED | {
    "ContinuousBackupsUnavailableException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
}
"""Of calls and, in other words, of the items of a cancelled transaction. None of them was applied."""
_OUTRUN: Final = frozenset(
    {"ConditionalCheckFailed", "DuplicateItem", "TransactionConflict", "TransactionConflictException"}
)
_NO_TABLE: Final = frozenset({"ResourceNotFoundException", "TableNotFoundException"})
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
    return of_sdk(error, "DynamoDB")


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
    refused = access_refusal(code, operation, action=f"dynamodb:{operation}", resource="the table")
    if refused:
        return refused
    if code in _NO_TABLE:
        return TableMissing("The DynamoDB table does not exist.", fix=_PREPARE)
    if code == "ResourceInUseException":
        return TableExists("The DynamoDB table is being changed.", fix="Try again when it is active.")
    return RequestInvalid(f"DynamoDB refused {operation} ({code}).", fix=f"The table may be another's. {_PREPARE}")
