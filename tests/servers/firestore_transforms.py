"""Field transforms: increment, maximum, minimum, the two array operations and the time of the request."""

import math

from tests.servers.firestore_errors import invalid
from tests.servers.firestore_fields import FieldPath, get_field, parse_path, set_field
from tests.servers.firestore_limits import TRANSFORMS, check_element, check_fields
from tests.servers.firestore_messages import Fields, Message, Value, ValueMessage, timestamp
from tests.servers.firestore_values import NAN_KEY, NULL, is_number, key, number

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
MILLISECOND = 1000
REQUEST_TIME = 1


def check_transforms(transforms: list[Message]) -> None:
    """Refuse transforms that no document can take: unknown, of a field and a part of it, too many, not of a number."""
    if len(transforms) > TRANSFORMS:
        raise invalid(f"a write can transform {TRANSFORMS} fields, not {len(transforms)}")
    paths = {parse_path(each.field_path) for each in transforms}
    for path in paths:
        if any(path[:length] in paths for length in range(1, len(path))):
            raise invalid(f"the field {path[0]!r} and a part of it cannot both be transformed")
    for each in transforms:
        _check(each)


def _check(transform: Message) -> None:
    kind = transform.WhichOneof("transform_type")
    match kind:
        case None:
            raise invalid(f"the transform of {transform.field_path!r} says no operation")
        case "set_to_server_value":
            if transform.set_to_server_value != REQUEST_TIME:
                raise invalid("the only value that the server can set is REQUEST_TIME")
        case "append_missing_elements" | "remove_all_from_array":
            for item in getattr(transform, kind).values:
                check_element(item)
                check_fields({"element": item})
        case _:
            if not is_number(getattr(transform, kind)):
                raise invalid(f"{kind} of {transform.field_path!r} takes an integer or a double")


def apply_transforms(fields: Fields, transforms: list[Message], now: int) -> list[ValueMessage]:
    """Change fields in order, and return what the service reports for each: the new value, null for arrays."""
    return [_apply(fields, parse_path(each.field_path), each, now) for each in transforms]


def _apply(fields: Fields, path: FieldPath, transform: Message, now: int) -> ValueMessage:
    current, kind = get_field(fields, path), transform.WhichOneof("transform_type")
    if kind == "set_to_server_value":
        result = Value(timestamp_value=timestamp(now - now % MILLISECOND))
    elif kind in {"increment", "maximum", "minimum"}:
        operand = getattr(transform, kind)
        result = operand if current is None or not is_number(current) else _NUMERIC[kind](current, operand)
    else:
        stored = list(current.array_value.values) if current is not None else []
        result = Value(array_value={"values": _ARRAYS[kind](stored, getattr(transform, kind).values)})
        set_field(fields, path, result)
        return NULL
    set_field(fields, path, result)
    return result


def _increment(current: ValueMessage, operand: ValueMessage) -> ValueMessage:
    left, right = number(current), number(operand)
    if isinstance(left, int) and isinstance(right, int):
        return Value(integer_value=max(INT64_MIN, min(INT64_MAX, left + right)))
    return Value(double_value=float(left) + float(right))


def _maximum(current: ValueMessage, operand: ValueMessage) -> ValueMessage:
    if NAN_KEY in {key(current), key(operand)}:
        return Value(double_value=math.nan)
    return operand if number(operand) > number(current) else current


def _minimum(current: ValueMessage, operand: ValueMessage) -> ValueMessage:
    if NAN_KEY in {key(current), key(operand)}:
        return Value(double_value=math.nan)
    return operand if number(operand) < number(current) else current


def _append_missing(stored: list[ValueMessage], values: list[ValueMessage]) -> list[ValueMessage]:
    result, seen = list(stored), {key(item) for item in stored}
    for value in values:
        if (place := key(value)) not in seen:
            seen.add(place)
            result.append(value)
    return result


def _remove_all(stored: list[ValueMessage], values: list[ValueMessage]) -> list[ValueMessage]:
    unwanted = {key(value) for value in values}
    return [item for item in stored if key(item) not in unwanted]


_NUMERIC = {"increment": _increment, "maximum": _maximum, "minimum": _minimum}
_ARRAYS = {"append_missing_elements": _append_missing, "remove_all_from_array": _remove_all}
