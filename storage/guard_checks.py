"""What the guard refuses before any driver is asked: conditions, expiries, increments and atomic writes that break a rule."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from northstar.errors import Forbidden, InvalidRequest
from storage.documents import (
    ABSENT,
    ATOMIC_BYTES,
    ATOMIC_OPERATIONS,
    Delete,
    Deltas,
    Expect,
    Expectation,
    Fields,
    Increment,
    Operation,
    Put,
)
from storage.errors import InvalidValue, ValueTooLarge
from storage.keys import check_key
from storage.registry import APPEND_ONLY
from storage.values import CheckedFields, check_fields, check_number, checked


def check_appended(collection: str, operation: Operation) -> None:
    """Refuse whatever could change, remove or let expire a document of an append-only collection."""
    if collection not in APPEND_ONLY:
        return
    if not isinstance(operation, Put) or operation.expect is not ABSENT or operation.expires_at is not None:
        raise Forbidden(f"{collection} is append-only: nothing in it is changed or removed.")


def checked_put(fields: Fields, expect: Expect, expires_at: datetime | None) -> CheckedFields:
    check_expect(expect)
    if expires_at is not None:
        if expires_at.utcoffset() is None:
            raise InvalidValue("expires_at has no time zone.", fix="Give it in UTC, such as 2026-11-20T12:00:00Z.")
        if expires_at <= datetime.now(UTC):
            raise InvalidValue("expires_at is not in the future.", fix="Delete the document instead.")
    return checked(fields)


def check_expect(expect: Any) -> None:
    if isinstance(expect, Expectation):
        return
    if isinstance(expect, bool) or not isinstance(expect, int) or expect < 1:
        raise InvalidRequest(f"{expect!a} is no version.", fix="Send a version as it was read.")


def is_named(operation_id: str) -> bool:
    """Whether the caller has named the write, so that it may be sent again. Raises InvalidRequest for no valid Unicode."""
    try:
        return bool(operation_id.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"The operation id {operation_id!a} is not valid Unicode.") from None


def check_increment(deltas: Deltas, ceilings: Deltas, floors: Deltas) -> int:
    """Return the size of the deltas, encoded."""
    if not deltas:
        raise InvalidValue("An increment names no field.")
    size = check_fields(dict(deltas))
    for bounds in (deltas, ceilings, floors):
        for name, number in bounds.items():
            check_number(name, number)
            if name not in deltas:
                raise InvalidValue(f"{name} has a bound but no delta.", fix="Bound only fields that are incremented.")
    return size


def checked_atomic(operations: Sequence[Operation]) -> list[Operation]:
    if not 1 <= len(operations) <= ATOMIC_OPERATIONS:
        raise ValueTooLarge(f"An atomic write has {len(operations)} operations; 1 to {ATOMIC_OPERATIONS} are allowed.")
    size = 0
    good: dict[str, Operation] = {}
    for operation in operations:
        check_key(operation.key)
        if operation.key in good:
            raise InvalidRequest(f"The key {operation.key!a} stands twice in one atomic write.")
        good[operation.key], fields_size = _checked_operation(operation)
        size += len(operation.key) + fields_size
    if size > ATOMIC_BYTES:
        raise ValueTooLarge(f"An atomic write has {size} bytes; {ATOMIC_BYTES} are allowed.")
    return list(good.values())


def _checked_operation(operation: Operation) -> tuple[Operation, int]:
    match operation:
        case Put():
            fields = checked_put(operation.fields, operation.expect, operation.expires_at)
            return Put(operation.key, fields, operation.expect, operation.expires_at), len(fields.encoded)
        case Delete():
            check_expect(operation.expect)
        case Increment():
            return operation, check_increment(operation.deltas, operation.ceilings, operation.floors)
    return operation, 0
